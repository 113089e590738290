//! Errors, sorted by whose fault they are, because that decides what the caller does next:
//!
//! | error | whose fault | what to do |
//! |---|---|---|
//! | [`Error::Refused`] | a peer's, or the network's | drop the message, go on; look at the peer if it recurs |
//! | [`Error::Dropped`] | nobody's | try again later, or at the leader |
//! | [`Error::Misuse`] | the caller's | a bug in the calling program |
//! | [`Error::Storage`] | the storage's | mend it and call again |
//! | [`Error::Faulted`] | the storage's or ours | discard the node, restart it from what is stored |
//!
//! Except for the last, a call that failed left the node as it was. What was expected and what
//! was found are fields, so that a program can act on them.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::ids::{Index, NodeId, Position, Term};
use crate::membership::{ChangeError, ConfStateError};
use crate::message::MessageKind;

/// Why a call did not do what was asked.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A message was not taken.
    Refused(Refusal),
    /// A proposal was not taken.
    Dropped(DropReason),
    /// The call itself was wrong.
    Misuse(Misuse),
    /// The storage failed; nothing was changed.
    Storage(StorageError),
    /// The node has stopped.
    Faulted(Fault),
}

/// What is wrong with a message from a peer.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are no message.
    Malformed(DecodeError),
    /// This kind never travels between members.
    LocalKind(MessageKind),
    /// A response from a node that is no member.
    NotAMember(NodeId),
    /// A message that claims to come from the receiver itself.
    FromSelf(MessageKind),
    /// A message addressed to another node.
    Misaddressed {
        /// To whom.
        to: NodeId,
    },
    /// Only proposals and read requests travel without a term, and the rejection of a pre-vote by
    /// a node that never saw one.
    MissingTerm(MessageKind),
    /// A proposal or read request that carries a term.
    UnexpectedTerm {
        /// Which of the two.
        kind: MessageKind,
        /// The term it carries.
        term: Term,
    },
    /// A proposal without entries.
    NoEntries,
    /// A proposed membership change that cannot be decoded, or that no node could apply.
    BadConfChange(BadConfChange),
    /// The entries are not consecutive, or do not start right after the previous one.
    EntryGap {
        /// The index that should have come.
        expected: Index,
        /// The index that came.
        got: Index,
    },
    /// The terms of the entries fall.
    TermRegression {
        /// The entry.
        at: Position,
        /// The term before it.
        previous: Term,
    },
    /// An entry is newer than the message that carries it.
    TermAboveMessage {
        /// The entry.
        at: Position,
        /// The message's term.
        message: Term,
    },
    /// An entry contradicts one that is committed here.
    ConflictWithCommitted {
        /// Where.
        at: Index,
        /// This node's commit index.
        commit: Index,
    },
    /// A heartbeat commits beyond this node's log. The honest cause is that this member lost its
    /// disk: it must come back under a new id. The leader's contact was counted all the same.
    CommitBeyondLog {
        /// The heartbeat's commit index.
        commit: Index,
        /// This node's last index.
        last: Index,
    },
    /// An index so near the 64-bit limit that no log can have reached it.
    IndexLimit(Index),
    /// A term so near the 64-bit limit that no group can have reached it.
    TermLimit(Term),
    /// A snapshot without content.
    EmptySnapshot,
    /// A snapshot of a later term than the message that carries it.
    SnapshotAboveMessage {
        /// The snapshot's position.
        at: Position,
        /// The message's term.
        message: Term,
    },
    /// A snapshot whose membership is impossible.
    BadMembership(ConfStateError),
    /// A member acknowledges what this leader never had.
    AcknowledgedBeyondLog {
        /// What it acknowledges.
        index: Index,
        /// The leader's last index.
        last: Index,
    },
    /// The context of a heartbeat response is not one that this leader sent.
    BadReadPosition,
    /// A read request that does not carry exactly one context, or names no sender.
    BadReadRequest,
    /// Too many reads wait for confirmation already (see `Config::max_pending_reads`).
    TooManyReads {
        /// The limit.
        limit: usize,
    },
}

