//! From bytes to values: everything that a peer or a disk hands us comes in here.
//!
//! Hostile bytes cost at most an error. Decoding neither panics nor recurses deeply, and what it
//! allocates is bounded by a small multiple of the input; how long an input may be is the
//! transport's business. Payloads are not copied: they are slices that share the input's buffer
//! and keep it alive. What a message claims about logs and terms is not judged here (see
//! [`crate::wire`]).

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, skip_field};

use super::{TRANSFER_CONTEXT, schema};
use crate::entry::{Entries, Entry, EntryKind};
use crate::error::{DecodeError, Refusal};
use crate::ids::{Index, NodeId, Position, Term};
use crate::membership::{
    AnyConfChange, ConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, Transition,
};
use crate::message::{
    Append, AppendResponse, Body, Heartbeat, Message, MessageKind, Rejection, VoteRequest,
    VoteResponse,
};
use crate::state::{ConfState, HardState, Snapshot};

/// Decodes a message from a peer.
///
/// The payloads of its entries are slices of `bytes`, which stay in memory as long as any of them.
///
/// # Errors
///
/// [`Refusal::Malformed`] if the bytes are no message, or name a kind that does not exist or an
/// address that no member can have; [`Refusal::LocalKind`] if the kind never travels;
/// [`Refusal::BadReadRequest`] if a read request or its answer has not exactly one context.
///
/// ```
/// use raftcore::wire;
///
/// let heartbeat: &[u8] = &[0x08, 8, 0x10, 2, 0x18, 1, 0x20, 5]; // type, to, from, term
/// let message = wire::decode(heartbeat)?;
/// assert_eq!(message.from.get(), 1);
/// assert_eq!(message.term.0, 5);
/// # Ok::<(), raftcore::Refusal>(())
/// ```
pub fn decode(bytes: impl Into<Bytes>) -> Result<Message, Refusal> {
    let PeerMessage(flat) = parse(bytes).map_err(Refusal::Malformed)?;
    flat.try_into()
}

/// Decodes an entry.
///
/// # Errors
///
/// If the bytes are no entry, or its kind does not exist.
pub fn decode_entry(bytes: impl Into<Bytes>) -> Result<Entry, DecodeError> {
    parse::<schema::Entry>(bytes)?.try_into()
}

/// Decodes a snapshot. No bytes are an empty snapshot.
///
/// # Errors
///
/// If the bytes are no snapshot. Its membership is not checked.
pub fn decode_snapshot(bytes: impl Into<Bytes>) -> Result<Snapshot, DecodeError> {
    parse::<schema::Snapshot>(bytes).map(Snapshot::from)
}

/// Decodes a hard state. No bytes are an empty hard state.
///
/// # Errors
///
/// If the bytes are no hard state, or the vote is for an id that no member can have.
pub fn decode_hard_state(bytes: impl Into<Bytes>) -> Result<HardState, DecodeError> {
    parse::<schema::HardState>(bytes)?.try_into()
}

/// Decodes a membership.
///
/// # Errors
///
/// If the bytes are no membership. Whether a group could have it is not checked.
pub fn decode_conf_state(bytes: impl Into<Bytes>) -> Result<ConfState, DecodeError> {
    parse::<schema::ConfState>(bytes).map(ConfState::from)
}

/// Decodes the membership change that an entry carries, or `None` for an entry without one.
/// Node ids are given as they are written: zero is the application's veto of a step.
///
/// # Errors
///
/// If the entry's data is no change of the entry's kind, or names an unknown kind of change or an
/// unknown transition.
pub fn decode_conf_change(entry: &Entry) -> Result<Option<AnyConfChange>, DecodeError> {
    let data = entry.data.clone();
    Ok(match entry.kind {
        EntryKind::Normal => None,
        EntryKind::ConfChange => {
            Some(AnyConfChange::One(parse::<schema::ConfChange>(data)?.try_into()?))
        }
        EntryKind::ConfChangeV2 => {
            Some(AnyConfChange::Many(parse::<schema::ConfChangeV2>(data)?.try_into()?))
        }
    })
}

