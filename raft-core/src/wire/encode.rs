//! From values to bytes.
//!
//! Most of what a node does is replicate and confirm, so a message is written straight from its
//! typed form: no flat copy is built, no payload is cloned, and the buffer is allocated once, in
//! the size it needs. What is short is gathered on the stack; payloads are copied once, to where
//! they belong. The flat form comes from the same outline of fields, so that the two cannot drift
//! apart. Fields are written in the order of their numbers, and zeros not at all: one value has
//! one encoding.
//!
//! Nothing can fail here: every typed value has an encoding. Whether a transport takes one so
//! long is its own question.

use bytes::{Bytes, BytesMut};

use super::put::{Put, Short};
use super::{TRANSFER_CONTEXT, schema, stored};
use crate::entry::{Entries, Entry, EntryKind, field_bytes};
use crate::ids::{NodeId, Position};
use crate::membership::{AnyConfChange, ConfChange, ConfChangeSingle, ConfChangeV2};
use crate::message::{Body, Message, MessageKind};
use crate::state::{ConfState, HardState, Snapshot};

/// Encodes a message.
#[must_use]
pub fn encode(message: &Message) -> Bytes {
    let outline = Outline::of(message);
    let mut room = [0; SHORT_ROOM];
    let mut short = Short::new(&mut room);
    let before = outline.put_short_fields(&mut short);
    let mut out = BytesMut::with_capacity(outline.encoded_len(&short));
    outline.write(&short, before, &mut out);
    out.freeze()
}

/// Appends a message's encoding to a buffer, for example behind a length that the transport
/// writes first (see [`encoded_len`]). The buffer grows by what is needed, at most once.
pub fn encode_into(message: &Message, out: &mut BytesMut) {
    let outline = Outline::of(message);
    let mut room = [0; SHORT_ROOM];
    let mut short = Short::new(&mut room);
    let before = outline.put_short_fields(&mut short);
    out.reserve(outline.encoded_len(&short));
    outline.write(&short, before, out);
}

/// The length of a message's encoding in bytes.
#[must_use]
pub fn encoded_len(message: &Message) -> usize {
    let outline = Outline::of(message);
    let mut room = [0; SHORT_ROOM];
    let mut short = Short::new(&mut room);
    outline.put_short_fields(&mut short);
    outline.encoded_len(&short)
}

/// Encodes an entry.
#[must_use]
pub fn encode_entry(entry: &Entry) -> Bytes {
    let mut out = BytesMut::with_capacity(entry_len(entry));
    write_short(&mut out, |short| put_entry(entry, short));
    out.extend_from_slice(&entry.data);
    out.freeze()
}

/// Encodes a snapshot.
#[must_use]
pub fn encode_snapshot(snapshot: &Snapshot) -> Bytes {
    let mut out = BytesMut::with_capacity(snapshot_len(snapshot));
    write_snapshot(snapshot, &mut out);
    out.freeze()
}

/// Encodes a hard state. An empty one is no bytes.
#[must_use]
pub fn encode_hard_state(state: &HardState) -> Bytes {
    let mut room = [0; ENTRY_ROOM];
    let mut short = Short::new(&mut room);
    short.number(1, state.term.0);
    short.number(2, NodeId::or_zero(state.vote));
    short.number(3, state.commit.0);
    Bytes::copy_from_slice(short.bytes())
}

/// Encodes a membership.
#[must_use]
pub fn encode_conf_state(state: &ConfState) -> Bytes {
    stored::conf_state(state).into()
}

/// Encodes a membership change: the kind and the data of the entry that is to carry it. The order
/// to leave a joint configuration, without a context, is no bytes: no size limit can refuse it.
#[must_use]
pub fn encode_conf_change(change: &AnyConfChange) -> (EntryKind, Bytes) {
    match change {
        AnyConfChange::One(change) => (EntryKind::ConfChange, stored::conf_change(change).into()),
        AnyConfChange::Many(change) => {
            (EntryKind::ConfChangeV2, stored::conf_change_v2(change).into())
        }
    }
}

