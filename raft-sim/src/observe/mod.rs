//! What the judges are shown of each step: the state before and after, the input, the disks.
//! Whether it is right is theirs to say.

#[cfg(test)]
mod tests;

use raftcore::{
    Body, Entry, Error, Message, NodeId, Position, ReadOnly, Ready, Reply, RoleKind, Status,
    VoteRequest,
};

use crate::check::acknowledgements::Acknowledgements;
use crate::check::lease::LeaderLook;
use crate::check::progress::LeaderFlow;
use crate::check::{Judges, Verdict, contract, durability, ensure};
use crate::cluster::World;
use crate::disk::Disk;
use crate::host::Host;
use crate::input::Input;
use crate::random::mix;

/// One step of one node.
pub(crate) struct Step<'a> {
    pub(crate) slot: usize,
    pub(crate) before: &'a Status,
    pub(crate) after: &'a Status,
    pub(crate) input: &'a Input<'a>,
    pub(crate) error: Option<&'a Error>,
    /// Where the node's log ends now.
    pub(crate) last: Position,
    /// How many steps were made before, on any node.
    pub(crate) now: u64,
}

impl World {
    /// Judges a step that was just made.
    pub(crate) fn judge_step(
        &mut self,
        slot: usize,
        input: &Input<'_>,
        error: Option<&Error>,
    ) -> Verdict {
        let host = &mut self.hosts[slot];
        let Some(node) = &host.node else { return Ok(()) };
        contract::on_fault(host.id, node.fault())?;
        let (after, last) = (node.status(), node.last_position());
        self.hash = mix_status(self.hash, slot, &after);
        let Some(before) = host.status.replace(after.clone()) else { return Ok(()) };
        if !self.plan.is_judged {
            return Ok(());
        }
        let now = self.summary.steps;
        let step = Step { slot, before: &before, after: &after, input, error, last, now };
        judge(&mut self.judges, &self.hosts, &step)
    }

    /// Judges what a node hands out.
    pub(crate) fn judge_ready(&mut self, slot: usize, ready: &Ready) {
        self.hash = mix(self.hash, ready.number() << 1 | u64::from(ready.must_sync));
        if !self.plan.is_judged {
            return;
        }
        let now = self.summary.steps;
        let verdict = judge_ready(&mut self.judges, &self.hosts[slot], ready, now);
        self.note(verdict);
    }
}

/// What a node hands out.
pub(crate) fn judge_ready(judges: &mut Judges, host: &Host, ready: &Ready, now: u64) -> Verdict {
    let Some(status) = &host.status else { return Ok(()) };
    let (id, slot, leads) = (host.id, host.slot, host.leads());
    let log = &mut judges.log;
    log.on_ready(slot, &ready.entries, ready.snapshot.as_deref(), leads)?;
    let (commit, term) = (status.hard_state.commit.0, status.hard_state.term.0);
    log.on_commit(slot, commit, term)?;
    if host.config.read_only == ReadOnly::Safe {
        judge_reads(&mut judges.acknowledgements, host, ready, now)?;
    }
    if !leads {
        return Ok(());
    }
    let log = &judges.log;
    if ready.entries.iter().any(Entry::is_conf_change) {
        let (applied, last) = (status.applied.0, status.last_index.0);
        let changes = log.conf_changes_between(slot, applied, last);
        judges.membership.on_unapplied(id, applied, changes)?;
    }
    let answers = |m: &Message| {
        matches!(m.body, Body::ReadIndexResponse { .. }) && m.term == status.hard_state.term
    };
    if !ready.read_states.is_empty() || ready.messages.iter().any(answers) {
        let at_commit = log.term_at(slot, commit);
        // A leader that was just elected may still hand out what it was told as a follower.
        let served = ready.messages.iter().any(answers);
        if served {
            judges.reads.on_answered(id, term, commit, at_commit)?;
        }
    }
    // Upstream's way lets the order of a transfer that was given up leave late, perhaps in the
    // next one to the same target.
    let orders = |m: &&Message| matches!(m.body, Body::TimeoutNow) && host.config.coalesce_appends;
    match ready.messages.iter().find(orders).filter(|m| status.transferring_to == Some(m.to)) {
        Some(order) => check_order(status, order.to),
        None => Ok(()),
    }
}

