//! What a node has in every role: its identity, term, log, membership, clock and outbox.
//!
//! What only a leader or a candidate has lives in that role (`role`), so that a follower cannot
//! touch it by mistake. No rule of the protocol is here.

use crate::config::Settings;
use crate::context::{Context, ShortContext};
use crate::entry::Entries;
use crate::error::Error;
use crate::event::Event;
use crate::ids::{Index, NodeId, Position, Term};
use crate::log::{Log, Storage};
use crate::membership::Membership;
use crate::message::{Append, AppendResponse, Body, Heartbeat, Message, MessageKind};
use crate::metrics::Metrics;
use crate::outbox::{Departure, Outbox};
use crate::state::{HardState, ReadState};
use crate::work::Work;

/// Called with each event as it happens, from inside the call that caused it.
pub type Observer = Box<dyn FnMut(&Event) + Send>;

/// The part of a node that does not depend on its role.
pub(crate) struct Core<S> {
    pub(crate) settings: Settings,
    term: Term,
    vote: Option<NodeId>,
    leader: Option<NodeId>,
    pub(crate) log: Log<S>,
    pub(crate) membership: Membership,
    /// How far this node has told the leader of this term that their logs match.
    pub(crate) acknowledged: Index,
    /// The index of the last snapshot that was restored: the membership has what is before it.
    pub(crate) restored: Index,
    /// Ticks since the leader was last heard; on a leader, since it last checked its quorum.
    pub(crate) election_elapsed: u32,
    /// Ticks since any leader was last heard, whatever became of the term since: what this node
    /// promised by its answer does not end with the term (see `ReadOnly::LeaseBased`).
    pub(crate) since_leader: u32,
    /// This node's election timeout until its role or term changes (paper, section 5.2).
    pub(crate) randomized_timeout: u32,
    random: Random,
    pub(crate) outbox: Outbox,
    /// Made for the first read.
    #[expect(clippy::box_collection, reason = "one word in the many nodes that nobody reads")]
    read_states: Option<Box<Vec<ReadState>>>,
    /// What waits for a Ready, besides what the log and the outbox have.
    work: Work,
    pub(crate) metrics: Metrics,
    /// Boxed once more: one word in who has none.
    pub(crate) observer: Option<Box<Observer>>,
}

impl<S: Storage> Core<S> {
    pub(crate) fn new(settings: Settings, seed: u64, log: Log<S>, membership: Membership) -> Self {
        let mut core = Self {
            settings,
            term: Term::ZERO,
            vote: None,
            leader: None,
            log,
            membership,
            acknowledged: Index::ZERO,
            restored: Index::ZERO,
            election_elapsed: 0,
            since_leader: u32::MAX,
            randomized_timeout: 0,
            random: Random(seed),
            outbox: Outbox::default(),
            read_states: None,
            work: Work::NONE,
            metrics: Metrics::default(),
            observer: None,
        };
        core.draw_election_timeout();
        core
    }

    pub(crate) const fn id(&self) -> NodeId {
        self.settings.id
    }

    pub(crate) const fn term(&self) -> Term {
        self.term
    }

    /// Whom this node voted for in this term.
    pub(crate) const fn vote(&self) -> Option<NodeId> {
        self.vote
    }