/// All short fields of a message are shorter: eight numbers of at most eleven bytes with their
/// keys, a truth value and a length. At the end there is room for a whole word.
const SHORT_ROOM: usize = 112;

/// The same for an entry: three numbers and two lengths. A hard state has three numbers.
const ENTRY_ROOM: usize = 64;

type ShortFields<'a> = Short<'a, SHORT_ROOM>;
type EntryFields<'a> = Short<'a, ENTRY_ROOM>;

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
    snapshot: Option<&'a Snapshot>,
    reject: bool,
    reject_hint: u64,
    context: &'a [u8],
}

/// What a message carries in its field `entries`.
enum Carried<'a> {
    Nothing,
    Entries(&'a Entries),
    /// The context of a read travels as the data of one entry.
    ReadContext(&'a [u8]),
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
            context: &[],
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
                self.context = if request.transfer { TRANSFER_CONTEXT } else { &[] };
            }
            Body::VoteResponse(response) | Body::PreVoteResponse(response) => {
                self.reject = response.rejected;
            }
            Body::Snapshot(snapshot) => self.snapshot = Some(snapshot),
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

    /// All fields but the entries and the snapshot. Returns how many bytes go before those. The
    /// context itself is last of all, so that its length is among these.
    #[inline]
    fn put_short_fields(&self, out: &mut ShortFields<'_>) -> usize {
        self.put_envelope(out);
        out.number(5, self.log_term);
        out.number(6, self.index);
        let before = out.len();
        out.number(8, self.commit);
        out.number(10, self.reject.into());
        out.number(11, self.reject_hint);
        out.data_header(12, self.context.len());
        before
    }

    /// Kind, receiver, sender and term: nearly always numbers of one byte each.
    #[inline]
    fn put_envelope(&self, out: &mut ShortFields<'_>) {
        let kind = self.kind as u64;
        if kind | self.to | self.from | self.term < 0x80 {
            let [kind, to, from, term] =
                [(kind, 8), (self.to, 24), (self.from, 40), (self.term, 56)]
                    .map(|(number, shift)| number.wrapping_shl(shift));
            let len = if term == 0 { 6 } else { 8 };
            out.word(0x0020_0018_0010_0008 | kind | to | from | term, len);
            return;
        }
        out.number(1, kind);
        out.number(2, self.to);
        out.number(3, self.from);
        out.number(4, self.term);
    }

    #[inline]
    fn encoded_len(&self, short: &ShortFields<'_>) -> usize {
        let entries = match self.entries {
            Carried::Nothing => 0,
            Carried::Entries(entries) => entries_len(entries),
            Carried::ReadContext(context) => block_len(data_len(context)),
        };
        let snapshot = self.snapshot.map_or(0, |snapshot| block_len(snapshot_len(snapshot)));
        let long = entries.wrapping_add(snapshot).wrapping_add(self.context.len());
        short.len().wrapping_add(long)
    }

    #[inline]
    fn write(&self, short: &ShortFields<'_>, before: usize, out: &mut BytesMut) {
        if matches!(self.entries, Carried::Nothing) && self.snapshot.is_none() {
            out.extend_from_slice(short.bytes());
        } else {
            let (before, after) = short.bytes().split_at_checked(before).unwrap_or_default();
            out.extend_from_slice(before);
            self.write_long_fields(out);
            out.extend_from_slice(after);
        }
        if !self.context.is_empty() {
            out.extend_from_slice(self.context);
        }
    }

    #[inline]
    fn write_long_fields(&self, out: &mut BytesMut) {
        match self.entries {
            Carried::Nothing => {}
            Carried::Entries(entries) => write_entries(entries, out),
            Carried::ReadContext(context) => {
                write_short(out, |short| {
                    short.header(7, data_len(context));
                    short.data_header(4, context.len());
                });
                out.extend_from_slice(context);
            }
        }
        if let Some(snapshot) = self.snapshot {
            write_short(out, |short| short.header(9, snapshot_len(snapshot)));
            write_snapshot(snapshot, out);
        }
    }

    fn into_flat(self) -> schema::Message {
        let entries = match self.entries {
            Carried::Nothing => Vec::new(),
            Carried::Entries(entries) => entries.iter().map(schema::Entry::from).collect(),
            Carried::ReadContext(context) => {
                vec![schema::Entry { data: Bytes::copy_from_slice(context), ..Default::default() }]
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
            snapshot: self.snapshot.map(schema::Snapshot::from),
            reject: self.reject,
            reject_hint: self.reject_hint,
            context: Bytes::copy_from_slice(self.context),
            vote: 0,
            responses: Vec::new(),
        }
    }
}

/// The encoded length of an entry without its header.
#[inline]
fn entry_len(entry: &Entry) -> usize {
    entry.encoded_bytes() as usize
}

/// The encoded length of entries with their headers.
#[inline]
fn entries_len(entries: &Entries) -> usize {
    let mut len = 0usize;
    for block in entries.slices() {
        for entry in block {
            len = len.wrapping_add(block_len(entry_len(entry)));
        }
    }
    len
}

#[inline]
fn write_entries(entries: &Entries, out: &mut BytesMut) {
    for block in entries.slices() {
        for entry in block {
            write_short(out, |short| {
                short.header(7, entry_len(entry));
                put_entry(entry, short);
            });
            out.extend_from_slice(&entry.data);
        }
    }
}

/// Writes what is short at its place. Near the end of the buffer, which has room for what it needs
/// and no more, whole words would not fit.
#[inline]
fn write_short(out: &mut BytesMut, put: impl Fn(&mut EntryFields<'_>)) {
    let start = out.len();
    if out.capacity().wrapping_sub(start) < ENTRY_ROOM {
        return write_short_by_the_stack(out, put);
    }
    out.extend_from_slice(&[0; ENTRY_ROOM]);
    if let Some(room) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
        let mut short = Short::new(room);
        put(&mut short);
        let end = start.wrapping_add(short.len());
        out.truncate(end);
    }
}

#[cold]
#[inline(never)]
fn write_short_by_the_stack(out: &mut BytesMut, put: impl Fn(&mut EntryFields<'_>)) {
    let mut room = [0; ENTRY_ROOM];
    let mut short = Short::new(&mut room);
    put(&mut short);
    out.extend_from_slice(short.bytes());
}

/// The fields of an entry up to the data itself.
#[inline(always)]
fn put_entry(entry: &Entry, out: &mut EntryFields<'_>) {
    out.number(1, entry.kind as u64);
    out.number(2, entry.term.0);
    out.number(3, entry.index.0);
    out.data_header(4, entry.data.len());
}

fn snapshot_len(snapshot: &Snapshot) -> usize {
    let metadata = block_len(stored::metadata(snapshot).len());
    data_len(&snapshot.data).wrapping_add(metadata)
}

/// The membership is small beside the data, and a snapshot is rare: it is written, then copied.
fn write_snapshot(snapshot: &Snapshot, out: &mut BytesMut) {
    write_short(out, |short| short.data_header(1, snapshot.data.len()));
    out.extend_from_slice(&snapshot.data);
    let metadata = stored::metadata(snapshot);
    write_short(out, |short| short.header(2, metadata.len()));
    out.extend_from_slice(&metadata);
}

/// The length of bytes or of a nested message with its header.
#[inline]
fn block_len(len: usize) -> usize {
    len.wrapping_add(field_bytes(len as u64) as usize)
}

/// The same; no bytes are the same as absent.
#[inline]
fn data_len(data: &[u8]) -> usize {
    if data.is_empty() { 0 } else { block_len(data.len()) }
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
