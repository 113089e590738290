//! Handing leadership over to a member whose log is complete (thesis, section 3.10).

use crate::core::Core;
use crate::error::{DropReason, Error, Misuse};
use crate::event::Event;
use crate::ids::NodeId;
use crate::log::Storage;
use crate::message::{Body, Message};
use crate::role::{Leader, Raft, Role};

impl<S: Storage> Raft<S> {
    /// The application wants `to` to lead.
    pub(crate) fn transfer_leader(&mut self, to: NodeId) -> Result<(), Error> {
        match (&mut self.role, self.core.leader()) {
            (Role::Leader(leader), _) => {
                if leader.progress(to).is_none() || self.core.membership.is_learner(to) {
                    return Err(Misuse::UnknownPeer(to.get()).into());
                }
                leader.on_transfer(&mut self.core, to);
                Ok(())
            }
            (Role::Follower, Some(_)) => {
                self.core.forward_transfer(to);
                Ok(())
            }
            _ => Err(DropReason::NoLeader.into()),
        }
    }
}

impl<S: Storage> Core<S> {
    /// Passes the order on to the leader, in the name of the member that is to lead.
    #[cold]
    pub(crate) fn forward_transfer(&mut self, transferee: NodeId) {
        if let Some(leader) = self.leader() {
            let (term, body) = (self.term(), Body::TransferLeader);
            self.send_as(Message { to: leader, from: transferee, term, body });
        }
    }
}

impl Leader {
    /// Begins to hand over: at once if the target has the whole log, otherwise as soon as it has.
    /// Until then nothing is proposed; after an election timeout it is given up.
    #[cold]
    pub(crate) fn on_transfer<S: Storage>(&mut self, core: &mut Core<S>, to: NodeId) {
        if core.membership.is_learner(to) || self.progress(to).is_none() {
            return;
        }
        if self.transferee == Some(to) {
            return;
        }
        self.abort_transfer(core);
        if to == core.id() {
            return;
        }
        core.election_elapsed = 0;
        self.transferee = Some(to);
        core.emit(|| Event::TransferStarted { to });
        if self.has_whole_log(core, to) {
            self.order_to_campaign(core, to);
        } else {
            self.send_append(core, to);
        }
    }

    /// Tells the target to campaign once it has caught up.
    pub(crate) fn finish_transfer<S: Storage>(&mut self, core: &mut Core<S>, caught_up: NodeId) {
        if self.transferee == Some(caught_up) && self.has_whole_log(core, caught_up) {
            self.order_to_campaign(core, caught_up);
        }
    }

    /// From here on the target may win an election against everybody's lease, at once or, if the
    /// order is delayed, at any time in this term.
    #[cold]
    fn order_to_campaign<S: Storage>(&mut self, core: &mut Core<S>, to: NodeId) {
        self.reads.give_up_lease();
        core.send(to, Body::TimeoutNow);
    }

    /// Gives up handing over. Returns whether there was something to give up.
    pub(crate) fn abort_transfer<S: Storage>(&mut self, core: &mut Core<S>) -> bool {
        let Some(to) = self.transferee.take() else { return false };
        // From here on the log may grow past what the target has, so an order that no Ready took
        // yet stays here. Upstream lets it go.
        if core.settings.coalesce_appends {
            core.outbox.forget_transfer_orders();
        }
        core.emit(|| Event::TransferAborted { to });
        true
    }

    fn has_whole_log<S: Storage>(&self, core: &Core<S>, member: NodeId) -> bool {
        self.progress(member).is_some_and(|p| p.match_index() == core.log.last_index())
    }
}
