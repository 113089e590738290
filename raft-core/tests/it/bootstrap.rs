//! Founding a group: one entry for each member, committed at once, so that all begin alike.

use bytes::Bytes;
use raftcore::{
    ConfChange, ConfChangeKind, ConfState, Config, EntryKind, Error, HardState, MemoryStorage,
    Misuse, Peer, RoleKind, wire,
};

use crate::support::{Group, Member, at, fingerprint, id, plain_config};

fn peers(ids: &[u64]) -> Vec<Peer> {
    ids.iter().map(|n| Peer { id: id(*n), context: Bytes::from(format!("at {n}")) }).collect()
}

fn founder(own: u64, members: &[u64], change: impl FnOnce(&mut Config)) -> Member {
    let mut member = Member::on(own, MemoryStorage::new(), change);
    member.bootstrap(&peers(members)).unwrap();
    member
}

#[test]
fn a_founders_first_ready_says_everything() {
    let mut node = founder(1, &[1, 2], |_| ());
    assert_eq!(node.members(), "voters=(1 2)");
    let ready = node.take_ready();
    let stored = HardState { term: at(1, 0).term, vote: None, commit: at(0, 2).index };
    assert_eq!((ready.hard_state, ready.must_sync), (Some(stored), true));
    assert_eq!(ready.entries, ready.committed);
    for (entry, member) in ready.entries.iter().zip(1..) {
        assert_eq!((entry.position(), entry.kind), (at(1, member), EntryKind::ConfChange));
        let change = ConfChange {
            id: 0,
            kind: ConfChangeKind::AddVoter,
            node: member,
            context: Bytes::from(format!("at {member}")),
        };
        assert_eq!(wire::decode_conf_change(entry), Ok(Some(change.into())));
    }
    node.handle(ready);
    assert!(!node.has_ready());
    assert_eq!((node.role(), node.status().applied.0), (RoleKind::Follower, 2));
}

#[test]
fn founders_find_a_leader_at_once() {
    let mut group = Group::of((1..=3).map(|own| founder(own, &[1, 2, 3], |_| ())));
    // Before the application has applied anything nobody may campaign.
    group[1].campaign().unwrap();
    assert_eq!(group[1].role(), RoleKind::Follower);
    group.settle();
    group.elect(1);
    group.propose(1, "x");
    group.run(1);
    group.assert_agreement();
    assert_eq!((group[3].payloads(), group[3].term()), (vec!["x".to_string()], 2));
}

#[test]
fn a_founder_that_restarts_finds_its_group_in_its_log() {
    let mut node = founder(1, &[1, 2, 3], |_| ());
    node.drain();
    node.restart();
    assert_eq!(node.members(), "voters=()", "nothing is applied yet");
    node.drain();
    assert_eq!((node.members().as_str(), node.term()), ("voters=(1 2 3)", 1));
}

#[test]
fn a_group_of_one_leads_itself() {
    for asynchronous in [false, true] {
        let mut node = founder(1, &[1], |c| c.async_storage_writes = asynchronous);
        node.drain();
        node.campaign().unwrap();
        node.drain();
        assert_eq!((node.role(), node.term(), node.commit()), (RoleKind::Leader, 2, 2));
    }
}

#[test]
fn who_may_not_found_a_group_is_told_why() {
    let check = |node: &mut Member, ids: &[u64], misuse: Misuse| {
        let before = fingerprint(node);
        assert_eq!(node.bootstrap(&peers(ids)), Err(Error::Misuse(misuse)));
        assert_eq!(fingerprint(node), before);
    };
    let mut empty = Member::on(1, MemoryStorage::new(), |_| ());
    check(&mut empty, &[], Misuse::NoPeers);
    check(&mut empty, &[1, 2, 1], Misuse::DuplicatePeer(1));
    check(&mut empty, &[1, 2, 3, 2], Misuse::DuplicatePeer(2));

    let mut twice = founder(1, &[1, 2, 3], |_| ());
    check(&mut twice, &[1, 2, 3], Misuse::AlreadyBootstrapped);
    twice.drain();
    check(&mut twice, &[1, 2, 3], Misuse::AlreadyBootstrapped);
    check(&mut twice, &[], Misuse::AlreadyBootstrapped);

    let mut old = Member::with_log(1, &[1, 2, 3], &[1], 1);
    old.drain();
    check(&mut old, &[1, 2, 3], Misuse::AlreadyBootstrapped);
}

#[test]
fn a_founder_need_not_be_in_its_own_list() {
    // It keeps the log of the others, and does not campaign.
    let mut node = founder(9, &[1, 2, 3], |_| ());
    node.drain();
    node.tick_times(50);
    assert_eq!((node.role(), node.members().as_str()), (RoleKind::Follower, "voters=(1 2 3)"));
    assert_eq!(plain_config(9).id, 9);
}

#[test]
fn a_node_founded_from_a_snapshot_alone_leads_no_term_before_the_snapshots() {
    let mut storage = MemoryStorage::new();
    storage.apply_snapshot(crate::support::snapshot((5, 9), ConfState::with_voters([1]))).unwrap();
    let mut node = Member::on(1, storage, |_| ());
    assert_eq!(node.term(), 0);
    node.campaign().unwrap();
    node.drain();
    // What it appends would otherwise come before what it has.
    assert_eq!((node.role(), node.term(), node.last_index()), (RoleKind::Leader, 5, 10));
}
