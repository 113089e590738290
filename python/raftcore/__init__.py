"""Raft consensus: a sans-I/O core, wire-compatible with etcd's raft.

`RawNode` decides and does no I/O: tell it what happens, and do what its `Ready` says.
`raftcore.aio.Node` and `raftcore.threading.Node` drive one for you; `raftcore.testing` simulates
whole clusters.
"""

import os
from collections.abc import Sequence

from ._enums import (
    ConfChangeKind,
    ConfChangeRefusal,
    ConfChangeTransition,
    DropReason,
    EntryKind,
    MessageKind,
    ProgressState,
    ReadOnly,
    RefusalReason,
    Role,
    SnapshotStatus,
)
from ._errors import (
    ClosedError,
    Compacted,
    ConfChangeRefused,
    ConfigError,
    DecodeError,
    FaultedError,
    ForkedError,
    InvalidMessage,
    NotLeader,
    OutcomeUnknown,
    ProposalDropped,
    RaftError,
    ReadyOrderError,
    ReentryError,
    SnapshotOutOfDate,
    SnapshotTemporarilyUnavailable,
    StoppedError,
    StorageError,
    Unavailable,
    UsageError,
)
from ._raftcore import (
    AppliedConfChange,
    ConfChange,
    ConfChangeSingle,
    ConfChangeV2,
    Config,
    ConfState,
    Entries,
    Entry,
    HardState,
    MemoryStorage,
    Message,
    Peer,
    PeerStatus,
    Position,
    RawNode,
    ReadState,
    Ready,
    Snapshot,
    SoftState,
    Span,
    Status,
    StorageAppend,
    StorageApply,
    StorageResponse,
    __version__,
    _after_fork,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._protocols import Storage

__all__ = [
    "AppliedConfChange",
    "ClosedError",
    "Compacted",
    "ConfChange",
    "ConfChangeKind",
    "ConfChangeRefusal",
    "ConfChangeRefused",
    "ConfChangeSingle",
    "ConfChangeTransition",
    "ConfChangeV2",
    "ConfState",
    "Config",
    "ConfigError",
    "DecodeError",
    "DropReason",
    "Entries",
    "Entry",
    "EntryKind",
    "FaultedError",
    "ForkedError",
    "HardState",
    "InvalidMessage",
    "MemoryStorage",
    "Message",
    "MessageKind",
    "NotLeader",
    "OutcomeUnknown",
    "Peer",
    "PeerStatus",
    "Position",
    "ProgressState",
    "ProposalDropped",
    "RaftError",
    "RawNode",
    "ReadOnly",
    "ReadState",
    "Ready",
    "ReadyOrderError",
    "ReentryError",
    "RefusalReason",
    "Role",
    "Snapshot",
    "SnapshotOutOfDate",
    "SnapshotStatus",
    "SnapshotTemporarilyUnavailable",
    "SoftState",
    "Span",
    "Status",
    "StoppedError",
    "Storage",
    "StorageAppend",
    "StorageApply",
    "StorageError",
    "StorageResponse",
    "Unavailable",
    "UsageError",
    "__version__",
]


def _settle() -> None:
    # What a traceback shows is where users import it from. The native classes say so themselves.
    for name in __all__:
        thing = globals().get(name)
        if isinstance(thing, type) and thing.__module__ != "raftcore":
            thing.__module__ = "raftcore"
    Sequence.register(Entries)  # pyright: ignore
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


_settle()


def __getattr__(name: str) -> object:
    # typing takes longer to import than everything else here, and most programs do without.
    if name == "Storage":
        from ._protocols import Storage  # noqa: PLC0415

        return Storage
    raise AttributeError(f"module 'raftcore' has no attribute {name!r}")
