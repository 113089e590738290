//! Short words for messages, entries and changes, so that a story shows what matters in it.

use std::sync::Arc;

use bytes::Bytes;
use raftcore::{
    AnyConfChange, Append, AppendResponse, Body, ConfChange, ConfChangeKind, ConfChangeSingle,
    ConfChangeV2, ConfState, Context, Entries, Entry, EntryKind, Heartbeat, Index, Message, NodeId,
    Position, Rejection, Snapshot, Storage, Term, Transition, VoteRequest, VoteResponse, describe,
    wire,
};

use super::Member;

pub(crate) fn id(number: u64) -> NodeId {
    NodeId::new(number).expect("an id that a member can have")
}

pub(crate) fn at(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: Index(index) }
}

/// An entry whose payload is its own position, so that a wrong one shows.
pub(crate) fn entry(term: u64, index: u64) -> Entry {
    let data = format!("{term}/{index}").into();
    Entry { term: Term(term), index: Index(index), kind: EntryKind::Normal, data }
}

pub(crate) fn entries(positions: &[(u64, u64)]) -> Entries {
    positions.iter().map(|&(term, index)| entry(term, index)).collect()
}

pub(crate) fn message(from: u64, to: u64, term: u64, body: Body) -> Message {
    Message { to: id(to), from: id(from), term: Term(term), body }
}

/// An append with these entries after `prev`.
pub(crate) fn append(
    from: u64,
    to: u64,
    term: u64,
    prev: (u64, u64),
    new: &[(u64, u64)],
    commit: u64,
) -> Message {
    let prev = at(prev.0, prev.1);
    let body = Append { prev, entries: entries(new), commit: Index(commit) };
    message(from, to, term, Body::Append(body))
}

/// An append with one entry of any kind.
pub(crate) fn append_one(
    from: u64,
    to: u64,
    prev: (u64, u64),
    entry: Entry,
    commit: u64,
) -> Message {
    let term = entry.term.0;
    let body = Append {
        prev: at(prev.0, prev.1),
        entries: Entries::from(vec![entry]),
        commit: Index(commit),
    };
    message(from, to, term, Body::Append(body))
}

pub(crate) fn accepted(from: u64, to: u64, term: u64, index: u64) -> Message {
    let body = AppendResponse { index: Index(index), rejection: None };
    message(from, to, term, Body::AppendResponse(body))
}

/// A rejection of the append after `index`, with a hint (index, term).
pub(crate) fn rejected(from: u64, to: u64, term: u64, index: u64, hint: (u64, u64)) -> Message {
    let rejection = Some(Rejection { hint: Index(hint.0), hint_term: Term(hint.1) });
    let body = AppendResponse { index: Index(index), rejection };
    message(from, to, term, Body::AppendResponse(body))
}

pub(crate) fn heartbeat(from: u64, to: u64, term: u64, commit: u64) -> Message {
    let body = Heartbeat { commit: Index(commit), context: Context::new() };
    message(from, to, term, Body::Heartbeat(body))
}

pub(crate) fn heartbeat_response(from: u64, to: u64, term: u64, context: &[u8]) -> Message {
    message(from, to, term, Body::HeartbeatResponse { context: context.into() })
}

/// An echo of the position of a leader's read queue.
pub(crate) fn echo(from: u64, to: u64, term: u64, position: u64) -> Message {
    heartbeat_response(from, to, term, &position.to_le_bytes())
}

pub(crate) fn vote(from: u64, to: u64, term: u64, last: (u64, u64)) -> Message {
    let request = VoteRequest { last: at(last.0, last.1), transfer: false };
    message(from, to, term, Body::Vote(request))
}

/// A vote request by order of the leader.
pub(crate) fn transfer_vote(from: u64, to: u64, term: u64, last: (u64, u64)) -> Message {
    let request = VoteRequest { last: at(last.0, last.1), transfer: true };
    message(from, to, term, Body::Vote(request))
}

pub(crate) fn pre_vote(from: u64, to: u64, term: u64, last: (u64, u64)) -> Message {
    let request = VoteRequest { last: at(last.0, last.1), transfer: false };
    message(from, to, term, Body::PreVote(request))
}

pub(crate) fn vote_response(from: u64, to: u64, term: u64, granted: bool) -> Message {
    message(from, to, term, Body::VoteResponse(VoteResponse { rejected: !granted }))
}

pub(crate) fn pre_vote_response(from: u64, to: u64, term: u64, granted: bool) -> Message {
    message(from, to, term, Body::PreVoteResponse(VoteResponse { rejected: !granted }))
}

