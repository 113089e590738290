//! Recorded schedules: everything that goes into the nodes, with a hash over what comes out, in a
//! text that any language can replay on its own binding. The format is in `raft-sim/SCHEDULES.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use raftcore::{
    AnyConfChange, ConfState, Config, Entry, EntryKind, Error, Index, MemoryStorage, Node, NodeId,
    Peer, Position, Ready, Snapshot, SnapshotStatus, Storage, wire,
};

use crate::cluster::Input;
use crate::disk::Disk;

/// FNV-1a in 64 bits over the outputs, in their canonical encoding.
#[derive(Clone, Copy, Debug)]
struct OutputHash(u64);

impl OutputHash {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn number(&mut self, number: u64) {
        number.to_le_bytes().into_iter().for_each(|byte| self.byte(byte));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        bytes.iter().for_each(|byte| self.byte(*byte));
    }

    /// How a call ended.
    fn result(&mut self, error: Option<&Error>) {
        self.byte(match error {
            None => 0,
            Some(Error::Refused(_)) => 1,
            Some(Error::Dropped(_)) => 2,
            Some(Error::Misuse(_)) => 3,
            Some(Error::Storage(_)) => 4,
            Some(Error::Faulted(_)) => 5,
            Some(_) => 6,
        });
    }

    fn ready(&mut self, ready: &Ready) {
        self.byte(u8::from(ready.soft_state.is_some()));
        if let Some(state) = &ready.soft_state {
            self.number(NodeId::or_zero(state.leader));
            self.byte(state.role as u8);
        }
        self.byte(u8::from(ready.hard_state.is_some()));
        if let Some(state) = &ready.hard_state {
            let vote = NodeId::or_zero(state.vote);
            [state.term.0, vote, state.commit.0].into_iter().for_each(|n| self.number(n));
        }
        self.byte(u8::from(ready.must_sync));
        self.byte(u8::from(ready.snapshot.is_some()));
        if let Some(snapshot) = &ready.snapshot {
            self.bytes(&wire::encode_snapshot(snapshot));
        }
        for entries in [&ready.entries, &ready.committed] {
            self.number(entries.len() as u64);
            entries.iter().for_each(|entry| self.bytes(&wire::encode_entry(entry)));
        }
        for messages in [&ready.messages, &ready.messages_after_sync] {
            self.number(messages.len() as u64);
            messages.iter().for_each(|message| self.bytes(&wire::encode(message)));
        }
        self.number(ready.read_states.len() as u64);
        for read in &ready.read_states {
            self.number(read.index.0);
            self.bytes(&read.context);
        }
    }
}

/// Writes a schedule while a run goes on.
#[derive(Debug)]
pub(crate) struct Recorder {
    text: Option<String>,
    hash: OutputHash,
}

impl Recorder {
    pub(crate) fn new(records: bool) -> Self {
        Self { text: records.then(String::new), hash: OutputHash::new() }
    }

    fn line(&mut self, line: impl FnOnce() -> String) {
        if let Some(text) = &mut self.text {
            text.push_str(&line());
            text.push('\n');
        }
    }

    /// A node starts, with this on its disk.
    pub(crate) fn on_boot(&mut self, config: &Config, disk: &Disk) {
        let id = config.id;
        self.line(|| format!("node {}", show_config(config)));
        let state = disk.durable_hard_state();
        let vote = NodeId::or_zero(state.vote);
        self.line(|| format!("store {id} hard {} {vote} {}", state.term, state.commit));
        let snapshot = disk.durable_snapshot();
        let index = disk.first_index().unwrap_or_default().prev();
        let position = Position { term: disk.term(index).unwrap_or_default(), index };
        // The log may reach further back than the snapshot: then only the position before it is
        // known, and the snapshot is made again once the entries are there.
        let is_whole = snapshot.index() == index;
        let base = Snapshot { position, ..Snapshot::default() };
        if index > Index::ZERO {
            let restored = if is_whole { &snapshot } else { &base };
            self.line(|| format!("store {id} restore {}", hex(&wire::encode_snapshot(restored))));
        }
        for entry in disk.durable_entries().iter() {
            self.line(|| format!("store {id} entry {}", hex(&wire::encode_entry(entry))));
        }
        if !is_whole {
            self.line(|| format!("store {id} snapshot {}", hex(&wire::encode_snapshot(&snapshot))));
        }
        self.line(|| format!("create {id}"));
    }

