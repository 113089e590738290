//! A table of callbacks as the core sees it. What a callback returns is copied before the next one
//! is called, and believed only as far as it can be checked here; the core checks the rest.

use std::ffi::c_void;

use raftcore::{ConfState, Entries, HardState, Index, Snapshot, StorageError, Term};

use crate::entry::{self, raftcore_entries, raftcore_hard_state};
use crate::error::{Failure, raftcore_error};
use crate::membership::{self, raftcore_conf_state};
use crate::snapshot::{self, raftcore_snapshot};
use crate::status::{
    RAFTCORE_ERR_COMPACTED, RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE, RAFTCORE_ERR_UNAVAILABLE,
    RAFTCORE_OK, raftcore_status,
};
use crate::storage_callbacks::raftcore_storage_callbacks;

/// A checked table: every function but the finalizer is there.
pub(crate) struct Callbacks(raftcore_storage_callbacks);

// SAFETY: the header says that the functions are called on the threads of the calls that need
// them; what user_data points to is the application's affair.
unsafe impl Send for Callbacks {}

impl Callbacks {
    pub(crate) fn new(table: raftcore_storage_callbacks) -> Result<Self, Failure> {
        let missing = [
            ("callbacks->initial_state", table.initial_state.is_none()),
            ("callbacks->entries", table.entries.is_none()),
            ("callbacks->term", table.term.is_none()),
            ("callbacks->first_index", table.first_index.is_none()),
            ("callbacks->last_index", table.last_index.is_none()),
            ("callbacks->snapshot", table.snapshot.is_none()),
        ];
        match missing.into_iter().find(|(_, missing)| *missing) {
            Some((name, _)) => Err(Failure::null(name)),
            None => Ok(Self(table)),
        }
    }

    /// Calls one function with an error to fill.
    fn call(
        &self,
        act: impl FnOnce(*mut c_void, *mut raftcore_error) -> Option<raftcore_status>,
    ) -> Result<(), StorageError> {
        let mut error = raftcore_error::empty();
        match act(self.0.user_data, &raw mut error) {
            Some(RAFTCORE_OK) => Ok(()),
            Some(RAFTCORE_ERR_COMPACTED) => Err(StorageError::Compacted),
            Some(RAFTCORE_ERR_UNAVAILABLE) => Err(StorageError::Unavailable),
            Some(RAFTCORE_ERR_SNAPSHOT_UNAVAILABLE) => {
                Err(StorageError::SnapshotTemporarilyUnavailable)
            }
            Some(status) => {
                let text = error.text();
                let text = if text.is_empty() { "the callback gave no text" } else { &text };
                Err(StorageError::failed(format!("callback status {status}: {text}")))
            }
            // `new` has seen to it that this cannot be.
            None => Err(StorageError::failed("the callback is missing")),
        }
    }

    pub(crate) fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        let mut hard = raftcore_hard_state { term: 0, vote: 0, commit: 0 };
        let mut conf = raftcore_conf_state::EMPTY;
        // SAFETY: the function and its user_data are the application's; the outputs are ours.
        self.call(|user_data, error| unsafe {
            self.0.initial_state.map(|f| f(user_data, &raw mut hard, &raw mut conf, error))
        })?;
        // SAFETY: the header says that what it returned is valid until the next call.
        let conf = unsafe { membership::copy_state(&raw const conf, "conf_state") };
        Ok((entry::hard_state(hard).map_err(wrong)?, conf.map_err(wrong)?))
    }

    pub(crate) fn entries(
        &self,
        low: Index,
        high: Index,
        max_bytes: u64,
    ) -> Result<Entries, StorageError> {
        let mut entries = raftcore_entries::EMPTY;
        // SAFETY: as in `initial_state`.
        self.call(|user_data, error| unsafe {
            let (low, high) = (low.0, high.0);
            self.0.entries.map(|f| f(user_data, low, high, max_bytes, &raw mut entries, error))
        })?;
        // SAFETY: as in `initial_state`.
        unsafe { entry::copy_all(&raw const entries, "entries") }.map_err(wrong)
    }

    pub(crate) fn term(&self, index: Index) -> Result<Term, StorageError> {
        let mut term = 0;
        // SAFETY: as in `initial_state`.
        self.call(|user_data, error| unsafe {
            self.0.term.map(|f| f(user_data, index.0, &raw mut term, error))
        })?;
        Ok(Term(term))
    }

    pub(crate) fn first_index(&self) -> Result<Index, StorageError> {
        let mut index = 0;
        // SAFETY: as in `initial_state`.
        self.call(|user_data, error| unsafe {
            self.0.first_index.map(|f| f(user_data, &raw mut index, error))
        })?;
        Ok(Index(index))
    }

    pub(crate) fn last_index(&self) -> Result<Index, StorageError> {
        let mut index = 0;
        // SAFETY: as in `initial_state`.
        self.call(|user_data, error| unsafe {
            self.0.last_index.map(|f| f(user_data, &raw mut index, error))
        })?;
        Ok(Index(index))
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let mut snapshot = raftcore_snapshot::EMPTY;
        // SAFETY: as in `initial_state`.
        self.call(|user_data, error| unsafe {
            self.0.snapshot.map(|f| f(user_data, &raw mut snapshot, error))
        })?;
        if snapshot.index == 0 && snapshot.conf_state.is_null() {
            return Ok(Snapshot::default());
        }
        // SAFETY: as in `initial_state`.
        unsafe { snapshot::copy(&raw const snapshot, "snapshot") }.map_err(wrong)
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        if let Some(finalizer) = self.0.finalizer {
            // SAFETY: the last owner is gone, so this is the one call that the header promises.
            unsafe { finalizer(self.0.user_data) }
        }
    }
}

/// A callback returned something that cannot be.
fn wrong(failure: Failure) -> StorageError {
    StorageError::failed(failure.into_text())
}
