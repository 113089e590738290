//! Linearizable reads without writing to the log (thesis, section 6.4).
//!
//! A read is safe at the commit index of the moment it was asked, once the leader knows that it
//! still led after that moment. It waits in a queue; every heartbeat carries the position of the
//! queue's end, so that one round asks for all that came before it. A member that echoes it
//! confirms all reads up to there. A member's echo of an older position confirms only what was
//! asked before that heartbeat was sent, so that a retried request or a late response can confirm
//! nothing too early.
//!
//! With leases the heartbeats also carry the leader's own tick count. What a quorum has echoed
//! tells how long ago it last promised to vote for nobody else; while that is recent enough, reads
//! need not wait.

use std::collections::VecDeque;

use crate::config::{ReadOnly, Settings};
use crate::context::{Context, ShortContext};
use crate::core::Core;
use crate::error::{DropReason, Error, Refusal};
use crate::ids::{Index, NodeId};
use crate::log::Storage;
use crate::message::{Body, Message};
use crate::progress::Progress;
use crate::quorum::majority;
use crate::role::{Leader, Raft, Role};
use crate::state::ReadState;

/// A read that waits.
#[derive(Debug)]
struct WaitingRead {
    /// Who asked.
    from: NodeId,
    context: Context,
    /// The commit index when it was asked.
    index: Index,
}

/// What a member has echoed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ReadEcho {
    /// The position of the queue, at most its end.
    position: u64,
    /// The tick count, where leases are kept, or else zero.
    tick: u64,
}

impl ReadEcho {
    pub(crate) const NONE: Self = Self { position: 0, tick: 0 };
    const OWN: Self = Self { position: u64::MAX, tick: u64::MAX };
}

/// The reads that wait for a leader's confirmation, and the leases that spare them the wait.
#[derive(Debug)]
pub(crate) struct ReadQueue {
    /// Made when the first read waits or the first echo comes: most leaders of many idle groups
    /// never have it.
    queue: Option<Box<Queue>>,
    /// This leadership's ticks, where leases are kept, or else zero. They start so high that a
    /// member that has echoed nothing, which counts as zero, is out of any lease.
    clock: u64,
    /// The tick count that a quorum has echoed, where leases are kept. This leader's own word
    /// counts for ever.
    promised: u64,
    /// Set when somebody else may win an election in spite of all promises.
    lease_is_over: bool,
    /// Whether this leader has committed an entry of its own term. Until then its commit index may
    /// be behind what an earlier leader answered for (thesis, section 6.4, step 1).
    has_committed: bool,
}

#[derive(Debug)]
struct Queue {
    /// In the order in which they came; the first has position `confirmed + 1`.
    waiting: VecDeque<WaitingRead>,
    /// How many reads were confirmed in this leadership.
    confirmed: u64,
    /// The highest that each member has echoed, in the order of the leader's members. Its own word
    /// is given for everything.
    echoes: Vec<(NodeId, ReadEcho)>,
    /// Reads that came before this leader committed anything in its term.
    postponed: Vec<(NodeId, Context)>,
}

impl Queue {
    #[cold]
    fn new(members: &[(NodeId, Progress)], own: NodeId) -> Box<Self> {
        let (waiting, postponed) = (VecDeque::new(), Vec::new());
        let mut queue = Self { waiting, confirmed: 0, echoes: Vec::new(), postponed };
        queue.follow(members, own);
        Box::new(queue)
    }

    /// These are the members now.
    fn follow(&mut self, members: &[(NodeId, Progress)], own: NodeId) {
        let first = |id| if id == own { ReadEcho::OWN } else { ReadEcho::NONE };
        let echo = |id| self.echo_of(id).copied().unwrap_or_else(|| first(id));
        self.echoes = members.iter().map(|(id, _)| (*id, echo(*id))).collect();
    }

    /// The position of the last read that ever came.
    fn end(&self) -> u64 {
        self.confirmed.saturating_add(self.waiting.len() as u64)
    }

    fn note_echo(&mut self, place: usize, echo: ReadEcho) {
        if let Some((_, highest)) = self.echoes.get_mut(place) {
            highest.position = highest.position.max(echo.position);
            highest.tick = highest.tick.max(echo.tick);
        }
    }

    fn echo_of(&self, member: NodeId) -> Option<&ReadEcho> {
        self.echoes.iter().find(|(from, _)| *from == member).map(|(_, echo)| echo)
    }
}

