"""Whole clusters in one thread and in virtual time, to test a state machine or a storage with.

`SimCluster` is the cluster: every run with the same seed and the same calls is the same run.
`check_storage` tests a storage of your own. `raftcore.testing.plugin` has a pytest fixture,
`raftcore.testing.stateful` a Hypothesis state machine.
"""

from ._cluster import Machine, RegisterMachine, SimCluster
from ._storage import check_storage
from ._svg import timeline
from ._violation import Violation

__all__ = [
    "Machine",
    "RegisterMachine",
    "SimCluster",
    "Violation",
    "check_storage",
    "timeline",
]
