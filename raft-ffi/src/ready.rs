//! Ready: what to persist, send and apply.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ptr;

use raftcore::{Misuse, Node, NodeId, Ready, Snapshot, SoftState};

use crate::backend::Held;
use crate::delivery::Delivery;
use crate::entry::{raftcore_entries, raftcore_hard_state};
use crate::error::{Failure, raftcore_error};
use crate::handle::{self, State};
use crate::message::raftcore_messages;
use crate::node::raftcore_node;
use crate::slice::{self, Out, raftcore_buffer, raftcore_slice};
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
/// The Ready and everything it points to belongs to the node and is valid until it is given back,
/// or the node is destroyed. Other calls may be made meanwhile, from this thread or another. It
/// grows at its end: a field that is new in a later version is there when struct_size says so.
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
    /// Only with asynchronous storage writes: what to pass on when committed is applied.
    pub messages_after_apply: raftcore_messages,
}

/// Whether there is a Ready to take, or the node is faulted, so that raftcore_node_ready has
/// something to say: 1 or 0; or an error: a raftcore_status, all of which are below zero, with its
/// text by raftcore_status_text. The number says all that can be wrong here: node is NULL, or the
/// call comes from inside a callback. 0 while one is outstanding, except with asynchronous storage
/// writes. After a 1 raftcore_node_ready may still write NULL, when what there was to send cannot
/// be read. Cheap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_has_ready(node: *const raftcore_node) -> i32 {
    guard!(else RAFTCORE_ERR_PANIC, {
        // SAFETY: the caller's promise for `node`.
        let news = unsafe { handle::of(node) }.and_then(|node| node.call(|s| Ok(s.has_news())));
        news.map_or_else(|failure| failure.status(), i32::from)
    })
}

/// Takes the next Ready: writes its address to ready, or NULL when there is nothing to do. One is
/// outstanding at a time: RAFTCORE_ERR_READY_OUTSTANDING until the last one is advanced. Fails with
/// the storage's error when committed entries cannot be read: call again.
///
/// The Ready and everything it points to belongs to the node and is valid until it is given back,
/// or the node is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_ready(
    node: *mut raftcore_node,
    ready: *mut *const raftcore_ready,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out) = unsafe { (handle::of(node)?, Out::required(ready, "ready")?) };
        out.write(node.call(|state| state.take_ready(None))?);
        Ok(())
    })
}

/// Says that everything in the outstanding Ready is done. Its memory is no longer valid after
/// success. Fails with RAFTCORE_ERR_STALE_READY when this is not the outstanding one, and with
/// RAFTCORE_ERR_NOT_PERSISTED when its entries or snapshot are not in the storage, or with the
/// storage's error when it cannot be read: it then stays outstanding and valid.
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

/// Gives back a Ready and takes the next one in one call, for bindings where a call is dear: ready
/// is advanced, or with asynchronous storage writes released; NULL: there is none to give back.
/// Writes the address of the next one to next, or NULL when there is nothing to do. Fails as
/// raftcore_node_advance or raftcore_node_release do, and then ready is still outstanding. When
/// ready is given back but the next one cannot be made, NULL is written and
/// raftcore_node_ready says why.
///
/// The next Ready and everything it points to belongs to the node and is valid until it is given
/// back in turn, or the node is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_next(
    node: *mut raftcore_node,
    ready: *const raftcore_ready,
    next: *mut *const raftcore_ready,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises; `ready` is compared and not read.
        let (node, out) = unsafe { (handle::of(node)?, Out::required(next, "next")?) };
        out.write(node.call(|state| state.next_ready(ready, None))?);
        Ok(())
    })
}

