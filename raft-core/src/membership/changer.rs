//! From one configuration to the next: pure functions that return the next one or say why there
//! is none, and leave the present one as it is.
//!
//! When a change may be proposed (one at a time, paper section 6) is `proposal`; what a leader
//! does with members that came or went is the leader's.

use std::error::Error as StdError;
use std::{fmt, mem};

use super::configuration::has;
use super::{ConfChangeKind, ConfChangeSingle, ConfChangeV2, Membership};
use crate::ids::NodeId;

/// Why a change cannot be applied to the present configuration. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChangeError {
    /// Nobody would be left to vote.
    RemovedAllVoters,
    /// A direct change of several voters: the majorities before and after need not meet.
    SeveralVotersChanged,
    /// A joint configuration must be left before another one is entered.
    AlreadyJoint,
    /// Without voters there is no majority that could rule together with the next one.
    JointWithoutVoters,
    /// A joint configuration must be left before a direct change.
    SimpleWhileJoint,
    /// There is no joint configuration to leave.
    NotJoint,
    /// A step names an id that no member can have.
    BadId(u64),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RemovedAllVoters => "removed all voters",
            Self::SeveralVotersChanged => {
                "more than one voter changed without entering joint config"
            }
            Self::AlreadyJoint => "config is already joint",
            Self::JointWithoutVoters => "can't make a zero-voter config joint",
            Self::SimpleWhileJoint => "can't apply simple config change in joint config",
            Self::NotJoint => "can't leave a non-joint config",
            Self::BadId(id) => return write!(f, "no member can have the id {id}"),
        })
    }
}

impl StdError for ChangeError {}

impl Membership {
    /// The configuration after this change, which leaves a joint configuration, enters one, or
    /// changes at most one voter directly: the change itself says which.
    ///
    /// # Errors
    /// Those of [`leave_joint`](Self::leave_joint), [`enter_joint`](Self::enter_joint) or
    /// [`simple`](Self::simple).
    pub fn apply(&self, change: &ConfChangeV2) -> Result<Self, ChangeError> {
        if change.is_leave_joint() {
            return self.leave_joint();
        }
        match change.enters_joint() {
            Some(auto_leave) => self.enter_joint(auto_leave, &change.changes),
            None => self.simple(&change.changes),
        }
    }

    /// The configuration after these steps, taken directly. They may change any number of
    /// learners but at most one voter: then every majority before meets every majority after
    /// (thesis, section 4.1).
    ///
    /// Also makes the first configuration from the empty one, a voter at a time.
    ///
    /// # Errors
    /// While joint; if no voter is left; if more than one voter came, went or was replaced; if a
    /// step names a reserved id.
    pub fn simple(&self, changes: &[ConfChangeSingle]) -> Result<Self, ChangeError> {
        if self.is_joint() {
            return Err(ChangeError::SimpleWhileJoint);
        }
        let next = Draft::of(self).with_steps(changes)?;
        let gone = self.voters().iter().filter(|id| !has(&next.voters, **id));
        let come = next.voters.iter().filter(|id| !has(self.voters(), **id));
        if gone.chain(come).nth(1).is_some() {
            return Err(ChangeError::SeveralVotersChanged);
        }
        Ok(next.finish())
    }

    /// The joint configuration of the present voters and of those after these steps: both
    /// majorities rule until it is left (paper, section 6; thesis, section 4.3).
    ///
    /// A present voter that is to learn keeps its vote until then and is staged in
    /// [`learners_next`](Self::learners_next).
    ///
    /// # Errors
    /// If joint already; if there are no voters now, or none after the steps; if a step names a
    /// reserved id.
    pub fn enter_joint(
        &self,
        auto_leave: bool,
        changes: &[ConfChangeSingle],
    ) -> Result<Self, ChangeError> {
        if self.is_joint() {
            return Err(ChangeError::AlreadyJoint);
        }
        if self.voters().is_empty() {
            return Err(ChangeError::JointWithoutVoters);
        }
        let start = Draft { outgoing: self.voters().to_vec(), auto_leave, ..Draft::of(self) };
        start.with_steps(changes).map(Draft::finish)
    }

    /// The configuration in which the incoming voters rule alone, and the staged learners learn.
    ///
    /// # Errors
    /// If the configuration is not joint.
    pub fn leave_joint(&self) -> Result<Self, ChangeError> {
        if !self.is_joint() {
            return Err(ChangeError::NotJoint);
        }
        let mut next = Draft { outgoing: Vec::new(), auto_leave: false, ..Draft::of(self) };
        for id in mem::take(&mut next.learners_next) {
            insert(&mut next.learners, id);
        }
        Ok(next.finish())
    }
}

