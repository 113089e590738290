//! Mistakes of the application: each call that makes one says so, and the node stays as it was.

use raftcore::membership::ConfStateError;
use raftcore::{
    ConfState, Config, ConfigError, Entries, Error, HardState, Index, MemoryStorage, Misuse, Node,
    NodeId, Position, ReadOnly, RoleKind, Snapshot, StorageError, Term,
};

use crate::support::{
    FaultyStorage, Member, append, at, entries, entry, fingerprint, heartbeat, install, joint,
    plain_config, snapshot, stored_terms, voters,
};

const ALL: [u64; 3] = [1, 2, 3];

fn refused(config: &Config, storage: MemoryStorage) -> Error {
    match Node::new(config, FaultyStorage::new(storage)) {
        Ok(_) => panic!("{config:?} was to be refused"),
        Err(error) => error,
    }
}

// The configuration.

#[test]
fn each_impossible_setting_is_named() {
    let check = |change: &dyn Fn(&mut Config), expected: ConfigError| {
        let mut config = plain_config(1);
        change(&mut config);
        let storage = MemoryStorage::with_conf_state(voters(&ALL));
        assert_eq!(refused(&config, storage), Misuse::Config(expected).into());
    };
    for id in [0, NodeId::APPEND_THREAD, NodeId::APPLY_THREAD] {
        check(&|c| c.id = id, ConfigError::BadId(id));
    }
    check(&|c| c.heartbeat_interval_ticks = 0, ConfigError::ZeroHeartbeat);
    for (election, heartbeat) in [(1, 1), (5, 5), (0, 1), (4, 7)] {
        check(
            &|c| {
                c.election_timeout_ticks = election;
                c.heartbeat_interval_ticks = heartbeat;
            },
            ConfigError::ElectionTooShort { election, heartbeat },
        );
    }
    check(&|c| c.max_inflight_messages = 0, ConfigError::ZeroInflight);
    check(
        &|c| {
            c.max_message_bytes = 100;
            c.max_inflight_bytes = 99;
        },
        ConfigError::InflightBelowMessage { inflight: 99, message: 100 },
    );
    check(&|c| c.max_pending_reads = 0, ConfigError::ZeroPendingReads);
    for read_only in [ReadOnly::LeaseBased, ReadOnly::LeaseUnverified] {
        check(&|c| c.read_only = read_only, ConfigError::LeaseWithoutCheckQuorum);
    }
}

#[test]
fn every_combination_of_settings_is_refused_or_works() {
    let sizes = [0, 1, 100, u64::MAX];
    let mut works = 0;
    for election in [0, 1, 2, 10, u32::MAX] {
        for heartbeat in [0, 1, 10] {
            for message in sizes {
                for (committed, uncommitted) in [(0, 0), (1, 100), (u64::MAX, 1), (0, u64::MAX)] {
                    for (window, bytes) in [(0, 0), (1, 0), (1, 1), (usize::MAX, u64::MAX)] {
                        for (reads, asynchronous) in [(0, false), (1, true), (usize::MAX, false)] {
                            let mut config = plain_config(1);
                            config.election_timeout_ticks = election;
                            config.heartbeat_interval_ticks = heartbeat;
                            config.max_message_bytes = message;
                            config.max_committed_bytes_per_ready = committed;
                            config.max_uncommitted_bytes = uncommitted;
                            config.max_inflight_messages = window;
                            config.max_inflight_bytes = bytes;
                            config.max_pending_reads = reads;
                            config.async_storage_writes = asynchronous;
                            works += u32::from(refused_or_works(config));
                        }
                    }
                }
            }
        }
    }
    assert!(works > 100, "{works}");
}

