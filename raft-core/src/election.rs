//! Elections: when a node campaigns, whom it votes for, and when it keeps still because a leader
//! lives (paper, sections 5.2 and 5.4.1; thesis, sections 4.2.3 and 9.6).

use smallvec::SmallVec;

use crate::core::Core;
use crate::error::Error;
use crate::event::Event;
use crate::ids::{NodeId, Term};
use crate::log::Storage;
use crate::message::{Body, Message, VoteRequest, VoteResponse};
use crate::quorum::VoteResult;
use crate::role::{Raft, Role};

/// Why a node campaigns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Campaign {
    /// To find out whether it could win.
    PreVote,
    /// To win.
    Election,
    /// Because the leader handed over: nobody's lease stands in the way, and there is nothing to
    /// find out first.
    Transfer,
}

impl<S: Storage> Core<S> {
    /// Whether a leader was heard so recently that this node votes for nobody else.
    pub(crate) fn is_in_lease(&self) -> bool {
        let timeout = self.settings.election_timeout;
        let follows = self.leader().is_some() && self.election_elapsed < timeout;
        self.settings.check_quorum && (follows || self.is_bound_by_lease())
    }

    /// Whether a leader may serve reads because this node answered it.
    fn is_bound_by_lease(&self) -> bool {
        self.settings.keeps_leases() && self.since_leader < self.settings.election_timeout
    }

    /// Answers a request for a vote or pre-vote.
    pub(crate) fn answer_vote(&mut self, to: NodeId, term: Term, rejected: bool, pre_vote: bool) {
        let response = VoteResponse { rejected };
        let body =
            if pre_vote { Body::PreVoteResponse(response) } else { Body::VoteResponse(response) };
        self.send_as(Message { to, from: self.id(), term, body });
        let granted = !rejected;
        self.emit(|| Event::Voted { candidate: to, term, granted, pre_vote });
    }
}

impl<S: Storage> Raft<S> {
    /// A tick of a node that does not lead. Returns whether more happened than that time passed.
    pub(crate) fn tick_election(&mut self) -> Result<bool, Error> {
        let core = &mut self.core;
        core.since_leader = core.since_leader.saturating_add(1);
        let before = core.election_elapsed;
        core.election_elapsed = before.saturating_add(1);
        if core.election_elapsed < core.randomized_timeout || !core.is_promotable() {
            return Ok(false);
        }
        core.election_elapsed = 0;
        // What failed was a read before anything else happened: the time has not passed.
        self.campaign().inspect_err(|_| self.core.election_elapsed = before)?;
        Ok(true)
    }

    /// Campaigns, because time is up or the application wants it.
    pub(crate) fn campaign(&mut self) -> Result<(), Error> {
        let pre_vote = self.core.settings.pre_vote;
        self.campaign_as(if pre_vote { Campaign::PreVote } else { Campaign::Election })
    }

    /// The leader handed over to this node (thesis, section 3.10).
    #[cold]
    pub(crate) fn on_timeout_now(&mut self) -> Result<(), Error> {
        self.campaign_as(Campaign::Transfer)
    }

    fn campaign_as(&mut self, campaign: Campaign) -> Result<(), Error> {
        if self.role.as_leader().is_some() {
            return Ok(());
        }
        let obstacle = if !self.core.is_promotable() {
            Some("this node is no voter, or a snapshot is pending")
        } else if campaign != Campaign::Transfer && self.core.is_bound_by_lease() {
            // Its own vote would be the first to break what it promised.
            Some("the leader's lease has not run out")
        } else if self.core.log.has_unapplied_conf_change()? {
            // The configuration that would count the votes is not the newest committed one
            // (thesis, section 4.1).
            Some("a committed membership change is not applied yet")
        } else {
            None
        };
        match obstacle {
            Some(why) => self.core.emit(|| Event::CannotCampaign { why }),
            None => self.ask_for_votes(campaign),
        }
        Ok(())
    }

