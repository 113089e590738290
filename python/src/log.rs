//! What happens inside a node, on its way to `logging`: kept while the node is locked, passed on
//! when it is not, so that a handler may call the node.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use raftcore::{Event, Level, Observer};

/// The lines of one node that were not passed on yet.
#[derive(Default)]
pub(crate) struct Lines {
    some: AtomicBool,
    lines: Mutex<Vec<(Level, String)>>,
}

impl Lines {
    /// What the core calls.
    pub(crate) fn observer(self: &Arc<Self>) -> Observer {
        let lines = Arc::clone(self);
        Box::new(move |event: &Event| {
            let mut kept = lines.lines.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((event.level(), event.to_string()));
            lines.some.store(true, Ordering::Release);
        })
    }

    /// Passes on what was kept. To be called without the node's lock.
    pub(crate) fn forward(&self, py: Python<'_>, node: u64) {
        if !self.some.load(Ordering::Acquire) || !self.some.swap(false, Ordering::AcqRel) {
            return;
        }
        let lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = forward(py, node, &lines) {
            // A handler that raises is not the caller's failure.
            error.write_unraisable(py, None);
        }
    }
}

fn forward(py: Python<'_>, node: u64, lines: &[(Level, String)]) -> PyResult<()> {
    // Where nobody imported logging nobody can have configured it, and importing it takes longer
    // than everything else here.
    let modules = py.import("sys")?.getattr("modules")?;
    let Ok(logging) = modules.cast_into::<PyDict>()?.as_any().get_item("logging") else {
        return Ok(());
    };
    let logger = logging.call_method1("getLogger", ("raftcore",))?;
    for (level, text) in lines {
        let level = match level {
            Level::Debug => 10,
            Level::Info => 20,
            Level::Warn => 30,
            Level::Error => 40,
        };
        logger.call_method1("log", (level, "node %d: %s", node, text))?;
    }
    Ok(())
}
