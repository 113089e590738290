"""A Hypothesis state machine: it finds the calls that break a state machine, and shortens them.

class TestMine(ClusterStateMachine):
    machine = MyMachine

TestMyCluster = TestMine.TestCase
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from . import Machine, RegisterMachine, SimCluster

_MEMBERS = strategies.integers(1, 3)


class ClusterStateMachine(RuleBasedStateMachine):
    """Three nodes under random faults. Subclass it, set `machine`, perhaps `payloads`."""

    machine: ClassVar[type[Machine]] = RegisterMachine
    payloads: ClassVar[strategies.SearchStrategy[bytes]] = strategies.binary(min_size=1, max_size=8)
    options: ClassVar[dict[str, Any]] = {"snapshot_entries": 5}

    cluster: SimCluster

    @initialize(seed=strategies.integers(0, 2**32))
    def start(self, seed: int) -> None:
        """Make the cluster."""
        self.cluster = SimCluster(3, seed=seed, machine=self.machine, **self.options)

    @rule(count=strategies.integers(1, 30))
    def tick(self, count: int) -> None:
        """Let time pass."""
        self.cluster.tick(count)

    @rule(data=strategies.data())
    def propose(self, data: strategies.DataObject) -> None:
        """Propose something at the leader."""
        self.cluster.propose(data.draw(self.payloads))

    @rule(member=_MEMBERS, lose=strategies.booleans())
    def crash(self, member: int, lose: bool) -> None:
        """Kill a node."""
        self.cluster.crash(member, lose_unsynced=lose)

    @precondition(lambda self: len(self.cluster.alive()) < 3)
    @rule(member=_MEMBERS)
    def restart(self, member: int) -> None:
        """Start a node again."""
        self.cluster.restart(member)

    @rule(member=_MEMBERS)
    def cut(self, member: int) -> None:
        """Cut a node off."""
        rest = [other for other in self.cluster.members if other != member]
        self.cluster.partition([member], rest)

    @rule()
    def heal(self) -> None:
        """Let all messages pass."""
        self.cluster.heal()

    @rule(share=strategies.sampled_from([0.1, 0.5]))
    def drop(self, share: float) -> None:
        """Lose some messages."""
        self.cluster.drop(share)

    @rule(least=strategies.integers(1, 3), more=strategies.integers(0, 5))
    def delay(self, least: int, more: int) -> None:
        """Deliver late and out of order."""
        self.cluster.delay(least, least + more)

    @rule(most=strategies.integers(0, 5))
    def slow_disks(self, most: int) -> None:
        """Let writes take time."""
        self.cluster.slow_disks(0, most)

    @rule(to=_MEMBERS)
    def transfer(self, to: int) -> None:
        """Hand leadership over."""
        self.cluster.transfer(to)

    def teardown(self) -> None:
        """Let everything be well again: the group must agree."""
        if not hasattr(self, "cluster"):
            return
        self.cluster.heal()
        self.cluster.slow_disks(0, 0)
        for member in self.cluster.members:
            self.cluster.restart(member)
        self.cluster.run_until(SimCluster.converged)
