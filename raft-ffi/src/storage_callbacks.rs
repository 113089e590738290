//! A storage of the application's own.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ffi::c_void;

use crate::backend::Backend;
use crate::callbacks::Callbacks;
use crate::entry::{raftcore_entries, raftcore_hard_state};
use crate::error::raftcore_error;
use crate::membership::raftcore_conf_state;
use crate::sized;
use crate::slice::Out;
use crate::snapshot::raftcore_snapshot;
use crate::status::raftcore_status;
use crate::storage::raftcore_storage;

/// Reads the stored hard state and membership; all zero in a new storage.
pub type raftcore_initial_state_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        hard_state: *mut raftcore_hard_state,
        conf_state: *mut raftcore_conf_state,
        error: *mut raftcore_error,
    ) -> raftcore_status,
>;

/// Reads the entries from low up to, not including, high, cut off where their encoding exceeds
/// max_bytes, but at least one. RAFTCORE_ERR_COMPACTED when low is below the first index,
/// RAFTCORE_ERR_UNAVAILABLE when high is beyond the last index plus one.
pub type raftcore_entries_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        low: u64,
        high: u64,
        max_bytes: u64,
        entries: *mut raftcore_entries,
        error: *mut raftcore_error,
    ) -> raftcore_status,
>;

/// Reads the term of the entry at index, which lies between the first index minus one and the
/// last index.
pub type raftcore_term_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        index: u64,
        term: *mut u64,
        error: *mut raftcore_error,
    ) -> raftcore_status,
>;

/// Reads the first or the last index.
pub type raftcore_index_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        index: *mut u64,
        error: *mut raftcore_error,
    ) -> raftcore_status,
>;

/// Reads the latest snapshot. RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE when it is being made: the node
/// asks again later.
pub type raftcore_snapshot_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        snapshot: *mut raftcore_snapshot,
        error: *mut raftcore_error,
    ) -> raftcore_status,
>;

/// Frees what user_data points to.
pub type raftcore_finalizer_fn = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// How to read a log that the application keeps. Each function answers from what is durable. They
/// are called one at a time, on the thread of the call that needs the answer. A function returns
/// RAFTCORE_OK, RAFTCORE_ERR_COMPACTED, RAFTCORE_ERR_UNAVAILABLE or
/// RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE; anything else counts as RAFTCORE_ERR_STORAGE, and its number
/// and what the function left in error->message are in the text of the call's error.
///
/// Outputs are never NULL, and come empty: numbers are zero, arrays have no elements. A struct's
/// struct_size says how much of it the library has room for: fill its fields and write nothing
/// behind that. A stride is sizeof the element, set by the function. What an output points to stays
/// the function's own and must stay valid until the next call of a function of the same table: the
/// library copies it before that.
///
/// A callback must not call into the node that is calling it (RAFTCORE_ERR_REENTRY), nor wait for
/// a thread that does. It must not longjmp; a C++ exception that leaves it ends the process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_storage_callbacks {
    /// sizeof(raftcore_storage_callbacks), set by the caller.
    pub struct_size: usize,
    /// Passed to every function.
    pub user_data: *mut c_void,
    /// The stored hard state and membership.
    pub initial_state: raftcore_initial_state_fn,
    /// Entries.
    pub entries: raftcore_entries_fn,
    /// The term of one entry.
    pub term: raftcore_term_fn,
    /// The index of the first entry that is there; one more than the snapshot's when there is
    /// none.
    pub first_index: raftcore_index_fn,
    /// The index of the last entry; the snapshot's when there is none.
    pub last_index: raftcore_index_fn,
    /// The latest snapshot.
    pub snapshot: raftcore_snapshot_fn,
    /// Called exactly once, when neither the application nor a node uses the storage any more: on
    /// the thread of the raftcore_storage_destroy or raftcore_node_destroy that lets go last. It
    /// may use other nodes and storages. May be NULL; the others may not.
    pub finalizer: raftcore_finalizer_fn,
}

sized!(raftcore_storage_callbacks);

/// Makes a storage from a table of callbacks and writes its address to out. The table is copied.
/// The caller owns it and frees it with raftcore_storage_destroy. On failure the finalizer is not
/// called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_create_callbacks(
    callbacks: *const raftcore_storage_callbacks,
    out: *mut *mut raftcore_storage,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        let nothing = raftcore_storage_callbacks {
            struct_size: size_of::<raftcore_storage_callbacks>(),
            user_data: std::ptr::null_mut(),
            initial_state: None,
            entries: None,
            term: None,
            first_index: None,
            last_index: None,
            snapshot: None,
            finalizer: None,
        };
        // SAFETY: the caller's promises for its arguments.
        let (out, table) =
            unsafe { (Out::required(out, "out")?, sized::read(callbacks, "callbacks", nothing)?) };
        out.write(raftcore_storage::give(Backend::callbacks(Callbacks::new(table)?)));
        Ok(())
    })
}
