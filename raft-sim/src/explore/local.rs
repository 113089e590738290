//! One node with its application and disk, as the search sees it: what a node in some state does
//! when something happens to it. Nothing here knows of the other nodes, nor of the search.
//!
//! A node is no value that could be kept and copied, but it is deterministic: the same acts on the
//! same disk lead to the same node. So a state is kept as its disk at the last start and the acts
//! since, and is played again when something more is to happen to it.

use std::rc::Rc;

use raftcore::{
    Body, Config, Entries, Entry, HardState, Message, Node, NodeId, Ready, RoleKind, Status,
};

use super::Scope;
use crate::check::election::Election;
use crate::check::{Verdict, Violation, durability, ensure};
use crate::client::digest_of;
use crate::disk::{Batch, Disk, Durable};
use crate::random::mix;
use crate::sabotage::Sabotage;

/// What can happen to a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Input {
    /// This message arrives.
    Take(u32),
    Campaign,
    /// The application proposes its next entry.
    Propose,
    /// A leader's clock ticks: it sends heartbeats.
    Beat,
    /// Power is lost, and comes back, while the loop rests. A write that was not synced is there
    /// afterwards, or it is not.
    Crash {
        keeps: bool,
    },
}

/// An input and how far the application gets in its loop before power is lost and comes back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Act {
    pub(super) input: Input,
    /// At which of the places in the loop where a crash makes a difference, if at one.
    pub(super) crash_at: Option<u8>,
}

/// Something that the judges of the whole group are shown, in the order in which it happened.
#[derive(Debug)]
pub(super) enum Look {
    /// A leader, or a node that just became one, after a call.
    Leads {
        before: Rc<Status>,
        after: Rc<Status>,
        disk: Box<Disk>,
    },
    Handed {
        entries: Entries,
        commit: u64,
        term: u64,
        leads: bool,
    },
    Applied {
        entry: Entry,
        state: u64,
    },
    Voted {
        term: u64,
        candidate: NodeId,
    },
    Restarted {
        entries: Entries,
    },
}

/// A state of a node, and the way to it.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) status: Rc<Status>,
    pub(super) disk: Disk,
    start: Rc<Disk>,
    acts: Vec<Input>,
}

/// What a message is to the numbers by which states name it.
pub(super) trait Messages {
    fn message(&self, number: u32) -> Message;
}

/// What an act led to.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) local: Local,
    /// Everything about the new state that can make a difference later.
    pub(super) print: String,
    pub(super) sent: Vec<Message>,
    pub(super) looks: Vec<Look>,
    /// How many places there were to crash at.
    pub(super) places: u8,
    pub(super) verdict: Verdict,
}

/// A node that runs.
struct Live<'a> {
    scope: &'a Scope,
    node: Node<Disk>,
    status: Rc<Status>,
    applied: u64,
    /// The digest of the application.
    state: u64,
    /// The answers that this candidate took, oldest first: the one thing that a node has in memory
    /// and does not show.
    votes: Vec<(NodeId, u64, bool)>,
    crash_at: Option<u8>,
    places: u8,
    crashed: Option<Disk>,
    sent: Vec<Message>,
    looks: Vec<Look>,
    verdict: Verdict,
}

impl Local {
    /// A founder that has not begun.
    pub(super) fn founder(scope: &Scope, slot: usize) -> Result<(Self, String), Violation> {
        let disk = Disk::with_conf_state(raftcore::ConfState::with_voters(1..=scope.nodes as u64));
        let live = Live::start(scope, slot as u64 + 1, disk.clone())?;
        let print = live.print();
        let local =
            Self { status: live.status, disk: disk.clone(), start: Rc::new(disk), acts: vec![] };
        Ok((local, print))
    }

    /// Plays this state again and lets something happen to it.
    pub(super) fn act(&self, scope: &Scope, act: Act, messages: &impl Messages) -> Done {
        let id = self.status.id.get();
        let mut live = match Live::start(scope, id, Disk::clone(&self.start)) {
            Ok(live) => live,
            Err(violation) => unreachable!("it started before: {violation}"),
        };
        for input in &self.acts {
            live.input(*input, messages);
        }
        (live.looks, live.sent) = (Vec::new(), Vec::new());
        (live.places, live.crash_at) = (0, act.crash_at);
        live.input(act.input, messages);
        match live.crashed.take() {
            Some(disk) => live.restart(disk),
            None => self.go_on(act, live),
        }
    }

    fn go_on(&self, act: Act, live: Live<'_>) -> Done {
        let acts = self.acts.iter().copied().chain([act.input]).collect();
        live.done(self.start.clone(), acts)
    }
}

