//! What a node reports of itself while it runs: typed, so that an application can act on it, and
//! with a text, so that it can be logged. Nothing here decides anything.

use std::fmt;

use crate::error::{BadConfChange, DropReason, Refusal, ReplaceReason, StorageError};
use crate::ids::{Index, NodeId, Position, Term};
use crate::message::MessageKind;

/// How much an event matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(i32)]
pub enum Level {
    /// Part of normal work.
    Debug = 0,
    /// A change that an operator wants to find in the log afterwards.
    Info = 1,
    /// Something that should not recur.
    Warn = 2,
    /// Something that needs somebody to look at it.
    Error = 3,
}

/// Something that happened inside a node.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The node follows.
    BecameFollower {
        /// In this term.
        term: Term,
        /// This leader, if it is known.
        leader: Option<NodeId>,
    },
    /// The node asks whether it could win an election.
    BecamePreCandidate {
        /// Its term, which does not change.
        term: Term,
    },
    /// The node campaigns.
    BecameCandidate {
        /// In this term.
        term: Term,
    },
    /// The node leads.
    BecameLeader {
        /// In this term.
        term: Term,
    },
    /// A vote or pre-vote was given or refused.
    Voted {
        /// To whom.
        candidate: NodeId,
        /// In which term.
        term: Term,
        /// Whether the candidate got it.
        granted: bool,
        /// Whether it was only asked.
        pre_vote: bool,
    },
    /// The node did not campaign although its time had come.
    CannotCampaign {
        /// Why.
        why: &'static str,
    },
    /// A leader lost its quorum and stepped down.
    QuorumLost {
        /// In this term.
        term: Term,
    },
    /// A message from a peer was refused.
    MessageRefused {
        /// From whom.
        from: NodeId,
        /// What it was.
        kind: MessageKind,
        /// Why.
        refusal: Refusal,
    },
    /// A proposal was dropped.
    ProposalDropped(DropReason),
    /// A membership change was replaced by an empty entry.
    ConfChangeReplaced(ReplaceReason),
    /// The membership is now this.
    MembershipChanged {
        /// As text.
        membership: String,
    },
    /// A committed membership change cannot be applied and was skipped, as on every node.
    ConfChangeSkipped(BadConfChange),
    /// The log was replaced by a snapshot.
    SnapshotRestored(Position),
    /// A snapshot was ignored because its membership does not name this node. The leader sends it
    /// again until it has a newer one: make one after the change that adds this node.
    SnapshotWithoutThisNode(Position),
    /// A snapshot was sent to a member that is behind the log.
    SnapshotSent {
        /// To whom.
        to: NodeId,
        /// What it contains.
        at: Position,
    },
    /// A member needs a snapshot that the storage does not have, or whose membership does not
    /// name it yet: it waits for a newer one.
    SnapshotMissing {
        /// Who.
        to: NodeId,
    },
    /// Reading for a message failed; the message is skipped and tried again later.
    SendSkipped {
        /// To whom it would have gone.
        to: NodeId,
        /// What failed.
        error: StorageError,
    },
    /// Leadership is being handed over.
    TransferStarted {
        /// To whom.
        to: NodeId,
    },
    /// Handing over leadership was given up.
    TransferAborted {
        /// To whom it would have gone.
        to: NodeId,
    },
    /// The commit index of a heartbeat is beyond the log: has this member lost its disk?
    CommitBeyondLog {
        /// The heartbeat's commit index.
        commit: Index,
        /// The last index here.
        last: Index,
    },
}

impl Event {
    /// How much it matters.
    #[must_use]
    pub const fn level(&self) -> Level {
        match self {
            Self::SendSkipped { .. } | Self::CommitBeyondLog { .. } => Level::Error,
            Self::ConfChangeSkipped(_) => Level::Error,
            Self::QuorumLost { .. }
            | Self::MessageRefused { .. }
            | Self::SnapshotMissing { .. }
            | Self::SnapshotWithoutThisNode(_)
            | Self::CannotCampaign { .. } => Level::Warn,
            Self::Voted { .. } | Self::ProposalDropped(_) | Self::SnapshotSent { .. } => {
                Level::Debug
            }
            _ => Level::Info,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BecameFollower { term, leader: Some(leader) } => {
                write!(f, "follows {leader} in term {term}")
            }
            Self::BecameFollower { term, leader: None } => write!(f, "follows in term {term}"),
            Self::BecamePreCandidate { term } => write!(f, "asks for pre-votes in term {term}"),
            Self::BecameCandidate { term } => write!(f, "campaigns in term {term}"),
            Self::BecameLeader { term } => write!(f, "leads in term {term}"),
            Self::Voted { candidate, term, granted, pre_vote } => write!(
                f,
                "{} {candidate} a {} in term {term}",
                if *granted { "gives" } else { "refuses" },
                if *pre_vote { "pre-vote" } else { "vote" },
            ),
            Self::CannotCampaign { why } => write!(f, "cannot campaign: {why}"),
            Self::QuorumLost { term } => {
                write!(f, "heard from no quorum and steps down in term {term}")
            }
            Self::MessageRefused { from, kind, refusal } => {
                write!(f, "refused {} from {from}: {refusal}", kind.wire_name())
            }
            Self::ProposalDropped(reason) => write!(f, "dropped a proposal: {reason}"),
            Self::ConfChangeReplaced(reason) => {
                write!(f, "replaced a membership change: {reason}")
            }
            Self::MembershipChanged { membership } => write!(f, "membership: {membership}"),
            Self::ConfChangeSkipped(error) => {
                write!(f, "skipped a committed membership change: {error}")
            }
            Self::SnapshotRestored(at) => write!(f, "restored the snapshot at {at}"),
            Self::SnapshotWithoutThisNode(at) => {
                write!(f, "ignored the snapshot at {at}: this node is no member in it")
            }
            Self::SnapshotSent { to, at } => write!(f, "sent the snapshot at {at} to {to}"),
            Self::SnapshotMissing { to } => {
                write!(f, "{to} needs a snapshot, but the storage has none that names it")
            }
            Self::SendSkipped { to, error } => write!(f, "skipped a message to {to}: {error}"),
            Self::TransferStarted { to } => write!(f, "hands leadership over to {to}"),
            Self::TransferAborted { to } => write!(f, "gave up handing leadership over to {to}"),
            Self::CommitBeyondLog { commit, last } => write!(
                f,
                "the leader has committed {commit}, but this log ends at {last}: lost its disk?"
            ),
        }
    }
}
