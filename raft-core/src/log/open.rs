//! The block that a leader's own entries are written into, one after the other.

use crate::entry::{Entries, Entry, OpenBlock};

/// So many entries share a block when they are proposed one by one.
const MAX_ENTRIES: u32 = 128;

/// Entries of several Readies share a block while their payloads are no longer than this together:
/// as much can be kept for the sake of one of them.
const MAX_BYTES: u64 = 16_384;

/// A block that is not full yet, and how to go on when it is.
///
/// What was asked for between two Readies is in one block, however much it is. A block begins with
/// room for one entry, which is enough for a leader that is mostly idle, and the next one has twice
/// as many as were used, up to [`MAX_ENTRIES`].
#[derive(Debug)]
pub(super) struct Open {
    /// Those that nobody has seen yet are at its end.
    block: OpenBlock,
    /// The payloads in it.
    bytes: u64,
    /// How many entries came together last.
    batch: u32,
    /// How many were in the block when somebody looked whether anything happens here.
    looked_at: usize,
}

impl Default for Open {
    fn default() -> Self {
        Self { block: OpenBlock::new(None, 1), bytes: 0, batch: 1, looked_at: 0 }
    }
}

impl Open {
    /// How many entries nobody has seen yet.
    pub(super) fn unseen(&self) -> u32 {
        // What is shared was written before.
        (self.block.len() as u32).saturating_sub(self.block.shared())
    }

    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        let bytes = self.bytes.saturating_add(entry.payload_bytes());
        let is_too_much = bytes > MAX_BYTES && self.block.shared() > 0;
        if is_too_much || self.block.is_full() {
            self.push_into_next(entry);
            return;
        }
        self.bytes = bytes;
        // There was room.
        drop(self.block.push(entry));
    }

    #[cold]
    fn push_into_next(&mut self, entry: Entry) {
        let used = self.block.shared();
        let unseen = self.unseen();
        let wanted = used.saturating_mul(2).min(MAX_ENTRIES);
        // A whole number of batches as large as the last one; one that outgrew its block doubles.
        let batches = wanted.checked_div(self.batch).unwrap_or_default().max(1);
        let capacity = batches.saturating_mul(self.batch).max(unseen.saturating_mul(2)).max(1);
        self.block.move_on(None, capacity);
        self.looked_at = 0;
        let moved = self.block.iter().map(Entry::payload_bytes);
        self.bytes = moved.fold(entry.payload_bytes(), u64::saturating_add);
        drop(self.block.push(entry));
    }

    /// Whether nothing was added since this was asked last.
    pub(super) fn is_at_rest(&mut self) -> bool {
        std::mem::replace(&mut self.looked_at, self.block.len()) == self.block.len()
    }

    /// What nobody has seen yet, if there is any. From now on somebody has.
    #[inline]
    pub(super) fn share(&mut self) -> Option<Entries> {
        let unseen = self.unseen();
        if unseen == 0 {
            return None;
        }
        self.batch = unseen;
        Some(Entries::share(&mut self.block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Index;

    /// Proposes batches of so many entries with so many bytes each, and joins what goes on in one
    /// block: how many entries each block has.
    fn blocks(open: &mut Open, batches: impl IntoIterator<Item = u64>, bytes: usize) -> Vec<usize> {
        let mut blocks: Vec<Entries> = Vec::new();
        let mut index = Index(0);
        for batch in batches {
            for _ in 0..batch {
                index = index.next();
                open.push(Entry { index, data: vec![0; bytes].into(), ..Entry::default() });
            }
            assert_eq!(u64::from(open.unseen()), batch);
            let entries = open.share().unwrap();
            assert_eq!(entries.slices().count(), 1, "what is proposed together is in one block");
            let (first, last) = entries.ends().unwrap();
            assert_eq!((first.index.plus(batch - 1), last.index), (index, index));
            match blocks.last_mut().map(|before| before.join(entries.clone())) {
                Some(Ok(())) => {}
                _ => blocks.push(entries),
            }
        }
        assert!(open.share().is_none());
        blocks.iter().map(Entries::len).collect()
    }

    #[test]
    fn blocks_grow_while_entries_come_one_by_one() {
        let mut open = Open::default();
        assert_eq!(blocks(&mut open, [1; 383], 10), [1, 2, 4, 8, 16, 32, 64, 128, 128]);
    }

    #[test]
    fn what_was_shared_is_kept_by_few_bytes_alone() {
        let mut open = Open::default();
        // Eight are just what may be in one block.
        assert_eq!(blocks(&mut open, [1; 31], 2048), [1, 2, 4, 8, 8, 8]);
        assert_eq!(blocks(&mut open, [1; 3], 20_000), [1, 1, 1]);
        // The second of each pair is not seen yet when the first is: they stay together.
        assert_eq!(blocks(&mut open, [2; 3], 20_000), [2, 2, 2]);
        assert_eq!(blocks(&mut open, [1, 3, 1], 8192), [1, 3, 1]);
    }

    #[test]
    fn what_fits_is_not_moved_however_large_it_is() {
        let mut open = Open::default();
        let entry = || Entry { data: vec![0; 20_000].into(), ..Entry::default() };
        blocks(&mut open, [3; 2], 20_000);
        open.push(entry());
        let place = open.block.as_ptr();
        open.push(entry());
        open.push(entry());
        assert_eq!((open.unseen(), open.block.as_ptr()), (3, place));
    }

    #[test]
    fn who_looks_twice_sees_whether_it_is_at_rest() {
        let mut open = Open::default();
        for _ in 0..3 {
            blocks(&mut open, [1], 10);
            assert!(!open.is_at_rest(), "something came since it was asked last");
        }
        assert!(open.is_at_rest() && open.is_at_rest());
    }

    #[test]
    fn a_batch_is_in_one_block_and_batches_share_it() {
        let mut open = Open::default();
        assert_eq!(blocks(&mut open, [20; 14], 10), [20, 40, 80, 120, 20]);
        assert_eq!(blocks(&mut open, [300; 3], 10), [300, 300, 300]);
        assert_eq!(blocks(&mut open, [1; 10], 10), [10]);
    }
}
