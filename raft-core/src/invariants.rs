//! What must hold for a whole node between any two calls. Debug builds check it on leaving every
//! public call, so that the simulator and the tests stop where a property breaks, not later.

use crate::ids::NodeId;
use crate::log::Storage;
use crate::role::{Raft, Role};

impl<S: Storage> Raft<S> {
    /// The first property that does not hold, if one does not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let core = &self.core;
        core.log.check()?;
        if core.log.last().term > core.term() && core.log.has_unstable() {
            return Err("an entry is newer than the node's term");
        }
        match &self.role {
            Role::Follower if core.leader() == Some(core.id()) => {
                return Err("a follower follows itself");
            }
            Role::PreCandidate(_) | Role::Candidate(_) if core.leader().is_some() => {
                return Err("a candidate knows a leader");
            }
            Role::Candidate(_) if core.vote() != Some(core.id()) => {
                return Err("a candidate voted for somebody else");
            }
            Role::Leader(_) if core.leader() != Some(core.id()) => {
                return Err("a leader follows somebody else");
            }
            _ => {}
        }
        self.check_progress()
    }

    fn check_progress(&self) -> Result<(), &'static str> {
        let Some(leader) = self.role.as_leader() else { return Ok(()) };
        let last = self.core.log.last_index();
        for (_, progress) in leader.members() {
            if progress.match_index() >= progress.next_index() {
                return Err("match is not below next");
            }
            if progress.match_index() > last {
                return Err("a member matches more than the leader has");
            }
        }
        let tracked = leader.members().iter().map(|(id, _)| *id);
        if !tracked.eq(self.core.membership.members()) {
            return Err("the leader tracks others than the members");
        }
        let to_stranger = |id: &NodeId| !self.core.membership.is_voter(*id);
        if leader.transferee.as_ref().is_some_and(to_stranger) {
            return Err("leadership is handed over to somebody who is no voter");
        }
        Ok(())
    }
}
