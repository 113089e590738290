//! Looking at a node.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use raftcore::progress::State as Progress;
use raftcore::{ConfState, MessageKind, Metrics, NodeId, PeerStatus, RefusalKind};

use crate::error::raftcore_error;
use crate::handle::{self, State};
use crate::membership::raftcore_conf_state;
use crate::node::raftcore_node;
use crate::owned;
use crate::ready::raftcore_role;
use crate::sized;
use crate::slice::Out;
use crate::status::raftcore_status;

/// What a node knows of itself. Memory of the caller's, who sets struct_size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_node_state {
    /// sizeof(raftcore_node_state), set by the caller.
    pub struct_size: usize,
    /// Its id.
    pub id: u64,
    /// Its term.
    pub term: u64,
    /// Whom it voted for in that term; zero: none.
    pub vote: u64,
    /// The highest index known to be committed.
    pub commit: u64,
    /// The highest index that the application has applied, as of the last advance.
    pub applied: u64,
    /// The leader of its term as far as it knows; zero: none.
    pub leader: u64,
    /// The index of the first entry that is still in its log.
    pub first_index: u64,
    /// The index of the last entry of its log.
    pub last_index: u64,
    /// Of a leader: to whom it is handing over; zero: to none.
    pub transferring_to: u64,
    /// Of a leader: reads that wait for confirmation.
    pub pending_reads: u64,
    /// Of a leader: payload bytes that are proposed and not yet applied.
    pub uncommitted_bytes: u64,
    /// What it is: RAFTCORE_ROLE_.
    pub role: raftcore_role,
    /// 1 when it is faulted; otherwise 0.
    pub faulted: u32,
    /// What raftcore_node_has_ready would say: 1 or 0.
    pub has_ready: u32,
    /// Zero.
    pub reserved: u32,
}

/// How a leader replicates to a member.
pub type raftcore_progress_state = i32;
/// It looks for the point where the logs match, one message at a time.
pub const RAFTCORE_PROGRESS_PROBE: raftcore_progress_state = 0;
/// It streams.
pub const RAFTCORE_PROGRESS_REPLICATE: raftcore_progress_state = 1;
/// It waits for a snapshot to arrive.
pub const RAFTCORE_PROGRESS_SNAPSHOT: raftcore_progress_state = 2;

/// How far a leader is with one member. Grows at its end: step through an array with its stride.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_progress {
    /// The member; the leader itself included.
    pub id: u64,
    /// The highest index that the member is known to have.
    pub match_index: u64,
    /// The index of the next entry to send.
    pub next_index: u64,
    /// In the state RAFTCORE_PROGRESS_SNAPSHOT: the snapshot's index; otherwise zero.
    pub pending_snapshot: u64,
    /// Append messages in flight.
    pub inflight_messages: u64,
    /// Payload bytes in flight.
    pub inflight_bytes: u64,
    /// RAFTCORE_PROGRESS_.
    pub state: raftcore_progress_state,
    /// 1 for a learner; otherwise 0.
    pub is_learner: u32,
    /// 1 when it was heard of in the present election timeout; otherwise 0.
    pub recent_active: u32,
    /// 1 when nothing is sent until it answers; otherwise 0.
    pub is_paused: u32,
    /// 1 when appends wait for an answer, in the states PROBE and REPLICATE: what etcd calls
    /// MsgAppFlowPaused.
    pub flow_paused: u32,
    /// Zero.
    pub reserved: u32,
}

/// Members in order of their ids. raftcore_progress_at finds one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_progresses {
    /// The first; may be NULL when count is 0.
    pub items: *const raftcore_progress,
    /// How many.
    pub count: usize,
    /// The distance from one to the next in bytes.
    pub stride: usize,
}

/// Everything about a node at one moment.
#[repr(C)]
pub struct raftcore_details {
    /// The size that this struct has in the library.
    pub struct_size: usize,
    /// What the node knows of itself.
    pub state: *const raftcore_node_state,
    /// The membership that governs it.
    pub membership: *const raftcore_conf_state,
    /// How far it is with each member; empty unless it leads.
    pub progress: raftcore_progresses,
}

