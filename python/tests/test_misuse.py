"""The misuse table: each row ends in a documented exception and a node that is as it was."""

import array
import concurrent.futures
import contextlib
import copy
import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading

import pytest
from conftest import Group, PythonStorage

import raftcore as raft


def unchanged(node, call, *errors):
    before = node.status()
    with pytest.raises(errors) as caught:
        call()
    assert node.status() == before
    return caught.value


@pytest.mark.parametrize("data", [[1, 2, 3], "text", 5, None, object(), {"a": 1}, 1.5])
def test_what_is_no_buffer_is_no_payload(leader, data):
    node = leader.node
    for call in (node.propose, node.forward, node.read_index, node.step):
        unchanged(node, lambda call=call: call(data), TypeError)
    unchanged(node, lambda: node.propose_many([b"fine", data]), TypeError)
    unchanged(node, lambda: node.step_many([data]), TypeError)


def test_any_buffer_is_a_payload(leader):
    for data in (array.array("I", [1, 2]), memoryview(b"abcdef")[::2], bytearray()):
        leader.node.propose(data)
    leader.settle()
    assert leader.applied[1] == [array.array("I", [1, 2]).tobytes(), b"ace"]


def test_no_payloads_are_no_batch(leader):
    error = unchanged(leader.node, lambda: leader.node.propose_many([]), raft.InvalidMessage)
    assert error.reason is raft.RefusalReason.NO_ENTRIES
    unchanged(leader.node, lambda: leader.node.propose_many(7), TypeError)


def test_garbage_and_truncated_messages_are_refused(group):
    node = group.elect()
    node.propose(b"payload")
    whole = node.ready().outgoing[0][1]
    other = group.nodes[2]
    for length in range(len(whole)):
        cut = whole[:length]
        try:
            before = other.status()
            other.step(cut)
        except raft.RaftError:
            assert other.status() == before
    randomness = random.Random(1)
    refusals = (raft.DecodeError, raft.InvalidMessage, raft.ProposalDropped, raft.NotLeader)
    for _ in range(2_000):
        garbage = bytearray(whole)
        for _ in range(randomness.randrange(1, 5)):
            garbage[randomness.randrange(len(garbage))] = randomness.randrange(256)
        with contextlib.suppress(*refusals):
            other.step(garbage)
    assert other.fault() is None


