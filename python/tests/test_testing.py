import json
import re
import xml.etree.ElementTree as ET

import hypothesis
import pytest
from conftest import PythonStorage

import raftcore as raft
from raftcore.testing import RegisterMachine, SimCluster, Violation, check_storage
from raftcore.testing.stateful import ClusterStateMachine

pytest_plugins = ["raftcore.testing.plugin", "pytester"]


def story(cluster):
    cluster.run_until(SimCluster.leader)
    for n in range(5):
        cluster.propose(b"%d" % n)
    first = cluster.leader()
    cluster.partition([first], [m for m in cluster.members if m != first])
    cluster.propose(b"lost", first)
    cluster.run_until(lambda c: c.leader() not in (None, first))
    cluster.propose(b"kept")
    cluster.tick(5)
    second = cluster.leader()
    cluster.slow_disks(1, 4)
    cluster.crash(second)
    cluster.heal()
    cluster.drop(0.2)
    cluster.delay(1, 4)
    cluster.run_until(lambda c: c.leader() not in (None, second))
    cluster.propose(b"after")
    cluster.restart(second)
    cluster.heal()
    cluster.slow_disks(0, 0)
    return cluster.run_until(SimCluster.converged)


@pytest.mark.parametrize("seed", range(40))
def test_a_group_survives_and_agrees(seed, sim_cluster):
    cluster = story(sim_cluster(3, seed=seed, snapshot_entries=3 if seed % 2 else 0))
    logs = {tuple(cluster.machine(i).log) for i in cluster.members}
    (log,) = logs
    assert b"kept" in log
    assert b"lost" not in log


def test_the_same_seed_is_the_same_run():
    one, other = story(SimCluster(seed=7)), story(SimCluster(seed=7))
    assert one.trace == other.trace
    assert one.trace != story(SimCluster(seed=8)).trace


def test_a_run_is_replayed_from_its_json():
    cluster = story(SimCluster(seed=3, snapshot_entries=4))
    text = cluster.to_json()
    again = SimCluster.replay(text)
    assert again.now == cluster.now
    run = json.loads(text)
    run["setup"]["seed"] = 4
    with pytest.raises(AssertionError):
        SimCluster.replay(json.dumps(run))


def test_members_join_and_leave():
    cluster = SimCluster(3, seed=1, snapshot_entries=2)
    cluster.run_until(SimCluster.leader)
    for n in range(10):
        cluster.propose(b"%d" % n)
    cluster.change(raft.ConfChangeKind.ADD_VOTER, 4)
    cluster.run_until(lambda c: c.applied(4) >= 10)
    assert cluster.machine(4).log[:10] == [b"%d" % n for n in range(10)]


def test_a_run_is_drawn():
    svg = story(SimCluster(seed=2)).svg()
    root = ET.fromstring(svg)
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("leader, term") for title in titles)
    assert any(title.startswith("vote in term") for title in titles)
    assert "\u2715" in svg


def test_what_takes_too_long_names_the_seed():
    cluster = SimCluster(3, seed=11)
    cluster.partition()
    with pytest.raises(AssertionError, match="seed=11"):
        cluster.run_until(SimCluster.leader, ticks=100)


class Sabotaged(SimCluster):
    """A disk or an application that breaks the contract in one way."""

    def _compact(self, one):
        pass


class SendsBeforeSync(Sabotaged):
    def _send(self, sender, ready, *, after_sync):
        if not after_sync:
            super()._send(sender, ready, after_sync=False)
            super()._send(sender, ready, after_sync=True)


class NeverWrites(Sabotaged):
    def _write(self, member, ready):
        # On a leader the core itself notices.
        if not ready.entries or member == self.leader():
            super()._write(member, ready)


class ForgetsVotes(Sabotaged):
    def _persist(self, memory, ready):
        super()._persist(memory, ready)
        stored, _ = memory.initial_state()
        memory.set_hard_state(raft.HardState(stored.term, None, stored.commit))


class ForgetsTerms(Sabotaged):
    def _start(self, member):
        self._members[member].memory.set_hard_state(raft.HardState())
        super()._start(member)


class LosesTheTail(Sabotaged):
    def _start(self, member):
        old = self._members[member].memory
        stored, _ = old.initial_state()
        short = raft.HardState(stored.term, stored.vote, min(stored.commit, 1))
        entries = old.entries(1, 2) if old.last_index() else []
        voters = self.members
        memory = raft.MemoryStorage(voters=voters, hard_state=short, entries=entries)
        self._members[member].memory = memory
        super()._start(member)


class AppliesTwice(Sabotaged):
    def _apply(self, member, one, entry):
        super()._apply(member, one, entry)
        super()._apply(member, one, entry)


class LeavesOneOut(Sabotaged):
    def _apply(self, member, one, entry):
        if entry.index != 3:
            super()._apply(member, one, entry)


class Draws(RegisterMachine):
    """Not a function of its log."""

    def apply(self, data):
        super().apply(data + bytes([id(self) % 251]))


class Forgetful(RegisterMachine):
    """Not a function of its log: it forgets over a snapshot."""

    def restore(self, data):
        super().restore(data)
        self.log = self.log[1:]


def crowded(cluster):
    """Elections, a crash, a new leader."""
    cluster.slow_disks(0, 2)
    for _ in range(3):
        cluster.run_until(SimCluster.leader)
        for n in range(3):
            cluster.propose(b"%d" % n)
            cluster.tick()
        victim = cluster.leader()
        cluster.crash(victim)
        cluster.tick(40)
        cluster.restart(victim)
    cluster.slow_disks(0, 0)
    cluster.run_until(SimCluster.converged)


