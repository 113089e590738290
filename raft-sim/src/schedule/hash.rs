//! The hash over what comes out of the nodes.

use raftcore::{Error, Message, NodeId, Ready, Reply, wire};

/// FNV-1a in 64 bits over the outputs, in the encoding that `SCHEDULES.md` lays down.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutputHash(pub(super) u64);

impl OutputHash {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    fn number(&mut self, number: u64) {
        number.to_le_bytes().into_iter().for_each(|byte| self.byte(byte));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        bytes.iter().for_each(|byte| self.byte(*byte));
    }

    fn message(&mut self, message: &Message) {
        self.bytes(&wire::encode(message));
    }

    /// How a call ended.
    pub(super) fn result(&mut self, error: Option<&Error>) {
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

    /// What a node hands out.
    pub(super) fn ready(&mut self, ready: &Ready, is_async: bool) {
        self.flag(ready.soft_state.is_some());
        if let Some(state) = &ready.soft_state {
            self.number(NodeId::or_zero(state.leader));
            self.byte(state.role as u8);
        }
        self.flag(ready.hard_state.is_some());
        if let Some(state) = &ready.hard_state {
            let vote = NodeId::or_zero(state.vote);
            [state.term.0, vote, state.commit.0].into_iter().for_each(|n| self.number(n));
        }
        self.flag(ready.must_sync);
        self.flag(ready.snapshot.is_some());
        if let Some(snapshot) = &ready.snapshot {
            self.bytes(&wire::encode_snapshot(snapshot));
        }
        for entries in [&ready.entries, &ready.committed] {
            self.number(entries.len() as u64);
            entries.iter().for_each(|entry| self.bytes(&wire::encode_entry(entry)));
        }
        for messages in [&ready.messages, &ready.messages_after_sync] {
            self.number(messages.len() as u64);
            messages.iter().for_each(|message| self.message(message));
        }
        self.number(ready.read_states.len() as u64);
        for read in &ready.read_states {
            self.number(read.index.0);
            self.bytes(&read.context);
        }
        if is_async {
            self.storage_work(ready);
        }
    }

    fn storage_work(&mut self, ready: &Ready) {
        self.flag(ready.append.is_some());
        if let Some(append) = &ready.append {
            self.number(append.replies.len() as u64);
            for reply in &append.replies {
                match reply {
                    Reply::Peer(message) => {
                        self.flag(false);
                        self.message(message);
                    }
                    Reply::Local(_) => self.flag(true),
                }
            }
        }
        self.flag(ready.apply.is_some());
    }
}
