//! Text forms of what a node says and holds, for scenarios, tests and debugging.
//!
//! The forms are those of this protocol family, so that a scenario of theirs and one of ours can
//! be compared byte for byte. They are stable: scenarios depend on them. Messages are taken in the
//! flat form, so that those to and from the storage threads print as well. Nothing is checked and
//! nothing fails: what has no name prints as its number. Human words about errors are not here but
//! on the error types.

use std::fmt::{self, Write};

use crate::entry::{Entries, Entry, EntryKind};
use crate::ids::NodeId;
use crate::membership::{
    AnyConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, Transition,
};
use crate::message::MessageKind;
use crate::state::{ConfState, HardState, ReadState, RoleKind, Snapshot, SoftState};
use crate::wire::{self, schema};

/// A message, for example `1->2 MsgApp Term:1 Log:1/3 Commit:3 Entries:[1/4 EntryNormal "x"]`.
/// Responses of a storage message follow on lines of their own, indented by two spaces.
#[must_use]
pub fn message(m: &schema::Message) -> String {
    text(|out| write_message(out, "", m))
}

/// An entry, for example `1/4 EntryNormal "x"`, or `1/5 EntryConfChangeV2 v3 r1` for a membership
/// change (see [`changes`]).
#[must_use]
pub fn entry(e: &Entry) -> String {
    text(|out| write_entry(out, &schema::Entry::from(e)))
}

/// Entries, each followed by the end of a line.
#[must_use]
pub fn entries(list: &Entries) -> String {
    text(|out| write_entries(out, list))
}

/// A hard state, for example `Term:1 Vote:2 Commit:4`; no vote is left out.
#[must_use]
pub fn hard_state(state: &HardState) -> String {
    text(|out| {
        write!(out, "Term:{}", state.term)?;
        if let Some(vote) = state.vote {
            write!(out, " Vote:{}", vote.get())?;
        }
        write!(out, " Commit:{}", state.commit)
    })
}

/// A soft state, for example `Lead:1 State:StateFollower`; nobody leading is 0.
#[must_use]
pub fn soft_state(state: &SoftState) -> String {
    format!("Lead:{} State:{}", NodeId::or_zero(state.leader), role(state.role))
}

/// A role, for example `StateFollower`.
#[must_use]
pub const fn role(role: RoleKind) -> &'static str {
    match role {
        RoleKind::Follower => "StateFollower",
        RoleKind::Candidate => "StateCandidate",
        RoleKind::Leader => "StateLeader",
        RoleKind::PreCandidate => "StatePreCandidate",
    }
}

/// A membership, for example
/// `Voters:[1 2] VotersOutgoing:[] Learners:[3] LearnersNext:[] AutoLeave:false`.
#[must_use]
pub fn conf_state(state: &ConfState) -> String {
    format!(
        "Voters:{} VotersOutgoing:{} Learners:{} LearnersNext:{} AutoLeave:{}",
        numbers(&state.voters),
        numbers(&state.voters_outgoing),
        numbers(&state.learners),
        numbers(&state.learners_next),
        state.auto_leave
    )
}

/// A snapshot without its data: `Index:11 Term:1 ConfState:` and the membership.
#[must_use]
pub fn snapshot(s: &Snapshot) -> String {
    format!("Index:{} Term:{} ConfState:{}", s.index(), s.term(), conf_state(&s.conf_state))
}

/// A membership change with all it contains, the older form as the general one that does the same:
/// `transition:ConfChangeTransitionAuto changes:{type:ConfChangeAddNode node_id:2}`, then
/// ` context:"…"` if there is one.
#[must_use]
pub fn conf_change(change: &AnyConfChange) -> String {
    let change = match change {
        AnyConfChange::One(one) => ConfChangeV2::from(one.clone()),
        AnyConfChange::Many(many) => many.clone(),
    };
    text(|out| {
        write!(out, "transition:{}", transition_name(change.transition))?;
        for step in &change.changes {
            let kind = change_name(step.kind);
            write!(out, " changes:{{type:{kind} node_id:{}}}", step.node)?;
        }
        if !change.context.is_empty() {
            out.push_str(" context:");
            write_quoted(out, &change.context)?;
        }
        Ok(())
    })
}

/// The steps of a membership change as tokens, for example `v3 r1`: a voter, a learner (`l`), a
/// removal, an update (`u`).
#[must_use]
pub fn changes(steps: &[ConfChangeSingle]) -> String {
    text(|out| write_changes(out, steps.iter().map(|step| (step.kind as i32, step.node))))
}

/// Read states with their contexts as lists of bytes, for example `[{5 [97 98]} {6 []}]`.
#[must_use]
pub fn read_states(states: &[ReadState]) -> String {
    bracketed(states.iter().map(|state| {
        let context = bracketed(state.context.iter());
        format!("{{{} {context}}}", state.index)
    }))
}

