//! Where a node copies what is proposed to it.

use bytes::BytesMut;

/// How many batches a block is made for.
const BATCHES: usize = 16;
/// The largest block that is made for more than one batch.
const BLOCK_MAX: usize = 32 * 1024;

/// Room for the payloads of the next batches. A block for each would be two allocations for each,
/// of sizes that an allocator is slow at. A block lives as long as an entry in it, so a single
/// payload, all that most groups of many ever get, has memory of its own.
#[derive(Default)]
pub(crate) struct PayloadRoom(BytesMut);

impl PayloadRoom {
    /// An empty buffer with room for so many bytes of so many payloads.
    pub(crate) fn take(&mut self, bytes: usize, payloads: usize) -> BytesMut {
        if payloads <= 1 {
            return BytesMut::with_capacity(bytes);
        }
        if self.0.capacity() < bytes {
            let several = bytes.saturating_mul(BATCHES).min(BLOCK_MAX);
            self.0 = BytesMut::with_capacity(bytes.max(several));
        }
        let rest = self.0.split_off(bytes);
        std::mem::replace(&mut self.0, rest)
    }
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
            at = taken.as_ptr_range().end;
        }
    }

    #[test]
    fn a_large_batch_has_a_block_of_its_own() {
        let mut room = PayloadRoom::default();
        assert_eq!(room.take(BLOCK_MAX + 1, 2).capacity(), BLOCK_MAX + 1);
        assert_eq!(room.0.capacity(), 0);
        assert_eq!(room.take(0, 2).capacity(), 0);
    }

    #[test]
    fn a_single_payload_has_memory_of_its_own() {
        let mut room = PayloadRoom::default();
        assert_eq!(room.take(100, 1).capacity(), 100);
        assert_eq!(room.0.capacity(), 0);
    }
}
