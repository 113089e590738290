//! Two nodes that hear and do the same. One goes the short ways by which nearly everything passes,
//! the other the long way each time. Nobody can tell them apart, whatever happens to them.
//!
//! Half of what they hear no honest group would say. Readies stay out for a while, and storage
//! threads work whenever they like.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use super::{Door, Node};
use crate::core::Random;
use crate::log::Storage;
use crate::message::{Append, AppendResponse, Heartbeat, Rejection, VoteRequest, VoteResponse};
use crate::{
    AnyConfChange, Body, ConfChange, ConfChangeKind, ConfState, Config, Context, Entries, Entry,
    HardState, Index, MemoryStorage, Message, NodeId, Position, ReadOnly, Ready, Reply, Snapshot,
    SnapshotStatus, StorageAppend, StorageApply, StorageError, Term,
};

/// What a story asks the core's own generator: the same seed, the same story.
impl Random {
    /// A number in `[0, bound)`.
    fn pick(&mut self, bound: u64) -> u64 {
        u64::from(self.below(bound as u32))
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.pick(100) < percent
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.pick(all.len() as u64) as usize]
    }

    /// A number about this one.
    fn near(&mut self, number: u64) -> u64 {
        (number + self.pick(4)).saturating_sub(self.pick(4))
    }
}

/// A storage that answers nothing for a while.
struct Fickle {
    inner: MemoryStorage,
    is_broken: Cell<bool>,
}

impl Fickle {
    fn new(inner: MemoryStorage) -> Self {
        Self { inner, is_broken: Cell::new(false) }
    }

    fn answer<T>(
        &self,
        answer: impl FnOnce(&MemoryStorage) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if self.is_broken.get() { Err(StorageError::Unavailable) } else { answer(&self.inner) }
    }
}

impl Storage for Fickle {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        self.answer(Storage::initial_state)
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        self.answer(|log| log.entries(low, high, max_bytes))
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.answer(|log| log.term(index))
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        self.answer(Storage::first_index)
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        self.answer(Storage::last_index)
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.answer(Storage::snapshot)
    }
}

/// One of the two, with its application.
struct Twin {
    node: Node<Fickle>,
    /// Whether it takes the long way.
    is_long: bool,
    held: Option<Ready>,
    appends: VecDeque<StorageAppend>,
    applies: VecDeque<StorageApply>,
    /// The last entry that it was told to apply.
    applied: Index,
    /// Lists that it handed out, and a copy of each.
    lent: Vec<(Entries, Vec<Entry>)>,
}

impl Twin {
    fn new(config: &Config, storage: MemoryStorage, is_long: bool) -> Self {
        let applied = storage.first_index().unwrap().prev();
        let node = Node::new(config, Fickle::new(storage)).unwrap();
        let (appends, applies) = (VecDeque::new(), VecDeque::new());
        Self { node, is_long, held: None, appends, applies, applied, lent: Vec::new() }
    }

    fn step(&mut self, message: Message) -> String {
        if !self.is_long {
            return format!("{:?}", self.node.step(message));
        }
        let result = self.node.raft.step_other(message);
        self.node.leave();
        format!("{result:?}")
    }

    fn take_ready(&mut self) -> String {
        // What cannot be read comes before what is owed, which waits then.
        let can_be_made = self.node.door == Door::Open && !self.node.storage().is_broken.get();
        if self.is_long && can_be_made && self.node.raft.core.outbox.owes() {
            self.node.raft.send_owed_the_long_way();
        }
        let ready = self.node.ready();
        let said = format!("{ready:?}");
        let Ok(Some(mut ready)) = ready else { return said };
        for entries in [&ready.entries, &ready.committed].into_iter().filter(|all| !all.is_empty())
        {
            self.lent.push((entries.clone(), entries.iter().cloned().collect()));
        }
        if self.node.is_async() {
            self.appends.extend(ready.append.take());
            self.applies.extend(ready.apply.take());
        } else {
            self.held = Some(ready);
        }
        said
    }

    fn finish_ready(&mut self) -> String {
        let Some(ready) = self.held.take() else { return String::new() };
        // One that was handed out again is stored already: what is missing, `advance` knows.
        let _ = self.node.storage_mut().inner.persist(&ready);
        if let Some(snapshot) = &ready.snapshot {
            self.applied = snapshot.index();
        }
        self.apply(&ready.committed);
        format!("{:?}", self.node.advance(ready))
    }

