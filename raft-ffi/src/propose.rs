//! Proposals, reads and membership changes.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ffi::c_void;

use bytes::BytesMut;
use raftcore::{AppliedConfChange, ConfChangeOutcome, ConfChangeV2, Proposed, ReplaceReason};

use crate::entry::{self, raftcore_entry, raftcore_entry_kind};
use crate::error::{Failure, raftcore_error};
use crate::handle::{self, State};
use crate::membership::{self, raftcore_conf_change, raftcore_conf_state};
use crate::node::raftcore_node;
use crate::sized::{self, SizedOut};
use crate::slice::{self, Out, raftcore_slice};
use crate::status::raftcore_status;

/// What became of a proposal.
pub type raftcore_outcome = i32;
/// It stands in this leader's log. It is not committed yet, and may still be lost if the leader
/// changes.
pub const RAFTCORE_OUTCOME_APPENDED: raftcore_outcome = 0;
/// It was passed on to the leader, without a promise.
pub const RAFTCORE_OUTCOME_FORWARDED: raftcore_outcome = 1;
/// Only of a membership change: it cannot follow the present configuration, and an empty entry
/// stands in the log in its place.
pub const RAFTCORE_OUTCOME_REPLACED: raftcore_outcome = 2;

/// Why a membership change was replaced by an empty entry.
pub type raftcore_replace_reason = i32;
/// It was not.
pub const RAFTCORE_REPLACE_NONE: raftcore_replace_reason = 0;
/// A change may be in the log that is not applied yet.
pub const RAFTCORE_REPLACE_PENDING: raftcore_replace_reason = 1;
/// The configuration is joint and must be left first.
pub const RAFTCORE_REPLACE_ALREADY_JOINT: raftcore_replace_reason = 2;
/// The configuration is not joint, so that it cannot be left.
pub const RAFTCORE_REPLACE_NOT_JOINT: raftcore_replace_reason = 3;
/// A reason that has no number of its own yet.
pub const RAFTCORE_REPLACE_OTHER: raftcore_replace_reason = 4;

/// What became of a proposal or a membership change. Memory of the caller's, who sets struct_size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_proposed {
    /// sizeof(raftcore_proposed), set by the caller.
    pub struct_size: usize,
    /// RAFTCORE_OUTCOME_.
    pub outcome: raftcore_outcome,
    /// Of a membership change that was replaced: RAFTCORE_REPLACE_.
    pub replace_reason: raftcore_replace_reason,
    /// The term of the entries; zero when forwarded. An entry that comes back committed with the
    /// same index and term is the one proposed; with another term, the one proposed was lost.
    pub term: u64,
    /// The index of the first entry; zero when forwarded.
    pub first: u64,
    /// The index of the last entry; zero when forwarded.
    pub last: u64,
    /// To whom it was forwarded; zero otherwise.
    pub leader: u64,
}

/// Proposes a payload for the log. It is copied, once. RAFTCORE_ERR_DROPPED says that it was not
/// taken, and why. What was taken comes back in a Ready's committed entries, or is lost with its
/// leader: proposals are not repeated by the library. out may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_propose(
    node: *mut raftcore_node,
    data: *const c_void,
    len: usize,
    out: *mut raftcore_proposed,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out, data) = unsafe {
            (handle::of(node)?, sized::optional_out(out, "out")?, slice::copy(data, len, "data")?)
        };
        let proposed = node.call(|state| Ok(state.core.propose(data)?))?;
        write(out, proposed);
        Ok(())
    })
}

/// Proposes count payloads in one call; all are taken, in order, or none. out may be NULL. Fails as
/// raftcore_node_propose does, and with RAFTCORE_ERR_REFUSED when count is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_propose_many(
    node: *mut raftcore_node,
    payloads: *const raftcore_slice,
    count: usize,
    out: *mut raftcore_proposed,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out, payloads) = unsafe {
            let payloads = slice::array(payloads, count, "payloads")?;
            (handle::of(node)?, sized::optional_out(out, "out")?, payloads)
        };
        if let [payload] = payloads {
            // SAFETY: as above.
            let data = unsafe { slice::copy_slice(*payload, "payloads") }?;
            let proposed = node.call(|state| Ok(state.core.propose(data)?))?;
            write(out, proposed);
            return Ok(());
        }
        let proposed = node.call(|state| {
            let room = &mut state.payloads;
            // SAFETY: as above.
            let mut block = unsafe {
                slice::gather_into(payloads.iter().copied(), "payloads", |bytes| {
                    room.take(bytes, payloads.len())
                })
            }?;
            propose_block(state, &mut block, payloads.iter().map(|payload| payload.len))
        })?;
        write(out, proposed);
        Ok(())
    })
}

