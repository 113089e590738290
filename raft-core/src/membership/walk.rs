//! Random walks from configuration to configuration: after every change all laws hold, and the
//! outcome is what a dumb twin says. A failure names the seed that replays it.

use std::collections::BTreeMap;

use super::{ChangeError, ConfChangeKind, ConfChangeSingle, ConfChangeV2, Membership, Transition};
use crate::ids::NodeId;
use crate::quorum::VoteResult;

const WALKS: u64 = 400;
const CHANGES: usize = 60;
/// Small enough to try all sets of members.
const IDS: u64 = 5;

/// A xorshift generator: the same seed, the same walk.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn change(&mut self) -> ConfChangeV2 {
        let transitions = [Transition::Auto, Transition::JointImplicit, Transition::JointExplicit];
        let kinds = [
            ConfChangeKind::AddVoter,
            ConfChangeKind::AddVoter,
            ConfChangeKind::AddLearner,
            ConfChangeKind::Remove,
            ConfChangeKind::Update,
        ];
        let transition = transitions[self.below(3) as usize];
        let changes = (0..self.below(5))
            .map(|_| ConfChangeSingle {
                kind: kinds[self.below(kinds.len() as u64) as usize],
                node: self.below(IDS + 1),
            })
            .collect();
        ConfChangeV2 { transition, changes, ..ConfChangeV2::default() }
    }
}

/// Walks, and shows every step that succeeded to `check`: the way it was made, before, after.
fn walk(mut check: impl FnMut(&str, &ConfChangeV2, &Membership, &Membership, &str)) {
    for seed in 1..=WALKS {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut here = Membership::default();
        for _ in 0..CHANGES {
            let change = random.change();
            let (way, next) = match random.below(4) {
                0 => ("simple", here.simple(&change.changes)),
                1 => ("enter", here.enter_joint(random.below(2) == 0, &change.changes)),
                2 => ("leave", here.leave_joint()),
                _ => ("apply", here.apply(&change)),
            };
            if let Ok(next) = next {
                let story = format!("seed {seed}: {here}, {way} {change:?}, then {next}");
                check(way, &change, &here, &next, &story);
                here = next;
            }
        }
    }
}

/// Whether these members, a bit each, are a majority in every half.
fn rules(membership: &Membership, set: u32) -> bool {
    let vote = |id: NodeId| Some(set >> id.get() & 1 == 1);
    membership.vote_result(vote) == VoteResult::Won
}

fn is_strictly_sorted(ids: &[NodeId]) -> bool {
    ids.windows(2).all(|pair| pair[0] < pair[1])
}

#[test]
fn every_law_holds_after_every_change() {
    let (mut steps, mut joint, mut staged) = (0, 0, 0);
    walk(|_, _, _, next, story| {
        let (voters, outgoing) = (next.voters(), next.voters_outgoing());
        let (learners, learners_next) = (next.learners(), next.learners_next());
        for list in [voters, outgoing, learners, learners_next] {
            assert!(is_strictly_sorted(list), "{story}");
        }
        assert!(!voters.is_empty(), "{story}");
        assert!(
            learners.iter().all(|id| !voters.contains(id) && !outgoing.contains(id)),
            "{story}"
        );
        assert!(learners_next.iter().all(|id| outgoing.contains(id)), "{story}");
        assert!(learners_next.iter().all(|id| !voters.contains(id)), "{story}");
        assert!(next.is_joint() || !next.auto_leave(), "{story}");
        assert_eq!(
            Membership::from_conf_state(&next.to_conf_state()).as_ref(),
            Ok(next),
            "{story}"
        );
        let members: Vec<_> = next.members().collect();
        assert!(is_strictly_sorted(&members), "{story}");
        for id in (1..=IDS).filter_map(NodeId::new) {
            assert_eq!(members.contains(&id), next.contains(id), "{story}");
        }
        steps += 1;
        joint += usize::from(next.is_joint());
        staged += usize::from(!learners_next.is_empty());
    });
    assert!(steps > 5_000 && joint > 1_000 && staged > 200, "{steps} {joint} {staged}");
}

