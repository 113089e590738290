//! Log entries and lists of them. A list costs nothing until its entries are asked for.

use std::hash::{Hash, Hasher};

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PySlice, PyTuple, PyType};
use raftcore::{Index, Term, wire};

use crate::buffer::Blob;
use crate::conf_change::in_entry;
use crate::enums::EntryKind;
use crate::errors::{guarded, malformed};
use crate::lazy::Lazy;
use crate::values::{Position, represent};
use pyo3::IntoPyObjectExt;

/// One entry of the replicated log.
#[pyclass(frozen, eq, hash, module = "raftcore")]
pub(crate) struct Entry {
    pub(crate) inner: raftcore::Entry,
    data: Lazy<PyBytes>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.inner.term, self.inner.index, self.inner.kind).hash(state);
        self.inner.data.hash(state);
    }
}

impl From<raftcore::Entry> for Entry {
    fn from(inner: raftcore::Entry) -> Self {
        Self { inner, data: Lazy::new() }
    }
}

#[pymethods]
impl Entry {
    #[new]
    #[pyo3(signature = (term, index, data=Blob::default(), kind=EntryKind(0)))]
    fn new(term: u64, index: u64, data: Blob, kind: EntryKind) -> Self {
        let kind = kind_from_number(kind.0);
        raftcore::Entry { term: Term(term), index: Index(index), kind, data: data.0 }.into()
    }

    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("term", "index", "data", "kind")
    }

    /// The term of the leader that created the entry.
    #[getter]
    const fn term(&self) -> u64 {
        self.inner.term.0
    }

    /// Its place in the log, counted from one.
    #[getter]
    const fn index(&self) -> u64 {
        self.inner.index.0
    }

    /// What its data is.
    #[getter]
    const fn kind(&self) -> EntryKind {
        EntryKind(self.inner.kind as i32)
    }

    /// The payload. Empty in a new leader's first entry.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.data.bytes(py, &self.inner.data)
    }

    /// Term and index together.
    #[getter]
    fn position(&self) -> Position {
        self.inner.position().into()
    }

    /// The membership change that the entry holds; None in an ordinary entry. Raises DecodeError.
    fn conf_change<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        in_entry(py, &self.inner)
    }

    /// The wire's encoding of the entry, for a log of your own.
    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &wire::encode_entry(&self.inner))
    }

    /// The entry that these bytes encode. Raises DecodeError.
    #[staticmethod]
    fn decode(data: Blob) -> PyResult<Self> {
        guarded(|| Ok(wire::decode_entry(data.0).map_err(malformed)?.into()))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = [
            ("term", self.term().into_bound_py_any(py)?),
            ("index", self.index().into_bound_py_any(py)?),
            ("data", self.data(py).into_bound_py_any(py)?),
            ("kind", self.kind().into_bound_py_any(py)?),
        ];
        represent("Entry", &fields)
    }

    #[allow(clippy::type_complexity, reason = "the form that pickle asks for")]
    fn __reduce__<'py>(
        this: &Bound<'py, Self>,
    ) -> (Bound<'py, PyType>, (u64, u64, Bound<'py, PyBytes>, EntryKind)) {
        let entry = this.get();
        let fields = (entry.term(), entry.index(), entry.data(this.py()), entry.kind());
        (this.get_type(), fields)
    }
}

/// Consecutive entries of a log: a sequence of Entry that never changes.
#[pyclass(frozen, sequence, module = "raftcore")]
pub(crate) struct Entries {
    pub(crate) inner: raftcore::Entries,
    objects: Lazy<PyTuple>,
}

impl From<raftcore::Entries> for Entries {
    fn from(inner: raftcore::Entries) -> Self {
        Self { inner, objects: Lazy::new() }
    }
}

