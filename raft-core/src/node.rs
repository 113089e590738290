//! The door: every public call on a node, the checks on the caller, the Ready in and out, and the
//! faulted state. No rule of the protocol is here.

mod storage_work;
#[cfg(test)]
mod twin;
mod waiting;

use std::sync::Arc;

use bytes::Bytes;

use crate::config::{Config, ReadOnly};
use crate::context::Context;
use crate::core::{Core, Observer};
use crate::entry::{Entry, EntryKind};
use crate::error::{ConfigError, Error, Fault, Misuse, Refusal, StorageError};
use crate::ids::{Index, NodeId, Position, Term};
use crate::log::{Log, Storage};
use crate::membership::{AnyConfChange, ConfChange, ConfChangeKind, ConfChangeV2, Membership};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::proposal::{ConfChangeOutcome, Proposed};
use crate::ready::{Applied, Ready, ReadyContents};
use crate::reconfiguration::AppliedConfChange;
use crate::role::{Raft, Role};
use crate::snapshot::SnapshotStatus;
use crate::state::{HardState, Peer, RoleKind, Snapshot, SoftState};
use crate::status::{BasicStatus, Status};
use crate::wire;
use crate::work::Work;
use storage_work::Awaited;

/// The longest payload that can be proposed: the wire counts lengths in 31 bits in some languages.
const MAX_PAYLOAD_BYTES: usize = (i32::MAX as usize) - (1 << 16);

/// One member of a Raft group.
///
/// A node decides; it does no I/O, reads no clock and starts no thread. The application drives it
/// by these calls, from one thread at a time:
///
/// 1. make it: [`new`](Self::new), and [`bootstrap`](Self::bootstrap) for a new group;
/// 2. tell it what happens: [`tick`](Self::tick) at a steady pace, [`step`](Self::step) for every
///    message from a peer, [`propose`](Self::propose) and the other requests of the application;
/// 3. whenever [`has_ready`](Self::has_ready): take the [`ready`](Self::ready), do what it says in
///    the order it says, and [`advance`](Self::advance);
/// 4. look: [`status`](Self::status), [`metrics`](Self::metrics), and an
///    [observer](Self::set_observer) for what happens inside.
///
/// No call panics. A call that returns an error left the node as it was, except that a message of
/// a higher term still ends the present one, and that a heartbeat beyond the log still counts as
/// word from the leader. [`Error::Faulted`] alone is final.
pub struct Node<S: Storage> {
    raft: Raft<S>,
    fault: Option<Box<Fault>>,
    door: Door,
    /// What the application was told last, so that it is told only what changed. The parts of a
    /// [`SoftState`], whose padding would lie idle.
    last_role: RoleKind,
    last_leader: Option<NodeId>,
    #[cfg(debug_assertions)]
    last_hard_state: HardState,
    ready_count: u64,
    outstanding: Outstanding,
    /// Only with asynchronous storage writes.
    awaited: Option<Box<Awaited>>,
    /// The buffers of the Ready that was advanced last.
    spare: Option<Ready>,
}

/// Whether a Ready may be taken.
#[derive(Clone, Copy, PartialEq)]
enum Door {
    Open,
    /// One was handed out and not advanced yet: the last one.
    Out,
    /// Its `advance` failed, and it is to be handed out again.
    Returned,
    /// The node has stopped.
    Faulted,
}

/// What becomes true when the Ready that is out is advanced, besides what the node said to itself,
/// which waits in the outbox.
#[derive(Debug, Default)]
struct Outstanding {
    /// The term in which it was made.
    term: Term,
    /// What must be in the storage by then: the log's last entry, index zero if all of the log was
    /// durable, and the snapshot.
    written: Position,
    snapshot: Option<Arc<Snapshot>>,
    applied: Applied,
    /// The Ready itself, when an `advance` failed and it is to be handed out again.
    returned: Option<Ready>,
}

