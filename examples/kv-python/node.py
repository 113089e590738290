"""The raft node: its start from what is stored, ticks, and what clients and peers ask of it.

Everything happens in one event loop, but for the disk: one thread beside it writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import membership
import raftcore
import ready
from codec import Change, Member
from options import Options
from peers import Peers
from raftcore import ConfChange, ConfChangeKind
from recover import force_new_cluster
from requests import Refused, Requests, not_now
from store import NotOurs, Store, StoredState

log = logging.getLogger("kv-python")
Result = TypeVar("Result")

ELECTION_TICKS = 10
ELECTIONS_KEPT = 16
NOT_TAKEN = raftcore.ProposalDropped, raftcore.NotLeader


class Node:
    """One member, from its directory to its answers."""

    def __init__(self, options: Options, store: Store) -> None:
        self.options, self.store = options, store
        self.started = time.monotonic()
        stored = store.read_state()
        # What this node knows as of the last applied entry.
        self.members: dict[int, Member] = store.state.read_members()
        self.conf_state = stored.conf_state
        self.applied, self.applied_term = stored.applied, 0
        self.own_url = self.find_own_url()
        if options.force_new_cluster:
            stored = force_new_cluster(store, options.id, stored)
        self.term, self.commit = stored.hard_state.term, stored.hard_state.commit
        self.leader, self.role = 0, raftcore.Role.FOLLOWER
        self.elections: deque[dict[str, int]] = deque(maxlen=ELECTIONS_KEPT)
        self.snapshot_index = stored.applied
        self.snapshots_made = self.snapshots_installed = self.snapshot_installed_index = 0
        # Of the Ready in hand: of this node's own writes and changes, (serial, index).
        self.membership_changed = False
        self.answers: list[tuple[int, int]] = []
        self.stalled = ""  # why it could not be stored yet
        self.storage_errors, self.storage_error = 0, ""

        self.memory = self.load_log(stored)
        self.raft = self.make_raft(stored)
        if stored.hard_state == raftcore.HardState() and not (stored.joined or options.join):
            self.bootstrap()
        self.wake = asyncio.Event()
        self.leaving = False
        self.stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.writer = ThreadPoolExecutor(1, "disk")
        self.requests = Requests(self)
        self.peers = Peers(self)
        self.peers.follow(self.members)
        self.tasks = [asyncio.create_task(ready.run(self)), asyncio.create_task(self.tick())]

    def load_log(self, stored: StoredState) -> raftcore.MemoryStorage:
        """The log as it was: first what stands for the entries that were cut off, then the log,
        then a snapshot of the applied state, so that the library starts from there and members that
        are far behind can be sent it."""
        memory = raftcore.MemoryStorage()
        data = self.store.state.dump()
        cut = stored.compacted_index
        if cut:
            snapshot = raftcore.Snapshot(cut, stored.compacted_term, self.conf_state, data)
            memory.apply_snapshot(snapshot)
        memory.append(self.store.read_log(stored))
        memory.set_hard_state(stored.hard_state)
        if stored.applied > cut:
            memory.create_snapshot(stored.applied, data, self.conf_state)
        return memory

    def bootstrap(self) -> None:
        """Every first member makes the same entries, sorted by id, and so the same log."""
        cluster = sorted(self.options.cluster.items())
        self.raft.bootstrap([raftcore.Peer(id_, Change(url=url).encode()) for id_, url in cluster])

    def find_own_url(self) -> str:
        """The stored membership knows best; a new node takes its URL from --cluster."""
        this = self.options.id
        stored = self.members[this].url if this in self.members else ""
        given = self.options.cluster.get(this, "")
        if membership.is_removed(self.members, this):
            why = f"node {this} was removed from the cluster; an id is never used again"
            raise NotOurs(why)
        if stored and given and stored != given:
            why = f"--cluster says that this node is at {given}, the cluster knows it at {stored}"
            raise NotOurs(why)
        if not stored and not given:
            raise NotOurs(f"--cluster must contain this node, {this}")
        return stored or given

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(self.options.tick_ms / 1000)
            self.raft.tick()
            self.peers.tick()
            self.requests.tick()
            self.wake.set()

    def make_raft(self, stored: StoredState) -> raftcore.RawNode:
        config = raftcore.Config(
            id=self.options.id,
            applied=stored.applied,
            election_timeout_ticks=ELECTION_TICKS,
            max_uncommitted_bytes=64 << 20,
        )
        return raftcore.RawNode(config, self.memory)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.peers.close()
        await asyncio.to_thread(self.writer.shutdown)
        self.raft.close()

    async def beside(self, call: Callable[..., Result], *arguments: Any) -> Result:
        """In the thread that writes."""
        return await asyncio.get_running_loop().run_in_executor(self.writer, call, *arguments)

    # What is asked of it.

    def trouble(self) -> str:
        """Why this node can at the moment neither store nor promise anything."""
        return "this node is stopping" if self.stopped.done() else self.stalled

    def forward(self, entry: bytes) -> bool:
        """Propose, here or to the leader. False: not taken, nothing will come of it."""
        try:
            self.raft.forward(entry)
        except NOT_TAKEN:
            return False
        self.wake.set()
        return True

    def why_not_taken(self) -> Refused:
        known = "the leader takes nothing new for now" if self.leader else "no leader is known"
        return not_now(known, "refused")

    def propose(self, entry: bytes) -> None:
        if not self.forward(entry):
            raise self.why_not_taken()

    def propose_change(self, id_: int, url: str | None, serial: int) -> None:
        """To add a member at a URL, or to remove one."""
        membership.check_change(self.members, id_, url)
        kind = ConfChangeKind.REMOVE if url is None else ConfChangeKind.ADD_VOTER
        context = Change(self.options.id, serial, url or "").encode()
        try:
            self.raft.forward_conf_change(ConfChange(kind, id_, context))
        except NOT_TAKEN as error:
            raise self.why_not_taken() from error
        except raftcore.ConfChangeRefused as error:
            if error.reason is raftcore.ConfChangeRefusal.INVALID:
                raise Refused(400, str(error)) from error
            raise Refused(409, "another change of members is under way") from error
        self.wake.set()

    def transfer(self, id_: int) -> None:
        """Ask the leader to hand over."""
        if not membership.is_member(self.members, id_):
            raise Refused(404, f"no member has the id {id_}")
        if not self.leader:
            raise not_now("no leader is known")
        self.raft.transfer_leader(id_)
        self.wake.set()

    def read_index(self, context: bytes) -> None:
        # Without a leader it is asked again soon.
        with contextlib.suppress(*NOT_TAKEN):
            self.raft.read_index(context)
        self.wake.set()

    def report_unreachable(self, member: int) -> None:
        self.raft.report_unreachable(member)
        self.wake.set()

    def report_snapshot(self, member: int, arrived: bool) -> None:
        finished, failed = raftcore.SnapshotStatus.FINISHED, raftcore.SnapshotStatus.FAILED
        self.raft.report_snapshot(member, finished if arrived else failed)
        self.wake.set()

    def leave(self, who_says_so: str) -> None:
        """This node is no longer a member: it stops, but lets what it still has to say leave
        before."""
        if self.leaving or self.stopped.done():
            return
        self.leaving = True
        log.info("removed from the cluster, says %s: stopping", who_says_so)
        seconds = ELECTION_TICKS * self.options.tick_ms / 1000
        asyncio.get_running_loop().call_later(seconds, self.stop, 0)

    def stop(self, exit_code: int) -> None:
        """Answer who waits, and let the process end."""
        if not self.stopped.done():
            self.stopped.set_result(exit_code)
            self.requests.answer_all("this node is stopping")
            self.peers.close_streams()
