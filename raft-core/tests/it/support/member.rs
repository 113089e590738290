//! A node together with an application that does exactly what a Ready says, in its order.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

use raftcore::{
    BadConfChange, Body, ConfState, Config, Entries, Entry, HardState, Index, LocalResponse,
    MemoryStorage, Message, Node, ReadState, Ready, Reply, RoleKind, Snapshot, StorageAppend,
    StorageApply, Term,
};

use super::words::{id, pre_vote_response, vote_response, voters};
use super::{FaultyStorage, words};

/// A node, its storage and its application. Dereferences to the node.
pub(crate) struct Member {
    pub(crate) node: Node<FaultyStorage>,
    pub(crate) config: Config,
    /// What the application has applied, entries without payload included.
    pub(crate) applied: Vec<Entry>,
    /// The snapshots that it was restored from.
    pub(crate) restored: Vec<Snapshot>,
    /// Reads that were answered.
    pub(crate) reads: Vec<ReadState>,
    /// Committed membership changes that the node skipped.
    pub(crate) skipped: Vec<BadConfChange>,
    /// Whether the application refuses every membership change.
    pub(crate) veto: bool,
    /// Whether the storage threads wait for [`run_append`](Self::run_append) and
    /// [`run_apply`](Self::run_apply).
    pub(crate) manual: bool,
    pub(crate) appends: VecDeque<StorageAppend>,
    pub(crate) applies: VecDeque<StorageApply>,
}

/// What most stories begin with: the defaults without pre-vote and check-quorum, which have
/// stories of their own.
pub(crate) fn plain_config(id: u64) -> Config {
    let mut config = Config::new(id, id);
    config.pre_vote = false;
    config.check_quorum = false;
    config
}

impl Member {
    /// One of these voters, with an empty log.
    pub(crate) fn new(id: u64, members: &[u64]) -> Self {
        Self::with(id, members, |_| ())
    }

    /// As [`new`](Self::new), with changes to the configuration.
    pub(crate) fn with(id: u64, members: &[u64], change: impl FnOnce(&mut Config)) -> Self {
        Self::of(id, voters(members), change)
    }

    /// A member of any group, with an empty log.
    pub(crate) fn of(id: u64, members: ConfState, change: impl FnOnce(&mut Config)) -> Self {
        Self::on(id, MemoryStorage::with_conf_state(members), change)
    }

    /// A member that finds this log: the terms of the entries from index 1 on. The last of them
    /// is the stored term.
    pub(crate) fn with_log(id: u64, members: &[u64], terms: &[u64], commit: u64) -> Self {
        Self::with_log_and(id, members, terms, commit, |_| ())
    }

    pub(crate) fn with_log_and(
        id: u64,
        members: &[u64],
        terms: &[u64],
        commit: u64,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::on(id, Self::storage_with(members, terms, commit), change)
    }

    /// A stored log with these terms from index 1 on; the last of them is the stored term.
    pub(crate) fn storage_with(members: &[u64], terms: &[u64], commit: u64) -> MemoryStorage {
        let mut storage = MemoryStorage::with_conf_state(voters(members));
        let log: Entries = (1..).zip(terms).map(|(i, term)| words::entry(*term, i)).collect();
        storage.append(&log).unwrap();
        let term = Term(terms.last().copied().unwrap_or_default());
        storage.set_hard_state(HardState { term, vote: None, commit: Index(commit) });
        storage
    }

    pub(crate) fn on(id: u64, storage: MemoryStorage, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = plain_config(id);
        change(&mut config);
        let node = Node::new(&config, FaultyStorage::new(storage)).expect("a good configuration");
        Self {
            node,
            config,
            applied: Vec::new(),
            restored: Vec::new(),
            reads: Vec::new(),
            skipped: Vec::new(),
            veto: false,
            manual: false,
            appends: VecDeque::new(),
            applies: VecDeque::new(),
        }
    }

