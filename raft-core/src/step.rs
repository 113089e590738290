//! A message's way in: who sent it, what its term means here, whether its content can be true,
//! and then the role (paper, figure 2, "Rules for Servers").
//!
//! The order matters. A higher term deposes whoever leads here, whatever else the message says,
//! and a message of a lower term is ignored, whatever it says: only then is its content looked at.
//! What is refused changed nothing beyond that term rule.

use crate::context::Context;
use crate::core::Core;
use crate::entry::Entries;
use crate::error::{Error, Refusal};
use crate::ids::{Index, LIMIT, NodeId, Position, Term};
use crate::log::Storage;
use crate::membership::Membership;
use crate::message::{Append, AppendResponse, Body, Heartbeat, Message, MessageKind};
use crate::proposal;
use crate::role::{Leader, Raft, Role};
use crate::state::Snapshot;

/// What the term rule decided.
#[derive(PartialEq)]
enum Verdict {
    /// Of this node's term, or of no term: go on.
    Current,
    /// Stale, or barred by the lease: done with.
    Ignored,
}

impl<S: Storage> Raft<S> {
    /// Takes a message from a peer.
    #[inline]
    pub(crate) fn step(&mut self, message: Message) -> Result<(), Error> {
        let is_of_now = self.is_of_now(&message);
        let Message { to, from, term, body } = message;
        let Self { core, role } = self;
        // Nearly all that happens in a group is an append or a heartbeat of the present term to a
        // follower, and its answer. These take their checks in one go: the very ones of `step_any`.
        match body {
            Body::Append(Append { prev, entries, commit })
                if is_of_now && matches!(role, Role::Follower) =>
            {
                core.metrics.count_received(MessageKind::Append);
                if core.is_continued_by(prev, &entries, commit) {
                    core.hear_leader(from);
                    core.on_next_append(from, prev, entries, commit);
                    return Ok(());
                }
                core.step_odd_append(from, Append { prev, entries, commit })
            }
            Body::AppendResponse(response) if is_of_now && matches!(role, Role::Leader(_)) => {
                core.metrics.count_received(MessageKind::AppendResponse);
                // It owns nothing, so there is nothing to look at and drop.
                std::mem::forget(body);
                self.step_append_response(from, response)
            }
            Body::Heartbeat(Heartbeat { commit, context })
                if is_of_now
                    && matches!(role, Role::Follower)
                    && commit.0 <= LIMIT
                    && commit <= core.log.last_index() =>
            {
                core.metrics.count_received(MessageKind::Heartbeat);
                core.hear_leader(from);
                core.on_possible_heartbeat(from, commit, context);
                Ok(())
            }
            Body::HeartbeatResponse { context } if is_of_now => {
                if self.step_heartbeat_response(from, &context) {
                    return Ok(());
                }
                let body = Body::HeartbeatResponse { context };
                self.step_other(Message { to, from, term, body })
            }
            body => self.step_other(Message { to, from, term, body }),
        }
    }

    /// Whether a message is of the present term, and nothing is wrong with its addresses.
    #[inline(always)]
    fn is_of_now(&self, message: &Message) -> bool {
        let Message { to, from, term, .. } = *message;
        let core = &self.core;
        to == core.id() && from != to && term == core.term() && term != Term::ZERO
    }

    /// An answer of the present term to a leader.
    #[inline]
    fn step_append_response(
        &mut self,
        from: NodeId,
        response: AppendResponse,
    ) -> Result<(), Error> {
        let Self { core, role: Role::Leader(leader) } = self else { return Ok(()) };
        // A leader tracks the members, and nobody else.
        let Some(place) = leader.place_of(from) else {
            let error = Refusal::NotAMember(from).into();
            return Err(core.count_failed(from, MessageKind::AppendResponse, error));
        };
        let result = check_acknowledged(core, response)
            .map_err(Error::from)
            .and_then(|()| Ok(leader.on_append_response(core, place, response)?));
        result.map_err(|error| core.count_failed(from, MessageKind::AppendResponse, error))
    }

    /// A sign of life of the present term. Returns whether it was one, to a leader, by a member.
    #[inline]
    fn step_heartbeat_response(&mut self, from: NodeId, context: &Context) -> bool {
        let Self { core, role: Role::Leader(leader) } = self else { return false };
        let (Some(place), Some(echo)) = (leader.place_of(from), leader.reads.echo_in(context))
        else {
            return false;
        };
        core.metrics.count_received(MessageKind::HeartbeatResponse);
        leader.on_heartbeat_response(core, place, echo);
        true
    }