/// A configuration while it changes: see [`Membership`] for what it must become.
struct Draft {
    voters: Vec<NodeId>,
    outgoing: Vec<NodeId>,
    learners: Vec<NodeId>,
    learners_next: Vec<NodeId>,
    auto_leave: bool,
}

impl Draft {
    fn of(membership: &Membership) -> Self {
        Self {
            voters: membership.voters().to_vec(),
            outgoing: membership.voters_outgoing().to_vec(),
            learners: membership.learners().to_vec(),
            learners_next: membership.learners_next().to_vec(),
            auto_leave: membership.auto_leave(),
        }
    }

    /// What is handed out would also be taken back.
    fn finish(self) -> Membership {
        let lists = [self.voters, self.outgoing, self.learners, self.learners_next];
        let next = Membership::new(lists, self.auto_leave);
        debug_assert_eq!(Membership::from_conf_state(&next.to_conf_state()).as_ref(), Ok(&next));
        next
    }

    /// The steps in order, applied to the incoming half.
    fn with_steps(mut self, changes: &[ConfChangeSingle]) -> Result<Self, ChangeError> {
        // Zero is the application's veto (see `ConfChangeSingle::node`).
        for change in changes.iter().filter(|change| change.node != 0) {
            let id = NodeId::new(change.node).ok_or(ChangeError::BadId(change.node))?;
            match change.kind {
                ConfChangeKind::AddVoter => self.add_voter(id),
                ConfChangeKind::AddLearner => self.add_learner(id),
                ConfChangeKind::Remove => self.remove(id),
                ConfChangeKind::Update => {}
            }
        }
        if self.voters.is_empty() {
            return Err(ChangeError::RemovedAllVoters);
        }
        Ok(self)
    }

    fn add_voter(&mut self, id: NodeId) {
        self.remove(id);
        insert(&mut self.voters, id);
    }

    /// Nobody is voter and learner at once, so an outgoing voter has to wait until the joint
    /// configuration is left. Everybody else learns at once and has caught up sooner.
    fn add_learner(&mut self, id: NodeId) {
        self.remove(id);
        if has(&self.outgoing, id) {
            insert(&mut self.learners_next, id);
        } else {
            insert(&mut self.learners, id);
        }
    }

    /// The outgoing half stays what it was: its majority still rules.
    fn remove(&mut self, id: NodeId) {
        for list in [&mut self.voters, &mut self.learners, &mut self.learners_next] {
            if let Ok(at) = list.binary_search(&id) {
                list.remove(at);
            }
        }
    }
}