    /// The process dies and starts again on what its storage has. The application begins anew.
    pub(crate) fn restart(&mut self) {
        let storage = self.node.storage().inner.clone();
        let config = self.config.clone();
        *self = Self::on(config.id, storage, |c| *c = config);
    }

    /// Does what every waiting Ready says, and returns the messages in the order of sending.
    pub(crate) fn drain(&mut self) -> Vec<Message> {
        let mut sent = Vec::new();
        while let Some(ready) = self.node.ready().expect("a Ready") {
            sent.extend(self.handle(ready));
        }
        sent
    }

    /// Takes one Ready, which must be there.
    pub(crate) fn take_ready(&mut self) -> Ready {
        self.node.ready().expect("no error").expect("a Ready")
    }

    /// Does what a Ready says.
    pub(crate) fn handle(&mut self, mut ready: Ready) -> Vec<Message> {
        let mut sent = std::mem::take(&mut ready.messages);
        self.reads.append(&mut ready.read_states);
        if self.config.async_storage_writes {
            self.appends.extend(ready.append.take());
            self.applies.extend(ready.apply.take());
            if !self.manual {
                sent.extend(self.run_storage());
            }
            return sent;
        }
        self.node.storage_mut().inner.persist(&ready).expect("a storage that takes it");
        sent.append(&mut ready.messages_after_sync);
        self.restored.extend(ready.snapshot.as_deref().cloned());
        self.apply(&ready.committed);
        self.node.advance(ready).expect("a Ready that was done");
        sent
    }

    /// Applies committed entries as an application does, but for the acknowledgement.
    pub(crate) fn apply(&mut self, committed: &Entries) {
        for entry in committed.iter() {
            if entry.is_conf_change() && !self.veto {
                let applied = self.node.apply_conf_change_entry(entry).expect("no fault");
                self.skipped.extend(applied.skipped);
            }
            self.applied.push(entry.clone());
        }
    }

    /// Both storage threads do everything that waits.
    pub(crate) fn run_storage(&mut self) -> Vec<Message> {
        let mut sent = Vec::new();
        while !self.appends.is_empty() {
            sent.extend(self.run_append());
        }
        while !self.applies.is_empty() {
            self.run_apply();
        }
        sent
    }

    /// The append thread does its oldest piece of work and passes on what hangs on it.
    pub(crate) fn run_append(&mut self) -> Vec<Message> {
        let (sent, local) = self.write_append();
        for response in local {
            self.node.storage_response(response).expect("a response that is awaited");
        }
        sent
    }

    /// The append thread writes, but the replies are kept back.
    pub(crate) fn write_append(&mut self) -> (Vec<Message>, Vec<LocalResponse>) {
        let work = self.appends.pop_front().expect("work for the append thread");
        let storage = &mut self.node.storage_mut().inner;
        if let Some(snapshot) = &work.snapshot {
            storage.apply_snapshot(Snapshot::clone(snapshot)).expect("a newer snapshot");
            self.restored.push(Snapshot::clone(snapshot));
        }
        let storage = &mut self.node.storage_mut().inner;
        storage.append(&work.entries).expect("no gap");
        if let Some(state) = work.hard_state {
            storage.set_hard_state(state);
        }
        let (mut sent, mut local) = (Vec::new(), Vec::new());
        for reply in work.replies {
            match reply {
                Reply::Peer(message) => sent.push(message),
                Reply::Local(response) => local.push(response),
            }
        }
        (sent, local)
    }

    /// The apply thread does its oldest piece of work.
    pub(crate) fn run_apply(&mut self) {
        let work = self.applies.pop_front().expect("work for the apply thread");
        self.apply(&work.entries);
        self.node.storage_response(work.reply).expect("a response that is awaited");
    }

