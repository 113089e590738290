//! One node's simulated disk: what the node's application wrote, and how much of it would be there
//! after a crash.
//!
//! A write is a batch, as an application with a checksum on each batch has it: after a crash a
//! batch is there as a whole or not at all, and none is there without the ones before it. Batches
//! that were synced are always there.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use raftcore::{
    ConfState, Entries, Entry, HardState, Index, MemoryStorage, Snapshot, Storage, StorageError,
    Term,
};

use crate::client::Machine;
use crate::random::Random;

/// What is written in one go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) hard_state: Option<HardState>,
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    pub(crate) entries: Entries,
}

/// The application's own state, where the application keeps it on disk.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) index: u64,
    pub(crate) machine: Machine,
    pub(crate) conf_state: ConfState,
}

/// A disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// What was written: what the node reads.
    view: MemoryStorage,
    /// What would be there after a crash.
    durable: MemoryStorage,
    /// What is written and not synced, oldest first.
    unsynced: VecDeque<Batch>,
    pub(crate) saved: Option<Saved>,
    /// The membership with which a node starts, if it is not the snapshot's.
    conf_state: Option<ConfState>,
    /// Whether reads fail at the moment.
    pub(crate) reads_fail: Cell<bool>,
    /// Whether a snapshot is being made at the moment, so that none can be sent.
    pub(crate) snapshot_busy: Cell<bool>,
    pub(crate) failed_reads: Cell<u64>,
    pub(crate) full_until: u64,
    pub(crate) stalled_until: u64,
    /// A planted mistake: entries that were overwritten by fewer are there again after a crash.
    pub(crate) keeps_tails: bool,
    tail: Vec<Entry>,
}

/// What a crash took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    pub(crate) batches: usize,
}

impl Disk {
    /// The disk of a member of a group that begins with this snapshot.
    pub(crate) fn with_snapshot(snapshot: &Snapshot) -> Self {
        let mut disk = Self::default();
        // An empty disk takes any snapshot.
        let _ = disk.view.apply_snapshot(snapshot.clone());
        let _ = disk.durable.apply_snapshot(snapshot.clone());
        disk
    }

    /// The disk of a member of a group that begins with these members and nothing else.
    pub(crate) fn with_conf_state(conf_state: ConfState) -> Self {
        let log = MemoryStorage::with_conf_state(conf_state);
        Self { view: log.clone(), durable: log, ..Self::default() }
    }

    /// A disk that has this log, and would have it after a crash.
    pub(crate) fn with_log(log: &MemoryStorage) -> Self {
        Self { view: log.clone(), durable: log.clone(), ..Self::default() }
    }

    /// Writes, so that the node can read it. It would not yet survive a crash.
    pub(crate) fn write(&mut self, batch: Batch) -> Result<(), StorageError> {
        put(&mut self.view, &batch)?;
        self.unsynced.push_back(batch);
        Ok(())
    }

    /// Makes everything durable that was written.
    pub(crate) fn sync(&mut self) -> Result<(), StorageError> {
        while let Some(batch) = self.unsynced.pop_front() {
            self.harden(&batch)?;
        }
        Ok(())
    }

    /// The machine loses power: of what was not synced some is there, the oldest first.
    pub(crate) fn crash(&mut self, random: &mut Random) -> Result<Lost, StorageError> {
        let kept = random.below(self.unsynced.len() as u64 + 1) as usize;
        self.crash_keeping(kept)
    }

    /// Whether something is written that a crash could take.
    pub(crate) fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// The machine loses power: of what was not synced so many batches are there, the oldest.
    pub(crate) fn crash_keeping(&mut self, kept: usize) -> Result<Lost, StorageError> {
        let written = self.unsynced.len();
        for batch in std::mem::take(&mut self.unsynced).into_iter().take(kept) {
            self.harden(&batch)?;
        }
        let end = self.durable_last();
        let tail = std::mem::take(&mut self.tail);
        let tail: Vec<_> = tail.into_iter().filter(|entry| entry.index.0 > end).collect();
        if tail.first().is_some_and(|entry| entry.index.0 == end + 1) {
            self.durable.append(&tail.into())?;
        }
        self.view = self.durable.clone();
        self.reads_fail.set(false);
        self.snapshot_busy.set(false);
        Ok(Lost { batches: written.saturating_sub(kept) })
    }

    /// Makes a batch durable.
    fn harden(&mut self, batch: &Batch) -> Result<(), StorageError> {
        if let Some(last) = batch.entries.last().filter(|_| self.keeps_tails) {
            let mut old: Vec<Entry> = self.durable_entries().iter().cloned().collect();
            old.append(&mut self.tail);
            old.retain(|entry| entry.index > last.index);
            self.tail = old;
        }
        put(&mut self.durable, batch)
    }

    /// Prepares a start: how far the application comes back by itself, and with what.
    pub(crate) fn recover(&mut self, keeps_state: bool) -> (u64, Machine, ConfState) {
        let snapshot = self.durable_snapshot();
        let (mut index, mut machine, mut conf_state) =
            (snapshot.index().0, Machine::decode(&snapshot.data), snapshot.conf_state);
        if let Some(saved) = self.saved.as_ref().filter(|s| keeps_state && s.index >= index) {
            (index, machine, conf_state) = (saved.index, saved.machine, saved.conf_state.clone());
        }
        // What is applied was committed, even if that was not yet written.
        let mut hard_state = self.durable.hard_state();
        if !hard_state.is_empty() && hard_state.commit.0 < index {
            hard_state.commit = Index(index);
            self.durable.set_hard_state(hard_state);
            self.view.set_hard_state(hard_state);
        }
        self.conf_state = Some(conf_state.clone());
        (index, machine, conf_state)
    }