#[pymethods]
impl Entries {
    #[new]
    #[pyo3(signature = (entries=None))]
    fn new(entries: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let list = entries.map(list).transpose()?.unwrap_or_default();
        Ok(list.into())
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn __bool__(&self) -> bool {
        !self.inner.is_empty()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        place: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = place.cast::<PySlice>() {
            let at = slice.indices(self.inner.len().cast_signed())?;
            if at.step == 1 {
                let (from, to) = (at.start.cast_unsigned(), at.stop.max(at.start).cast_unsigned());
                return Self::from(self.inner.part(from, to)).into_bound_py_any(py);
            }
            return self.objects(py)?.as_any().get_item(slice);
        }
        if place.extract::<isize>().is_ok_and(|at| at.unsigned_abs() > self.inner.len()) {
            return Err(PyIndexError::new_err("entry out of range"));
        }
        self.objects(py)?.as_any().get_item(place)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.objects(py)?.try_iter()
    }

    fn __contains__(&self, entry: &Bound<'_, PyAny>) -> bool {
        let entry = entry.cast::<Entry>();
        entry.is_ok_and(|entry| self.inner.iter().any(|one| *one == entry.get().inner))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| self.inner == other.get().inner)
    }

    fn __hash__(&self) -> u64 {
        let first = self.inner.first().map_or(0, |entry| entry.index.0);
        let last = self.inner.last().map_or((0, 0), |entry| (entry.term.0, entry.index.0));
        first.wrapping_mul(31).wrapping_add(last.0).wrapping_mul(31).wrapping_add(last.1)
    }

    fn __repr__(&self) -> String {
        match (self.inner.first(), self.inner.last()) {
            (Some(first), Some(last)) => {
                format!("<Entries {} to {}>", first.position(), last.position())
            }
            _ => "<Entries: none>".to_owned(),
        }
    }

    /// Pickles as the entries themselves.
    fn __reduce__<'py>(this: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, (Py<PyTuple>,))> {
        let objects = this.get().objects(this.py())?.unbind();
        Ok((this.get_type(), (objects,)))
    }

    /// The position of the last entry; None when there is none.
    #[getter]
    fn last(&self) -> Option<Position> {
        self.inner.last().map(|entry| entry.position().into())
    }

    /// All entries as plain tuples (index, term, kind, data) in one pass: for executemany, and for
    /// loops that apply many.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = PyList::empty(py);
        for entry in self.inner.slices().flatten() {
            let data = PyBytes::new(py, &entry.data);
            rows.append((entry.index.0, entry.term.0, entry.kind as i32, data))?;
        }
        Ok(rows)
    }

    /// The payloads alone, empty ones included, in one pass.
    fn payloads<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.inner.slices().flatten().map(|entry| PyBytes::new(py, &entry.data)))
    }

    /// The wire's encoding of each entry.
    fn encode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let encoded = |entry: &raftcore::Entry| PyBytes::new(py, &wire::encode_entry(entry));
        PyList::new(py, self.inner.slices().flatten().map(encoded))
    }
}

impl Entries {
    fn objects<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.objects.get(py, || {
            let objects = self.inner.slices().flatten().map(|entry| Entry::from(entry.clone()));
            let objects = objects.map(|entry| Py::new(py, entry)).collect::<PyResult<Vec<_>>>()?;
            PyTuple::new(py, objects)
        })
    }
}

/// The entries in an `Entries` or any iterable of `Entry`.
pub(crate) fn list(object: &Bound<'_, PyAny>) -> PyResult<raftcore::Entries> {
    if let Ok(entries) = object.cast::<Entries>() {
        return Ok(entries.get().inner.clone());
    }
    let entries = object.try_iter()?;
    entries.map(|entry| Ok(entry?.cast::<Entry>()?.get().inner.clone())).collect()
}

const fn kind_from_number(number: i32) -> raftcore::EntryKind {
    match number {
        1 => raftcore::EntryKind::ConfChange,
        2 => raftcore::EntryKind::ConfChangeV2,
        _ => raftcore::EntryKind::Normal,
    }
}
