//! Elections beyond the paper's rules: pre-vote, who may campaign, and what a vote is worth.

use raftcore::{Config, Event, HardState, Index, MessageKind, RoleKind, Term, Transition};

use crate::support::{
    Call, Group, Member, append, append_one, change_v2, conf_entry, failure, fingerprint,
    heartbeat, id, install, many, one, pre_vote, pre_vote_response, snapshot, texts, timeout_now,
    vote, vote_response, voters, with_learners,
};

fn with_pre_vote(config: &mut Config) {
    config.pre_vote = true;
}

/// The reason for which a node did not campaign, if it said one.
fn why_not(member: &mut Member, act: impl FnOnce(&mut Member)) -> Option<&'static str> {
    let (send, receive) = std::sync::mpsc::channel();
    member.set_observer(Some(Box::new(move |event| {
        if let Event::CannotCampaign { why } = event {
            send.send(*why).unwrap();
        }
    })));
    act(member);
    member.set_observer(None);
    receive.try_recv().ok()
}

// Pre-vote (thesis, section 9.6).

#[test]
fn a_pre_vote_asks_for_the_next_term_and_changes_nothing() {
    let mut node = Member::with(1, &[1, 2, 3], with_pre_vote);
    let before = node.hard_state();
    node.campaign().unwrap();
    assert_eq!((node.role(), node.hard_state()), (RoleKind::PreCandidate, before));
    let expected = ["1->2 MsgPreVote Term:1 Log:0/0", "1->3 MsgPreVote Term:1 Log:0/0"];
    assert_eq!(texts(&node.drain()), expected);
    assert_eq!(node.storage().inner.hard_state(), before, "nothing to persist");
}

#[test]
fn a_granted_pre_vote_leaves_no_trace_on_the_voter() {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1], 0);
    node.tick_times(5);
    let before = fingerprint(&node);
    node.step(pre_vote(2, 1, 2, (1, 1))).unwrap();
    assert_eq!(texts(&node.drain()), ["1->2 MsgPreVoteResp Term:2 Log:0/0"]);
    assert_eq!(fingerprint(&node), before);
    // Not even its clock: it campaigns when it would have.
    let left = node.randomized_election_timeout() - 5;
    node.tick_times(left);
    assert_eq!(node.role(), RoleKind::Candidate);
}

#[test]
fn pre_votes_of_one_term_are_given_to_anybody() {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1], 0);
    node.step(vote(2, 1, 2, (1, 1))).unwrap();
    node.drain();
    node.step(pre_vote(3, 1, 3, (1, 1))).unwrap();
    assert_eq!(texts(&node.drain()), ["1->3 MsgPreVoteResp Term:3 Log:0/0"]);
    assert_eq!((node.term(), node.vote()), (2, Some(2)));
}

#[test]
fn a_pre_vote_is_refused_to_a_log_that_is_behind() {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1, 2], 0);
    node.step(pre_vote(2, 1, 3, (1, 5))).unwrap();
    // The refusal names the voter's own term.
    assert_eq!(texts(&node.drain()), ["1->2 MsgPreVoteResp Term:2 Log:0/0 Rejected (Hint: 0)"]);
}

#[test]
fn a_majority_of_pre_votes_begins_the_election() {
    let mut node = Member::with(1, &[1, 2, 3], with_pre_vote);
    node.campaign().unwrap();
    node.drain();
    node.step(pre_vote_response(2, 1, 1, true)).unwrap();
    assert_eq!((node.role(), node.term(), node.vote()), (RoleKind::Candidate, 1, Some(1)));
    let expected = ["1->2 MsgVote Term:1 Log:0/0", "1->3 MsgVote Term:1 Log:0/0"];
    assert_eq!(texts(&node.drain()), expected);
}

#[test]
fn a_majority_against_ends_the_attempt_in_the_old_term() {
    let mut node = Member::with_log_and(1, &[1, 2, 3], &[1], 0, with_pre_vote);
    node.campaign().unwrap();
    node.drain();
    node.step(pre_vote_response(2, 1, 1, false)).unwrap();
    node.step(pre_vote_response(3, 1, 1, false)).unwrap();
    assert_eq!((node.role(), node.term()), (RoleKind::Follower, 1));
}

#[test]
fn a_refusal_from_a_higher_term_is_followed() {
    let mut node = Member::with_log_and(1, &[1, 2, 3], &[1], 0, with_pre_vote);
    node.campaign().unwrap();
    node.drain();
    node.step(pre_vote_response(2, 1, 5, false)).unwrap();
    assert_eq!((node.role(), node.term(), node.leader()), (RoleKind::Follower, 5, None));
}

