//! Messages between members.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};

use bytes::BytesMut;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use raftcore::wire::schema;
use raftcore::{Body, describe, wire};

use crate::buffer::{Blob, payload};
use crate::entry::Entries;
use crate::enums::MessageKind;
use crate::errors::{guarded, raise};
use crate::snapshot::Snapshot;

/// A message from one member to another. Send what encode() gives; the receiver steps those bytes.
#[pyclass(frozen, eq, hash, module = "raftcore")]
#[derive(PartialEq)]
pub(crate) struct Message {
    pub(crate) inner: raftcore::Message,
}

impl Eq for Message {}

impl Hash for Message {
    fn hash<H: Hasher>(&self, state: &mut H) {
        wire::encode(&self.inner).hash(state);
    }
}

impl From<raftcore::Message> for Message {
    fn from(inner: raftcore::Message) -> Self {
        Self { inner }
    }
}

impl Message {
    fn flat(&self) -> schema::Message {
        (&self.inner).into()
    }
}

#[pymethods]
impl Message {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("kind", "to", "from_", "term")
    }

    /// What it says.
    #[getter]
    fn kind(&self) -> MessageKind {
        MessageKind(self.inner.body.kind() as i32)
    }

    /// The receiver.
    #[getter]
    const fn to(&self) -> u64 {
        self.inner.to.get()
    }

    /// The sender.
    #[getter]
    const fn from_(&self) -> u64 {
        self.inner.from.get()
    }

    /// The sender's term; zero in proposals and read requests, which belong to no term.
    #[getter]
    const fn term(&self) -> u64 {
        self.inner.term.0
    }

    /// The entries it carries.
    #[getter]
    fn entries(&self) -> Entries {
        match &self.inner.body {
            Body::Propose(entries) => entries.clone(),
            Body::Append(append) => append.entries.clone(),
            _ => raftcore::Entries::new(),
        }
        .into()
    }

    /// The snapshot it carries, if it does.
    #[getter]
    fn snapshot(&self) -> Option<Snapshot> {
        match &self.inner.body {
            Body::Snapshot(snapshot) => Some(snapshot.clone().into()),
            _ => None,
        }
    }

    /// The field index of the wire: what it means depends on the kind.
    #[getter]
    fn index(&self) -> u64 {
        self.flat().index
    }

    /// The field logTerm of the wire.
    #[getter]
    fn log_term(&self) -> u64 {
        self.flat().log_term
    }

    /// The field commit of the wire.
    #[getter]
    fn commit(&self) -> u64 {
        self.flat().commit
    }

    /// The field reject of the wire.
    #[getter]
    fn reject(&self) -> bool {
        self.flat().reject
    }

    /// The field rejectHint of the wire.
    #[getter]
    fn reject_hint(&self) -> u64 {
        self.flat().reject_hint
    }

    /// The field context of the wire.
    #[getter]
    fn context(&self) -> Blob {
        Blob(self.flat().context)
    }

    /// The bytes to send.
    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        encode(py, &self.inner)
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        encode(py, &self.inner)
    }

    /// The message that these bytes encode. Raises DecodeError.
    #[staticmethod]
    fn decode(data: Blob) -> PyResult<Self> {
        guarded(|| Ok(wire::decode(data.0).map_err(|error| raise(error.into()))?.into()))
    }

    fn __repr__(&self) -> String {
        format!("<Message {}>", describe::message(&self.flat()))
    }

    fn __reduce__<'py>(
        this: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let class: Bound<'py, PyType> = this.get_type();
        Ok((class.getattr("decode")?, (this.get().encode(this.py()),)))
    }
}

thread_local! {
    static BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// A buffer above this size is not kept.
const BUFFER_BYTES: usize = 1 << 20;

/// A message as `bytes`, by way of a buffer that is used again and again.
pub(crate) fn encode<'py>(py: Python<'py>, message: &raftcore::Message) -> Bound<'py, PyBytes> {
    let may_be_large =
        matches!(message.body, Body::Snapshot(_) | Body::Append(_) | Body::Propose(_));
    if may_be_large && wire::encoded_len(message) > BUFFER_BYTES {
        return PyBytes::new(py, &wire::encode(message));
    }
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        wire::encode_into(message, buffer);
        PyBytes::new(py, buffer)
    })
}

/// A message in either form, decoded.
pub(crate) fn message(object: &Bound<'_, PyAny>) -> PyResult<raftcore::Message> {
    if let Ok(message) = object.cast::<Message>() {
        return Ok(message.get().inner.clone());
    }
    wire::decode(payload(object)?).map_err(|error| raise(error.into()))
}
