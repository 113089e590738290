//! The native module of the Python package `raftcore`: thin classes around the core's types.
//!
//! There is no protocol here and no I/O. Enumerations and exceptions are written in Python
//! (`raftcore/_enums.py`, `raftcore/_errors.py`), where they are ordinary classes; so are the
//! asyncio and threading nodes on top.
#![deny(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod buffer;
mod enums;
mod errors;
#[macro_use]
mod values;
mod conf_change;
mod config;
mod entry;
mod lazy;
mod log;
mod message;
mod node;
mod ready;
mod referee;
mod snapshot;
mod status;
mod storage;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use raftcore::{MessageKind, RefusalKind};

/// The core's names of what is numbered in it, so that a test can compare the enumerations.
#[pyfunction]
fn _numbered_names(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let kinds = 0..MessageKind::COUNT as i32;
    let kinds = kinds.filter_map(MessageKind::from_number).map(|kind| format!("{kind:?}"));
    let names = PyDict::new(py);
    names.set_item("MessageKind", kinds.collect::<Vec<_>>())?;
    let reasons = RefusalKind::ALL.map(|reason| format!("{reason:?}"));
    names.set_item("RefusalReason", reasons.to_vec())?;
    Ok(names)
}

/// The native part of raftcore. Import from raftcore itself.
#[pymodule(gil_used = false)]
mod _raftcore {
    #[pymodule_export]
    use crate::_numbered_names;
    #[pymodule_export]
    use crate::conf_change::{AppliedConfChange, ConfChange, ConfChangeSingle, ConfChangeV2};
    #[pymodule_export]
    use crate::config::{_config_defaults, Config};
    #[pymodule_export]
    use crate::entry::{Entries, Entry};
    #[pymodule_export]
    use crate::message::Message;
    #[pymodule_export]
    use crate::node::{_after_fork, RawNode};
    #[pymodule_export]
    use crate::ready::{Ready, StorageAppend, StorageApply, StorageResponse};
    #[pymodule_export]
    use crate::referee::_Referee;
    #[pymodule_export]
    use crate::snapshot::Snapshot;
    #[pymodule_export]
    use crate::status::{PeerStatus, Status};
    #[pymodule_export]
    use crate::storage::MemoryStorage;
    #[pymodule_export]
    use crate::values::{ConfState, HardState, Peer, Position, ReadState, SoftState, Span};

    /// The version of the package.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "its name in Python")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
