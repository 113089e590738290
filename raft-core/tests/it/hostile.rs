//! Messages that no honest member sends, and some that kill other implementations: each is
//! refused with the error that names what is wrong, changes nothing, and is counted by its reason.
//!
//! The term rule comes first: a higher term deposes whoever it reaches, whatever else the message
//! says, and a message of an earlier term is ignored, whatever it says.

use std::sync::Arc;

use bytes::Bytes;
use raftcore::membership::ConfStateError;
use raftcore::{
    Append, Body, ConfState, Context, DecodeError, Entry, Error, Index, Message, MessageKind,
    Refusal, RoleKind, Snapshot, SnapshotStatus, Term, wire,
};

use crate::oracle;
use crate::support::{
    Member, accepted, append, at, echo, fingerprint, heartbeat, heartbeat_response, id, install,
    joint, message, pre_vote, pre_vote_response, proposal, read_request, rejected, snapshot,
    stored_terms, text, texts, transfer_order, vote, vote_response, voters,
};

/// A follower of node 2 in term 3, with terms 1, 1, 3, 3 of which three are committed.
fn follower() -> Member {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1, 1, 3, 3], 3);
    node.step(heartbeat(2, 1, 3, 3)).unwrap();
    node.drain();
    node
}

/// A candidate of term 3.
fn candidate() -> Member {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1, 1, 2, 2], 3);
    node.drain();
    node.campaign().unwrap();
    node.drain();
    node
}

/// A leader of term 3 with four entries of which all but its own are of earlier terms.
fn leader() -> Member {
    let mut node = Member::with_log(1, &[1, 2, 3], &[1, 1, 2], 3);
    node.lead_all();
    node
}

/// The message is refused as expected, typed and as bytes, and leaves the node as it was.
#[track_caller]
fn check(node: &mut Member, message: Message, expected: Refusal) {
    let kind = expected.kind();
    let (before, counted) = (fingerprint(node), node.metrics().refused(kind));
    let bytes = wire::encode(&message);
    let case = format!("{:?}: {}", node.role(), text(&message));
    assert_eq!(node.step(message), Err(expected.clone().into()), "{case}");
    assert_eq!(node.step_encoded(bytes), Err(expected.into()), "{case}, as bytes");
    assert_eq!(node.metrics().refused(kind), counted + 2, "{case}");
    assert_eq!(fingerprint(node), before, "{case}");
}

/// As [`check`], for what can only come as bytes.
#[track_caller]
fn check_bytes(node: &mut Member, flat: wire::schema::Message, expected: Refusal) {
    let kind = expected.kind();
    let (before, counted) = (fingerprint(node), node.metrics().refused(kind));
    assert_eq!(node.step_encoded(oracle::encode(&flat)), Err(expected.into()), "{flat:?}");
    assert_eq!(node.metrics().refused(kind), counted + 1, "{flat:?}");
    assert_eq!(fingerprint(node), before, "{flat:?}");
}

/// The same content in an earlier term is ignored, in a later one it deposes and is then refused
/// with the same kind of error.
#[track_caller]
fn check_term_rule(make: impl Fn(u64) -> Message, kind: raftcore::RefusalKind) {
    for mut node in [follower(), candidate(), leader()] {
        let (before, case) = (fingerprint(&node), format!("{:?}: {}", node.role(), text(&make(2))));
        assert_eq!(node.step(make(2)), Ok(()), "stale, to {case}");
        assert_eq!(fingerprint(&node), before, "stale, to {case}");
        match node.step(make(9)) {
            Err(Error::Refused(refusal)) => assert_eq!(refusal.kind(), kind, "{case}"),
            other => panic!("{other:?} from a later term, to {case}"),
        }
        assert_eq!((node.role(), node.term()), (RoleKind::Follower, 9), "{case}");
    }
}

fn flat(kind: i32) -> wire::schema::Message {
    wire::schema::Message { kind, to: 1, from: 2, term: 3, ..Default::default() }
}

/// An append with these entries as they are.
fn append_of(term: u64, prev: (u64, u64), new: Vec<Entry>) -> Message {
    let body = Append { prev: at(prev.0, prev.1), entries: new.into(), commit: Index(0) };
    message(2, 1, term, Body::Append(body))
}