impl<S: Storage> Node<S> {
    /// Makes a node from its configuration and what is stored: a first start and a restart are
    /// the same.
    ///
    /// # Errors
    /// [`Misuse::Config`] when the configuration is impossible or contradicts what is stored,
    /// [`Error::Storage`] when the storage cannot be read.
    pub fn new(config: &Config, storage: S) -> Result<Self, Error> {
        let settings = config.settings()?;
        let (hard_state, conf_state) = storage.initial_state()?;
        let membership = Membership::from_conf_state(&conf_state)
            .map_err(|error| Error::from(ConfigError::StoredMembership(error)))?;
        let max_bytes = config.max_applying_bytes();
        let is_async = settings.async_storage_writes;
        let log = Log::open(storage, &hard_state, config.applied, max_bytes, !is_async)?;
        let mut core = Core::new(settings, config.seed, log, membership);
        core.recover(&hard_state);
        if !hard_state.is_empty() {
            // It may have answered a leader right before it stopped.
            core.since_leader = 0;
        }
        let raft = Raft { core, role: Role::Follower };
        let mut node = Self {
            #[cfg(debug_assertions)]
            last_hard_state: raft.core.hard_state(),
            door: Door::Open,
            last_role: RoleKind::Follower,
            last_leader: None,
            raft,
            fault: None,
            ready_count: 0,
            outstanding: Outstanding::default(),
            awaited: None,
            spare: None,
        };
        node.leave();
        Ok(node)
    }

