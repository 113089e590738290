//! The storage of a node as the core sees it: the memory log or a table of callbacks, shared by
//! the node and the application's handle, whoever lets go first.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard, ReentrantMutex};
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
    Memory(Memory),
    /// Locked, so that what one callback returns is copied before another is called, whoever
    /// calls; re-entrant, so that a callback may look at its own storage.
    Callbacks(ReentrantMutex<Callbacks>),
}

/// The memory log. Whoever uses it holds its lock, and a node that uses it has no other lock: it
/// reads its log some ten times in a round, and locks it once in a call.
struct Memory {
    lock: Arc<Mutex<()>>,
    log: UnsafeCell<MemoryStorage>,
}

// SAFETY: the log is only reached with the lock held: by `Backend::memory_log`, which takes it, and
// by `Held`, whose maker promises it.
unsafe impl Sync for Memory {}

impl Backend {
    pub(crate) fn memory(storage: MemoryStorage) -> Self {
        Self::new(Kind::Memory(Memory { lock: Arc::default(), log: UnsafeCell::new(storage) }))
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

    /// The lock of a node that uses it: the memory log's own. With callbacks each node has its
    /// own: from inside a callback of one node, another may be called.
    pub(crate) fn lock_of_node(&self) -> Arc<Mutex<()>> {
        match &self.0.kind {
            Kind::Memory(memory) => Arc::clone(&memory.lock),
            Kind::Callbacks(_) => Arc::default(),
        }
    }

    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.0.kind, Kind::Memory(_))
    }

    /// What the core of a node has.
    ///
    /// # Safety
    /// It is only used with the lock held that `lock_of_node` returned.
    pub(crate) unsafe fn held(&self) -> Held {
        Held(self.clone())
    }

    /// Locks the memory log, if that is what it is.
    pub(crate) fn memory_log(&self) -> Result<LockedLog<'_>, Failure> {
        match &self.0.kind {
            Kind::Memory(memory) => {
                let guard = memory.lock.lock();
                // SAFETY: the lock is held as long as the reference lives.
                Ok(LockedLog { log: unsafe { &mut *memory.log.get() }, _guard: guard })
            }
            Kind::Callbacks(_) => Err(not_memory()),
        }
    }

    /// Reads it, for a call that is not the node's.
    pub(crate) fn read<T>(
        &self,
        act: impl FnOnce(&Held) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let _guard = match &self.0.kind {
            Kind::Memory(memory) => Some(memory.lock.lock()),
            Kind::Callbacks(_) => None,
        };
        // SAFETY: the lock is held until this returns.
        act(&unsafe { self.held() })
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
}

/// The memory log while it is locked.
pub(crate) struct LockedLog<'a> {
    log: &'a mut MemoryStorage,
    _guard: MutexGuard<'a, ()>,
}

impl Deref for LockedLog<'_> {
    type Target = MemoryStorage;

    fn deref(&self) -> &MemoryStorage {
        self.log
    }
}

impl DerefMut for LockedLog<'_> {
    fn deref_mut(&mut self) -> &mut MemoryStorage {
        self.log
    }
}

/// A storage as the core sees it: whoever calls the core holds the node's lock.
pub(crate) struct Held(Backend);

impl Held {
    /// The memory log, if that is what it is.
    pub(crate) fn memory_log(&mut self) -> Result<&mut MemoryStorage, Failure> {
        match &self.0.0.kind {
            // SAFETY: the lock is held, as the maker of this value promised, and nothing else of
            // the log is borrowed: each read of it returns before the core does anything else.
            Kind::Memory(memory) => Ok(unsafe { &mut *memory.log.get() }),
            Kind::Callbacks(_) => Err(not_memory()),
        }
    }

    #[inline]
    fn read<T>(
        &self,
        memory: impl FnOnce(&MemoryStorage) -> Result<T, StorageError>,
        callbacks: impl FnOnce(&Callbacks) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        match &self.0.0.kind {
            // SAFETY: the lock is held, as the maker of this value promised.
            Kind::Memory(storage) => memory(unsafe { &*storage.log.get() }),
            Kind::Callbacks(table) => outside(table, callbacks),
        }
    }
}

/// Asks the program. Out of line, so that the memory log's few instructions stay together.
#[cold]
#[inline(never)]
fn outside<T>(
    table: &ReentrantMutex<Callbacks>,
    ask: impl FnOnce(&Callbacks) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    ask(&table.lock())
}

/// What needs the memory log.
#[cold]
pub(crate) fn not_memory() -> Failure {
    Failure::new(RAFTCORE_ERR_NOT_MEMORY, "the storage is a table of callbacks")
}

/// The right of one node to use a storage.
pub(crate) struct Occupied(Backend);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.0.in_use.store(false, Ordering::Release);
    }
}

impl Storage for Held {
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
