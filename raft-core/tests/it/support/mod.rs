//! What the stories are told with: a [`Member`] that does what its node says, a [`Group`] of them
//! with a network that can be cut, words for messages, and a storage that fails on demand.
//!
//! Nothing here is random: a message is delivered in the order in which it was sent.

mod faulty;
mod group;
mod member;
mod words;

pub(crate) use faulty::{Call, FaultyStorage, Lie, failure};
pub(crate) use group::Group;
pub(crate) use member::{Member, plain_config};
pub(crate) use words::*;
