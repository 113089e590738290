//! A storage that fails or lies, at every moment at which a node asks it. What a decision needs
//! is read before anything is changed; a message that cannot be read for is skipped and counted;
//! and when the storage is mended, the node goes on.

use raftcore::{
    ConfigError, Error, Event, Index, MemoryStorage, Misuse, Node, RoleKind, StorageError,
};

use crate::support::{
    Call, FaultyStorage, Group, Lie, Member, accepted, append, failure, fingerprint, heartbeat,
    heartbeat_response, id, plain_config, rejected, texts, timeout_now,
};

const ALL: [u64; 3] = [1, 2, 3];

/// A node with three stored entries, all committed and none applied.
fn with_backlog() -> Member {
    Member::with_log(1, &ALL, &[1, 1, 1], 3)
}

/// A leader of term 2 with three older entries in its storage, of which member 3 has none.
fn leader() -> Member {
    let mut leader = Member::with_log(1, &ALL, &[1, 1, 1], 3);
    leader.become_leader();
    leader.acknowledge(2);
    leader.drain();
    leader
}

// Making a node.

#[test]
fn a_node_is_not_made_on_a_storage_that_cannot_be_read() {
    for call in [Call::InitialState, Call::FirstIndex, Call::LastIndex, Call::Term] {
        for after in 0..20 {
            let inner = Member::storage_with(&ALL, &[1, 2, 2, 3, 5, 8], 4);
            let storage = FaultyStorage::new(inner);
            storage.lie(call, after, 1, Lie::Fail(failure()));
            match Node::new(&plain_config(1), storage) {
                Err(error) => assert_eq!(error, Error::Storage(failure()), "{call:?} {after}"),
                Ok(_) => assert!(after > 0, "it was asked: {call:?}"),
            }
        }
    }
}

#[test]
fn a_node_is_not_made_on_a_storage_that_contradicts_itself() {
    let lies = [
        (Call::FirstIndex, Lie::Number(0)),
        (Call::FirstIndex, Lie::Number(9)),
        (Call::LastIndex, Lie::Number(0)),
        (Call::Term, Lie::Number(77)),
    ];
    for (call, lie) in lies {
        let mut inner = Member::storage_with(&ALL, &[1, 2, 3, 3], 4);
        inner.compact(Index(2)).unwrap();
        let storage = FaultyStorage::new(inner);
        storage.lie(call, 0, 1, lie);
        let error = Node::new(&plain_config(1), storage).err();
        assert!(
            matches!(
                error,
                Some(
                    Error::Misuse(Misuse::Config(
                        ConfigError::StoredLog { .. } | ConfigError::StoredCommit { .. }
                    )) | Error::Storage(_)
                )
            ),
            "{call:?}: {error:?}"
        );
    }
}

#[test]
fn a_storage_whose_first_index_is_zero_contradicts_itself() {
    let storage = FaultyStorage::new(Member::storage_with(&ALL, &[1, 2], 2));
    storage.lie(Call::FirstIndex, 0, 1, Lie::Number(0));
    let expected = Misuse::Config(ConfigError::StoredLog { at: Index(2) });
    assert_eq!(Node::new(&plain_config(1), storage).err(), Some(expected.into()));
}

// Campaigning.

#[test]
fn a_tick_that_cannot_tell_whether_to_campaign_did_not_happen() {
    let mut node = with_backlog();
    let timeout = node.randomized_election_timeout();
    node.tick_times(timeout - 1);
    node.storage().break_down(Call::Entries);
    let before = fingerprint(&node);
    for _ in 0..3 {
        assert_eq!(node.tick(), Err(Error::Storage(failure())));
        assert_eq!(fingerprint(&node), before);
    }
    node.storage().mend();
    node.tick().unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
}

#[test]
fn a_campaign_that_cannot_tell_whether_it_may_did_not_begin() {
    let mut node = with_backlog();
    node.step(heartbeat(2, 1, 1, 3)).unwrap();
    node.storage().break_down(Call::Entries);
    let before = fingerprint(&node);
    assert_eq!(node.campaign(), Err(Error::Storage(failure())));
    assert_eq!(node.step(timeout_now(2, 1, 1)), Err(Error::Storage(failure())));
    assert_eq!(fingerprint(&node), before);
    node.storage().mend();
    node.step(timeout_now(2, 1, 1)).unwrap();
    assert_eq!(node.role(), RoleKind::Candidate);
}

// Ready and advance.

#[test]
fn a_ready_that_cannot_be_read_is_asked_for_again() {
    let mut node = with_backlog();
    node.step(append(2, 1, 1, (1, 3), &[(1, 4)], 4)).unwrap();
    node.storage().lie(Call::Entries, 0, 2, Lie::Fail(failure()));
    let before = fingerprint(&node);
    for _ in 0..2 {
        assert_eq!(node.ready(), Err(Error::Storage(failure())));
        assert_eq!(fingerprint(&node), before);
    }
    node.drain();
    assert_eq!(node.payloads(), ["1/1", "1/2", "1/3", "1/4"]);
}

