//! Membership.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::ffi::c_void;

use bytes::Bytes;
use raftcore::{
    AnyConfChange, ConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, ConfState, Entry,
    Transition, wire,
};

use crate::entry::{self, raftcore_entry_kind};
use crate::error::{Failure, raftcore_error};
use crate::owned;
use crate::sized;
use crate::slice::{self, Out, raftcore_buffer, raftcore_ids, raftcore_slice};
use crate::status::raftcore_status;

/// The members of a group.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_conf_state {
    /// sizeof(raftcore_conf_state), set by who fills it.
    pub struct_size: usize,
    /// The voters; of a joint configuration, the incoming ones.
    pub voters: raftcore_ids,
    /// Members that receive the log and do not count in any quorum.
    pub learners: raftcore_ids,
    /// Of a joint configuration, the outgoing voters; otherwise empty.
    pub voters_outgoing: raftcore_ids,
    /// Outgoing voters that become learners when the joint configuration is left.
    pub learners_next: raftcore_ids,
    /// 1: the leader leaves the joint configuration by itself; otherwise 0.
    pub auto_leave: u32,
    /// Zero.
    pub reserved: u32,
}

/// What to do with one member.
pub type raftcore_conf_change_kind = i32;
/// Make it a voter; a learner is promoted.
pub const RAFTCORE_CONF_CHANGE_ADD_VOTER: raftcore_conf_change_kind = 0;
/// Take it out of the group.
pub const RAFTCORE_CONF_CHANGE_REMOVE: raftcore_conf_change_kind = 1;
/// Change nothing: carries a context for the application, for example a new address.
pub const RAFTCORE_CONF_CHANGE_UPDATE: raftcore_conf_change_kind = 2;
/// Make it a learner; a voter is demoted.
pub const RAFTCORE_CONF_CHANGE_ADD_LEARNER: raftcore_conf_change_kind = 3;

/// How a change of several members is carried out.
pub type raftcore_transition = i32;
/// One step directly, several through a joint configuration that is left by itself.
pub const RAFTCORE_TRANSITION_AUTO: raftcore_transition = 0;
/// Through a joint configuration that is left by itself.
pub const RAFTCORE_TRANSITION_JOINT_IMPLICIT: raftcore_transition = 1;
/// Through a joint configuration that the application leaves, by a change without steps.
pub const RAFTCORE_TRANSITION_JOINT_EXPLICIT: raftcore_transition = 2;

/// The form in which a membership change is stored in the log.
pub type raftcore_conf_change_form = i32;
/// The one-member form if there is one step and the transition is AUTO; otherwise the general one.
pub const RAFTCORE_CONF_CHANGE_FORM_AUTO: raftcore_conf_change_form = 0;
/// The one-member form: exactly one step, transition AUTO. Its entry is a
/// RAFTCORE_ENTRY_CONF_CHANGE.
pub const RAFTCORE_CONF_CHANGE_FORM_V1: raftcore_conf_change_form = 1;
/// The general form. Its entry is a RAFTCORE_ENTRY_CONF_CHANGE_V2.
pub const RAFTCORE_CONF_CHANGE_FORM_V2: raftcore_conf_change_form = 2;

/// One step of a membership change. Never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_conf_change_step {
    /// With whom. In a change that is applied, zero is the application's veto: the step is
    /// skipped.
    pub node: u64,
    /// What to do: RAFTCORE_CONF_CHANGE_.
    pub kind: raftcore_conf_change_kind,
    /// Zero.
    pub reserved: u32,
}

/// A membership change. Without steps and with transition AUTO it is the order to leave a joint
/// configuration.
///
///     raftcore_conf_change_step add = {.node = 4, .kind = RAFTCORE_CONF_CHANGE_ADD_VOTER};
///     raftcore_conf_change change = {
///         .struct_size = sizeof change, .steps = &add, .step_count = 1};
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_conf_change {
    /// sizeof(raftcore_conf_change), set by who fills it.
    pub struct_size: usize,
    /// The form in which it is stored: RAFTCORE_CONF_CHANGE_FORM_.
    pub form: raftcore_conf_change_form,
    /// How it is carried out: RAFTCORE_TRANSITION_.
    pub transition: raftcore_transition,
    /// The steps, in order; may be NULL when step_count is 0.
    pub steps: *const raftcore_conf_change_step,
    /// How many.
    pub step_count: usize,
    /// For the application's own use, for example the new member's address.
    pub context: raftcore_slice,
    /// For the application's own use; travels only in the one-member form.
    pub id: u64,
}