    /// All the rest: the long way, which any message can go.
    #[inline(never)]
    pub(crate) fn step_other(&mut self, message: Message) -> Result<(), Error> {
        let (from, kind) = (message.from, message.body.kind());
        self.core.metrics.count_received(kind);
        // An error is large: only what there is of it is moved.
        self.step_any(message).map_err(|error| self.core.count_failed(from, kind, error))
    }

    fn step_any(&mut self, message: Message) -> Result<(), Error> {
        self.check_envelope(&message)?;
        if self.apply_term_rule(&message) == Verdict::Ignored {
            return Ok(());
        }
        self.check_content(&message)?;
        self.handle(message)
    }

    /// Takes a message that this node wrote to itself.
    pub(crate) fn step_own(&mut self, message: Message) -> Result<(), Error> {
        debug_assert!(message.from == self.core.id() && message.to == self.core.id());
        if self.apply_term_rule(&message) == Verdict::Ignored {
            return Ok(());
        }
        self.handle(message)
    }

    /// Checks what does not depend on the term: addresses, and whether there must be a term.
    fn check_envelope(&self, message: &Message) -> Result<(), Refusal> {
        let Message { to, from, term, ref body } = *message;
        let (own, kind) = (self.core.id(), body.kind());
        if to != own {
            return Err(Refusal::Misaddressed { to });
        }
        // A proposal or read that was forwarded may bounce back; a transfer order carries the
        // name of its target.
        let may_be_own =
            matches!(body, Body::Propose(_) | Body::ReadIndex { .. } | Body::TransferLeader);
        if from == own && !may_be_own {
            return Err(Refusal::FromSelf(kind));
        }
        if body.is_response() && !self.core.membership.contains(from) {
            return Err(Refusal::NotAMember(from));
        }
        match body {
            Body::Propose(_) | Body::ReadIndex { .. } if term != Term::ZERO => {
                return Err(Refusal::UnexpectedTerm { kind, term });
            }
            Body::Propose(_) | Body::ReadIndex { .. } => {}
            // A node that never saw a term rejects a pre-vote in the only term it has.
            Body::PreVoteResponse(response) if response.rejected => {}
            _ if term == Term::ZERO => return Err(Refusal::MissingTerm(kind)),
            _ => {}
        }
        if term.0 > LIMIT {
            return Err(Refusal::TermLimit(term));
        }
        Ok(())
    }

    /// The term rule (paper, section 5.1), with what pre-vote and the lease add to it.
    fn apply_term_rule(&mut self, message: &Message) -> Verdict {
        let Message { from, term, ref body, .. } = *message;
        if term == Term::ZERO || term == self.core.term() {
            return Verdict::Current;
        }
        if term < self.core.term() {
            self.answer_stale(from, body);
            return Verdict::Ignored;
        }
        match body {
            Body::Vote(request) | Body::PreVote(request)
                if !request.transfer && self.core.is_in_lease() =>
            {
                return Verdict::Ignored;
            }
            // Neither the question nor the answer "yes" is a sign that the term has begun.
            Body::PreVote(_) => {}
            Body::PreVoteResponse(response) if !response.rejected => {}
            body => self.become_follower(term, body.is_from_leader().then_some(from)),
        }
        Verdict::Current
    }

    /// Answers a message of an earlier term where silence would leave its sender stuck.
    #[cold]
    fn answer_stale(&mut self, from: NodeId, body: &Body) {
        let core = &mut self.core;
        match body {
            // The sender still leads an earlier term, while this node cannot follow it, and with
            // pre-vote or check-quorum cannot depose it by a vote either: the response's term does.
            Body::Append(_) | Body::Heartbeat(_)
                if core.settings.check_quorum || core.settings.pre_vote =>
            {
                let response = AppendResponse { index: Index::ZERO, rejection: None };
                core.send(from, Body::AppendResponse(response));
            }
            // A candidate of an earlier term with a longer log would otherwise wait for ever.
            Body::PreVote(_) => core.answer_vote(from, core.term(), true, true),
            _ => {}
        }
    }

