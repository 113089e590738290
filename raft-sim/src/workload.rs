//! What is asked of the group: the clients' operations, bursts of proposals, membership changes.

use bytes::Bytes;
use raftcore::{
    AnyConfChange, ConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, Membership, NodeId,
    Transition,
};

use crate::client::{Change, Client, Command, Doing, REGISTERS};
use crate::cluster::{Event, World};
use crate::input::Input;
use crate::network::SLOTS;
use crate::random::Random;
use crate::swarm::{Changes, TICK, Who};

/// The longest payload that is ever proposed.
pub(crate) const MAX_PAYLOAD_BYTES: u64 = 256;

impl World {
    /// A client looks around: it begins something, waits, asks again, or gives up.
    pub(crate) fn on_client(&mut self, client: usize) {
        let think = self.plan.think;
        let delay = 1 + self.random.below(2 * think);
        self.push(delay, Event::Client(client));
        let patience = 2 * self.plan.election_ticks * TICK;
        let Client { doing, since, at: (slot, life), number, attempts, .. } = self.clients[client];
        if doing == Doing::Nothing {
            return self.begin(client);
        }
        let is_there = self.hosts[slot].is_up() && self.hosts[slot].life == life;
        let waited = self.now - since;
        if !is_there || waited > patience {
            return self.give_up(client);
        }
        // A read can be asked again under the same name.
        if matches!(doing, Doing::Reading(_)) && waited > patience / 3 * u64::from(attempts) {
            self.clients[client].attempts += 1;
            self.summary.count("reads_retried");
            self.ask_read(client, slot, number);
        }
    }

    fn begin(&mut self, client: usize) {
        let who =
            if self.random.chance(600) { Who::Leader } else { Who::Running(self.random.next()) };
        let Some(slot) = self.find(who) else { return };
        if self.hosts[slot].paused_until > self.now {
            return;
        }
        let register = self.random.below(REGISTERS as u64) as u8;
        let seen = self.judges.history.list_seen();
        let now = self.now;
        let state = &mut self.clients[client];
        state.number += 1;
        state.at = (slot, self.hosts[slot].life);
        (state.since, state.attempts) = (now, 1);
        state.list_seen = seen;
        let number = state.number;
        self.values += 1;
        let value = self.values;
        let doing = match self.random.below(4) {
            0 => Doing::Changing(Change::Write { register, value }),
            1 => Doing::Changing(Change::Append { value }),
            2 => Doing::Reading(Some(register)),
            _ => Doing::Reading(None),
        };
        self.clients[client].doing = doing;
        match doing {
            Doing::Changing(change) => {
                let command = Command { client: client as u8, number, change };
                let payload = command.encode(self.plan.padding as usize);
                let input = Input::Propose(&payload);
                let copy = payload.clone();
                let result = self.call(slot, input, |node| node.propose(copy));
                if let Some(Err(_)) = result {
                    // It is certain that this did not happen.
                    self.clients[client].doing = Doing::Nothing;
                }
                self.wake(slot);
            }
            Doing::Reading(_) => self.ask_read(client, slot, number),
            Doing::Nothing => {}
        }
    }

    fn ask_read(&mut self, client: usize, slot: usize, number: u32) {
        let context = Client::context(client, number);
        let life = self.hosts[slot].life;
        self.judges.reads.on_asked(slot, life, &context);
        let copy = context.clone();
        self.call(slot, Input::ReadIndex(&context), |node| node.read_index(copy));
        self.wake(slot);
    }

    /// Nobody knows what became of it.
    fn give_up(&mut self, client: usize) {
        let Client { doing, since, .. } = self.clients[client];
        if let Doing::Changing(Change::Write { register, value }) = doing {
            self.judges.history.on_write(register, value, since, None);
        }
        self.forget_read(client);
        self.clients[client].doing = Doing::Nothing;
        self.summary.count("operations_given_up");
    }

    /// The run ends: what is still open may have happened or not.
    pub(crate) fn end_open_operations(&mut self) {
        for client in 0..self.clients.len() {
            if self.clients[client].doing != Doing::Nothing {
                self.give_up(client);
            }
        }
    }

    fn forget_read(&mut self, client: usize) {
        let Client { number, at: (slot, life), .. } = self.clients[client];
        self.judges.reads.forget(slot, life, &Client::context(client, number));
    }