const NEAR_THE_END: [u64; 4] = [u64::MAX, u64::MAX - 1, u64::MAX / 2 + 2, 1 << 63];

// Kinds and addresses.

#[test]
fn an_unknown_or_negative_kind() {
    for mut node in [follower(), candidate(), leader()] {
        for kind in [-1, i32::MIN, 24, 1000, i32::MAX] {
            let refusal = Refusal::Malformed(DecodeError::UnknownMessageKind(kind));
            check_bytes(&mut node, flat(kind), refusal);
        }
    }
}

#[test]
fn a_kind_that_never_travels() {
    for mut node in [follower(), candidate(), leader()] {
        let all = (0..MessageKind::COUNT as i32).filter_map(MessageKind::from_number);
        let local: Vec<MessageKind> = all.filter(|kind| kind.is_local()).collect();
        assert_eq!(local.len(), 10);
        for kind in local {
            check_bytes(&mut node, flat(kind as i32), Refusal::LocalKind(kind));
            // Nor from who pretends to be a storage thread.
            let thread = wire::schema::Message { from: u64::MAX, ..flat(kind as i32) };
            check_bytes(&mut node, thread, Refusal::LocalKind(kind));
        }
    }
}

#[test]
fn bytes_that_are_no_message() {
    let mut node = follower();
    let before = fingerprint(&node);
    let whole = wire::encode(&append(2, 1, 3, (3, 4), &[(3, 5)], 0));
    for bytes in [&b"\xff\xff\xff"[..], b"\x08", &whole[..whole.len() - 1]] {
        let refused = node.step_encoded(Bytes::copy_from_slice(bytes));
        assert!(
            matches!(refused, Err(Error::Refused(Refusal::Malformed(DecodeError::Invalid(_))))),
            "{refused:?}"
        );
    }
    let zero = node.step_encoded(Bytes::new());
    assert_eq!(zero, Err(Refusal::LocalKind(MessageKind::Hup).into()), "no field at all");
    assert_eq!(node.metrics().refused(raftcore::RefusalKind::Malformed), 3);
    assert_eq!(fingerprint(&node), before);
}

#[test]
fn an_address_that_nobody_has() {
    for bad in [0, u64::MAX, u64::MAX - 1] {
        let mut node = leader();
        let refusal = Refusal::Malformed(DecodeError::BadAddress(bad));
        for kind in [MessageKind::Append, MessageKind::ReadIndex, MessageKind::Propose] {
            let from = wire::schema::Message { from: bad, ..flat(kind as i32) };
            check_bytes(&mut node, from, refusal.clone());
            let to = wire::schema::Message { to: bad, ..flat(kind as i32) };
            check_bytes(&mut node, to, refusal.clone());
        }
    }
}

#[test]
fn a_message_for_somebody_else() {
    for mut node in [follower(), candidate(), leader()] {
        check(&mut node, heartbeat(2, 3, 3, 0), Refusal::Misaddressed { to: id(3) });
    }
}

#[test]
fn an_answer_from_somebody_who_is_no_member() {
    for mut node in [follower(), candidate(), leader()] {
        let refusal = Refusal::NotAMember(id(9));
        for term in [2, 3, 99] {
            check(&mut node, accepted(9, 1, term, 1), refusal.clone());
            check(&mut node, vote_response(9, 1, term, true), refusal.clone());
            check(&mut node, pre_vote_response(9, 1, term, false), refusal.clone());
            check(&mut node, heartbeat_response(9, 1, term, b""), refusal.clone());
            let body = Body::ReadIndexResponse { index: Index(1), context: Context::new() };
            check(&mut node, message(9, 1, term, body), refusal.clone());
        }
    }
}