    fn append(&mut self) -> String {
        let Some(work) = self.appends.pop_front() else { return String::new() };
        let storage = &mut self.node.storage_mut().inner;
        if let Some(snapshot) = &work.snapshot {
            storage.apply_snapshot(Snapshot::clone(snapshot)).unwrap();
            self.applied = snapshot.index();
        }
        storage.append(&work.entries).unwrap();
        work.hard_state.into_iter().for_each(|state| storage.set_hard_state(state));
        let mut said = String::new();
        for reply in work.replies {
            if let Reply::Local(response) = reply {
                write!(said, "{:?}", self.node.storage_response(response)).unwrap();
            }
        }
        said
    }

    fn apply_page(&mut self) -> String {
        let Some(work) = self.applies.pop_front() else { return String::new() };
        self.apply(&work.entries);
        format!("{:?}", self.node.storage_response(work.reply))
    }

    /// What is applied follows on what was applied before, and is what is stored.
    fn apply(&mut self, entries: &Entries) {
        for entry in entries.iter() {
            if entry.index <= self.applied {
                continue;
            }
            assert_eq!(entry.index, self.applied.next(), "applied without a gap");
            let stored =
                self.node.storage().inner.entries(entry.index, entry.index.next(), u64::MAX);
            assert_eq!(stored.unwrap().first(), Some(entry), "what is applied is stored");
            self.applied = entry.index;
            let _ = self.node.apply_conf_change_entry(entry).unwrap();
        }
    }

    /// What it once handed out is what it was, whatever was written beside it since.
    fn check_lent(&self) {
        for (entries, copy) in &self.lent {
            assert!(entries.iter().eq(copy), "{entries:?} was {copy:?}");
        }
    }

    /// Drops what is applied from the storage.
    fn compact(&mut self) {
        let members = self.node.raft.core.membership.to_conf_state();
        let applied = self.node.raft.core.log.applied();
        let storage = &mut self.node.storage_mut().inner;
        if applied >= storage.first_index().unwrap() && applied <= storage.last_index().unwrap() {
            storage.create_snapshot(applied, Some(members), "").unwrap();
            storage.compact(applied).unwrap();
        }
    }

    /// All that there is to see of it, inside and outside, but for how entries lie in memory.
    fn look(&self) -> String {
        let core = &self.node.raft.core;
        let clocks = (core.election_elapsed, core.since_leader, core.randomized_timeout);
        let told = (core.acknowledged, core.restored, core.work(), self.node.has_ready());
        let log = &core.log;
        let terms: Vec<_> = (0..=log.last_index().0).map(|at| log.term(Index(at))).collect();
        let marks = (log.applying(), log.has_unstable(), log.has_next_unstable());
        format!(
            "{:?}\n{clocks:?} {told:?}\n{terms:?} {marks:?}\n{:?}\n{:?}\n{:?}",
            self.node.status(),
            core.outbox,
            self.node.raft.role,
            core.metrics
        )
    }
}

