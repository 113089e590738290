//! Snapshots (paper, section 7): when a leader sends one, what it waits for, and what a member
//! does with it.

use raftcore::{
    Append, Body, ConfState, Event, Index, MemoryStorage, MessageKind, RoleKind, Snapshot,
    SnapshotStatus, StorageError, Transition,
};

use crate::support::{
    Call, Group, Lie, Member, accepted, append, change_v2, fingerprint, heartbeat_response, id,
    install, joint, many, message, rejected, snapshot, stored_terms, texts, vote, voters,
    with_learners,
};

const ALL: [u64; 3] = [1, 2, 3];

/// A leader of term 1 whose log begins after a snapshot at index 5, and whose member 3 is known
/// only to be alive and to lack what the snapshot holds.
fn leader_with_lagging_3() -> Member {
    let mut leader = Member::new(1, &ALL);
    leader.become_leader();
    for _ in 0..4 {
        leader.propose("x").unwrap();
    }
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    leader.compact();
    assert_eq!(leader.status().first_index, Index(6));
    leader
}

/// As [`leader_with_lagging_3`], after the snapshot was sent.
fn leader_with_snapshot_sent() -> Member {
    let mut leader = leader_with_lagging_3();
    leader.step(rejected(3, 1, 1, 0, (0, 0))).unwrap();
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    leader.drain();
    assert_eq!(leader.progress_of(3), "StateSnapshot match=0 next=6 paused pendingSnap=5");
    leader
}

// The leader.

#[test]
fn a_member_that_lacks_what_was_compacted_gets_the_snapshot() {
    let mut leader = leader_with_lagging_3();
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    let expected = "1->3 MsgSnap Term:1 Log:0/0\n  Snapshot: Index:5 Term:1 ConfState:Voters:\
                    [1 2 3] VotersOutgoing:[] Learners:[] LearnersNext:[] AutoLeave:false";
    assert_eq!(texts(&leader.drain()), [expected]);
    assert_eq!(leader.progress_of(3), "StateSnapshot match=0 next=6 paused pendingSnap=5");
    assert_eq!(leader.metrics().snapshots_sent, 1);
}

#[test]
fn who_does_not_answer_gets_no_snapshot() {
    let mut leader = leader_with_lagging_3();
    let before = leader.progress_of(3);
    leader.propose("x").unwrap();
    assert!(leader.drain().iter().all(|m| m.body.kind() != MessageKind::Snapshot));
    assert_eq!(leader.progress_of(3), before);
    assert!(before.contains("inactive"), "{before}");
}

#[test]
fn while_a_snapshot_is_on_its_way_nothing_else_is_sent() {
    let mut leader = leader_with_snapshot_sent();
    let before = leader.progress_of(3);
    leader.propose("x").unwrap();
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    leader.report_unreachable(id(3)).unwrap();
    let sent = leader.drain();
    assert!(sent.iter().all(|m| m.to != id(3)), "{:?}", texts(&sent));
    assert_eq!(leader.progress_of(3), before);
}

#[test]
fn a_snapshot_that_arrived_is_followed_by_a_probe_after_it() {
    let mut leader = leader_with_snapshot_sent();
    leader.report_snapshot(id(3), SnapshotStatus::Finished).unwrap();
    assert_eq!(leader.progress_of(3), "StateProbe match=0 next=6 paused");
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    assert_eq!(texts(&leader.drain()), ["1->3 MsgApp Term:1 Log:1/5 Commit:5"]);
}

#[test]
fn a_snapshot_that_was_lost_is_sent_again_after_a_heartbeat() {
    let mut leader = leader_with_snapshot_sent();
    leader.report_snapshot(id(3), SnapshotStatus::Failed).unwrap();
    assert_eq!(leader.progress_of(3), "StateProbe match=0 next=1 paused");
    leader.propose("x").unwrap();
    assert!(leader.drain().iter().all(|m| m.to != id(3)));
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    assert!(leader.drain().iter().any(|m| m.body.kind() == MessageKind::Snapshot));
}

