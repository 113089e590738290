//! The group in virtual time: one queue of events, one thread, and every call on a node in one
//! place, where it is counted, traced, recorded and judged.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use bytes::Bytes;
use raftcore::{Error, Membership, Message, Node, NodeId, Peer, Position, Term, wire};

use crate::check::{Judges, Verdict, Violation};
use crate::client::{Client, Machine};
use crate::disk::Disk;
use crate::host::{Host, founders};
use crate::input::{Input, show};
use crate::network::{Fate, Network, SLOTS};
use crate::random::{Random, mix, mix_bytes};
use crate::schedule::Recorder;
use crate::settle::Settle;
use crate::summary::Summary;
use crate::swarm::{Founding, Plan};

/// What happens at some time.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Tick {
        slot: usize,
        life: u32,
    },
    Deliver(Packet),
    Loop {
        slot: usize,
        life: u32,
    },
    Append {
        slot: usize,
        life: u32,
    },
    Apply {
        slot: usize,
        life: u32,
    },
    SnapshotSent {
        slot: usize,
        life: u32,
        to: NodeId,
        arrived: bool,
    },
    Act(usize),
    Boot {
        slot: usize,
        life: u32,
    },
    Stop {
        slot: usize,
        life: u32,
    },
    Client(usize),
    Settle,
    /// The end of a fault of a disk that is not bound to a time by itself.
    DiskWorks {
        slot: usize,
    },
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) bytes: Bytes,
    pub(crate) sent: u64,
    pub(crate) corrupted: bool,
    pub(crate) salt: u64,
}

/// With so many events waiting, messages are lost.
const MAX_QUEUED: usize = 4_000;

/// An event with its time. Events of one time happen in the order in which they were queued.
struct Queued {
    at: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives its greatest first: the earliest has to be that.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// The whole simulated world.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: u64,
    queue: BinaryHeap<Queued>,
    queued: u64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) founders: Vec<Peer>,
    pub(crate) network: Network,
    pub(crate) judges: Judges,
    pub(crate) violation: Option<Violation>,
    pub(crate) clients: Vec<Client>,
    /// The highest value that a client wrote.
    pub(crate) values: u32,
    pub(crate) random: Random,
    pub(crate) settle: Settle,
    pub(crate) summary: Summary,
    pub(crate) recorder: Recorder,
    pub(crate) hash: u64,
    pub(crate) traces: bool,
}

impl World {
    pub(crate) fn new(plan: Plan, traces: bool, records: bool) -> Self {
        let host = |slot: usize| {
            let random = Random::fork(plan.seed, 100 + slot as u64);
            Host::new(slot, plan.configs[slot].clone(), plan.periods[slot], random)
        };
        let hosts = (0..SLOTS).map(host).collect();
        let mut world = Self {
            network: Network::new(plan.seed, plan.weather),
            random: Random::fork(plan.seed, 2),
            founders: founders(plan.voters),
            clients: vec![Client::new(); plan.clients],
            now: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            hosts,
            judges: Judges::default(),
            violation: None,
            values: 0,
            settle: Settle::default(),
            summary: Summary::default(),
            recorder: Recorder::new(records),
            hash: 0,
            traces,
            plan,
        };
        world.found();
        world
    }

    fn found(&mut self) {
        let state = Machine::default().digest();
        let count = self.plan.voters;
        match self.plan.founding {
            Founding::Bootstrap => {
                self.judges.log.found(Position::default(), state);
                self.judges.membership.found(0, Membership::default(), count as u64);
            }
            Founding::Snapshot(index) => {
                let snapshot = self.first_snapshot(index);
                let first = Membership::from_conf_state(&snapshot.conf_state).unwrap_or_default();
                self.judges.log.found(snapshot.position, state);
                self.judges.membership.found(index, first, index);
            }
        }
        for slot in 0..count {
            self.hosts[slot].founds = true;
        }
        for slot in 0..count {
            self.boot(slot);
        }
        for at in 0..self.plan.actions.len() {
            self.push(self.plan.actions[at].0, Event::Act(at));
        }
        for client in 0..self.clients.len() {
            self.push(self.plan.election_ticks * crate::swarm::TICK, Event::Client(client));
        }
        self.push(self.plan.safety_ends, Event::Settle);
    }

    /// Runs to the end, or to the first rule that is broken.
    pub(crate) fn run(&mut self) {
        while self.violation.is_none() && !self.settle.is_done() {
            let Some(Queued { at, event, .. }) = self.queue.pop() else { break };
            self.now = at;
            self.handle(event);
        }
        if self.violation.is_none() && self.plan.is_judged {
            self.end_open_operations();
            let verdict = self.judges.history.check_registers();
            self.note(verdict);
        }
        self.summary.elections += self.judges.election.elected;
        self.summary.rounds += self.judges.acknowledgements.confirmed;
        self.summary.operations += self.judges.history.operations;
        self.summary.committed += self.judges.log.committed();
    }