#[test]
fn pre_votes_are_no_votes() {
    let mut node = Member::with(1, &[1, 2, 3], with_pre_vote);
    node.campaign().unwrap();
    node.drain();
    node.step(pre_vote_response(2, 1, 1, true)).unwrap();
    node.drain();
    // Answers to the question that was asked before (mistake 28).
    node.step(pre_vote_response(3, 1, 1, true)).unwrap();
    node.step(pre_vote_response(2, 1, 1, true)).unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
    node.step(vote_response(3, 1, 1, true)).unwrap();
    assert_eq!(node.role(), RoleKind::Leader);
}

#[test]
fn votes_are_no_pre_votes() {
    let mut node = Member::with_log_and(1, &[1, 2, 3], &[1], 0, with_pre_vote);
    node.campaign().unwrap();
    node.drain();
    node.step(vote_response(2, 1, 1, true)).unwrap();
    assert_eq!(node.role(), RoleKind::PreCandidate);
}

#[test]
fn a_pre_vote_of_an_earlier_term_is_refused_aloud() {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1, 5], 0);
    node.step(pre_vote(2, 1, 3, (1, 9))).unwrap();
    // Silence would leave the asker in its term for ever (mistake 29).
    assert_eq!(texts(&node.drain()), ["1->2 MsgPreVoteResp Term:5 Log:0/0 Rejected (Hint: 0)"]);
}

#[test]
fn a_longer_log_of_an_earlier_term_still_finds_a_leader() {
    // Node 2 campaigned without pre-vote and is at a higher term with the shorter log.
    let all = [1, 2];
    let longer = Member::with_log_and(1, &all, &[1, 1, 1], 0, with_pre_vote);
    let mut storage = Member::storage_with(&all, &[1, 1], 0);
    storage.set_hard_state(HardState { term: Term(5), ..HardState::default() });
    let higher = Member::on(2, storage, with_pre_vote);
    let mut group = Group::of([longer, higher]);
    group.run(60);
    assert_eq!(group.leader(), Some(1));
    group.assert_agreement();
}

#[test]
fn a_member_that_was_cut_off_does_not_disturb_the_group_with_pre_vote() {
    let mut group = Group::with(3, |c| {
        c.pre_vote = true;
        c.check_quorum = true;
    });
    group.elect(1);
    group.isolate(3);
    group.run(100);
    let term = group[1].term();
    group.heal();
    group.run(100);
    assert_eq!((group.leader(), group[1].term(), group[3].term()), (Some(1), term, term));
}

#[test]
fn a_pre_vote_refused_by_a_node_without_a_term_counts() {
    // Both were founded from a snapshot without a hard state: their term is 0.
    let found = |id: u64, index: u64| {
        let mut storage = raftcore::MemoryStorage::new();
        storage.apply_snapshot(snapshot((1, index), voters(&[1, 2, 3]))).unwrap();
        Member::on(id, storage, with_pre_vote)
    };
    let mut group = Group::of([found(1, 10), found(2, 11), found(3, 11)]);
    group[1].campaign().unwrap();
    group.collect();
    group.settle();
    let refusals = group
        .sent
        .iter()
        .filter(|m| m.term == Term::ZERO && m.body.kind() == MessageKind::PreVoteResponse);
    assert_eq!(refusals.count(), 2);
    assert!(group.refused.is_empty(), "{:?}", group.refused);
    assert_eq!(group[1].role(), RoleKind::Follower, "two refusals of three");
    group.elect(2);
}

#[test]
fn a_pre_candidate_that_is_refused_does_not_raise_the_term() {
    let mut group = Group::with(3, with_pre_vote);
    group.cut(1, 3);
    group.elect(1);
    // Node 2 knows the leader of this term, and node 3 asks about the same one.
    group[3].campaign().unwrap();
    group.settle();
    assert_eq!(group[3].role(), RoleKind::Follower);
    let term = group[1].term();
    group.heal();
    group[3].campaign().unwrap();
    group.settle();
    assert_eq!((group[1].role(), group[1].term()), (RoleKind::Leader, term));
}

// Who may campaign.

#[test]
fn a_learner_does_not_campaign() {
    let mut node = Member::of(2, with_learners(&[1], &[2]), |_| ());
    let why = why_not(&mut node, |node| node.campaign().unwrap());
    assert_eq!(why, Some("this node is no voter, or a snapshot is pending"));
    node.tick_times(100);
    node.step(timeout_now(1, 2, 1)).unwrap();
    assert_eq!((node.role(), node.term()), (RoleKind::Follower, 1));
    assert!(node.drain().is_empty());
}

