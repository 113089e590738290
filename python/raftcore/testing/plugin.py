"""A pytest fixture: put `pytest_plugins = ["raftcore.testing.plugin"]` into your conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from . import SimCluster

_MADE = pytest.StashKey[list[SimCluster]]()


@pytest.fixture
def sim_cluster(request: pytest.FixtureRequest) -> Callable[..., SimCluster]:
    """Make simulated clusters. When the test fails, their runs are part of its report."""
    made: list[SimCluster] = request.node.stash.setdefault(_MADE, [])

    def make(size: int = 3, **options: Any) -> SimCluster:
        cluster = SimCluster(size, **options)
        made.append(cluster)
        return cluster

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the runs to the report of a test that failed."""
    report = yield
    if report.when == "call" and report.failed:
        for cluster in item.stash.get(_MADE, None) or ():
            run = (f"raftcore seed={cluster.seed}", cluster.to_json())
            report.sections.append(run)
    return report
