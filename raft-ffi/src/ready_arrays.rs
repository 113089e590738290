//! What a Ready points to many times, in C's form: arrays that are refilled for each Ready.
//!
//! Every array is sized before a pointer into it is taken.
//!
//! A view of an entry is made once: when it is to be persisted. The same view is then in messages,
//! and in the later Ready that has it committed.

use std::ops::Range;
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
    /// The entries that were to be persisted last, in this Ready or in one before it.
    stored: Vec<raftcore_entry>,
    /// Ends with what `stored` shows, and keeps it when the Ready that brought it is given back.
    /// Entries of several Readies that lie in one block need no more than one reference to it.
    kept: Entries,
    /// The number of the last of those Readies.
    brought: u64,
    /// Entries that are in this Ready and not in `stored`.
    others: Views,
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

/// Entries in C's form.
#[derive(Default)]
struct Views {
    items: Vec<raftcore_entry>,
    /// Which entries of the core these are: a leader sends one block to each member.
    known: Vec<Known>,
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
        let messages = ready.messages.len() + ready.messages_after_sync.len();
        let mut room = Room { messages, ..Room::default() };
        if forms & RAFTCORE_FORM_FIELDS != 0 {
            ready.messages.iter().for_each(|message| room.add(message));
            ready.messages_after_sync.iter().for_each(|message| room.add(message));
        }
        if ready.append.is_some() || ready.apply.is_some() {
            room.add_storage_work(ready);
        }
        self.others.clear_for(ready.committed.len() + room.entries);
        clear_for(&mut self.messages, room.messages);
        clear_for(&mut self.snapshots, room.snapshots);
        clear_for(&mut self.read_states, ready.read_states.len());
        self.flats.clear();
        if forms & RAFTCORE_FORM_ENCODED != 0 {
            self.encode(ready);
        }
    }

    fn encode(&mut self, ready: &Ready) {
        self.encoded.clear();
        self.encoded_ends.clear();
        let replies = ready.append.as_ref().map_or(&[][..], |append| &append.replies);
        let replies = replies.iter().map(|reply| match reply {
            Reply::Peer(message) => Some(message),
            Reply::Local(_) => None,
        });
        let travelling = ready.messages.iter().chain(&ready.messages_after_sync).map(Some);
        for message in travelling.chain(replies) {
            if let Some(message) = message {
                wire::encode_into(message, &mut self.encoded);
            }
            self.encoded_ends.push(self.encoded.len());
        }
    }

    /// Views of the entries that are to be persisted. Whoever persists them may take them then.
    #[inline]
    pub(crate) fn store(&mut self, ready: &Ready) {
        if ready.entries.is_empty() {
            return;
        }
        self.brought = ready.number();
        clear_for(&mut self.stored, ready.entries.len());
        for run in ready.entries.slices() {
            raftcore_entry::add_all(&mut self.stored, run);
        }
        if !self.kept.go_on(&ready.entries) {
            self.kept = ready.entries.clone();
        }
    }

    /// These views, if this Ready brought them.
    #[inline]
    pub(crate) fn stored(&self, number: u64) -> &[raftcore_entry] {
        if self.brought == number { &self.stored } else { &[] }
    }

    /// The entries that a Ready brought, if they were taken from it.
    pub(crate) fn taken_from(&self, ready: &Ready) -> Option<Entries> {
        let is_taken = ready.entries.is_empty() && self.brought == ready.number();
        is_taken.then(|| self.kept.part(self.unshown(), self.kept.len()))
    }

    /// How many of the entries that are kept lie before those that are shown.
    #[inline]
    fn unshown(&self) -> usize {
        self.kept.len().saturating_sub(self.stored.len())
    }

    /// Where the views of these entries are, if they are among those that were to be persisted
    /// last.
    #[inline]
    fn find_stored(&self, entries: &Entries) -> Option<Range<usize>> {
        let first = entries.place_in(&self.kept)?.checked_sub(self.unshown())?;
        Some(first..first + entries.len())
    }

    /// Views of other entries, unless there are some already.
    pub(crate) fn add_entries(&mut self, entries: &Entries) -> &[raftcore_entry] {
        if entries.is_empty() {
            return &[];
        }
        if let Some(found) = self.find_stored(entries) {
            return &self.stored[found];
        }
        if let Some(run) = one_run(entries)
            && let Some(found) = self.others.find(run)
        {
            return &self.others.items[found..found + run.len()];
        }
        self.others.add(entries)
    }

    /// Views of the entries that a Ready has committed and that shows nothing else: as
    /// `add_entries`, with room.
    #[inline]
    pub(crate) fn only_entries(&mut self, entries: &Entries) -> &[raftcore_entry] {
        if entries.is_empty() {
            return &[];
        }
        if let Some(found) = self.find_stored(entries) {
            return &self.stored[found];
        }
        self.others.clear_for(entries.len());
        self.others.add(entries)
    }

    #[inline]
    pub(crate) fn add_messages(&mut self, messages: &[Message]) -> &[raftcore_message] {
        let start = self.messages.len();
        for message in messages {
            self.add_message(message);
        }
        &self.messages[start..]
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
        let number = self.messages.len();
        let has_fields = self.forms & RAFTCORE_FORM_FIELDS != 0;
        let mut entries: *const [raftcore_entry] = &[];
        if let (true, Some(carried)) = (has_fields, raftcore_message::entries_of(message)) {
            entries = self.add_entries(carried);
        }
        // Filled where it stays: it is too large to be moved for nothing.
        let Some(view) = raftcore_message::add_empty(&mut self.messages) else { return };
        view.show(message);
        if let Some(end) = self.encoded_ends.get(number) {
            let before = number.checked_sub(1).map_or(0, |last| self.encoded_ends[last]);
            view.encoded = raftcore_slice::of(&self.encoded[before..*end]);
        }
        if has_fields {
            // SAFETY: a view of ours, in an array that this function does not touch any more.
            view.entries.show(unsafe { &*entries });
            view.context = raftcore_message::context_of(message);
        }
        if let (true, Body::Snapshot(snapshot)) = (has_fields, &message.body) {
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

impl Views {
    #[inline]
    fn clear_for(&mut self, count: usize) {
        clear_for(&mut self.items, count);
        self.known.clear();
    }

    fn add(&mut self, entries: &Entries) -> &[raftcore_entry] {
        let start = self.items.len();
        for run in entries.slices() {
            self.known.push(Known { run, start: self.items.len() });
            raftcore_entry::add_all(&mut self.items, run);
        }
        &self.items[start..]
    }

    /// Where the views of this run begin, if there are some.
    #[inline]
    fn find(&self, run: &[Entry]) -> Option<usize> {
        self.known.iter().find_map(|known| known.start_of(run))
    }
}

impl Known {
    /// Where the views of this run begin, if it is a part of what is known.
    #[inline]
    fn start_of(&self, run: &[Entry]) -> Option<usize> {
        let first = self.run.cast::<Entry>().addr();
        let from = run.as_ptr().addr().checked_sub(first)? / size_of::<Entry>();
        (from + run.len() <= self.run.len()).then_some(self.start + from)
    }
}

/// How much there is of what messages carry.
#[derive(Default)]
struct Room {
    messages: usize,
    entries: usize,
    snapshots: usize,
}

impl Room {
    #[inline]
    fn add(&mut self, message: &Message) {
        self.entries += raftcore_message::entries_of(message).map_or(0, Entries::len);
        self.snapshots += usize::from(matches!(message.body, Body::Snapshot(_)));
    }

    fn add_storage_work(&mut self, ready: &Ready) {
        self.messages += usize::from(ready.apply.is_some());
        for reply in ready.append.iter().flat_map(|append| &append.replies) {
            self.messages += 1;
            if let Reply::Peer(message) = reply {
                self.add(message);
            }
        }
    }
}

/// The entries, if they lie in one run.
#[inline]
fn one_run(entries: &Entries) -> Option<&[Entry]> {
    let mut runs = entries.slices();
    runs.next().filter(|_| runs.next().is_none())
}

#[inline]
fn clear_for<T>(array: &mut Vec<T>, count: usize) {
    array.clear();
    array.reserve(count);
}
