//! Bytes written by hand, so that field numbers and both presence styles do not rest on our own
//! encoder: what we write, and what etcd's raft up to 3.6 writes, which leaves no number out.

use bytes::Bytes;

use super::{hex, id};
use crate::entry::{Entries, Entry, EntryKind};
use crate::error::DecodeError;
use crate::ids::{Index, Position, Term};
use crate::membership::{
    AnyConfChange, ConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, Transition,
};
use crate::message::{Append, AppendResponse, Body, Message, Rejection, VoteRequest};
use crate::state::{ConfState, HardState, Snapshot};
use crate::wire::*;

#[test]
fn an_append_has_these_bytes() {
    let entry = |index, kind, data: &'static [u8]| Entry {
        term: Term(5),
        index: Index(index),
        kind,
        data: Bytes::from_static(data),
    };
    let entries = Entries::from(vec![
        entry(300, EntryKind::Normal, b"hi"),
        entry(301, EntryKind::ConfChangeV2, b""),
    ]);
    let prev = Position { term: Term(4), index: Index(299) };
    let body = Body::Append(Append { prev, entries, commit: Index(298) });
    let message = Message { to: id(2), from: id(1), term: Term(5), body };

    let only_what_is_set = hex("08 03 10 02 18 01 20 05   | type MsgApp, to, from, term
        28 04 30 ab 02                                    | logTerm, index
        3a 09  10 05 18 ac 02 22 02 68 69                 | an entry: term, index, data
        3a 07  08 02 10 05 18 ad 02                       | another: type, term, index
        40 aa 02                                          | commit");
    assert_eq!(encode(&message), only_what_is_set);
    assert_eq!(decode(only_what_is_set), Ok(message.clone()));

    let every_number = hex("08 03 10 02 18 01 20 05 28 04 30 ab 02
        3a 0b  08 00 10 05 18 ac 02 22 02 68 69
        3a 07  08 02 10 05 18 ad 02
        40 aa 02
        4a 0a  12 08  0a 02 28 00  10 00 18 00            | a snapshot with nothing in it
        50 00 58 00 68 00                                 | reject, rejectHint, vote");
    assert_eq!(decode(every_number), Ok(message));
}

#[test]
fn a_rejection_has_these_bytes() {
    let rejection = Some(Rejection { hint: Index(7), hint_term: Term(2) });
    let body = Body::AppendResponse(AppendResponse { index: Index(9), rejection });
    let message = Message { to: id(1), from: id(0x80), term: Term(3), body };
    let bytes = hex("08 04 10 01 18 80 01 20 03 28 02 30 09 50 01 58 07");
    assert_eq!(encode(&message), bytes);
    assert_eq!(decode(bytes), Ok(message));
}

#[test]
fn a_read_request_has_these_bytes() {
    let body = Body::ReadIndex { context: b"ctx".into() };
    let message = Message { to: id(1), from: id(2), term: Term(0), body };
    let bytes = hex("08 0f 10 01 18 02  3a 05 22 03 63 74 78");
    assert_eq!(encode(&message), bytes);
    assert_eq!(decode(bytes), Ok(message.clone()));
    let every_number = hex("08 0f 10 01 18 02 20 00 28 00 30 00
        3a 0b  08 00 10 00 18 00 22 03 63 74 78
        40 00 50 00 58 00 68 00");
    assert_eq!(decode(every_number), Ok(message));
}

#[test]
fn a_vote_at_the_leaders_order_has_these_bytes() {
    let last = Position { term: Term(1), index: Index(2) };
    let body = Body::Vote(VoteRequest { last, transfer: true });
    let message = Message { to: id(1), from: id(2), term: Term(3), body };
    let bytes = hex("08 05 10 01 18 02 20 03 28 01 30 02
        62 10 43 61 6d 70 61 69 67 6e 54 72 61 6e 73 66 65 72 | context CampaignTransfer");
    assert_eq!(encode(&message), bytes);
    assert_eq!(decode(bytes), Ok(message));
}

#[test]
fn a_snapshot_has_these_bytes_packed_or_not() {
    let snapshot = Snapshot {
        position: Position { term: Term(2), index: Index(11) },
        conf_state: ConfState {
            voters: vec![1, 300],
            learners: vec![3],
            voters_outgoing: vec![0, 2],
            learners_next: vec![2],
            auto_leave: true,
        },
        data: Bytes::from_static(b"s"),
    };
    let one_by_one = hex("0a 01 73  12 15                     | data, metadata
        0a 0f  08 01 08 ac 02 10 03 18 00 18 02 20 02 28 01   | conf_state
        10 0b 18 02                                           | index, term");
    assert_eq!(encode_snapshot(&snapshot), one_by_one);
    assert_eq!(decode_snapshot(one_by_one), Ok(snapshot.clone()));
    let packed = hex("0a 01 73  12 17
        0a 11  0a 03 01 ac 02  12 01 03  1a 02 00 02  22 01 02  28 01
        10 0b 18 02");
    assert_eq!(decode_snapshot(packed), Ok(snapshot));
}

#[test]
fn a_hard_state_has_these_bytes() {
    let state = HardState { term: Term(4), vote: None, commit: Index(9) };
    assert_eq!(encode_hard_state(&state), hex("08 04 18 09"));
    assert_eq!(decode_hard_state(hex("08 04 10 00 18 09")), Ok(state));
    assert_eq!(decode_hard_state(hex("10 ff ff ff ff ff ff ff ff ff 01")), {
        Err(DecodeError::BadAddress(u64::MAX))
    });
}

#[test]
fn membership_changes_have_these_bytes() {
    let check = |change: AnyConfChange, kind, bytes: &str, every_number: &str| {
        assert_eq!(encode_conf_change(&change), (kind, hex(bytes)));
        for data in [hex(bytes), hex(every_number)] {
            let entry = Entry { kind, data, ..Entry::default() };
            assert_eq!(decode_conf_change(&entry), Ok(Some(change.clone())));
        }
    };
    let one = ConfChange { kind: ConfChangeKind::AddLearner, node: 4, ..Default::default() };
    let v1 = EntryKind::ConfChange;
    check(AnyConfChange::One(one), v1, "10 03 18 04", "08 00 10 03 18 04 22 00");
    check(AnyConfChange::One(ConfChange::default()), v1, "", "08 00 10 00 18 00");
    let v2 = EntryKind::ConfChangeV2;
    let two = ConfChangeV2 {
        transition: Transition::JointExplicit,
        changes: vec![
            ConfChangeSingle { kind: ConfChangeKind::AddVoter, node: 2 },
            ConfChangeSingle { kind: ConfChangeKind::Remove, node: 0 },
        ],
        context: Bytes::from_static(b"x"),
    };
    check(
        AnyConfChange::Many(two),
        v2,
        "08 02  12 02 10 02  12 02 08 01  1a 01 78",
        "08 02  12 04 08 00 10 02  12 04 08 01 10 00  1a 01 78",
    );
    check(AnyConfChange::Many(ConfChangeV2::leave_joint()), v2, "", "08 00");
    assert_eq!(decode_conf_change(&Entry::default()), Ok(None));
}
