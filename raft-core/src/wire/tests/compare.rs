//! Our encoder and decoder beside a protobuf library's: byte for byte, and value for value, whether
//! the bytes are honest, damaged, or put together by someone who knows protobuf better than Raft.

use std::fmt::Debug;

use bytes::Bytes;
use prost::Message as _;

use super::{Random, hex, oracle};
use crate::entry::{Entry, EntryKind};
use crate::error::{DecodeError, Refusal};
use crate::ids::{Position, Term};
use crate::membership::{AnyConfChange, ConfChange, ConfChangeV2};
use crate::message::{Append, Body, Message};
use crate::state::{ConfState, HardState, Snapshot};
use crate::wire::*;

/// The oracle's answer: its flat form, and from there as for any program that hands that in.
fn theirs<O, F, T>(bytes: &Bytes) -> Result<T, DecodeError>
where
    O: prost::Message + Default,
    F: From<O>,
    T: TryFrom<F>,
    DecodeError: From<T::Error>,
{
    let flat = O::decode(bytes.clone()).map_err(|error| DecodeError::Invalid(error.to_string()))?;
    Ok(T::try_from(flat.into())?)
}

impl From<std::convert::Infallible> for DecodeError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// The same value, or both refuse and for the same reason; in which words is our own business.
#[track_caller]
fn check<T: PartialEq + Debug>(
    ours: Result<T, DecodeError>,
    theirs: Result<T, DecodeError>,
    bytes: &Bytes,
) {
    match (&ours, &theirs) {
        (Err(DecodeError::Invalid(_)), Err(DecodeError::Invalid(_))) => {}
        _ => assert_eq!(ours, theirs, "{bytes:02x?}"),
    }
}

/// Both read these bytes as everything that there is to read. Returns whether they are a message.
fn compare(bytes: &Bytes) -> bool {
    let flat = oracle::PeerMessage::decode(bytes.clone());
    let theirs_message = match flat {
        Ok(flat) => Message::try_from(schema::Message::from(flat)),
        Err(error) => Err(Refusal::Malformed(DecodeError::Invalid(error.to_string()))),
    };
    let ours_message = decode(bytes.clone());
    let is_message = ours_message.is_ok();
    match (ours_message, theirs_message) {
        (Err(Refusal::Malformed(ours)), Err(Refusal::Malformed(theirs))) => {
            check::<()>(Err(ours), Err(theirs), bytes);
        }
        (ours, theirs) => assert_eq!(ours, theirs, "{bytes:02x?}"),
    }
    check(decode_entry(bytes.clone()), theirs::<oracle::Entry, schema::Entry, Entry>(bytes), bytes);
    check(
        decode_snapshot(bytes.clone()),
        theirs::<oracle::Snapshot, schema::Snapshot, Snapshot>(bytes),
        bytes,
    );
    check(
        decode_hard_state(bytes.clone()),
        theirs::<oracle::HardState, schema::HardState, HardState>(bytes),
        bytes,
    );
    check(
        decode_conf_state(bytes.clone()),
        theirs::<oracle::ConfState, schema::ConfState, ConfState>(bytes),
        bytes,
    );
    let change = |kind| {
        let change = decode_conf_change(&Entry { kind, data: bytes.clone(), ..Entry::default() });
        change.map(Option::unwrap)
    };
    let one = theirs::<oracle::ConfChange, schema::ConfChange, ConfChange>(bytes);
    check(change(EntryKind::ConfChange), one.map(AnyConfChange::One), bytes);
    let many = theirs::<oracle::ConfChangeV2, schema::ConfChangeV2, ConfChangeV2>(bytes);
    check(change(EntryKind::ConfChangeV2), many.map(AnyConfChange::Many), bytes);
    is_message
}

impl Random {
    /// A number in as many bytes as it needs, or more, or too many.
    fn varint(&mut self, out: &mut Vec<u8>) {
        let mut number = match self.below(4) {
            0 => self.below(4),
            _ => self.number(),
        };
        let padding = [0, 0, 0, 0, 0, 0, 1, 3, 9, 11][self.below(10) as usize];
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        if padding == 0 {
            out.push(number as u8);
        } else {
            out.push(number as u8 | 0x80);
            out.extend((1..padding).map(|_| 0x80));
            out.push(0);
        }
    }

    /// Fields in any order: known numbers and unknown ones, of the right type mostly.
    fn fields(&mut self, depth: u32) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.below(7) {
            let tag = if self.below(8) == 0 { self.below(2047) } else { 1 + self.below(15) };
            let kind = match self.below(20) {
                odd @ 0..8 => odd,
                _ if [7, 9, 12, 14].contains(&tag) || self.below(5) == 0 => 2,
                _ => 0,
            };
            let key = tag << 3 | kind;
            put_short_varint(&mut out, key);
            match kind {
                0 => self.varint(&mut out),
                1 => out.extend(self.bits().to_le_bytes()),
                2 => {
                    let inner = match self.below(3) {
                        _ if depth == 0 => self.bytes().to_vec(),
                        0 => self.bytes().to_vec(),
                        _ => self.fields(depth - 1),
                    };
                    let lie = if self.below(20) == 0 { self.below(3) } else { 1 };
                    let len = (inner.len() as u64 + lie).saturating_sub(1);
                    put_short_varint(&mut out, len);
                    out.extend(inner);
                }
                3 => {
                    out.extend(self.fields(depth.saturating_sub(1)));
                    put_short_varint(&mut out, tag << 3 | 4);
                }
                5 => out.extend(&self.bits().to_le_bytes()[..4]),
                _ => {}
            }
        }
        out
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() as u64 + 1) as usize;
            match self.below(4) {
                0 if at < bytes.len() => bytes[at] = self.bits() as u8,
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 => bytes.insert(at, self.bits() as u8),
                _ => bytes.truncate(at),
            }
        }
    }
}