#[test]
fn what_was_just_written_is_applied_without_reading_it_back() {
    let mut leader = leader();
    leader.storage().break_down(Call::Entries);
    for payload in ["a", "b", "c"] {
        leader.propose(payload).unwrap();
        leader.drain();
    }
    leader.acknowledge(2);
    leader.drain();
    assert_eq!(leader.payloads().len(), 6, "three older ones and these");
}

#[test]
fn who_lags_far_behind_reads_its_storage() {
    let mut leader = leader();
    // So large that each is in a block of its own.
    let large = "x".repeat(20_000);
    for _ in 0..100 {
        leader.propose(large.clone()).unwrap();
        leader.drain();
    }
    leader.storage().break_down(Call::Entries);
    leader.step(accepted(2, 1, 2, 104)).unwrap();
    assert_eq!(leader.node.ready(), Err(Error::Storage(failure())));
    leader.storage().mend();
    leader.drain();
    assert_eq!(leader.payloads().len(), 103);
}

#[test]
fn a_storage_that_returns_something_else_is_caught() {
    type Change = fn(Vec<raftcore::Entry>) -> Vec<raftcore::Entry>;
    let lies: [(Change, u64); 6] = [
        (|_| Vec::new(), 1),
        (|mut entries| entries.split_off(1), 1),
        (|entries| vec![entries[0].clone(); 2], 2),
        (
            |mut entries| {
                entries[1].term = raftcore::Term(7);
                entries
            },
            2,
        ),
        (
            |mut entries| {
                entries.remove(1);
                entries
            },
            2,
        ),
        (
            |mut entries| {
                entries.push(crate::support::entry(1, 4));
                entries
            },
            4,
        ),
    ];
    for (lie, wrong_at) in lies {
        let mut node = with_backlog();
        node.storage().lie(Call::Entries, 0, 1, Lie::Entries(lie));
        let before = fingerprint(&node);
        let expected = StorageError::Inconsistent { at: Index(wrong_at) };
        assert_eq!(node.ready(), Err(Error::Storage(expected)));
        assert_eq!(fingerprint(&node), before);
        node.drain();
        assert_eq!(node.payloads(), ["1/1", "1/2", "1/3"], "it tells the truth again");
    }
}

#[test]
fn what_waits_to_be_applied_is_not_kept_in_memory_without_end() {
    let mut node = Member::new(1, &ALL);
    for index in 1..=100 {
        let prev = (u64::from(index > 1), index - 1);
        node.step(append(2, 1, 1, prev, &[(1, index)], 0)).unwrap();
        node.drain();
    }
    node.step(heartbeat(2, 1, 1, 100)).unwrap();
    node.storage().break_down(Call::Entries);
    assert_eq!(node.ready().err(), Some(failure().into()), "the oldest have to be read");
    node.storage().mend();
    node.drain();
    assert_eq!(node.status().applied, Index(100));
}

#[test]
fn a_storage_may_return_fewer_entries_than_it_could() {
    let mut node = with_backlog();
    node.storage().lie(Call::Entries, 0, 2, Lie::Entries(|entries| entries[..1].to_vec()));
    node.drain();
    assert_eq!(node.payloads(), ["1/1", "1/2", "1/3"]);
}

#[test]
fn an_advance_that_cannot_be_checked_is_tried_again() {
    // The last index is asked for only if the entry is not there.
    for (call, stored) in [(Call::LastIndex, false), (Call::Term, true)] {
        let mut node = Member::new(1, &ALL);
        node.step(append(2, 1, 1, (0, 0), &[(1, 1)], 1)).unwrap();
        let ready = node.take_ready();
        if stored {
            node.storage_mut().inner.persist(&ready).unwrap();
        }
        node.apply(&ready.committed);
        node.storage().lie(call, 0, 1, Lie::Fail(failure()));
        let before = fingerprint(&node);
        assert_eq!(node.advance(ready), Err(Error::Storage(failure())), "{call:?}");
        let again = node.take_ready();
        assert_eq!(fingerprint(&node), before);
        if !stored {
            node.storage_mut().inner.persist(&again).unwrap();
        }
        node.advance(again).unwrap();
        assert_eq!((node.status().applied, node.has_ready()), (Index(1), false));
    }
}

