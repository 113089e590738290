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
type Counts = [u32; MessageKind::COUNT];

impl Metrics {
    /// Messages of this kind that were put into a Ready. Wraps at 2^32.
    #[must_use]
    pub fn sent(&self, kind: MessageKind) -> u32 {
        self.sent.get(kind as usize).copied().unwrap_or_default()
    }

    /// Messages of this kind that were stepped, refused ones included. Wraps at 2^32.
    #[must_use]
    pub fn received(&self, kind: MessageKind) -> u32 {
        self.received.get(kind as usize).copied().unwrap_or_default()
    }

    /// Messages that were refused for this reason.
    #[must_use]
    pub fn refused(&self, kind: RefusalKind) -> u64 {
        let counts = self.refused.as_deref();
        counts.and_then(|counts| counts.get(kind as usize)).copied().unwrap_or_default()
    }

    pub(crate) fn count_sent(&mut self, kind: MessageKind) {
        count(&mut self.sent, kind);
    }

    pub(crate) fn count_received(&mut self, kind: MessageKind) {
        count(&mut self.received, kind);
    }

    pub(crate) fn count_refused(&mut self, kind: RefusalKind) {
        let counts = self.refused.get_or_insert_with(|| Box::new([0; RefusalKind::COUNT]));
        if let Some(count) = counts.get_mut(kind as usize) {
            *count = count.saturating_add(1);
        }
    }
}

fn count(counts: &mut Counts, kind: MessageKind) {
    if let Some(count) = counts.get_mut(kind as usize) {
        *count = count.wrapping_add(1);
    }
}