/// The reasons of [`Refusal`] without their fields: what refused messages are counted by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(i32)]
#[allow(missing_docs, reason = "each is the variant of `Refusal` with the same name")]
pub enum RefusalKind {
    Malformed = 0,
    LocalKind = 1,
    NotAMember = 2,
    FromSelf = 3,
    Misaddressed = 4,
    MissingTerm = 5,
    UnexpectedTerm = 6,
    NoEntries = 7,
    BadConfChange = 8,
    EntryGap = 9,
    TermRegression = 10,
    TermAboveMessage = 11,
    ConflictWithCommitted = 12,
    CommitBeyondLog = 13,
    IndexLimit = 14,
    TermLimit = 15,
    EmptySnapshot = 16,
    SnapshotAboveMessage = 17,
    BadMembership = 18,
    AcknowledgedBeyondLog = 19,
    BadReadPosition = 20,
    BadReadRequest = 21,
    TooManyReads = 22,
}

impl RefusalKind {
    /// How many there are.
    pub const COUNT: usize = 23;

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Malformed,
        Self::LocalKind,
        Self::NotAMember,
        Self::FromSelf,
        Self::Misaddressed,
        Self::MissingTerm,
        Self::UnexpectedTerm,
        Self::NoEntries,
        Self::BadConfChange,
        Self::EntryGap,
        Self::TermRegression,
        Self::TermAboveMessage,
        Self::ConflictWithCommitted,
        Self::CommitBeyondLog,
        Self::IndexLimit,
        Self::TermLimit,
        Self::EmptySnapshot,
        Self::SnapshotAboveMessage,
        Self::BadMembership,
        Self::AcknowledgedBeyondLog,
        Self::BadReadPosition,
        Self::BadReadRequest,
        Self::TooManyReads,
    ];
}

impl Refusal {
    /// The reason without its fields.
    #[must_use]
    pub const fn kind(&self) -> RefusalKind {
        match self {
            Self::Malformed(_) => RefusalKind::Malformed,
            Self::LocalKind(_) => RefusalKind::LocalKind,
            Self::NotAMember(_) => RefusalKind::NotAMember,
            Self::FromSelf(_) => RefusalKind::FromSelf,
            Self::Misaddressed { .. } => RefusalKind::Misaddressed,
            Self::MissingTerm(_) => RefusalKind::MissingTerm,
            Self::UnexpectedTerm { .. } => RefusalKind::UnexpectedTerm,
            Self::NoEntries => RefusalKind::NoEntries,
            Self::BadConfChange(_) => RefusalKind::BadConfChange,
            Self::EntryGap { .. } => RefusalKind::EntryGap,
            Self::TermRegression { .. } => RefusalKind::TermRegression,
            Self::TermAboveMessage { .. } => RefusalKind::TermAboveMessage,
            Self::ConflictWithCommitted { .. } => RefusalKind::ConflictWithCommitted,
            Self::CommitBeyondLog { .. } => RefusalKind::CommitBeyondLog,
            Self::IndexLimit(_) => RefusalKind::IndexLimit,
            Self::TermLimit(_) => RefusalKind::TermLimit,
            Self::EmptySnapshot => RefusalKind::EmptySnapshot,
            Self::SnapshotAboveMessage { .. } => RefusalKind::SnapshotAboveMessage,
            Self::BadMembership(_) => RefusalKind::BadMembership,
            Self::AcknowledgedBeyondLog { .. } => RefusalKind::AcknowledgedBeyondLog,
            Self::BadReadPosition => RefusalKind::BadReadPosition,
            Self::BadReadRequest => RefusalKind::BadReadRequest,
            Self::TooManyReads { .. } => RefusalKind::TooManyReads,
        }
    }
}

/// What is wrong with the bytes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not an encoded message: truncated, or no protobuf.
    Invalid(String),
    /// A kind of message that does not exist.
    UnknownMessageKind(i32),
    /// A kind of entry that does not exist.
    UnknownEntryKind(i32),
    /// A kind of membership change that does not exist.
    UnknownChangeKind(i32),
    /// A way to carry out a membership change that does not exist.
    UnknownTransition(i32),
    /// No sender or no receiver, or one that no member can be.
    BadAddress(u64),
    /// A field is missing without which this kind means nothing.
    MissingField(&'static str),
}

/// What is wrong with a membership change.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BadConfChange {
    /// It cannot be decoded.
    Undecodable(DecodeError),
    /// It cannot be applied to the present configuration.
    Inapplicable(ChangeError),
}

/// Why a proposal or a read was not taken. Nothing was appended or sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DropReason {
    /// This node knows no leader.
    NoLeader,
    /// The leader is handing over.
    Transferring {
        /// To whom.
        to: NodeId,
    },
    /// Too many bytes are proposed and not yet applied (`Config::max_uncommitted_bytes`).
    TooMuchUncommitted {
        /// How many bytes wait.
        waiting: u64,
        /// The limit.
        limit: u64,
    },
    /// This node leads but was removed from the configuration.
    NotAMember,
    /// This node does not lead and `Config::forward_proposals` is off.
    ForwardingDisabled {
        /// Who leads.
        leader: NodeId,
    },
    /// Too many reads wait for confirmation already (`Config::max_pending_reads`).
    TooManyReads {
        /// The limit.
        limit: usize,
    },
}