#[test]
fn a_storage_need_not_know_the_term_of_what_it_compacted_before_the_advance() {
    let mut node = Member::new(1, &ALL);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1)], 1)).unwrap();
    let ready = node.take_ready();
    node.storage_mut().inner.persist(&ready).unwrap();
    node.apply(&ready.committed);
    node.storage().lie(Call::Term, 0, 1, Lie::Fail(StorageError::Compacted));
    node.advance(ready).unwrap();
    assert_eq!((node.status().applied, node.has_ready()), (Index(1), false));
}

#[test]
fn a_snapshot_whose_storing_cannot_be_checked_is_tried_again() {
    let mut node = Member::new(1, &ALL);
    let members = crate::support::voters(&ALL);
    let sent = crate::support::snapshot((1, 9), members);
    node.step(crate::support::install(2, 1, 1, sent)).unwrap();
    let ready = node.take_ready();
    node.storage_mut().inner.persist(&ready).unwrap();
    node.storage().lie(Call::FirstIndex, 0, 1, Lie::Fail(failure()));
    assert_eq!(node.advance(ready), Err(Error::Storage(failure())));
    let again = node.take_ready();
    node.advance(again).unwrap();
    assert_eq!(node.status().applied, Index(9));
}

// Sending.

#[test]
fn a_message_that_cannot_be_read_for_is_skipped_and_counted() {
    for call in [Call::Entries, Call::FirstIndex] {
        let mut leader = leader();
        let (send, receive) = std::sync::mpsc::channel();
        leader.set_observer(Some(Box::new(move |event| send.send(event.clone()).unwrap())));
        // Make it probe member 3 from the beginning of the log.
        leader.step(rejected(3, 1, 2, 3, (0, 0))).unwrap();
        leader.drain();
        let before = (leader.progress_of(3), leader.metrics().sends_skipped);
        leader.storage().break_down(call);
        leader.step(heartbeat_response(3, 1, 2, b"")).unwrap();
        let sent = leader.drain();
        assert!(sent.iter().all(|m| m.to != id(3)), "{:?}", texts(&sent));
        assert_eq!(leader.metrics().sends_skipped, before.1 + 1, "{call:?}");
        let skipped = Event::SendSkipped { to: id(3), error: failure() };
        assert!(receive.try_iter().any(|event| event == skipped));
        // The others do not suffer: what they need is in memory.
        leader.propose("x").unwrap();
        assert!(leader.drain().iter().any(|m| m.to == id(2)));
        leader.storage().mend();
        leader.step(heartbeat_response(3, 1, 2, b"")).unwrap();
        assert!(leader.drain().iter().any(|m| m.to == id(3)), "{call:?}: {}", before.0);
    }
}

#[test]
fn a_storage_that_lies_when_it_is_read_for_a_message_is_not_believed() {
    let lies: [Lie; 3] = [
        Lie::Entries(|_| Vec::new()),
        Lie::Entries(|mut entries| entries.split_off(1)),
        Lie::Entries(|mut entries| {
            entries[0].term = raftcore::Term(9);
            entries
        }),
    ];
    for lie in lies {
        let mut leader = leader();
        leader.step(rejected(3, 1, 2, 3, (0, 0))).unwrap();
        leader.drain();
        leader.storage().lie(Call::Entries, 0, 1, lie);
        leader.step(heartbeat_response(3, 1, 2, b"")).unwrap();
        assert!(leader.drain().iter().all(|m| m.to != id(3)));
        assert_eq!(leader.metrics().sends_skipped, 1);
    }
    // A first index beyond the log is none.
    let mut leader = leader();
    leader.step(rejected(3, 1, 2, 3, (0, 0))).unwrap();
    leader.drain();
    leader.storage().lie(Call::FirstIndex, 0, 1, Lie::Number(1000));
    leader.step(heartbeat_response(3, 1, 2, b"")).unwrap();
    leader.drain();
    assert_eq!(leader.metrics().sends_skipped, 1);
}

#[test]
fn a_rejection_that_cannot_be_judged_is_given_back() {
    let mut leader = leader();
    let before = fingerprint(&leader);
    leader.storage().break_down(Call::FirstIndex);
    let answer = rejected(3, 1, 2, 3, (0, 0));
    assert_eq!(leader.step(answer.clone()), Err(Error::Storage(failure())));
    leader.storage().mend();
    assert_eq!(fingerprint(&leader), before);
    leader.step(answer).unwrap();
    assert_eq!(leader.next_of(3), 1);
}

#[test]
fn an_answer_during_a_snapshot_that_cannot_be_judged_is_given_back() {
    let mut leader = leader();
    leader.compact();
    leader.step(heartbeat_response(3, 1, 2, b"")).unwrap();
    leader.step(rejected(3, 1, 2, 3, (0, 0))).unwrap();
    leader.drain();
    let waiting = leader.progress_of(3);
    assert!(waiting.starts_with("StateSnapshot"), "{waiting}");
    leader.storage().break_down(Call::FirstIndex);
    assert_eq!(leader.step(accepted(3, 1, 2, 4)), Err(Error::Storage(failure())));
    assert_eq!(leader.progress_of(3), waiting);
    leader.storage().mend();
    leader.step(accepted(3, 1, 2, 4)).unwrap();
    assert_eq!(leader.progress_of(3), "StateReplicate match=4 next=5");
}

