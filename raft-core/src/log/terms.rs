//! Which term each index of the log has, kept in memory.
//!
//! Terms only grow along a log and change rarely, so a log of a million entries has a handful of
//! runs. Knowing them makes every decision about terms (matching, voting, committing, finding
//! where logs diverge) a look-up that cannot fail: the storage is read for payloads alone.

use crate::error::StorageError;
use crate::ids::{Index, Position, Term};
use crate::log::Storage;

/// The terms of the indexes `base..=last`, as runs of equal terms.
#[derive(Clone, Debug)]
pub(super) struct TermRuns {
    /// What lies right before the log, or where it is part of a run, that run from there on.
    base: Position,
    /// Where each run after the base begins, up to the present one. Together with both the indexes
    /// and the terms strictly increase.
    #[expect(clippy::box_collection, reason = "one word where there are none: mostly")]
    earlier: Option<Box<Vec<Position>>>,
    /// Where the present run begins, not before the base: nearly every question is about it.
    run: Position,
    last: Index,
}

impl TermRuns {
    /// The terms of a log that is empty after this position.
    pub(super) const fn starting_at(base: Position) -> Self {
        Self { base, earlier: None, run: base, last: base.index }
    }

    /// Reads the terms of a stored log: a binary search for the end of each run, so that the
    /// number of reads grows with the number of terms, not of entries.
    pub(super) fn read<S: Storage>(
        storage: &S,
        first: Index,
        last: Index,
    ) -> Result<Self, StorageError> {
        let base = first.prev();
        if last < base {
            return Err(StorageError::Inconsistent { at: last });
        }
        let mut runs = Self::starting_at(Position { term: storage.term(base)?, index: base });
        let mut at = base;
        let last_term = storage.term(last)?;
        while runs.run.term != last_term {
            let term = runs.run.term;
            // The first index in (low, high] whose term differs.
            let (mut low, mut high) = (at, last);
            while high.since(low) > 1 {
                let middle = low.plus(high.since(low) / 2);
                if storage.term(middle)? == term { low = middle } else { high = middle }
            }
            let next = Position { term: storage.term(high)?, index: high };
            if next.term <= term || next.term > last_term {
                return Err(StorageError::Inconsistent { at: high });
            }
            runs.begin(next);
            at = high;
        }
        runs.last = last;
        Ok(runs)
    }

    /// The position of the last entry.
    pub(super) const fn last(&self) -> Position {
        Position { term: self.run.term, index: self.last }
    }

    /// The index before the first one that is known.
    pub(super) const fn base(&self) -> Index {
        self.base.index
    }

    /// The term at this index, if it is in `base..=last`.
    #[inline]
    pub(super) fn term(&self, index: Index) -> Option<Term> {
        if index > self.last {
            None
        } else if index >= self.run.index {
            Some(self.run.term)
        } else {
            self.earlier_term(index)
        }
    }

    /// Whether the entry at this place has this term.
    #[inline]
    pub(super) fn has(&self, at: Position) -> bool {
        if at.index >= self.run.index {
            at.index <= self.last && at.term == self.run.term
        } else {
            self.earlier_term(at.index) == Some(at.term)
        }
    }

    #[inline(never)]
    fn earlier_term(&self, index: Index) -> Option<Term> {
        self.earlier_runs().find(|run| run.index <= index).map(|run| run.term)
    }

    /// The runs before the present one, from the latest on.
    fn earlier_runs(&self) -> impl Iterator<Item = &Position> {
        self.earlier.iter().flat_map(|runs| runs.iter().rev()).chain([&self.base])
    }

    /// The highest index at or below `index` whose term is at most `term`, with its term.
    ///
    /// Below `base` nothing is known: the answer is then the index right below it, with term zero.
    #[inline(never)]
    pub(super) fn last_at_most(&self, index: Index, term: Term) -> (Index, Term) {
        if index > self.last {
            return (index, Term::ZERO);
        }
        let mut upper = index;
        for run in std::iter::once(&self.run).chain(self.earlier_runs()) {
            if run.index <= upper {
                if run.term <= term {
                    return (upper, run.term);
                }
                upper = run.index.prev();
            }
        }
        (upper.min(index), Term::ZERO)
    }

    /// Adds the next entry.
    #[inline]
    pub(super) fn push(&mut self, at: Position) {
        self.push_many(at.term, 1);
        debug_assert_eq!(at.index, self.last, "a log has no gaps");
    }

