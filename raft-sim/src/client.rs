//! The replicated application and its clients: registers and a list that only grows.
//!
//! A client does one operation at a time, at one node. What it saw is judged in `check::history`;
//! when it acts and with whom is decided in `workload`.

use bytes::Bytes;

use crate::random::{mix, mix_bytes};

pub(crate) const REGISTERS: usize = 3;
pub(crate) const CLIENTS: usize = 6;
const COMMAND_BYTES: usize = 12;
const MACHINE_BYTES: usize = 4 * REGISTERS + 12 + 4 * CLIENTS;

/// What a client wants done to the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Puts a value into a register. No value is written twice.
    Write { register: u8, value: u32 },
    /// Adds to the list.
    Append { value: u32 },
}

/// A change with the name of who wants it: the state machine does each once, however often the
/// network brings it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Command {
    pub(crate) client: u8,
    pub(crate) number: u32,
    pub(crate) change: Change,
}

impl Command {
    /// The payload of the entry, with as many bytes behind it as the load wants.
    pub(crate) fn encode(&self, padding: usize) -> Bytes {
        let (kind, register, value) = match self.change {
            Change::Write { register, value } => (1, register, value),
            Change::Append { value } => (2, 0, value),
        };
        let mut bytes = Vec::with_capacity(COMMAND_BYTES + padding);
        bytes.extend_from_slice(&[self.client, kind, register, 0]);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&value.to_le_bytes());
        bytes.resize(COMMAND_BYTES + padding, 0);
        bytes.into()
    }

    /// Nothing, if the payload is none of a client.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[client, kind, register, _], rest) = bytes.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let value = u32::from_le_bytes(*rest.first_chunk::<4>()?);
        let change = match kind {
            1 => Change::Write { register, value },
            2 => Change::Append { value },
            _ => return None,
        };
        let valid = usize::from(client) < CLIENTS && usize::from(register) < REGISTERS;
        valid.then_some(Self { client, number: u32::from_le_bytes(*number), change })
    }
}

/// The replicated state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) registers: [u32; REGISTERS],
    pub(crate) list_len: u32,
    /// Stands for the list's content: two lists of one length with one hash are equal.
    pub(crate) list_hash: u64,
    /// The number of the last change of each client.
    done: [u32; CLIENTS],
}

impl Machine {
    /// Applies an entry's payload; whether it was a change that was not done before.
    pub(crate) fn apply(&mut self, payload: &[u8]) -> Option<Command> {
        let command = Command::decode(payload)?;
        let done = &mut self.done[usize::from(command.client)];
        if command.number <= *done {
            return None;
        }
        *done = command.number;
        match command.change {
            Change::Write { register, value } => self.registers[usize::from(register)] = value,
            Change::Append { value } => {
                self.list_len += 1;
                self.list_hash = mix(self.list_hash, u64::from(value));
            }
        }
        Some(command)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(MACHINE_BYTES);
        for register in self.registers {
            bytes.extend_from_slice(&register.to_le_bytes());
        }
        bytes.extend_from_slice(&self.list_len.to_le_bytes());
        bytes.extend_from_slice(&self.list_hash.to_le_bytes());
        for number in self.done {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.into()
    }

    /// The state in a snapshot; the first state, if there is none.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let mut machine = Self::default();
        if bytes.len() != MACHINE_BYTES {
            return machine;
        }
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        for (i, register) in machine.registers.iter_mut().enumerate() {
            *register = word(4 * i);
        }
        let list = 4 * REGISTERS;
        machine.list_len = word(list);
        machine.list_hash = u64::from(word(list + 4)) | u64::from(word(list + 8)) << 32;
        for (i, number) in machine.done.iter_mut().enumerate() {
            *number = word(list + 12 + 4 * i);
        }
        machine
    }

    /// Two states with one digest are equal.
    pub(crate) fn digest(&self) -> u64 {
        let mut hash = mix(u64::from(self.list_len), self.list_hash);
        for value in self.registers.iter().chain(&self.done) {
            hash = mix(hash, u64::from(*value));
        }
        hash
    }
}

/// What a client is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doing {
    Nothing,
    /// Waits until its node has applied this.
    Changing(Change),
    /// Waits until its node may answer a read of this register, or of the list.
    Reading(Option<u8>),
}

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) doing: Doing,
    /// The number of the present operation.
    pub(crate) number: u32,
    /// Where it is done: a slot and the life of the node there.
    pub(crate) at: (usize, u32),
    pub(crate) since: u64,
    /// How often the read was asked.
    pub(crate) attempts: u32,
    /// How long the list was known to be when the operation began.
    pub(crate) list_seen: u32,
}

impl Client {
    pub(crate) const fn new() -> Self {
        Self { doing: Doing::Nothing, number: 0, at: (0, 0), since: 0, attempts: 0, list_seen: 0 }
    }

    /// The context of a read: the same each time it is asked again.
    pub(crate) fn context(client: usize, number: u32) -> Bytes {
        let mut bytes = vec![client as u8];
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.into()
    }

    pub(crate) fn of_context(context: &[u8]) -> Option<(usize, u32)> {
        let (&client, number) = context.split_first()?;
        let client = usize::from(client);
        let number = u32::from_le_bytes(number.try_into().ok()?);
        (client < CLIENTS).then_some((client, number))
    }
}

/// The digest of an entry's content.
pub(crate) fn digest_of(entry: &raftcore::Entry) -> u64 {
    mix_bytes(mix(entry.term.0, entry.kind as u64), &entry.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_comes_twice_is_done_once() {
        let append = Command { client: 1, number: 7, change: Change::Append { value: 9 } };
        let payload = append.encode(5);
        assert_eq!((Command::decode(&payload), payload.len()), (Some(append), 17));
        let mut machine = Machine::default();
        assert_eq!(machine.apply(&payload), Some(append));
        assert_eq!(machine.apply(&payload), None);
        assert_eq!(machine.list_len, 1);
        assert_eq!(machine.apply(b"something else"), None);
    }

    #[test]
    fn a_snapshot_gives_the_state_back() {
        let mut machine = Machine::default();
        let write = Change::Write { register: 2, value: 0x0102_0304 };
        machine.apply(&Command { client: 5, number: 1, change: write }.encode(0));
        let append = Change::Append { value: 8 };
        machine.apply(&Command { client: 0, number: 3, change: append }.encode(0));
        assert_eq!(Machine::decode(&machine.encode()), machine);
        assert_ne!(machine.digest(), Machine::default().digest());
    }

    #[test]
    fn a_context_names_the_read() {
        assert_eq!(Client::of_context(&Client::context(4, 77)), Some((4, 77)));
        assert_eq!(Client::of_context(b"x"), None);
    }
}