    fn ask_for_votes(&mut self, campaign: Campaign) {
        let term = if campaign == Campaign::PreVote {
            self.become_pre_candidate();
            // The term that the election would have.
            self.core.next_term()
        } else {
            self.become_candidate();
            self.core.term()
        };
        let core = &mut self.core;
        let (own, last) = (core.id(), core.log.last());
        let voters: SmallVec<[NodeId; 8]> = core.membership.voters_of_both().collect();
        core.outbox.reserve(voters.len().saturating_sub(1));
        for to in voters {
            let is_pre_vote = campaign == Campaign::PreVote;
            if to == own {
                // Its own vote counts when it is durable, like any other.
                let vote = VoteResponse { rejected: false };
                let pre_vote = Body::PreVoteResponse(vote);
                core.send_own(term, if is_pre_vote { pre_vote } else { Body::VoteResponse(vote) });
                continue;
            }
            let request = VoteRequest { last, transfer: campaign == Campaign::Transfer };
            let body = if is_pre_vote { Body::PreVote(request) } else { Body::Vote(request) };
            core.send_as(Message { to, from: own, term, body });
        }
    }

    /// Gives its vote to the first candidate of a term whose log is at least as up to date
    /// (paper, figure 2, RequestVote). Learners vote too: who asks may know of a promotion that
    /// this node has not heard of yet, and then its vote is needed.
    #[cold]
    pub(crate) fn on_vote(&mut self, from: NodeId, term: Term, request: VoteRequest) {
        let core = &mut self.core;
        // A term that began by anything but a request for a vote does not end what was promised.
        let is_bound = core.is_bound_by_lease() && !request.transfer;
        let free = core.vote().is_none() && core.leader().is_none() && !is_bound;
        let granted = (free || core.vote() == Some(from)) && core.log.is_up_to_date(request.last);
        if granted {
            core.election_elapsed = 0;
            core.vote_for(from);
        }
        let answer_term = if granted { term } else { core.term() };
        core.answer_vote(from, answer_term, !granted, false);
    }

    /// Says whether it would vote, and changes nothing (thesis, section 9.6).
    #[cold]
    pub(crate) fn on_pre_vote(&mut self, from: NodeId, term: Term, request: VoteRequest) {
        let core = &mut self.core;
        let free = core.vote().is_none() && core.leader().is_none();
        let may = free || core.vote() == Some(from) || term > core.term();
        let granted = may && core.log.is_up_to_date(request.last);
        // A grant answers in the term that was asked about: in its own, lower one it would be
        // ignored as stale.
        let answer_term = if granted { term } else { core.term() };
        core.answer_vote(from, answer_term, !granted, true);
    }

    /// Counts a vote or pre-vote.
    #[cold]
    pub(crate) fn on_vote_response(&mut self, from: NodeId, response: VoteResponse) {
        let (Role::Candidate(candidate) | Role::PreCandidate(candidate)) = &mut self.role else {
            return;
        };
        candidate.record(from, !response.rejected);
        match self.core.membership.vote_result(|id| candidate.vote_of(id)) {
            VoteResult::Pending => {}
            VoteResult::Lost => self.become_follower(self.core.term(), None),
            VoteResult::Won if matches!(self.role, Role::PreCandidate(_)) => {
                self.ask_for_votes(Campaign::Election);
            }
            VoteResult::Won => {
                self.become_leader();
                if let Role::Leader(leader) = &mut self.role {
                    leader.broadcast_append(&mut self.core);
                }
            }
        }
    }

    /// A leader that heard from no quorum for an election timeout steps down (thesis, section
    /// 6.2): clients are better served by whoever leads the others.
    pub(crate) fn check_quorum(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let active = |id| leader.progress(id).map(|progress| progress.is_recent_active());
        let own = self.core.id();
        if self.core.membership.vote_result(active) == VoteResult::Won {
            for (id, progress) in leader.members_mut() {
                if *id != own {
                    progress.mark_inactive();
                }
            }
        } else {
            let term = self.core.term();
            self.core.emit(|| Event::QuorumLost { term });
            self.become_follower(term, None);
        }
    }
}
