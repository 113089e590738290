//! What the fuzz targets share: a live group of three nodes in one thread, and the actions that an
//! input is read as.
//!
//! An input can forge a leader's message that nobody could tell from a true one, so agreement
//! between the nodes is not checked here (the simulator does). What is: no call panics, no
//! assertion inside the core fails, and a refused message leaves term, vote, log and commit index
//! as they were.

pub mod changes;
pub mod liar;
#[path = "../../raft-core/src/wire/tests/oracle.rs"]
mod oracle;
pub mod pair;

use arbitrary::Arbitrary;
use bytes::Bytes;
use raftcore::wire::{self, schema};
use raftcore::{
    AnyConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, ConfState, Config, Entry, Error,
    Index, LocalResponse, MemoryStorage, Message, Node, NodeId, ReadOnly, Refusal, Reply, Snapshot,
    SnapshotStatus, Storage, Transition,
};

const NODES: u64 = 3;
/// More messages than this in flight are lost, so that an input cannot make the group flood itself.
const MAX_IN_FLIGHT: usize = 256;

/// One step of an input.
#[derive(Arbitrary, Debug)]
pub enum Action {
    /// A node's clock ticks.
    Tick { node: u8, times: u8 },
    /// A message that is in flight arrives, or is lost, or arrives and stays in flight too.
    Deliver { at: u8 },
    /// It is lost.
    Drop { at: u8 },
    /// It arrives twice.
    Duplicate { at: u8 },
    /// It arrives with one field changed.
    Mutate { at: u8, field: Field, value: Value },
    /// A message that nobody sent arrives.
    Forge { node: u8, message: Forged },
    /// Bytes that may be no message arrive.
    Raw { node: u8, bytes: Vec<u8> },
    /// A node is asked to campaign.
    Campaign { node: u8 },
    /// Something is proposed.
    Propose { node: u8, bytes: u8, count: u8 },
    /// A membership change is proposed.
    ConfChange { node: u8, transition: u8, steps: Vec<(u8, u8)> },
    /// A read.
    Read { node: u8, context: u8 },
    /// Leadership is to move.
    Transfer { node: u8, to: u8 },
    /// A follower forgets its leader.
    Forget { node: u8 },
    /// Reports of the transport.
    Unreachable { node: u8, member: u8 },
    /// What became of a snapshot.
    Snapshot { node: u8, member: u8, failed: bool },
    /// A node works through what it is ready to do.
    Work { node: u8 },
    /// A storage thread's response is passed on, not always in order.
    Respond { node: u8, at: u8 },
    /// A snapshot is made of what is applied, and the log is compacted.
    Compact { node: u8 },
    /// A node loses its memory, but not its storage.
    Restart { node: u8 },
}

/// The field of a message that is changed.
#[derive(Arbitrary, Debug)]
#[allow(missing_docs)]
pub enum Field {
    Kind,
    To,
    From,
    Term,
    LogTerm,
    Index,
    Commit,
    Reject,
    RejectHint,
    Context,
    EntryTerm,
    EntryIndex,
    EntryKind,
    EntryData,
    SnapshotIndex,
    SnapshotTerm,
    SnapshotVoters,
    SnapshotJoint,
}

/// A number near those that matter.
#[derive(Arbitrary, Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Value {
    Small(u8),
    Plus(u8),
    Minus(u8),
    Any(u64),
    Max,
}

impl Value {
    fn apply(self, old: u64) -> u64 {
        match self {
            Self::Small(n) => n.into(),
            Self::Plus(n) => old.wrapping_add(n.into()),
            Self::Minus(n) => old.wrapping_sub(n.into()),
            Self::Any(n) => n,
            Self::Max => u64::MAX,
        }
    }
}

/// A message made of numbers.
#[derive(Arbitrary, Debug)]
pub struct Forged {
    kind: u8,
    from: u8,
    term: u8,
    log_term: u8,
    index: u8,
    commit: u8,
    reject: bool,
    hint: u8,
    entries: Vec<(u8, u8, u8)>,
    snapshot: Option<(u8, u8, Vec<u8>)>,
    context: Vec<u8>,
}

