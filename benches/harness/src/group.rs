//! A group of members and the pump that moves messages between them until all is quiet.

use std::ops::Range;

use crate::Member;
use crate::meter::LARGE;

/// How a group is set up. The ticks are such that no timeout fires unless a workload ticks.
#[derive(Clone, Copy)]
pub struct Setup {
    /// The members are 1 to this number, all of them voters.
    pub voters: u64,
    /// Ticks until a follower campaigns.
    pub election_ticks: u32,
    /// Ticks between heartbeats.
    pub heartbeat_ticks: u32,
    /// The greatest size of an append in bytes.
    pub max_message_bytes: u64,
    /// Appends in flight to one member.
    pub max_inflight: usize,
    /// Whether reads are answered by a lease.
    pub lease: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            voters: 3,
            election_ticks: 1000,
            heartbeat_ticks: 100,
            max_message_bytes: 1 << 20,
            max_inflight: 512,
            lease: false,
        }
    }
}

/// What a member applied.
#[derive(Clone, Copy)]
pub struct Applied {
    /// How many entries with data.
    pub count: u64,
    /// The sum of what identifies them.
    pub sum: u64,
    /// The index of the last one.
    pub index: u64,
    /// How many reads were answered.
    pub reads: u64,
    /// Where the data of the last one lies.
    pub(crate) data: *const u8,
}

impl Default for Applied {
    fn default() -> Self {
        Self { count: 0, sum: 0, index: 0, reads: 0, data: std::ptr::null() }
    }
}

impl Applied {
    /// Applies an entry.
    pub fn apply(&mut self, index: u64, data: &[u8]) {
        self.index = index;
        // A new leader's first entry has no data.
        if let Some(first) = data.first() {
            self.count += 1;
            self.data = data.as_ptr();
            self.sum += index ^ u64::from(*first);
        }
    }
}

/// The network in memory: an inbox for each member, which is emptied all at once.
pub(crate) struct Network<M: Member> {
    plain: Vec<Vec<M::Message>>,
    encoded: Vec<Vec<M::Encoded>>,
    /// Where the last large message to each member lay.
    received: Vec<Range<*const u8>>,
    /// Whether messages travel encoded.
    encodes: bool,
    /// Of every 65,536 messages so many are lost.
    loss: u64,
    random: u64,
    pub(crate) many_groups: bool,
    shared: M::Shared,
    pub(crate) messages: u64,
    pub(crate) wire_bytes: u64,
}

impl<M: Member> Network<M> {
    pub(crate) fn new(members: u64, encodes: bool) -> Self {
        let inboxes = members as usize;
        Self {
            plain: (0..inboxes).map(|_| Vec::new()).collect(),
            encoded: (0..inboxes).map(|_| Vec::new()).collect(),
            received: vec![std::ptr::null()..std::ptr::null(); inboxes],
            encodes,
            loss: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            many_groups: false,
            shared: M::Shared::default(),
            messages: 0,
            wire_bytes: 0,
        }
    }

    pub(crate) fn lose(&mut self, percent: u64) {
        self.loss = percent * 65_536 / 100;
    }

    pub(crate) fn received(&self, at: usize) -> &Range<*const u8> {
        &self.received[at]
    }

    #[inline]
    fn send(&mut self, to: u64, message: M::Message) {
        if self.encodes { self.send_encoded(to, message) } else { self.send_plain(to, message) }
    }

    #[inline(never)]
    fn send_plain(&mut self, to: u64, message: M::Message) {
        if !self.arrives() {
            return;
        }
        let inbox = &mut self.plain[(to - 1) as usize];
        // Nearly always there is room: then the message goes straight to its place.
        if inbox.len() < inbox.capacity() {
            inbox.push(message);
        } else {
            push_growing(inbox, message);
        }
    }

    #[inline(never)]
    fn send_encoded(&mut self, to: u64, message: M::Message) {
        if !self.arrives() {
            return;
        }
        let bytes = M::encode(message);
        self.wire_bytes += bytes.as_ref().len() as u64;
        self.encoded[(to - 1) as usize].push(bytes);
    }

    /// Counts a message, unless it is lost.
    #[inline(always)]
    fn arrives(&mut self) -> bool {
        let arrives = self.loss == 0 || !self.is_lost();
        self.messages += u64::from(arrives);
        arrives
    }

