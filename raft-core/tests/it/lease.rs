//! Check-quorum and the lease that follows from it (thesis, sections 4.2.3 and 6.2), and the ways
//! around it: the nudge to a stale leader, forgetting the leader, a leader that hands over.

use raftcore::{
    Body, ConfChangeV2, Config, Event, Message, MessageKind, ReadOnly, Refusal, RoleKind,
    Transition,
};

use crate::support::{
    Group, Member, accepted, append, change_v2, fingerprint, heartbeat, heartbeat_response,
    install, joint, pre_vote, pre_vote_response, rejected, snapshot, texts, transfer_vote, vote,
    voters, with_learners,
};

fn with_check_quorum(config: &mut Config) {
    config.check_quorum = true;
}

/// One election timeout of a leader's own clock.
const TIMEOUT: u32 = 10;

// A leader without a quorum.

#[test]
fn a_leader_that_hears_from_a_quorum_goes_on_leading() {
    let mut leader = Member::with(1, &[1, 2, 3, 4, 5], with_check_quorum);
    leader.lead_all();
    let signs = [
        accepted(2, 1, 1, 1),
        rejected(3, 1, 1, 0, (0, 0)),
        heartbeat_response(2, 1, 1, b""),
        heartbeat_response(3, 1, 1, b""),
    ];
    for round in 0..10 {
        // Any answer of two of the four others is enough.
        let pair = if round % 2 == 0 { &signs[..2] } else { &signs[2..] };
        pair.iter().for_each(|sign| leader.step(sign.clone()).unwrap());
        leader.tick_times(TIMEOUT);
        assert_eq!(leader.role(), RoleKind::Leader, "round {round}");
    }
}

#[test]
fn a_leader_that_hears_from_no_quorum_steps_down_in_its_term() {
    let mut leader = Member::with(1, &[1, 2, 3, 4, 5], with_check_quorum);
    leader.lead_all();
    leader.tick_times(TIMEOUT);
    assert_eq!(leader.role(), RoleKind::Leader, "they were heard in this interval");
    leader.step(heartbeat_response(2, 1, 1, b"")).unwrap();
    leader.tick_times(TIMEOUT - 1);
    assert_eq!(leader.role(), RoleKind::Leader, "not before the time is over");
    leader.tick_times(1);
    assert_eq!((leader.role(), leader.term()), (RoleKind::Follower, 1));
    assert_eq!((leader.leader(), leader.vote()), (None, Some(1)));
}

#[test]
fn a_leader_without_check_quorum_leads_alone_for_ever() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.tick_times(100);
    assert_eq!(leader.role(), RoleKind::Leader);
}

#[test]
fn learners_are_no_quorum() {
    let mut leader = Member::of(1, with_learners(&[1, 2, 3], &[4, 5]), with_check_quorum);
    leader.lead_all();
    leader.tick_times(TIMEOUT);
    leader.step(heartbeat_response(4, 1, 1, b"")).unwrap();
    leader.step(heartbeat_response(5, 1, 1, b"")).unwrap();
    leader.tick_times(TIMEOUT);
    assert_eq!(leader.role(), RoleKind::Follower);
}

#[test]
fn both_halves_of_a_joint_configuration_have_to_be_heard() {
    let check = |heard: &[u64], expect: RoleKind| {
        let mut leader = Member::of(1, joint(&[1, 2, 3], &[1, 4, 5]), with_check_quorum);
        leader.lead_all();
        leader.tick_times(TIMEOUT);
        for member in heard {
            leader.step(heartbeat_response(*member, 1, 1, b"")).unwrap();
        }
        leader.tick_times(TIMEOUT);
        assert_eq!(leader.role(), expect, "heard from {heard:?}");
    };
    check(&[2, 3], RoleKind::Follower);
    check(&[4, 5], RoleKind::Follower);
    check(&[2, 4], RoleKind::Leader);
}

