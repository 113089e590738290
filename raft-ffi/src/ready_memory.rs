//! The memory that a Ready has on the C side: one set of arrays, refilled for each Ready, so that
//! the steady state allocates nothing.
//!
//! Every array is sized before a pointer into it is taken. The head of the Ready alternates
//! between two places, so that the pointer to the last one is known to be stale.

use std::ptr;

use bytes::BytesMut;
use raftcore::{Body, Entries, Message, Ready, wire};

use crate::config::{RAFTCORE_FORM_ENCODED, RAFTCORE_FORM_FIELDS};
use crate::entry::{raftcore_entries, raftcore_entry, raftcore_hard_state};
use crate::error::Failure;
use crate::message::{raftcore_message, raftcore_messages};
use crate::ready::{
    raftcore_read_state, raftcore_read_states, raftcore_ready, raftcore_soft_state,
};
use crate::slice::raftcore_slice;
use crate::snapshot::SnapshotView;
use crate::status::RAFTCORE_ERR_STALE_READY;

/// The memory of one node's Readies.
pub(crate) struct ReadyMemory {
    /// Which `RAFTCORE_FORM_` messages come in.
    forms: u32,
    heads: [Box<Head>; 2],
    /// Which head belongs to the Ready that is outstanding, or was last.
    current: usize,
    outstanding: Option<Ready>,
    persisted: bool,
    arrays: Arrays,
}

// SAFETY: the pointers lead into this value's own arrays and into the counted payloads of
// `outstanding`, which live as long as it does.
unsafe impl Send for ReadyMemory {}

/// What a `raftcore_ready` points to once, or not at all.
struct Head {
    ready: raftcore_ready,
    soft_state: raftcore_soft_state,
    hard_state: raftcore_hard_state,
    snapshot: SnapshotView,
}

/// What it points to many times.
#[derive(Default)]
struct Arrays {
    /// All entries: to persist, to apply, and in messages.
    entries: Vec<raftcore_entry>,
    read_states: Vec<raftcore_read_state>,
    messages: Vec<raftcore_message>,
    /// The snapshots in messages.
    snapshots: Vec<SnapshotView>,
    /// The encoded messages, one after the other.
    encoded: BytesMut,
    encoded_ends: Vec<usize>,
}

impl ReadyMemory {
    pub(crate) fn new(forms: u32) -> Self {
        let heads = [Box::new(Head::empty()), Box::new(Head::empty())];
        let arrays = Arrays::default();
        Self { forms, heads, current: 0, outstanding: None, persisted: false, arrays }
    }

    pub(crate) const fn is_outstanding(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Whether the outstanding Ready was put into the memory storage.
    pub(crate) const fn is_persisted(&self) -> bool {
        self.persisted
    }

    pub(crate) const fn mark_persisted(&mut self) {
        self.persisted = true;
    }

    /// The Ready that is outstanding, if this is its address.
    pub(crate) fn check(&self, address: *const raftcore_ready) -> Result<&Ready, Failure> {
        if address.is_null() {
            return Err(Failure::null("ready"));
        }
        match &self.outstanding {
            Some(ready) if ptr::eq(address, self.address()) => Ok(ready),
            Some(_) => Err(Failure::new(RAFTCORE_ERR_STALE_READY, "an earlier Ready")),
            None => Err(Failure::new(RAFTCORE_ERR_STALE_READY, "no Ready is outstanding")),
        }
    }

    /// Takes the outstanding Ready out, to be advanced. Its memory stays as it is.
    pub(crate) fn take(&mut self) -> Option<Ready> {
        self.outstanding.take()
    }

    /// Empties the Ready whose memory is no longer valid: a program that looks at it all the same
    /// finds nothing in it instead of what was freed.
    pub(crate) fn blank(&mut self) {
        self.heads[self.current].ready = raftcore_ready::EMPTY;
    }

    /// Puts it back: it could not be advanced.
    pub(crate) fn put_back(&mut self, ready: Ready) {
        self.outstanding = Some(ready);
    }

    /// Makes a new Ready the outstanding one, and returns its address.
    pub(crate) fn fill(&mut self, ready: Ready) -> *const raftcore_ready {
        self.current = 1 - self.current;
        self.persisted = false;
        let arrays = &mut self.arrays;
        arrays.reserve(&ready, self.forms);
        let entries = arrays.add_entries(&ready.entries);
        let committed = arrays.add_entries(&ready.committed);
        let messages = arrays.add_messages(&ready.messages, self.forms);
        let messages_after_sync = arrays.add_messages(&ready.messages_after_sync, self.forms);
        arrays.add_read_states(&ready);
        let head = &mut *self.heads[self.current];
        head.fill(&ready);
        head.ready = raftcore_ready {
            number: ready.number(),
            entries,
            committed,
            messages,
            messages_after_sync,
            read_states: raftcore_read_states::of(&arrays.read_states),
            must_sync: ready.must_sync.into(),
            ..head.pointers(&ready)
        };
        self.outstanding = Some(ready);
        self.address()
    }

    fn address(&self) -> *const raftcore_ready {
        &raw const self.heads[self.current].ready
    }
}

impl Head {
    const fn empty() -> Self {
        Self {
            ready: raftcore_ready::EMPTY,
            soft_state: raftcore_soft_state { leader: 0, role: 0, reserved: 0 },
            hard_state: raftcore_hard_state { term: 0, vote: 0, commit: 0 },
            snapshot: SnapshotView::empty(),
        }
    }

