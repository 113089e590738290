//! What becomes of a proposal, and what the caller is told about it.

use bytes::Bytes;
use raftcore::{DropReason, Entry, Error, Event, Misuse, Proposed, Refusal, RoleKind};

use crate::support::{Group, Member, accepted, fingerprint, heartbeat, id, one, proposal, texts};

fn leader() -> Member {
    let mut leader = Member::new(1, &[1, 2, 3]);
    leader.lead_all();
    leader
}

fn follower_of_2() -> Member {
    let mut follower = Member::new(1, &[1, 2, 3]);
    follower.step(heartbeat(2, 1, 1, 0)).unwrap();
    follower.drain();
    follower
}

#[test]
fn a_leader_tells_where_a_proposal_stands() {
    let mut leader = leader();
    let (term, first) = (raftcore::Term(1), raftcore::Index(2));
    let appended = |first, last| Ok(Proposed::Appended { term, first, last });
    assert_eq!(leader.propose("a"), appended(first, first));
    let three = ["b", "c", "d"].map(Bytes::from).to_vec();
    assert_eq!(leader.propose_many(three), appended(first.next(), first.plus(3)));
    leader.drain();
    leader.acknowledge(3);
    leader.drain();
    assert_eq!(leader.payloads(), ["a", "b", "c", "d"]);
    assert_eq!((leader.metrics().proposals, leader.metrics().committed), (4, 5));
}

#[test]
fn a_follower_passes_a_proposal_on_without_a_term() {
    let mut follower = follower_of_2();
    assert_eq!(follower.propose("a"), Ok(Proposed::Forwarded { leader: id(2) }));
    let expected = r#"1->2 MsgProp Term:0 Log:0/0 Entries:[0/0 EntryNormal "a"]"#;
    assert_eq!(texts(&follower.drain()), [expected]);
    // One that came from a peer keeps its sender.
    follower.step(proposal(3, 1, &["b"])).unwrap();
    let expected = r#"3->2 MsgProp Term:0 Log:0/0 Entries:[0/0 EntryNormal "b"]"#;
    assert_eq!(texts(&follower.drain()), [expected]);
    assert_eq!(follower.last_index(), 0);
}

#[test]
fn a_proposal_finds_the_leader_from_anywhere() {
    let mut group = Group::new(3);
    group.elect(1);
    group.propose(2, "two");
    group.propose(3, "three");
    group.run(1);
    group.assert_agreement();
    assert_eq!(group[2].payloads(), ["two", "three"]);
}

#[test]
fn a_proposal_that_bounced_back_is_taken() {
    let mut leader = leader();
    leader.step(proposal(1, 1, &["mine"])).unwrap();
    assert_eq!(leader.last_index(), 2);
}

#[test]
fn each_reason_to_drop_a_proposal_is_told_and_counted() {
    let check = |mut node: Member, reason: DropReason| {
        let before = fingerprint(&node);
        let dropped = Error::Dropped(reason);
        assert_eq!(node.propose("x"), Err(dropped.clone()));
        assert_eq!(node.propose_many(vec![Bytes::from("x")]), Err(dropped.clone()));
        assert_eq!(node.propose_conf_change(&one("v4")), Err(dropped.clone()));
        assert_eq!(node.step(proposal(3, 1, &["x"])), Err(dropped));
        assert_eq!(node.metrics().proposals_dropped, 4, "{reason:?}");
        assert_eq!(fingerprint(&node), before, "{reason:?}");
    };
    check(Member::new(1, &[1, 2, 3]), DropReason::NoLeader);
    for pre_vote in [false, true] {
        let mut candidate = Member::with(1, &[1, 2, 3], |c| c.pre_vote = pre_vote);
        candidate.campaign().unwrap();
        candidate.drain();
        check(candidate, DropReason::NoLeader);
    }

    let mut transferring = leader();
    transferring.transfer_leader(id(3)).unwrap();
    transferring.drain();
    check(transferring, DropReason::Transferring { to: id(3) });

    let mut full = Member::with(1, &[1, 2, 3], |c| c.max_uncommitted_bytes = 10);
    full.lead_all();
    full.propose("0123456789").unwrap();
    full.drain();
    check(full, DropReason::TooMuchUncommitted { waiting: 10, limit: 10 });

    let mut removed = Member::with(1, &[1, 2, 3], |c| c.step_down_on_removal = false);
    removed.lead_all();
    removed.propose_conf_change(&one("r1")).unwrap();
    removed.drain();
    removed.acknowledge(2);
    removed.drain();
    check(removed, DropReason::NotAMember);

    let mut alone = Member::with(1, &[1, 2, 3], |c| c.forward_proposals = false);
    alone.step(heartbeat(2, 1, 1, 0)).unwrap();
    alone.drain();
    check(alone, DropReason::ForwardingDisabled { leader: id(2) });
}