impl ReadQueue {
    /// The queue of a leadership that begins.
    pub(crate) fn new(settings: &Settings) -> Self {
        let start = u64::from(settings.election_timeout).saturating_mul(2);
        let clock = if settings.keeps_leases() { start } else { 0 };
        Self { queue: None, clock, promised: 0, lease_is_over: false, has_committed: false }
    }

    /// Forgets what a member has echoed: what has its name is somebody else now.
    pub(crate) fn forget(&mut self, member: NodeId) {
        if let Some(queue) = &mut self.queue {
            queue.echoes.retain(|(id, _)| *id != member);
        }
    }

    pub(crate) fn tick(&mut self) {
        if self.keeps_leases() {
            self.clock = self.clock.saturating_add(1);
        }
    }

    const fn keeps_leases(&self) -> bool {
        self.clock != 0
    }

    /// No leases in what is left of this leadership.
    pub(crate) fn give_up_lease(&mut self) {
        self.lease_is_over = true;
    }

    /// How many reads wait.
    pub(crate) fn len(&self) -> usize {
        let count = |queue: &Queue| queue.waiting.len().saturating_add(queue.postponed.len());
        self.queue.as_deref().map_or(0, count)
    }

    /// What heartbeats carry: the position of the last read, or nothing if none waits; with
    /// leases always the position and the ticks.
    pub(crate) fn heartbeat_context(&self) -> ShortContext {
        let position = self.end();
        if self.keeps_leases() {
            let (low, high) = (u128::from(position), u128::from(self.clock).wrapping_shl(64));
            return ShortContext::of((high | low).to_le_bytes());
        }
        if self.queue.as_ref().is_none_or(|queue| queue.waiting.is_empty()) {
            return ShortContext::EMPTY;
        }
        ShortContext::of(position.to_le_bytes())
    }

    /// What an answer's context echoes; `None` if this leader cannot have sent it.
    #[inline]
    pub(crate) fn echo_in(&self, context: &Context) -> Option<ReadEcho> {
        let (len, [position, tick]) = context.numbers()?;
        if len == 0 {
            return Some(ReadEcho::NONE);
        }
        // A position alone is sent while a read waits.
        let is_whole = if self.keeps_leases() { len == 16 } else { len == 8 && position > 0 };
        (is_whole && position <= self.end() && tick <= self.clock)
            .then_some(ReadEcho { position, tick })
    }

    fn end(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.end())
    }

    /// The tick count that a quorum has echoed.
    #[inline(never)]
    fn promised_tick<S: Storage>(&self, core: &Core<S>) -> u64 {
        let (own, queue) = (core.id(), self.queue.as_deref());
        let tick_of = |id| if id == own { Some(u64::MAX) } else { Some(queue?.echo_of(id)?.tick) };
        core.membership.committed_index(|id| tick_of(id).map(Index)).0
    }

    /// Whether a quorum's promises outlast this moment. They count from when the heartbeat was
    /// *sent*, and run for an election timeout of each member's own ticks. Two ticks are lost to
    /// not knowing where between two ticks things happened, here and there; a tenth of the
    /// timeout allows for clocks that differ.
    fn has_lease(&self, settings: &Settings) -> bool {
        let timeout = u64::from(settings.election_timeout);
        let margin = timeout.div_ceil(10).saturating_add(2);
        let age = self.clock.saturating_sub(self.promised);
        self.keeps_leases() && !self.lease_is_over && age.saturating_add(margin) <= timeout
    }
}

impl<S: Storage> Raft<S> {
    /// The application wants to read.
    pub(crate) fn read_index(&mut self, context: Context) -> Result<(), Error> {
        let own = self.core.id();
        match (&mut self.role, self.core.leader()) {
            (Role::Leader(leader), _) => leader.on_read_index(&mut self.core, own, context),
            (Role::Follower, Some(_)) => {
                self.core.forward_read(own, context);
                Ok(())
            }
            _ => Err(DropReason::NoLeader.into()),
        }
    }
}

impl<S: Storage> Core<S> {
    /// Passes a read on to the leader, in the name of who asked first.
    pub(crate) fn forward_read(&mut self, from: NodeId, context: Context) {
        if let Some(leader) = self.leader() {
            let (term, body) = (crate::Term::ZERO, Body::ReadIndex { context });
            self.send_as(Message { to: leader, from, term, body });
        }
    }

    /// The leader answered a read of this node.
    #[inline(always)]
    pub(crate) fn on_read_response(&mut self, index: Index, context: Context) {
        self.add_read_state(ReadState { index, context });
    }