/// The switches of a group.
#[derive(Arbitrary, Default, Debug)]
#[allow(missing_docs)]
pub struct Switches {
    pre_vote: bool,
    check_quorum: bool,
    lease: bool,
    async_writes: bool,
    unchecked_changes: bool,
    lead_when_removed: bool,
    tiny_limits: bool,
}

struct Member {
    node: Node<MemoryStorage>,
    responses: Vec<LocalResponse>,
    applied: Index,
    conf_state: ConfState,
}

/// Three nodes and the messages between them.
pub struct Group {
    members: Vec<Member>,
    in_flight: Vec<Message>,
    switches: Switches,
}

impl Group {
    /// A group in which nothing has happened yet.
    pub fn new(switches: Switches) -> Self {
        let conf_state = ConfState::with_voters(1..=NODES);
        let members = (1..=NODES)
            .map(|id| {
                let storage = MemoryStorage::with_conf_state(conf_state.clone());
                Member::new(id, storage, Index::ZERO, conf_state.clone(), &switches)
            })
            .collect();
        Self { members, in_flight: Vec::new(), switches }
    }

    /// A group with a leader and something in its log.
    pub fn elected() -> Self {
        let mut group = Self::new(Switches::default());
        group.act(&Action::Campaign { node: 0 });
        group.settle();
        group.act(&Action::Propose { node: 0, bytes: 8, count: 3 });
        group.settle();
        group
    }

    /// Lets everything that is in flight arrive, for a bounded time.
    pub fn settle(&mut self) {
        for _ in 0..50 {
            for node in 0..NODES as u8 {
                self.act(&Action::Work { node });
                self.act(&Action::Respond { node, at: 0 });
            }
            if self.in_flight.is_empty() && self.members.iter().all(Member::is_quiet) {
                return;
            }
            for _ in 0..self.in_flight.len() {
                self.act(&Action::Deliver { at: 0 });
            }
        }
    }

    /// A membership change is proposed at the first node and carried out, if it is taken.
    pub fn reconfigure(&mut self, change: &AnyConfChange) {
        let _ = self.members[0].node.propose_conf_change(change);
        for _ in 0..4 {
            for node in 0..NODES as u8 {
                self.act(&Action::Work { node });
            }
            if self.in_flight.is_empty() && self.members.iter().all(Member::is_quiet) {
                return;
            }
            for _ in 0..self.in_flight.len() {
                self.act(&Action::Deliver { at: 0 });
            }
        }
    }

    /// Bytes arrive at a node.
    pub fn step_raw(&mut self, node: usize, bytes: Bytes) {
        let node = &mut self.members[node % NODES as usize].node;
        let before = fingerprint(node);
        if let Err(Error::Refused(refusal)) = node.step_encoded(bytes) {
            // The two exceptions: a higher term deposes, and a leader was heard.
            let moved = fingerprint(node).0 != before.0;
            let heard = matches!(refusal, Refusal::CommitBeyondLog { .. });
            assert!(
                moved || heard || fingerprint(node) == before,
                "refused, but something changed"
            );
        }
    }

    /// Plays one action.
    pub fn act(&mut self, action: &Action) {
        match action {
            Action::Deliver { at } => {
                if let Some(at) = self.message_at(*at) {
                    let message = self.in_flight.remove(at);
                    self.deliver(message);
                }
            }
            Action::Drop { at } => {
                if let Some(at) = self.message_at(*at) {
                    self.in_flight.remove(at);
                }
            }
            Action::Duplicate { at } => {
                if let Some(at) = self.message_at(*at) {
                    self.deliver(self.in_flight[at].clone());
                }
            }
            Action::Mutate { at, field, value } => {
                if let Some(at) = self.message_at(*at) {
                    let mut flat = schema::Message::from(&self.in_flight[at]);
                    mutate(&mut flat, field, *value);
                    let node = self.in_flight[at].to.get() as usize - 1;
                    self.step_flat(node, &flat);
                }
            }
            Action::Forge { node, message } => {
                let node = usize::from(*node) % NODES as usize;
                self.step_flat(node, &message.flat(node as u64 + 1));
            }
            Action::Raw { node, bytes } => {
                self.step_raw((*node).into(), Bytes::copy_from_slice(bytes));
            }
            Action::Work { node } => self.work((*node).into()),
            Action::Restart { node } => self.restart((*node).into()),
            other => self.call(other),
        }
    }

