//! Messages.
//!
//! A node addresses its messages by member id; how they get there is the application's affair.
//! The network may lose, repeat, delay and reorder them. The usual way is to send the encoded
//! bytes (raftpb.Message, the format of etcd's raft) as they are and to hand what arrives to
//! raftcore_node_step. The fields tell where a message goes and what it is.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ffi::c_void;

use std::ptr;

use bytes::Bytes;
use raftcore::wire::{self, schema};
use raftcore::{Body, Entries, Message, describe};

use crate::entry::{raftcore_entries, raftcore_entry};
use crate::error::raftcore_error;
use crate::message_in;
use crate::message_scan;
use crate::owned;
use crate::slice::{self, Out, raftcore_buffer, raftcore_slice};
use crate::snapshot::{SnapshotView, raftcore_snapshot};
use crate::status::raftcore_status;

/// What a message says. The numbers are those of the wire; kinds that never leave a node have
/// numbers too, of which those of the storage threads' responses are here.
pub type raftcore_message_kind = i32;
/// Entries to append, passed on to the leader.
pub const RAFTCORE_MESSAGE_PROPOSE: raftcore_message_kind = 2;
/// Entries from the leader.
pub const RAFTCORE_MESSAGE_APPEND: raftcore_message_kind = 3;
/// The answer to an append or a snapshot.
pub const RAFTCORE_MESSAGE_APPEND_RESPONSE: raftcore_message_kind = 4;
/// A request for a vote.
pub const RAFTCORE_MESSAGE_VOTE: raftcore_message_kind = 5;
/// The answer to it.
pub const RAFTCORE_MESSAGE_VOTE_RESPONSE: raftcore_message_kind = 6;
/// A snapshot for a member that is behind the leader's log. It can be large: send it on a
/// connection of its own, and say how that went with raftcore_node_report_snapshot.
pub const RAFTCORE_MESSAGE_SNAPSHOT: raftcore_message_kind = 7;
/// The leader is alive.
pub const RAFTCORE_MESSAGE_HEARTBEAT: raftcore_message_kind = 8;
/// The answer to it.
pub const RAFTCORE_MESSAGE_HEARTBEAT_RESPONSE: raftcore_message_kind = 9;
/// The sender is to become leader.
pub const RAFTCORE_MESSAGE_TRANSFER_LEADER: raftcore_message_kind = 13;
/// The receiver is to campaign at once.
pub const RAFTCORE_MESSAGE_TIMEOUT_NOW: raftcore_message_kind = 14;
/// A request for a read index, passed on to the leader.
pub const RAFTCORE_MESSAGE_READ_INDEX: raftcore_message_kind = 15;
/// The leader's answer.
pub const RAFTCORE_MESSAGE_READ_INDEX_RESPONSE: raftcore_message_kind = 16;
/// The question whether a vote would be given.
pub const RAFTCORE_MESSAGE_PRE_VOTE: raftcore_message_kind = 17;
/// The answer to it.
pub const RAFTCORE_MESSAGE_PRE_VOTE_RESPONSE: raftcore_message_kind = 18;
/// Only with asynchronous storage writes, and only back into the same node: entries or a snapshot
/// are durable.
pub const RAFTCORE_MESSAGE_STORAGE_APPEND_RESPONSE: raftcore_message_kind = 20;
/// Only with asynchronous storage writes, and only back into the same node: entries are applied.
pub const RAFTCORE_MESSAGE_STORAGE_APPLY_RESPONSE: raftcore_message_kind = 22;

/// A message from one member to another. A field that its kind does not have is zero or empty.
/// Grows at its end: step through an array with its stride. A field that comes later is read from
/// arrays alone, not where one message is handed in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_message {
    /// The receiver.
    pub to: u64,
    /// The sender; of a transfer the member that is to lead, of a forwarded proposal or read the
    /// member that asked first.
    pub from: u64,
    /// The sender's term; of a pre-vote the term that the election would have. Zero in proposals
    /// and reads.
    pub term: u64,
    /// The term of the entry at index; of a rejection the follower's term at reject_hint.
    pub log_term: u64,
    /// Of an append the position before its entries, of a vote the candidate's last entry, of a
    /// response what it answers for, of a read's answer the read index.
    pub index: u64,
    /// The sender's commit index, in appends and heartbeats.
    pub commit: u64,
    /// Unused by every kind that exists; kept because the wire has it.
    pub vote: u64,
    /// Of a rejection: the highest index at which the logs could match.
    pub reject_hint: u64,
    /// What it says: RAFTCORE_MESSAGE_.
    pub kind: raftcore_message_kind,
    /// 1 in a response that says no; otherwise 0.
    pub reject: u32,
    /// The whole message, ready to send. Empty without RAFTCORE_FORM_ENCODED.
    pub encoded: raftcore_slice,
    /// Of a heartbeat and a read: what comes back unchanged with the answer. Of a vote: whether
    /// the leader ordered it. Empty without RAFTCORE_FORM_FIELDS.
    pub context: raftcore_slice,
    /// The entries that a proposal or an append carries. Empty without RAFTCORE_FORM_FIELDS.
    pub entries: raftcore_entries,
    /// The snapshot that it carries, or NULL. NULL without RAFTCORE_FORM_FIELDS.
    pub snapshot: *const raftcore_snapshot,
    /// Not zero only with asynchronous storage writes: the message does not leave, but goes back
    /// into this node by raftcore_node_storage_response with this number.
    pub response_number: u64,
}