/// What a message claims, checked as it leaves. `digest` is that of the state in a snapshot.
pub(crate) fn judge_release(
    judges: &mut Judges,
    host: &Host,
    message: &Message,
    digest: impl FnOnce(&[u8]) -> u64,
) -> Verdict {
    if let Some(disk) = host.disk() {
        durability::on_release(message, disk)?;
        durability::on_vote_request(message, disk)?;
    }
    match &message.body {
        Body::VoteResponse(response) if !response.rejected => {
            judges.election.on_promise(host.slot, message.term.0, message.to)
        }
        Body::Snapshot(snapshot) => {
            judges.log.on_snapshot(host.id, snapshot, digest(&snapshot.data))?;
            let index = snapshot.index().0;
            judges.membership.on_applied_change(host.id, index, &snapshot.conf_state)
        }
        _ => Ok(()),
    }
}

/// Everything that a Ready sends, at once or later.
fn messages_of(ready: &Ready) -> impl Iterator<Item = &Message> {
    let replies = ready.append.iter().flat_map(|append| &append.replies);
    let later = replies.filter_map(|reply| match reply {
        Reply::Peer(message) => Some(message),
        Reply::Local(_) => None,
    });
    ready.messages.iter().chain(&ready.messages_after_sync).chain(later)
}

