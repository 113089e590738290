//! Who belongs to the group: the configuration is what the applied changes make of the first one,
//! on every node alike, and one change at a time (paper, section 6; thesis, chapter 4).

use raftcore::{ConfChangeV2, ConfState, Entry, Membership, NodeId, wire};

use super::{Verdict, ensure};

/// All configurations that the group ever had.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    /// From which index on which configuration rules.
    configurations: Vec<(u64, Membership)>,
    /// The changes up to here are in it.
    folded_to: u64,
    /// Up to here the group is being founded, with one entry for each member, and nodes know all
    /// of them from the start.
    founded_at: u64,
}

impl Fold {
    /// The group begins like this.
    pub(crate) fn found(&mut self, index: u64, first: Membership, founded_at: u64) {
        self.configurations = vec![(index, first)];
        (self.folded_to, self.founded_at) = (index, founded_at);
    }

    /// The configuration after the newest change that anybody applied.
    pub(crate) fn newest(&self) -> &Membership {
        &self.configurations[self.configurations.len() - 1].1
    }

    /// The configuration after the entry at this index.
    fn at(&self, index: u64) -> &Membership {
        let after = self.configurations.partition_point(|(from, _)| *from <= index);
        &self.configurations[after.max(1) - 1].1
    }

    /// Somebody applies this entry. Who is first to do so makes it part of the fold.
    pub(crate) fn on_apply(&mut self, entry: &Entry) -> Verdict {
        let index = entry.index.0;
        if index <= self.folded_to {
            return Ok(());
        }
        ensure(index == self.folded_to + 1, "applied_in_order_once_without_gap", || {
            format!("{index} is applied first, after {}", self.folded_to)
        })?;
        self.folded_to = index;
        let Ok(Some(change)) = wire::decode_conf_change(entry) else { return Ok(()) };
        let change = ConfChangeV2::from(change);
        let old = self.newest().clone();
        if let Ok(new) = old.apply(&change) {
            self.configurations.push((index, new.clone()));
            check_parts(&new.to_conf_state())?;
            if index > self.founded_at {
                check_meeting(&old, &new)?;
            }
        }
        Ok(())
    }

    /// What a node says it has become by applying the change at this index.
    pub(crate) fn on_applied_change(&self, id: NodeId, index: u64, has: &ConfState) -> Verdict {
        if index < self.founded_at {
            return Ok(());
        }
        let expected = self.at(index).to_conf_state();
        ensure(expected.is_equivalent(has), "configuration_is_the_fold", || {
            format!("node {id} has {has:?} at {index}, expected {expected:?}")
        })
    }

    /// What a node says it is after a start or a restore, with everything applied up to `index`.
    pub(crate) fn on_state(&self, id: NodeId, index: u64, has: &Membership) -> Verdict {
        if index < self.founded_at {
            return Ok(());
        }
        let expected = self.at(index);
        ensure(expected == has, "configuration_is_the_fold", || {
            format!("node {id} has {has} at {index}, expected {expected}")
        })
    }

    /// A leader has this many membership changes that it has not applied.
    pub(crate) fn on_unapplied(&self, id: NodeId, applied: u64, changes: usize) -> Verdict {
        let allowed = changes <= 1 || applied < self.founded_at;
        ensure(allowed, "one_change_at_a_time", || {
            format!("leader {id} has {changes} changes after {applied}, which it has applied")
        })
    }

    /// A node campaigns with this many committed membership changes that it has not applied.
    pub(crate) fn on_campaign(&self, id: NodeId, applied: u64, changes: usize) -> Verdict {
        ensure(changes == 0, "no_campaign_over_a_change", || {
            format!("node {id} campaigns with {changes} committed changes after {applied}")
        })
    }
}

/// Nobody votes and learns.
fn check_parts(state: &ConfState) -> Verdict {
    let votes = |id: &&u64| state.voters.contains(id) || state.voters_outgoing.contains(id);
    let twice = state.learners.iter().find(votes);
    ensure(twice.is_none(), "voters_do_not_learn", || format!("{twice:?} in {state:?}"))
}