#[test]
fn who_is_no_member_does_not_campaign() {
    let mut node = Member::new(4, &[1, 2, 3]);
    node.tick_times(100);
    node.campaign().unwrap();
    node.step(timeout_now(1, 4, 1)).unwrap();
    assert_eq!((node.role(), node.term()), (RoleKind::Follower, 1));
}

#[test]
fn a_node_with_a_snapshot_that_is_not_stored_does_not_campaign() {
    let mut node = Member::new(1, &[1, 2, 3]);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&[1, 2, 3])))).unwrap();
    node.campaign().unwrap();
    assert_eq!(node.role(), RoleKind::Follower);
    node.drain();
    node.campaign().unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
}

#[test]
fn a_committed_change_that_is_not_applied_forbids_to_campaign() {
    let forms = [one("v4"), many(Transition::Auto, "v4"), many(Transition::Auto, "")];
    for change in &forms {
        let mut node = Member::new(1, &[1, 2, 3]);
        node.step(append_one(2, 1, (0, 0), conf_entry(1, 1, change), 1)).unwrap();
        let why = why_not(&mut node, |node| node.campaign().unwrap());
        assert_eq!(why, Some("a committed membership change is not applied yet"), "{change:?}");
        // The leader's own order changes nothing about it (mistake 22).
        node.step(timeout_now(2, 1, 1)).unwrap();
        node.tick_times(50);
        assert_eq!((node.role(), node.term()), (RoleKind::Follower, 1), "{change:?}");
        node.drain();
        node.campaign().unwrap();
        assert_eq!(node.role(), RoleKind::Candidate, "applied: {change:?}");
    }
}

#[test]
fn a_change_that_is_not_committed_does_not_forbid_to_campaign() {
    let mut node = Member::new(1, &[1, 2, 3]);
    node.step(append_one(2, 1, (0, 0), conf_entry(1, 1, &one("v4")), 0)).unwrap();
    node.drain();
    node.campaign().unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
}

#[test]
fn the_search_for_a_change_reads_page_by_page() {
    // Fifty committed entries, the last of them a change, and room for one at a time.
    let mut storage = Member::storage_with(&[1, 2, 3], &[1; 49], 49);
    storage.append(&vec![conf_entry(1, 50, &one("v4"))].into_iter().collect()).unwrap();
    let committed = |commit| HardState { term: Term(1), vote: None, commit: Index(commit) };
    for (commit, role) in [(49, RoleKind::Candidate), (50, RoleKind::Follower)] {
        let mut storage = storage.clone();
        storage.set_hard_state(committed(commit));
        let mut node = Member::on(1, storage, |c| c.max_committed_bytes_per_ready = 1);
        node.storage().lie(Call::Entries, 60, usize::MAX, crate::support::Lie::Fail(failure()));
        node.campaign().unwrap();
        assert_eq!(node.role(), role, "committed {commit}");
    }
}

#[test]
fn a_removed_member_does_not_campaign() {
    let mut node = Member::new(1, &[1, 2, 3]);
    node.apply_conf_change(&change_v2(Transition::Auto, "r1")).unwrap();
    node.campaign().unwrap();
    node.tick_times(100);
    assert_eq!(node.role(), RoleKind::Follower);
}

#[test]
fn a_leader_that_is_told_to_campaign_goes_on_leading() {
    for pre_vote in [false, true] {
        let mut leader = Member::with(1, &[1, 2, 3], |c| c.pre_vote = pre_vote);
        leader.lead_all();
        let before = fingerprint(&leader);
        leader.campaign().unwrap();
        assert_eq!(fingerprint(&leader), before);
    }
}

#[test]
fn a_single_voter_leads_at_once_and_again_after_a_restart() {
    for pre_vote in [false, true] {
        let mut node = Member::with(1, &[1], |c| c.pre_vote = pre_vote);
        for term in 1..=3 {
            let timeout = node.randomized_election_timeout();
            node.tick_times(timeout);
            node.drain();
            assert_eq!((node.role(), node.term()), (RoleKind::Leader, term));
            assert_eq!(node.commit(), term, "its first entry");
            node.restart();
        }
    }
}

// What a vote is worth.

