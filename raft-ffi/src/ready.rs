//! Ready: what to persist, send and apply.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ptr;

use raftcore::{NodeId, SoftState};

use crate::entry::{raftcore_entries, raftcore_hard_state};
use crate::error::{Failure, raftcore_error};
use crate::handle::{self, State};
use crate::message::raftcore_messages;
use crate::node::raftcore_node;
use crate::slice::{Out, raftcore_buffer, raftcore_slice};
use crate::snapshot::raftcore_snapshot;
use crate::status::{RAFTCORE_ERR_PANIC, raftcore_status};

/// What a node is at the moment.
pub type raftcore_role = i32;
/// Answers others.
pub const RAFTCORE_ROLE_FOLLOWER: raftcore_role = 0;
/// Asks for votes.
pub const RAFTCORE_ROLE_CANDIDATE: raftcore_role = 1;
/// Replicates its log.
pub const RAFTCORE_ROLE_LEADER: raftcore_role = 2;
/// Asks whether an election could be won before it disturbs anyone.
pub const RAFTCORE_ROLE_PRE_CANDIDATE: raftcore_role = 3;

/// State that helps an application to route requests. Not persisted. Read it only through the
/// pointer in a Ready: it grows at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_soft_state {
    /// The leader of the current term as far as this node knows; zero: none.
    pub leader: u64,
    /// What this node is: RAFTCORE_ROLE_.
    pub role: raftcore_role,
    /// Zero.
    pub reserved: u32,
}

/// The answer to raftcore_node_read_index: once everything up to index is applied, the read may
/// be served and is linearizable. Grows at its end: step through an array with its stride.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_read_state {
    /// Apply up to here before you answer.
    pub index: u64,
    /// The context that was given with the request.
    pub context: raftcore_slice,
}

/// Answers to reads. raftcore_read_state_at finds one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_read_states {
    /// The first; may be NULL when count is 0.
    pub items: *const raftcore_read_state,
    /// How many.
    pub count: usize,
    /// The distance from one to the next in bytes.
    pub stride: usize,
}

/// What to do now. In this order, each step only when there is something to do:
///
/// 1. send messages: these may leave before anything is on disk (a leader's appends);
/// 2. write snapshot, then entries and hard_state to stable storage, in one transaction if you
///    can, and sync if must_sync; then give the same to the node's memory storage with
///    raftcore_node_persist;
/// 3. send messages_after_sync: these claim that step 2 is durable;
/// 4. restore the application from snapshot, then apply committed in order: each normal entry to
///    the application, each other one to raftcore_node_apply_conf_change_entry (not calling it is
///    the application's veto, on every node alike);
/// 5. answer the reads in read_states whose index is applied;
/// 6. raftcore_node_advance.
///
/// The Ready and everything it points to belongs to the node and is valid until the next
/// successful raftcore_node_advance of that node, or its raftcore_node_destroy. Other calls may
/// be made meanwhile, from this thread or another. It grows at its end: a field that is new in a
/// later version is there when struct_size says so.
#[repr(C)]
pub struct raftcore_ready {
    /// The size that this struct has in the library.
    pub struct_size: usize,
    /// Which Ready of its node it is, counted from 1.
    pub number: u64,
    /// The leader or the role changed; otherwise NULL. For information.
    pub soft_state: *const raftcore_soft_state,
    /// To be persisted; NULL when it did not change.
    pub hard_state: *const raftcore_hard_state,
    /// A snapshot to persist and to restore the application from; otherwise NULL. It replaces the
    /// whole log.
    pub snapshot: *const raftcore_snapshot,
    /// Entries to persist. They replace what the storage has from their first index on.
    pub entries: raftcore_entries,
    /// Entries to apply. All of them are committed; none is handed out twice.
    pub committed: raftcore_entries,
    /// Messages that may leave at once.
    pub messages: raftcore_messages,
    /// Messages that may leave only when hard_state, snapshot and entries are durable.
    pub messages_after_sync: raftcore_messages,
    /// Reads that can be answered once their index is applied.
    pub read_states: raftcore_read_states,
    /// 1: step 2 must reach the disk before step 3. 0: a write without a sync is enough, since
    /// what would be lost is learned again.
    pub must_sync: u32,
    /// Zero.
    pub reserved: u32,
}

/// Whether there is a Ready to take, or the node is faulted, so that raftcore_node_ready has
/// something to say: 1 or 0, or an error below zero. 0 while one is outstanding. Cheap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_has_ready(node: *const raftcore_node) -> i32 {
    guard!(else RAFTCORE_ERR_PANIC, {
        // SAFETY: the caller's promise for `node`.
        let news = unsafe { handle::of(node) }.and_then(|node| node.call(|s| Ok(s.has_news())));
        news.map_or_else(|failure| failure.status(), i32::from)
    })
}

