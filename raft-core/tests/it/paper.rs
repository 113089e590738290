//! The Raft paper, section by section: what every implementation must do, whatever its options.

use raftcore::{Body, MessageKind, RoleKind};

use crate::support::{
    Group, Member, accepted, append, entries, fingerprint, heartbeat, heartbeat_response, install,
    message, rejected, snapshot, stored_terms, texts, vote, vote_response, voters,
};

/// Node 1 of three in each of its roles, in term 2.
fn in_each_role() -> Vec<Member> {
    let mut follower = Member::with_log(1, &[1, 2, 3], &[1, 2], 0);
    follower.step(heartbeat(2, 1, 2, 0)).unwrap();
    let mut candidate = Member::with_log(1, &[1, 2, 3], &[1], 0);
    candidate.campaign().unwrap();
    let mut leader = Member::with_log(1, &[1, 2, 3], &[1], 0);
    leader.become_leader();
    let mut all = vec![follower, candidate, leader];
    for member in &mut all {
        member.drain();
        assert_eq!(member.term(), 2);
    }
    all
}

/// A message of every kind that carries a term, from node 3 to node 1.
fn one_of_each(term: u64) -> Vec<raftcore::Message> {
    vec![
        append(3, 1, term, (1, 1), &[], 0),
        heartbeat(3, 1, term, 0),
        install(3, 1, term, snapshot((1, 9), voters(&[1, 2, 3]))),
        vote(3, 1, term, (1, 1)),
        vote_response(3, 1, term, true),
        vote_response(3, 1, term, false),
        accepted(3, 1, term, 1),
        rejected(3, 1, term, 1, (0, 0)),
        heartbeat_response(3, 1, term, b""),
        message(3, 1, term, Body::TransferLeader),
    ]
}

// Section 5.1: terms.

#[test]
fn a_higher_term_in_any_message_ends_the_present_one() {
    for (at, message) in one_of_each(7).into_iter().enumerate() {
        for mut member in in_each_role() {
            let (role, kind) = (member.role(), message.body.kind());
            member.step(message.clone()).unwrap();
            let is_leader = message.body.is_from_leader();
            assert_eq!(member.term(), 7, "{kind:?} ({at}) to {role:?}");
            assert_eq!(member.role(), RoleKind::Follower, "{kind:?} to {role:?}");
            assert_eq!(member.leader(), is_leader.then_some(3), "{kind:?} to {role:?}");
            if kind != MessageKind::Vote {
                assert_eq!(member.vote(), None, "a vote belongs to one term: {kind:?}");
            }
        }
    }
}

#[test]
fn a_message_of_an_earlier_term_changes_nothing() {
    for message in one_of_each(1) {
        for mut member in in_each_role() {
            let before = fingerprint(&member);
            member.step(message.clone()).unwrap();
            assert_eq!(fingerprint(&member), before, "{message:?} to {:?}", member.role());
        }
    }
}

// Section 5.2: leader election.

#[test]
fn a_node_begins_as_a_follower_without_a_leader() {
    let member = Member::new(1, &[1, 2, 3]);
    assert_eq!((member.role(), member.leader(), member.term()), (RoleKind::Follower, None, 0));
}

#[test]
fn a_leader_sends_heartbeats_at_its_interval() {
    let mut leader = Member::with(1, &[1, 2, 3], |c| c.heartbeat_interval_ticks = 3);
    leader.become_leader();
    leader.tick_times(2);
    assert!(leader.drain().is_empty());
    leader.tick_times(1);
    let expected = ["1->2 MsgHeartbeat Term:1 Log:0/0", "1->3 MsgHeartbeat Term:1 Log:0/0"];
    assert_eq!(texts(&leader.drain()), expected);
}

#[test]
fn a_node_that_hears_from_nobody_campaigns_and_goes_on_campaigning() {
    let mut node = Member::new(1, &[1, 2, 3]);
    for term in 1..=3 {
        let timeout = node.randomized_election_timeout();
        node.tick_times(timeout - 1);
        assert_eq!(node.term(), term - 1, "one tick too early");
        node.tick_times(1);
        assert_eq!((node.role(), node.term(), node.vote()), (RoleKind::Candidate, term, Some(1)));
        let expected = [
            format!("1->2 MsgVote Term:{term} Log:0/0"),
            format!("1->3 MsgVote Term:{term} Log:0/0"),
        ];
        assert_eq!(texts(&node.drain()), expected);
    }
}

