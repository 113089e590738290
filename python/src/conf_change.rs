//! Membership changes: what is proposed, what is in an entry, and what applying it did.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use raftcore::{AnyConfChange, EntryKind, Transition, wire};

use crate::buffer::Blob;
use crate::enums::{ConfChangeKind, ConfChangeTransition};
use crate::errors::{guarded, malformed};
use crate::values::{ConfState, Many};

value! {
    /// A change of one member: the older form, which upstream's applications know.
    ConfChange (kind, node, context=Blob::default(), id=0) {
        /// What to do.
        kind: ConfChangeKind,
        /// With whom.
        node: u64,
        /// For the application's own use, for example the member's address.
        context: Blob,
        /// For the application's own use.
        id: u64,
    }
    /// The wire's encoding of this value: the data of an entry that carries it.
    fn encode(&self) -> Blob {
        Blob(wire::encode_conf_change(&self.to_core()).1)
    }
    /// The value that these bytes encode. Raises DecodeError.
    #[staticmethod]
    fn decode(py: Python<'_>, data: Blob) -> PyResult<Option<Bound<'_, PyAny>>> {
        decode(py, EntryKind::ConfChange, data)
    }
}

value! {
    /// One step of a change of several members.
    ConfChangeSingle (kind, node) {
        /// What to do.
        kind: ConfChangeKind,
        /// With whom.
        node: u64,
    }
}

value! {
    /// A change of any number of members at once. Without changes: leave the joint configuration.
    ConfChangeV2 (
        changes=Many::default(), transition=ConfChangeTransition(0), context=Blob::default()
    ) {
        /// The steps, in order.
        changes: Many<ConfChangeSingle>,
        /// How to carry them out.
        transition: ConfChangeTransition,
        /// For the application's own use.
        context: Blob,
    }
    /// The wire's encoding of this value: the data of an entry that carries it.
    fn encode(&self) -> Blob {
        Blob(wire::encode_conf_change(&self.to_core()).1)
    }
    /// The value that these bytes encode. Raises DecodeError.
    #[staticmethod]
    fn decode(py: Python<'_>, data: Blob) -> PyResult<Option<Bound<'_, PyAny>>> {
        decode(py, EntryKind::ConfChangeV2, data)
    }
}

value! {
    /// What applying a membership change did.
    AppliedConfChange (conf_state, overtaken, skipped) {
        /// The membership from now on: to be kept with the next snapshot.
        conf_state: ConfState,
        /// Whether a snapshot that contains this change was taken meanwhile.
        overtaken: bool,
        /// Why no node can apply this change, if so: it was skipped, here as everywhere.
        skipped: Option<String>,
    }
}

impl From<raftcore::AppliedConfChange> for AppliedConfChange {
    fn from(applied: raftcore::AppliedConfChange) -> Self {
        Self {
            conf_state: applied.conf_state.into(),
            overtaken: applied.overtaken,
            skipped: applied.skipped.map(|why| why.to_string()),
        }
    }
}

const fn kind(number: ConfChangeKind) -> raftcore::ConfChangeKind {
    match number.0 {
        1 => raftcore::ConfChangeKind::Remove,
        2 => raftcore::ConfChangeKind::Update,
        3 => raftcore::ConfChangeKind::AddLearner,
        _ => raftcore::ConfChangeKind::AddVoter,
    }
}

impl ConfChange {
    fn to_core(&self) -> AnyConfChange {
        AnyConfChange::One(raftcore::ConfChange {
            id: self.id,
            kind: kind(self.kind),
            node: self.node,
            context: self.context.0.clone(),
        })
    }
}

impl ConfChangeV2 {
    fn to_core(&self) -> AnyConfChange {
        let steps = self.changes.0.iter();
        AnyConfChange::Many(raftcore::ConfChangeV2 {
            transition: match self.transition.0 {
                1 => Transition::JointImplicit,
                2 => Transition::JointExplicit,
                _ => Transition::Auto,
            },
            changes: steps
                .map(|step| raftcore::ConfChangeSingle { kind: kind(step.kind), node: step.node })
                .collect(),
            context: self.context.0.clone(),
        })
    }
}

/// The core's form of either class.
pub(crate) fn change(object: &Bound<'_, PyAny>) -> PyResult<AnyConfChange> {
    match object.cast::<ConfChange>() {
        Ok(one) => Ok(one.get().to_core()),
        Err(_) => Ok(object.cast::<ConfChangeV2>()?.get().to_core()),
    }
}

/// The change in the data of an entry of this kind.
fn decode(py: Python<'_>, kind: EntryKind, data: Blob) -> PyResult<Option<Bound<'_, PyAny>>> {
    in_entry(py, &raftcore::Entry { kind, data: data.0, ..raftcore::Entry::default() })
}

/// The change that an entry carries; None if it is of no such kind.
pub(crate) fn in_entry<'py>(
    py: Python<'py>,
    entry: &raftcore::Entry,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    guarded(|| {
        let change = wire::decode_conf_change(entry).map_err(malformed)?;
        change.map(|change| of_core(py, change)).transpose()
    })
}

/// Python's form of a change that was in an entry.
fn of_core(py: Python<'_>, change: AnyConfChange) -> PyResult<Bound<'_, PyAny>> {
    match change {
        AnyConfChange::One(one) => ConfChange {
            kind: ConfChangeKind(one.kind as i32),
            node: one.node,
            context: Blob(one.context),
            id: one.id,
        }
        .into_bound_py_any(py),
        AnyConfChange::Many(many) => {
            let steps = many.changes.iter().map(|step| ConfChangeSingle {
                kind: ConfChangeKind(step.kind as i32),
                node: step.node,
            });
            ConfChangeV2 {
                changes: Many(steps.collect()),
                transition: ConfChangeTransition(many.transition as i32),
                context: Blob(many.context),
            }
            .into_bound_py_any(py)
        }
    }
}