/// The highest message kind a counter array has room for, plus one.
pub const RAFTCORE_METRICS_KINDS: usize = 32;
/// The highest refusal number a counter array has room for, plus one.
pub const RAFTCORE_METRICS_REFUSALS: usize = 32;

/// What a node has counted since it was made. Memory of the caller's, who sets struct_size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_metrics {
    /// sizeof(raftcore_metrics), set by the caller.
    pub struct_size: usize,
    /// Elections started; pre-votes alone do not count.
    pub elections: u64,
    /// Elections won.
    pub leaderships: u64,
    /// Entries appended as a leader because they were proposed.
    pub proposals: u64,
    /// Proposals dropped.
    pub proposals_dropped: u64,
    /// Membership changes replaced by an empty entry.
    pub conf_changes_replaced: u64,
    /// Entries learned to be committed.
    pub committed: u64,
    /// Reads confirmed as a leader.
    pub reads_confirmed: u64,
    /// Snapshots sent.
    pub snapshots_sent: u64,
    /// Snapshots that the log was restored from.
    pub snapshots_restored: u64,
    /// Messages not sent because the storage failed when it was read for them.
    pub sends_skipped: u64,
    /// Messages stepped, refused ones included, by RAFTCORE_MESSAGE_ kind.
    pub received: [u64; RAFTCORE_METRICS_KINDS],
    /// Messages handed out, by RAFTCORE_MESSAGE_ kind.
    pub sent: [u64; RAFTCORE_METRICS_KINDS],
    /// Messages refused, by RAFTCORE_REFUSAL_ number.
    pub refused: [u64; RAFTCORE_METRICS_REFUSALS],
}

/// Writes what the node knows of itself to out, which has its struct_size set. Works on a faulted
/// node too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_status(
    node: *const raftcore_node,
    out: *mut raftcore_node_state,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out) = unsafe { (handle::of(node)?, sized::out(out, "out")?) };
        out.write(node.call(|state| Ok(raftcore_node_state::of(state)))?);
        Ok(())
    })
}

/// Writes to out the state, the membership and the progress of every member at one moment. The
/// caller owns it and frees it with raftcore_details_destroy. Works on a faulted node too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_details(
    node: *const raftcore_node,
    out: *mut *mut raftcore_details,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out) = unsafe { (handle::of(node)?, Out::required(out, "out")?) };
        let backing = node.call(|state| Ok(Backing::of(state)))?;
        out.write(owned::give(backing, |backing| raftcore_details {
            struct_size: size_of::<raftcore_details>(),
            state: &raw const backing.state,
            membership: &raw const backing.membership,
            progress: raftcore_progresses::of(&backing.progress),
        }));
        Ok(())
    })
}

/// Frees what raftcore_node_details returned. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_details_destroy(details: *mut raftcore_details) {
    // SAFETY: `details` is NULL or came from `raftcore_node_details`.
    guard!(else (), { unsafe { owned::take_back::<_, Backing>(details) } });
}

/// Writes the counters to out, which has its struct_size set. Works on a faulted node too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_metrics(
    node: *const raftcore_node,
    out: *mut raftcore_metrics,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out) = unsafe { (handle::of(node)?, sized::out(out, "out")?) };
        out.write(node.call(|state| Ok(raftcore_metrics::of(state.core.metrics())))?);
        Ok(())
    })
}

sized!(raftcore_node_state since has_ready, raftcore_metrics);

/// What a `raftcore_details` points into.
struct Backing {
    state: raftcore_node_state,
    membership: raftcore_conf_state,
    progress: Vec<raftcore_progress>,
    /// Keeps the ids of `membership`.
    _conf_state: ConfState,
}