    pub(crate) fn push(&mut self, delay: u64, event: Event) {
        self.queued += 1;
        self.queue.push(Queued { at: self.now + delay, number: self.queued, event });
    }

    /// Drops everything that is on its way in the network and would arrive later than that.
    pub(crate) fn drop_packets_after(&mut self, delay: u64) {
        let last = self.now + delay;
        self.queue.retain(|queued| queued.at <= last || !matches!(queued.event, Event::Deliver(_)));
    }

    fn handle(&mut self, event: Event) {
        let owner = match &event {
            Event::Tick { slot, life }
            | Event::Loop { slot, life }
            | Event::Append { slot, life }
            | Event::Apply { slot, life }
            | Event::SnapshotSent { slot, life, .. } => {
                if self.hosts[*slot].life != *life || !self.hosts[*slot].is_up() {
                    return;
                }
                Some(*slot)
            }
            Event::Deliver(packet) => Some(packet.to),
            _ => None,
        };
        if let Some(slot) = owner
            && self.hosts[slot].paused_until > self.now
        {
            let delay = self.hosts[slot].paused_until - self.now;
            return self.push(delay, event);
        }
        match event {
            Event::Tick { slot, life } => self.on_tick(slot, life),
            Event::Deliver(packet) => self.on_deliver(packet),
            Event::Loop { slot, .. } => {
                self.hosts[slot].loop_queued = false;
                self.run_loop(slot);
            }
            Event::Append { slot, .. } => {
                self.hosts[slot].append_queued = false;
                self.run_append_thread(slot);
            }
            Event::Apply { slot, .. } => {
                self.hosts[slot].apply_queued = false;
                self.run_apply_thread(slot);
            }
            Event::SnapshotSent { slot, to, arrived, .. } => {
                let status = if arrived {
                    raftcore::SnapshotStatus::Finished
                } else {
                    raftcore::SnapshotStatus::Failed
                };
                let input = Input::SnapshotStatus(to, arrived);
                self.call(slot, input, |node| node.report_snapshot(to, status));
                self.wake(slot);
            }
            Event::Act(at) => self.act(at),
            Event::Boot { slot, life } => {
                if self.hosts[slot].life == life {
                    self.boot(slot);
                }
            }
            Event::Stop { slot, life } => {
                if self.hosts[slot].life == life && !self.settle.has_begun() {
                    self.crash(slot);
                }
            }
            Event::Client(client) => self.on_client(client),
            Event::Settle => self.on_settle(),
            Event::DiskWorks { slot } => self.mend_disk(slot),
        }
    }

    fn on_tick(&mut self, slot: usize, life: u32) {
        self.push(self.hosts[slot].period, Event::Tick { slot, life });
        self.hosts[slot].ticks += 1;
        self.call(slot, Input::Tick, Node::tick);
        self.wake(slot);
    }

    fn on_deliver(&mut self, packet: Packet) {
        let Packet { from, to, bytes, sent, corrupted, salt } = packet;
        if !self.hosts[to].is_up() || self.network.is_cut(from, to) {
            self.summary.count("lost_on_arrival");
            if salt & 3 == 0 && self.hosts[from].is_up() {
                let member = self.hosts[to].id;
                let input = Input::Unreachable(member);
                self.call(from, input, |node| node.report_unreachable(member));
            }
            return;
        }
        if sent < self.hosts[to].back_since {
            self.summary.count("old_message_to_who_came_back");
        }
        if corrupted {
            self.deliver_corrupted(to, &bytes, salt);
        } else if let Ok(message) = wire::decode(bytes) {
            // A copy is a few counted references.
            let copy = message.clone();
            self.call(to, Input::Step(&message), |node| node.step(copy));
        }
        self.wake(to);
    }