    pub(crate) fn on_bootstrap(&mut self, slot: usize, peers: &[Peer]) {
        let list: Vec<_> = peers.iter().map(|peer| peer.id.get().to_string()).collect();
        self.line(|| format!("bootstrap {} {}", slot + 1, list.join(",")));
        self.hash.result(None);
    }

    /// A call was made, and ended like this.
    pub(crate) fn on_call(&mut self, slot: usize, input: &Input<'_>, error: Option<&Error>) {
        if self.text.is_none() {
            return;
        }
        self.line(|| show(slot as u64 + 1, input));
        self.hash.result(error);
    }

    pub(crate) fn on_ready(&mut self, ready: &Ready) {
        if self.text.is_some() {
            self.hash.ready(ready);
        }
    }

    pub(crate) fn on_persist(&mut self, slot: usize) {
        self.line(|| format!("persist {}", slot + 1));
    }

    pub(crate) fn on_compact(
        &mut self,
        slot: usize,
        index: u64,
        conf_state: &ConfState,
        data: &Bytes,
        compact_to: u64,
    ) {
        let state = wire::encode_conf_state(conf_state);
        let (id, state, data) = (slot + 1, hex(&state), hex(data));
        self.line(|| format!("compact {id} {index} {compact_to} {state} {data}"));
    }

    /// The whole schedule.
    pub(crate) fn finish(&mut self, seed: u64) -> Option<String> {
        let text = self.text.take()?;
        Some(format!("raft-schedule 1\n# seed {seed}\n{text}hash {:016x}\n", self.hash.0))
    }
}

/// One input as a line.
fn show(id: u64, input: &Input<'_>) -> String {
    match input {
        Input::Tick => format!("tick {id}"),
        Input::Step(message) => format!("step {id} {}", hex(&wire::encode(message))),
        Input::Bytes(bytes) => format!("step {id} {}", hex(bytes)),
        Input::Propose(data) => format!("propose {id} {}", hex(data)),
        Input::ProposeConfChange(change) => {
            let (kind, data) = wire::encode_conf_change(change);
            format!("propose-conf-change {id} {} {}", kind as i32, hex(&data))
        }
        Input::ReadIndex(context) => format!("read-index {id} {}", hex(context)),
        Input::Transfer(to) => format!("transfer-leader {id} {}", to.get()),
        Input::ForgetLeader => format!("forget-leader {id}"),
        Input::Unreachable(member) => format!("report-unreachable {id} {}", member.get()),
        Input::SnapshotStatus(to, arrived) => {
            format!("report-snapshot {id} {} {}", to.get(), u8::from(*arrived))
        }
        Input::Campaign => format!("campaign {id}"),
        Input::Ready => format!("ready {id}"),
        Input::ApplyConfChange(entry) => format!("apply-conf-change {id} {}", entry.index),
        Input::Advance => format!("advance {id}"),
        Input::StorageResponse => format!("storage-response {id}"),
    }
}

fn show_config(config: &Config) -> String {
    let mut out = format!("id={} seed={}", config.id, config.seed);
    for (name, value) in settings_of(config) {
        let _ = write!(out, " {name}={value}");
    }
    out
}

