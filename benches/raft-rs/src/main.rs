//! raft-rs in the benchmarks, with its own storage in memory, and with the fastest one that we
//! could think of: `storage=best`.

mod storage;

use std::sync::OnceLock;

use bench_harness::{Args, Member, Out, Setup};
use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, ReadOnlyOption, StateRole};
use storage::{Best, Store};

/// Whether raft-rs merges the appends that wait for a peer: `batch_append=1`.
static BATCH_APPEND: OnceLock<bool> = OnceLock::new();

struct Theirs<S: Store>(RawNode<S>);

impl<S: Store> Theirs<S> {
    fn apply(entries: Vec<Entry>, out: &mut Out<'_, Self>) {
        for entry in entries {
            if entry.get_entry_type() == EntryType::EntryNormal {
                out.apply(entry.index, &entry.data);
            }
        }
    }

    fn send(messages: Vec<Message>, out: &mut Out<'_, Self>) {
        for message in messages {
            out.send(message.to, message);
        }
    }
}

impl<S: Store> Member for Theirs<S> {
    type Message = Message;
    type Encoded = Bytes;
    type Shared = ();

    fn new(id: u64, setup: &Setup) -> Self {
        let config = Config {
            id,
            election_tick: setup.election_ticks as usize,
            heartbeat_tick: setup.heartbeat_ticks as usize,
            max_size_per_msg: setup.max_message_bytes,
            max_inflight_msgs: setup.max_inflight,
            check_quorum: setup.lease,
            read_only_option: if setup.lease {
                ReadOnlyOption::LeaseBased
            } else {
                ReadOnlyOption::Safe
            },
            batch_append: BATCH_APPEND.get() == Some(&true),
            ..Config::default()
        };
        let voters = (1..=setup.voters).collect();
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        Self(RawNode::new(&config, S::with_voters(voters), &logger).expect("a member"))
    }

    fn campaign(&mut self) {
        self.0.campaign().expect("may campaign");
    }

    fn propose(&mut self, payload: Vec<u8>) {
        self.0.propose(Vec::new(), payload).expect("taken");
    }

    fn propose_many(&mut self, payloads: impl Iterator<Item = Vec<u8>>) {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.0.raft.id;
        let entry = |payload: Vec<u8>| Entry { data: payload.into(), ..Entry::default() };
        message.set_entries(payloads.map(entry).collect::<Vec<_>>().into());
        self.0.step(message).expect("taken");
    }

    fn step(&mut self, message: Message) {
        self.0.step(message).expect("accepted");
    }

    fn step_encoded(&mut self, message: Bytes) {
        // Payloads stay in the buffer: `parse_from_bytes` would copy them.
        let message = Message::parse_from_carllerche_bytes(&message).expect("a message");
        self.0.step(message).expect("accepted");
    }

    fn encode(message: Message) -> Bytes {
        message.write_to_bytes().expect("encodable").into()
    }

    fn has_ready(&self) -> bool {
        self.0.has_ready()
    }

    fn handle_ready(&mut self, out: &mut Out<'_, Self>) {
        let mut ready = self.0.ready();
        Self::send(ready.take_messages(), out);
        Self::apply(ready.take_committed_entries(), out);
        let entries = ready.take_entries();
        if !entries.is_empty() {
            self.0.mut_store().append(entries);
        }
        if let Some(hard_state) = ready.hs() {
            self.0.mut_store().set_hard_state(hard_state.clone());
        }
        Self::send(ready.take_persisted_messages(), out);
        for read in ready.take_read_states() {
            out.answer_read(read.index);
        }
        let mut light = self.0.advance(ready);
        if let Some(commit) = light.commit_index() {
            self.0.mut_store().set_commit(commit);
        }
        Self::send(light.take_messages(), out);
        Self::apply(light.take_committed_entries(), out);
        self.0.advance_apply();
    }

    fn compact(&mut self, index: u64) {
        self.0.mut_store().compact(index);
    }

    fn tick(&mut self) {
        self.0.tick();
    }

    fn read_index(&mut self, context: u64) {
        self.0.read_index(context.to_be_bytes().to_vec());
    }

    fn is_leader(&self) -> bool {
        self.0.raft.state == StateRole::Leader
    }
}

fn main() {
    let args = Args::of_process();
    BATCH_APPEND.set(args.number("batch_append", 0) == 1).expect("set once");
    match args.text("storage", "memory") {
        "memory" => bench_harness::main::<Theirs<MemStorage>>(&args),
        "best" => bench_harness::main::<Theirs<Best>>(&args),
        other => panic!("no storage {other}"),
    }
}