#[test]
fn the_loss_of_the_quorum_is_reported() {
    let mut leader = Member::with(1, &[1, 2, 3], with_check_quorum);
    leader.lead_all();
    let (send, receive) = std::sync::mpsc::channel();
    leader.set_observer(Some(Box::new(move |event| send.send(event.clone()).unwrap())));
    leader.tick_times(2 * TIMEOUT);
    let events: Vec<Event> = receive.try_iter().collect();
    assert!(events.contains(&Event::QuorumLost { term: raftcore::Term(1) }), "{events:?}");
}

// The lease.

#[test]
fn a_follower_in_lease_ignores_candidates_and_their_term() {
    for request in [vote(3, 1, 7, (9, 9)), pre_vote(3, 1, 7, (9, 9))] {
        let mut node = Member::with(1, &[1, 2, 3], with_check_quorum);
        node.step(heartbeat(2, 1, 1, 0)).unwrap();
        node.drain();
        let before = fingerprint(&node);
        node.tick_times(TIMEOUT - 1);
        node.step(request).unwrap();
        assert_eq!(fingerprint(&node), before);
    }
}

#[test]
fn a_leader_in_lease_ignores_candidates_too() {
    let mut leader = Member::with(1, &[1, 2, 3], with_check_quorum);
    leader.lead_all();
    let before = fingerprint(&leader);
    leader.step(vote(3, 1, 7, (9, 9))).unwrap();
    leader.step(pre_vote(3, 1, 7, (9, 9))).unwrap();
    assert_eq!(fingerprint(&leader), before);
}

#[test]
fn the_lease_ends_an_election_timeout_after_the_last_word_of_the_leader() {
    let mut node = Member::with(1, &[1, 2, 3], with_check_quorum);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    node.drain();
    node.set_randomized_election_timeout(2 * TIMEOUT);
    node.tick_times(TIMEOUT);
    node.step(vote(3, 1, 7, (9, 9))).unwrap();
    assert_eq!(texts(&node.drain()), ["1->3 MsgVoteResp Term:7 Log:0/0"]);
}

#[test]
fn without_a_leader_or_without_check_quorum_there_is_no_lease() {
    let mut leaderless = Member::with(1, &[1, 2, 3], with_check_quorum);
    let mut plain = Member::new(1, &[1, 2, 3]);
    plain.step(heartbeat(2, 1, 1, 0)).unwrap();
    plain.drain();
    for node in [&mut leaderless, &mut plain] {
        node.step(vote(3, 1, 7, (9, 9))).unwrap();
        assert_eq!(texts(&node.drain()), ["1->3 MsgVoteResp Term:7 Log:0/0"]);
    }
}

#[test]
fn a_vote_by_order_of_the_leader_passes_the_lease() {
    let mut node = Member::with(1, &[1, 2, 3], with_check_quorum);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    node.drain();
    node.step(transfer_vote(3, 1, 2, (0, 0))).unwrap();
    assert_eq!(texts(&node.drain()), ["1->3 MsgVoteResp Term:2 Log:0/0"]);
}

#[test]
fn a_group_with_check_quorum_replaces_a_dead_leader() {
    let mut group = Group::with(3, with_check_quorum);
    group.elect(1);
    group.isolate(1);
    group.run(60);
    let leader = group.leader().unwrap();
    assert_ne!(leader, 1);
    assert_ne!(group[1].role(), RoleKind::Leader, "it noticed");
}

#[test]
fn a_new_candidate_wins_once_the_others_have_let_the_lease_pass() {
    let mut group = Group::with(3, with_check_quorum);
    group[2].set_randomized_election_timeout(TIMEOUT + 1);
    group.elect(1);
    group.mute(MessageKind::Heartbeat);
    group[3].campaign().unwrap();
    group.settle();
    assert_eq!(group[3].role(), RoleKind::Candidate, "ignored while node 1 is trusted");
    group[2].set_randomized_election_timeout(2 * TIMEOUT);
    group[2].tick_times(TIMEOUT);
    group[3].campaign().unwrap();
    group.settle();
    assert_eq!(group[3].role(), RoleKind::Leader);
}

