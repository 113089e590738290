"""A node for asyncio: ticks, persists, sends and applies, and answers whoever proposed.

There is no protocol here: all of that is in `RawNode`. Use it as

    async with Node(config, storage=..., transport=..., apply=...) as node:
        result = await node.propose(b"...")

or leave out `apply` and drive it yourself with `async for ready in node`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from . import (
    AppliedConfChange,
    ConfChange,
    ConfChangeKind,
    ConfChangeRefusal,
    ConfChangeRefused,
    ConfChangeV2,
    Config,
    ConfState,
    Entry,
    MemoryStorage,
    MessageKind,
    OutcomeUnknown,
    Position,
    ProposalDropped,
    RaftError,
    RawNode,
    Ready,
    Role,
    Snapshot,
    SnapshotStatus,
    Status,
    StoppedError,
)

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Buffer

__all__ = [
    "Event",
    "LeaderChanged",
    "LocalNetwork",
    "MembersChanged",
    "Node",
    "RoleChanged",
    "SnapshotRestored",
    "Storage",
    "Transport",
]

_log = logging.getLogger("raftcore")

Apply = Callable[[Entry], Any]
Restore = Callable[[Snapshot], Any]


@runtime_checkable
class Storage(Protocol):
    """Where a node's log survives. Called in one thread beside the loop, one call at a time.

    A MemoryStorage will do where nothing has to survive.
    """

    def load(self) -> MemoryStorage:
        """Give what is stored, once, before the node starts."""
        ...

    def persist(self, ready: Ready) -> None:
        """Write `ready.snapshot`, `ready.entries` and `ready.hard_state`, atomically.

        When `ready.must_sync`, they must be on the disk on return. An exception stops the node.
        """
        ...


@runtime_checkable
class Transport(Protocol):
    """What carries messages to the other members. Those that arrive go into `Node.step`."""

    def send(self, to: int, messages: Sequence[bytes]) -> None:
        """Send these to that member, in order, without waiting. Losing some is no failure."""
        ...


@dataclass(frozen=True, slots=True)
class LeaderChanged:
    """Another member leads, or nobody does (None)."""

    leader: int | None
    term: int


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """This node is something else now."""

    role: Role
    term: int


@dataclass(frozen=True, slots=True)
class MembersChanged:
    """A membership change was applied. Its context says what the proposer put there."""

    members: ConfState
    change: ConfChange | ConfChangeV2


@dataclass(frozen=True, slots=True)
class SnapshotRestored:
    """The state was replaced by a snapshot from the leader."""

    position: Position
    members: ConfState


Event = LeaderChanged | RoleChanged | MembersChanged | SnapshotRestored


class _Waiter:
    """Somebody who waits for the entry that was proposed at an index."""

    __slots__ = ("future", "term")

    def __init__(self, term: int, future: asyncio.Future[Any]) -> None:
        self.term = term
        self.future = future

    def resolve(self, result: object) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            # Whoever stopped waiting is not told again by the loop.
            self.future.exception()


class Node:
    """One member of a group, driven by the running loop.

    `storage` keeps the log (a MemoryStorage keeps nothing), `transport` carries messages,
    `apply(entry)` is called for each committed payload in order and may be a coroutine; what it
    returns is what `propose` returns. `restore(snapshot)` puts a snapshot in the place of the
    application's state. Without `apply` the node is driven by `async for ready in node`.
    """

    def __init__(
        self,
        config: Config,
        *,
        storage: Storage | MemoryStorage,
        transport: Transport | None = None,
        apply: Apply | None = None,
        restore: Restore | None = None,
        tick_seconds: float = 0.1,
    ) -> None:
        if tick_seconds <= 0:
            raise ValueError("tick_seconds must be above zero")
        if config.async_storage_writes:
            raise ValueError("this node persists by Ready and advance")
        self._config = config
        self._durable = None if isinstance(storage, MemoryStorage) else storage
        self._memory = storage if isinstance(storage, MemoryStorage) else None
        self._transport = transport
        self._apply = apply
        self._restore = restore
        self._tick_seconds = tick_seconds
        self._raw: RawNode | None = None
        self._outstanding: Ready | None = None
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._waiters: dict[int, _Waiter] = {}
        self._reads: dict[bytes, asyncio.Future[int]] = {}
        self._late_reads: list[tuple[int, asyncio.Future[int]]] = []
        self._subscribers: set[asyncio.Queue[Event | None]] = set()
        self._results: dict[int, object] = {}
        self._applied = config.applied
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._failure: BaseException | None = None
        self._is_closed = False

    # Its life.

    async def __aenter__(self) -> Self:
        if self._raw is not None or self._is_closed:
            raise StoppedError("a node is started once")
        self._worker = ThreadPoolExecutor(1, f"raftcore-{self._config.id}")
        if self._durable is not None:
            self._memory = await self._beside(self._durable.load)
        assert self._memory is not None
        self._raw = RawNode(self._config, self._memory)
        snapshot = self._memory.snapshot()
        if snapshot.index > self._applied:
            self._applied = snapshot.index
            if self._restore is not None:
                await self._call(self._restore, snapshot)
        self._schedule_tick()
        if self._apply is not None:
            self._spawn(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()
        if self._failure is not None and error is None:
            raise StoppedError(f"the node failed: {self._failure}") from self._failure

    async def close(self) -> None:
        """Stop the node; whoever waits gets a StoppedError. Closing twice is harmless."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._stop_waiters()
        if self._worker is not None:
            # What is being written is finished, so that the storage can be opened again.
            await asyncio.to_thread(self._worker.shutdown)
        if self._raw is not None:
            self._raw.close()

    # What an application asks.

    @property
    def id(self) -> int:
        """This node's id."""
        return self._config.id

    @property
    def storage(self) -> MemoryStorage:
        """The log that the node reads: to be compacted with `create_snapshot` and `compact`."""
        if self._memory is None:
            raise StoppedError("the node is not started")
        return self._memory

    @property
    def applied(self) -> int:
        """The index of the last entry that was applied here."""
        return self._applied

    @property
    def leader(self) -> int | None:
        """The leader that this node knows."""
        return self._open().soft_state().leader

    @property
    def is_leader(self) -> bool:
        """Whether this node leads."""
        return self._open().soft_state().role is Role.LEADER

    def status(self) -> Status:
        """Look at the node."""
        return self._open().status()

    def raw(self) -> RawNode:
        """Give the node underneath, for what has no method here. Call `wake` afterwards."""
        return self._open()

    def wake(self) -> None:
        """Look whether there is something to do."""
        self._wake.set()

    def step(self, message: Buffer) -> None:
        """Take a message from a peer. Raises as `RawNode.step` does."""
        self._open().step(message)
        self._wake.set()

    async def propose(self, data: Buffer) -> Any:
        """Propose a payload on the leader, wait until it is applied here, return apply's result.

        Raises NotLeader elsewhere, ProposalDropped when it was not taken, OutcomeUnknown when
        leadership was lost before the entry was applied: it is never proposed a second time.
        Cancelling gives up waiting, not the proposal.
        """
        return await self._expect(self._open().propose(data))

    async def propose_many(self, payloads: Iterable[Buffer]) -> list[Any]:
        """Propose payloads as one batch and return apply's results, as `propose`."""
        span = self._open().propose_many(payloads)
        # All of them before the loop does anything else: the entries may be applied at once.
        return await asyncio.gather(*[self._expect(position) for position in span])

    async def change_members(self, change: ConfChange | ConfChangeV2) -> ConfState:
        """Propose a membership change on the leader and wait until it is applied here.

        Raises as `propose`, and ConfChangeRefused.
        """
        applied: AppliedConfChange = await self._expect(self._open().propose_conf_change(change))
        if applied.skipped is not None:
            raise ConfChangeRefused(ConfChangeRefusal.INVALID, applied.skipped)
        return applied.conf_state

    async def add_voter(self, member: int, context: Buffer = b"") -> ConfState:
        """Make this member a voter."""
        return await self.change_members(ConfChange(ConfChangeKind.ADD_VOTER, member, context))

    async def add_learner(self, member: int, context: Buffer = b"") -> ConfState:
        """Make this member a learner."""
        return await self.change_members(ConfChange(ConfChangeKind.ADD_LEARNER, member, context))

    async def remove(self, member: int) -> ConfState:
        """Take this member out of the group."""
        return await self.change_members(ConfChange(ConfChangeKind.REMOVE, member))

    async def transfer_leader(self, to: int) -> None:
        """Hand leadership over and wait until this node follows it."""
        self._open().transfer_leader(to)
        self._wake.set()
        while self.leader != to:
            await self._change()

    async def read_index(self) -> int:
        """Wait until a read of the state here is linearizable; return the index it stands at.

        It asks again while nobody leads or the answer was lost: bound it with asyncio.timeout.
        """
        patience = 2 * self._config.election_timeout_ticks * self._tick_seconds
        while True:
            # A name that no earlier life of this node has used: its answer may be on its way yet.
            context = secrets.token_bytes(16)
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._reads[context] = future
            try:
                # Nobody leads: wait for that instead of an answer.
                with contextlib.suppress(ProposalDropped):
                    self._open().read_index(context)
                self._wake.set()
                async with asyncio.timeout(patience):
                    return await future
            except TimeoutError:
                continue
            finally:
                self._reads.pop(context, None)

    async def wait_for_leader(self) -> int:
        """Wait until this node knows a leader and return it."""
        while (leader := self.leader) is None:
            await self._change()
        return leader

    async def events(self) -> AsyncIterator[Event]:
        """Iterate over what happens from now on, until the node stops."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._open()
        self._subscribers.add(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._subscribers.discard(queue)

    def compact(self, index: int, data: Buffer, keep: int = 0) -> Snapshot:
        """Make a snapshot of the state as of `index` and drop the log up to `keep` before it.

        In memory only: a storage of your own drops its part itself.
        """
        snapshot = self.storage.create_snapshot(index, data, self.status().conf_state)
        if index - keep >= self.storage.first_index():
            self.storage.compact(index - keep)
        return snapshot

    async def __aiter__(self) -> AsyncIterator[Ready]:
        """Hand out what is to be done; going on to the next one advances the last."""
        raw = self._open()
        while True:
            ready = self._outstanding or raw.ready()
            if ready is None:
                self._wake.clear()
                await self._wake.wait()
                raw = self._open()
                continue
            self._outstanding = ready
            yield ready
            raw = self._open()
            raw.advance(ready)
            self._outstanding = None
            self._finish(ready)

    # What the node does.

    async def _run(self) -> None:
        try:
            async for ready in self:
                await self._handle(ready)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            _log.exception("node %d: stops, because it failed", self.id)
            self._failure = error
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
            self._stop_waiters()
            if not isinstance(error, Exception):
                raise

    async def _handle(self, ready: Ready) -> None:
        self._send(ready, after_sync=False)
        if ready.entries or ready.hard_state is not None or ready.snapshot is not None:
            if self._durable is not None:
                await self._beside(self._durable.persist, ready)
            self.storage.persist(ready)
        self._send(ready, after_sync=True)
        if ready.snapshot is not None:
            if self._restore is None:
                raise StoppedError("a snapshot came, and there is no restore to give it to")
            await self._call(self._restore, ready.snapshot)
        for entry in ready.committed:
            change = entry.conf_change()
            if change is not None:
                applied = self._open().apply_conf_change(entry)
                self._results[entry.index] = applied
                self._emit(MembersChanged(applied.conf_state, change))
            elif entry.data and self._apply is not None:
                self._results[entry.index] = await self._call(self._apply, entry)

    def _send(self, ready: Ready, *, after_sync: bool) -> None:
        messages = ready.messages_after_sync if after_sync else ready.messages
        if self._transport is None or not messages:
            return
        outgoing = ready.outgoing_after_sync if after_sync else ready.outgoing
        batches: dict[int, list[bytes]] = {}
        for message, (to, data) in zip(messages, outgoing, strict=True):
            batches.setdefault(to, []).append(data)
            if message.kind is MessageKind.SNAPSHOT:
                # Lost or not: the next heartbeat's answer tells the leader where it stands.
                self._open().report_snapshot(to, SnapshotStatus.FINISHED)
        for to, batch in batches.items():
            self._transport.send(to, batch)

    def _finish(self, ready: Ready) -> None:
        """Everything that this Ready asked for is done: tell those who waited for it."""
        if ready.snapshot is not None:
            self._applied = ready.snapshot.index
            self._emit(SnapshotRestored(ready.snapshot.position, ready.snapshot.conf_state))
        # Without one who waits, no entry becomes an object here.
        if self._waiters:
            for index, term, _, _ in ready.committed.rows():
                waiter = self._waiters.pop(index, None)
                if waiter is not None and waiter.term == term:
                    waiter.resolve(self._results.get(index))
                elif waiter is not None:
                    waiter.fail(OutcomeUnknown("another leader's entry took its place"))
        self._results.clear()
        if (last := ready.committed.last) is not None:
            self._applied = last.index
        for state in ready.read_states:
            future = self._reads.pop(state.context, None)
            if future is not None:
                self._late_reads.append((state.index, future))
        self._answer_reads()
        self._notice(ready)

    def _answer_reads(self) -> None:
        waiting: list[tuple[int, asyncio.Future[int]]] = []
        for index, future in self._late_reads:
            if future.done():
                continue
            if index <= self._applied:
                future.set_result(index)
            else:
                waiting.append((index, future))
        self._late_reads = waiting

    def _notice(self, ready: Ready) -> None:
        """Roles and terms: who proposed in a leadership that is over does not know the outcome."""
        if ready.soft_state is None and ready.hard_state is None:
            return
        status = self._open().soft_state()
        term = self._open().status().term if self._waiters or ready.soft_state else 0
        lost = [
            index
            for index, waiter in self._waiters.items()
            if status.role is not Role.LEADER or waiter.term != term
        ]
        for index in lost:
            self._waiters.pop(index).fail(OutcomeUnknown("leadership was lost meanwhile"))
        if ready.soft_state is not None:
            self._emit(RoleChanged(ready.soft_state.role, term))
            self._emit(LeaderChanged(ready.soft_state.leader, term))
            self._changed.set()
            self._changed = asyncio.Event()

    # Small things.

    def _open(self) -> RawNode:
        if self._raw is None or self._is_closed:
            text = "the node is stopped" if self._is_closed else "the node is not started"
            raise StoppedError(text) from self._failure
        return self._raw

    def _expect(self, position: Position) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiters[position.index] = _Waiter(position.term, future)
        self._wake.set()
        return future

    async def _change(self) -> None:
        changed = self._changed
        self._open()
        await changed.wait()

    async def _beside(self, call: Callable[..., Any], *arguments: object) -> Any:
        """Run a call in the thread beside the loop. It is finished even when we are cancelled."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, call, *arguments)

    async def _call(self, call: Callable[..., Any], argument: object) -> Any:
        result = call(argument)
        return await result if isawaitable(result) else result

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _schedule_tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._tick_seconds, self._tick)

    def _tick(self) -> None:
        if self._raw is None or self._is_closed:
            return
        try:
            self._raw.tick()
            is_idle = not self._raw.has_ready()
        except RaftError:
            # The next call that matters says it to somebody who listens.
            _log.exception("node %d: a tick failed", self.id)
            is_idle = False
        if not is_idle:
            self._wake.set()
        self._schedule_tick()

    def _emit(self, event: Event) -> None:
        for queue in self._subscribers:
            queue.put_nowait(event)

    def _stop_waiters(self) -> None:
        def stopped() -> StoppedError:
            error = StoppedError("the node stopped meanwhile")
            error.__cause__ = self._failure
            return error

        for waiter in self._waiters.values():
            waiter.fail(stopped())
        self._waiters.clear()
        reads = [*self._reads.values(), *(future for _, future in self._late_reads)]
        for future in reads:
            _Waiter(0, future).fail(stopped())
        self._late_reads.clear()
        for queue in self._subscribers:
            queue.put_nowait(None)
        self._changed.set()
        self._wake.set()


class LocalNetwork:
    """Carries messages between nodes of one process: for tests and first steps."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}
        self._cut: set[int] = set()
        self._queue: deque[tuple[int, int, bytes]] = deque()
        self._scheduled = False

    def join(self, node: Node) -> None:
        """Deliver messages to this node from now on."""
        self._nodes[node.id] = node

    def transport(self, sender: int) -> Transport:
        """Give the transport of this member."""
        return _LocalTransport(self, sender)

    def isolate(self, *members: int) -> None:
        """Cut these members off from everyone; none of them heals all."""
        self._cut = set(members)

    def _post(self, sender: int, to: int, messages: Sequence[bytes]) -> None:
        if sender in self._cut or to in self._cut:
            return
        self._queue.extend((sender, to, data) for data in messages)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        queue, self._queue = self._queue, deque()
        for _, to, data in queue:
            node = self._nodes.get(to)
            if node is not None:
                try:
                    node.step(data)
                except RaftError as error:
                    _log.debug("node %d: %s", to, error)


class _LocalTransport:
    def __init__(self, network: LocalNetwork, sender: int) -> None:
        self._network = network
        self._sender = sender

    def send(self, to: int, messages: Sequence[bytes]) -> None:
        self._network._post(self._sender, to, messages)
