//! A configuration that has been checked: who votes, who learns, and what they have decided.
//!
//! It can only be read here. The next one comes from `changer`, the first from `restore`, so a
//! [`Membership`] that exists is one that a group may have.

use std::fmt;

use super::lists::Lists;
use crate::ids::{Index, NodeId};
use crate::quorum::{VoteResult, joint};
use crate::state::ConfState;

/// The members of a group and their parts, checked. The default is the empty configuration, which
/// a node has before it is bootstrapped or told of its group.
///
/// Every list is sorted and names nobody twice.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Membership {
    /// The voters, which are empty only if everything else is; the outgoing ones, not empty exactly
    /// while the configuration is joint; the learners, none of whom votes in either half, so that
    /// nobody has two parts at a time; and the next learners, all of whom are outgoing voters and
    /// none an incoming one: they cannot be learners before they have stopped to vote.
    ///
    /// Leaving by itself is said only while it is joint.
    lists: Lists<NodeId>,
}

impl Membership {
    /// From lists that were checked, in the order of the field.
    pub(super) fn new(lists: [Vec<NodeId>; 4], auto_leave: bool) -> Self {
        Self { lists: Lists::new(lists, auto_leave) }
    }

    /// The voters, sorted; of a joint configuration, the incoming ones.
    #[must_use]
    pub fn voters(&self) -> &[NodeId] {
        self.lists.first()
    }

    /// Of a joint configuration, the outgoing voters, sorted; otherwise nobody.
    #[must_use]
    pub fn voters_outgoing(&self) -> &[NodeId] {
        self.lists.second()
    }

    /// The members that receive the log and do not vote, sorted (thesis, section 4.2.1).
    #[must_use]
    pub fn learners(&self) -> &[NodeId] {
        self.lists.third()
    }

    /// The outgoing voters that become learners when the joint configuration is left, sorted.
    #[must_use]
    pub fn learners_next(&self) -> &[NodeId] {
        self.lists.fourth()
    }

    /// Whether the leader leaves this joint configuration by itself once that is safe.
    #[must_use]
    pub fn auto_leave(&self) -> bool {
        self.lists.auto_leave
    }

    /// Whether every member votes, in one majority.
    #[inline]
    pub(crate) fn has_only_voters(&self) -> bool {
        self.lists.has_only_first()
    }

    /// Whether there are no members at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.voters().is_empty()
    }

    /// Whether this node is a member in any part: whether a leader keeps track of it.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.is_voter(id) || self.is_learner(id)
    }

    /// Whether this node votes, in either half of a joint configuration.
    #[must_use]
    pub fn is_voter(&self, id: NodeId) -> bool {
        has(self.voters(), id) || has(self.voters_outgoing(), id)
    }

    /// Whether this node is a learner now. One of [`learners_next`](Self::learners_next) is not
    /// yet: it still votes.
    #[must_use]
    pub fn is_learner(&self, id: NodeId) -> bool {
        has(self.learners(), id)
    }

    /// Whether two majorities rule (paper, section 6).
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.voters_outgoing().is_empty()
    }

    /// Whether one voter decides alone.
    #[must_use]
    pub fn is_singleton(&self) -> bool {
        self.voters().len() == 1 && !self.is_joint()
    }

    /// Every member, sorted, each once. Allocates nothing.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + Clone + '_ {
        // Those who are staged to learn are among the outgoing voters.
        Merged { lists: [self.voters(), self.voters_outgoing(), self.learners()] }
    }

    /// Every voter of either half, sorted, each once. Allocates nothing.
    pub fn voters_of_both(&self) -> impl Iterator<Item = NodeId> + Clone + '_ {
        Merged { lists: [self.voters(), self.voters_outgoing(), &[]] }
    }

    /// The plain form, to be stored and sent. Its lists are sorted.
    #[must_use]
    pub fn to_conf_state(&self) -> ConfState {
        let numbers = |ids: &[NodeId]| ids.iter().map(|id| id.get()).collect();
        ConfState {
            voters: numbers(self.voters()),
            learners: numbers(self.learners()),
            voters_outgoing: numbers(self.voters_outgoing()),
            learners_next: numbers(self.learners_next()),
            auto_leave: self.auto_leave(),
        }
    }

    /// The highest index that the voters have acknowledged together, where `acked` gives the
    /// highest index that one of them is known to have. Without members it is the highest index
    /// there is.
    #[must_use]
    pub fn committed_index(&self, acked: impl Fn(NodeId) -> Option<Index>) -> Index {
        joint::committed_index(self.voters(), self.voters_outgoing(), acked)
    }

    /// How a vote stands, where `vote` gives the answer of one voter, `None` while it is missing.
    /// Without members it is won.
    #[must_use]
    pub fn vote_result(&self, vote: impl Fn(NodeId) -> Option<bool>) -> VoteResult {
        joint::vote_result(self.voters(), self.voters_outgoing(), vote)
    }
}

