//! Messages in.
//!
//! What came from a peer is handed in as it came, one message or many in one call. A message that
//! is refused is RAFTCORE_ERR_REFUSED and changes nothing: whatever the bytes, they cannot harm
//! the node.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ffi::c_void;

use raftcore::Node;
use raftcore::wire::schema;

use crate::backend::Held;
use crate::delivery::Delivery;
use crate::error::{Failure, raftcore_error};
use crate::handle::{self, Handle};
use crate::message::{raftcore_message, raftcore_messages};
use crate::message_in;
use crate::node::raftcore_node;
use crate::ready::raftcore_ready;
use crate::slice::{self, raftcore_slice};
use crate::status::{RAFTCORE_OK, raftcore_status};

/// Hands in an encoded message that came from a peer. The bytes are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_step(
    node: *mut raftcore_node,
    message: *const c_void,
    len: usize,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, message) = unsafe { (handle::of(node)?, slice::copy(message, len, "message")?) };
        node.call(|state| Ok(state.core.step_encoded(message)?))
    })
}

/// Hands in count encoded messages in one call. The bytes are copied. Each is tried, whatever
/// became of those before it. Returns RAFTCORE_OK when all were taken, otherwise the status of the
/// first that was not. The status of each is written to statuses, an array of count or NULL, in
/// either case; not when the arguments themselves are wrong (-3xx), and then none was tried.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_step_many(
    node: *mut raftcore_node,
    messages: *const raftcore_slice,
    count: usize,
    statuses: *mut raftcore_status,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, messages) =
            unsafe { (handle::of(node)?, slice::copy_many(messages, count, "messages")?) };
        // SAFETY: as above: `statuses` is NULL or an array of `count`.
        unsafe { step_each(node, messages, statuses, Node::step_encoded) }
    })
}

/// As raftcore_node_step_many, with the messages one behind the other in len bytes: lengths, an
/// array of count, says how long each is, and their sum must be len.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_step_packed(
    node: *mut raftcore_node,
    bytes: *const c_void,
    len: usize,
    lengths: *const u64,
    count: usize,
    statuses: *mut raftcore_status,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, messages) =
            unsafe { (handle::of(node)?, slice::packed(bytes, len, lengths, count)?) };
        let messages = messages.copy();
        // SAFETY: as above: `statuses` is NULL or an array of `count`.
        unsafe { step_each(node, messages, statuses, Node::step_encoded) }
    })
}

/// Hands in messages as structs: for members in one process, and for a transport that has a format
/// of its own. stride is sizeof(raftcore_message). Everything they point to is copied; encoded is
/// not looked at, response_number must be zero. Otherwise as raftcore_node_step_many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_step_messages(
    node: *mut raftcore_node,
    messages: *const raftcore_messages,
    statuses: *mut raftcore_status,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, messages) =
            unsafe { (handle::of(node)?, message_in::copy_all(messages, "messages")?) };
        // SAFETY: as above: `statuses` is NULL or an array of as many.
        unsafe { step_each(node, messages, statuses, step_flat) }
    })
}

/// As raftcore_node_step_messages, for one message: without entries, context and snapshot it
/// copies nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_step_message(
    node: *mut raftcore_node,
    message: *const raftcore_message,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, view) = unsafe { (handle::of(node)?, message.as_ref()) };
        if let Some(message) = view.and_then(message_in::plain) {
            return node.call(|state| Ok(state.core.step(message)?));
        }
        // SAFETY: as above.
        let message = unsafe { message_in::copy(message, "message") }?;
        node.call(|state| Ok(step_flat(&mut state.core, message)?))
    })
}

/// Hands in a message of an outstanding Ready of the node from: for members in one process, as in
/// a simulation. Nothing is encoded and no payload copied. message points into the Ready; one that
/// goes back to its own node (response_number) is not for this call. Fails with
/// RAFTCORE_ERR_STALE_READY when the Ready is not outstanding or the message none of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_step_from(
    node: *mut raftcore_node,
    from: *const raftcore_node,
    ready: *const raftcore_ready,
    message: *const raftcore_message,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises; `ready` and `message` are compared and not read.
        let (node, from) = unsafe { (handle::of(node)?, handle::of(from)?) };
        // One lock at a time.
        let message = from.call(|from| Ok(from.ready.find(ready)?.message(message)?.clone()))?;
        node.call(|node| node.step_shared(|| message))
    })
}

/// Hands in messages of an outstanding Ready of the node from, each to the member that it is for,
/// in one call: what raftcore_node_step_from does for one. messages is a whole list of the Ready,
/// messages or messages_after_sync. nodes, an array of count, are the members in this process, in
/// any order; NULL stands for none. What is for others, and what goes back to its own node, is
/// passed over. Each message is tried, whatever became of those before it. Returns RAFTCORE_OK when
/// all were taken, otherwise the status of the first that was not. Fails with
/// RAFTCORE_ERR_STALE_READY when the Ready is not outstanding or the list none of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_deliver(
    from: *const raftcore_node,
    ready: *const raftcore_ready,
    messages: *const raftcore_messages,
    nodes: *const *mut raftcore_node,
    count: usize,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        if messages.is_null() {
            return Err(Failure::null("messages"));
        }
        // SAFETY: the caller's promises; `ready` is compared and not read, and so are the items.
        let (from, messages, nodes) =
            unsafe { (handle::of(from)?, messages.read(), slice::array(nodes, count, "nodes")?) };
        Delivery::check(nodes)?;
        // SAFETY: the caller's promise for `nodes`.
        let mut delivery = unsafe { Delivery::to(nodes) };
        from.call(|from| {
            for message in from.ready.find(ready)?.travelling(&messages)? {
                if let Some(to) = delivery.find(message.to) {
                    delivery.hand(to, || message.clone());
                }
            }
            Ok(())
        })?;
        delivery.finish()
    })
}

/// A message that came as a struct.
fn step_flat(node: &mut Node<Held>, flat: schema::Message) -> Result<(), raftcore::Error> {
    node.step(flat.try_into().map_err(raftcore::Error::Refused)?)
}

/// Steps each message, and says of each what became of it.
///
/// # Safety
/// `statuses` is NULL or an array of as many as there are messages.
unsafe fn step_each<T>(
    node: &Handle,
    messages: Vec<T>,
    statuses: *mut raftcore_status,
    step: impl Fn(&mut Node<Held>, T) -> Result<(), raftcore::Error>,
) -> Result<(), Failure> {
    node.call(|state| {
        let mut first = None;
        for (number, message) in messages.into_iter().enumerate() {
            let result = step(&mut state.core, message).map_err(Failure::from);
            if !statuses.is_null() {
                let status = result.as_ref().map_or_else(Failure::status, |()| RAFTCORE_OK);
                // SAFETY: the caller's promise.
                unsafe { statuses.add(number).write(status) }
            }
            first = first.or(result.err());
        }
        first.map_or(Ok(()), Err)
    })
}