impl<'a> Live<'a> {
    fn start(scope: &'a Scope, id: u64, disk: Disk) -> Result<Self, Violation> {
        let mut config = Config::new(id, id);
        // Clocks do not run here: elections begin when the search says so.
        config.election_timeout_ticks = 1000;
        (config.pre_vote, config.check_quorum) = (scope.pre_vote, false);
        config.votes_wait_for_sync = scope.sabotage != Sabotage::HastyVotes;
        let stored = disk.durable_hard_state();
        let node = Node::new(&config, disk).map_err(|error| Violation {
            check: "restart_succeeds",
            detail: format!("node {id} with {stored:?}: {error}"),
        })?;
        let (status, loaded) = (Rc::new(node.status()), node.hard_state());
        if !stored.is_empty() {
            durability::on_restart(status.id, &stored, &loaded)?;
        }
        Ok(Self {
            scope,
            node,
            status,
            applied: 0,
            state: 0,
            votes: Vec::new(),
            crash_at: None,
            places: 0,
            crashed: None,
            sent: Vec::new(),
            looks: Vec::new(),
            verdict: Ok(()),
        })
    }

    fn input(&mut self, input: Input, messages: &impl Messages) {
        match input {
            Input::Take(number) => self.take(messages.message(number)),
            Input::Campaign => self.call(|node| drop(node.campaign())),
            Input::Propose => self.call(|node| drop(node.propose("x"))),
            Input::Beat => self.call(|node| drop(node.tick())),
            Input::Crash { keeps } => {
                let disk = self.node.storage().clone();
                self.crash(disk, keeps);
                return;
            }
        }
        while self.crashed.is_none() && self.node.has_ready() && self.verdict.is_ok() {
            let Ok(Some(ready)) = self.node.ready() else { break };
            self.work(ready);
        }
    }

    fn take(&mut self, message: Message) {
        let (before, term) = (self.status.clone(), message.term);
        let answer = match &message.body {
            Body::VoteResponse(answer) | Body::PreVoteResponse(answer) => Some(answer.rejected),
            _ => None,
        };
        let from = message.from;
        let request = match &message.body {
            Body::Vote(request) => Some(request.last),
            _ => None,
        };
        self.call(|node| drop(node.step(message)));
        let counts =
            matches!(self.status.soft_state.role, RoleKind::Candidate | RoleKind::PreCandidate);
        if let Some(rejected) = answer
            && counts
            && !self.votes.contains(&(from, term.0, rejected))
        {
            self.votes.push((from, term.0, rejected));
        }
        let (was, is) = (&before.hard_state, &self.status.hard_state);
        if let Some(last) = request
            && (is.vote, is.term) == (Some(from), term)
            && was != is
        {
            let own = self.node.last_position();
            let verdict = Election::default().on_granted(self.status.id, own, last);
            self.note(verdict);
        }
    }

    fn note(&mut self, verdict: Verdict) {
        if self.verdict.is_ok() {
            self.verdict = verdict;
        }
    }

    /// A call on the node, and what can be said of it without knowing the others.
    fn call(&mut self, act: impl FnOnce(&mut Node<Disk>)) {
        act(&mut self.node);
        let after = Rc::new(self.node.status());
        let before = std::mem::replace(&mut self.status, after.clone());
        let verdict = judge_call(&self.node, &before, &after);
        self.note(verdict);
        let (was, is) = (before.soft_state.role, after.soft_state.role);
        if was != is || before.hard_state.term != after.hard_state.term {
            self.votes.clear();
        }
        if is == RoleKind::Leader && *before != *after {
            let disk = Box::new(self.node.storage().clone());
            self.looks.push(Look::Leads { before, after, disk });
        }
    }

    /// The application's loop, once. A crash comes where something has left or is on the disk.
    fn work(&mut self, mut ready: Ready) {
        let (commit, term) = (self.status.hard_state.commit.0, self.status.hard_state.term.0);
        let leads = self.status.soft_state.role == RoleKind::Leader;
        self.looks.push(Look::Handed { entries: ready.entries.clone(), commit, term, leads });
        self.release(std::mem::take(&mut ready.messages));
        if self.scope.sabotage == Sabotage::SendBeforeSync {
            self.release(std::mem::take(&mut ready.messages_after_sync));
        }
        if self.is_crash_here(false) {
            return;
        }
        self.write(&ready);
        if self.is_crash_here(true) {
            return;
        }
        self.release(std::mem::take(&mut ready.messages_after_sync));
        for entry in ready.committed.iter() {
            self.apply(entry);
        }
        self.call(|node| drop(node.advance(ready)));
    }

    fn release(&mut self, messages: Vec<Message>) {
        for message in messages {
            let disk = self.node.storage();
            let verdict = durability::on_release(&message, disk)
                .and_then(|()| durability::on_vote_request(&message, disk));
            if self.scope.promises {
                self.note(verdict);
            }
            if let Body::VoteResponse(response) = &message.body
                && !response.rejected
            {
                self.looks.push(Look::Voted { term: message.term.0, candidate: message.to });
            }
            self.sent.push(message);
        }
    }

