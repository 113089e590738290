//! The flat form of everything that is sent or stored: `proto/raft.proto` as structs.
//!
//! Written by hand, so that no protoc is needed; a test holds it to the `.proto` text. Nothing is
//! checked here and nothing means anything yet: numbers that name a kind are plain `i32`, ids are
//! plain `u64`. An absent field reads as zero and zero is not written, so that both presence
//! styles of the protocol family decode to the same value. `bytes` fields are slices of the buffer
//! they were decoded from.

use bytes::Bytes;

/// A log entry; see [`crate::Entry`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Entry {
    /// The number of a [`crate::EntryKind`].
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The term of the leader that created it.
    #[prost(uint64, tag = "2")]
    pub term: u64,
    /// Its place in the log.
    #[prost(uint64, tag = "3")]
    pub index: u64,
    /// The payload.
    #[prost(bytes = "bytes", tag = "4")]
    pub data: Bytes,
}

/// Where a snapshot stands in the log, and who belonged to the group there.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SnapshotMetadata {
    /// The membership; absent means nobody.
    #[prost(message, optional, tag = "1")]
    pub conf_state: Option<ConfState>,
    /// The last entry that the snapshot contains.
    #[prost(uint64, tag = "2")]
    pub index: u64,
    /// The term of that entry.
    #[prost(uint64, tag = "3")]
    pub term: u64,
}

/// A snapshot; see [`crate::Snapshot`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Snapshot {
    /// The application's state.
    #[prost(bytes = "bytes", tag = "1")]
    pub data: Bytes,
    /// What it is the state of.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<SnapshotMetadata>,
}

impl Snapshot {
    /// Whether it contains nothing. Old senders put such a snapshot into messages of every kind:
    /// it means the same as none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.metadata.as_ref().is_none_or(|metadata| metadata.index == 0)
    }
}

/// A message of any kind, those to and from a node's own storage threads included. Which fields
/// mean something depends on the kind: see `proto/raft.proto`.
///
/// Bytes of a peer belong into [`crate::wire::decode`](fn@crate::wire::decode), not into this
/// type's own `decode`: two bytes of `responses` would become a struct of some hundred.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Message {
    /// The number of a [`crate::MessageKind`].
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The receiver: a member or a storage thread.
    #[prost(uint64, tag = "2")]
    pub to: u64,
    /// The sender: a member or a storage thread.
    #[prost(uint64, tag = "3")]
    pub from: u64,
    /// The sender's term; zero is none.
    #[prost(uint64, tag = "4")]
    pub term: u64,
    /// The term of the entry at `index`.
    #[prost(uint64, tag = "5")]
    pub log_term: u64,
    /// A position of the log.
    #[prost(uint64, tag = "6")]
    pub index: u64,
    /// Log entries, or the context of a read as the data of one.
    #[prost(message, repeated, tag = "7")]
    pub entries: Vec<Entry>,
    /// How far may be committed.
    #[prost(uint64, tag = "8")]
    pub commit: u64,
    /// A snapshot; an empty one counts as none ([`Snapshot::is_empty`]).
    #[prost(message, optional, tag = "9")]
    pub snapshot: Option<Snapshot>,
    /// Whether a request was refused.
    #[prost(bool, tag = "10")]
    pub reject: bool,
    /// Where the logs may match, if an append was refused.
    #[prost(uint64, tag = "11")]
    pub reject_hint: u64,
    /// What the receiver echoes, or the mark of a vote request.
    #[prost(bytes = "bytes", tag = "12")]
    pub context: Bytes,
    /// The vote to store; zero is nobody.
    #[prost(uint64, tag = "13")]
    pub vote: u64,
    /// What a storage thread delivers once its work is done.
    #[prost(message, repeated, tag = "14")]
    pub responses: Vec<Self>,
}

/// What a node keeps stable; see [`crate::HardState`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct HardState {
    /// The latest term seen.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// The vote in that term; zero is nobody.
    #[prost(uint64, tag = "2")]
    pub vote: u64,
    /// The highest index known to be committed.
    #[prost(uint64, tag = "3")]
    pub commit: u64,
}

/// A membership; see [`crate::ConfState`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConfState {
    /// The voters; of a joint configuration, the incoming ones.
    #[prost(uint64, repeated, packed = "false", tag = "1")]
    pub voters: Vec<u64>,
    /// The learners.
    #[prost(uint64, repeated, packed = "false", tag = "2")]
    pub learners: Vec<u64>,
    /// Of a joint configuration, the outgoing voters.
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    pub voters_outgoing: Vec<u64>,
    /// Outgoing voters that become learners.
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    pub learners_next: Vec<u64>,
    /// Whether the joint configuration is left by itself.
    #[prost(bool, tag = "5")]
    pub auto_leave: bool,
}

/// A change of one member; see [`crate::ConfChange`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConfChange {
    /// For the application's own use.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The number of a [`crate::ConfChangeKind`].
    #[prost(int32, tag = "2")]
    pub kind: i32,
    /// The member.
    #[prost(uint64, tag = "3")]
    pub node_id: u64,
    /// For the application's own use.
    #[prost(bytes = "bytes", tag = "4")]
    pub context: Bytes,
}

/// One step of a [`ConfChangeV2`]; see [`crate::ConfChangeSingle`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ConfChangeSingle {
    /// The number of a [`crate::ConfChangeKind`].
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The member.
    #[prost(uint64, tag = "2")]
    pub node_id: u64,
}

/// A change of any number of members; see [`crate::ConfChangeV2`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConfChangeV2 {
    /// The number of a [`crate::Transition`].
    #[prost(int32, tag = "1")]
    pub transition: i32,
    /// The steps, in order.
    #[prost(message, repeated, tag = "2")]
    pub changes: Vec<ConfChangeSingle>,
    /// For the application's own use.
    #[prost(bytes = "bytes", tag = "3")]
    pub context: Bytes,
}
