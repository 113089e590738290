//! What raft-rs keeps its log in: its own `MemStorage`, behind a lock, and the best case, which
//! has no lock, takes over entries instead of cloning them, and forgets from the front for free.

use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::storage::MemStorage;
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

/// A storage that the harness can fill.
pub(crate) trait Store: Storage {
    fn with_voters(voters: Vec<u64>) -> Self;
    fn append(&mut self, entries: Vec<Entry>);
    fn set_hard_state(&mut self, state: HardState);
    fn set_commit(&mut self, commit: u64);
    fn compact(&mut self, index: u64);
}

impl Store for MemStorage {
    fn with_voters(voters: Vec<u64>) -> Self {
        Self::new_with_conf_state((voters, Vec::new()))
    }
    fn append(&mut self, entries: Vec<Entry>) {
        self.wl().append(&entries).expect("appended");
    }
    fn set_hard_state(&mut self, state: HardState) {
        self.wl().set_hardstate(state);
    }
    fn set_commit(&mut self, commit: u64) {
        self.wl().mut_hard_state().commit = commit;
    }
    fn compact(&mut self, index: u64) {
        self.wl().compact(index).expect("compacted");
    }
}

/// The best case.
pub(crate) struct Best {
    hard_state: HardState,
    conf_state: ConfState,
    /// The position that the entries follow.
    base: (u64, u64),
    entries: VecDeque<Entry>,
}

impl Store for Best {
    fn with_voters(voters: Vec<u64>) -> Self {
        let conf_state = ConfState { voters, ..ConfState::default() };
        Self {
            hard_state: HardState::default(),
            conf_state,
            base: (0, 0),
            entries: VecDeque::new(),
        }
    }
    fn append(&mut self, entries: Vec<Entry>) {
        let keep = entries[0].index - self.base.0 - 1;
        self.entries.truncate(keep as usize);
        self.entries.extend(entries);
    }
    fn set_hard_state(&mut self, state: HardState) {
        self.hard_state = state;
    }
    fn set_commit(&mut self, commit: u64) {
        self.hard_state.commit = commit;
    }
    fn compact(&mut self, index: u64) {
        let term = self.term(index).expect("stored");
        self.entries.drain(..(index - self.base.0) as usize);
        self.base = (index, term);
    }
}

impl Storage for Best {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let range = (low - self.base.0 - 1) as usize..(high - self.base.0 - 1) as usize;
        let mut found: Vec<Entry> = self.entries.range(range).cloned().collect();
        raft::util::limit_size(&mut found, max_size.into());
        Ok(found)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.base.0 {
            return Ok(self.base.1);
        }
        if index < self.base.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let entry = self.entries.get((index - self.base.0 - 1) as usize);
        entry.map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.base.0 + self.entries.len() as u64)
    }

    fn snapshot(&self, _: u64, _: u64) -> raft::Result<Snapshot> {
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