#[test]
fn a_report_about_no_snapshot_changes_nothing() {
    let mut leader = leader_with_lagging_3();
    let before = fingerprint(&leader);
    for status in [SnapshotStatus::Finished, SnapshotStatus::Failed] {
        leader.report_snapshot(id(2), status).unwrap();
        leader.report_snapshot(id(9), status).unwrap();
    }
    assert_eq!(fingerprint(&leader), before);
}

#[test]
fn any_answer_that_reconnects_the_log_ends_the_wait() {
    // Where the snapshot came from, and at which index, is the application's affair: 5 is
    // enough, since the log begins at 6, and so is more than the leader sent.
    let mut leader = leader_with_snapshot_sent();
    leader.step(accepted(3, 1, 1, 4)).unwrap();
    assert_eq!(leader.progress_of(3), "StateSnapshot match=4 next=6 paused pendingSnap=5");
    leader.step(accepted(3, 1, 1, 5)).unwrap();
    assert_eq!(leader.progress_of(3), "StateReplicate match=5 next=6");

    let mut leader = leader_with_snapshot_sent();
    leader.propose("x").unwrap();
    leader.drain();
    leader.step(accepted(3, 1, 1, 6)).unwrap();
    assert_eq!(leader.progress_of(3), "StateReplicate match=6 next=7");
}

#[test]
fn a_snapshot_below_the_first_index_does_not_reconnect() {
    let mut leader = leader_with_snapshot_sent();
    leader.propose("x").unwrap();
    leader.drain();
    leader.acknowledge(2);
    leader.drain();
    leader.storage_mut().inner.compact(Index(6)).unwrap();
    // It applied the one at 5, but the log begins at 7 by now.
    leader.step(accepted(3, 1, 1, 5)).unwrap();
    assert_eq!(leader.progress_of(3), "StateSnapshot match=5 next=6 paused pendingSnap=5");
}

#[test]
fn a_full_window_into_what_was_compacted_meanwhile_ends_in_a_snapshot() {
    let mut leader = Member::with(1, &ALL, |c| c.max_inflight_messages = 1);
    leader.lead_all();
    for _ in 0..3 {
        leader.propose("x").unwrap();
        leader.drain();
        leader.acknowledge(2);
        leader.drain();
    }
    assert_eq!(leader.progress_of(3), "StateReplicate match=1 next=3 paused inflight=1[full]");
    leader.compact();
    assert_eq!(leader.status().first_index, Index(5));
    let term = leader.term();
    leader.step(heartbeat_response(3, 1, term, b"")).unwrap();
    leader.drain();
    assert_eq!(leader.progress_of(3), "StateSnapshot match=1 next=5 paused pendingSnap=4");
    assert_eq!(leader.term_at(Index(3)), None, "the terms of what is gone are forgotten");
}

#[test]
fn a_snapshot_in_the_making_is_asked_for_again() {
    let mut leader = leader_with_lagging_3();
    let later = Lie::Fail(StorageError::SnapshotTemporarilyUnavailable);
    leader.storage().lie(Call::Snapshot, 0, 1, later);
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    assert!(leader.drain().is_empty());
    assert_eq!(leader.metrics().sends_skipped, 0, "that is no failure");
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    assert_eq!(leader.drain().len(), 1);
}

#[test]
fn a_snapshot_from_before_a_member_was_added_is_not_sent_to_it() {
    let check = |lie: fn(Snapshot) -> Snapshot, sent: usize| {
        let mut leader = leader_with_lagging_3();
        leader.storage().lie(Call::Snapshot, 0, 1, Lie::Snapshot(lie));
        leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
        assert_eq!((leader.drain().len(), leader.metrics().snapshots_sent), (sent, sent as u64));
        assert_eq!(leader.metrics().sends_skipped, 1 - sent as u64);
    };
    check(|snapshot| Snapshot { conf_state: voters(&[1, 2]), ..snapshot }, 0);
    check(|snapshot| Snapshot { conf_state: voters(&ALL), ..snapshot }, 1);
    // One that names nobody says nothing about who was there.
    check(|snapshot| Snapshot { conf_state: voters(&[]), ..snapshot }, 1);
}

