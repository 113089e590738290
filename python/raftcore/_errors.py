"""The exceptions, sorted by what the caller does next. All of them pickle."""

from ._enums import ConfChangeRefusal, DropReason, RefusalReason


class RaftError(Exception):
    """The root of everything that raftcore raises itself."""


class ConfigError(RaftError, ValueError):
    """A configuration that is impossible, or that contradicts what is stored."""


class DecodeError(RaftError, ValueError):
    """Bytes that encode nothing: drop them and look at who sent them."""


class InvalidMessage(RaftError):
    """A message from a peer that cannot be right: drop it and go on."""

    def __init__(self, reason: RefusalReason, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return self.text


class NotLeader(RaftError):
    """This node does not lead. Ask the one that does."""

    def __init__(self, leader_id: int | None = None) -> None:
        super().__init__(leader_id)
        self.leader_id = leader_id

    def __str__(self) -> str:
        if self.leader_id is None:
            return "this node does not lead, and it knows nobody who does"
        return f"this node does not lead; node {self.leader_id} does"


class ProposalDropped(RaftError):
    """A proposal or a read was not taken; nothing was appended or sent. Try again later."""

    def __init__(self, reason: DropReason, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return self.text


class ConfChangeRefused(RaftError):
    """A membership change that no node could apply, or that cannot follow the present one."""

    def __init__(self, reason: ConfChangeRefusal, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return self.text


class StorageError(RaftError):
    """The storage failed and nothing was changed: mend it and call again.

    What a storage of your own raised is the `__cause__`.
    """


class Compacted(StorageError):
    """The entries asked for are gone: a snapshot has taken their place."""


class Unavailable(StorageError):
    """The entries asked for are not there yet."""


class SnapshotTemporarilyUnavailable(StorageError):
    """A snapshot is being made: ask again later."""


class SnapshotOutOfDate(StorageError):
    """The snapshot offered is older than what is stored."""


class UsageError(RaftError):
    """The call itself was wrong: a bug in the calling program."""


class ReadyOrderError(UsageError):
    """Ready, advance and storage responses out of their order."""


class ReentryError(UsageError):
    """A call on a node from within another call on it, as from its storage."""


class ClosedError(UsageError):
    """The node is closed."""


class ForkedError(UsageError):
    """The node was made before a fork and belongs to the parent process."""


class FaultedError(RaftError):
    """The node has stopped for good. Its stored state is intact: make a new one from it."""


class OutcomeUnknown(RaftError):
    """Leadership was lost between a proposal and its entry.

    It may have been committed, may be committed later, or never.
    """


class StoppedError(RaftError):
    """The node that would have answered has stopped; the `__cause__` says why, if it failed."""
