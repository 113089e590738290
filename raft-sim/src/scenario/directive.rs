//! Typed access to what a directive says, and the two ways in which a command can fail.

use std::str::FromStr;

use raftcore::NodeId;

use super::parser::{Arg, Directive};

/// Why a command did not do what it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// An error that belongs to the story: its text is part of the output.
    Told(String),
    /// The directive cannot be played: the file fails here.
    Broken(String),
}

/// What a command comes to.
pub(crate) type Outcome = Result<(), Failure>;

impl Failure {
    pub(crate) fn told(text: impl ToString) -> Self {
        Self::Told(text.to_string())
    }

    pub(crate) fn broken(text: impl ToString) -> Self {
        Self::Broken(text.to_string())
    }
}

impl Directive {
    /// The argument at this place, which must have no value.
    pub(crate) fn word(&self, at: usize) -> Result<&str, Failure> {
        match self.args.get(at) {
            Some(Arg { key, values }) if values.is_empty() => Ok(key),
            _ => Err(Failure::broken(format!("argument {} is missing", at + 1))),
        }
    }

    /// The argument at this place as a number without a name.
    pub(crate) fn number<T: FromStr>(&self, at: usize) -> Result<T, Failure> {
        parsed(self.word(at)?)
    }

    /// All arguments without a value, as node ids.
    pub(crate) fn ids(&self) -> Result<Vec<u64>, Failure> {
        self.args.iter().filter(|arg| arg.values.is_empty()).map(|arg| parsed(&arg.key)).collect()
    }

    /// The arguments that have values, each value with its argument's name.
    pub(crate) fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.args
            .iter()
            .flat_map(|arg| arg.values.iter().map(|value| (arg.key.as_str(), value.as_str())))
    }

    /// The value of an option that must be there, once.
    pub(crate) fn option<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        match self.options().filter(|(key, _)| *key == name).map(|(_, value)| value).next() {
            Some(value) => parsed(value),
            None => Err(Failure::broken(format!("{name}= is missing"))),
        }
    }
}

/// A number, or anything else that is written as its text.
pub(crate) fn parsed<T: FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::broken(format!("{text} is not what belongs here")))
}

/// The id of a member.
pub(crate) fn member(number: u64) -> Result<NodeId, Failure> {
    NodeId::new(number).ok_or_else(|| Failure::broken(format!("no member has the id {number}")))
}

/// A switch.
pub(crate) fn flag(text: &str) -> Result<bool, Failure> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(Failure::broken(format!("{text} is neither true nor false"))),
    }
}