    /// Adds `count` entries of one term.
    #[inline]
    pub(super) fn push_many(&mut self, term: Term, count: u64) {
        debug_assert!(term >= self.run.term, "terms never fall along a log");
        if term != self.run.term && count > 0 {
            self.begin(Position { term, index: self.last.next() });
        }
        self.last = self.last.skip(count);
    }

    /// Forgets the entries from this index on.
    pub(super) fn truncate_from(&mut self, from: Index) {
        debug_assert!(from > self.base(), "the base is never truncated");
        self.last = self.last.min(from.prev()).max(self.base.index);
        while self.run.index > self.last {
            let before = self.earlier.as_mut().and_then(|runs| runs.pop());
            self.run = before.unwrap_or(self.base);
        }
    }

    /// Forgets what lies before this index, which becomes the base.
    pub(super) fn compact_to(&mut self, base: Index) {
        debug_assert!(base <= self.last);
        if self.run.index <= base {
            self.earlier = None;
            self.run.index = base;
            self.base = self.run;
            return;
        }
        if let Some(earlier) = &mut self.earlier {
            let passed = earlier.partition_point(|run| run.index <= base);
            if let Some(run) = earlier.drain(..passed).next_back() {
                self.base = run;
            }
        }
        self.base.index = base;
    }

    /// A term begins.
    #[cold]
    fn begin(&mut self, run: Position) {
        if self.run != self.base {
            self.earlier.get_or_insert_default().push(self.run);
        }
        self.run = run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStorage;
    use crate::entry::{Entries, Entry};

    const TERMS: [u64; 9] = [1, 1, 1, 4, 4, 5, 5, 6, 9];

    fn position(term: u64, index: u64) -> Position {
        Position { term: Term(term), index: Index(index) }
    }

    fn runs() -> TermRuns {
        let mut runs = TermRuns::starting_at(Position::default());
        for (i, term) in (1u64..).zip(TERMS) {
            runs.push(position(term, i));
        }
        runs
    }

    #[test]
    fn each_index_has_the_term_it_was_given() {
        let mut runs = runs();
        for (i, term) in (1u64..).zip(TERMS) {
            assert_eq!(runs.term(Index(i)), Some(Term(term)));
        }
        assert_eq!(runs.term(Index(10)), None);
        assert_eq!(runs.last(), position(9, 9));
        runs.compact_to(Index(5));
        assert_eq!(runs.term(Index(4)), None);
        assert_eq!(runs.term(Index(5)), Some(Term(4)));
        runs.truncate_from(Index(8));
        assert_eq!(runs.last(), position(5, 7));
        runs.push_many(Term(10), 3);
        assert_eq!(runs.last(), position(10, 10));
        assert_eq!(runs.term(Index(8)), Some(Term(10)));
    }

    #[test]
    fn searching_by_term_equals_walking_down() {
        let runs = runs();
        for index in 0..=9 {
            for term in 0..=10 {
                let walk = (0..=index)
                    .rev()
                    .map(|i| (Index(i), runs.term(Index(i)).unwrap()))
                    .find(|(_, t)| t.0 <= term)
                    .unwrap();
                assert_eq!(runs.last_at_most(Index(index), Term(term)), walk);
            }
        }
        let mut compacted = runs;
        compacted.compact_to(Index(5));
        assert_eq!(compacted.last_at_most(Index(7), Term(3)), (Index(4), Term::ZERO));
        assert_eq!(compacted.last_at_most(Index(3), Term(9)), (Index(3), Term::ZERO));
    }

    #[test]
    fn reading_a_stored_log_finds_the_same_runs() {
        let mut storage = MemoryStorage::new();
        let entries: Entries = (1u64..)
            .zip(TERMS)
            .map(|(i, t)| Entry { term: Term(t), index: Index(i), ..Entry::default() })
            .collect();
        storage.append(&entries).unwrap();
        for compacted in 0..=9u64 {
            if compacted > 0 {
                storage.compact(Index(compacted)).unwrap();
            }
            let read = TermRuns::read(&storage, Index(compacted + 1), Index(9)).unwrap();
            for (i, term) in (1u64..).zip(TERMS).skip(compacted as usize) {
                assert_eq!(read.term(Index(i)), Some(Term(term)));
            }
            assert_eq!(read.last(), position(9, 9));
        }
    }
}
