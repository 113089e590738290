"""A group of nodes in virtual time: one thread, one seed, faults by command."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol

from .. import (
    ConfChange,
    ConfChangeKind,
    Config,
    ConfState,
    Entry,
    MemoryStorage,
    NotLeader,
    Position,
    ProposalDropped,
    RaftError,
    RawNode,
    Ready,
    Role,
    SnapshotStatus,
    Status,
)
from .._raftcore import _Referee
from ._svg import timeline
from ._violation import Violation


class Machine(Protocol):
    """The application's state machine."""

    def apply(self, data: bytes) -> Any:
        """Apply a committed payload."""
        ...

    def snapshot(self) -> bytes:
        """Give the whole state; equal states give equal bytes."""
        ...

    def restore(self, data: bytes) -> None:
        """Put this state in the place of the present one."""
        ...


class RegisterMachine:
    """A state machine for a start: the list of all payloads."""

    def __init__(self) -> None:
        self.log: list[bytes] = []

    def apply(self, data: bytes) -> int:
        """Append the payload and return how many there are."""
        self.log.append(data)
        return len(self.log)

    def snapshot(self) -> bytes:
        """Give the list as JSON."""
        return json.dumps([data.hex() for data in self.log]).encode()

    def restore(self, data: bytes) -> None:
        """Take the list from JSON."""
        self.log = [bytes.fromhex(item) for item in json.loads(data)]


class _Member:
    """A node, its disk, and its state machine."""

    def __init__(self, config: Config, machine: Machine) -> None:
        self.config = config
        self.machine = machine
        self.node: RawNode | None = None
        self.memory = MemoryStorage()
        self.members = ConfState()
        # What is written reaches the disk when it is `due`; a crash before loses it.
        self.working: Ready | None = None
        self.due = 0
        self.applied = 0
        # As it was when it was last looked at.
        self.seen: Status


