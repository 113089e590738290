//! The replay side: what each language writes anew on its own binding. It drives the nodes through
//! their public door alone and decides nothing.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raftcore::{
    AnyConfChange, ConfState, Config, Entries, Entry, EntryKind, Error, HardState, Index,
    LocalResponse, MemoryStorage, Node, NodeId, Peer, Ready, Reply, Snapshot, SnapshotStatus,
    Storage, StorageAppend, StorageApply, StorageError, Term, wire,
};

use super::hash::OutputHash;
use super::{HEADER, settings, unhex};

/// What a schedule did when it was replayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// The hash that the file names.
    pub expected: u64,
    /// The hash over what came out.
    pub got: u64,
    /// How many lines were carried out.
    pub inputs: usize,
}

/// Replays a schedule.
///
/// # Errors
/// The line that cannot be understood or carried out.
pub fn replay(text: &str) -> Result<Replayed, String> {
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, line)| line != HEADER) {
        return Err(format!("line 1 is not {HEADER}"));
    }
    let mut replicas: BTreeMap<u64, Replica> = BTreeMap::new();
    let mut hash = OutputHash::new();
    let (mut inputs, mut expected) = (0, None);
    for (number, line) in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let done = match words.as_slice() {
            ["#", ..] | ["needs", ..] => continue,
            ["hash", value] => {
                expected = u64::from_str_radix(value, 16).ok();
                continue;
            }
            ["node", rest @ ..] => settings::parse(rest).map(|config| {
                replicas.insert(config.id, Replica::new(config));
            }),
            [command, id, rest @ ..] => id
                .parse()
                .ok()
                .and_then(|id: u64| replicas.get_mut(&id))
                .and_then(|replica| replica.line(command, rest, &mut hash)),
            _ => None,
        };
        done.ok_or_else(|| format!("line {number} cannot be carried out: {line}"))?;
        inputs += 1;
    }
    let expected = expected.ok_or("the schedule names no hash")?;
    Ok(Replayed { expected, got: hash.0, inputs })
}

/// The memory storage, with a switch for each way in which reading it can fail.
#[derive(Default)]
struct FaultyStorage {
    log: MemoryStorage,
    reads_fail: Cell<bool>,
    snapshot_busy: Cell<bool>,
}

impl FaultyStorage {
    fn readable(&self) -> Result<&MemoryStorage, StorageError> {
        if self.reads_fail.get() { Err(StorageError::failed("as told")) } else { Ok(&self.log) }
    }

    /// Snapshot, entries, hard state. A snapshot that is not newer than the stored one is passed
    /// over.
    fn persist(
        &mut self,
        snapshot: Option<&Snapshot>,
        entries: &Entries,
        hard_state: Option<HardState>,
    ) -> Result<(), StorageError> {
        if let Some(snapshot) = snapshot {
            match self.log.apply_snapshot(snapshot.clone()) {
                Ok(()) | Err(StorageError::SnapshotOutOfDate) => {}
                Err(error) => return Err(error),
            }
        }
        self.log.append(entries)?;
        if let Some(hard_state) = hard_state {
            self.log.set_hard_state(hard_state);
        }
        Ok(())
    }
}

impl Storage for FaultyStorage {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        self.readable()?.initial_state()
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        self.readable()?.entries(low, high, max_bytes)
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.readable()?.term(index)
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        self.readable()?.first_index()
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        self.readable()?.last_index()
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let log = self.readable()?;
        if self.snapshot_busy.get() {
            return Err(StorageError::SnapshotTemporarilyUnavailable);
        }
        log.snapshot()
    }
}

/// A node of a schedule with its storage and the work that it handed out.
struct Replica {
    config: Config,
    /// Until the node is made.
    storage: FaultyStorage,
    node: Option<Node<FaultyStorage>>,
    ready: Option<Ready>,
    /// With asynchronous storage writes: work to be written, replies to be given back, entries to
    /// be applied, each in the order in which it came.
    to_write: VecDeque<StorageAppend>,
    written: VecDeque<LocalResponse>,
    to_apply: VecDeque<StorageApply>,
}

impl Replica {
    fn new(config: Config) -> Self {
        Self {
            config,
            storage: FaultyStorage::default(),
            node: None,
            ready: None,
            to_write: VecDeque::new(),
            written: VecDeque::new(),
            to_apply: VecDeque::new(),
        }
    }

    /// One line. Nothing, if it makes no sense here.
    fn line(&mut self, command: &str, rest: &[&str], hash: &mut OutputHash) -> Option<()> {
        match (command, rest) {
            ("store", [what, rest @ ..]) => return self.store(what, rest),
            ("create", []) => {
                let storage = std::mem::take(&mut self.storage);
                self.node = Some(Node::new(&self.config, storage).ok()?);
                return Some(());
            }
            ("reads-fail" | "snapshot-busy", [on]) => {
                let storage = self.node.as_ref()?.storage();
                let is_read = command == "reads-fail";
                let switch = if is_read { &storage.reads_fail } else { &storage.snapshot_busy };
                switch.set(*on == "1");
                return Some(());
            }
            ("persist", []) => return self.persist(),
            ("compact", [index, to, state, data]) => {
                let log = &mut self.node.as_mut()?.storage_mut().log;
                let state = wire::decode_conf_state(unhex(state)?).ok()?;
                let index = Index(index.parse().ok()?);
                log.create_snapshot(index, Some(state), unhex(data)?).ok()?;
                return match log.compact(Index(to.parse().ok()?)) {
                    Ok(()) | Err(StorageError::Compacted) => Some(()),
                    Err(_) => None,
                };
            }
            ("ready", []) => return self.take_ready(hash),
            ("advance", []) => return self.advance(hash),
            _ => {}
        }
        let error = self.call(command, rest)?.err();
        hash.result(error.as_ref());
        Some(())
    }

