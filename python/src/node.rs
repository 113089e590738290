//! `RawNode`: one member of a group, without I/O. Every call on the core goes through `with`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};
use raft_sim::Input;
use raftcore::{AppliedConfChange, ConfChangeOutcome, Error, Fault, Node, Proposed, RoleKind};

use crate::buffer::{Blob, payload};
use crate::conf_change::{self, change};
use crate::config::Config;
use crate::entry::Entry;
use crate::enums::SnapshotStatus;
use crate::errors::{guarded, not_leader, panic_text, plain, raise, replaced};
use crate::log::Lines;
use crate::message::message as decoded;
use crate::ready::{Contents, Ready, StorageResponse};
use crate::referee::Watch;
use crate::status::{Status, metrics};
use crate::storage::{Backend, Callbacks};
use crate::values::{Many, Peer, Position, SoftState, Span, node_id};

/// One member of a Raft group, without I/O: tell it what happens (tick, step, propose), and while
/// there is a ready(), do what it says and advance. `storage` is a MemoryStorage or an object of
/// your own with the methods of raftcore.Storage.
///
/// A call that raises leaves the node as it was; only FaultedError is final. It may be used from
/// any thread.
#[pyclass(frozen, module = "raftcore", weakref)]
pub(crate) struct RawNode {
    id: u64,
    /// Which node of this process it is, so that a Ready of another one is told apart.
    serial: u64,
    /// In which process it was made, counted in forks.
    process: u64,
    state: Mutex<Option<State>>,
    /// The thread that is inside, so that it cannot come in twice; zero when there is none.
    inside: AtomicUsize,
    lines: Arc<Lines>,
    callbacks: Option<Arc<Callbacks>>,
    /// Whether storage threads take the place of `advance`.
    is_async: bool,
    pub(crate) watch: Watch,
}

struct State {
    node: Node<Backend>,
    /// What the core wants back when the Ready that it made is advanced.
    outstanding: Option<raftcore::Ready>,
}

/// For a watcher, which asks only that something was proposed and not what.
static PAYLOAD: Bytes = Bytes::new();

static SERIAL: AtomicU64 = AtomicU64::new(1);
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Called in the child after a fork.
#[pyfunction]
pub(crate) fn _after_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A number that no other living thread has.
fn this_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

impl RawNode {
    /// Runs a call on the node, alone; then passes on what it logged.
    fn with<T>(&self, py: Python<'_>, act: impl FnOnce(&mut State) -> PyResult<T>) -> PyResult<T> {
        let mut state = self.enter(py)?;
        let result = match &mut *state {
            Some(state) => catch_unwind(AssertUnwindSafe(|| act(state))).unwrap_or_else(|panic| {
                let fault = Fault::Panic(panic_text(&*panic));
                state.node.fault_with(fault.clone());
                Err(raise(Error::Faulted(fault)))
            }),
            None => Err(plain("ClosedError", "this node is closed")),
        };
        self.leave(state);
        self.lines.forward(py, self.id);
        result
    }

    /// As `with`, for a call of the core.
    fn call<T>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&mut Node<Backend>) -> Result<T, Error>,
    ) -> PyResult<T> {
        self.with(py, |state| act(&mut state.node).map_err(raise))
    }

    /// As `call`, for what a node is told: a test may watch how it takes it.
    fn told<T>(
        &self,
        py: Python<'_>,
        input: Input<'_>,
        act: impl FnOnce(&mut Node<Backend>) -> Result<T, Error>,
    ) -> PyResult<T> {
        self.with(py, |state| {
            let result = act(&mut state.node);
            self.watch.judge(&state.node, &input, result.as_ref().err())?;
            result.map_err(raise)
        })
    }

    /// Takes a message from a peer; the outer error is a watcher's.
    fn take(
        &self,
        node: &mut Node<Backend>,
        message: raftcore::Message,
    ) -> PyResult<Result<(), Error>> {
        let copy = self.watch.is_on().then(|| message.clone());
        let result = node.step(message);
        if let Some(message) = copy {
            self.watch.judge(node, &Input::Step(&message), result.as_ref().err())?;
        }
        Ok(result)
    }

    /// Looks at the node.
    pub(crate) fn look<T>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&Node<Backend>) -> PyResult<T>,
    ) -> PyResult<T> {
        self.with(py, |state| act(&state.node))
    }

    fn enter(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Option<State>>> {
        if self.process != FORKS.load(Ordering::Relaxed) {
            let text = "this node was made before a fork and belongs to the parent process: \
                        two of it would vote twice";
            return Err(plain("ForkedError", text));
        }
        let me = this_thread();
        if self.inside.load(Ordering::Relaxed) == me {
            return Err(plain("ReentryError", "this node is in the middle of a call"));
        }
        let state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.state.lock_py_attached(py).unwrap_or_else(|state| state.into_inner())
            }
        };
        self.inside.store(me, Ordering::Relaxed);
        Ok(state)
    }

    fn leave(&self, state: MutexGuard<'_, Option<State>>) {
        self.inside.store(0, Ordering::Relaxed);
        drop(state);
    }

    /// Proposals are made on the leader, so that there is a position to answer with.
    fn lead(py: Python<'_>, node: &Node<Backend>) -> PyResult<()> {
        if let Some(fault) = node.fault() {
            return Err(raise(Error::Faulted(fault.clone())));
        }
        let soft_state = node.soft_state();
        if soft_state.role != RoleKind::Leader {
            return Err(not_leader(py, soft_state.leader));
        }
        Ok(())
    }
}