#[test]
fn a_message_that_claims_to_come_from_the_receiver() {
    for mut node in [follower(), candidate(), leader()] {
        for term in [3, 9] {
            let forged = [
                append(1, 1, term, (0, 0), &[], 0),
                accepted(1, 1, term, 4),
                rejected(1, 1, term, 4, (0, 0)),
                vote(1, 1, term, (9, 9)),
                vote_response(1, 1, term, true),
                pre_vote(1, 1, term, (9, 9)),
                pre_vote_response(1, 1, term, true),
                install(1, 1, term, snapshot((1, 50), voters(&[1, 2, 3]))),
                heartbeat(1, 1, term, 0),
                heartbeat_response(1, 1, term, b""),
                message(1, 1, term, Body::TimeoutNow),
            ];
            for message in forged {
                let kind = message.body.kind();
                check(&mut node, message, Refusal::FromSelf(kind));
            }
        }
    }
    // What bounced back is taken, and a transfer order names its target.
    let mut leader = leader();
    leader.step(proposal(1, 1, &["x"])).unwrap();
    leader.step(read_request(1, 1, "a")).unwrap();
    leader.step(transfer_order(1, 1, 3)).unwrap();
    assert_eq!(leader.role(), RoleKind::Leader);
}

// Terms.

#[test]
fn a_message_without_a_term() {
    for mut node in [follower(), candidate(), leader()] {
        let read_response = Body::ReadIndexResponse { index: Index(1), context: Context::new() };
        let forged = [
            append(2, 1, 0, (0, 0), &[(1, 1)], 9),
            accepted(2, 1, 0, 4),
            vote(2, 1, 0, (9, 9)),
            vote_response(2, 1, 0, true),
            vote_response(2, 1, 0, false),
            pre_vote(2, 1, 0, (9, 9)),
            pre_vote_response(2, 1, 0, true),
            install(2, 1, 0, snapshot((1, 50), voters(&[1, 2, 3]))),
            heartbeat(2, 1, 0, 4),
            heartbeat_response(2, 1, 0, b""),
            message(2, 1, 0, Body::TransferLeader),
            message(2, 1, 0, Body::TimeoutNow),
            message(2, 1, 0, read_response),
        ];
        for message in forged {
            let kind = message.body.kind();
            check(&mut node, message, Refusal::MissingTerm(kind));
        }
    }
}

#[test]
fn a_refused_pre_vote_is_the_one_answer_that_needs_no_term() {
    let mut node = Member::with(1, &[1, 2, 3], |c| c.pre_vote = true);
    node.campaign().unwrap();
    node.drain();
    node.step(pre_vote_response(2, 1, 0, false)).unwrap();
    node.step(pre_vote_response(3, 1, 0, false)).unwrap();
    assert_eq!((node.role(), node.term()), (RoleKind::Follower, 0));
    for mut node in [follower(), candidate(), leader()] {
        let before = fingerprint(&node);
        node.step(pre_vote_response(2, 1, 0, false)).unwrap();
        assert_eq!(fingerprint(&node), before);
    }
}

#[test]
fn a_proposal_or_read_with_a_term() {
    for mut node in [follower(), candidate(), leader()] {
        for term in [1, 3, 9] {
            for forged in [proposal(2, 1, &["x"]), read_request(2, 1, "a")] {
                let kind = forged.body.kind();
                let refusal = Refusal::UnexpectedTerm { kind, term: Term(term) };
                check(&mut node, Message { term: Term(term), ..forged }, refusal);
            }
        }
    }
}

#[test]
fn a_term_near_the_64_bit_limit() {
    for term in NEAR_THE_END {
        for mut node in [follower(), candidate(), leader()] {
            let forged = [
                append(2, 1, term, (0, 0), &[], 0),
                heartbeat(2, 1, term, 0),
                vote(2, 1, term, (9, 9)),
                pre_vote(2, 1, term, (9, 9)),
                pre_vote_response(2, 1, term, true),
                accepted(2, 1, term, 4),
            ];
            for message in forged {
                check(&mut node, message, Refusal::TermLimit(Term(term)));
            }
        }
    }
}

// Heartbeats.

#[test]
fn a_heartbeat_that_commits_beyond_the_log() {
    let mut node = follower();
    let refusal = Refusal::CommitBeyondLog { commit: Index(5), last: Index(4) };
    check(&mut node, heartbeat(2, 1, 3, 5), refusal);
    let says = node.step(heartbeat(2, 1, 3, 5)).unwrap_err().to_string();
    assert!(says.contains("lost its disk"), "{says}");
    check_term_rule(|term| heartbeat(2, 1, term, 50), raftcore::RefusalKind::CommitBeyondLog);
}