struct Pair {
    seed: u64,
    twins: [Twin; 2],
    random: Random,
    config: Config,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let config = config(&mut random);
        let members = ConfState {
            learners: if random.percent(20) { vec![5] } else { vec![] },
            ..ConfState::with_voters(1..=1 + random.pick(4))
        };
        let storage = MemoryStorage::with_conf_state(members);
        let twins = [false, true].map(|is_long| Twin::new(&config, storage.clone(), is_long));
        Self { seed, twins, random, config }
    }

    /// Both do the same, with the same outcome.
    fn both(&mut self, what: &str, act: impl Fn(&mut Twin) -> String) {
        let [one, other] = self.twins.each_mut().map(|twin| (act(twin), twin.look()));
        assert_eq!(one, other, "seed {}: {what}", self.seed);
    }

    fn node(&self) -> &Node<Fickle> {
        &self.twins[0].node
    }

    fn play(&mut self) {
        let number = self.random.pick(1 << 20);
        let member = NodeId::new(1 + number % 5).unwrap();
        match self.random.pick(100) {
            0..12 => self.both("tick", |twin| format!("{:?}", twin.node.tick())),
            12 => self.both("campaign", |twin| format!("{:?}", twin.node.campaign())),
            13 => self.win(),
            14..22 => self.both("propose", |twin| {
                let payload = vec![number as u8; (number % 40) as usize];
                let payloads = vec![payload.into(); 1 + number as usize % 3];
                format!("{:?}", twin.node.propose_many(payloads))
            }),
            22 => {
                let change = some_change(number);
                self.both("change", |twin| format!("{:?}", twin.node.propose_conf_change(&change)));
            }
            23..26 => self.both("read", |twin| {
                let context = number.to_le_bytes().repeat(1 + number as usize % 3);
                format!("{:?}", twin.node.read_index(context))
            }),
            26 => self.both("transfer", |twin| format!("{:?}", twin.node.transfer_leader(member))),
            27 => self.both("forget", |twin| format!("{:?}", twin.node.forget_leader())),
            28 => self.both("report", |twin| {
                let status = [SnapshotStatus::Finished, SnapshotStatus::Failed];
                let _ = twin.node.report_snapshot(member, status[number as usize % 2]);
                format!("{:?}", twin.node.report_unreachable(member))
            }),
            29 => self.both("compact", |twin| {
                twin.compact();
                String::new()
            }),
            30 if number.is_multiple_of(4) => self.restart(),
            30..45 => {
                if number.is_multiple_of(3) {
                    self.twins[0].node.lend(Ready::default());
                }
                self.both("ready", Twin::take_ready);
            }
            45..55 => self.both("finish", Twin::finish_ready),
            55..60 => self.both("append", Twin::append),
            60..64 => self.both("apply", Twin::apply_page),
            64 if number.is_multiple_of(2) => drop(self.twins[1].node.give_back()),
            64 => {
                let is_broken = self.random.percent(40);
                for twin in &self.twins {
                    twin.node.storage().is_broken.set(is_broken);
                }
            }
            _ => {
                let message = self.message();
                self.both(&format!("{message:?}"), |twin| twin.step(message.clone()));
            }
        }
    }

    /// Campaigns, and everybody votes for it.
    fn win(&mut self) {
        self.both("campaign", |twin| format!("{:?}", twin.node.campaign()));
        for _ in 0..3 {
            for act in [Twin::finish_ready, Twin::take_ready, Twin::finish_ready, Twin::append] {
                self.both("its own vote", act);
            }
            let term = self.node().hard_state().term;
            for from in (2..5).filter_map(NodeId::new) {
                let response = VoteResponse { rejected: false };
                let vote = (term, Body::VoteResponse(response));
                let pre_vote = (term.next(), Body::PreVoteResponse(response));
                for (term, body) in [vote, pre_vote] {
                    let message = Message { to: self.node().id(), from, term, body };
                    self.both("a vote", |twin| twin.step(message.clone()));
                }
            }
        }
    }

    fn restart(&mut self) {
        for twin in &mut self.twins {
            let storage = twin.node.storage().inner.clone();
            *twin = Twin::new(&self.config, storage, twin.is_long);
        }
        self.both("restart", |_| String::new());
    }

    /// A message, mostly one that fits.
    fn message(&mut self) -> Message {
        let own = self.node().id();
        let term = self.node().hard_state().term.0;
        let random = &mut self.random;
        let from = NodeId::new(if random.percent(1) { own.get() } else { 2 + random.pick(4) });
        let to = if random.percent(1) { from.unwrap() } else { own };
        let term = Term(if random.percent(95) { term } else { random.near(term) });
        let body = self.body(term);
        let belongs_to_none = matches!(body, Body::Propose(_) | Body::ReadIndex { .. });
        let term = if belongs_to_none && self.random.percent(90) { Term::ZERO } else { term };
        Message { to, from: from.unwrap(), term, body }
    }

    fn body(&mut self, term: Term) -> Body {
        let last = self.node().last_position();
        let context = self.context();
        let prev = self.position();
        let random = &mut self.random;
        let rejected = random.percent(15);
        match random.pick(100) {
            0..30 => self.append(term),
            30..55 => {
                let index = Index(random.near(last.index.0).min(last.index.0 + random.pick(2)));
                let rejection = Rejection { hint: prev.index, hint_term: prev.term };
                let rejection = rejected.then_some(rejection);
                Body::AppendResponse(AppendResponse { index, rejection })
            }
            55..65 => Body::Heartbeat(Heartbeat { commit: prev.index, context }),
            65..80 => Body::HeartbeatResponse { context },
            80 => Body::Vote(VoteRequest { last: prev, transfer: rejected }),
            81 => Body::PreVote(VoteRequest { last: prev, transfer: rejected }),
            82..88 => Body::VoteResponse(VoteResponse { rejected }),
            88 | 89 => Body::PreVoteResponse(VoteResponse { rejected }),
            90 => Body::Snapshot(Arc::new(Snapshot {
                position: Position { term, index: Index(last.index.0 + random.pick(3)) },
                conf_state: ConfState::with_voters(1..=1 + random.pick(4)),
                ..Snapshot::default()
            })),
            91..94 => Body::Propose(vec![Entry::default(); random.pick(3) as usize].into()),
            94..97 => Body::ReadIndex { context },
            97 => Body::ReadIndexResponse { index: prev.index, context },
            98 => Body::TransferLeader,
            _ => Body::TimeoutNow,
        }
    }

    /// A position in the log, mostly its end, or about there.
    fn position(&mut self) -> Position {
        let last = self.node().last_position();
        if self.random.percent(60) {
            return last;
        }
        let index = Index(self.random.near(last.index.0));
        let term = self.node().term_at(index);
        let term = term.unwrap_or(Term(self.random.near(last.term.0)));
        Position { term, index }
    }

    fn append(&mut self, term: Term) -> Body {
        let prev = self.position();
        let random = &mut self.random;
        let index = prev.index.0 + 1 + u64::from(random.percent(2));
        let entry_term = if random.percent(80) { term } else { Term(prev.term.0 + random.pick(2)) };
        let entries = (index..index + random.pick(4)).map(|index| Entry {
            term: entry_term,
            index: Index(index),
            data: format!("{entry_term}/{index}").into(),
            ..Entry::default()
        });
        let entries = self.lent_after(prev).unwrap_or_else(|| entries.collect());
        let random = &mut self.random;
        let commit = Index(random.near(prev.index.0));
        Body::Append(Append { prev, entries, commit })
    }

    /// What this node handed out itself after this position, now and then: members of one process
    /// share their blocks.
    fn lent_after(&mut self, prev: Position) -> Option<Entries> {
        let lent = &self.twins[0].lent;
        if lent.is_empty() || self.random.percent(60) {
            return None;
        }
        let (entries, _) = &lent[self.random.pick(lent.len() as u64) as usize];
        let from = entries.iter().position(|entry| entry.index == prev.index.next())?;
        Some(entries.part(from, from + 1 + self.random.pick(4) as usize))
    }

    /// What a heartbeat carries, or a read.
    fn context(&mut self) -> Context {
        let sent = self.node().raft.role.as_leader().map(|leader| leader.reads.heartbeat_context());
        match (self.random.pick(6), sent) {
            (0..3, Some(sent)) => sent.into(),
            (3, _) => self.random.pick(4).to_le_bytes().into(),
            (4, _) => vec![7; self.random.pick(20) as usize].into(),
            _ => Context::new(),
        }
    }
}

