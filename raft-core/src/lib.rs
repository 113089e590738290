//! The consensus core of a replicated system: Raft as a deterministic state machine, without I/O,
//! clock or threads, wire-compatible with etcd's raft.
//!
//! The application brings its storage and its network. It makes a [`Node`], tells it what
//! happens, and does what it says:
//!
//! ```
//! use raftcore::{ConfState, Config, MemoryStorage, Node};
//!
//! // A group of one, so that the example needs no network.
//! let storage = MemoryStorage::with_conf_state(ConfState::with_voters([1]));
//! let mut node = Node::new(&Config::new(1, 42), storage)?;
//! node.campaign()?;
//! let mut applied = Vec::new();
//! let mut proposed = false;
//! while let Some(ready) = node.ready()? {
//!     // 1. Send `ready.messages`: they may leave before anything is on disk.
//!     // 2. Write the snapshot, entries and hard state to your disk; here memory must do.
//!     node.storage_mut().persist(&ready)?;
//!     // 3. Send `ready.messages_after_sync`.
//!     // 4. Apply what is committed.
//!     for entry in ready.committed.iter() {
//!         if entry.is_conf_change() {
//!             node.apply_conf_change_entry(entry)?;
//!         } else if !entry.data.is_empty() {
//!             applied.push(entry.data.clone());
//!         }
//!     }
//!     // 5. Go on.
//!     node.advance(ready)?;
//!     if !proposed && node.soft_state().leader == Some(node.id()) {
//!         node.propose("hello")?;
//!         proposed = true;
//!     }
//! }
//! assert_eq!(applied, ["hello"]);
//! # Ok::<(), raftcore::Error>(())
//! ```
//!
//! **The one contract**: whatever a Ready says is done before it is advanced, in the order it
//! says; what waits for the disk is not sent before the disk has it. Everything else, wrong or
//! hostile, is answered with an [`Error`] that says whose fault it was.
//!
//! # The rooms
//!
//! A message comes in through `wire` and `step`; the role decides, in `election`, `replication`,
//! `snapshot`, `proposal`, `reconfiguration`, `read_index` or `transfer`; it leaves through
//! [`Ready`]. [`quorum`], [`membership`] and [`progress`] are pure arithmetic that knows no node.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::panic,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "a test is a story told in one go"))]

mod config;
mod context;
mod core;
pub mod describe;
mod election;
mod entry;
mod error;
mod event;
mod ids;
mod invariants;
mod log;
pub mod membership;
mod message;
mod metrics;
mod node;
mod outbox;
pub mod progress;
mod proposal;
pub mod quorum;
mod read_index;
mod ready;
mod reconfiguration;
mod replication;
mod role;
mod snapshot;
mod state;
mod status;
mod step;
mod transfer;
pub mod wire;
mod work;

pub use crate::config::{Config, ReadOnly};
pub use crate::context::Context;
pub use crate::core::Observer;
pub use crate::entry::{Entries, Entry, EntryKind};
pub use crate::error::{
    BadConfChange, ConfigError, DecodeError, DropReason, Error, Fault, Misuse, Refusal,
    RefusalKind, ReplaceReason, StorageError,
};
pub use crate::event::{Event, Level};
pub use crate::ids::{Index, NodeId, Position, Term};
pub use crate::log::{MemoryStorage, Storage};
pub use crate::membership::{
    AnyConfChange, ConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, Membership,
    Transition,
};
pub use crate::message::{
    Append, AppendResponse, Body, Heartbeat, Message, MessageKind, Rejection, VoteRequest,
    VoteResponse,
};
pub use crate::metrics::{Metrics, RareMetrics};
pub use crate::node::Node;
pub use crate::progress::{Limits, Progress};
pub use crate::proposal::{ConfChangeOutcome, Proposed};
pub use crate::ready::{LocalResponse, Ready, ReadyContents, Reply, StorageAppend, StorageApply};
pub use crate::reconfiguration::AppliedConfChange;
pub use crate::snapshot::SnapshotStatus;
pub use crate::state::{ConfState, HardState, Peer, ReadState, RoleKind, Snapshot, SoftState};
pub use crate::status::{BasicStatus, PeerStatus, Status};
