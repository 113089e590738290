"""What a type checker must accept, and what it must refuse: each ignore is needed."""

from typing import assert_type

import raftcore as raft


def accepted(node: raft.RawNode, storage: raft.MemoryStorage) -> None:
    """Show the types of the common calls."""
    assert_type(node.propose(b"x"), raft.Position)
    assert_type(node.propose_many([b"x", bytearray(b"y")]), raft.Span)
    ready = node.ready()
    if ready is None:
        return
    for to, data in ready.outgoing:
        assert_type(to, int)
        assert_type(data, bytes)
    for entry in ready.committed:
        assert_type(entry.kind, raft.EntryKind)
        match entry:
            case raft.Entry(term, index, payload):
                assert_type((term, index, payload), tuple[int, int, bytes])
    reading: raft.Storage = storage
    raft.RawNode(raft.Config(id=1), reading)


def refused(node: raft.RawNode) -> None:
    """Show what is a mistake."""
    node.propose("text")  # type: ignore[arg-type]
    node.propose([1, 2, 3])  # type: ignore[arg-type]
    raft.Config(1)  # type: ignore[call-arg]
    raft.Config(id=1, election_tick=10)  # type: ignore[call-arg]
    raft.Position(1, 2).term = 3  # type: ignore[misc]
    node.advance(None)  # type: ignore[arg-type]
