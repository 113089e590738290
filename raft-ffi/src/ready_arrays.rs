//! What a Ready points to many times, in C's form: arrays that are refilled for each Ready.
//!
//! Every array is sized before a pointer into it is taken.

use std::ptr;

use bytes::BytesMut;
use raftcore::wire::{self, schema};
use raftcore::{Body, Entries, Entry, LocalResponse, Message, Ready, Reply};

use crate::awaited::Awaited;
use crate::config::{RAFTCORE_FORM_ENCODED, RAFTCORE_FORM_FIELDS};
use crate::entry::{raftcore_entries, raftcore_entry};
use crate::message::{raftcore_message, raftcore_messages};
use crate::ready::raftcore_read_state;
use crate::slice::raftcore_slice;
use crate::snapshot::{SnapshotView, raftcore_snapshot};

/// The arrays of one Ready.
#[derive(Default)]
pub(crate) struct Arrays {
    /// Which `RAFTCORE_FORM_` messages come in.
    forms: u32,
    /// All entries: to persist, to apply, and in messages.
    entries: Vec<raftcore_entry>,
    /// Which entries of the core are there already: a leader sends one block to each member.
    known: Vec<Known>,
    read_states: Vec<raftcore_read_state>,
    messages: Vec<raftcore_message>,
    /// The snapshots in messages.
    snapshots: Vec<SnapshotView>,
    /// Storage responses in their flat form, as long as a view of them needs it.
    flats: Vec<schema::Message>,
    /// The encoded messages, one after the other.
    encoded: BytesMut,
    encoded_ends: Vec<usize>,
}

/// A run of entries of the core, and where its views begin.
struct Known {
    run: *const [Entry],
    start: usize,
}

/// What storage work is made of beside its messages.
pub(crate) struct Work<'a> {
    pub(crate) awaited: &'a mut Awaited,
    /// What is to be persisted.
    pub(crate) snapshot: *const raftcore_snapshot,
    /// What is to be applied.
    pub(crate) committed: raftcore_entries,
}

impl Arrays {
    /// Empties the arrays and makes room for everything, so that nothing moves while pointers are
    /// taken.
    pub(crate) fn reserve(&mut self, ready: &Ready, forms: u32) {
        self.forms = forms;
        let messages = || travelling(ready).chain(replies(ready));
        let mut entries = ready.entries.len() + ready.committed.len();
        let mut snapshots = 0;
        if forms & RAFTCORE_FORM_FIELDS != 0 {
            let carried = messages().flatten().filter_map(raftcore_message::entries_of);
            entries += carried.map(Entries::len).sum::<usize>();
            snapshots =
                messages().flatten().filter(|m| matches!(m.body, Body::Snapshot(_))).count();
        }
        clear_for(&mut self.entries, entries);
        self.known.clear();
        clear_for(&mut self.snapshots, snapshots);
        clear_for(&mut self.messages, messages().count() + usize::from(ready.apply.is_some()));
        clear_for(&mut self.read_states, ready.read_states.len());
        self.flats.clear();
        self.encoded.clear();
        self.encoded_ends.clear();
        if forms & RAFTCORE_FORM_ENCODED != 0 {
            for message in messages() {
                if let Some(message) = message {
                    wire::encode_into(message, &mut self.encoded);
                }
                self.encoded_ends.push(self.encoded.len());
            }
        }
    }

    pub(crate) fn add_entries(&mut self, entries: &Entries) -> raftcore_entries {
        let mut slices = entries.slices();
        if let (Some(run), None) = (slices.next(), slices.next())
            && let Some(start) = self.known.iter().find_map(|known| known.start_of(run))
        {
            return raftcore_entries::of(&self.entries[start..start + run.len()]);
        }
        let start = self.entries.len();
        for run in entries.slices() {
            self.known.push(Known { run, start: self.entries.len() });
            self.entries.extend(run.iter().map(raftcore_entry::of));
        }
        raftcore_entries::of(&self.entries[start..])
    }

