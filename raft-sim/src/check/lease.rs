//! What a clock gives rights to: a leader that hears from no quorum stops, a member that hears
//! from its leader votes for nobody else, a transfer that takes too long is given up.

use raftcore::{HardState, Membership, NodeId};

use super::election::has_majorities;
use super::{Verdict, ensure};
use crate::network::SLOTS;

/// What one node heard, by its own clock.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// When its leader was heard last.
    leader_heard: Option<u64>,
    /// The term in which it leads.
    term: u64,
    /// When each member was heard last in that term.
    heard: [u64; SLOTS],
    /// When something happened that gives a leader time.
    respite: u64,
    transfer_began: Option<u64>,
}

/// The judge of clocks.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    clocks: [Clock; SLOTS],
}

impl Lease {
    pub(crate) fn on_restart(&mut self, slot: usize) {
        self.clocks[slot] = Clock::default();
    }

    /// A follower took a message of its leader; or it follows nobody (`None`).
    pub(crate) const fn on_leader_heard(&mut self, slot: usize, at: Option<u64>) {
        self.clocks[slot].leader_heard = at;
    }

    /// Whether this node may vote for nobody else: its leader was heard less than an election
    /// timeout ago.
    pub(crate) fn is_bound(&self, slot: usize, now: u64, election: u64) -> bool {
        self.clocks[slot].leader_heard.is_some_and(|heard| now - heard < election)
    }

    /// A node that is bound took a request for a vote that no transfer ordered.
    pub(crate) fn on_request_while_bound(
        &self,
        id: NodeId,
        before: &HardState,
        after: &HardState,
    ) -> Verdict {
        let kept = (before.term, before.vote) == (after.term, after.vote);
        ensure(kept, "no_vote_within_the_lease", || {
            format!("node {id} heard its leader and went from {before:?} to {after:?}")
        })
    }

    /// A leader heard from a member, in its own term.
    pub(crate) fn on_member_heard(&mut self, slot: usize, from: NodeId, now: u64) {
        if let Some(heard) = self.clocks[slot].heard.get_mut(from.get() as usize - 1) {
            *heard = now;
        }
    }

    /// The members changed: who is new counts as heard.
    pub(crate) const fn on_members_changed(&mut self, slot: usize, now: u64) {
        self.clocks[slot].respite = now;
    }

    /// Looks at a leader after a step; `now` is in its own ticks.
    pub(crate) fn on_leading(
        &mut self,
        slot: usize,
        look: LeaderLook<'_>,
        now: u64,
        election: u64,
    ) -> Verdict {
        let clock = &mut self.clocks[slot];
        if clock.term != look.term {
            *clock = Clock { term: look.term, respite: now, ..Clock::default() };
        }
        match (look.transferring, clock.transfer_began) {
            // A new target starts the time again.
            (true, None) => (clock.transfer_began, clock.respite) = (Some(now), now),
            (false, _) => clock.transfer_began = None,
            _ => {}
        }
        if look.transfer_asked && look.transferring {
            (clock.transfer_began, clock.respite) = (Some(now), now);
        }
        let waited = clock.transfer_began.map_or(0, |began| now - began);
        ensure(waited <= election, "transfer_is_given_up", || {
            format!("node {} hands over since {waited} ticks", slot + 1)
        })?;
        // What was heard at the beginning of one interval counts until the end of the next.
        let since = now.saturating_sub(2 * election);
        if !look.checks_quorum || clock.respite >= since {
            return Ok(());
        }
        let own = slot as u64 + 1;
        let is_heard = |id: &NodeId| id.get() == own || clock.heard[id.get() as usize - 1] >= since;
        ensure(has_majorities(look.membership, is_heard), "leader_without_a_quorum_stops", || {
            let heard = clock.heard;
            format!("node {own} leads term {} at tick {now}, heard {heard:?}", look.term)
        })
    }
}

/// What is looked at on a leader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaderLook<'a> {
    pub(crate) term: u64,
    pub(crate) membership: &'a Membership,
    pub(crate) checks_quorum: bool,
    pub(crate) transferring: bool,
    /// Whether this step may have begun a transfer.
    pub(crate) transfer_asked: bool,
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;
    use raftcore::{ConfState, Term};

    fn three() -> Membership {
        Membership::from_conf_state(&ConfState::with_voters([1, 2, 3])).unwrap()
    }

    fn look(membership: &Membership, transferring: bool) -> LeaderLook<'_> {
        LeaderLook { term: 4, membership, checks_quorum: true, transferring, transfer_asked: false }
    }

    #[test]
    fn a_leader_nobody_answers_is_seen() {
        let (mut judge, members) = (Lease::default(), three());
        judge.on_leading(0, look(&members, false), 100, 10).unwrap();
        judge.on_member_heard(0, NodeId::new(3).unwrap(), 115);
        judge.on_leading(0, look(&members, false), 135, 10).unwrap();
        let alone = judge.on_leading(0, look(&members, false), 136, 10);
        assert_objects(alone, "leader_without_a_quorum_stops");
    }

    #[test]
    fn a_transfer_without_end_is_seen() {
        let (mut judge, members) = (Lease::default(), three());
        judge.on_leading(0, look(&members, true), 100, 10).unwrap();
        judge.on_leading(0, look(&members, true), 110, 10).unwrap();
        assert_objects(judge.on_leading(0, look(&members, true), 111, 10), "transfer_is_given_up");
    }

    #[test]
    fn a_vote_within_the_lease_is_seen() {
        let mut judge = Lease::default();
        judge.on_leader_heard(1, Some(50));
        assert!(judge.is_bound(1, 59, 10) && !judge.is_bound(1, 60, 10));
        let before = HardState { term: Term(1), ..HardState::default() };
        let after = HardState { term: Term(2), ..HardState::default() };
        let id = NodeId::new(2).unwrap();
        let verdict = judge.on_request_while_bound(id, &before, &after);
        assert_objects(verdict, "no_vote_within_the_lease");
    }
}