    /// Who leads this term, as far as this node knows.
    pub(crate) const fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    pub(crate) const fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.log.committed() }
    }

    /// Whether this node may become leader: a voter whose log is not about to be replaced.
    pub(crate) fn is_promotable(&self) -> bool {
        self.membership.contains(self.id())
            && !self.membership.is_learner(self.id())
            && !self.log.has_snapshot()
    }

    /// The term of the next election. A node that was founded from a snapshot may have no term of
    /// its own yet: what it appends as a leader must not fall behind what it has.
    pub(crate) fn next_term(&self) -> Term {
        self.term.next().max(self.log.last().term)
    }

    /// Goes on where it stopped.
    pub(crate) const fn recover(&mut self, hard_state: &HardState) {
        self.term = hard_state.term;
        self.vote = hard_state.vote;
    }

    /// Enters a term, or starts over in the present one. A vote belongs to one term.
    pub(crate) fn reset(&mut self, term: Term) {
        if self.term != term {
            self.term = term;
            self.vote = None;
            self.work.note(Work::BALLOT);
        }
        self.set_leader(None);
        self.outbox.take_owed();
        self.acknowledged = Index::ZERO;
        self.election_elapsed = 0;
        self.draw_election_timeout();
    }

    /// Votes in this term.
    pub(crate) fn vote_for(&mut self, candidate: NodeId) {
        if self.vote != Some(candidate) {
            self.vote = Some(candidate);
            self.work.note(Work::BALLOT);
        }
    }

    /// Learns who leads this term, or that nobody is known to.
    #[inline]
    pub(crate) fn set_leader(&mut self, leader: Option<NodeId>) {
        if self.leader != leader {
            self.leader = leader;
            self.work.note(Work::SOFT_STATE);
        }
    }

    /// The role is another one.
    pub(crate) const fn note_role(&mut self) {
        self.work.note(Work::SOFT_STATE);
    }

    /// A read can be answered.
    #[inline(always)]
    pub(crate) fn add_read_state(&mut self, read: ReadState) {
        self.read_states.get_or_insert_default().push(read);
        self.work.note(Work::READS);
    }

    #[cfg(debug_assertions)]
    pub(crate) fn has_read_states(&self) -> bool {
        self.read_states.as_ref().is_some_and(|states| !states.is_empty())
    }

    /// Moves the reads that can be answered into an empty buffer, and leaves that buffer for what
    /// comes next.
    pub(crate) fn take_read_states(&mut self, empty: &mut Vec<ReadState>) {
        if let Some(waiting) = &mut self.read_states
            && !waiting.is_empty()
        {
            std::mem::swap(empty, waiting);
        }
    }

    /// What waits for a Ready, messages left out.
    #[inline(always)]
    pub(crate) const fn work(&self) -> Work {
        self.work.or(self.log.work())
    }

    /// A Ready has all of it from now on.
    #[inline(always)]
    pub(crate) const fn clear_work(&mut self) {
        self.work = Work::NONE;
        self.log.clear_work();
    }

    /// Draws from `[n, 2n)`: split votes are rare because timeouts differ (paper, section 5.2).
    fn draw_election_timeout(&mut self) {
        let base = self.settings.election_timeout;
        self.randomized_timeout = base.saturating_add(self.random.below(base));
    }

    /// Sends in this node's name and term.
    #[inline(always)]
    pub(crate) fn send(&mut self, to: NodeId, body: Body) {
        debug_assert!(
            !matches!(body, Body::Propose(_) | Body::ReadIndex { .. }),
            "neither belongs to a term: whoever leads may answer"
        );
        self.send_as(Message { to, from: self.id(), term: self.term, body });
    }

    /// Sends a message that is complete already: in another's name or for another term.
    #[inline(always)]
    pub(crate) fn send_as(&mut self, message: Message) {
        debug_assert!(message.to != self.id(), "a message to another");
        self.metrics.count_sent(message.body.kind());
        self.outbox.push(message, &self.settings);
    }

    /// Sends an append, the commonest message.
    #[inline(always)]
    pub(crate) fn send_append(&mut self, to: NodeId, prev: Position, entries: Entries) {
        let (from, term, commit) = (self.id(), self.term, self.log.committed());
        self.metrics.count_sent(MessageKind::Append);
        let append = move || Body::Append(Append { prev, entries, commit });
        self.outbox.build(Departure::Now, move || Message { to, from, term, body: append() });
    }

    /// Sends a heartbeat.
    #[inline(always)]
    pub(crate) fn send_heartbeat(&mut self, to: NodeId, commit: Index, context: ShortContext) {
        let (from, term) = (self.id(), self.term);
        self.metrics.count_sent(MessageKind::Heartbeat);
        self.outbox.build(Departure::Now, move || {
            let body = Body::Heartbeat(Heartbeat { commit, context: context.into() });
            Message { to, from, term, body }
        });
    }

    /// Sends the answer to it.
    #[inline(always)]
    pub(crate) fn answer_heartbeat(&mut self, to: NodeId, context: Context) {
        let (from, term) = (self.id(), self.term);
        self.metrics.count_sent(MessageKind::HeartbeatResponse);
        let departure = Departure::of_heartbeat_response(&self.settings);
        self.outbox.build(departure, move || {
            let body = Body::HeartbeatResponse { context };
            Message { to, from, term, body }
        });
    }

    /// Sends the answer to an append: the log matches up to this index.
    #[inline(always)]
    pub(crate) fn answer_append(&mut self, to: NodeId, index: Index) {
        let (from, term) = (self.id(), self.term);
        self.metrics.count_sent(MessageKind::AppendResponse);
        self.outbox.build(Departure::AfterSync, move || {
            let body = Body::AppendResponse(AppendResponse { index, rejection: None });
            Message { to, from, term, body }
        });
    }

    /// Says to itself in this term what will be so when all it wrote until now is durable.
    pub(crate) fn send_own(&mut self, term: Term, body: Body) {
        let own = self.id();
        self.outbox.push_own(Message { to: own, from: own, term, body }, &self.settings);
    }

    /// A leader acknowledges its own entries. That counts when they are durable, like any other
    /// member's word (thesis, section 10.2.1).
    pub(crate) fn acknowledge_own(&mut self, index: Index) {
        if !self.settings.write_acknowledges() {
            let response = AppendResponse { index, rejection: None };
            self.send_own(self.term, Body::AppendResponse(response));
        }
    }

    /// Raises the commit index and counts what became committed.
    #[inline]
    pub(crate) fn commit_to(&mut self, index: Index) {
        let before = self.log.committed();
        self.log.commit_to(index);
        let count = self.log.committed().since(before);
        self.metrics.committed = self.metrics.committed.wrapping_add(count);
    }

    /// Counts and reports a message that was refused, or a proposal in it that was dropped.
    #[cold]
    pub(crate) fn count_failed(&mut self, from: NodeId, kind: MessageKind, error: Error) -> Error {
        match &error {
            Error::Refused(refusal) => {
                self.metrics.count_refused(refusal.kind());
                self.emit(|| Event::MessageRefused { from, kind, refusal: refusal.clone() });
            }
            Error::Dropped(reason) => self.count_dropped(*reason),
            _ => {}
        }
        error
    }

    /// Reports an event, which is built only if somebody listens.
    pub(crate) fn emit(&mut self, event: impl FnOnce() -> Event) {
        if let Some(observer) = &mut self.observer {
            observer(&event());
        }
    }
}

/// A small generator (SplitMix64): the same seed gives the same timeouts on every machine.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `[0, bound)`; zero when the bound is.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        // The high half of a 32 by 32 bit product: below `bound`, so it fits.
        (((self.next() >> 32).wrapping_mul(u64::from(bound))) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_generator_that_is_named() {
        // The first ones of SplitMix64 from this seed, as others publish them.
        let mut random = Random(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn drawn_numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random(7);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[random.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}