    fn fill(&mut self, ready: &Ready) {
        if let Some(state) = ready.soft_state {
            self.soft_state = state.into();
        }
        if let Some(state) = ready.hard_state {
            self.hard_state = state.into();
        }
        if let Some(snapshot) = &ready.snapshot {
            self.snapshot = SnapshotView::of(snapshot);
        }
    }

    /// A Ready with the pointers to what is in this head.
    fn pointers(&self, ready: &Ready) -> raftcore_ready {
        fn if_any<T, U>(is_there: &Option<T>, place: *const U) -> *const U {
            if is_there.is_some() { place } else { ptr::null() }
        }
        raftcore_ready {
            soft_state: if_any(&ready.soft_state, &raw const self.soft_state),
            hard_state: if_any(&ready.hard_state, &raw const self.hard_state),
            snapshot: if_any(&ready.snapshot, self.snapshot.address()),
            ..raftcore_ready::EMPTY
        }
    }
}

impl Arrays {
    /// Empties the arrays and makes room for everything, so that nothing moves while pointers are
    /// taken.
    fn reserve(&mut self, ready: &Ready, forms: u32) {
        let both = || ready.messages.iter().chain(&ready.messages_after_sync);
        let mut entries = ready.entries.len() + ready.committed.len();
        let mut snapshots = 0;
        if forms & RAFTCORE_FORM_FIELDS != 0 {
            entries +=
                both().filter_map(raftcore_message::entries_of).map(Entries::len).sum::<usize>();
            snapshots = both().filter(|m| matches!(m.body, Body::Snapshot(_))).count();
        }
        clear_for(&mut self.entries, entries);
        clear_for(&mut self.snapshots, snapshots);
        clear_for(&mut self.messages, ready.messages.len() + ready.messages_after_sync.len());
        clear_for(&mut self.read_states, ready.read_states.len());
        self.encoded.clear();
        self.encoded_ends.clear();
        if forms & RAFTCORE_FORM_ENCODED != 0 {
            for message in both() {
                wire::encode_into(message, &mut self.encoded);
                self.encoded_ends.push(self.encoded.len());
            }
        }
    }

    fn add_entries(&mut self, entries: &Entries) -> raftcore_entries {
        let start = self.entries.len();
        self.entries.extend(entries.slices().flatten().map(raftcore_entry::of));
        raftcore_entries::of(&self.entries[start..])
    }

    fn add_messages(&mut self, messages: &[Message], forms: u32) -> raftcore_messages {
        let start = self.messages.len();
        for message in messages {
            let mut view = raftcore_message::of(message);
            let number = self.messages.len();
            if let Some(end) = self.encoded_ends.get(number) {
                let before = number.checked_sub(1).map_or(0, |last| self.encoded_ends[last]);
                view.encoded = raftcore_slice::of(&self.encoded[before..*end]);
            }
            if forms & RAFTCORE_FORM_FIELDS != 0 {
                self.add_fields(&mut view, message);
            }
            self.messages.push(view);
        }
        raftcore_messages::of(&self.messages[start..])
    }

    /// What is not a number.
    fn add_fields(&mut self, view: &mut raftcore_message, message: &Message) {
        view.context = raftcore_message::context_of(message);
        if let Some(entries) = raftcore_message::entries_of(message) {
            view.entries = self.add_entries(entries);
        }
        if let Body::Snapshot(snapshot) = &message.body {
            self.snapshots.push(SnapshotView::of(snapshot));
            view.snapshot = self.snapshots.last().map_or(ptr::null(), SnapshotView::address);
        }
    }

    fn add_read_states(&mut self, ready: &Ready) {
        self.read_states.extend(ready.read_states.iter().map(|state| raftcore_read_state {
            index: state.index.0,
            context: raftcore_slice::of(&state.context),
        }));
    }
}

fn clear_for<T>(array: &mut Vec<T>, count: usize) {
    array.clear();
    array.reserve(count);
}