/// The settings that a schedule fixes, by the names of [`Config`].
fn settings_of(config: &Config) -> [(&'static str, u64); 14] {
    [
        ("election_timeout_ticks", u64::from(config.election_timeout_ticks)),
        ("heartbeat_interval_ticks", u64::from(config.heartbeat_interval_ticks)),
        ("applied", config.applied.0),
        ("max_message_bytes", config.max_message_bytes),
        ("max_committed_bytes_per_ready", config.max_committed_bytes_per_ready),
        ("max_uncommitted_bytes", config.max_uncommitted_bytes),
        ("max_inflight_messages", config.max_inflight_messages as u64),
        ("max_inflight_bytes", config.max_inflight_bytes),
        ("check_quorum", u64::from(config.check_quorum)),
        ("pre_vote", u64::from(config.pre_vote)),
        ("lease_reads", u64::from(config.read_only == raftcore::ReadOnly::LeaseBased)),
        ("forward_proposals", u64::from(config.forward_proposals)),
        ("step_down_on_removal", u64::from(config.step_down_on_removal)),
        ("max_pending_reads", config.max_pending_reads as u64),
    ]
}

fn parse_config(words: &[&str]) -> Option<Config> {
    let pairs: BTreeMap<&str, u64> = words
        .iter()
        .filter_map(|word| word.split_once('='))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect();
    let of = |name: &str| pairs.get(name).copied();
    let mut config = Config::new(of("id")?, of("seed")?);
    config.election_timeout_ticks = of("election_timeout_ticks")? as u32;
    config.heartbeat_interval_ticks = of("heartbeat_interval_ticks")? as u32;
    config.applied = Index(of("applied")?);
    config.max_message_bytes = of("max_message_bytes")?;
    config.max_committed_bytes_per_ready = of("max_committed_bytes_per_ready")?;
    config.max_uncommitted_bytes = of("max_uncommitted_bytes")?;
    config.max_inflight_messages = of("max_inflight_messages")? as usize;
    config.max_inflight_bytes = of("max_inflight_bytes")?;
    config.check_quorum = of("check_quorum")? == 1;
    config.pre_vote = of("pre_vote")? == 1;
    if of("lease_reads")? == 1 {
        config.read_only = raftcore::ReadOnly::LeaseBased;
    }
    config.forward_proposals = of("forward_proposals")? == 1;
    config.step_down_on_removal = of("step_down_on_removal")? == 1;
    config.max_pending_reads = of("max_pending_reads")? as usize;
    Some(config)
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".into();
    }
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<Bytes> {
    if text == "-" {
        return Some(Bytes::new());
    }
    let pairs = (0..text.len()).step_by(2);
    let bytes: Option<Vec<u8>> =
        pairs.map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    bytes.map(Bytes::from)
}

/// What a schedule did when it was replayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// The hash that the file names.
    pub expected: u64,
    /// The hash over what came out.
    pub got: u64,
    /// How many inputs there were.
    pub inputs: usize,
}

/// Replays a schedule.
///
/// # Errors
/// The line that cannot be understood or carried out.
pub fn replay(text: &str) -> Result<Replayed, String> {
    let mut replayer = Replayer::default();
    let mut inputs = 0;
    let mut expected = None;
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] | ["#", ..] => continue,
            ["raft-schedule", "1"] if number == 1 => continue,
            ["hash", hash] => expected = u64::from_str_radix(hash, 16).ok(),
            [command, id, rest @ ..] => {
                replayer.line(command, id, rest).ok_or_else(|| format!("line {number}: {line}"))?;
                inputs += 1;
            }
            _ => return Err(format!("line {number}: {line}")),
        }
    }
    let expected = expected.ok_or("the schedule names no hash")?;
    Ok(Replayed { expected, got: replayer.hash.0, inputs })
}

/// A node of a schedule with its storage and the Ready it works on.
#[derive(Default)]
struct Replica {
    config: Option<Config>,
    storage: MemoryStorage,
    node: Option<Node<MemoryStorage>>,
    ready: Option<Ready>,
}

struct Replayer {
    replicas: BTreeMap<u64, Replica>,
    hash: OutputHash,
}

impl Default for Replayer {
    fn default() -> Self {
        Self { replicas: BTreeMap::new(), hash: OutputHash::new() }
    }
}

impl Replayer {
    /// One line. Nothing, if it makes no sense.
    fn line(&mut self, command: &str, id: &str, rest: &[&str]) -> Option<()> {
        if command == "node" {
            let mut words = vec![id];
            words.extend(rest);
            let config = parse_config(&words)?;
            let replica = Replica { config: Some(config.clone()), ..Replica::default() };
            self.replicas.insert(config.id, replica);
            return Some(());
        }
        let replica = self.replicas.get_mut(&id.parse().ok()?)?;
        match (command, rest) {
            ("store", [what, rest @ ..]) => return replica.store(what, rest),
            ("create", []) => {
                let storage = std::mem::take(&mut replica.storage);
                replica.node = Some(Node::new(replica.config.as_ref()?, storage).ok()?);
                return Some(());
            }
            ("persist", []) => {
                let (node, ready) = (replica.node.as_mut()?, replica.ready.as_ref()?);
                return node.storage_mut().persist(ready).ok();
            }
            ("compact", [index, to, state, data]) => {
                let storage = replica.node.as_mut()?.storage_mut();
                let state = wire::decode_conf_state(unhex(state)?).ok()?;
                let index = Index(index.parse().ok()?);
                storage.create_snapshot(index, Some(state), unhex(data)?).ok()?;
                let _ = storage.compact(Index(to.parse().ok()?));
                return Some(());
            }
            _ => {}
        }
        let error = replica.call(command, rest)?.err();
        self.hash.result(error.as_ref());
        if command == "ready"
            && let Some(ready) = &replica.ready
        {
            self.hash.ready(ready);
        }
        Some(())
    }
}

