//! Log entries and hard state.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::borrow::Cow;
use std::ffi::c_void;
use std::ptr;

use raftcore::{Entries, Entry, EntryKind, HardState, Index, NodeId, Term, wire};

use crate::error::{Failure, raftcore_error};
use crate::kept;
use crate::owned;
use crate::sized;
use crate::slice::{self, Out, raftcore_buffer, raftcore_slice};
use crate::status::{RAFTCORE_ERR_ID, raftcore_status};

/// What the data of an entry is.
pub type raftcore_entry_kind = i32;
/// The application's own bytes, or nothing at all: a new leader's first entry.
pub const RAFTCORE_ENTRY_NORMAL: raftcore_entry_kind = 0;
/// A membership change of one member. Hand it to raftcore_node_apply_conf_change_entry.
pub const RAFTCORE_ENTRY_CONF_CHANGE: raftcore_entry_kind = 1;
/// A membership change in its general form; without data it leaves a joint configuration. Hand it
/// to raftcore_node_apply_conf_change_entry.
pub const RAFTCORE_ENTRY_CONF_CHANGE_V2: raftcore_entry_kind = 2;

/// One entry of the log. Grows at its end: step through an array with its stride. A field that
/// comes later is read from arrays alone, not where one entry is handed in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_entry {
    /// The term of the leader that created it.
    pub term: u64,
    /// Its place in the log, from 1.
    pub index: u64,
    /// The payload. NULL with a length that is not zero: the program keeps it, as it said with
    /// raftcore_node_propose_kept or raftcore_node_step_kept.
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

/// Encodes an entry as raftpb.Entry, for a log on disk. The caller owns the buffer and frees it
/// with raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_entry_encode(
    entry: *const raftcore_entry,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (entry, out) = unsafe { (copy(entry, "entry")?, Out::required(out, "out")?) };
        out.write(raftcore_buffer::owning(wire::encode_entry(&entry)));
        Ok(())
    })
}

/// Decodes count encoded entries, for a program that reads its log at start and gives it to
/// raftcore_storage_append. The caller owns them and frees them with raftcore_entries_destroy.
/// Fails with RAFTCORE_ERR_REFUSED when one of them is no entry.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_entries_decode(
    encoded: *const raftcore_slice,
    count: usize,
    out: *mut *mut raftcore_entries,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (encoded, out) =
            unsafe { (slice::copy_many(encoded, count, "encoded")?, Out::required(out, "out")?) };
        let entries = encoded.into_iter().map(wire::decode_entry).collect::<Result<Vec<_>, _>>()?;
        out.write(give(entries.into()));
        Ok(())
    })
}

/// Encodes a hard state as raftpb.HardState. The caller owns the buffer and frees it with
/// raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_hard_state_encode(
    hard_state: *const raftcore_hard_state,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (state, out) = unsafe { (copy_hard_state(hard_state)?, Out::required(out, "out")?) };
        out.write(raftcore_buffer::owning(wire::encode_hard_state(&state)));
        Ok(())
    })
}

/// Decodes a hard state. Fails with RAFTCORE_ERR_REFUSED when the bytes are none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_hard_state_decode(
    data: *const c_void,
    len: usize,
    out: *mut raftcore_hard_state,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for `out` and (data, len).
        let (out, data) = unsafe { (Out::required(out, "out")?, slice::copy(data, len, "data")?) };
        out.write(wire::decode_hard_state(data)?.into());
        Ok(())
    })
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
        let mut view = Self::of_bytes(entry);
        if kept::is_kept(&entry.data) {
            view.data.data = ptr::null();
        }
        view
    }

    /// The same, of an entry whose payload the program does not keep.
    #[inline]
    fn of_bytes(entry: &Entry) -> Self {
        let (term, index, kind) = (entry.term.0, entry.index.0, entry.kind as i32);
        Self { term, index, data: raftcore_slice::of(&entry.data), kind, reserved: 0 }
    }

    /// Adds views of entries that somebody else keeps alive.
    pub(crate) fn add_all(views: &mut Vec<Self>, entries: &[Entry]) {
        if kept::may_be() {
            return Self::add_any(views, entries);
        }
        views.extend(entries.iter().map(Self::of_bytes));
    }

    #[cold]
    fn add_any(views: &mut Vec<Self>, entries: &[Entry]) {
        views.extend(entries.iter().map(Self::of));
    }
}

// SAFETY: `repr(C)`, integers and a pointer.
unsafe impl slice::Element for raftcore_entry {
    const NAME: &'static str = "raftcore_entry";
    const EMPTY: Self =
        Self { term: 0, index: 0, data: raftcore_slice::EMPTY, kind: 0, reserved: 0 };
}

impl raftcore_entries {
    pub(crate) const EMPTY: Self =
        Self { items: ptr::null(), count: 0, stride: size_of::<raftcore_entry>() };

    /// Shows these entries, which somebody else keeps alive. Written where it stays: a struct of
    /// three words that is returned is copied, and the copy waits for the words.
    #[inline]
    pub(crate) const fn show(&mut self, items: &[raftcore_entry]) {
        if !items.is_empty() {
            self.items = items.as_ptr();
            self.count = items.len();
        }
    }

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
        sized::reserved((&raw const (*ptr).reserved).read())?;
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
        Ok(Entry {
            term,
            index,
            kind: kind(view.kind)?,
            data: block.split_to(view.data.len).freeze(),
        })
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
    let (items, count, stride) = (array.items, array.count, array.stride);
    // SAFETY: as promised by the caller.
    let views = unsafe { slice::strided(items, count, stride, name) }?;
    views.iter().try_for_each(|view| sized::reserved(view.reserved))?;
    Ok(views)
}

impl From<HardState> for raftcore_hard_state {
    fn from(state: HardState) -> Self {
        Self { term: state.term.0, vote: NodeId::or_zero(state.vote), commit: state.commit.0 }
    }
}

/// A hard state of a program's, copied.
///
/// # Safety
/// `ptr` is NULL or points to a hard state.
pub(crate) unsafe fn copy_hard_state(
    ptr: *const raftcore_hard_state,
) -> Result<HardState, Failure> {
    if ptr.is_null() {
        return Err(Failure::null("hard_state"));
    }
    // SAFETY: as promised by the caller.
    hard_state(unsafe { ptr.read() })
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
