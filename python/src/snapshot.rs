//! Snapshots: the state of an application in place of the log up to a position.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use raftcore::{Index, Term, wire};

use crate::buffer::Blob;
use crate::errors::{guarded, malformed};
use crate::lazy::Lazy;
use crate::values::{ConfState, Position, represent};

/// The state of an application after a position of the log, in place of the log up to there.
#[pyclass(frozen, eq, hash, module = "raftcore")]
pub(crate) struct Snapshot {
    pub(crate) inner: Arc<raftcore::Snapshot>,
    data: Lazy<PyBytes>,
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Snapshot {}

impl Hash for Snapshot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.position.hash(state);
        self.inner.conf_state.hash(state);
    }
}

impl From<Arc<raftcore::Snapshot>> for Snapshot {
    fn from(inner: Arc<raftcore::Snapshot>) -> Self {
        Self { inner, data: Lazy::new() }
    }
}

impl From<raftcore::Snapshot> for Snapshot {
    fn from(inner: raftcore::Snapshot) -> Self {
        Arc::new(inner).into()
    }
}

#[pymethods]
impl Snapshot {
    #[new]
    #[pyo3(signature = (index, term, conf_state, data=Blob::default()))]
    fn new(index: u64, term: u64, conf_state: &Bound<'_, ConfState>, data: Blob) -> Self {
        let position = raftcore::Position { term: Term(term), index: Index(index) };
        let conf_state = conf_state.get().to_core();
        raftcore::Snapshot { position, conf_state, data: data.0 }.into()
    }

    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("index", "term", "conf_state", "data")
    }

    /// The index of the last entry that the snapshot contains; zero when there is no snapshot.
    #[getter]
    fn index(&self) -> u64 {
        self.inner.position.index.0
    }

    /// The term of that entry.
    #[getter]
    fn term(&self) -> u64 {
        self.inner.position.term.0
    }

    /// Term and index together.
    #[getter]
    fn position(&self) -> Position {
        self.inner.position.into()
    }

    /// The membership after that entry.
    #[getter]
    fn conf_state(&self) -> ConfState {
        self.inner.conf_state.clone().into()
    }

    /// The application's state: whatever its own code can restore.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.data.bytes(py, &self.inner.data)
    }

    /// The wire's encoding of the snapshot, for a disk of your own.
    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &wire::encode_snapshot(&self.inner))
    }

    /// The snapshot that these bytes encode. Raises DecodeError.
    #[staticmethod]
    fn decode(data: Blob) -> PyResult<Self> {
        guarded(|| Ok(wire::decode_snapshot(data.0).map_err(malformed)?.into()))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = [
            ("index", self.index().into_bound_py_any(py)?),
            ("term", self.term().into_bound_py_any(py)?),
            ("conf_state", self.conf_state().into_bound_py_any(py)?),
            ("data", self.data(py).into_bound_py_any(py)?),
        ];
        represent("Snapshot", &fields)
    }

    #[allow(clippy::type_complexity, reason = "the form that pickle asks for")]
    fn __reduce__<'py>(
        this: &Bound<'py, Self>,
    ) -> (Bound<'py, PyType>, (u64, u64, ConfState, Bound<'py, PyBytes>)) {
        let one = this.get();
        (this.get_type(), (one.index(), one.term(), one.conf_state(), one.data(this.py())))
    }
}
