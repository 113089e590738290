//! Payloads that the program keeps.
//!
//! For a binding whose language has memory of its own and holds each payload there already: only
//! lengths come in, and nothing is copied. The library counts them against its limits as if it had
//! the bytes. Where it shows such an entry, in a Ready or from a storage, data.data is NULL and
//! data.len is not zero; which payload it is, the program knows by index and term. Kept are
//! payloads of entries of kind RAFTCORE_ENTRY_NORMAL that are not empty, on a node without
//! RAFTCORE_FORM_ENCODED in its message_forms, since such an entry cannot be encoded here. A node
//! that has it refuses them with RAFTCORE_ERR_MISUSE, also from another node or a memory storage.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use raftcore::{
    Append, Body, Entries, Entry, EntryKind, Index, Message, Position, RoleKind, Storage, Term,
};

use crate::backend::Backend;
use crate::entry;
use crate::error::{Failure, raftcore_error};
use crate::handle::{self, State};
use crate::message::{RAFTCORE_MESSAGE_APPEND, raftcore_message};
use crate::node::raftcore_node;
use crate::propose::{self, raftcore_proposed};
use crate::ready_memory::ReadyMemory;
use crate::sized;
use crate::slice::{self, Out};
use crate::status::{
    RAFTCORE_DROP_FORWARDING_DISABLED, RAFTCORE_ERR_DROPPED, RAFTCORE_ERR_MISUSE,
    RAFTCORE_ERR_TOO_LARGE, raftcore_status,
};

/// The longest payload that a program can keep. Hand in longer ones as they are.
pub const RAFTCORE_KEPT_MAX: u64 = 4194304;

/// Stands for kept payloads: its address is the mark, its bytes are zero. Nothing ever reads or
/// writes it, so it costs no memory; the cell keeps it out of the file.
struct Standin(UnsafeCell<[u8; RAFTCORE_KEPT_MAX as usize]>);

// SAFETY: never written.
unsafe impl Sync for Standin {}

static STANDIN: Standin = Standin(UnsafeCell::new([0; RAFTCORE_KEPT_MAX as usize]));

/// Whether this process has kept payloads at all: few have, and need not look for them.
static SOME: AtomicBool = AtomicBool::new(false);

/// Whether an entry may have a payload that the program keeps.
#[inline]
pub(crate) fn may_be() -> bool {
    // Relaxed: whoever sees an entry with one came to it by way of who made it.
    SOME.load(Ordering::Relaxed)
}

/// Whether these bytes stand for a payload that the program keeps.
#[inline]
pub(crate) fn is_kept(data: &[u8]) -> bool {
    // All begin where it begins: the core cuts no payload.
    data.as_ptr() == STANDIN.0.get().cast() && !data.is_empty()
}

/// What stands for a payload of this length, which is at most the longest.
fn payload(len: u64) -> Bytes {
    SOME.store(true, Ordering::Relaxed);
    // SAFETY: it is never written.
    let all: &'static [u8] = unsafe { &*STANDIN.0.get() };
    Bytes::from_static(all.get(..len as usize).unwrap_or_default())
}

fn check_lengths(lengths: &[u64]) -> Result<(), Failure> {
    let Some(len) = lengths.iter().find(|len| **len > RAFTCORE_KEPT_MAX) else { return Ok(()) };
    let text = format!("a payload of {len} bytes cannot be kept, only {RAFTCORE_KEPT_MAX}");
    Err(Failure::new(RAFTCORE_ERR_TOO_LARGE, text))
}

impl State {
    fn refuse_encoding(&self) -> Result<(), Failure> {
        if self.ready.encodes() { Err(bytes_needed()) } else { Ok(()) }
    }

    /// Steps a message of another node in this process, which may bear kept payloads.
    #[inline]
    pub(crate) fn step_shared(&mut self, message: impl FnOnce() -> Message) -> Result<(), Failure> {
        let message = message();
        if self.ready.encodes() {
            refuse_kept(&message)?;
        }
        Ok(self.core.step(message)?)
    }
}

/// Refuses a message with kept payloads.
#[inline(never)]
fn refuse_kept(message: &Message) -> Result<(), Failure> {
    let Body::Append(append) = &message.body else { return Ok(()) };
    let mut entries = append.entries.iter();
    if entries.any(|entry| is_kept(&entry.data)) { Err(bytes_needed()) } else { Ok(()) }
}