fn config(random: &mut Random) -> Config {
    let mut config = Config::new(1, random.pick(1000));
    config.election_timeout_ticks = 4;
    (config.pre_vote, config.check_quorum) = (random.percent(40), random.percent(60));
    config.async_storage_writes = random.percent(40);
    config.coalesce_appends = random.percent(70);
    config.votes_wait_for_sync = random.percent(50);
    config.step_down_on_removal = random.percent(50);
    if config.check_quorum {
        config.read_only = random.one_of(&[ReadOnly::Safe, ReadOnly::LeaseBased]);
    }
    if random.percent(50) {
        config.max_message_bytes = 30 + random.pick(60);
        config.max_committed_bytes_per_ready = 40 + random.pick(60);
        config.max_inflight_messages = 1 + random.pick(3) as usize;
        config.max_uncommitted_bytes = 200;
        config.max_pending_reads = 3;
    }
    config
}

/// The last of these members comes and goes.
fn some_change(number: u64) -> AnyConfChange {
    let kind = match number % 3 {
        0 => ConfChangeKind::AddVoter,
        1 => ConfChangeKind::AddLearner,
        _ => ConfChangeKind::Remove,
    };
    AnyConfChange::One(ConfChange { kind, node: 4 + number % 2, ..ConfChange::default() })
}

#[test]
fn the_short_ways_and_the_long_ones_come_to_the_same() {
    for seed in 1..=20 {
        let mut pair = Pair::new(seed);
        (0..600).for_each(|_| pair.play());
        pair.twins.iter().for_each(Twin::check_lent);
    }
}
