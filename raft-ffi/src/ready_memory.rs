//! The memory that Readies have on the C side. A node that advances its Readies has one at a time,
//! and so one set of arrays, refilled for each, so that the steady state allocates nothing; with
//! asynchronous storage writes there are as many as the application has not given back.
//!
//! The head of a Ready alternates between two places, so that the pointer to the last one is known
//! to be stale.

use raftcore::{Message, Ready, Reply};

use crate::awaited::Awaited;
use crate::config::{Manner, RAFTCORE_FORM_ENCODED};
use crate::entry::raftcore_hard_state;
use crate::error::Failure;
use crate::message::{raftcore_message, raftcore_messages};
use crate::ready::{raftcore_read_states, raftcore_ready, raftcore_soft_state};
use crate::ready_arrays::{Arrays, Work};
use crate::snapshot::SnapshotView;
use crate::status::RAFTCORE_ERR_STALE_READY;

/// The memory of one node's Readies.
pub(crate) struct ReadyMemory {
    pub(crate) manner: Manner,
    /// All that there is, as long as no more are outstanding at a time.
    first: Slot,
    more: Vec<Slot>,
}

/// The memory of one Ready.
pub(crate) struct Slot {
    /// The one that belongs to the Ready that is outstanding, or was last, and the other one.
    heads: [Box<Head>; 2],
    outstanding: Option<Ready>,
    /// Which parts were put into the memory storage: `RAFTCORE_PERSIST_` bits.
    pub(crate) persisted: u32,
    arrays: Arrays,
}

// SAFETY: the pointers lead into this value's own arrays and into the counted payloads of
// `outstanding`, which live as long as it does.
unsafe impl Send for Slot {}

/// What a `raftcore_ready` points to once, or not at all.
struct Head {
    ready: raftcore_ready,
    soft_state: raftcore_soft_state,
    hard_state: raftcore_hard_state,
    snapshot: SnapshotView,
}

impl ReadyMemory {
    pub(crate) fn new(manner: Manner) -> Self {
        Self { manner, first: Slot::new(), more: Vec::new() }
    }

    /// Whether no Ready can be taken before the last one is advanced.
    pub(crate) fn is_full(&self) -> bool {
        !self.manner.is_async && self.first.outstanding.is_some()
    }

    /// Whether messages come encoded.
    pub(crate) const fn encodes(&self) -> bool {
        self.manner.forms & RAFTCORE_FORM_ENCODED != 0
    }

    pub(crate) const fn is_async(&self) -> bool {
        self.manner.is_async
    }

    /// The place of the outstanding Ready with this address.
    #[inline]
    pub(crate) fn find(&mut self, address: *const raftcore_ready) -> Result<&mut Slot, Failure> {
        if address.is_null() {
            return Err(Failure::null("ready"));
        }
        if self.first.is_outstanding(address) {
            return Ok(&mut self.first);
        }
        let mut more = self.more.iter_mut();
        more.find(|slot| slot.is_outstanding(address)).ok_or_else(not_outstanding)
    }

    /// A place for another Ready.
    #[inline]
    pub(crate) fn free_slot(&mut self) -> &mut Slot {
        if self.first.outstanding.is_none() { &mut self.first } else { self.another_slot() }
    }