#[test]
fn a_vote_is_stored_before_it_is_sent() {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1], 0);
    node.step(vote(2, 1, 1, (1, 1))).unwrap();
    let ready = node.take_ready();
    // Only the vote has changed, and it has to be synced all the same (mistakes 2 and 45).
    assert!(ready.must_sync);
    let stored = HardState { term: Term(1), vote: Some(id(2)), commit: Index(0) };
    assert_eq!(ready.hard_state, Some(stored));
    assert!(ready.messages.is_empty());
    assert_eq!(texts(&ready.messages_after_sync), ["1->2 MsgVoteResp Term:1 Log:0/0"]);
}

#[test]
fn a_request_for_votes_waits_for_the_disk_unless_it_is_told_not_to() {
    let requests = |messages: &[raftcore::Message]| {
        messages.iter().filter(|m| m.body.kind() == MessageKind::Vote).count()
    };
    for (waits, before, after) in [(true, 0, 2), (false, 2, 0)] {
        let mut node = Member::with(1, &[1, 2, 3], |c| c.votes_wait_for_sync = waits);
        node.campaign().unwrap();
        let ready = node.take_ready();
        assert!(ready.must_sync);
        assert_eq!(requests(&ready.messages), before);
        assert_eq!(requests(&ready.messages_after_sync), after);
        node.handle(ready);
        // A pre-vote claims nothing that could be lost.
        let mut node = Member::with(1, &[1, 2, 3], |c| {
            c.votes_wait_for_sync = waits;
            c.pre_vote = true;
        });
        node.campaign().unwrap();
        let ready = node.take_ready();
        assert_eq!((ready.messages.len(), ready.must_sync), (2, false));
        node.handle(ready);
    }
}

#[test]
fn a_vote_is_remembered_over_a_restart() {
    let mut node = Member::new(1, &[1, 2, 3]);
    node.step(vote(2, 1, 1, (0, 0))).unwrap();
    node.drain();
    node.restart();
    node.step(vote(3, 1, 1, (9, 9))).unwrap();
    assert_eq!(texts(&node.drain()), ["1->3 MsgVoteResp Term:1 Log:0/0 Rejected (Hint: 0)"]);
    assert_eq!(node.vote(), Some(2));
}

#[test]
fn a_candidate_counts_itself_when_its_vote_is_stored() {
    let mut node = Member::new(1, &[1]);
    node.campaign().unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
    let ready = node.take_ready();
    assert_eq!(node.role(), RoleKind::Candidate);
    node.handle(ready);
    assert_eq!(node.role(), RoleKind::Leader);
}

#[test]
fn a_candidates_own_vote_is_void_once_it_has_lost() {
    for pre_vote in [false, true] {
        let mut node = Member::with(1, &[1, 2, 3], |c| c.pre_vote = pre_vote);
        node.campaign().unwrap();
        let ready = node.take_ready();
        node.step(heartbeat(2, 1, 1, 0)).unwrap();
        node.handle(ready);
        assert_eq!((node.role(), node.leader()), (RoleKind::Follower, Some(2)));
    }
}

#[test]
fn the_own_pre_vote_does_not_count_in_the_election() {
    let mut node = Member::with(1, &[1, 2, 3], with_pre_vote);
    node.campaign().unwrap();
    let ready = node.take_ready();
    // The others were quicker than the own disk.
    node.step(pre_vote_response(2, 1, 1, true)).unwrap();
    node.step(pre_vote_response(3, 1, 1, true)).unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
    node.handle(ready);
    assert_eq!(node.role(), RoleKind::Candidate);
    node.step(vote_response(2, 1, 1, true)).unwrap();
    node.drain();
    assert_eq!(node.role(), RoleKind::Leader);
}

#[test]
fn a_vote_counts_once_and_the_first_answer_stands() {
    let mut node = Member::new(1, &[1, 2, 3, 4, 5]);
    node.campaign().unwrap();
    node.drain();
    for _ in 0..3 {
        node.step(vote_response(2, 1, 1, true)).unwrap();
    }
    node.step(vote_response(3, 1, 1, false)).unwrap();
    node.step(vote_response(3, 1, 1, true)).unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
}

#[test]
fn a_learner_votes_when_it_is_asked_but_its_vote_elects_nobody() {
    let mut learner = Member::of(3, with_learners(&[1, 2], &[3]), |_| ());
    learner.step(vote(1, 3, 1, (0, 0))).unwrap();
    assert_eq!(texts(&learner.drain()), ["3->1 MsgVoteResp Term:1 Log:0/0"]);

    let mut node = Member::of(1, with_learners(&[1, 2], &[3]), |_| ());
    node.campaign().unwrap();
    assert_eq!(texts(&node.drain()), ["1->2 MsgVote Term:1 Log:0/0"], "it is not asked");
    node.step(vote_response(3, 1, 1, true)).unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
}