#[test]
fn a_heartbeat_that_is_refused_still_counts_as_a_word_from_the_leader() {
    // The honest case: this member lost its disk. It must not campaign for ever.
    let mut node = follower();
    for _ in 0..10 {
        node.tick_times(9);
        assert!(node.step(heartbeat(2, 1, 3, 50)).is_err());
    }
    assert_eq!((node.role(), node.leader(), node.term()), (RoleKind::Follower, Some(2), 3));
    let mut node = candidate();
    assert!(node.step(heartbeat(2, 1, 3, 50)).is_err());
    assert_eq!((node.role(), node.leader()), (RoleKind::Follower, Some(2)));
    // One forged heartbeat does not fault the node, and the next honest one is taken.
    assert_eq!(node.fault(), None);
    node.step(append(2, 1, 3, (2, 4), &[(3, 5)], 5)).unwrap();
    node.drain();
    assert_eq!(node.commit(), 5);
}

#[test]
fn a_commit_index_near_the_64_bit_limit() {
    for index in NEAR_THE_END {
        let mut node = follower();
        check(&mut node, heartbeat(2, 1, 3, index), Refusal::IndexLimit(Index(index)));
        let far = append(2, 1, 3, (3, 4), &[], index);
        check(&mut node, far, Refusal::IndexLimit(Index(index)));
    }
}

#[test]
fn the_last_index_and_the_last_term_are_the_end() {
    const LAST: u64 = u64::MAX / 2;
    let mut node = Member::new(1, &[1, 2, 3]);
    node.step(install(2, 1, 1, snapshot((1, LAST), voters(&[1, 2, 3])))).unwrap();
    node.drain();
    let next = LAST + 1;
    let beyond = append(2, 1, 1, (1, LAST), &[(1, next)], next);
    check(&mut node, beyond, Refusal::IndexLimit(Index(next)));
    for kind in [vote, pre_vote] {
        check(&mut node, kind(3, 1, 1, (1, next)), Refusal::IndexLimit(Index(next)));
    }
    node.step(heartbeat(2, 1, LAST, LAST)).unwrap();
    assert_eq!(node.term(), LAST);
    check(&mut node, heartbeat(2, 1, next, LAST), Refusal::TermLimit(Term(next)));
}

#[test]
fn a_node_that_has_seen_no_term_takes_nothing_without_one() {
    let mut node = Member::new(1, &[1, 2, 3]);
    let (append, beat) = (append(2, 1, 0, (0, 0), &[], 0), heartbeat(2, 1, 0, 0));
    check(&mut node, append, Refusal::MissingTerm(MessageKind::Append));
    check(&mut node, beat, Refusal::MissingTerm(MessageKind::Heartbeat));
}

#[test]
fn what_only_another_leader_of_its_term_could_send_is_nothing_to_a_leader() {
    let mut leader = leader();
    let before = fingerprint(&leader);
    for index in NEAR_THE_END {
        leader.step(heartbeat(2, 1, 3, index)).unwrap();
        leader.step(append(2, 1, 3, (3, 4), &[(3, 9)], index)).unwrap();
        leader.step(install(2, 1, 3, snapshot((3, index), voters(&[])))).unwrap();
    }
    assert_eq!(fingerprint(&leader), before);
}

#[test]
fn a_heartbeat_response_with_a_context_that_was_never_sent() {
    let mut node = leader();
    for context in [&b"x"[..], b"1234567", b"123456789", &[0; 8], &[255; 8]] {
        check(&mut node, heartbeat_response(2, 1, 3, context), Refusal::BadReadPosition);
    }
    check(&mut node, echo(2, 1, 3, 1), Refusal::BadReadPosition);
    node.read_index("a").unwrap();
    node.drain();
    // A position with a tick count, where no leases are kept.
    let with_tick = [&1u64.to_le_bytes()[..], &[0; 8]].concat();
    check(&mut node, heartbeat_response(2, 1, 3, &with_tick), Refusal::BadReadPosition);
    check(&mut node, echo(2, 1, 3, 2), Refusal::BadReadPosition);
    node.step(echo(2, 1, 3, 1)).unwrap();
    node.drain();
    // A position that was confirmed may come again, late.
    node.step(echo(3, 1, 3, 1)).unwrap();
    assert_eq!(node.reads.len(), 1);
    check(&mut node, echo(2, 1, 3, 2), Refusal::BadReadPosition);
}

