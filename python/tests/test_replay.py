"""The simulator's recorded schedules: same inputs, same outputs, byte for byte.

The form is raft-sim/SCHEDULES.md.
"""

import struct
from pathlib import Path

import pytest

import raftcore as raft

FOLDER = Path(__file__).resolve().parents[2] / "raft-sim" / "tests" / "schedules"
SCHEDULES = sorted(FOLDER.glob("*.txt"))
CAN = {"async-storage-writes", "conf-state", "reads-fail", "snapshot-busy", "nothing"}


class Hash:
    """FNV-1a."""

    def __init__(self):
        self.value = 0xCBF29CE484222325

    def raw(self, data):
        value = self.value
        for byte in data:
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
        self.value = value

    def flag(self, flag):
        self.raw(b"\1" if flag else b"\0")

    def number(self, number):
        self.raw(struct.pack("<Q", number))

    def data(self, data):
        self.number(len(data))
        self.raw(data)

    def list(self, items):
        self.number(len(items))
        for item in items:
            self.data(item)


class FailingStorage:
    """A memory storage whose reads can be made to fail: also the way through Python's storages."""

    def __init__(self):
        self.memory = raft.MemoryStorage()
        self.reads_fail = False
        self.is_busy = False

    def __getattr__(self, name):
        method = getattr(self.memory, name)

        def read(*arguments):
            if self.reads_fail:
                raise OSError("an I/O error")
            return method(*arguments)

        return read

    def snapshot(self):
        if self.reads_fail:
            raise OSError("an I/O error")
        if self.is_busy:
            raise raft.SnapshotTemporarilyUnavailable
        return self.memory.snapshot()


class Member:
    """A node, its storage, and what it was told to do."""

    def __init__(self, config, plain):
        self.config = config
        self.plain = plain
        self.storage = raft.MemoryStorage() if plain else FailingStorage()
        self.memory = self.storage if plain else self.storage.memory
        self.node = None
        self.ready = None
        self.writes, self.responses, self.applies = [], [], []

    def create(self):
        self.node = raft.RawNode(self.config, self.storage)


def persist(memory, work):
    snapshot = work.snapshot
    if snapshot is not None and snapshot.index > memory.snapshot().index:
        memory.apply_snapshot(snapshot)
    memory.append(work.entries)
    if work.hard_state is not None:
        memory.set_hard_state(work.hard_state)


def outcome(call):
    """How a call ended, as the number that is hashed, and its result."""
    try:
        return 0, call()
    except (raft.InvalidMessage, raft.DecodeError):
        return 1, None
    except (raft.ProposalDropped, raft.NotLeader):
        return 2, None
    except raft.ConfChangeRefused as error:
        # Replaced is taken: the log has an empty entry instead.
        return 3 if error.reason is raft.ConfChangeRefusal.INVALID else 0, None
    except raft.UsageError:
        return 3, None
    except raft.StorageError:
        return 4, None
    except raft.FaultedError:
        return 5, None


def blob(word):
    return b"" if word == "-" else bytes.fromhex(word)


