//! How errors print in a scenario.

use raftcore::{Error, Refusal, StorageError};

use super::directive::Failure;

/// The text of an error of a node: three have one that is older than this project, the others
/// their own.
pub(crate) fn text(error: &Error) -> String {
    match error {
        Error::Dropped(_) => "raft proposal dropped".to_owned(),
        Error::Refused(Refusal::NotAMember(_)) => "raft: cannot step as peer not found".to_owned(),
        Error::Refused(Refusal::LocalKind(_)) => "raft: cannot step raft local message".to_owned(),
        other => other.to_string(),
    }
}

/// A node's error as the outcome of a command.
pub(crate) fn told(error: &Error) -> Failure {
    Failure::Told(text(error))
}

/// A storage's error as the outcome of a command; what a storage in memory can answer has an
/// older text too.
pub(crate) fn told_by_storage(error: &StorageError) -> Failure {
    match error {
        StorageError::Compacted => {
            Failure::told("requested index is unavailable due to compaction")
        }
        StorageError::Unavailable => Failure::told("requested entry at index is unavailable"),
        StorageError::SnapshotOutOfDate => {
            Failure::told("requested index is older than the existing snapshot")
        }
        other => Failure::told(other),
    }
}
