//! Texts.
//!
//! For logs and for debugging. The texts of kinds and roles are constant: never NULL, not to be
//! freed, "unknown" for a number that has none. The others come in a buffer that the caller owns
//! and frees with raftcore_buffer_free. They are the forms that etcd's raft uses and that the
//! scenarios of this library are written in.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ffi::{CStr, c_char};
use std::fmt::Write as _;

use raftcore::{MessageKind, RoleKind, describe};

use crate::entry::{self, raftcore_entries, raftcore_hard_state};
use crate::error::raftcore_error;
use crate::handle::{self, State};
use crate::inspect::{
    RAFTCORE_PROGRESS_PROBE, RAFTCORE_PROGRESS_REPLICATE, RAFTCORE_PROGRESS_SNAPSHOT,
    raftcore_progress_state,
};
use crate::membership::{self, raftcore_conf_change, raftcore_conf_state};
use crate::message::raftcore_message_kind;
use crate::node::raftcore_node;
use crate::ready::raftcore_role;
use crate::slice::{Out, raftcore_buffer};
use crate::snapshot::{self, raftcore_snapshot};
use crate::status::raftcore_status;

/// The name of a role, for example "StateFollower".
#[unsafe(no_mangle)]
pub extern "C" fn raftcore_role_text(role: raftcore_role) -> *const c_char {
    guard!(else UNKNOWN.as_ptr(), {
        let roles =
            [RoleKind::Follower, RoleKind::Candidate, RoleKind::Leader, RoleKind::PreCandidate];
        let known = roles.into_iter().find(|known| *known as i32 == role);
        known.map_or(UNKNOWN, |role| constant(describe::role(role))).as_ptr()
    })
}

/// The name of a progress state, for example "StateReplicate".
#[unsafe(no_mangle)]
pub extern "C" fn raftcore_progress_state_text(state: raftcore_progress_state) -> *const c_char {
    guard!(else UNKNOWN.as_ptr(), {
        let text = match state {
            RAFTCORE_PROGRESS_PROBE => c"StateProbe",
            RAFTCORE_PROGRESS_REPLICATE => c"StateReplicate",
            RAFTCORE_PROGRESS_SNAPSHOT => c"StateSnapshot",
            _ => UNKNOWN,
        };
        text.as_ptr()
    })
}

/// The name of a message kind, for example "MsgApp"; also of kinds that never leave a node.
#[unsafe(no_mangle)]
pub extern "C" fn raftcore_message_kind_text(kind: raftcore_message_kind) -> *const c_char {
    guard!(else UNKNOWN.as_ptr(), {
        let known = MessageKind::from_number(kind);
        known.map_or(UNKNOWN, |kind| constant(kind.wire_name())).as_ptr()
    })
}

/// Describes a node on one line, and on a leader each member on one more: what
/// raftcore_node_details says, for example
///
///     1 StateLeader Term:2 Vote:1 Commit:5 Lead:1 Applied:5 Log:1-6
///     2: StateReplicate match=5 next=6
///
/// Works on a faulted node too, and says why it is. The caller owns the buffer and frees it with
/// raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_node_describe(
    node: *const raftcore_node,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (node, out) = unsafe { (handle::of(node)?, Out::required(out, "out")?) };
        out.write(raftcore_buffer::owning(node.call(|state| Ok(state.describe()))?));
        Ok(())
    })
}

/// Describes entries, one a line, for example
///
///     1/4 EntryNormal "x"
///     1/5 EntryConfChangeV2 v3 r1
///
/// The caller owns the buffer and frees it with raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_entries_describe(
    entries: *const raftcore_entries,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (entries, out) =
            unsafe { (entry::copy_all(entries, "entries")?, Out::required(out, "out")?) };
        out.write(raftcore_buffer::owning(describe::entries(&entries)));
        Ok(())
    })
}

/// Describes a hard state, for example "Term:1 Vote:2 Commit:4". The caller owns the buffer and
/// frees it with raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_hard_state_describe(
    hard_state: *const raftcore_hard_state,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (state, out) =
            unsafe { (entry::copy_hard_state(hard_state)?, Out::required(out, "out")?) };
        out.write(raftcore_buffer::owning(describe::hard_state(&state)));
        Ok(())
    })
}

