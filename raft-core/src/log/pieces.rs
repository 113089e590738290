//! A stretch of a log in memory, in the pieces in which it came.

use std::collections::VecDeque;

use crate::entry::{Entries, Entry};
use crate::ids::Index;

/// Consecutive entries. Reading a part and dropping from either end copies no entry.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    /// None is empty, and there are no gaps between them.
    pieces: VecDeque<Piece>,
    /// The index after the last entry.
    end: Index,
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
    /// The index after its last entry.
    end: Index,
    entries: Entries,
}

impl Pieces {
    /// Nothing yet: the next entry has this index. There is room for one piece: most logs of many
    /// idle groups never have more.
    pub(super) fn starting_at(index: Index) -> Self {
        Self { pieces: VecDeque::with_capacity(1), end: index }
    }

    /// The index after the last entry.
    pub(super) const fn end(&self) -> Index {
        self.end
    }

    /// The index of the first entry; the end if there is none.
    pub(super) fn first(&self) -> Index {
        self.pieces.front().map_or(self.end, |piece| piece.first)
    }

    /// How many pieces there are.
    pub(super) fn count(&self) -> usize {
        self.pieces.len()
    }

    /// Adds the entries that follow.
    #[inline]
    pub(super) fn push(&mut self, entries: Entries) {
        debug_assert!(entries.first().is_none_or(|entry| entry.index == self.end), "no gaps");
        let first = self.end;
        let end = first.plus(entries.len() as u64);
        if end > first {
            self.end = end;
            // A piece that is filled where it stays is not copied.
            self.pieces.push_back(Piece { first, end, entries: Entries::new() });
            if let Some(piece) = self.pieces.back_mut() {
                piece.entries = entries;
            }
        }
    }

    /// The entries `[low, high)`, cut to what there is.
    #[inline]
    pub(super) fn slice(&self, low: Index, high: Index) -> Entries {
        // Mostly somebody asks for what came last.
        match self.pieces.back() {
            Some(last) if last.first <= low => last.part(low, high),
            Some(_) => self.slice_of_many(low, high),
            None => Entries::new(),
        }
    }

    fn slice_of_many(&self, low: Index, high: Index) -> Entries {
        let mut found = Entries::new();
        for piece in self.pieces.range(self.piece_of(low)..) {
            if piece.first >= high {
                break;
            }
            found.append(piece.part(low, high));
        }
        found
    }

    /// The entry at this index.
    #[inline]
    pub(super) fn get(&self, index: Index) -> Option<&Entry> {
        let last = self.pieces.back()?;
        let piece =
            if last.first <= index { last } else { self.pieces.get(self.piece_of(index))? };
        if index < piece.first {
            return None;
        }
        piece.entries.get(index.since(piece.first) as usize)
    }

    /// Drops the entries from this index on. What lies before the first entry cannot be kept.
    #[inline]
    pub(super) fn truncate_from(&mut self, from: Index) {
        if from < self.end {
            self.cut_from(from);
        }
    }

    fn cut_from(&mut self, from: Index) {
        self.end = from;
        while let Some(piece) = self.pieces.back_mut() {
            if piece.first < from {
                piece.entries = piece.part(piece.first, from);
                piece.end = from.min(piece.end);
                return;
            }
            self.pieces.pop_back();
        }
    }

    /// Drops the entries before this index.
    pub(super) fn drop_before(&mut self, first_kept: Index) {
        self.drop_pieces_before(first_kept);
        if let Some(piece) = self.pieces.front_mut()
            && piece.first < first_kept
        {
            piece.entries = piece.part(first_kept, piece.end);
            piece.first = first_kept;
        }
    }

    /// Drops the pieces that end before this index.
    #[inline]
    pub(super) fn drop_pieces_before(&mut self, first_kept: Index) {
        while self.pieces.front().is_some_and(|piece| piece.end <= first_kept) {
            self.pieces.pop_front();
        }
    }

    /// Takes out the first piece, if it is `[low, high)`.
    #[inline]
    pub(super) fn take_first_piece(&mut self, low: Index, high: Index) -> Option<Entries> {
        let first = self.pieces.front()?;
        if first.first != low || first.end != high {
            return None;
        }
        self.pieces.pop_front().map(|piece| piece.entries)
    }

    /// Drops the first piece.
    pub(super) fn drop_first_piece(&mut self) {
        self.pieces.pop_front();
    }

    /// The index after the first piece.
    pub(super) fn end_of_first(&self) -> Index {
        self.pieces.front().map_or(self.end, |piece| piece.end)
    }

    /// The number of the piece that holds this index, or would.
    fn piece_of(&self, index: Index) -> usize {
        self.pieces.partition_point(|piece| piece.first <= index).saturating_sub(1)
    }
}

impl Piece {
    #[inline]
    fn part(&self, low: Index, high: Index) -> Entries {
        // Nearly every piece is read whole.
        if low <= self.first && high >= self.end {
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
