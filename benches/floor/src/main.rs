//! The floor: members that do what no core can do without, and nothing else. They keep the log in
//! shared blocks, pass it on, acknowledge it, learn what is committed and apply it, two rounds of
//! the loop for a commit as with everybody. There is no term, no vote, no check, nothing can be
//! lost, and the first member always leads. What a core takes beyond this is its own.

use std::collections::VecDeque;
use std::sync::Arc;

use bench_harness::{Args, Member, Out, Setup};
use bytes::Bytes;

struct Entry {
    index: u64,
    data: Bytes,
}

type Block = Arc<[Entry]>;

enum Message {
    Append(Block),
    Acknowledge { index: u64 },
    Commit { index: u64 },
}

struct Floor {
    id: u64,
    voters: u64,
    proposed: Vec<Entry>,
    last: u64,
    /// What came and is not in the log yet.
    received: Option<Block>,
    log: VecDeque<Block>,
    /// What is in the log and not applied.
    waiting: VecDeque<Block>,
    acknowledged: [u64; 3],
    commit: u64,
    told: u64,
    applied: u64,
}

impl Floor {
    fn others(&self) -> impl Iterator<Item = u64> {
        2..=self.voters
    }

    /// Two of three have it, or the one there is.
    fn commit_of_majority(&self) -> u64 {
        let [a, b, c] = self.acknowledged;
        if self.voters == 1 { a } else { a.min(b).max(a.max(b).min(c)) }
    }

    fn store(&mut self, block: Block) {
        self.waiting.push_back(Arc::clone(&block));
        self.log.push_back(block);
    }

    fn leads(&self) -> bool {
        self.id == 1
    }
}

impl Member for Floor {
    type Message = (u64, Message);
    type Encoded = Bytes;
    type Shared = ();

    fn new(id: u64, setup: &Setup) -> Self {
        assert!(matches!(setup.voters, 1 | 3), "one member or three");
        Self {
            id,
            voters: setup.voters,
            proposed: Vec::new(),
            last: 0,
            received: None,
            log: VecDeque::new(),
            waiting: VecDeque::new(),
            acknowledged: [0; 3],
            commit: 0,
            told: 0,
            applied: 0,
        }
    }

    fn campaign(&mut self) {}

    fn propose(&mut self, payload: Vec<u8>) {
        self.last += 1;
        self.proposed.push(Entry { index: self.last, data: payload.into() });
    }

    fn propose_many(&mut self, payloads: impl Iterator<Item = Vec<u8>>) {
        payloads.for_each(|payload| self.propose(payload));
    }

    fn step(&mut self, (from, message): (u64, Message)) {
        match message {
            Message::Append(block) => self.received = Some(block),
            Message::Acknowledge { index } => {
                self.acknowledged[from as usize - 1] = index;
                self.commit = self.commit.max(self.commit_of_majority());
            }
            Message::Commit { index } => self.commit = index,
        }
    }

    fn step_encoded(&mut self, _: Bytes) {
        panic!("the floor has no encoding");
    }

    fn encode(_: Self::Message) -> Bytes {
        panic!("the floor has no encoding");
    }

    fn has_ready(&self) -> bool {
        !self.proposed.is_empty() || self.received.is_some() || self.applied < self.commit
    }

    fn handle_ready(&mut self, out: &mut Out<'_, Self>) {
        if self.leads() && self.told < self.commit {
            self.told = self.commit;
            self.others().for_each(|to| out.send(to, (1, Message::Commit { index: self.commit })));
        }
        let committed = self.commit;
        if !self.proposed.is_empty() {
            let block: Block = self.proposed.drain(..).collect();
            self.others().for_each(|to| out.send(to, (1, Message::Append(Arc::clone(&block)))));
            self.store(block);
            self.acknowledged[0] = self.last;
            self.commit = self.commit.max(self.commit_of_majority());
        }
        if let Some(block) = self.received.take() {
            let index = block.last().map_or(0, |entry| entry.index);
            self.store(block);
            out.send(1, (self.id, Message::Acknowledge { index }));
        }
        while self.applied < committed
            && let Some(block) = self.waiting.pop_front()
        {
            block.iter().for_each(|entry| out.apply(entry.index, &entry.data));
            self.applied = block.last().map_or(self.applied, |entry| entry.index);
        }
    }

    fn compact(&mut self, index: u64) {
        while self.log.front().and_then(|block| block.last()).is_some_and(|e| e.index <= index) {
            self.log.pop_front();
        }
    }

    fn tick(&mut self) {}

    fn read_index(&mut self, _: u64) {
        panic!("the floor answers no reads");
    }

    fn is_leader(&self) -> bool {
        self.leads()
    }
}

fn main() {
    bench_harness::main::<Floor>(&Args::of_process());
}
