//! Replication between a leader and one member: how they find where their logs agree, what an
//! answer is worth, and what a late or repeated message may do.

use raftcore::{MessageKind, RoleKind};

use crate::support::{
    Group, Member, accepted, append, fingerprint, heartbeat, heartbeat_response, id, rejected,
    stored_terms, texts, with_learners,
};

#[test]
fn a_large_group_agrees_like_a_small_one() {
    let mut group = Group::new(21);
    group.elect(7);
    group.propose(7, "a");
    group.settle();
    group.run(2);
    group.assert_agreement();
    assert_eq!((group.leader(), group[1].commit()), (Some(7), 2));
}

#[test]
fn what_is_sent_and_received_is_counted_by_kind() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.become_leader();
    let count =
        |leader: &Member, kind| (leader.metrics().sent(kind), leader.metrics().received(kind));
    assert_eq!(count(&leader, MessageKind::Append), (2, 0), "its first entry, to the two others");
    assert_eq!(count(&leader, MessageKind::AppendResponse), (0, 0), "its own is no message");
    leader.acknowledge(2);
    assert_eq!(count(&leader, MessageKind::AppendResponse), (0, 1));
}

// Finding where the logs agree (paper, end of section 5.3).

/// What the leader of a log with these terms asks next, after a rejection at its end with a hint.
fn next_probe(leader: &[u64], hint: (u64, u64)) -> u64 {
    let mut node = Member::with_log(1, &[1, 2, 3], leader, 0);
    node.become_leader();
    let own = node.term();
    node.step(rejected(2, 1, own, leader.len() as u64, hint)).unwrap();
    node.next_of(2) - 1
}

#[test]
fn the_leader_skips_whole_terms_that_cannot_match() {
    // Where its own term is above the hint's, the logs differ.
    assert_eq!(next_probe(&[1, 3, 3, 3, 5, 5, 5, 5, 5], (6, 2)), 1);
    assert_eq!(next_probe(&[1, 1, 1, 1, 1, 1, 1], (4, 1)), 4);
    assert_eq!(next_probe(&[2, 2, 2, 5], (2, 1)), 0);
    assert_eq!(next_probe(&[1, 1, 1, 4, 4], (3, 7)), 3);
    // Without a term the hint is taken as it is, as members before 3.5 sent it.
    assert_eq!(next_probe(&[1, 3, 3, 3, 5, 5, 5, 5, 5], (6, 0)), 6);
    assert_eq!(next_probe(&[1, 1, 1, 1], (0, 0)), 0);
}

#[test]
fn the_follower_hints_at_the_last_entry_that_could_match() {
    let check = |follower: &[u64], prev: (u64, u64), hint: &str| {
        let mut node = Member::with_log(1, &[1, 2, 3], follower, 0);
        node.step(append(2, 1, 9, prev, &[], 0)).unwrap();
        let hint_at = hint.split_once('/').unwrap();
        let expected = format!(
            "1->2 MsgAppResp Term:9 Log:{}/{} Rejected (Hint: {})",
            hint_at.0, prev.1, hint_at.1
        );
        assert_eq!(texts(&node.drain()), [expected], "{follower:?} asked for {prev:?}");
    };
    // Beyond the end of the log: its end.
    check(&[1, 1, 2], (6, 9), "2/3");
    // Terms above the asked one cannot be the leader's.
    check(&[1, 3, 3, 4, 4, 5, 5, 5, 6], (3, 8), "3/3");
    check(&[1, 3, 3, 4, 4, 5, 5, 5, 6], (2, 8), "1/1");
    check(&[4, 4, 4], (2, 3), "0/0");
    check(&[], (2, 3), "0/0");
}