/// Bytes as a quoted string: printable characters as they are, the rest escaped, bytes that are no
/// UTF-8 as `\xNN`. One line, whatever the data.
#[must_use]
pub fn quoted(data: &[u8]) -> String {
    text(|out| write_quoted(out, data))
}

/// The parts of a Ready, to be printed: those that are there, each on lines of its own, or
/// `<empty Ready>` if there are none.
#[derive(Clone, Copy, Debug)]
pub struct ReadyParts<'a> {
    /// The soft state, if it changed.
    pub soft_state: Option<&'a SoftState>,
    /// The hard state, if it changed. An empty one counts as absent.
    pub hard_state: Option<&'a HardState>,
    /// Reads that may be served.
    pub read_states: &'a [ReadState],
    /// Entries to persist.
    pub entries: &'a Entries,
    /// A snapshot to persist. An empty one counts as absent.
    pub snapshot: Option<&'a Snapshot>,
    /// Entries to apply.
    pub committed: &'a Entries,
    /// Messages to send, those to the storage threads included.
    pub messages: &'a [schema::Message],
    /// Whether what is persisted must be synced before messages leave. Does not by itself make a
    /// Ready that is not empty.
    pub must_sync: bool,
}

impl ReadyParts<'_> {
    fn write_parts(&self, out: &mut String) -> fmt::Result {
        if let Some(state) = self.soft_state {
            writeln!(out, "{}", soft_state(state))?;
        }
        if let Some(state) = self.hard_state.filter(|state| !state.is_empty()) {
            writeln!(out, "HardState {}", hard_state(state))?;
        }
        if !self.read_states.is_empty() {
            writeln!(out, "ReadStates {}", read_states(self.read_states))?;
        }
        if !self.entries.is_empty() {
            out.push_str("Entries:\n");
            write_entries(out, self.entries)?;
        }
        if let Some(s) = self.snapshot.filter(|s| !s.is_empty()) {
            writeln!(out, "Snapshot {}", snapshot(s))?;
        }
        if !self.committed.is_empty() {
            out.push_str("CommittedEntries:\n");
            write_entries(out, self.committed)?;
        }
        if !self.messages.is_empty() {
            out.push_str("Messages:\n");
            for m in self.messages {
                write_message(out, "", m)?;
                out.push('\n');
            }
        }
        Ok(())
    }
}

/// Every line is ended, except that of `<empty Ready>`.
impl fmt::Display for ReadyParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = String::new();
        self.write_parts(&mut parts)?;
        if parts.is_empty() {
            return f.write_str("<empty Ready>");
        }
        writeln!(f, "Ready MustSync={}:", self.must_sync)?;
        f.write_str(&parts)
    }
}

/// Runs a writer on a new string.
fn text(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    // A string takes everything: the result only exists because `fmt::Write` has one.
    let _ = write(&mut out);
    out
}

fn write_message(out: &mut String, indent: &str, m: &schema::Message) -> fmt::Result {
    out.push_str(indent);
    write_address(out, m.from)?;
    out.push_str("->");
    write_address(out, m.to)?;
    match MessageKind::from_number(m.kind) {
        Some(kind) => write!(out, " {}", kind.wire_name())?,
        None => write!(out, " {}", m.kind)?,
    }
    write!(out, " Term:{} Log:{}/{}", m.term, m.log_term, m.index)?;
    if m.reject {
        write!(out, " Rejected (Hint: {})", m.reject_hint)?;
    }
    if m.commit != 0 {
        write!(out, " Commit:{}", m.commit)?;
    }
    if m.vote != 0 {
        write!(out, " Vote:{}", m.vote)?;
    }
    write_carried(out, indent, &m.entries)?;
    if let Some(s) = m.snapshot.as_ref().filter(|s| !s.is_empty()) {
        let s = Snapshot::from(s.clone());
        write!(out, "\n{indent}  Snapshot: {}", snapshot(&s))?;
    }
    if !m.responses.is_empty() {
        let deeper = format!("{indent}  ");
        out.push_str(" Responses:[");
        for response in &m.responses {
            out.push('\n');
            write_message(out, &deeper, response)?;
        }
        write!(out, "\n{indent}]")?;
    }
    Ok(())
}

/// The entries of a message: a single one on the line, several on lines of their own.
fn write_carried(out: &mut String, indent: &str, entries: &[schema::Entry]) -> fmt::Result {
    match entries {
        [] => Ok(()),
        [one] => {
            out.push_str(" Entries:[");
            write_entry(out, one)?;
            out.write_char(']')
        }
        several => {
            out.push_str(" Entries:[");
            for e in several {
                write!(out, "\n{indent}  ")?;
                write_entry(out, e)?;
            }
            write!(out, "\n{indent}]")
        }
    }
}

/// A member in hexadecimal, or the name of what is no member.
fn write_address(out: &mut String, id: u64) -> fmt::Result {
    match id {
        0 => out.write_str("None"),
        NodeId::APPEND_THREAD => out.write_str("AppendThread"),
        NodeId::APPLY_THREAD => out.write_str("ApplyThread"),
        member => write!(out, "{member:x}"),
    }
}