    pub(crate) fn add_messages(&mut self, messages: &[Message]) -> raftcore_messages {
        let start = self.messages.len();
        for message in messages {
            self.add_message(message);
        }
        raftcore_messages::of(&self.messages[start..])
    }

    /// What the two storage threads pass on.
    pub(crate) fn add_storage_work(
        &mut self,
        ready: &Ready,
        work: &mut Work<'_>,
    ) -> (raftcore_messages, raftcore_messages) {
        let start = self.messages.len();
        for reply in ready.append.iter().flat_map(|append| &append.replies) {
            match reply {
                Reply::Peer(message) => self.add_message(message),
                Reply::Local(response) => self.add_response(response, work),
            }
        }
        let end = self.messages.len();
        if let Some(apply) = &ready.apply {
            self.add_response(&apply.reply, work);
        }
        let (append, apply) = self.messages[start..].split_at(end - start);
        (raftcore_messages::of(append), raftcore_messages::of(apply))
    }

    /// Which of the messages this is a view of.
    pub(crate) fn message_number(&self, view: *const raftcore_message) -> Option<usize> {
        let offset = view.addr().checked_sub(self.messages.as_ptr().addr())?;
        let size = size_of::<raftcore_message>();
        let number = offset / size;
        (offset % size == 0 && number < self.messages.len()).then_some(number)
    }

    fn add_message(&mut self, message: &Message) {
        let mut view = raftcore_message::of(message);
        let number = self.messages.len();
        if let Some(end) = self.encoded_ends.get(number) {
            let before = number.checked_sub(1).map_or(0, |last| self.encoded_ends[last]);
            view.encoded = raftcore_slice::of(&self.encoded[before..*end]);
        }
        if self.forms & RAFTCORE_FORM_FIELDS != 0 {
            self.add_fields(&mut view, message);
        }
        self.messages.push(view);
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

    /// A response that goes back into the node.
    fn add_response(&mut self, response: &LocalResponse, work: &mut Work<'_>) {
        let mut flat = response.to_flat();
        let mut view = raftcore_message::of_flat(&flat);
        view.response_number = work.awaited.add(response.clone());
        if self.forms & RAFTCORE_FORM_FIELDS != 0 {
            view.context = raftcore_slice::of(&flat.context);
            if flat.snapshot.take().is_some() {
                view.snapshot = work.snapshot;
            }
            if response.applied().is_some() {
                view.entries = work.committed;
            }
        }
        // Moving it does not move what its context points to.
        self.flats.push(flat);
        self.messages.push(view);
    }

    pub(crate) fn add_read_states(&mut self, ready: &Ready) -> &[raftcore_read_state] {
        self.read_states.extend(ready.read_states.iter().map(|state| raftcore_read_state {
            index: state.index.0,
            context: raftcore_slice::of(&state.context),
        }));
        &self.read_states
    }
}

impl Known {
    /// Where the views of this run begin, if it is a part of what is known.
    fn start_of(&self, run: &[Entry]) -> Option<usize> {
        let first = self.run.cast::<Entry>().addr();
        let from = run.as_ptr().addr().checked_sub(first)? / size_of::<Entry>();
        (from + run.len() <= self.run.len()).then_some(self.start + from)
    }
}

/// The messages that leave at once or after a sync.
fn travelling(ready: &Ready) -> impl Iterator<Item = Option<&Message>> {
    ready.messages.iter().chain(&ready.messages_after_sync).map(Some)
}

/// The replies of the append thread; those that do not leave have no message.
fn replies(ready: &Ready) -> impl Iterator<Item = Option<&Message>> {
    ready.append.iter().flat_map(|append| &append.replies).map(|reply| match reply {
        Reply::Peer(message) => Some(message),
        Reply::Local(_) => None,
    })
}

fn clear_for<T>(array: &mut Vec<T>, count: usize) {
    array.clear();
    array.reserve(count);
}
