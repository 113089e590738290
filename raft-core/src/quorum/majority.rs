//! Decisions of one set of voters: what more than half of them support (paper, section 5).
//!
//! Two sets at once are `joint`.

use smallvec::SmallVec;

use super::VoteResult;
use crate::ids::{Index, NodeId};

/// How many voters are counted on the stack.
const STACK_VOTERS: usize = 16;

/// The highest index that a majority of `voters` has acknowledged.
///
/// `acked` gives the highest index that a voter is known to have; `None` counts as zero. Without
/// voters the answer is the highest index there is: an empty half never holds back a joint
/// configuration, so a caller that might have no voters at all asks for that first.
#[must_use]
pub fn committed_index(voters: &[NodeId], acked: impl Fn(NodeId) -> Option<Index>) -> Index {
    committed_index_of(voters, |voter| acked(*voter).unwrap_or(Index::ZERO))
}

/// The same, where what a voter has acknowledged need not be looked up by its id: `voters` are
/// whatever stands for them.
#[inline]
pub(crate) fn committed_index_of<V>(voters: &[V], index_of: impl Fn(&V) -> Index) -> Index {
    // The usual groups are decided by a few comparisons; the rest is sorted.
    match voters {
        [] => Index(u64::MAX),
        [a] => index_of(a),
        [a, b] => index_of(a).min(index_of(b)),
        [a, b, c] => median_of_3(index_of(a), index_of(b), index_of(c)),
        [a, b, c, d, e] => {
            let (a, b, c, d) = (index_of(a), index_of(b), index_of(c), index_of(d));
            // The least and the greatest of four can be left out: neither is needed to find the
            // middle of all five. These are the other two, in either order.
            let greater_low = a.min(b).max(c.min(d));
            let lesser_high = a.max(b).min(c.max(d));
            median_of_3(greater_low, lesser_high, index_of(e))
        }
        _ => by_sorting(voters.iter().map(index_of).collect()),
    }
}

/// How the vote of `voters` stands, given what each of them said so far.
///
/// `vote` gives a voter's answer, `None` while it is missing. Without voters the vote is won: an
/// empty half never holds back a joint configuration.
#[must_use]
pub fn vote_result(voters: &[NodeId], vote: impl Fn(NodeId) -> Option<bool>) -> VoteResult {
    if voters.is_empty() {
        return VoteResult::Won;
    }
    let (mut granted, mut missing) = (0usize, 0usize);
    for &voter in voters {
        match vote(voter) {
            Some(true) => granted = granted.saturating_add(1),
            Some(false) => {}
            None => missing = missing.saturating_add(1),
        }
    }
    let half = voters.len() / 2;
    if granted > half {
        VoteResult::Won
    } else if granted.saturating_add(missing) > half {
        VoteResult::Pending
    } else {
        VoteResult::Lost
    }
}

fn median_of_3(a: Index, b: Index, c: Index) -> Index {
    a.min(b).max(a.max(b).min(c))
}

#[inline(never)]
fn by_sorting(mut indexes: SmallVec<[Index; STACK_VOTERS]>) -> Index {
    indexes.sort_unstable_by(|a, b| b.cmp(a));
    // From the top, the entry at half the length has a majority at or above it.
    indexes.get(indexes.len() / 2).copied().unwrap_or(Index(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::twin::{self, Random};
    use super::*;

    fn check(acks: &[Option<u64>]) {
        let voters = twin::ids(1..=acks.len() as u64);
        let acked = |id: NodeId| acks[id.get() as usize - 1].map(Index);
        let expect = twin::committed_index(&[&voters], &acked);
        assert_eq!(committed_index(&voters, acked), expect, "acknowledged: {acks:?}");
    }

    #[test]
    fn commit_index_equals_the_twins_in_every_small_case() {
        for voters in 0..=7 {
            twin::every_list(&[None, Some(0), Some(1), Some(5)], voters, check);
        }
        twin::every_list(&[None, Some(1), Some(2), Some(3), Some(4), Some(5)], 5, check);
    }

    #[test]
    fn commit_index_equals_the_twins_in_random_cases() {
        let mut random = Random::new(0x7261_6674);
        for _ in 0..20_000 {
            let voters = random.below(24);
            let acks: Vec<_> =
                (0..voters).map(|_| Some(random.below(50)).filter(|i| *i > 5)).collect();
            check(&acks);
        }
    }

    #[test]
    fn vote_result_equals_the_twins_in_every_small_case() {
        for voters in 0..=7 {
            twin::every_list(&[None, Some(false), Some(true)], voters, |votes| {
                let voters = twin::ids(1..=votes.len() as u64);
                let vote = |id: NodeId| votes[id.get() as usize - 1];
                let expect = twin::vote_result(&[&voters], &vote);
                assert_eq!(vote_result(&voters, vote), expect, "votes: {votes:?}");
            });
        }
    }

    #[test]
    fn nobody_never_holds_back_anybody() {
        assert_eq!(committed_index(&[], |_| None), Index(u64::MAX));
        assert_eq!(vote_result(&[], |_| None), VoteResult::Won);
    }

    #[test]
    fn an_even_group_needs_more_than_half() {
        let voters = twin::ids(1..=4);
        let acked = |id: NodeId| Some(Index(if id.get() <= 2 { 9 } else { 4 }));
        assert_eq!(committed_index(&voters, acked), Index(4));
        let vote = |id: NodeId| Some(id.get() <= 2);
        assert_eq!(vote_result(&voters, vote), VoteResult::Lost);
    }
}