/// The heartbeats and the answers to reads in a Ready.
fn judge_reads(judge: &mut Acknowledgements, host: &Host, ready: &Ready, now: u64) -> Verdict {
    let slot = host.slot;
    for read in &ready.read_states {
        judge.on_released(slot, host.id, &read.context)?;
    }
    if !host.leads() && !judge.is_waiting(slot) {
        return Ok(());
    }
    for message in messages_of(ready) {
        match &message.body {
            Body::Heartbeat(heartbeat) if !heartbeat.context.is_empty() => {
                judge.on_sent(slot, message.term.0, &heartbeat.context, now);
            }
            Body::ReadIndexResponse { context, .. } if message.term.0 == judge.term(slot) => {
                judge.on_released(slot, message.to, context)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The last order of a transfer goes to a voter that has the whole log.
fn check_order(status: &Status, to: NodeId) -> Verdict {
    let peer = status.progress.iter().find(|peer| peer.id == to);
    let matched = peer.map(|peer| peer.progress.match_index());
    let complete = matched == Some(status.last_index) && status.membership.is_voter(to);
    ensure(complete, "transfer_order_only_to_the_complete", || {
        let (id, last) = (status.id, status.last_index);
        format!("leader {id} orders {to}, which matches {matched:?} of {last}, to campaign")
    })
}

fn mix_status(hash: u64, slot: usize, status: &Status) -> u64 {
    let state = &status.hard_state;
    let marks = mix(state.term.0, NodeId::or_zero(state.vote) << 8 | slot as u64);
    let indexes = mix(state.commit.0, mix(status.last_index.0, status.applied.0));
    let soft = NodeId::or_zero(status.soft_state.leader) << 2 | status.soft_state.role as u64;
    mix(mix(hash, marks), mix(indexes, soft))
}

/// One step.
pub(crate) fn judge(judges: &mut Judges, hosts: &[Host], step: &Step<'_>) -> Verdict {
    let Step { slot, before, after, .. } = *step;
    let host = &hosts[slot];
    judges.election.on_step(host.id, &before.hard_state, &after.hard_state)?;
    judges.reads.on_commit(after.hard_state.commit.0);
    ensure(after.hard_state.commit <= after.last_index, "commit_is_in_the_log", || {
        format!("node {}: {} of {}", host.id, after.hard_state.commit, after.last_index)
    })?;
    let ordered = after.applied <= after.hard_state.commit;
    ensure(ordered, "applied_is_committed", || {
        format!("node {}: {} of {}", host.id, after.applied, after.hard_state.commit)
    })?;
    check_refused(host, step)?;
    check_role(judges, host, step)?;
    if let Input::Step(message) = step.input {
        on_message(judges, host, step, message)?;
    }
    if before.soft_state.leader.is_some() && after.soft_state.leader.is_none() {
        judges.lease.on_leader_heard(slot, None);
    }
    if after.soft_state.role == RoleKind::Leader {
        check_leader(judges, hosts, step)?;
    }
    Ok(())
}

/// What was refused changed nothing, except that a higher term still counts, and that a heartbeat
/// beyond the log is still word from the leader.
fn check_refused(host: &Host, step: &Step<'_>) -> Verdict {
    let Some(Error::Refused(refusal)) = step.error else { return Ok(()) };
    let exempt = match step.input {
        Input::Step(message) => {
            message.term > step.before.hard_state.term || matches!(message.body, Body::Heartbeat(_))
        }
        Input::Bytes(_) => !matches!(refusal, raftcore::Refusal::Malformed(_)),
        _ => false,
    };
    // The first index is the storage's: what the application compacted meanwhile shows there.
    let mut after = step.after.clone();
    after.first_index = step.before.first_index;
    ensure(exempt || *step.before == after, "refused_changes_nothing", || {
        format!("node {}: {refusal}: {:?} and then {:?}", host.id, step.before, step.after)
    })
}

/// A node that begins to campaign or to lead.
fn check_role(judges: &mut Judges, host: &Host, step: &Step<'_>) -> Verdict {
    let Step { slot, before, after, .. } = *step;
    let (was, is) = (before.soft_state.role, after.soft_state.role);
    let raised = before.hard_state.term != after.hard_state.term;
    if was == is && !(raised && is == RoleKind::Candidate) {
        return Ok(());
    }
    let states = (&before.hard_state, &after.hard_state);
    match is {
        RoleKind::PreCandidate | RoleKind::Candidate => {
            judges.election.on_campaign(host.id, is, states, &before.membership)?;
            let (applied, commit) = (before.applied.0, before.hard_state.commit.0);
            let changes = judges.log.committed_changes(applied, commit);
            judges.membership.on_campaign(host.id, applied, changes)
        }
        RoleKind::Leader => {
            let term = after.hard_state.term.0;
            judges.election.on_elected(host.id, term, &after.membership)?;
            judges.log.on_elected(slot, term)
        }
        RoleKind::Follower => Ok(()),
    }
}

/// A message was taken.
fn on_message(judges: &mut Judges, host: &Host, step: &Step<'_>, message: &Message) -> Verdict {
    let Step { slot, before, after, .. } = *step;
    let term = message.term;
    match &message.body {
        Body::PreVote(request) => {
            let kept = (before.hard_state.term, before.hard_state.vote)
                == (after.hard_state.term, after.hard_state.vote);
            ensure(kept, "pre_vote_changes_nothing", || {
                format!("node {}: {:?} to {:?}", host.id, before.hard_state, after.hard_state)
            })?;
            check_bound(judges, host, step, term, request)
        }
        Body::Vote(request) => {
            check_bound(judges, host, step, term, request)?;
            let granted = after.hard_state.vote == Some(message.from)
                && after.hard_state.term == term
                && before.hard_state != after.hard_state;
            // A vote changes no log: it ends where it ended when the vote was asked for.
            if granted {
                judges.election.on_granted(host.id, step.last, request.last)
            } else {
                Ok(())
            }
        }
        Body::Append(_) | Body::Heartbeat(_) | Body::Snapshot(_) => {
            let heard = step.error.is_none()
                && after.soft_state.leader == Some(message.from)
                && after.hard_state.term == term;
            if heard && after.soft_state.role == RoleKind::Follower {
                judges.lease.on_leader_heard(slot, Some(host.ticks));
            }
            Ok(())
        }
        Body::AppendResponse(_) | Body::HeartbeatResponse { .. } => {
            if step.error.is_none() && term == after.hard_state.term {
                judges.lease.on_member_heard(slot, message.from, host.ticks);
                if let Body::HeartbeatResponse { context, .. } = &message.body {
                    judges.acknowledgements.on_answered(slot, term.0, message.from, context);
                }
            }
            Ok(())
        }
        Body::ReadIndexResponse { context, .. } => {
            let is_judged = host.config.read_only == ReadOnly::Safe;
            if is_judged && step.error.is_none() && term == after.hard_state.term {
                judges.acknowledgements.on_told(slot, context.clone());
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A leader is asked for a read, hears what may confirm one, or has other members now.
fn follow_reads(judge: &mut Acknowledgements, host: &Host, step: &Step<'_>) {
    let Step { slot, before, after, .. } = *step;
    let asked = match step.input {
        Input::ReadIndex(context) => Some((host.id, *context)),
        Input::Step(message) => match &message.body {
            Body::ReadIndex { context } => Some((message.from, &**context)),
            Body::HeartbeatResponse { .. } => None,
            _ => return,
        },
        Input::ApplyConfChange(_) => None,
        _ => return,
    };
    let term = after.hard_state.term.0;
    if let Some((from, context)) = asked
        && step.error.is_none()
        && before.soft_state.role == RoleKind::Leader
    {
        judge.on_asked(slot, term, (from, context.into()), step.now);
    }
    if judge.is_waiting(slot) {
        judge.look(slot, &after.membership);
    }
}

/// A request for a vote reached a node that its leader's word may bind.
fn check_bound(
    judges: &Judges,
    host: &Host,
    step: &Step<'_>,
    term: raftcore::Term,
    request: &VoteRequest,
) -> Verdict {
    let election = u64::from(host.config.election_timeout_ticks);
    let is_bound = host.config.check_quorum
        && !request.transfer
        && term > step.before.hard_state.term
        && step.before.soft_state.leader.is_some()
        && step.before.soft_state.role == RoleKind::Follower
        && judges.lease.is_bound(step.slot, host.ticks, election);
    if !is_bound {
        return Ok(());
    }
    let (before, after) = (&step.before.hard_state, &step.after.hard_state);
    judges.lease.on_request_while_bound(host.id, before, after)
}

/// What must hold on a leader after any step.
fn check_leader(judges: &mut Judges, hosts: &[Host], step: &Step<'_>) -> Verdict {
    let Step { slot, before, after, input, .. } = *step;
    let host = &hosts[slot];
    let term = after.hard_state.term.0;
    let led = before.soft_state.role == RoleKind::Leader && before.hard_state.term.0 == term;
    if !led {
        judges.election.on_leading(host.id, term)?;
    }
    let disk_of =
        |id: NodeId| -> Option<&Disk> { hosts.get(id.get() as usize - 1).and_then(Host::disk) };
    let commit = after.hard_state.commit.0;
    if commit > before.hard_state.commit.0 {
        durability::on_commit(host.id, term, commit, &after.membership, disk_of)?;
    }
    if before.membership != after.membership {
        judges.lease.on_members_changed(slot, host.ticks);
    }
    let transfer_asked = match input {
        Input::Transfer(_) => true,
        Input::Step(message) => matches!(message.body, Body::TransferLeader),
        _ => false,
    };
    let look = LeaderLook {
        term,
        membership: &after.membership,
        checks_quorum: host.config.check_quorum,
        transferring: after.transferring_to.is_some(),
        transfer_asked,
    };
    let election = u64::from(host.config.election_timeout_ticks);
    judges.lease.on_leading(slot, look, host.ticks, election)?;
    if led
        && before.transferring_to.is_some()
        && matches!(input, Input::Propose(_) | Input::ProposeConfChange(_))
    {
        ensure(step.error.is_some(), "no_proposals_while_transferring", || {
            format!("leader {} took a proposal during a transfer", host.id)
        })?;
    }
    if host.config.read_only == ReadOnly::Safe {
        follow_reads(&mut judges.acknowledgements, host, step);
    }
    let flow = LeaderFlow {
        term,
        peers: &after.progress,
        config: &host.config,
        reconfigured: matches!(input, Input::ApplyConfChange(_)),
    };
    let log = &judges.log;
    // What was acknowledged was handed out before, and a leader overwrites nothing of it.
    let term_at = |index| log.term_at(slot, index);
    judges.progress.on_leading(slot, flow, disk_of, term_at)
}
