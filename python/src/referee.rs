//! The simulator's judges over nodes that Python drives: what `raftcore.testing` stands on.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pyo3::prelude::*;
use raft_sim::{Input, Violation};
use raftcore::{Error, Index, Node, Storage};

use crate::buffer::Blob;
use crate::config::Config;
use crate::entry::Entry;
use crate::errors::{guarded, plain};
use crate::message::Message;
use crate::node::RawNode;
use crate::snapshot::Snapshot;
use crate::storage::MemoryStorage;
use crate::values::{ConfState, node_id};

type Judges = Arc<Mutex<raft_sim::Referee>>;

fn objection(violation: Violation) -> PyErr {
    Python::attach(|py| {
        let make = || py.import("raftcore.testing")?.getattr("Violation");
        match make().and_then(|class| class.call1((violation.check, violation.detail))) {
            Ok(violation) => PyErr::from_value(violation),
            Err(error) => error,
        }
    })
}

/// Where a node reports its calls, once somebody watches it: never, but in tests.
#[derive(Default)]
pub(crate) struct Watch(OnceLock<Judges>);

impl Watch {
    /// Whether somebody watches.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.get().is_some()
    }

    fn begin(&self, judges: &Judges) -> PyResult<()> {
        let begun = self.0.set(Arc::clone(judges));
        begun.map_err(|_| plain("UsageError", "this node is watched already"))
    }

    /// Judges a call that was just made.
    #[inline]
    pub(crate) fn judge<S: Storage>(
        &self,
        node: &Node<S>,
        input: &Input<'_>,
        error: Option<&Error>,
    ) -> PyResult<()> {
        match self.0.get() {
            None => Ok(()),
            Some(judges) => with(judges, |judges| judges.on_call(node, input, error)),
        }
    }

    /// Judges what a node hands out.
    pub(crate) fn judge_ready<S: Storage>(
        &self,
        node: &Node<S>,
        ready: Option<&raftcore::Ready>,
    ) -> PyResult<()> {
        let Some(judges) = self.0.get() else { return Ok(()) };
        with(judges, |judges| {
            judges.on_call(node, &Input::Ready, None)?;
            ready.map_or(Ok(()), |ready| judges.on_ready(node.id(), ready))
        })
    }
}

fn with(
    judges: &Judges,
    act: impl FnOnce(&mut raft_sim::Referee) -> Result<(), Violation>,
) -> PyResult<()> {
    guarded(|| act(&mut judges.lock().unwrap_or_else(PoisonError::into_inner)).map_err(objection))
}

/// The simulator's judges of one group. Raises raftcore.testing.Violation.
#[pyclass(frozen, module = "raftcore._raftcore")]
pub(crate) struct _Referee(Judges);

#[pymethods]
impl _Referee {
    /// The highest id that a member can have.
    #[classattr]
    const MEMBERS: u64 = raft_sim::Referee::MEMBERS;

    #[new]
    fn new(members: &Bound<'_, ConfState>, state: Blob) -> PyResult<Self> {
        let referee = raft_sim::Referee::new(&members.get().to_core(), &state.0);
        Ok(Self(Arc::new(Mutex::new(referee.map_err(objection)?))))
    }

    /// A node was made from this storage: from now on its calls are judged.
    fn watch(
        &self,
        py: Python<'_>,
        node: &Bound<'_, RawNode>,
        config: &Bound<'_, Config>,
        storage: &Bound<'_, MemoryStorage>,
        applied: u64,
    ) -> PyResult<()> {
        let node = node.get();
        node.watch.begin(&self.0)?;
        let disk = storage.get().copy();
        let config = &config.get().inner;
        node.look(py, |node| with(&self.0, |judges| judges.on_start(config, node, &disk, applied)))
    }

    /// This is what a node's storage has now.
    fn stored(&self, id: u64, storage: &Bound<'_, MemoryStorage>) -> PyResult<()> {
        let (id, disk) = (node_id(id)?, storage.get().copy());
        with(&self.0, |judges| judges.on_stored(id, &disk))
    }

    /// A message leaves this node.
    fn released(&self, id: u64, message: &Bound<'_, Message>) -> PyResult<()> {
        let id = node_id(id)?;
        with(&self.0, |judges| judges.on_release(id, &message.get().inner))
    }

    /// A node applied an entry; its state machine is like this now.
    fn applied(&self, id: u64, entry: &Bound<'_, Entry>, state: Blob) -> PyResult<()> {
        let id = node_id(id)?;
        with(&self.0, |judges| judges.on_applied(id, &entry.get().inner, &state.0))
    }

    /// A node has these members after the entry at this index.
    fn changed(&self, id: u64, index: u64, members: &Bound<'_, ConfState>) -> PyResult<()> {
        let (id, members) = (node_id(id)?, members.get().to_core());
        with(&self.0, |judges| judges.on_members(id, Index(index), &members))
    }

    /// A node's state machine took a snapshot and is like this now.
    fn restored(&self, id: u64, snapshot: &Bound<'_, Snapshot>, state: Blob) -> PyResult<()> {
        let id = node_id(id)?;
        with(&self.0, |judges| judges.on_restored(id, &snapshot.get().inner, &state.0))
    }

    /// A node stopped.
    fn crashed(&self, id: u64) -> PyResult<()> {
        let id = node_id(id)?;
        with(&self.0, |judges| {
            judges.on_crash(id);
            Ok(())
        })
    }
}