#[test]
fn long_diverging_tails_meet_in_a_few_probes() {
    let check = |leader: &[u64], follower: &[u64], most: usize| {
        let all = [1, 2, 3];
        let mut group = Group::of([
            Member::with_log(1, &all, leader, 0),
            Member::with_log(2, &all, follower, 0),
            Member::new(3, &all),
        ]);
        // Node 3 has nothing, so it votes for whoever asks.
        group.mute(MessageKind::Append);
        while group[1].role() != RoleKind::Leader {
            group[1].campaign().unwrap();
            group.settle();
        }
        group.heal();
        group.sent.clear();
        group.run(2);
        let refused = |m: &&raftcore::Message| {
            m.from.get() == 2 && texts(std::slice::from_ref(*m))[0].contains("Rejected")
        };
        let rejections = group.sent.iter().filter(refused).count();
        assert!(rejections <= most, "{rejections} rejections for {leader:?} and {follower:?}");
        group.assert_agreement();
    };
    check(&[1, 3, 3, 3, 5, 5, 5, 5, 5], &[1, 1, 1, 1, 2, 2], 2);
    check(&[1, 3, 3, 3, 3, 3, 3, 3, 7], &[1, 3, 3, 4, 4, 5, 5, 5, 6], 2);
    check(&[1, 1, 1, 1, 1, 1, 1, 1], &[1], 1);
    let long: Vec<u64> = [1].into_iter().chain([4; 60]).collect();
    let other: Vec<u64> = [1].into_iter().chain([3; 60]).collect();
    check(&long, &other, 2);
}

// What an answer is worth.

#[test]
fn a_rejection_says_nothing_about_what_matches() {
    let mut leader = Member::with_log(1, &[1, 2, 3], &[1, 1, 1], 0);
    leader.become_leader();
    leader.step(rejected(2, 1, 2, 3, (2, 1))).unwrap();
    leader.drain();
    assert_eq!((leader.match_of(2), leader.next_of(2)), (0, 3));
    // The sender is alive, and that is all (mistake 16).
    assert_eq!(leader.progress_of(2), "StateProbe match=0 next=3 paused");
    assert_eq!(leader.commit(), 0);
}

#[test]
fn a_late_rejection_does_not_move_next_below_what_matches() {
    let mut leader = Member::with_log(1, &[1, 2, 3], &[1, 1, 1], 0);
    leader.lead_all();
    leader.propose("x").unwrap();
    leader.drain();
    let before = leader.progress_of(2);
    for index in 0..=4 {
        // All that it rejects was acknowledged since (mistake 10).
        leader.step(rejected(2, 1, 2, index, (0, 0))).unwrap();
        assert_eq!(leader.progress_of(2), before, "rejected {index}");
    }
    assert_eq!(before, "StateReplicate match=4 next=6 inflight=1");
}

#[test]
fn a_rejection_of_what_is_in_flight_starts_a_probe_after_what_matches() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    for _ in 0..3 {
        leader.propose("x").unwrap();
    }
    leader.drain();
    leader.step(rejected(2, 1, 1, 3, (1, 1))).unwrap();
    let expected = "1->2 MsgApp Term:1 Log:1/1 Commit:1 Entries:[\n  1/2 EntryNormal \"x\"\n  \
                    1/3 EntryNormal \"x\"\n  1/4 EntryNormal \"x\"\n]";
    assert_eq!(texts(&leader.drain()), [expected]);
    assert_eq!(leader.progress_of(2), "StateProbe match=1 next=2 paused");
}

#[test]
fn a_rejection_that_answers_no_probe_is_stale() {
    let mut leader = Member::with_log(1, &[1, 2, 3], &[1, 1, 1], 0);
    leader.become_leader();
    let before = leader.progress_of(2);
    leader.step(rejected(2, 1, 2, 1, (0, 0))).unwrap();
    assert_eq!(before, "StateProbe match=0 next=4 paused inactive");
    assert_eq!(leader.progress_of(2), "StateProbe match=0 next=4 paused");
    assert!(leader.drain().is_empty());
}

#[test]
fn an_answer_to_an_earlier_leadership_is_ignored() {
    let mut leader = Member::with_log(1, &[1, 2, 3], &[1, 2], 0);
    leader.become_leader();
    let before = fingerprint(&leader);
    leader.step(accepted(2, 1, 2, 3)).unwrap();
    leader.step(rejected(2, 1, 2, 2, (1, 1))).unwrap();
    leader.step(heartbeat_response(2, 1, 2, b"")).unwrap();
    assert_eq!(fingerprint(&leader), before);
}

#[test]
fn an_answer_at_the_match_index_ends_a_probe() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.report_unreachable(id(2)).unwrap();
    assert_eq!(leader.progress_of(2), "StateProbe match=1 next=2");
    leader.step(accepted(2, 1, 1, 1)).unwrap();
    assert_eq!(leader.progress_of(2), "StateReplicate match=1 next=2");
}