class SimCluster:
    """A group of nodes 1 to `size` in virtual time.

    Time passes only in `tick`. The same seed and the same calls give the same run: `trace` is then
    equal too. The core's own simulator judges every call on a node, every Ready, every message as
    it leaves, what the storage has and what the state machine becomes; a broken rule raises
    Violation with its name. `machine` makes a state machine for each node. Member ids end at 7.
    """

    def __init__(
        self,
        size: int = 3,
        *,
        seed: int = 0,
        machine: Callable[[], Machine] = RegisterMachine,
        snapshot_entries: int = 0,
        **config: Any,
    ) -> None:
        self.seed: int = seed
        self.now: int = 0
        self.trace: list[dict[str, Any]] = []
        self._setup = {"size": size, "seed": seed, "snapshot_entries": snapshot_entries, **config}
        self._make_machine = machine
        self._config = config
        self._snapshot_entries = snapshot_entries
        self._random = random.Random(seed)
        self._members: dict[int, _Member] = {}
        self._network: list[tuple[int, int, int, int, bytes]] = []
        self._posted = 0
        self._groups: dict[int, int] = {}
        self._loss = 0.0
        self._delays = (1, 1)
        self._disk_delays = (0, 0)
        self._actions: list[list[Any]] = []
        voters = ConfState(range(1, size + 1))
        for member in voters.voters:
            self._add(member, voters)
        self._referee = _Referee(voters, machine().snapshot())
        for member in self._members:
            self._start(member)

    # Time.

    def tick(self, count: int = 1) -> None:
        """Let time pass: messages arrive, clocks tick, disks finish."""
        with self._action("tick", count):
            for _ in range(count):
                self._tick()

    def run_until(
        self, condition: Callable[[SimCluster], object], ticks: int = 1_000
    ) -> SimCluster:
        """Let time pass until the condition holds; AssertionError when it takes too long."""
        for _ in range(ticks):
            if condition(self):
                return self
            self.tick()
        if condition(self):
            return self
        tail = "\n".join(json.dumps(event) for event in self.trace[-20:])
        raise AssertionError(
            f"not within {ticks} ticks; you can reproduce this with seed={self.seed}\n{tail}"
        )

    # Faults.

    def partition(self, *groups: Iterable[int]) -> None:
        """Cut the network: messages pass only within each of these groups.

        Members that are in none of them are cut off from everyone.
        """
        lists = [sorted(group) for group in groups]
        with self._action("partition", *lists):
            numbered = enumerate(lists, 1)
            self._groups = {member: number for number, group in numbered for member in group}
            for place, member in enumerate(self._members):
                self._groups.setdefault(member, -1 - place)
            self._note("partition", groups=lists)

    def heal(self) -> None:
        """Let all messages pass again, without loss and delay."""
        with self._action("heal"):
            self._groups, self._loss, self._delays = {}, 0.0, (1, 1)
            self._note("heal")

    def drop(self, share: float) -> None:
        """Lose this share of all messages from now on."""
        with self._action("drop", share):
            self._loss = share

    def delay(self, least: int, most: int) -> None:
        """Deliver messages after so many ticks from now on; different delays change their order."""
        with self._action("delay", least, most):
            self._delays = (max(1, least), max(1, least, most))

    def slow_disks(self, least: int, most: int) -> None:
        """Let a write take so many ticks from now on; a crash before its end can lose it."""
        with self._action("slow_disks", least, most):
            self._disk_delays = (least, max(least, most))

    def crash(self, member: int, lose_unsynced: bool = True) -> None:
        """Kill a node. What it has not synced is lost, or is on the disk all the same."""
        with self._action("crash", member, lose_unsynced):
            one = self._members[member]
            if one.node is None:
                return
            one.node.close()
            if one.working is not None and not lose_unsynced:
                self._write(member, one.working)
            one.node, one.working = None, None
            self._referee.crashed(member)
            self._note("crash", node=member)

    def restart(self, member: int) -> None:
        """Start a crashed node from its disk."""
        with self._action("restart", member):
            if self._members[member].node is None:
                self._start(member)
                self._note("restart", node=member)
                self._look(member)

    # Requests.

    def propose(self, data: bytes, member: int | None = None) -> Position | None:
        """Propose at a member, or at the leader; None when it was not taken."""
        with self._action("propose", data.hex(), member):
            node = self._node(member or self.leader())
            try:
                position = node.propose(data) if node is not None else None
            except (NotLeader, ProposalDropped):
                position = None
            self._settle_all()
            return position

    def campaign(self, member: int) -> None:
        """Let a member campaign now."""
        with self._action("campaign", member):
            node = self._node(member)
            if node is not None:
                node.campaign()
                self._settle_all()

    def transfer(self, to: int) -> None:
        """Ask the leader to hand over."""
        with self._action("transfer", to):
            node = self._node(self.leader())
            if node is not None:
                try:
                    node.transfer_leader(to)
                except RaftError as error:
                    self._note("refused", why=str(error))
                self._settle_all()

    def change(self, kind: ConfChangeKind, member: int) -> None:
        """Propose a membership change at the leader; a new member starts empty."""
        with self._action("change", int(kind), member):
            node = self._node(self.leader())
            if node is None:
                return
            if member not in self._members:
                self._add(member, ConfState())
                self._start(member)
            try:
                node.propose_conf_change(ConfChange(ConfChangeKind(kind), member))
            except RaftError as error:
                self._note("refused", why=str(error))
            self._settle_all()

    # A look.

    @property
    def members(self) -> list[int]:
        """The ids of all nodes, crashed ones included."""
        return sorted(self._members)

    def alive(self) -> list[int]:
        """Give the ids of the nodes that run."""
        return [member for member in self.members if self._members[member].node is not None]

    def leader(self) -> int | None:
        """Give the running leader of the highest term."""
        leading = [
            (status.term, status.id)
            for status in (self.node(member).status() for member in self.alive())
            if status.role is Role.LEADER
        ]
        return max(leading)[1] if leading else None

    def node(self, member: int) -> RawNode:
        """Give a running node."""
        node = self._members[member].node
        if node is None:
            raise KeyError(f"node {member} is down")
        return node

    def machine(self, member: int) -> Any:
        """Give a member's state machine."""
        return self._members[member].machine

    def applied(self, member: int) -> int:
        """Give the index up to which a member has applied."""
        return self._members[member].applied

    def converged(self) -> bool:
        """Whether a leader leads and all running nodes have applied the same."""
        alive = self.alive()
        leader = self.leader()
        if leader is None:
            return False
        last = self.node(leader).status().last_index
        return all(self.applied(member) == last for member in alive) and (
            len({self.machine(member).snapshot() for member in alive}) == 1
        )

    # The trace.

    def to_json(self) -> str:
        """Give the run as JSON: what it takes to replay it, and what happened."""
        return json.dumps(
            {"setup": self._setup, "actions": self._actions, "trace": self.trace}, indent=1
        )

    @classmethod
    def replay(cls, text: str, machine: Callable[[], Machine] = RegisterMachine) -> SimCluster:
        """Play a run again from its JSON; AssertionError when it goes another way."""
        run = json.loads(text)
        cluster = cls(machine=machine, **run["setup"])
        for name, *arguments in run["actions"]:
            if name == "propose":
                arguments[0] = bytes.fromhex(arguments[0])
            getattr(cluster, name)(*arguments)
        assert cluster.trace == run["trace"], "the same calls made another run"
        return cluster

    def svg(self) -> str:
        """Draw the run: a row for each node, roles by colour, crashes and partitions."""
        return timeline(self.trace, self.members, self.now)

    # What happens inside.

    def _note(self, event: str, **fields: Any) -> None:
        self.trace.append({"t": self.now, "event": event, **fields})

    @contextlib.contextmanager
    def _action(self, name: str, *arguments: Any) -> Generator[None]:
        """Note what is done to the group, and what the judges say to it."""
        if self._actions and name == "tick" and self._actions[-1][0] == "tick":
            self._actions[-1][1] += arguments[0]
        else:
            self._actions.append([name, *arguments])
        try:
            yield
        except Violation as violation:
            self._note("violation", check=violation.check)
            violation.add_note(f"you can reproduce this with seed={self.seed}")
            raise

    def _add(self, member: int, members: ConfState) -> None:
        if member > _Referee.MEMBERS:
            raise ValueError(f"member {member}: ids end at {_Referee.MEMBERS} here")
        seed = self._random.getrandbits(64)
        config = Config(id=member, seed=seed, **self._config)
        one = _Member(config, self._make_machine())
        one.memory = MemoryStorage(voters=members.voters)
        self._members[member] = one

    def _start(self, member: int) -> None:
        one = self._members[member]
        snapshot = one.memory.snapshot()
        one.machine = self._make_machine()
        one.applied, one.members = snapshot.index, one.memory.initial_state()[1]
        if snapshot.index:
            one.machine.restore(snapshot.data)
        one.node = RawNode(one.config, one.memory)
        one.seen = one.node.status()
        self._referee.watch(one.node, one.config, one.memory, one.applied)

    def _node(self, member: int | None) -> RawNode | None:
        return self._members[member].node if member in self._members else None

    def _tick(self) -> None:
        self.now += 1
        due = sorted(item for item in self._network if item[0] <= self.now)
        self._network = [item for item in self._network if item[0] > self.now]
        for _, _, sender, to, data in due:
            node = self._node(to)
            if node is None or not self._connected(sender, to):
                continue
            with contextlib.suppress(ProposalDropped, NotLeader):
                node.step(data)
            self._settle(to)
        for member in self.alive():
            self.node(member).tick()
            self._settle(member)

    def _settle_all(self) -> None:
        for member in self.alive():
            self._settle(member)

    def _settle(self, member: int) -> None:
        """Do what a node's Readies say, as far as its disk is."""
        one = self._members[member]
        while one.node is not None:
            self._look(member)
            if one.working is None:
                one.working = one.node.ready()
                if one.working is None:
                    return
                self._send(member, one.working, after_sync=False)
                one.due = self.now
                if one.working.must_sync:
                    one.due += self._random.randint(*self._disk_delays)
            if one.due > self.now:
                return
            self._finish(member, one, one.working)

    def _finish(self, member: int, one: _Member, ready: Ready) -> None:
        assert one.node is not None
        self._write(member, ready)
        self._send(member, ready, after_sync=True)
        if ready.snapshot is not None:
            one.machine.restore(ready.snapshot.data)
            one.applied, one.members = ready.snapshot.index, ready.snapshot.conf_state
            self._referee.restored(member, ready.snapshot, one.machine.snapshot())
            self._note("snapshot", node=member, index=one.applied)
        for entry in ready.committed:
            self._apply(member, one, entry)
        if ready.committed:
            self._note("applied", node=member, index=one.applied)
        one.working = None
        one.node.advance(ready)
        self._compact(one)

    def _apply(self, member: int, one: _Member, entry: Entry) -> None:
        assert one.node is not None
        change = entry.conf_change()
        if change is None and entry.data:
            one.machine.apply(entry.data)
        one.applied = entry.index
        self._referee.applied(member, entry, one.machine.snapshot())
        if change is not None:
            one.members = one.node.apply_conf_change(entry).conf_state
            self._referee.changed(member, entry.index, one.members)

    def _write(self, member: int, ready: Ready) -> None:
        one = self._members[member]
        self._persist(one.memory, ready)
        self._referee.stored(member, one.memory)

    def _persist(self, memory: MemoryStorage, ready: Ready) -> None:
        memory.persist(ready)

    def _compact(self, one: _Member) -> None:
        last = one.memory.snapshot().index
        if self._snapshot_entries and one.applied - last >= self._snapshot_entries:
            one.memory.create_snapshot(one.applied, one.machine.snapshot(), one.members)
            one.memory.compact(one.applied)

    def _send(self, sender: int, ready: Ready, *, after_sync: bool) -> None:
        messages = ready.messages_after_sync if after_sync else ready.messages
        node = self._members[sender].node
        for message in messages:
            self._referee.released(sender, message)
            if message.snapshot is not None and node is not None:
                node.report_snapshot(message.to, SnapshotStatus.FINISHED)
            lost = self._random.random() < self._loss
            if lost or not self._connected(sender, message.to):
                continue
            self._posted += 1
            arrival = self.now + self._random.randint(*self._delays)
            item = (arrival, self._posted, sender, message.to, message.encode())
            self._network.append(item)

    def _connected(self, one: int, other: int) -> bool:
        return self._groups.get(one, 0) == self._groups.get(other, 0)

    def _look(self, member: int) -> None:
        """Note what changed in a node."""
        one, status = self._members[member], self.node(member).status()
        before, one.seen = one.seen, status
        if (before.role, before.term) != (status.role, status.term):
            self._note("role", node=member, role=status.role.name.lower(), term=status.term)
        if status.vote not in (None, before.vote, member):
            self._note("vote", node=member, candidate=status.vote, term=status.term)