    /// Gives the answer to whoever asked.
    #[inline(always)]
    fn answer_read(&mut self, from: NodeId, index: Index, context: Context) {
        self.metrics.count_rare(|rare| Some(&mut rare.reads_confirmed));
        if from == self.id() {
            self.on_read_response(index, context);
        } else {
            self.send(from, Body::ReadIndexResponse { index, context });
        }
    }
}

impl Leader {
    /// Takes a read: answers it, queues it, or postpones it.
    pub(crate) fn on_read_index<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        from: NodeId,
        context: Context,
    ) -> Result<(), Error> {
        let limit = core.settings.max_pending_reads as usize;
        if self.reads.len() >= limit {
            return Err(if from == core.id() {
                DropReason::TooManyReads { limit }.into()
            } else {
                Refusal::TooManyReads { limit }.into()
            });
        }
        if self.reads.has_committed {
            self.serve_read(core, from, context);
        } else {
            self.read_queue(core).postponed.push((from, context));
        }
        Ok(())
    }

    fn serve_read<S: Storage>(&mut self, core: &mut Core<S>, from: NodeId, context: Context) {
        let index = core.log.committed();
        let is_confirmed = match core.settings.read_only {
            ReadOnly::Safe => false,
            ReadOnly::LeaseBased => self.reads.has_lease(&core.settings),
            ReadOnly::LeaseUnverified => true,
        };
        if is_confirmed || is_alone(core) {
            core.answer_read(from, index, context);
            return;
        }
        let queue = self.read_queue(core);
        queue.waiting.push_back(WaitingRead { from, context, index });
        self.send_heartbeats(core);
    }

    #[inline]
    fn read_queue<S: Storage>(&mut self, core: &Core<S>) -> &mut Queue {
        self.reads.queue.get_or_insert_with(|| Queue::new(&self.members, core.id()))
    }

    /// Others are members now: who is gone takes their echo along.
    pub(crate) fn reconcile_reads<S: Storage>(&mut self, core: &Core<S>) {
        if let Some(queue) = &mut self.reads.queue {
            queue.follow(&self.members, core.id());
        }
        self.count_promises(core);
    }

    /// Counts what is promised, after an echo or where others vote now.
    #[inline]
    pub(crate) fn count_promises<S: Storage>(&mut self, core: &Core<S>) {
        if self.reads.keeps_leases() {
            self.reads.promised = self.reads.promised_tick(core);
        }
    }

    /// A member echoed a heartbeat of this term.
    #[inline]
    pub(crate) fn on_read_echoed<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        place: usize,
        echo: ReadEcho,
    ) {
        let queue = self.read_queue(core);
        queue.note_echo(place, echo);
        // Most echoes come when others have confirmed all that they could.
        let may_confirm = echo.position > queue.confirmed;
        self.count_promises(core);
        if may_confirm {
            self.confirm_reads(core);
        }
    }

    /// Answers the reads whose position a quorum has echoed.
    pub(crate) fn confirm_reads<S: Storage>(&mut self, core: &mut Core<S>) {
        let Some(queue) = self.reads.queue.as_deref_mut() else { return };
        let echoed = if core.membership.has_only_voters() {
            majority::committed_index_of(&queue.echoes, |(_, echo)| Index(echo.position))
        } else {
            let position_of = |id| Some(Index(queue.echo_of(id)?.position));
            core.membership.committed_index(position_of)
        };
        while queue.confirmed < echoed.0 {
            let Some(read) = queue.waiting.pop_front() else { return };
            queue.confirmed = queue.confirmed.saturating_add(1);
            core.answer_read(read.from, read.index, read.context);
        }
    }

    /// The leader has committed in its term: what was postponed can be served.
    #[inline]
    pub(crate) fn release_postponed_reads<S: Storage>(&mut self, core: &mut Core<S>) {
        self.reads.has_committed = true;
        if self.reads.queue.as_ref().is_some_and(|queue| !queue.postponed.is_empty()) {
            self.serve_postponed_reads(core);
        }
    }

    #[cold]
    fn serve_postponed_reads<S: Storage>(&mut self, core: &mut Core<S>) {
        let Some(queue) = &mut self.reads.queue else { return };
        for (from, context) in std::mem::take(&mut queue.postponed) {
            self.serve_read(core, from, context);
        }
    }
}

/// Whether this node needs nobody's word. A leader that was removed or demoted is never alone.
fn is_alone<S: Storage>(core: &Core<S>) -> bool {
    core.membership.is_singleton() && core.membership.is_voter(core.id())
}
