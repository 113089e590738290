"""What the package costs where it should cost nothing, in CPU time: the wall says who else runs."""

import asyncio
import os
import subprocess
import sys
import time

import raftcore as raft
from raftcore import aio


def cpu_seconds(code):
    """Of a fresh interpreter."""
    process = subprocess.Popen([sys.executable, "-I", "-c", code])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_importing_takes_less_than_15_ms_more_than_starting_python():
    # In turns, and the least of each: what disturbs one disturbs the other.
    rounds = [(cpu_seconds("pass"), cpu_seconds("import raftcore")) for _ in range(10)]
    bare, with_raftcore = (min(times) for times in zip(*rounds, strict=True))
    assert with_raftcore - bare < 0.015


def test_idle_nodes_take_less_than_a_hundredth_of_a_core():
    """Beside what asyncio takes to wake as often: on some machines that alone is as much."""
    tick_seconds, ticks = 0.1, 40  # as by default, for four seconds

    async def bare():
        before = time.process_time()
        for _ in range(ticks):
            await asyncio.sleep(tick_seconds)
        return (time.process_time() - before) / (ticks * tick_seconds)

    async def idle():
        storage = raft.MemoryStorage(voters=[1])
        config = raft.Config(id=1)
        async with aio.Node(
            config, storage=storage, apply=print, tick_seconds=tick_seconds
        ) as node:
            await node.wait_for_leader()
            before = time.process_time()
            await asyncio.sleep(ticks * tick_seconds)
            return (time.process_time() - before) / (ticks * tick_seconds)

    # Once is enough: nothing here makes it look cheaper.
    shares = (asyncio.run(idle()) - asyncio.run(bare()) for _ in range(3))
    assert any(share < 0.01 for share in shares)
