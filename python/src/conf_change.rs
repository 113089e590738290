//! Membership changes: what is proposed, what is in an entry, and what applying it did.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use raftcore::{AnyConfChange, Transition};

use crate::buffer::Blob;
use crate::enums::{ConfChangeKind, ConfChangeTransition};
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

/// The core's form of either class.
pub(crate) fn change(object: &Bound<'_, PyAny>) -> PyResult<AnyConfChange> {
    if let Ok(one) = object.cast::<ConfChange>() {
        let one = one.get();
        return Ok(AnyConfChange::One(raftcore::ConfChange {
            id: one.id,
            kind: kind(one.kind),
            node: one.node,
            context: one.context.0.clone(),
        }));
    }
    let many = object.cast::<ConfChangeV2>()?.get();
    let steps = many.changes.0.iter();
    Ok(AnyConfChange::Many(raftcore::ConfChangeV2 {
        transition: match many.transition.0 {
            1 => Transition::JointImplicit,
            2 => Transition::JointExplicit,
            _ => Transition::Auto,
        },
        changes: steps
            .map(|step| raftcore::ConfChangeSingle { kind: kind(step.kind), node: step.node })
            .collect(),
        context: many.context.0.clone(),
    }))
}

/// Python's form of a change that was in an entry.
pub(crate) fn decoded(py: Python<'_>, change: AnyConfChange) -> PyResult<Bound<'_, PyAny>> {
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
