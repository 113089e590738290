//! Where a node reads its log from: the memory log of the core, or an object of the application.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit, intern};
use raftcore::{ConfState, Entries, HardState, Index, Snapshot, Storage, StorageError, Term};

use crate::buffer::Blob;
use crate::entry;
use crate::errors::{Raised, exception, guarded, raise_storage};
use crate::ready::{Ready, StorageAppend};
use crate::{snapshot, values};

/// A log in memory: what most applications use, filled from their own log at start.
///
/// It is as durable as the process. An application that wants to survive its own death also
/// writes what a Ready says to its own log. One node reads from it at a time.
#[pyclass(frozen, module = "raftcore")]
pub(crate) struct MemoryStorage {
    shared: Arc<Shared>,
}

/// The memory log, which the application and the node both hold.
pub(crate) struct Shared {
    log: Mutex<raftcore::MemoryStorage>,
    /// Whether a node reads from it.
    taken: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, raftcore::MemoryStorage> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStorage {
    /// The log as it is now: cheap, for entries are shared.
    pub(crate) fn copy(&self) -> raftcore::MemoryStorage {
        self.shared.lock().clone()
    }

    fn change<T>(
        &self,
        act: impl FnOnce(&mut raftcore::MemoryStorage) -> Result<T, StorageError>,
    ) -> PyResult<T> {
        guarded(|| act(&mut self.shared.lock()).map_err(raise_storage))
    }
}

#[pymethods]
impl MemoryStorage {
    #[new]
    #[pyo3(signature = (
        *, voters=None, conf_state=None, hard_state=None, snapshot=None, entries=None
    ))]
    fn new(
        voters: Option<values::Many<u64>>,
        conf_state: Option<&Bound<'_, values::ConfState>>,
        hard_state: Option<&Bound<'_, values::HardState>>,
        snapshot: Option<&Bound<'_, snapshot::Snapshot>>,
        entries: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut log = match voters {
            None => raftcore::MemoryStorage::new(),
            Some(_) if conf_state.is_some() => {
                return Err(PyTypeError::new_err("voters and conf_state exclude each other"));
            }
            Some(voters) => {
                raftcore::MemoryStorage::with_conf_state(ConfState::with_voters(voters.0))
            }
        };
        if let Some(snapshot) = snapshot {
            let snapshot = Snapshot::clone(&snapshot.get().inner);
            log.apply_snapshot(snapshot).map_err(raise_storage)?;
        }
        if let Some(conf_state) = conf_state {
            log.set_conf_state(conf_state.get().to_core());
        }
        if let Some(hard_state) = hard_state {
            log.set_hard_state(hard_state.get().to_core()?);
        }
        if let Some(entries) = entries {
            log.append(&entry::list(entries)?).map_err(raise_storage)?;
        }
        let shared = Shared { log: Mutex::new(log), taken: AtomicBool::new(false) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Writes what a Ready, or its append, wants persisted, in the right order.
    fn persist(&self, what: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(ready) = what.cast::<Ready>() {
            let ready = &ready.get().contents;
            let (snapshot, hard_state) = (ready.snapshot.as_deref(), ready.hard_state);
            return self.change(|log| persist(log, snapshot, &ready.entries, hard_state));
        }
        let work = &what.cast::<StorageAppend>()?.get().inner;
        let (snapshot, hard_state) = (work.snapshot.as_deref(), work.hard_state);
        self.change(|log| persist(log, snapshot, &work.entries, hard_state))
    }

    /// Appends consecutive entries. What is there from their first index on is replaced.
    fn append(&self, entries: &Bound<'_, PyAny>) -> PyResult<()> {
        let entries = entry::list(entries)?;
        self.change(|log| log.append(&entries))
    }

    /// Stores the hard state.
    fn set_hard_state(&self, hard_state: &Bound<'_, values::HardState>) -> PyResult<()> {
        let hard_state = hard_state.get().to_core()?;
        self.change(|log| {
            log.set_hard_state(hard_state);
            Ok(())
        })
    }

    /// Stores the membership that a restarted node begins with.
    fn set_conf_state(&self, conf_state: &Bound<'_, values::ConfState>) -> PyResult<()> {
        let conf_state = conf_state.get().to_core();
        self.change(|log| {
            log.set_conf_state(conf_state);
            Ok(())
        })
    }

    /// Puts a snapshot in the place of the whole log. Raises SnapshotOutOfDate.
    fn apply_snapshot(&self, snapshot: &Bound<'_, snapshot::Snapshot>) -> PyResult<()> {
        let snapshot = Snapshot::clone(&snapshot.get().inner);
        self.change(|log| log.apply_snapshot(snapshot))
    }

    /// Stores the application's state after the entry at `index` as the snapshot to send to
    /// members that are behind. `conf_state` is the membership after that entry. The log keeps
    /// its entries: see compact. Raises SnapshotOutOfDate, Unavailable.
    #[pyo3(signature = (index, data, conf_state=None))]
    fn create_snapshot(
        &self,
        index: u64,
        data: Blob,
        conf_state: Option<&Bound<'_, values::ConfState>>,
    ) -> PyResult<snapshot::Snapshot> {
        let conf_state = conf_state.map(|state| state.get().to_core());
        self.change(|log| log.create_snapshot(Index(index), conf_state, data.0)).map(Into::into)
    }

    /// Drops the entries up to and including `index`; never one that is not applied. Raises
    /// Compacted, Unavailable.
    fn compact(&self, index: u64) -> PyResult<()> {
        self.change(|log| log.compact(Index(index)))
    }

    /// The stored hard state and membership.
    fn initial_state(&self) -> PyResult<(values::HardState, values::ConfState)> {
        let (hard_state, conf_state) = self.change(|log| log.initial_state())?;
        Ok((hard_state.into(), conf_state.into()))
    }

    /// The entries in [low, high), as far as max_bytes reach, but at least one.
    #[pyo3(signature = (low, high, max_bytes=u64::MAX))]
    fn entries(&self, low: u64, high: u64, max_bytes: u64) -> PyResult<entry::Entries> {
        self.change(|log| log.entries(Index(low), Index(high), max_bytes)).map(Into::into)
    }

    /// The term of the entry at this index.
    fn term(&self, index: u64) -> PyResult<u64> {
        self.change(|log| log.term(Index(index))).map(|term| term.0)
    }

    /// The index of the first entry.
    fn first_index(&self) -> PyResult<u64> {
        self.change(|log| log.first_index()).map(|index| index.0)
    }

    /// The index of the last entry.
    fn last_index(&self) -> PyResult<u64> {
        self.change(|log| log.last_index()).map(|index| index.0)
    }

    /// The latest snapshot.
    fn snapshot(&self) -> PyResult<snapshot::Snapshot> {
        self.change(|log| log.snapshot()).map(Into::into)
    }

    fn __repr__(&self) -> String {
        let log = self.shared.lock();
        let (first, last) = (log.first_index(), log.last_index());
        format!("<MemoryStorage {} to {}>", first.unwrap_or_default(), last.unwrap_or_default())
    }
}

/// As the core's own `persist`, which wants the core's own Ready.
fn persist(
    log: &mut raftcore::MemoryStorage,
    snapshot: Option<&Snapshot>,
    entries: &Entries,
    hard_state: Option<HardState>,
) -> Result<(), StorageError> {
    if let Some(snapshot) = snapshot {
        log.apply_snapshot(snapshot.clone())?;
    }
    log.append(entries)?;
    if let Some(hard_state) = hard_state {
        log.set_hard_state(hard_state);
    }
    Ok(())
}

/// What a node reads from.
pub(crate) enum Backend {
    Memory(Arc<Shared>),
    Python(Arc<Callbacks>),
}

/// An object of the application. The node and its Python handle share the one reference, so that
/// the garbage collector can count it.
pub(crate) struct Callbacks(Py<PyAny>);

impl Callbacks {
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

impl Backend {
    /// What this object of the application is.
    pub(crate) fn take(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(memory) = object.cast::<MemoryStorage>() {
            let shared = Arc::clone(&memory.get().shared);
            if shared.taken.swap(true, Ordering::AcqRel) {
                let text = "this MemoryStorage belongs to another node, which is not closed";
                return Err(exception(object.py(), "UsageError", (text,)));
            }
            return Ok(Self::Memory(shared));
        }
        if object.is_instance_of::<PyType>() {
            return Err(PyTypeError::new_err("a Storage is wanted, not a class"));
        }
        let methods = ["initial_state", "entries", "term", "first_index", "last_index", "snapshot"];
        for method in methods {
            if !object.getattr_opt(method)?.is_some_and(|method| method.is_callable()) {
                let class = object.get_type();
                let text = format!("{class} is no Storage: it has no method {method}");
                return Err(PyTypeError::new_err(text));
            }
        }
        Ok(Self::Python(Arc::new(Callbacks(object.clone().unbind()))))
    }

    pub(crate) fn callbacks(&self) -> Option<Arc<Callbacks>> {
        match self {
            Self::Memory(_) => None,
            Self::Python(callbacks) => Some(Arc::clone(callbacks)),
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Self::Memory(shared) = self {
            shared.taken.store(false, Ordering::Release);
        }
    }
}

impl Callbacks {
    /// Calls a method; `read` makes of its result what the core wants.
    fn call<T>(
        &self,
        method: &str,
        arguments: &[u64],
        read: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<T, StorageError> {
        Python::attach(|py| {
            let call = || {
                let arguments = PyTuple::new(py, arguments)?;
                read(&self.0.bind(py).call_method1(method, arguments)?)
            };
            call().map_err(|error| failure(py, error))
        })
    }
}

/// An exception of the application's storage as the core understands it.
fn failure(py: Python<'_>, error: PyErr) -> StorageError {
    let is = |name| {
        let class = py.import("raftcore._errors").and_then(|errors| errors.getattr(name));
        class.is_ok_and(|class| error.matches(py, class).unwrap_or(false))
    };
    if is(intern!(py, "Compacted")) {
        StorageError::Compacted
    } else if is(intern!(py, "Unavailable")) {
        StorageError::Unavailable
    } else if is(intern!(py, "SnapshotTemporarilyUnavailable")) {
        StorageError::SnapshotTemporarilyUnavailable
    } else {
        StorageError::failed(Raised(error))
    }
}

impl Storage for Backend {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        match self {
            Self::Memory(memory) => memory.lock().initial_state(),
            Self::Python(python) => python.call("initial_state", &[], |result| {
                let (hard_state, conf_state): (values::HardState, values::ConfState) =
                    result.extract()?;
                Ok((hard_state.to_core()?, conf_state.to_core()))
            }),
        }
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        match self {
            Self::Memory(memory) => memory.lock().entries(low, high, max_bytes),
            Self::Python(python) => {
                python.call("entries", &[low.0, high.0, max_bytes], entry::list)
            }
        }
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        match self {
            Self::Memory(memory) => memory.lock().term(index),
            Self::Python(python) => {
                python.call("term", &[index.0], |term| term.extract().map(Term))
            }
        }
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        match self {
            Self::Memory(memory) => memory.lock().first_index(),
            Self::Python(python) => {
                python.call("first_index", &[], |index| index.extract().map(Index))
            }
        }
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        match self {
            Self::Memory(memory) => memory.lock().last_index(),
            Self::Python(python) => {
                python.call("last_index", &[], |index| index.extract().map(Index))
            }
        }
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        match self {
            Self::Memory(memory) => memory.lock().snapshot(),
            Self::Python(python) => python.call("snapshot", &[], |result| {
                Ok(Snapshot::clone(&result.cast::<snapshot::Snapshot>()?.get().inner))
            }),
        }
    }
}