    fn message_at(&self, at: u8) -> Option<usize> {
        (!self.in_flight.is_empty()).then(|| usize::from(at) % self.in_flight.len())
    }

    fn deliver(&mut self, message: Message) {
        if let Some(member) = self.members.get_mut(message.to.get() as usize - 1) {
            let _ = member.node.step(message);
        }
    }

    fn step_flat(&mut self, node: usize, flat: &schema::Message) {
        self.step_raw(node, oracle::encode(flat).into());
    }

    fn call(&mut self, action: &Action) {
        let member = |n: &u8| usize::from(*n) % NODES as usize;
        let id = |n: &u8| NodeId::new(u64::from(*n % 5) + 1).unwrap();
        match action {
            Action::Tick { node, times } => {
                for _ in 0..times % 32 {
                    let _ = self.members[member(node)].node.tick();
                }
            }
            Action::Campaign { node } => {
                let _ = self.members[member(node)].node.campaign();
            }
            Action::Propose { node, bytes, count } => {
                let payloads =
                    vec![Bytes::from(vec![*bytes; (*bytes).into()]); (*count % 8).into()];
                let _ = self.members[member(node)].node.propose_many(payloads);
            }
            Action::ConfChange { node, transition, steps } => {
                let change = AnyConfChange::Many(conf_change(*transition, steps));
                let _ = self.members[member(node)].node.propose_conf_change(&change);
            }
            Action::Read { node, context } => {
                let _ = self.members[member(node)].node.read_index(vec![*context]);
            }
            Action::Transfer { node, to } => {
                let _ = self.members[member(node)].node.transfer_leader(id(to));
            }
            Action::Forget { node } => {
                let _ = self.members[member(node)].node.forget_leader();
            }
            Action::Unreachable { node, member: peer } => {
                let _ = self.members[member(node)].node.report_unreachable(id(peer));
            }
            Action::Snapshot { node, member: peer, failed } => {
                let status =
                    if *failed { SnapshotStatus::Failed } else { SnapshotStatus::Finished };
                let _ = self.members[member(node)].node.report_snapshot(id(peer), status);
            }
            Action::Respond { node, at } => {
                let member = &mut self.members[member(node)];
                if !member.responses.is_empty() {
                    let response =
                        member.responses.remove(usize::from(*at) % member.responses.len());
                    let _ = member.node.storage_response(response);
                }
            }
            Action::Compact { node } => self.members[member(node)].compact(),
            _ => {}
        }
    }

    fn work(&mut self, node: usize) {
        let member = &mut self.members[node % NODES as usize];
        for _ in 0..20 {
            let Ok(Some(mut ready)) = member.node.ready() else { break };
            assert!(!ready.describe().is_empty());
            self.in_flight.append(&mut ready.messages);
            let storage = member.node.storage_mut();
            let mut fresh = ready.clone();
            // A snapshot that is no newer than what is stored was stored before.
            if fresh
                .snapshot
                .as_ref()
                .is_some_and(|s| s.index() <= storage.snapshot().unwrap().index())
            {
                fresh.snapshot = None;
            }
            let _ = storage.persist(&fresh);
            self.in_flight.append(&mut ready.messages_after_sync);
            if let Some(snapshot) = &ready.snapshot {
                member.applied = snapshot.index();
                member.conf_state = snapshot.conf_state.clone();
            }
            for entry in ready.committed.iter() {
                assert_eq!(entry.index, member.applied.next(), "applied out of order");
                member.applied = entry.index;
                if entry.is_conf_change() {
                    let applied = member.node.apply_conf_change_entry(entry).unwrap();
                    member.conf_state = applied.conf_state;
                }
            }
            for reply in ready.append.take().map(|append| append.replies).unwrap_or_default() {
                match reply {
                    Reply::Peer(message) => self.in_flight.push(message),
                    Reply::Local(response) => member.responses.push(response),
                }
            }
            member.responses.extend(ready.apply.take().map(|apply| apply.reply));
            if !self.switches.async_writes {
                let _ = member.node.advance(ready);
            }
        }
        let extra = self.in_flight.len().saturating_sub(MAX_IN_FLIGHT);
        self.in_flight.drain(..extra);
    }

