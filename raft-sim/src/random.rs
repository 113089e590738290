//! Randomness and hashing that are the same on every machine and in every build.
//!
//! Nothing here is secret or strong: it has to be fast, and to give the same run for the same seed.

/// A small generator (SplitMix64). Streams that are made with [`Random::fork`] are independent,
/// so that what one part of the simulation draws does not shift what another part gets.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for the purpose with this number.
    pub(crate) fn fork(seed: u64, purpose: u64) -> Self {
        Self(mix(mix(0x5eed, seed), purpose))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `[0, bound)`; zero when the bound is.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `[low, high]`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.below(1000) < per_mille
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Adds a number to a hash.
#[inline]
pub(crate) const fn mix(hash: u64, value: u64) -> u64 {
    let x = (hash.rotate_left(23) ^ value).wrapping_mul(0x9fb2_1c65_1e98_df25);
    x ^ (x >> 29)
}

/// Adds bytes to a hash, their length included.
pub(crate) fn mix_bytes(hash: u64, bytes: &[u8]) -> u64 {
    let mut hash = mix(hash, bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    let rest = chunks.remainder();
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(word))
}

/// The same for the standard library's tables.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixer(u64);

impl std::hash::Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix_bytes(self.0, bytes);
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = mix(self.0, value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0, value);
    }

    fn write_usize(&mut self, value: usize) {
        self.0 = mix(self.0, value as u64);
    }
}

/// How tables are made that use [`Mixer`].
pub(crate) type Mixed = std::hash::BuildHasherDefault<Mixer>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let mut random = Random::new(42);
        assert_eq!(random.next(), 0xbdd7_3226_2feb_6e95);
        assert!((0..1000).all(|_| random.below(7) < 7));
        assert!(!random.chance(0) && random.chance(1000));
    }

    #[test]
    fn a_hash_tells_lengths_and_orders_apart() {
        assert_ne!(mix_bytes(0, b"ab"), mix_bytes(0, b"ab\0"));
        assert_ne!(mix(mix(0, 1), 2), mix(mix(0, 2), 1));
    }
}