#[test]
fn a_word_from_the_leader_puts_the_election_off() {
    let mut node = Member::new(1, &[1, 2, 3]);
    let messages = [
        heartbeat(2, 1, 1, 0),
        append(2, 1, 1, (0, 0), &[], 0),
        install(2, 1, 1, snapshot((1, 0), voters(&[1, 2, 3]))),
    ];
    for message in &messages[..2] {
        for _ in 0..50 {
            node.step(message.clone()).unwrap();
            node.tick_times(9);
        }
        assert_eq!((node.role(), node.leader()), (RoleKind::Follower, Some(2)));
    }
}

#[test]
fn an_election_is_decided_by_a_majority_of_the_voters() {
    // Voters, those who grant and those who refuse besides the candidate itself, the outcome.
    let check = |n: u64, granted: u64, refused: u64, expect: RoleKind| {
        let ids: Vec<u64> = (1..=n).collect();
        let mut node = Member::new(1, &ids);
        node.campaign().unwrap();
        node.drain();
        for voter in 2..2 + granted {
            node.step(vote_response(voter, 1, 1, true)).unwrap();
        }
        for voter in 2 + granted..2 + granted + refused {
            node.step(vote_response(voter, 1, 1, false)).unwrap();
        }
        let case = format!("{granted} for and {refused} against of {n}");
        assert_eq!((node.role(), node.term()), (expect, 1), "{case}");
    };
    use RoleKind::{Candidate, Follower, Leader};
    check(1, 0, 0, Leader);
    check(2, 0, 0, Candidate);
    check(2, 1, 0, Leader);
    check(2, 0, 1, Follower);
    check(3, 1, 0, Leader);
    check(3, 0, 1, Candidate);
    check(3, 0, 2, Follower);
    // Half of an even number is no majority (mistake 49).
    check(4, 1, 0, Candidate);
    check(4, 1, 1, Candidate);
    check(4, 1, 2, Follower);
    check(4, 2, 0, Leader);
    check(5, 1, 2, Candidate);
    check(5, 2, 2, Leader);
    check(5, 1, 3, Follower);
    check(6, 2, 0, Candidate);
    check(6, 3, 0, Leader);
    check(6, 2, 3, Follower);
    check(7, 3, 3, Leader);
}

#[test]
fn a_vote_goes_to_the_first_who_asks() {
    // Who has the vote already, who asks, whether it is granted.
    let check = |voted: Option<u64>, asks: u64, granted: bool| {
        let mut node = Member::new(1, &[1, 2, 3]);
        if let Some(candidate) = voted {
            node.step(vote(candidate, 1, 1, (0, 0))).unwrap();
            node.drain();
        }
        node.step(vote(asks, 1, 1, (0, 0))).unwrap();
        let rejected = if granted { "" } else { " Rejected (Hint: 0)" };
        let expected = format!("1->{asks} MsgVoteResp Term:1 Log:0/0{rejected}");
        assert_eq!(texts(&node.drain()), [expected]);
        assert_eq!(node.vote(), voted.or(Some(asks)));
    };
    check(None, 2, true);
    check(None, 3, true);
    check(Some(2), 2, true);
    check(Some(3), 3, true);
    check(Some(2), 3, false);
    check(Some(3), 2, false);
}

#[test]
fn a_new_term_frees_the_vote() {
    let mut node = Member::new(1, &[1, 2, 3]);
    node.step(vote(2, 1, 1, (0, 0))).unwrap();
    node.step(heartbeat(3, 1, 2, 0)).unwrap();
    assert_eq!((node.term(), node.vote()), (2, None));
}

#[test]
fn a_follower_of_a_leader_gives_no_vote_in_its_term() {
    let mut node = Member::new(1, &[1, 2, 3]);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    node.drain();
    node.step(vote(3, 1, 1, (9, 9))).unwrap();
    assert_eq!(texts(&node.drain()), ["1->3 MsgVoteResp Term:1 Log:0/0 Rejected (Hint: 0)"]);
    assert_eq!(node.vote(), None);
}

#[test]
fn a_candidate_gives_way_to_a_leader_of_its_term() {
    let words = [
        heartbeat(2, 1, 2, 0),
        append(2, 1, 2, (1, 1), &[], 0),
        install(2, 1, 2, snapshot((1, 3), voters(&[1, 2, 3]))),
    ];
    for word in words {
        let mut node = Member::with_log(1, &[1, 2, 3], &[1], 0);
        node.campaign().unwrap();
        node.drain();
        node.step(word).unwrap();
        assert_eq!((node.role(), node.leader(), node.term()), (RoleKind::Follower, Some(2), 2));
        assert_eq!(node.vote(), Some(1), "its vote in this term is given");
    }
}

