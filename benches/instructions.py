#!/usr/bin/env python3
"""Counts the instructions that the core takes per unit of work, and compares with a baseline.

    benches/instructions.py            compare; fails when something got 3 % dearer
    benches/instructions.py --write    write benches/baseline.json

Instructions, because they are the same on a busy machine. Each figure is the difference of two
runs under callgrind, a longer and a shorter one, so that start and end cancel out.

They do depend on the compiler, on glibc and on valgrind, whose versions are in the baseline. With
the same ones the tolerance is 3 %. With others it is 15 %: that still finds a blunder, and the
output says so. What got cheaper by more than the tolerance does not fail, but asks for a new
baseline, since the next regression would hide behind it.
"""

import json
import os
import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from contenders import CORE, HERE, ROOT

BASELINE = HERE / "baseline.json"
TOLERANCE = 0.03
TOLERANCE_OTHER_TOOLS = 0.15
# Valgrind shows the program the host's vector units, and glibc picks its memcpy by them.
PLAIN_CPU = "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM"

# name: the arguments, what is counted, and from how many to how many
COMMIT = "commit compact=512 entries"
FIGURES = {
    "W1 batch=1, an entry": (f"batch=1 {COMMIT}", 1024, 3072),
    "W1 batch=16, an entry": (f"batch=16 {COMMIT}", 1024, 3072),
    "W1 batch=16 mode=each, an entry": (f"batch=16 mode=each {COMMIT}", 1024, 3072),
    "W1 batch=256, an entry": (f"batch=256 {COMMIT}", 1024, 5120),
    "W2 batch=1, an entry": (f"batch=1 encoded=1 {COMMIT}", 1024, 3072),
    "W2 batch=16, an entry": (f"batch=16 encoded=1 {COMMIT}", 1024, 3072),
    "W4, an entry": (f"batch=1 voters=1 {COMMIT}", 1024, 3072),
    "W3, a tick": ("ticks ticks", 1_000, 11_000),
    "W3, a round of heartbeats and 10 ticks": ("ticks beats", 100, 600),
    "W8 batch=1, a read": ("batch=1 reads reads", 1024, 3072),
    "W8 batch=16, a read": ("batch=16 reads reads", 1024, 3072),
}


def count(arguments, number):
    """The instructions of one run."""
    words = f"{arguments}={number}".split()
    # The workload comes first on the command line.
    words.sort(key=lambda word: "=" in word)
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(CORE.path),
               *words]
    environment = {"PATH": os.environ["PATH"], "GLIBC_TUNABLES": PLAIN_CPU}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900,
                          check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return int(found[1])


def figure(definition):
    arguments, low, high = definition
    return (count(arguments, high) - count(arguments, low)) / (high - low)


def tools():
    def first_line(*command):
        return subprocess.run(command, capture_output=True, text=True,
                              check=True).stdout.splitlines()[0]
    return {"rustc": first_line("rustc", "--version"), "libc": " ".join(platform.libc_ver()),
            "valgrind": first_line("valgrind", "--version"), "machine": platform.machine()}


def compare(now, baseline):
    """Prints each figure beside the baseline. Returns how many are dearer than they may be."""
    here, there = tools(), baseline["tools"]
    tolerance = TOLERANCE
    if here != there:
        tolerance = TOLERANCE_OTHER_TOOLS
        print(f"OTHER TOOLS than the baseline's, so the tolerance is {tolerance:.0%}, not "
              f"{TOLERANCE:.0%}:")
        for name in there:
            if here[name] != there[name]:
                print(f"  {name}: {here[name]}; the baseline's: {there[name]}")
    dearer = cheaper = 0
    for name, value in now.items():
        before = baseline["instructions"].get(name)
        if before is None:
            raise SystemExit(f"{name}: not in {BASELINE.name}: make bench-baseline")
        change = value / before - 1
        verdict = "DEARER" if change > tolerance else "cheaper" if change < -tolerance else ""
        dearer += verdict == "DEARER"
        cheaper += verdict == "cheaper"
        print(f"  {name:<40} {before:10.1f} {value:10.1f} {change:+7.1%} {verdict}")
    if dearer or cheaper:
        print("meant? then `make bench-baseline`, and commit it with the reason")
    print(f"{len(now) - dearer} figures within {tolerance:.0%} of the baseline or better, "
          f"{dearer} dearer")
    return dearer


def main():
    CORE.make_timed()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        now = dict(zip(FIGURES, pool.map(figure, FIGURES.values())))
    now = {name: round(value, 1) for name, value in now.items()}
    if sys.argv[1:] == ["--write"]:
        BASELINE.write_text(json.dumps({"tools": tools(), "instructions": now}, indent=2) + "\n")
        for name, value in now.items():
            print(f"  {name:<40} {value:10.1f}")
        print(f"wrote {BASELINE.relative_to(ROOT)}")
        return 0
    return 1 if compare(now, json.loads(BASELINE.read_text())) else 0


if __name__ == "__main__":
    sys.exit(main())
