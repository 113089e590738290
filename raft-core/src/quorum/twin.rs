//! The dumb twin of this room, for its tests: definitions written down as they are said, without
//! a thought for speed, over any number of voter sets that must all agree.

use std::ops::RangeInclusive;

use super::VoteResult;
use crate::ids::{Index, NodeId};

/// The ids with these numbers.
pub(super) fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<NodeId> {
    numbers.into_iter().map(|n| NodeId::new(n).unwrap()).collect()
}

/// The highest index that somebody acknowledged and that every set has a majority for.
pub(super) fn committed_index(
    sets: &[&[NodeId]],
    acked: &impl Fn(NodeId) -> Option<Index>,
) -> Index {
    let supported = |index: Index| {
        sets.iter().filter(|set| !set.is_empty()).all(|set| {
            let supporters = set.iter().filter(|id| acked(**id).unwrap_or_default() >= index);
            2 * supporters.count() > set.len()
        })
    };
    if supported(Index(u64::MAX)) {
        return Index(u64::MAX);
    }
    let reported = sets.iter().flat_map(|set| set.iter()).filter_map(|id| acked(*id));
    reported.filter(|index| supported(*index)).max().unwrap_or(Index::ZERO)
}

/// Casts the missing votes in every possible way and looks at what can come out.
pub(super) fn vote_result(
    sets: &[&[NodeId]],
    vote: &impl Fn(NodeId) -> Option<bool>,
) -> VoteResult {
    let mut missing: Vec<NodeId> =
        sets.iter().flat_map(|set| set.iter().copied()).filter(|id| vote(*id).is_none()).collect();
    missing.sort_unstable();
    missing.dedup();
    let wins = |ballot: u32| {
        let granted = |id: &&NodeId| {
            let cast = || missing.iter().position(|m| m == *id).map(|at| ballot >> at & 1 == 1);
            vote(**id).or_else(cast).unwrap()
        };
        sets.iter()
            .filter(|set| !set.is_empty())
            .all(|set| 2 * set.iter().filter(granted).count() > set.len())
    };
    let ballots: RangeInclusive<u32> = 0..=(1 << missing.len()) - 1;
    match (ballots.clone().any(wins), ballots.into_iter().all(wins)) {
        (_, true) => VoteResult::Won,
        (true, false) => VoteResult::Pending,
        (false, false) => VoteResult::Lost,
    }
}

/// Calls `act` with every list of this length over these values.
pub(super) fn every_list<T: Copy>(values: &[T], len: usize, mut act: impl FnMut(&[T])) {
    for mut number in 0..values.len().pow(len as u32) {
        let mut list = Vec::with_capacity(len);
        for _ in 0..len {
            list.push(values[number % values.len()]);
            number /= values.len();
        }
        act(&list);
    }
}

/// A xorshift generator: the same seed, the same cases.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`, which is above zero.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