/// Any quorum of one configuration has a member in any quorum of the next.
fn check_meeting(old: &Membership, new: &Membership) -> Verdict {
    let meets = quorums(old).iter().all(|a| quorums(new).iter().all(|b| a & b != 0));
    ensure(meets, "successive_quorums_meet", || format!("{old} and then {new}"))
}

/// All sets of members that are a quorum, as bits: there are at most seven members.
fn quorums(membership: &Membership) -> Vec<u32> {
    let bit = |id: &NodeId| 1u32 << (id.get() & 31);
    let mask = |ids: &[NodeId]| ids.iter().map(bit).fold(0, |a, b| a | b);
    let halves = [mask(membership.voters()), mask(membership.voters_outgoing())];
    let all = halves[0] | halves[1];
    let is_quorum = |set: u32| {
        halves.iter().all(|half| *half == 0 || 2 * (set & half).count_ones() > half.count_ones())
    };
    // Every subset of `all`: the well-known walk downwards.
    let mut found = Vec::new();
    let mut set = all;
    while set != 0 {
        if is_quorum(set) {
            found.push(set);
        }
        set = (set - 1) & all;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;
    use raftcore::{AnyConfChange, ConfChange, Index, Term};

    fn membership(voters: &[u64]) -> Membership {
        let state = ConfState::with_voters(voters.iter().copied());
        Membership::from_conf_state(&state).unwrap()
    }

    fn fold() -> Fold {
        let mut fold = Fold::default();
        fold.found(10, membership(&[1, 2, 3]), 10);
        fold
    }

    fn add(index: u64, node: u64) -> Entry {
        let change = AnyConfChange::One(ConfChange { node, ..ConfChange::default() });
        let (kind, data) = wire::encode_conf_change(&change);
        Entry { term: Term(1), index: Index(index), kind, data }
    }

    #[test]
    fn a_node_with_another_configuration_is_seen() {
        let mut fold = fold();
        let id = NodeId::new(1).unwrap();
        fold.on_apply(&add(11, 4)).unwrap();
        fold.on_state(id, 11, &membership(&[1, 2, 3, 4])).unwrap();
        fold.on_state(id, 10, &membership(&[1, 2, 3])).unwrap();
        let stale = fold.on_state(id, 11, &membership(&[1, 2, 3]));
        assert_objects(stale, "configuration_is_the_fold");
        let told = fold.on_applied_change(id, 11, &ConfState::with_voters([1, 2]));
        assert_objects(told, "configuration_is_the_fold");
        let gap = fold.on_apply(&add(13, 5));
        assert_objects(gap, "applied_in_order_once_without_gap");
    }

    #[test]
    fn two_changes_at_a_time_are_seen() {
        let (fold, id) = (fold(), NodeId::new(1).unwrap());
        fold.on_unapplied(id, 10, 1).unwrap();
        assert_objects(fold.on_unapplied(id, 10, 2), "one_change_at_a_time");
        assert_objects(fold.on_campaign(id, 10, 1), "no_campaign_over_a_change");
    }

    #[test]
    fn a_voter_that_learns_is_seen() {
        let state = |voters: &[u64], outgoing: &[u64]| ConfState {
            voters: voters.to_vec(),
            voters_outgoing: outgoing.to_vec(),
            learners: vec![4],
            ..ConfState::default()
        };
        check_parts(&state(&[1, 2, 3], &[5])).unwrap();
        assert_objects(check_parts(&state(&[1, 2, 4], &[])), "voters_do_not_learn");
        assert_objects(check_parts(&state(&[1, 2, 3], &[4])), "voters_do_not_learn");
    }

    #[test]
    fn quorums_that_need_not_meet_are_seen() {
        check_meeting(&membership(&[1, 2, 3]), &membership(&[1, 2, 3, 4])).unwrap();
        let jump = check_meeting(&membership(&[1, 2, 3]), &membership(&[3, 4, 5]));
        assert_objects(jump, "successive_quorums_meet");
        let two = check_meeting(&membership(&[1, 2, 3]), &membership(&[1, 2, 3, 4, 5]));
        assert_objects(two, "successive_quorums_meet");
    }
}