#[test]
fn election_timeouts_are_drawn_anew_between_one_and_two_timeouts() {
    let mut node = Member::new(1, &[1, 2, 3]);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let timeout = node.randomized_election_timeout();
        seen.insert(timeout);
        node.tick_times(timeout);
        node.drain();
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), (10..20).collect::<Vec<_>>());
}

#[test]
fn members_with_other_seeds_draw_other_timeouts() {
    let draw = |seed: u64| {
        let mut node = Member::with(1, &[1, 2, 3], |c| {
            c.seed = seed;
            c.election_timeout_ticks = 1000;
        });
        (0..5)
            .map(|_| {
                node.campaign().unwrap();
                node.randomized_election_timeout()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1), "the same seed, the same run");
    assert_ne!(draw(1), draw(2));
}

#[test]
fn only_one_of_two_candidates_wins_a_term() {
    let mut group = Group::new(3);
    group[1].campaign().unwrap();
    group[3].campaign().unwrap();
    group.settle();
    let leaders = group.members.values().filter(|m| m.role() == RoleKind::Leader).count();
    assert_eq!(leaders, 1);
}

// Section 5.3: log replication.

#[test]
fn a_proposal_is_appended_and_sent_to_everybody() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.propose("some").unwrap();
    let expected = [
        r#"1->2 MsgApp Term:1 Log:1/1 Commit:1 Entries:[1/2 EntryNormal "some"]"#,
        r#"1->3 MsgApp Term:1 Log:1/1 Commit:1 Entries:[1/2 EntryNormal "some"]"#,
    ];
    assert_eq!(texts(&leader.drain()), expected);
    assert_eq!((leader.last_index(), leader.commit()), (2, 1));
}

#[test]
fn an_entry_is_committed_by_a_majority() {
    let check = |n: u64, acknowledge: &[u64], committed: bool| {
        let ids: Vec<u64> = (1..=n).collect();
        let mut leader = Member::new(1, &ids);
        leader.become_leader();
        for member in acknowledge {
            leader.acknowledge(*member);
        }
        assert_eq!(leader.commit(), u64::from(committed), "{acknowledge:?} of {n}");
    };
    check(1, &[], true);
    check(2, &[], false);
    check(2, &[2], true);
    check(3, &[], false);
    check(3, &[2], true);
    check(3, &[3], true);
    check(4, &[2], false);
    check(4, &[2, 3], true);
    check(5, &[5], false);
    check(5, &[4, 5], true);
    check(6, &[2, 3], false);
    check(6, &[2, 3, 4], true);
}

#[test]
fn a_committed_entry_is_applied_and_its_commit_told_to_the_others() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.propose("some").unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    let expected = ["1->2 MsgApp Term:1 Log:1/2 Commit:2", "1->3 MsgApp Term:1 Log:1/2 Commit:2"];
    assert_eq!(texts(&leader.drain()), expected);
    assert_eq!(leader.payloads(), ["some"]);
}

#[test]
fn what_precedes_a_committed_entry_is_committed_with_it() {
    for earlier in [&[][..], &[2], &[1, 2], &[1]] {
        let mut leader = Member::with_log(1, &[1, 2, 3], earlier, 0);
        leader.become_leader();
        leader.propose("mine").unwrap();
        leader.drain();
        leader.acknowledge(2);
        leader.drain();
        let terms: Vec<u64> = leader.applied.iter().map(|entry| entry.term.0).collect();
        let own = leader.term();
        assert_eq!(terms, [earlier, &[own, own]].concat());
    }
}

#[test]
fn a_follower_commits_what_the_leader_says_as_far_as_it_has_it() {
    // Entries in the append, the leader's commit index, the follower's afterwards.
    let check = |new: &[(u64, u64)], commit: u64, expect: u64| {
        let mut follower = Member::with_log(1, &[1, 2, 3], &[1, 1, 1], 0);
        follower.step(append(2, 1, 1, (1, 1), new, commit)).unwrap();
        assert_eq!(follower.commit(), expect, "{new:?}, leader committed {commit}");
    };
    check(&[], 0, 0);
    check(&[], 1, 1);
    // Entries 2 and 3 are here but not known to be the leader's (mistake 14).
    check(&[], 3, 1);
    check(&[(1, 2)], 3, 2);
    check(&[(1, 2), (1, 3)], 3, 3);
    check(&[(1, 2), (1, 3), (1, 4)], 2, 2);
    check(&[(1, 2)], 100, 2);
}

