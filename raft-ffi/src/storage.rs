//! Storage.
//!
//! A node reads its log from a storage and never writes to it: the application does, as a Ready
//! tells it. The memory storage serves most applications: at start they fill it from their own
//! log, and after that give it every Ready with raftcore_node_persist, when the Ready is on disk.
//!
//! A storage is used by one node at a time. It is counted: node and application may let go of it
//! in either order. Its functions may be called from any thread while a node uses it. Those that
//! change what is stored are for the memory storage: with another they fail with
//! RAFTCORE_ERR_NOT_MEMORY.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ffi::c_void;

use raftcore::{Index, MemoryStorage, Storage};

use crate::alive;
use crate::backend::Backend;
use crate::entry::{self, raftcore_entries, raftcore_hard_state};
use crate::error::{Failure, raftcore_error};
use crate::membership::{self, raftcore_conf_state};
use crate::sized;
use crate::slice::{self, Out};
use crate::snapshot::{self, raftcore_snapshot};
use crate::status::raftcore_status;

/// A stored log.
pub struct raftcore_storage {
    backend: Backend,
}

/// Makes an empty memory storage and writes its address to out. conf_state is NULL for a new
/// member and for a group that is bootstrapped; otherwise the membership that the group has had
/// from the start. The caller owns it and frees it with raftcore_storage_destroy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_create_memory(
    conf_state: *const raftcore_conf_state,
    out: *mut *mut raftcore_storage,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `out`.
        let out = unsafe { Out::required(out, "out") }?;
        let storage = if conf_state.is_null() {
            MemoryStorage::new()
        } else {
            // SAFETY: the caller's promise for `conf_state`.
            let state = unsafe { membership::copy_state(conf_state, "conf_state") }?;
            MemoryStorage::with_conf_state(state)
        };
        out.write(raftcore_storage::give(Backend::memory(storage)));
        Ok(())
    })
}

/// Lets go of a storage. What a node uses lives on until the node is destroyed. NULL is allowed;
/// the pointer must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_destroy(storage: *mut raftcore_storage) {
    guard!(else (), {
        if !storage.is_null() {
            alive::dies(storage);
            // SAFETY: came from `give`, and the caller says that it is not used again.
            drop(unsafe { Box::from_raw(storage) });
        }
    });
}

/// Lets several nodes use the storage at a time (1) or refuses a second one (0, the default). For
/// programs that make a new node on the storage of one that they have not destroyed and do not
/// use any more, as a garbage-collected language has it. Two nodes that both run would ruin each
/// other's log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_set_shared(
    storage: *mut raftcore_storage,
    shared: u32,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        let shared = sized::switch(shared, "shared")?;
        // SAFETY: the caller's promise for `storage`.
        unsafe { of(storage) }?.set_shared(shared);
        Ok(())
    })
}

/// Appends entries, which must be consecutive. They replace what is there from their first index
/// on. The payloads are copied. RAFTCORE_ERR_GAP when they do not touch the log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_append(
    storage: *mut raftcore_storage,
    entries: *const raftcore_entries,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, entries) = unsafe { (of(storage)?, entry::copy_all(entries, "entries")?) };
        Ok(storage.memory_log()?.append(&entries)?)
    })
}

/// Sets the membership that a node begins with: for a program that keeps it beside its own log,
/// together with raftcore_config.applied. Before the node is made: one that runs does not look at
/// it again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_set_conf_state(
    storage: *mut raftcore_storage,
    conf_state: *const raftcore_conf_state,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, state) =
            unsafe { (of(storage)?, membership::copy_state(conf_state, "conf_state")?) };
        storage.memory_log()?.set_conf_state(state);
        Ok(())
    })
}

/// Sets the hard state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_set_hard_state(
    storage: *mut raftcore_storage,
    hard_state: *const raftcore_hard_state,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, state) = unsafe { (of(storage)?, entry::copy_hard_state(hard_state)?) };
        storage.memory_log()?.set_hard_state(state);
        Ok(())
    })
}

/// Replaces the whole log by a snapshot. The data is copied. RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE
/// when it is not newer than the stored one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_apply_snapshot(
    storage: *mut raftcore_storage,
    snapshot: *const raftcore_snapshot,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, snapshot) = unsafe { (of(storage)?, snapshot::copy(snapshot, "snapshot")?) };
        Ok(storage.memory_log()?.apply_snapshot(snapshot)?)
    })
}

