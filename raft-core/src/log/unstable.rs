//! The end of the log that is kept in memory: what is not known to be durable, what is not applied
//! yet, and a snapshot that is being restored.

use std::sync::Arc;

use super::open::Open;
use super::pieces::Pieces;
use crate::entry::{Entries, Entry};
use crate::ids::Index;
use crate::state::Snapshot;

/// So many pieces are kept of what is durable and not applied; an application that lags behind
/// further reads its storage. A piece is what came in one message, was proposed between two
/// Readies, or one by one into one block.
const MAX_KEPT_PIECES: usize = 64;

/// The entries from `offset` on, which are not known to be durable, and some before them, which
/// are: those that wait to be applied are still at hand, so that the storage need not be read.
///
/// Invariant: `kept.first() <= offset <= in_progress <= end`. What lies before `in_progress` was
/// handed out in a Ready and is on its way to the disk, or there already.
#[derive(Debug)]
pub(super) struct Unstable {
    /// Rare.
    restoring: Option<Box<Restoring>>,
    pub(super) offset: Index,
    pub(super) in_progress: Index,
    kept: Pieces,
    /// The block that this node's own proposals are written into, and those that nobody has seen
    /// yet. Most nodes do not lead, and have none.
    open: Option<Box<Open>>,
}

/// A snapshot that is not durable yet.
#[derive(Debug)]
struct Restoring {
    snapshot: Arc<Snapshot>,
    is_handed_out: bool,
}

impl Unstable {
    /// An empty tail that begins at this index.
    pub(super) fn starting_at(offset: Index) -> Self {
        Self {
            restoring: None,
            offset,
            in_progress: offset,
            kept: Pieces::starting_at(offset),
            open: None,
        }
    }

    /// The index of the first entry that is at hand.
    pub(super) fn first(&self) -> Index {
        self.kept.first()
    }

    /// The index after the last entry.
    pub(super) fn end(&self) -> Index {
        let open = self.open.as_ref().map_or(0, |open| open.unseen());
        self.kept.end().skip(u64::from(open))
    }

    /// Adds an entry of this node's own.
    #[inline(always)]
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert_eq!(entry.index, self.end());
        self.open.get_or_insert_default().push(entry);
    }

    /// Adds a leader's entries. Whoever gets them proposes nothing.
    #[inline]
    pub(super) fn extend(&mut self, entries: Entries) {
        if self.open.is_some() {
            self.close();
        }
        self.kept.push(entries);
    }

    /// Now and then: gives back the open block when nothing was proposed since the last time.
    pub(super) fn rest(&mut self) {
        if self.open.as_mut().is_some_and(|open| open.is_at_rest()) {
            self.close();
        }
    }

    #[cold]
    fn close(&mut self) {
        self.share_open();
        self.open = None;
    }

    /// Forgets everything from this index on: something else takes its place.
    pub(super) fn truncate_from(&mut self, first: Index) {
        self.share_open();
        self.kept.truncate_from(first);
        // Perhaps the storage's own tail is overwritten too, once this is persisted.
        self.offset = self.offset.min(first);
        self.in_progress = self.in_progress.min(first);
    }

    /// The entries `[low, high)`, which must be at hand.
    #[inline]
    pub(super) fn slice(&mut self, low: Index, high: Index) -> Entries {
        debug_assert!(self.first() <= low && low <= high && high <= self.end());
        self.share_open();
        self.kept.slice(low, high)
    }

    /// The entries `[low, high)`, if they are the first piece and durable: then they need not be
    /// kept when they are applied, and handing them over saves counting who shares them.
    #[inline]
    pub(super) fn take_durable_piece(&mut self, low: Index, high: Index) -> Option<Entries> {
        if high > self.offset {
            return None;
        }
        self.kept.take_first_piece(low, high)
    }

    /// The entries up to this index are durable now.
    #[inline]
    pub(super) fn stable_to(&mut self, index: Index) {
        self.offset = index.after();
        self.in_progress = self.in_progress.max(self.offset);
        self.limit_kept();
    }

    /// Forgets what is durable and applied.
    #[inline]
    pub(super) fn release(&mut self, applied: Index) {
        // A leader's entries were handed over when they were handed out.
        if !self.kept.is_empty() {
            self.kept.drop_pieces_before(applied.after().min(self.offset));
        }
    }

    /// Of what waits to be applied, forgets what is durable and too much to be kept.
    #[inline]
    fn limit_kept(&mut self) {
        while self.kept.count() > MAX_KEPT_PIECES && self.kept.end_of_first() <= self.offset {
            self.kept.drop_first_piece();
        }
    }

    /// Forgets the snapshot at this index, which is durable now.
    pub(super) fn stable_snapshot_to(&mut self, index: Index) {
        if self.snapshot().is_some_and(|snapshot| snapshot.index() == index) {
            self.restoring = None;
        }
    }

    /// Hands out the entries up to the end that were not handed out.
    #[inline]
    pub(super) fn accept_entries(&mut self, end: Index) -> Entries {
        debug_assert_eq!(end, self.end());
        let entries = self.slice(self.in_progress, end);
        self.in_progress = end;
        entries
    }

    /// The snapshot that is not durable yet.
    #[inline]
    pub(super) fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.restoring.as_ref().map(|restoring| &restoring.snapshot)
    }

    /// Whether there is one that was not handed out.
    #[cfg(debug_assertions)]
    pub(super) fn has_next_snapshot(&self) -> bool {
        self.restoring.as_ref().is_some_and(|restoring| !restoring.is_handed_out)
    }

    /// Hands out the snapshot, once.
    #[inline]
    pub(super) fn accept_snapshot(&mut self) -> Option<Arc<Snapshot>> {
        let restoring = self.restoring.as_mut().filter(|restoring| !restoring.is_handed_out)?;
        restoring.is_handed_out = true;
        Some(Arc::clone(&restoring.snapshot))
    }

    /// Puts a snapshot in the place of the whole log.
    pub(super) fn restore(&mut self, snapshot: Arc<Snapshot>) {
        *self = Self::starting_at(snapshot.index().next());
        self.restoring = Some(Box::new(Restoring { snapshot, is_handed_out: false }));
    }

    #[inline]
    fn share_open(&mut self) {
        if let Some(entries) = self.open.as_mut().and_then(|open| open.share()) {
            self.kept.push(entries);
        }
    }
}
