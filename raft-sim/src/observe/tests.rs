//! Every rule of this room is shown a step that breaks it.

use super::*;
use crate::check::assert_objects;
use crate::random::Random;
use raftcore::{
    ConfState, Config, Entries, HardState, Index, MemoryStorage, Node, Refusal, SoftState, Term,
};

fn id(n: u64) -> NodeId {
    NodeId::new(n).unwrap()
}

fn hosts() -> Vec<Host> {
    let host = |n| Host::new(n as usize - 1, Config::new(n, n), 1000, Random::new(n));
    (1..=7).map(host).collect()
}

/// Node 1 of three follows node 2 in term 4, has five entries, of which three are committed and two
/// applied.
fn follower() -> Status {
    let storage = MemoryStorage::with_conf_state(ConfState::with_voters([1, 2, 3]));
    let mut status = Node::new(&Config::new(1, 1), storage).unwrap().status();
    status.hard_state = HardState { term: Term(4), vote: Some(id(2)), commit: Index(3) };
    status.soft_state = SoftState { leader: Some(id(2)), role: RoleKind::Follower };
    (status.last_index, status.applied) = (Index(5), Index(2));
    status
}

fn leader() -> Status {
    let mut status = follower();
    status.hard_state.vote = Some(id(1));
    status.soft_state = SoftState { leader: Some(id(1)), role: RoleKind::Leader };
    status
}

fn from_two(body: Body) -> Message {
    Message { to: id(1), from: id(2), term: Term(4), body }
}

fn check(before: &Status, after: &Status, input: &Input<'_>, error: Option<&Error>) -> Verdict {
    let last = Position { term: Term(4), index: after.last_index };
    let step = Step { slot: 0, before, after, input, error, last, now: 1 };
    judge(&mut Judges::default(), &hosts(), &step)
}

#[test]
fn a_commit_beyond_the_log_and_an_apply_beyond_the_commit_are_seen() {
    let (before, input) = (follower(), Input::Tick);
    check(&before, &before, &input, None).unwrap();
    let mut after = before.clone();
    after.hard_state.commit = Index(6);
    assert_objects(check(&before, &after, &input, None), "commit_is_in_the_log");
    let mut after = before.clone();
    after.applied = Index(4);
    assert_objects(check(&before, &after, &input, None), "applied_is_committed");
}

#[test]
fn a_refused_message_that_changes_something_is_seen() {
    let error = Error::Refused(Refusal::NoEntries);
    let message = from_two(Body::Propose(Entries::new()));
    let (before, input) = (follower(), Input::Step(&message));
    check(&before, &before, &input, Some(&error)).unwrap();
    let mut after = before.clone();
    after.soft_state.leader = None;
    let changed = check(&before, &after, &input, Some(&error));
    assert_objects(changed, "refused_changes_nothing");
}

#[test]
fn a_pre_vote_that_changes_the_vote_is_seen() {
    let last = Position { term: Term(4), index: Index(9) };
    let mut message = from_two(Body::PreVote(VoteRequest { last, transfer: false }));
    message.term = Term(5);
    let (before, input) = (follower(), Input::Step(&message));
    check(&before, &before, &input, None).unwrap();
    let mut after = before.clone();
    after.hard_state.term = Term(5);
    assert_objects(check(&before, &after, &input, None), "pre_vote_changes_nothing");
}

#[test]
fn a_proposal_taken_during_a_transfer_is_seen() {
    let mut before = leader();
    before.transferring_to = Some(id(3));
    let payload = bytes::Bytes::from_static(b"x");
    let input = Input::Propose(&payload);
    let taken = check(&before, &before, &input, None);
    assert_objects(taken, "no_proposals_while_transferring");
    let error = Error::Dropped(raftcore::DropReason::Transferring { to: id(3) });
    check(&before, &before, &input, Some(&error)).unwrap();
}

#[test]
fn an_order_to_whoever_lacks_something_is_seen() {
    assert_objects(check_order(&leader(), id(2)), "transfer_order_only_to_the_complete");
    assert_objects(check_order(&leader(), id(6)), "transfer_order_only_to_the_complete");
}
