//! The storage of a node as the core sees it: the memory log or a table of callbacks, shared by
//! the node and the application's handle, whoever lets go first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, ReentrantMutex};
use raftcore::{
    ConfState, Entries, HardState, Index, MemoryStorage, Snapshot, Storage, StorageError, Term,
};

use crate::callbacks::Callbacks;
use crate::error::Failure;
use crate::status::{RAFTCORE_ERR_NOT_MEMORY, RAFTCORE_ERR_STORAGE_IN_USE};

/// A storage that may have several owners.
#[derive(Clone)]
pub(crate) struct Backend(Arc<Shared>);

struct Shared {
    kind: Kind,
    /// Whether a node uses it: two would ruin each other's log.
    in_use: AtomicBool,
    /// Whether several may all the same.
    is_shared: AtomicBool,
}

enum Kind {
    Memory(Box<Mutex<MemoryStorage>>),
    /// Locked, so that what one callback returns is copied before another is called, whoever
    /// calls; re-entrant, so that a callback may look at its own storage.
    Callbacks(ReentrantMutex<Callbacks>),
}

impl Backend {
    pub(crate) fn memory(storage: MemoryStorage) -> Self {
        Self::new(Kind::Memory(Box::new(Mutex::new(storage))))
    }

    pub(crate) fn callbacks(callbacks: Callbacks) -> Self {
        Self::new(Kind::Callbacks(ReentrantMutex::new(callbacks)))
    }

    fn new(kind: Kind) -> Self {
        Self(Arc::new(Shared {
            kind,
            in_use: AtomicBool::new(false),
            is_shared: AtomicBool::new(false),
        }))
    }

    /// The memory log, if that is what it is.
    pub(crate) fn as_memory(&self) -> Result<&Mutex<MemoryStorage>, Failure> {
        match &self.0.kind {
            Kind::Memory(memory) => Ok(memory),
            Kind::Callbacks(_) => {
                Err(Failure::new(RAFTCORE_ERR_NOT_MEMORY, "the storage is a table of callbacks"))
            }
        }
    }

    /// Gives it to one node, until the result is dropped.
    pub(crate) fn occupy(&self) -> Result<Occupied, Failure> {
        let was_in_use = self.0.in_use.swap(true, Ordering::Acquire);
        if was_in_use && !self.0.is_shared.load(Ordering::Relaxed) {
            let text = "another node uses this storage";
            return Err(Failure::new(RAFTCORE_ERR_STORAGE_IN_USE, text));
        }
        Ok(Occupied(self.clone()))
    }

    /// Whether several nodes may use it at a time.
    pub(crate) fn set_shared(&self, shared: bool) {
        self.0.is_shared.store(shared, Ordering::Relaxed);
    }

    fn read<T>(
        &self,
        memory: impl FnOnce(&MemoryStorage) -> Result<T, StorageError>,
        callbacks: impl FnOnce(&Callbacks) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        match &self.0.kind {
            Kind::Memory(storage) => memory(&storage.lock()),
            Kind::Callbacks(table) => callbacks(&table.lock()),
        }
    }
}

/// The right of one node to use a storage.
pub(crate) struct Occupied(Backend);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.0.in_use.store(false, Ordering::Release);
    }
}

impl Storage for Backend {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        self.read(MemoryStorage::initial_state, Callbacks::initial_state)
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        self.read(|m| m.entries(low, high, max_bytes), |c| c.entries(low, high, max_bytes))
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.read(|m| m.term(index), |c| c.term(index))
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        self.read(MemoryStorage::first_index, Callbacks::first_index)
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        self.read(MemoryStorage::last_index, Callbacks::last_index)
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.read(MemoryStorage::snapshot, Callbacks::snapshot)
    }
}
