//! What a node is told, as a value.

use bytes::Bytes;
use raftcore::{AnyConfChange, Entry, Message, NodeId, describe};

/// What a node is told: for the trace, the record and the judges.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Its clock ticked.
    Tick,
    /// A message came.
    Step(&'a Message),
    /// Bytes came that may be no message.
    Bytes(&'a [u8]),
    /// A payload was proposed.
    Propose(&'a Bytes),
    /// A membership change was proposed.
    ProposeConfChange(&'a AnyConfChange),
    /// A read was asked for.
    ReadIndex(&'a [u8]),
    /// Leadership is to go to this member.
    Transfer(NodeId),
    /// The leader is to be forgotten.
    ForgetLeader,
    /// A message to this member did not arrive.
    Unreachable(NodeId),
    /// Whether a snapshot to this member arrived.
    SnapshotStatus(NodeId, bool),
    /// It is to campaign.
    Campaign,
    /// It was asked what to do.
    Ready,
    /// Takes the Ready again of which `advance` failed.
    ReadyAgain,
    /// A membership change was applied.
    ApplyConfChange(&'a Entry),
    /// What its Ready said is done.
    Advance,
    /// A local reply of the append thread.
    Appended,
    /// The reply of the apply thread.
    Applied,
}

/// An input as the scenarios write it.
pub(crate) fn show(input: &Input<'_>) -> String {
    match input {
        Input::Tick => "tick".into(),
        Input::Step(message) => format!("<- {}", describe::message(&(*message).into())),
        Input::Bytes(bytes) => format!("<- {} bytes {}", bytes.len(), describe::quoted(bytes)),
        Input::Propose(data) => format!("propose {}", describe::quoted(data)),
        Input::ProposeConfChange(change) => format!("propose {}", describe::conf_change(change)),
        Input::ReadIndex(context) => format!("read-index {}", describe::quoted(context)),
        Input::Transfer(to) => format!("transfer-leadership to={to}"),
        Input::ForgetLeader => "forget-leader".into(),
        Input::Unreachable(member) => format!("report-unreachable {member}"),
        Input::SnapshotStatus(to, arrived) => format!("report-snapshot to={to} ok={arrived}"),
        Input::Campaign => "campaign".into(),
        Input::Ready | Input::ReadyAgain => "ready".into(),
        Input::ApplyConfChange(entry) => format!("apply {}", describe::entry(entry)),
        Input::Advance => "advance".into(),
        Input::Appended => "append response".into(),
        Input::Applied => "apply response".into(),
    }
}
