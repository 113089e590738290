//! A stretch of a log in memory, in the pieces in which it came.

use std::collections::VecDeque;

use crate::entry::{Entries, Entry};
use crate::ids::Index;

/// Consecutive entries. Reading a part and dropping from either end copies no entry.
///
/// The newest piece is at hand and not in a block of its own: it is the one that is asked for, and
/// most logs of many idle groups never have another.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    /// Empty only while there are no pieces at all.
    newest: Piece,
    /// The others, from the oldest on. None is empty, and there are no gaps between any two.
    #[expect(clippy::box_collection, reason = "one word where there are none: mostly")]
    older: Option<Box<VecDeque<Piece>>>,
}

/// The beginning of a log.
impl Default for Pieces {
    fn default() -> Self {
        Self::starting_at(Index(1))
    }
}

#[derive(Clone, Debug)]
struct Piece {
    first: Index,
    entries: Entries,
}

impl Pieces {
    /// Nothing yet: the next entry has this index.
    pub(super) const fn starting_at(index: Index) -> Self {
        Self { newest: Piece { first: index, entries: Entries::new() }, older: None }
    }

    /// The index after the last entry.
    pub(super) const fn end(&self) -> Index {
        self.newest.end()
    }

    fn oldest(&self) -> &Piece {
        self.older.as_ref().and_then(|older| older.front()).unwrap_or(&self.newest)
    }

    /// The index of the first entry; the end if there is none.
    pub(super) fn first(&self) -> Index {
        self.oldest().first
    }

    /// Whether there are no pieces.
    pub(super) const fn is_empty(&self) -> bool {
        self.newest.entries.is_empty()
    }

    /// How many pieces there are.
    pub(super) fn count(&self) -> usize {
        let older = self.older.as_ref().map_or(0, |older| older.len());
        older.saturating_add(usize::from(!self.newest.entries.is_empty()))
    }

    /// Adds the entries that follow.
    #[inline]
    pub(super) fn push(&mut self, entries: Entries) {
        debug_assert!(entries.first().is_none_or(|entry| entry.index == self.end()), "no gaps");
        if entries.is_empty() {
            return;
        }
        if self.newest.entries.is_empty() {
            // It stands where the next one begins.
            self.newest.entries = entries;
        } else if let Err(entries) = self.newest.entries.join(entries) {
            self.push_piece(entries);
        }
    }

    #[inline(never)]
    fn push_piece(&mut self, entries: Entries) {
        let newest = Piece { first: self.end(), entries };
        let before = std::mem::replace(&mut self.newest, newest);
        self.older.get_or_insert_default().push_back(before);
    }

    /// The entries `[low, high)`, cut to what there is.
    #[inline]
    pub(super) fn slice(&self, low: Index, high: Index) -> Entries {
        // Mostly somebody asks for what came last.
        if self.newest.first <= low {
            self.newest.part(low, high)
        } else {
            self.slice_of_many(low, high)
        }
    }

    fn slice_of_many(&self, low: Index, high: Index) -> Entries {
        let mut found = Entries::new();
        if let Some(older) = &self.older {
            for piece in older.range(piece_of(older, low)..) {
                if piece.first >= high {
                    return found;
                }
                found.append(piece.part(low, high));
            }
        }
        found.append(self.newest.part(low, high));
        found
    }

    /// The entry at this index.
    #[inline]
    pub(super) fn get(&self, index: Index) -> Option<&Entry> {
        let piece = if self.newest.first <= index {
            &self.newest
        } else {
            let older = self.older.as_ref()?;
            older.get(piece_of(older, index)).filter(|piece| piece.first <= index)?
        };
        piece.entries.get(index.since(piece.first) as usize)
    }

    /// Drops the entries from this index on. What lies before the first entry cannot be kept.
    #[inline]
    pub(super) fn truncate_from(&mut self, from: Index) {
        if from < self.end() {
            self.cut_from(from);
        }
    }

    fn cut_from(&mut self, from: Index) {
        while self.newest.first >= from {
            let Some(before) = self.older.as_mut().and_then(|older| older.pop_back()) else {
                self.newest = Piece { first: from, entries: Entries::new() };
                return;
            };
            self.newest = before;
        }
        self.newest.entries = self.newest.part(self.newest.first, from);
    }

