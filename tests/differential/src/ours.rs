//! A member of raftcore.

use std::collections::{BTreeMap, VecDeque};

use raftcore::{
    AnyConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, ConfState, Config, EntryKind,
    Index, MemoryStorage, Message, Node, NodeId, RoleKind, Storage, Transition,
};

use crate::group::{Change, ELECTION_TICKS, Look, Member, Members, Part, Setup};

pub struct Ours {
    node: Node<MemoryStorage>,
    applied: Index,
    conf_state: ConfState,
}

impl Ours {
    /// A snapshot to send is one of now, as the storage of the other library makes them.
    fn refresh_snapshot(&mut self) {
        let (applied, conf_state) = (self.applied, self.conf_state.clone());
        // There may be one already.
        let _ = self.node.storage_mut().create_snapshot(applied, Some(conf_state), "");
    }
}

impl Member for Ours {
    type Message = Message;

    fn new(id: u64, founders: &[u64], setup: &Setup) -> Self {
        let mut config = Config::new(id, id);
        config.election_timeout_ticks = ELECTION_TICKS;
        (config.pre_vote, config.check_quorum) = (setup.pre_vote, setup.check_quorum);
        config.max_message_bytes = setup.message_bytes;
        let conf_state = ConfState::with_voters(founders.iter().copied());
        let storage = MemoryStorage::with_conf_state(conf_state.clone());
        let node = Node::new(&config, storage).expect("a valid configuration");
        Self { node, applied: Index::ZERO, conf_state }
    }

    fn tick(&mut self) {
        self.node.tick().expect("a healthy node");
    }

    fn campaign(&mut self) {
        self.node.campaign().expect("a healthy node");
    }

    fn propose(&mut self, data: &[u8]) {
        // Dropped is dropped: the logs say so.
        let _ = self.node.propose(data.to_vec());
    }

    fn change(&mut self, change: &Change) {
        let single = |part: &Part| {
            let (kind, node) = match *part {
                Part::Voter(id) => (ConfChangeKind::AddVoter, id),
                Part::Learner(id) => (ConfChangeKind::AddLearner, id),
                Part::Removed(id) => (ConfChangeKind::Remove, id),
            };
            ConfChangeSingle { kind, node }
        };
        let transitions = [Transition::Auto, Transition::JointImplicit, Transition::JointExplicit];
        let change = ConfChangeV2 {
            transition: transitions[usize::from(change.transition)],
            changes: change.parts.iter().map(single).collect(),
            ..ConfChangeV2::default()
        };
        let _ = self.node.propose_conf_change(&AnyConfChange::Many(change));
    }

    fn transfer(&mut self, to: u64) {
        let to = NodeId::new(to).expect("an id");
        let _ = self.node.transfer_leader(to);
    }

    fn step(&mut self, message: Message) {
        let _ = self.node.step(message);
    }

    fn compact(&mut self, keep: u64) {
        self.refresh_snapshot();
        let to = Index(self.applied.0.saturating_sub(keep));
        let _ = self.node.storage_mut().compact(to);
    }

    fn work(&mut self, out: &mut VecDeque<(u64, Message)>) -> bool {
        let Some(mut ready) = self.node.ready().expect("a healthy node") else { return false };
        out.extend(ready.messages.drain(..).map(|message| (message.to.get(), message)));
        self.node.storage_mut().persist(&ready).expect("memory takes all");
        out.extend(ready.messages_after_sync.drain(..).map(|message| (message.to.get(), message)));
        if let Some(snapshot) = &ready.snapshot {
            self.applied = snapshot.index();
            self.conf_state = snapshot.conf_state.clone();
        }
        for entry in ready.committed.iter() {
            self.applied = entry.index;
            if entry.is_conf_change() {
                let applied = self.node.apply_conf_change_entry(entry).expect("it was committed");
                self.conf_state = applied.conf_state;
            }
        }
        self.node.advance(ready).expect("all of it is done");
        self.refresh_snapshot();
        true
    }

    fn look(&self) -> Look {
        let (status, storage) = (self.node.status(), self.node.storage());
        let state = status.hard_state;
        let (first, last) = (storage.first_index().unwrap(), storage.last_index().unwrap());
        let entries = match last < first {
            true => raftcore::Entries::new(),
            false => storage.entries(first, Index(last.0 + 1), u64::MAX).unwrap(),
        };
        let seen = |entry: &raftcore::Entry| {
            let (kind, data) = match entry.kind {
                EntryKind::Normal => (0, entry.data.to_vec()),
                EntryKind::ConfChange => (1, Vec::new()),
                _ => (2, Vec::new()),
            };
            (entry.index.0, (entry.term.0, kind, data))
        };
        let ConfState { voters, voters_outgoing, learners, learners_next, auto_leave } =
            status.membership.to_conf_state();
        Look {
            term: state.term.0,
            vote: NodeId::or_zero(state.vote),
            leader: NodeId::or_zero(status.soft_state.leader),
            leads: status.soft_state.role == RoleKind::Leader,
            commit: state.commit.0,
            applied: status.applied.0,
            members: Members {
                voters,
                outgoing: voters_outgoing,
                learners,
                learners_next,
                auto_leave,
            },
            last: status.last_index.0,
            log: entries.iter().map(seen).collect::<BTreeMap<_, _>>(),
        }
    }
}
