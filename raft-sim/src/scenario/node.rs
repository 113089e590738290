//! A node of a scenario with what its application owns: the disk, the work of its two storage
//! threads, and a state machine that appends.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use raftcore::{
    AnyConfChange, ConfState, Config, Entries, Entry, Error, HardState, Index, MemoryStorage, Node,
    Snapshot, Storage, StorageAppend, StorageApply, StorageError, Term, wire,
};

use super::directive::{Failure, Outcome};
use super::error::{told, told_by_storage};

/// A node, or what is left of it while it is down.
pub(crate) struct TestNode {
    pub(crate) id: u64,
    pub(crate) config: Config,
    pub(crate) disk: Disk,
    /// Nothing while the node is down.
    node: Option<Node<Disk>>,
    /// Asked of the append thread and not done, oldest first.
    pub(crate) append_work: VecDeque<StorageAppend>,
    /// Asked of the apply thread and not done, oldest first.
    pub(crate) apply_work: VecDeque<StorageApply>,
}

/// What outlives a crash. Shared, because the node reads what its application writes.
#[derive(Clone)]
pub(crate) struct Disk(Rc<RefCell<Stored>>);

struct Stored {
    log: MemoryStorage,
    /// The state machine after each applied entry, the first being the one it began with. A
    /// snapshot that was received is not among them.
    history: Vec<Snapshot>,
    /// Up to where the application has applied.
    applied: Index,
    /// The membership at that point.
    membership: ConfState,
}

impl Disk {
    /// A new disk. An empty snapshot stands for none.
    pub(crate) fn new(snapshot: Snapshot) -> Result<Self, StorageError> {
        let mut log = MemoryStorage::new();
        if !snapshot.is_empty() {
            log.apply_snapshot(snapshot.clone())?;
        }
        Ok(Self(Rc::new(RefCell::new(Stored {
            log,
            applied: snapshot.index(),
            membership: snapshot.conf_state.clone(),
            history: vec![snapshot],
        }))))
    }

    /// The newest of the state machine's snapshots.
    pub(crate) fn newest_snapshot(&self) -> Snapshot {
        self.0.borrow().history.last().cloned().unwrap_or_default()
    }

    /// Drops the log up to and including this index.
    pub(crate) fn compact(&self, index: Index) -> Result<(), StorageError> {
        self.0.borrow_mut().log.compact(index)
    }

    /// Writes what a Ready or an append message asks for.
    pub(crate) fn persist(
        &self,
        hard_state: Option<HardState>,
        snapshot: Option<&Arc<Snapshot>>,
        entries: &Entries,
    ) -> Outcome {
        let stored = &mut *self.0.borrow_mut();
        if let Some(hard_state) = hard_state.filter(|state| !state.is_empty()) {
            stored.log.set_hard_state(hard_state);
        }
        match snapshot.filter(|snapshot| !snapshot.is_empty()) {
            None => stored.log.append(entries).map_err(|error| told_by_storage(&error)),
            Some(_) if !entries.is_empty() => {
                Err(Failure::told("can't apply snapshot and entries at the same time"))
            }
            Some(snapshot) => {
                stored
                    .log
                    .apply_snapshot(Snapshot::clone(snapshot))
                    .map_err(|error| told_by_storage(&error))?;
                stored.applied = snapshot.index();
                stored.membership = snapshot.conf_state.clone();
                Ok(())
            }
        }
    }

    /// Lets the state machine append an entry's data; of a change of the membership it is the
    /// context, and `membership` is what it led to.
    fn apply(&self, entry: &Entry, data: &[u8], membership: Option<ConfState>) {
        let stored = &mut *self.0.borrow_mut();
        let last = stored.history.last().cloned().unwrap_or_default();
        stored.applied = entry.index;
        if let Some(membership) = &membership {
            stored.membership = membership.clone();
        }
        stored.history.push(Snapshot {
            position: entry.position(),
            conf_state: membership.unwrap_or(last.conf_state),
            data: [&last.data, data].concat().into(),
        });
    }

    /// Prepares the start of a node: takes the state machine back to `applied`, if that is given
    /// and was not passed by a snapshot, and makes sure that what is applied counts as committed.
    /// It is, even if the hard state that says so was lost in the crash.
    pub(crate) fn prepare_restart(&self, applied: Option<Index>) -> Result<Index, Failure> {
        let stored = &mut *self.0.borrow_mut();
        if let Some(applied) = applied.filter(|applied| *applied != stored.applied) {
            let place = stored.history.iter().position(|snapshot| snapshot.index() == applied);
            let place =
                place.ok_or_else(|| Failure::broken(format!("{applied} was not applied")))?;
            stored.history.truncate(place + 1);
            stored.applied = applied;
            stored.membership = stored.history[place].conf_state.clone();
        }
        let mut hard_state = stored.log.hard_state();
        if hard_state.commit < stored.applied {
            hard_state.commit = stored.applied;
            stored.log.set_hard_state(hard_state);
        }
        Ok(stored.applied)
    }
}

impl Storage for Disk {
    /// The membership is that of the state machine, not that of the log's beginning.
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        let stored = self.0.borrow();
        Ok((stored.log.hard_state(), stored.membership.clone()))
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        self.0.borrow().log.entries(low, high, max_bytes)
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.0.borrow().log.term(index)
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        self.0.borrow().log.first_index()
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        self.0.borrow().log.last_index()
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        Ok(self.newest_snapshot())
    }
}

impl TestNode {
    /// Starts a node on a disk that is prepared for it.
    pub(crate) fn start(id: u64, config: Config, disk: Disk) -> Result<Self, Failure> {
        let node = Node::new(&config, disk.clone()).map_err(|error| told(&error))?;
        let node = Some(node);
        Ok(Self {
            id,
            config,
            disk,
            node,
            append_work: VecDeque::new(),
            apply_work: VecDeque::new(),
        })
    }

    /// The node itself, unless it is down.
    pub(crate) fn up(&mut self) -> Result<&mut Node<Disk>, Failure> {
        let id = self.id;
        self.node.as_mut().ok_or_else(|| Failure::broken(format!("node {id} is down")))
    }

    /// The node itself, for a look at it.
    pub(crate) fn running(&self) -> Option<&Node<Disk>> {
        self.node.as_ref()
    }

    /// Loses everything that is not on the disk.
    pub(crate) fn crash(&mut self) {
        self.node = None;
        self.append_work.clear();
        self.apply_work.clear();
    }

    /// Applies committed entries, one by one.
    pub(crate) fn apply(&mut self, entries: &Entries) -> Outcome {
        for entry in entries {
            if entry.is_conf_change() {
                let applied = self.up()?.apply_conf_change_entry(entry);
                let applied = applied.map_err(|error| told(&error))?;
                self.disk.apply(entry, &context_of(entry), Some(applied.conf_state));
            } else {
                self.disk.apply(entry, &entry.data, None);
            }
        }
        Ok(())
    }
}

/// The application's part of a membership change.
fn context_of(entry: &Entry) -> bytes::Bytes {
    match wire::decode_conf_change(entry) {
        Ok(Some(AnyConfChange::One(change))) => change.context,
        Ok(Some(AnyConfChange::Many(change))) => change.context,
        _ => bytes::Bytes::new(),
    }
}

/// A call's result when nobody waits for it: only what stops the node is told.
pub(crate) fn only_faults(result: Result<(), Error>) -> Outcome {
    match result {
        Err(error @ (Error::Storage(_) | Error::Faulted(_))) => Err(told(&error)),
        _ => Ok(()),
    }
}