/// A node that encodes does not begin on a memory log with kept payloads.
pub(crate) fn check_storage(storage: &Backend, ready: &ReadyMemory) -> Result<(), Failure> {
    if !ready.encodes() || !storage.is_memory() {
        return Ok(());
    }
    let stored = storage.read(|log| match (log.first_index()?, log.last_index()?) {
        (first, last) if first > last => Ok(Entries::new()),
        (first, last) => log.entries(first, Index(last.0.saturating_add(1)), u64::MAX),
    })?;
    if stored.iter().any(|entry| is_kept(&entry.data)) {
        return Err(bytes_needed());
    }
    Ok(())
}

fn bytes_needed() -> Failure {
    Failure::new(RAFTCORE_ERR_MISUSE, "a node with RAFTCORE_FORM_ENCODED needs its payloads")
}

/// As raftcore_node_propose_many, with payloads that the program keeps: lengths, an array of
/// count, says how long each is. Only a leader takes them, since they cannot be forwarded:
/// otherwise RAFTCORE_ERR_DROPPED with RAFTCORE_DROP_FORWARDING_DISABLED. out may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_propose_kept(
    node: *mut raftcore_node,
    lengths: *const u64,
    count: usize,
    out: *mut raftcore_proposed,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out, lengths) = unsafe {
            let lengths = slice::array(lengths, count, "lengths")?;
            (handle::of(node)?, sized::optional_out(out, "out")?, lengths)
        };
        let proposed = node.call(|state| {
            state.refuse_encoding()?;
            if state.core.soft_state().role != RoleKind::Leader {
                let text = "this node does not lead, and what the program keeps is not forwarded";
                return Err(Failure::new(RAFTCORE_ERR_DROPPED, text)
                    .with_detail(RAFTCORE_DROP_FORWARDING_DISABLED));
            }
            check_lengths(lengths)?;
            if let [length] = lengths {
                return Ok(state.core.propose(payload(*length))?);
            }
            let payloads = lengths.iter().map(|length| payload(*length)).collect();
            Ok(state.core.propose_many(payloads)?)
        })?;
        propose::write(out, proposed);
        Ok(())
    })
}

/// Hands in an append from a peer whose payloads the program keeps. head is the message without
/// its entries, of kind RAFTCORE_MESSAGE_APPEND. terms and lengths, arrays of count, say what the
/// entries are that follow its index. Writes 1 to taken if the log now ends with the last of them,
/// so that all of them are in it, and 0 if not. Otherwise as raftcore_node_step.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_step_kept(
    node: *mut raftcore_node,
    head: *const raftcore_message,
    terms: *const u64,
    lengths: *const u64,
    count: usize,
    taken: *mut i32,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, message, out) = unsafe {
            let lists =
                (slice::array(terms, count, "terms")?, slice::array(lengths, count, "lengths")?);
            (handle::of(node)?, append(head, lists)?, Out::required(taken, "taken")?)
        };
        let last = match &message.body {
            Body::Append(append) => append.entries.last().map(Entry::position),
            _ => None,
        };
        let ends = node.call(|state| {
            state.refuse_encoding()?;
            state.core.step(message)?;
            Ok(Some(state.core.last_position()) == last)
        })?;
        out.write(i32::from(ends));
        Ok(())
    })
}

/// # Safety
/// `head` is NULL or points to a message.
unsafe fn append(
    head: *const raftcore_message,
    (terms, lengths): (&[u64], &[u64]),
) -> Result<Message, Failure> {
    // SAFETY: as promised by the caller.
    let Some(head) = (unsafe { head.as_ref() }) else { return Err(Failure::null("head")) };
    if head.kind != RAFTCORE_MESSAGE_APPEND {
        return Err(Failure::number("head->kind", head.kind));
    }
    if head.entries.count != 0 {
        return Err(Failure::number("head->entries.count", head.entries.count));
    }
    check_lengths(lengths)?;
    let mut index = head.index;
    let mut entries = terms.iter().zip(lengths).map(|(term, len)| {
        index = index.saturating_add(1);
        let (term, index, kind) = (Term(*term), Index(index), EntryKind::Normal);
        Entry { term, index, kind, data: payload(*len) }
    });
    // A list of one needs no array.
    let entries = match entries.len() {
        1 => entries.next().map(Entries::from).unwrap_or_default(),
        _ => entries.collect(),
    };
    Ok(Message {
        to: entry::member(head.to)?,
        from: entry::member(head.from)?,
        term: Term(head.term),
        body: Body::Append(Append {
            prev: Position { term: Term(head.log_term), index: Index(head.index) },
            entries,
            commit: Index(head.commit),
        }),
    })
}
