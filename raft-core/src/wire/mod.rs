//! The edge where bytes become messages: the only place where bytes are believed or refused.
//!
//! Inside the crate every kind of message is a type of its own ([`crate::Message`]); on the wire
//! all kinds share one flat form ([`schema`]). [`decode`](decode()) and [`encode`](encode()) turn
//! one into the other, and the same is here for what a node keeps on disk: entries, snapshots,
//! hard state, membership and its changes.
//!
//! The rules of protobuf are in `fields`, for reading, and in `put`, for writing; messages and
//! entries in `decode` and `encode`, where speed counts; what else is stored in `stored`. A test
//! compares all of it with a protobuf library, byte for byte and value for value.
//!
//! What is refused here is what has no meaning at all: undecodable bytes, unknown kinds,
//! impossible addresses. Whether a message that has a meaning is *true* (gaps, terms, a membership
//! that no group could have) is not decided here: that takes a node, after its term rule.

mod decode;
mod encode;
mod fields;
mod put;
pub mod schema;
mod stored;
#[cfg(test)]
mod tests;

pub use decode::{
    decode, decode_conf_change, decode_conf_state, decode_entry, decode_hard_state, decode_snapshot,
};
pub use encode::{
    encode, encode_conf_change, encode_conf_state, encode_entry, encode_hard_state, encode_into,
    encode_snapshot, encoded_len,
};
pub(crate) use fields::Flaw;
pub(crate) use stored::{read_conf_change, read_conf_change_v2};

/// The context that marks a vote request as ordered by the leader that hands over.
const TRANSFER_CONTEXT: &[u8] = b"CampaignTransfer";