/// Makes a snapshot of the application's state after index, which must be applied. The log stays:
/// raftcore_storage_compact cuts it. conf_state is the membership after index, as
/// raftcore_node_apply_conf_change_entry returned it last; NULL: as in the last snapshot. The data
/// is copied. RAFTCORE_ERR_SNAPSHOT_OUT_OF_DATE when the stored one is as new,
/// RAFTCORE_ERR_UNAVAILABLE when index is beyond the last. The snapshot is written to out, which
/// may be NULL; the caller then owns it and frees it with raftcore_snapshot_destroy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_create_snapshot(
    storage: *mut raftcore_storage,
    index: u64,
    conf_state: *const raftcore_conf_state,
    data: *const c_void,
    len: usize,
    out: *mut *mut raftcore_snapshot,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, state, data, out) = unsafe {
            let state = if conf_state.is_null() {
                None
            } else {
                Some(membership::copy_state(conf_state, "conf_state")?)
            };
            (of(storage)?, state, slice::copy(data, len, "data")?, Out::optional(out))
        };
        let snapshot = storage.memory_log()?.create_snapshot(Index(index), state, data)?;
        if out.is_wanted() {
            out.write(snapshot::give(snapshot));
        }
        Ok(())
    })
}

/// Throws away the entries up to index, which must be applied and should be contained in a
/// snapshot. Keep some entries that slow members may still need: who needs what is gone gets the
/// snapshot. RAFTCORE_ERR_COMPACTED when that was done already, RAFTCORE_ERR_UNAVAILABLE when
/// index is beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_compact(
    storage: *mut raftcore_storage,
    index: u64,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `storage`.
        let storage = unsafe { of(storage) }?;
        Ok(storage.memory_log()?.compact(Index(index))?)
    })
}

/// Writes to out the index of the first entry that is there; one more than the snapshot's when
/// there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_first_index(
    storage: *const raftcore_storage,
    out: *mut u64,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, out) = unsafe { (of(storage)?, Out::required(out, "out")?) };
        out.write(storage.read(Storage::first_index)?.0);
        Ok(())
    })
}

/// Writes to out the index of the last entry; the snapshot's when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_last_index(
    storage: *const raftcore_storage,
    out: *mut u64,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, out) = unsafe { (of(storage)?, Out::required(out, "out")?) };
        out.write(storage.read(Storage::last_index)?.0);
        Ok(())
    })
}

/// Writes to out the term of the entry at index, which may be the one right before the first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_term(
    storage: *const raftcore_storage,
    index: u64,
    out: *mut u64,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, out) = unsafe { (of(storage)?, Out::required(out, "out")?) };
        out.write(storage.read(|log| log.term(Index(index)))?.0);
        Ok(())
    })
}

/// Writes to out the entries from low up to, not including, high, cut off where their encoding
/// exceeds max_bytes, but at least one. The caller owns them and frees them with
/// raftcore_entries_destroy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_entries(
    storage: *const raftcore_storage,
    low: u64,
    high: u64,
    max_bytes: u64,
    out: *mut *mut raftcore_entries,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, out) = unsafe { (of(storage)?, Out::required(out, "out")?) };
        let entries = storage.read(|log| log.entries(Index(low), Index(high), max_bytes))?;
        out.write(entry::give(entries));
        Ok(())
    })
}

/// Writes the stored hard state to hard_state and the stored membership to conf_state; each may
/// be NULL. The caller owns the membership and frees it with raftcore_conf_state_destroy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_initial_state(
    storage: *const raftcore_storage,
    hard_state: *mut raftcore_hard_state,
    conf_state: *mut *mut raftcore_conf_state,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, hard_out, conf_out) =
            unsafe { (of(storage)?, Out::optional(hard_state), Out::optional(conf_state)) };
        let (hard, conf) = storage.read(Storage::initial_state)?;
        hard_out.write(hard.into());
        if conf_out.is_wanted() {
            conf_out.write(membership::give_state(conf));
        }
        Ok(())
    })
}

/// Writes the latest snapshot to out; one with index 0 when there is none. The caller owns it and
/// frees it with raftcore_snapshot_destroy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_storage_snapshot(
    storage: *const raftcore_storage,
    out: *mut *mut raftcore_snapshot,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (storage, out) = unsafe { (of(storage)?, Out::required(out, "out")?) };
        out.write(snapshot::give(storage.read(Storage::snapshot)?));
        Ok(())
    })
}

impl raftcore_storage {
    /// A handle for the caller to own.
    pub(crate) fn give(backend: Backend) -> *mut Self {
        alive::born(Box::into_raw(Box::new(Self { backend })))
    }
}

/// The storage behind a pointer of the program's.
///
/// # Safety
/// `storage` is NULL or a storage that is not destroyed before the result is last used.
pub(crate) unsafe fn of<'a>(storage: *const raftcore_storage) -> Result<&'a Backend, Failure> {
    alive::check(storage, "storage")?;
    // SAFETY: as promised by the caller.
    match unsafe { storage.as_ref() } {
        Some(storage) => Ok(&storage.backend),
        None => Err(Failure::null("storage")),
    }
}