#[test]
fn a_strange_context_of_another_term_or_to_another_role_is_nobodys_business() {
    let stale = heartbeat_response(2, 1, 2, b"x");
    let mut node = leader();
    let before = fingerprint(&node);
    node.step(stale).unwrap();
    assert_eq!(fingerprint(&node), before);
    for mut node in [follower(), candidate()] {
        let before = fingerprint(&node);
        node.step(heartbeat_response(2, 1, 3, b"x")).unwrap();
        assert_eq!(fingerprint(&node), before);
    }
    let mut node = leader();
    node.step(heartbeat_response(2, 1, 9, b"x")).unwrap();
    assert_eq!((node.role(), node.term()), (RoleKind::Follower, 9));
}

// Appends.

#[test]
fn entries_that_leave_a_gap_or_start_elsewhere() {
    let gap = |expected, got| Refusal::EntryGap { expected: Index(expected), got: Index(got) };
    for mut node in [follower(), candidate()] {
        let new = |positions: &[(u64, u64)]| append(2, 1, 3, (1, 2), positions, 0);
        // One entry at prev + 2 must not be acknowledged.
        check(&mut node, new(&[(3, 4)]), gap(3, 4));
        check(&mut node, new(&[(3, 3), (3, 5)]), gap(4, 5));
        check(&mut node, new(&[(3, 2)]), gap(3, 2));
        check(&mut node, new(&[(3, 3), (3, 3)]), gap(4, 3));
        check(&mut node, new(&[(3, 3), (3, 4), (3, 3)]), gap(5, 3));
        check(&mut node, new(&[(3, 0)]), gap(3, 0));
        check(&mut node, append(2, 1, 3, (0, 0), &[(1, 2)], 0), gap(1, 2));
        check(&mut node, new(&[(3, u64::MAX)]), gap(3, u64::MAX));
    }
    let make = |term| append(2, 1, term, (1, 2), &[(1, 4)], 0);
    check_term_rule(make, raftcore::RefusalKind::EntryGap);
}

#[test]
fn entries_whose_terms_fall() {
    let falls = |got: (u64, u64), previous| Refusal::TermRegression {
        at: at(got.0, got.1),
        previous: Term(previous),
    };
    let mut node = follower();
    check(&mut node, append(2, 1, 3, (3, 4), &[(2, 5)], 0), falls((2, 5), 3));
    check(&mut node, append(2, 1, 3, (1, 2), &[(3, 3), (3, 4), (2, 5)], 0), falls((2, 5), 3));
    check(&mut node, append(2, 1, 3, (0, 0), &[(0, 1)], 0), falls((0, 1), 0));
    let make = |term| append(2, 1, term, (1, 1), &[(2, 2), (1, 3)], 0);
    check_term_rule(make, raftcore::RefusalKind::TermRegression);
}

#[test]
fn entries_newer_than_the_message_that_carries_them() {
    let above =
        |got: (u64, u64)| Refusal::TermAboveMessage { at: at(got.0, got.1), message: Term(3) };
    let mut node = follower();
    check(&mut node, append(2, 1, 3, (3, 4), &[(4, 5)], 0), above((4, 5)));
    check(&mut node, append(2, 1, 3, (3, 4), &[(3, 5), (u64::MAX, 6)], 0), above((u64::MAX, 6)));
    check(&mut node, append(2, 1, 3, (4, 4), &[], 0), above((4, 4)));
    let make = |term: u64| append(2, 1, term, (term + 1, 4), &[], 0);
    check_term_rule(make, raftcore::RefusalKind::TermAboveMessage);
}

