"""A conformance suite for a storage of one's own, played against the memory log of the core."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .. import (
    Compacted,
    Config,
    ConfState,
    MemoryStorage,
    RaftError,
    RawNode,
    Ready,
    Storage,
    Unavailable,
)

_Own = TypeVar("_Own", bound=Storage)

VOTERS = (1, 2, 3)
EVERYTHING = 2**63


def check_storage(
    make: Callable[[ConfState], _Own],
    persist: Callable[[_Own, Ready], None],
    *,
    reopen: Callable[[_Own], _Own] | None = None,
) -> None:
    """Raise AssertionError unless a storage of one's own answers as the core's memory log.

    `make` makes an empty one whose group has these members from the start, `persist` writes to it
    what a Ready says, `reopen` closes it and opens it again from what it wrote. The story: a node
    on it leads, is cut off with entries that nobody else has, comes back to other entries in
    their place, falls behind a snapshot and goes on after it.
    """
    _Story(make, persist, reopen).play()


class _Story:
    def __init__(
        self,
        make: Callable[[ConfState], _Own],
        persist: Callable[[_Own, Ready], None],
        reopen: Callable[[_Own], _Own] | None,
    ) -> None:
        members = ConfState(VOTERS)
        self.own: Storage = make(members)
        self.twin = MemoryStorage(voters=VOTERS)
        self.write = persist
        self.reopen = reopen
        self.storages = {i: MemoryStorage(voters=VOTERS) for i in (1, 2)}
        self.nodes = {i: RawNode(Config(id=i, seed=i), self.storages[i]) for i in (1, 2)}
        self.nodes[3] = RawNode(Config(id=3, seed=3), self.own)
        self.inbox: dict[int, list[bytes]] = {i: [] for i in VOTERS}
        self.cut: set[int] = set()

    def play(self) -> None:
        self.compare("when it is new")
        self.nodes[3].campaign()
        self.settle()
        self.propose(3, 5)
        self.compare("after a few entries")
        self.cut = {3}
        self.propose(3, 4)
        self.compare("with entries that nobody else has")
        self.elect(1)
        self.propose(1, 2)
        self.cut = set()
        self.settle(ticks=3)
        self.compare("after other entries took their place")
        self.restart("after it was opened again")
        self.cut = {3}
        self.propose(1, 6)
        status = self.nodes[1].status()
        data = bytes(range(256)) * 40
        self.storages[1].create_snapshot(status.applied, data, status.conf_state)
        self.storages[1].compact(status.applied)
        self.cut = set()
        self.settle(ticks=5)
        self.compare("after a snapshot")
        assert self.own.snapshot().data == data, "the snapshot's data came back changed"
        self.propose(1, 3)
        self.compare("with entries after a snapshot")
        self.restart("after it was opened again from a snapshot")

    def elect(self, member: int) -> None:
        for _ in range(200):
            for i in (1, 2):
                self.nodes[i].tick()
            self.settle()
            if self.nodes[member].soft_state().leader == member:
                return
            leader = self.nodes[member].soft_state().leader
            if leader is not None and leader not in self.cut:
                self.nodes[leader].transfer_leader(member)
        raise AssertionError("nobody was elected")

    def propose(self, member: int, count: int) -> None:
        for n in range(count):
            self.nodes[member].propose(b"entry %d of %d " % (n, member) + bytes(n * 100))
            self.settle()

    def settle(self, ticks: int = 0) -> None:
        for _ in range(10_000):
            busy = False
            for i, node in self.nodes.items():
                messages, self.inbox[i] = self.inbox[i], []
                # A leader that was cut off is refused some of what it hears then.
                node.step_many(messages)
                busy = self.handle(i, node) or busy or bool(messages)
            if not busy:
                if ticks == 0:
                    return
                ticks -= 1
                for node in self.nodes.values():
                    node.tick()
        raise AssertionError("the group does not come to rest")

    def handle(self, i: int, node: RawNode) -> bool:
        ready = node.ready()
        if ready is None:
            return False
        if i == 3:
            self.write(self.own, ready)  # type: ignore[arg-type]
            self.twin.persist(ready)
        else:
            self.storages[i].persist(ready)
        for to, data in (*ready.outgoing, *ready.outgoing_after_sync):
            if not {i, to} & self.cut:
                self.inbox[to].append(data)
        for entry in ready.committed:
            node.apply_conf_change(entry)
        try:
            node.advance(ready)
        except RaftError as error:
            raise AssertionError(f"what was persisted is not there: {error}") from error
        return True

    def restart(self, when: str) -> None:
        if self.reopen is None:
            return
        self.nodes[3].close()
        self.own = self.reopen(self.own)  # type: ignore[arg-type]
        self.compare(when)
        self.nodes[3] = RawNode(Config(id=3, seed=3), self.own)

    def compare(self, when: str) -> None:
        own, twin = self.own, self.twin
        assert own.initial_state() == twin.initial_state(), f"initial_state {when}"
        first, last = twin.first_index(), twin.last_index()
        assert (own.first_index(), own.last_index()) == (first, last), f"the bounds {when}"
        for index in range(first - 1, last + 1):
            assert own.term(index) == twin.term(index), f"term({index}) {when}"
        for low in range(first, last + 1):
            for high in range(low + 1, last + 2):
                for most in (0, 300, EVERYTHING):
                    found = list(own.entries(low, high, most))
                    expected = list(twin.entries(low, high, most))
                    assert found == expected, f"entries({low}, {high}, {most}) {when}"
        self.expect(Unavailable, lambda: own.entries(last + 1, last + 2, EVERYTHING), when)
        if first > 1:
            self.expect(Compacted, lambda: own.entries(first - 1, first, EVERYTHING), when)
        snapshot = twin.snapshot()
        if snapshot.index:
            assert own.snapshot() == snapshot, f"snapshot {when}"

    @staticmethod
    def expect(error: type[RaftError], call: Callable[[], object], when: str) -> None:
        try:
            call()
        except error:
            return
        raise AssertionError(f"{error.__name__} should have been raised {when}")
