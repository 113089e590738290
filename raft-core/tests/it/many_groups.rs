//! Many groups in one process: what a member weighs, and buffers that all members share.

use std::sync::Arc;

use bytes::Bytes;
use raftcore::{Config, Entry, MemoryStorage, Message, Node, Ready, Storage};

use crate::support::{append, at, heartbeat, texts, voters};

fn alone(id: u64) -> Node<MemoryStorage> {
    let storage = MemoryStorage::with_conf_state(voters(&[id]));
    Node::new(&Config::new(id, id), storage).unwrap()
}

/// What a member weighs in itself. A field that makes it larger is to be worth it: there can be
/// millions of it.
#[test]
fn a_member_stays_small() {
    let check = |what: &str, bytes: usize, most: usize| {
        assert!(bytes <= most, "{what} takes {bytes} bytes, more than {most}");
    };
    let storage = size_of::<MemoryStorage>();
    check("a node without its storage", size_of::<Node<MemoryStorage>>() - storage, 624);
    check("a storage", storage, 112);
    check("a message", size_of::<Message>(), 72);
}

#[test]
fn a_storage_takes_the_entries_of_a_ready_for_itself() {
    let mut node = alone(1);
    node.campaign().unwrap();
    let mut written = 0;
    while let Some(mut ready) = node.ready().unwrap() {
        let had = ready.entries.len();
        node.storage_mut().persist_taking(&mut ready).unwrap();
        assert!(ready.entries.is_empty());
        written += had as u64;
        assert_eq!(node.storage().last_index().unwrap().0, written);
        if let Some(hard_state) = ready.hard_state {
            assert_eq!(node.storage().initial_state().unwrap().0, hard_state);
        }
        node.advance(ready).unwrap();
    }
    assert_eq!(written, 1);
}

/// Entries share a block with those that were proposed after them. A compacted log keeps none of
/// it but the end that the leader still writes to, and a leader at rest not that one either.
#[test]
fn a_leader_at_rest_keeps_no_block_for_more() {
    struct Payload(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Payload {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let payloads = Arc::new(b"kept".to_vec());
    let alive = || Arc::strong_count(&payloads) - 1;
    let mut node = alone(1);
    node.campaign().unwrap();
    let drain = |node: &mut Node<MemoryStorage>| {
        while let Some(ready) = node.ready().unwrap() {
            node.storage_mut().persist(&ready).unwrap();
            node.advance(ready).unwrap();
        }
        let applied = node.storage().last_index().unwrap();
        node.storage_mut().compact(applied).unwrap();
    };
    drain(&mut node);
    for left in [1, 1, 2, 1, 2, 3, 4] {
        node.propose(Bytes::from_owner(Payload(Arc::clone(&payloads)))).unwrap();
        drain(&mut node);
        assert_eq!(alive(), left);
    }
    let timeout = Config::new(1, 1).election_timeout_ticks;
    (0..timeout).for_each(|_| node.tick().unwrap());
    assert_eq!(alive(), 4, "something was proposed since the last look");
    (0..timeout).for_each(|_| node.tick().unwrap());
    assert_eq!(alive(), 0);
    node.propose(Bytes::from_owner(Payload(Arc::clone(&payloads)))).unwrap();
    drain(&mut node);
    assert_eq!(alive(), 1, "it begins anew, with a small one");
}

#[test]
fn one_ready_serves_many_members() {
    let mut members = [alone(1), alone(2), alone(3)];
    let mut buffers = Ready::default();
    for node in &mut members {
        node.campaign().unwrap();
        let mut written = Vec::new();
        while node.has_ready() {
            node.lend(buffers);
            let ready = node.ready().unwrap().unwrap();
            assert!(node.give_back().is_none(), "it is outstanding");
            written.extend(ready.entries.iter().cloned());
            node.storage_mut().persist(&ready).unwrap();
            node.advance(ready).unwrap();
            buffers = node.give_back().unwrap();
            assert_eq!((&buffers.hard_state, &buffers.soft_state), (&None, &None));
            assert!(buffers.entries.is_empty() && buffers.committed.is_empty());
            assert_eq!(buffers.number(), 0, "nothing is left for who has it next");
        }
        assert_eq!(written.iter().map(Entry::position).collect::<Vec<_>>(), [at(1, 1)]);
    }
}

#[test]
fn a_ready_that_still_says_something_is_not_borrowed() {
    let mut node = alone(1);
    node.campaign().unwrap();
    let unfinished = node.ready().unwrap().unwrap();
    let mut other = alone(2);
    other.lend(unfinished);
    assert!(other.give_back().is_none());
    assert_eq!(other.ready(), Ok(None));
}

#[test]
fn what_waits_when_a_ready_is_lent_or_taken_back_stays_and_leaves_in_order() {
    let storage = MemoryStorage::with_conf_state(voters(&[1, 2, 3]));
    let mut node = Node::new(&Config::new(1, 1), storage).unwrap();
    node.step(heartbeat(2, 1, 1, 0)).unwrap();
    node.lend(Ready::default());
    node.step(append(2, 1, 1, (0, 0), &[(1, 1)], 0)).unwrap();
    let mut buffers = node.give_back().unwrap();
    node.step(append(2, 1, 1, (1, 1), &[(1, 2)], 0)).unwrap();
    node.lend(buffers);
    let mut ready = node.ready().unwrap().unwrap();
    let mut sent = std::mem::take(&mut ready.messages);
    sent.append(&mut ready.messages_after_sync);
    assert_eq!(
        texts(&sent),
        [
            "1->2 MsgHeartbeatResp Term:1 Log:0/0",
            "1->2 MsgAppResp Term:1 Log:0/1",
            "1->2 MsgAppResp Term:1 Log:0/2",
        ]
    );
    node.storage_mut().persist(&ready).unwrap();
    node.advance(ready).unwrap();
    buffers = node.give_back().unwrap();
    assert!(!node.has_ready() && buffers.messages.is_empty());
}
