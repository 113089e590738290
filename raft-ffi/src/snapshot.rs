//! Snapshots.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::cell::UnsafeCell;
use std::ffi::c_void;

use raftcore::{Index, Position, Snapshot, Term, wire};

use crate::error::{Failure, raftcore_error};
use crate::membership::{self, raftcore_conf_state};
use crate::owned;
use crate::sized;
use crate::slice::{self, Out, raftcore_buffer, raftcore_slice};
use crate::status::raftcore_status;

/// The state of an application after a position of the log, in place of the log up to there.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_snapshot {
    /// sizeof(raftcore_snapshot), set by who fills it.
    pub struct_size: usize,
    /// The index of the last entry that it contains.
    pub index: u64,
    /// The term of that entry.
    pub term: u64,
    /// The membership after that entry. Not NULL.
    pub conf_state: *const raftcore_conf_state,
    /// The application's state: whatever its own code can restore.
    pub data: raftcore_slice,
}

/// Encodes a snapshot as raftpb.Snapshot. The caller owns the buffer and frees it with
/// raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_snapshot_encode(
    snapshot: *const raftcore_snapshot,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (snapshot, out) = unsafe { (copy(snapshot, "snapshot")?, Out::required(out, "out")?) };
        out.write(raftcore_buffer::owning(wire::encode_snapshot(&snapshot)));
        Ok(())
    })
}

/// Decodes a snapshot. The caller owns it and frees it with raftcore_snapshot_destroy. Fails with
/// RAFTCORE_ERR_REFUSED when the bytes are none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_snapshot_decode(
    data: *const c_void,
    len: usize,
    out: *mut *mut raftcore_snapshot,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for `out` and (data, len).
        let (out, data) = unsafe { (Out::required(out, "out")?, slice::copy(data, len, "data")?) };
        out.write(give(wire::decode_snapshot(data)?));
        Ok(())
    })
}

/// Frees a snapshot that a call returned for the caller to own. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_snapshot_destroy(snapshot: *mut raftcore_snapshot) {
    // SAFETY: `snapshot` is NULL or came from `give`.
    guard!(else (), { unsafe { owned::take_back::<_, Backing>(snapshot) } });
}

sized!(raftcore_snapshot);

/// What a `raftcore_snapshot` that the caller owns points into.
struct Backing {
    conf_state: raftcore_conf_state,
    snapshot: Snapshot,
}

/// A snapshot for the caller to own.
pub(crate) fn give(snapshot: Snapshot) -> *mut raftcore_snapshot {
    let conf_state = raftcore_conf_state::of(&snapshot.conf_state);
    owned::give(Backing { conf_state, snapshot }, |backing| {
        raftcore_snapshot::of(&backing.snapshot, &raw const backing.conf_state)
    })
}

/// A snapshot together with the membership that it points to: once it stands where it is to
/// stay, it is asked for its address.
pub(crate) struct SnapshotView {
    conf_state: raftcore_conf_state,
    snapshot: UnsafeCell<raftcore_snapshot>,
}

impl SnapshotView {
    /// None.
    pub(crate) const fn empty() -> Self {
        Self {
            conf_state: raftcore_conf_state::EMPTY,
            snapshot: UnsafeCell::new(raftcore_snapshot::EMPTY),
        }
    }

    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let conf_state = raftcore_conf_state::of(&snapshot.conf_state);
        let snapshot = UnsafeCell::new(raftcore_snapshot::of(snapshot, std::ptr::null()));
        Self { conf_state, snapshot }
    }

    /// The address of the snapshot, complete as long as this stays where it is.
    pub(crate) fn address(&self) -> *const raftcore_snapshot {
        let snapshot = self.snapshot.get();
        // SAFETY: the cell is ours and nobody holds a reference into it.
        unsafe { (*snapshot).conf_state = &raw const self.conf_state };
        snapshot
    }
}

impl raftcore_snapshot {
    /// None: what an older program does not say.
    pub(crate) const EMPTY: Self = Self {
        struct_size: size_of::<Self>(),
        index: 0,
        term: 0,
        conf_state: std::ptr::null(),
        data: raftcore_slice::EMPTY,
    };

    /// A view of a snapshot that somebody else keeps alive.
    pub(crate) fn of(snapshot: &Snapshot, conf_state: *const raftcore_conf_state) -> Self {
        Self {
            index: snapshot.index().0,
            term: snapshot.term().0,
            conf_state,
            data: raftcore_slice::of(&snapshot.data),
            ..Self::EMPTY
        }
    }
}

/// A snapshot of a program's, copied.
///
/// # Safety
/// `ptr` is NULL or points to a snapshot whose struct_size, membership and data are right.
pub(crate) unsafe fn copy(ptr: *const raftcore_snapshot, name: &str) -> Result<Snapshot, Failure> {
    // SAFETY: as promised by the caller.
    unsafe {
        let snapshot = sized::read(ptr, name, raftcore_snapshot::EMPTY)?;
        Ok(Snapshot {
            position: Position { term: Term(snapshot.term), index: Index(snapshot.index) },
            conf_state: membership::copy_state(snapshot.conf_state, "snapshot->conf_state")?,
            data: slice::copy_slice(snapshot.data, "snapshot->data")?,
        })
    }
}
