"""The node: restart, the loop over Readies, membership, and who waits for an answer."""

import asyncio
import contextlib
import logging
import random
import sqlite3
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import raftcore
from codec import NODE_ID_MAX, Change, Malformed, State, Write
from peers import Peers
from raftcore import ConfChange, ConfChangeKind, ConfChangeSingle, ConfChangeV2, Role
from recover import force_new_cluster
from store import Applied, NotOurs, Store

log = logging.getLogger("kv-python")

ELECTION_TICKS = 10
ASK_AGAIN_TICKS = 3
ELECTIONS_KEPT = 16
RETRY_SECONDS_MOST = 5.0
# A full or read-only disk can be mended. After a failed sync nobody knows what the disk has.
MENDABLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}


class Refused(Exception):
    """A request that was not taken: its status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Unknown(Exception):
    """A write whose fate was not learned."""


@dataclass
class Waiting:
    """A write, or a change of members, that waits for its entry."""

    term: int
    future: asyncio.Future
    # Proposed again to a new leader, where a request id makes that safe.
    again: bytes = b""


@dataclass
class Reads:
    """Reads share questions: a thousand readers cost one round of heartbeats."""

    next_question: int = field(default_factory=lambda: random.SystemRandom().getrandbits(62))
    asked: int = 0
    asking: bool = False
    ticks: int = 0
    waiting: list = field(default_factory=list)  # of (question, future)
    confirmed: list = field(default_factory=list)  # of (index, future)


class Node:
    """One member, from its directory to its answers."""

    def __init__(self, options, store: Store) -> None:
        self.options, self.store = options, store
        if options.force_new_cluster:
            force_new_cluster(store, options.id)
        self.members = store.members()
        self.memory, self.conf_state, self.applied = store.load()
        self.committed = self.memory.initial_state()[0].commit
        self.own_url = self.find_own_url()
        config = raftcore.Config(
            id=options.id,
            applied=self.applied,
            election_timeout_ticks=ELECTION_TICKS,
            max_uncommitted_bytes=64 << 20,
        )
        self.raft = raftcore.RawNode(config, self.memory)
        self.bootstrap()
        self.started = time.monotonic()
        self.snapshot_index = self.memory.snapshot().index
        self.snapshots_made = self.snapshots_installed = self.snapshot_installed_index = 0
        self.applied_term = 0
        self.elections: deque[dict[str, int]] = deque(maxlen=ELECTIONS_KEPT)
        self.trouble = ""
        self.errors, self.last_error = 0, None
        self.waiting: dict[int, Waiting] = {}
        self.next_serial = random.SystemRandom().getrandbits(63)
        self.reads = Reads()
        self.wake = asyncio.Event()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.writer = ThreadPoolExecutor(1, "disk")
        self.peers = Peers(options, self)
        self.peers.follow(self.members or {m: (False, u) for m, u in options.cluster.items()})
        self.tasks = [asyncio.create_task(self.run()), asyncio.create_task(self.tick())]

    def find_own_url(self) -> str:
        given = self.options.cluster.get(self.options.id)
        removed, stored = self.members.get(self.options.id, (False, ""))
        if removed:
            raise NotOurs("this node was removed from the cluster; ids are never reused")
        if stored and given and stored != given:
            raise NotOurs(f"--cluster says {given}, the cluster knows this node at {stored}")
        if not (stored or given):
            raise NotOurs("--cluster must contain this node")
        return stored or given

    def bootstrap(self) -> None:
        hard_state, _ = self.memory.initial_state()
        is_new = hard_state == raftcore.HardState() and not self.memory.last_index()
        if is_new and not self.options.join:
            cluster = sorted(self.options.cluster.items())
            peers = [raftcore.Peer(m, Change(url=url).encode()) for m, url in cluster]
            self.raft.bootstrap(peers)

    async def close(self) -> None:
        self.answer_all("this node is stopping")
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.peers.close()
        await asyncio.to_thread(self.writer.shutdown)
        self.raft.close()
        self.store.close()

    # Requests.

    async def write(self, operation: int, key: bytes, value: bytes, request_id: bytes) -> int:
        """The index at which the write was applied here."""
        self.check_open()
        serial = self.new_serial()
        entry = Write(operation, self.options.id, serial, request_id, key, value).encode()
        try:
            self.raft.forward(entry)
        except (raftcore.ProposalDropped, raftcore.NotLeader) as error:
            raise Refused(503, str(error)) from error
        return await self.wait_for(serial, entry if request_id else b"")

    async def change(self, member: int, url: str | None) -> int:
        """Add a member at a URL, or remove one; the index at which it was applied here."""
        self.check_change(member, url)
        self.check_open()
        serial = self.new_serial()
        kind = ConfChangeKind.REMOVE if url is None else ConfChangeKind.ADD_VOTER
        context = Change(self.options.id, serial, url or "").encode()
        try:
            self.raft.forward_conf_change(ConfChange(kind, member, context))
        except (raftcore.ProposalDropped, raftcore.NotLeader) as error:
            raise Refused(503, str(error)) from error
        except raftcore.ConfChangeRefused as error:
            pending = error.reason is not raftcore.ConfChangeRefusal.INVALID
            why = "another change of members is under way" if pending else str(error)
            raise Refused(409 if pending else 400, why) from error
        return await self.wait_for(serial)

    def transfer(self, member: int) -> None:
        """Ask the leader to hand over."""
        if self.members.get(member, (True, ""))[0]:
            raise Refused(404, f"no member has the id {member}")
        if self.raft.soft_state().leader is None:
            raise Refused(503, "no leader is known")
        self.raft.transfer_leader(member)
        self.wake.set()

    def check_change(self, member: int, url: str | None) -> None:
        removed, known = self.members.get(member, (False, None))
        left = [m for m, (gone, _) in self.members.items() if not gone]
        if removed:
            why = f"node {member} was removed; an id is never used again"
            raise Refused(404 if url is None else 409, why)
        if url is None and known is None:
            raise Refused(404, f"no member has the id {member}")
        if url is None and len(left) == 1:
            raise Refused(409, "the last member cannot be removed")
        if url is not None and known not in (None, url):
            raise Refused(409, f"node {member} is a member already, at {known}")

    async def read(self, key: bytes) -> bytes | None:
        """A linearizable read."""
        self.check_open()
        future = asyncio.get_running_loop().create_future()
        self.reads.waiting.append((self.reads.next_question, future))
        if not self.reads.asking:
            self.ask()
        try:
            async with asyncio.timeout(self.options.timeout_ms / 1000):
                await future
        except TimeoutError as error:
            seconds = self.options.timeout_ms
            raise Refused(503, f"no leader confirmed the read within {seconds} ms") from error
        return self.store.get(key)

    def check_open(self) -> None:
        if self.trouble:
            raise Refused(503, self.trouble)
        pending = len(self.waiting) + len(self.reads.waiting) + len(self.reads.confirmed)
        if pending >= self.options.max_pending:
            raise Refused(503, "too many requests are waiting")
        if self.committed > self.applied + self.options.max_gap:
            raise Refused(503, "too many entries are committed and not applied yet")

    def new_serial(self) -> int:
        self.next_serial = (self.next_serial + 1) % 2**64
        return self.next_serial

    async def wait_for(self, serial: int, again: bytes = b"") -> int:
        future = asyncio.get_running_loop().create_future()
        self.waiting[serial] = Waiting(self.raft.status().term, future, again)
        self.wake.set()
        try:
            async with asyncio.timeout(self.options.timeout_ms / 1000):
                return await future
        except TimeoutError as error:
            text = f"not applied within {self.options.timeout_ms} ms"
            raise Unknown(": ".join(filter(None, [text, self.trouble]))) from error
        finally:
            self.waiting.pop(serial, None)

    def ask(self) -> None:
        reads = self.reads
        reads.asked, reads.asking, reads.ticks = reads.next_question, True, 0
        reads.next_question += 1
        # Without a leader it is asked again soon.
        with contextlib.suppress(raftcore.ProposalDropped, raftcore.NotLeader):
            self.raft.read_index(reads.asked.to_bytes(8, "big"))
        self.wake.set()

    # The network.

    def step_many(self, sender: int, url: str, messages: list[raftcore.Message]) -> list:
        if sender not in self.members or self.members[sender][0]:
            self.peers.learn(sender, url)
        refused = self.raft.step_many(messages)
        self.wake.set()
        lost = (raftcore.ProposalDropped, raftcore.NotLeader)
        return [error for error in refused if not isinstance(error, lost)]

    def hear(self, sender: int, messages: list[raftcore.Message]) -> None:
        """On a stream nobody is answered: what cannot be taken now is lost, and Raft repeats it."""
        if messages and not self.trouble and not self.members.get(sender, (True, ""))[0]:
            self.step_many(sender, "", messages)

    def report_unreachable(self, member: int) -> None:
        self.raft.report_unreachable(member)
        self.wake.set()

    def report_snapshot(self, member: int, status: raftcore.SnapshotStatus) -> None:
        self.raft.report_snapshot(member, status)
        self.wake.set()

    # The loop.

    async def tick(self) -> None:
        seconds = self.options.tick_ms / 1000
        while True:
            await asyncio.sleep(seconds)
            self.raft.tick()
            self.peers.tick()
            self.wake.set()
            reads = self.reads
            reads.ticks += 1
            reads.waiting = [one for one in reads.waiting if not one[1].done()]
            if reads.asking and reads.ticks >= ASK_AGAIN_TICKS:
                reads.asking = False
            if not reads.asking and reads.waiting:
                self.ask()

    async def run(self) -> None:
        try:
            while True:
                ready = self.raft.ready()
                if ready is None:
                    self.wake.clear()
                    await self.wake.wait()
                else:
                    await self.handle(ready)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("cannot go on")
            self.end(1)

    async def handle(self, ready: raftcore.Ready) -> None:
        """Send, commit, send, answer, advance: the order that Ready gives."""
        if ready.soft_state is not None:
            self.note_role(ready.soft_state)
        if ready.hard_state is not None:
            self.committed = ready.hard_state.commit
        self.peers.send(ready.messages)
        applied, changes = self.apply_members(ready)
        await self.commit(ready, applied)
        self.memory.persist(ready)
        self.peers.send(ready.messages_after_sync)
        if ready.snapshot is not None:
            self.applied = self.snapshot_index = ready.snapshot.index
            self.snapshots_installed += 1
            self.snapshot_installed_index = ready.snapshot.index
        if applied.members is not None:
            self.peers.follow(self.members)
        for serial, index in changes + applied.answers:
            waiting = self.waiting.pop(serial, None)
            if waiting is not None and not waiting.future.done():
                waiting.future.set_result(index)
        if (last := ready.committed.last) is not None:
            self.applied = last.index
            if last.term > self.applied_term:
                self.applied_term = last.term
                self.give_up_before(last.term)
        self.answer_reads(ready)
        self.raft.advance(ready)
        if applied.members is not None:
            self.replace_removed_leader()
        await self.snapshot_if_due(applied.members is not None)
        if self.members.get(self.options.id, (False, ""))[0]:
            self.leave("the log")

    async def commit(self, ready: raftcore.Ready, applied: Applied) -> None:
        """Nothing that depends on it is sent or answered until the disk takes it."""
        pause = 0.1
        while True:
            try:
                return await self.beside(self.store.commit, ready, applied)
            except sqlite3.OperationalError as error:
                self.errors, self.last_error = self.errors + 1, str(error)
                code = error.sqlite_errorcode
                if code not in MENDABLE and code & 0xFF not in MENDABLE:
                    raise
                if not self.trouble:
                    log.error("nothing can be stored: %s; trying again until it works", error)
                self.trouble = f"SQLite: {error}"
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY_SECONDS_MOST)

    async def beside(self, call, *arguments):
        result = await asyncio.get_running_loop().run_in_executor(self.writer, call, *arguments)
        self.trouble = ""
        return result

    def note_role(self, soft_state: raftcore.SoftState) -> None:
        if soft_state.role is Role.LEADER:
            log.info("leads")
        elif soft_state.leader is not None:
            log.info("follows node %d", soft_state.leader)
        if soft_state.leader is None:
            return
        term = self.raft.status().term
        if not self.elections or self.elections[-1]["term"] != term:
            at = time.time_ns() // 1_000_000
            self.elections.append({"term": term, "leader": soft_state.leader, "at_ms": at})
        for waiting in self.waiting.values():
            if waiting.again:
                try:
                    self.raft.forward(waiting.again)
                    waiting.term = term
                except (raftcore.ProposalDropped, raftcore.NotLeader):
                    pass

    def give_up_before(self, term: int) -> None:
        """A new leader's first entry was applied: what older ones did not commit is lost."""
        for waiting in self.waiting.values():
            if waiting.term < term and not waiting.future.done():
                text = "the leader changed, the write may be lost with the old one"
                waiting.future.set_exception(Unknown(text))

    def answer_reads(self, ready: raftcore.Ready) -> None:
        reads = self.reads
        for state in ready.read_states:
            question = int.from_bytes(state.context, "big")
            if question > reads.asked:
                # Not asked yet: an answer that an earlier life of this node waited for.
                continue
            reads.confirmed += [(state.index, f) for q, f in reads.waiting if q <= question]
            reads.waiting = [(q, f) for q, f in reads.waiting if q > question]
            if question == reads.asked:
                reads.asking = False
            if reads.waiting and not reads.asking:
                self.ask()
        for index, future in reads.confirmed:
            if index <= self.applied and not future.done():
                future.set_result(None)
        reads.confirmed = [one for one in reads.confirmed if not one[1].done()]

    def answer_all(self, why: str) -> None:
        self.trouble = why
        self.peers.end_streams()
        for waiting in self.waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(Unknown(why))
        for _, future in self.reads.waiting + self.reads.confirmed:
            if not future.done():
                future.set_exception(Refused(503, why))

    # Members and snapshots.

    def apply_members(self, ready: raftcore.Ready) -> tuple[Applied, list[tuple[int, int]]]:
        """Hand each change to the library once, before the transaction that stores it."""
        applied, answers = Applied(ready.committed), []
        if ready.snapshot is not None:
            state = State.decode(ready.snapshot.data)
            self.members = {member: (gone, url) for member, gone, url in state.members}
            self.conf_state = ready.snapshot.conf_state
            applied.members, applied.conf_state = self.members, self.conf_state
        for entry in ready.committed:
            if entry.kind is raftcore.EntryKind.NORMAL:
                continue
            answers += self.apply_change(entry)
            applied.members, applied.conf_state = self.members, self.conf_state
        return applied, answers

    def apply_change(self, entry: raftcore.Entry) -> list[tuple[int, int]]:
        try:
            change = entry.conf_change()
            assert change is not None
        except raftcore.DecodeError:
            # What no node can decode, every node's library skips.
            self.conf_state = self.raft.apply_conf_change(entry).conf_state
            return []
        steps = change.changes if isinstance(change, ConfChangeV2) else [change]
        # A removed id stays removed. Every node finds the same here, and vetoes the same.
        allowed = [
            ConfChangeSingle(step.kind, 0 if self.is_vetoed(step) else step.node) for step in steps
        ]
        transition = change.transition if isinstance(change, ConfChangeV2) else 0
        now = self.raft.apply_conf_change(ConfChangeV2(allowed, transition, change.context))
        self.conf_state = now.conf_state
        try:
            context = Change.decode(change.context)
        except Malformed:
            context = Change()
        present = {*now.conf_state.voters, *now.conf_state.learners}
        present.update(now.conf_state.voters_outgoing)
        for step in steps:
            if not 0 < step.node <= NODE_ID_MAX:
                continue
            if step.node in present:
                known = self.members.get(step.node, (False, ""))[1]
                self.members[step.node] = (False, context.url or known)
            elif step.node in self.members:
                self.members[step.node] = (True, "")
        mine = context.origin == self.options.id
        return [(context.serial, entry.index)] if mine else []

    def is_vetoed(self, step: ConfChange | ConfChangeSingle) -> bool:
        removed = self.members.get(step.node, (False, ""))[0]
        return removed and step.kind is not ConfChangeKind.REMOVE

    def replace_removed_leader(self) -> None:
        """A leader that was removed is not waited for: the first member stands at once."""
        leader = self.raft.soft_state().leader
        if leader is None or leader == self.options.id or not self.members.get(leader, (0, ""))[0]:
            return
        self.raft.forget_leader()
        if min(m for m, (removed, _) in self.members.items() if not removed) == self.options.id:
            self.raft.campaign()

    async def snapshot_if_due(self, members_changed: bool) -> None:
        since = self.applied - self.snapshot_index
        cut_before = members_changed and self.snapshot_index > 0 and since > 0
        if since < self.options.snapshot_entries and not cut_before:
            return
        # The tables stand at the applied index, since nothing else writes them.
        data = await self.beside(self.store.dump)
        self.memory.create_snapshot(self.applied, data, self.conf_state)
        self.snapshot_index = self.applied
        self.snapshots_made += 1
        log.info("snapshot at index %d, %d bytes", self.applied, len(data))
        cut = self.snapshot_index - self.options.catch_up_entries
        if cut >= self.memory.first_index():
            try:
                await self.beside(self.store.cut, cut, self.memory.term(cut))
                self.memory.compact(cut)
            except sqlite3.OperationalError as error:
                log.error("the log was not cut: %s; it will be with the next snapshot", error)

    # The end.

    def leave(self, who_says_so: str) -> None:
        """Stop, but stay for a moment to answer those who have not heard of it."""
        if not self.ended.done() and not getattr(self, "leaving", False):
            self.leaving = True
            log.info("removed from the cluster, says %s: stopping", who_says_so)
            seconds = ELECTION_TICKS * self.options.tick_ms / 1000
            asyncio.get_running_loop().call_later(seconds, self.end, 0)

    def end(self, code: int) -> None:
        if not self.ended.done():
            self.ended.set_result(code)