    fn write(&mut self, ready: &Ready) {
        let id = self.status.id;
        let never = self.scope.sabotage == Sabotage::NeverSync;
        let disk = self.node.storage_mut();
        let kept = ready
            .hard_state
            .map_or(Ok(()), |new| durability::on_write(id, &disk.durable_hard_state(), &new));
        let (hard_state, entries) = (ready.hard_state, ready.entries.clone());
        let is_empty = hard_state.is_none() && entries.is_empty();
        let batch = Batch { hard_state, entries, ..Batch::default() };
        let mut written = if is_empty { Ok(()) } else { disk.write(batch) };
        if ready.must_sync && !never {
            written = written.and_then(|()| disk.sync());
        }
        self.note(kept);
        self.note(ensure(written.is_ok(), "storage_takes_what_ready_says", || {
            format!("node {id}: {written:?}")
        }));
    }

    fn apply(&mut self, entry: &Entry) {
        let id = self.status.id;
        let durable = self.node.storage().durable_term(entry.index.0);
        if self.scope.promises {
            let stored = durable == Durable::Entry(entry.term.0);
            self.note(ensure(stored, "applied_is_durable", || {
                format!("node {id} applies {}, has {durable:?}", entry.position())
            }));
        }
        self.applied = entry.index.0;
        self.state = mix(self.state, digest_of(entry));
        self.looks.push(Look::Applied { entry: entry.clone(), state: self.state });
    }

    /// Whether power is lost at this place. Before the write nothing of this Ready is on the disk,
    /// after it all of it; what was written without a sync goes the same way.
    fn is_crash_here(&mut self, is_written: bool) -> bool {
        let here = self.crash_at == Some(self.places);
        self.places += 1;
        if here {
            let disk = self.node.storage().clone();
            self.crash(disk, is_written);
        }
        here
    }

    fn crash(&mut self, mut disk: Disk, keeps: bool) {
        let lost = disk.crash_keeping(if keeps { usize::MAX } else { 0 });
        self.note(ensure(lost.is_ok(), "storage_takes_what_ready_says", || format!("{lost:?}")));
        if self.scope.sabotage == Sabotage::ForgetVote {
            disk.forget_vote();
        }
        self.crashed = Some(disk);
    }

    /// The node comes back with what its disk has.
    fn restart(mut self, disk: Disk) -> Done {
        let id = self.status.id.get();
        let mut next = match Live::start(self.scope, id, disk.clone()) {
            Ok(next) => next,
            Err(violation) => {
                self.note(Err(violation));
                return self.done(Rc::new(disk), Vec::new());
            }
        };
        (next.sent, next.places) = (self.sent, self.places);
        next.looks = self.looks;
        next.looks.push(Look::Restarted { entries: disk.durable_entries() });
        next.verdict = self.verdict;
        next.done(Rc::new(disk), Vec::new())
    }

    fn done(self, start: Rc<Disk>, acts: Vec<Input>) -> Done {
        let print = self.print();
        Done {
            local: Local { status: self.status, disk: self.node.storage().clone(), start, acts },
            print,
            sent: self.sent,
            looks: self.looks,
            places: self.places,
            verdict: self.verdict,
        }
    }

    /// All that can make a difference later: log, disk, term, role, what a leader knows of the
    /// others, the votes that a candidate counts, what is applied.
    fn print(&self) -> String {
        let Self { node, status, votes, applied, state, .. } = self;
        format!("{node:?} {status:?} {votes:?} {applied} {state:x}")
    }
}

/// What holds after every call, whoever the others are.
fn judge_call(node: &Node<Disk>, before: &Status, after: &Status) -> Verdict {
    let (id, election) = (after.id, Election::default());
    if let Some(fault) = node.fault() {
        return ensure(false, "no_node_faults", || format!("node {id}: {fault}"));
    }
    let (was, is): (&HardState, &HardState) = (&before.hard_state, &after.hard_state);
    election.on_step(id, was, is)?;
    ensure(is.commit <= after.last_index, "commit_is_in_the_log", || {
        format!("node {id}: {} of {}", is.commit, after.last_index)
    })?;
    ensure(after.applied <= is.commit, "applied_is_committed", || {
        format!("node {id}: {} of {}", after.applied, is.commit)
    })?;
    let role = after.soft_state.role;
    let begins = before.soft_state.role != role || was.term != is.term;
    if begins && matches!(role, RoleKind::Candidate | RoleKind::PreCandidate) {
        election.on_campaign(id, role, (was, is), &before.membership)?;
    }
    Ok(())
}

/// Whether this message can never again change anything at a node that rests in this state: what
/// it answers is over, and terms never fall.
pub(super) fn is_over(message: &Message, status: &Status) -> bool {
    let (term, role) = (status.hard_state.term, status.soft_state.role);
    let answers = match &message.body {
        Body::VoteResponse(_) => role != RoleKind::Candidate,
        Body::AppendResponse(_) | Body::HeartbeatResponse { .. } => role != RoleKind::Leader,
        _ => false,
    };
    let pre = matches!(message.body, Body::PreVote(_) | Body::PreVoteResponse(_));
    !pre && (message.term < term || message.term == term && answers)
}