    /// A node applied a change for the first time in its life: if its client waits there, it is
    /// answered.
    pub(crate) fn on_command_applied(&mut self, slot: usize, command: Command) {
        let client = usize::from(command.client);
        let Some(state) = self.clients.get(client).cloned() else { return };
        let waits = state.doing == Doing::Changing(command.change)
            && state.number == command.number
            && state.at == (slot, self.hosts[slot].life);
        if !waits || !self.plan.is_judged {
            return;
        }
        self.clients[client].doing = Doing::Nothing;
        let machine = self.hosts[slot].machine;
        match command.change {
            Change::Write { register, value } => {
                self.judges.history.on_write(register, value, state.since, Some(self.now));
            }
            Change::Append { .. } => {
                let (len, hash) = (machine.list_len, machine.list_hash);
                let verdict = self.judges.history.on_list(state.list_seen, true, len, hash);
                self.note(verdict);
            }
        }
    }

    /// Answers the reads whose index this node has applied.
    pub(crate) fn answer_reads(&mut self, slot: usize) {
        let host = &mut self.hosts[slot];
        if host.waiting_reads.is_empty() {
            return;
        }
        let applied = host.applied;
        let (due, later): (Vec<_>, Vec<_>) =
            host.waiting_reads.drain(..).partition(|(index, ..)| *index <= applied);
        host.waiting_reads = later;
        for (_, client, number) in due {
            self.answer_read(slot, client, number);
        }
    }

    fn answer_read(&mut self, slot: usize, client: usize, number: u32) {
        let Some(state) = self.clients.get(client).cloned() else { return };
        let Doing::Reading(what) = state.doing else { return };
        if state.number != number || state.at != (slot, self.hosts[slot].life) {
            return;
        }
        self.forget_read(client);
        self.clients[client].doing = Doing::Nothing;
        self.summary.count("reads_answered");
        let machine = self.hosts[slot].machine;
        match what {
            Some(register) => {
                let value = machine.registers[usize::from(register)];
                self.judges.history.on_read(register, value, state.since, self.now);
            }
            None => {
                let (len, hash) = (machine.list_len, machine.list_hash);
                let verdict = self.judges.history.on_list(state.list_seen, false, len, hash);
                self.note(verdict);
            }
        }
    }

    /// Many proposals at once that no client waits for.
    pub(crate) fn burst(&mut self, who: Who, count: u64, bytes: u64) {
        let Some(slot) = self.find(who) else { return };
        for _ in 0..count {
            let payload = Bytes::from(vec![0xff; bytes as usize]);
            let copy = payload.clone();
            self.call(slot, Input::Propose(&payload), |node| node.propose(copy));
        }
        self.wake(slot);
    }

    /// Proposes some membership change.
    pub(crate) fn reconfigure(&mut self, slot: usize, how: u64) {
        if !self.may_reconfigure(slot) {
            return;
        }
        let mut random = Random::new(how);
        let change = draw_change(&mut random, self.judges.membership.newest());
        let input = Input::ProposeConfChange(&change);
        let result = self.call(slot, input, |node| node.propose_conf_change(&change));
        match result {
            Some(Ok(raftcore::ConfChangeOutcome::Replaced { .. })) => {
                self.summary.count("conf_change_replaced");
            }
            Some(Ok(_)) => {
                self.summary.count("conf_change_proposed");
                self.count_kinds(&change);
                self.start_joiners(&change, how);
            }
            _ => {}
        }
        self.wake(slot);
    }

    /// An application that checks membership changes itself proposes one only where all is applied
    /// that could be one.
    pub(crate) fn may_reconfigure(&self, slot: usize) -> bool {
        let applied_all = |status: &raftcore::Status| status.applied == status.last_index;
        self.plan.changes != Changes::ByApplication
            || self.hosts[slot].leads() && self.hosts[slot].status.as_ref().is_some_and(applied_all)
    }