/// As raftcore_node_next, for members in one process: a message of the next Ready whose receiver is
/// among nodes is stepped there before this call returns, and not shown. nodes, an array of count,
/// are those members, in any order; NULL stands for none. messages_after_sync are handed over so
/// only with auto_persist, because then the storage has what they claim. What a member does not
/// take is lost, as on a network.
///
/// The next Ready and everything it points to belongs to the node and is valid until it is given
/// back in turn, or the node is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_next_among(
    node: *mut raftcore_node,
    ready: *const raftcore_ready,
    nodes: *const *mut raftcore_node,
    count: usize,
    next: *mut *const raftcore_ready,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises; `ready` is compared and not read.
        let (node, nodes, out) = unsafe {
            let nodes = slice::array(nodes, count, "nodes")?;
            (handle::of(node)?, nodes, Out::required(next, "next")?)
        };
        Delivery::check(nodes)?;
        // SAFETY: the caller's promise for `nodes`.
        let mut delivery = unsafe { Delivery::to(nodes) };
        out.write(node.call(|state| state.next_ready(ready, Some(&mut delivery)))?);
        let _ = delivery.finish();
        Ok(())
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
        unsafe { handle::of(node) }?.call(|state| state.persist(ready, PERSIST_ALL))
    })
}

/// Bit of parts: the snapshot.
pub const RAFTCORE_PERSIST_SNAPSHOT: u32 = 1;
/// Bit of parts: the entries. Those of a Ready with a snapshot follow it.
pub const RAFTCORE_PERSIST_ENTRIES: u32 = 2;
/// Bit of parts: the hard state.
pub const RAFTCORE_PERSIST_HARD_STATE: u32 = 4;

/// As raftcore_node_persist, for some parts only: the sum of RAFTCORE_PERSIST_ bits. For a program
/// that writes them to disk one after the other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_persist_parts(
    node: *mut raftcore_node,
    ready: *const raftcore_ready,
    parts: u32,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        if parts & !PERSIST_ALL != 0 {
            return Err(Failure::number("parts", parts));
        }
        // SAFETY: the caller's promise for `node`; `ready` is compared and not read.
        unsafe { handle::of(node) }?.call(|state| state.persist(ready, parts))
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
        let text = node.call(|state| state.ready.find(ready)?.describe())?;
        out.write(raftcore_buffer::owning(text));
        Ok(())
    })
}

const PERSIST_ALL: u32 =
    RAFTCORE_PERSIST_SNAPSHOT | RAFTCORE_PERSIST_ENTRIES | RAFTCORE_PERSIST_HARD_STATE;

impl State {
    /// Takes the next Ready: its address, or NULL.
    #[inline]
    pub(crate) fn take_ready(
        &mut self,
        delivery: Option<&mut Delivery<'_>>,
    ) -> Result<*const raftcore_ready, Failure> {
        // Asked apart from it: whoever goes round its nodes finds most of them so.
        if self.is_idle() { Ok(ptr::null()) } else { self.take_some_ready(delivery) }
    }

    #[inline(never)]
    fn take_some_ready(
        &mut self,
        delivery: Option<&mut Delivery<'_>>,
    ) -> Result<*const raftcore_ready, Failure> {
        let Some(mut ready) = self.core.ready()? else { return Ok(ptr::null()) };
        let manner = self.ready.manner;
        let slot = self.ready.free_slot();
        slot.store(&ready);
        let mut persisted = 0;
        let mut is_durable = false;
        if manner.auto_persist {
            is_durable = persist_own(&mut self.core, &mut ready, &mut persisted).is_ok();
            if !is_durable {
                // The program's own writes to the storage stand in the way. The Ready cannot be
                // advanced, and raftcore_node_persist says why.
                slot.restore(&mut ready);
            }
        }
        if let Some(delivery) = delivery {
            delivery.take_from(&mut ready.messages);
            if is_durable {
                delivery.take_from(&mut ready.messages_after_sync);
            }
        }
        Ok(slot.fill(ready, persisted, manner.forms, &mut self.awaited))
    }

    fn advance(&mut self, address: *const raftcore_ready) -> Result<(), Failure> {
        let is_async = self.ready.is_async();
        let slot = self.ready.find(address)?;
        if is_async {
            return Err(raftcore::Error::from(Misuse::AsyncStorageWrites).into());
        }
        let Some(ready) = slot.take() else { return Ok(()) };
        let result = self.core.advance(ready);
        // The node hands out again what it could not advance; what points into it stays.
        let returned = if result.is_err() { self.core.ready().ok().flatten() } else { None };
        match returned {
            Some(ready) => slot.put_back(ready),
            None => slot.blank(),
        }
        Ok(result?)
    }

