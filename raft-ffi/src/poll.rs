//! Waiting for a Ready.

use std::ptr;
use std::time::{Duration, Instant};

use crate::error::{Failure, raftcore_error};
use crate::handle::{self, Handle, State};
use crate::node::raftcore_node;
use crate::readiness::Signal;
use crate::ready::raftcore_ready;
use crate::slice::Out;
use crate::status::raftcore_status;

/// Waits for a Ready and takes it. Blocks until there is one, the time is over, raftcore_node_wake
/// is called, or the node is faulted. timeout_ms is in milliseconds: 0 does not wait, a negative
/// one waits without end. Writes NULL to ready when the time is over or the call was woken.
/// While it waits every other call may be made on the node from other threads, except
/// raftcore_node_destroy: wake it and join its thread first. Fails with
/// RAFTCORE_ERR_READY_OUTSTANDING when the last Ready is not advanced.
///
/// The Ready and everything it points to belongs to the node and is valid until it is given back,
/// or the node is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_poll_ready(
    node: *mut raftcore_node,
    timeout_ms: i32,
    ready: *mut *const raftcore_ready,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out) = unsafe { (handle::of(node)?, Out::required(ready, "ready")?) };
        out.write(poll(node, timeout_ms)?);
        Ok(())
    })
}

/// Makes every raftcore_node_poll_ready that waits on this node return now; if none waits, the
/// next one returns at once. From any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_wake(
    node: *mut raftcore_node,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`.
        unsafe { handle::of(node) }?.call(|state| {
            state.wakes.ring();
            Ok(())
        })
    })
}

/// Writes to fd a file descriptor that is readable while there is a Ready to take, for epoll,
/// poll, select, libevent, libuv or asyncio. It is level-triggered: readable as long as
/// raftcore_node_has_ready says 1, silent while a Ready is outstanding. It stays readable once the
/// node is faulted: raftcore_node_ready then says why.
///
/// The descriptor is made by the first call and belongs to the node, which closes it in
/// raftcore_node_destroy: take it out of your event loop before. Watch it for reading and do
/// nothing else with it; the library alone drains it. Fails with RAFTCORE_ERR_OS when there is no
/// descriptor left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_ready_fd(
    node: *mut raftcore_node,
    fd: *mut i32,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out) = unsafe { (handle::of(node)?, Out::required(fd, "fd")?) };
        out.write(node.call(State::ready_fd)?);
        Ok(())
    })
}

/// Writes to word the address of an int32_t that says what raftcore_node_has_ready would, for a
/// program that asks often, or from a language in which a call is dear. Each call on the node sets
/// it before it returns. Read it with an atomic load if other threads use the node. It belongs to
/// the node, until that is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_ready_word(
    node: *mut raftcore_node,
    word: *mut *const i32,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out) = unsafe { (handle::of(node)?, Out::required(word, "word")?) };
        node.call(|state| {
            state.word_is_read = true;
            state.is_watched = true;
            Ok(())
        })?;
        out.write(node.word.as_ptr());
        Ok(())
    })
}

fn poll(node: &Handle, timeout_ms: i32) -> Result<*const raftcore_ready, Failure> {
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut locked = node.lock()?;
    let mut heard = None;
    loop {
        // `take_ready` says so when the node is faulted, or a Ready is outstanding.
        let state = locked.state();
        let ready = state.take_ready(None)?;
        if !ready.is_null() || state.wakes.hear(&mut heard) {
            return Ok(ready);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(ptr::null());
        }
        locked.wait(deadline);
    }
}

/// Wake-ups: each is heard by all who wait, or, when nobody does, by the next who comes.
#[derive(Default)]
pub(crate) struct Wakes {
    rung: u64,
    heard: u64,
}

impl Wakes {
    const fn ring(&mut self) {
        self.rung = self.rung.wrapping_add(1);
    }

    /// Whether there is one that the caller has not heard; `since` is its own, `None` at first.
    fn hear(&mut self, since: &mut Option<u64>) -> bool {
        let is_new = since.replace(self.rung).unwrap_or(self.heard) != self.rung;
        if is_new {
            self.heard = self.rung;
        }
        is_new
    }

    /// Whether there is one that somebody may not have heard.
    pub(crate) const fn is_ringing(&self) -> bool {
        self.rung != self.heard
    }
}

impl State {
    /// The descriptor, made when it is first asked for. What it says is set on leaving the call.
    fn ready_fd(&mut self) -> Result<i32, Failure> {
        if let Some(signal) = &self.signal {
            return Ok(signal.fd());
        }
        let signal = Signal::new()?;
        let fd = signal.fd();
        self.signal = Some(signal);
        self.is_watched = true;
        Ok(fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_is_heard_by_all_who_wait_or_by_the_next() {
        let mut wakes = Wakes::default();
        let (mut one, mut two, mut late) = (None, None, None);
        assert!(!wakes.hear(&mut one) && !wakes.hear(&mut two));
        wakes.ring();
        assert!(wakes.is_ringing());
        assert!(wakes.hear(&mut one) && wakes.hear(&mut two));
        assert!(!wakes.is_ringing() && !wakes.hear(&mut late));
        wakes.ring();
        assert!(wakes.hear(&mut None) && !wakes.hear(&mut None));
    }
}
