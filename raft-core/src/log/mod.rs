//! One node's log as the node sees it: the stored part behind [`Storage`] and the tail that is not
//! durable yet, as one, with the three marks on it (paper, figure 2):
//!
//! `applied <= applying <= committed <= last`. `applying` is what was handed out to be applied.
//!
//! Terms are answered from memory (`terms`), so that only reading payloads can fail.

mod memory;
mod open;
mod pieces;
mod storage;
mod terms;
mod unstable;

use std::sync::Arc;

pub use memory::MemoryStorage;
pub use storage::Storage;
use terms::TermRuns;
use unstable::Unstable;

use crate::entry::{Entries, Entry, EntryKind};
use crate::error::{ConfigError, Error, StorageError};
use crate::ids::{Index, LIMIT, Position, Term};
use crate::state::{HardState, Snapshot};
use crate::work::Work;

/// The log of one node.
#[derive(Debug)]
pub(crate) struct Log<S> {
    pub(crate) storage: S,
    terms: TermRuns,
    unstable: Unstable,
    committed: Index,
    applying: Index,
    applied: Index,
    /// The size of the entries that were handed out and are not acknowledged as applied.
    applying_bytes: u64,
    max_applying_bytes: u64,
    /// Set while the limit is reached or the last page was cut off: the next page waits for an
    /// acknowledgement.
    applying_paused: bool,
    /// Whether entries may be handed out to be applied that are not durable yet. Where storage
    /// threads write they may not: the apply thread must not overtake the append thread.
    applies_unstable: bool,
    /// What waits for a Ready.
    work: Work,
}

impl<S: Storage> Log<S> {
    /// Reads the bounds and terms of the stored log and checks the stored marks against them.
    pub(crate) fn open(
        storage: S,
        hard_state: &HardState,
        applied: Index,
        max_applying_bytes: u64,
        applies_unstable: bool,
    ) -> Result<Self, Error> {
        let first = storage.first_index()?;
        let last = storage.last_index()?;
        if first == Index::ZERO || last < first.prev() || last.0 > LIMIT {
            return Err(ConfigError::StoredLog { at: last }.into());
        }
        let terms = TermRuns::read(&storage, first, last).map_err(|error| match error {
            StorageError::Inconsistent { at } => Error::from(ConfigError::StoredLog { at }),
            error => error.into(),
        })?;
        let base = first.prev();
        // What is compacted was applied, so it was committed, whatever the hard state says: with
        // storage threads the one may be ahead of the other, and a storage that was filled from a
        // snapshot alone has no hard state at all.
        let committed = hard_state.commit.max(base);
        if committed > last {
            return Err(ConfigError::StoredCommit { commit: committed, first: base, last }.into());
        }
        // The stored term is at least that of every stored entry. A snapshot may be newer: nodes
        // are bootstrapped from one.
        if !hard_state.is_empty() && last > base && terms.last().term > hard_state.term {
            return Err(ConfigError::StoredLog { at: last }.into());
        }
        let applied = if applied == Index::ZERO { base } else { applied };
        if applied < base || applied > committed {
            return Err(ConfigError::Applied { applied, first: base, commit: committed }.into());
        }
        let mut log = Self {
            storage,
            terms,
            unstable: Unstable::starting_at(last.next()),
            committed,
            applying: applied,
            applied,
            applying_bytes: 0,
            max_applying_bytes,
            applying_paused: false,
            applies_unstable,
            work: Work::NONE,
        };
        log.note_committed();
        Ok(log)
    }

    pub(crate) const fn work(&self) -> Work {
        self.work
    }

    /// A Ready has all of it from now on.
    pub(crate) const fn clear_work(&mut self) {
        self.work = Work::NONE;
    }

    pub(crate) const fn committed(&self) -> Index {
        self.committed
    }

    /// The last entry that was handed out to be applied.
    pub(crate) const fn applying(&self) -> Index {
        self.applying
    }

    pub(crate) const fn applied(&self) -> Index {
        self.applied
    }

    /// The position of the last entry, or of the snapshot before an empty log.
    pub(crate) const fn last(&self) -> Position {
        self.terms.last()
    }

    pub(crate) const fn last_index(&self) -> Index {
        self.terms.last().index
    }

    /// The index of the first entry that can be read.
    pub(crate) fn first_index(&self) -> Result<Index, StorageError> {
        if let Some(snapshot) = self.unstable.snapshot() {
            return Ok(snapshot.index().next());
        }
        self.storage.first_index()
    }