impl Backing {
    fn of(state: &State) -> Self {
        let status = state.core.status();
        let conf_state = status.membership.to_conf_state();
        Self {
            state: raftcore_node_state::of(state),
            membership: raftcore_conf_state::of(&conf_state),
            progress: status.progress.iter().map(raftcore_progress::of).collect(),
            _conf_state: conf_state,
        }
    }
}

impl raftcore_node_state {
    fn of(state: &State) -> Self {
        let status = state.core.basic_status();
        Self {
            struct_size: size_of::<Self>(),
            id: status.id.get(),
            term: status.hard_state.term.0,
            vote: NodeId::or_zero(status.hard_state.vote),
            commit: status.hard_state.commit.0,
            applied: status.applied.0,
            leader: NodeId::or_zero(status.soft_state.leader),
            first_index: status.first_index.0,
            last_index: status.last_index.0,
            transferring_to: NodeId::or_zero(status.transferring_to),
            pending_reads: status.pending_reads as u64,
            uncommitted_bytes: status.uncommitted_bytes,
            role: status.soft_state.role as i32,
            faulted: state.core.fault().is_some().into(),
            has_ready: state.has_news().into(),
            reserved: 0,
        }
    }
}

impl raftcore_progress {
    fn of(peer: &PeerStatus) -> Self {
        let progress = &peer.progress;
        let mut view = Self {
            id: peer.id.get(),
            match_index: progress.match_index().0,
            next_index: progress.next_index().0,
            pending_snapshot: 0,
            inflight_messages: 0,
            inflight_bytes: 0,
            state: RAFTCORE_PROGRESS_PROBE,
            is_learner: peer.is_learner.into(),
            recent_active: progress.is_recent_active().into(),
            is_paused: (progress.is_paused() || peer.is_window_full()).into(),
            flow_paused: 0,
            reserved: 0,
        };
        let is_in_snapshot = matches!(progress.state(), Progress::Snapshot { .. });
        view.flow_paused = (progress.is_paused() && !is_in_snapshot).into();
        match progress.state() {
            Progress::Probe => (),
            Progress::Replicate(inflights) => {
                view.state = RAFTCORE_PROGRESS_REPLICATE;
                view.inflight_messages = inflights.len() as u64;
                view.inflight_bytes = inflights.payload_bytes();
            }
            Progress::Snapshot { pending } => {
                view.state = RAFTCORE_PROGRESS_SNAPSHOT;
                view.pending_snapshot = pending.0;
            }
        }
        view
    }
}

impl raftcore_progresses {
    const fn of(items: &[raftcore_progress]) -> Self {
        let first = if items.is_empty() { std::ptr::null() } else { items.as_ptr() };
        Self { items: first, count: items.len(), stride: size_of::<raftcore_progress>() }
    }
}

impl raftcore_metrics {
    fn of(metrics: &Metrics) -> Self {
        let mut view = Self {
            struct_size: size_of::<Self>(),
            elections: metrics.campaigns,
            leaderships: metrics.leaderships,
            proposals: metrics.proposals,
            proposals_dropped: metrics.proposals_dropped,
            conf_changes_replaced: metrics.conf_changes_replaced,
            committed: metrics.committed,
            reads_confirmed: metrics.reads_confirmed,
            snapshots_sent: metrics.snapshots_sent,
            snapshots_restored: metrics.snapshots_restored,
            sends_skipped: metrics.sends_skipped,
            received: [0; RAFTCORE_METRICS_KINDS],
            sent: [0; RAFTCORE_METRICS_KINDS],
            refused: [0; RAFTCORE_METRICS_REFUSALS],
        };
        for number in 0..MessageKind::COUNT.min(RAFTCORE_METRICS_KINDS) {
            if let Some(kind) = MessageKind::from_number(number as i32) {
                view.received[number] = metrics.received(kind).into();
                view.sent[number] = metrics.sent(kind).into();
            }
        }
        for kind in RefusalKind::ALL {
            // Refusal numbers count from one: zero stands for what has none.
            view.refused[kind as usize + 1] = metrics.refused(kind);
        }
        view
    }
}