// The nudge: a node at a higher term answers a stale leader, so that it hears of the term.

#[test]
fn a_stale_leader_is_nudged_where_votes_alone_could_not_depose_it() {
    let stale = [append(2, 1, 1, (0, 0), &[], 0), heartbeat(2, 1, 1, 0)];
    for (check_quorum, pre_vote) in [(true, false), (false, true), (true, true)] {
        for message in &stale {
            let mut node = Member::with_log_and(1, &[1, 2, 3], &[5], 0, |c| {
                c.check_quorum = check_quorum;
                c.pre_vote = pre_vote;
            });
            node.step(message.clone()).unwrap();
            assert_eq!(texts(&node.drain()), ["1->2 MsgAppResp Term:5 Log:0/0"]);
            assert_eq!(node.leader(), None);
        }
    }
}

#[test]
fn only_appends_and_heartbeats_are_answered_by_a_nudge() {
    let mut plain = Member::with_log(1, &[1, 2, 3], &[5], 0);
    plain.step(append(2, 1, 1, (0, 0), &[], 0)).unwrap();
    assert!(plain.drain().is_empty());

    let mut node = Member::with_log_and(1, &[1, 2, 3], &[5], 0, with_check_quorum);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&[1, 2, 3])))).unwrap();
    node.step(vote(2, 1, 1, (9, 9))).unwrap();
    assert!(node.drain().is_empty());
}

#[test]
fn a_stuck_candidate_is_freed_by_the_nudge() {
    let mut group = Group::with(3, with_check_quorum);
    group.elect(1);
    group.isolate(3);
    for _ in 0..3 {
        group[3].campaign().unwrap();
        group.settle();
    }
    let stuck = group[3].term();
    group.heal();
    // Node 3 is not heard while node 1 is trusted, but it answers node 1's heartbeat.
    group.tick(1, 1);
    assert_eq!((group[1].role(), group[1].term()), (RoleKind::Follower, stuck));
    group.run(60);
    assert!(group.leader().is_some());
    assert!(group.members.values().all(|m| m.term() > stuck));
    group.assert_agreement();
}

// Forgetting the leader.

#[test]
fn a_follower_that_forgets_its_leader_votes_at_once() {
    let mut node = Member::with(1, &[1, 2, 3], with_check_quorum);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    node.drain();
    node.forget_leader().unwrap();
    assert_eq!((node.leader(), node.term()), (None, 1));
    node.step(pre_vote(3, 1, 2, (0, 0))).unwrap();
    assert_eq!(texts(&node.drain()), ["1->3 MsgPreVoteResp Term:2 Log:0/0"]);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    assert_eq!(node.leader(), Some(2), "a word from it, and it is remembered");
}

#[test]
fn a_leader_that_is_forgotten_is_news_unless_it_is_heard_again() {
    let mut node = Member::new(1, &[1, 2, 3]);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    node.drain();
    node.forget_leader().unwrap();
    assert!(node.has_ready());
    let ready = node.take_ready();
    let leader = ready.soft_state.map(|state| state.leader);
    assert_eq!((leader, ready.must_sync), (Some(None), false));
    node.handle(ready);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    node.drain();
    node.forget_leader().unwrap();
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    let ready = node.take_ready();
    assert_eq!((ready.soft_state, ready.messages.len()), (None, 1), "all is as it was");
    node.handle(ready);
    assert!(!node.has_ready());
}

#[test]
fn others_than_followers_forget_nothing() {
    let mut leader = Member::with(1, &[1, 2, 3], with_check_quorum);
    leader.lead_all();
    let mut candidate = Member::new(1, &[1, 2, 3]);
    candidate.campaign().unwrap();
    candidate.drain();
    for node in [&mut leader, &mut candidate] {
        let before = fingerprint(node);
        node.forget_leader().unwrap();
        assert_eq!(fingerprint(node), before);
    }
}

