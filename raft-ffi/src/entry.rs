//! Log entries and hard state.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::borrow::Cow;
use std::ptr;

use raftcore::{Entries, Entry, EntryKind, HardState, Index, NodeId, Term};

use crate::error::Failure;
use crate::owned;
use crate::slice::{self, raftcore_slice};
use crate::status::RAFTCORE_ERR_ID;

/// What the data of an entry is.
pub type raftcore_entry_kind = i32;
/// The application's own bytes, or nothing at all: a new leader's first entry.
pub const RAFTCORE_ENTRY_NORMAL: raftcore_entry_kind = 0;
/// A membership change of one member. Hand it to raftcore_node_apply_conf_change_entry.
pub const RAFTCORE_ENTRY_CONF_CHANGE: raftcore_entry_kind = 1;
/// A membership change in its general form; without data it leaves a joint configuration. Hand it
/// to raftcore_node_apply_conf_change_entry.
pub const RAFTCORE_ENTRY_CONF_CHANGE_V2: raftcore_entry_kind = 2;

/// One entry of the log. Grows at its end: step through an array with its stride.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_entry {
    /// The term of the leader that created it.
    pub term: u64,
    /// Its place in the log, from 1.
    pub index: u64,
    /// The payload.
    pub data: raftcore_slice,
    /// What the payload is: RAFTCORE_ENTRY_.
    pub kind: raftcore_entry_kind,
    /// Zero.
    pub reserved: u32,
}

/// Entries in order. raftcore_entry_at finds one. As input: stride is sizeof(raftcore_entry).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_entries {
    /// The first; may be NULL when count is 0.
    pub items: *const raftcore_entry,
    /// How many.
    pub count: usize,
    /// The distance from one to the next in bytes.
    pub stride: usize,
}

/// What must be on disk before a message that depends on it leaves. Never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_hard_state {
    /// The latest term this node has seen.
    pub term: u64,
    /// The id of the member it voted for in that term; zero: none.
    pub vote: u64,
    /// The highest index known to be committed.
    pub commit: u64,
}

/// Frees entries that a call returned for the caller to own. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_entries_destroy(entries: *mut raftcore_entries) {
    // SAFETY: `entries` is NULL or came from `give` below.
    guard!(else (), { unsafe { owned::take_back::<_, EntriesBacking>(entries) } });
}

/// What `raftcore_entries` that the caller owns point into.
struct EntriesBacking {
    items: Vec<raftcore_entry>,
    /// Keeps the payloads.
    _entries: Entries,
}

/// Entries for the caller to own.
pub(crate) fn give(entries: Entries) -> *mut raftcore_entries {
    let items = entries.iter().map(raftcore_entry::of).collect();
    owned::give(EntriesBacking { items, _entries: entries }, |backing| {
        raftcore_entries::of(&backing.items)
    })
}

impl raftcore_entry {
    /// A view of an entry that somebody else keeps alive.
    pub(crate) fn of(entry: &Entry) -> Self {
        Self {
            term: entry.term.0,
            index: entry.index.0,
            data: raftcore_slice::of(&entry.data),
            kind: entry.kind as i32,
            reserved: 0,
        }
    }
}

impl raftcore_entries {
    pub(crate) const EMPTY: Self =
        Self { items: ptr::null(), count: 0, stride: size_of::<raftcore_entry>() };

    /// A view of entries that somebody else keeps alive.
    pub(crate) const fn of(items: &[raftcore_entry]) -> Self {
        if items.is_empty() {
            return Self::EMPTY;
        }
        Self { items: items.as_ptr(), count: items.len(), ..Self::EMPTY }
    }
}

/// The kind of entry with this number.
pub(crate) fn kind(number: raftcore_entry_kind) -> Result<EntryKind, Failure> {
    Ok(match number {
        RAFTCORE_ENTRY_NORMAL => EntryKind::Normal,
        RAFTCORE_ENTRY_CONF_CHANGE => EntryKind::ConfChange,
        RAFTCORE_ENTRY_CONF_CHANGE_V2 => EntryKind::ConfChangeV2,
        _ => return Err(Failure::number("entry kind", number)),
    })
}

/// An entry of a program's, its payload copied. Only the fields of the first release are read,
/// which every program's entry has.
///
/// # Safety
/// `ptr` is NULL or points to an entry whose data is valid.
pub(crate) unsafe fn copy(ptr: *const raftcore_entry, name: &str) -> Result<Entry, Failure> {
    if ptr.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: as promised by the caller.
    unsafe {
        Ok(Entry {
            term: Term((&raw const (*ptr).term).read()),
            index: Index((&raw const (*ptr).index).read()),
            kind: kind((&raw const (*ptr).kind).read())?,
            data: slice::copy_slice((&raw const (*ptr).data).read(), name)?,
        })
    }
}

/// Entries of a program's, their payloads copied into one block that they share.
///
/// # Safety
/// `ptr` is NULL or points to an array whose entries are valid.
pub(crate) unsafe fn copy_all(
    ptr: *const raftcore_entries,
    name: &str,
) -> Result<Entries, Failure> {
    if ptr.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: as promised by the caller.
    let (views, mut block) = unsafe {
        let views = elements(ptr.read(), name)?;
        let block = slice::gather(views.iter().map(|view| view.data), name)?;
        (views, block)
    };
    let entries = views.iter().map(|view| {
        let (term, index) = (Term(view.term), Index(view.index));
        Ok(Entry { term, index, kind: kind(view.kind)?, data: block.split_to(view.data.len) })
    });
    entries.collect::<Result<Vec<_>, _>>().map(Entries::from)
}

/// The elements of an array of a program's, as far as this library knows them.
///
/// # Safety
/// The array is as long as it says and stays as it is for `'a`.
pub(crate) unsafe fn elements<'a>(
    array: raftcore_entries,
    name: &str,
) -> Result<Cow<'a, [raftcore_entry]>, Failure> {
    // SAFETY: as promised by the caller.
    unsafe { slice::strided(array.items, array.count, array.stride, name, "raftcore_entry") }
}

impl From<HardState> for raftcore_hard_state {
    fn from(state: HardState) -> Self {
        Self { term: state.term.0, vote: NodeId::or_zero(state.vote), commit: state.commit.0 }
    }
}

/// A hard state of a program's.
pub(crate) fn hard_state(state: raftcore_hard_state) -> Result<HardState, Failure> {
    let vote = if state.vote == 0 { None } else { Some(member(state.vote)?) };
    Ok(HardState { term: Term(state.term), vote, commit: Index(state.commit) })
}

/// The id of a member.
pub(crate) fn member(id: u64) -> Result<NodeId, Failure> {
    NodeId::new(id)
        .ok_or_else(|| Failure::new(RAFTCORE_ERR_ID, format!("no member can have the id {id}")))
}
