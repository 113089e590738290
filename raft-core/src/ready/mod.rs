//! What a node asks of its application, in one package: what to persist, send and apply.
//!
//! The package is made in `node.rs`. This room holds its form; `async_writes` holds the other form,
//! for applications that persist and apply in threads of their own, and `effect` what follows when
//! the work is done.

mod async_writes;
mod effect;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

pub(crate) use async_writes::LocalKind;
pub use async_writes::{LocalResponse, Reply, StorageAppend, StorageApply};
pub(crate) use effect::Applied;

use crate::describe;
use crate::entry::Entries;
use crate::message::Message;
use crate::state::{HardState, ReadState, Snapshot, SoftState};
use crate::wire::schema;

/// What to do now. Owned, so it stays valid while the application works; given back to the node
/// by [`advance`](crate::Node::advance), which reuses its buffers.
///
/// In this order, each step only when there is something to do:
///
/// 1. send `messages`: these may leave before anything is on disk (a leader's appends);
/// 2. write `snapshot`, `entries` and `hard_state` to stable storage, atomically, and sync if
///    `must_sync`: half of it is worth nothing after a crash, so a log on disk needs a mark by
///    which a torn write is told and dropped;
/// 3. send `messages_after_sync`: these claim that step 2 is durable;
/// 4. restore the application from `snapshot`, apply `committed` in order, and call
///    [`apply_conf_change`](crate::Node::apply_conf_change) for each membership change in it;
/// 5. answer the reads in `read_states` whose index is applied;
/// 6. [`advance`](crate::Node::advance).
///
/// It is a handle of one word: a loop hands it around a million times a second. What it says are
/// the fields of [`ReadyContents`], reached through it: `ready.messages`.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Ready(Box<ReadyContents>);

/// What a [`Ready`] says. Take its messages out by `drain(..)`, so that the buffers are reused.
#[derive(Clone, PartialEq, Default, Debug)]
#[non_exhaustive]
pub struct ReadyContents {
    /// Which Ready of this node it is, counted from one; zero while it says nothing.
    pub(crate) number: u64,
    /// The leader or role changed. For information: nothing to persist.
    pub soft_state: Option<SoftState>,
    /// To be persisted.
    pub hard_state: Option<HardState>,
    /// Reads that can be answered once their index is applied.
    pub read_states: Vec<ReadState>,
    /// Entries to persist. They replace what the storage has from their first index on.
    pub entries: Entries,
    /// A snapshot to persist and to restore the application from. It replaces the whole log.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Entries to apply, in order. All of them are committed; none is handed out twice.
    pub committed: Entries,
    /// Messages that may leave at once.
    pub messages: Vec<Message>,
    /// Messages that may leave only when the hard state, snapshot and entries of this Ready are
    /// durable. Empty with asynchronous storage writes: there the append carries them.
    pub messages_after_sync: Vec<Message>,
    /// Whether step 2 must reach the disk before step 3. When false, a write without sync is
    /// enough: what would be lost is learned again.
    pub must_sync: bool,
    /// Whether that is so even without the snapshot: what the text form shows, because upstream
    /// leaves it unsaid that a snapshot is synced always.
    pub(crate) must_sync_log: bool,
    /// Only with asynchronous storage writes: work for the append thread.
    pub append: Option<StorageAppend>,
    /// Only with asynchronous storage writes: work for the apply thread.
    pub apply: Option<StorageApply>,
}

impl Deref for Ready {
    type Target = ReadyContents;

    fn deref(&self) -> &ReadyContents {
        &self.0
    }
}

impl DerefMut for Ready {
    fn deref_mut(&mut self) -> &mut ReadyContents {
        &mut self.0
    }
}

impl Ready {
    /// The first one of a node, with room for one message. Once there is one, it is used again
    /// and again.
    #[cold]
    pub(crate) fn fresh() -> Self {
        Self(Box::new(ReadyContents {
            messages: Vec::with_capacity(1),
            messages_after_sync: Vec::with_capacity(1),
            ..ReadyContents::default()
        }))
    }

    /// Empties it for the next use; the buffers stay.
    #[inline]
    pub(crate) fn clear(&mut self) {
        let contents = &mut *self.0;
        contents.number = 0;
        contents.soft_state = None;
        contents.hard_state = None;
        contents.entries.clear();
        contents.committed.clear();
        if !contents.read_states.is_empty() || contents.snapshot.is_some() {
            contents.clear_rare();
        }
        if contents.has_leftovers() {
            contents.clear_leftovers();
        }
    }
}

impl ReadyContents {
    #[inline(never)]
    fn clear_rare(&mut self) {
        self.read_states.clear();
        self.snapshot = None;
    }

    /// Whether the application did not take out what it sent, or put something in.
    #[inline]
    const fn has_leftovers(&self) -> bool {
        !self.messages.is_empty()
            || !self.messages_after_sync.is_empty()
            || self.append.is_some()
            || self.apply.is_some()
    }

    #[inline(never)]
    fn clear_leftovers(&mut self) {
        self.messages.clear();
        self.messages_after_sync.clear();
        self.append = None;
        self.apply = None;
    }

    /// Which Ready of its node this is, counted from one.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The text form that the scenarios use, with all messages in the order in which they would
    /// be sent.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut messages: Vec<schema::Message> =
            self.messages.iter().chain(&self.messages_after_sync).map(Into::into).collect();
        messages.extend(self.append.as_ref().map(StorageAppend::to_flat));
        messages.extend(self.apply.as_ref().map(StorageApply::to_flat));
        describe::ReadyParts {
            soft_state: self.soft_state.as_ref(),
            hard_state: self.hard_state.as_ref(),
            read_states: &self.read_states,
            entries: &self.entries,
            snapshot: self.snapshot.as_deref(),
            committed: &self.committed,
            messages: &messages,
            must_sync: self.must_sync_log,
        }
        .to_string()
    }
}
