//! What a node keeps besides its log, and what a log carries besides payloads: snapshots, hard
//! state, the membership and its changes. Small and rare, so the plainest way is taken.

use bytes::Bytes;

use super::decode::{member, share};
use super::fields::{Fields, Flaw, block, number};
use super::put::Put;
use super::schema;
use crate::error::DecodeError;
use crate::ids::{Index, Position, Term};
use crate::membership::{ConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, Transition};
use crate::state::{ConfState, HardState, Snapshot};

/// A nested message that comes twice is one message: the second adds to the first.
pub(super) fn merge_snapshot(
    snapshot: &mut Snapshot,
    from: &[u8],
    bytes: &Bytes,
    level: u32,
) -> Result<(), Flaw> {
    const DATA: u32 = block(1);
    const METADATA: u32 = block(2);

    let mut fields = Fields::of(from);
    while let Some(key) = fields.key()? {
        match key {
            DATA => snapshot.data = share(fields.block()?, bytes),
            METADATA => merge_metadata(snapshot, fields.block()?, level.saturating_add(1))?,
            _ => fields.skip(key, 2, level)?,
        }
    }
    Ok(())
}

fn merge_metadata(snapshot: &mut Snapshot, from: &[u8], level: u32) -> Result<(), Flaw> {
    const CONF_STATE: u32 = block(1);
    const INDEX: u32 = number(2);
    const TERM: u32 = number(3);

    let Snapshot { position, conf_state, .. } = snapshot;
    let mut fields = Fields::of(from);
    while let Some(key) = fields.key()? {
        match key {
            CONF_STATE => merge_conf_state(conf_state, fields.block()?, level.saturating_add(1))?,
            INDEX => position.index = Index(fields.number()?),
            TERM => position.term = Term(fields.number()?),
            _ => fields.skip(key, 3, level)?,
        }
    }
    Ok(())
}

pub(super) fn merge_conf_state(state: &mut ConfState, from: &[u8], level: u32) -> Result<(), Flaw> {
    const AUTO_LEAVE: u32 = number(5);

    let mut fields = Fields::of(from);
    while let Some(key) = fields.key()? {
        match key.wrapping_shr(3) {
            1 => fields.numbers(key, &mut state.voters)?,
            2 => fields.numbers(key, &mut state.learners)?,
            3 => fields.numbers(key, &mut state.voters_outgoing)?,
            4 => fields.numbers(key, &mut state.learners_next)?,
            _ if key == AUTO_LEAVE => state.auto_leave = fields.bool()?,
            _ => fields.skip(key, 5, level)?,
        }
    }
    Ok(())
}

pub(super) fn read_hard_state(from: &[u8]) -> Result<schema::HardState, Flaw> {
    const TERM: u32 = number(1);
    const VOTE: u32 = number(2);
    const COMMIT: u32 = number(3);

    let mut state = schema::HardState::default();
    let mut fields = Fields::of(from);
    while let Some(key) = fields.key()? {
        match key {
            TERM => state.term = fields.number()?,
            VOTE => state.vote = fields.number()?,
            COMMIT => state.commit = fields.number()?,
            _ => fields.skip(key, 3, 0)?,
        }
    }
    Ok(state)
}

pub(crate) fn read_conf_change(bytes: &Bytes) -> Result<schema::ConfChange, Flaw> {
    const ID: u32 = number(1);
    const KIND: u32 = number(2);
    const NODE_ID: u32 = number(3);
    const CONTEXT: u32 = block(4);

    let mut change = schema::ConfChange::default();
    let mut fields = Fields::of(bytes);
    while let Some(key) = fields.key()? {
        match key {
            ID => change.id = fields.number()?,
            KIND => change.kind = fields.int32()?,
            NODE_ID => change.node_id = fields.number()?,
            CONTEXT => change.context = share(fields.block()?, bytes),
            _ => fields.skip(key, 4, 0)?,
        }
    }
    Ok(change)
}

pub(crate) fn read_conf_change_v2(bytes: &Bytes) -> Result<schema::ConfChangeV2, Flaw> {
    const TRANSITION: u32 = number(1);
    const CHANGES: u32 = block(2);
    const CONTEXT: u32 = block(3);

    let mut change = schema::ConfChangeV2::default();
    let mut fields = Fields::of(bytes);
    while let Some(key) = fields.key()? {
        match key {
            TRANSITION => change.transition = fields.int32()?,
            CHANGES => change.changes.push(read_step(fields.block()?)?),
            CONTEXT => change.context = share(fields.block()?, bytes),
            _ => fields.skip(key, 3, 0)?,
        }
    }
    Ok(change)
}