#[pymethods]
impl RawNode {
    #[new]
    fn new(
        py: Python<'_>,
        config: &Bound<'_, Config>,
        storage: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let config = &config.get().inner;
        let backend = Backend::take(storage)?;
        let callbacks = backend.callbacks();
        let lines = Arc::new(Lines::default());
        let node = guarded(|| {
            let mut node = Node::new(config, backend).map_err(raise)?;
            node.set_observer(Some(lines.observer()));
            Ok(node)
        })?;
        lines.forward(py, config.id);
        Ok(Self {
            id: config.id,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            process: FORKS.load(Ordering::Relaxed),
            state: Mutex::new(Some(State { node, outstanding: None })),
            inside: AtomicUsize::new(0),
            lines,
            callbacks,
            is_async: config.async_storage_writes,
            watch: Watch::default(),
        })
    }

    /// This node's id.
    #[getter]
    const fn id(&self) -> u64 {
        self.id
    }

    /// Founds a new group on an empty storage: the log begins with an entry for each member.
    /// Every member is bootstrapped with the same list. Raises UsageError.
    fn bootstrap(&self, py: Python<'_>, peers: Many<Peer>) -> PyResult<()> {
        let peers = peers
            .0
            .into_iter()
            .map(|peer| Ok(raftcore::Peer { id: node_id(peer.id)?, context: peer.context.0 }));
        let peers = peers.collect::<PyResult<Vec<_>>>()?;
        self.call(py, |node| node.bootstrap(&peers))
    }

    /// One tick of the application's clock. All time-outs are counted in ticks.
    fn tick(&self, py: Python<'_>) -> PyResult<()> {
        self.told(py, Input::Tick, Node::tick)
    }

    /// Takes a message from a peer, as bytes or decoded. Raises DecodeError, InvalidMessage, and
    /// ProposalDropped or NotLeader for a proposal that is not taken.
    fn step(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let message = guarded(|| decoded(message))?;
        self.with(py, |state| self.take(&mut state.node, message)?.map_err(raise))
    }

    /// Takes many messages in order. What is refused is passed over and does not keep the rest
    /// from being taken: returns the exceptions of those, usually none.
    fn step_many(&self, py: Python<'_>, messages: &Bound<'_, PyAny>) -> PyResult<Vec<PyErr>> {
        let messages = messages.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        let mut refused = Vec::new();
        let mut taken = Vec::with_capacity(messages.len());
        for one in &messages {
            match guarded(|| decoded(one)) {
                Ok(message) => taken.push(message),
                Err(error) if error.is_instance_of::<PyTypeError>(py) => return Err(error),
                Err(error) => refused.push(error),
            }
        }
        self.with(py, |state| {
            for message in taken {
                match self.take(&mut state.node, message)? {
                    Ok(()) => {}
                    Err(error @ Error::Faulted(_)) => return Err(raise(error)),
                    Err(error) => refused.push(raise(error)),
                }
            }
            Ok(refused)
        })
    }

    /// Campaigns now. Does nothing on a leader, or on a node that may not campaign.
    fn campaign(&self, py: Python<'_>) -> PyResult<()> {
        self.told(py, Input::Campaign, Node::campaign)
    }