    /// Gives back a Ready that is not advanced.
    pub(crate) fn release(&mut self, address: *const raftcore_ready) -> Result<(), Failure> {
        let is_async = self.ready.is_async();
        let slot = self.ready.find(address)?;
        if !is_async {
            return Err(raftcore::Error::from(Misuse::AsyncStorageWrites).into());
        }
        drop(slot.take());
        slot.blank();
        Ok(())
    }

    /// Gives back one Ready, if there is one, and takes the next.
    #[inline]
    fn next_ready(
        &mut self,
        address: *const raftcore_ready,
        delivery: Option<&mut Delivery<'_>>,
    ) -> Result<*const raftcore_ready, Failure> {
        if address.is_null() {
            return self.take_ready(delivery);
        }
        if self.ready.is_async() {
            self.release(address)?;
        } else {
            self.advance(address)?;
        }
        // What goes wrong from here on is the next call's affair: this Ready is done with.
        Ok(self.take_ready(delivery).unwrap_or(ptr::null()))
    }

    fn persist(&mut self, address: *const raftcore_ready, parts: u32) -> Result<(), Failure> {
        let slot = self.ready.find(address)?;
        let mut persisted = slot.persisted;
        let result = persist(&mut self.core, slot.ready()?, parts, &mut persisted);
        slot.persisted = persisted;
        result
    }
}

/// Puts all of a new Ready into the memory storage, which takes its entries if it can.
#[inline]
fn persist_own(
    core: &mut Node<Held>,
    ready: &mut Ready,
    persisted: &mut u32,
) -> Result<(), Failure> {
    if ready.snapshot.is_some() {
        return persist(core, ready, PERSIST_ALL, persisted);
    }
    core.storage_mut().memory_log()?.persist_taking(ready)?;
    *persisted = PERSIST_ALL;
    Ok(())
}

/// Puts the parts that are wanted into the memory storage, and notes which it has then.
#[inline(never)]
fn persist(
    core: &mut Node<Held>,
    ready: &Ready,
    parts: u32,
    persisted: &mut u32,
) -> Result<(), Failure> {
    let storage = core.storage_mut().memory_log()?;
    let missing = parts & !*persisted;
    if let (Some(snapshot), true) = (&ready.snapshot, missing & RAFTCORE_PERSIST_SNAPSHOT != 0) {
        storage.apply_snapshot(Snapshot::clone(snapshot))?;
        *persisted |= RAFTCORE_PERSIST_SNAPSHOT;
    }
    if missing & RAFTCORE_PERSIST_ENTRIES != 0 {
        storage.append(&ready.entries)?;
        *persisted |= RAFTCORE_PERSIST_ENTRIES;
    }
    if let (Some(state), true) = (ready.hard_state, missing & RAFTCORE_PERSIST_HARD_STATE != 0) {
        storage.set_hard_state(state);
        *persisted |= RAFTCORE_PERSIST_HARD_STATE;
    }
    Ok(())
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
        messages_after_apply: raftcore_messages::of(&[]),
    };

    /// Makes it as `EMPTY`, of which a copy is a call.
    #[inline]
    pub(crate) fn empty(&mut self) {
        // SAFETY: zeros are a Ready: it has numbers and pointers only.
        unsafe { ptr::from_mut(self).write_bytes(0, 1) };
        self.struct_size = Self::EMPTY.struct_size;
        self.entries.stride = Self::EMPTY.entries.stride;
        self.committed.stride = Self::EMPTY.committed.stride;
        self.read_states.stride = Self::EMPTY.read_states.stride;
        let lists =
            [&mut self.messages, &mut self.messages_after_sync, &mut self.messages_after_apply];
        lists.into_iter().for_each(|list| list.stride = Self::EMPTY.messages.stride);
    }
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