/// Bytes to the flat form. Decoding from [`Bytes`] is what keeps payloads from being copied.
fn parse<T: prost::Message + Default>(bytes: impl Into<Bytes>) -> Result<T, DecodeError> {
    T::decode(bytes.into()).map_err(|error| DecodeError::Invalid(error.to_string()))
}

/// A message without `responses`: between members they mean nothing, and in the flat form two
/// bytes of them would grow to a struct of some hundred.
#[derive(Default)]
struct PeerMessage(schema::Message);

impl prost::Message for PeerMessage {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        const RESPONSES: u32 = 14;
        match tag {
            RESPONSES => skip_field(wire_type, tag, buf, context),
            _ => self.0.merge_field(tag, wire_type, buf, context),
        }
    }

    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.0.encode_raw(buf);
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// The same as [`decode`], for a message that is already in the flat form. `responses` and all
/// fields that the kind does not use are ignored, whatever they hold.
impl TryFrom<schema::Message> for Message {
    type Error = Refusal;

    fn try_from(flat: schema::Message) -> Result<Self, Refusal> {
        let kind = MessageKind::from_number(flat.kind)
            .ok_or(Refusal::Malformed(DecodeError::UnknownMessageKind(flat.kind)))?;
        if kind.is_local() {
            return Err(Refusal::LocalKind(kind));
        }
        let to = member(flat.to).map_err(Refusal::Malformed)?;
        let from = member(flat.from).map_err(Refusal::Malformed)?;
        let term = Term(flat.term);
        Ok(Self { to, from, term, body: body(kind, flat)? })
    }
}

/// What a message of this kind says: each kind takes the fields that it means.
fn body(kind: MessageKind, flat: schema::Message) -> Result<Body, Refusal> {
    let position = Position { term: Term(flat.log_term), index: Index(flat.index) };
    let commit = Index(flat.commit);
    let vote = VoteRequest { last: position, transfer: flat.context == TRANSFER_CONTEXT };
    let vote_response = VoteResponse { rejected: flat.reject };
    Ok(match kind {
        MessageKind::Propose => Body::Propose(entries(flat.entries)?),
        MessageKind::Append => {
            Body::Append(Append { prev: position, entries: entries(flat.entries)?, commit })
        }
        MessageKind::AppendResponse => Body::AppendResponse(append_response(&flat)),
        MessageKind::Vote => Body::Vote(vote),
        MessageKind::VoteResponse => Body::VoteResponse(vote_response),
        MessageKind::PreVote => Body::PreVote(vote),
        MessageKind::PreVoteResponse => Body::PreVoteResponse(vote_response),
        MessageKind::Snapshot => {
            Body::Snapshot(Arc::new(flat.snapshot.map(Snapshot::from).unwrap_or_default()))
        }
        MessageKind::Heartbeat => Body::Heartbeat(Heartbeat { commit, context: flat.context }),
        MessageKind::HeartbeatResponse => Body::HeartbeatResponse { context: flat.context },
        MessageKind::TransferLeader => Body::TransferLeader,
        MessageKind::TimeoutNow => Body::TimeoutNow,
        MessageKind::ReadIndex => Body::ReadIndex { context: read_context(flat.entries)? },
        MessageKind::ReadIndexResponse => {
            Body::ReadIndexResponse { index: position.index, context: read_context(flat.entries)? }
        }
        // Written out, so that the compiler asks about a kind that is added.
        MessageKind::Hup
        | MessageKind::Beat
        | MessageKind::Unreachable
        | MessageKind::SnapshotStatus
        | MessageKind::CheckQuorum
        | MessageKind::StorageAppend
        | MessageKind::StorageAppendResponse
        | MessageKind::StorageApply
        | MessageKind::StorageApplyResponse
        | MessageKind::ForgetLeader => return Err(Refusal::LocalKind(kind)),
    })
}

fn member(id: u64) -> Result<NodeId, DecodeError> {
    NodeId::new(id).ok_or(DecodeError::BadAddress(id))
}