    /// Steps everything that waits for this member. Returns whether there was something.
    fn deliver(&mut self, at: usize, member: &mut M) -> bool {
        if self.encodes {
            return self.deliver_encoded(at, member);
        }
        let inbox = &mut self.plain[at];
        if inbox.is_empty() {
            return false;
        }
        for message in inbox.drain(..) {
            member.step(message);
        }
        true
    }

    #[inline(never)]
    fn deliver_encoded(&mut self, at: usize, member: &mut M) -> bool {
        let inbox = &mut self.encoded[at];
        if inbox.is_empty() {
            return false;
        }
        for bytes in inbox.drain(..) {
            if bytes.as_ref().len() >= LARGE {
                self.received[at] = bytes.as_ref().as_ptr_range();
            }
            member.step_encoded(bytes);
        }
        true
    }

    /// A pseudo-random number (xorshift), the same ones in every run.
    #[cold]
    fn is_lost(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random & 0xffff < self.loss
    }
}

#[cold]
fn push_growing<T>(inbox: &mut Vec<T>, message: T) {
    inbox.push(message);
}

/// Where a member's work goes.
pub struct Out<'a, M: Member> {
    network: &'a mut Network<M>,
    applied: &'a mut Applied,
}

impl<M: Member> Out<'_, M> {
    /// Whether there are many groups, all of whose members run in this thread.
    pub fn has_many_groups(&self) -> bool {
        self.network.many_groups
    }

    /// What the members share.
    pub fn shared(&mut self) -> &mut M::Shared {
        &mut self.network.shared
    }

    /// Sends a message.
    pub fn send(&mut self, to: u64, message: M::Message) {
        self.network.send(to, message);
    }

    /// Applies an entry.
    pub fn apply(&mut self, index: u64, data: &[u8]) {
        self.applied.apply(index, data);
    }

    /// Counts an answered read.
    pub fn answer_read(&mut self, index: u64) {
        assert!(index <= self.applied.index, "a read of what is not applied");
        self.applied.reads += 1;
    }
}

/// A member and what it applied.
pub(crate) struct Place<M> {
    pub(crate) member: M,
    pub(crate) applied: Applied,
}

/// The members of a group. Node 1 is the first.
pub(crate) struct Group<M> {
    pub(crate) places: Vec<Place<M>>,
}

impl<M: Member> Group<M> {
    pub(crate) fn new(setup: &Setup) -> Self {
        let place = |id| Place { member: M::new(id, setup), applied: Applied::default() };
        Self { places: (1..=setup.voters).map(place).collect() }
    }

    /// A group whose node 1 was elected.
    pub(crate) fn elected(setup: &Setup, network: &mut Network<M>) -> Self {
        let mut group = Self::new(setup);
        group.elect(network);
        group
    }

    pub(crate) fn elect(&mut self, network: &mut Network<M>) {
        self.leader().campaign();
        self.pump(network);
        assert!(self.leader().is_leader(), "node 1 was not elected");
    }

    pub(crate) fn leader(&mut self) -> &mut M {
        &mut self.places[0].member
    }

    /// Moves messages and handles what the members want until nobody wants anything.
    pub(crate) fn pump(&mut self, network: &mut Network<M>) {
        loop {
            let mut progress = false;
            for (at, Place { member, applied }) in self.places.iter_mut().enumerate() {
                progress |= network.deliver(at, member);
                while member.has_ready() {
                    member.handle_ready(&mut Out { network, applied });
                    progress = true;
                }
            }
            if !progress {
                return;
            }
        }
    }

    /// Every member compacts its log to what it applied.
    pub(crate) fn compact(&mut self) {
        for Place { member, applied } in &mut self.places {
            member.compact(applied.index);
        }
    }

    /// Every member applied exactly these many entries, and the same ones.
    pub(crate) fn check(&self, entries: u64) -> u64 {
        let first = self.places[0].applied;
        for (at, Place { applied, .. }) in self.places.iter().enumerate() {
            assert_eq!(applied.count, entries, "entries applied by member {}", at + 1);
            assert_eq!(applied.sum, first.sum, "what member {} applied", at + 1);
        }
        first.sum
    }
}