class Replay:
    def __init__(self, plain):
        self.plain = plain
        self.members = {}
        self.hash = Hash()

    def line(self, command, words):
        method = getattr(self, "do_" + command.replace("-", "_"), None)
        if method is not None:
            method(*words)
            return
        member = self.members[int(words[0])]
        number, _ = outcome(lambda: self.call(member, command, *words[1:]))
        self.hash.raw(bytes([number]))

    def call(self, member, command, *words):
        node = member.node
        match command:
            case "tick" | "campaign" | "forget-leader":
                return getattr(node, command.replace("-", "_"))()
            case "bootstrap":
                return node.bootstrap([raft.Peer(int(peer)) for peer in words[0].split(",")])
            case "step":
                return node.step(blob(words[0]))
            case "propose":
                return node.forward(blob(words[0]))
            case "propose-conf-change":
                entry = raft.Entry(1, 1, blob(words[1]), raft.EntryKind(int(words[0])))
                return node.forward_conf_change(entry.conf_change())
            case "read-index":
                return node.read_index(blob(words[0]))
            case "transfer-leader" | "report-unreachable":
                return getattr(node, command.replace("-", "_"))(int(words[0]))
            case "report-snapshot":
                status = raft.SnapshotStatus(1 - int(words[1]))
                return node.report_snapshot(int(words[0]), status)
            case "apply-conf-change":
                work = member.applies[0] if member.config.async_storage_writes else member.ready
                entries = work.entries if isinstance(work, raft.StorageApply) else work.committed
                index = int(words[0])
                return node.apply_conf_change(next(e for e in entries if e.index == index))
            case "advance":
                ready = member.ready
                result = node.advance(ready)
                member.ready = None
                return result
            case "append-response":
                return node.storage_response(member.responses.pop(0))
            case "apply-response":
                return node.storage_response(member.applies.pop(0).reply)
        raise AssertionError(f"unknown command {command}")

    def do_node(self, *words):
        fields = dict(word.split("=") for word in words)
        values = {}
        for name, value in fields.items():
            kind = type(getattr(raft.Config(id=1), name))
            values[name] = kind(int(value))
        config = raft.Config(**values)
        self.members[config.id] = Member(config, self.plain)

    def do_store(self, i, what, *words):
        memory = self.members[int(i)].memory
        match what:
            case "hard":
                term, vote, commit = map(int, words)
                memory.set_hard_state(raft.HardState(term, vote or None, commit))
            case "restore":
                memory.apply_snapshot(raft.Snapshot.decode(blob(words[0])))
            case "entry":
                memory.append([raft.Entry.decode(blob(words[0]))])
            case "snapshot":
                one = raft.Snapshot.decode(blob(words[0]))
                memory.create_snapshot(one.index, one.data, one.conf_state)
            case "conf-state":
                memory.set_conf_state(raft.ConfState.decode(blob(words[0])))
            case _:
                raise AssertionError(f"unknown store {what}")

    def do_create(self, i):
        self.members[int(i)].create()

    def do_persist(self, i):
        member = self.members[int(i)]
        persist(member.memory, member.writes.pop(0) if member.writes else member.ready)

    def do_compact(self, i, index, to, conf_state, data):
        memory = self.members[int(i)].memory
        conf_state = raft.ConfState.decode(blob(conf_state))
        memory.create_snapshot(int(index), blob(data), conf_state)
        if int(to) >= memory.first_index():
            memory.compact(int(to))

    def do_reads_fail(self, i, on):
        self.members[int(i)].storage.reads_fail = on == "1"

    def do_snapshot_busy(self, i, on):
        self.members[int(i)].storage.is_busy = on == "1"

    def do_ready(self, i):
        member, h = self.members[int(i)], self.hash
        number, ready = outcome(member.node.ready)
        h.raw(bytes([number]))
        if ready is None:
            return
        h.flag(ready.soft_state)
        if ready.soft_state:
            h.number(ready.soft_state.leader or 0)
            h.raw(bytes([ready.soft_state.role]))
        h.flag(ready.hard_state)
        if ready.hard_state:
            h.number(ready.hard_state.term)
            h.number(ready.hard_state.vote or 0)
            h.number(ready.hard_state.commit)
        h.flag(ready.must_sync)
        h.flag(ready.snapshot)
        if ready.snapshot:
            h.data(ready.snapshot.encode())
        h.list(ready.entries.encode())
        h.list(ready.committed.encode())
        h.list([data for _, data in ready.outgoing])
        h.list([data for _, data in ready.outgoing_after_sync])
        h.number(len(ready.read_states))
        for state in ready.read_states:
            h.number(state.index)
            h.data(state.context)
        if member.config.async_storage_writes:
            self.storage_work(member, ready)
        else:
            member.ready = ready

    def storage_work(self, member, ready):
        h = self.hash
        h.flag(ready.append)
        if ready.append:
            member.writes.append(ready.append)
            h.number(len(ready.append.replies))
            for reply in ready.append.replies:
                own = isinstance(reply, raft.StorageResponse)
                h.flag(own)
                if own:
                    member.responses.append(reply)
                else:
                    h.data(reply.encode())
        h.flag(ready.apply)
        if ready.apply:
            member.applies.append(ready.apply)


def test_there_are_schedules():
    assert len(SCHEDULES) >= 8


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_a_recorded_schedule_gives_the_same_hash(path):
    first, needs, *lines = path.read_text().splitlines()
    assert first == "raft-schedule 2"
    needed = set(needs.split()[1:])
    assert needed <= CAN
    # Reads can be made to fail only in a storage of one's own.
    replay = Replay(plain=not needed & {"reads-fail", "snapshot-busy"})
    for line in lines:
        command, *words = line.split(" ")
        if command == "hash":
            assert f"{replay.hash.value:016x}" == words[0]
            return
        if not command.startswith("#"):
            replay.line(command, words)
    raise AssertionError("no hash at the end")