#[test]
fn a_snapshot_that_is_not_there_is_reported_and_the_member_waits() {
    let mut leader = leader_with_lagging_3();
    let (send, receive) = std::sync::mpsc::channel();
    leader.set_observer(Some(Box::new(move |event| send.send(event.clone()).unwrap())));
    leader.storage().lie(Call::Snapshot, 0, 1, Lie::Snapshot(|_| Snapshot::default()));
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    assert!(leader.drain().is_empty());
    let missing = Event::SnapshotMissing { to: id(3) };
    assert!(receive.try_iter().any(|event| event == missing));
    assert_eq!(leader.metrics().sends_skipped, 1);
    // The node lives, and so does the member, later.
    leader.propose("x").unwrap();
    leader.step(heartbeat_response(3, 1, 1, b"")).unwrap();
    assert!(leader.drain().iter().any(|m| m.body.kind() == MessageKind::Snapshot));
}

// The member.

#[test]
fn a_newer_snapshot_takes_the_place_of_the_log() {
    let mut node = Member::with_log(1, &ALL, &[1, 1, 1], 2);
    let members = ConfState { learners: vec![4], ..voters(&[1, 2]) };
    node.step(install(2, 1, 2, snapshot((2, 11), members.clone()))).unwrap();
    let ready = node.take_ready();
    assert_eq!(ready.snapshot.as_deref(), Some(&snapshot((2, 11), members)));
    assert!(ready.committed.is_empty(), "nothing of the old log is applied any more");
    assert_eq!(texts(&ready.messages_after_sync), ["1->2 MsgAppResp Term:2 Log:0/11"]);
    node.handle(ready);
    let status = node.status();
    assert_eq!((status.first_index, status.last_index), (Index(12), Index(11)));
    assert_eq!((node.commit(), status.applied), (11, Index(11)));
    assert_eq!(node.members(), "voters=(1 2) learners=(4)");
    assert_eq!(node.metrics().snapshots_restored, 1);
}

#[test]
fn a_snapshot_that_is_not_newer_is_ignored() {
    // Nor one that contradicts what is committed (mistake 37).
    for position in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let mut node = Member::with_log(1, &ALL, &[1, 1, 1], 2);
        node.step(install(2, 1, 2, snapshot(position, voters(&[1, 2])))).unwrap();
        assert_eq!(texts(&node.drain()), ["1->2 MsgAppResp Term:2 Log:0/2"]);
        assert_eq!((node.last_index(), node.commit()), (3, 2));
        assert_eq!(node.members(), "voters=(1 2 3)");
    }
}

#[test]
fn a_snapshot_that_matches_the_log_only_moves_the_commit_index() {
    let mut node = Member::with_log(1, &ALL, &[1, 1, 1, 1], 1);
    node.step(install(2, 1, 1, snapshot((1, 3), voters(&[1, 2])))).unwrap();
    let ready = node.take_ready();
    assert_eq!(ready.snapshot, None);
    assert_eq!(texts(&ready.messages_after_sync), ["1->2 MsgAppResp Term:1 Log:0/3"]);
    node.handle(ready);
    node.drain();
    assert_eq!((node.commit(), node.last_index()), (3, 4));
    assert_eq!(node.payloads(), ["1/1", "1/2", "1/3"], "applied from the log");
    assert_eq!(node.members(), "voters=(1 2 3)", "the log says who belongs to the group");
}

#[test]
fn a_tail_that_conflicts_with_the_snapshot_is_gone() {
    let mut node = Member::with_log(1, &ALL, &[1, 1, 1, 1, 1], 1);
    // Index 3 of term 2 is not what is here: nothing after it can be kept (mistake 38).
    node.step(install(2, 1, 2, snapshot((2, 3), voters(&ALL)))).unwrap();
    node.drain();
    assert_eq!((node.last_index(), stored_terms(&node)), (3, vec![]));
    node.step(append(2, 1, 2, (2, 3), &[(2, 4)], 4)).unwrap();
    node.drain();
    assert_eq!(node.payloads(), ["2/4"]);
}

#[test]
fn a_snapshot_without_this_node_is_ignored() {
    let mut node = Member::with_log(1, &ALL, &[1], 1);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&[2, 3])))).unwrap();
    assert_eq!(texts(&node.drain()), ["1->2 MsgAppResp Term:1 Log:0/1"]);
    assert_eq!(node.last_index(), 1);
}