/// Whether a node with this configuration exists, and then it has to lead, replicate and apply.
fn refused_or_works(config: Config) -> bool {
    let storage = FaultyStorage::new(MemoryStorage::with_conf_state(voters(&[1, 2])));
    if let Err(error) = Node::new(&config, storage) {
        assert!(matches!(error, Error::Misuse(Misuse::Config(_))), "{error}");
        return false;
    }
    let mut node = Member::of(1, voters(&[1, 2]), |c| *c = config.clone());
    node.lead_all();
    let payloads = [
        "a",
        "longer than one hundred bytes, which is what some of these limits allow: \
                     it still has to travel, alone",
    ];
    for payload in payloads {
        node.propose(payload).unwrap();
        node.drain();
        for _ in 0..3 {
            node.acknowledge(2);
            node.drain();
        }
    }
    assert_eq!(node.payloads(), payloads, "{config:?}");
    true
}

// What is stored.

#[test]
fn stored_state_that_contradicts_itself_is_named() {
    let check = |change: &dyn Fn(&mut MemoryStorage, &mut Config), expected: ConfigError| {
        // Entries 4 to 6 of terms 1, 2, 2 after a compaction at 3.
        let mut storage = Member::storage_with(&ALL, &[1, 1, 1, 1, 2, 2], 5);
        storage.create_snapshot(Index(3), None, "state").unwrap();
        storage.compact(Index(3)).unwrap();
        let mut config = plain_config(1);
        change(&mut storage, &mut config);
        assert_eq!(refused(&config, storage), Misuse::Config(expected).into());
    };
    let state =
        |term: u64, commit: u64| HardState { term: Term(term), vote: None, commit: Index(commit) };
    let commit = |commit: u64| ConfigError::StoredCommit {
        commit: Index(commit),
        first: Index(3),
        last: Index(6),
    };
    check(&|s, _| s.set_hard_state(state(2, 7)), commit(7));
    check(&|s, _| s.set_hard_state(state(2, u64::MAX)), commit(u64::MAX));
    check(&|s, _| s.set_hard_state(state(1, 5)), ConfigError::StoredLog { at: Index(6) });
    let applied = |applied: u64| ConfigError::Applied {
        applied: Index(applied),
        first: Index(3),
        commit: Index(5),
    };
    check(&|_, c| c.applied = Index(6), applied(6));
    check(&|_, c| c.applied = Index(2), applied(2));
    check(&|_, c| c.applied = Index(u64::MAX), applied(u64::MAX));
    let members: [(ConfState, ConfStateError); 4] = [
        (voters(&[1, 1]), ConfStateError::NamedTwice(crate::support::id(1))),
        (voters(&[0]), ConfStateError::BadId(0)),
        (joint(&[], &[1]), ConfStateError::NoVoters),
        (ConfState { auto_leave: true, ..voters(&[1]) }, ConfStateError::AutoLeaveNotJoint),
    ];
    for (conf_state, error) in members {
        check(&|s, _| s.set_conf_state(conf_state.clone()), ConfigError::StoredMembership(error));
    }
}

#[test]
fn a_stored_commit_index_behind_what_is_compacted_is_no_contradiction() {
    // With storage threads the entries may be applied and compacted before the commit index is
    // stored; what is compacted was committed.
    let mut storage = Member::storage_with(&ALL, &[1, 1, 1, 1], 2);
    storage.create_snapshot(Index(3), None, "state").unwrap();
    storage.compact(Index(3)).unwrap();
    let node = Member::on(1, storage, |_| ());
    assert_eq!((node.commit(), node.status().applied), (3, Index(3)));
}

#[test]
fn a_stored_log_beyond_the_limit_is_named() {
    for (index, is_taken) in
        [(u64::MAX - 1, false), ((u64::MAX >> 1) + 1, false), (u64::MAX >> 1, true)]
    {
        let mut storage = MemoryStorage::new();
        let position = Position { term: Term(1), index: Index(index) };
        let conf_state = voters(&[1]);
        storage.apply_snapshot(Snapshot { position, conf_state, ..Snapshot::default() }).unwrap();
        if is_taken {
            // It goes on from there.
            let mut node = Member::on(1, storage, |_| ());
            node.campaign().unwrap();
            node.drain();
            assert_eq!(node.commit(), index + 1);
        } else {
            let expected = ConfigError::StoredLog { at: Index(index) };
            assert_eq!(refused(&plain_config(1), storage), Misuse::Config(expected).into());
        }
    }
}

