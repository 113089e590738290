import json
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


@pytest.mark.parametrize(
    ("check", "fake"),
    [
        ("one_leader_a_term", {"id": 2, "role": raft.Role.LEADER}),
        ("one_vote_a_term", {"id": 1, "vote": 3}),
        ("term_never_falls", {"id": 1, "term": 1}),
        ("commit_never_falls", {"id": 1, "commit": 1, "applied": 1}),
        ("applied_is_committed", {"id": 1, "applied": 99}),
    ],
)
def test_each_judge_objects(check, fake):
    cluster = SimCluster(3, seed=5)
    cluster.tick()
    cluster.campaign(1)
    cluster.run_until(lambda c: c.leader() == 1)
    cluster.campaign(1)
    cluster.propose(b"x")
    cluster.run_until(SimCluster.converged)
    cluster.judges.states[1] = real = cluster.node(1).status()
    fields = {name: getattr(real, name) for name in raft.Status.__match_args__}
    if check == "term_never_falls":
        fields["term"] += 1
        cluster.judges.states[1] = raft.Status(**fields)
    with pytest.raises(Violation) as caught:
        cluster.judges.on_status(raft.Status(**(fields | fake)))
    assert caught.value.check == check


def test_the_judge_of_entries_objects():
    cluster = story(SimCluster(seed=1))
    judges = cluster.judges
    judges.applied[1] = 2
    with pytest.raises(Violation, match="same_entry_everywhere"):
        judges.on_committed(1, raft.Entry(99, 3, b"another"))
    with pytest.raises(Violation, match="applied_in_order"):
        judges.on_committed(2, raft.Entry(1, 99))
    with pytest.raises(Violation, match="snapshot_is_committed"):
        judges.on_snapshot(3, raft.Position(99, 3))


class Forgetful(RegisterMachine):
    """Not a function of its log: it forgets over a snapshot."""

    def restore(self, data):
        super().restore(data)
        self.log = self.log[1:]


def test_a_state_machine_that_diverges_is_found():
    cluster = SimCluster(3, seed=4, machine=Forgetful, snapshot_entries=3)
    cluster.run_until(SimCluster.leader)
    for n in range(8):
        cluster.propose(b"%d" % n)
    cluster.run_until(SimCluster.converged)
    cluster.crash(2)
    cluster.restart(2)
    with pytest.raises(AssertionError, match="seed=4"):
        cluster.run_until(SimCluster.converged, ticks=200)


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