/// A proposal as a follower passes it on.
pub(crate) fn proposal(from: u64, to: u64, payloads: &[&str]) -> Message {
    let entry = |data: &&str| Entry { data: data.to_string().into(), ..Entry::default() };
    message(from, to, 0, Body::Propose(payloads.iter().map(entry).collect()))
}

/// A proposed entry of this kind, as a follower passes it on.
pub(crate) fn conf_proposal(from: u64, to: u64, change: &AnyConfChange) -> Message {
    let (kind, data) = wire::encode_conf_change(change);
    let entries = Entries::from(vec![Entry { kind, data, ..Entry::default() }]);
    message(from, to, 0, Body::Propose(entries))
}

pub(crate) fn read_request(from: u64, to: u64, context: &str) -> Message {
    message(from, to, 0, Body::ReadIndex { context: context.into() })
}

pub(crate) fn transfer_order(target: u64, to: u64, term: u64) -> Message {
    message(target, to, term, Body::TransferLeader)
}

pub(crate) fn timeout_now(from: u64, to: u64, term: u64) -> Message {
    message(from, to, term, Body::TimeoutNow)
}

pub(crate) fn snapshot(position: (u64, u64), conf_state: ConfState) -> Snapshot {
    Snapshot { position: at(position.0, position.1), conf_state, data: Bytes::new() }
}

pub(crate) fn install(from: u64, to: u64, term: u64, snapshot: Snapshot) -> Message {
    message(from, to, term, Body::Snapshot(Arc::new(snapshot)))
}

pub(crate) fn voters(ids: &[u64]) -> ConfState {
    ConfState::with_voters(ids.iter().copied())
}

pub(crate) fn with_learners(voters: &[u64], learners: &[u64]) -> ConfState {
    ConfState { learners: learners.to_vec(), ..self::voters(voters) }
}

/// A joint configuration: the incoming and the outgoing voters.
pub(crate) fn joint(incoming: &[u64], outgoing: &[u64]) -> ConfState {
    ConfState { voters_outgoing: outgoing.to_vec(), ..voters(incoming) }
}

/// Reads `v4 l5 r2 u3`: voter, learner, remove, update.
pub(crate) fn steps(text: &str) -> Vec<ConfChangeSingle> {
    let step = |token: &str| {
        let (kind, node) = token.split_at(1);
        let kind = match kind {
            "v" => ConfChangeKind::AddVoter,
            "l" => ConfChangeKind::AddLearner,
            "r" => ConfChangeKind::Remove,
            "u" => ConfChangeKind::Update,
            other => panic!("what is {other}?"),
        };
        ConfChangeSingle { kind, node: node.parse().expect("a number") }
    };
    text.split_whitespace().map(step).collect()
}

pub(crate) fn change_v2(transition: Transition, text: &str) -> ConfChangeV2 {
    ConfChangeV2 { transition, changes: steps(text), context: Bytes::new() }
}

/// A change of any number of members.
pub(crate) fn many(transition: Transition, text: &str) -> AnyConfChange {
    AnyConfChange::Many(change_v2(transition, text))
}

/// A change of one member in the older form.
pub(crate) fn one(text: &str) -> AnyConfChange {
    let step = steps(text)[0];
    AnyConfChange::One(ConfChange { kind: step.kind, node: step.node, ..ConfChange::default() })
}

/// The entry that carries a change.
pub(crate) fn conf_entry(term: u64, index: u64, change: &AnyConfChange) -> Entry {
    let (kind, data) = wire::encode_conf_change(change);
    Entry { term: Term(term), index: Index(index), kind, data }
}

/// A message in the text form of the scenarios.
pub(crate) fn text(message: &Message) -> String {
    describe::message(&message.into())
}

pub(crate) fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(text).collect()
}

/// Everything about a node that a refused call must leave alone: term, vote, log, commit,
/// membership, progress, and whether it has something to do.
pub(crate) fn fingerprint(member: &Member) -> String {
    let node = &member.node;
    format!("{:?}\n{:?}\nready: {}", node.status(), node, node.has_ready())
}

/// The terms of a member's stored log, from its first index on.
pub(crate) fn stored_terms(member: &Member) -> Vec<u64> {
    let log = &member.node.storage().inner;
    let (first, last) = (log.first_index().unwrap(), log.last_index().unwrap());
    let entries = log.entries(first, last.next(), u64::MAX);
    entries.unwrap_or_default().iter().map(|entry| entry.term.0).collect()
}
