//! The tail of the log that is not known to be durable, and a snapshot that is being restored.

use std::sync::Arc;

use crate::entry::{Entries, Entry};
use crate::ids::Index;
use crate::state::Snapshot;

/// Entries from `offset` on, and perhaps a snapshot right before them.
///
/// Invariant: `offset <= in_progress <= offset + len`. What lies before `in_progress` was handed
/// out in a Ready and is on its way to the disk.
#[derive(Debug)]
pub(super) struct Unstable {
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// Whether the snapshot was handed out.
    pub(super) snapshot_in_progress: bool,
    pub(super) offset: Index,
    pub(super) in_progress: Index,
    sealed: Entries,
    /// Entries that this node proposed itself and nobody has seen yet. They become one block when
    /// somebody asks for them, so that proposals that come one by one share it.
    open: Vec<Entry>,
}

impl Unstable {
    /// An empty tail that begins at this index.
    pub(super) fn starting_at(offset: Index) -> Self {
        Self {
            snapshot: None,
            snapshot_in_progress: false,
            offset,
            in_progress: offset,
            sealed: Entries::new(),
            open: Vec::new(),
        }
    }

    /// The index after the last entry.
    pub(super) fn end(&self) -> Index {
        self.offset.plus(self.sealed.len() as u64).plus(self.open.len() as u64)
    }

    /// Whether there are no entries.
    pub(super) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.open.is_empty()
    }

    /// Whether there are entries that were not handed out.
    pub(super) fn has_next(&self) -> bool {
        self.in_progress < self.end()
    }

    /// Adds an entry of this node's own.
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert_eq!(entry.index, self.end());
        self.open.push(entry);
    }

    /// Puts a leader's entries in the place of everything from their first index on.
    pub(super) fn replace_from(&mut self, first: Index, entries: Entries) {
        self.seal();
        if first <= self.offset {
            // The storage's own tail is overwritten too, once this is persisted.
            self.offset = first;
            self.in_progress = first;
            self.sealed = entries;
        } else {
            self.sealed.truncate(first.since(self.offset) as usize);
            self.sealed.append(entries);
            self.in_progress = self.in_progress.min(first);
        }
    }

    /// The entries `[low, high)`, which must lie inside.
    pub(super) fn slice(&mut self, low: Index, high: Index) -> Entries {
        debug_assert!(self.offset <= low && low <= high && high <= self.end());
        self.seal();
        self.sealed.part(low.since(self.offset) as usize, high.since(self.offset) as usize)
    }

    /// Forgets the entries up to this index, which are durable now.
    pub(super) fn stable_to(&mut self, index: Index) {
        self.seal();
        let done = index.next().since(self.offset) as usize;
        self.sealed = if done >= self.sealed.len() {
            Entries::new()
        } else {
            self.sealed.part(done, usize::MAX)
        };
        self.offset = index.next();
        self.in_progress = self.in_progress.max(self.offset);
    }

    /// Forgets the snapshot at this index, which is durable now.
    pub(super) fn stable_snapshot_to(&mut self, index: Index) {
        if self.snapshot.as_ref().is_some_and(|snapshot| snapshot.index() == index) {
            self.snapshot = None;
            self.snapshot_in_progress = false;
        }
    }

    /// Everything is handed out now.
    pub(super) fn accept(&mut self) {
        self.in_progress = self.end();
        self.snapshot_in_progress = self.snapshot.is_some();
    }

    /// Puts a snapshot in the place of the whole log.
    pub(super) fn restore(&mut self, snapshot: Arc<Snapshot>) {
        *self = Self::starting_at(snapshot.index().next());
        self.snapshot = Some(snapshot);
    }

    fn seal(&mut self) {
        self.sealed.push_block(&mut self.open);
    }
}