#[test]
fn honest_and_damaged_bytes_mean_the_same_to_both() {
    let mut random = Random(7);
    let mut messages = 0;
    for _ in 0..300 {
        for message in random.messages() {
            let bytes = encode(&message);
            assert!(compare(&bytes), "{message:?}");
            let mut damaged = bytes.to_vec();
            random.damage(&mut damaged);
            messages += u32::from(compare(&damaged.into()));
            // What another program adds is skipped by both, or refused by both.
            let more = [&bytes[..], &random.fields(2)].concat();
            messages += u32::from(compare(&more.into()));
            let before = [&random.fields(1)[..], &bytes].concat();
            messages += u32::from(compare(&before.into()));
        }
    }
    assert!(messages > 3000, "only {messages} were messages after all");
}

#[test]
fn fields_of_all_kinds_mean_the_same_to_both() {
    let mut random = Random(8);
    let mut messages = 0;
    for _ in 0..20_000 {
        let mut bytes = random.fields(3);
        if random.below(2) == 0 {
            // An envelope that is one, so that what follows counts.
            bytes.splice(..0, [0x08, 2 + random.below(17) as u8, 0x10, 2, 0x18, 1, 0x20, 3]);
        }
        messages += u32::from(compare(&bytes.into()));
    }
    assert!(messages > 1000, "only {messages} were messages after all");
}

#[test]
fn stored_values_have_the_bytes_of_the_oracle() {
    let mut random = Random(9);
    for _ in 0..500 {
        let entry = random.entry();
        let flat = oracle::Entry::from(schema::Entry::from(&entry));
        assert_eq!(encode_entry(&entry), flat.encode_to_vec());
        let snapshot = random.snapshot();
        let flat = oracle::Snapshot::from(schema::Snapshot::from(&snapshot));
        assert_eq!(encode_snapshot(&snapshot), flat.encode_to_vec());
        let members = random.conf_state();
        let flat = oracle::ConfState::from(schema::ConfState::from(&members));
        assert_eq!(encode_conf_state(&members), flat.encode_to_vec());
        let Position { term, index: commit } = random.position();
        let state = HardState { term, vote: Some(random.id()), commit };
        let flat = oracle::HardState::from(schema::HardState::from(&state));
        assert_eq!(encode_hard_state(&state), flat.encode_to_vec());
        let flat = match random.conf_change() {
            AnyConfChange::One(change) => {
                let flat = oracle::ConfChange::from(schema::ConfChange::from(&change));
                (encode_conf_change(&change.into()).1, flat.encode_to_vec())
            }
            AnyConfChange::Many(change) => {
                let flat = oracle::ConfChangeV2::from(schema::ConfChangeV2::from(&change));
                (encode_conf_change(&change.into()).1, flat.encode_to_vec())
            }
        };
        assert_eq!(flat.0, flat.1);
    }
}

/// Every place at which the encoder changes its way: the lengths of numbers, entries without data,
/// and how much room is left behind a payload.
#[test]
fn payloads_of_every_length_have_the_bytes_of_the_oracle() {
    let mut random = Random(10);
    let lengths = (0..300).chain([16_383, 16_384, 70_000, 2_097_151, 2_097_152]);
    for len in lengths {
        let data = Bytes::from(vec![5; len]);
        let entry = |data| Entry { data, term: Term(random.number()), ..random.entry() };
        let entries = [Bytes::new(), data.clone(), data].map(entry).into_iter().collect();
        let prev = random.position();
        let body = Body::Append(Append { prev, entries, commit: prev.index });
        let message = Message { to: random.id(), from: random.id(), term: Term(1), body };
        let bytes = encode(&message);
        assert_eq!(bytes, oracle::encode(&schema::Message::from(&message)), "{len}");
        assert_eq!(decode(bytes), Ok(message), "{len}");
    }
}

#[test]
fn groups_may_nest_as_deep_for_both() {
    for depth in 95..105 {
        let group = [[0x7b].repeat(depth), [0x7c].repeat(depth)].concat();
        compare(&[&hex("08 08 10 02 18 01")[..], &group].concat().into());
        // The same inside an entry, inside a snapshot, and inside its metadata.
        let nested = |key: u8, inner: &[u8]| {
            let len = [inner.len() as u8 | 0x80, (inner.len() >> 7) as u8];
            [&[key], &len[..], inner].concat()
        };
        compare(&nested(0x3a, &group).into());
        let metadata = nested(0x12, &group);
        compare(&nested(0x4a, &metadata).into());
        compare(&nested(0x12, &nested(0x0a, &group)).into());
    }
}

fn put_short_varint(out: &mut Vec<u8>, number: u64) {
    if number < 0x80 {
        out.push(number as u8);
    } else {
        out.extend([number as u8 | 0x80, (number >> 7) as u8]);
    }
}
