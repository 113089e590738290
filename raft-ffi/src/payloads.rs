//! Where a node copies what is proposed to it.

use bytes::{Bytes, BytesMut};

/// How many batches a block is made for.
const BATCHES: usize = 16;
/// The largest block that is made for more than one batch.
const BLOCK_MAX: usize = 32 * 1024;

/// A line of the cache.
const LINE: usize = 64;
/// The longest list of payloads that is kept for the next batch.
const PIECES_MAX: usize = 1024;

/// Room for the payloads of the next batches. A block for each would be two allocations for each,
/// of sizes that an allocator is slow at. A block lives as long as an entry in it, so a single
/// payload, all that most groups of many ever get, has memory of its own.
#[derive(Default)]
pub(crate) struct PayloadRoom {
    block: BytesMut,
    /// Empty between two calls.
    pieces: Vec<Bytes>,
}

impl PayloadRoom {
    /// An empty list for the payloads of one batch.
    pub(crate) fn pieces(&mut self) -> &mut Vec<Bytes> {
        if self.pieces.capacity() > PIECES_MAX {
            self.pieces = Vec::new();
        }
        &mut self.pieces
    }

    /// An empty buffer with room for so many bytes of so many payloads.
    pub(crate) fn take(&mut self, bytes: usize, payloads: usize) -> BytesMut {
        if payloads <= 1 {
            return BytesMut::with_capacity(bytes);
        }
        if self.block.capacity() < bytes {
            let several = bytes.saturating_mul(BATCHES).min(BLOCK_MAX);
            self.block = aligned(bytes.max(several));
        }
        let rest = self.block.split_off(bytes);
        std::mem::replace(&mut self.block, rest)
    }
}

/// A block whose payloads lie in no more lines of the cache than they must, if they are as long as
/// some of these.
fn aligned(bytes: usize) -> BytesMut {
    let mut block = BytesMut::with_capacity(bytes.saturating_add(LINE));
    let mut block = block.split_off(block.as_ptr().align_offset(LINE));
    drop(block.split_off(bytes));
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_lie_one_behind_the_other_in_one_block() {
        let mut room = PayloadRoom::default();
        let mut at = std::ptr::null();
        for batch in 0..2 * BATCHES {
            let mut taken = room.take(100, 2);
            assert!(taken.is_empty() && taken.capacity() == 100);
            taken.extend_from_slice(&[7; 100]);
            assert_eq!(taken.as_ptr() == at, !batch.is_multiple_of(BATCHES), "batch {batch}");
            assert!(taken.as_ptr() == at || taken.as_ptr().addr().is_multiple_of(LINE));
            at = taken.as_ptr_range().end;
        }
    }

    #[test]
    fn a_long_list_is_not_kept() {
        let mut room = PayloadRoom::default();
        room.pieces().reserve(PIECES_MAX + 1);
        assert_eq!(room.pieces().capacity(), 0);
        room.pieces().reserve_exact(PIECES_MAX);
        assert!(room.pieces().capacity() > 0);
    }

    #[test]
    fn a_large_batch_has_a_block_of_its_own() {
        let mut room = PayloadRoom::default();
        assert_eq!(room.take(BLOCK_MAX + 1, 2).capacity(), BLOCK_MAX + 1);
        assert_eq!(room.block.capacity(), 0);
        assert_eq!(room.take(0, 2).capacity(), 0);
    }

    #[test]
    fn a_single_payload_has_memory_of_its_own() {
        let mut room = PayloadRoom::default();
        assert_eq!(room.take(100, 1).capacity(), 100);
        assert_eq!(room.block.capacity(), 0);
    }
}