fn read_step(from: &[u8]) -> Result<schema::ConfChangeSingle, Flaw> {
    const KIND: u32 = number(1);
    const NODE_ID: u32 = number(2);

    let mut step = schema::ConfChangeSingle::default();
    let mut fields = Fields::of(from);
    while let Some(key) = fields.key()? {
        match key {
            KIND => step.kind = fields.int32()?,
            NODE_ID => step.node_id = fields.number()?,
            _ => fields.skip(key, 2, 1)?,
        }
    }
    Ok(step)
}

/// The fields of a snapshot's metadata. The membership in it is always present, if only as an empty
/// message, which is what members of this protocol family expect.
pub(super) fn metadata(snapshot: &Snapshot) -> Vec<u8> {
    let members = conf_state(&snapshot.conf_state);
    let mut out = Vec::new();
    out.header(1, members.len());
    out.extend_from_slice(&members);
    out.number(2, snapshot.position.index.0);
    out.number(3, snapshot.position.term.0);
    out
}

/// The fields of a membership: every id with a key of its own.
pub(super) fn conf_state(state: &ConfState) -> Vec<u8> {
    let ConfState { voters, learners, voters_outgoing, learners_next, auto_leave } = state;
    let mut out = Vec::new();
    for (tag, ids) in [(1, voters), (2, learners), (3, voters_outgoing), (4, learners_next)] {
        for &id in ids {
            out.field(tag, id);
        }
    }
    out.number(5, (*auto_leave).into());
    out
}

pub(super) fn conf_change(change: &ConfChange) -> Vec<u8> {
    let mut out = Vec::new();
    out.number(1, change.id);
    out.number(2, change.kind as u64);
    out.number(3, change.node);
    out.data_header(4, change.context.len());
    out.extend_from_slice(&change.context);
    out
}

pub(super) fn conf_change_v2(change: &ConfChangeV2) -> Vec<u8> {
    let mut out = Vec::new();
    out.number(1, change.transition as u64);
    for step in &change.changes {
        let mut inner = Vec::new();
        inner.number(1, step.kind as u64);
        inner.number(2, step.node);
        out.header(2, inner.len());
        out.extend_from_slice(&inner);
    }
    out.data_header(3, change.context.len());
    out.extend_from_slice(&change.context);
    out
}

impl From<schema::ConfState> for ConfState {
    fn from(flat: schema::ConfState) -> Self {
        Self {
            voters: flat.voters,
            learners: flat.learners,
            voters_outgoing: flat.voters_outgoing,
            learners_next: flat.learners_next,
            auto_leave: flat.auto_leave,
        }
    }
}

impl From<schema::Snapshot> for Snapshot {
    fn from(flat: schema::Snapshot) -> Self {
        let metadata = flat.metadata.unwrap_or_default();
        Self {
            position: Position { term: Term(metadata.term), index: Index(metadata.index) },
            conf_state: metadata.conf_state.map(ConfState::from).unwrap_or_default(),
            data: flat.data,
        }
    }
}

impl TryFrom<schema::HardState> for HardState {
    type Error = DecodeError;

    fn try_from(flat: schema::HardState) -> Result<Self, DecodeError> {
        let vote = match flat.vote {
            0 => None,
            id => Some(member(id)?),
        };
        Ok(Self { term: Term(flat.term), vote, commit: Index(flat.commit) })
    }
}

impl TryFrom<schema::ConfChange> for ConfChange {
    type Error = DecodeError;

    fn try_from(flat: schema::ConfChange) -> Result<Self, DecodeError> {
        let kind = change_kind(flat.kind)?;
        Ok(Self { id: flat.id, kind, node: flat.node_id, context: flat.context })
    }
}

impl TryFrom<schema::ConfChangeSingle> for ConfChangeSingle {
    type Error = DecodeError;

    fn try_from(flat: schema::ConfChangeSingle) -> Result<Self, DecodeError> {
        Ok(Self { kind: change_kind(flat.kind)?, node: flat.node_id })
    }
}

impl TryFrom<schema::ConfChangeV2> for ConfChangeV2 {
    type Error = DecodeError;

    fn try_from(flat: schema::ConfChangeV2) -> Result<Self, DecodeError> {
        let transition = match flat.transition {
            0 => Transition::Auto,
            1 => Transition::JointImplicit,
            2 => Transition::JointExplicit,
            unknown => return Err(DecodeError::UnknownTransition(unknown)),
        };
        let changes: Result<_, _> =
            flat.changes.into_iter().map(ConfChangeSingle::try_from).collect();
        Ok(Self { transition, changes: changes?, context: flat.context })
    }
}

fn change_kind(number: i32) -> Result<ConfChangeKind, DecodeError> {
    Ok(match number {
        0 => ConfChangeKind::AddVoter,
        1 => ConfChangeKind::Remove,
        2 => ConfChangeKind::Update,
        3 => ConfChangeKind::AddLearner,
        unknown => return Err(DecodeError::UnknownChangeKind(unknown)),
    })
}