@pytest.mark.parametrize(
    ("cluster", "check"),
    [
        (SendsBeforeSync, "released_.*_is_durable"),
        (NeverWrites, "released_acknowledgement_is_durable"),
        (ForgetsVotes, "released_vote.*_is_durable"),
        (ForgetsTerms, "restart_keeps_promises"),
        (LosesTheTail, "restart_keeps_the_log"),
        (AppliesTwice, "applied_in_order_once_without_gap"),
        (LeavesOneOut, "applied_in_order_once_without_gap"),
    ],
)
def test_a_broken_application_is_found_by_name(cluster, check):
    crowded(SimCluster(seed=9))
    made = cluster(seed=9)
    with pytest.raises(Violation, match=f"^{check}: node ") as caught:
        crowded(made)
    assert re.fullmatch(check, caught.value.check)
    assert made.trace[-1]["event"] == "violation"
    assert caught.value.__notes__ == ["you can reproduce this with seed=9"]


@pytest.mark.parametrize("options", [{}, {"snapshot_entries": 3}])
@pytest.mark.parametrize("machine", [Draws, Forgetful])
def test_a_state_machine_that_diverges_is_found(machine, options):
    cluster = SimCluster(seed=4, machine=machine, **options)
    if machine is Forgetful and not options:
        crowded(cluster)
        return
    with pytest.raises(Violation, match=r"^applied_equals_history: node . has state"):
        crowded(cluster)


def test_reads_are_judged_and_a_call_of_ones_own_is_too():
    cluster = SimCluster(seed=3)
    cluster.run_until(SimCluster.leader)
    leader = cluster.leader()
    cluster.propose(b"x")
    cluster.node(leader).read_index(b"ask")
    cluster.node(leader).propose(b"y")
    cluster.run_until(SimCluster.converged)
    assert cluster.machine(leader).log == [b"x", b"y"]


def test_members_are_as_many_as_can_be_judged():
    with pytest.raises(ValueError, match="ids end at 7"):
        SimCluster(8)
    cluster = SimCluster(7, seed=1)
    cluster.run_until(SimCluster.leader)
    with pytest.raises(ValueError, match="ids end at 7"):
        cluster.change(raft.ConfChangeKind.ADD_LEARNER, 8)


class OwnStorage(PythonStorage):
    """A good storage: the conformance suite accepts it."""

    def __init__(self, members):
        super().__init__()
        self.conf_state = members
        self.made = raft.Snapshot(0, 0, members)

    def first_index(self):
        return self.made.index + 1

    def last_index(self):
        return self.made.index + len(self.log)

    def term(self, index):
        if index == self.made.index:
            return self.made.term
        if index < self.made.index:
            raise raft.Compacted
        if index > self.last_index():
            raise raft.Unavailable
        return self.log[index - self.made.index - 1].term

    def entries(self, low, high, max_bytes):
        if low <= self.made.index:
            raise raft.Compacted
        if high > self.last_index() + 1:
            raise raft.Unavailable
        found, size = [], 0
        for entry in self.log[low - self.made.index - 1 : high - self.made.index - 1]:
            size += len(entry.encode())
            if found and size > max_bytes:
                break
            found.append(entry)
        return found

    def snapshot(self):
        return self.made

    def write(self, ready):
        if ready.snapshot is not None:
            self.made, self.log = ready.snapshot, []
            self.conf_state = ready.snapshot.conf_state
        if ready.entries:
            del self.log[ready.entries[0].index - self.made.index - 1 :]
            self.log.extend(ready.entries)
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state


def test_a_good_storage_passes():
    check_storage(OwnStorage, OwnStorage.write, reopen=lambda storage: storage)


class KeepsTail(OwnStorage):
    def write(self, ready):
        if ready.entries and ready.entries[0].index <= self.last_index():
            place = ready.entries[0].index - self.made.index - 1
            self.log[place : place + len(ready.entries)] = ready.entries
            return
        super().write(ready)


class ForgetsVote(OwnStorage):
    def write(self, ready):
        super().write(ready)
        self.hard_state = raft.HardState(self.hard_state.term, None, self.hard_state.commit)


class NoLimit(OwnStorage):
    def entries(self, low, high, max_bytes):
        return super().entries(low, high, 2**63)


class KeepsLogAfterSnapshot(OwnStorage):
    def write(self, ready):
        log = list(self.log)
        super().write(ready)
        if ready.snapshot is not None:
            self.log = log[-1:]


class LosesOnReopen(OwnStorage):
    def reopened(self):
        del self.log[-1:]
        return self


@pytest.mark.parametrize("bad", [KeepsTail, ForgetsVote, NoLimit, KeepsLogAfterSnapshot])
def test_a_bad_storage_is_found(bad):
    with pytest.raises((AssertionError, raft.RaftError)):
        check_storage(bad, bad.write)


def test_a_storage_that_loses_something_is_found():
    with pytest.raises(AssertionError, match="opened again"):
        check_storage(LosesOnReopen, LosesOnReopen.write, reopen=LosesOnReopen.reopened)


class Small(ClusterStateMachine):
    pass


Small.TestCase.settings = hypothesis.settings(
    max_examples=20, stateful_step_count=20, deadline=None, derandomize=True, database=None
)
TestStateful = Small.TestCase


def test_a_failing_test_shows_the_run(pytester):
    pytester.makepyfile(
        """
        pytest_plugins = ["raftcore.testing.plugin"]

        def test_fails(sim_cluster):
            cluster = sim_cluster(3, seed=42)
            cluster.tick(3)
            assert False
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*raftcore seed=42*", '*"actions"*'])
