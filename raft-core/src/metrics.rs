//! Counters. They only grow, from zero when the node is made.

use std::ops::Deref;

use crate::error::RefusalKind;
use crate::message::MessageKind;

/// What a node has done so far. What few nodes ever do is counted in [`RareMetrics`], whose fields
/// are reached through this: `metrics.proposals_dropped`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Elections this node started; pre-votes alone do not count.
    pub campaigns: u64,
    /// Elections it won.
    pub leaderships: u64,
    /// Entries it appended as a leader because they were proposed.
    pub proposals: u64,
    /// Entries it learned to be committed.
    pub committed: u64,
    sent: [u32; COMMON],
    received: [u32; COMMON],
    /// Made when the first of them is counted: most members of most groups never have it.
    rare: Option<Box<RareMetrics>>,
}

/// What happens in few nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RareMetrics {
    /// Proposals it dropped.
    pub proposals_dropped: u64,
    /// Membership changes it replaced by an empty entry.
    pub conf_changes_replaced: u64,
    /// Reads it confirmed as a leader.
    pub reads_confirmed: u64,
    /// Snapshots it sent.
    pub snapshots_sent: u64,
    /// Snapshots it restored its log from.
    pub snapshots_restored: u64,
    /// Messages it did not send because the storage failed when it read for them.
    pub sends_skipped: u64,
    sent: [u32; MessageKind::COUNT],
    received: [u32; MessageKind::COUNT],
    refused: [u64; RefusalKind::COUNT],
}

/// Nothing of it happened.
static NONE: RareMetrics = RareMetrics::NONE;

impl RareMetrics {
    const NONE: Self = Self {
        proposals_dropped: 0,
        conf_changes_replaced: 0,
        reads_confirmed: 0,
        snapshots_sent: 0,
        snapshots_restored: 0,
        sends_skipped: 0,
        sent: [0; MessageKind::COUNT],
        received: [0; MessageKind::COUNT],
        refused: [0; RefusalKind::COUNT],
    };
}

impl Deref for Metrics {
    type Target = RareMetrics;

    fn deref(&self) -> &RareMetrics {
        self.rare.as_deref().unwrap_or(&NONE)
    }
}

/// How many kinds of message every group has.
const COMMON: usize = 8;

/// Their places.
#[inline(always)]
const fn place_of_common(kind: MessageKind) -> Option<usize> {
    Some(match kind {
        MessageKind::Append => 0,
        MessageKind::AppendResponse => 1,
        MessageKind::Heartbeat => 2,
        MessageKind::HeartbeatResponse => 3,
        MessageKind::Vote => 4,
        MessageKind::VoteResponse => 5,
        MessageKind::PreVote => 6,
        MessageKind::PreVoteResponse => 7,
        _ => return None,
    })
}

fn count(counts: &mut [u32], place: usize) {
    if let Some(count) = counts.get_mut(place) {
        *count = count.wrapping_add(1);
    }
}

impl Metrics {
    /// Messages of this kind that were put into a Ready. Wraps at 2^32.
    #[must_use]
    pub fn sent(&self, kind: MessageKind) -> u32 {
        let count = match place_of_common(kind) {
            Some(place) => self.sent.get(place),
            None => (**self).sent.get(kind as usize),
        };
        count.copied().unwrap_or_default()
    }

    /// Messages of this kind that were stepped, refused ones included. Wraps at 2^32.
    #[must_use]
    pub fn received(&self, kind: MessageKind) -> u32 {
        let count = match place_of_common(kind) {
            Some(place) => self.received.get(place),
            None => (**self).received.get(kind as usize),
        };
        count.copied().unwrap_or_default()
    }

    /// Messages that were refused for this reason.
    #[must_use]
    pub fn refused(&self, kind: RefusalKind) -> u64 {
        self.refused.get(kind as usize).copied().unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn count_sent(&mut self, kind: MessageKind) {
        match place_of_common(kind) {
            Some(place) => count(&mut self.sent, place),
            None => count(&mut self.rare().sent, kind as usize),
        }
    }

    #[inline(always)]
    pub(crate) fn count_received(&mut self, kind: MessageKind) {
        match place_of_common(kind) {
            Some(place) => count(&mut self.received, place),
            None => count(&mut self.rare().received, kind as usize),
        }
    }

    pub(crate) fn count_refused(&mut self, kind: RefusalKind) {
        self.count_rare(|rare| rare.refused.get_mut(kind as usize));
    }

    /// Counts one of what is rare.
    #[inline]
    pub(crate) fn count_rare(&mut self, which: impl FnOnce(&mut RareMetrics) -> Option<&mut u64>) {
        if let Some(count) = which(self.rare()) {
            *count = count.saturating_add(1);
        }
    }

    #[inline]
    fn rare(&mut self) -> &mut RareMetrics {
        self.rare.get_or_insert_with(new_rare)
    }
}

#[cold]
fn new_rare() -> Box<RareMetrics> {
    Box::new(RareMetrics::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_counter_of_its_own() {
        let mut metrics = Metrics::default();
        let kinds = || (0..).map_while(MessageKind::from_number);
        for kind in kinds() {
            (0..=kind as u32).for_each(|_| metrics.count_sent(kind));
            (0..=kind as u32 * 2).for_each(|_| metrics.count_received(kind));
        }
        assert_eq!(kinds().count(), MessageKind::COUNT);
        for kind in kinds() {
            assert_eq!(metrics.sent(kind), kind as u32 + 1);
            assert_eq!(metrics.received(kind), kind as u32 * 2 + 1);
        }
    }
}