/// Describes a membership, for example "Voters:[1 2] VotersOutgoing:[] Learners:[3] LearnersNext:[]
/// AutoLeave:false". The caller owns the buffer and frees it with raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_conf_state_describe(
    conf_state: *const raftcore_conf_state,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (state, out) = unsafe {
            (membership::copy_state(conf_state, "conf_state")?, Out::required(out, "out")?)
        };
        out.write(raftcore_buffer::owning(describe::conf_state(&state)));
        Ok(())
    })
}

/// Describes a snapshot without its data: index, term and membership. The caller owns the buffer
/// and frees it with raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_snapshot_describe(
    snapshot: *const raftcore_snapshot,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (snapshot, out) =
            unsafe { (snapshot::copy(snapshot, "snapshot")?, Out::required(out, "out")?) };
        out.write(raftcore_buffer::owning(describe::snapshot(&snapshot)));
        Ok(())
    })
}

/// Describes a membership change, for example "transition:ConfChangeTransitionAuto
/// changes:{type:ConfChangeAddNode node_id:2}". The caller owns the buffer and frees it with
/// raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_conf_change_describe(
    change: *const raftcore_conf_change,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (change, out) =
            unsafe { (membership::copy_change(change, "change")?, Out::required(out, "out")?) };
        out.write(raftcore_buffer::owning(describe::conf_change(&change)));
        Ok(())
    })
}

const UNKNOWN: &CStr = c"unknown";

/// The C form of a name of the core's.
fn constant(name: &'static str) -> &'static CStr {
    const NAMES: [&CStr; 28] = [
        c"StateFollower",
        c"StateCandidate",
        c"StateLeader",
        c"StatePreCandidate",
        c"MsgHup",
        c"MsgBeat",
        c"MsgProp",
        c"MsgApp",
        c"MsgAppResp",
        c"MsgVote",
        c"MsgVoteResp",
        c"MsgSnap",
        c"MsgHeartbeat",
        c"MsgHeartbeatResp",
        c"MsgUnreachable",
        c"MsgSnapStatus",
        c"MsgCheckQuorum",
        c"MsgTransferLeader",
        c"MsgTimeoutNow",
        c"MsgReadIndex",
        c"MsgReadIndexResp",
        c"MsgPreVote",
        c"MsgPreVoteResp",
        c"MsgStorageAppend",
        c"MsgStorageAppendResp",
        c"MsgStorageApply",
        c"MsgStorageApplyResp",
        c"MsgForgetLeader",
    ];
    NAMES.into_iter().find(|known| known.to_bytes() == name.as_bytes()).unwrap_or(UNKNOWN)
}

impl State {
    fn describe(&self) -> String {
        let status = self.core.status();
        let mut text = format!(
            "{} {} {} Lead:{} Applied:{} Log:{}-{}",
            status.id,
            describe::role(status.soft_state.role),
            describe::hard_state(&status.hard_state),
            raftcore::NodeId::or_zero(status.soft_state.leader),
            status.applied,
            status.first_index,
            status.last_index
        );
        if let Some(fault) = self.core.fault() {
            let _ = write!(text, " faulted: {fault}");
        }
        for peer in &status.progress {
            let _ = write!(text, "\n{}: {}", peer.id, peer.describe());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pointer: *const c_char) -> &'static str {
        // SAFETY: the texts are constants.
        unsafe { CStr::from_ptr(pointer) }.to_str().unwrap()
    }

    #[test]
    fn every_number_has_its_name() {
        for number in 0..MessageKind::COUNT as i32 {
            let name = MessageKind::from_number(number).unwrap().wire_name();
            assert_eq!(text(raftcore_message_kind_text(number)), name);
        }
        for (number, role) in (0..).zip(["Follower", "Candidate", "Leader", "PreCandidate"]) {
            assert_eq!(text(raftcore_role_text(number)), format!("State{role}"));
        }
        let probe = raftcore::progress::State::Probe.name();
        assert_eq!(text(raftcore_progress_state_text(RAFTCORE_PROGRESS_PROBE)), probe);
        for unknown in [-1, 24, i32::MAX] {
            assert_eq!(text(raftcore_message_kind_text(unknown)), "unknown");
            assert_eq!(text(raftcore_role_text(unknown)), "unknown");
            assert_eq!(text(raftcore_progress_state_text(unknown)), "unknown");
        }
    }
}