/// Adds to a sorted list.
fn insert(list: &mut Vec<NodeId>, id: NodeId) {
    if let Err(at) = list.binary_search(&id) {
        list.insert(at, id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ConfChange, Transition};
    use super::*;
    use crate::state::ConfState;

    /// Reads `v1 l2 r3 u4`: voter, learner, remove, update.
    fn steps(text: &str) -> Vec<ConfChangeSingle> {
        let step = |token: &str| {
            let (kind, node) = token.split_at(1);
            let kind = match kind {
                "v" => ConfChangeKind::AddVoter,
                "l" => ConfChangeKind::AddLearner,
                "r" => ConfChangeKind::Remove,
                "u" => ConfChangeKind::Update,
                other => panic!("what is {other}?"),
            };
            ConfChangeSingle { kind, node: node.parse().unwrap() }
        };
        text.split_whitespace().map(step).collect()
    }

    fn voters(numbers: &[u64]) -> Membership {
        let state = ConfState::with_voters(numbers.iter().copied());
        Membership::from_conf_state(&state).unwrap()
    }

    fn text(outcome: Result<Membership, ChangeError>) -> String {
        outcome.map_or_else(|error| error.to_string(), |next| next.to_string())
    }

    fn check_simple(start: &Membership, changes: &str, expect: &str) {
        assert_eq!(text(start.simple(&steps(changes))), expect, "{start}, simple {changes}");
    }

    fn check_joint(start: &Membership, changes: &str, expect: &str) {
        assert_eq!(text(start.enter_joint(false, &steps(changes))), expect, "{start} {changes}");
    }

    #[test]
    fn one_voter_comes_goes_or_changes_its_part() {
        let start = voters(&[1, 2, 3]);
        check_simple(&start, "v8", "voters=(1 2 3 8)");
        check_simple(&start, "r2", "voters=(1 3)");
        check_simple(&start, "l2", "voters=(1 3) learners=(2)");
        check_simple(&start, "v3", "voters=(1 2 3)");
        check_simple(&start, "r77", "voters=(1 2 3)");
        check_simple(&start, "u2 u77", "voters=(1 2 3)");
        check_simple(&start, "", "voters=(1 2 3)");
        check_simple(&start, "v4 r4 l5 r5", "voters=(1 2 3)");
        let learner = start.simple(&steps("l4")).unwrap();
        check_simple(&learner, "l4", "voters=(1 2 3) learners=(4)");
        check_simple(&learner, "v4", "voters=(1 2 3 4)");
    }

    #[test]
    fn the_first_voters_come_one_at_a_time() {
        let empty = Membership::default();
        check_simple(&empty, "v5", "voters=(5)");
        check_simple(&empty, "v5 l6", "voters=(5) learners=(6)");
        check_simple(&empty, "v5 v6", "more than one voter changed without entering joint config");
        check_simple(&empty, "", "removed all voters");
        check_simple(&empty, "l5", "removed all voters");
        check_joint(&empty, "v5", "can't make a zero-voter config joint");
    }

    #[test]
    fn a_replaced_voter_counts_twice_but_none_at_all_is_worse() {
        let several = "more than one voter changed without entering joint config";
        let start = voters(&[1, 2, 3]);
        check_simple(&start, "r3 v4", several);
        check_simple(&start, "l1 l2", several);
        check_simple(&start, "r1 r2 r3", "removed all voters");
    }

    #[test]
    fn a_vetoed_step_is_skipped_and_a_reserved_id_refused() {
        let start = voters(&[1]);
        check_simple(&start, "v0 l0 r0 u0", "voters=(1)");
        for reserved in [NodeId::APPEND_THREAD, NodeId::APPLY_THREAD] {
            for kind in ["v", "l", "r", "u"] {
                let outcome = start.simple(&steps(&format!("v2 {kind}{reserved}")));
                assert_eq!(outcome, Err(ChangeError::BadId(reserved)));
            }
        }
        let text = ChangeError::BadId(u64::MAX).to_string();
        assert_eq!(text, "no member can have the id 18446744073709551615");
    }

    #[test]
    fn a_demoted_voter_is_staged_until_the_joint_configuration_is_left() {
        let joint = voters(&[1, 2, 3]).enter_joint(true, &steps("l3 v4 l5 r2")).unwrap();
        let expect = "voters=(1 4)&&(1 2 3) learners=(5) learners_next=(3) autoleave";
        assert_eq!(joint.to_string(), expect);
        assert_eq!(text(joint.leave_joint()), "voters=(1 4) learners=(3 5)");
    }

    #[test]
    fn the_last_word_on_a_member_holds() {
        let start = voters(&[1, 2]);
        check_joint(&start, "l2 v2", "voters=(1 2)&&(1 2)");
        check_joint(&start, "l2 r2", "voters=(1)&&(1 2)");
        check_joint(&start, "r2 l2 l2", "voters=(1)&&(1 2) learners_next=(2)");
        check_joint(&start, "v3 l3 v3", "voters=(1 2 3)&&(1 2)");
        check_joint(&start, "r1 r2", "removed all voters");
    }

    #[test]
    fn a_joint_configuration_can_only_be_left() {
        let joint = voters(&[1]).enter_joint(false, &[]).unwrap();
        assert_eq!(joint.to_string(), "voters=(1)&&(1)");
        check_joint(&joint, "v2", "config is already joint");
        check_simple(&joint, "v2", "can't apply simple config change in joint config");
        let left = joint.leave_joint().unwrap();
        assert_eq!(left, voters(&[1]));
        assert_eq!(text(left.leave_joint()), "can't leave a non-joint config");
    }

    #[test]
    fn a_change_says_how_it_is_carried_out() {
        let change = |transition, text: &str| ConfChangeV2 {
            transition,
            changes: steps(text),
            ..ConfChangeV2::default()
        };
        let start = voters(&[1]);
        let check = |transition, changes, expect: &str| {
            assert_eq!(text(start.apply(&change(transition, changes))), expect);
        };
        check(Transition::Auto, "v2", "voters=(1 2)");
        check(Transition::Auto, "v2 l3", "voters=(1 2)&&(1) learners=(3) autoleave");
        check(Transition::JointImplicit, "v2", "voters=(1 2)&&(1) autoleave");
        check(Transition::JointImplicit, "", "voters=(1)&&(1) autoleave");
        check(Transition::JointExplicit, "v2", "voters=(1 2)&&(1)");
        check(Transition::Auto, "", "can't leave a non-joint config");
        let joint = start.apply(&change(Transition::JointExplicit, "v2")).unwrap();
        assert_eq!(text(joint.apply(&ConfChangeV2::leave_joint())), "voters=(1 2)");
        let one = ConfChange { node: 2, ..ConfChange::default() };
        assert_eq!(text(start.apply(&one.into())), "voters=(1 2)");
    }
}
