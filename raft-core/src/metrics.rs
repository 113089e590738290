//! Counters. They only grow, from zero when the node is made.

use crate::error::RefusalKind;
use crate::message::MessageKind;

/// What a node has done so far.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Elections this node started; pre-votes alone do not count.
    pub campaigns: u64,
    /// Elections it won.
    pub leaderships: u64,
    /// Entries it appended as a leader because they were proposed.
    pub proposals: u64,
    /// Proposals it dropped.
    pub proposals_dropped: u64,
    /// Membership changes it replaced by an empty entry.
    pub conf_changes_replaced: u64,
    /// Entries it learned to be committed.
    pub committed: u64,
    /// Reads it confirmed as a leader.
    pub reads_confirmed: u64,
    /// Snapshots it sent.
    pub snapshots_sent: u64,
    /// Snapshots it restored its log from.
    pub snapshots_restored: u64,
    /// Messages it did not send because the storage failed when it read for them.
    pub sends_skipped: u64,
    sent: Counts,
    received: Counts,
    /// Nothing is refused in most nodes' lives.
    refused: Option<Box<[u64; RefusalKind::COUNT]>>,
}

/// A counter for each kind of message.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Counts {
    common: [u32; 8],
    /// Most members of most groups never see any of the others.
    rare: Option<Box<[u32; MessageKind::COUNT]>>,
}

impl Counts {
    fn of(&self, kind: MessageKind) -> u32 {
        let count = match place_of_common(kind) {
            Some(place) => self.common.get(place),
            None => self.rare.as_deref().and_then(|counts| counts.get(kind as usize)),
        };
        count.copied().unwrap_or_default()
    }

    #[inline(always)]
    fn count(&mut self, kind: MessageKind) {
        let count = match place_of_common(kind) {
            Some(place) => self.common.get_mut(place),
            None => self.rare_count(kind),
        };
        if let Some(count) = count {
            *count = count.wrapping_add(1);
        }
    }

    #[cold]
    fn rare_count(&mut self, kind: MessageKind) -> Option<&mut u32> {
        self.rare.get_or_insert_default().get_mut(kind as usize)
    }
}

/// What every group says.
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

impl Metrics {
    /// Messages of this kind that were put into a Ready. Wraps at 2^32.
    #[must_use]
    pub fn sent(&self, kind: MessageKind) -> u32 {
        self.sent.of(kind)
    }

    /// Messages of this kind that were stepped, refused ones included. Wraps at 2^32.
    #[must_use]
    pub fn received(&self, kind: MessageKind) -> u32 {
        self.received.of(kind)
    }

    /// Messages that were refused for this reason.
    #[must_use]
    pub fn refused(&self, kind: RefusalKind) -> u64 {
        let counts = self.refused.as_deref();
        counts.and_then(|counts| counts.get(kind as usize)).copied().unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn count_sent(&mut self, kind: MessageKind) {
        self.sent.count(kind);
    }

    pub(crate) fn count_received(&mut self, kind: MessageKind) {
        self.received.count(kind);
    }

    pub(crate) fn count_refused(&mut self, kind: RefusalKind) {
        let counts = self.refused.get_or_insert_with(|| Box::new([0; RefusalKind::COUNT]));
        if let Some(count) = counts.get_mut(kind as usize) {
            *count = count.saturating_add(1);
        }
    }
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
