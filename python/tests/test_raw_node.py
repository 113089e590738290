import gc
import weakref

import pytest
from conftest import Group, PythonStorage

import raftcore as raft


def test_a_proposal_is_applied_on_every_member(group):
    node = group.elect()
    position = node.propose(b"hello")
    assert position == raft.Position(term=1, index=2)
    group.settle()
    assert group.applied == {i: [b"hello"] for i in (1, 2, 3)}


def test_a_batch_becomes_consecutive_entries(group):
    node = group.elect()
    span = node.propose_many([b"a", bytearray(b"b"), memoryview(b"xcx")[1:2]])
    assert span == raft.Span(term=1, first=2, last=4)
    assert len(span) == 3
    assert list(span) == [raft.Position(1, 2), raft.Position(1, 3), raft.Position(1, 4)]
    assert span[-1] == raft.Position(1, 4)
    group.settle()
    assert group.applied[3] == [b"a", b"b", b"c"]


def test_a_buffer_is_read_once_and_may_change_afterwards(leader):
    data = bytearray(b"before")
    leader.node.propose(data)
    data[:] = b"after!"
    leader.settle()
    assert leader.applied[1] == [b"before"]


def test_proposing_elsewhere_names_the_leader(group):
    with pytest.raises(raft.NotLeader) as caught:
        group.nodes[2].propose(b"early")
    assert caught.value.leader_id is None
    group.elect()
    with pytest.raises(raft.NotLeader) as caught:
        group.nodes[2].propose(b"elsewhere")
    assert caught.value.leader_id == 1
    assert group.nodes[2].forward(b"passed on") == 1
    group.settle()
    assert group.applied[3] == [b"passed on"]


def test_step_many_takes_what_it_can_and_tells_the_rest(group):
    node = group.elect()
    node.propose(b"x")
    ready = node.ready()
    appends = [data for to, data in ready.outgoing if to == 2]
    refused = group.nodes[2].step_many([b"\xff garbage", *appends, b""])
    assert [type(error) for error in refused] == [raft.DecodeError, raft.InvalidMessage]
    assert len(group.nodes[2].ready().entries) == 1


def test_reads_are_answered_with_their_context(group):
    node = group.elect()
    node.read_index(b"mine")
    group.settle()
    states = [state for ready in group.readies[1] for state in ready.read_states]
    assert states == [raft.ReadState(index=1, context=b"mine")]


def test_leadership_is_handed_over(group):
    node = group.elect()
    node.transfer_leader(3)
    group.settle()
    assert group.nodes[3].soft_state().role is raft.Role.LEADER
    assert node.status().leader == 3


def test_members_join_and_leave():
    group = Group([1, 2])
    node = group.elect()
    change = raft.ConfChange(raft.ConfChangeKind.ADD_LEARNER, 3, context=b"three:1")
    node.propose_conf_change(change)
    group.settle()
    assert node.status().conf_state == raft.ConfState([1, 2], learners=[3])
    entry = next(e for r in group.readies[2] for e in r.committed if e.kind)
    assert entry.kind is raft.EntryKind.CONF_CHANGE
    assert entry.conf_change() == change
    both = raft.ConfChangeV2(
        [
            raft.ConfChangeSingle(raft.ConfChangeKind.ADD_VOTER, 3),
            raft.ConfChangeSingle(raft.ConfChangeKind.REMOVE, 2),
        ],
        transition=raft.ConfChangeTransition.JOINT_EXPLICIT,
    )
    node.propose_conf_change(both)
    group.settle()
    assert node.status().conf_state.voters_outgoing == (1, 2)
    with pytest.raises(raft.ConfChangeRefused) as caught:
        node.propose_conf_change(change)
    assert caught.value.reason is raft.ConfChangeRefusal.ALREADY_JOINT


def test_a_group_is_bootstrapped():
    peers = [raft.Peer(1, b"a"), raft.Peer(2, b"b"), raft.Peer(3, b"c")]
    group = Group(storage=raft.MemoryStorage)
    for node in group.nodes.values():
        node.bootstrap(peers)
    group.settle()
    group.elect()
    assert group.nodes[2].status().conf_state.voters == (1, 2, 3)
    with pytest.raises(raft.UsageError, match="not empty"):
        group.nodes[1].bootstrap(peers)


def test_a_ready_stays_valid_for_ever(group):
    node = group.elect()
    node.propose(b"kept")
    ready = node.ready()
    entries, messages = ready.entries, ready.messages
    group.storages[1].persist(ready)
    node.advance(ready)
    group.settle()
    node.close()
    del node, group
    gc.collect()
    assert [entry.data for entry in ready.entries] == [b"kept"]
    assert ready.entries is entries
    assert ready.messages is messages
    assert messages[0].entries == entries
    assert raft.Message.decode(ready.outgoing[0][1]) == messages[0]


