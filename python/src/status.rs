//! A look at a node from outside.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use raftcore::progress::State;
use raftcore::{MessageKind, Metrics, NodeId, RefusalKind};

use crate::enums::{self, ProgressState, Role};
use crate::values::{ConfState, Many};

value! {
    /// What a leader knows of one member.
    PeerStatus (
        id, is_learner, state, match_index, next_index, recent_active, paused, window_full
    ) {
        /// The member.
        id: u64,
        /// Whether it is a learner.
        is_learner: bool,
        /// How it is being served.
        state: ProgressState,
        /// How far its log is known to match.
        match_index: u64,
        /// The next index to send to it.
        next_index: u64,
        /// Whether it was heard of within the last election timeout.
        recent_active: bool,
        /// Whether nothing is sent to it until it answers.
        paused: bool,
        /// Whether that is because its window is full.
        window_full: bool,
    }
}

value! {
    /// The state of a node at one moment.
    Status (
        id, term, vote, commit, applied, role, leader, first_index, last_index, conf_state,
        transferring_to, progress, pending_reads, uncommitted_bytes
    ) {
        /// The node.
        id: u64,
        /// Its term.
        term: u64,
        /// Whom it voted for in that term.
        vote: Option<u64>,
        /// The highest index it knows to be committed.
        commit: u64,
        /// The index up to which the application has acknowledged to have applied.
        applied: u64,
        /// What it is.
        role: Role,
        /// The leader it knows.
        leader: Option<u64>,
        /// The first index of its log.
        first_index: u64,
        /// The last index of its log.
        last_index: u64,
        /// The members of the group, as far as this node has applied.
        conf_state: ConfState,
        /// On a leader that hands over: to whom.
        transferring_to: Option<u64>,
        /// On a leader: what it knows of each member, itself included, by rising id.
        progress: Many<PeerStatus>,
        /// On a leader: reads that wait for confirmation.
        pending_reads: usize,
        /// On a leader: payload bytes that are proposed and not applied.
        uncommitted_bytes: u64,
    }
}

impl From<&raftcore::PeerStatus> for PeerStatus {
    fn from(peer: &raftcore::PeerStatus) -> Self {
        let progress = &peer.progress;
        Self {
            id: peer.id.get(),
            is_learner: peer.is_learner,
            state: ProgressState(match progress.state() {
                State::Probe => 0,
                State::Replicate(_) => 1,
                State::Snapshot { .. } => 2,
            }),
            match_index: progress.match_index().0,
            next_index: progress.next_index().0,
            recent_active: progress.is_recent_active(),
            paused: progress.is_paused(),
            window_full: peer.is_window_full(),
        }
    }
}

impl From<raftcore::Status> for Status {
    fn from(status: raftcore::Status) -> Self {
        Self {
            id: status.id.get(),
            term: status.hard_state.term.0,
            vote: status.hard_state.vote.map(NodeId::get),
            commit: status.hard_state.commit.0,
            applied: status.applied.0,
            role: Role(status.soft_state.role as i32),
            leader: status.soft_state.leader.map(NodeId::get),
            first_index: status.first_index.0,
            last_index: status.last_index.0,
            conf_state: status.membership.to_conf_state().into(),
            transferring_to: status.transferring_to.map(NodeId::get),
            progress: Many(status.progress.iter().map(Into::into).collect()),
            pending_reads: status.pending_reads,
            uncommitted_bytes: status.uncommitted_bytes,
        }
    }
}

/// The counters as a dict; those of messages and refusals are dicts in it.
pub(crate) fn metrics<'py>(py: Python<'py>, metrics: &Metrics) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    all.set_item("campaigns", metrics.campaigns)?;
    all.set_item("leaderships", metrics.leaderships)?;
    all.set_item("proposals", metrics.proposals)?;
    all.set_item("proposals_dropped", metrics.proposals_dropped)?;
    all.set_item("conf_changes_replaced", metrics.conf_changes_replaced)?;
    all.set_item("committed", metrics.committed)?;
    all.set_item("reads_confirmed", metrics.reads_confirmed)?;
    all.set_item("snapshots_sent", metrics.snapshots_sent)?;
    all.set_item("snapshots_restored", metrics.snapshots_restored)?;
    all.set_item("sends_skipped", metrics.sends_skipped)?;
    let (sent, received, refused) = (PyDict::new(py), PyDict::new(py), PyDict::new(py));
    for number in 0..MessageKind::COUNT as i32 {
        let Some(kind) = MessageKind::from_number(number) else { continue };
        if metrics.sent(kind) > 0 {
            sent.set_item(enums::MessageKind(number), metrics.sent(kind))?;
        }
        if metrics.received(kind) > 0 {
            received.set_item(enums::MessageKind(number), metrics.received(kind))?;
        }
    }
    for reason in RefusalKind::ALL {
        if metrics.refused(reason) > 0 {
            refused.set_item(enums::RefusalReason(reason as i32), metrics.refused(reason))?;
        }
    }
    all.set_item("sent", sent)?;
    all.set_item("received", received)?;
    all.set_item("refused", refused)?;
    Ok(all)
}