    /// Checks what the message says against itself and against what this node knows for sure.
    fn check_content(&self, message: &Message) -> Result<(), Refusal> {
        let Message { from, term, ref body, .. } = *message;
        let leader = self.role.as_leader();
        match body {
            Body::Propose(entries) => proposal::check_decodable(entries),
            // A leader ignores what only a leader of its own term could send.
            Body::Append(append) if leader.is_none() => check_append(&self.core, term, append),
            Body::Snapshot(snapshot) if leader.is_none() => check_snapshot(term, snapshot),
            Body::Heartbeat(heartbeat) if leader.is_none() => check_limit(heartbeat.commit),
            Body::AppendResponse(response) if leader.is_some() => {
                check_acknowledged(&self.core, *response)
            }
            Body::HeartbeatResponse { context } => match leader {
                Some(leader) if leader.progress(from).is_some() => {
                    leader.reads.echo_in(context).map(drop).ok_or(Refusal::BadReadPosition)
                }
                _ => Ok(()),
            },
            Body::ReadIndexResponse { index, .. } => check_limit(*index),
            Body::Vote(request) | Body::PreVote(request) => check_limit(request.last.index),
            _ => Ok(()),
        }
    }

    /// Hands the message to the role.
    fn handle(&mut self, message: Message) -> Result<(), Error> {
        let Message { from, term, body, .. } = message;
        match (&mut self.role, body) {
            (_, Body::Vote(request)) => self.on_vote(from, term, request),
            (_, Body::PreVote(request)) => self.on_pre_vote(from, term, request),
            (Role::Leader(leader), body) => return on_leader(leader, &mut self.core, from, body),
            (Role::Follower, body) => return self.on_follower(from, body),
            (Role::PreCandidate(_) | Role::Candidate(_), body) => {
                return self.on_candidate(from, body);
            }
        }
        Ok(())
    }

    /// What a candidate or pre-candidate does: someone else who leads this term has won it.
    #[cold]
    fn on_candidate(&mut self, from: NodeId, body: Body) -> Result<(), Error> {
        match body {
            Body::Append(_) | Body::Heartbeat(_) | Body::Snapshot(_) => {
                self.become_follower(self.core.term(), Some(from));
                return self.on_follower(from, body);
            }
            Body::VoteResponse(response) if matches!(self.role, Role::Candidate(_)) => {
                self.on_vote_response(from, response);
            }
            Body::PreVoteResponse(response) if matches!(self.role, Role::PreCandidate(_)) => {
                self.on_vote_response(from, response);
            }
            Body::Propose(_) => return Err(crate::DropReason::NoLeader.into()),
            _ => {}
        }
        Ok(())
    }

    /// What a follower does.
    fn on_follower(&mut self, from: NodeId, body: Body) -> Result<(), Error> {
        let core = &mut self.core;
        if body.is_from_leader() {
            core.hear_leader(from);
        }
        match body {
            Body::Append(append) => core.on_append(from, append),
            Body::Heartbeat(Heartbeat { commit, context }) => {
                core.on_heartbeat(from, commit, context)?;
            }
            Body::Snapshot(snapshot) => self.on_snapshot(from, snapshot),
            Body::Propose(entries) => {
                core.forward_proposal(from, entries)?;
            }
            Body::TransferLeader => core.forward_transfer(from),
            Body::ReadIndex { context } => core.forward_read(from, context),
            Body::ReadIndexResponse { index, context } => core.on_read_response(index, context),
            Body::TimeoutNow => return self.on_timeout_now(),
            _ => {}
        }
        Ok(())
    }
}

impl<S: Storage> Core<S> {
    /// Whether an append of the present term goes on where the log ends, with entries of this term
    /// alone, as nearly always. Then all that `check_append` asks for is so.
    #[inline]
    fn is_continued_by(&self, prev: Position, entries: &Entries, commit: Index) -> bool {
        let last_new = || prev.index.skip(entries.len() as u64);
        prev == self.log.last()
            && prev.term <= self.term()
            // Of two numbers none is above the limit if neither has its highest bit.
            && (last_new().0 | commit.0) <= LIMIT
            && entries.follow(prev.index, self.term())
    }

    /// Any other append of the present term.
    #[inline(never)]
    fn step_odd_append(&mut self, from: NodeId, append: Append) -> Result<(), Error> {
        if let Err(refusal) = check_append(self, self.term(), &append) {
            return Err(self.count_failed(from, MessageKind::Append, refusal.into()));
        }
        self.hear_leader(from);
        self.on_append(from, append);
        Ok(())
    }