#[test]
fn a_learner_that_was_promoted_without_knowing_elects_a_leader() {
    // Nodes 1 and 2 know that 3 votes now; 1 is dead and 2 needs 3.
    let knows = |id| Member::with_log(id, &[1, 2, 3], &[1, 1], 2);
    let unaware = Member::on(3, Member::storage_with(&[], &[1], 1), |_| ());
    let mut storage = unaware.storage().inner.clone();
    storage.set_conf_state(with_learners(&[1, 2], &[3]));
    let mut group = Group::of([knows(1), knows(2), Member::on(3, storage, |_| ())]);
    group.isolate(1);
    group.elect(2);
    assert_eq!(stored(&group[3]), stored(&group[2]));
}

fn stored(member: &Member) -> Vec<u64> {
    crate::support::stored_terms(member)
}

#[test]
fn the_vote_of_a_removed_member_does_not_count() {
    let mut node = Member::new(1, &[1, 2, 3, 4, 5]);
    node.campaign().unwrap();
    node.drain();
    node.step(vote_response(2, 1, 1, true)).unwrap();
    node.apply_conf_change(&change_v2(Transition::Auto, "r2")).unwrap();
    // Of 1, 3, 4, 5 three are needed: 1 and 3 and not 2 (mistake 20).
    node.step(vote_response(3, 1, 1, true)).unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
    node.step(vote_response(4, 1, 1, true)).unwrap();
    assert_eq!(node.role(), RoleKind::Leader);
}

#[test]
fn a_newer_log_on_a_majority_outvotes_older_candidates_until_it_wins() {
    // Node 1 won term 2 and wrote an entry; 2 to 4 voted in term 3 for 5, which wrote none.
    let all: Vec<u64> = (1..=5).collect();
    let logs: [&[u64]; 5] = [&[1], &[1], &[2], &[], &[]];
    let mut group = Group::of((1..).zip(logs).map(|(id, log)| Member::with_log(id, &all, log, 0)));
    group.isolate(3);
    group[1].campaign().unwrap();
    group.settle();
    assert_eq!(group[1].role(), RoleKind::Leader);
    group.heal();
    group.run(2);
    group.assert_agreement();
}

#[test]
fn an_append_in_a_newer_term_after_a_vote_is_followed() {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1], 0);
    node.step(vote(2, 1, 2, (1, 1))).unwrap();
    node.step(append(3, 1, 3, (1, 1), &[(3, 2)], 0)).unwrap();
    node.drain();
    assert_eq!((node.leader(), node.term(), node.vote()), (Some(3), 3, None));
}

#[test]
fn a_timeout_that_is_fixed_holds_to_the_tick() {
    let mut node = Member::new(1, &[1, 2, 3]);
    node.set_randomized_election_timeout(25);
    assert_eq!(node.randomized_election_timeout(), 25);
    node.tick_times(24);
    assert_eq!(node.role(), RoleKind::Follower);
    node.tick_times(1);
    assert_eq!(node.role(), RoleKind::Candidate);
}

#[test]
fn a_pre_vote_for_the_present_term_is_judged_like_a_vote() {
    let check = |what: &str, node: &mut Member, granted: bool| {
        node.drain();
        let (send, receive) = std::sync::mpsc::channel();
        node.set_observer(Some(Box::new(move |event| send.send(event.clone()).unwrap())));
        node.step(pre_vote(3, 1, 2, (9, 9))).unwrap();
        let told: Vec<Event> = receive.try_iter().collect();
        let (candidate, term) = (id(3), Term(2));
        assert_eq!(told, [Event::Voted { candidate, term, granted, pre_vote: true }], "{what}");
    };
    let in_term_2 = || Member::with_log(1, &[1, 2, 3], &[2], 1);
    check("nobody leads, and nobody has its vote", &mut in_term_2(), true);
    for (candidate, granted) in [(3, true), (2, false)] {
        let mut node = in_term_2();
        node.step(vote(candidate, 1, 2, (9, 9))).unwrap();
        check("it voted", &mut node, granted);
    }
    let mut follower = in_term_2();
    follower.step(heartbeat(2, 1, 2, 1)).unwrap();
    check("somebody leads", &mut follower, false);
}
