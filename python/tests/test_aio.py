import asyncio
import threading
import time

import pytest

import raftcore as raft
from raftcore import aio
from raftcore import threading as raft_threading

TICK = 0.01


class Counter:
    """A state machine that numbers what it applies."""

    def __init__(self):
        self.log = []

    def apply(self, entry):
        if entry.data == b"raise":
            raise ValueError("cannot apply this")
        self.log.append(entry.data)
        return len(self.log)

    def restore(self, snapshot):
        self.log = snapshot.data.split(b",")


class Cluster:
    def __init__(self, size=3, **options):
        self.network = aio.LocalNetwork()
        self.machines = {i: Counter() for i in range(1, size + 1)}
        self.storages = {i: raft.MemoryStorage(voters=self.machines) for i in self.machines}
        self.nodes = {i: self.make(i, **options) for i in self.machines}

    def make(self, i, storage=None, **options):
        machine = self.machines[i]
        node = aio.Node(
            raft.Config(id=i),
            storage=storage or self.storages[i],
            transport=self.network.transport(i),
            apply=machine.apply,
            restore=machine.restore,
            tick_seconds=TICK,
            **options,
        )
        self.network.join(node)
        return node

    async def __aenter__(self):
        for node in self.nodes.values():
            await node.__aenter__()
        return self

    async def __aexit__(self, *error):
        for node in self.nodes.values():
            await node.close()

    async def leader(self, among=None):
        nodes = [self.nodes[i] for i in among or self.nodes]
        async with asyncio.timeout(20):
            while True:
                for node in nodes:
                    if node.is_leader:
                        return node
                await asyncio.sleep(TICK)


def run(test):
    def runner():
        async def bounded():
            async with asyncio.timeout(60):
                await test()

        asyncio.run(bounded(), debug=True)

    runner.__name__ = test.__name__
    return runner


@run
async def test_a_proposal_resolves_with_what_apply_returned():
    async with Cluster() as cluster:
        leader = await cluster.leader()
        assert await leader.propose(b"one") == 1
        assert await leader.propose_many([b"two", b"three"]) == [2, 3]
        results = await asyncio.gather(*(leader.propose(b"%d" % n) for n in range(100)))
        assert results == list(range(4, 104))
        other = next(node for node in cluster.nodes.values() if node is not leader)
        index = await other.read_index()
        assert index >= 104
        assert len(cluster.machines[other.id].log) == 103
        assert other.applied >= index


@run
async def test_an_answer_to_an_earlier_life_confirms_no_read():
    async with Cluster() as cluster:
        leader = await cluster.leader()
        other = next(node for node in cluster.nodes.values() if node is not leader)
        heard, step = [], other.step
        other.step = lambda data: (heard.append(data), step(data))
        await other.read_index()
        await other.close()
        kinds = {raft.Message.decode(data).kind: data for data in heard}
        late = kinds[raft.MessageKind.READ_INDEX_RESPONSE]

        again = cluster.nodes[other.id] = cluster.make(other.id)
        cluster.network.isolate(other.id)
        async with again:
            again.step(kinds[raft.MessageKind.HEARTBEAT])
            read = asyncio.ensure_future(again.read_index())
            for _ in range(5):
                await asyncio.sleep(0)
                again.step(late)
            await asyncio.sleep(0.1)
            assert not read.done()
            cluster.network.isolate()
            assert await read >= 1


@run
async def test_elsewhere_a_proposal_names_the_leader():
    async with Cluster() as cluster:
        leader = await cluster.leader()
        other = next(node for node in cluster.nodes.values() if node is not leader)
        assert await other.wait_for_leader() == leader.id
        with pytest.raises(raft.NotLeader) as caught:
            await other.propose(b"x")
        assert caught.value.leader_id == leader.id