#[test]
fn where_reads_rely_on_the_lease_no_leader_is_forgotten() {
    for read_only in [ReadOnly::LeaseBased, ReadOnly::LeaseUnverified] {
        let mut node = Member::with(1, &[1, 2, 3], |c| {
            c.check_quorum = true;
            c.read_only = read_only;
        });
        node.step(heartbeat(2, 1, 1, 0)).unwrap();
        node.forget_leader().unwrap();
        assert_eq!(node.leader(), Some(2));
    }
}

// Reads by a lease that is counted.

fn with_lease(config: &mut Config) {
    config.check_quorum = true;
    config.read_only = ReadOnly::LeaseBased;
}

/// A leader of three that has committed in its term, and the last heartbeat that it sent.
fn leader_with_lease() -> (Member, Message) {
    let mut leader = Member::with(1, &[1, 2, 3], with_lease);
    leader.lead_all();
    leader.tick_times(1);
    let sent = leader.drain();
    let heartbeat = sent.into_iter().find(|m| m.body.kind() == MessageKind::Heartbeat);
    (leader, heartbeat.unwrap())
}

/// What member `from` answers to a heartbeat.
fn answer(from: u64, heartbeat: &Message) -> Message {
    let Body::Heartbeat(heartbeat) = &heartbeat.body else { panic!("{heartbeat:?}") };
    heartbeat_response(from, 1, 1, &heartbeat.context)
}

fn answers_at_once(leader: &mut Member) -> bool {
    let before = leader.reads.len();
    leader.read_index("a").unwrap();
    leader.drain();
    leader.reads.len() > before
}

#[test]
fn a_lease_begins_with_a_quorums_answer_and_counts_from_the_question() {
    let (mut leader, asked) = leader_with_lease();
    assert!(!answers_at_once(&mut leader), "elected, but nobody has promised anything");
    leader.step(answer(2, &asked)).unwrap();
    assert!(answers_at_once(&mut leader));
    // Ten ticks, less a tenth for clocks that differ, less two for what lies between ticks.
    leader.tick_times(7);
    assert!(answers_at_once(&mut leader));
    leader.tick_times(1);
    assert!(!answers_at_once(&mut leader));
    // The other's answer to the same heartbeat comes late and promises nothing for now.
    leader.step(answer(3, &asked)).unwrap();
    assert!(!answers_at_once(&mut leader));
}

#[test]
fn a_read_without_a_lease_takes_a_round() {
    let (mut leader, _) = leader_with_lease();
    leader.read_index("a").unwrap();
    let sent = leader.drain();
    assert!(leader.reads.is_empty());
    let asked = sent.iter().find(|m| m.body.kind() == MessageKind::Heartbeat).unwrap();
    leader.step(answer(3, asked)).unwrap();
    leader.drain();
    assert_eq!(leader.reads.len(), 1);
}

#[test]
fn a_lease_needs_a_quorum_of_voters_of_both_halves() {
    let members = raftcore::ConfState { learners: vec![6], ..joint(&[1, 2, 3], &[1, 4, 5]) };
    let mut leader = Member::of(1, members, with_lease);
    leader.lead_all();
    leader.tick_times(1);
    let asked = leader.drain().remove(0);
    for from in [2, 3, 6] {
        leader.step(answer(from, &asked)).unwrap();
        assert!(!answers_at_once(&mut leader), "{from}");
    }
    leader.step(answer(5, &asked)).unwrap();
    assert!(answers_at_once(&mut leader));
}

#[test]
fn a_lease_is_of_those_who_vote_now() {
    let (mut leader, asked) = leader_with_lease();
    leader.step(answer(2, &asked)).unwrap();
    assert!(answers_at_once(&mut leader));
    leader.apply_conf_change(&change_v2(Transition::JointExplicit, "v4 v5")).unwrap();
    assert!(!answers_at_once(&mut leader), "two of five");
    leader.step(answer(3, &asked)).unwrap();
    assert!(answers_at_once(&mut leader));
    leader.apply_conf_change(&ConfChangeV2::leave_joint()).unwrap();
    leader.apply_conf_change(&change_v2(Transition::Auto, "r2")).unwrap();
    assert!(!answers_at_once(&mut leader), "two of four");
    leader.apply_conf_change(&change_v2(Transition::Auto, "r5")).unwrap();
    assert!(answers_at_once(&mut leader), "two of three");
}