/// Messages in the order in which they are to be sent. raftcore_message_at finds one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_messages {
    /// The first; may be NULL when count is 0.
    pub items: *const raftcore_message,
    /// How many.
    pub count: usize,
    /// The distance from one to the next in bytes.
    pub stride: usize,
}

/// Writes the kind of an encoded message to kind: for a server that admits some kinds only, or
/// sends some on connections of their own. It looks no further than it must and copies nothing:
/// bytes that raftcore_node_step refuses may have a kind. Fails with RAFTCORE_ERR_REFUSED when
/// they have none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_message_kind_of(
    data: *const c_void,
    len: usize,
    kind: *mut raftcore_message_kind,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for `kind` and (data, len).
        let (out, data) =
            unsafe { (Out::required(kind, "kind")?, slice::array(data.cast(), len, "data")?) };
        out.write(message_scan::kind_of(data).map_err(raftcore::Error::from)? as i32);
        Ok(())
    })
}

/// Decodes a message, for a program that wants to see its fields before it steps it. The caller
/// owns it and frees it with raftcore_message_destroy. Fails with RAFTCORE_ERR_REFUSED when the
/// bytes are no message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_message_decode(
    data: *const c_void,
    len: usize,
    out: *mut *mut raftcore_message,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for `out` and (data, len).
        let (out, data) = unsafe { (Out::required(out, "out")?, slice::copy(data, len, "data")?) };
        let message = wire::decode(data.clone()).map_err(raftcore::Error::from)?;
        out.write(owned::give(Backing::new(message, data), Backing::view));
        Ok(())
    })
}

/// Encodes a message that stands in a struct, for a program that changed one or made its own.
/// What its encoded says is not looked at. The caller owns the buffer and frees it with
/// raftcore_buffer_free. Fails with RAFTCORE_ERR_REFUSED when no message is like that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_message_encode(
    message: *const raftcore_message,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (flat, out) =
            unsafe { (message_in::copy(message, "message")?, Out::required(out, "out")?) };
        let message = Message::try_from(flat).map_err(raftcore::Error::from)?;
        out.write(raftcore_buffer::owning(wire::encode(&message)));
        Ok(())
    })
}

/// Frees a message that a call returned for the caller to own. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_message_destroy(message: *mut raftcore_message) {
    // SAFETY: `message` is NULL or came from `raftcore_message_decode`.
    guard!(else (), { unsafe { owned::take_back::<_, Backing>(message) } });
}

/// Says in one line what an encoded message says, for a log. The wording may change. The caller
/// owns the buffer and frees it with raftcore_buffer_free. Fails with RAFTCORE_ERR_REFUSED when
/// the bytes are no message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_message_describe(
    data: *const c_void,
    len: usize,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for `out` and (data, len).
        let (out, data) = unsafe { (Out::required(out, "out")?, slice::copy(data, len, "data")?) };
        let message = wire::decode(data).map_err(raftcore::Error::from)?;
        out.write(raftcore_buffer::owning(describe::message(&(&message).into())));
        Ok(())
    })
}

impl raftcore_messages {
    /// Shows these messages, which somebody else keeps alive. Written where it stays.
    #[inline]
    pub(crate) const fn show(&mut self, items: &[raftcore_message]) {
        if !items.is_empty() {
            self.items = items.as_ptr();
            self.count = items.len();
        }
    }

    /// A view of messages that somebody else keeps alive.
    pub(crate) const fn of(items: &[raftcore_message]) -> Self {
        let first = if items.is_empty() { ptr::null() } else { items.as_ptr() };
        Self { items: first, count: items.len(), stride: size_of::<raftcore_message>() }
    }
}

// SAFETY: `repr(C)`, integers and pointers.
unsafe impl slice::Element for raftcore_message {
    const NAME: &'static str = "raftcore_message";
    const EMPTY: Self = Self::EMPTY;
    const FIRST_SIZE: usize = std::mem::offset_of!(Self, response_number);
}

