//! The simulated network: what happens to a message between two nodes.
//!
//! It decides only; the events are `cluster`'s. What it draws for one message depends on the seed
//! and on how many messages went over that link before, so that leaving out a fault elsewhere
//! changes as little as possible: that is what lets the minimiser work.

use crate::random::{Random, mix};

/// The greatest number of nodes.
pub(crate) const SLOTS: usize = 7;

/// How well the network works. Chances are in a thousand, times in units (see `swarm`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) delay: u64,
    pub(crate) jitter: u64,
    pub(crate) drops: u64,
    pub(crate) duplicates: u64,
    /// A delay of several ticks, by which messages overtake each other.
    pub(crate) spikes: u64,
    /// Delivered after many election timeouts.
    pub(crate) very_late: u64,
    pub(crate) late_by: u64,
    pub(crate) corrupts: u64,
}

/// What happens to one message: when its copies arrive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// Delays of up to two copies.
    pub(crate) copies: [Option<u64>; 2],
    pub(crate) corrupted: bool,
    pub(crate) dropped: bool,
    pub(crate) late: bool,
    /// For whoever needs more randomness about this message.
    pub(crate) salt: u64,
}

/// The links between all pairs of nodes.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    seed: u64,
    /// Whether nothing gets from one to the other.
    cut: [[bool; SLOTS]; SLOTS],
    sent: [[u64; SLOTS]; SLOTS],
    pub(crate) weather: Weather,
}

impl Network {
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        let seed = mix(seed, 0x6e65_7477);
        Self { seed, cut: Default::default(), sent: Default::default(), weather }
    }

    /// What becomes of the next message on this link.
    pub(crate) fn send(&mut self, from: usize, to: usize) -> Fate {
        let count = &mut self.sent[from][to];
        *count += 1;
        let mut random = Random::fork(self.seed, *count << 8 | (from * SLOTS + to) as u64);
        let weather = self.weather;
        let mut fate = Fate { salt: random.next(), ..Fate::default() };
        if self.cut[from][to] || random.chance(weather.drops) {
            fate.dropped = true;
            return fate;
        }
        fate.corrupted = random.chance(weather.corrupts);
        let mut delay = weather.delay + random.below(weather.jitter + 1);
        if random.chance(weather.spikes) {
            delay += random.below(8 * crate::swarm::TICK);
        }
        if random.chance(weather.very_late) {
            fate.late = true;
            delay += random.below(weather.late_by + 1);
        }
        fate.copies[0] = Some(delay);
        if random.chance(weather.duplicates) {
            let spread = if random.chance(200) { weather.late_by } else { 4 * weather.jitter };
            fate.copies[1] = Some(delay + random.below(spread + 1));
        }
        fate
    }

    /// Whether a message that was sent may still arrive: a cut stops what is on its way.
    pub(crate) const fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[from][to]
    }

    pub(crate) fn heal(&mut self) {
        self.cut = Default::default();
    }

    /// Nothing gets from one to the other; the other way is not touched.
    pub(crate) const fn cut(&mut self, from: usize, to: usize) {
        self.cut[from][to] = true;
    }

    /// Two sides: one is those in `mask`.
    pub(crate) fn split(&mut self, mask: u64) {
        self.cut_where(|a, b| (mask >> a & 1) != (mask >> b & 1));
    }

    /// Two sides that only the node at `bridge` can reach both of.
    pub(crate) fn bridge(&mut self, mask: u64, bridge: usize) {
        self.cut_where(|a, b| a != bridge && b != bridge && (mask >> a & 1) != (mask >> b & 1));
    }

    /// Each of the first `size` nodes reaches only its two neighbours.
    pub(crate) fn ring(&mut self, size: usize) {
        self.cut_where(|a, b| {
            let distance = a.abs_diff(b);
            a < size && b < size && distance != 1 && distance + 1 != size
        });
    }

    fn cut_where(&mut self, is_cut: impl Fn(usize, usize) -> bool) {
        for (a, row) in self.cut.iter_mut().enumerate() {
            for (b, cut) in row.iter_mut().enumerate() {
                *cut |= is_cut(a, b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> Network {
        Network::new(1, Weather { delay: 5, jitter: 3, ..Weather::default() })
    }

    #[test]
    fn a_quiet_network_delivers_each_message_once() {
        let mut network = quiet();
        for _ in 0..100 {
            let fate = network.send(0, 1);
            assert!(matches!(fate.copies, [Some(5..=8), None]) && !fate.dropped);
        }
    }

    #[test]
    fn a_bridge_reaches_both_sides_and_a_ring_only_neighbours() {
        let mut network = quiet();
        network.bridge(0b00011, 4);
        assert!(network.is_cut(0, 2) && network.is_cut(3, 1));
        assert!(!network.is_cut(0, 4) && !network.is_cut(4, 2) && !network.is_cut(0, 1));
        network.heal();
        network.ring(5);
        assert!(network.is_cut(0, 2) && !network.is_cut(0, 4) && !network.is_cut(2, 3));
        network.heal();
        network.cut(1, 0);
        assert!(network.send(1, 0).dropped && !network.send(0, 1).dropped);
    }
}