impl Replica {
    /// Fills the storage before the node is made.
    fn store(&mut self, what: &str, rest: &[&str]) -> Option<()> {
        let numbers: Vec<u64> = rest.iter().filter_map(|word| word.parse().ok()).collect();
        match (what, rest) {
            ("hard", [_, _, _]) => {
                let [term, vote, commit] = numbers.try_into().ok()?;
                let (term, commit) = (raftcore::Term(term), Index(commit));
                let vote = NodeId::new(vote);
                self.storage.set_hard_state(raftcore::HardState { term, vote, commit });
            }
            ("restore", [bytes]) => {
                let snapshot = wire::decode_snapshot(unhex(bytes)?).ok()?;
                self.storage.apply_snapshot(snapshot).ok()?;
            }
            ("snapshot", [bytes]) => {
                let snapshot = wire::decode_snapshot(unhex(bytes)?).ok()?;
                let (index, state) = (snapshot.index(), snapshot.conf_state);
                self.storage.create_snapshot(index, Some(state), snapshot.data).ok()?;
            }
            ("entry", [bytes]) => {
                let entry = wire::decode_entry(unhex(bytes)?).ok()?;
                self.storage.append(&vec![entry].into()).ok()?;
            }
            _ => return None,
        }
        Some(())
    }

    /// One call on the node.
    fn call(&mut self, command: &str, rest: &[&str]) -> Option<Result<(), Error>> {
        let node = self.node.as_mut()?;
        let member = |word: &str| word.parse().ok().and_then(NodeId::new);
        Some(match (command, rest) {
            ("bootstrap", [list]) => {
                let peers: Option<Vec<Peer>> = list
                    .split(',')
                    .map(|word| Some(Peer { id: member(word)?, context: Bytes::new() }))
                    .collect();
                node.bootstrap(&peers?)
            }
            ("tick", []) => node.tick(),
            ("step", [bytes]) => node.step_encoded(unhex(bytes)?),
            ("propose", [data]) => node.propose(unhex(data)?).map(drop),
            ("propose-conf-change", [kind, data]) => {
                let change = conf_change_of(kind, unhex(data)?)?;
                node.propose_conf_change(&change).map(drop)
            }
            ("read-index", [context]) => node.read_index(unhex(context)?),
            ("transfer-leader", [to]) => node.transfer_leader(member(to)?),
            ("forget-leader", []) => node.forget_leader(),
            ("report-unreachable", [to]) => node.report_unreachable(member(to)?),
            ("report-snapshot", [to, arrived]) => {
                let arrived = *arrived == "1";
                let status =
                    if arrived { SnapshotStatus::Finished } else { SnapshotStatus::Failed };
                node.report_snapshot(member(to)?, status)
            }
            ("campaign", []) => node.campaign(),
            ("ready", []) => match node.ready() {
                Ok(ready) => {
                    self.ready = ready;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            ("apply-conf-change", [index]) => {
                let index = Index(index.parse().ok()?);
                let committed = &self.ready.as_ref()?.committed;
                let entry = committed.iter().find(|entry| entry.index == index)?;
                node.apply_conf_change_entry(entry).map(drop)
            }
            ("advance", []) => node.advance(self.ready.take()?),
            _ => return None,
        })
    }
}

fn conf_change_of(kind: &str, data: Bytes) -> Option<AnyConfChange> {
    let kind = match kind {
        "1" => EntryKind::ConfChange,
        "2" => EntryKind::ConfChangeV2,
        _ => return None,
    };
    wire::decode_conf_change(&Entry { kind, data, ..Entry::default() }).ok().flatten()
}
