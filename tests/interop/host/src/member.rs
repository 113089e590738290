//! One node with the part of its log that it reads back, and the work that it has handed out.

use std::collections::BTreeMap;

use raftcore::{
    ConfState, Config, Entries, EntryKind, HardState, Index, MemoryStorage, Message, Node, NodeId,
    Peer, ReadOnly, Ready, Reply, SnapshotStatus, Storage, StorageAppend, StorageApply,
    StorageError, Term, wire,
};

use crate::frame::{Failure, Input, Output};
use crate::reencode::conf_change;

/// The commands for a node by their number.
mod op {
    pub(crate) const TICK: u8 = 10;
    pub(crate) const STEP: u8 = 11;
    pub(crate) const PROPOSE: u8 = 12;
    pub(crate) const PROPOSE_CONF_CHANGE: u8 = 13;
    pub(crate) const CAMPAIGN: u8 = 14;
    pub(crate) const TRANSFER: u8 = 15;
    pub(crate) const READ_INDEX: u8 = 16;
    pub(crate) const REPORT_UNREACHABLE: u8 = 17;
    pub(crate) const REPORT_SNAPSHOT: u8 = 18;
    pub(crate) const FORGET_LEADER: u8 = 19;
    pub(crate) const READY: u8 = 20;
    pub(crate) const ADVANCE: u8 = 21;
    pub(crate) const APPEND_DONE: u8 = 22;
    pub(crate) const APPLY_DONE: u8 = 23;
    pub(crate) const SNAPSHOT: u8 = 24;
    pub(crate) const STATUS: u8 = 25;
    pub(crate) const LOG: u8 = 26;
}

/// The switches of a new node.
mod flag {
    pub(crate) const PRE_VOTE: u32 = 1;
    pub(crate) const CHECK_QUORUM: u32 = 2;
    pub(crate) const LEASE_BASED_READS: u32 = 4;
    pub(crate) const NO_FORWARDING: u32 = 8;
    pub(crate) const NO_VALIDATION: u32 = 16;
    pub(crate) const STEP_DOWN_ON_REMOVAL: u32 = 32;
    pub(crate) const ASYNC_STORAGE_WRITES: u32 = 64;
    /// Of the two kinds of lease the one that upstream does not have.
    pub(crate) const VERIFIED_LEASES: u32 = 128;
}

/// A log in memory, beside which the membership at a later applied index may be given.
struct Disk {
    memory: MemoryStorage,
    /// What the node starts from, if not from the snapshot's membership.
    conf_state: Option<ConfState>,
}

impl Storage for Disk {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        let (hard_state, conf_state) = self.memory.initial_state()?;
        Ok((hard_state, self.conf_state.clone().unwrap_or(conf_state)))
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        self.memory.entries(low, high, max_bytes)
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.memory.term(index)
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        self.memory.first_index()
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        self.memory.last_index()
    }

    fn snapshot(&self) -> Result<raftcore::Snapshot, StorageError> {
        self.memory.snapshot()
    }
}

/// A node and what it has handed out.
pub(crate) struct Member {
    node: Node<Disk>,
    /// The membership after the last entry that was applied.
    conf_state: ConfState,
    is_async: bool,
    /// The Ready that is to be advanced.
    outstanding: Option<Ready>,
    /// Work for the two storage threads, which the other side plays, by the number of its Ready.
    appends: BTreeMap<u64, StorageAppend>,
    applies: BTreeMap<u64, StorageApply>,
}

impl Member {
    /// Makes a node from a configuration and what its disk holds; with peers it founds a group.
    pub(crate) fn create(input: &mut Input) -> Result<Self, Failure> {
        let config = config(input)?;
        let has_conf_state = input.u8()? != 0;
        let conf_state = input.conf_state()?;
        let hard_state = wire::decode_hard_state(input.bytes()?)?;
        let snapshot = wire::decode_snapshot(input.bytes()?)?;
        let entries = input.list(|input| Ok(wire::decode_entry(input.bytes()?)?))?;
        let peers = input.list(|input| {
            let id = node_id(input.u64()?)?;
            Ok(Peer { id, context: input.bytes()? })
        })?;
        let mut memory = MemoryStorage::new();
        if !snapshot.is_empty() {
            memory.apply_snapshot(snapshot)?;
        }
        memory.append(&Entries::from(entries))?;
        memory.set_hard_state(hard_state);
        let disk = Disk { memory, conf_state: has_conf_state.then_some(conf_state) };
        let (_, conf_state) = disk.initial_state()?;
        let mut node = Node::new(&config, disk)?;
        if !peers.is_empty() {
            node.bootstrap(&peers)?;
        }
        let (appends, applies) = Default::default();
        let is_async = config.async_storage_writes;
        Ok(Self { node, conf_state, is_async, outstanding: None, appends, applies })
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.node.has_ready()
    }