    /// Drops the entries before this index.
    pub(super) fn drop_before(&mut self, first_kept: Index) {
        self.drop_pieces_before(first_kept);
        let oldest = match self.older.as_mut().and_then(|older| older.front_mut()) {
            Some(oldest) => oldest,
            None => &mut self.newest,
        };
        if oldest.first < first_kept && !oldest.entries.is_empty() {
            oldest.entries = oldest.part(first_kept, oldest.end());
            oldest.first = first_kept;
        }
    }

    /// Drops the pieces that end before this index.
    #[inline]
    pub(super) fn drop_pieces_before(&mut self, first_kept: Index) {
        if let Some(older) = &mut self.older {
            while older.front().is_some_and(|piece| piece.end() <= first_kept) {
                older.pop_front();
            }
        }
        if self.newest.end() <= first_kept {
            self.newest.take();
        }
    }

    /// Takes out the first piece, if it is `[low, high)`.
    #[inline]
    pub(super) fn take_first_piece(&mut self, low: Index, high: Index) -> Option<Entries> {
        let is_it = |piece: &Piece| piece.first == low && piece.end() == high;
        match self.older.as_mut().filter(|older| !older.is_empty()) {
            None if is_it(&self.newest) => Some(self.newest.take()),
            Some(older) if older.front().is_some_and(is_it) => {
                older.pop_front().map(|piece| piece.entries)
            }
            _ => None,
        }
    }

    /// Drops the first piece.
    pub(super) fn drop_first_piece(&mut self) {
        if self.older.as_mut().and_then(|older| older.pop_front()).is_none() {
            self.newest.take();
        }
    }

    /// The index after the first piece.
    pub(super) fn end_of_first(&self) -> Index {
        self.oldest().end()
    }
}

/// The number of the piece that holds this index, or would.
fn piece_of(pieces: &VecDeque<Piece>, index: Index) -> usize {
    pieces.partition_point(|piece| piece.first <= index).saturating_sub(1)
}

impl Piece {
    /// The index after its last entry.
    #[inline]
    const fn end(&self) -> Index {
        self.first.skip(self.entries.len() as u64)
    }

    /// Takes all of it out. What follows on it begins where it ended.
    #[inline]
    fn take(&mut self) -> Entries {
        self.first = self.end();
        std::mem::take(&mut self.entries)
    }

    #[inline]
    fn part(&self, low: Index, high: Index) -> Entries {
        // Nearly every piece is read whole.
        if low <= self.first && high >= self.end() {
            return self.entries.clone();
        }
        self.entries.part(low.since(self.first) as usize, high.since(self.first) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Term;

    fn entries(range: std::ops::Range<u64>) -> Entries {
        range.map(|i| Entry { term: Term(1), index: Index(i), ..Entry::default() }).collect()
    }

    /// The entries 5 to 14 in pieces of 1, 4 and 5.
    fn pieces() -> Pieces {
        let mut pieces = Pieces::starting_at(Index(5));
        pieces.push(entries(5..6));
        pieces.push(entries(6..10));
        pieces.push(entries(10..15));
        pieces
    }

    fn indexes(pieces: &Pieces, low: u64, high: u64) -> Vec<u64> {
        pieces.slice(Index(low), Index(high)).iter().map(|entry| entry.index.0).collect()
    }

    #[test]
    fn every_part_is_found() {
        let pieces = pieces();
        for low in 5..=15 {
            for high in low..=15 {
                assert_eq!(indexes(&pieces, low, high), (low..high).collect::<Vec<_>>());
            }
        }
        for index in 0..20 {
            let found = pieces.get(Index(index)).map(|entry| entry.index.0);
            assert_eq!(found, (5..15).contains(&index).then_some(index));
        }
    }

    #[test]
    fn both_ends_can_be_dropped_at_every_place() {
        for from in 5..=16 {
            let mut pieces = pieces();
            pieces.truncate_from(Index(from));
            assert_eq!(pieces.end(), Index(from.min(15)));
            assert_eq!(indexes(&pieces, 5, 15), (5..from.min(15)).collect::<Vec<_>>());
        }
        for first in 0..=20 {
            let mut pieces = pieces();
            pieces.drop_before(Index(first));
            assert_eq!(pieces.first(), Index(first.clamp(5, 15)));
            assert_eq!(indexes(&pieces, 5, 15), (first.max(5)..15).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_piece_is_dropped_when_all_of_it_is_done() {
        let mut pieces = pieces();
        let mut check = |first_kept: u64, first: u64| {
            pieces.drop_pieces_before(Index(first_kept));
            assert_eq!(pieces.first(), Index(first));
        };
        check(5, 5);
        check(9, 6);
        check(10, 10);
        check(14, 10);
        check(20, 15);
    }
}