#[test]
fn entries_that_contradict_what_is_committed() {
    let conflict = |index| Refusal::ConflictWithCommitted { at: Index(index), commit: Index(3) };
    let mut node = follower();
    check(&mut node, append(2, 1, 3, (1, 1), &[(3, 2)], 0), conflict(2));
    check(&mut node, append(2, 1, 3, (1, 1), &[(1, 2), (2, 3), (3, 4)], 9), conflict(3));
    check(&mut node, append(2, 1, 3, (2, 2), &[], 0), conflict(2));
    check(&mut node, append(2, 1, 3, (1, 2), &[(2, 3)], 0), conflict(3));
    let make = |term| append(2, 1, term, (1, 1), &[(2, 2)], 0);
    for mut node in [follower(), candidate()] {
        node.step(make(2)).unwrap();
        assert_eq!(node.step(make(9)), Err(conflict(2).into()));
        assert_eq!((node.role(), node.term(), node.leader()), (RoleKind::Follower, 9, Some(2)));
    }
    // What agrees is answered as ever, and what was compacted is taken on trust.
    let mut node = follower();
    node.step(append(2, 1, 3, (1, 1), &[(1, 2), (3, 3)], 0)).unwrap();
    assert_eq!(texts(&node.drain()), ["1->2 MsgAppResp Term:3 Log:0/3"]);
    node.compact();
    node.step(append(2, 1, 3, (1, 1), &[(1, 2), (3, 3)], 0)).unwrap();
    assert_eq!(texts(&node.drain()), ["1->2 MsgAppResp Term:3 Log:0/3"]);
}

#[test]
fn positions_near_the_64_bit_limit() {
    for index in NEAR_THE_END {
        let mut node = follower();
        let refusal = Refusal::IndexLimit(Index(index));
        check(&mut node, append(2, 1, 3, (3, index), &[], 0), refusal.clone());
        check(&mut node, append(2, 1, 3, (0, index), &[], 0), refusal.clone());
        let next = Entry { index: Index(index.wrapping_add(1)), term: Term(3), ..Entry::default() };
        check(&mut node, append_of(3, (3, index), vec![next]), refusal.clone());
        let body = Body::ReadIndexResponse { index: Index(index), context: Context::new() };
        check(&mut node, message(2, 1, 3, body), refusal.clone());
        let far = Snapshot { position: at(3, index), ..snapshot((3, 9), voters(&[1, 2, 3])) };
        check(&mut node, install(2, 1, 3, far), refusal);
    }
    // The greatest positions that are allowed are no honest log either, and harmless.
    let mut node = follower();
    node.step(append(2, 1, 3, (3, u64::MAX / 2), &[], u64::MAX / 2)).unwrap();
    let expected = [format!("1->2 MsgAppResp Term:3 Log:3/{} Rejected (Hint: 4)", u64::MAX / 2)];
    assert_eq!(texts(&node.drain()), expected);
    let last = Entry { index: Index(u64::MAX / 2 + 1), term: Term(3), ..Entry::default() };
    let refusal = Refusal::IndexLimit(last.index);
    check(&mut node, append_of(3, (3, u64::MAX / 2), vec![last]), refusal);
}

#[test]
fn a_commit_index_of_an_append_is_clamped_as_usual() {
    let mut node = follower();
    node.step(append(2, 1, 3, (3, 4), &[(3, 5)], 1_000_000)).unwrap();
    assert_eq!(node.commit(), 5);
}

#[test]
fn an_entry_of_an_unknown_kind() {
    let mut node = follower();
    let strange = wire::schema::Entry { kind: 3, term: 3, index: 5, ..Default::default() };
    let forged = wire::schema::Message {
        log_term: 3,
        index: 4,
        entries: vec![strange],
        ..flat(MessageKind::Append as i32)
    };
    check_bytes(&mut node, forged, Refusal::Malformed(DecodeError::UnknownEntryKind(3)));
}

// Answers to a leader.

