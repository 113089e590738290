//! What a node asks of its application: a snapshot of its own, which stays valid for ever.
//!
//! The core's Ready goes back into the core when it is advanced. So its contents are moved here
//! first, and turned into Python objects when somebody looks.

use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use raftcore::{Entries, HardState, LocalResponse, ReadState, Reply, SoftState};

use crate::entry;
use crate::lazy::Lazy;
use crate::message::{Message, encode};
use crate::snapshot::Snapshot;
use crate::values;

/// The contents of a core's Ready.
pub(crate) struct Contents {
    pub(crate) number: u64,
    soft_state: Option<SoftState>,
    pub(crate) hard_state: Option<HardState>,
    read_states: Vec<ReadState>,
    pub(crate) entries: Entries,
    pub(crate) snapshot: Option<Arc<raftcore::Snapshot>>,
    committed: Entries,
    messages: Vec<raftcore::Message>,
    messages_after_sync: Vec<raftcore::Message>,
    must_sync: bool,
    append: Option<raftcore::StorageAppend>,
    apply: Option<raftcore::StorageApply>,
}

impl Contents {
    /// Moves them out; what is left in the core's Ready is its number. Boxed, because a Ready is
    /// moved a few times on its way into Python.
    pub(crate) fn take(ready: &mut raftcore::Ready) -> Box<Self> {
        Box::new(Self {
            number: ready.number(),
            soft_state: ready.soft_state.take(),
            hard_state: ready.hard_state.take(),
            read_states: std::mem::take(&mut ready.read_states),
            entries: std::mem::take(&mut ready.entries),
            snapshot: ready.snapshot.take(),
            committed: std::mem::take(&mut ready.committed),
            messages: std::mem::take(&mut ready.messages),
            messages_after_sync: std::mem::take(&mut ready.messages_after_sync),
            must_sync: ready.must_sync,
            append: ready.append.take(),
            apply: ready.apply.take(),
        })
    }
}

type Tuple = Lazy<PyTuple>;

/// What to do now, in this order: send `messages`; persist `snapshot`, `entries` and `hard_state`
/// and sync if `must_sync`; send `messages_after_sync`; restore from `snapshot` and apply
/// `committed`; answer `read_states`; advance.
///
/// It never changes and stays valid for ever, after advance and after its node is gone.
#[pyclass(frozen, module = "raftcore", weakref)]
pub(crate) struct Ready {
    pub(crate) contents: Box<Contents>,
    /// The node it came from.
    pub(crate) node: u64,
    entries: Lazy<entry::Entries>,
    committed: Lazy<entry::Entries>,
    messages: Tuple,
    messages_after_sync: Tuple,
    outgoing: Tuple,
    outgoing_after_sync: Tuple,
    read_states: Tuple,
}

impl Ready {
    pub(crate) const fn new(contents: Box<Contents>, node: u64) -> Self {
        Self {
            contents,
            node,
            entries: Lazy::new(),
            committed: Lazy::new(),
            messages: Lazy::new(),
            messages_after_sync: Lazy::new(),
            outgoing: Lazy::new(),
            outgoing_after_sync: Lazy::new(),
            read_states: Lazy::new(),
        }
    }
}

#[pymethods]
impl Ready {
    /// The leader and the role, when either changed. Nothing to persist.
    #[getter]
    fn soft_state(&self) -> Option<values::SoftState> {
        self.contents.soft_state.map(Into::into)
    }

    /// To be persisted, if it changed.
    #[getter]
    fn hard_state(&self) -> Option<values::HardState> {
        self.contents.hard_state.map(Into::into)
    }

    /// Entries to persist. They replace what the storage has from their first index on.
    #[getter]
    fn entries<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, entry::Entries>> {
        list(py, &self.entries, &self.contents.entries)
    }

    /// A snapshot to persist and to restore the application from. It replaces the whole log.
    #[getter]
    fn snapshot(&self) -> Option<Snapshot> {
        self.contents.snapshot.clone().map(Into::into)
    }

    /// Entries to apply, in order. All of them are committed; none is handed out twice.
    #[getter]
    fn committed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, entry::Entries>> {
        list(py, &self.committed, &self.contents.committed)
    }

