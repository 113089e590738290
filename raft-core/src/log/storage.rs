//! What the core asks of a log that the application keeps.

use crate::entry::Entries;
use crate::error::StorageError;
use crate::ids::{Index, Term};
use crate::state::{ConfState, HardState, Snapshot};

/// The stored part of a node's log, as the node reads it. The node never writes: the application
/// does, as [`Ready`](crate::Ready) tells it.
///
/// Implementations answer from what is durable. An answer may change between two calls only in
/// two ways: the application appended what a Ready asked for, or it compacted, so that the first
/// index grew. When a call fails, or answers contradict each other, the node returns an error
/// and stays as it was, or skips the message that it read for; it never panics.
///
/// [`MemoryStorage`](crate::MemoryStorage) serves most applications: they fill it from their own
/// log at start and append to both.
pub trait Storage {
    /// The hard state and the membership that were stored last; both empty in a new storage.
    ///
    /// # Errors
    /// [`StorageError::Failed`] when the storage cannot be read.
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError>;

    /// The entries in `[low, high)`, cut off where their encoding exceeds `max_bytes`, but at
    /// least one.
    ///
    /// # Errors
    /// [`StorageError::Compacted`] when `low` is below the first index,
    /// [`StorageError::Unavailable`] when `high` is beyond the last index plus one.
    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError>;

    /// The term of the entry at `index`, which lies in `[first_index() - 1, last_index()]`: the
    /// entry before the first index is the one that the snapshot ends with, and its term is kept.
    ///
    /// # Errors
    /// As for [`entries`](Self::entries).
    fn term(&self, index: Index) -> Result<Term, StorageError>;

    /// The index of the first entry that is still there; one more than the snapshot's index when
    /// there is none.
    ///
    /// # Errors
    /// [`StorageError::Failed`] when the storage cannot be read.
    fn first_index(&self) -> Result<Index, StorageError>;

    /// The index of the last entry; the snapshot's index when there is none.
    ///
    /// # Errors
    /// [`StorageError::Failed`] when the storage cannot be read.
    fn last_index(&self) -> Result<Index, StorageError>;

    /// The latest snapshot, to be sent to a member that is behind the log.
    ///
    /// # Errors
    /// [`StorageError::SnapshotTemporarilyUnavailable`] when it is being made: the node asks
    /// again later.
    fn snapshot(&self) -> Result<Snapshot, StorageError>;
}