#[test]
fn an_acknowledgement_of_what_the_leader_never_had() {
    for index in [5, 6, u64::MAX] {
        let mut node = leader();
        let refusal = Refusal::AcknowledgedBeyondLog { index: Index(index), last: Index(4) };
        check(&mut node, accepted(2, 1, 3, index), refusal.clone());
        check(&mut node, rejected(2, 1, 3, index, (1, 1)), refusal);
    }
    // Of an earlier term it is ignored, of a later one it deposes and nothing else.
    let mut node = leader();
    let before = fingerprint(&node);
    node.step(accepted(2, 1, 2, 50)).unwrap();
    assert_eq!(fingerprint(&node), before);
    node.step(accepted(2, 1, 9, 50)).unwrap();
    assert_eq!((node.role(), node.term()), (RoleKind::Follower, 9));
    for mut node in [follower(), candidate()] {
        let before = fingerprint(&node);
        node.step(accepted(2, 1, 3, 50)).unwrap();
        assert_eq!(fingerprint(&node), before, "it is not for this role");
    }
}

#[test]
fn a_hint_that_no_log_can_give_is_harmless() {
    for hint in [(u64::MAX, 0), (u64::MAX, u64::MAX), (0, u64::MAX), (4, 0)] {
        let mut node = leader();
        node.report_unreachable(id(2)).unwrap();
        node.step(rejected(2, 1, 3, 4, hint)).unwrap();
        assert_eq!((node.match_of(2), node.role()), (4, RoleKind::Leader));
        node.drain();
        node.acknowledge(2);
    }
}

#[test]
fn contradictory_answers_do_no_harm() {
    let mut node = leader();
    for answer in [
        rejected(2, 1, 3, 0, (u64::MAX, 3)),
        accepted(2, 1, 3, 0),
        rejected(2, 1, 3, 4, (0, 0)),
        accepted(2, 1, 3, 4),
        rejected(2, 1, 3, 4, (4, 3)),
    ] {
        node.step(answer).unwrap();
        node.drain();
    }
    node.report_snapshot(id(2), SnapshotStatus::Finished).unwrap();
    node.propose("x").unwrap();
    node.drain();
    node.acknowledge(2);
    node.drain();
    assert_eq!(node.commit(), 5);
}

// Snapshots.

#[test]
fn a_snapshot_with_an_impossible_membership() {
    let of = |voters: &[u64]| crate::support::voters(voters);
    let cases: Vec<(ConfState, ConfStateError)> = vec![
        (ConfState::default(), ConfStateError::NoVoters),
        (ConfState { learners: vec![1], ..of(&[]) }, ConfStateError::NoVoters),
        (joint(&[], &[1, 2]), ConfStateError::NoVoters),
        (of(&[1, 2, 2]), ConfStateError::NamedTwice(id(2))),
        (ConfState { learners: vec![4, 4], ..of(&[1]) }, ConfStateError::NamedTwice(id(4))),
        (joint(&[1, 2], &[3, 3]), ConfStateError::NamedTwice(id(3))),
        (of(&[1, 0]), ConfStateError::BadId(0)),
        (of(&[1, u64::MAX]), ConfStateError::BadId(u64::MAX)),
        (ConfState { learners: vec![2], ..of(&[1, 2]) }, ConfStateError::LearnerIsVoter(id(2))),
        (
            ConfState { learners: vec![3], ..joint(&[1, 2], &[1, 3]) },
            ConfStateError::LearnerIsVoter(id(3)),
        ),
        (ConfState { auto_leave: true, ..of(&[1, 2]) }, ConfStateError::AutoLeaveNotJoint),
        (
            ConfState { learners_next: vec![3], ..of(&[1, 2]) },
            ConfStateError::NextLearnerNotJoint(id(3)),
        ),
        (
            ConfState { learners_next: vec![4], ..joint(&[1, 2], &[1, 3]) },
            ConfStateError::NextLearnerNotOutgoing(id(4)),
        ),
        (
            ConfState { learners_next: vec![2], ..joint(&[1, 2], &[1, 2]) },
            ConfStateError::NextLearnerIsVoter(id(2)),
        ),
        (
            ConfState { learners: vec![3], learners_next: vec![3], ..joint(&[1, 2], &[1, 3]) },
            ConfStateError::NextLearnerIsLearner(id(3)),
        ),
    ];
    for (members, error) in cases {
        for mut node in [follower(), candidate()] {
            let forged = install(2, 1, 3, snapshot((3, 50), members.clone()));
            check(&mut node, forged, Refusal::BadMembership(error.clone()));
        }
    }
    let make = |term| install(2, 1, term, snapshot((1, 50), voters(&[1, 1])));
    check_term_rule(make, raftcore::RefusalKind::BadMembership);
}

