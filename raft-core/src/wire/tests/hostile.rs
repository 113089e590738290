//! What is refused, what is ignored, and noise: no input makes the decoder panic or swell.

use std::sync::Arc;

use bytes::Bytes;

use super::{Random, hex, oracle};
use crate::entry::{Entry, EntryKind};
use crate::error::{DecodeError, Refusal};
use crate::ids::{Index, NodeId};
use crate::message::{AppendResponse, Body, Message, MessageKind, VoteRequest};
use crate::state::Snapshot;
use crate::wire::*;

fn flat(kind: MessageKind) -> schema::Message {
    schema::Message { kind: kind as i32, to: 2, from: 1, term: 3, ..Default::default() }
}

#[track_caller]
fn check_refused(flat: schema::Message, expected: Refusal) {
    assert_eq!(decode(oracle::encode(&flat)), Err(expected.clone()));
    assert_eq!(Message::try_from(flat), Err(expected));
}

#[test]
fn local_and_unknown_kinds_are_refused() {
    for number in 0..MessageKind::COUNT as i32 {
        let kind = MessageKind::from_number(number).unwrap();
        let result = Message::try_from(flat(kind));
        assert_eq!(result == Err(Refusal::LocalKind(kind)), kind.is_local(), "{kind:?}");
    }
    for kind in [24, -1, i32::MAX] {
        let refusal = Refusal::Malformed(DecodeError::UnknownMessageKind(kind));
        check_refused(schema::Message { kind, ..flat(MessageKind::Append) }, refusal);
    }
    assert_eq!(decode(Bytes::new()), Err(Refusal::LocalKind(MessageKind::Hup)));
}

#[test]
fn addresses_that_no_member_can_have_are_refused() {
    for bad in [0, NodeId::APPEND_THREAD, NodeId::APPLY_THREAD] {
        let refusal = Refusal::Malformed(DecodeError::BadAddress(bad));
        for kind in [MessageKind::Append, MessageKind::Propose, MessageKind::ReadIndex] {
            check_refused(schema::Message { to: bad, ..flat(kind) }, refusal.clone());
            check_refused(schema::Message { from: bad, ..flat(kind) }, refusal.clone());
        }
    }
}

#[test]
fn a_read_carries_exactly_one_context() {
    for kind in [MessageKind::ReadIndex, MessageKind::ReadIndexResponse] {
        check_refused(flat(kind), Refusal::BadReadRequest);
        let entries = vec![schema::Entry::default(); 2];
        check_refused(schema::Message { entries, ..flat(kind) }, Refusal::BadReadRequest);
    }
}

#[test]
fn unknown_numbers_inside_are_refused() {
    let entries = vec![schema::Entry { kind: 3, ..Default::default() }];
    let refusal = Refusal::Malformed(DecodeError::UnknownEntryKind(3));
    check_refused(schema::Message { entries, ..flat(MessageKind::Append) }, refusal);
    assert_eq!(decode_entry(hex("08 03")), Err(DecodeError::UnknownEntryKind(3)));

    let check = |kind, data: &str, error| {
        let entry = Entry { kind, data: hex(data), ..Entry::default() };
        assert_eq!(decode_conf_change(&entry), Err(error));
    };
    check(EntryKind::ConfChange, "10 04", DecodeError::UnknownChangeKind(4));
    check(EntryKind::ConfChangeV2, "12 02 08 04", DecodeError::UnknownChangeKind(4));
    check(EntryKind::ConfChangeV2, "08 03", DecodeError::UnknownTransition(3));
}

#[test]
fn what_a_kind_does_not_use_is_ignored() {
    let heartbeat = schema::Message {
        entries: vec![schema::Entry { kind: 77, ..Default::default() }],
        snapshot: Some(schema::Snapshot::default()),
        reject: true,
        vote: 9,
        responses: vec![flat(MessageKind::Hup)],
        ..flat(MessageKind::Heartbeat)
    };
    let plain = Message::try_from(flat(MessageKind::Heartbeat));
    assert_eq!(decode(oracle::encode(&heartbeat)), plain);
    assert_eq!(Message::try_from(heartbeat), plain);

    let context = Bytes::from_static(b"CampaignElection");
    let vote = Message::try_from(schema::Message { context, ..flat(MessageKind::Vote) });
    let VoteRequest { transfer, .. } = match vote.unwrap().body {
        Body::Vote(request) => request,
        other => panic!("not a vote: {other:?}"),
    };
    assert!(!transfer);
    let accepted =
        schema::Message { reject_hint: 4, log_term: 2, ..flat(MessageKind::AppendResponse) };
    let body = Body::AppendResponse(AppendResponse { index: Index(0), rejection: None });
    assert_eq!(Message::try_from(accepted).unwrap().body, body);
}

