//! What a leader knows of one member: how far its log agrees, what was sent to it, and whether
//! more may be sent now.
//!
//! A [`Progress`] is a state machine over what was sent and answered. It sends nothing and sees
//! no log: which message follows from a transition is `replication` and `snapshot`. Nor does it
//! know whether the member votes: that is `membership`.

mod inflights;
#[cfg(test)]
mod tests;

use std::fmt;

pub use inflights::Inflights;

use crate::ids::Index;

/// How much may be in flight to one member. The same for all, so it is handed in where it is
/// needed and not kept by each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Appends sent and not acknowledged. Above zero, or nothing ever flows.
    pub max_inflight_messages: usize,
    /// Bytes of their payloads: the append that reaches or exceeds it is the last one. Above
    /// zero; `u64::MAX` means no limit.
    pub max_inflight_bytes: u64,
}

/// How the leader sends to a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// It is not known where the logs agree: one append at a time, and then its answer, or the
    /// next heartbeat's, is waited for (paper, section 5.3).
    Probe,
    /// The logs agree up to the match index: appends are sent ahead of their acknowledgements,
    /// as far as the window allows (thesis, section 10.2.1).
    Replicate(Inflights),
    /// What it needs next was compacted: it gets a snapshot (paper, section 7), and no appends
    /// until the outcome is known.
    Snapshot {
        /// The index of that snapshot.
        pending: Index,
    },
}

impl State {
    /// The name in this protocol family's text forms, for example `StateProbe`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Probe => "StateProbe",
            Self::Replicate(_) => "StateReplicate",
            Self::Snapshot { .. } => "StateSnapshot",
        }
    }
}

/// What a member is to be sent when the next Ready is taken, where appends are coalesced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Owed {
    Nothing,
    /// What it lacks, if it lacks something.
    Entries,
    /// An append in any case: it carries the commit index.
    Append,
}

/// What the leader knows of one member (paper, figure 2: "volatile state on leaders").
///
/// A leader has one for itself too, always replicating and acknowledged by its own storage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The highest index up to which the member's log is known to be the leader's. Never falls
    /// while this leader leads.
    match_index: Index,
    /// The next entry to send. Invariant: `match_index < next`. While replicating, all entries
    /// between the two are in flight.
    next: Index,
    /// The highest commit index that is on its way to the member. Falls when what carried it is
    /// presumed lost: it is below `next` whenever a probe starts or a rejection has moved `next`.
    sent_commit: Index,
    state: State,
    /// Whether the member was heard from since this was last cleared: what check-quorum counts,
    /// and whom a snapshot is worth sending to.
    recent_active: bool,
    /// Whether appends wait for an answer: the probe is out, or the window was full. A heartbeat
    /// response clears it, so that a lost append cannot stop the flow for ever.
    paused: bool,
    /// What the next Ready sends; nothing, always, where appends are not coalesced.
    owed: Owed,
}

impl Progress {
    /// A member of which nothing is known: it is probed from `next` on, zero being taken for one,
    /// and counts as not heard from.
    #[must_use]
    pub fn new(next: Index) -> Self {
        Self {
            match_index: Index::ZERO,
            next: next.max(Index::ZERO.next()),
            sent_commit: Index::ZERO,
            state: State::Probe,
            recent_active: false,
            paused: false,
            owed: Owed::Nothing,
        }
    }

    /// The highest index up to which the member's log is known to be the leader's.
    #[must_use]
    pub fn match_index(&self) -> Index {
        self.match_index
    }

    /// The index of the next entry to send: always above [`match_index`](Self::match_index).
    #[must_use]
    pub fn next_index(&self) -> Index {
        self.next
    }

    /// The highest commit index that is on its way to the member.
    #[must_use]
    pub fn sent_commit(&self) -> Index {
        self.sent_commit
    }

