//! Messages between members: one struct per kind, one enum over them, one envelope.
//!
//! Each kind carries only the fields it means; the flat form in which all kinds share one struct
//! exists at the edge alone (`wire`). Names like `MsgApp` are those of the wire.

use std::sync::Arc;

use crate::context::Context;
use crate::entry::Entries;
use crate::ids::{Index, NodeId, Position, Term};
use crate::state::Snapshot;

/// A message from one member to another.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// The receiver.
    pub to: NodeId,
    /// The sender; of a [`Body::TransferLeader`] the member that is to become leader, of a
    /// forwarded [`Body::Propose`] or [`Body::ReadIndex`] the member that asked first.
    pub from: NodeId,
    /// The sender's term; of a pre-vote the term that the election would have. Zero in proposals
    /// and read requests, which belong to no term.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a message says. Which kind it is takes a word: a message is moved from queue to queue, and
/// what is written at odd places, and read right after, waits until it has reached the cache.
#[derive(Clone, PartialEq, Debug)]
#[repr(u64)]
pub enum Body {
    /// Entries to append, passed on to the leader (`MsgProp`).
    Propose(Entries),
    /// Entries from the leader (`MsgApp`) (paper, figure 2, AppendEntries).
    Append(Append),
    /// The answer to an append or a snapshot (`MsgAppResp`).
    AppendResponse(AppendResponse),
    /// A request for a vote (`MsgVote`) (paper, figure 2, RequestVote).
    Vote(VoteRequest),
    /// The answer to it (`MsgVoteResp`).
    VoteResponse(VoteResponse),
    /// The question whether a vote would be given (`MsgPreVote`) (thesis, section 9.6).
    PreVote(VoteRequest),
    /// The answer to it (`MsgPreVoteResp`).
    PreVoteResponse(VoteResponse),
    /// A snapshot for a member that is behind the leader's log (`MsgSnap`) (paper, figure 13).
    Snapshot(Arc<Snapshot>),
    /// The leader is alive (`MsgHeartbeat`).
    Heartbeat(Heartbeat),
    /// The answer to it (`MsgHeartbeatResp`).
    HeartbeatResponse {
        /// The context of the heartbeat, unchanged.
        context: Context,
    },
    /// The sender is to become leader (`MsgTransferLeader`) (thesis, section 3.10).
    TransferLeader,
    /// The receiver is to campaign at once (`MsgTimeoutNow`).
    TimeoutNow,
    /// A request for a read index, passed on to the leader (`MsgReadIndex`).
    ReadIndex {
        /// Chosen by the application to recognise the answer.
        context: Context,
    },
    /// The leader's answer (`MsgReadIndexResp`).
    ReadIndexResponse {
        /// The index up to which the reader must have applied.
        index: Index,
        /// The context of the request.
        context: Context,
    },
}

/// Entries that follow a position of the leader's log.
#[derive(Clone, PartialEq, Debug)]
pub struct Append {
    /// The position right before the first entry: the receiver must have it.
    pub prev: Position,
    /// Consecutive entries from `prev.index + 1`; none to probe or to pass on the commit index.
    pub entries: Entries,
    /// The leader's commit index.
    pub commit: Index,
}

/// What a member did with an append or a snapshot.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AppendResponse {
    /// Accepted: the log matches the leader's up to here. Rejected: the `prev.index` that did not
    /// match.
    pub index: Index,
    /// Present when the append was rejected.
    pub rejection: Option<Rejection>,
}

/// Where a rejected append could match instead.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rejection {
    /// The highest index at which the logs could match, as the follower sees it.
    pub hint: Index,
    /// The follower's term at that index; zero if it has none.
    pub hint_term: Term,
}

/// How up to date a candidate is (paper, section 5.4.1).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct VoteRequest {
    /// The candidate's last entry.
    pub last: Position,
    /// The leader itself handed over: the receiver's lease does not stand in the way.
    pub transfer: bool,
}

/// A vote given or refused.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct VoteResponse {
    /// Whether the candidate did not get it.
    pub rejected: bool,
}

/// A heartbeat.
#[derive(Clone, PartialEq, Debug)]
pub struct Heartbeat {
    /// How far the receiver may commit: the leader's commit index, at most what is known to match.
    pub commit: Index,
    /// Echoed by the receiver. The leader puts the position of its read queue here.
    pub context: Context,
}

/// The kinds of message by their number on the wire, storage threads' and local ones included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(i32)]
#[allow(missing_docs, reason = "the names are those of the wire; `Body` explains them")]
pub enum MessageKind {
    Hup = 0,
    Beat = 1,
    Propose = 2,
    Append = 3,
    AppendResponse = 4,
    Vote = 5,
    VoteResponse = 6,
    Snapshot = 7,
    Heartbeat = 8,
    HeartbeatResponse = 9,
    Unreachable = 10,
    SnapshotStatus = 11,
    CheckQuorum = 12,
    TransferLeader = 13,
    TimeoutNow = 14,
    ReadIndex = 15,
    ReadIndexResponse = 16,
    PreVote = 17,
    PreVoteResponse = 18,
    StorageAppend = 19,
    StorageAppendResponse = 20,
    StorageApply = 21,
    StorageApplyResponse = 22,
    ForgetLeader = 23,
}

