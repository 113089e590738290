"""The node of `raftcore.aio` for programs with threads: its loop runs in a thread of its own.

What waits there is a `concurrent.futures.Future` here. `apply` and `restore` are called in the
node's thread; they must not wait for the node.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

from . import ConfChange, ConfChangeV2, Config, ConfState, MemoryStorage, Status, StoppedError, aio

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Buffer

__all__ = ["Node"]

_Result = TypeVar("_Result")


class Node:
    """One member of a group, driven by a thread of its own: see `raftcore.aio.Node`.

    `transport.send` is called in that thread and must not block; `step` may be called in any.
    """

    def __init__(
        self,
        config: Config,
        *,
        storage: aio.Storage | MemoryStorage,
        transport: aio.Transport | None = None,
        apply: aio.Apply,
        restore: aio.Restore | None = None,
        tick_seconds: float = 0.1,
    ) -> None:
        self._make: Callable[[], aio.Node] = lambda: aio.Node(
            config,
            storage=storage,
            transport=transport,
            apply=apply,
            restore=restore,
            tick_seconds=tick_seconds,
        )
        self.id: int = config.id
        self._node: aio.Node | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._end: Future[None] = Future()

    def start(self) -> Self:
        """Start the node's thread and wait until the node runs."""
        if self._thread is not None:
            raise StoppedError("a node is started once")
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name=f"raftcore-{self.id}", daemon=True
        )
        self._thread.start()
        started.result()
        return self

    def close(self) -> None:
        """Stop the node and wait for it; raises StoppedError if it had failed before."""
        if self._thread is None:
            return
        if self._loop is not None and self._stop is not None and not self._end.done():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._end.result()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def step(self, message: Buffer) -> None:
        """Take a message from a peer. Raises as `RawNode.step` does."""
        self._running().raw().step(message)
        self._wake()

    def propose(self, data: Buffer) -> Future[Any]:
        """Propose a payload on the leader; the future has apply's result."""
        return self._submit(self._running().propose(bytes(memoryview(data))))

    def propose_many(self, payloads: Iterable[Buffer]) -> Future[list[Any]]:
        """Propose payloads as one batch; the future has apply's results."""
        copies = [bytes(memoryview(data)) for data in payloads]
        return self._submit(self._running().propose_many(copies))

    def read_index(self) -> Future[int]:
        """Ask for an index at which a read of the state here is linearizable."""
        return self._submit(self._running().read_index())

    def change_members(self, change: ConfChange | ConfChangeV2) -> Future[ConfState]:
        """Propose a membership change on the leader."""
        return self._submit(self._running().change_members(change))

    def add_voter(self, member: int, context: Buffer = b"") -> Future[ConfState]:
        """Make this member a voter."""
        return self._submit(self._running().add_voter(member, context))

    def add_learner(self, member: int, context: Buffer = b"") -> Future[ConfState]:
        """Make this member a learner."""
        return self._submit(self._running().add_learner(member, context))

    def remove(self, member: int) -> Future[ConfState]:
        """Take this member out of the group."""
        return self._submit(self._running().remove(member))

    def transfer_leader(self, to: int) -> Future[None]:
        """Hand leadership over."""
        return self._submit(self._running().transfer_leader(to))

    def wait_for_leader(self, timeout: float | None = None) -> int:
        """Wait until this node knows a leader and return it."""
        return self._submit(self._running().wait_for_leader()).result(timeout)

    @property
    def leader(self) -> int | None:
        """The leader that this node knows."""
        return self._running().leader

    @property
    def is_leader(self) -> bool:
        """Whether this node leads."""
        return self._running().is_leader

    def status(self) -> Status:
        """Look at the node."""
        return self._running().status()

    def _running(self) -> aio.Node:
        if self._node is None:
            raise StoppedError("the node is not started")
        return self._node

    def _wake(self) -> None:
        if self._loop is not None and not self._end.done():
            self._loop.call_soon_threadsafe(self._running().wake)

    def _submit(self, coroutine: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        if self._loop is None or self._end.done():
            coroutine.close()
            raise StoppedError("the node is stopped")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._main(started))
        except BaseException as error:
            self._end.set_exception(error)
            if not started.done():
                started.set_exception(error)
        else:
            self._end.set_result(None)

    async def _main(self, started: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._make() as node:
            self._node = node
            started.set_result(None)
            await self._stop.wait()