/// As raftcore_node_propose_many, with the payloads one behind the other in len bytes: lengths, an
/// array of count, says how long each is, and their sum must be len.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_propose_packed(
    node: *mut raftcore_node,
    bytes: *const c_void,
    len: usize,
    lengths: *const u64,
    count: usize,
    out: *mut raftcore_proposed,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out, payloads) = unsafe {
            let payloads = slice::packed(bytes, len, lengths, count)?;
            (handle::of(node)?, sized::optional_out(out, "out")?, payloads)
        };
        let proposed = node.call(|state| {
            let mut block = payloads.gather_into(|bytes| state.payloads.take(bytes, count));
            propose_block(state, &mut block, payloads.lengths())
        })?;
        write(out, proposed);
        Ok(())
    })
}

/// Proposes the pieces of a block. They are cut first and proposed then: what counts who shares the
/// block would wait for all that is written between two cuts.
#[inline]
fn propose_block(
    state: &mut State,
    block: &mut BytesMut,
    lengths: impl ExactSizeIterator<Item = usize>,
) -> Result<Proposed, Failure> {
    let is_small = block.len() < SMALL;
    let payloads = slice::cut(block, lengths);
    if !is_small || payloads.len() == 0 {
        return Ok(state.core.propose_many(payloads.collect())?);
    }
    let pieces = state.payloads.pieces();
    pieces.extend(payloads);
    Ok(state.core.propose_checked(pieces.drain(..))?)
}

/// So long may any payload be.
const SMALL: usize = 1 << 30;

/// Proposes a membership change. One is in the log at a time: a change that cannot follow the
/// present configuration is not an error, but takes an empty entry's place in the log, and out
/// says RAFTCORE_OUTCOME_REPLACED and why. out may be NULL. RAFTCORE_ERR_CONF_CHANGE when no node
/// could ever apply it. Of a change that is forwarded nothing more is heard: when it does not come
/// back among the committed entries in time, look at the membership and propose again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_propose_conf_change(
    node: *mut raftcore_node,
    change: *const raftcore_conf_change,
    out: *mut raftcore_proposed,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out, change) = unsafe {
            let change = membership::copy_change(change, "change")?;
            (handle::of(node)?, sized::optional_out(out, "out")?, change)
        };
        let outcome = node.call(|state| Ok(state.core.propose_conf_change(&change)?))?;
        write(out, outcome);
        Ok(())
    })
}

/// As raftcore_node_propose_conf_change, with a change that is encoded already: kind is the kind
/// of entry that it is to be, data what raftcore_conf_change_encode wrote. RAFTCORE_ERR_REFUSED
/// when the bytes are no change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_propose_conf_change_entry(
    node: *mut raftcore_node,
    kind: raftcore_entry_kind,
    data: *const c_void,
    len: usize,
    out: *mut raftcore_proposed,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out, change) = unsafe {
            let data = slice::copy(data, len, "data")?;
            (handle::of(node)?, sized::optional_out(out, "out")?, membership::decode(kind, data)?)
        };
        let outcome = node.call(|state| Ok(state.core.propose_conf_change(&change)?))?;
        write(out, outcome);
        Ok(())
    })
}

/// Applies the membership change in a committed entry whose kind is not RAFTCORE_ENTRY_NORMAL.
/// Every such entry comes here, in order, at any time before its Ready is advanced; leaving one out
/// is the application's veto, on every member alike. A change that no node can apply is skipped,
/// which the log says. The new membership is written to conf_state, which may be NULL; the caller
/// then owns it and frees it with raftcore_conf_state_destroy. Store it with the application's
/// state: the next snapshot needs it. NULL is written when a snapshot that contains the change was
/// stepped meanwhile: then make no snapshot of your own before that one is restored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_apply_conf_change_entry(
    node: *mut raftcore_node,
    entry: *const raftcore_entry,
    conf_state: *mut *mut raftcore_conf_state,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, entry, out) =
            unsafe { (handle::of(node)?, entry::copy(entry, "entry")?, Out::optional(conf_state)) };
        if !entry.is_conf_change() {
            return Err(Failure::number("entry->kind", entry.kind as i32));
        }
        let applied = node.call(|state| Ok(state.core.apply_conf_change_entry(&entry)?))?;
        give_applied(out, applied);
        Ok(())
    })
}

