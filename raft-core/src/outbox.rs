//! What a node has said and no Ready has taken yet, in the order in which it was said, and when
//! each of it may leave.
//!
//! One buffer for all that leaves: of many idle groups every member has it.

use crate::config::Settings;
use crate::message::{Body, Message};

/// When a message may leave. Each is a bit of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Departure {
    /// At once: it claims nothing about this node's disk.
    Now = 1,
    /// When what came before it is durable, which it claims: votes and acknowledgements, and with
    /// leases the answers to heartbeats.
    AfterSync = 2,
    /// At once or, as it claims a term, a vote and a log, after the sync: this and what follows.
    VoteRequest = 4,
}

const NOW: u8 = Departure::Now as u8;
const AFTER_SYNC: u8 = Departure::AfterSync as u8;
/// In the same set: the leader of this term is to be told that its heartbeat came, when the next
/// Ready is taken.
const OWES_HEARTBEAT_RESPONSE: u8 = 8;
/// Likewise: members are owed appends by this leader.
const OWES_APPENDS: u8 = 16;
/// Likewise: all are owed a heartbeat. It is time, or reads wait, which one round confirms.
const OWES_HEARTBEATS: u8 = 32;
const OWED: u8 = OWES_HEARTBEAT_RESPONSE | OWES_APPENDS | OWES_HEARTBEATS;
/// Likewise: something was said to this node itself that no Ready has.
const OWN: u8 = 64;

/// What is to be built when a Ready is taken.
#[derive(Clone, Copy)]
pub(crate) struct OwedMessages(u8);

impl OwedMessages {
    pub(crate) const fn has_appends(self) -> bool {
        self.0 & OWES_APPENDS != 0
    }

    pub(crate) const fn has_heartbeats(self) -> bool {
        self.0 & OWES_HEARTBEATS != 0
    }

    pub(crate) const fn has_heartbeat_response(self) -> bool {
        self.0 & OWES_HEARTBEAT_RESPONSE != 0
    }
}

impl Departure {
    #[inline(always)]
    fn of(message: &Message, settings: &Settings) -> Self {
        match message.body {
            Body::AppendResponse(_) | Body::VoteResponse(_) | Body::PreVoteResponse(_) => {
                Self::AfterSync
            }
            Body::HeartbeatResponse { .. } => Self::of_heartbeat_response(settings),
            Body::Vote(_) => Self::VoteRequest,
            _ => Self::Now,
        }
    }

    /// With leases it is a promise that a restart must not forget, and a node that has nothing
    /// stored would not know that it made one.
    #[inline(always)]
    pub(crate) fn of_heartbeat_response(settings: &Settings) -> Self {
        if settings.keeps_leases() { Self::AfterSync } else { Self::Now }
    }
}

/// Messages that wait to be taken by a Ready.
///
/// Where a Ready is lent, its buffer is lent too: of many idle groups no member has one of its own.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    messages: Vec<Message>,
    /// The departures of all of them: mostly they have the same. Empty when nothing waits.
    departures: u8,
    /// So many of `own` belong to the Ready that is out.
    own_out: u32,
    /// What the node says to itself, where `advance` persists: its vote for itself, and as a leader
    /// that its own entries are durable, unless that goes without saying. Where storage threads
    /// persist it stands among the messages.
    #[expect(clippy::box_collection, reason = "one word where there are none: mostly")]
    own: Option<Box<Vec<Message>>>,
}

impl Outbox {
    /// Who campaigns, and then leads, has something for each of so many others.
    pub(crate) fn reserve(&mut self, others: usize) {
        self.messages.reserve_exact(others);
    }

    /// Whether nothing waits for a Ready.
    pub(crate) const fn is_empty(&self) -> bool {
        self.departures == 0
    }

