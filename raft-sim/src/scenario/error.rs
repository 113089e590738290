//! How errors of the core print in a scenario.

use raftcore::{Error, Refusal};

use super::directive::Failure;

/// The text of an error: three have a text that is older than this project, the others their own.
pub(crate) fn text(error: &Error) -> String {
    match error {
        Error::Dropped(_) => "raft proposal dropped".to_owned(),
        Error::Refused(Refusal::NotAMember(_)) => "raft: cannot step as peer not found".to_owned(),
        Error::Refused(Refusal::LocalKind(_)) => "raft: cannot step raft local message".to_owned(),
        other => other.to_string(),
    }
}

/// The error as the outcome of a command.
pub(crate) fn told(error: &Error) -> Failure {
    Failure::Told(text(error))
}
