//! The log of a node: lines are gathered while the node is locked and handed over afterwards.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use raftcore::{Event, Fault, Level};

use crate::log::LogFn;
use crate::storage_callbacks::raftcore_finalizer_fn;

/// What a node has to tell, and to whom.
#[derive(Default)]
pub(crate) struct Journal {
    sink: Option<Arc<Sink>>,
    /// Shared with the observer that sits in the core.
    waiting: Arc<Waiting>,
}

/// Lines that wait. Never contended: all is used under the node's lock.
#[derive(Default)]
struct Waiting {
    lines: Mutex<Vec<Line>>,
    /// Whether there are any, to be asked for on leaving each call.
    any: AtomicBool,
}

impl Waiting {
    fn push(&self, line: Line) {
        self.lines.lock().push(line);
        self.any.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> Vec<Line> {
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.lines.lock())
    }
}

/// Who takes the lines.
pub(crate) struct Sink {
    pub(crate) log: LogFn,
    pub(crate) user_data: *mut c_void,
    pub(crate) finalizer: raftcore_finalizer_fn,
    pub(crate) level: Level,
}

// SAFETY: the header says that the function is called on the threads of the calls that cause the
// lines; what user_data points to is the application's affair.
unsafe impl Send for Sink {}
// SAFETY: as above, and that calls may overlap.
unsafe impl Sync for Sink {}

struct Line {
    level: Level,
    /// Ended by NUL.
    text: String,
}

/// Lines on their way out: handed over when dropped, which is not to be with the node locked.
pub(crate) struct Lines {
    sink: Arc<Sink>,
    lines: Vec<Line>,
}

impl Journal {
    /// Sets who takes the lines. Returns who took them before, to be dropped when the node is
    /// unlocked, because its finalizer runs then; and the observer that the core is to have.
    #[must_use]
    pub(crate) fn set(
        &mut self,
        sink: Option<Sink>,
    ) -> (Option<Arc<Sink>>, Option<raftcore::Observer>) {
        let before = std::mem::replace(&mut self.sink, sink.map(Arc::new));
        let level = self.sink.as_ref().map(|sink| sink.level);
        let observer = level.map(|level| {
            let waiting = Arc::clone(&self.waiting);
            Box::new(move |event: &Event| {
                if event.level() >= level {
                    waiting.push(Line::new(event.level(), event));
                }
            }) as raftcore::Observer
        });
        (before, observer)
    }

    /// Whether somebody takes the lines.
    pub(crate) const fn is_heard(&self) -> bool {
        self.sink.is_some()
    }

    /// Whether lines wait.
    #[inline]
    pub(crate) fn has_lines(&self) -> bool {
        self.waiting.any.load(Ordering::Relaxed)
    }

    /// The node has stopped.
    pub(crate) fn tell_fault(&self, fault: &Fault) {
        if self.sink.is_some() {
            let text = format_args!("the node is faulted: {fault}");
            self.waiting.push(Line::new(Level::Error, &text));
        }
    }

    /// The lines that wait, if somebody takes them.
    pub(crate) fn take(&self) -> Option<Lines> {
        let sink = self.sink.as_ref()?;
        let lines = self.waiting.take();
        (!lines.is_empty()).then(|| Lines { sink: Arc::clone(sink), lines })
    }
}

impl Line {
    fn new(level: Level, text: &dyn std::fmt::Display) -> Self {
        Self { level, text: format!("{text}\0") }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        for line in &self.lines {
            let text = line.text.as_ptr().cast::<c_char>();
            let len = line.text.len().saturating_sub(1);
            // SAFETY: the function and its user_data are the application's and live until the
            // finalizer, which waits for this sink.
            unsafe { (self.sink.log)(self.sink.user_data, line.level as i32, text, len) }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(finalizer) = self.finalizer {
            // SAFETY: the last user is gone, so this is the one call that the header promises.
            unsafe { finalizer(self.user_data) }
        }
    }
}