    /// Takes note of what the application compacted meanwhile.
    pub(crate) fn refresh_first(&mut self) -> Result<(), StorageError> {
        let base = self.first_index()?.prev();
        if base > self.last_index() {
            return Err(StorageError::Inconsistent { at: base });
        }
        if base > self.terms.base() {
            self.terms.compact_to(base);
        }
        Ok(())
    }

    /// The term at this index, if the log reaches there and is not compacted below.
    pub(crate) fn term(&self, index: Index) -> Option<Term> {
        self.terms.term(index)
    }

    /// Whether the log has exactly this entry.
    pub(crate) fn matches(&self, at: Position) -> bool {
        self.terms.has(at)
    }

    /// Whether a candidate whose log ends here has at least what this log has (paper, 5.4.1).
    pub(crate) fn is_up_to_date(&self, candidate: Position) -> bool {
        candidate >= self.last()
    }

    /// The highest position at or below `index` whose term is at most `term`: where the logs may
    /// meet. Lets the two sides of a rejection skip whole terms (paper, section 5.3, end).
    pub(crate) fn last_at_most(&self, index: Index, term: Term) -> (Index, Term) {
        self.terms.last_at_most(index, term)
    }

    /// Appends an entry of this leader's own, and returns where it stands.
    #[inline(always)]
    pub(crate) fn append_own(&mut self, term: Term, kind: EntryKind, data: bytes::Bytes) -> Index {
        let index = self.last_index().after();
        self.terms.push(Position { term, index });
        self.unstable.push(Entry { term, index, kind, data });
        self.work.note(Work::ENTRIES);
        index
    }

    /// Appends the empty entry with which this node begins to lead. Nothing is proposed right after
    /// it, so it need not wait for others to share a block with.
    pub(crate) fn append_first(&mut self, term: Term) -> Index {
        let index = self.last_index().after();
        self.extend(Entry { term, index, ..Entry::default() }.into());
        index
    }

    /// Once in an election timeout: a leader to whom nobody proposes anything needs less memory.
    pub(crate) fn rest(&mut self) {
        self.unstable.rest();
    }

    /// How many of these entries, which follow a matching position, the log has already.
    pub(crate) fn count_matching(&self, entries: &Entries) -> usize {
        entries.iter().take_while(|entry| self.matches(entry.position())).count()
    }

    /// Puts a leader's entries in the place of everything from their first index on.
    pub(crate) fn replace_from_first(&mut self, entries: Entries) {
        let Some(first) = entries.first().map(|entry| entry.index) else { return };
        debug_assert!(first > self.committed, "what is committed is never overwritten");
        debug_assert!(first <= self.last_index().next(), "a log has no gaps");
        if first <= self.last_index() {
            self.terms.truncate_from(first);
            self.unstable.truncate_from(first);
        }
        self.extend(entries);
    }

    /// Appends a leader's entries of one term, which follow on the last one.
    #[inline]
    pub(crate) fn extend_in_term(&mut self, term: Term, entries: Entries) {
        if !entries.is_empty() {
            self.terms.push_many(term, entries.len() as u64);
            self.unstable.extend(entries);
            self.work.note(Work::ENTRIES);
        }
    }

    /// Appends a leader's entries, which follow on the last one.
    #[inline]
    pub(crate) fn extend(&mut self, entries: Entries) {
        // One term in nearly every message: note it in one step.
        match entries.ends() {
            None => return,
            Some((first, last)) if first.term == last.term => {
                self.terms.push_many(first.term, entries.len() as u64);
            }
            _ => entries.iter().for_each(|entry| self.terms.push(entry.position())),
        }
        self.unstable.extend(entries);
        self.work.note(Work::ENTRIES);
    }

    /// Raises the commit index; it never falls. The caller made sure that the log reaches there.
    pub(crate) fn commit_to(&mut self, index: Index) {
        debug_assert!(index <= self.last_index(), "only what is in the log can be committed");
        let index = index.min(self.last_index());
        if index > self.committed {
            self.committed = index;
            self.work.note(Work::COMMIT);
            self.note_committed();
        }
    }

    /// The position right before `next`, which an append to a member names; `Compacted` when the
    /// log does not reach back that far.
    pub(crate) fn position_before(&mut self, next: Index) -> Result<Position, StorageError> {
        // What is not stored yet cannot be compacted: no need to ask.
        if next < self.unstable.offset {
            self.refresh_first()?;
        }
        let index = next.prev();
        match self.term(index) {
            Some(term) => Ok(Position { term, index }),
            None => Err(StorageError::Compacted),
        }
    }

