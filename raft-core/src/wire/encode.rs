//! From values to bytes.
//!
//! Most of what a node does is replicate and confirm, so a message is written straight from its
//! typed form: no flat copy is built, no payload is cloned, and the buffer is allocated once. The
//! flat form comes from the same outline of fields, so that the two cannot drift apart. Fields are
//! written in the order of their numbers, and zeros not at all: one value has one encoding.
//!
//! Nothing can fail here: every typed value has an encoding. Whether a transport takes one so
//! long is its own question.

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::{TRANSFER_CONTEXT, schema};
use crate::entry::{Entries, Entry, EntryKind};
use crate::ids::{NodeId, Position};
use crate::membership::{AnyConfChange, ConfChange, ConfChangeSingle, ConfChangeV2};
use crate::message::{Body, Message, MessageKind};
use crate::state::{ConfState, HardState, Snapshot};

/// Encodes a message.
#[must_use]
pub fn encode(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    encode_into(message, &mut out);
    out.freeze()
}

/// Appends a message's encoding to a buffer, for example behind a length that the transport
/// writes first (see [`encoded_len`]). The buffer grows by what is needed, at most once.
pub fn encode_into(message: &Message, out: &mut BytesMut) {
    let outline = Outline::of(message);
    out.reserve(outline.encoded_len());
    outline.write(out);
}

/// The length of a message's encoding in bytes.
#[must_use]
pub fn encoded_len(message: &Message) -> usize {
    Outline::of(message).encoded_len()
}

/// Encodes an entry.
#[must_use]
pub fn encode_entry(entry: &Entry) -> Bytes {
    let mut out = BytesMut::with_capacity(entry_len(entry));
    write_entry(entry, &mut out);
    out.freeze()
}

/// Encodes a snapshot.
#[must_use]
pub fn encode_snapshot(snapshot: &Snapshot) -> Bytes {
    flat_bytes(&schema::Snapshot::from(snapshot))
}

/// Encodes a hard state. An empty one is no bytes.
#[must_use]
pub fn encode_hard_state(state: &HardState) -> Bytes {
    flat_bytes(&schema::HardState::from(state))
}

/// Encodes a membership.
#[must_use]
pub fn encode_conf_state(state: &ConfState) -> Bytes {
    flat_bytes(&schema::ConfState::from(state))
}

/// Encodes a membership change: the kind and the data of the entry that is to carry it. The order
/// to leave a joint configuration, without a context, is no bytes: no size limit can refuse it.
#[must_use]
pub fn encode_conf_change(change: &AnyConfChange) -> (EntryKind, Bytes) {
    match change {
        AnyConfChange::One(change) => {
            (EntryKind::ConfChange, flat_bytes(&schema::ConfChange::from(change)))
        }
        AnyConfChange::Many(change) => {
            (EntryKind::ConfChangeV2, flat_bytes(&schema::ConfChangeV2::from(change)))
        }
    }
}

fn flat_bytes(flat: &impl prost::Message) -> Bytes {
    flat.encode_to_vec().into()
}

static NOTHING: Bytes = Bytes::new();
static TRANSFER: Bytes = Bytes::from_static(TRANSFER_CONTEXT);

/// Which field of the flat form holds what: the one place that knows, for encoding straight to
/// bytes as well as for the flat form itself. Everything heavy is borrowed.
struct Outline<'a> {
    kind: MessageKind,
    to: u64,
    from: u64,
    term: u64,
    log_term: u64,
    index: u64,
    entries: Carried<'a>,
    commit: u64,
    /// Flat already: a snapshot is rare, and its membership is small beside its data.
    snapshot: Option<schema::Snapshot>,
    reject: bool,
    reject_hint: u64,
    context: &'a Bytes,
}

