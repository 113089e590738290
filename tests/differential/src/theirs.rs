//! A member of raft-rs.

use std::collections::VecDeque;

use protobuf::Message as _;
use raft::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
    Entry, EntryType, Message,
};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole, Storage};

use crate::group::{Change, ELECTION_TICKS, Look, Member, Members, Part, Setup};

pub struct Theirs {
    node: RawNode<MemStorage>,
    conf_state: ConfState,
}

impl Theirs {
    fn apply(&mut self, entries: &[Entry]) {
        for entry in entries {
            let applied = match entry.get_entry_type() {
                EntryType::EntryNormal => continue,
                EntryType::EntryConfChange => {
                    let change = ConfChange::parse_from_bytes(&entry.data).expect("our own");
                    self.node.apply_conf_change(&change)
                }
                EntryType::EntryConfChangeV2 => {
                    let change = ConfChangeV2::parse_from_bytes(&entry.data).expect("our own");
                    self.node.apply_conf_change(&change)
                }
            };
            self.conf_state = applied.expect("it was committed");
            self.node.store().wl().set_conf_state(self.conf_state.clone());
        }
    }
}

fn queue(out: &mut VecDeque<(u64, Message)>, messages: Vec<Message>) {
    out.extend(messages.into_iter().map(|message| (message.to, message)));
}

impl Member for Theirs {
    type Message = Message;

    fn new(id: u64, founders: &[u64], setup: &Setup) -> Self {
        let conf_state = ConfState::from((founders.to_vec(), Vec::new()));
        let storage = MemStorage::new_with_conf_state(conf_state.clone());
        let config = Config {
            id,
            election_tick: ELECTION_TICKS as usize,
            heartbeat_tick: 1,
            max_size_per_msg: setup.message_bytes,
            max_inflight_msgs: 256,
            pre_vote: setup.pre_vote,
            check_quorum: setup.check_quorum,
            ..Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, storage, &logger).expect("a valid configuration");
        Self { node, conf_state }
    }

    fn tick(&mut self) {
        self.node.tick();
    }

    fn campaign(&mut self) {
        let _ = self.node.campaign();
    }

    fn propose(&mut self, data: &[u8]) {
        let _ = self.node.propose(Vec::new(), data.to_vec());
    }

    fn change(&mut self, change: &Change) {
        let mut proposed = ConfChangeV2::default();
        proposed.set_transition(match change.transition {
            0 => ConfChangeTransition::Auto,
            1 => ConfChangeTransition::Implicit,
            _ => ConfChangeTransition::Explicit,
        });
        for part in &change.parts {
            let mut single = ConfChangeSingle::default();
            let (kind, id) = match *part {
                Part::Voter(id) => (ConfChangeType::AddNode, id),
                Part::Learner(id) => (ConfChangeType::AddLearnerNode, id),
                Part::Removed(id) => (ConfChangeType::RemoveNode, id),
            };
            single.set_change_type(kind);
            single.node_id = id;
            proposed.mut_changes().push(single);
        }
        let _ = self.node.propose_conf_change(Vec::new(), proposed);
    }

    fn transfer(&mut self, to: u64) {
        self.node.transfer_leader(to);
    }

    fn step(&mut self, message: Message) {
        let _ = self.node.step(message);
    }

    fn compact(&mut self, keep: u64) {
        let applied = self.node.raft.raft_log.applied();
        // Here the index is the first that stays.
        let _ = self.node.store().wl().compact(applied.saturating_sub(keep) + 1);
    }

    fn work(&mut self, out: &mut VecDeque<(u64, Message)>) -> bool {
        if !self.node.has_ready() {
            return false;
        }
        let mut ready = self.node.ready();
        queue(out, ready.take_messages());
        if *ready.snapshot() != raft::eraftpb::Snapshot::default() {
            let snapshot = ready.snapshot().clone();
            self.conf_state = snapshot.get_metadata().get_conf_state().clone();
            self.node.store().wl().apply_snapshot(snapshot).expect("a newer one");
        }
        // Before its application: a snapshot of now has the commit index of now.
        self.node.store().wl().append(ready.entries()).expect("memory takes all");
        if let Some(state) = ready.hs() {
            self.node.store().wl().set_hardstate(state.clone());
        }
        let committed = ready.take_committed_entries();
        self.apply(&committed);
        queue(out, ready.take_persisted_messages());
        let mut light = self.node.advance(ready);
        if let Some(commit) = light.commit_index() {
            self.node.store().wl().mut_hard_state().set_commit(commit);
        }
        queue(out, light.take_messages());
        let committed = light.take_committed_entries();
        self.apply(&committed);
        self.node.advance_apply();
        true
    }

    fn look(&self) -> Look {
        let (raft, store) = (&self.node.raft, self.node.store());
        let (first, last) = (store.first_index().unwrap(), store.last_index().unwrap());
        let context = raft::GetEntriesContext::empty(false);
        let entries = match last < first {
            true => Vec::new(),
            false => store.entries(first, last + 1, None, context).unwrap(),
        };
        let seen = |entry: &Entry| {
            let (kind, data) = match entry.get_entry_type() {
                EntryType::EntryNormal => (0, entry.data.to_vec()),
                EntryType::EntryConfChange => (1, Vec::new()),
                EntryType::EntryConfChangeV2 => (2, Vec::new()),
            };
            (entry.index, (entry.term, kind, data))
        };
        let sorted = |ids: &[u64]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        let state = &self.conf_state;
        Look {
            term: raft.term,
            vote: raft.vote,
            leader: raft.leader_id,
            leads: raft.state == StateRole::Leader,
            commit: raft.raft_log.committed,
            applied: raft.raft_log.applied(),
            members: Members {
                voters: sorted(&state.voters),
                outgoing: sorted(&state.voters_outgoing),
                learners: sorted(&state.learners),
                learners_next: sorted(&state.learners_next),
                auto_leave: state.auto_leave,
            },
            last: raft.raft_log.last_index(),
            log: entries.iter().map(seen).collect(),
        }
    }
}