#[test]
fn a_stored_log_whose_terms_fall_is_named() {
    for terms in [&[1, 3, 2][..], &[2, 1], &[1, 5, 5, 4], &[3, 3, 1, 3]] {
        let mut storage = Member::storage_with(&ALL, terms, 0);
        storage.set_hard_state(HardState { term: Term(9), ..HardState::default() });
        let mut config = plain_config(1);
        config.applied = Index::ZERO;
        match Node::new(&config, FaultyStorage::new(storage)) {
            Err(Error::Misuse(Misuse::Config(ConfigError::StoredLog { .. }))) => {}
            // Terms are read by halving; a dent between two equal terms need not be seen then, but
            // is when the entries are read.
            Ok(_) => assert_eq!(terms, [3, 3, 1, 3]),
            Err(error) => panic!("{error}"),
        }
    }
}

// Ready and advance.

/// A follower with one Ready taken: two entries, one committed.
fn with_ready() -> (Member, raftcore::Ready) {
    let mut node = Member::new(1, &ALL);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2)], 1)).unwrap();
    let ready = node.take_ready();
    (node, ready)
}

#[test]
fn a_second_ready_before_advance() {
    let (mut node, ready) = with_ready();
    let before = fingerprint(&node);
    for _ in 0..3 {
        assert_eq!(node.ready(), Err(Misuse::ReadyOutstanding.into()));
        assert!(!node.has_ready());
    }
    assert_eq!(fingerprint(&node), before);
    node.handle(ready);
    assert_eq!(node.ready(), Ok(None));
}

#[test]
fn messages_are_taken_while_a_ready_is_outstanding() {
    let (mut node, ready) = with_ready();
    node.step(append(2, 1, 1, (1, 2), &[(1, 3)], 2)).unwrap();
    assert_eq!(node.ready(), Err(Misuse::ReadyOutstanding.into()));
    node.handle(ready);
    node.drain();
    assert_eq!(node.payloads(), ["1/1", "1/2"]);
    assert_eq!(stored_terms(&node), [1, 1, 1]);
}

#[test]
fn a_ready_that_is_not_the_outstanding_one() {
    let (mut node, ready) = with_ready();
    let copy = ready.clone();
    node.handle(ready);
    let before = fingerprint(&node);
    assert_eq!(node.advance(copy.clone()), Err(Misuse::StaleReady.into()), "advanced already");
    assert_eq!(node.advance(raftcore::Ready::default()), Err(Misuse::StaleReady.into()));
    assert_eq!(fingerprint(&node), before);
    node.step(append(2, 1, 1, (1, 2), &[(1, 3)], 2)).unwrap();
    let next = node.take_ready();
    assert_eq!(node.advance(copy), Err(Misuse::StaleReady.into()), "another one is outstanding");
    node.handle(next);
    node.drain();
    assert_eq!(node.commit(), 2);
}

#[test]
fn advance_without_a_ready() {
    let mut node = Member::new(1, &ALL);
    let before = fingerprint(&node);
    assert_eq!(node.advance(raftcore::Ready::default()), Err(Misuse::StaleReady.into()));
    assert_eq!(fingerprint(&node), before);
}

#[test]
fn entries_that_are_not_persisted_before_advance() {
    let half: Entries = entries(&[(1, 1)]);
    let other: Entries = vec![entry(1, 1), entry(2, 2)].into_iter().collect();
    for (stored, last) in [(Entries::new(), 0), (half, 1), (other, 2)] {
        let (mut node, ready) = with_ready();
        node.storage_mut().inner.append(&stored).unwrap();
        let before = fingerprint(&node);
        let expected = Misuse::NotPersisted { expected: at(1, 2), last: Index(last) };
        assert_eq!(node.advance(ready), Err(expected.into()));
        // The Ready is not lost: it is handed out again.
        assert!(node.has_ready());
        let again = node.take_ready();
        assert_eq!(again.entries.len(), 2);
        assert_eq!(fingerprint(&node), before);
        node.handle(again);
        node.drain();
        assert_eq!((node.payloads(), node.last_index()), (vec!["1/1".to_string()], 2));
    }
}

