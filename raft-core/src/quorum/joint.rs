//! Decisions of a joint configuration: both majorities must support them (paper, section 6).
//!
//! With one half empty this is the decision of the other half, so a caller need not ask which
//! kind of configuration it has.

use super::{VoteResult, majority};
use crate::ids::{Index, NodeId};

/// The highest index that a majority of `incoming` and a majority of `outgoing` have
/// acknowledged. See [`majority::committed_index`].
#[must_use]
pub fn committed_index(
    incoming: &[NodeId],
    outgoing: &[NodeId],
    acked: impl Fn(NodeId) -> Option<Index>,
) -> Index {
    let index = majority::committed_index(incoming, &acked);
    // Nearly always there is but one half.
    if outgoing.is_empty() {
        return index;
    }
    index.min(majority::committed_index(outgoing, &acked))
}

/// How the vote of both halves stands: won if both grant it, lost as soon as one refuses. See
/// [`majority::vote_result`].
#[must_use]
pub fn vote_result(
    incoming: &[NodeId],
    outgoing: &[NodeId],
    vote: impl Fn(NodeId) -> Option<bool>,
) -> VoteResult {
    let halves = (majority::vote_result(incoming, &vote), majority::vote_result(outgoing, &vote));
    match halves {
        (VoteResult::Won, VoteResult::Won) => VoteResult::Won,
        (VoteResult::Lost, _) | (_, VoteResult::Lost) => VoteResult::Lost,
        (VoteResult::Pending, _) | (_, VoteResult::Pending) => VoteResult::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::super::twin::{self, Random};
    use super::*;

    fn check_commit(incoming: &[NodeId], outgoing: &[NodeId], acks: &[Option<u64>]) {
        let acked = |id: NodeId| acks[id.get() as usize - 1].map(Index);
        let expect = twin::committed_index(&[incoming, outgoing], &acked);
        let case = format!("{incoming:?} && {outgoing:?}, acknowledged: {acks:?}");
        assert_eq!(committed_index(incoming, outgoing, acked), expect, "{case}");
        assert_eq!(committed_index(outgoing, incoming, acked), expect, "swapped: {case}");
    }

    fn check_vote(incoming: &[NodeId], outgoing: &[NodeId], votes: &[Option<bool>]) {
        let vote = |id: NodeId| votes[id.get() as usize - 1];
        let expect = twin::vote_result(&[incoming, outgoing], &vote);
        let case = format!("{incoming:?} && {outgoing:?}, votes: {votes:?}");
        assert_eq!(vote_result(incoming, outgoing, vote), expect, "{case}");
        assert_eq!(vote_result(outgoing, incoming, vote), expect, "swapped: {case}");
    }

    #[test]
    fn every_pair_of_small_halves_decides_as_the_twin() {
        let subsets: Vec<_> = (0u64..16)
            .map(|set| twin::ids((1..=4).filter(|id| set >> (id - 1) & 1 == 1)))
            .collect();
        for incoming in &subsets {
            for outgoing in &subsets {
                twin::every_list(&[None, Some(1), Some(2), Some(3)], 4, |acks| {
                    check_commit(incoming, outgoing, acks);
                });
                twin::every_list(&[None, Some(false), Some(true)], 4, |votes| {
                    check_vote(incoming, outgoing, votes);
                });
            }
        }
    }

    #[test]
    fn random_halves_decide_as_the_twin() {
        let mut random = Random::new(0x6a6f_696e);
        for _ in 0..20_000 {
            let all = 1 + random.below(12);
            let mut half = || twin::ids((1..=all).filter(|_| random.below(2) == 0));
            let (incoming, outgoing) = (half(), half());
            let acks: Vec<_> =
                (0..all).map(|_| Some(random.below(30)).filter(|i| *i > 3)).collect();
            check_commit(&incoming, &outgoing, &acks);
            let votes: Vec<_> = (0..all)
                .map(|_| [None, Some(false), Some(true)][random.below(3) as usize])
                .collect();
            check_vote(&incoming, &outgoing, &votes);
        }
    }

    #[test]
    fn an_empty_half_leaves_the_decision_to_the_other() {
        let voters = twin::ids(1..=3);
        let acked = |id: NodeId| Some(Index(id.get()));
        assert_eq!(committed_index(&voters, &[], acked), Index(2));
        assert_eq!(vote_result(&voters, &[], |_| None), VoteResult::Pending);
        assert_eq!(vote_result(&[], &[], |_| None), VoteResult::Won);
    }
}
