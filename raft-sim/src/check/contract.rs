//! What a node owes an application that keeps its contract: it starts on what the disk has, the
//! storage can take what it is told to, answers that it attached are taken, a disk that cannot be
//! read is an error, and nothing stops the node.

use std::fmt::Display;

use raftcore::{Error, Fault, NodeId};

use super::{Verdict, ensure};

fn must_work<T, E: Display>(id: NodeId, result: &Result<T, E>, rule: &'static str) -> Verdict {
    let error = result.as_ref().err();
    ensure(error.is_none(), rule, || {
        format!("node {id}: {}", error.map_or_else(String::new, ToString::to_string))
    })
}

/// The storage was given what a Ready says.
pub(crate) fn on_stored<E: Display>(id: NodeId, result: &Result<(), E>) -> Verdict {
    must_work(id, result, "storage_takes_what_ready_says")
}

/// A storage thread said that its work is done.
pub(crate) fn on_response(id: NodeId, result: &Result<(), Error>) -> Verdict {
    must_work(id, result, "storage_responses_are_taken")
}

/// A group was founded.
pub(crate) fn on_bootstrap(id: NodeId, result: &Result<(), Error>) -> Verdict {
    must_work(id, result, "bootstrap_succeeds")
}

/// A node was made from what is on its disk.
pub(crate) fn on_start<T>(id: NodeId, result: &Result<T, Error>) -> Verdict {
    must_work(id, result, "restart_succeeds")
}

/// A node was made while its disk could not be read.
pub(crate) fn on_start_unread<T>(id: NodeId, result: &Result<T, Error>) -> Verdict {
    let is_told = matches!(result, Err(Error::Storage(_)));
    ensure(is_told, "storage_errors_are_reported", || format!("node {id} began all the same"))
}

/// A step was made.
pub(crate) fn on_fault(id: NodeId, fault: Option<&Fault>) -> Verdict {
    ensure(fault.is_none(), "no_node_faults", || {
        format!("node {id}: {}", fault.map_or_else(String::new, ToString::to_string))
    })
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;
    use raftcore::StorageError;

    #[test]
    fn calls_that_must_work_and_do_not_are_seen() {
        let id = NodeId::new(1).unwrap();
        let error = Error::Storage(StorageError::failed("no"));
        let failed: Result<(), Error> = Err(error.clone());
        assert_objects(on_stored(id, &failed), "storage_takes_what_ready_says");
        assert_objects(on_response(id, &failed), "storage_responses_are_taken");
        assert_objects(on_bootstrap(id, &failed), "bootstrap_succeeds");
        assert_objects(on_start(id, &failed), "restart_succeeds");
        on_start(id, &Ok(())).unwrap();
        on_start_unread(id, &failed).unwrap();
        assert_objects(on_start_unread(id, &Ok(())), "storage_errors_are_reported");
        on_fault(id, None).unwrap();
        assert_objects(on_fault(id, Some(&Fault::Invariant("broken"))), "no_node_faults");
    }
}