/// Why a membership change was replaced by an empty entry.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReplaceReason {
    /// A change may be in the log that is not applied yet.
    Pending {
        /// Where it may be.
        at: Index,
        /// What is applied.
        applied: Index,
    },
    /// The configuration is joint and must be left first.
    AlreadyJoint,
    /// The configuration is not joint, so that it cannot be left.
    NotJoint,
}

/// What the caller did wrong.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Misuse {
    /// The configuration is not usable.
    Config(ConfigError),
    /// `ready` was called again before `advance`.
    ReadyOutstanding,
    /// `advance` was called with a Ready that is not the one outstanding.
    StaleReady,
    /// `advance` was called before the Ready's entries were in the storage.
    NotPersisted {
        /// The last entry of the Ready.
        expected: Position,
        /// The storage's last index.
        last: Index,
    },
    /// `advance` was called before the Ready's snapshot was in the storage.
    SnapshotNotPersisted {
        /// The snapshot's position.
        expected: Position,
        /// The storage's first index.
        first: Index,
    },
    /// `ready`/`advance` and storage threads do not mix: with asynchronous storage writes the
    /// responses take the place of `advance`.
    AsyncStorageWrites,
    /// A storage response that this node did not attach to a write, or that came already.
    UnknownStorageResponse,
    /// `bootstrap` on a storage that is not empty.
    AlreadyBootstrapped,
    /// `bootstrap` without members.
    NoPeers,
    /// `bootstrap` with a member named twice.
    DuplicatePeer(u64),
    /// The node id is not one of a voter that this leader could hand over to.
    UnknownPeer(u64),
    /// A membership change that cannot be applied.
    BadConfChange(BadConfChange),
    /// A proposal or a read that the wire could not carry.
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
}

/// What is wrong with a configuration, or with the stored state it comes with.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The id is zero or reserved.
    BadId(u64),
    /// The heartbeat interval is zero.
    ZeroHeartbeat,
    /// The election timeout must be longer than the heartbeat interval.
    ElectionTooShort {
        /// The election timeout in ticks.
        election: u32,
        /// The heartbeat interval in ticks.
        heartbeat: u32,
    },
    /// No message could ever be in flight.
    ZeroInflight,
    /// A message of the greatest size would not fit into the in-flight limit.
    InflightBelowMessage {
        /// `max_inflight_bytes`.
        inflight: u64,
        /// `max_message_bytes`.
        message: u64,
    },
    /// No read could ever wait.
    ZeroPendingReads,
    /// Lease-based reads are only safe while a leader steps down without its quorum.
    LeaseWithoutCheckQuorum,
    /// The stored membership is impossible.
    StoredMembership(ConfStateError),
    /// The stored commit index is outside the stored log.
    StoredCommit {
        /// The commit index.
        commit: Index,
        /// The least it can be.
        first: Index,
        /// The most it can be.
        last: Index,
    },
    /// The applied index of the configuration is outside what is stored as committed.
    Applied {
        /// The applied index.
        applied: Index,
        /// The least it can be.
        first: Index,
        /// The most it can be.
        commit: Index,
    },
    /// The stored log is not one: its bounds cross or lie beyond all that a log reaches (2^63), or
    /// its terms fall, or exceed the stored term.
    StoredLog {
        /// Where it is wrong.
        at: Index,
    },
}

/// What a storage answers when it cannot give what was asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StorageError {
    /// The entries asked for are gone: a snapshot has taken their place.
    Compacted,
    /// The entries asked for are not there yet.
    Unavailable,
    /// A snapshot is being made: ask again later.
    SnapshotTemporarilyUnavailable,
    /// The snapshot offered is older than what is stored.
    SnapshotOutOfDate,
    /// Entries would leave a gap in the log.
    Gap {
        /// The index that should have come.
        expected: Index,
        /// The index that came.
        got: Index,
    },
    /// The storage itself failed.
    Failed(Arc<dyn StdError + Send + Sync>),
    /// The storage answered with something that contradicts what it said before.
    Inconsistent {
        /// Where it contradicts itself.
        at: Index,
    },
}

