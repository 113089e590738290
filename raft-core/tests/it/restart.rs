//! Restarts: a node continues from what was stored, whatever was happening when it died.

use raftcore::{ConfState, HardState, Index, MemoryStorage, RoleKind, Term, Transition};

use crate::support::{
    Group, Member, append, append_one, at, conf_entry, heartbeat, id, install, joint, many, one,
    snapshot, stored_terms, texts, vote, voters,
};

const ALL: [u64; 3] = [1, 2, 3];

#[test]
fn a_node_continues_with_its_term_vote_log_and_commit_index() {
    let mut node = Member::new(1, &ALL);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 1)).unwrap();
    node.step(vote(3, 1, 4, (1, 2))).unwrap();
    node.drain();
    node.restart();
    let stored = HardState { term: Term(4), vote: Some(id(3)), commit: Index(1) };
    assert_eq!((node.hard_state(), stored_terms(&node)), (stored, vec![1, 1]));
    assert_eq!((node.role(), node.leader()), (RoleKind::Follower, None));
}

#[test]
fn a_restarted_node_has_nothing_to_persist_and_only_applies() {
    let mut node = Member::with_log(1, &ALL, &[1, 1, 1], 2);
    let ready = node.take_ready();
    assert_eq!((ready.hard_state, ready.must_sync), (None, false));
    assert!(ready.entries.is_empty() && ready.messages.is_empty() && ready.snapshot.is_none());
    assert_eq!(ready.committed.len(), 2);
    node.handle(ready);
    assert!(!node.has_ready());
}

#[test]
fn what_the_application_has_applied_is_not_handed_out_again() {
    let mut node = Member::with_log_and(1, &ALL, &[1, 1, 1, 1], 3, |c| c.applied = Index(2));
    node.drain();
    assert_eq!(node.payloads(), ["1/3"]);
    let mut node = Member::with_log_and(1, &ALL, &[1, 1, 1, 1], 3, |c| c.applied = Index(3));
    assert!(!node.has_ready());
    assert_eq!(node.drain(), []);
}

#[test]
fn a_node_continues_after_its_snapshot() {
    let mut storage = Member::storage_with(&ALL, &[1, 1, 1, 2], 4);
    storage.create_snapshot(Index(3), None, "state").unwrap();
    storage.compact(Index(3)).unwrap();
    let mut node = Member::on(1, storage, |_| ());
    assert_eq!(node.status().first_index, Index(4));
    node.drain();
    assert_eq!(node.payloads(), ["2/4"]);
    node.step(append(2, 1, 3, (2, 4), &[(3, 5)], 5)).unwrap();
    node.drain();
    assert_eq!(node.payloads(), ["2/4", "3/5"]);
}

#[test]
fn a_snapshot_alone_is_enough_to_start_from() {
    let mut storage = MemoryStorage::new();
    storage.apply_snapshot(snapshot((1, 11), voters(&ALL))).unwrap();
    let mut node = Member::on(1, storage, |_| ());
    assert_eq!((node.commit(), node.term(), node.members().as_str()), (11, 0, "voters=(1 2 3)"));
    node.campaign().unwrap();
    assert_eq!(texts(&node.drain())[0], "1->2 MsgVote Term:1 Log:1/11");
}

#[test]
fn a_snapshot_may_be_of_a_newer_term_than_the_hard_state() {
    let mut storage = MemoryStorage::new();
    storage.apply_snapshot(snapshot((5, 11), voters(&ALL))).unwrap();
    storage.set_hard_state(HardState { term: Term(3), vote: None, commit: Index(11) });
    let node = Member::on(1, storage, |_| ());
    assert_eq!((node.commit(), node.term(), node.last_index()), (11, 3, 11));
}

#[test]
fn every_part_of_a_joint_configuration_survives() {
    // Mistake 26: the incoming half alone.
    let members = ConfState {
        learners: vec![5],
        learners_next: vec![3],
        auto_leave: true,
        ..joint(&[1, 2, 4], &ALL)
    };
    let mut storage = MemoryStorage::new();
    storage.apply_snapshot(snapshot((1, 9), members)).unwrap();
    let mut node = Member::on(1, storage, |_| ());
    let expected = "voters=(1 2 4)&&(1 2 3) learners=(5) learners_next=(3) autoleave";
    assert_eq!(node.members(), expected);
    // Whoever wins finishes what was begun.
    node.become_leader();
    for from in [2, 4] {
        node.acknowledge(from);
    }
    node.drain();
    for from in [2, 4] {
        node.acknowledge(from);
    }
    node.drain();
    assert_eq!(node.members(), "voters=(1 2 4) learners=(3 5)");
}

#[test]
fn changes_after_the_snapshot_are_applied_from_the_log() {
    let mut node = Member::new(1, &ALL);
    node.step(append_one(2, 1, (0, 0), conf_entry(1, 1, &one("v4")), 1)).unwrap();
    node.step(append_one(2, 1, (1, 1), conf_entry(1, 2, &one("r2")), 2)).unwrap();
    node.drain();
    assert_eq!(node.members(), "voters=(1 3 4)");
    node.restart();
    assert_eq!(node.members(), "voters=(1 2 3)");
    node.drain();
    assert_eq!(node.members(), "voters=(1 3 4)");
}

