"""What an application may write itself."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from ._raftcore import ConfState, Entry, HardState, Snapshot


@runtime_checkable
class Storage(Protocol):
    """The stored part of a node's log, as the node reads it. The node never writes.

    Answers come from what is durable, and change only when the application appended what a Ready
    asked for, or compacted. An exception from here reaches the caller of the node as the
    `__cause__` of a StorageError and leaves the node as it was; Compacted, Unavailable and
    SnapshotTemporarilyUnavailable are answers that the node knows how to live with. A method must
    not call the node that asks it.

    `raftcore.testing.check_storage` tests one of your own.
    """

    def initial_state(self) -> tuple[HardState, ConfState]:
        """Give the hard state and the membership that were stored last."""
        ...

    def entries(self, low: int, high: int, max_bytes: int) -> Iterable[Entry]:
        """Give the entries in [low, high), as far as max_bytes of encoding reach, at least one.

        Raise Compacted when low is below the first index, Unavailable when high is beyond the
        last index plus one.
        """
        ...

    def term(self, index: int) -> int:
        """Give the term of an entry in [first_index() - 1, last_index()]."""
        ...

    def first_index(self) -> int:
        """Give the index of the first entry; one more than the snapshot's when there is none."""
        ...

    def last_index(self) -> int:
        """Give the index of the last entry; the snapshot's when there is none."""
        ...

    def snapshot(self) -> Snapshot:
        """Give the latest snapshot, to be sent to a member that is behind the log.

        Raise SnapshotTemporarilyUnavailable while it is being made.
        """
        ...
