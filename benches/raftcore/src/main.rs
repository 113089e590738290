//! raftcore in the benchmarks.

use bench_harness::{Args, Member, Out, Setup};
use bytes::Bytes;
use raftcore::{
    ConfState, Config, Index, MemoryStorage, Message, Node, ReadOnly, Ready, RoleKind, wire,
};

struct Ours(Node<MemoryStorage>);

impl Ours {
    /// Where there are many groups, their members share the buffers of one Ready.
    #[inline(never)]
    fn borrow(&mut self, buffers: &mut Option<Ready>) {
        self.0.lend(buffers.take().unwrap_or_default());
    }

    #[inline(never)]
    fn give_back(&mut self, buffers: &mut Option<Ready>) {
        *buffers = self.0.give_back();
    }

    #[inline(always)]
    fn send(messages: &mut Vec<Message>, out: &mut Out<'_, Self>) {
        if messages.is_empty() {
            return;
        }
        for message in messages.drain(..) {
            out.send(message.to.get(), message);
        }
    }
}

impl Member for Ours {
    type Message = Message;
    type Encoded = Bytes;
    type Shared = Option<Ready>;

    fn new(id: u64, setup: &Setup) -> Self {
        let mut config = Config::new(id, id);
        config.election_timeout_ticks = setup.election_ticks;
        config.heartbeat_interval_ticks = setup.heartbeat_ticks;
        config.max_message_bytes = setup.max_message_bytes;
        config.max_committed_bytes_per_ready = u64::MAX;
        config.max_inflight_messages = setup.max_inflight;
        config.pre_vote = false;
        config.check_quorum = setup.lease;
        config.read_only = if setup.lease { ReadOnly::LeaseBased } else { ReadOnly::Safe };
        let members = ConfState::with_voters(1..=setup.voters);
        Self(Node::new(&config, MemoryStorage::with_conf_state(members)).expect("a member"))
    }

    fn campaign(&mut self) {
        self.0.campaign().expect("may campaign");
    }

    fn propose(&mut self, payload: Vec<u8>) {
        self.0.propose(payload).expect("taken");
    }

    fn propose_many(&mut self, payloads: impl Iterator<Item = Vec<u8>>) {
        self.0.propose_many(payloads.map(Bytes::from).collect()).expect("taken");
    }

    fn step(&mut self, message: Message) {
        self.0.step(message).expect("accepted");
    }

    fn step_encoded(&mut self, message: Bytes) {
        self.0.step_encoded(message).expect("accepted");
    }

    fn encode(message: Message) -> Bytes {
        wire::encode(&message)
    }

    fn has_ready(&self) -> bool {
        self.0.has_ready()
    }

    fn handle_ready(&mut self, out: &mut Out<'_, Self>) {
        let many = out.has_many_groups();
        if many {
            self.borrow(out.shared());
        }
        let mut ready = self.0.ready().expect("a Ready").expect("there is one");
        Self::send(&mut ready.messages, out);
        self.0.storage_mut().persist_taking(&mut ready).expect("stored");
        Self::send(&mut ready.messages_after_sync, out);
        for slice in ready.committed.slices() {
            slice.iter().for_each(|entry| out.apply(entry.index.0, &entry.data));
        }
        for read in &ready.read_states {
            out.answer_read(read.index.0);
        }
        self.0.advance(ready).expect("advanced");
        if many {
            self.give_back(out.shared());
        }
    }

    fn compact(&mut self, index: u64) {
        self.0.storage_mut().compact(Index(index)).expect("compacted");
    }

    fn tick(&mut self) {
        self.0.tick().expect("ticked");
    }

    fn read_index(&mut self, context: u64) {
        self.0.read_index(context.to_be_bytes().to_vec()).expect("asked");
    }

    fn is_leader(&self) -> bool {
        self.0.soft_state().role == RoleKind::Leader
    }
}

fn main() {
    bench_harness::main::<Ours>(&Args::of_process());
}