    fn restart(&mut self, node: usize) {
        let member = &mut self.members[node % NODES as usize];
        let id = member.node.id().get();
        let mut storage = member.node.storage().clone();
        storage.set_conf_state(member.conf_state.clone());
        let (applied, conf_state) = (member.applied, member.conf_state.clone());
        *member = Member::new(id, storage, applied, conf_state, &self.switches);
    }
}

impl Member {
    fn new(
        id: u64,
        storage: MemoryStorage,
        applied: Index,
        conf_state: ConfState,
        switches: &Switches,
    ) -> Self {
        let mut config = Config::new(id, id);
        config.election_timeout_ticks = 3;
        config.pre_vote = switches.pre_vote;
        config.check_quorum = switches.check_quorum || switches.lease;
        config.read_only = if switches.lease { ReadOnly::LeaseBased } else { ReadOnly::Safe };
        config.async_storage_writes = switches.async_writes;
        config.validate_conf_changes = !switches.unchecked_changes;
        config.step_down_on_removal = !switches.lead_when_removed;
        config.max_pending_reads = 8;
        if switches.tiny_limits {
            config.max_message_bytes = 0;
            config.max_committed_bytes_per_ready = 16;
            config.max_uncommitted_bytes = 64;
            config.max_inflight_messages = 1;
            config.max_inflight_bytes = 32;
        }
        // What is applied may be ahead of the hard state that was stored last.
        config.applied = applied.min(storage.hard_state().commit);
        let node = Node::new(&config, storage).expect("a node restarts from what it stored");
        let applied = config.applied.max(Index(node.status().applied.0));
        Self { node, responses: Vec::new(), applied, conf_state }
    }

    fn is_quiet(&self) -> bool {
        self.responses.is_empty() && !self.node.has_ready()
    }

    fn compact(&mut self) {
        let (applied, conf_state) = (self.applied, self.conf_state.clone());
        let acknowledged = self.node.status().applied;
        let storage = self.node.storage_mut();
        let _ = storage.create_snapshot(applied.min(acknowledged), Some(conf_state), "state");
        let _ = storage.compact(acknowledged);
    }
}

impl Forged {
    pub(crate) fn flat(&self, to: u64) -> schema::Message {
        let entry = |(term, index, kind): &(u8, u8, u8)| schema::Entry {
            kind: (*kind % 4).into(),
            term: (*term).into(),
            index: (*index).into(),
            data: Bytes::new(),
        };
        let snapshot = |(index, term, voters): &(u8, u8, Vec<u8>)| schema::Snapshot {
            data: Bytes::new(),
            metadata: Some(schema::SnapshotMetadata {
                conf_state: Some(schema::ConfState {
                    voters: voters.iter().map(|id| (*id).into()).collect(),
                    ..Default::default()
                }),
                index: (*index).into(),
                term: (*term).into(),
            }),
        };
        schema::Message {
            kind: (self.kind % 25).into(),
            to,
            from: (self.from % 5).into(),
            term: self.term.into(),
            log_term: self.log_term.into(),
            index: self.index.into(),
            commit: self.commit.into(),
            reject: self.reject,
            reject_hint: self.hint.into(),
            entries: self.entries.iter().map(entry).collect(),
            snapshot: self.snapshot.as_ref().map(snapshot),
            context: Bytes::copy_from_slice(&self.context),
            ..Default::default()
        }
    }
}

/// Every decoder takes the bytes, and what it believes can be written and described again. A
/// library for protobuf finds the same message, entry and snapshot in them.
pub fn decode_everything(bytes: &Bytes) {
    compare::<oracle::PeerMessage, schema::Message, Message>(bytes, wire::decode(bytes.clone()));
    compare::<oracle::Entry, schema::Entry, Entry>(bytes, wire::decode_entry(bytes.clone()));
    let snapshot = wire::decode_snapshot(bytes.clone());
    compare::<oracle::Snapshot, schema::Snapshot, Snapshot>(bytes, snapshot);
    if let Ok(message) = wire::decode(bytes.clone()) {
        let again = wire::decode(wire::encode(&message));
        assert_eq!(again, Ok(message.clone()), "a message changed on its way");
        assert_eq!(wire::encoded_len(&message), wire::encode(&message).len());
        let _ = raftcore::describe::message(&schema::Message::from(&message));
    }
    if let Ok(entry) = wire::decode_entry(bytes.clone()) {
        assert_eq!(entry.encoded_bytes(), wire::encode_entry(&entry).len() as u64);
        let _ = wire::decode_conf_change(&entry);
        let _ = raftcore::describe::entry(&entry);
    }
    let _ = wire::decode_snapshot(bytes.clone());
    let _ = wire::decode_hard_state(bytes.clone());
    if let Ok(state) = wire::decode_conf_state(bytes.clone()) {
        let _ = raftcore::Membership::from_conf_state(&state);
    }
}