@run
async def test_losing_the_leadership_leaves_the_outcome_unknown():
    async with Cluster() as cluster:
        leader = await cluster.leader()
        await leader.propose(b"before")
        cluster.network.isolate(leader.id)
        lost = asyncio.ensure_future(leader.propose(b"lost"))
        with pytest.raises(raft.OutcomeUnknown):
            await lost
        rest = [i for i in cluster.nodes if i != leader.id]
        second = await cluster.leader(rest)
        assert await second.propose(b"after") == 2
        cluster.network.isolate()
        async with asyncio.timeout(20):
            while cluster.machines[leader.id].log != [b"before", b"after"]:  # noqa: ASYNC110
                await asyncio.sleep(TICK)


@run
async def test_giving_up_waiting_is_not_giving_up_the_proposal():
    async with Cluster() as cluster:
        leader = await cluster.leader()
        cluster.network.isolate(*[i for i in cluster.nodes if i != leader.id])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(TICK):
                await leader.propose(b"slow")
        task = asyncio.ensure_future(leader.propose(b"slower"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cluster.network.isolate()
        leader = await cluster.leader()
        await leader.propose(b"last")
        assert cluster.machines[leader.id].log[-1] == b"last"


@run
async def test_members_change_and_leadership_is_handed_over():
    async with Cluster() as cluster:
        leader = await cluster.leader()
        events = []

        async def listen(node):
            async for event in node.events():
                events.append(event)

        listener = asyncio.ensure_future(listen(leader))
        await asyncio.sleep(0)
        state = await leader.add_learner(4, b"address")
        assert state.learners == (4,)
        state = await leader.remove(4)
        assert state.learners == ()
        to = next(i for i in cluster.nodes if i != leader.id)
        await leader.transfer_leader(to)
        assert (await cluster.leader()).id == to
        await leader.close()
        await listener
    members = [event for event in events if isinstance(event, aio.MembersChanged)]
    assert members[0].change.context == b"address"
    assert aio.RoleChanged(raft.Role.FOLLOWER, 2) in events
    assert any(isinstance(e, aio.LeaderChanged) and e.leader == to for e in events)


@run
async def test_an_apply_that_raises_stops_the_node_loudly():
    machine = Counter()
    storage = raft.MemoryStorage(voters=[1])
    with pytest.raises(raft.StoppedError, match="cannot apply") as outer:
        async with aio.Node(
            raft.Config(id=1), storage=storage, apply=machine.apply, tick_seconds=TICK
        ) as node:
            await node.wait_for_leader()
            both = [node.propose(b"raise"), node.propose(b"next")]
            results = await asyncio.gather(*both, return_exceptions=True)
            assert [type(result) for result in results] == [raft.StoppedError] * 2
            assert isinstance(results[0].__cause__, ValueError)
            with pytest.raises(raft.StoppedError):
                await node.propose(b"too late")
    assert isinstance(outer.value.__cause__, ValueError)
    assert machine.log == []


class SlowDisk:
    """A storage of one's own: slow, and it says in which thread it was called."""

    def __init__(self, memory=None):
        self.memory = memory or raft.MemoryStorage(voters=[1])
        self.threads = set()
        self.persisted = []
        self.failing = False

    def load(self):
        self.threads.add(threading.current_thread())
        return self.memory

    def persist(self, ready):
        self.threads.add(threading.current_thread())
        if self.failing:
            raise OSError("disk full")
        time.sleep(0.02)
        self.persisted.append(ready)


@run
async def test_storage_runs_beside_the_loop_and_batches_meanwhile():
    disk, machine = SlowDisk(), Counter()
    async with aio.Node(
        raft.Config(id=1), storage=disk, apply=machine.apply, tick_seconds=TICK
    ) as node:
        await node.wait_for_leader()
        await asyncio.gather(*(node.propose(b"%d" % n) for n in range(200)))
    assert threading.current_thread() not in disk.threads
    assert len(disk.threads) == 1
    assert len(disk.persisted) < 20


@run
async def test_a_disk_that_fails_stops_the_node_and_nothing_is_acknowledged():
    disk, machine = SlowDisk(), Counter()
    with pytest.raises(raft.StoppedError, match="disk full"):
        async with aio.Node(
            raft.Config(id=1), storage=disk, apply=machine.apply, tick_seconds=TICK
        ) as node:
            await node.wait_for_leader()
            disk.failing = True
            with pytest.raises(raft.StoppedError):
                await node.propose(b"x")
    assert machine.log == []


@run
async def test_a_node_restarts_from_its_storage_and_a_snapshot():
    cluster = Cluster(1)
    async with cluster:
        node = await cluster.leader()
        for data in (b"a", b"b", b"c"):
            await node.propose(data)
        node.compact(node.applied, b"a,b,c")
        await node.propose(b"d")
    cluster.machines[1] = Counter()
    async with cluster.make(1) as again:
        await again.wait_for_leader()
        assert await again.propose(b"e") == 5
    assert cluster.machines[1].log == [b"a", b"b", b"c", b"d", b"e"]


@run
async def test_a_node_can_be_driven_by_hand():
    storage, applied = raft.MemoryStorage(voters=[1]), []
    async with aio.Node(raft.Config(id=1), storage=storage, tick_seconds=TICK) as node:

        async def drive():
            async for ready in node:
                storage.persist(ready)
                applied.extend(data for data in ready.committed.payloads() if data)

        driver = asyncio.ensure_future(drive())
        await node.wait_for_leader()
        assert await node.propose(b"by hand") is None
        assert applied == [b"by hand"]
        driver.cancel()


@run
async def test_an_apply_may_be_a_coroutine():
    async def apply(entry):
        await asyncio.sleep(0)
        return entry.data.upper()

    storage = raft.MemoryStorage(voters=[1])
    async with aio.Node(raft.Config(id=1), storage=storage, apply=apply, tick_seconds=TICK) as node:
        await node.wait_for_leader()
        assert await node.propose(b"shout") == b"SHOUT"


@run
async def test_closing_answers_everyone_who_waits():
    async with Cluster() as cluster:
        leader = await cluster.leader()
        cluster.network.isolate(leader.id)
        waiting = [leader.propose(b"x"), leader.read_index(), leader.transfer_leader(2)]
        tasks = [asyncio.ensure_future(one) for one in waiting]
        await asyncio.sleep(0)
        await leader.close()
        await leader.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, raft.StoppedError) for result in results[:2])
        with pytest.raises(raft.StoppedError):
            leader.status()