    #[cold]
    fn another_slot(&mut self) -> &mut Slot {
        let free = self.more.iter().position(|slot| slot.outstanding.is_none());
        let at = free.unwrap_or_else(|| {
            self.more.push(Slot::new());
            self.more.len().saturating_sub(1)
        });
        &mut self.more[at]
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            heads: [Box::new(Head::empty()), Box::new(Head::empty())],
            outstanding: None,
            persisted: 0,
            arrays: Arrays::default(),
        }
    }

    #[inline]
    fn is_outstanding(&self, address: *const raftcore_ready) -> bool {
        self.address() == address && self.outstanding.is_some()
    }

    /// The Ready that is outstanding here.
    pub(crate) fn ready(&self) -> Result<&Ready, Failure> {
        let text = "no Ready is outstanding";
        self.outstanding.as_ref().ok_or_else(|| Failure::new(RAFTCORE_ERR_STALE_READY, text))
    }

    /// The message of the core that this view in the outstanding Ready shows.
    pub(crate) fn message(&self, view: *const raftcore_message) -> Result<&Message, Failure> {
        let text = "the message is none of this Ready's that travel";
        let number = self.arrays.message_number(view);
        let found = number.and_then(|number| nth_message(self.outstanding.as_ref()?, number));
        found.ok_or_else(|| Failure::new(RAFTCORE_ERR_STALE_READY, text))
    }

    /// The messages of the core that this list in the outstanding Ready shows, but for those that
    /// do not travel.
    #[inline]
    pub(crate) fn travelling(
        &self,
        views: &raftcore_messages,
    ) -> Result<impl Iterator<Item = &Message>, Failure> {
        let (head, ready) = (&self.heads[0].ready, self.ready()?);
        let is = |list: &raftcore_messages| (list.items, list.count) == (views.items, views.count);
        let mut replies: &[Reply] = &[];
        let messages: &[Message] = if views.count == 0 {
            &[]
        } else if is(&head.messages) {
            &ready.messages
        } else if is(&head.messages_after_sync) {
            replies = ready.append.as_ref().map_or(replies, |append| &append.replies);
            &ready.messages_after_sync
        } else {
            let text = "the messages are no list of this Ready's that travels";
            return Err(Failure::new(RAFTCORE_ERR_STALE_READY, text));
        };
        let replies = replies.iter().filter_map(|reply| match reply {
            Reply::Peer(message) => Some(message),
            Reply::Local(_) => None,
        });
        Ok(messages.iter().chain(replies))
    }

    /// Takes the outstanding Ready out, to be advanced. Its memory stays as it is.
    #[inline]
    pub(crate) const fn take(&mut self) -> Option<Ready> {
        self.outstanding.take()
    }

    /// Puts it back: it could not be advanced.
    pub(crate) fn put_back(&mut self, ready: Ready) {
        self.outstanding = Some(ready);
    }

    /// What the outstanding Ready says.
    pub(crate) fn describe(&self) -> Result<String, Failure> {
        let ready = self.ready()?;
        Ok(match self.arrays.taken_from(ready) {
            None => ready.describe(),
            Some(entries) => {
                let mut whole = ready.clone();
                whole.entries = entries;
                whole.describe()
            }
        })
    }

    /// Shows the entries of a new Ready: from here on they may be taken from it.
    #[inline]
    pub(crate) fn store(&mut self, ready: &Ready) {
        self.arrays.store(ready);
    }

    /// Gives back what was taken from it.
    #[cold]
    pub(crate) fn restore(&self, ready: &mut Ready) {
        if let Some(entries) = self.arrays.taken_from(ready) {
            ready.entries = entries;
        }
    }

    /// Empties the Ready whose memory is no longer valid: a program that looks at it all the same
    /// finds nothing in it instead of what was freed.
    pub(crate) fn blank(&mut self) {
        self.heads[0].ready.empty();
    }

    /// Makes a new Ready, whose entries are shown, the outstanding one, and returns its address.
    pub(crate) fn fill(
        &mut self,
        ready: Ready,
        persisted: u32,
        forms: u32,
        awaited: &mut Awaited,
    ) -> *const raftcore_ready {
        self.heads.swap(0, 1);
        self.persisted = persisted;
        let arrays = &mut self.arrays;
        let head = &mut *self.heads[0];
        // Filled where it stays, from empty: most of a Ready is.
        let view = &mut head.ready;
        view.number = ready.number();
        view.must_sync = ready.must_sync.into();
        view.entries.show(arrays.stored(ready.number()));
        if let Some(state) = ready.hard_state {
            head.hard_state = state.into();
            view.hard_state = &raw const head.hard_state;
        }
        if has_rare(&ready) {
            head.show_rare(&ready);
        }
        if has_much(&ready) {
            head.fill_all(arrays, &ready, forms, awaited);
        } else {
            head.ready.committed.show(arrays.only_entries(&ready.committed));
        }
        self.outstanding = Some(ready);
        self.address()
    }

    fn address(&self) -> *const raftcore_ready {
        &raw const self.heads[0].ready
    }
}

#[cold]
fn not_outstanding() -> Failure {
    Failure::new(RAFTCORE_ERR_STALE_READY, "the Ready is not outstanding, or no longer")
}

/// The messages of a Ready in the order of their views.
fn nth_message(ready: &Ready, number: usize) -> Option<&Message> {
    let Some(number) = number.checked_sub(ready.messages.len()) else {
        return ready.messages.get(number);
    };
    match &ready.append {
        None => ready.messages_after_sync.get(number),
        Some(append) => match append.replies.get(number)? {
            Reply::Peer(message) => Some(message),
            Reply::Local(_) => None,
        },
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

    /// Shows what there is once, or not at all, and seldom.
    #[cold]
    fn show_rare(&mut self, ready: &Ready) {
        if let Some(state) = ready.soft_state {
            self.soft_state = state.into();
            self.ready.soft_state = &raw const self.soft_state;
        }
        if let Some(snapshot) = &ready.snapshot {
            self.snapshot = SnapshotView::of(snapshot);
            self.ready.snapshot = self.snapshot.address();
        }
    }

    /// Shows what there is many times, once the entries to persist are shown.
    #[inline(never)]
    fn fill_all(&mut self, arrays: &mut Arrays, ready: &Ready, forms: u32, awaited: &mut Awaited) {
        let view = &mut self.ready;
        arrays.reserve(ready, forms);
        view.committed.show(arrays.add_entries(&ready.committed));
        view.messages.show(arrays.add_messages(&ready.messages));
        // One of the two is empty, as the node persists.
        view.messages_after_sync.show(arrays.add_messages(&ready.messages_after_sync));
        if ready.append.is_some() || ready.apply.is_some() {
            let (snapshot, committed) = (view.snapshot, view.committed);
            let mut work = Work { awaited, snapshot, committed };
            (view.messages_after_sync, view.messages_after_apply) =
                arrays.add_storage_work(ready, &mut work);
        }
        if !ready.read_states.is_empty() {
            view.read_states = raftcore_read_states::of(arrays.add_read_states(ready));
        }
    }
}

/// Whether it has what most Readies have not, and what is there once.
#[inline]
fn has_rare(ready: &Ready) -> bool {
    ready.soft_state.is_some() || ready.snapshot.is_some()
}

/// Whether it has more to show than entries: not when its messages went to members of the process.
#[inline]
fn has_much(ready: &Ready) -> bool {
    !(ready.messages.is_empty()
        && ready.messages_after_sync.is_empty()
        && ready.read_states.is_empty()
        && ready.append.is_none()
        && ready.apply.is_none())
}
