//! The wire held against itself, what goes out comes back, and against a protobuf library, the
//! `oracle`: the same bytes out, the same values in (`compare`). Bytes written by hand are in
//! `golden`, noise and refusals in `hostile`, and `proto` holds the oracle to the `.proto` text.

mod compare;
mod golden;
mod hostile;
mod oracle;
mod proto;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::context::Context;
use crate::entry::{Entries, Entry, EntryKind};
use crate::ids::{Index, NodeId, Position, Term};
use crate::membership::{
    AnyConfChange, ConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, Transition,
};
use crate::message::{
    Append, AppendResponse, Body, Heartbeat, Message, Rejection, VoteRequest, VoteResponse,
};
use crate::state::{ConfState, HardState, Snapshot};

/// A seeded source of values (SplitMix64), with a taste for the edges of every varint length.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => (1u64 << self.below(64)).wrapping_sub(self.below(2)),
            _ => self.bits() >> self.below(64),
        }
    }

    fn bool(&mut self) -> bool {
        self.below(2) == 1
    }

    fn bytes(&mut self) -> Bytes {
        let len = [0, 1, 16, 127, 128, 300][self.below(6) as usize];
        (0..len).map(|_| self.bits() as u8).collect()
    }

    fn context(&mut self) -> Context {
        let len = [0, 1, 8, 15, 16, 17, 24, 25, 300][self.below(9) as usize];
        (0..len).map(|_| self.bits() as u8).collect::<Vec<_>>().into()
    }

    fn id(&mut self) -> NodeId {
        NodeId::new(self.number()).unwrap_or(NodeId::new(1).unwrap())
    }

    fn position(&mut self) -> Position {
        Position { term: Term(self.number()), index: Index(self.number()) }
    }

    fn entry(&mut self) -> Entry {
        let kinds = [EntryKind::Normal, EntryKind::ConfChange, EntryKind::ConfChangeV2];
        let Position { term, index } = self.position();
        Entry { term, index, kind: kinds[self.below(3) as usize], data: self.bytes() }
    }

    /// Entries in up to three blocks.
    fn entries(&mut self) -> Entries {
        let mut list = Entries::new();
        for _ in 0..self.below(4) {
            list.append((0..self.below(4)).map(|_| self.entry()).collect());
        }
        list
    }

    fn ids(&mut self) -> Vec<u64> {
        (0..self.below(4)).map(|_| self.number()).collect()
    }

    fn conf_state(&mut self) -> ConfState {
        ConfState {
            voters: self.ids(),
            learners: self.ids(),
            voters_outgoing: self.ids(),
            learners_next: self.ids(),
            auto_leave: self.bool(),
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let position = self.position();
        Snapshot { position, conf_state: self.conf_state(), data: self.bytes() }
    }

    fn vote(&mut self) -> VoteRequest {
        VoteRequest { last: self.position(), transfer: self.bool() }
    }

    fn append_response(&mut self) -> AppendResponse {
        let Position { term: hint_term, index: hint } = self.position();
        let rejection = self.bool().then_some(Rejection { hint, hint_term });
        AppendResponse { index: Index(self.number()), rejection }
    }

    /// One body of every kind that travels.
    fn bodies(&mut self) -> Vec<Body> {
        let context = self.context();
        vec![
            Body::Propose(self.entries()),
            Body::Append(Append {
                prev: self.position(),
                entries: self.entries(),
                commit: Index(self.number()),
            }),
            Body::AppendResponse(self.append_response()),
            Body::Vote(self.vote()),
            Body::VoteResponse(VoteResponse { rejected: self.bool() }),
            Body::PreVote(self.vote()),
            Body::PreVoteResponse(VoteResponse { rejected: self.bool() }),
            Body::Snapshot(Arc::new(self.snapshot())),
            Body::Heartbeat(Heartbeat { commit: Index(self.number()), context: self.context() }),
            Body::HeartbeatResponse { context: self.context() },
            Body::TransferLeader,
            Body::TimeoutNow,
            Body::ReadIndex { context: context.clone() },
            Body::ReadIndexResponse { index: Index(self.number()), context },
        ]
    }

    fn messages(&mut self) -> Vec<Message> {
        let (to, from, term) = (self.id(), self.id(), Term(self.number()));
        self.bodies().into_iter().map(|body| Message { to, from, term, body }).collect()
    }

    fn conf_change(&mut self) -> AnyConfChange {
        use ConfChangeKind::{AddLearner, AddVoter, Remove, Update};
        use Transition::{Auto, JointExplicit, JointImplicit};
        let kinds = [AddVoter, Remove, Update, AddLearner];
        let mut step = || {
            let kind = kinds[self.below(4) as usize];
            ConfChangeSingle { kind, node: self.number() }
        };
        let changes = [step(), step(), step()];
        let ConfChangeSingle { kind, node } = step();
        if self.bool() {
            return AnyConfChange::One(ConfChange {
                id: self.number(),
                kind,
                node,
                context: self.bytes(),
            });
        }
        let transition = [Auto, JointImplicit, JointExplicit][self.below(3) as usize];
        let changes = changes[..self.below(4) as usize].to_vec();
        AnyConfChange::Many(ConfChangeV2 { transition, changes, context: self.bytes() })
    }
}

