//! The wire once more, by a protobuf library: what ours is compared with, and how tests forge what
//! no sender of ours would write. Each field as in `schema`, with its number and type: a test holds
//! these to the `.proto` text.
#![allow(dead_code, reason = "several test programs include this, and use a part of it each")]

use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, skip_field};

use super::schema;

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Entry {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(uint64, tag = "2")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) index: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) data: Bytes,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct SnapshotMetadata {
    #[prost(message, optional, tag = "1")]
    pub(crate) conf_state: Option<ConfState>,
    #[prost(uint64, tag = "2")]
    pub(crate) index: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) term: u64,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Snapshot {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) data: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(crate) metadata: Option<SnapshotMetadata>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Message {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(uint64, tag = "2")]
    pub(crate) to: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) from: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) log_term: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) index: u64,
    #[prost(message, repeated, tag = "7")]
    pub(crate) entries: Vec<Entry>,
    #[prost(uint64, tag = "8")]
    pub(crate) commit: u64,
    #[prost(message, optional, tag = "9")]
    pub(crate) snapshot: Option<Snapshot>,
    #[prost(bool, tag = "10")]
    pub(crate) reject: bool,
    #[prost(uint64, tag = "11")]
    pub(crate) reject_hint: u64,
    #[prost(bytes = "bytes", tag = "12")]
    pub(crate) context: Bytes,
    #[prost(uint64, tag = "13")]
    pub(crate) vote: u64,
    #[prost(message, repeated, tag = "14")]
    pub(crate) responses: Vec<Self>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct HardState {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) vote: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) commit: u64,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct ConfState {
    #[prost(uint64, repeated, packed = "false", tag = "1")]
    pub(crate) voters: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "2")]
    pub(crate) learners: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    pub(crate) voters_outgoing: Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    pub(crate) learners_next: Vec<u64>,
    #[prost(bool, tag = "5")]
    pub(crate) auto_leave: bool,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct ConfChange {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(int32, tag = "2")]
    pub(crate) kind: i32,
    #[prost(uint64, tag = "3")]
    pub(crate) node_id: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) context: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct ConfChangeSingle {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(uint64, tag = "2")]
    pub(crate) node_id: u64,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct ConfChangeV2 {
    #[prost(int32, tag = "1")]
    pub(crate) transition: i32,
    #[prost(message, repeated, tag = "2")]
    pub(crate) changes: Vec<ConfChangeSingle>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) context: Bytes,
}

/// A message as a peer's bytes are read: `responses` are skipped like a field that nobody knows.
#[derive(Default)]
pub(crate) struct PeerMessage(Message);

impl prost::Message for PeerMessage {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        const RESPONSES: u32 = 14;
        match tag {
            RESPONSES => skip_field(wire_type, tag, buf, context),
            _ => self.0.merge_field(tag, wire_type, buf, context),
        }
    }

    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.0.encode_raw(buf);
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl From<PeerMessage> for schema::Message {
    fn from(PeerMessage(message): PeerMessage) -> Self {
        message.into()
    }
}

/// A message in the flat form as bytes.
pub(crate) fn encode(message: &schema::Message) -> Vec<u8> {
    prost::Message::encode_to_vec(&Message::from(message.clone()))
}

/// Both forms have the same fields, and this compiles only if they are all named.
macro_rules! convert {
    ($from:ty, $to:ty, { $($plain:ident)* } { $($optional:ident)* } { $($repeated:ident)* }) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                Self {
                    $($plain: from.$plain,)*
                    $($optional: from.$optional.map(Into::into),)*
                    $($repeated: from.$repeated.into_iter().map(Into::into).collect(),)*
                }
            }
        }
    };
    ($name:ident $fields:tt $optional:tt $repeated:tt) => {
        convert!(schema::$name, $name, $fields $optional $repeated);
        convert!($name, schema::$name, $fields $optional $repeated);
    };
}

convert!(Entry { kind term index data } {} {});
convert!(SnapshotMetadata { index term } { conf_state } {});
convert!(Snapshot { data } { metadata } {});
convert!(Message
    { kind to from term log_term index commit reject reject_hint context vote }
    { snapshot }
    { entries responses });
convert!(HardState { term vote commit } {} {});
convert!(ConfState { voters learners voters_outgoing learners_next auto_leave } {} {});
convert!(ConfChange { id kind node_id context } {} {});
convert!(ConfChangeSingle { kind node_id } {} {});
convert!(ConfChangeV2 { transition context } {} { changes });