#[test]
fn committed_entries_are_applied_in_order_and_once() {
    let mut follower = Member::new(1, &[1, 2, 3]);
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2), (1, 3)], 1)).unwrap();
    follower.drain();
    follower.step(heartbeat(2, 1, 1, 2)).unwrap();
    follower.drain();
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2), (1, 3)], 3)).unwrap();
    follower.step(heartbeat(2, 1, 1, 3)).unwrap();
    follower.drain();
    assert_eq!(follower.payloads(), ["1/1", "1/2", "1/3"]);
}

#[test]
fn a_follower_checks_the_position_before_the_entries() {
    // The follower has terms 1, 2 at indexes 1, 2, of which 1 is committed.
    let check = |prev: (u64, u64), expect: &str| {
        let mut follower = Member::with_log(1, &[1, 2, 3], &[1, 2], 1);
        follower.step(append(2, 1, 3, prev, &[], 0)).unwrap();
        assert_eq!(texts(&follower.drain()), [format!("1->2 MsgAppResp Term:3 Log:{expect}")]);
    };
    // Everything committed agrees anyway.
    check((0, 0), "0/1");
    check((1, 1), "0/1");
    check((2, 2), "0/2");
    // The term differs, or there is nothing there.
    check((1, 2), "1/2 Rejected (Hint: 1)");
    check((3, 3), "2/3 Rejected (Hint: 2)");
}

#[test]
fn entries_replace_what_conflicts_and_nothing_else() {
    // The follower has terms 1, 2 at indexes 1, 2.
    let check = |prev: (u64, u64), new: &[(u64, u64)], log: &[u64], unstable: &[(u64, u64)]| {
        let mut follower = Member::with_log(1, &[1, 2, 3], &[1, 2], 0);
        follower.step(append(2, 1, 3, prev, new, 0)).unwrap();
        let ready = follower.take_ready();
        assert_eq!(ready.entries, entries(unstable), "{prev:?} {new:?}");
        follower.handle(ready);
        assert_eq!(stored_terms(&follower), log, "{prev:?} {new:?}");
    };
    check((2, 2), &[(3, 3)], &[1, 2, 3], &[(3, 3)]);
    check((1, 1), &[(3, 2), (3, 3)], &[1, 3, 3], &[(3, 2), (3, 3)]);
    check((1, 1), &[(3, 2)], &[1, 3], &[(3, 2)]);
    check((0, 0), &[(3, 1)], &[3], &[(3, 1)]);
    // What is the same already cuts nothing off (mistake 12).
    check((0, 0), &[(1, 1)], &[1, 2], &[]);
    check((0, 0), &[], &[1, 2], &[]);
    check((0, 0), &[(1, 1), (2, 2), (3, 3)], &[1, 2, 3], &[(3, 3)]);
}

#[test]
fn a_leader_brings_every_log_of_figure_7_into_agreement() {
    let leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [&[u64]; 6] = [
        &[1, 1, 1, 4, 4, 5, 5, 6, 6],
        &[1, 1, 1, 4],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        &[1, 1, 1, 4, 4, 4, 4],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for log in followers {
        let all = [1, 2, 3];
        let lead = Member::with_log(1, &all, &leader, 0);
        let follower = Member::with_log(2, &all, log, 0);
        let mut group = Group::of([lead, follower, Member::new(3, &all)]);
        // Enough terms that the leader's is the highest, and a vote from the empty node.
        for _ in 0..3 {
            group[1].campaign().unwrap();
            group.settle();
        }
        group.propose(1, "last");
        let expected = [&leader[..], &[group[1].term(), group[1].term()]].concat();
        assert_eq!(stored_terms(&group[2]), expected, "follower with {log:?}");
        group.assert_agreement();
    }
}

// Section 5.4: safety.

#[test]
fn a_vote_request_names_the_last_entry() {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1, 1, 2], 0);
    node.campaign().unwrap();
    let expected = ["1->2 MsgVote Term:3 Log:2/3", "1->3 MsgVote Term:3 Log:2/3"];
    assert_eq!(texts(&node.drain()), expected);
}