#[test]
fn a_member_that_is_made_again_has_promised_nothing() {
    let (mut leader, asked) = leader_with_lease();
    leader.step(answer(2, &asked)).unwrap();
    leader.apply_conf_change(&change_v2(Transition::Auto, "r2")).unwrap();
    leader.apply_conf_change(&change_v2(Transition::Auto, "v2")).unwrap();
    assert!(!answers_at_once(&mut leader));
    leader.step(answer(3, &asked)).unwrap();
    assert!(answers_at_once(&mut leader));
}

#[test]
fn a_learner_that_is_made_again_as_a_voter_has_promised_nothing() {
    let mut leader = Member::of(1, with_learners(&[1, 2, 3], &[4]), with_lease);
    leader.lead_all();
    leader.tick_times(1);
    let asked = leader.drain().remove(0);
    leader.step(answer(2, &asked)).unwrap();
    leader.step(answer(4, &asked)).unwrap();
    leader.apply_conf_change(&change_v2(Transition::JointExplicit, "r4 v4")).unwrap();
    assert!(!answers_at_once(&mut leader), "what 4 echoed was another's word: two of four");
    leader.step(answer(4, &asked)).unwrap();
    assert!(answers_at_once(&mut leader));
}

#[test]
fn a_heartbeat_of_a_leader_with_leases_is_echoed_whole() {
    let (mut leader, _) = leader_with_lease();
    leader.read_index("waits").unwrap();
    let sent = leader.drain();
    let asked = sent.iter().find(|m| m.body.kind() == MessageKind::Heartbeat).unwrap();
    let Body::Heartbeat(heartbeat) = &asked.body else { panic!("{asked:?}") };
    let (position, tick) = heartbeat.context.split_at(8);
    for context in [position, tick, b"1234567", b""] {
        let before = fingerprint(&leader);
        let refused = leader.step(heartbeat_response(2, 1, 1, context));
        if context.is_empty() {
            assert_eq!(refused, Ok(()), "a sign of life without a promise");
        } else {
            assert_eq!(refused, Err(Refusal::BadReadPosition.into()), "{context:?}");
            assert_eq!(fingerprint(&leader), before);
        }
        assert!(!answers_at_once(&mut leader));
    }
}

#[test]
fn a_leader_that_is_removed_and_added_again_gives_its_word_again() {
    let (mut leader, asked) = leader_with_lease();
    leader.step(answer(2, &asked)).unwrap();
    leader.apply_conf_change(&change_v2(Transition::Auto, "r1")).unwrap();
    assert!(!answers_at_once(&mut leader), "it needs both of the others");
    leader.apply_conf_change(&change_v2(Transition::Auto, "v1")).unwrap();
    assert!(answers_at_once(&mut leader));
}

#[test]
fn both_halves_of_one_need_nobodys_promise() {
    let mut leader = Member::of(1, joint(&[1], &[1]), with_lease);
    leader.lead_all();
    assert!(answers_at_once(&mut leader));
    leader.tick_times(100);
    assert!(answers_at_once(&mut leader));
}

#[test]
fn a_leadership_that_was_ever_handed_over_has_no_lease() {
    let (mut leader, asked) = leader_with_lease();
    leader.step(answer(2, &asked)).unwrap();
    leader.transfer_leader(crate::support::id(2)).unwrap();
    // The target may win against all promises, at any time in this term.
    leader.tick_times(10);
    let sent = leader.drain();
    let asked = sent.iter().rev().find(|m| m.body.kind() == MessageKind::Heartbeat).unwrap();
    leader.step(answer(2, asked)).unwrap();
    leader.step(answer(3, asked)).unwrap();
    assert!(!answers_at_once(&mut leader));
}