    /// Carries out a command.
    pub(crate) fn run(
        &mut self,
        code: u8,
        input: &mut Input,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let node = &mut self.node;
        match code {
            op::TICK => node.tick()?,
            op::STEP => node.step_encoded(input.bytes()?)?,
            op::PROPOSE => {
                node.propose(input.bytes()?)?;
            }
            op::PROPOSE_CONF_CHANGE => self.propose_conf_change(input)?,
            op::CAMPAIGN => node.campaign()?,
            op::TRANSFER => node.transfer_leader(node_id(input.u64()?)?)?,
            op::READ_INDEX => node.read_index(input.bytes()?)?,
            op::REPORT_UNREACHABLE => node.report_unreachable(node_id(input.u64()?)?)?,
            op::REPORT_SNAPSHOT => {
                let member = node_id(input.u64()?)?;
                let arrived = input.u8()? != 0;
                let status =
                    if arrived { SnapshotStatus::Finished } else { SnapshotStatus::Failed };
                node.report_snapshot(member, status)?;
            }
            op::FORGET_LEADER => node.forget_leader()?,
            op::READY => self.ready(output)?,
            op::ADVANCE => self.advance(output)?,
            op::APPEND_DONE => self.append_done(input.u64()?, output)?,
            op::APPLY_DONE => self.apply_done(input.u64()?, output)?,
            op::SNAPSHOT => self.snapshot(input, output)?,
            op::STATUS => self.status(output),
            op::LOG => self.log(output)?,
            _ => return Err(Failure::NoSuchCommand(code)),
        }
        Ok(())
    }

    /// The change comes as an entry's data, the way upstream encodes it.
    fn propose_conf_change(&mut self, input: &mut Input) -> Result<(), Failure> {
        let kind = match input.u8()? {
            1 => EntryKind::ConfChange,
            2 => EntryKind::ConfChangeV2,
            _ => return Err(Failure::Impossible("no such kind of entry")),
        };
        let change = conf_change(kind, input.bytes()?)?;
        self.node.propose_conf_change(&change)?;
        Ok(())
    }

    /// Everything that the node wants done now, and what the other side likes to know beside it.
    fn ready(&mut self, output: &mut Output) -> Result<(), Failure> {
        let Some(mut ready) = self.node.ready()? else {
            output.u8(0);
            return Ok(());
        };
        output.u8(1);
        self.status(output);
        write_ready(&ready, output);
        if !self.is_async {
            self.outstanding = Some(ready);
            return Ok(());
        }
        let number = ready.number();
        if let Some(append) = ready.append.take() {
            self.appends.insert(number, append);
        }
        if let Some(apply) = ready.apply.take() {
            self.applies.insert(number, apply);
        }
        Ok(())
    }

    /// Everything that the outstanding Ready says is done.
    fn advance(&mut self, output: &mut Output) -> Result<(), Failure> {
        let ready =
            self.outstanding.take().ok_or(Failure::Impossible("no Ready is outstanding"))?;
        self.node.storage_mut().memory.persist(&ready)?;
        if let Some(snapshot) = &ready.snapshot {
            self.conf_state = snapshot.conf_state.clone();
        }
        self.apply(&ready.committed)?;
        self.node.advance(ready)?;
        output.conf_state(&self.conf_state);
        Ok(())
    }

    /// The append thread has done the work of this Ready. What it tells peers is sent by the other
    /// side, which has the messages.
    fn append_done(&mut self, number: u64, output: &mut Output) -> Result<(), Failure> {
        let work = self.appends.remove(&number).ok_or(Failure::Impossible("no such append"))?;
        let memory = &mut self.node.storage_mut().memory;
        if let Some(snapshot) = work.snapshot {
            self.conf_state = snapshot.conf_state.clone();
            memory.apply_snapshot(raftcore::Snapshot::clone(&snapshot))?;
        }
        memory.append(&work.entries)?;
        if let Some(hard_state) = work.hard_state {
            memory.set_hard_state(hard_state);
        }
        for reply in work.replies {
            if let Reply::Local(response) = reply {
                self.node.storage_response(response)?;
            }
        }
        output.conf_state(&self.conf_state);
        Ok(())
    }

    /// The apply thread has done the work of this Ready.
    fn apply_done(&mut self, number: u64, output: &mut Output) -> Result<(), Failure> {
        let work = self.applies.remove(&number).ok_or(Failure::Impossible("no such apply"))?;
        self.apply(&work.entries)?;
        self.node.storage_response(work.reply)?;
        output.conf_state(&self.conf_state);
        Ok(())
    }

    fn apply(&mut self, entries: &Entries) -> Result<(), Failure> {
        for entry in entries.iter().filter(|entry| entry.is_conf_change()) {
            let applied = self.node.apply_conf_change_entry(entry)?;
            if applied.skipped.is_some() {
                return Err(Failure::Impossible("a membership change was skipped"));
            }
            self.conf_state = applied.conf_state;
        }
        Ok(())
    }