#[test]
fn every_majority_before_meets_every_majority_after() {
    let everybody = (1u32 << (IDS + 1)) - 1;
    walk(|_, _, here, next, story| {
        // The first configuration follows on nobody's rule.
        if here.is_empty() {
            return;
        }
        for set in 0..=everybody {
            // Whoever rules before: the others must not rule after.
            let disjoint = rules(here, set) && rules(next, everybody & !set);
            assert!(!disjoint, "{set:b} before, its complement after: {story}");
        }
    });
}

#[test]
fn a_simple_change_moves_at_most_one_voter() {
    walk(|way, _, here, next, story| {
        if way == "simple" {
            let moved = (1..=IDS)
                .filter_map(NodeId::new)
                .filter(|id| here.voters().contains(id) != next.voters().contains(id));
            assert!(moved.count() <= 1, "{story}");
            assert!(!here.is_joint() && !next.is_joint(), "{story}");
        }
    });
}

#[test]
fn the_outgoing_half_is_the_configuration_before_and_nobody_changes_it() {
    walk(|way, _, here, next, story| {
        if way == "enter" {
            assert_eq!(next.voters_outgoing(), here.voters(), "{story}");
        }
        if way == "leave" {
            assert_eq!(next.voters(), here.voters(), "{story}");
            assert!(here.learners_next().iter().all(|id| next.is_learner(*id)), "{story}");
            assert!(here.learners().iter().all(|id| next.is_learner(*id)), "{story}");
        }
    });
}

/// What a member is in the incoming half, according to the twin.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Voter,
    Learner,
}

/// The last step that names a member decides about it; whoever is not named stays what it was.
fn twin(here: &Membership, change: &ConfChangeV2) -> BTreeMap<u64, Part> {
    let voters = here.voters().iter().map(|id| (id.get(), Part::Voter));
    let learners = here.learners().iter().chain(here.learners_next());
    let mut parts: BTreeMap<_, _> =
        voters.chain(learners.map(|id| (id.get(), Part::Learner))).collect();
    for step in change.changes.iter().filter(|step| step.node != 0) {
        match step.kind {
            ConfChangeKind::AddVoter => parts.insert(step.node, Part::Voter),
            ConfChangeKind::AddLearner => parts.insert(step.node, Part::Learner),
            ConfChangeKind::Remove => parts.remove(&step.node),
            ConfChangeKind::Update => None,
        };
    }
    parts
}

fn with(parts: &BTreeMap<u64, Part>, part: Part) -> Vec<u64> {
    parts.iter().filter(|(_, is)| **is == part).map(|(id, _)| *id).collect()
}

#[test]
fn the_last_step_that_names_a_member_decides_about_it() {
    walk(|way, change, here, next, story| {
        let parts = match way {
            "simple" | "enter" => twin(here, change),
            _ => return,
        };
        let state = next.to_conf_state();
        assert_eq!(state.voters, with(&parts, Part::Voter), "{story}");
        let mut learners = [state.learners, state.learners_next].concat();
        learners.sort_unstable();
        assert_eq!(learners, with(&parts, Part::Learner), "{story}");
    });
}

#[test]
fn a_change_is_refused_for_its_reason_and_for_no_other() {
    walk(|_, change, _, here, story| {
        let parts = twin(here, change);
        let after = with(&parts, Part::Voter);
        let before: Vec<_> = here.voters().iter().map(|id| id.get()).collect();
        let moved = (1..=IDS).filter(|id| before.contains(id) != after.contains(id)).count();

        let simple = if here.is_joint() {
            Some(ChangeError::SimpleWhileJoint)
        } else if after.is_empty() {
            Some(ChangeError::RemovedAllVoters)
        } else {
            (moved > 1).then_some(ChangeError::SeveralVotersChanged)
        };
        assert_eq!(here.simple(&change.changes).err(), simple, "{story}");

        let enter = if here.is_joint() {
            Some(ChangeError::AlreadyJoint)
        } else {
            after.is_empty().then_some(ChangeError::RemovedAllVoters)
        };
        assert_eq!(here.enter_joint(true, &change.changes).err(), enter, "{story}");

        let leave = (!here.is_joint()).then_some(ChangeError::NotJoint);
        assert_eq!(here.leave_joint().err(), leave, "{story}");
    });
}