    /// Founds a new group on an empty storage: the log begins with an entry for each member that
    /// adds it, committed at once. Every member of the group is to be bootstrapped with the same
    /// list; who joins later is not bootstrapped at all.
    ///
    /// # Errors
    /// [`Misuse::AlreadyBootstrapped`], [`Misuse::NoPeers`], or [`Misuse::DuplicatePeer`].
    pub fn bootstrap(&mut self, peers: &[Peer]) -> Result<(), Error> {
        self.enter()?;
        if self.raft.core.log.last_index() != Index::ZERO {
            return Err(Misuse::AlreadyBootstrapped.into());
        }
        if peers.is_empty() {
            return Err(Misuse::NoPeers.into());
        }
        let mut ids: Vec<NodeId> = peers.iter().map(|peer| peer.id).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|pair| pair.first() == pair.last()) {
            let id = twice.first().map_or(0, |id| id.get());
            return Err(Misuse::DuplicatePeer(id).into());
        }
        let raft = &mut self.raft;
        raft.become_follower(Term(1), None);
        for peer in peers {
            let (node, context) = (peer.id.get(), peer.context.clone());
            let kind = ConfChangeKind::AddVoter;
            let change = AnyConfChange::One(ConfChange { id: 0, kind, node, context });
            let (_, data) = wire::encode_conf_change(&change);
            let index = raft.core.log.append_own(Term(1), EntryKind::ConfChange, data);
            raft.core.commit_to(index);
            raft.apply_conf_change(&change.into());
        }
        self.leave();
        Ok(())
    }

    /// One tick of the application's clock. All time-outs are counted in ticks.
    ///
    /// # Errors
    /// [`Error::Storage`] when the node was to campaign and could not read whether a membership
    /// change is pending: the tick did not happen.
    pub fn tick(&mut self) -> Result<(), Error> {
        self.enter()?;
        let something_happened = match self.raft.role {
            Role::Leader(_) => self.raft.tick_leader(),
            _ => self.raft.tick_election()?,
        };
        // Nearly all ticks of an idle group only count.
        if something_happened {
            self.leave();
        }
        Ok(())
    }

    /// A tick that passes time without acting on it, for a group that the application knows to be
    /// at rest. When it wakes, time-outs are due as if it had ticked all along.
    pub fn tick_quiesced(&mut self) {
        let core = &mut self.raft.core;
        core.election_elapsed = core.election_elapsed.saturating_add(1);
        core.since_leader = core.since_leader.saturating_add(1);
        if core.settings.keeps_leases()
            && let Role::Leader(leader) = &mut self.raft.role
        {
            // What members promised runs out by their own clocks.
            leader.reads.tick();
        }
    }

    /// Takes a message from a peer.
    ///
    /// # Errors
    /// [`Error::Refused`] when the message cannot be right, [`Error::Dropped`] when it is a
    /// proposal that is not taken. Both are counted; neither needs more than a line in a log.
    pub fn step(&mut self, message: Message) -> Result<(), Error> {
        self.enter()?;
        let result = self.raft.step(message);
        self.leave();
        // An error is large: only what there is of it is moved.
        match result {
            Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes a message from a peer as it came over the wire.
    ///
    /// # Errors
    /// As [`step`](Self::step); [`Refusal::Malformed`] when the bytes are no message.
    pub fn step_encoded(&mut self, bytes: impl Into<Bytes>) -> Result<(), Error> {
        self.enter()?;
        match wire::decode(bytes) {
            Ok(message) => self.step(message),
            Err(refusal) => {
                self.raft.core.metrics.count_refused(refusal.kind());
                Err(refusal.into())
            }
        }
    }

    /// Campaigns now. Does nothing on a leader, or on a node that may not campaign: the observer
    /// hears why.
    ///
    /// # Errors
    /// [`Error::Storage`] when it could not be read whether a membership change is pending.
    pub fn campaign(&mut self) -> Result<(), Error> {
        self.call(Raft::campaign)
    }

    /// Proposes a payload. It is committed once it comes back in [`Ready`]'s `committed`.
    ///
    /// # Errors
    /// [`Error::Dropped`] says why it was not taken; [`Misuse::TooLarge`].
    pub fn propose(&mut self, data: impl Into<Bytes>) -> Result<Proposed, Error> {
        let data = data.into();
        check_size(&data)?;
        self.call(|raft| raft.propose(std::iter::once(data)))
    }

    /// Proposes payloads that become consecutive entries, all of them or none.
    ///
    /// # Errors
    /// As [`propose`](Self::propose); [`Refusal::NoEntries`] when there is none.
    pub fn propose_many(&mut self, payloads: Vec<Bytes>) -> Result<Proposed, Error> {
        if payloads.is_empty() {
            return Err(Refusal::NoEntries.into());
        }
        payloads.iter().try_for_each(|payload| check_size(payload))?;
        self.propose_checked(payloads.into_iter())
    }

    /// As [`propose_many`](Self::propose_many), with at least one payload, each made when its entry
    /// is. For the C library, which has checked that none is above [`MAX_PAYLOAD_BYTES`].
    #[doc(hidden)]
    pub fn propose_checked(
        &mut self,
        payloads: impl ExactSizeIterator<Item = Bytes>,
    ) -> Result<Proposed, Error> {
        self.call(|raft| raft.propose(payloads))
    }

    /// Proposes a membership change. It takes effect when the application applies it.
    ///
    /// # Errors
    /// [`Error::Dropped`] says why it was not taken; [`Misuse::BadConfChange`] when no node could
    /// apply it. A change that cannot follow the present configuration is no error: see
    /// [`ConfChangeOutcome::Replaced`].
    pub fn propose_conf_change(
        &mut self,
        change: &AnyConfChange,
    ) -> Result<ConfChangeOutcome, Error> {
        self.call(|raft| raft.propose_conf_change(change))
    }

    /// Applies a committed membership change. The application calls this for each one in
    /// [`Ready`]'s `committed`, at any time before it advances, or
    /// it vetoes the change by not calling, on every node alike. Twice is harmless.
    ///
    /// A change that was overtaken by a snapshot is passed over: the snapshot's membership
    /// contains it. With asynchronous storage writes only
    /// [`apply_conf_change_entry`](Self::apply_conf_change_entry) can always tell, because it
    /// knows the entry's index.
    ///
    /// # Errors
    /// Only [`Error::Faulted`]. What cannot be applied is skipped, and the result says so.
    pub fn apply_conf_change(&mut self, change: &ConfChangeV2) -> Result<AppliedConfChange, Error> {
        self.call(|raft| Ok(raft.apply_conf_change(change)))
    }

    /// Applies the membership change in a committed entry. An entry without one changes nothing.
    ///
    /// # Errors
    /// As [`apply_conf_change`](Self::apply_conf_change).
    pub fn apply_conf_change_entry(&mut self, entry: &Entry) -> Result<AppliedConfChange, Error> {
        self.call(|raft| Ok(raft.apply_conf_change_entry(entry)))
    }

    /// Asks for an index at which a read is linearizable. The answer comes as a
    /// [`ReadState`](crate::ReadState) with the same context, or not at all if leadership changes:
    /// ask again then, with another context. No context is used twice, not even after a restart:
    /// an old answer may be on its way yet.
    ///
    /// # Errors
    /// [`DropReason::NoLeader`], [`DropReason::TooManyReads`], [`Misuse::TooLarge`].
    ///
    /// [`DropReason::NoLeader`]: crate::DropReason::NoLeader
    /// [`DropReason::TooManyReads`]: crate::DropReason::TooManyReads
    pub fn read_index(&mut self, context: impl Into<Context>) -> Result<(), Error> {
        let context = context.into();
        check_size(&context)?;
        self.call(|raft| raft.read_index(context))
    }

    /// Hands leadership over to a voter, or asks the leader to.
    ///
    /// # Errors
    /// [`DropReason::NoLeader`]; on a leader [`Misuse::UnknownPeer`] when `to` is no voter.
    ///
    /// [`DropReason::NoLeader`]: crate::DropReason::NoLeader
    pub fn transfer_leader(&mut self, to: NodeId) -> Result<(), Error> {
        self.call(|raft| raft.transfer_leader(to))
    }

    /// Makes a follower forget its leader, so that it votes before its lease ends: for an
    /// application that knows the leader to be dead. Does nothing on others, nor where reads rely
    /// on the lease.
    ///
    /// # Errors
    /// Only [`Error::Faulted`].
    pub fn forget_leader(&mut self) -> Result<(), Error> {
        self.call(|raft| {
            let relies_on_lease = raft.core.settings.read_only != ReadOnly::Safe;
            if matches!(raft.role, Role::Follower) && !relies_on_lease {
                raft.core.set_leader(None);
            }
            Ok(())
        })
    }

    /// Reports that a message to this member was not delivered.
    ///
    /// # Errors
    /// Only [`Error::Faulted`].
    pub fn report_unreachable(&mut self, member: NodeId) -> Result<(), Error> {
        self.call(|raft| {
            if let Role::Leader(leader) = &mut raft.role {
                leader.on_unreachable(member);
            }
            Ok(())
        })
    }

    /// Reports what became of a snapshot that a Ready wanted sent. The application must do so, in
    /// either case: the leader sends that member nothing else until then.
    ///
    /// # Errors
    /// Only [`Error::Faulted`].
    pub fn report_snapshot(&mut self, member: NodeId, status: SnapshotStatus) -> Result<(), Error> {
        self.call(|raft| {
            if let Role::Leader(leader) = &mut raft.role {
                leader.on_snapshot_status(member, status);
            }
            Ok(())
        })
    }

    /// Whether there is something to do. Cheap: to be asked after every call. False while a Ready
    /// is outstanding, except where storage threads take its place. True can turn out to be
    /// nothing after all, when a member cannot be sent what it lacks: [`ready`](Self::ready) knows.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        if self.door != Door::Open {
            return self.is_returned();
        }
        self.something_waits()
    }

    /// What to do now, if there is something.
    ///
    /// # Errors
    /// [`Misuse::ReadyOutstanding`] when the last one was not advanced; [`Error::Storage`] when
    /// committed entries could not be read.
    pub fn ready(&mut self) -> Result<Option<Ready>, Error> {
        if self.door != Door::Open {
            return self.hand_out_again();
        }
        // It is empty: only what there is needs to be put in.
        let mut ready = self.spare.take().unwrap_or_else(Ready::fresh);
        let is_one = self.fill(&mut ready);
        self.leave();
        if matches!(is_one, Ok(true)) {
            return Ok(Some(ready));
        }
        self.spare = Some(ready);
        is_one.map(|_| None)
    }

    #[cold]
    fn is_returned(&self) -> bool {
        self.door == Door::Returned
    }

    /// What there is to be taken while a Ready is outstanding: that one, if it was given back.
    #[cold]
    fn hand_out_again(&mut self) -> Result<Option<Ready>, Error> {
        self.enter()?;
        self.door = Door::Out;
        let returned = self.outstanding.returned.take();
        returned.map(Some).ok_or_else(|| Misuse::ReadyOutstanding.into())
    }

    /// Everything that this Ready asked for is done: persisted, sent, applied.
    ///
    /// # Errors
    /// [`Misuse::StaleReady`], [`Misuse::NotPersisted`], [`Misuse::SnapshotNotPersisted`], or
    /// [`Error::Storage`] when that could not be read; the Ready is then handed out again by
    /// [`ready`](Self::ready). [`Misuse::AsyncStorageWrites`] where storage threads persist.
    pub fn advance(&mut self, ready: Ready) -> Result<(), Error> {
        if self.door != Door::Out || ready.number != self.ready_count {
            self.check_advance(&ready)?;
        }
        if let Err(error) = self.check_persisted() {
            self.outstanding.returned = Some(ready);
            self.door = Door::Returned;
            return Err(error);
        }
        self.door = Door::Open;
        if let Err(error) = self.take_effect() {
            return Err(self.fail_halfway(error));
        }
        self.recycle(ready);
        self.leave();
        Ok(())
    }

    /// Whether a Ready may be advanced that is not simply the one that is out.
    #[cold]
    fn check_advance(&self, ready: &Ready) -> Result<(), Error> {
        self.enter()?;
        if self.is_async() {
            return Err(Misuse::AsyncStorageWrites.into());
        }
        if self.door == Door::Open || ready.number != self.ready_count {
            return Err(Misuse::StaleReady.into());
        }
        Ok(())
    }

    /// Lends the node a Ready to use its buffers for the next one. A node keeps the Ready that was
    /// advanced last; a program with thousands of nodes can keep one for all of them: lend it
    /// before [`ready`](Self::ready), take it back after [`advance`](Self::advance). That saves
    /// memory and time, as it is always at hand. It is to be empty: new, or as it was given back.
    ///
    /// ```
    /// # use raftcore::{ConfState, Config, MemoryStorage, Node, Ready};
    /// # let member = |id| {
    /// #     let storage = MemoryStorage::with_conf_state(ConfState::with_voters([id]));
    /// #     Node::new(&Config::new(id, 42), storage)
    /// # };
    /// let mut buffers = Ready::default();
    /// for node in &mut [member(1)?, member(2)?] {
    ///     node.campaign()?;
    ///     while node.has_ready() {
    ///         node.lend(buffers);
    ///         if let Some(ready) = node.ready()? {
    ///             node.storage_mut().persist(&ready)?;
    ///             node.advance(ready)?;
    ///         }
    ///         buffers = node.give_back().unwrap_or_default();
    ///     }
    /// }
    /// # Ok::<(), raftcore::Error>(())
    /// ```
    pub fn lend(&mut self, mut buffers: Ready) {
        // One that a node handed out and nobody advanced still says something.
        if buffers.number == 0 {
            self.raft.core.outbox.borrow(&mut buffers.messages);
            self.spare = Some(buffers);
        }
    }

    /// Gives back the Ready that was lent, or that the node has kept, unless one is outstanding.
    /// The node then keeps no buffers at all.
    pub fn give_back(&mut self) -> Option<Ready> {
        let mut buffers = self.spare.take()?;
        self.raft.core.outbox.give_back(&mut buffers.messages);
        Some(buffers)
    }

    /// Nothing in `take_effect` reads the storage or can be refused. If it fails all the same, half
    /// of an advance has happened, and only a restart can mend that.
    #[cold]
    fn fail_halfway(&mut self, error: Error) -> Error {
        let fault = match error {
            Error::Storage(error) => Fault::Storage(error),
            _ => Fault::Invariant("a node refused its own message"),
        };
        self.fault_with(fault.clone());
        Error::Faulted(fault)
    }

    /// What the outstanding Ready asked for is done: this node's messages to itself come first.
    fn take_effect(&mut self) -> Result<(), Error> {
        if self.raft.core.outbox.has_own_out() {
            let own = self.raft.core.outbox.take_own_out();
            own.into_iter().try_for_each(|message| self.raft.step_own(message))?;
        }
        let outstanding = &mut self.outstanding;
        if outstanding.written.index != Index::ZERO {
            let written = std::mem::take(&mut outstanding.written);
            self.raft.on_written(outstanding.term, written);
        }
        if let Some(snapshot) = outstanding.snapshot.take() {
            self.raft.on_snapshot_written(snapshot.index());
        }
        if outstanding.applied.last != Index::ZERO {
            let applied = std::mem::take(&mut outstanding.applied);
            // There is one Ready at a time: that is all that was handed out.
            self.raft.on_applied(applied, u64::MAX);
        }
        Ok(())
    }

    /// This node's id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.raft.core.id()
    }

    /// The state of this node, and on a leader of everyone it tracks.
    #[must_use]
    pub fn status(&self) -> Status {
        self.raft.status()
    }

    /// The part of [`status`](Self::status) that costs no allocation: all but the members.
    #[must_use]
    pub fn basic_status(&self) -> BasicStatus {
        self.raft.basic_status()
    }

    /// The current role and leader: the cheapest part of [`status`](Self::status).
    #[must_use]
    pub const fn soft_state(&self) -> SoftState {
        self.raft.soft_state()
    }

    /// The current term, vote and commit index, persisted or not.
    #[must_use]
    pub const fn hard_state(&self) -> HardState {
        self.raft.core.hard_state()
    }

    /// What this node has counted so far.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.raft.core.metrics
    }

    /// Why this node has stopped, if it has.
    #[must_use]
    pub const fn fault(&self) -> Option<&Fault> {
        match &self.fault {
            Some(fault) => Some(fault),
            None => None,
        }
    }

    /// Stops this node for good: for a language boundary that caught a panic inside it.
    pub fn fault_with(&mut self, fault: Fault) {
        self.fault.get_or_insert_with(|| Box::new(fault));
        self.door = Door::Faulted;
    }

    /// The storage.
    #[must_use]
    pub const fn storage(&self) -> &S {
        &self.raft.core.log.storage
    }

    /// The storage, to append to it what a Ready says and to compact it.
    #[must_use]
    pub const fn storage_mut(&mut self) -> &mut S {
        &mut self.raft.core.log.storage
    }

    /// Lets somebody listen to what happens inside. Called from within the calls on this node.
    pub fn set_observer(&mut self, observer: Option<Observer>) {
        self.raft.core.observer = observer.map(Box::new);
    }

    /// The ticks without a leader after which this node would campaign.
    #[doc(hidden)]
    #[must_use]
    pub const fn randomized_election_timeout(&self) -> u32 {
        self.raft.core.randomized_timeout
    }

    /// The position of the last entry of the log, durable or not: for judges.
    #[doc(hidden)]
    #[must_use]
    pub fn last_position(&self) -> Position {
        self.raft.core.log.last()
    }

    /// The term of an entry of the log, durable or not: for judges.
    #[doc(hidden)]
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.raft.core.log.term(index)
    }

    /// Fixes that number until the role or term changes: for scenarios.
    #[doc(hidden)]
    pub const fn set_randomized_election_timeout(&mut self, ticks: u32) {
        self.raft.core.randomized_timeout = ticks;
    }

    const fn is_async(&self) -> bool {
        self.raft.core.settings.async_storage_writes
    }

    /// On entering a call that changes something.
    fn enter(&self) -> Result<(), Error> {
        // Not by the door: a tick of an idle node would have to fetch that as well.
        match &self.fault {
            Some(fault) => Err(fault.to_error()),
            None => Ok(()),
        }
    }

    /// On leaving it.
    fn leave(&mut self) {
        debug_assert_eq!(self.raft.check(), Ok(()));
        #[cfg(debug_assertions)]
        self.check_work();
    }

    fn call<T>(&mut self, act: impl FnOnce(&mut Raft<S>) -> Result<T, Error>) -> Result<T, Error> {
        self.enter()?;
        let result = act(&mut self.raft);
        self.leave();
        result
    }

    /// Packs everything that waits into a Ready. Returns whether that was anything.
    fn fill(&mut self, ready: &mut ReadyContents) -> Result<bool, Error> {
        let core = &mut self.raft.core;
        let work = core.work();
        // The one thing that can fail comes first.
        if work.has(Work::COMMITTED) {
            ready.committed = core.log.next_committed()?;
            core.log.accept_applying(&ready.committed);
        }
        if work.has(Work::ENTRIES) {
            ready.entries = core.log.accept_entries();
        }
        if core.outbox.owes() {
            self.raft.send_owed(&ready.entries);
        }
        if self.raft.core.outbox.is_empty() && !self.is_news(work) {
            return Ok(false);
        }
        self.ready_count = self.ready_count.wrapping_add(1);
        ready.number = self.ready_count;
        let core = &mut self.raft.core;
        core.clear_work();
        if !core.outbox.is_empty() {
            let Core { outbox, settings, .. } = core;
            let ReadyContents { messages, messages_after_sync, .. } = ready;
            outbox.take_into(messages, messages_after_sync, settings);
        }
        if work.has(Work::HARD_STATE) {
            ready.hard_state = Some(core.hard_state());
            #[cfg(debug_assertions)]
            (self.last_hard_state = core.hard_state());
        }
        ready.must_sync_log = work.has(Work::ENTRIES.or(Work::BALLOT));
        ready.must_sync = work.has(Work::ENTRIES.or(Work::BALLOT).or(Work::SNAPSHOT));
        if work.has(Work::RARE) {
            self.put_what_is_rare(ready, work);
        }
        if self.is_async() {
            self.attach_storage_work(ready);
        } else {
            self.await_advance(ready, work);
        }
        Ok(true)
    }

    /// Keeps what becomes true when the Ready is advanced. Nothing of it was kept before.
    fn await_advance(&mut self, ready: &ReadyContents, work: Work) {
        let core = &mut self.raft.core;
        let outstanding = &mut self.outstanding;
        self.door = Door::Out;
        if core.log.has_unstable() {
            outstanding.term = core.term();
            outstanding.written = core.log.last();
        }
        if work.has(Work::SNAPSHOT) {
            outstanding.snapshot.clone_from(&ready.snapshot);
        }
        if work.has(Work::COMMITTED) {
            // Who does not lead counts nothing.
            let leads = matches!(self.raft.role, Role::Leader(_));
            let payload_bytes = if leads { ready.committed.payload_bytes() } else { 0 };
            outstanding.applied = Applied { last: core.log.applying(), payload_bytes };
        }
    }

    /// Whether the storage has what the outstanding Ready asked to persist.
    fn check_persisted(&self) -> Result<(), Error> {
        let storage = self.storage();
        if let Some(snapshot) = &self.outstanding.snapshot {
            let (expected, first) = (snapshot.position, storage.first_index()?);
            if first <= expected.index {
                return Err(Misuse::SnapshotNotPersisted { expected, first }.into());
            }
        }
        let expected = self.outstanding.written;
        if expected.index == Index::ZERO {
            return Ok(());
        }
        match storage.term(expected.index) {
            Ok(term) if term == expected.term => Ok(()),
            answer => self.check_missing(expected, answer),
        }
    }

    /// Whether it is right that the storage does not name this term.
    #[cold]
    fn check_missing(
        &self,
        expected: Position,
        answer: Result<Term, StorageError>,
    ) -> Result<(), Error> {
        let last = self.storage().last_index()?;
        match answer {
            _ if last < expected.index => {}
            // Persisted, applied and compacted in one go.
            Err(StorageError::Compacted) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        Err(Misuse::NotPersisted { expected, last }.into())
    }

    /// Keeps the buffers of a Ready for the next one.
    fn recycle(&mut self, mut ready: Ready) {
        ready.clear();
        self.spare = Some(ready);
    }
}

impl<S: Storage + std::fmt::Debug> std::fmt::Debug for Node<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id())
            .field("hard_state", &self.hard_state())
            .field("soft_state", &self.soft_state())
            .field("log", &self.raft.core.log)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

fn check_size(data: &[u8]) -> Result<(), Misuse> {
    if data.len() > MAX_PAYLOAD_BYTES {
        return Err(Misuse::TooLarge { bytes: data.len() });
    }
    Ok(())
}
