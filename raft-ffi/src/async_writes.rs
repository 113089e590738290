//! Asynchronous storage writes.
//!
//! For applications that persist in one thread and apply in another while the node goes on, and
//! so set async_storage_writes in the configuration. Each Ready is work for both:
//!
//! - send messages at once;
//! - the append thread makes snapshot, entries and hard_state durable, with a sync if must_sync,
//!   in the order of the Readies, and then passes on messages_after_sync in their order;
//! - the apply thread applies snapshot and committed, in the order of the Readies, and then passes
//!   on messages_after_apply.
//!
//! To pass on is to send a message whose response_number is zero, and to call
//! raftcore_node_storage_response with the number of one that has one. Nothing is advanced: the
//! next Ready can be taken at once, several may be outstanding, and each is given back with
//! raftcore_node_release when nobody needs its memory any more.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use crate::error::{Failure, raftcore_error};
use crate::handle::{self, State};
use crate::node::raftcore_node;
use crate::ready::raftcore_ready;
use crate::status::{RAFTCORE_ERR_STORAGE_RESPONSE, raftcore_status};

/// Tells the node that the work of a storage thread is done: number is the response_number of a
/// message in messages_after_sync or messages_after_apply. Each is told once, those of one thread
/// in their order. Fails with RAFTCORE_ERR_STORAGE_RESPONSE when the node does not wait for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_storage_response(
    node: *mut raftcore_node,
    number: u64,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`.
        unsafe { handle::of(node) }?.call(|state| state.storage_response(number))
    })
}

/// Gives back a Ready of a node with asynchronous storage writes. It says nothing about what was
/// done: only its memory is no longer valid after success. Fails with RAFTCORE_ERR_STALE_READY
/// when it is not outstanding, RAFTCORE_ERR_ASYNC_STORAGE_WRITES when the node advances its
/// Readies.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_release(
    node: *mut raftcore_node,
    ready: *const raftcore_ready,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`; `ready` is compared and not read.
        unsafe { handle::of(node) }?.call(|state| state.release(ready))
    })
}

impl State {
    fn storage_response(&mut self, number: u64) -> Result<(), Failure> {
        let Some(response) = self.awaited.take(number) else {
            let text = format!("the node does not wait for a storage response {number}");
            return Err(Failure::new(RAFTCORE_ERR_STORAGE_RESPONSE, text));
        };
        Ok(self.core.storage_response(response)?)
    }
}
