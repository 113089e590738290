//! The window of appends that were sent to one member and not acknowledged yet (thesis, section
//! 10.2.1). It counts; whether a full window pauses the flow is decided by `Progress`.

use std::collections::VecDeque;

use super::Limits;
use crate::ids::Index;

/// What one append carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sent {
    /// The index of its last entry.
    last: Index,
    /// The bytes of its payloads.
    payload_bytes: u64,
}

/// The appends in flight to one member.
///
/// A window that was never used holds no memory: a leader of many idle groups has a window for
/// every member of each. What it grew to is kept until the member leaves the replicating state, so
/// that a steady flow allocates nothing.
#[derive(Clone, Default, Debug)]
pub struct Inflights(Option<Box<Window>>);

#[derive(Clone, Default, Debug)]
struct Window {
    /// Oldest first. Invariant: the last indexes rise.
    sent: VecDeque<Sent>,
    /// Invariant: the sum over `sent`.
    payload_bytes: u64,
}

impl Inflights {
    /// How many appends are in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |window| window.sent.len())
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payloads in flight, in bytes.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |window| window.payload_bytes)
    }

    /// Whether no further append may be sent. The limit on bytes is soft: the append that reaches
    /// or exceeds it is the last one.
    #[must_use]
    #[inline]
    pub fn is_full(&self, limits: &Limits) -> bool {
        // An empty window is full of nothing: both limits are above zero.
        self.0.as_ref().is_some_and(|window| {
            window.sent.len() >= limits.max_inflight_messages
                || window.payload_bytes >= limits.max_inflight_bytes
        })
    }

    /// Notes an append whose last entry is `last`.
    ///
    /// The sender asks [`is_full`](Self::is_full) first. If it did not, the append is on its way
    /// all the same, and forgetting it would make the window lie: it is counted beyond the limit.
    #[inline]
    pub(super) fn add(&mut self, last: Index, payload_bytes: u64, limits: &Limits) {
        debug_assert!(!self.is_full(limits), "an append was sent into a full window");
        let window = self.0.get_or_insert_default();
        debug_assert!(window.sent.back().is_none_or(|newest| newest.last < last));
        window.sent.push_back(Sent { last, payload_bytes });
        window.payload_bytes = window.payload_bytes.saturating_add(payload_bytes);
        window.debug_check();
    }

    fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.0.iter().flat_map(|window| &window.sent)
    }

    /// Takes out every append that ends at or before this index: the member has it. One that
    /// reaches further stays whole.
    #[inline]
    pub(super) fn free_up_to(&mut self, index: Index) {
        let Some(window) = &mut self.0 else { return };
        while let Some(oldest) = window.sent.front().filter(|oldest| oldest.last <= index) {
            window.payload_bytes = window.payload_bytes.saturating_sub(oldest.payload_bytes);
            window.sent.pop_front();
        }
        window.debug_check();
    }

    /// Takes out everything and keeps the memory.
    pub(super) fn reset(&mut self) {
        if let Some(window) = &mut self.0 {
            window.sent.clear();
            window.payload_bytes = 0;
        }
    }
}

/// Two windows in which the same is in flight are the same, used before or not.
impl PartialEq for Inflights {
    fn eq(&self, other: &Self) -> bool {
        self.sent().eq(other.sent())
    }
}

impl Eq for Inflights {}

impl Window {
    /// Cheap enough for every call: the sum itself is compared in the tests.
    fn debug_check(&self) {
        debug_assert!(!self.sent.is_empty() || self.payload_bytes == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_inflight_messages: 4, max_inflight_bytes: 100 };

    fn window(sent: &[(u64, u64)]) -> Inflights {
        let mut window = Inflights::default();
        for (last, bytes) in sent {
            window.add(Index(*last), *bytes, &LIMITS);
        }
        window
    }

    fn capacity(window: &Inflights) -> usize {
        window.0.as_ref().unwrap().sent.capacity()
    }

    #[test]
    fn window_is_full_at_the_last_message() {
        assert!(!window(&[(1, 0), (2, 0), (3, 0)]).is_full(&LIMITS));
        assert!(window(&[(1, 0), (2, 0), (3, 0), (4, 0)]).is_full(&LIMITS));
    }

    #[test]
    fn window_is_full_once_the_bytes_reach_the_limit() {
        assert!(!window(&[(1, 99)]).is_full(&LIMITS));
        assert!(window(&[(1, 99), (2, 1)]).is_full(&LIMITS));
        assert!(window(&[(1, 99), (2, 500)]).is_full(&LIMITS));
        let unlimited = Limits { max_inflight_bytes: u64::MAX, ..LIMITS };
        assert!(!window(&[(1, 99), (2, 500)]).is_full(&unlimited));
    }

    #[test]
    fn acknowledged_appends_leave_and_a_part_of_one_does_not() {
        let sent = [(3, 10), (6, 20), (9, 30)];
        let check = |up_to: u64, left: usize, bytes: u64| {
            let mut window = window(&sent);
            window.free_up_to(Index(up_to));
            assert_eq!((window.len(), window.payload_bytes()), (left, bytes), "up to {up_to}");
        };
        check(0, 3, 60);
        check(2, 3, 60);
        check(3, 2, 50);
        check(8, 1, 30);
        check(9, 0, 0);
        check(1000, 0, 0);
    }

    #[test]
    fn the_ring_turns_without_growing() {
        let mut window = window(&[(1, 1), (2, 1), (3, 1)]);
        let memory = capacity(&window);
        for last in 4..1000 {
            window.add(Index(last), last, &Limits { max_inflight_bytes: u64::MAX, ..LIMITS });
            window.free_up_to(Index(last - 3));
            assert_eq!(window.len(), 3);
            let sent = &window.0.as_ref().unwrap().sent;
            let sum: u64 = sent.iter().map(|sent| sent.payload_bytes).sum();
            assert_eq!(window.payload_bytes(), sum);
        }
        assert_eq!(capacity(&window), memory);
    }

    #[test]
    fn windows_are_the_same_if_the_same_is_in_flight() {
        let mut used = window(&[(1, 5)]);
        assert_ne!(used, Inflights::default());
        assert_eq!(used, window(&[(1, 5)]));
        assert_ne!(used, window(&[(2, 5)]));
        used.reset();
        assert_eq!(used, Inflights::default());
    }

    #[test]
    fn only_use_takes_memory_and_a_reset_keeps_it() {
        let mut window = Inflights::default();
        assert!(window.0.is_none());
        window.add(Index(1), 5, &LIMITS);
        let memory = capacity(&window);
        window.reset();
        assert!(window.is_empty() && window.payload_bytes() == 0);
        assert_eq!(capacity(&window), memory);
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic = "full window")]
    fn an_append_into_a_full_window_is_counted_all_the_same() {
        let mut window = window(&[(1, 0), (2, 0), (3, 0), (4, 0)]);
        window.add(Index(5), 7, &LIMITS);
        assert_eq!((window.len(), window.payload_bytes()), (5, 7));
    }
}
