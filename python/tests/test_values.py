import copy
import enum
import pickle
import re
from collections.abc import Sequence

import pytest

import raftcore as raft
from raftcore import _raftcore

CONF = raft.ConfState([1, 2], learners=[3])
VALUES = [
    raft.Position(2, 7),
    raft.Span(2, 7, 9),
    raft.HardState(3, 1, 9),
    raft.SoftState(None, raft.Role.CANDIDATE),
    CONF,
    raft.ReadState(5, b"ctx"),
    raft.Peer(4, b"addr"),
    raft.Entry(1, 2, b"data", raft.EntryKind.NORMAL),
    raft.Entries([raft.Entry(1, 2, b"a"), raft.Entry(1, 3, b"b")]),
    raft.Snapshot(9, 3, CONF, b"state"),
    raft.ConfChange(raft.ConfChangeKind.REMOVE, 3, b"c", 8),
    raft.ConfChangeSingle(raft.ConfChangeKind.ADD_VOTER, 3),
    raft.ConfChangeV2([raft.ConfChangeSingle(raft.ConfChangeKind.ADD_LEARNER, 3)]),
    raft.AppliedConfChange(CONF, False, None),
    raft.Config(id=7, seed=3, read_only=raft.ReadOnly.LEASE_BASED),
    raft.RawNode(raft.Config(id=1), raft.MemoryStorage(voters=[1])).status(),
    raft.Message.decode(bytes.fromhex("0805100218012003")),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_compare_hash_print_pickle_and_are_frozen(value):
    twin = pickle.loads(pickle.dumps(value))
    assert twin == value
    assert hash(twin) == hash(value)
    assert copy.deepcopy(value) == value
    assert value != "something else"
    assert type(value).__name__ in repr(value)
    assert type(value).__module__ == "raftcore"
    with pytest.raises(AttributeError):
        value.term = 5
    for name in getattr(value, "__match_args__", ()):
        assert hasattr(value, name)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_repr_of_plain_fields_evaluates_to_the_value(value):
    text = repr(value)
    if "<" not in re.sub(r"<(\w+\.\w+): \d+>", r"\1", text):
        text = re.sub(r"<(\w+\.\w+): \d+>", r"\1", text)
        assert eval(text, vars(raft)) == value


def test_values_match():
    match raft.Position(2, 7):
        case raft.Position(term, index):
            assert (term, index) == (2, 7)
    match raft.Entry(1, 2, b"x"):
        case raft.Entry(_, _, data, raft.EntryKind.NORMAL):
            assert data == b"x"


def test_positions_are_ordered_by_term_first():
    assert raft.Position(3, 1) > raft.Position(2, 100)
    assert sorted([raft.Position(2, 1), raft.Position(1, 9)])[0] == raft.Position(1, 9)


def test_entries_are_a_sequence():
    entries = raft.Entries([raft.Entry(1, i, b"%d" % i) for i in range(1, 6)])
    assert isinstance(entries, Sequence)
    assert len(entries) == 5
    assert entries[0].index == 1
    assert entries[-1] is entries[4]
    assert [e.index for e in entries[1:3]] == [2, 3]
    assert isinstance(entries[1:3], raft.Entries)
    assert [e.index for e in entries[::-2]] == [5, 3, 1]
    assert [e.index for e in reversed(entries)] == [5, 4, 3, 2, 1]
    assert entries[2] in entries
    assert entries[0].data is entries[0].data
    assert entries.rows()[1] == (2, 1, 0, b"2")
    assert entries.payloads() == [b"1", b"2", b"3", b"4", b"5"]
    assert [raft.Entry.decode(data) for data in entries.encode()] == list(entries)
    assert entries.last == raft.Position(1, 5)
    assert not raft.Entries()
    for place in (5, -6, 10**30):
        with pytest.raises(IndexError):
            entries[place]


def test_encodings_come_back():
    one = raft.ConfChange(raft.ConfChangeKind.REMOVE, 300, b"why", 7)
    many = raft.ConfChangeV2([raft.ConfChangeSingle(raft.ConfChangeKind.ADD_LEARNER, 4)])
    snapshot = raft.Snapshot(9, 3, CONF, b"state")
    for value in (raft.HardState(3, None, 9), CONF, snapshot, one, many, raft.ConfChangeV2()):
        assert type(value).decode(value.encode()) == value
    # As etcd's raftpb.ConfChange has it: type, node and context.
    assert one.encode() == bytes.fromhex("0807100118ac02") + b"\x22\x03why"
    for kind in (raft.ConfChange, raft.ConfChangeV2):
        with pytest.raises(raft.DecodeError):
            kind.decode(b"\xff")


def test_enumerations_are_those_of_the_core():
    names = _raftcore._numbered_names()
    assert names.keys() == {"MessageKind", "RefusalReason"}
    for name, members in names.items():
        enumeration = getattr(raft, name)
        assert issubclass(enumeration, enum.IntEnum)
        snake = [re.sub(r"(?<!^)(?=[A-Z])", "_", member).upper() for member in members]
        assert [member.name for member in enumeration] == snake
    for name in raft.__all__:
        enumeration = getattr(raft, name)
        if isinstance(enumeration, enum.EnumMeta):
            assert [member.value for member in enumeration] == list(range(len(enumeration)))


def test_the_defaults_are_those_of_the_core():
    assert raft.Config(id=1, seed=0) == _raftcore._config_defaults()


def test_a_configuration_is_replaced_field_by_field():
    config = raft.Config(id=1, seed=5).replace(id=2, pre_vote=False)
    assert (config.id, config.seed, config.pre_vote) == (2, 5, False)
    assert raft.Config(id=1).seed != raft.Config(id=1).seed


def test_everything_public_has_a_docstring():
    for name in raft.__all__:
        thing = getattr(raft, name)
        if not isinstance(thing, type):
            continue
        assert thing.__doc__, name
        for member, value in vars(thing).items():
            if not member.startswith("_") and not isinstance(thing, enum.EnumMeta):
                assert getattr(value, "__doc__", None), f"{name}.{member}"


def test_exceptions_pickle_with_their_fields():
    for error in (
        raft.NotLeader(3),
        raft.NotLeader(),
        raft.InvalidMessage(raft.RefusalReason.ENTRY_GAP, "gap"),
        raft.ProposalDropped(raft.DropReason.NO_LEADER, "none"),
        raft.ConfChangeRefused(raft.ConfChangeRefusal.PENDING, "pending"),
        raft.StorageError("disk"),
    ):
        twin = pickle.loads(pickle.dumps(error))
        assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))