#[test]
fn forwarding_disabled_does_not_keep_a_leader_from_proposing() {
    let mut leader = Member::with(1, &[1, 2, 3], |c| c.forward_proposals = false);
    leader.lead_all();
    leader.propose("x").unwrap();
    leader.step(proposal(2, 1, &["y"])).unwrap();
    assert_eq!(leader.last_index(), 3);
}

#[test]
fn a_dropped_proposal_is_reported() {
    let mut node = Member::new(1, &[1, 2, 3]);
    let (send, receive) = std::sync::mpsc::channel();
    node.set_observer(Some(Box::new(move |event| send.send(event.clone()).unwrap())));
    assert!(node.propose("x").is_err());
    let events: Vec<Event> = receive.try_iter().collect();
    assert_eq!(events, [Event::ProposalDropped(DropReason::NoLeader)]);
}

#[test]
fn several_payloads_are_taken_together_or_not_at_all() {
    let mut leader = Member::with(1, &[1, 2, 3], |c| c.max_uncommitted_bytes = 10);
    leader.lead_all();
    leader.propose("01234").unwrap();
    leader.drain();
    let before = fingerprint(&leader);
    let reason = DropReason::TooMuchUncommitted { waiting: 5, limit: 10 };
    let two = vec![Bytes::from("012"), Bytes::from("012")];
    assert_eq!(leader.propose_many(two), Err(Error::Dropped(reason)));
    assert_eq!(fingerprint(&leader), before);
}

#[test]
fn a_proposal_of_nothing_is_refused() {
    for mut node in [leader(), follower_of_2()] {
        let before = fingerprint(&node);
        assert_eq!(node.propose_many(Vec::new()), Err(Refusal::NoEntries.into()));
        assert_eq!(fingerprint(&node), before);
    }
}

#[test]
fn a_payload_that_no_message_could_carry_is_the_callers_mistake() {
    // Zeros that nobody touches take no memory.
    let bytes = i32::MAX as usize;
    let huge = Bytes::from(vec![0u8; bytes]);
    let mut leader = leader();
    let before = fingerprint(&leader);
    let expected = Error::from(Misuse::TooLarge { bytes });
    assert_eq!(leader.propose(huge.clone()), Err(expected.clone()));
    assert_eq!(leader.propose_many(vec![Bytes::new(), huge.clone()]), Err(expected.clone()));
    assert_eq!(leader.read_index(huge.clone()), Err(expected));
    assert_eq!(fingerprint(&leader), before);
    // The largest is one that the message around it still leaves room for.
    let largest = bytes - (1 << 16);
    let mut candidate = Member::new(1, &[1, 2, 3]);
    let too_large = Error::from(Misuse::TooLarge { bytes: largest + 1 });
    assert_eq!(candidate.propose(huge.slice(..=largest)), Err(too_large));
    let dropped = Error::from(DropReason::NoLeader);
    assert_eq!(candidate.propose(huge.slice(..largest)), Err(dropped));
}

#[test]
fn a_leader_that_was_deposed_passes_on_to_its_successor() {
    let mut leader = leader();
    leader.step(heartbeat(3, 1, 2, 0)).unwrap();
    leader.drain();
    assert_eq!(leader.propose("x"), Ok(Proposed::Forwarded { leader: id(3) }));
}

#[test]
fn what_an_old_leader_had_not_committed_may_be_gone() {
    // The outcome names term and index: whoever finds another term there knows.
    let mut group = Group::new(3);
    group.elect(1);
    group.isolate(1);
    let outcome = group[1].propose("lost").unwrap();
    let Proposed::Appended { term, first, .. } = outcome else { panic!("{outcome:?}") };
    group.elect(2);
    group.heal();
    group.run(2);
    let applied: Option<&Entry> = group[1].applied.iter().find(|entry| entry.index == first);
    assert_ne!(applied.map(|entry| entry.term), Some(term));
    assert_eq!(group[1].role(), RoleKind::Follower);
    assert!(group[1].payloads().is_empty());
}

#[test]
fn proposals_that_come_one_by_one_travel_together() {
    let mut leader = leader();
    for data in ["a", "b"] {
        leader.propose(data).unwrap();
    }
    leader.drain();
    leader.step(accepted(2, 1, 1, 3)).unwrap();
    leader.drain();
    assert_eq!(leader.payloads(), ["a", "b"]);
}