#[test]
fn a_snapshot_restores_every_part_of_a_membership() {
    let next = ConfState {
        learners_next: vec![3],
        learners: vec![5],
        auto_leave: true,
        ..joint(&[1, 2], &[1, 2, 3])
    };
    let check = |id: u64, members: ConfState, expect: &str| {
        let mut node = Member::on(id, MemoryStorage::new(), |_| ());
        node.step(install(2, id, 1, snapshot((1, 9), members))).unwrap();
        node.drain();
        assert_eq!(node.members(), expect);
    };
    check(1, voters(&ALL), "voters=(1 2 3)");
    check(3, with_learners(&[1, 2], &[3]), "voters=(1 2) learners=(3)");
    // An outgoing voter is a member, and is restored as one.
    check(3, joint(&[1, 2], &[1, 3]), "voters=(1 2)&&(1 3)");
    check(5, next, "voters=(1 2)&&(1 2 3) learners=(5) learners_next=(3) autoleave");
}

#[test]
fn a_voter_may_find_itself_a_learner_and_a_learner_a_voter() {
    let mut node = Member::new(1, &ALL);
    node.step(install(2, 1, 1, snapshot((1, 5), with_learners(&[2, 3], &[1])))).unwrap();
    node.drain();
    node.tick_times(50);
    assert_eq!(node.role(), RoleKind::Follower);
    node.step(install(2, 1, 1, snapshot((1, 6), voters(&ALL)))).unwrap();
    node.drain();
    node.tick_times(50);
    assert_eq!(node.role(), RoleKind::Candidate);
}

#[test]
fn entries_after_a_snapshot_come_in_the_same_ready() {
    let mut node = Member::new(1, &ALL);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&ALL)))).unwrap();
    node.step(append(2, 1, 1, (1, 9), &[(1, 10), (1, 11)], 10)).unwrap();
    let ready = node.take_ready();
    assert!(ready.snapshot.is_some() && ready.entries.len() == 2);
    assert!(ready.committed.is_empty(), "not before the snapshot is restored");
    node.handle(ready);
    node.drain();
    assert_eq!(node.payloads(), ["1/10"]);
}

#[test]
fn an_append_to_before_a_pending_snapshot_is_answered_with_its_index() {
    let mut node = Member::with_log(1, &ALL, &[1, 1], 1);
    node.step(install(2, 1, 2, snapshot((2, 9), voters(&ALL)))).unwrap();
    node.step(append(2, 1, 2, (1, 2), &[(2, 3)], 3)).unwrap();
    let expected = ["1->2 MsgAppResp Term:2 Log:0/9", "1->2 MsgAppResp Term:2 Log:0/9"];
    assert_eq!(texts(&node.drain()), expected);
}

#[test]
fn a_change_that_a_pending_snapshot_contains_is_overtaken() {
    let mut node = Member::new(1, &ALL);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&[1, 2])))).unwrap();
    let change = change_v2(Transition::Auto, "v7");
    let applied = node.apply_conf_change(&change).unwrap();
    assert!(applied.overtaken && applied.skipped.is_none());
    assert_eq!(applied.conf_state, voters(&[1, 2]));
    assert_eq!(node.members(), "voters=(1 2)");
}

#[test]
fn an_ignored_snapshot_acknowledges_only_what_is_committed() {
    let mut node = Member::new(1, &ALL);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&ALL)))).unwrap();
    node.step(append(2, 1, 1, (1, 9), &[(1, 10)], 9)).unwrap();
    // The leader of the next term has something else at 10, and says nothing about it here.
    node.step(install(3, 1, 2, snapshot((1, 9), voters(&ALL)))).unwrap();
    let sent = texts(&node.drain());
    assert_eq!(sent.last().map(String::as_str), Some("1->3 MsgAppResp Term:2 Log:0/9"));
}

#[test]
fn a_node_votes_by_the_position_of_its_snapshot() {
    let mut node = Member::new(1, &ALL);
    node.step(install(2, 1, 2, snapshot((2, 9), voters(&ALL)))).unwrap();
    node.step(vote(3, 1, 3, (2, 8))).unwrap();
    assert_eq!(node.vote(), None);
    node.step(vote(3, 1, 3, (2, 9))).unwrap();
    assert_eq!(node.vote(), Some(3));
}

