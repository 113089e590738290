//! Terms, votes and leaders (paper, section 5.2; thesis, section 9.6).

use raftcore::{HardState, Membership, NodeId, Position, RoleKind};

use super::{Verdict, ensure};
use crate::network::SLOTS;

/// What was seen of elections since the run began, crashes included.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Election {
    /// Who led a term.
    leaders: Vec<Option<NodeId>>,
    /// For each slot, whom it promised its vote in a term.
    votes: [Vec<Option<NodeId>>; SLOTS],
    /// How many terms had a leader.
    pub(crate) elected: u64,
}

/// A place in a list that grows.
fn place<T: Default + Clone>(list: &mut Vec<T>, at: u64) -> &mut T {
    let at = at as usize;
    if at >= list.len() {
        list.resize(at + 1, T::default());
    }
    &mut list[at]
}

impl Election {
    /// A node's state before and after a step.
    pub(crate) fn on_step(&self, id: NodeId, before: &HardState, after: &HardState) -> Verdict {
        if before.term == after.term && before.vote == after.vote {
            return ensure(after.commit >= before.commit, "commit_is_monotone", || {
                format!("node {id}: {} after {}", after.commit, before.commit)
            });
        }
        ensure(after.term >= before.term, "term_never_falls", || {
            format!("node {id}: {} after {}", after.term, before.term)
        })?;
        let kept = after.term > before.term || before.vote.is_none() || before.vote == after.vote;
        ensure(kept, "one_vote_a_term", || {
            let (was, is) = (before.vote, after.vote);
            format!("node {id} changed its vote in term {}: {was:?} to {is:?}", after.term)
        })
    }

    /// A node leads.
    pub(crate) fn on_leading(&mut self, id: NodeId, term: u64) -> Verdict {
        let leader = place(&mut self.leaders, term);
        if leader.is_none() {
            self.elected += 1;
        }
        let first = *leader.get_or_insert(id);
        ensure(first == id, "one_leader_a_term", || format!("{first} and {id} led term {term}"))
    }

    /// A node promised its vote to somebody, by a message or by counting it for itself.
    pub(crate) fn on_promise(&mut self, slot: usize, term: u64, candidate: NodeId) -> Verdict {
        let promise = place(&mut self.votes[slot], term);
        let first = *promise.get_or_insert(candidate);
        ensure(first == candidate, "one_vote_a_term", || {
            format!("node {} voted for {first} and for {candidate} in term {term}", slot + 1)
        })
    }

    /// Whom this node promised its vote in this term.
    pub(crate) fn promise(&self, slot: usize, term: u64) -> Option<NodeId> {
        self.votes[slot].get(term as usize).copied().flatten()
    }

    /// A node has just won an election: a majority of both halves promised it their votes.
    pub(crate) fn on_elected(&self, id: NodeId, term: u64, membership: &Membership) -> Verdict {
        let voted = |voter: &NodeId| {
            *voter == id || self.promise(voter.get() as usize - 1, term) == Some(id)
        };
        ensure(has_majorities(membership, voted), "elected_by_a_majority", || {
            format!("node {id} leads term {term} in {membership} without the votes")
        })?;
        ensure(membership.is_voter(id), "learners_never_campaign", || {
            format!("node {id} leads term {term} in {membership}")
        })
    }

    /// A vote was granted.
    pub(crate) fn on_granted(&self, id: NodeId, voter: Position, candidate: Position) -> Verdict {
        ensure(candidate >= voter, "vote_only_for_an_up_to_date_log", || {
            format!("node {id}, whose log ends at {voter}, voted for one that ends at {candidate}")
        })
    }

    /// A node began to campaign, or to ask whether it could.
    pub(crate) fn on_campaign(
        &self,
        id: NodeId,
        role: RoleKind,
        states: (&HardState, &HardState),
        membership: &Membership,
    ) -> Verdict {
        ensure(membership.is_voter(id), "learners_never_campaign", || {
            format!("node {id} campaigns in {membership}")
        })?;
        let (before, after) = states;
        let kept = (before.term, before.vote) == (after.term, after.vote);
        ensure(role != RoleKind::PreCandidate || kept, "pre_vote_changes_nothing", || {
            format!("node {id} went from {before:?} to {after:?} to ask for pre-votes")
        })
    }
}