impl MessageKind {
    /// How many kinds there are: one more than the highest number.
    pub const COUNT: usize = 24;

    /// The name of this kind on the wire, for example `MsgApp`.
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Hup => "MsgHup",
            Self::Beat => "MsgBeat",
            Self::Propose => "MsgProp",
            Self::Append => "MsgApp",
            Self::AppendResponse => "MsgAppResp",
            Self::Vote => "MsgVote",
            Self::VoteResponse => "MsgVoteResp",
            Self::Snapshot => "MsgSnap",
            Self::Heartbeat => "MsgHeartbeat",
            Self::HeartbeatResponse => "MsgHeartbeatResp",
            Self::Unreachable => "MsgUnreachable",
            Self::SnapshotStatus => "MsgSnapStatus",
            Self::CheckQuorum => "MsgCheckQuorum",
            Self::TransferLeader => "MsgTransferLeader",
            Self::TimeoutNow => "MsgTimeoutNow",
            Self::ReadIndex => "MsgReadIndex",
            Self::ReadIndexResponse => "MsgReadIndexResp",
            Self::PreVote => "MsgPreVote",
            Self::PreVoteResponse => "MsgPreVoteResp",
            Self::StorageAppend => "MsgStorageAppend",
            Self::StorageAppendResponse => "MsgStorageAppendResp",
            Self::StorageApply => "MsgStorageApply",
            Self::StorageApplyResponse => "MsgStorageApplyResp",
            Self::ForgetLeader => "MsgForgetLeader",
        }
    }

    /// The kind with this number on the wire.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Hup,
            1 => Self::Beat,
            2 => Self::Propose,
            3 => Self::Append,
            4 => Self::AppendResponse,
            5 => Self::Vote,
            6 => Self::VoteResponse,
            7 => Self::Snapshot,
            8 => Self::Heartbeat,
            9 => Self::HeartbeatResponse,
            10 => Self::Unreachable,
            11 => Self::SnapshotStatus,
            12 => Self::CheckQuorum,
            13 => Self::TransferLeader,
            14 => Self::TimeoutNow,
            15 => Self::ReadIndex,
            16 => Self::ReadIndexResponse,
            17 => Self::PreVote,
            18 => Self::PreVoteResponse,
            19 => Self::StorageAppend,
            20 => Self::StorageAppendResponse,
            21 => Self::StorageApply,
            22 => Self::StorageApplyResponse,
            23 => Self::ForgetLeader,
            _ => return None,
        })
    }

    /// Whether such a message only ever travels inside one node, never between members.
    #[must_use]
    pub const fn is_local(self) -> bool {
        matches!(
            self,
            Self::Hup
                | Self::Beat
                | Self::Unreachable
                | Self::SnapshotStatus
                | Self::CheckQuorum
                | Self::StorageAppend
                | Self::StorageAppendResponse
                | Self::StorageApply
                | Self::StorageApplyResponse
                | Self::ForgetLeader
        )
    }
}

impl Body {
    /// Which kind of message this is.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Propose(_) => MessageKind::Propose,
            Self::Append(_) => MessageKind::Append,
            Self::AppendResponse(_) => MessageKind::AppendResponse,
            Self::Vote(_) => MessageKind::Vote,
            Self::VoteResponse(_) => MessageKind::VoteResponse,
            Self::PreVote(_) => MessageKind::PreVote,
            Self::PreVoteResponse(_) => MessageKind::PreVoteResponse,
            Self::Snapshot(_) => MessageKind::Snapshot,
            Self::Heartbeat(_) => MessageKind::Heartbeat,
            Self::HeartbeatResponse { .. } => MessageKind::HeartbeatResponse,
            Self::TransferLeader => MessageKind::TransferLeader,
            Self::TimeoutNow => MessageKind::TimeoutNow,
            Self::ReadIndex { .. } => MessageKind::ReadIndex,
            Self::ReadIndexResponse { .. } => MessageKind::ReadIndexResponse,
        }
    }

    /// Whether only a member of the receiver's configuration can have a reason to send this.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        matches!(
            self,
            Self::AppendResponse(_)
                | Self::VoteResponse(_)
                | Self::PreVoteResponse(_)
                | Self::HeartbeatResponse { .. }
                | Self::ReadIndexResponse { .. }
        )
    }

    /// Whether only a leader sends this: whoever does so in the current term leads it.
    #[must_use]
    pub const fn is_from_leader(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Heartbeat(_) | Self::Snapshot(_))
    }
}