#[test]
fn a_snapshot_message_without_one_is_left_to_the_node() {
    let empty = Body::Snapshot(Arc::new(Snapshot::default()));
    assert_eq!(Message::try_from(flat(MessageKind::Snapshot)).unwrap().body, empty);
}

#[test]
fn a_message_cut_anywhere_is_another_message_or_none() {
    let mut random = Random(4);
    for _ in 0..20 {
        for message in random.messages() {
            let bytes = encode(&message);
            for end in 0..bytes.len() {
                assert_ne!(decode(bytes.slice(..end)), Ok(message.clone()), "cut at {end}");
            }
        }
    }
}

/// Feeds bytes to everything that decodes; what is believed must encode again.
fn feed(bytes: &Bytes) {
    if let Ok(message) = decode(bytes.clone()) {
        assert_eq!(decode(encode(&message)), Ok(message), "{bytes:?}");
    }
    if let Ok(message) = <oracle::Message as prost::Message>::decode(bytes.clone()) {
        let _ = crate::describe::message(&message.into());
    }
    if let Ok(entry) = decode_entry(bytes.clone()) {
        assert_eq!(encode_entry(&entry).len() as u64, entry.encoded_bytes(), "{bytes:?}");
    }
    if let Ok(snapshot) = decode_snapshot(bytes.clone()) {
        assert_eq!(decode_snapshot(encode_snapshot(&snapshot)), Ok(snapshot), "{bytes:?}");
    }
    let _ = decode_hard_state(bytes.clone());
    let _ = decode_conf_state(bytes.clone());
    for kind in [EntryKind::ConfChange, EntryKind::ConfChangeV2] {
        let entry = Entry { kind, data: bytes.clone(), ..Entry::default() };
        let _ = decode_conf_change(&entry);
        let _ = crate::describe::entry(&entry);
    }
}

#[test]
fn noise_never_panics() {
    let mut random = Random(5);
    for _ in 0..20_000 {
        let len = random.below(40);
        feed(&(0..len).map(|_| random.bits() as u8).collect());
    }
}

#[test]
fn damaged_messages_never_panic() {
    let mut random = Random(6);
    for _ in 0..300 {
        for message in random.messages() {
            let mut bytes = encode(&message).to_vec();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len() as u64) as usize;
                match random.below(3) {
                    0 => bytes[at] = random.bits() as u8,
                    1 => bytes.insert(at, random.bits() as u8),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            feed(&bytes.into());
        }
    }
}

#[test]
fn a_length_that_is_a_lie_reserves_nothing() {
    // Each claims 2^35 bytes of context, entry, snapshot, packed voters.
    for lie in ["62", "3a", "4a"] {
        let bytes = hex(&format!("08 08 10 02 18 01 {lie} 80 80 80 80 80 01 00"));
        assert!(matches!(decode(bytes), Err(Refusal::Malformed(DecodeError::Invalid(_)))));
    }
    assert!(decode_conf_state(hex("0a 80 80 80 80 80 01 00")).is_err());
}

#[test]
fn responses_of_a_peer_are_skipped_however_many_or_deep() {
    let message = hex("08 08 10 02 18 01");
    let plain = decode(message.clone()).unwrap();
    let many = [&message[..], &[0x72, 0].repeat(100_000)].concat();
    assert_eq!(decode(many), Ok(plain.clone()));
    let deep =
        (0..20).fold(Vec::new(), |inner, _| [&[0x72, inner.len() as u8], &inner[..]].concat());
    assert_eq!(decode([&message[..], &deep].concat()), Ok(plain));
    // Groups are a way to nest without lengths: the depth is limited, not the stack's to bear.
    let groups = [&message[..], &[0x73].repeat(100_000)].concat();
    assert!(matches!(decode(groups), Err(Refusal::Malformed(_))));
}