    /// Fills the storage before the node is made.
    fn store(&mut self, what: &str, rest: &[&str]) -> Option<()> {
        let log = &mut self.storage.log;
        match (what, rest) {
            ("hard", [term, vote, commit]) => {
                let number = |word: &str| word.parse::<u64>().ok();
                let (term, commit) = (Term(number(term)?), Index(number(commit)?));
                log.set_hard_state(HardState { term, vote: NodeId::new(number(vote)?), commit });
            }
            ("restore", [bytes]) => {
                log.apply_snapshot(wire::decode_snapshot(unhex(bytes)?).ok()?).ok()?;
            }
            ("snapshot", [bytes]) => {
                let snapshot = wire::decode_snapshot(unhex(bytes)?).ok()?;
                let (index, state) = (snapshot.index(), snapshot.conf_state);
                log.create_snapshot(index, Some(state), snapshot.data).ok()?;
            }
            ("entry", [bytes]) => {
                let entry = wire::decode_entry(unhex(bytes)?).ok()?;
                log.append(&vec![entry].into()).ok()?;
            }
            ("conf-state", [bytes]) => {
                log.set_conf_state(wire::decode_conf_state(unhex(bytes)?).ok()?);
            }
            _ => return None,
        }
        Some(())
    }

    fn take_ready(&mut self, hash: &mut OutputHash) -> Option<()> {
        let is_async = self.config.async_storage_writes;
        let taken = self.node.as_mut()?.ready();
        hash.result(taken.as_ref().err());
        let Ok(Some(mut ready)) = taken else { return Some(()) };
        hash.ready(&ready, is_async);
        if !is_async {
            self.ready = Some(ready);
            return Some(());
        }
        if let Some(append) = ready.append.take() {
            let local = append.replies.iter().filter_map(|reply| match reply {
                Reply::Local(response) => Some(response.clone()),
                Reply::Peer(_) => None,
            });
            self.written.extend(local);
            self.to_write.push_back(append);
        }
        self.to_apply.extend(ready.apply.take());
        Some(())
    }

    fn persist(&mut self) -> Option<()> {
        let storage = self.node.as_mut()?.storage_mut();
        if self.config.async_storage_writes {
            let work = self.to_write.pop_front()?;
            return storage.persist(work.snapshot.as_deref(), &work.entries, work.hard_state).ok();
        }
        let ready = self.ready.as_ref()?;
        storage.persist(ready.snapshot.as_deref(), &ready.entries, ready.hard_state).ok()
    }

    fn advance(&mut self, hash: &mut OutputHash) -> Option<()> {
        let node = self.node.as_mut()?;
        let result = node.advance(self.ready.take()?);
        hash.result(result.as_ref().err());
        if result.is_err() {
            // It is the one to be given back next time.
            self.ready = node.ready().ok()?;
        }
        Some(())
    }

    /// One call on the node.
    fn call(&mut self, command: &str, rest: &[&str]) -> Option<Result<(), Error>> {
        let node = self.node.as_mut()?;
        let member = |word: &str| word.parse().ok().and_then(NodeId::new);
        Some(match (command, rest) {
            ("bootstrap", [list]) => {
                let peers: Option<Vec<Peer>> = list
                    .split(',')
                    .map(|word| Some(Peer { id: member(word)?, context: Bytes::new() }))
                    .collect();
                node.bootstrap(&peers?)
            }
            ("tick", []) => node.tick(),
            ("step", [bytes]) => node.step_encoded(unhex(bytes)?),
            ("propose", [data]) => node.propose(unhex(data)?).map(drop),
            ("propose-conf-change", [kind, data]) => {
                let change = conf_change_of(kind, unhex(data)?)?;
                node.propose_conf_change(&change).map(drop)
            }
            ("read-index", [context]) => node.read_index(unhex(context)?),
            ("transfer-leader", [to]) => node.transfer_leader(member(to)?),
            ("forget-leader", []) => node.forget_leader(),
            ("report-unreachable", [to]) => node.report_unreachable(member(to)?),
            ("report-snapshot", [to, arrived]) => {
                let arrived = *arrived == "1";
                let status =
                    if arrived { SnapshotStatus::Finished } else { SnapshotStatus::Failed };
                node.report_snapshot(member(to)?, status)
            }
            ("campaign", []) => node.campaign(),
            ("apply-conf-change", [index]) => {
                let index = Index(index.parse().ok()?);
                let committed = match self.to_apply.front() {
                    Some(work) => &work.entries,
                    None => &self.ready.as_ref()?.committed,
                };
                let entry = committed.iter().find(|entry| entry.index == index)?;
                node.apply_conf_change_entry(entry).map(drop)
            }
            ("append-response", []) => node.storage_response(self.written.pop_front()?),
            ("apply-response", []) => node.storage_response(self.to_apply.pop_front()?.reply),
            _ => return None,
        })
    }
}

fn conf_change_of(kind: &str, data: Bytes) -> Option<AnyConfChange> {
    let kind = match kind {
        "1" => EntryKind::ConfChange,
        "2" => EntryKind::ConfChangeV2,
        _ => return None,
    };
    wire::decode_conf_change(&Entry { kind, data, ..Entry::default() }).ok().flatten()
}