    /// Entries from `from` on to send to a member, at most `max_bytes` of them but at least one.
    pub(crate) fn entries_from(
        &mut self,
        from: Index,
        max_bytes: u64,
    ) -> Result<Entries, StorageError> {
        let end = self.last_index().after();
        if from >= end { Ok(Entries::new()) } else { self.slice(from, end, max_bytes) }
    }

    /// The entries `[low, high)`, at most `max_bytes` of them but at least one.
    pub(crate) fn slice(
        &mut self,
        low: Index,
        high: Index,
        max_bytes: u64,
    ) -> Result<Entries, StorageError> {
        let kept = self.unstable.first();
        if low >= kept {
            let mut entries = self.unstable.slice(low, high);
            entries.limit_encoded_bytes(max_bytes);
            return Ok(entries);
        }
        if low < self.first_index()? {
            return Err(StorageError::Compacted);
        }
        let cut = high.min(kept);
        let mut entries = self.storage.entries(low, cut, max_bytes)?;
        self.check_read(&entries, low, cut)?;
        let bytes = if max_bytes == u64::MAX { 0 } else { entries.encoded_bytes() };
        if high <= kept || (entries.len() as u64) < cut.since(low) || bytes >= max_bytes {
            return Ok(entries);
        }
        let mut tail = self.unstable.slice(kept, high);
        tail.limit_encoded_bytes(max_bytes.saturating_sub(bytes));
        // The limit lets at least one entry pass; here there is one already.
        if tail.len() > 1 || bytes.saturating_add(tail.encoded_bytes()) <= max_bytes {
            entries.append(tail);
        }
        Ok(entries)
    }

    /// Holds what the storage returned against what the log is known to be.
    fn check_read(&self, entries: &Entries, low: Index, high: Index) -> Result<(), StorageError> {
        let mut expected = low;
        for entry in entries.iter() {
            if entry.index != expected || self.term(expected) != Some(entry.term) {
                return Err(StorageError::Inconsistent { at: expected });
            }
            expected = expected.next();
        }
        if entries.is_empty() || expected > high {
            return Err(StorageError::Inconsistent { at: expected });
        }
        Ok(())
    }

    /// Whether a membership change waits between `applied` and `committed`. Reads page by page,
    /// so that a long backlog does not have to fit into memory.
    pub(crate) fn has_unapplied_conf_change(&mut self) -> Result<bool, StorageError> {
        let mut next = self.applied.next();
        while next <= self.committed {
            let page = self.slice(next, self.committed.next(), self.max_applying_bytes)?;
            if page.iter().any(Entry::is_conf_change) {
                return Ok(true);
            }
            next = next.plus(page.len() as u64);
        }
        Ok(false)
    }

    /// The highest index that may be handed out to be applied.
    fn max_appliable(&self) -> Index {
        if self.applies_unstable {
            self.committed
        } else {
            self.committed.min(self.unstable.offset.prev())
        }
    }

    /// Whether there are entries to apply that may be handed out.
    pub(crate) fn has_next_committed(&self) -> bool {
        !self.applying_paused
            && self.unstable.snapshot().is_none()
            && self.applying < self.max_appliable()
    }

    /// Something changed of which that depends.
    #[inline]
    fn note_committed(&mut self) {
        let has_some = self.has_next_committed();
        self.work.set(Work::COMMITTED, has_some);
    }

    /// The next page of entries to apply. The caller knows that there is one.
    pub(crate) fn next_committed(&mut self) -> Result<Entries, StorageError> {
        let budget = self.max_applying_bytes.saturating_sub(self.applying_bytes);
        let (low, high) = (self.applying.after(), self.max_appliable().after());
        match self.unstable.take_durable_piece(low, high) {
            Some(mut entries) => {
                entries.limit_encoded_bytes(budget);
                Ok(entries)
            }
            None => self.slice(low, high, budget),
        }
    }

    /// These entries are handed out to be applied. If that was not all, the rest waits until they
    /// are applied.
    pub(crate) fn accept_applying(&mut self, entries: &Entries) {
        self.applying = self.applying.skip(entries.len() as u64);
        if self.max_applying_bytes != u64::MAX {
            self.applying_bytes = self.applying_bytes.saturating_add(entries.encoded_bytes());
        }
        self.applying_paused =
            self.applying_bytes >= self.max_applying_bytes || self.applying < self.max_appliable();
    }