#[test]
fn a_member_keeps_its_promise_over_a_restart() {
    let mut node = Member::with(1, &[1, 2, 3], with_lease);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    node.drain();
    node.restart();
    let before = fingerprint(&node);
    node.tick_times(TIMEOUT - 1);
    node.step(vote(3, 1, 7, (9, 9))).unwrap();
    node.step(pre_vote(3, 1, 7, (9, 9))).unwrap();
    node.campaign().unwrap();
    assert_eq!(fingerprint(&node), before, "it neither votes nor campaigns");
    node.set_randomized_election_timeout(2 * TIMEOUT);
    node.tick_times(1);
    node.step(vote(3, 1, 7, (9, 9))).unwrap();
    node.drain();
    assert_eq!(node.vote(), Some(3));
}

#[test]
fn a_promise_holds_in_a_term_that_began_otherwise() {
    let mut node = Member::with(1, &[1, 2, 3], with_lease);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    // Late news of a term that begins elsewhere: no vote, so nothing holds it back.
    node.step(pre_vote_response(3, 1, 6, false)).unwrap();
    node.drain();
    assert_eq!((node.term(), node.leader()), (6, None));
    node.step(vote(3, 1, 6, (9, 9))).unwrap();
    node.drain();
    assert_eq!(node.vote(), None, "leader 2 may serve reads by this node's promise");
    node.step(transfer_vote(3, 1, 6, (9, 9))).unwrap();
    node.drain();
    assert_eq!(node.vote(), Some(3), "leader 2 itself gave its lease up");
}

#[test]
fn a_promise_leaves_when_its_term_is_durable() {
    // A member that is new and has nothing stored would not know after a crash that it made one.
    let mut node = Member::with(1, &[1, 2, 3], with_lease);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    let ready = node.take_ready();
    assert!(ready.messages.is_empty() && ready.must_sync);
    assert_eq!(texts(&ready.messages_after_sync), ["1->2 MsgHeartbeatResp Term:1 Log:0/0"]);
}

#[test]
fn a_promise_waits_for_the_sync_in_any_company() {
    let mut node = Member::with(1, &[1, 2, 3], with_lease);
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    node.propose("passed on at once").unwrap();
    let ready = node.take_ready();
    assert_eq!(texts(&ready.messages_after_sync), ["1->2 MsgHeartbeatResp Term:1 Log:0/0"]);
    assert_eq!(ready.messages.len(), 1);
}

#[test]
fn a_group_with_leases_reads_without_a_round_and_survives_its_leader() {
    let mut group = Group::with(3, with_lease);
    group.run_to_leader();
    let leader = group.leader().unwrap();
    group.run(1);
    group.sent.clear();
    group[leader].read_index("a").unwrap();
    group.settle();
    assert_eq!((group[leader].reads.len(), group.sent.len()), (1, 0));
    group.isolate(leader);
    group.run(60);
    assert!(group.leader().is_some_and(|other| other != leader));
    group[leader].read_index("b").unwrap_or_default();
    assert_eq!(group[leader].reads.len(), 1);
}

// Time that passes without being acted on.

#[test]
fn a_lease_runs_out_while_a_group_is_at_rest() {
    let (mut leader, asked) = leader_with_lease();
    leader.step(answer(2, &asked)).unwrap();
    (0..7).for_each(|_| leader.tick_quiesced());
    assert!(answers_at_once(&mut leader));
    // The others' promises end by their own clocks, whether anybody acts on them or not.
    leader.tick_quiesced();
    assert!(!answers_at_once(&mut leader));
}

#[test]
fn a_group_at_rest_finds_its_timeouts_due_when_it_wakes() {
    let mut node = Member::new(1, &[1, 2, 3]);
    for _ in 0..100 {
        node.tick_quiesced();
    }
    assert_eq!((node.role(), node.has_ready()), (RoleKind::Follower, false));
    node.tick_times(1);
    assert_eq!(node.role(), RoleKind::Candidate);
}