/// The list is converted in place: both forms of an entry have the same size (a test says so).
fn entries(flat: Vec<schema::Entry>) -> Result<Entries, Refusal> {
    let entries: Result<Vec<Entry>, _> = flat.into_iter().map(Entry::try_from).collect();
    entries.map(Entries::from).map_err(Refusal::Malformed)
}

fn append_response(flat: &schema::Message) -> AppendResponse {
    let rejection = flat
        .reject
        .then_some(Rejection { hint: Index(flat.reject_hint), hint_term: Term(flat.log_term) });
    AppendResponse { index: Index(flat.index), rejection }
}

/// The context of a read travels as the data of one entry. Without it nobody could tell to which
/// read the answer belongs; two would be two reads in one message.
fn read_context(entries: Vec<schema::Entry>) -> Result<Bytes, Refusal> {
    match <[schema::Entry; 1]>::try_from(entries) {
        Ok([entry]) => Ok(entry.data),
        Err(_) => Err(Refusal::BadReadRequest),
    }
}

impl TryFrom<schema::Entry> for Entry {
    type Error = DecodeError;

    fn try_from(flat: schema::Entry) -> Result<Self, DecodeError> {
        let kind = match flat.kind {
            0 => EntryKind::Normal,
            1 => EntryKind::ConfChange,
            2 => EntryKind::ConfChangeV2,
            unknown => return Err(DecodeError::UnknownEntryKind(unknown)),
        };
        Ok(Self { term: Term(flat.term), index: Index(flat.index), kind, data: flat.data })
    }
}

impl From<schema::ConfState> for ConfState {
    fn from(flat: schema::ConfState) -> Self {
        Self {
            voters: flat.voters,
            learners: flat.learners,
            voters_outgoing: flat.voters_outgoing,
            learners_next: flat.learners_next,
            auto_leave: flat.auto_leave,
        }
    }
}

impl From<schema::Snapshot> for Snapshot {
    fn from(flat: schema::Snapshot) -> Self {
        let metadata = flat.metadata.unwrap_or_default();
        Self {
            position: Position { term: Term(metadata.term), index: Index(metadata.index) },
            conf_state: metadata.conf_state.map(ConfState::from).unwrap_or_default(),
            data: flat.data,
        }
    }
}

impl TryFrom<schema::HardState> for HardState {
    type Error = DecodeError;

    fn try_from(flat: schema::HardState) -> Result<Self, DecodeError> {
        let vote = match flat.vote {
            0 => None,
            id => Some(member(id)?),
        };
        Ok(Self { term: Term(flat.term), vote, commit: Index(flat.commit) })
    }
}

impl TryFrom<schema::ConfChange> for ConfChange {
    type Error = DecodeError;

    fn try_from(flat: schema::ConfChange) -> Result<Self, DecodeError> {
        let kind = change_kind(flat.kind)?;
        Ok(Self { id: flat.id, kind, node: flat.node_id, context: flat.context })
    }
}

impl TryFrom<schema::ConfChangeSingle> for ConfChangeSingle {
    type Error = DecodeError;

    fn try_from(flat: schema::ConfChangeSingle) -> Result<Self, DecodeError> {
        Ok(Self { kind: change_kind(flat.kind)?, node: flat.node_id })
    }
}

impl TryFrom<schema::ConfChangeV2> for ConfChangeV2 {
    type Error = DecodeError;

    fn try_from(flat: schema::ConfChangeV2) -> Result<Self, DecodeError> {
        let transition = match flat.transition {
            0 => Transition::Auto,
            1 => Transition::JointImplicit,
            2 => Transition::JointExplicit,
            unknown => return Err(DecodeError::UnknownTransition(unknown)),
        };
        let changes: Result<_, _> =
            flat.changes.into_iter().map(ConfChangeSingle::try_from).collect();
        Ok(Self { transition, changes: changes?, context: flat.context })
    }
}

fn change_kind(number: i32) -> Result<ConfChangeKind, DecodeError> {
    Ok(match number {
        0 => ConfChangeKind::AddVoter,
        1 => ConfChangeKind::Remove,
        2 => ConfChangeKind::Update,
        3 => ConfChangeKind::AddLearner,
        unknown => return Err(DecodeError::UnknownChangeKind(unknown)),
    })
}