/// Decodes the membership change of a committed entry: kind is the entry's, data its payload. The
/// caller owns it and frees it with raftcore_conf_change_destroy. Fails with
/// RAFTCORE_ERR_REFUSED when the bytes are none, RAFTCORE_ERR_ENUM when the kind is not one of a
/// membership change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_conf_change_decode(
    kind: raftcore_entry_kind,
    data: *const c_void,
    len: usize,
    out: *mut *mut raftcore_conf_change,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for `out` and (data, len).
        let (out, data) = unsafe { (Out::required(out, "out")?, slice::copy(data, len, "data")?) };
        out.write(give_change(decode(kind, data)?));
        Ok(())
    })
}

/// Encodes a membership change as the payload of an entry, whose kind is written to entry_kind
/// (may be NULL). The caller owns the buffer and frees it with raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_conf_change_encode(
    change: *const raftcore_conf_change,
    out: *mut raftcore_buffer,
    entry_kind: *mut raftcore_entry_kind,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (change, out, entry_kind) = unsafe {
            (copy_change(change, "change")?, Out::required(out, "out")?, Out::optional(entry_kind))
        };
        let (kind, data) = wire::encode_conf_change(&change);
        entry_kind.write(kind as i32);
        out.write(raftcore_buffer::owning(data));
        Ok(())
    })
}

/// Frees a membership change that a call returned for the caller to own. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_conf_change_destroy(change: *mut raftcore_conf_change) {
    // SAFETY: `change` is NULL or came from `give_change`.
    guard!(else (), { unsafe { owned::take_back::<_, ChangeBacking>(change) } });
}

/// Encodes a membership as raftpb.ConfState. The caller owns the buffer and frees it with
/// raftcore_buffer_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_conf_state_encode(
    conf_state: *const raftcore_conf_state,
    out: *mut raftcore_buffer,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for its arguments.
        let (state, out) =
            unsafe { (copy_state(conf_state, "conf_state")?, Out::required(out, "out")?) };
        out.write(raftcore_buffer::owning(wire::encode_conf_state(&state)));
        Ok(())
    })
}

/// Decodes a membership. The caller owns it and frees it with raftcore_conf_state_destroy. Fails
/// with RAFTCORE_ERR_REFUSED when the bytes are none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_conf_state_decode(
    data: *const c_void,
    len: usize,
    out: *mut *mut raftcore_conf_state,
    error: *mut raftcore_error,
) -> raftcore_status {
    guard!(error, {
        // SAFETY: the caller's promises for `out` and (data, len).
        let (out, data) = unsafe { (Out::required(out, "out")?, slice::copy(data, len, "data")?) };
        out.write(give_state(wire::decode_conf_state(data)?));
        Ok(())
    })
}

/// Frees a membership that a call returned for the caller to own. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raftcore_conf_state_destroy(conf_state: *mut raftcore_conf_state) {
    // SAFETY: `conf_state` is NULL or came from `give_state`.
    guard!(else (), { unsafe { owned::take_back::<_, ConfState>(conf_state) } });
}

sized!(raftcore_conf_state, raftcore_conf_change);

impl raftcore_conf_state {
    /// No members: what an older program does not say.
    pub(crate) const EMPTY: Self = Self {
        struct_size: size_of::<Self>(),
        voters: raftcore_ids::of(&[]),
        learners: raftcore_ids::of(&[]),
        voters_outgoing: raftcore_ids::of(&[]),
        learners_next: raftcore_ids::of(&[]),
        auto_leave: 0,
        reserved: 0,
    };

    /// A view of a membership that somebody else keeps alive.
    pub(crate) fn of(state: &ConfState) -> Self {
        Self {
            voters: raftcore_ids::of(&state.voters),
            learners: raftcore_ids::of(&state.learners),
            voters_outgoing: raftcore_ids::of(&state.voters_outgoing),
            learners_next: raftcore_ids::of(&state.learners_next),
            auto_leave: state.auto_leave.into(),
            ..Self::EMPTY
        }
    }
}

/// The change that an entry of this kind carries.
pub(crate) fn decode(kind: raftcore_entry_kind, data: Bytes) -> Result<AnyConfChange, Failure> {
    let entry = Entry { kind: entry::kind(kind)?, data, ..Entry::default() };
    let change = wire::decode_conf_change(&entry)?;
    change.ok_or_else(|| Failure::number("entry kind", kind))
}

/// A membership for the caller to own.
pub(crate) fn give_state(state: ConfState) -> *mut raftcore_conf_state {
    owned::give(state, raftcore_conf_state::of)
}

/// A membership of a program's, copied.
///
/// # Safety
/// `ptr` is NULL or points to a membership whose struct_size and arrays are right.
pub(crate) unsafe fn copy_state(
    ptr: *const raftcore_conf_state,
    name: &str,
) -> Result<ConfState, Failure> {
    // SAFETY: as promised by the caller.
    unsafe {
        let state = sized::read(ptr, name, raftcore_conf_state::EMPTY)?;
        sized::reserved(state.reserved)?;
        Ok(ConfState {
            voters: slice::copy_ids(state.voters, "voters")?,
            learners: slice::copy_ids(state.learners, "learners")?,
            voters_outgoing: slice::copy_ids(state.voters_outgoing, "voters_outgoing")?,
            learners_next: slice::copy_ids(state.learners_next, "learners_next")?,
            auto_leave: sized::switch(state.auto_leave, "auto_leave")?,
        })
    }
}

