"""What the core counts by number, as real enumerations. Members stand in the order of numbers."""

from enum import IntEnum


class Role(IntEnum):
    """What a node is at the moment."""

    FOLLOWER = 0
    CANDIDATE = 1
    LEADER = 2
    PRE_CANDIDATE = 3


class EntryKind(IntEnum):
    """What the data of an entry is."""

    NORMAL = 0
    CONF_CHANGE = 1
    CONF_CHANGE_V2 = 2


class MessageKind(IntEnum):
    """The kinds of message by their number on the wire."""

    HUP = 0
    BEAT = 1
    PROPOSE = 2
    APPEND = 3
    APPEND_RESPONSE = 4
    VOTE = 5
    VOTE_RESPONSE = 6
    SNAPSHOT = 7
    HEARTBEAT = 8
    HEARTBEAT_RESPONSE = 9
    UNREACHABLE = 10
    SNAPSHOT_STATUS = 11
    CHECK_QUORUM = 12
    TRANSFER_LEADER = 13
    TIMEOUT_NOW = 14
    READ_INDEX = 15
    READ_INDEX_RESPONSE = 16
    PRE_VOTE = 17
    PRE_VOTE_RESPONSE = 18
    STORAGE_APPEND = 19
    STORAGE_APPEND_RESPONSE = 20
    STORAGE_APPLY = 21
    STORAGE_APPLY_RESPONSE = 22
    FORGET_LEADER = 23


class ConfChangeKind(IntEnum):
    """What a membership change does with a member."""

    ADD_VOTER = 0
    REMOVE = 1
    UPDATE = 2
    ADD_LEARNER = 3


class ConfChangeTransition(IntEnum):
    """How a change of several members is carried out."""

    AUTO = 0
    JOINT_IMPLICIT = 1
    JOINT_EXPLICIT = 2


class ReadOnly(IntEnum):
    """How reads are confirmed. SAFE holds whatever the clocks do."""

    SAFE = 0
    LEASE_BASED = 1
    LEASE_UNVERIFIED = 2


class ProgressState(IntEnum):
    """How a leader sends to a member."""

    PROBE = 0
    REPLICATE = 1
    SNAPSHOT = 2


class SnapshotStatus(IntEnum):
    """What became of a snapshot that was to be delivered."""

    FINISHED = 0
    FAILED = 1


class DropReason(IntEnum):
    """Why a proposal or a read was not taken. Nothing was appended or sent."""

    NO_LEADER = 0
    TRANSFERRING = 1
    TOO_MUCH_UNCOMMITTED = 2
    NOT_A_MEMBER = 3
    TOO_MANY_READS = 4


class ConfChangeRefusal(IntEnum):
    """Why a membership change was refused."""

    PENDING = 0
    ALREADY_JOINT = 1
    NOT_JOINT = 2
    INVALID = 3


class RefusalReason(IntEnum):
    """What is wrong with a message from a peer."""

    MALFORMED = 0
    LOCAL_KIND = 1
    NOT_A_MEMBER = 2
    FROM_SELF = 3
    MISADDRESSED = 4
    MISSING_TERM = 5
    UNEXPECTED_TERM = 6
    NO_ENTRIES = 7
    BAD_CONF_CHANGE = 8
    ENTRY_GAP = 9
    TERM_REGRESSION = 10
    TERM_ABOVE_MESSAGE = 11
    CONFLICT_WITH_COMMITTED = 12
    COMMIT_BEYOND_LOG = 13
    INDEX_LIMIT = 14
    TERM_LIMIT = 15
    EMPTY_SNAPSHOT = 16
    SNAPSHOT_ABOVE_MESSAGE = 17
    BAD_MEMBERSHIP = 18
    ACKNOWLEDGED_BEYOND_LOG = 19
    BAD_READ_POSITION = 20
    BAD_READ_REQUEST = 21
    TOO_MANY_READS = 22
