//! Which term each index of the log has, kept in memory.
//!
//! Terms only grow along a log and change rarely, so a log of a million entries has a handful of
//! runs. Knowing them makes every decision about terms (matching, voting, committing, finding
//! where logs diverge) a look-up that cannot fail: the storage is read for payloads alone.

use smallvec::SmallVec;

use crate::error::StorageError;
use crate::ids::{Index, Position, Term};
use crate::log::Storage;

/// The terms of the indexes `base..=last`, as runs of equal terms.
#[derive(Clone, Debug)]
pub(super) struct TermRuns {
    /// Where each run begins. Never empty; the first begins at `base`. Both the indexes and the
    /// terms strictly increase.
    runs: SmallVec<[Position; 2]>,
    last: Index,
}

impl TermRuns {
    /// The terms of a log that is empty after this position.
    pub(super) fn starting_at(base: Position) -> Self {
        Self {
            runs: SmallVec::from([base, Position::default()].get(..1).unwrap_or_default()),
            last: base.index,
        }
    }

    /// Reads the terms of a stored log: a binary search for the end of each run, so that the
    /// number of reads grows with the number of terms, not of entries.
    pub(super) fn read<S: Storage>(
        storage: &S,
        first: Index,
        last: Index,
    ) -> Result<Self, StorageError> {
        let base = first.prev();
        let mut runs = Self::starting_at(Position { term: storage.term(base)?, index: base });
        let mut at = base;
        let last_term = storage.term(last)?;
        while runs.last_term() != last_term {
            let term = runs.last_term();
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
            runs.last = high.prev();
            runs.push(next);
            at = high;
        }
        runs.last = last;
        Ok(runs)
    }

    /// The position of the last entry.
    pub(super) fn last(&self) -> Position {
        Position { term: self.last_term(), index: self.last }
    }

    /// The index before the first one that is known.
    pub(super) fn base(&self) -> Index {
        self.runs.first().map_or(Index::ZERO, |run| run.index)
    }

    /// The term at this index, if it is in `base..=last`.
    pub(super) fn term(&self, index: Index) -> Option<Term> {
        if index > self.last {
            return None;
        }
        self.runs.iter().rev().find(|run| run.index <= index).map(|run| run.term)
    }

    /// The highest index at or below `index` whose term is at most `term`, with its term.
    ///
    /// Below `base` nothing is known: the answer is then the index right below it, with term zero.
    pub(super) fn last_at_most(&self, index: Index, term: Term) -> (Index, Term) {
        if index > self.last {
            return (index, Term::ZERO);
        }
        let mut upper = index;
        for run in self.runs.iter().rev() {
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
    pub(super) fn push(&mut self, at: Position) {
        debug_assert_eq!(at.index, self.last.next(), "a log has no gaps");
        debug_assert!(at.term >= self.last_term(), "terms never fall along a log");
        if at.term != self.last_term() {
            self.runs.push(at);
        }
        self.last = at.index;
    }

    /// Adds `count` entries of one term.
    pub(super) fn push_many(&mut self, term: Term, count: u64) {
        if count > 0 {
            self.push(Position { term, index: self.last.next() });
            self.last = self.last.plus(count.saturating_sub(1));
        }
    }

    /// Forgets the entries from this index on.
    pub(super) fn truncate_from(&mut self, from: Index) {
        debug_assert!(from > self.base(), "the base is never truncated");
        self.last = self.last.min(from.prev());
        while self.runs.len() > 1 && self.runs.last().is_some_and(|run| run.index > self.last) {
            self.runs.pop();
        }
    }

    /// Forgets what lies before this index, which becomes the base.
    pub(super) fn compact_to(&mut self, base: Index) {
        debug_assert!(base <= self.last);
        let dead = self.runs.iter().take_while(|run| run.index <= base).count().saturating_sub(1);
        self.runs.drain(..dead);
        if let Some(first) = self.runs.first_mut() {
            first.index = first.index.max(base);
        }
    }

    fn last_term(&self) -> Term {
        self.runs.last().map_or(Term::ZERO, |run| run.term)
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