/// Displays as `voters=(1 2 3)&&(1) learners=(3) learners_next=(4) autoleave`, with what is
/// absent left out and ids in hexadecimal.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "voters={}", Listed(self.voters()))?;
        if self.is_joint() {
            write!(f, "&&{}", Listed(self.voters_outgoing()))?;
        }
        if !self.learners().is_empty() {
            write!(f, " learners={}", Listed(self.learners()))?;
        }
        if !self.learners_next().is_empty() {
            write!(f, " learners_next={}", Listed(self.learners_next()))?;
        }
        if self.auto_leave() {
            f.write_str(" autoleave")?;
        }
        Ok(())
    }
}

/// Whether a sorted list names this node.
pub(super) fn has(list: &[NodeId], id: NodeId) -> bool {
    list.binary_search(&id).is_ok()
}

/// The union of sorted lists, in order.
#[derive(Clone)]
struct Merged<'a> {
    /// What is left of each.
    lists: [&'a [NodeId]; 3],
}

impl Iterator for Merged<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        let least = self.lists.iter().filter_map(|list| list.first()).min().copied()?;
        for list in &mut self.lists {
            if list.first() == Some(&least) {
                *list = list.get(1..).unwrap_or_default();
            }
        }
        Some(least)
    }
}

/// Displays ids as `(1 2 3)`.
struct Listed<'a>(&'a [NodeId]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (at, id) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{id}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> NodeId {
        NodeId::new(n).unwrap()
    }

    fn ids(numbers: &[u64]) -> Vec<NodeId> {
        numbers.iter().map(|n| id(*n)).collect()
    }

    fn joint_configuration() -> Membership {
        let lists = [ids(&[1, 3, 12]), ids(&[1, 4, 5]), ids(&[2, 9]), ids(&[4])];
        Membership::new(lists, true)
    }

    #[test]
    fn members_of_every_part_come_once_and_sorted() {
        let members: Vec<_> = joint_configuration().members().map(NodeId::get).collect();
        assert_eq!(members, [1, 2, 3, 4, 5, 9, 12]);
        let voters: Vec<_> = joint_configuration().voters_of_both().map(NodeId::get).collect();
        assert_eq!(voters, [1, 3, 4, 5, 12]);
        assert_eq!(Membership::default().members().count(), 0);
    }

    #[test]
    fn a_staged_learner_still_votes() {
        let joint = joint_configuration();
        assert!(joint.is_voter(id(4)) && !joint.is_learner(id(4)));
        assert!(joint.is_learner(id(9)) && !joint.is_voter(id(9)));
        assert!(joint.contains(id(4)) && joint.contains(id(9)) && !joint.contains(id(6)));
    }

    #[test]
    fn a_lone_voter_decides_alone_unless_joint() {
        let of = |lists: [&[u64]; 4]| Membership::new(lists.map(ids), false);
        let alone = of([&[7], &[], &[], &[]]);
        assert!(alone.is_singleton() && !alone.is_joint() && !alone.is_empty());
        assert!(of([&[7], &[], &[8], &[]]).is_singleton());
        let joint = of([&[7], &[7], &[8], &[]]);
        assert!(!joint.is_singleton() && joint.is_joint());
        assert!(!Membership::default().is_singleton() && Membership::default().is_empty());
    }

    #[test]
    fn both_halves_decide() {
        let joint = joint_configuration();
        let acked = |voter: NodeId| Some(Index(100 - voter.get()));
        // The incoming half has 99, 97 and 88, the outgoing one 99, 96 and 95.
        assert_eq!(joint.committed_index(acked), Index(96));
        let incoming_only = |voter: NodeId| Some(has(joint.voters(), voter));
        assert_eq!(joint.vote_result(incoming_only), VoteResult::Lost);
        assert_eq!(joint.vote_result(|_| Some(true)), VoteResult::Won);
    }

    #[test]
    fn text_form_leaves_out_what_is_absent() {
        let text = "voters=(1 3 c)&&(1 4 5) learners=(2 9) learners_next=(4) autoleave";
        assert_eq!(joint_configuration().to_string(), text);
        let alone = Membership::new([ids(&[7]), ids(&[]), ids(&[]), ids(&[])], false);
        assert_eq!(alone.to_string(), "voters=(7)");
        assert_eq!(Membership::default().to_string(), "voters=()");
    }
}