def test_a_snapshot_catches_up_who_joins():
    group = Group([1, 2])
    node = group.elect()
    for n in range(10):
        node.propose(b"%d" % n)
    node.propose_conf_change(raft.ConfChange(raft.ConfChangeKind.ADD_VOTER, 3))
    group.settle()
    storage, status = group.storages[1], node.status()
    made = storage.create_snapshot(status.applied, b"state", status.conf_state)
    storage.compact(status.applied)
    group.storages[3] = raft.MemoryStorage()
    group.nodes[3] = raft.RawNode(raft.Config(id=3, seed=3), group.storages[3])
    group.inbox[3], group.applied[3], group.readies[3] = [], [], []
    for _ in range(5):
        node.tick()
        group.settle()
    restored = [ready.snapshot for ready in group.readies[3] if ready.snapshot]
    assert restored == [made]
    assert made.data == b"state"
    assert group.storages[3].first_index() == status.applied + 1
    node.report_snapshot(3, raft.SnapshotStatus.FINISHED)
    node.propose(b"after")
    group.settle()
    assert group.applied[3] == [b"after"]


def test_storage_threads_take_the_place_of_advance():
    storage = raft.MemoryStorage(voters=[1])
    config = raft.Config(id=1, seed=1, async_storage_writes=True)
    node = raft.RawNode(config, storage)
    node.campaign()
    applied = []
    proposed = False
    for _ in range(20):
        ready = node.ready()
        if ready is None:
            break
        if ready.append is not None:
            storage.persist(ready.append)
            for reply in ready.append.replies:
                if isinstance(reply, raft.StorageResponse):
                    node.storage_response(reply)
                    with pytest.raises(raft.ReadyOrderError, match="waits for"):
                        node.storage_response(reply)
        if ready.apply is not None:
            applied += ready.apply.entries.payloads()
            node.storage_response(ready.apply.reply)
        with pytest.raises(raft.ReadyOrderError):
            node.advance(ready)
        if not proposed and node.soft_state().role is raft.Role.LEADER:
            proposed = True
            node.propose(b"async")
    assert applied == [b"", b"async"]


def test_a_storage_in_python_serves_as_well_as_the_memory_one():
    group = Group([1, 2, 3], storage=lambda: PythonStorage([1, 2, 3]))
    node = group.elect()
    for n in range(20):
        node.propose(b"%d" % n)
    group.settle()
    assert group.applied[3] == [b"%d" % n for n in range(20)]
    # A restart reads everything again.
    storage = group.storages[3]
    again = raft.RawNode(raft.Config(id=3, seed=3, applied=5), storage)
    assert again.status().commit == storage.hard_state.commit
    assert again.ready().committed[0].index == 6


def test_a_node_and_its_storage_are_collected_together():
    class Holder(PythonStorage):
        node = None

    storage = Holder([1])
    storage.node = raft.RawNode(raft.Config(id=1), storage)
    died = weakref.ref(storage)
    del storage
    gc.collect()
    assert died() is None


def test_a_memory_storage_serves_one_node_at_a_time():
    storage = raft.MemoryStorage(voters=[1])
    with (
        raft.RawNode(raft.Config(id=1), storage),
        pytest.raises(raft.UsageError, match="another node"),
    ):
        raft.RawNode(raft.Config(id=1), storage)
    raft.RawNode(raft.Config(id=1), storage).close()


def test_metrics_and_status_show_what_happened(group):
    node = group.elect()
    node.propose(b"x")
    group.settle()
    metrics = node.metrics()
    assert metrics["leaderships"] == 1
    assert metrics["sent"][raft.MessageKind.APPEND] >= 2
    status = node.status()
    assert [peer.match_index for peer in status.progress] == [2, 2, 2]
    assert status.progress[1].state is raft.ProgressState.REPLICATE


def test_the_logger_hears_of_it_after_the_lock_is_released(group, caplog):
    import logging

    class CallsBack(logging.Handler):
        def emit(self, record):
            roles.append(group.nodes[1].soft_state().role)

    roles = []
    handler = CallsBack()
    logger = logging.getLogger("raftcore")
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, logger="raftcore"):
            group.elect()
    finally:
        logger.removeHandler(handler)
    assert "node 1: leads in term 1" in caplog.messages
    assert raft.Role.LEADER in roles
