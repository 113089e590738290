//! The pieces of which commands and answers are made: little-endian numbers, and bytes behind
//! their length.

use std::fmt;

use bytes::{Buf, Bytes};
use raftcore::{ConfState, DecodeError, Entry, Error, Refusal, StorageError, wire};

/// Why a command was not carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the node said.
    Node(Error),
    /// The command ends too early.
    Truncated,
    /// No such command.
    NoSuchCommand(u8),
    /// No node has this handle.
    NoSuchNode(u64),
    /// The command is not one for now.
    Impossible(&'static str),
}

impl Failure {
    /// The number of the answer.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Node(Error::Refused(Refusal::NotAMember(_))) => 1,
            Self::Node(Error::Dropped(_)) => 2,
            Self::Node(Error::Refused(_)) => 3,
            Self::Node(Error::Misuse(_)) => 4,
            Self::Node(Error::Storage(_)) => 5,
            Self::Node(_) => 6,
            _ => 7,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(error) => error.fmt(f),
            Self::Truncated => f.write_str("the command ends too early"),
            Self::NoSuchCommand(code) => write!(f, "there is no command {code}"),
            Self::NoSuchNode(handle) => write!(f, "there is no node {handle}"),
            Self::Impossible(why) => f.write_str(why),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Node(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Node(error.into())
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Node(error.into())
    }
}

/// A command that is being read.
pub(crate) struct Input(Bytes);

impl Input {
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Failure> {
        self.0.try_get_u8().map_err(|_| Failure::Truncated)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Failure> {
        self.0.try_get_u32_le().map_err(|_| Failure::Truncated)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Failure> {
        self.0.try_get_u64_le().map_err(|_| Failure::Truncated)
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, Failure> {
        let length = self.u32()? as usize;
        if length > self.0.len() {
            return Err(Failure::Truncated);
        }
        Ok(self.0.split_to(length))
    }

    /// A list: its length, then its elements.
    pub(crate) fn list<T>(
        &mut self,
        element: impl Fn(&mut Self) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        (0..self.u32()?).map(|_| element(self)).collect()
    }

    pub(crate) fn conf_state(&mut self) -> Result<ConfState, Failure> {
        Ok(ConfState {
            voters: self.list(Self::u64)?,
            learners: self.list(Self::u64)?,
            voters_outgoing: self.list(Self::u64)?,
            learners_next: self.list(Self::u64)?,
            auto_leave: self.u8()? != 0,
        })
    }
}

/// An answer that is being written.
#[derive(Default)]
pub(crate) struct Output(Vec<u8>);

impl Output {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn u8(&mut self, number: u8) {
        self.0.push(number);
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend(bytes);
    }

    /// Text to the end of the answer.
    pub(crate) fn text(&mut self, text: &str) {
        self.0.extend(text.bytes());
    }

    /// A value that may be absent.
    pub(crate) fn option<T>(&mut self, value: Option<T>, element: impl FnOnce(&mut Self, T)) {
        self.u8(value.is_some().into());
        if let Some(value) = value {
            element(self, value);
        }
    }

    /// A list: its length, then its elements.
    pub(crate) fn list<T>(
        &mut self,
        elements: impl IntoIterator<Item = T>,
        element: impl Fn(&mut Self, T),
    ) {
        let at = self.0.len();
        self.length(0);
        let mut count = 0u32;
        for each in elements {
            element(self, each);
            count += 1;
        }
        self.0[at..at + 4].copy_from_slice(&count.to_le_bytes());
    }

    pub(crate) fn conf_state(&mut self, state: &ConfState) {
        for ids in [&state.voters, &state.learners, &state.voters_outgoing, &state.learners_next] {
            self.list(ids, |out, id| out.u64(*id));
        }
        self.u8(state.auto_leave.into());
    }

    /// An entry in plain form, and as a disk would hold it.
    pub(crate) fn entry(&mut self, entry: &Entry) {
        self.u64(entry.term.0);
        self.u64(entry.index.0);
        self.u8(entry.kind as u8);
        self.bytes(&entry.data);
        self.bytes(&wire::encode_entry(entry));
    }

    fn length(&mut self, length: usize) {
        // A frame's own length is counted in 32 bits.
        self.0.extend((length as u32).to_le_bytes());
    }
}
