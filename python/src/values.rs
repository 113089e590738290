//! Frozen values: they compare, hash, match, print and pickle.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyTuple, PyType};
use raftcore::{Index, NodeId, Term};

use crate::buffer::Blob;
use crate::enums::Role;

/// A field of several values, a tuple in Python.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Many<T>(pub(crate) Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'py, T: FromPyObjectOwned<'py>> FromPyObject<'_, 'py> for Many<T> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let items = object.try_iter()?;
        items.map(|item| item?.extract().map_err(Into::into)).collect::<PyResult<_>>().map(Self)
    }
}

impl<'py, T> IntoPyObject<'py> for &Many<T>
where
    T: Clone + IntoPyObject<'py>,
{
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        PyTuple::new(py, self.0.iter().cloned())
    }
}

impl<'py, T> IntoPyObject<'py> for Many<T>
where
    T: Clone + IntoPyObject<'py>,
{
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        (&self).into_pyobject(py)
    }
}

/// What a value of this class and these fields prints as.
pub(crate) fn represent(class: &str, fields: &[(&str, Bound<'_, PyAny>)]) -> PyResult<String> {
    let mut out = format!("{class}(");
    for (place, (name, value)) in fields.iter().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value.repr()?.to_str()?);
    }
    out.push(')');
    Ok(out)
}

/// A class of frozen values. The signature is that of its constructor; methods may follow.
macro_rules! value {
    ($(#[$doc:meta])* $name:ident $signature:tt {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty,)*
    } $($method:tt)*) => {
        $(#[$doc])*
        #[pyclass(frozen, get_all, from_py_object, module = "raftcore")]
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub(crate) struct $name {
            $($(#[$field_doc])* pub(crate) $field: $kind,)*
        }

        #[pymethods]
        #[allow(clippy::clone_on_copy, clippy::too_many_arguments, reason = "generated")]
        impl $name {
            #[new]
            #[pyo3(signature = $signature)]
            const fn new($($field: $kind),*) -> Self {
                Self { $($field),* }
            }

            #[classattr]
            fn __match_args__(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
                PyTuple::new(py, [$(stringify!($field)),*])
            }

            fn __eq__(&self, other: &Self) -> bool {
                self == other
            }

            fn __hash__(&self) -> u64 {
                let mut hasher = std::hash::DefaultHasher::new();
                std::hash::Hash::hash(self, &mut hasher);
                std::hash::Hasher::finish(&hasher)
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let fields =
                    [$((stringify!($field), self.$field.clone().into_bound_py_any(py)?)),*];
                $crate::values::represent(stringify!($name), &fields)
            }

            fn __reduce__<'py>(
                this: &Bound<'py, Self>,
            ) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
                let py = this.py();
                let fields = [$(this.get().$field.clone().into_bound_py_any(py)?),*];
                Ok((this.get_type(), PyTuple::new(py, fields)?))
            }

            $($method)*
        }
    };
}
value! {
    /// Where an entry stands. Term and index together name one entry of one history for ever.
    /// Ordered by term first: a later term is a newer log, whatever its length.
    Position (term, index) {
        /// The term in which a leader created the entry.
        term: u64,
        /// The entry's place in the log, counted from one.
        index: u64,
    }
    fn __lt__(&self, other: &Self) -> bool {
        (self.term, self.index) < (other.term, other.index)
    }
    fn __le__(&self, other: &Self) -> bool {
        (self.term, self.index) <= (other.term, other.index)
    }
    fn __gt__(&self, other: &Self) -> bool {
        (self.term, self.index) > (other.term, other.index)
    }
    fn __ge__(&self, other: &Self) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }
}

impl From<raftcore::Position> for Position {
    fn from(position: raftcore::Position) -> Self {
        Self { term: position.term.0, index: position.index.0 }
    }
}

value! {
    /// Where a batch of payloads stands: consecutive entries of one term.
    Span (term, first, last) {
        /// The term in which the leader created them.
        term: u64,
        /// The index of the first.
        first: u64,
        /// The index of the last.
        last: u64,
    }
    fn __len__(&self) -> usize {
        usize::try_from((self.last + 1).saturating_sub(self.first)).unwrap_or(usize::MAX)
    }
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let term = self.term;
        let positions = (self.first..=self.last).map(|index| Position { term, index });
        PyTuple::new(py, positions.collect::<Vec<_>>())?.try_iter()
    }
    /// The position of the payload at this place of the batch.
    fn __getitem__(&self, place: isize) -> PyResult<Position> {
        let from_end = if place < 0 { self.__len__() } else { 0 };
        let place = usize::try_from(place.saturating_add_unsigned(from_end));
        match place {
            Ok(place) if place < self.__len__() => {
                Ok(Position { term: self.term, index: self.first + place as u64 })
            }
            _ => Err(pyo3::exceptions::PyIndexError::new_err("out of range")),
        }
    }
}

