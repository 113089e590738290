//! What went wrong, as the exceptions of `raftcore/_errors.py`, and the guard that turns a panic
//! into one of them.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use raftcore::{
    ConfigError, DropReason, Error, Fault, Misuse, NodeId, Refusal, ReplaceReason, StorageError,
};

use crate::enums;

/// An exception of the package, by its name.
pub(crate) fn exception<'py>(
    py: Python<'py>,
    name: &str,
    arguments: impl PyCallArgs<'py>,
) -> PyErr {
    let make = || py.import("raftcore._errors")?.getattr(name)?.call1(arguments);
    make().map_or_else(|error| error, PyErr::from_value)
}

/// One that has only a text.
pub(crate) fn plain(name: &str, text: impl fmt::Display) -> PyErr {
    Python::attach(|py| exception(py, name, (text.to_string(),)))
}

/// Bytes that encode nothing.
pub(crate) fn malformed(error: impl fmt::Display) -> PyErr {
    plain("DecodeError", error)
}

/// A failure of the core.
pub(crate) fn raise(error: Error) -> PyErr {
    Python::attach(|py| match error {
        Error::Refused(Refusal::Malformed(error)) => malformed(error),
        Error::Refused(refusal) => {
            let reason = enums::RefusalReason(refusal.kind() as i32);
            exception(py, "InvalidMessage", (reason, refusal.to_string()))
        }
        Error::Dropped(reason) => dropped(py, reason),
        Error::Misuse(misuse) => misused(py, misuse),
        Error::Storage(error) => storage(py, error),
        Error::Faulted(fault) => faulted(py, fault),
        other => exception(py, "RaftError", (other.to_string(),)),
    })
}

/// A storage's failure.
pub(crate) fn raise_storage(error: StorageError) -> PyErr {
    Python::attach(|py| storage(py, error))
}

pub(crate) fn not_leader(py: Python<'_>, leader: Option<NodeId>) -> PyErr {
    exception(py, "NotLeader", (leader.map(NodeId::get),))
}

pub(crate) fn replaced(py: Python<'_>, reason: &ReplaceReason) -> PyErr {
    let number = match reason {
        ReplaceReason::AlreadyJoint => 1,
        ReplaceReason::NotJoint => 2,
        _ => 0,
    };
    let reason = (enums::ConfChangeRefusal(number), reason.to_string());
    exception(py, "ConfChangeRefused", reason)
}

fn dropped(py: Python<'_>, reason: DropReason) -> PyErr {
    let number = match reason {
        DropReason::ForwardingDisabled { leader } => return not_leader(py, Some(leader)),
        DropReason::Transferring { .. } => 1,
        DropReason::TooMuchUncommitted { .. } => 2,
        DropReason::NotAMember => 3,
        DropReason::TooManyReads { .. } => 4,
        _ => 0,
    };
    exception(py, "ProposalDropped", (enums::DropReason(number), reason.to_string()))
}

fn misused(py: Python<'_>, misuse: Misuse) -> PyErr {
    let name = match &misuse {
        Misuse::Config(error) => return config(error),
        Misuse::BadConfChange(error) => {
            let reason = (enums::ConfChangeRefusal(3), error.to_string());
            return exception(py, "ConfChangeRefused", reason);
        }
        Misuse::ReadyOutstanding
        | Misuse::StaleReady
        | Misuse::NotPersisted { .. }
        | Misuse::SnapshotNotPersisted { .. }
        | Misuse::AsyncStorageWrites
        | Misuse::UnknownStorageResponse => "ReadyOrderError",
        _ => "UsageError",
    };
    exception(py, name, (misuse.to_string(),))
}

pub(crate) fn config(error: &ConfigError) -> PyErr {
    plain("ConfigError", error)
}

fn faulted(py: Python<'_>, fault: Fault) -> PyErr {
    let error = exception(py, "FaultedError", (fault.to_string(),));
    if let Fault::Storage(StorageError::Failed(cause)) = &fault {
        set_cause(py, &error, cause);
    }
    error
}

fn storage(py: Python<'_>, error: StorageError) -> PyErr {
    let name = match &error {
        StorageError::Compacted => "Compacted",
        StorageError::Unavailable => "Unavailable",
        StorageError::SnapshotTemporarilyUnavailable => "SnapshotTemporarilyUnavailable",
        StorageError::SnapshotOutOfDate => "SnapshotOutOfDate",
        StorageError::Failed(cause) => {
            if let Some(Raised(cause)) = cause.downcast_ref() {
                // Ctrl-C in the storage is not the storage's failure.
                if !cause.is_instance_of::<PyException>(py) {
                    return cause.clone_ref(py);
                }
            }
            let raised = exception(py, "StorageError", (error.to_string(),));
            set_cause(py, &raised, cause);
            return raised;
        }
        _ => "StorageError",
    };
    exception(py, name, (error.to_string(),))
}

fn set_cause(py: Python<'_>, error: &PyErr, cause: &Arc<dyn std::error::Error + Send + Sync>) {
    if let Some(Raised(cause)) = cause.downcast_ref() {
        error.set_cause(py, Some(cause.clone_ref(py)));
    }
}

/// An exception that a storage written in Python raised, on its way through the core.
#[derive(Debug)]
pub(crate) struct Raised(pub(crate) PyErr);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Raised {}

/// Runs what could only panic by a mistake of ours: Python then sees an ordinary exception.
pub(crate) fn guarded<T>(act: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|panic| Err(raise(Error::Faulted(Fault::Panic(panic_text(&*panic))))))
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a bug in raftcore, please report it: {}", text.unwrap_or("no text"))
}