    /// Campaigns and is given every vote, pre-votes first if it asks for them. What it sends on
    /// the way is lost.
    pub(crate) fn become_leader(&mut self) {
        self.node.campaign().unwrap();
        loop {
            let own = self.node.id();
            let requests = self.drain();
            let mut asked = false;
            for request in requests {
                let (from, term) = (request.to.get(), request.term.0);
                let grant = match request.body {
                    Body::Vote(_) => vote_response(from, own.get(), term, true),
                    Body::PreVote(_) => pre_vote_response(from, own.get(), term, true),
                    _ => continue,
                };
                asked = true;
                self.node.step(grant).unwrap();
            }
            if !asked {
                break;
            }
        }
        self.drain();
        assert_eq!(self.role(), RoleKind::Leader);
    }

    /// As [`become_leader`](Self::become_leader), and everybody acknowledges its whole log.
    pub(crate) fn lead_all(&mut self) {
        self.become_leader();
        let members: Vec<u64> =
            self.node.status().membership.members().map(|member| member.get()).collect();
        for from in members {
            if from != self.node.id().get() {
                self.acknowledge(from);
            }
        }
        self.drain();
    }

    /// This member acknowledges the whole log.
    pub(crate) fn acknowledge(&mut self, from: u64) {
        let (own, last) = (self.node.id().get(), self.last_index());
        let term = self.term();
        self.node.step(words::accepted(from, own, term, last)).unwrap();
    }

    pub(crate) fn tick_times(&mut self, times: u32) {
        for _ in 0..times {
            self.node.tick().unwrap();
        }
    }

    pub(crate) fn role(&self) -> RoleKind {
        self.node.soft_state().role
    }

    pub(crate) fn leader(&self) -> Option<u64> {
        self.node.soft_state().leader.map(|leader| leader.get())
    }

    pub(crate) fn term(&self) -> u64 {
        self.node.hard_state().term.0
    }

    pub(crate) fn vote(&self) -> Option<u64> {
        self.node.hard_state().vote.map(|vote| vote.get())
    }

    pub(crate) fn commit(&self) -> u64 {
        self.node.hard_state().commit.0
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.node.status().last_index.0
    }

    /// The membership as text.
    pub(crate) fn members(&self) -> String {
        self.node.status().membership.to_string()
    }

    /// What this leader knows of a member, as text.
    pub(crate) fn progress_of(&self, member: u64) -> String {
        let status = self.node.status();
        let peer = status.progress.iter().find(|peer| peer.id == id(member));
        peer.map_or_else(|| "unknown".to_string(), |peer| peer.describe())
    }

    pub(crate) fn match_of(&self, member: u64) -> u64 {
        let status = self.node.status();
        let peer = status.progress.iter().find(|peer| peer.id == id(member));
        peer.expect("a member").progress.match_index().0
    }

    pub(crate) fn next_of(&self, member: u64) -> u64 {
        let status = self.node.status();
        let peer = status.progress.iter().find(|peer| peer.id == id(member));
        peer.expect("a member").progress.next_index().0
    }

    /// The payloads that the application has applied, without empty ones and membership changes.
    pub(crate) fn payloads(&self) -> Vec<String> {
        let normal = self.applied.iter().filter(|e| !e.is_conf_change() && !e.data.is_empty());
        normal.map(|entry| String::from_utf8_lossy(&entry.data).into_owned()).collect()
    }

    /// Takes a snapshot at what is applied and drops the log up to there.
    pub(crate) fn compact(&mut self) -> Snapshot {
        let index = self.node.status().applied;
        let members = self.node.status().membership.to_conf_state();
        let storage = &mut self.node.storage_mut().inner;
        let made = storage.create_snapshot(index, Some(members), "state").expect("something new");
        storage.compact(index).expect("something to drop");
        made
    }
}

impl Deref for Member {
    type Target = Node<FaultyStorage>;

    fn deref(&self) -> &Self::Target {
        &self.node
    }
}

impl DerefMut for Member {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.node
    }
}