impl StorageError {
    /// Wraps an error of the storage's own.
    pub fn failed(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Failed(Arc::from(error.into()))
    }
}

/// Two failures of a storage's own are equal when they read the same.
impl PartialEq for StorageError {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Compacted, Self::Compacted)
            | (Self::Unavailable, Self::Unavailable)
            | (Self::SnapshotTemporarilyUnavailable, Self::SnapshotTemporarilyUnavailable)
            | (Self::SnapshotOutOfDate, Self::SnapshotOutOfDate) => true,
            (Self::Gap { expected: a, got: b }, Self::Gap { expected: c, got: d }) => {
                a == c && b == d
            }
            (Self::Inconsistent { at: a }, Self::Inconsistent { at: b }) => a == b,
            (Self::Failed(a), Self::Failed(b)) => a.to_string() == b.to_string(),
            _ => false,
        }
    }
}

/// Why a node has stopped for good. Its stored state is intact: restart a node from it.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The storage lied, or failed in the middle of a step that could not be undone.
    Storage(StorageError),
    /// A property that the core itself must keep does not hold.
    Invariant(&'static str),
    /// A panic was caught at a language boundary.
    Panic(String),
}

impl Fault {
    /// What every call on a node with this fault returns.
    #[cold]
    pub(crate) fn to_error(&self) -> Error {
        Error::Faulted(self.clone())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "message refused: {refusal}"),
            Self::Dropped(reason) => write!(f, "dropped: {reason}"),
            Self::Misuse(misuse) => write!(f, "misuse: {misuse}"),
            Self::Storage(error) => write!(f, "storage: {error}"),
            Self::Faulted(fault) => write!(f, "the node is faulted: {fault}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "{error}"),
            Self::LocalKind(kind) => {
                write!(f, "{} never travels between members", kind.wire_name())
            }
            Self::NotAMember(id) => write!(f, "a response from {id}, which is no member"),
            Self::FromSelf(kind) => {
                write!(f, "{} claims to come from this node itself", kind.wire_name())
            }
            Self::Misaddressed { to } => write!(f, "it is addressed to {to}"),
            Self::MissingTerm(kind) => write!(f, "{} without a term", kind.wire_name()),
            Self::UnexpectedTerm { kind, term } => {
                write!(f, "{} with term {term}, but its kind has none", kind.wire_name())
            }
            Self::NoEntries => f.write_str("a proposal without entries"),
            Self::BadConfChange(error) => write!(f, "membership change: {error}"),
            Self::EntryGap { expected, got } => {
                write!(f, "entry {got} where {expected} should be")
            }
            Self::TermRegression { at, previous } => {
                write!(f, "entry {at} follows an entry of term {previous}")
            }
            Self::TermAboveMessage { at, message } => {
                write!(f, "entry {at} in a message of term {message}")
            }
            Self::ConflictWithCommitted { at, commit } => {
                write!(f, "entry {at} contradicts the log, which is committed up to {commit}")
            }
            Self::CommitBeyondLog { commit, last } => write!(
                f,
                "heartbeat with commit {commit} beyond the last index {last}: \
                 has this member lost its disk? It must then rejoin under a new id"
            ),
            Self::IndexLimit(index) => write!(f, "index {index} is beyond any log"),
            Self::TermLimit(term) => write!(f, "term {term} is beyond any group"),
            Self::EmptySnapshot => f.write_str("a snapshot without content"),
            Self::SnapshotAboveMessage { at, message } => {
                write!(f, "a snapshot at {at} in a message of term {message}")
            }
            Self::BadMembership(error) => write!(f, "a snapshot with {error}"),
            Self::AcknowledgedBeyondLog { index, last } => {
                write!(f, "acknowledges {index}, but the last index is {last}")
            }
            Self::BadReadPosition => {
                f.write_str("heartbeat response with a context that was never sent")
            }
            Self::BadReadRequest => f.write_str("read request without exactly one context"),
            Self::TooManyReads { limit } => {
                write!(f, "{limit} reads wait for confirmation already")
            }
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "undecodable bytes: {why}"),
            Self::UnknownMessageKind(n) => write!(f, "unknown message kind {n}"),
            Self::UnknownEntryKind(n) => write!(f, "unknown entry kind {n}"),
            Self::UnknownChangeKind(n) => write!(f, "unknown membership change kind {n}"),
            Self::UnknownTransition(n) => write!(f, "unknown membership transition {n}"),
            Self::BadAddress(id) => write!(f, "no member can have the address {id}"),
            Self::MissingField(name) => write!(f, "the field {name} is missing"),
        }
    }
}

