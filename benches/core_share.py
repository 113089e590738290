#!/usr/bin/env python3
"""What share of a service's CPU time is spent in our core: samples of W7's writes by Linux's perf.

    benches/core_share.py                 kv-c and kv-go, 64 clients, synced and not
    benches/core_share.py --seconds 20    longer, on a busy machine

A sample counts as the core's when any function of its stack, from the kernel up, is one of the
library's: what the library calls, memory or copies, is the library's too. The rest is the service's
own: HTTP, the disk, the kernel. Run `make bench WORKLOAD=W7` first, which builds what is needed.
"""

import argparse
import collections
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target" / "bench" / "services" / "services"
# Rust's names of the crates, as perf writes them, and the C functions in front of them.
OURS = re.compile(r"\b(?:raftcore(?:_ffi|_sim)?::|raft_core::|raft_ffi::|raftcore_\w+)")
ROOMS = [
    ("core", OURS),
    ("SQLite or etcd's wal", re.compile(r"sqlite3|/storage/wal|/api/snap")),
]
REST = "HTTP, the loop, the kernel"


def samples(system, store, seconds):
    """The stacks of the three nodes while 64 clients write."""
    command = [PROGRAM, "services", f"system={system}", f"root={ROOT}", f"store={store}",
               "seconds=1", f"hold={seconds + 3}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service, \
            tempfile.NamedTemporaryFile() as data:
        pids = ",".join(service.stdout.readline().strip() for _ in range(3))
        time.sleep(1)
        subprocess.run(["perf", "record", "--quiet", "--freq", "199", "--call-graph",
                        "dwarf,16384", "--output", data.name, "--pid", pids, "--", "sleep",
                        str(seconds)], check=True, stdout=subprocess.DEVNULL)
        text = subprocess.run(["perf", "script", "--input", data.name, "--fields", "ip,sym"],
                              check=True, capture_output=True, text=True).stdout
        if service.wait() != 0:
            raise SystemExit(f"core_share: {system}: the load failed")
    return [stack for stack in text.split("\n\n") if stack.strip()]


def shares(stacks):
    """Of all samples, how many belong to each room; the core comes first."""
    counts = collections.Counter()
    for stack in stacks:
        counts[next((name for name, pattern in ROOMS if pattern.search(stack)), REST)] += 1
    return {name: counts[name] / len(stacks) for name in [*(n for n, _ in ROOMS), REST]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=8)
    options = parser.parse_args()
    for system in ("kv-c", "kv-go"):
        for store in ("disk", "memory"):
            found = samples(system, store, options.seconds)
            rooms = ", ".join(f"{name} {share:.1%}" for name, share in shares(found).items())
            print(f"{system} on {store}: {rooms} ({len(found)} samples)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
