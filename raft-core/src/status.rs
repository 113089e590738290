//! A look at a node from outside. Nothing here changes anything.

use crate::ids::{Index, NodeId};
use crate::log::Storage;
use crate::membership::Membership;
use crate::progress::{Limits, Progress};
use crate::role::Raft;
use crate::state::{HardState, SoftState};

/// The state of a node at one moment.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The node.
    pub id: NodeId,
    /// Its term, vote and commit index, persisted or not.
    pub hard_state: HardState,
    /// Its role, and the leader it knows.
    pub soft_state: SoftState,
    /// The index up to which the application has acknowledged to have applied.
    pub applied: Index,
    /// The first index of its log; zero if the storage cannot be read.
    pub first_index: Index,
    /// The last index of its log.
    pub last_index: Index,
    /// The members of the group, as far as this node has applied.
    pub membership: Membership,
    /// On a leader that hands over: to whom.
    pub transferring_to: Option<NodeId>,
    /// On a leader: what it knows of each member, itself included, sorted by id.
    pub progress: Vec<PeerStatus>,
    /// On a leader: reads that wait for confirmation.
    pub pending_reads: usize,
    /// On a leader: payload bytes that are proposed and not applied.
    pub uncommitted_bytes: u64,
}

/// What a node knows of itself: [`Status`] without the members, which costs no allocation.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct BasicStatus {
    /// The node.
    pub id: NodeId,
    /// Its term, vote and commit index, persisted or not.
    pub hard_state: HardState,
    /// Its role, and the leader it knows.
    pub soft_state: SoftState,
    /// The index up to which the application has acknowledged to have applied.
    pub applied: Index,
    /// The first index of its log; zero if the storage cannot be read.
    pub first_index: Index,
    /// The last index of its log.
    pub last_index: Index,
    /// On a leader that hands over: to whom.
    pub transferring_to: Option<NodeId>,
    /// On a leader: reads that wait for confirmation.
    pub pending_reads: usize,
    /// On a leader: payload bytes that are proposed and not applied.
    pub uncommitted_bytes: u64,
}

/// What a leader knows of one member.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The member.
    pub id: NodeId,
    /// Whether it is a learner.
    pub is_learner: bool,
    /// How far its log is known to match, and how it is being served.
    pub progress: Progress,
    limits: Limits,
}

impl PeerStatus {
    /// The text form that the scenarios use.
    #[must_use]
    pub fn describe(&self) -> String {
        self.progress.describe(self.is_learner, &self.limits).to_string()
    }

    /// Whether its window is full, so that nothing more is sent until it answers.
    #[must_use]
    pub fn is_window_full(&self) -> bool {
        self.progress.is_window_full(&self.limits)
    }
}

impl<S: Storage> Raft<S> {
    pub(crate) const fn soft_state(&self) -> SoftState {
        SoftState { leader: self.core.leader(), role: self.role.kind() }
    }

    pub(crate) fn basic_status(&self) -> BasicStatus {
        let core = &self.core;
        let leader = self.role.as_leader();
        BasicStatus {
            id: core.id(),
            hard_state: core.hard_state(),
            soft_state: self.soft_state(),
            applied: core.log.applied(),
            first_index: core.log.first_index().unwrap_or_default(),
            last_index: core.log.last_index(),
            transferring_to: leader.and_then(|leader| leader.transferee),
            pending_reads: leader.map_or(0, |leader| leader.reads.len()),
            uncommitted_bytes: leader.map_or(0, |leader| leader.uncommitted_bytes),
        }
    }

    pub(crate) fn status(&self) -> Status {
        let core = &self.core;
        let basic = self.basic_status();
        let limits = core.settings.inflight;
        let leader = self.role.as_leader();
        let peer = |(id, progress): &(NodeId, Progress)| PeerStatus {
            id: *id,
            is_learner: core.membership.is_learner(*id),
            progress: progress.clone(),
            limits,
        };
        Status {
            id: basic.id,
            hard_state: basic.hard_state,
            soft_state: basic.soft_state,
            applied: basic.applied,
            first_index: basic.first_index,
            last_index: basic.last_index,
            membership: core.membership.clone(),
            transferring_to: basic.transferring_to,
            progress: leader.map_or_else(Vec::new, |l| l.members().iter().map(peer).collect()),
            pending_reads: basic.pending_reads,
            uncommitted_bytes: basic.uncommitted_bytes,
        }
    }
}