#[test]
fn a_snapshot_that_cannot_be_read_is_skipped_and_counted() {
    let mut leader = leader();
    leader.compact();
    leader.storage().break_down(Call::Snapshot);
    leader.step(heartbeat_response(3, 1, 2, b"")).unwrap();
    assert!(leader.drain().is_empty());
    assert_eq!(leader.metrics().sends_skipped, 1);
    leader.storage().mend();
    leader.step(heartbeat_response(3, 1, 2, b"")).unwrap();
    leader.drain();
    assert_eq!(leader.metrics().snapshots_sent, 1);
}

// For longer.

#[test]
fn a_node_lives_on_a_dead_storage_and_recovers_with_it() {
    for call in Call::ALL {
        let mut node = leader();
        node.storage().break_down(call);
        for round in 0..30 {
            let _ = node.tick();
            let _ = node.propose("x");
            let _ = node.read_index("r");
            let _ = node.step(heartbeat_response(2, 1, 2, b""));
            let _ = node.step(rejected(3, 1, 2, 3, (0, 0)));
            let _ = node.step(accepted(2, 1, 2, 4));
            assert_eq!(node.fault(), None, "{call:?} in round {round}");
            // An application whose disk is dead takes no Ready.
        }
        let _ = node.status();
        node.storage().mend();
        node.drain();
        for member in [2, 3] {
            node.acknowledge(member);
        }
        node.drain();
        assert_eq!((node.role(), node.commit()), (RoleKind::Leader, node.last_index()), "{call:?}");
    }
}

#[test]
fn a_group_on_flaky_disks_agrees_in_the_end() {
    for seed in 1..6 {
        let mut group = Group::new(3);
        group.elect(1);
        for member in group.members.values() {
            member.storage().make_flaky(20, seed + member.node.id().get());
        }
        for round in 0..100 {
            for member in group.members.values_mut() {
                let _ = member.node.tick();
                let _ = member.node.propose(format!("{round}"));
                if round % 30 == 29 && member.status().applied > member.status().first_index {
                    member.compact();
                }
                let sent = stubborn_drain(member);
                group.wire.extend(sent);
            }
            for _ in 0..group.wire.len() {
                let message = group.wire.pop_front().unwrap();
                let to = message.to.get();
                let _ = group[to].node.step(message);
            }
        }
        group.members.values().for_each(|member| {
            member.storage().mend();
            assert_eq!(member.fault(), None);
        });
        group.run_to_leader();
        let leader = group.leader().unwrap();
        for member in 1..=3 {
            // Snapshots that went out meanwhile are reported.
            group[leader].report_snapshot(id(member), raftcore::SnapshotStatus::Failed).unwrap();
        }
        group.propose(leader, "end");
        group.run(3);
        group.assert_agreement();
        for member in group.members.values() {
            assert_eq!(member.payloads().last().map(String::as_str), Some("end"), "seed={seed}");
        }
    }
}

/// Does what can be done on a storage that fails now and then: an `advance` is tried until it is
/// answered well, what could not be read is left for later.
fn stubborn_drain(member: &mut Member) -> Vec<raftcore::Message> {
    let mut sent = Vec::new();
    for _ in 0..10 {
        let Ok(Some(mut ready)) = member.node.ready() else { continue };
        sent.append(&mut ready.messages);
        member.node.storage_mut().inner.persist(&ready).unwrap();
        sent.append(&mut ready.messages_after_sync);
        member.apply(&ready.committed);
        while let Err(error) = member.node.advance(ready) {
            assert_eq!(error, Error::Storage(failure()));
            ready = member.node.ready().unwrap().expect("the same one again");
        }
    }
    sent
}

#[test]
fn a_look_at_a_node_on_a_dead_storage_shows_no_first_index() {
    let mut node = leader();
    node.compact();
    let before = node.status().first_index;
    node.storage().break_down(Call::FirstIndex);
    assert_eq!((before, node.status().first_index), (Index(5), Index(0)));
}

#[test]
fn an_empty_storage_is_a_storage() {
    let mut node = Member::on(1, MemoryStorage::new(), |_| ());
    node.tick_times(50);
    node.campaign().unwrap();
    assert!(node.propose("x").is_err());
    assert!(node.drain().is_empty());
    assert_eq!((node.role(), node.members().as_str()), (RoleKind::Follower, "voters=()"));
}