/// What a message carries in its field `entries`.
enum Carried<'a> {
    Nothing,
    Entries(&'a Entries),
    /// The context of a read travels as the data of one entry.
    ReadContext(&'a Bytes),
}

impl<'a> Outline<'a> {
    fn of(message: &'a Message) -> Self {
        let mut outline = Self {
            kind: message.body.kind(),
            to: message.to.get(),
            from: message.from.get(),
            term: message.term.0,
            log_term: 0,
            index: 0,
            entries: Carried::Nothing,
            commit: 0,
            snapshot: None,
            reject: false,
            reject_hint: 0,
            context: &NOTHING,
        };
        outline.fill(&message.body);
        outline
    }

    fn fill(&mut self, body: &'a Body) {
        match body {
            Body::Propose(entries) => self.entries = Carried::Entries(entries),
            Body::Append(append) => {
                self.set_position(append.prev);
                self.entries = Carried::Entries(&append.entries);
                self.commit = append.commit.0;
            }
            Body::AppendResponse(response) => {
                self.index = response.index.0;
                if let Some(rejection) = response.rejection {
                    self.reject = true;
                    self.reject_hint = rejection.hint.0;
                    self.log_term = rejection.hint_term.0;
                }
            }
            Body::Vote(request) | Body::PreVote(request) => {
                self.set_position(request.last);
                self.context = if request.transfer { &TRANSFER } else { &NOTHING };
            }
            Body::VoteResponse(response) | Body::PreVoteResponse(response) => {
                self.reject = response.rejected;
            }
            Body::Snapshot(snapshot) => {
                self.snapshot = Some(schema::Snapshot::from(&**snapshot));
            }
            Body::Heartbeat(heartbeat) => {
                self.commit = heartbeat.commit.0;
                self.context = &heartbeat.context;
            }
            Body::HeartbeatResponse { context } => self.context = context,
            Body::TransferLeader | Body::TimeoutNow => {}
            Body::ReadIndex { context } => self.entries = Carried::ReadContext(context),
            Body::ReadIndexResponse { index, context } => {
                self.index = index.0;
                self.entries = Carried::ReadContext(context);
            }
        }
    }

    fn set_position(&mut self, position: Position) {
        self.log_term = position.term.0;
        self.index = position.index.0;
    }

    fn encoded_len(&self) -> usize {
        let mut length = Length(0);
        self.write(&mut length);
        length.0
    }

    fn write(&self, out: &mut impl Sink) {
        out.number(1, self.kind as u64);
        out.number(2, self.to);
        out.number(3, self.from);
        out.number(4, self.term);
        out.number(5, self.log_term);
        out.number(6, self.index);
        match self.entries {
            Carried::Nothing => {}
            Carried::Entries(entries) => {
                for entry in entries.iter() {
                    out.header(7, entry_len(entry));
                    write_entry(entry, out);
                }
            }
            Carried::ReadContext(context) => {
                let mut length = Length(0);
                write_read_context(context, &mut length);
                out.header(7, length.0);
                write_read_context(context, out);
            }
        }
        out.number(8, self.commit);
        if let Some(snapshot) = &self.snapshot {
            out.header(9, prost::Message::encoded_len(snapshot));
            out.flat(snapshot);
        }
        out.number(10, self.reject.into());
        out.number(11, self.reject_hint);
        out.data(12, self.context);
    }

    fn into_flat(self) -> schema::Message {
        let entries = match self.entries {
            Carried::Nothing => Vec::new(),
            Carried::Entries(entries) => entries.iter().map(schema::Entry::from).collect(),
            Carried::ReadContext(context) => {
                vec![schema::Entry { data: context.clone(), ..Default::default() }]
            }
        };
        schema::Message {
            kind: self.kind as i32,
            to: self.to,
            from: self.from,
            term: self.term,
            log_term: self.log_term,
            index: self.index,
            entries,
            commit: self.commit,
            snapshot: self.snapshot,
            reject: self.reject,
            reject_hint: self.reject_hint,
            context: self.context.clone(),
            vote: 0,
            responses: Vec::new(),
        }
    }
}

/// The encoded length of an entry without its header.
fn entry_len(entry: &Entry) -> usize {
    entry.encoded_bytes() as usize
}

fn write_entry(entry: &Entry, out: &mut impl Sink) {
    out.number(1, entry.kind as u64);
    out.number(2, entry.term.0);
    out.number(3, entry.index.0);
    out.data(4, &entry.data);
}

/// An entry of which only the data is set.
fn write_read_context(context: &Bytes, out: &mut impl Sink) {
    out.data(4, context);
}

/// Where fields go: into a buffer, or into a count of bytes. Both are fed by the same list of
/// fields, so that a length cannot differ from what is written.
trait Sink {
    fn key(&mut self, tag: u32, wire_type: WireType);
    fn varint(&mut self, number: u64);
    fn raw(&mut self, bytes: &[u8]);
    fn flat(&mut self, message: &impl prost::Message);

    /// A numeric field; zero is the same as absent.
    fn number(&mut self, tag: u32, number: u64) {
        if number != 0 {
            self.key(tag, WireType::Varint);
            self.varint(number);
        }
    }

    /// A field of bytes; empty is the same as absent.
    fn data(&mut self, tag: u32, data: &[u8]) {
        if !data.is_empty() {
            self.header(tag, data.len());
            self.raw(data);
        }
    }

    /// What precedes a nested message or bytes of this length.
    fn header(&mut self, tag: u32, len: usize) {
        self.key(tag, WireType::LengthDelimited);
        self.varint(len as u64);
    }
}

impl Sink for BytesMut {
    fn key(&mut self, tag: u32, wire_type: WireType) {
        encode_key(tag, wire_type, self);
    }

    fn varint(&mut self, number: u64) {
        encode_varint(number, self);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }

    fn flat(&mut self, message: &impl prost::Message) {
        message.encode_raw(self);
    }
}

/// A length in bytes. Saturates: nothing that long was ever in memory.
struct Length(usize);

impl Length {
    fn add(&mut self, bytes: usize) {
        self.0 = self.0.saturating_add(bytes);
    }
}

impl Sink for Length {
    fn key(&mut self, tag: u32, _: WireType) {
        self.add(key_len(tag));
    }

    fn varint(&mut self, number: u64) {
        self.add(encoded_len_varint(number));
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.add(bytes.len());
    }

    fn flat(&mut self, message: &impl prost::Message) {
        self.add(message.encoded_len());
    }
}

/// The flat form, for callers that pass messages on field by field. Payloads are shared.
impl From<&Message> for schema::Message {
    fn from(message: &Message) -> Self {
        Outline::of(message).into_flat()
    }
}

impl From<&Entry> for schema::Entry {
    fn from(entry: &Entry) -> Self {
        Self {
            kind: entry.kind as i32,
            term: entry.term.0,
            index: entry.index.0,
            data: entry.data.clone(),
        }
    }
}

impl From<&ConfState> for schema::ConfState {
    fn from(state: &ConfState) -> Self {
        Self {
            voters: state.voters.clone(),
            learners: state.learners.clone(),
            voters_outgoing: state.voters_outgoing.clone(),
            learners_next: state.learners_next.clone(),
            auto_leave: state.auto_leave,
        }
    }
}

/// The metadata and the membership in it are always present, if only as empty messages, which is
/// what members of this protocol family expect.
impl From<&Snapshot> for schema::Snapshot {
    fn from(snapshot: &Snapshot) -> Self {
        let metadata = schema::SnapshotMetadata {
            conf_state: Some(schema::ConfState::from(&snapshot.conf_state)),
            index: snapshot.position.index.0,
            term: snapshot.position.term.0,
        };
        Self { data: snapshot.data.clone(), metadata: Some(metadata) }
    }
}

impl From<&HardState> for schema::HardState {
    fn from(state: &HardState) -> Self {
        Self { term: state.term.0, vote: NodeId::or_zero(state.vote), commit: state.commit.0 }
    }
}

impl From<&ConfChange> for schema::ConfChange {
    fn from(change: &ConfChange) -> Self {
        Self {
            id: change.id,
            kind: change.kind as i32,
            node_id: change.node,
            context: change.context.clone(),
        }
    }
}

impl From<&ConfChangeSingle> for schema::ConfChangeSingle {
    fn from(change: &ConfChangeSingle) -> Self {
        Self { kind: change.kind as i32, node_id: change.node }
    }
}

impl From<&ConfChangeV2> for schema::ConfChangeV2 {
    fn from(change: &ConfChangeV2) -> Self {
        Self {
            transition: change.transition as i32,
            changes: change.changes.iter().map(schema::ConfChangeSingle::from).collect(),
            context: change.context.clone(),
        }
    }
}