    /// Stores a snapshot of the application and drops the log up to `compact_to`.
    pub(crate) fn snapshot_and_compact(
        &mut self,
        index: u64,
        conf_state: &ConfState,
        machine: &Machine,
        compact_to: u64,
    ) -> Result<(), StorageError> {
        for log in [&mut self.view, &mut self.durable] {
            log.create_snapshot(Index(index), Some(conf_state.clone()), machine.encode())?;
            match log.compact(Index(compact_to)) {
                Err(StorageError::Compacted) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn durable_hard_state(&self) -> HardState {
        self.durable.hard_state()
    }

    /// The last index that would survive a crash.
    pub(crate) fn durable_last(&self) -> u64 {
        self.durable.last_index().map_or(0, |index| index.0)
    }

    /// The term there, `None` if there is nothing; whether it is compacted or in the snapshot.
    pub(crate) fn durable_term(&self, index: u64) -> Durable {
        match self.durable.term(Index(index)) {
            Ok(term) => Durable::Entry(term.0),
            Err(StorageError::Compacted) => Durable::Compacted,
            Err(_) => Durable::Nothing,
        }
    }

    /// The membership with which a node starts from here, if it is not the snapshot's.
    pub(crate) fn own_conf_state(&self) -> Option<&ConfState> {
        self.conf_state.as_ref().filter(|state| **state != self.durable_snapshot().conf_state)
    }

    /// The index of the newest snapshot, synced or not.
    pub(crate) fn snapshot_index(&self) -> u64 {
        self.view.snapshot().map_or(0, |snapshot| snapshot.index().0)
    }

    pub(crate) fn durable_snapshot(&self) -> Snapshot {
        self.durable.snapshot().unwrap_or_default()
    }

    /// All entries that would survive a crash.
    pub(crate) fn durable_entries(&self) -> Entries {
        let first = self.durable.first_index().unwrap_or_default();
        let last = self.durable.last_index().unwrap_or_default();
        if last < first {
            return Entries::new();
        }
        self.durable.entries(first, last.next(), u64::MAX).unwrap_or_default()
    }

    /// Forgets the vote, as a broken application would: a planted mistake.
    pub(crate) fn forget_vote(&mut self) {
        let mut hard_state = self.durable.hard_state();
        hard_state.vote = None;
        self.durable.set_hard_state(hard_state);
        self.view.set_hard_state(hard_state);
    }

    fn readable(&self) -> Result<(), StorageError> {
        if self.reads_fail.get() {
            self.failed_reads.set(self.failed_reads.get() + 1);
            return Err(StorageError::failed("the simulated disk cannot be read"));
        }
        Ok(())
    }
}

/// What a disk has at an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Durable {
    /// An entry of this term.
    Entry(u64),
    /// It was there and is in the snapshot now.
    Compacted,
    Nothing,
}

fn put(log: &mut MemoryStorage, batch: &Batch) -> Result<(), StorageError> {
    if let Some(snapshot) = &batch.snapshot {
        match log.apply_snapshot(Snapshot::clone(snapshot)) {
            Ok(()) | Err(StorageError::SnapshotOutOfDate) => {}
            Err(error) => return Err(error),
        }
    }
    log.append(&batch.entries)?;
    if let Some(hard_state) = batch.hard_state {
        log.set_hard_state(hard_state);
    }
    Ok(())
}

impl Storage for Disk {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        self.readable()?;
        let (hard_state, conf_state) = self.view.initial_state()?;
        Ok((hard_state, self.conf_state.clone().unwrap_or(conf_state)))
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        self.readable()?;
        self.view.entries(low, high, max_bytes)
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.readable()?;
        self.view.term(index)
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        self.readable()?;
        self.view.first_index()
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        self.readable()?;
        self.view.last_index()
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.readable()?;
        if self.snapshot_busy.get() {
            return Err(StorageError::SnapshotTemporarilyUnavailable);
        }
        self.view.snapshot()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(term: u64, index: u64) -> Batch {
        let entry = Entry { term: Term(term), index: Index(index), ..Entry::default() };
        let hard_state = HardState { term: Term(term), ..HardState::default() };
        Batch {
            hard_state: Some(hard_state),
            entries: Entries::from(vec![entry]),
            ..Batch::default()
        }
    }

    #[test]
    fn what_was_not_synced_is_lost_from_the_end_and_what_was_synced_is_not() {
        let mut seen = [0; 4];
        for seed in 0..200 {
            let mut disk = Disk::default();
            disk.write(batch(1, 1)).unwrap();
            disk.sync().unwrap();
            for index in 2..=4 {
                disk.write(batch(1, index)).unwrap();
            }
            assert_eq!((disk.durable_last(), disk.last_index()), (1, Ok(Index(4))));
            disk.crash(&mut Random::new(seed)).unwrap();
            assert_eq!(disk.last_index(), Ok(Index(disk.durable_last())));
            seen[disk.durable_last() as usize - 1] += 1;
        }
        assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
    }

    #[test]
    fn a_disk_that_cannot_be_read_says_so() {
        let disk = Disk::default();
        disk.reads_fail.set(true);
        assert!(disk.last_index().is_err() && disk.initial_state().is_err());
    }
}