impl fmt::Display for BadConfChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecodable(error) => error.fmt(f),
            Self::Inapplicable(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeader => f.write_str("no leader is known"),
            Self::Transferring { to } => write!(f, "leadership is being transferred to {to}"),
            Self::TooMuchUncommitted { waiting, limit } => {
                write!(f, "{waiting} bytes wait to be applied, the limit is {limit}")
            }
            Self::NotAMember => f.write_str("this node is no longer a member"),
            Self::ForwardingDisabled { leader } => {
                write!(f, "forwarding is disabled; the leader is {leader}")
            }
            Self::TooManyReads { limit } => {
                write!(f, "{limit} reads wait for confirmation already")
            }
        }
    }
}

impl fmt::Display for ReplaceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending { at, applied } => {
                write!(f, "a change may be pending at index {at}, applied is {applied}")
            }
            Self::AlreadyJoint => f.write_str("the joint configuration must be left first"),
            Self::NotJoint => f.write_str("the configuration is not joint"),
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "configuration: {error}"),
            Self::ReadyOutstanding => f.write_str("the last Ready was not advanced yet"),
            Self::StaleReady => f.write_str("this is not the Ready that is outstanding"),
            Self::NotPersisted { expected, last } => {
                write!(f, "entry {expected} is not in the storage, which ends at {last}")
            }
            Self::SnapshotNotPersisted { expected, first } => write!(
                f,
                "the snapshot at {expected} is not in the storage, whose first index is {first}"
            ),
            Self::AsyncStorageWrites => {
                f.write_str("this call does not belong to the way this node persists")
            }
            Self::UnknownStorageResponse => {
                f.write_str("this storage response is not one that the node waits for")
            }
            Self::AlreadyBootstrapped => f.write_str("the storage is not empty"),
            Self::NoPeers => f.write_str("a group needs at least one member"),
            Self::DuplicatePeer(id) => write!(f, "member {id} named twice"),
            Self::UnknownPeer(id) => write!(f, "{id} is no voter"),
            Self::BadConfChange(error) => write!(f, "membership change: {error}"),
            Self::TooLarge { bytes } => write!(f, "{bytes} bytes do not fit into a message"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadId(id) => write!(f, "no member can have the id {id}"),
            Self::ZeroHeartbeat => f.write_str("heartbeat_interval_ticks must be above zero"),
            Self::ElectionTooShort { election, heartbeat } => write!(
                f,
                "election_timeout_ticks ({election}) must be above heartbeat_interval_ticks \
                 ({heartbeat})"
            ),
            Self::ZeroInflight => f.write_str("max_inflight_messages must be above zero"),
            Self::InflightBelowMessage { inflight, message } => write!(
                f,
                "max_inflight_bytes ({inflight}) must be at least max_message_bytes ({message})"
            ),
            Self::ZeroPendingReads => f.write_str("max_pending_reads must be above zero"),
            Self::LeaseWithoutCheckQuorum => f.write_str("lease-based reads need check_quorum"),
            Self::StoredMembership(error) => write!(f, "stored membership: {error}"),
            Self::StoredCommit { commit, first, last } => {
                write!(f, "stored commit index {commit} is outside {first}..={last}")
            }
            Self::Applied { applied, first, commit } => {
                write!(f, "applied index {applied} is outside {first}..={commit}")
            }
            Self::StoredLog { at } => write!(f, "the stored log is inconsistent at index {at}"),
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compacted => f.write_str("the entries were compacted"),
            Self::Unavailable => f.write_str("the entries are not available"),
            Self::SnapshotTemporarilyUnavailable => {
                f.write_str("the snapshot is temporarily unavailable")
            }
            Self::SnapshotOutOfDate => f.write_str("the snapshot is not newer than the stored one"),
            Self::Gap { expected, got } => write!(f, "entry {got} where {expected} should be"),
            Self::Failed(error) => error.fmt(f),
            Self::Inconsistent { at } => {
                write!(f, "its answers contradict each other at index {at}")
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "storage: {error}"),
            Self::Invariant(what) => write!(f, "broken invariant: {what}"),
            Self::Panic(what) => write!(f, "panic: {what}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}

impl StdError for StorageError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl StdError for DecodeError {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<DropReason> for Error {
    fn from(reason: DropReason) -> Self {
        Self::Dropped(reason)
    }
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Misuse(Misuse::Config(error))
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Refused(Refusal::Malformed(error))
    }
}