    /// The size under which these entries count while they are applied: nobody asks without a
    /// limit.
    pub(crate) fn applying_bytes_of(&self, entries: &Entries) -> u64 {
        if self.max_applying_bytes == u64::MAX { 0 } else { entries.encoded_bytes() }
    }

    /// Everything up to `index` is applied; `bytes` of it were counted as handed out.
    #[inline(always)]
    pub(crate) fn applied_to(&mut self, index: Index, bytes: u64) {
        debug_assert!(index <= self.committed, "only what is committed is applied");
        self.applied = self.applied.max(index.min(self.committed));
        self.applying_bytes = self.applying_bytes.saturating_sub(bytes);
        if self.applying_paused || self.applying < self.applied {
            self.applying = self.applying.max(self.applied);
            self.applying_paused = self.applying_bytes >= self.max_applying_bytes;
            self.note_committed();
        }
        self.unstable.release(self.applied);
    }

    /// Whether there are entries that were not handed out to be persisted.
    pub(crate) fn has_next_unstable(&self) -> bool {
        self.unstable.in_progress <= self.last_index()
    }

    #[cfg(debug_assertions)]
    pub(crate) fn has_next_snapshot(&self) -> bool {
        self.unstable.has_next_snapshot()
    }

    /// Whether a snapshot waits to be persisted, handed out or not.
    pub(crate) fn has_snapshot(&self) -> bool {
        self.unstable.snapshot().is_some()
    }

    /// Whether entries wait to be persisted, handed out or not.
    pub(crate) fn has_unstable(&self) -> bool {
        self.unstable.offset <= self.last_index()
    }

    /// The entries that are to be persisted next; handed out from now on.
    pub(crate) fn accept_entries(&mut self) -> Entries {
        self.unstable.accept_entries(self.last_index().after())
    }

    /// The same of a snapshot.
    pub(crate) fn accept_snapshot(&mut self) -> Option<Arc<Snapshot>> {
        self.unstable.accept_snapshot()
    }

    /// The entry at this position, and all before it, are durable. Says nothing if the log has
    /// another entry there by now: what was written was overwritten since.
    pub(crate) fn stable_to(&mut self, at: Position) {
        if at.index >= self.unstable.offset && self.matches(at) {
            let handed_out = self.unstable.in_progress;
            self.unstable.stable_to(at.index);
            if !self.applies_unstable || self.unstable.in_progress != handed_out {
                self.note_durable();
            }
        }
    }

    /// More may be handed out to be applied, where only what is durable may be, and perhaps less
    /// to be persisted: what was overwritten on its way to the disk can have come a second time.
    fn note_durable(&mut self) {
        self.note_committed();
        let has_some = self.has_next_unstable();
        self.work.set(Work::ENTRIES, has_some);
    }

    /// The snapshot at this index is durable.
    pub(crate) fn stable_snapshot_to(&mut self, index: Index) {
        self.unstable.stable_snapshot_to(index);
        self.note_committed();
    }

    /// The snapshot to send to a member that is behind the log.
    pub(crate) fn snapshot(&self) -> Result<Arc<Snapshot>, StorageError> {
        match self.unstable.snapshot() {
            Some(snapshot) => Ok(Arc::clone(snapshot)),
            None => self.storage.snapshot().map(Arc::new),
        }
    }

    /// Puts a snapshot in the place of the whole log.
    pub(crate) fn restore(&mut self, snapshot: Arc<Snapshot>) {
        debug_assert!(snapshot.index() > self.committed);
        self.committed = snapshot.index();
        self.terms = TermRuns::starting_at(snapshot.position);
        self.unstable.restore(snapshot);
        self.work = self.work.without(Work::ENTRIES.or(Work::COMMITTED));
        self.work.note(Work::COMMIT.or(Work::SNAPSHOT));
    }

    /// What must hold between any two calls.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.applied > self.applying {
            return Err("applied is beyond what was handed out");
        }
        if self.applying > self.committed {
            return Err("something uncommitted was handed out to be applied");
        }
        if self.committed > self.last_index() {
            return Err("the commit index is beyond the log");
        }
        if self.unstable.end() != self.last_index().next() {
            return Err("the tail does not end where the log ends");
        }
        if self.unstable.first() > self.unstable.offset {
            return Err("entries that are not durable are not at hand");
        }
        if self.unstable.in_progress < self.unstable.offset
            || self.unstable.in_progress > self.unstable.end()
        {
            return Err("the tail's mark is outside the tail");
        }
        Ok(())
    }
}