    /// Stores a snapshot at an applied index and compacts the log, some entries below it excepted.
    fn snapshot(&mut self, input: &mut Input, output: &mut Output) -> Result<(), Failure> {
        let (index, data, kept) = (Index(input.u64()?), input.bytes()?, input.u64()?);
        let conf_state = self.conf_state.clone();
        let memory = &mut self.node.storage_mut().memory;
        let snapshot = memory.create_snapshot(index, Some(conf_state), data)?;
        let last_dropped = Index(index.0.saturating_sub(kept));
        if last_dropped >= memory.first_index()? {
            memory.compact(last_dropped)?;
        }
        write_snapshot(output, &snapshot);
        Ok(())
    }

    fn status(&self, output: &mut Output) {
        let hard_state = self.node.hard_state();
        let soft_state = self.node.soft_state();
        output.u64(hard_state.term.0);
        output.u64(NodeId::or_zero(hard_state.vote));
        output.u64(hard_state.commit.0);
        output.u8(soft_state.role as u8);
        output.u64(NodeId::or_zero(soft_state.leader));
    }

    /// The log as it is stored.
    fn log(&self, output: &mut Output) -> Result<(), Failure> {
        let memory = &self.node.storage().memory;
        let (first, last) = (memory.first_index()?, memory.last_index()?);
        let entries = if first > last {
            Entries::new()
        } else {
            memory.entries(first, last.next(), u64::MAX)?
        };
        output.list(entries.iter(), Output::entry);
        Ok(())
    }
}

/// A configuration, with every switch at upstream's side. One stays as it is: that votes wait for
/// the sync is what upstream asks of its applications in prose, for all messages.
fn config(input: &mut Input) -> Result<Config, Failure> {
    let mut config = Config::new(input.u64()?, input.u64()?);
    config.election_timeout_ticks = input.u32()?;
    config.heartbeat_interval_ticks = input.u32()?;
    let flags = input.u32()?;
    let is_set = |flag| flags & flag != 0;
    config.pre_vote = is_set(flag::PRE_VOTE);
    config.check_quorum = is_set(flag::CHECK_QUORUM);
    if is_set(flag::LEASE_BASED_READS) {
        config.read_only = ReadOnly::LeaseUnverified;
    }
    if is_set(flag::VERIFIED_LEASES) {
        config.read_only = ReadOnly::LeaseBased;
    }
    config.forward_proposals = !is_set(flag::NO_FORWARDING);
    config.validate_conf_changes = !is_set(flag::NO_VALIDATION);
    config.step_down_on_removal = is_set(flag::STEP_DOWN_ON_REMOVAL);
    config.async_storage_writes = is_set(flag::ASYNC_STORAGE_WRITES);
    config.max_message_bytes = input.u64()?;
    config.max_committed_bytes_per_ready = input.u64()?;
    config.max_uncommitted_bytes = input.u64()?;
    config.max_inflight_messages = input.u32()? as usize;
    config.max_inflight_bytes = input.u64()?;
    config.applied = Index(input.u64()?);
    Ok(config)
}

fn node_id(number: u64) -> Result<NodeId, Failure> {
    NodeId::new(number).ok_or(Failure::Impossible("no member can have this id"))
}

fn write_message(out: &mut Output, message: &Message) {
    out.u64(message.from.get());
    out.u64(message.to.get());
    out.u64(message.term.0);
    out.u8(message.body.kind() as u8);
    out.bytes(&wire::encode(message));
}

/// A snapshot in plain form, and as a disk would hold it.
fn write_snapshot(out: &mut Output, snapshot: &raftcore::Snapshot) {
    out.u64(snapshot.term().0);
    out.u64(snapshot.index().0);
    out.bytes(&snapshot.data);
    out.conf_state(&snapshot.conf_state);
    out.bytes(&wire::encode_snapshot(snapshot));
}

fn write_ready(ready: &Ready, out: &mut Output) {
    out.u64(ready.number());
    out.list(&ready.messages, write_message);
    out.list(&ready.messages_after_sync, write_message);
    out.list(&ready.read_states, |out, read| {
        out.u64(read.index.0);
        out.bytes(&read.context);
    });
    out.u8(ready.append.is_some().into());
    match &ready.append {
        Some(append) => write_work(append, out),
        None => {
            write_hard_state(ready.hard_state, out);
            out.option(ready.snapshot.as_deref(), write_snapshot);
            out.list(ready.entries.iter(), Output::entry);
            out.list([], write_message);
        }
    }
    out.list(ready.committed.iter(), Output::entry);
}

/// What the append thread is to write, and what it then tells peers.
fn write_work(append: &StorageAppend, out: &mut Output) {
    write_hard_state(append.hard_state, out);
    out.option(append.snapshot.as_deref(), write_snapshot);
    out.list(append.entries.iter(), Output::entry);
    let to_peers = append.replies.iter().filter_map(|reply| match reply {
        Reply::Peer(message) => Some(message),
        Reply::Local(_) => None,
    });
    out.list(to_peers, write_message);
}

/// No bytes when there is none: a hard state that is to be written is never empty.
fn write_hard_state(state: Option<HardState>, out: &mut Output) {
    out.bytes(&state.map(|state| wire::encode_hard_state(&state)).unwrap_or_default());
}