    /// Counts the kinds of change that are worth knowing of.
    fn count_kinds(&mut self, change: &AnyConfChange) {
        let steps = ConfChangeV2::from(change.clone()).changes;
        let now = self.judges.membership.newest();
        let does = |kind, id: u64| steps.iter().any(|step| step.kind == kind && step.node == id);
        let demotes = now.voters().iter().any(|id| does(ConfChangeKind::AddLearner, id.get()));
        let replaces = now.voters().iter().all(|id| does(ConfChangeKind::Remove, id.get()));
        let back: Vec<usize> = steps
            .iter()
            .filter(|step| step.kind != ConfChangeKind::Remove && step.node <= SLOTS as u64)
            .filter(|step| NodeId::new(step.node).is_some_and(|id| !now.contains(id)))
            .map(|step| step.node as usize - 1)
            .filter(|slot| self.hosts[*slot].life > 0)
            .collect();
        for slot in &back {
            self.hosts[*slot].back_since = self.now;
        }
        let kinds = [
            (demotes, "demotion_proposed"),
            (replaces, "replacement_of_all_proposed"),
            (!back.is_empty(), "member_proposed_again"),
        ];
        for (_, name) in kinds.iter().filter(|(is_so, _)| *is_so) {
            self.summary.count(name);
        }
    }

    /// Whoever is to join starts, early or late.
    fn start_joiners(&mut self, change: &AnyConfChange, salt: u64) {
        let steps = ConfChangeV2::from(change.clone()).changes;
        for step in steps.iter().filter(|s| s.kind != ConfChangeKind::Remove) {
            let slot = (step.node as usize).wrapping_sub(1);
            if slot < SLOTS && !self.hosts[slot].is_up() {
                let life = self.hosts[slot].life;
                let delay = salt % (self.plan.election_ticks * TICK);
                self.push(delay, Event::Boot { slot, life });
            }
        }
    }

    /// A node has applied a change: whoever it removed is switched off soon, or goes on and
    /// disturbs the others.
    pub(crate) fn after_reconfiguration(&mut self, slot: usize) {
        let host = &self.hosts[slot];
        let Some(status) = &host.status else { return };
        self.summary.count("conf_changes_applied");
        if status.membership.is_joint() {
            self.summary.count("joint_entered");
        }
        let (own, members) = (host.id, status.membership.contains(host.id));
        if host.random.clone().chance(500) {
            // Whoever joins takes no snapshot of a group that it does not belong to.
            self.compact(slot, 50);
        }
        if !members && self.plan.stops_removed && !self.settle.has_begun() {
            self.trace(slot, || format!("{own} is no member any more and stops"));
            self.summary.count("removed_stopped");
            self.stop_later(slot);
        }
    }

    /// Stops a node at the next moment, not in the middle of what it does. Its disk is kept: who is
    /// added again is who it was.
    fn stop_later(&mut self, slot: usize) {
        let life = self.hosts[slot].life;
        self.push(self.plan.pause, Event::Stop { slot, life });
    }
}

/// Draws a change that often can follow this configuration.
fn draw_change(random: &mut Random, now: &Membership) -> AnyConfChange {
    let id = |random: &mut Random| random.between(1, SLOTS as u64);
    if now.is_joint() && random.chance(700) {
        return ConfChangeV2::leave_joint().into();
    }
    let kinds = [
        ConfChangeKind::AddVoter,
        ConfChangeKind::AddVoter,
        ConfChangeKind::AddLearner,
        ConfChangeKind::Remove,
        ConfChangeKind::Update,
    ];
    if random.chance(500) {
        let (kind, node) = (random.pick(&kinds), id(random));
        return ConfChange { kind, node, ..ConfChange::default() }.into();
    }
    let mut changes = Vec::new();
    if random.chance(150) {
        // Replaces everybody.
        let old = now.voters().iter().map(|id| id.get());
        changes.extend(old.map(|node| single(ConfChangeKind::Remove, node)));
        let spare =
            (1..=SLOTS as u64).filter(|n| NodeId::new(*n).is_some_and(|id| !now.contains(id)));
        changes.extend(spare.map(|node| single(ConfChangeKind::AddVoter, node)));
    } else {
        for _ in 0..random.between(1, 4) {
            changes.push(single(random.pick(&kinds), id(random)));
        }
    }
    let transition =
        random.pick(&[Transition::Auto, Transition::JointImplicit, Transition::JointExplicit]);
    ConfChangeV2 { transition, changes, ..ConfChangeV2::default() }.into()
}

const fn single(kind: ConfChangeKind, node: u64) -> ConfChangeSingle {
    ConfChangeSingle { kind, node }
}