#[test]
fn a_group_that_restarts_at_each_step_of_a_joint_change_finishes_it() {
    for died_after in 0..14 {
        let mut group = Group::new(3);
        group.elect(1);
        group[1].propose_conf_change(&many(Transition::JointImplicit, "l3 u2")).unwrap();
        // So many messages arrive, and then the power fails everywhere.
        for _ in 0..died_after {
            group.collect();
            let Some(message) = group.wire.pop_front() else { break };
            group.deliver(message);
        }
        group.wire.clear();
        group.members.values_mut().for_each(Member::restart);
        group.run_to_leader();
        let leader = group.leader().expect("a leader");
        group.propose(leader, "after");
        group.run(2);
        group.assert_agreement();
        let members: Vec<String> = group.members.values().map(Member::members).collect();
        assert_eq!(members[0], members[1], "died after {died_after}");
        assert!(!members[0].contains("&&"), "died after {died_after}: {}", members[0]);
        assert_eq!(group[1].payloads(), ["after"]);
    }
}

#[test]
fn committed_pages_continue_after_a_restart() {
    let storage = Member::storage_with(&ALL, &[1; 20], 20);
    let mut node = Member::on(1, storage, |c| c.max_committed_bytes_per_ready = 25);
    let first = node.take_ready();
    assert!(first.committed.len() < 20);
    node.handle(first);
    let done = node.applied.last().unwrap().index;
    node.config.applied = done;
    node.restart();
    node.drain();
    assert_eq!(node.applied.first().unwrap().index, done.next());
    assert_eq!(node.applied.last().unwrap().index, Index(20));
}

/// A follower that dies after so many of the steps that a Ready asks for: nothing, the write, the
/// messages, the application of what is committed, the acknowledgement.
fn dies_after(steps: usize) -> (Member, Vec<String>) {
    let mut node = Member::new(1, &ALL);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 2)).unwrap();
    let ready = node.take_ready();
    let mut said = Vec::new();
    if steps >= 1 {
        node.storage_mut().inner.persist(&ready).unwrap();
    }
    if steps >= 2 {
        said = texts(&ready.messages_after_sync);
    }
    if steps >= 3 {
        node.apply(&ready.committed);
    }
    if steps >= 4 {
        node.advance(ready).unwrap();
    }
    node.restart();
    (node, said)
}

#[test]
fn what_was_said_before_a_crash_is_still_true_after_it() {
    for steps in 0..=4 {
        let (mut node, said) = dies_after(steps);
        if !said.is_empty() {
            assert_eq!((node.last_index(), node.commit()), (2, 2), "died after {steps}");
        }
        let expected: &[&str] = if steps == 0 { &[] } else { &["1/1", "1/2"] };
        node.drain();
        assert_eq!(node.payloads(), expected, "died after {steps}");
        // The leader repeats itself, and all is well.
        node.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 2)).unwrap();
        node.drain();
        assert_eq!(node.payloads(), ["1/1", "1/2"], "died after {steps}");
    }
}

#[test]
fn a_leader_that_restarts_is_a_follower_and_may_lead_again() {
    let mut group = Group::new(3);
    group.elect(1);
    group.propose(1, "a");
    group[1].restart();
    assert_eq!((group[1].role(), group[1].vote()), (RoleKind::Follower, Some(1)));
    group.elect(1);
    group.propose(1, "b");
    assert_eq!(group[1].payloads(), ["a", "b"]);
    assert_eq!(group[2].payloads(), ["a", "b"]);
    assert_eq!(group[1].term(), 2);
}

#[test]
fn a_commit_index_that_was_not_stored_is_learned_again() {
    let mut node = Member::new(1, &ALL);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1)], 0)).unwrap();
    node.drain();
    node.step(heartbeat(2, 1, 1, 1)).unwrap();
    let ready = node.take_ready();
    assert!(!ready.must_sync, "a commit index alone needs no sync");
    node.restart();
    assert_eq!(node.commit(), 0);
    node.step(heartbeat(2, 1, 1, 1)).unwrap();
    node.drain();
    assert_eq!(node.payloads(), ["1/1"]);
}

#[test]
fn every_member_may_die_and_come_back_in_turn() {
    for asynchronous in [false, true] {
        let mut group = Group::with(3, |c| c.async_storage_writes = asynchronous);
        group.elect(1);
        for round in 0..9 {
            let victim = 1 + round % 3;
            group[victim].restart();
            group.run_to_leader();
            let leader = group.leader().expect("a leader");
            group.propose(leader, &format!("{round}"));
        }
        group.run(2);
        group.assert_agreement();
        for member in group.members.values_mut() {
            member.restart();
            member.drain();
            let expected: Vec<String> = (0..9).map(|round| round.to_string()).collect();
            assert_eq!(member.payloads(), expected);
        }
    }
}

#[test]
fn a_snapshot_and_the_entries_after_it_survive_together() {
    let mut node = Member::new(1, &ALL);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&ALL)))).unwrap();
    node.step(append(2, 1, 1, (1, 9), &[(1, 10)], 10)).unwrap();
    node.drain();
    node.restart();
    assert_eq!((node.status().first_index, node.last_index(), node.commit()), (Index(10), 10, 10));
    node.drain();
    assert_eq!((node.payloads(), node.status().applied), (vec!["1/10".into()], at(0, 10).index));
}

#[test]
fn a_judge_sees_the_term_of_each_entry() {
    let node = Member::with_log(1, &[1, 2, 3], &[1, 1, 2], 1);
    let terms = (0..5).map(|index| node.term_at(Index(index)).map(|term| term.0));
    assert_eq!(terms.collect::<Vec<_>>(), [Some(0), Some(1), Some(1), Some(2), None]);
}