    /// Proposes a payload on the leader and returns where it stands in its log: not yet
    /// committed. The entry that is applied at that index has that term, or another leader has
    /// overwritten it. Raises NotLeader, ProposalDropped.
    fn propose(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Position> {
        let data = payload(data)?;
        self.with(py, |state| {
            Self::lead(py, &state.node)?;
            let result = state.node.propose(data);
            self.watch.judge(&state.node, &Input::Propose(&PAYLOAD), result.as_ref().err())?;
            match result.map_err(raise)? {
                Proposed::Appended { term, last, .. } => {
                    Ok(Position { term: term.0, index: last.0 })
                }
                Proposed::Forwarded { leader } => Err(not_leader(py, Some(leader))),
            }
        })
    }

    /// Proposes payloads that become consecutive entries, all of them or none.
    fn propose_many(&self, py: Python<'_>, payloads: &Bound<'_, PyAny>) -> PyResult<Span> {
        let payloads = payloads.try_iter()?.map(|data| payload(&data?));
        let payloads = payloads.collect::<PyResult<Vec<_>>>()?;
        self.with(py, |state| {
            Self::lead(py, &state.node)?;
            let result = state.node.propose_many(payloads);
            self.watch.judge(&state.node, &Input::Propose(&PAYLOAD), result.as_ref().err())?;
            match result.map_err(raise)? {
                Proposed::Appended { term, first, last } => {
                    Ok(Span { term: term.0, first: first.0, last: last.0 })
                }
                Proposed::Forwarded { leader } => Err(not_leader(py, Some(leader))),
            }
        })
    }

    /// Proposes a payload wherever this node stands: a follower passes it on and never hears of
    /// it again, but for the entry that is applied. Returns the leader's id. Raises
    /// ProposalDropped, and NotLeader where forwarding is off.
    fn forward(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<u64> {
        let data = payload(data)?;
        self.told(py, Input::Propose(&PAYLOAD), |node| {
            Ok(match node.propose(data)? {
                Proposed::Appended { .. } => node.id().get(),
                Proposed::Forwarded { leader } => leader.get(),
            })
        })
    }

    /// Proposes a membership change on the leader. Raises NotLeader, ProposalDropped, and
    /// ConfChangeRefused when it cannot follow the present configuration: the log then took an
    /// empty entry in its place.
    fn propose_conf_change(
        &self,
        py: Python<'_>,
        conf_change: &Bound<'_, PyAny>,
    ) -> PyResult<Position> {
        let change = change(conf_change)?;
        self.with(py, |state| {
            Self::lead(py, &state.node)?;
            let result = state.node.propose_conf_change(&change);
            let input = Input::ProposeConfChange(&change);
            self.watch.judge(&state.node, &input, result.as_ref().err())?;
            match result.map_err(raise)? {
                ConfChangeOutcome::Appended(position) => Ok(position.into()),
                ConfChangeOutcome::Replaced { reason, .. } => Err(replaced(py, &reason)),
                ConfChangeOutcome::Forwarded { leader } => Err(not_leader(py, Some(leader))),
            }
        })
    }

    /// As propose_conf_change, but a follower passes it on. Returns the leader's id.
    fn forward_conf_change(&self, py: Python<'_>, conf_change: &Bound<'_, PyAny>) -> PyResult<u64> {
        let change = change(conf_change)?;
        let input = Input::ProposeConfChange(&change);
        match self.told(py, input, |node| node.propose_conf_change(&change))? {
            ConfChangeOutcome::Appended(_) => Ok(self.id),
            ConfChangeOutcome::Replaced { reason, .. } => Err(replaced(py, &reason)),
            ConfChangeOutcome::Forwarded { leader } => Ok(leader.get()),
        }
    }

    /// Applies a committed membership change: a ConfChange, a ConfChangeV2, or the Entry that
    /// holds one, which is better because it knows where it stands. To be called for each one
    /// before advance; not calling it vetoes the change, on every node alike.
    fn apply_conf_change(
        &self,
        py: Python<'_>,
        conf_change: &Bound<'_, PyAny>,
    ) -> PyResult<conf_change::AppliedConfChange> {
        let applied: AppliedConfChange = if let Ok(entry) = conf_change.cast::<Entry>() {
            let entry = &entry.get().inner;
            let input = Input::ApplyConfChange(entry);
            self.told(py, input, |node| node.apply_conf_change_entry(entry))?
        } else {
            let change = change(conf_change)?.into();
            let unknown = raftcore::Entry::default();
            let input = Input::ApplyConfChange(&unknown);
            self.told(py, input, |node| node.apply_conf_change(&change))?
        };
        Ok(applied.into())
    }

    /// Asks for an index at which a read is linearizable. The answer comes as a ReadState with
    /// the same context, or not at all if leadership changes. No context is used twice, not even
    /// after a restart: an old answer may be on its way yet. Raises ProposalDropped.
    fn read_index(&self, py: Python<'_>, context: Blob) -> PyResult<()> {
        let input = Input::ReadIndex(&context.0);
        self.told(py, input, |node| node.read_index(context.0.clone()))
    }

    /// Hands leadership over to a voter, or asks the leader to. Raises UsageError when it is no
    /// voter, ProposalDropped when no leader is known.
    fn transfer_leader(&self, py: Python<'_>, to: u64) -> PyResult<()> {
        let to = node_id(to)?;
        self.told(py, Input::Transfer(to), |node| node.transfer_leader(to))
    }

    /// Makes a follower forget its leader, so that it votes before its lease ends.
    fn forget_leader(&self, py: Python<'_>) -> PyResult<()> {
        self.told(py, Input::ForgetLeader, Node::forget_leader)
    }

    /// Reports that a message to this member was not delivered.
    fn report_unreachable(&self, py: Python<'_>, member: u64) -> PyResult<()> {
        let member = node_id(member)?;
        self.told(py, Input::Unreachable(member), |node| node.report_unreachable(member))
    }

    /// Reports what became of a snapshot that was to be sent. To be called in either case.
    fn report_snapshot(&self, py: Python<'_>, member: u64, status: SnapshotStatus) -> PyResult<()> {
        let member = node_id(member)?;
        let status = match status.0 {
            1 => raftcore::SnapshotStatus::Failed,
            _ => raftcore::SnapshotStatus::Finished,
        };
        let arrived = status == raftcore::SnapshotStatus::Finished;
        let input = Input::SnapshotStatus(member, arrived);
        self.told(py, input, |node| node.report_snapshot(member, status))
    }

    /// Whether there is something to do. Cheap: to be asked after every call.
    fn has_ready(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |state| Ok(state.node.has_ready()))
    }

    /// What to do now; None when there is nothing. Raises ReadyOrderError when the last one was
    /// not advanced.
    fn ready(&self, py: Python<'_>) -> PyResult<Option<Ready>> {
        self.with(py, |state| {
            let ready = state.node.ready().map_err(raise)?;
            self.watch.judge_ready(&state.node, ready.as_ref())?;
            let Some(mut ready) = ready else { return Ok(None) };
            let contents = Contents::take(&mut ready);
            if !self.is_async {
                state.outstanding = Some(ready);
            }
            Ok(Some(Ready::new(contents, self.serial)))
        })
    }

    /// Everything that this Ready asked for is done. Raises ReadyOrderError when it is not the
    /// one that is outstanding, or when the storage does not have its entries: do what it says
    /// and call again.
    fn advance(&self, py: Python<'_>, ready: &Bound<'_, Ready>) -> PyResult<()> {
        let ready = ready.get();
        self.with(py, |state| {
            let ours = ready.node == self.serial;
            let number = ready.contents.number;
            let Some(core) = state.outstanding.take_if(|one| ours && one.number() == number) else {
                // The core says which kind of wrong it is: also on a faulted node.
                let answer = state.node.advance(raftcore::Ready::default());
                return answer.map_err(raise);
            };
            let result = state.node.advance(core);
            self.watch.judge(&state.node, &Input::Advance, result.as_ref().err())?;
            if result.is_err() {
                // The core hands it out again: it stays the one that is outstanding.
                state.outstanding = state.node.ready().ok().flatten();
            }
            result.map_err(raise)
        })
    }

    /// Takes what a storage thread says when its work is done (asynchronous storage writes).
    /// Raises ReadyOrderError when this node does not wait for it.
    fn storage_response(
        &self,
        py: Python<'_>,
        response: &Bound<'_, StorageResponse>,
    ) -> PyResult<()> {
        let response = response.get().inner.clone();
        self.told(py, Input::Appended, |node| node.storage_response(response))
    }

    /// The state of this node, and on a leader of everyone it tracks.
    fn status(&self, py: Python<'_>) -> PyResult<Status> {
        self.with(py, |state| Ok(state.node.status().into()))
    }

    /// The role and the leader: the cheap part of status.
    fn soft_state(&self, py: Python<'_>) -> PyResult<SoftState> {
        self.with(py, |state| Ok(state.node.soft_state().into()))
    }

    /// What this node has counted so far.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.with(py, |state| metrics(py, state.node.metrics()))
    }

    /// Why this node has stopped for good; None when it has not.
    fn fault(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.with(py, |state| Ok(state.node.fault().map(ToString::to_string)))
    }

    /// Frees the node and its hold on the storage. Closing twice is harmless; every other call
    /// then raises ClosedError.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.enter(py)?;
        let closed = state.take();
        self.leave(state);
        drop(closed);
        Ok(())
    }

    fn __enter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    #[pyo3(signature = (_kind=None, _error=None, _traceback=None, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        _error: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = self.with(py, |state| Ok(state.node.soft_state()));
        let role = state.map_or_else(
            |_| "closed".to_owned(),
            |state| format!("{:?}", state.role).to_lowercase(),
        );
        format!("<RawNode {}: {role}>", self.id)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a RawNode cannot be copied or pickled: two would vote twice"))
    }

    /// Panics inside a call, so that a test can see what becomes of it.
    fn _panic(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |_| panic!("asked for by a test"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.callbacks.as_ref().map_or(Ok(()), |callbacks| callbacks.traverse(&visit))
    }

    fn __clear__(&self) {
        // Nobody holds the node any more, so nobody holds its lock.
        if let Ok(mut state) = self.state.try_lock() {
            let closed = state.take();
            drop(state);
            drop(closed);
        }
    }
}