#[test]
fn a_leader_counts_its_own_entries_when_they_are_stored() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.propose("x").unwrap();
    let ready = leader.take_ready();
    // One other has it and the own disk has not (mistake 7).
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    assert_eq!(leader.commit(), 1);
    leader.handle(ready);
    assert_eq!(leader.commit(), 2);
}

#[test]
fn the_others_may_commit_what_the_leader_has_not_stored() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.propose("x").unwrap();
    let ready = leader.take_ready();
    leader.step(accepted(2, 1, 1, 2)).unwrap();
    leader.step(accepted(3, 1, 1, 2)).unwrap();
    assert_eq!(leader.commit(), 2);
    leader.handle(ready);
}

#[test]
fn the_own_acknowledgement_is_void_in_the_next_term() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.propose("x").unwrap();
    let ready = leader.take_ready();
    leader.step(append(2, 1, 2, (1, 1), &[(2, 2)], 0)).unwrap();
    leader.storage_mut().inner.persist(&ready).unwrap();
    leader.advance(ready).unwrap();
    leader.drain();
    assert_eq!((leader.role(), leader.commit()), (RoleKind::Follower, 1));
    assert_eq!(stored_terms(&leader), [1, 2]);
}

#[test]
fn a_learner_receives_everything_and_counts_for_nothing() {
    let mut leader = Member::of(1, with_learners(&[1, 2], &[3, 4]), |_| ());
    leader.become_leader();
    leader.acknowledge(3);
    leader.acknowledge(4);
    assert_eq!(leader.commit(), 0);
    assert_eq!(leader.progress_of(3), "StateReplicate match=1 next=2 learner");
    leader.acknowledge(2);
    assert_eq!(leader.commit(), 1);
}

#[test]
fn a_heartbeat_commits_no_further_than_what_matches() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.propose("a").unwrap();
    leader.propose("b").unwrap();
    leader.drain();
    leader.step(accepted(2, 1, 1, 3)).unwrap();
    leader.drain();
    leader.tick_times(1);
    // Node 3 may have something else at 2 and 3 (mistake 15).
    let expected =
        ["1->2 MsgHeartbeat Term:1 Log:0/0 Commit:3", "1->3 MsgHeartbeat Term:1 Log:0/0 Commit:1"];
    assert_eq!(texts(&leader.drain()), expected);
}

// Late and repeated messages.

#[test]
fn a_stale_append_is_answered_with_the_commit_index_and_cuts_nothing() {
    let mut follower = Member::with_log(1, &[1, 2, 3], &[1, 1, 1, 1], 3);
    for new in [&[][..], &[(1, 2)], &[(1, 2), (1, 3), (1, 4), (1, 5)]] {
        follower.step(append(2, 1, 1, (1, 1), new, 1)).unwrap();
        assert_eq!(texts(&follower.drain()), ["1->2 MsgAppResp Term:1 Log:0/3"]);
    }
    assert_eq!((follower.last_index(), follower.commit()), (4, 3));
}

#[test]
fn appends_in_any_order_and_repeated_make_the_same_log() {
    let all = [
        append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 0),
        append(2, 1, 1, (1, 2), &[(1, 3)], 1),
        append(2, 1, 1, (1, 3), &[(1, 4), (1, 5)], 2),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0]] {
        let mut follower = Member::new(1, &[1, 2, 3]);
        // Twice around: what could not be taken before is sent again.
        for at in order.into_iter().chain(order).chain(order) {
            follower.step(all[at].clone()).unwrap();
            follower.drain();
        }
        assert_eq!(stored_terms(&follower), [1; 5], "{order:?}");
        assert_eq!(follower.commit(), 2, "{order:?}");
    }
}

#[test]
fn an_append_that_was_overtaken_cuts_nothing_off() {
    let mut follower = Member::new(1, &[1, 2, 3]);
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2), (1, 3)], 0)).unwrap();
    follower.drain();
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1)], 0)).unwrap();
    assert_eq!(texts(&follower.drain()), ["1->2 MsgAppResp Term:1 Log:0/1"]);
    assert_eq!(follower.last_index(), 3);
}

#[test]
fn a_log_that_was_cut_grows_again() {
    let mut follower = Member::with_log(1, &[1, 2, 3], &[1, 1, 1, 1], 1);
    follower.step(append(2, 1, 2, (1, 1), &[(2, 2)], 1)).unwrap();
    follower.drain();
    // Right at the cut, and after it (mistake 51).
    follower.step(append(2, 1, 2, (2, 2), &[(2, 3)], 2)).unwrap();
    follower.step(append(3, 1, 3, (2, 2), &[(3, 3), (3, 4)], 3)).unwrap();
    follower.drain();
    assert_eq!(stored_terms(&follower), [1, 2, 3, 3]);
    assert_eq!(follower.commit(), 3);
}