value! {
    /// What a node must have on disk before it sends a message that depends on it.
    HardState (term=0, vote=None, commit=0) {
        /// The latest term the node has seen.
        term: u64,
        /// Whom it voted for in that term.
        vote: Option<u64>,
        /// The highest index it knows to be committed.
        commit: u64,
    }
    /// The wire's encoding of this value.
    fn encode(&self) -> PyResult<Blob> {
        Ok(Blob(raftcore::wire::encode_hard_state(&self.to_core()?)))
    }
    /// The value that these bytes encode. Raises DecodeError.
    #[staticmethod]
    fn decode(data: Blob) -> PyResult<Self> {
        crate::errors::guarded(|| {
            Ok(raftcore::wire::decode_hard_state(data.0).map_err(crate::errors::malformed)?.into())
        })
    }
}

impl HardState {
    pub(crate) fn to_core(&self) -> PyResult<raftcore::HardState> {
        Ok(raftcore::HardState {
            term: Term(self.term),
            vote: self.vote.map(node_id).transpose()?,
            commit: Index(self.commit),
        })
    }
}

impl From<raftcore::HardState> for HardState {
    fn from(state: raftcore::HardState) -> Self {
        Self { term: state.term.0, vote: state.vote.map(NodeId::get), commit: state.commit.0 }
    }
}

value! {
    /// What a node is at the moment. Not persisted.
    SoftState (leader, role) {
        /// The leader of the current term, as far as this node knows.
        leader: Option<u64>,
        /// What this node is.
        role: Role,
    }
}

impl From<raftcore::SoftState> for SoftState {
    fn from(state: raftcore::SoftState) -> Self {
        Self { leader: state.leader.map(NodeId::get), role: Role(state.role as i32) }
    }
}

value! {
    /// The members of a group.
    ConfState (
        voters=Many::default(), learners=Many::default(), voters_outgoing=Many::default(),
        learners_next=Many::default(), auto_leave=false
    ) {
        /// The voters; of a joint configuration, the incoming ones.
        voters: Many<u64>,
        /// Members that receive the log and count in no quorum.
        learners: Many<u64>,
        /// Of a joint configuration, the outgoing voters; empty otherwise.
        voters_outgoing: Many<u64>,
        /// Outgoing voters that become learners when the joint configuration is left.
        learners_next: Many<u64>,
        /// Whether the leader leaves the joint configuration by itself.
        auto_leave: bool,
    }
    /// The wire's encoding of this value.
    fn encode(&self) -> Blob {
        Blob(raftcore::wire::encode_conf_state(&self.to_core()))
    }
    /// The value that these bytes encode. Raises DecodeError.
    #[staticmethod]
    fn decode(data: Blob) -> PyResult<Self> {
        crate::errors::guarded(|| {
            Ok(raftcore::wire::decode_conf_state(data.0).map_err(crate::errors::malformed)?.into())
        })
    }
}

impl ConfState {
    pub(crate) fn to_core(&self) -> raftcore::ConfState {
        raftcore::ConfState {
            voters: self.voters.0.clone(),
            learners: self.learners.0.clone(),
            voters_outgoing: self.voters_outgoing.0.clone(),
            learners_next: self.learners_next.0.clone(),
            auto_leave: self.auto_leave,
        }
    }
}

impl From<raftcore::ConfState> for ConfState {
    fn from(state: raftcore::ConfState) -> Self {
        Self {
            voters: Many(state.voters),
            learners: Many(state.learners),
            voters_outgoing: Many(state.voters_outgoing),
            learners_next: Many(state.learners_next),
            auto_leave: state.auto_leave,
        }
    }
}

value! {
    /// The answer to a read_index: once everything up to index is applied, the read may be served.
    ReadState (index, context) {
        /// Apply up to here before you answer.
        index: u64,
        /// The context that was given with the request.
        context: Blob,
    }
}

impl From<&raftcore::ReadState> for ReadState {
    fn from(state: &raftcore::ReadState) -> Self {
        Self { index: state.index.0, context: Blob(state.context.clone().into()) }
    }
}

value! {
    /// One member of a group that is to be bootstrapped.
    Peer (id, context=Blob::default()) {
        /// The member.
        id: u64,
        /// Kept in the entry that adds the member, for example its address.
        context: Blob,
    }
}

/// A number that can be a member's id.
pub(crate) fn node_id(id: u64) -> PyResult<NodeId> {
    NodeId::new(id).ok_or_else(|| PyValueError::new_err(format!("no member can have the id {id}")))
}