// Whole groups.

/// Three members of which node 3 slept through everything that is in the snapshot.
fn group_with_lagging_3(entries: u32) -> Group {
    let mut group = Group::new(3);
    group.elect(1);
    group.isolate(3);
    for i in 0..entries {
        group.propose(1, &format!("{i}"));
    }
    group[1].compact();
    group.heal();
    group
}

#[test]
fn a_member_that_slept_too_long_is_brought_up_by_a_snapshot() {
    let mut group = group_with_lagging_3(20);
    group.run(3);
    group.assert_agreement();
    assert_eq!(group[3].restored.len(), 1);
    group.propose(1, "after");
    assert_eq!(group[3].payloads(), ["after"]);
}

#[test]
fn a_lost_snapshot_that_is_reported_is_sent_again() {
    let mut group = group_with_lagging_3(20);
    group.mute(MessageKind::Snapshot);
    group.run(5);
    assert_eq!(group[3].last_index(), 1);
    group.heal();
    group.run(5);
    assert_eq!(group[3].last_index(), 1, "the leader waits for the report");
    group[1].report_snapshot(id(3), SnapshotStatus::Failed).unwrap();
    group.run(3);
    group.assert_agreement();
}

#[test]
fn an_answer_that_was_lost_is_made_good_by_the_report() {
    let mut group = group_with_lagging_3(20);
    group[1].tick_times(1);
    group.settle_until(|group| group[3].restored.len() == 1);
    group.wire.clear();
    group[1].report_snapshot(id(3), SnapshotStatus::Finished).unwrap();
    group.run(3);
    group.assert_agreement();
    assert_eq!(group[3].restored.len(), 1, "and not by a second snapshot");
}

#[test]
fn a_crash_before_the_snapshot_is_stored_leaves_the_old_log_whole() {
    let mut node = Member::with_log(1, &ALL, &[1, 1, 1], 2);
    node.step(install(2, 1, 2, snapshot((2, 11), voters(&ALL)))).unwrap();
    node.take_ready();
    node.restart();
    assert_eq!((node.last_index(), node.commit(), node.term()), (3, 2, 1));
    node.step(install(2, 1, 2, snapshot((2, 11), voters(&ALL)))).unwrap();
    let ready = node.take_ready();
    node.storage_mut().inner.persist(&ready).unwrap();
    node.restart();
    assert_eq!((node.last_index(), node.commit(), node.term()), (11, 11, 2));
}

#[test]
fn a_snapshot_carries_the_membership_at_its_index() {
    let mut group = Group::new(3);
    group.elect(1);
    group[1].propose_conf_change(&many(Transition::Auto, "l4")).unwrap();
    group.settle();
    group[1].compact();
    // The newcomer has nothing but an empty disk (mistake 39).
    group.join(Member::on(4, MemoryStorage::new(), |_| ()));
    group.run(3);
    assert_eq!(group[4].members(), "voters=(1 2 3) learners=(4)");
    group.propose(1, "x");
    assert_eq!(group[4].payloads(), ["x"]);
}

#[test]
fn a_candidate_is_turned_into_a_follower_by_a_snapshot_of_its_term() {
    let mut node = Member::new(1, &ALL);
    node.campaign().unwrap();
    node.drain();
    node.step(install(2, 1, 1, snapshot((1, 5), voters(&ALL)))).unwrap();
    assert_eq!((node.role(), node.leader()), (RoleKind::Follower, Some(2)));
    assert_eq!(texts(&node.drain()), ["1->2 MsgAppResp Term:1 Log:0/5"]);
}

#[test]
fn a_leader_takes_no_snapshot_and_no_append_of_its_own_term() {
    let mut leader = leader_with_lagging_3();
    let before = fingerprint(&leader);
    leader.step(install(2, 1, 1, snapshot((1, 50), voters(&ALL)))).unwrap();
    let nothing =
        Append { prev: Default::default(), entries: Default::default(), commit: Index(9) };
    leader.step(message(2, 1, 1, Body::Append(nothing))).unwrap();
    assert_eq!(fingerprint(&leader), before);
}
