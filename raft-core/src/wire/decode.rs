//! From bytes to values: everything that a peer or a disk hands us comes in here.
//!
//! Hostile bytes cost at most an error. Decoding neither panics nor recurses deeply, and what it
//! allocates is bounded by a small multiple of the input; how long an input may be is the
//! transport's business. Payloads are not copied: they are slices that share the input's buffer
//! and keep it alive; only a short one that comes alone is. What a message claims about logs and
//! terms is not judged here (see [`crate::wire`]).
//!
//! A message is gone over twice: first its numbers are taken and its entries counted, then the
//! block that is to hold the entries is made in the size it needs, and they are read into it.

use std::sync::Arc;

use bytes::Bytes;

use super::fields::{Fields, Flaw, block, number};
use super::{TRANSFER_CONTEXT, schema, stored};
use crate::context::Context;
use crate::entry::{Entries, Entry, EntryKind};
use crate::error::{DecodeError, Refusal};
use crate::ids::{Index, NodeId, Position, Term};
use crate::membership::AnyConfChange;
use crate::message::{
    Append, AppendResponse, Body, Heartbeat, Message, MessageKind, Rejection, VoteRequest,
    VoteResponse,
};
use crate::state::{ConfState, HardState, Snapshot};

/// Decodes a message from a peer.
///
/// The payloads of its entries are slices of `bytes`, which stay in memory as long as any of them.
/// A payload of at most 256 bytes that comes alone is copied instead.
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
    let (bytes, mut parts) = (bytes.into(), Parts::default());
    parts.read(&bytes)?;
    parts.message(&bytes)
}

/// Decodes an entry.
///
/// # Errors
///
/// If the bytes are no entry, or its kind does not exist.
pub fn decode_entry(bytes: impl Into<Bytes>) -> Result<Entry, DecodeError> {
    let bytes = bytes.into();
    let mut strange = None;
    let entry = EntryParts::read(&bytes, 0)?.share(&bytes, &mut strange);
    strange.map_or(Ok(entry), |kind| Err(DecodeError::UnknownEntryKind(kind)))
}

/// Decodes a snapshot. No bytes are an empty snapshot.
///
/// # Errors
///
/// If the bytes are no snapshot. Its membership is not checked.
pub fn decode_snapshot(bytes: impl Into<Bytes>) -> Result<Snapshot, DecodeError> {
    let (bytes, mut snapshot) = (bytes.into(), Snapshot::default());
    stored::merge_snapshot(&mut snapshot, &bytes, &bytes, 0)?;
    Ok(snapshot)
}

/// Decodes a hard state. No bytes are an empty hard state.
///
/// # Errors
///
/// If the bytes are no hard state, or the vote is for an id that no member can have.
pub fn decode_hard_state(bytes: impl Into<Bytes>) -> Result<HardState, DecodeError> {
    stored::read_hard_state(&bytes.into())?.try_into()
}

/// Decodes a membership.
///
/// # Errors
///
/// If the bytes are no membership. Whether a group could have it is not checked.
pub fn decode_conf_state(bytes: impl Into<Bytes>) -> Result<ConfState, DecodeError> {
    let mut state = ConfState::default();
    stored::merge_conf_state(&mut state, &bytes.into(), 0)?;
    Ok(state)
}

/// Decodes the membership change that an entry carries, or `None` for an entry without one.
/// Node ids are given as they are written: zero is the application's veto of a step.
///
/// # Errors
///
/// If the entry's data is no change of the entry's kind, or names an unknown kind of change or an
/// unknown transition.
pub fn decode_conf_change(entry: &Entry) -> Result<Option<AnyConfChange>, DecodeError> {
    Ok(match entry.kind {
        EntryKind::Normal => None,
        EntryKind::ConfChange => {
            Some(AnyConfChange::One(stored::read_conf_change(&entry.data)?.try_into()?))
        }
        EntryKind::ConfChangeV2 => {
            Some(AnyConfChange::Many(stored::read_conf_change_v2(&entry.data)?.try_into()?))
        }
    })
}

/// What the fields of a message say, before it is known which of them its kind means.
#[derive(Default)]
struct Parts<'a> {
    kind: i32,
    to: u64,
    from: u64,
    term: u64,
    log_term: u64,
    index: u64,
    entries: Carried,
    /// The first kind of entry that does not exist. Some kinds of message do not look at it.
    strange: Option<i32>,
    commit: u64,
    snapshot: Option<Arc<Snapshot>>,
    reject: bool,
    reject_hint: u64,
    context: &'a [u8],
}