#[test]
fn a_tail_that_is_cut_while_it_is_written_is_written_anew() {
    let mut follower = Member::new(1, &[1, 2, 3]);
    follower.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 0)).unwrap();
    let ready = follower.take_ready();
    follower.step(append(3, 1, 2, (1, 1), &[(2, 2)], 2)).unwrap();
    follower.handle(ready);
    assert_eq!(stored_terms(&follower), [1, 1]);
    follower.drain();
    assert_eq!(stored_terms(&follower), [1, 2]);
    assert_eq!(follower.payloads(), ["1/1", "2/2"]);
}

#[test]
fn a_heartbeat_is_answered_and_its_commit_index_taken() {
    let mut follower = Member::with_log(1, &[1, 2, 3], &[1, 1, 1], 2);
    follower.step(heartbeat(2, 1, 1, 3)).unwrap();
    assert_eq!(texts(&follower.drain()), ["1->2 MsgHeartbeatResp Term:1 Log:0/0"]);
    assert_eq!(follower.commit(), 3);
    follower.step(heartbeat(2, 1, 1, 1)).unwrap();
    assert_eq!(follower.commit(), 3, "it never falls");
}

// Whole groups.

#[test]
fn a_group_agrees_on_what_was_proposed_through_leaders_that_come_and_go() {
    let mut group = Group::new(5);
    for leader in [1, 3, 5, 2, 4, 1] {
        group.elect(leader);
        group.propose(leader, &format!("by {leader}"));
        group.run(1);
    }
    group.run(2);
    group.assert_agreement();
    let expected = ["by 1", "by 3", "by 5", "by 2", "by 4", "by 1"];
    assert!(group.members.values().all(|member| member.payloads() == expected));
}

#[test]
fn entries_of_a_minority_are_overwritten_when_it_comes_back() {
    let mut group = Group::new(3);
    group.elect(1);
    group.isolate(1);
    group.propose(1, "lost");
    group.elect(2);
    group.propose(2, "kept");
    group.heal();
    group.run(3);
    group.assert_agreement();
    assert_eq!(group[1].payloads(), ["kept"]);
}

#[test]
fn entries_of_an_old_term_are_committed_together_with_the_new_leaders() {
    let mut group = Group::new(3);
    group.elect(1);
    group.mute(MessageKind::AppendResponse);
    group.propose(1, "old");
    assert_eq!(group[1].commit(), 1);
    group.heal();
    group.isolate(1);
    group.elect(2);
    assert_eq!(group[2].payloads(), ["old"]);
    assert_eq!(group[3].commit(), 3);
}

#[test]
fn a_member_that_slept_through_everything_catches_up() {
    let mut group = Group::new(3);
    group.elect(1);
    group.isolate(3);
    for i in 0..200 {
        group.propose(1, &format!("{i}"));
    }
    assert_eq!(group[3].last_index(), 1);
    group.heal();
    group.run(2);
    group.assert_agreement();
    assert_eq!(group[3].payloads().len(), 200);
}

#[test]
fn what_follows_right_on_the_commit_index_can_be_replaced() {
    let mut follower = Member::with_log(2, &[1, 2, 3], &[1, 1, 1], 1);
    follower.step(append(1, 2, 2, (1, 1), &[(2, 2)], 1)).unwrap();
    assert_eq!(texts(&follower.drain()), ["2->1 MsgAppResp Term:2 Log:0/2"]);
    assert_eq!(stored_terms(&follower), [1, 2]);
}

#[test]
fn an_answer_that_is_too_late_ends_no_probe() {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader.propose("a").unwrap();
    leader.propose("b").unwrap();
    leader.drain();
    let last = leader.last_index();
    leader.acknowledge(2);
    leader.report_unreachable(id(2)).unwrap();
    leader.step(accepted(2, 1, 1, last - 1)).unwrap();
    assert!(leader.progress_of(2).starts_with("StateProbe"), "{}", leader.progress_of(2));
    leader.acknowledge(2);
    assert!(leader.progress_of(2).starts_with("StateReplicate"), "{}", leader.progress_of(2));
}