    /// What the departures say is so: a look at all of it.
    #[cfg(debug_assertions)]
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let of_messages = self.departures & !(OWED | OWN);
        if self.messages.is_empty() != (of_messages == 0) {
            return Err("when messages leave is not known, or there are none");
        }
        let own = self.own.as_ref().map_or(0, |own| own.len());
        if (own > self.own_out as usize) != (self.departures & OWN != 0) {
            return Err("what it said to itself is not noted, or is nothing");
        }
        Ok(())
    }

    pub(crate) const fn owe_appends(&mut self) {
        self.departures |= OWES_APPENDS;
    }

    pub(crate) const fn owe_heartbeats(&mut self) {
        self.departures |= OWES_HEARTBEATS;
    }

    /// Whether messages are owed that are built when a Ready is taken.
    pub(crate) const fn owes(&self) -> bool {
        self.departures & OWED != 0
    }

    pub(crate) const fn owe_heartbeat_response(&mut self) {
        self.departures |= OWES_HEARTBEAT_RESPONSE;
    }

    /// What is owed: no longer, from now on.
    #[inline(always)]
    pub(crate) const fn take_owed(&mut self) -> OwedMessages {
        let owed = OwedMessages(self.departures & OWED);
        self.departures &= !OWED;
        owed
    }

    /// Whether something that was said to itself belongs to the Ready that is out.
    #[inline]
    pub(crate) const fn has_own_out(&self) -> bool {
        self.own_out != 0
    }

    /// Takes that. Its room is not kept: mostly these are votes, which are rare.
    pub(crate) fn take_own_out(&mut self) -> Vec<Message> {
        let Some(mut own) = self.own.take() else { return Vec::new() };
        let later = own.split_off(std::mem::take(&mut self.own_out) as usize);
        if !later.is_empty() {
            self.own = Some(Box::new(later));
        }
        *own
    }

    /// Uses the buffer of a Ready that is lent, if it has none.
    pub(crate) fn borrow(&mut self, buffer: &mut Vec<Message>) {
        if self.messages.capacity() == 0 {
            std::mem::swap(&mut self.messages, buffer);
        }
    }

    /// Keeps no buffer, unless something waits in it. One that was borrowed goes back.
    pub(crate) fn give_back(&mut self, buffer: &mut Vec<Message>) {
        if self.messages.is_empty() {
            let own = std::mem::take(&mut self.messages);
            if own.capacity() > buffer.capacity() {
                *buffer = own;
            }
        }
    }

    /// To another member.
    #[inline(always)]
    pub(crate) fn push(&mut self, message: Message, settings: &Settings) {
        self.departures |= Departure::of(&message, settings) as u8;
        self.make_room();
        self.messages.push(message);
    }

    /// To another member, built where it stays. What is built elsewhere, word by word, and copied
    /// at once waits until its words have reached the cache.
    #[inline(always)]
    pub(crate) fn build(&mut self, departure: Departure, message: impl FnOnce() -> Message) {
        self.departures |= departure as u8;
        if self.messages.len() < self.messages.capacity() {
            self.messages.push(message());
        } else {
            self.build_after_growing(message);
        }
    }

    #[cold]
    fn build_after_growing(&mut self, message: impl FnOnce() -> Message) {
        self.make_room();
        self.messages.push(message());
    }

    /// For one message at first: most members of many idle groups never need more.
    #[inline(always)]
    fn make_room(&mut self) {
        if self.messages.capacity() == 0 {
            self.messages.reserve_exact(1);
        }
    }

    /// To this node itself.
    #[inline]
    pub(crate) fn push_own(&mut self, message: Message, settings: &Settings) {
        if settings.async_storage_writes {
            self.push(message, settings);
            return;
        }
        self.own.get_or_insert_with(|| Box::new(Vec::with_capacity(1))).push(message);
        self.departures |= OWN;
    }

    /// Takes back orders to campaign that were not sent yet.
    pub(crate) fn forget_transfer_orders(&mut self) {
        self.messages.retain(|message| !matches!(message.body, Body::TimeoutNow));
        if self.messages.is_empty() {
            self.departures &= OWED | OWN;
        }
    }

    /// Moves what leaves into the buffers of a Ready, which are empty. What was said to itself
    /// belongs to it, too.
    #[inline]
    pub(crate) fn take_into(
        &mut self,
        now: &mut Vec<Message>,
        after_sync: &mut Vec<Message>,
        settings: &Settings,
    ) {
        self.own_out = self.own.as_ref().map_or(0, |own| own.len() as u32);
        match std::mem::take(&mut self.departures) {
            0 => {}
            NOW => hand_over(&mut self.messages, now),
            AFTER_SYNC => hand_over(&mut self.messages, after_sync),
            _ => self.sort_into(now, after_sync, settings),
        }
    }

    #[inline(never)]
    fn sort_into(
        &mut self,
        now: &mut Vec<Message>,
        after_sync: &mut Vec<Message>,
        settings: &Settings,
    ) {
        let mut first_late = None;
        now.reserve_exact(self.messages.len());
        for message in self.messages.drain(..) {
            let departure = Departure::of(&message, settings);
            if departure == Departure::AfterSync {
                after_sync.push(message);
                continue;
            }
            if departure == Departure::VoteRequest && settings.votes_wait_for_sync {
                first_late.get_or_insert(now.len());
            }
            now.push(message);
        }
        if let Some(first) = first_late {
            // What was said after the request waits too: the order stays what it was.
            after_sync.reserve_exact(now.len());
            after_sync.splice(..0, now.drain(first..));
        }
    }
}

/// Buffers of one size change places. Where members of many groups share one, it is as large as the
/// largest needs it, and the others keep their small ones.
#[inline]
fn hand_over(from: &mut Vec<Message>, to: &mut Vec<Message>) {
    // Looked at afterwards: else the number of messages, which was just written, is read together
    // with what is beside it, and waits until it has reached the cache.
    std::mem::swap(from, to);
    if from.capacity() != to.capacity() && from.capacity() > 0 {
        move_instead(from, to);
    }
}

#[cold]
fn move_instead(from: &mut Vec<Message>, to: &mut Vec<Message>) {
    std::mem::swap(from, to);
    to.reserve_exact(from.capacity());
    to.append(from);
}