/// The field `entries`.
#[derive(Default)]
enum Carried {
    #[default]
    Nothing,
    One(Entry),
    Many(Entries),
}

const KIND: u32 = number(1);
const TO: u32 = number(2);
const FROM: u32 = number(3);
const TERM: u32 = number(4);
const LOG_TERM: u32 = number(5);
const INDEX: u32 = number(6);
const ENTRIES: u32 = block(7);
const COMMIT: u32 = number(8);
const SNAPSHOT: u32 = block(9);
const REJECT: u32 = number(10);
const REJECT_HINT: u32 = number(11);
const CONTEXT: u32 = block(12);
const VOTE: u32 = number(13);

impl<'a> Parts<'a> {
    #[inline]
    fn read(&mut self, bytes: &'a Bytes) -> Result<(), Flaw> {
        let mut fields = Fields::of(bytes);
        if let Some(numbers) = fields.expect_four_numbers() {
            let [kind, to, from, term] = numbers;
            (self.kind, self.to, self.from, self.term) = (kind as i32, to, from, term);
        }
        // Everybody writes fields in the order of their numbers: first these are looked for. What
        // is not expected, and all that is behind it, is taken as it comes.
        fields.expect_number(LOG_TERM, &mut self.log_term)?;
        fields.expect_number(INDEX, &mut self.index)?;
        let mut entries = EntryFields { fields, count: 0 };
        while fields.expect_block(ENTRIES)?.is_some() {
            entries.count = entries.count.saturating_add(1);
        }
        fields.expect_number(COMMIT, &mut self.commit)?;
        if let Some(context) = fields.expect_block(CONTEXT)? {
            self.context = context;
        }
        if !fields.is_empty() {
            self.read_rest(bytes, fields, &mut entries)?;
        }
        if entries.count > 0 {
            self.entries = entries.read(bytes, &mut self.strange)?;
        }
        Ok(())
    }

    /// `responses`, number 14, are skipped like any field that nobody knows: between members they
    /// mean nothing, and two bytes of them would grow to a struct of some hundred.
    #[inline(never)]
    fn read_rest(
        &mut self,
        bytes: &'a Bytes,
        mut fields: Fields<'a>,
        entries: &mut EntryFields<'a>,
    ) -> Result<(), Flaw> {
        loop {
            let before = fields;
            let Some(key) = fields.key()? else { return Ok(()) };
            match key {
                KIND => self.kind = fields.int32()?,
                TO => self.to = fields.number()?,
                FROM => self.from = fields.number()?,
                TERM => self.term = fields.number()?,
                LOG_TERM => self.log_term = fields.number()?,
                INDEX => self.index = fields.number()?,
                ENTRIES => {
                    fields.block()?;
                    entries.note(before);
                }
                COMMIT => self.commit = fields.number()?,
                SNAPSHOT => {
                    let snapshot = Arc::make_mut(self.snapshot.get_or_insert_default());
                    stored::merge_snapshot(snapshot, fields.block()?, bytes, 1)?;
                }
                REJECT => self.reject = fields.bool()?,
                REJECT_HINT => self.reject_hint = fields.number()?,
                CONTEXT => self.context = fields.block()?,
                VOTE => drop(fields.number()?),
                _ => fields.skip(key, 13, 0)?,
            }
        }
    }