#[test]
fn a_snapshot_without_content_or_of_an_impossible_term() {
    for mut node in [follower(), candidate()] {
        check(&mut node, install(2, 1, 3, Snapshot::default()), Refusal::EmptySnapshot);
        check(&mut node, install(2, 1, 3, snapshot((1, 0), voters(&[1]))), Refusal::EmptySnapshot);
        for term in [0, 4, u64::MAX] {
            let refusal = Refusal::SnapshotAboveMessage { at: at(term, 50), message: Term(3) };
            check(&mut node, install(2, 1, 3, snapshot((term, 50), voters(&[1, 2]))), refusal);
        }
        check_bytes(&mut node, flat(MessageKind::Snapshot as i32), Refusal::EmptySnapshot);
    }
    let make = |term| message(2, 1, term, Body::Snapshot(Arc::new(Snapshot::default())));
    check_term_rule(make, raftcore::RefusalKind::EmptySnapshot);
}

// Proposals and reads.

#[test]
fn a_proposal_without_entries() {
    for mut node in [follower(), candidate(), leader()] {
        check(&mut node, proposal(2, 1, &[]), Refusal::NoEntries);
    }
}

#[test]
fn a_read_without_exactly_one_context() {
    for mut node in [follower(), candidate(), leader()] {
        for kind in [MessageKind::ReadIndex, MessageKind::ReadIndexResponse] {
            let term = if kind == MessageKind::ReadIndex { 0 } else { 3 };
            for count in [0, 2, 5] {
                let entries = vec![wire::schema::Entry::default(); count];
                let forged = wire::schema::Message { term, entries, ..flat(kind as i32) };
                check_bytes(&mut node, forged, Refusal::BadReadRequest);
            }
        }
    }
}

// And all of it again in numbers that look honest.

#[test]
fn no_message_of_any_kind_with_extreme_numbers_harms_a_node() {
    let numbers = [0, 1, 2, 3, 4, 5, 9, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX - 1, u64::MAX];
    let mut random = 1u64;
    let mut pick = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        numbers[(random >> 33) as usize % numbers.len()]
    };
    for _ in 0..200 {
        for mut node in [follower(), candidate(), leader()] {
            for kind in 0..MessageKind::COUNT as i32 {
                let entry =
                    wire::schema::Entry { term: pick(), index: pick(), ..Default::default() };
                let forged = wire::schema::Message {
                    from: 2 + pick() % 2,
                    term: pick(),
                    log_term: pick(),
                    index: pick(),
                    commit: pick(),
                    reject: pick() % 2 == 0,
                    reject_hint: pick(),
                    entries: vec![entry; (pick() % 3) as usize],
                    ..flat(kind)
                };
                let _ = node.step_encoded(oracle::encode(&forged));
                let ready = node.ready();
                assert!(ready.is_ok() && node.fault().is_none(), "{forged:?}: {ready:?}");
                if let Some(ready) = ready.unwrap() {
                    node.handle(ready);
                }
                node.tick().unwrap();
            }
        }
    }
}

/// Whoever pretends to lead can overwrite entries while they are on their way to the disk, and then
/// bring them back. They are durable when that write is done: nobody writes them a second time.
#[test]
fn entries_that_come_back_while_they_are_written_are_durable() {
    let mut node = follower();
    node.step(append(2, 1, 9, (3, 4), &[(3, 5), (3, 6)], 3)).unwrap();
    let ready = node.take_ready();
    node.step(append(2, 1, 9, (3, 4), &[(4, 5), (4, 6)], 3)).unwrap();
    node.step(append(2, 1, 9, (3, 4), &[(3, 5), (3, 6)], 3)).unwrap();
    node.handle(ready);
    let answers = node.take_ready();
    assert!(answers.entries.is_empty() && !answers.must_sync);
    node.handle(answers);
    assert!(!node.has_ready());
    assert_eq!(stored_terms(&node), [1, 1, 3, 3, 3, 3]);
}