impl raftcore_message {
    /// Says nothing.
    pub(crate) const EMPTY: Self = Self {
        to: 0,
        from: 0,
        term: 0,
        log_term: 0,
        index: 0,
        commit: 0,
        vote: 0,
        reject_hint: 0,
        kind: 0,
        reject: 0,
        encoded: raftcore_slice::EMPTY,
        context: raftcore_slice::EMPTY,
        entries: raftcore_entries::EMPTY,
        snapshot: ptr::null(),
        response_number: 0,
    };

    /// Adds one that says nothing. In zeros and a stride, since a copy of `EMPTY` is a call.
    #[inline]
    pub(crate) fn add_empty(list: &mut Vec<Self>) -> Option<&mut Self> {
        list.reserve(1);
        let place = list.spare_capacity_mut().first_mut()?;
        // SAFETY: zeros are a message: it has numbers and pointers only. The place is the next.
        unsafe {
            place.as_mut_ptr().write_bytes(0, 1);
            list.set_len(list.len() + 1);
        }
        let view = list.last_mut()?;
        view.entries.stride = Self::EMPTY.entries.stride;
        Some(view)
    }

    /// Shows the numbers of a message, in a view that is empty.
    #[inline]
    pub(crate) fn show(&mut self, message: &Message) {
        (self.to, self.from) = (message.to.get(), message.from.get());
        self.term = message.term.0;
        self.kind = message.body.kind() as i32;
        match &message.body {
            Body::Append(append) => {
                (self.log_term, self.index) = (append.prev.term.0, append.prev.index.0);
                self.commit = append.commit.0;
            }
            Body::AppendResponse(response) => {
                self.index = response.index.0;
                if let Some(rejection) = response.rejection {
                    self.reject = 1;
                    (self.log_term, self.reject_hint) = (rejection.hint_term.0, rejection.hint.0);
                }
            }
            Body::Vote(vote) | Body::PreVote(vote) => {
                (self.log_term, self.index) = (vote.last.term.0, vote.last.index.0);
            }
            Body::VoteResponse(vote) | Body::PreVoteResponse(vote) => {
                self.reject = vote.rejected.into();
            }
            Body::Heartbeat(heartbeat) => self.commit = heartbeat.commit.0,
            Body::ReadIndexResponse { index, .. } => self.index = index.0,
            Body::Propose(_)
            | Body::Snapshot(_)
            | Body::HeartbeatResponse { .. }
            | Body::TransferLeader
            | Body::TimeoutNow
            | Body::ReadIndex { .. } => (),
        }
    }

    /// The numbers of a message in its flat form; the rest is empty.
    pub(crate) const fn of_flat(flat: &schema::Message) -> Self {
        Self {
            to: flat.to,
            from: flat.from,
            term: flat.term,
            log_term: flat.log_term,
            index: flat.index,
            commit: flat.commit,
            vote: flat.vote,
            reject_hint: flat.reject_hint,
            kind: flat.kind,
            reject: flat.reject as u32,
            ..Self::EMPTY
        }
    }

    /// The entries of a message.
    pub(crate) const fn entries_of(message: &Message) -> Option<&Entries> {
        match &message.body {
            Body::Propose(entries) => Some(entries),
            Body::Append(append) => Some(&append.entries),
            _ => None,
        }
    }

    /// The context of a message.
    pub(crate) fn context_of(message: &Message) -> raftcore_slice {
        match &message.body {
            Body::Heartbeat(heartbeat) => raftcore_slice::of(&heartbeat.context),
            Body::HeartbeatResponse { context }
            | Body::ReadIndex { context }
            | Body::ReadIndexResponse { context, .. } => raftcore_slice::of(context),
            // The wire's word for it.
            Body::Vote(vote) if vote.transfer => raftcore_slice::of(b"CampaignTransfer"),
            _ => raftcore_slice::EMPTY,
        }
    }
}

/// What a `raftcore_message` that the caller owns points into.
struct Backing {
    entries: Vec<raftcore_entry>,
    snapshot: SnapshotView,
    message: Message,
    encoded: Bytes,
}

impl Backing {
    fn new(message: Message, encoded: Bytes) -> Self {
        let entries = raftcore_message::entries_of(&message).into_iter().flat_map(Entries::iter);
        let entries = entries.map(raftcore_entry::of).collect();
        let snapshot = match &message.body {
            Body::Snapshot(snapshot) => SnapshotView::of(snapshot),
            _ => SnapshotView::empty(),
        };
        Self { entries, snapshot, message, encoded }
    }

    fn view(&self) -> raftcore_message {
        let mut view = raftcore_message::EMPTY;
        view.show(&self.message);
        view.encoded = raftcore_slice::of(&self.encoded);
        view.context = raftcore_message::context_of(&self.message);
        view.entries = raftcore_entries::of(&self.entries);
        if let Body::Snapshot(_) = &self.message.body {
            view.snapshot = self.snapshot.address();
        }
        view
    }
}