    /// The message, if it is one: each kind takes the fields that it means.
    #[inline]
    fn message(&mut self, bytes: &Bytes) -> Result<Message, Refusal> {
        let kind = MessageKind::from_number(self.kind)
            .ok_or(Refusal::Malformed(DecodeError::UnknownMessageKind(self.kind)))?;
        if kind.is_local() {
            return Err(Refusal::LocalKind(kind));
        }
        let to = member(self.to).map_err(Refusal::Malformed)?;
        let from = member(self.from).map_err(Refusal::Malformed)?;
        let position = Position { term: Term(self.log_term), index: Index(self.index) };
        let commit = Index(self.commit);
        let vote_response = VoteResponse { rejected: self.reject };
        let body = match kind {
            MessageKind::Propose => Body::Propose(self.entries()?),
            MessageKind::Append => {
                Body::Append(Append { prev: position, entries: self.entries()?, commit })
            }
            MessageKind::AppendResponse => Body::AppendResponse(self.append_response()),
            MessageKind::Vote => Body::Vote(self.vote_request()),
            MessageKind::VoteResponse => Body::VoteResponse(vote_response),
            MessageKind::PreVote => Body::PreVote(self.vote_request()),
            MessageKind::PreVoteResponse => Body::PreVoteResponse(vote_response),
            MessageKind::Snapshot => Body::Snapshot(self.snapshot.take().unwrap_or_default()),
            MessageKind::Heartbeat => {
                Body::Heartbeat(Heartbeat { commit, context: self.context(bytes) })
            }
            MessageKind::HeartbeatResponse => {
                Body::HeartbeatResponse { context: self.context(bytes) }
            }
            MessageKind::TransferLeader => Body::TransferLeader,
            MessageKind::TimeoutNow => Body::TimeoutNow,
            MessageKind::ReadIndex => Body::ReadIndex { context: self.read_context()? },
            MessageKind::ReadIndexResponse => {
                Body::ReadIndexResponse { index: position.index, context: self.read_context()? }
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
        };
        Ok(Message { to, from, term: Term(self.term), body })
    }

    #[inline]
    fn entries(&mut self) -> Result<Entries, Refusal> {
        if let Some(kind) = self.strange {
            return Err(Refusal::Malformed(DecodeError::UnknownEntryKind(kind)));
        }
        Ok(match std::mem::take(&mut self.entries) {
            Carried::Nothing => Entries::new(),
            Carried::One(entry) => entry.into(),
            Carried::Many(entries) => entries,
        })
    }

    fn append_response(&self) -> AppendResponse {
        let rejection = self
            .reject
            .then_some(Rejection { hint: Index(self.reject_hint), hint_term: Term(self.log_term) });
        AppendResponse { index: Index(self.index), rejection }
    }

    fn vote_request(&self) -> VoteRequest {
        let last = Position { term: Term(self.log_term), index: Index(self.index) };
        VoteRequest { last, transfer: self.context == TRANSFER_CONTEXT }
    }

    fn context(&self, bytes: &Bytes) -> Context {
        if self.context.len() <= Context::IN_PLACE_MAX {
            return self.context.into();
        }
        share(self.context, bytes).into()
    }

    /// The context of a read travels as the data of one entry. Without it nobody could tell to
    /// which read the answer belongs; two would be two reads in one message.
    fn read_context(&mut self) -> Result<Context, Refusal> {
        match std::mem::take(&mut self.entries) {
            Carried::One(entry) => Ok(entry.data.into()),
            Carried::Nothing | Carried::Many(_) => Err(Refusal::BadReadRequest),
        }
    }
}

pub(super) fn member(id: u64) -> Result<NodeId, DecodeError> {
    NodeId::new(id).ok_or(DecodeError::BadAddress(id))
}

/// Where the entries of a message begin, and how many there are.
struct EntryFields<'a> {
    fields: Fields<'a>,
    count: usize,
}

impl<'a> EntryFields<'a> {
    fn note(&mut self, before: Fields<'a>) {
        if self.count == 0 {
            self.fields = before;
        }
        self.count = self.count.saturating_add(1);
    }

    #[inline]
    fn read(mut self, bytes: &Bytes, strange: &mut Option<i32>) -> Result<Carried, Flaw> {
        if self.count == 1 {
            return Ok(Carried::One(self.next_entry()?.share_alone(bytes, strange)));
        }
        let mut flaw = None;
        // A range knows its length, so that the block is allocated once and filled in place.
        let list: Vec<Entry> = (0..self.count)
            .map(|_| match self.next_entry() {
                Ok(entry) => entry.share(bytes, strange),
                Err(error) => {
                    flaw.get_or_insert(error);
                    Entry::default()
                }
            })
            .collect();
        flaw.map_or(Ok(Carried::Many(list.into())), Err)
    }

    /// The next entry, whatever other fields stand before it.
    #[inline(always)]
    fn next_entry(&mut self) -> Result<EntryParts<'a>, Flaw> {
        loop {
            if let Some(entry) = self.fields.expect_block(ENTRIES)? {
                return EntryParts::read(entry, 1);
            }
            let key = self.fields.key()?.ok_or(Flaw::CutShort)?;
            self.fields.skip(key, 0, 0)?;
        }
    }
}

/// A payload that comes alone and is not longer than this does not keep its buffer alive.
const COPIED_BYTES_MAX: usize = 256;

/// What the fields of an entry say.
#[derive(Default)]
struct EntryParts<'a> {
    kind: u64,
    term: u64,
    index: u64,
    data: &'a [u8],
}

