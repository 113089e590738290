//! The roles of a node and the only transitions between them (paper, figure 4).
//!
//! A role's state is a type of its own; what the role does with a message is in the room that is
//! named for the idea. Transitions are made here and nowhere else.

mod candidate;
mod leader;

pub(crate) use candidate::Candidate;
pub(crate) use leader::Leader;

use crate::core::Core;
use crate::event::Event;
use crate::ids::{NodeId, Term};
use crate::log::Storage;
use crate::state::RoleKind;

/// What a node is, with the state that only this role has.
#[derive(Debug)]
pub(crate) enum Role {
    Follower,
    /// Its term is not raised yet: `Core::term` stays what it was.
    PreCandidate(Box<Candidate>),
    Candidate(Box<Candidate>),
    Leader(Box<Leader>),
}

impl Role {
    pub(crate) const fn kind(&self) -> RoleKind {
        match self {
            Self::Follower => RoleKind::Follower,
            Self::PreCandidate(_) => RoleKind::PreCandidate,
            Self::Candidate(_) => RoleKind::Candidate,
            Self::Leader(_) => RoleKind::Leader,
        }
    }

    pub(crate) fn as_leader(&self) -> Option<&Leader> {
        match self {
            Self::Leader(leader) => Some(leader),
            _ => None,
        }
    }
}

/// The protocol: a core in a role.
pub(crate) struct Raft<S> {
    pub(crate) core: Core<S>,
    pub(crate) role: Role,
}

impl<S: Storage> Raft<S> {
    fn enter(&mut self, role: Role) {
        self.role = role;
        self.core.note_role();
    }

    /// Follows in this term, a leader if one is known.
    #[cold]
    pub(crate) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        self.core.reset(term);
        self.core.set_leader(leader);
        self.enter(Role::Follower);
        self.core.emit(|| Event::BecameFollower { term, leader });
    }

    /// Asks for pre-votes. Neither term nor vote nor clock change (thesis, section 9.6).
    pub(crate) fn become_pre_candidate(&mut self) {
        debug_assert!(self.role.as_leader().is_none(), "a leader does not campaign");
        self.core.set_leader(None);
        self.enter(Role::PreCandidate(Box::default()));
        let term = self.core.term();
        self.core.emit(|| Event::BecamePreCandidate { term });
    }

    /// Campaigns in the next term and votes for itself (paper, section 5.2).
    pub(crate) fn become_candidate(&mut self) {
        debug_assert!(self.role.as_leader().is_none(), "a leader does not campaign");
        let term = self.core.next_term();
        self.core.reset(term);
        self.core.vote_for(self.core.id());
        self.enter(Role::Candidate(Box::default()));
        self.core.metrics.campaigns = self.core.metrics.campaigns.saturating_add(1);
        self.core.emit(|| Event::BecameCandidate { term });
    }

    /// Leads, and appends an empty entry: what earlier terms left behind is committed with it,
    /// never by counting (paper, section 5.4.2).
    pub(crate) fn become_leader(&mut self) {
        debug_assert!(matches!(self.role, Role::Candidate(_)), "only a candidate wins an election");
        let core = &mut self.core;
        let (term, id) = (core.term(), core.id());
        core.reset(term);
        core.set_leader(Some(id));
        core.metrics.leaderships = core.metrics.leaderships.saturating_add(1);
        core.emit(|| Event::BecameLeader { term });
        let leader = Leader::new(core);
        self.enter(Role::Leader(Box::new(leader)));
        let core = &mut self.core;
        let index = core.log.append_first(term);
        core.acknowledge_own(index);
    }
}