    /// Bytes that were changed on the way. A transport with checksums lets none of them through
    /// that would still be a message; peers that are hostile send what they like.
    fn deliver_corrupted(&mut self, to: usize, bytes: &Bytes, salt: u64) {
        let mut random = Random::new(salt);
        let mut changed = bytes.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(changed.len() as u64) as usize;
            match random.below(4) {
                0 => changed.truncate(at.max(1)),
                1 => changed[at] ^= 1 << random.below(8),
                2 => changed[at] = random.next() as u8,
                _ => changed.insert(at, random.pick(&[0, 1, 0x7f, 0x80, 0xff])),
            }
        }
        if !self.plan.hostile && wire::decode(changed.clone()).is_ok() {
            return;
        }
        self.summary.count("corrupted");
        let copy = changed.clone();
        self.call(to, Input::Bytes(&changed), |node| node.step_encoded(copy));
    }

    /// Every call on a node.
    pub(crate) fn call<T>(
        &mut self,
        slot: usize,
        input: Input<'_>,
        act: impl FnOnce(&mut Node<Disk>) -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        if self.violation.is_some() {
            return None;
        }
        if self.traces {
            self.trace(slot, || show(&input));
        }
        let result = act(self.hosts[slot].node.as_mut()?);
        self.summary.steps += 1;
        let error = result.as_ref().err();
        if self.traces
            && let Some(error) = error
        {
            self.trace(slot, || format!("  error: {error}"));
        }
        self.recorder.on_call(slot, &input, error);
        let verdict = self.judge_step(slot, &input, error);
        self.note(verdict);
        Some(result)
    }

    pub(crate) fn note(&mut self, verdict: Verdict) {
        // Where the rules cannot hold only a node's own health can be asked for.
        let robust = ["no_node_faults", "storage_takes_what_ready_says"];
        if let Err(violation) = verdict
            && (self.plan.is_judged || robust.contains(&violation.check))
        {
            self.trace_line(|| format!("VIOLATION {violation}"));
            self.violation.get_or_insert(violation);
        }
    }

    /// Encodes a message and gives it to the network.
    pub(crate) fn send(&mut self, slot: usize, message: &Message) {
        let to = message.to.get() as usize - 1;
        if to >= SLOTS {
            return;
        }
        let bytes = wire::encode(message);
        self.hash = mix_bytes(mix(self.hash, to as u64), &bytes);
        let mut fate = self.network.send(slot, to);
        // Pipes are of finite width: a storm of resent windows drowns, it does not grow for ever.
        if self.queue.len() >= MAX_QUEUED {
            fate = Fate { dropped: true, salt: fate.salt, ..Fate::default() };
            self.summary.count("drowned");
        }
        let counts = [
            (fate.dropped, "dropped"),
            (fate.copies[1].is_some(), "duplicated"),
            (fate.late, "very_late"),
        ];
        for (_, name) in counts.iter().filter(|(is_so, _)| *is_so) {
            self.summary.count(name);
        }
        self.summary.messages += 1;
        if matches!(message.body, raftcore::Body::Snapshot(_)) {
            let (life, to) = (self.hosts[slot].life, message.to);
            let delay = fate.copies[0].unwrap_or(2 * crate::swarm::TICK) + fate.salt % 997;
            let arrived = !fate.dropped;
            self.push(delay, Event::SnapshotSent { slot, life, to, arrived });
        }
        let (corrupted, salt) = (fate.corrupted, fate.salt);
        for delay in fate.copies.into_iter().flatten() {
            let (bytes, sent) = (bytes.clone(), self.now);
            let packet = Packet { from: slot, to, bytes, sent, corrupted, salt };
            self.push(delay, Event::Deliver(packet));
        }
    }

    /// The application looks after its node, now or a little later.
    pub(crate) fn wake(&mut self, slot: usize) {
        let host = &mut self.hosts[slot];
        let has_work = host.node.as_ref().is_some_and(Node::has_ready);
        if !has_work || host.loop_queued || host.ready.is_some() {
            return;
        }
        if host.random.chance(self.plan.at_once) {
            self.run_loop(slot);
        } else {
            self.queue_loop(slot, None);
        }
    }

    /// The next action of the application's loop comes then, or after a short while.
    pub(crate) fn queue_loop(&mut self, slot: usize, delay: Option<u64>) {
        let host = &mut self.hosts[slot];
        host.loop_queued = true;
        let delay = delay.unwrap_or_else(|| 1 + host.random.below(self.plan.pause));
        self.push(delay, Event::Loop { slot, life: self.hosts[slot].life });
    }

    pub(crate) fn trace(&self, slot: usize, line: impl FnOnce() -> String) {
        self.trace_line(|| format!("{} {}", slot + 1, line()));
    }

    pub(crate) fn trace_line(&self, line: impl FnOnce() -> String) {
        if self.traces {
            let (ticks, rest) = (self.now / crate::swarm::TICK, self.now % crate::swarm::TICK);
            println!("{ticks:>6}.{rest:03} {}", line());
        }
    }

    /// The slot of the leader of the highest term, if there is one.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leaders = self.hosts.iter().filter(|host| host.leads());
        let term = |host: &Host| host.status.as_ref().map_or(Term::ZERO, |s| s.hard_state.term);
        leaders.max_by_key(|host| term(host)).map(|host| host.slot)
    }
}