#[test]
fn a_vote_is_given_only_to_a_log_at_least_as_up_to_date() {
    // The voter's terms, the candidate's last entry, whether the vote is given.
    let check = |log: &[u64], last: (u64, u64), granted: bool| {
        let mut node = Member::with_log(1, &[1, 2, 3], log, 0);
        node.step(vote(2, 1, 9, last)).unwrap();
        assert_eq!(node.vote(), granted.then_some(2), "{log:?}, asked by {last:?}");
        assert_eq!(node.term(), 9);
    };
    check(&[1], (1, 1), true);
    check(&[1], (1, 2), true);
    check(&[1, 1], (1, 1), false);
    // The term counts before the length (mistake 5).
    check(&[1, 1, 1], (2, 1), true);
    check(&[1, 2], (1, 9), false);
    check(&[2], (1, 1), false);
    check(&[], (0, 0), true);
}

#[test]
fn an_entry_of_an_earlier_term_is_never_committed_by_counting() {
    let mut leader = Member::with_log(1, &[1, 2, 3], &[1, 2], 0);
    leader.become_leader();
    // Both others have index 2, but that is of term 2, and this is term 3.
    leader.step(accepted(2, 1, 3, 2)).unwrap();
    leader.step(accepted(3, 1, 3, 2)).unwrap();
    assert_eq!(leader.commit(), 0);
    leader.step(accepted(2, 1, 3, 3)).unwrap();
    assert_eq!(leader.commit(), 3);
}

/// Figure 8: node 1 has replicated entry 2 to a majority in term 4, but not its own entry 3.
fn figure_8c() -> Group {
    let all: Vec<u64> = (1..=5).collect();
    let logs: [&[u64]; 5] = [&[1, 2], &[1, 2], &[1], &[1], &[1, 3]];
    let mut group = Group::of((1..).zip(logs).map(|(id, log)| {
        let mut storage = Member::storage_with(&all, log, 0);
        // Node 1 has seen term 3 and will lead term 4.
        let term = raftcore::Term(if id == 1 { 3 } else { *log.last().unwrap() });
        storage.set_hard_state(raftcore::HardState { term, ..Default::default() });
        Member::on(id, storage, |c| c.max_message_bytes = 0)
    }));
    group.cut(1, 4);
    group.cut(1, 5);
    group[1].campaign().unwrap();
    group.settle_until(|group| group[1].role() == RoleKind::Leader);
    group.cut(1, 2);
    group.settle_until(|group| group[1].match_of(3) == 2);
    // Entry 3 is on its way, and never arrives.
    group.collect();
    group.wire.clear();
    assert_eq!(group[1].role(), RoleKind::Leader);
    assert_eq!(stored_terms(&group[3]), [1, 2]);
    group
}

#[test]
fn figure_8_an_old_entry_on_a_majority_is_not_committed_and_may_be_overwritten() {
    let mut group = figure_8c();
    assert_eq!(group[1].commit(), 0, "entry 2 of term 2 is on nodes 1, 2, 3");
    group.heal();
    group.isolate(1);
    // Node 5 does not know yet of term 4, and has to try again.
    group[5].campaign().unwrap();
    group.settle();
    group.elect(5);
    assert_eq!(stored_terms(&group[3]), [1, 3, group[5].term()]);
    group.heal();
    group.run(3);
    group.assert_agreement();
}

#[test]
fn figure_8_with_an_entry_of_its_own_term_on_a_majority_the_old_one_is_safe() {
    let mut group = figure_8c();
    group.heal();
    group.isolate(5);
    group.run(3);
    assert_eq!(group[1].commit(), 3);
    group.heal();
    group.isolate(1);
    for _ in 0..3 {
        group[5].campaign().unwrap();
        group.settle();
        assert_ne!(group[5].role(), RoleKind::Leader, "its log is older than a majority's");
    }
}

// Section 8.

#[test]
fn a_new_leader_begins_with_an_empty_entry_of_its_term() {
    let mut leader = Member::with_log(1, &[1, 2, 3], &[1, 1], 0);
    leader.campaign().unwrap();
    leader.drain();
    leader.step(vote_response(2, 1, 2, true)).unwrap();
    let expected = [
        r#"1->2 MsgApp Term:2 Log:1/2 Entries:[2/3 EntryNormal ""]"#,
        r#"1->3 MsgApp Term:2 Log:1/2 Entries:[2/3 EntryNormal ""]"#,
    ];
    assert_eq!(texts(&leader.drain()), expected);
}
