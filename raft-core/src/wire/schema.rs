//! The flat form of everything that is sent or stored: `proto/raft.proto` as structs.
//!
//! Nothing is checked here and nothing means anything yet: numbers that name a kind are plain
//! `i32`, ids are plain `u64`. An absent field reads as zero and zero is not written, so that both
//! presence styles of the protocol family decode to the same value. Bytes go past this form in
//! either direction: it is for programs that pass messages on field by field, and for tests.

use bytes::Bytes;

/// A log entry; see [`crate::Entry`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Entry {
    /// The number of a [`crate::EntryKind`].
    pub kind: i32,
    /// The term of the leader that created it.
    pub term: u64,
    /// Its place in the log.
    pub index: u64,
    /// The payload.
    pub data: Bytes,
}

/// Where a snapshot stands in the log, and who belonged to the group there.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SnapshotMetadata {
    /// The membership; absent means nobody.
    pub conf_state: Option<ConfState>,
    /// The last entry that the snapshot contains.
    pub index: u64,
    /// The term of that entry.
    pub term: u64,
}

/// A snapshot; see [`crate::Snapshot`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Snapshot {
    /// The application's state.
    pub data: Bytes,
    /// What it is the state of.
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
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Message {
    /// The number of a [`crate::MessageKind`].
    pub kind: i32,
    /// The receiver: a member or a storage thread.
    pub to: u64,
    /// The sender: a member or a storage thread.
    pub from: u64,
    /// The sender's term; zero is none.
    pub term: u64,
    /// The term of the entry at `index`.
    pub log_term: u64,
    /// A position of the log.
    pub index: u64,
    /// Log entries, or the context of a read as the data of one.
    pub entries: Vec<Entry>,
    /// How far may be committed.
    pub commit: u64,
    /// A snapshot; an empty one counts as none ([`Snapshot::is_empty`]).
    pub snapshot: Option<Snapshot>,
    /// Whether a request was refused.
    pub reject: bool,
    /// Where the logs may match, if an append was refused.
    pub reject_hint: u64,
    /// What the receiver echoes, or the mark of a vote request.
    pub context: Bytes,
    /// The vote to store; zero is nobody.
    pub vote: u64,
    /// What a storage thread delivers once its work is done.
    pub responses: Vec<Self>,
}

/// What a node keeps stable; see [`crate::HardState`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HardState {
    /// The latest term seen.
    pub term: u64,
    /// The vote in that term; zero is nobody.
    pub vote: u64,
    /// The highest index known to be committed.
    pub commit: u64,
}

/// A membership; see [`crate::ConfState`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ConfState {
    /// The voters; of a joint configuration, the incoming ones.
    pub voters: Vec<u64>,
    /// The learners.
    pub learners: Vec<u64>,
    /// Of a joint configuration, the outgoing voters.
    pub voters_outgoing: Vec<u64>,
    /// Outgoing voters that become learners.
    pub learners_next: Vec<u64>,
    /// Whether the joint configuration is left by itself.
    pub auto_leave: bool,
}

/// A change of one member; see [`crate::ConfChange`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ConfChange {
    /// For the application's own use.
    pub id: u64,
    /// The number of a [`crate::ConfChangeKind`].
    pub kind: i32,
    /// The member.
    pub node_id: u64,
    /// For the application's own use.
    pub context: Bytes,
}

/// One step of a [`ConfChangeV2`]; see [`crate::ConfChangeSingle`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ConfChangeSingle {
    /// The number of a [`crate::ConfChangeKind`].
    pub kind: i32,
    /// The member.
    pub node_id: u64,
}

/// A change of any number of members; see [`crate::ConfChangeV2`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ConfChangeV2 {
    /// The number of a [`crate::Transition`].
    pub transition: i32,
    /// The steps, in order.
    pub changes: Vec<ConfChangeSingle>,
    /// For the application's own use.
    pub context: Bytes,
}
