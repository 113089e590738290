//! Persistence in two threads of the application: one appends to the log, one applies.
//!
//! The node does not wait. It hands out work with the replies attached that become true when the
//! work is done; each thread works in order, and then passes each reply on: to the network, or
//! back into the node. A reply names the term and position it speaks for, so that one that was
//! overtaken by a newer leader's entries acknowledges nothing (the ABA case).

use std::sync::Arc;

use crate::entry::Entries;
use crate::ids::{Index, NodeId, Position, Term};
use crate::message::{Message, MessageKind};
use crate::state::{HardState, Snapshot};
use crate::wire::schema;

/// Work for the append thread: make all of this durable, in the order in which it came, then pass
/// on `replies` in order.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct StorageAppend {
    /// The node whose log it is.
    pub node: NodeId,
    /// To be persisted, if present.
    pub hard_state: Option<HardState>,
    /// Replaces the whole log, if present.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Entries to append. They replace what the storage has from their first index on.
    pub entries: Entries,
    /// Whether a sync is needed before the replies may go.
    pub must_sync: bool,
    /// What to say when it is durable.
    pub replies: Vec<Reply>,
}

/// Work for the apply thread: apply these entries in order, then pass on `reply`.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct StorageApply {
    /// The node whose log it is.
    pub node: NodeId,
    /// Entries to apply.
    pub entries: Entries,
    /// What to say when they are applied.
    pub reply: LocalResponse,
}

/// What a storage thread says when its work is done.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// For the network.
    Peer(Message),
    /// For [`Node::storage_response`](crate::Node::storage_response) of the same node.
    Local(LocalResponse),
}

/// A reply that goes back into the node it came from. Only the node makes these.
#[derive(Clone, PartialEq, Debug)]
pub struct LocalResponse {
    pub(crate) node: NodeId,
    /// Which response of its node this is: each is taken once.
    pub(crate) number: u64,
    pub(crate) kind: LocalKind,
}

/// What a local response says.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum LocalKind {
    /// The node's own vote, or its acknowledgement as a leader of its own entries.
    Own(Message),
    /// The log is durable up to a position, as of a term.
    Appended {
        /// The node's term when the work was handed out.
        term: Term,
        /// The last entry that is then durable, if there were entries.
        last: Option<Position>,
        /// The snapshot that is then durable.
        snapshot: Option<Arc<Snapshot>>,
    },
    /// These entries are applied.
    Applied {
        /// All of them, so that sizes can be accounted for.
        entries: Entries,
    },
}

impl LocalResponse {
    /// The flat form, in which the storage threads have addresses of their own.
    #[must_use]
    pub fn to_flat(&self) -> schema::Message {
        let node = self.node.get();
        match &self.kind {
            LocalKind::Own(message) => message.into(),
            LocalKind::Appended { term, last, snapshot } => schema::Message {
                kind: MessageKind::StorageAppendResponse as i32,
                to: node,
                from: NodeId::APPEND_THREAD,
                term: term.0,
                index: last.map_or(0, |last| last.index.0),
                log_term: last.map_or(0, |last| last.term.0),
                snapshot: snapshot.as_deref().map(Into::into),
                ..Default::default()
            },
            LocalKind::Applied { entries } => schema::Message {
                kind: MessageKind::StorageApplyResponse as i32,
                to: node,
                from: NodeId::APPLY_THREAD,
                entries: entries.iter().map(Into::into).collect(),
                ..Default::default()
            },
        }
    }

    /// The index up to which this acknowledges entries as applied, if it does.
    #[must_use]
    pub fn applied(&self) -> Option<Index> {
        match &self.kind {
            LocalKind::Applied { entries } => entries.last().map(|entry| entry.index),
            _ => None,
        }
    }
}

impl Reply {
    /// The flat form.
    #[must_use]
    pub fn to_flat(&self) -> schema::Message {
        match self {
            Self::Peer(message) => message.into(),
            Self::Local(response) => response.to_flat(),
        }
    }
}

impl StorageAppend {
    /// The flat form, replies included.
    #[must_use]
    pub fn to_flat(&self) -> schema::Message {
        let hard_state = self.hard_state.unwrap_or_default();
        schema::Message {
            kind: MessageKind::StorageAppend as i32,
            to: NodeId::APPEND_THREAD,
            from: self.node.get(),
            term: hard_state.term.0,
            vote: NodeId::or_zero(hard_state.vote),
            commit: hard_state.commit.0,
            entries: self.entries.iter().map(Into::into).collect(),
            snapshot: self.snapshot.as_deref().map(Into::into),
            responses: self.replies.iter().map(Reply::to_flat).collect(),
            ..Default::default()
        }
    }
}

impl StorageApply {
    /// The flat form, reply included.
    #[must_use]
    pub fn to_flat(&self) -> schema::Message {
        schema::Message {
            kind: MessageKind::StorageApply as i32,
            to: NodeId::APPLY_THREAD,
            from: self.node.get(),
            entries: self.entries.iter().map(Into::into).collect(),
            responses: vec![self.reply.to_flat()],
            ..Default::default()
        }
    }
}
