//! Log.
//!
//! The library prints nothing. A node that was given a log function tells it what happens.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ffi::{c_char, c_void};

use raftcore::Level;

use crate::error::{Failure, raftcore_error};
use crate::handle;
use crate::journal::Sink;
use crate::node::raftcore_node;
use crate::status::raftcore_status;
use crate::storage_callbacks::raftcore_finalizer_fn;

/// How important a line of the log is.
pub type raftcore_log_level = i32;
/// For who looks for a mistake.
pub const RAFTCORE_LOG_DEBUG: raftcore_log_level = 0;
/// Elections, membership changes, snapshots.
pub const RAFTCORE_LOG_INFO: raftcore_log_level = 1;
/// Something is not as it should be; the node goes on.
pub const RAFTCORE_LOG_WARN: raftcore_log_level = 2;
/// The node cannot go on.
pub const RAFTCORE_LOG_ERROR: raftcore_log_level = 3;

/// Takes a line of a node's log: text of len bytes in UTF-8, ended by NUL, valid during the call.
/// It is called on the thread whose call caused the line, before that call returns and after the
/// node is unlocked: it may call into the node, except to destroy it or to set its log. Lines of
/// calls on several threads may come at the same time. It must not longjmp; a C++ exception that
/// leaves it ends the process.
pub type raftcore_log_fn = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        level: raftcore_log_level,
        text: *const c_char,
        len: usize,
    ),
>;

/// Sets the function that takes the node's log from the given level up, in place of the one
/// before; NULL: none, and then user_data and finalizer are not used. finalizer (may be NULL) is
/// called once with user_data when the function is replaced or the node destroyed, and no thread
/// is inside the function any more; on failure it is not called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_set_log(
    node: *mut raftcore_node,
    level: raftcore_log_level,
    log: raftcore_log_fn,
    user_data: *mut c_void,
    finalizer: raftcore_finalizer_fn,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        let level = match level {
            RAFTCORE_LOG_DEBUG => Level::Debug,
            RAFTCORE_LOG_INFO => Level::Info,
            RAFTCORE_LOG_WARN => Level::Warn,
            RAFTCORE_LOG_ERROR => Level::Error,
            other => return Err(Failure::number("level", other)),
        };
        // SAFETY: the caller's promise for `node`.
        let before = unsafe { handle::of(node) }?.call(|state| {
            let sink = log.map(|log| Sink { log, user_data, finalizer, level });
            let (before, observer) = state.journal.set(sink);
            state.is_watched = true;
            state.core.set_observer(observer);
            Ok(before)
        })?;
        // The finalizer of the one before runs here, with the node unlocked.
        drop(before);
        Ok(())
    })
}

/// A `raftcore_log_fn` that is not NULL.
pub(crate) type LogFn = unsafe extern "C-unwind" fn(
    user_data: *mut c_void,
    level: raftcore_log_level,
    text: *const c_char,
    len: usize,
);