fn id(number: u64) -> NodeId {
    NodeId::new(number).unwrap()
}

/// Bytes written by hand: hexadecimal digits, and whatever else explains them after a `|`.
fn hex(lines: &str) -> Bytes {
    let digits = lines.lines().flat_map(|line| line.split('|').next().unwrap().split_whitespace());
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn every_kind_of_message_comes_back() {
    let mut random = Random(1);
    for round in 0..500 {
        for message in random.messages() {
            let bytes = encode(&message);
            assert_eq!(decode(bytes.clone()), Ok(message.clone()), "round {round}");
            let flat = schema::Message::from(&message);
            assert_eq!(oracle::encode(&flat), bytes, "round {round}: {message:?}");
            assert_eq!(encoded_len(&message), bytes.len(), "round {round}: {message:?}");
            assert_eq!(Message::try_from(flat), Ok(message), "round {round}");
        }
    }
}

#[test]
fn stored_values_come_back() {
    let mut random = Random(2);
    for _ in 0..500 {
        let entry = random.entry();
        assert_eq!(decode_entry(encode_entry(&entry)), Ok(entry));

        let snapshot = random.snapshot();
        assert_eq!(decode_snapshot(encode_snapshot(&snapshot)), Ok(snapshot));
        let members = random.conf_state();
        assert_eq!(decode_conf_state(encode_conf_state(&members)), Ok(members));
        let vote = random.bool().then(|| random.id());
        let Position { term, index: commit } = random.position();
        let state = HardState { term, vote, commit };
        assert_eq!(decode_hard_state(encode_hard_state(&state)), Ok(state));

        let change = random.conf_change();
        let (kind, data) = encode_conf_change(&change);
        let entry = Entry { kind, data, ..Entry::default() };
        assert_eq!(decode_conf_change(&entry), Ok(Some(change)));
    }
}

#[test]
fn a_message_is_appended_behind_what_the_transport_wrote() {
    let message = Random(3).messages().swap_remove(1);
    let mut out = BytesMut::from(&b"length"[..]);
    encode_into(&message, &mut out);
    assert_eq!(&out[..6], b"length");
    assert_eq!(out[6..], encode(&message));
}

#[test]
fn encoded_bytes_of_an_entry_is_the_length_of_its_encoding() {
    let mut numbers: Vec<u64> = (0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit]).collect();
    numbers.push(u64::MAX);
    let lengths = [0, 1, 127, 128, 16_383, 16_384];
    for (at, &number) in numbers.iter().enumerate() {
        for kind in [EntryKind::Normal, EntryKind::ConfChangeV2] {
            let data = vec![7; lengths[at % lengths.len()]].into();
            let index = Index(numbers[numbers.len() - 1 - at]);
            let entry = Entry { term: Term(number), index, kind, data };
            let len = encode_entry(&entry).len() as u64;
            assert_eq!(entry.encoded_bytes(), len, "term {number}, index {index}");
        }
    }
}

#[test]
fn payloads_are_slices_of_the_message() {
    let data = Bytes::from(vec![5; 1000]);
    let entries = Entries::from(vec![Entry { data, ..Entry::default() }]);
    let message = Message { to: id(1), from: id(2), term: Term(0), body: Body::Propose(entries) };
    let bytes = encode(&message);
    let Ok(Message { body: Body::Propose(entries), .. }) = decode(bytes.clone()) else {
        panic!("not a proposal");
    };
    let data = &entries.first().unwrap().data;
    assert!(bytes.as_ptr_range().contains(&data.as_ptr()));
}