impl<'a> EntryParts<'a> {
    #[inline(always)]
    fn read(from: &'a [u8], level: u32) -> Result<Self, Flaw> {
        let mut parts = Self::default();
        let mut fields = Fields::of(from);
        fields.expect_number(Self::KIND, &mut parts.kind)?;
        fields.expect_number(Self::TERM, &mut parts.term)?;
        fields.expect_number(Self::INDEX, &mut parts.index)?;
        parts.data = fields.expect_block(Self::DATA)?.unwrap_or_default();
        if fields.is_empty() { Ok(parts) } else { parts.read_rest(fields, level) }
    }

    const KIND: u32 = number(1);
    const TERM: u32 = number(2);
    const INDEX: u32 = number(3);
    const DATA: u32 = block(4);

    #[cold]
    #[inline(never)]
    fn read_rest(mut self, mut fields: Fields<'a>, level: u32) -> Result<Self, Flaw> {
        while let Some(key) = fields.key()? {
            match key {
                Self::KIND => self.kind = fields.number()?,
                Self::TERM => self.term = fields.number()?,
                Self::INDEX => self.index = fields.number()?,
                Self::DATA => self.data = fields.block()?,
                _ => fields.skip(key, 4, level)?,
            }
        }
        Ok(self)
    }

    /// The entry, with its payload in the buffer in which it came.
    #[inline]
    fn share(self, bytes: &Bytes, strange: &mut Option<i32>) -> Entry {
        self.with_data(share(self.data, bytes), strange)
    }

    /// The entry of a message that carries no other. To share the buffer a counter would have to be
    /// allocated: to copy a short payload costs no more, and the buffer can go.
    #[inline]
    fn share_alone(self, bytes: &Bytes, strange: &mut Option<i32>) -> Entry {
        if self.data.len() > COPIED_BYTES_MAX {
            return self.share(bytes, strange);
        }
        self.with_data(Bytes::copy_from_slice(self.data), strange)
    }

    /// One of a kind that does not exist becomes a normal one, and is noted.
    #[inline]
    fn with_data(&self, data: Bytes, strange: &mut Option<i32>) -> Entry {
        let kind = known_kind(self.kind as i32, strange);
        Entry { term: Term(self.term), index: Index(self.index), kind, data }
    }
}

#[inline]
fn known_kind(number: i32, strange: &mut Option<i32>) -> EntryKind {
    match number {
        0 => EntryKind::Normal,
        1 => EntryKind::ConfChange,
        2 => EntryKind::ConfChangeV2,
        unknown => {
            strange.get_or_insert(unknown);
            EntryKind::Normal
        }
    }
}

/// A part of the input as a value of its own. Nothing keeps no buffer alive.
#[inline]
pub(super) fn share(part: &[u8], bytes: &Bytes) -> Bytes {
    if part.is_empty() {
        return Bytes::new();
    }
    let start = part.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
    bytes.slice(start..start.wrapping_add(part.len()))
}

/// The same as [`decode`], for a message that is already in the flat form. `responses` and all
/// fields that the kind does not use are ignored, whatever they hold.
impl TryFrom<schema::Message> for Message {
    type Error = Refusal;

    fn try_from(flat: schema::Message) -> Result<Self, Refusal> {
        let mut strange = None;
        let mut entries: Vec<Entry> =
            flat.entries.into_iter().map(|entry| from_flat(entry, &mut strange)).collect();
        let entries = match entries.len() {
            0 => Carried::Nothing,
            1 => entries.pop().map_or(Carried::Nothing, Carried::One),
            _ => Carried::Many(entries.into()),
        };
        let mut parts = Parts {
            kind: flat.kind,
            to: flat.to,
            from: flat.from,
            term: flat.term,
            log_term: flat.log_term,
            index: flat.index,
            entries,
            strange,
            commit: flat.commit,
            snapshot: flat.snapshot.map(|snapshot| Arc::new(snapshot.into())),
            reject: flat.reject,
            reject_hint: flat.reject_hint,
            context: &flat.context,
        };
        parts.message(&flat.context)
    }
}

fn from_flat(flat: schema::Entry, strange: &mut Option<i32>) -> Entry {
    let kind = known_kind(flat.kind, strange);
    Entry { term: Term(flat.term), index: Index(flat.index), kind, data: flat.data }
}

impl TryFrom<schema::Entry> for Entry {
    type Error = DecodeError;

    fn try_from(flat: schema::Entry) -> Result<Self, DecodeError> {
        let mut strange = None;
        let entry = from_flat(flat, &mut strange);
        strange.map_or(Ok(entry), |kind| Err(DecodeError::UnknownEntryKind(kind)))
    }
}