    /// How the leader sends to this member.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether the member was heard from recently (see [`mark_active`](Self::mark_active)).
    #[must_use]
    pub fn is_recent_active(&self) -> bool {
        self.recent_active
    }

    /// Whether no append may be sent now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused || matches!(self.state, State::Snapshot { .. })
    }

    /// Whether an append may carry no entries for now, because too much is in flight. Only a
    /// replicating member has a window.
    #[must_use]
    #[inline]
    pub fn is_window_full(&self, limits: &Limits) -> bool {
        matches!(&self.state, State::Replicate(inflights) if inflights.is_full(limits))
    }

    /// Whether it is of use to send this commit index: the member may not have heard of it, and
    /// it was not yet sent one that commits all it has been sent.
    #[must_use]
    pub fn can_bump_commit(&self, commit: Index) -> bool {
        commit > self.sent_commit && self.sent_commit < self.next.prev()
    }

    /// The next Ready sends at least this.
    pub(crate) fn owe(&mut self, what: Owed) {
        self.owed = self.owed.max(what);
    }

    /// Whether the next Ready is to send it something.
    #[cfg(debug_assertions)]
    pub(crate) fn owes(&self) -> bool {
        self.owed != Owed::Nothing
    }

    /// What the Ready that is being made sends.
    pub(crate) fn take_owed(&mut self) -> Owed {
        std::mem::replace(&mut self.owed, Owed::Nothing)
    }

    /// Probes the member from the entry after its match index; or, if a snapshot was pending,
    /// from the entry after that, since it is presumed to have arrived.
    pub fn become_probe(&mut self) {
        let known = match self.state {
            State::Snapshot { pending } => pending.max(self.match_index),
            State::Probe | State::Replicate(_) => self.match_index,
        };
        self.probe_after(known);
    }

    /// Forgets a pending snapshot, which was lost or refused, and probes from the entry after the
    /// match index.
    pub fn abort_snapshot(&mut self) {
        self.probe_after(self.match_index);
    }

    /// Streams to the member from the entry after its match index on, with an empty window.
    pub fn become_replicate(&mut self) {
        match &mut self.state {
            // Keeps the window's memory.
            State::Replicate(inflights) => inflights.reset(),
            State::Probe | State::Snapshot { .. } => {
                self.state = State::Replicate(Inflights::default());
            }
        }
        self.paused = false;
        self.next = self.match_index.next();
        self.debug_check();
    }

    /// Waits for the outcome of a snapshot at this index, which was just sent. It also tells the
    /// member that everything up to there is committed.
    pub fn become_snapshot(&mut self, index: Index) {
        self.state = State::Snapshot { pending: index };
        self.paused = false;
        // A storage that hands out a snapshot older than what the member has must not break
        // `match_index < next`.
        self.next = index.max(self.match_index).next();
        self.sent_commit = index;
        self.debug_check();
    }

    /// An append with `count` entries from [`next_index`](Self::next_index) on was sent, whose
    /// payloads have this many bytes; `count` may be zero. Not while a snapshot is pending.
    ///
    /// While replicating, the entries count as on their way and the flow pauses if the window is
    /// full now. That holds for an empty append too: into a full window it is a probe.
    #[inline(always)]
    pub fn on_sent_entries(&mut self, count: u64, payload_bytes: u64, limits: &Limits) {
        match &mut self.state {
            State::Probe => self.paused |= count > 0,
            State::Replicate(inflights) => {
                if count > 0 {
                    self.next = self.next.skip(count);
                    inflights.add(self.next.prev(), payload_bytes, limits);
                }
                self.paused = inflights.is_full(limits);
            }
            State::Snapshot { .. } => debug_assert!(false, "an append while a snapshot is pending"),
        }
        self.debug_check();
    }

    /// A message with this commit index was sent.
    pub fn on_sent_commit(&mut self, commit: Index) {
        self.sent_commit = commit;
    }

    /// The member acknowledged everything up to this index. Returns whether that is news: an
    /// acknowledgement that was overtaken changes nothing.
    ///
    /// The caller has checked that the leader's log reaches so far.
    #[inline]
    pub fn on_acknowledged(&mut self, index: Index) -> bool {
        if index <= self.match_index {
            return false;
        }
        self.match_index = index;
        self.next = self.next.max(index.after());
        self.paused = false;
        self.debug_check();
        true
    }

    /// The member rejected an append whose entries follow on `rejected`, and hinted that the logs
    /// may agree up to `hint`. Returns whether the rejection holds; one that was overtaken
    /// changes nothing.
    ///
    /// A replicating member starts over after its match index, and the caller makes it probe
    /// ([`become_probe`](Self::become_probe)). For others the hint leads back faster than one
    /// entry at a time (paper, end of section 5.3).
    pub fn on_rejected(&mut self, rejected: Index, hint: Index) -> bool {
        if matches!(self.state, State::Replicate(_)) {
            if rejected <= self.match_index {
                return false;
            }
            self.next = self.match_index.next();
        } else {
            // There is one probe at a time, so only its own answer counts.
            if rejected != self.next.prev() {
                return false;
            }
            self.next = rejected.min(hint.next()).max(self.match_index.next());
            self.paused = false;
        }
        self.lower_sent_commit();
        self.debug_check();
        true
    }

    /// Lets the window slide: the member has everything up to this index.
    #[inline]
    pub fn free_inflights_up_to(&mut self, index: Index) {
        if let State::Replicate(inflights) = &mut self.state {
            // Mostly that was all.
            if index >= self.next.prev() {
                inflights.reset();
            } else {
                inflights.free_up_to(index);
            }
        }
    }

    /// Sends no append before an answer or a heartbeat response arrives.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Lets the next append be sent. A pending snapshot still holds it back.
    pub fn unpause(&mut self) {
        self.paused = false;
    }

    /// The member was heard from.
    pub fn mark_active(&mut self) {
        self.recent_active = true;
    }

    /// Starts a new interval in which the member has to be heard from.
    pub fn mark_inactive(&mut self) {
        self.recent_active = false;
    }

    /// The text form, for example `StateReplicate match=4 next=7 paused inflight=2[full]`: after
    /// the two indexes comes only what is so.
    #[must_use]
    pub fn describe<'a>(&'a self, is_learner: bool, limits: &'a Limits) -> impl fmt::Display + 'a {
        Description { progress: self, is_learner, limits }
    }

    /// Nothing is in flight any more, and the first `known` entries are presumed to be there.
    fn probe_after(&mut self, known: Index) {
        self.state = State::Probe;
        self.paused = false;
        self.next = known.next();
        self.lower_sent_commit();
        self.debug_check();
    }

    /// A commit index sent along with entries that did not arrive has not taken effect.
    fn lower_sent_commit(&mut self) {
        self.sent_commit = self.sent_commit.min(self.next.prev());
    }

    /// Holds on leaving every call that moves an index.
    fn debug_check(&self) {
        debug_assert!(self.match_index < self.next, "match_index < next: {self:?}");
    }
}

struct Description<'a> {
    progress: &'a Progress,
    is_learner: bool,
    limits: &'a Limits,
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { match_index, next, state, .. } = self.progress;
        write!(f, "{} match={match_index} next={next}", state.name())?;
        if self.is_learner {
            f.write_str(" learner")?;
        }
        if self.progress.is_paused() {
            f.write_str(" paused")?;
        }
        if let State::Snapshot { pending } = state {
            write!(f, " pendingSnap={pending}")?;
        }
        if !self.progress.recent_active {
            f.write_str(" inactive")?;
        }
        match state {
            State::Replicate(inflights) if !inflights.is_empty() => {
                write!(f, " inflight={}", inflights.len())?;
                f.write_str(if inflights.is_full(self.limits) { "[full]" } else { "" })
            }
            _ => Ok(()),
        }
    }
}