@run
async def test_a_batch_that_is_applied_at_once_is_answered():
    machine, storage = Counter(), raft.MemoryStorage(voters=[1])
    async with aio.Node(raft.Config(id=1), storage=storage, apply=machine.apply) as node:
        await node.wait_for_leader()
        for n in range(20):
            # The node's own task is due before whatever propose_many would start.
            node.wake()
            async with asyncio.timeout(10):
                assert await node.propose_many([b"a", b"b"]) == [2 * n + 1, 2 * n + 2]


def test_the_node_for_threads_answers_with_futures():
    machine = Counter()
    storage = raft.MemoryStorage(voters=[1])
    with raft_threading.Node(
        raft.Config(id=1), storage=storage, apply=machine.apply, tick_seconds=TICK
    ) as node:
        assert node.wait_for_leader(timeout=20) == 1
        futures = [node.propose(b"%d" % n) for n in range(100)]
        assert [future.result(20) for future in futures] == list(range(1, 101))
        assert node.propose_many([b"a", b"b"]).result(20) == [101, 102]
        assert node.read_index().result(20) >= 102
        assert node.is_leader
        with pytest.raises(raft.UsageError):
            node.transfer_leader(9).result(20)
    with pytest.raises(raft.StoppedError):
        node.propose(b"late")


def test_the_node_for_threads_fails_loudly():
    machine = Counter()
    storage = raft.MemoryStorage(voters=[1])
    node = raft_threading.Node(
        raft.Config(id=1), storage=storage, apply=machine.apply, tick_seconds=TICK
    )
    with pytest.raises(raft.StoppedError):
        node.propose(b"early")
    node.start()
    node.wait_for_leader(timeout=20)
    with pytest.raises(raft.StoppedError):
        node.propose(b"raise").result(20)
    with pytest.raises(raft.StoppedError):
        node.close()