/// The same value, or a refusal by both.
fn compare<O, F, T>(bytes: &Bytes, ours: Result<T, impl std::fmt::Debug>)
where
    O: prost::Message + Default,
    F: From<O>,
    T: TryFrom<F> + PartialEq + std::fmt::Debug,
{
    let theirs = O::decode(bytes.clone()).ok().and_then(|flat| T::try_from(flat.into()).ok());
    assert_eq!(ours.ok(), theirs, "by the library on the right");
}

pub(crate) fn conf_change(transition: u8, steps: &[(u8, u8)]) -> ConfChangeV2 {
    let kinds = [
        ConfChangeKind::AddVoter,
        ConfChangeKind::Remove,
        ConfChangeKind::Update,
        ConfChangeKind::AddLearner,
    ];
    let transitions = [Transition::Auto, Transition::JointImplicit, Transition::JointExplicit];
    ConfChangeV2 {
        transition: transitions[usize::from(transition) % 3],
        changes: steps
            .iter()
            .take(5)
            .map(|(kind, node)| ConfChangeSingle {
                kind: kinds[usize::from(*kind) % 4],
                node: (*node % 6).into(),
            })
            .collect(),
        context: Bytes::new(),
    }
}

fn mutate(flat: &mut schema::Message, field: &Field, value: Value) {
    let change = |old: &mut u64| *old = value.apply(*old);
    let last = flat.entries.last_mut();
    let metadata = flat.snapshot.as_mut().and_then(|snapshot| snapshot.metadata.as_mut());
    match field {
        Field::Kind => flat.kind = value.apply(flat.kind as u64) as i32 % 26,
        Field::To => change(&mut flat.to),
        Field::From => change(&mut flat.from),
        Field::Term => change(&mut flat.term),
        Field::LogTerm => change(&mut flat.log_term),
        Field::Index => change(&mut flat.index),
        Field::Commit => change(&mut flat.commit),
        Field::Reject => flat.reject = !flat.reject,
        Field::RejectHint => change(&mut flat.reject_hint),
        Field::Context => flat.context = Bytes::from(value.apply(1).to_le_bytes().to_vec()),
        Field::EntryTerm => last.into_iter().for_each(|entry| change(&mut entry.term)),
        Field::EntryIndex => last.into_iter().for_each(|entry| change(&mut entry.index)),
        Field::EntryKind => last.into_iter().for_each(|entry| entry.kind = value.apply(1) as i32),
        Field::EntryData => last.into_iter().for_each(|entry| {
            entry.data = Bytes::from(value.apply(3).to_le_bytes().to_vec());
        }),
        Field::SnapshotIndex => metadata.into_iter().for_each(|m| change(&mut m.index)),
        Field::SnapshotTerm => metadata.into_iter().for_each(|m| change(&mut m.term)),
        Field::SnapshotVoters => metadata.into_iter().for_each(|m| {
            m.conf_state.get_or_insert_default().voters.push(value.apply(3));
        }),
        Field::SnapshotJoint => metadata.into_iter().for_each(|m| {
            m.conf_state.get_or_insert_default().learners_next.push(value.apply(3));
        }),
    }
}

/// Term, vote, commit index, log end and membership.
fn fingerprint(node: &Node<MemoryStorage>) -> (raftcore::Term, String) {
    let status = node.status();
    let text = format!(
        "{:?} {:?} {} {:?}",
        status.hard_state, status.last_index, status.membership, status.progress
    );
    (status.hard_state.term, text)
}
