"""What the tests share: a group of nodes in one thread, and a storage written in Python."""

from __future__ import annotations

import pytest

import raftcore as raft


class Group:
    """Nodes on memory storages, and the messages between them as bytes."""

    def __init__(self, ids=(1, 2, 3), storage=None, **config):
        self.ids = list(ids)
        make = storage or (lambda: raft.MemoryStorage(voters=self.ids))
        self.storages = {i: make() for i in self.ids}
        self.nodes = {
            i: raft.RawNode(raft.Config(id=i, seed=i, **config), self.storages[i]) for i in self.ids
        }
        self.inbox = {i: [] for i in self.ids}
        self.applied = {i: [] for i in self.ids}
        self.readies = {i: [] for i in self.ids}

    def send(self, outgoing):
        for to, data in outgoing:
            if to in self.inbox:
                self.inbox[to].append(data)

    def handle(self, i):
        node, storage = self.nodes[i], self.storages[i]
        ready = node.ready()
        if ready is None:
            return False
        self.send(ready.outgoing)
        storage.persist(ready)
        self.send(ready.outgoing_after_sync)
        for entry in ready.committed:
            if entry.conf_change() is not None:
                node.apply_conf_change(entry)
            elif entry.data:
                self.applied[i].append(entry.data)
        self.readies[i].append(ready)
        node.advance(ready)
        return True

    def settle(self):
        for _ in range(10_000):
            busy = False
            for i, node in self.nodes.items():
                messages, self.inbox[i] = self.inbox[i], []
                for data in messages:
                    node.step(data)
                busy |= bool(messages) | self.handle(i)
            if not busy:
                return
        raise AssertionError("the group does not come to rest")

    def elect(self, leader=1):
        self.nodes[leader].campaign()
        self.settle()
        assert self.nodes[leader].soft_state() == raft.SoftState(leader, raft.Role.LEADER)
        return self.nodes[leader]


class PythonStorage:
    """A storage of one's own: everything in lists."""

    def __init__(self, voters=(1,)):
        self.hard_state = raft.HardState()
        self.conf_state = raft.ConfState(voters)
        self.log: list[raft.Entry] = []
        self.calls: list[str] = []
        self.hook = None

    def _called(self, name):
        self.calls.append(name)
        if self.hook is not None:
            self.hook(name)

    def initial_state(self):
        self._called("initial_state")
        return self.hard_state, self.conf_state

    def entries(self, low, high, max_bytes):
        self._called("entries")
        found, size = [], 0
        for entry in self.log[low - 1 : high - 1]:
            size += len(entry.encode())
            if found and size > max_bytes:
                break
            found.append(entry)
        return found

    def term(self, index):
        self._called("term")
        if index == 0:
            return 0
        if index > len(self.log):
            raise raft.Unavailable
        return self.log[index - 1].term

    def first_index(self):
        self._called("first_index")
        return 1

    def last_index(self):
        self._called("last_index")
        return len(self.log)

    def snapshot(self):
        self._called("snapshot")
        raise raft.SnapshotTemporarilyUnavailable

    def persist(self, ready):
        if ready.entries:
            del self.log[ready.entries[0].index - 1 :]
            self.log.extend(ready.entries)
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state


@pytest.fixture
def group():
    return Group()


@pytest.fixture
def leader():
    """A group of one that leads and is at rest."""
    group = Group([1])
    group.elect()
    group.node, group.storage = group.nodes[1], group.storages[1]
    return group