def test_hostile_lengths_are_refused_without_allocating(leader):
    for data in (b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"):
        unchanged(leader.node, lambda data=data: leader.node.step(data), raft.DecodeError)
        with pytest.raises(raft.DecodeError):
            raft.Message.decode(data)
        for kind in (raft.Entry, raft.Snapshot, raft.HardState, raft.ConfState):
            with pytest.raises(raft.DecodeError):
                kind.decode(b"\xff" + data)


def test_a_local_message_from_outside_is_refused(leader):
    # A MsgHup from 2 to 1: no member may tell another to campaign.
    error = unchanged(
        leader.node,
        lambda: leader.node.step(b"\x08\x00\x10\x01\x18\x02"),
        raft.InvalidMessage,
    )
    assert error.reason is raft.RefusalReason.LOCAL_KIND


def test_a_foreign_ready_is_refused():
    one, two = Group([1]), Group([1])
    one.nodes[1].campaign()
    two.nodes[1].campaign()
    ours, theirs = one.nodes[1].ready(), two.nodes[1].ready()
    assert ours is not None
    node = one.nodes[1]
    unchanged(node, lambda: node.advance(theirs), raft.ReadyOrderError)
    unchanged(node, lambda: node.advance(None), TypeError)
    one.storages[1].persist(ours)
    node.advance(ours)


def test_a_stale_ready_is_refused(leader):
    node = leader.node
    stale = leader.readies[1][-1]
    unchanged(node, lambda: node.advance(stale), raft.ReadyOrderError)
    node.propose(b"x")
    ready = node.ready()
    unchanged(node, lambda: node.advance(stale), raft.ReadyOrderError)
    leader.storage.persist(ready)
    node.advance(ready)
    unchanged(node, lambda: node.advance(ready), raft.ReadyOrderError)


def test_a_second_ready_before_the_advance_is_refused(leader):
    leader.node.propose(b"x")
    ready = leader.node.ready()
    assert not leader.node.has_ready()
    unchanged(leader.node, leader.node.ready, raft.ReadyOrderError)
    leader.storage.persist(ready)
    leader.node.advance(ready)


def test_what_is_not_persisted_is_not_advanced(leader):
    node = leader.node
    node.propose(b"x")
    ready = node.ready()
    for _ in range(3):
        error = unchanged(node, lambda: node.advance(ready), raft.ReadyOrderError)
        assert "not in the storage" in str(error)
    # The same one is still outstanding; done properly it goes through.
    leader.storage.persist(ready)
    node.advance(ready)
    leader.settle()


@pytest.mark.parametrize("number", [-1, 2**64, 10**30])
def test_numbers_that_are_no_64_bit_numbers(leader, number):
    node = leader.node
    unchanged(node, lambda: node.transfer_leader(number), OverflowError)
    unchanged(node, lambda: node.report_unreachable(number), OverflowError)
    for make in (
        lambda: raft.Config(id=number),
        lambda: raft.Config(id=1, max_message_bytes=number),
        lambda: raft.Position(number, 1),
        lambda: raft.Entry(1, number),
        lambda: raft.ConfChangeSingle(raft.ConfChangeKind.ADD_VOTER, number),
        lambda: raft.MemoryStorage(voters=[number]),
        lambda: raft.MemoryStorage().compact(number),
    ):
        with pytest.raises(OverflowError):
            make()


@pytest.mark.parametrize("number", [0, 2**64 - 1, 2**64 - 2])
def test_numbers_that_are_no_ids(leader, number):
    with pytest.raises(raft.ConfigError):
        raft.Config(id=number)
    for call in (leader.node.transfer_leader, leader.node.report_unreachable):
        unchanged(leader.node, lambda call=call: call(number), ValueError)
    with pytest.raises(ValueError, match="can have the id"):
        raft.RawNode(raft.Config(id=1), raft.MemoryStorage()).bootstrap([raft.Peer(number)])


@pytest.mark.parametrize(
    "fields",
    [
        {"heartbeat_interval_ticks": 0},
        {"election_timeout_ticks": 1},
        {"max_inflight_messages": 0},
        {"max_inflight_bytes": 5},
        {"max_pending_reads": 0},
        {"read_only": raft.ReadOnly.LEASE_BASED, "check_quorum": False},
    ],
)
def test_impossible_configurations(fields):
    with pytest.raises(raft.ConfigError):
        raft.Config(id=1, **fields)
    with pytest.raises(raft.ConfigError):
        raft.Config(id=1).replace(**fields)


def test_unknown_and_positional_fields_of_a_configuration():
    for make in (
        lambda: raft.Config(1),
        raft.Config,
        lambda: raft.Config(id=1, election_tick=10),
        lambda: raft.Config(id=1).replace(election_tick=10),
        lambda: raft.Config(id="1"),
        lambda: raft.Config(id=1, pre_vote="yes"),
    ):
        with pytest.raises(TypeError):
            make()
    with pytest.raises(ValueError, match="ReadOnly"):
        raft.Config(id=1, read_only=3)
    with pytest.raises(ValueError, match="ConfChangeKind"):
        raft.ConfChange(9, 1)


def test_a_configuration_that_contradicts_the_storage():
    with pytest.raises(raft.ConfigError, match="applied"):
        raft.RawNode(raft.Config(id=1, applied=5), raft.MemoryStorage(voters=[1]))
    storage = raft.MemoryStorage(voters=[1], hard_state=raft.HardState(1, 1, 9))
    with pytest.raises(raft.ConfigError, match="commit"):
        raft.RawNode(raft.Config(id=1), storage)


class Broken(Exception):
    pass


@pytest.mark.parametrize("method", ["initial_state", "first_index", "last_index"])
def test_a_storage_that_raises_makes_no_node(method):
    storage = PythonStorage()

    def hook(name):
        if name == method:
            raise Broken(name)

    storage.hook = hook
    with pytest.raises(raft.StorageError) as caught:
        raft.RawNode(raft.Config(id=1), storage)
    assert type(caught.value.__cause__) is Broken
    assert caught.value.__cause__.__traceback__ is not None
    functions = []
    traceback = caught.value.__cause__.__traceback__
    while traceback is not None:
        functions.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert functions[-1] == "hook"


def test_a_storage_that_raises_leaves_the_node_as_it_was():
    storage = PythonStorage()
    group = Group([1], storage=lambda: storage)
    node = group.elect()
    node.propose(b"x")
    ready = node.ready()
    storage.persist(ready)

    def hook(name):
        raise Broken(name)

    storage.hook = hook
    for _ in range(2):
        # status reads the storage too, so it is compared without the hook.
        with pytest.raises(raft.StorageError) as caught:
            node.advance(ready)
        assert type(caught.value.__cause__) is Broken
    storage.hook = None
    node.advance(ready)
    group.settle()
    assert group.applied[1] == [b"x"]


def test_ctrl_c_in_a_storage_is_not_the_storages_failure():
    storage = PythonStorage()

    def hook(name):
        raise KeyboardInterrupt

    storage.hook = hook
    with pytest.raises(KeyboardInterrupt):
        raft.RawNode(raft.Config(id=1), storage)


@pytest.mark.parametrize(
    ("method", "lie"),
    [
        ("first_index", -1),
        ("first_index", "one"),
        ("last_index", 2**70),
        ("last_index", None),
        ("initial_state", None),
        ("initial_state", (None, None)),
        ("term", "one"),
    ],
)
def test_a_storage_that_answers_nonsense(method, lie):
    storage = PythonStorage()
    setattr(storage, method, lambda *arguments: lie)
    with pytest.raises((raft.StorageError, raft.ConfigError)):
        raft.RawNode(raft.Config(id=1), storage)


def test_a_storage_that_lies_later_faults_at_most_its_own_node():
    storage = PythonStorage([1, 2])
    node = raft.RawNode(raft.Config(id=1, seed=1), storage)
    storage.last_index = lambda: 10**9
    storage.term = lambda index: 10**9
    storage.entries = lambda low, high, most: [raft.Entry(7, 7, b"?")]
    for _ in range(100):
        try:
            node.tick()
            ready = node.ready()
            if ready is not None:
                storage.persist(ready)
                node.advance(ready)
        except raft.RaftError:
            break
    assert isinstance(node.status(), raft.Status)


def test_what_is_no_storage():
    for storage in (None, object(), {}, raft.MemoryStorage):
        with pytest.raises(TypeError):
            raft.RawNode(raft.Config(id=1), storage)
    with pytest.raises(TypeError):
        raft.RawNode(None, raft.MemoryStorage())
    with pytest.raises(TypeError):
        raft.RawNode()


def test_a_storage_that_calls_its_node_is_refused():
    storage = PythonStorage()
    group = Group([1], storage=lambda: storage)
    node = group.elect()
    node.propose(b"x")
    ready = node.ready()
    storage.persist(ready)
    caught = []

    def hook(name):
        for call in (node.tick, node.ready, node.status, node.close, node.has_ready):
            with pytest.raises(raft.ReentryError) as error:
                call()
            caught.append(error.value)

    storage.hook = hook
    node.advance(ready)
    storage.hook = None
    assert len(caught) >= 5
    group.settle()
    assert group.applied[1] == [b"x"]


def test_many_threads_on_one_node(leader):
    node, stop = leader.node, threading.Event()
    proposed = []

    def propose(n):
        for i in range(50):
            proposed.append(node.propose(b"%d-%d" % (n, i)))

    def look():
        while not stop.is_set():
            node.status()
            node.tick()

    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            watchers = [pool.submit(look) for _ in range(2)]
            writers = [pool.submit(propose, n) for n in range(4)]
            while not all(writer.done() for writer in writers):
                leader.settle()
            stop.set()
            for future in writers + watchers:
                future.result(timeout=30)
    finally:
        stop.set()
        sys.setswitchinterval(old)
    leader.settle()
    assert len({position.index for position in proposed}) == 200
    assert len(leader.applied[1]) == 200


def test_a_thread_waits_while_another_is_in_the_storage():
    storage = PythonStorage()
    group = Group([1], storage=lambda: storage)
    node = group.elect()
    node.propose(b"x")
    ready = node.ready()
    storage.persist(ready)
    inside, go_on = threading.Event(), threading.Event()

    def hook(name):
        inside.set()
        assert go_on.wait(30)

    storage.hook = hook
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        advancing = pool.submit(node.advance, ready)
        assert inside.wait(30)
        storage.hook = None
        looking = pool.submit(node.status)
        with pytest.raises(concurrent.futures.TimeoutError):
            looking.result(timeout=0.05)
        go_on.set()
        advancing.result(timeout=30)
        assert looking.result(timeout=30).commit == 2


def test_use_after_close(leader):
    node, ready = leader.node, leader.readies[1][0]
    node.close()
    node.close()
    for call in (
        node.tick,
        node.ready,
        node.has_ready,
        node.campaign,
        node.status,
        node.metrics,
        lambda: node.propose(b"x"),
        lambda: node.advance(ready),
        lambda: node.step(raft.Message.decode(bytes.fromhex("0805100218012003"))),
    ):
        with pytest.raises(raft.ClosedError):
            call()
    assert "closed" in repr(node)
    assert ready.entries is not None


def test_a_node_can_be_neither_copied_nor_pickled(leader):
    for call in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            call(leader.node)
        with pytest.raises(TypeError):
            call(leader.storage)


def test_a_panic_becomes_an_ordinary_exception(leader, capfd):
    with pytest.raises(raft.FaultedError, match="asked for by a test"):
        leader.node._panic()
    with pytest.raises(raft.FaultedError):
        leader.node.tick()
    assert "panic" in leader.node.fault()
    assert leader.node.status().role is raft.Role.LEADER
    assert "asked for by a test" in capfd.readouterr().err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_node_belongs_to_the_parent(leader):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            leader.node.tick()
        except raft.ForkedError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as pipe:
        assert b"vote twice" in pipe.read()
    leader.node.tick()


def run(program):
    # -P: the installed package, not the sources in this folder.
    command = [sys.executable, "-P", "-X", "dev", "-W", "error", "-c", textwrap.dedent(program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_interpreter_ends_with_nodes_alive():
    result = run(
        """
        import logging, threading, time
        import raftcore as raft

        logging.basicConfig(level=logging.DEBUG)
        storage = raft.MemoryStorage(voters=[1])
        node = raft.RawNode(raft.Config(id=1), storage)
        node.campaign()
        ready = node.ready()

        def use():
            while True:
                node.status()

        class Holder:
            def __del__(self):
                node.status()

        holder = Holder()
        threading.Thread(target=use, daemon=True).start()
        time.sleep(0.05)
        """
    )
    assert result.returncode == 0, result.stderr
    assert "panicked" not in result.stderr


def test_importing_is_quick_and_starts_nothing():
    result = run(
        """
        import sys
        before = set(sys.modules)
        import raftcore
        import threading
        heavy = {"asyncio", "logging", "typing", "dataclasses", "inspect", "socket", "re"}
        assert not heavy & (set(sys.modules) - before), heavy & set(sys.modules)
        assert threading.active_count() == 1
        """
    )
    assert result.returncode == 0, result.stderr