/// Takes the next Ready: writes its address to ready, or NULL when there is nothing to do. One is
/// outstanding at a time: RAFTCORE_ERR_READY_OUTSTANDING until the last one is advanced.
///
/// The Ready and everything it points to belongs to the node and is valid until the next
/// successful raftcore_node_advance of that node, or its raftcore_node_destroy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_ready(
    node: *mut raftcore_node,
    ready: *mut *const raftcore_ready,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out) = unsafe { (handle::of(node)?, Out::required(ready, "ready")?) };
        out.write(node.call(State::take_ready)?);
        Ok(())
    })
}

/// Says that everything in the outstanding Ready is done. Its memory is no longer valid after
/// success. Fails with RAFTCORE_ERR_STALE_READY when this is not the outstanding one, and with
/// RAFTCORE_ERR_NOT_PERSISTED when its entries or snapshot are not in the storage: it then stays
/// outstanding and valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_advance(
    node: *mut raftcore_node,
    ready: *const raftcore_ready,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`; `ready` is compared and not read.
        unsafe { handle::of(node) }?.call(|state| state.advance(ready))
    })
}

/// Puts snapshot, entries and hard state of the outstanding Ready into the node's memory storage,
/// without copying a payload. Doing it twice is harmless. Fails with RAFTCORE_ERR_STALE_READY
/// when this is not the outstanding one, RAFTCORE_ERR_NOT_MEMORY when the storage is a table of
/// callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_persist(
    node: *mut raftcore_node,
    ready: *const raftcore_ready,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`; `ready` is compared and not read.
        unsafe { handle::of(node) }?.call(|state| state.persist(ready))
    })
}

/// Says in a few lines what the outstanding Ready contains, for a log. The wording may change.
/// The caller owns the buffer and frees it with raftcore_buffer_free. Fails with
/// RAFTCORE_ERR_STALE_READY when this is not the outstanding one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_describe_ready(
    node: *const raftcore_node,
    ready: *const raftcore_ready,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises; `ready` is compared and not read.
        let (node, out) = unsafe { (handle::of(node)?, Out::required(out, "out")?) };
        let text = node.call(|state| Ok(state.ready.check(ready)?.describe()))?;
        out.write(raftcore_buffer::owning(text));
        Ok(())
    })
}

impl State {
    /// Takes the next Ready: its address, or NULL.
    pub(crate) fn take_ready(&mut self) -> Result<*const raftcore_ready, Failure> {
        Ok(match self.core.ready()? {
            Some(ready) => self.ready.fill(ready),
            None => ptr::null(),
        })
    }

    fn advance(&mut self, address: *const raftcore_ready) -> Result<(), Failure> {
        self.ready.check(address)?;
        let Some(ready) = self.ready.take() else { return Ok(()) };
        let result = self.core.advance(ready);
        // The node hands out again what it could not advance; what points into it stays.
        let returned = if result.is_err() { self.core.ready().ok().flatten() } else { None };
        match returned {
            Some(ready) => self.ready.put_back(ready),
            None => self.ready.blank(),
        }
        Ok(result?)
    }

    fn persist(&mut self, address: *const raftcore_ready) -> Result<(), Failure> {
        let ready = self.ready.check(address)?;
        let mut storage = self.core.storage().as_memory()?.lock();
        if !self.ready.is_persisted() {
            storage.persist(ready)?;
            drop(storage);
            self.ready.mark_persisted();
        }
        Ok(())
    }
}

impl raftcore_ready {
    /// Nothing to do.
    pub(crate) const EMPTY: Self = Self {
        struct_size: size_of::<Self>(),
        number: 0,
        soft_state: ptr::null(),
        hard_state: ptr::null(),
        snapshot: ptr::null(),
        entries: raftcore_entries::EMPTY,
        committed: raftcore_entries::EMPTY,
        messages: raftcore_messages::of(&[]),
        messages_after_sync: raftcore_messages::of(&[]),
        read_states: raftcore_read_states::of(&[]),
        must_sync: 0,
        reserved: 0,
    };
}

impl raftcore_read_states {
    /// A view of answers that somebody else keeps alive.
    pub(crate) const fn of(items: &[raftcore_read_state]) -> Self {
        let first = if items.is_empty() { ptr::null() } else { items.as_ptr() };
        Self { items: first, count: items.len(), stride: size_of::<raftcore_read_state>() }
    }
}

impl From<SoftState> for raftcore_soft_state {
    fn from(state: SoftState) -> Self {
        Self { leader: NodeId::or_zero(state.leader), role: state.role as i32, reserved: 0 }
    }
}
