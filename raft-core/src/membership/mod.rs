//! Who belongs to the group, and how that changes: one member at a time, or through a joint
//! configuration in which two majorities rule (paper, section 6; thesis, chapter 4).
//!
//! No node is in sight here. [`Membership`] is a checked configuration; `changer` makes the next
//! one from it, as a pure function; `restore` makes one from a stored
//! [`ConfState`](crate::ConfState). How a leader tracks its members is `progress`, and when a
//! change may be proposed is `proposal`.

mod changer;
mod configuration;
mod lists;
mod restore;
#[cfg(test)]
mod walk;

use bytes::Bytes;

pub use changer::ChangeError;
pub use configuration::Membership;
pub(crate) use lists::PackedConfState;
pub use restore::ConfStateError;

/// What to do with one member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(i32)]
pub enum ConfChangeKind {
    /// Make it a voter.
    #[default]
    AddVoter = 0,
    /// Take it out of the group.
    Remove = 1,
    /// Change nothing: carries a context for the application, for example a new address.
    Update = 2,
    /// Make it a learner; a voter is demoted.
    AddLearner = 3,
}

/// One step of a change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConfChangeSingle {
    /// What to do.
    pub kind: ConfChangeKind,
    /// With whom. Zero is the application's veto: the step is skipped.
    pub node: u64,
}

/// How a change of several members is carried out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(i32)]
pub enum Transition {
    /// A single step directly, several through a joint configuration that is left by itself.
    #[default]
    Auto = 0,
    /// Through a joint configuration that is left by itself.
    JointImplicit = 1,
    /// Through a joint configuration that the application leaves, by an empty change.
    JointExplicit = 2,
}

/// A change of one member, the older form.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ConfChange {
    /// For the application's own use.
    pub id: u64,
    /// What to do.
    pub kind: ConfChangeKind,
    /// With whom.
    pub node: u64,
    /// For the application's own use.
    pub context: Bytes,
}

/// A change of any number of members at once. Without changes and with [`Transition::Auto`] it is
/// the order to leave a joint configuration.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ConfChangeV2 {
    /// How to carry it out.
    pub transition: Transition,
    /// The steps, applied in order.
    pub changes: Vec<ConfChangeSingle>,
    /// For the application's own use.
    pub context: Bytes,
}

impl ConfChangeV2 {
    /// The order to leave a joint configuration.
    #[must_use]
    pub fn leave_joint() -> Self {
        Self::default()
    }

    /// Whether this is the order to leave a joint configuration.
    #[must_use]
    pub fn is_leave_joint(&self) -> bool {
        self.transition == Transition::Auto && self.changes.is_empty()
    }

    /// Whether this goes through a joint configuration, and if so whether that is left by itself.
    #[must_use]
    pub fn enters_joint(&self) -> Option<bool> {
        match self.transition {
            Transition::Auto if self.changes.len() <= 1 => None,
            Transition::Auto | Transition::JointImplicit => Some(true),
            Transition::JointExplicit => Some(false),
        }
    }
}

impl From<ConfChange> for ConfChangeV2 {
    fn from(change: ConfChange) -> Self {
        let changes = vec![ConfChangeSingle { kind: change.kind, node: change.node }];
        Self { transition: Transition::Auto, changes, context: change.context }
    }
}

/// A membership change in either form, as it is proposed and applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnyConfChange {
    /// The one-member form, stored as [`crate::EntryKind::ConfChange`].
    One(ConfChange),
    /// The general form, stored as [`crate::EntryKind::ConfChangeV2`].
    Many(ConfChangeV2),
}

impl From<AnyConfChange> for ConfChangeV2 {
    fn from(change: AnyConfChange) -> Self {
        match change {
            AnyConfChange::One(change) => change.into(),
            AnyConfChange::Many(change) => change,
        }
    }
}

impl From<ConfChange> for AnyConfChange {
    fn from(change: ConfChange) -> Self {
        Self::One(change)
    }
}

impl From<ConfChangeV2> for AnyConfChange {
    fn from(change: ConfChangeV2) -> Self {
        Self::Many(change)
    }
}