/// What a `raftcore_conf_change` that the caller owns points into.
struct ChangeBacking {
    change: AnyConfChange,
    steps: Vec<raftcore_conf_change_step>,
}

fn give_change(change: AnyConfChange) -> *mut raftcore_conf_change {
    let step = |kind: ConfChangeKind, node| raftcore_conf_change_step {
        node,
        kind: kind as i32,
        reserved: 0,
    };
    let steps = match &change {
        AnyConfChange::One(one) => vec![step(one.kind, one.node)],
        AnyConfChange::Many(many) => many.changes.iter().map(|c| step(c.kind, c.node)).collect(),
    };
    owned::give(ChangeBacking { change, steps }, |backing| {
        let (form, transition, context, id) = match &backing.change {
            AnyConfChange::One(one) => {
                (RAFTCORE_CONF_CHANGE_FORM_V1, Transition::Auto, &one.context, one.id)
            }
            AnyConfChange::Many(many) => {
                (RAFTCORE_CONF_CHANGE_FORM_V2, many.transition, &many.context, 0)
            }
        };
        raftcore_conf_change {
            struct_size: size_of::<raftcore_conf_change>(),
            form,
            transition: transition as i32,
            steps: backing.steps.as_ptr(),
            step_count: backing.steps.len(),
            context: raftcore_slice::of(context),
            id,
        }
    })
}

/// A membership change of a program's, copied, in the form that it asks for.
///
/// # Safety
/// `ptr` is NULL or points to a change whose struct_size, steps and context are right.
pub(crate) unsafe fn copy_change(
    ptr: *const raftcore_conf_change,
    name: &str,
) -> Result<AnyConfChange, Failure> {
    let nothing = raftcore_conf_change {
        struct_size: size_of::<raftcore_conf_change>(),
        form: RAFTCORE_CONF_CHANGE_FORM_AUTO,
        transition: RAFTCORE_TRANSITION_AUTO,
        steps: std::ptr::null(),
        step_count: 0,
        context: raftcore_slice::EMPTY,
        id: 0,
    };
    // SAFETY: as promised by the caller.
    let (change, steps, context) = unsafe {
        let change = sized::read(ptr, name, nothing)?;
        let steps = slice::array(change.steps, change.step_count, "steps")?;
        (change, steps, slice::copy_slice(change.context, "context")?)
    };
    let transition = transition(change.transition)?;
    let changes = steps.iter().map(step).collect::<Result<Vec<_>, _>>()?;
    match (change.form, changes.as_slice()) {
        (RAFTCORE_CONF_CHANGE_FORM_AUTO | RAFTCORE_CONF_CHANGE_FORM_V1, &[one])
            if transition == Transition::Auto =>
        {
            let ConfChangeSingle { kind, node } = one;
            Ok(AnyConfChange::One(ConfChange { id: change.id, kind, node, context }))
        }
        (RAFTCORE_CONF_CHANGE_FORM_AUTO | RAFTCORE_CONF_CHANGE_FORM_V2, _) => {
            Ok(AnyConfChange::Many(ConfChangeV2 { transition, changes, context }))
        }
        (RAFTCORE_CONF_CHANGE_FORM_V1, _) => Err(Failure::number(
            "form",
            "V1 with other than one step, or with a transition other than AUTO,",
        )),
        (form, _) => Err(Failure::number("form", form)),
    }
}

fn step(step: &raftcore_conf_change_step) -> Result<ConfChangeSingle, Failure> {
    let kind = match step.kind {
        RAFTCORE_CONF_CHANGE_ADD_VOTER => ConfChangeKind::AddVoter,
        RAFTCORE_CONF_CHANGE_REMOVE => ConfChangeKind::Remove,
        RAFTCORE_CONF_CHANGE_UPDATE => ConfChangeKind::Update,
        RAFTCORE_CONF_CHANGE_ADD_LEARNER => ConfChangeKind::AddLearner,
        other => return Err(Failure::number("step kind", other)),
    };
    sized::reserved(step.reserved)?;
    Ok(ConfChangeSingle { kind, node: step.node })
}

fn transition(number: raftcore_transition) -> Result<Transition, Failure> {
    Ok(match number {
        RAFTCORE_TRANSITION_AUTO => Transition::Auto,
        RAFTCORE_TRANSITION_JOINT_IMPLICIT => Transition::JointImplicit,
        RAFTCORE_TRANSITION_JOINT_EXPLICIT => Transition::JointExplicit,
        _ => return Err(Failure::number("transition", number)),
    })
}
