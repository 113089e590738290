//! Where a group cannot come back by itself, though all are well and every node does as the
//! protocol says. All three are known limits of this protocol family, and all come from membership
//! changes, which take effect where they are applied, or from configurations that differ. A group
//! that does not get on is held against their exact descriptions: anything else is a finding.

use raftcore::{NodeId, Term};

use crate::check::election::has_majorities;
use crate::cluster::World;
use crate::host::Host;

/// A known limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Limit {
    /// No node that is a voter of its own configuration finds a majority of it whose logs end no
    /// later than its own, with everybody up who ever ran. For example: who alone knows that its
    /// own removal is committed has the longest log, and may not campaign.
    NobodyCanWin,
    /// Whoever could win asks for votes in terms that are over, and nobody answers that: it has no
    /// pre-vote, and others, who cannot win and of whom it does not hear, raise the term at least
    /// as quickly as it does.
    CandidateOutrun,
    /// A leader without a quorum, because so many of its members are in a later term and never tell
    /// it: see [`World::is_stuck`].
    StuckWithAHigherTerm,
}

impl Limit {
    /// The name under which it is counted.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NobodyCanWin => "nobody_can_win",
            Self::CandidateOutrun => "candidate_outrun",
            Self::StuckWithAHigherTerm => "stuck_with_a_higher_term",
        }
    }
}

/// Since when a limit holds without a break.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    limit: Limit,
    since: u64,
    /// By how many terms those who could win lagged then.
    gap: u64,
}

impl Held {
    /// The limit, if it has held for so long and nothing gets better.
    pub(crate) fn for_good(self, now: u64, time: u64, gap: u64) -> Option<Limit> {
        let lasted = now - self.since >= time;
        let closes = self.limit == Limit::CandidateOutrun && gap < self.gap;
        (lasted && !closes).then_some(self.limit)
    }
}

/// The limit that holds now, and since when.
pub(crate) fn follow(
    before: Option<Held>,
    now: u64,
    limit: Option<Limit>,
    gap: u64,
) -> Option<Held> {
    let limit = limit?;
    match before.filter(|held| held.limit == limit) {
        Some(held) => Some(held),
        None => Some(Held { limit, since: now, gap }),
    }
}

fn term_of(host: &Host) -> u64 {
    host.status.as_ref().map_or(0, |status| status.hard_state.term.0)
}

impl World {
    /// Which limit holds at this moment, if one does.
    pub(crate) fn limit(&self) -> Option<Limit> {
        if let Some(leader) = self.leader() {
            let status = self.hosts[leader].status.as_ref()?;
            let cut_off = !has_majorities(&status.membership, |id| !self.is_stuck(*id, leader));
            return cut_off.then_some(Limit::StuckWithAHigherTerm);
        }
        let mut able = self.hosts.iter().filter(|host| self.can_win(host)).peekable();
        if able.peek().is_none() {
            return Some(Limit::NobodyCanWin);
        }
        let newest = self.newest_term();
        let lags = |host: &Host| term_of(host) < newest && !host.config.pre_vote;
        able.all(lags).then_some(Limit::CandidateOutrun)
    }

    fn newest_term(&self) -> u64 {
        self.hosts.iter().map(term_of).max().unwrap_or(0)
    }

    /// Whether everybody who could win has a slower clock than somebody who could not. Each request
    /// of a later term starts the others' timers anew, as upstream's do, so those who cannot win
    /// mostly come first. It is no limit: timeouts are random, and one day the slow ones are early.
    pub(crate) fn is_out_ticked(&self) -> bool {
        let running = self.hosts.iter().filter(|host| host.is_up());
        let (able, unable): (Vec<&Host>, Vec<&Host>) = running.partition(|host| self.can_win(host));
        let period = |host: &&Host| self.plan.periods[host.slot];
        let fastest = |hosts: Vec<&Host>| hosts.iter().map(period).min();
        fastest(able).zip(fastest(unable)).is_some_and(|(able, unable)| able > unable)
    }

    /// By how many terms those who could win are behind.
    pub(crate) fn term_gap(&self) -> u64 {
        let able = self.hosts.iter().filter(|host| self.can_win(host));
        self.newest_term().saturating_sub(able.map(term_of).max().unwrap_or(0))
    }

    /// Whether a member is beyond this leader's reach for good: it saw a later term; with neither
    /// check-quorum nor pre-vote it does not say so to a leader of an earlier one; and its requests
    /// for votes tell the leader nothing, since it sends none, or none to the leader, or the leader
    /// passes over them while it holds its own lease.
    pub(crate) fn is_stuck(&self, id: NodeId, leader: usize) -> bool {
        let host = &self.hosts[id.get() as usize - 1];
        let leader = &self.hosts[leader];
        let Some(status) = &host.status else { return false };
        let is_later = status.hard_state.term > Term(term_of(leader));
        let members = &status.membership;
        let is_heard =
            members.is_voter(id) && members.is_voter(leader.id) && !leader.config.check_quorum;
        is_later && !host.config.check_quorum && !host.config.pre_vote && !is_heard
    }

    /// Whether this node could collect a majority, by the logs of all who run.
    fn can_win(&self, host: &Host) -> bool {
        let Some(status) = &host.status else { return false };
        let last = |slot: usize| self.judges.log.last(slot);
        let votes = |voter: &NodeId| {
            let at = voter.get() as usize - 1;
            self.hosts[at].is_up() && last(at) <= last(host.slot)
        };
        status.membership.is_voter(host.id) && has_majorities(&status.membership, votes)
    }

    /// Starts everybody who has a disk, members or not; whether somebody was down.
    pub(crate) fn wake_everybody(&mut self) -> bool {
        let down = |host: &&Host| !host.is_up() && host.disk.is_some();
        let slots: Vec<usize> = self.hosts.iter().filter(down).map(|host| host.slot).collect();
        slots.iter().for_each(|slot| self.boot(*slot));
        !slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_only_if_it_lasts() {
        let held = follow(None, 100, Some(Limit::NobodyCanWin), 0);
        let held = follow(held, 150, Some(Limit::NobodyCanWin), 0).unwrap();
        assert_eq!(held.for_good(150, 60, 0), None);
        assert_eq!(held.for_good(160, 60, 0), Some(Limit::NobodyCanWin));
        assert!(follow(Some(held), 160, None, 0).is_none());
        let other = follow(Some(held), 160, Some(Limit::StuckWithAHigherTerm), 0).unwrap();
        assert_eq!(other.for_good(170, 60, 0), None);
    }

    #[test]
    fn a_candidate_that_catches_up_is_not_outrun() {
        let held = follow(None, 100, Some(Limit::CandidateOutrun), 9).unwrap();
        assert_eq!(held.for_good(200, 60, 8), None);
        assert_eq!(held.for_good(200, 60, 9), Some(Limit::CandidateOutrun));
    }
}