    /// Whoever sends what only a leader sends leads this term.
    fn hear_leader(&mut self, from: NodeId) {
        self.election_elapsed = 0;
        self.since_leader = 0;
        self.set_leader(Some(from));
    }
}

/// What a leader does.
fn on_leader<S: Storage>(
    leader: &mut Leader,
    core: &mut Core<S>,
    from: NodeId,
    body: Body,
) -> Result<(), Error> {
    match body {
        Body::Propose(entries) => {
            leader.on_proposal(core, &entries)?;
        }
        Body::ReadIndex { context } => leader.on_read_index(core, from, context)?,
        Body::AppendResponse(response) => {
            if let Some(place) = leader.place_of(from) {
                leader.on_append_response(core, place, response)?;
            }
        }
        Body::HeartbeatResponse { context } => {
            let echo = leader.reads.echo_in(&context);
            if let (Some(place), Some(echo)) = (leader.place_of(from), echo) {
                leader.on_heartbeat_response(core, place, echo);
            }
        }
        Body::TransferLeader => leader.on_transfer(core, from),
        _ => {}
    }
    Ok(())
}

fn check_limit(index: Index) -> Result<(), Refusal> {
    if index.0 > LIMIT { Err(Refusal::IndexLimit(index)) } else { Ok(()) }
}

/// Whether a member can have what it says it has.
fn check_acknowledged<S: Storage>(core: &Core<S>, response: AppendResponse) -> Result<(), Refusal> {
    let (index, last) = (response.index, core.log.last_index());
    if index > last { Err(Refusal::AcknowledgedBeyondLog { index, last }) } else { Ok(()) }
}

/// Whether a leader of this term can have sent these entries.
fn check_append<S: Storage>(core: &Core<S>, term: Term, append: &Append) -> Result<(), Refusal> {
    check_limit(append.prev.index)?;
    check_limit(append.commit)?;
    let mut previous = append.prev;
    if previous.term > term {
        return Err(Refusal::TermAboveMessage { at: previous, message: term });
    }
    for slice in append.entries.slices() {
        for entry in slice {
            check_entry(term, previous, entry.position())?;
            previous = entry.position();
        }
    }
    check_limit(previous.index)?;
    check_committed(core, append)
}

/// Whether this entry can follow the previous one.
#[inline]
fn check_entry(term: Term, previous: Position, at: Position) -> Result<(), Refusal> {
    if at.index != previous.index.next() {
        return Err(Refusal::EntryGap { expected: previous.index.next(), got: at.index });
    }
    if at.term < previous.term || at.term == Term::ZERO {
        return Err(Refusal::TermRegression { at, previous: previous.term });
    }
    if at.term > term {
        return Err(Refusal::TermAboveMessage { at, message: term });
    }
    Ok(())
}

/// Whether the entries agree with what is committed here (the Leader Completeness Property, paper
/// section 5.4: a leader's log holds everything that is committed).
fn check_committed<S: Storage>(core: &Core<S>, append: &Append) -> Result<(), Refusal> {
    let commit = core.log.committed();
    if append.prev.index >= commit {
        return Ok(());
    }
    let agrees = |at: Position| match core.log.term(at.index) {
        Some(term) => term == at.term,
        // Compacted: nothing is known any more.
        None => true,
    };
    let claimed = std::iter::once(append.prev)
        .chain(append.entries.iter().map(crate::Entry::position))
        .take_while(|at| at.index <= commit)
        .find(|at| !agrees(*at));
    match claimed {
        Some(at) => Err(Refusal::ConflictWithCommitted { at: at.index, commit }),
        None => Ok(()),
    }
}

/// Whether a leader of this term can have sent this snapshot.
fn check_snapshot(term: Term, snapshot: &Snapshot) -> Result<(), Refusal> {
    if snapshot.is_empty() {
        return Err(Refusal::EmptySnapshot);
    }
    check_limit(snapshot.index())?;
    if snapshot.term() > term || snapshot.term() == Term::ZERO {
        return Err(Refusal::SnapshotAboveMessage { at: snapshot.position, message: term });
    }
    let membership =
        Membership::from_conf_state(&snapshot.conf_state).map_err(Refusal::BadMembership)?;
    if membership.is_empty() {
        return Err(Refusal::BadMembership(crate::membership::ConfStateError::NoVoters));
    }
    Ok(())
}