#[test]
fn a_snapshot_that_is_not_persisted_before_advance() {
    let mut node = Member::with_log(1, &ALL, &[1, 1], 1);
    node.drain();
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&ALL)))).unwrap();
    let ready = node.take_ready();
    let before = fingerprint(&node);
    let expected = Misuse::SnapshotNotPersisted { expected: at(1, 9), first: Index(1) };
    assert_eq!(node.advance(ready), Err(expected.into()));
    let again = node.take_ready();
    assert_eq!(fingerprint(&node), before);
    node.handle(again);
    assert_eq!(node.status().applied, Index(9));
}

#[test]
fn entries_appended_before_their_snapshot() {
    let mut node = Member::with_log(1, &ALL, &[1, 1], 1);
    node.drain();
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&ALL)))).unwrap();
    node.step(append(2, 1, 1, (1, 9), &[(1, 10)], 10)).unwrap();
    let ready = node.take_ready();
    let log = &mut node.storage_mut().inner;
    // The storage sees the gap.
    let gap = StorageError::Gap { expected: Index(3), got: Index(10) };
    assert_eq!(log.append(&ready.entries), Err(gap));
    log.apply_snapshot(snapshot((1, 9), voters(&ALL))).unwrap();
    // The entries are still missing, and the node sees that.
    let expected = Misuse::NotPersisted { expected: at(1, 10), last: Index(9) };
    assert_eq!(node.advance(ready), Err(expected.into()));
    let again = node.take_ready();
    node.storage_mut().inner.append(&again.entries).unwrap();
    node.apply(&again.committed);
    node.advance(again).unwrap();
    node.drain();
    assert_eq!(node.payloads(), ["1/1", "1/10"]);
}

#[test]
fn an_application_that_compacts_before_it_advances_is_not_at_fault() {
    let mut node = Member::new(1, &ALL);
    node.step(append(2, 1, 1, (0, 0), &[(1, 1), (1, 2), (1, 3)], 3)).unwrap();
    let ready = node.take_ready();
    node.storage_mut().inner.persist(&ready).unwrap();
    node.apply(&ready.committed);
    node.storage_mut().inner.compact(Index(3)).unwrap();
    node.advance(ready).unwrap();
    assert_eq!(node.status().applied, Index(3));
}

// The storage that comes with the library.

#[test]
fn compaction_out_of_range() {
    let mut node = Member::with_log(1, &ALL, &[1, 1, 1, 1], 4);
    node.drain();
    let log = &mut node.storage_mut().inner;
    log.compact(Index(2)).unwrap();
    assert_eq!(log.compact(Index(2)), Err(StorageError::Compacted));
    assert_eq!(log.compact(Index(0)), Err(StorageError::Compacted));
    assert_eq!(log.compact(Index(5)), Err(StorageError::Unavailable));
    assert_eq!(log.compact(Index(u64::MAX)), Err(StorageError::Unavailable));
    assert_eq!(stored_terms(&node), [1, 1]);
    node.step(append(2, 1, 1, (1, 4), &[(1, 5)], 5)).unwrap();
    node.drain();
    assert_eq!(node.commit(), 5);
}

#[test]
fn entries_that_cannot_be_appended() {
    let mut node = Member::with_log(1, &ALL, &[1, 1, 1], 3);
    let log = &mut node.storage_mut().inner;
    let gap = |expected, got| Err(StorageError::Gap { expected: Index(expected), got: Index(got) });
    assert_eq!(log.append(&entries(&[(1, 5)])), gap(4, 5), "after the end");
    assert_eq!(log.append(&entries(&[(1, 4), (1, 6)])), gap(5, 6), "between them");
    assert_eq!(log.append(&entries(&[(1, 4), (1, 4)])), gap(5, 4), "twice the same");
    log.compact(Index(3)).unwrap();
    log.append(&entries(&[(2, 2), (2, 3)])).unwrap();
    assert_eq!(stored_terms(&node), [0; 0], "what is compacted stays so");
}