fn write_entries(out: &mut String, list: &Entries) -> fmt::Result {
    for e in list.iter() {
        write_entry(out, &schema::Entry::from(e))?;
        out.push('\n');
    }
    Ok(())
}

fn write_entry(out: &mut String, e: &schema::Entry) -> fmt::Result {
    const NORMAL: i32 = EntryKind::Normal as i32;
    const CONF_CHANGE: i32 = EntryKind::ConfChange as i32;
    const CONF_CHANGE_V2: i32 = EntryKind::ConfChangeV2 as i32;

    write!(out, "{}/{} ", e.term, e.index)?;
    match e.kind {
        NORMAL => {
            out.push_str("EntryNormal ");
            write_quoted(out, &e.data)
        }
        CONF_CHANGE => {
            out.push_str("EntryConfChange");
            let change = wire::read_conf_change(&e.data);
            write_carried_changes(out, change.map(|change| vec![(change.kind, change.node_id)]))
        }
        CONF_CHANGE_V2 => {
            out.push_str("EntryConfChangeV2");
            let change = wire::read_conf_change_v2(&e.data);
            write_carried_changes(
                out,
                change.map(|change| change.changes.iter().map(|c| (c.kind, c.node_id)).collect()),
            )
        }
        unknown => write!(out, "{unknown}"),
    }
}

/// What follows the kind of an entry: nothing, not even a space, if the change has no steps.
fn write_carried_changes(
    out: &mut String,
    steps: Result<Vec<(i32, u64)>, wire::Flaw>,
) -> fmt::Result {
    match steps {
        Ok(steps) if steps.is_empty() => Ok(()),
        Ok(steps) => {
            out.push(' ');
            write_changes(out, steps.into_iter())
        }
        Err(error) => write!(out, " {error}"),
    }
}

fn write_changes(out: &mut String, steps: impl Iterator<Item = (i32, u64)>) -> fmt::Result {
    const VOTER: i32 = ConfChangeKind::AddVoter as i32;
    const REMOVE: i32 = ConfChangeKind::Remove as i32;
    const UPDATE: i32 = ConfChangeKind::Update as i32;
    const LEARNER: i32 = ConfChangeKind::AddLearner as i32;

    for (at, (kind, node)) in steps.enumerate() {
        let token = match kind {
            VOTER => "v",
            REMOVE => "r",
            UPDATE => "u",
            LEARNER => "l",
            _ => "unknown",
        };
        let space = if at == 0 { "" } else { " " };
        write!(out, "{space}{token}{node}")?;
    }
    Ok(())
}

const fn transition_name(transition: Transition) -> &'static str {
    match transition {
        Transition::Auto => "ConfChangeTransitionAuto",
        Transition::JointImplicit => "ConfChangeTransitionJointImplicit",
        Transition::JointExplicit => "ConfChangeTransitionJointExplicit",
    }
}

const fn change_name(kind: ConfChangeKind) -> &'static str {
    match kind {
        ConfChangeKind::AddVoter => "ConfChangeAddNode",
        ConfChangeKind::Remove => "ConfChangeRemoveNode",
        ConfChangeKind::Update => "ConfChangeUpdateNode",
        ConfChangeKind::AddLearner => "ConfChangeAddLearnerNode",
    }
}

fn numbers(ids: &[u64]) -> String {
    bracketed(ids.iter())
}

/// A list in brackets, separated by spaces.
fn bracketed(items: impl Iterator<Item = impl fmt::Display>) -> String {
    text(|out| {
        out.push('[');
        for (at, item) in items.enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(out, "{space}{item}")?;
        }
        out.write_char(']')
    })
}

fn write_quoted(out: &mut String, data: &[u8]) -> fmt::Result {
    out.push('"');
    for chunk in data.utf8_chunks() {
        for c in chunk.valid().chars() {
            write_escaped(out, c)?;
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    out.write_char('"')
}

fn write_escaped(out: &mut String, c: char) -> fmt::Result {
    match c {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\x07' => out.write_str("\\a"),
        '\x08' => out.write_str("\\b"),
        '\x0c' => out.write_str("\\f"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\x0b' => out.write_str("\\v"),
        ' '..='~' => out.write_char(c),
        '\0'..='\x7f' => write!(out, "\\x{:02x}", u32::from(c)),
        c if is_printable(c) => out.write_char(c),
        c if u32::from(c) < 0x10000 => write!(out, "\\u{:04x}", u32::from(c)),
        c => write!(out, "\\U{:08x}", u32::from(c)),
    }
}

/// Whether a character above ASCII is shown as it is.
///
/// The standard library knows, but tells only through its debug form. A letter goes before the
/// character because combining marks are escaped at the start of a string and shown elsewhere.
fn is_printable(c: char) -> bool {
    let pair: String = ['a', c].iter().collect();
    pair.escape_debug().eq(pair.chars())
}

#[cfg(test)]
mod tests;