/// The membership after an applied change, for who wants it.
fn give_applied(out: Out<*mut raftcore_conf_state>, applied: AppliedConfChange) {
    if out.is_wanted() {
        out.write(if applied.overtaken {
            std::ptr::null_mut()
        } else {
            membership::give_state(applied.conf_state)
        });
    }
}

/// As raftcore_node_apply_conf_change_entry, with a change that the application decoded from the
/// entry, and may have altered: a step whose node it sets to zero is vetoed. Every member must
/// alter it alike. With asynchronous storage writes apply the entry itself where you can: it alone
/// tells whether a snapshot has overtaken the change. The new membership is written to conf_state,
/// which may be NULL; the caller then owns it and frees it with raftcore_conf_state_destroy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_apply_conf_change(
    node: *mut raftcore_node,
    change: *const raftcore_conf_change,
    conf_state: *mut *mut raftcore_conf_state,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, change, out) = unsafe {
            let change = membership::copy_change(change, "change")?;
            (handle::of(node)?, ConfChangeV2::from(change), Out::optional(conf_state))
        };
        let applied = node.call(|state| Ok(state.core.apply_conf_change(&change)?))?;
        give_applied(out, applied);
        Ok(())
    })
}

/// Asks for an index up to which the application must have applied to answer a read linearizably.
/// The answer comes in a Ready's read_states with the same context, which is copied; or never, if
/// it is lost on the way: ask again after a while. RAFTCORE_ERR_DROPPED says that it was not taken,
/// and why. No context is used twice, not even after a restart: an old answer, with an old index,
/// may be on its way yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_read_index(
    node: *mut raftcore_node,
    context: *const c_void,
    len: usize,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, context) =
            unsafe { (handle::of(node)?, slice::array(context.cast::<u8>(), len, "context")?) };
        node.call(|state| Ok(state.core.read_index(context)?))
    })
}

sized!(raftcore_proposed);

impl raftcore_proposed {
    const NOTHING: Self = Self {
        struct_size: size_of::<Self>(),
        outcome: RAFTCORE_OUTCOME_APPENDED,
        replace_reason: RAFTCORE_REPLACE_NONE,
        term: 0,
        first: 0,
        last: 0,
        leader: 0,
    };
}

impl From<Proposed> for raftcore_proposed {
    fn from(proposed: Proposed) -> Self {
        match proposed {
            Proposed::Appended { term, first, last } => {
                Self { term: term.0, first: first.0, last: last.0, ..Self::NOTHING }
            }
            Proposed::Forwarded { leader } => {
                Self { outcome: RAFTCORE_OUTCOME_FORWARDED, leader: leader.get(), ..Self::NOTHING }
            }
        }
    }
}

impl From<ConfChangeOutcome> for raftcore_proposed {
    fn from(outcome: ConfChangeOutcome) -> Self {
        let (position, reason) = match outcome {
            ConfChangeOutcome::Appended(position) => (position, None),
            ConfChangeOutcome::Replaced { position, reason } => (position, Some(reason)),
            ConfChangeOutcome::Forwarded { leader } => {
                return Proposed::Forwarded { leader }.into();
            }
        };
        let (term, index) = (position.term, position.index);
        let appended = Self::from(Proposed::Appended { term, first: index, last: index });
        match reason {
            None => appended,
            Some(reason) => Self {
                outcome: RAFTCORE_OUTCOME_REPLACED,
                replace_reason: match reason {
                    ReplaceReason::Pending { .. } => RAFTCORE_REPLACE_PENDING,
                    ReplaceReason::AlreadyJoint => RAFTCORE_REPLACE_ALREADY_JOINT,
                    ReplaceReason::NotJoint => RAFTCORE_REPLACE_NOT_JOINT,
                    _ => RAFTCORE_REPLACE_OTHER,
                },
                ..appended
            },
        }
    }
}

pub(crate) fn write(
    out: Option<SizedOut<raftcore_proposed>>,
    proposed: impl Into<raftcore_proposed>,
) {
    if let Some(out) = out {
        out.write(proposed.into());
    }
}