    /// Messages that may leave at once.
    #[getter]
    fn messages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        objects(py, &self.messages, &self.contents.messages)
    }

    /// Messages that may leave only when what this Ready says to persist is durable.
    #[getter]
    fn messages_after_sync<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        objects(py, &self.messages_after_sync, &self.contents.messages_after_sync)
    }

    /// The same as `messages`, ready to send: pairs of the receiver's id and bytes.
    #[getter]
    fn outgoing<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        encoded(py, &self.outgoing, &self.contents.messages)
    }

    /// The same as `messages_after_sync`, ready to send: pairs of the receiver's id and bytes.
    #[getter]
    fn outgoing_after_sync<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        encoded(py, &self.outgoing_after_sync, &self.contents.messages_after_sync)
    }

    /// Reads that can be answered once their index is applied.
    #[getter]
    fn read_states<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let states = self.contents.read_states.iter();
        tuple(py, &self.read_states, states.map(values::ReadState::from))
    }

    /// Whether the write must reach the disk before `messages_after_sync` leave.
    #[getter]
    const fn must_sync(&self) -> bool {
        self.contents.must_sync
    }

    /// Only with asynchronous storage writes: work for the append thread.
    #[getter]
    fn append(&self) -> Option<StorageAppend> {
        self.contents.append.as_ref().map(|work| StorageAppend { inner: work.clone() })
    }

    /// Only with asynchronous storage writes: work for the apply thread.
    #[getter]
    fn apply(&self) -> Option<StorageApply> {
        self.contents.apply.as_ref().map(|work| StorageApply { inner: work.clone() })
    }

    fn __repr__(&self) -> String {
        let contents = &self.contents;
        format!(
            "<Ready {}: {} entries, {} committed, {} messages{}{}{}>",
            contents.number,
            contents.entries.len(),
            contents.committed.len(),
            contents.messages.len() + contents.messages_after_sync.len(),
            if contents.hard_state.is_some() { ", hard state" } else { "" },
            if contents.snapshot.is_some() { ", snapshot" } else { "" },
            if contents.must_sync { ", must sync" } else { "" },
        )
    }
}

fn list<'py>(
    py: Python<'py>,
    cell: &Lazy<entry::Entries>,
    entries: &Entries,
) -> PyResult<Bound<'py, entry::Entries>> {
    static EMPTY: Lazy<entry::Entries> = Lazy::new();
    // Most Readies have entries to persist or to apply, and few have both.
    let cell = if entries.is_empty() { &EMPTY } else { cell };
    cell.get(py, || Bound::new(py, entry::Entries::from(entries.clone())))
}

fn tuple<'py, T>(
    py: Python<'py>,
    cell: &Tuple,
    items: impl ExactSizeIterator<Item = T>,
) -> PyResult<Bound<'py, PyTuple>>
where
    T: IntoPyObject<'py>,
{
    if items.len() == 0 {
        return Ok(PyTuple::empty(py));
    }
    cell.get(py, || PyTuple::new(py, items))
}

fn objects<'py>(
    py: Python<'py>,
    cell: &Tuple,
    messages: &[raftcore::Message],
) -> PyResult<Bound<'py, PyTuple>> {
    tuple(py, cell, messages.iter().map(|message| Message::from(message.clone())))
}

fn encoded<'py>(
    py: Python<'py>,
    cell: &Tuple,
    messages: &[raftcore::Message],
) -> PyResult<Bound<'py, PyTuple>> {
    tuple(py, cell, messages.iter().map(|message| (message.to.get(), encode(py, message))))
}

/// Work for the append thread: make all of this durable, in the order in which it came, then pass
/// on `replies` in order.
#[pyclass(frozen, module = "raftcore")]
pub(crate) struct StorageAppend {
    pub(crate) inner: raftcore::StorageAppend,
}

#[pymethods]
impl StorageAppend {
    /// To be persisted, if present.
    #[getter]
    fn hard_state(&self) -> Option<values::HardState> {
        self.inner.hard_state.map(Into::into)
    }

    /// Replaces the whole log, if present.
    #[getter]
    fn snapshot(&self) -> Option<Snapshot> {
        self.inner.snapshot.clone().map(Into::into)
    }

    /// Entries to append. They replace what the storage has from their first index on.
    #[getter]
    fn entries(&self) -> entry::Entries {
        self.inner.entries.clone().into()
    }

    /// Whether a sync is needed before the replies may go.
    #[getter]
    const fn must_sync(&self) -> bool {
        self.inner.must_sync
    }

    /// What to pass on when it is durable: a Message goes to the network, a StorageResponse to
    /// RawNode.storage_response.
    #[getter]
    fn replies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let replies = self.inner.replies.iter().map(|reply| match reply {
            Reply::Peer(message) => Message::from(message.clone()).into_bound_py_any(py),
            Reply::Local(response) => {
                StorageResponse { inner: response.clone() }.into_bound_py_any(py)
            }
        });
        PyTuple::new(py, replies.collect::<PyResult<Vec<_>>>()?)
    }
}

/// Work for the apply thread: apply these entries in order, then pass on `reply`.
#[pyclass(frozen, module = "raftcore")]
pub(crate) struct StorageApply {
    inner: raftcore::StorageApply,
}

#[pymethods]
impl StorageApply {
    /// Entries to apply.
    #[getter]
    fn entries(&self) -> entry::Entries {
        self.inner.entries.clone().into()
    }

    /// What to pass to RawNode.storage_response when they are applied.
    #[getter]
    fn reply(&self) -> StorageResponse {
        StorageResponse { inner: self.inner.reply.clone() }
    }
}

/// What a storage thread says to its own node when its work is done: taken once.
#[pyclass(frozen, module = "raftcore")]
pub(crate) struct StorageResponse {
    pub(crate) inner: LocalResponse,
}

#[pymethods]
impl StorageResponse {
    fn __repr__(&self) -> String {
        format!("<StorageResponse {}>", raftcore::describe::message(&self.inner.to_flat()))
    }
}
