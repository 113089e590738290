//! From a stored or received [`ConfState`] to a configuration. Nothing in it is believed before
//! it is checked, and nothing is mended: a group that disagrees about its members has no majority.

use std::error::Error as StdError;
use std::fmt;

use super::Membership;
use super::configuration::has;
use crate::ids::NodeId;
use crate::state::ConfState;

/// Why a [`ConfState`] is no configuration that a group can have. The text completes a sentence
/// like "a snapshot with …".
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfStateError {
    /// Something is there, but no (incoming) voter.
    NoVoters,
    /// Zero or a reserved number stands where a member should.
    BadId(u64),
    /// One list names a member twice.
    NamedTwice(NodeId),
    /// Leaving by itself without a joint configuration to leave.
    AutoLeaveNotJoint,
    /// A learner to be, but no joint configuration in which it could wait.
    NextLearnerNotJoint(NodeId),
    /// A learner to be that does not vote in the outgoing half has nothing to wait for.
    NextLearnerNotOutgoing(NodeId),
    /// A learner to be that votes in the incoming half, and so will go on voting.
    NextLearnerIsVoter(NodeId),
    /// A learner to be that is a learner already.
    NextLearnerIsLearner(NodeId),
    /// A learner that votes, in either half.
    LearnerIsVoter(NodeId),
}

impl fmt::Display for ConfStateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVoters => f.write_str("no voters"),
            Self::BadId(id) => write!(f, "a member {id}, an id that no member can have"),
            Self::NamedTwice(id) => write!(f, "member {id} named twice"),
            Self::AutoLeaveNotJoint => {
                f.write_str("automatic leaving outside a joint configuration")
            }
            Self::NextLearnerNotJoint(id) => {
                write!(f, "member {id} as next learner outside a joint configuration")
            }
            Self::NextLearnerNotOutgoing(id) => {
                write!(f, "member {id} as next learner but not as outgoing voter")
            }
            Self::NextLearnerIsVoter(id) => {
                write!(f, "member {id} as next learner and as incoming voter")
            }
            Self::NextLearnerIsLearner(id) => {
                write!(f, "member {id} as next learner and as learner")
            }
            Self::LearnerIsVoter(id) => write!(f, "member {id} as learner and as voter"),
        }
    }
}

impl StdError for ConfStateError {}

impl Membership {
    /// The configuration that this state describes, in whatever order it names the members. A
    /// state without any content is the empty configuration.
    ///
    /// # Errors
    /// The first law that the state breaks; see [`ConfStateError`].
    pub fn from_conf_state(state: &ConfState) -> Result<Self, ConfStateError> {
        if *state == ConfState::default() {
            return Ok(Self::default());
        }
        if state.voters.is_empty() {
            return Err(ConfStateError::NoVoters);
        }
        let voters = sorted(&state.voters)?;
        let outgoing = sorted(&state.voters_outgoing)?;
        let (learners, next) = (sorted(&state.learners)?, sorted(&state.learners_next)?);
        let membership = Self::new([voters, outgoing, learners, next], state.auto_leave);
        if state.auto_leave && !membership.is_joint() {
            return Err(ConfStateError::AutoLeaveNotJoint);
        }
        for id in membership.learners_next() {
            membership.check_next_learner(*id)?;
        }
        match membership.learners().iter().find(|id| membership.is_voter(**id)) {
            Some(id) => Err(ConfStateError::LearnerIsVoter(*id)),
            None => Ok(membership),
        }
    }

    fn check_next_learner(&self, id: NodeId) -> Result<(), ConfStateError> {
        if !self.is_joint() {
            Err(ConfStateError::NextLearnerNotJoint(id))
        } else if has(self.voters(), id) {
            Err(ConfStateError::NextLearnerIsVoter(id))
        } else if has(self.learners(), id) {
            Err(ConfStateError::NextLearnerIsLearner(id))
        } else if !has(self.voters_outgoing(), id) {
            Err(ConfStateError::NextLearnerNotOutgoing(id))
        } else {
            Ok(())
        }
    }
}

fn sorted(numbers: &[u64]) -> Result<Vec<NodeId>, ConfStateError> {
    let known = |&number: &u64| NodeId::new(number).ok_or(ConfStateError::BadId(number));
    let mut ids = numbers.iter().map(known).collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    for (id, following) in ids.iter().zip(ids.iter().skip(1)) {
        if id == following {
            return Err(ConfStateError::NamedTwice(*id));
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joint() -> ConfState {
        ConfState {
            voters: vec![3, 1],
            learners: vec![9, 5],
            voters_outgoing: vec![2, 1, 4],
            learners_next: vec![4, 2],
            auto_leave: true,
        }
    }

    fn check_refused(change: impl FnOnce(&mut ConfState), expect: &str) {
        let mut state = joint();
        change(&mut state);
        let error = Membership::from_conf_state(&state).unwrap_err();
        assert_eq!(error.to_string(), expect, "{state:?}");
    }

    #[test]
    fn order_does_not_matter_and_comes_back_sorted() {
        let membership = Membership::from_conf_state(&joint()).unwrap();
        let expect = "voters=(1 3)&&(1 2 4) learners=(5 9) learners_next=(2 4) autoleave";
        assert_eq!(membership.to_string(), expect);
        let state = membership.to_conf_state();
        assert_eq!(state.voters_outgoing, [1, 2, 4]);
        assert!(state.is_equivalent(&joint()));
        assert_eq!(Membership::from_conf_state(&state), Ok(membership));
    }

    #[test]
    fn a_state_without_content_is_the_empty_configuration() {
        let empty = Membership::from_conf_state(&ConfState::default());
        assert_eq!(empty, Ok(Membership::default()));
        assert_eq!(Membership::default().to_conf_state(), ConfState::default());
    }

    #[test]
    fn every_broken_law_has_its_own_refusal() {
        check_refused(|s| s.voters.clear(), "no voters");
        check_refused(|s| *s = ConfState { auto_leave: true, ..ConfState::default() }, "no voters");
        check_refused(|s| s.voters.push(0), "a member 0, an id that no member can have");
        check_refused(
            |s| s.learners.push(NodeId::APPLY_THREAD),
            "a member 18446744073709551614, an id that no member can have",
        );
        check_refused(|s| s.voters_outgoing.push(2), "member 2 named twice");
        check_refused(|s| s.learners_next.push(4), "member 4 named twice");
        check_refused(
            |s| *s = ConfState { auto_leave: true, ..ConfState::with_voters([1]) },
            "automatic leaving outside a joint configuration",
        );
        check_refused(
            |s| *s = ConfState { learners_next: vec![2], ..ConfState::with_voters([1]) },
            "member 2 as next learner outside a joint configuration",
        );
        check_refused(
            |s| s.learners_next.push(7),
            "member 7 as next learner but not as outgoing voter",
        );
        check_refused(
            |s| s.learners_next.push(1),
            "member 1 as next learner and as incoming voter",
        );
        check_refused(|s| s.learners_next.push(9), "member 9 as next learner and as learner");
        check_refused(|s| s.learners.push(3), "member 3 as learner and as voter");
        check_refused(
            |s| *s = ConfState { learners: vec![4], learners_next: vec![], ..joint() },
            "member 4 as learner and as voter",
        );
    }
}