#[test]
fn a_snapshot_out_of_range() {
    let mut node = Member::with_log(1, &ALL, &[1, 1, 1], 3);
    node.drain();
    let log = &mut node.storage_mut().inner;
    assert_eq!(log.create_snapshot(Index(4), None, ""), Err(StorageError::Unavailable));
    assert_eq!(log.create_snapshot(Index(0), None, ""), Err(StorageError::SnapshotOutOfDate));
    log.create_snapshot(Index(2), None, "").unwrap();
    assert_eq!(log.create_snapshot(Index(2), None, ""), Err(StorageError::SnapshotOutOfDate));
    let old = snapshot((1, 1), voters(&ALL));
    assert_eq!(log.apply_snapshot(old), Err(StorageError::SnapshotOutOfDate));
}

#[test]
fn compaction_of_what_is_not_applied_is_said_and_mended_by_a_snapshot() {
    let mut node = Member::with_log(1, &ALL, &[1, 1, 1], 3);
    // Nothing of it was applied (mistake 40).
    node.storage_mut().inner.compact(Index(2)).unwrap();
    let before = fingerprint(&node);
    assert_eq!(node.ready(), Err(Error::Storage(StorageError::Compacted)));
    assert_eq!(fingerprint(&node), before);
    node.step(install(2, 1, 1, snapshot((1, 9), voters(&ALL)))).unwrap();
    node.drain();
    assert_eq!(node.status().applied, Index(9));
}

// A node that has stopped.

#[test]
fn a_faulted_node_says_why_to_every_call() {
    let mut node = Member::new(1, &ALL);
    let fault = raftcore::Fault::Panic("caught elsewhere".into());
    node.fault_with(fault.clone());
    node.fault_with(raftcore::Fault::Invariant("the first one counts"));
    let faulted = Error::Faulted(fault.clone());
    assert_eq!(node.fault(), Some(&fault));
    assert_eq!(node.tick(), Err(faulted.clone()));
    assert_eq!(node.campaign(), Err(faulted.clone()));
    assert_eq!(node.propose("x"), Err(faulted.clone()));
    assert_eq!(node.read_index("x"), Err(faulted.clone()));
    assert_eq!(node.step(heartbeat(2, 1, 1, 0)), Err(faulted.clone()));
    assert_eq!(node.step_encoded(&b""[..]), Err(faulted.clone()));
    assert_eq!(node.ready(), Err(faulted.clone()));
    assert_eq!(node.bootstrap(&[]), Err(faulted.clone()));
    assert_eq!(node.forget_leader(), Err(faulted));
    assert!(!node.has_ready());
    assert_eq!(node.role(), RoleKind::Follower, "it can still be looked at");
}

#[test]
fn a_ready_that_was_written_into_is_made_again_from_nothing() {
    let mut other = Member::with(2, &[2], |config| config.async_storage_writes = true);
    other.become_leader();
    other.manual = true;
    other.propose("x").unwrap();
    other.drain();
    let append = other.appends.front().cloned();
    other.run_append();
    other.drain();
    let apply = other.applies.pop_front();
    let mut node = Member::new(1, &[1, 2, 3]);
    node.campaign().unwrap();
    let first = node.take_ready();
    assert_eq!(first.number(), 1);
    assert!(first.describe().contains("1->2 MsgVote Term:1 Log:0/0"), "{}", first.describe());
    node.handle(first);
    // Work for storage threads is nothing that this node ever hands out.
    for (append, apply) in [(append, None), (None, apply)] {
        assert!(append.is_some() || apply.is_some());
        let term = node.term() + 1;
        node.step(heartbeat(2, 1, term, 0)).unwrap();
        let mut ready = node.take_ready();
        (ready.append, ready.apply) = (append, apply);
        node.handle(ready);
        node.campaign().unwrap();
        let next = node.take_ready();
        assert!(next.append.is_none() && next.apply.is_none());
        node.handle(next);
    }
}