/// Whether a majority of each half is so: counted here by hand, not by the core's own arithmetic.
pub(crate) fn has_majorities(membership: &Membership, is_so: impl Fn(&NodeId) -> bool) -> bool {
    let half = |ids: &[NodeId]| {
        ids.is_empty() || 2 * ids.iter().filter(|id| is_so(id)).count() > ids.len()
    };
    !membership.voters().is_empty()
        && half(membership.voters())
        && half(membership.voters_outgoing())
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;
    use raftcore::{ConfState, Index, Term};

    fn id(n: u64) -> NodeId {
        NodeId::new(n).unwrap()
    }

    fn state(term: u64, vote: u64, commit: u64) -> HardState {
        HardState { term: Term(term), vote: NodeId::new(vote), commit: Index(commit) }
    }

    fn position(term: u64, index: u64) -> Position {
        Position { term: Term(term), index: Index(index) }
    }

    fn joint() -> Membership {
        let outgoing = vec![3, 4, 5];
        let state =
            ConfState { voters: vec![1, 2, 3], voters_outgoing: outgoing, ..Default::default() };
        Membership::from_conf_state(&state).unwrap()
    }

    #[test]
    fn two_leaders_of_a_term_are_seen() {
        let mut judge = Election::default();
        judge.on_leading(id(1), 4).unwrap();
        judge.on_leading(id(1), 4).unwrap();
        judge.on_leading(id(2), 5).unwrap();
        assert_objects(judge.on_leading(id(2), 4), "one_leader_a_term");
    }

    #[test]
    fn falling_terms_and_changed_votes_are_seen() {
        let mut judge = Election::default();
        judge.on_step(id(1), &state(1, 0, 2), &state(1, 2, 3)).unwrap();
        let fall = judge.on_step(id(1), &state(2, 0, 0), &state(1, 0, 0));
        assert_objects(fall, "term_never_falls");
        let change = judge.on_step(id(1), &state(2, 1, 0), &state(2, 3, 0));
        assert_objects(change, "one_vote_a_term");
        let commit = judge.on_step(id(1), &state(2, 1, 5), &state(2, 1, 4));
        assert_objects(commit, "commit_is_monotone");
        judge.on_promise(0, 7, id(2)).unwrap();
        assert_objects(judge.on_promise(0, 7, id(3)), "one_vote_a_term");
    }

    #[test]
    fn a_stale_log_gets_no_vote() {
        let judge = Election::default();
        judge.on_granted(id(1), position(2, 9), position(3, 1)).unwrap();
        let stale = judge.on_granted(id(1), position(2, 9), position(2, 8));
        assert_objects(stale, "vote_only_for_an_up_to_date_log");
    }

    #[test]
    fn an_election_takes_both_halves_and_no_learner() {
        let mut judge = Election::default();
        for voter in [1, 2] {
            judge.on_promise(voter - 1, 3, id(1)).unwrap();
        }
        assert_objects(judge.on_elected(id(1), 3, &joint()), "elected_by_a_majority");
        for voter in [3, 4] {
            judge.on_promise(voter - 1, 3, id(1)).unwrap();
        }
        judge.on_elected(id(1), 3, &joint()).unwrap();
        let states = (&state(3, 0, 0), &state(3, 0, 0));
        let learner = judge.on_campaign(id(6), RoleKind::Candidate, states, &joint());
        assert_objects(learner, "learners_never_campaign");
        let raised = (&state(3, 0, 0), &state(4, 0, 0));
        let asked = judge.on_campaign(id(1), RoleKind::PreCandidate, raised, &joint());
        assert_objects(asked, "pre_vote_changes_nothing");
    }
}
