//! Node.
//!
//! One member of one group. Its functions may be called from any thread; they lock it, and none of
//! them blocks, except raftcore_node_poll_ready. After raftcore_node_destroy the pointer must not
//! be used.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use raftcore::{MemoryStorage, Peer, SnapshotStatus};

use crate::alive;
use crate::backend::{self, Backend};
use crate::config::{self, raftcore_config};
use crate::entry;
use crate::error::{Failure, raftcore_error};
use crate::handle::{self, Handle};
use crate::kept;
use crate::ready_memory::ReadyMemory;
use crate::slice::{self, Out, raftcore_slice};
use crate::status::raftcore_status;
use crate::storage::{self, raftcore_storage};

/// A member of a group.
pub struct raftcore_node {
    pub(crate) handle: Handle,
}

/// One member of a group to be bootstrapped. Never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_peer {
    /// The member.
    pub id: u64,
    /// Kept in the context of the entry that adds the member, for example its address.
    pub context: raftcore_slice,
}

/// Makes a node from what is in the storage and writes its address to out: an empty storage makes
/// a new node, a filled one a node that restarts. storage may be NULL: the node then makes an
/// empty memory storage of its own. The caller owns the node and frees it with
/// raftcore_node_destroy; it keeps the storage alive.
///
/// Fails with RAFTCORE_ERR_CONFIG when the configuration cannot be used or the stored state is
/// impossible, RAFTCORE_ERR_STORAGE_IN_USE when another node uses the storage, or an error of the
/// storage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_create(
    config: *const raftcore_config,
    storage: *mut raftcore_storage,
    out: *mut *mut raftcore_node,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (out, (config, manner)) =
            unsafe { (Out::required(out, "out")?, config::copy(config)?) };
        let backend = if storage.is_null() {
            Backend::memory(MemoryStorage::new())
        } else {
            // SAFETY: the caller's promise for `storage`.
            unsafe { storage::of(storage) }?.clone()
        };
        let occupied = backend.occupy()?;
        if manner.auto_persist && !backend.is_memory() {
            return Err(backend::not_memory());
        }
        let ready = ReadyMemory::new(manner);
        kept::check_storage(&backend, &ready)?;
        let handle = Handle::new(&config, &backend, occupied, ready)?;
        out.write(alive::born(Box::into_raw(Box::new(raftcore_node { handle }))));
        Ok(())
    })
}

/// Frees a node and everything that was borrowed from it: its Ready, its descriptor. No other call
/// on the node may be running or come later. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_destroy(node: *mut raftcore_node) {
    guard!(else (), {
        if !node.is_null() {
            alive::dies(node);
            // SAFETY: came from `raftcore_node_create`, and the caller says that it is not used
            // again.
            drop(unsafe { Box::from_raw(node) });
        }
    });
}

/// Starts a new group on an empty storage: appends one entry for each of the count members, as
/// committed in term 1. Every member starts with the same list; one that joins later starts empty
/// and is added by a membership change. Ids and contexts are copied. Fails with
/// RAFTCORE_ERR_BOOTSTRAPPED when the storage is not empty, RAFTCORE_ERR_PEERS when there is no
/// member or one stands there twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_bootstrap(
    node: *mut raftcore_node,
    peers: *const raftcore_peer,
    count: usize,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, peers) = unsafe { (handle::of(node)?, slice::array(peers, count, "peers")?) };
        // SAFETY: as above.
        let peers = peers.iter().map(|peer| unsafe { copy_peer(peer) });
        let peers = peers.collect::<Result<Vec<_>, _>>()?;
        node.call(|state| Ok(state.core.bootstrap(&peers)?))
    })
}

/// Lets one tick of time pass. Call it at a regular interval, for example every 100 ms; elections
/// and heartbeats count in ticks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_tick(
    node: *mut raftcore_node,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`.
        unsafe { handle::of(node) }?.call(|state| Ok(state.core.tick()?))
    })
}

/// Lets one tick of time pass without acting on it: for a group that is known to be idle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_tick_quiesced(
    node: *mut raftcore_node,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`.
        unsafe { handle::of(node) }?.call(|state| {
            state.core.tick_quiesced();
            Ok(())
        })
    })
}

/// Campaigns at once instead of at the election timeout. A node that leads, or may not campaign,
/// stays as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_campaign(
    node: *mut raftcore_node,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`.
        unsafe { handle::of(node) }?.call(|state| Ok(state.core.campaign()?))
    })
}

/// Asks the leader to hand over to the member with the id to. A follower passes the wish on.
/// Nothing is promised: watch the soft state. While it lasts proposals are dropped; it is given
/// up after an election timeout. RAFTCORE_ERR_DROPPED when no leader is known; on a leader
/// RAFTCORE_ERR_UNKNOWN_PEER when to is no voter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_transfer_leader(
    node: *mut raftcore_node,
    to: u64,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`.
        unsafe { handle::of(node) }?
            .call(|state| Ok(state.core.transfer_leader(entry::member(to)?)?))
    })
}

/// Makes a follower forget who leads, so that it votes for another without waiting for the lease:
/// for an application that knows by other means that the leader is gone. Does nothing on others,
/// nor where reads rely on leases.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_forget_leader(
    node: *mut raftcore_node,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`.
        unsafe { handle::of(node) }?.call(|state| Ok(state.core.forget_leader()?))
    })
}

/// Says that the last message to a member could not be sent. A leader then sends it one at a time
/// until it answers. An id that is no member (any more) is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_report_unreachable(
    node: *mut raftcore_node,
    peer: u64,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promise for `node`.
        unsafe { handle::of(node) }?
            .call(|state| Ok(state.core.report_unreachable(entry::member(peer)?)?))
    })
}

/// How the sending of a snapshot went.
pub type raftcore_snapshot_status = i32;
/// It arrived.
pub const RAFTCORE_SNAPSHOT_FINISHED: raftcore_snapshot_status = 0;
/// It did not.
pub const RAFTCORE_SNAPSHOT_FAILED: raftcore_snapshot_status = 1;

/// Says how the sending of a snapshot to a member went: RAFTCORE_SNAPSHOT_FINISHED or _FAILED. A
/// leader sends that member no entries until it is told, or the member answers. An id that is no
/// member (any more) is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_report_snapshot(
    node: *mut raftcore_node,
    peer: u64,
    status: raftcore_snapshot_status,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        let status = match status {
            RAFTCORE_SNAPSHOT_FINISHED => SnapshotStatus::Finished,
            RAFTCORE_SNAPSHOT_FAILED => SnapshotStatus::Failed,
            other => return Err(Failure::number("status", other)),
        };
        let peer = entry::member(peer)?;
        // SAFETY: the caller's promise for `node`.
        unsafe { handle::of(node) }?.call(|state| Ok(state.core.report_snapshot(peer, status)?))
    })
}

/// # Safety
/// The peer's context is valid.
unsafe fn copy_peer(peer: &raftcore_peer) -> Result<Peer, Failure> {
    // SAFETY: as promised by the caller.
    let context = unsafe { slice::copy_slice(peer.context, "context") }?;
    Ok(Peer { id: entry::member(peer.id)?, context })
}
