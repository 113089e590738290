#!/usr/bin/env python3
"""Runs the parts of `make test`, one after the other, and says how each went.

    tools/test.py              all parts
    tools/test.py c-api demo   only these

What a part prints goes to target/test-logs/<part>.log; the end of it is shown when the part fails.
A part that fails stops none of the others. The last line is `N passed, N failed`.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "target" / "test-logs"
KV_C = "target/kv-c/kv-c"
KV_PYTHON = "target/python-env/bin/python examples/kv-python/main.py"
KV_GO = "target/kv-go/kv-go"
BAD_INPUT = "python3 tests/demo/bad_input.py"
TAIL_LINES = 60
# A minute of the simulator: seeds that once found something, then fresh ones; the first line of its
# log says which.
SIM = "cargo run --release --locked --quiet -p raft-sim --bin sim --"
SIM_DEBUG = SIM.replace("--release ", "")
# The same hashes in every build: of some seeds, and of the recorded schedules (which `rust`
# replays in debug).
HASHES = "--seeds 1..25 --length 10 --hashes"
SIM_COMMANDS = [
    f"{SIM} --seconds 60 --jobs 0 --summary",
    f"{SIM_DEBUG} {HASHES} > target/sim-debug.txt",
    f"{SIM} {HASHES} > target/sim-release.txt",
    "test -s target/sim-debug.txt && cmp target/sim-debug.txt target/sim-release.txt",
    f"for f in raft-sim/tests/schedules/*.txt; do {SIM} --replay $f || exit 1; done",
]
# Every state of three nodes in two terms: with the leaders' own entries and a crash, and with one
# more entry. `make explore` adds the two up.
EXPLORE = "cargo run --release --locked --quiet -p raft-sim --bin explore --"
BENCH_LINTS = "cargo clippy --manifest-path benches/Cargo.toml --target-dir target/bench " \
              "-p bench-harness -p bench-raftcore -p bench-floor --locked --quiet -- -D warnings"
EXAMPLES = sorted(path.stem for path in (ROOT / "raft-core" / "examples").glob("*.rs"))

# name, minutes it may take, its commands, and a file without which the part is left out
PARTS = [
    ("check", 20, ["make check"], None),
    ("rust", 40, ["cargo test --workspace --locked --no-fail-fast"], None),
    ("examples", 10, [f"cargo run --locked -p raftcore --example {e}" for e in EXAMPLES], None),
    ("conformance", 20, ["make conformance"], None),
    ("mutants", 5, ["tests/mutants/run --check"], None),
    ("sim", 20, SIM_COMMANDS, None),
    ("explore", 20, [f"{EXPLORE} --proposals 1", f"{EXPLORE} --proposals 0 --crashes 1"], None),
    ("raft-rs", 20, ["tests/differential/run"], None),
    ("c-api", 30, ["cargo build --locked -p raftcore-ffi", "raft-ffi/tests/c/run",
                    "raft-ffi/tests/c/guarding/run"], None),
    ("cpp-api", 30, ["cargo build --locked -p raftcore-ffi", "raft-ffi/tests/cpp/run"], None),
    ("abi", 20, ["make abi"], None),
    ("install", 10, ["make lib", "tests/install/run"], None),
    ("python", 20, ["python/check"], None),
    ("snippets", 20, ["tools/snippets.py"], None),
    ("interop", 30, ["tests/interop/run"], None),
    ("bench", 20, [BENCH_LINTS, "benches/test_bench.py",
                    "benches/bench.py --smoke --only raftcore,raftcore-c",
                    "make bench-check"], None),
    ("go", 30, ["bindings/go/run", "tests/ported/run"], None),
    ("kv-go", 20, ["make kv-go", f"KV_BINARY=$PWD/{KV_GO} {BAD_INPUT}"], None),
    ("linearizability", 20, ["make kv-c kv-go", "tools/python-env",
                              "tests/linearizability/run planted", "tests/linearizability/run"],
     None),
    ("service", 20, ["make kv-c", f"KV_BINARY=$PWD/{KV_C} python3 tests/demo/bad_input.py"], None),
    ("page", 20, ["make kv-c kv-go", "tools/python-env", "tests/page/run"], None),
    ("demo", 20, ["make demo"], None),
    ("kv-python", 20, ["tools/python-env", f"KV_BINARY='{KV_PYTHON}' {BAD_INPUT}"], None),
    ("kills", 20, ["make kv-c kv-go", "tools/python-env",
                   f"python3 examples/demo/demo.py --binary {KV_C} --binary {KV_GO} "
                   f"--binary '{KV_PYTHON}' --kills 5"], None),
]


def run(command, log, end):
    """Runs a shell command. Returns what went wrong, or nothing."""
    log.write(f"$ {command}\n".encode())
    log.flush()
    environment = dict(os.environ, CARGO_TERM_COLOR="never", NO_COLOR="1",
                       PYTHONDONTWRITEBYTECODE="1", MAKEFLAGS="--no-print-directory")
    environment.pop("KEEP", None)
    # A session of its own, so that nothing it started outlives a part that takes too long.
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
        stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        code = process.wait(timeout=max(0.0, end - time.monotonic()))
    except BaseException as problem:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not isinstance(problem, subprocess.TimeoutExpired):
            raise
        return "it took too long"
    return f"exit code {code}" if code else None


def tail(path):
    lines = path.read_text(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-TAIL_LINES:]


def play(name, minutes, commands):
    """Runs a part. Returns whether it passed."""
    path = LOGS / f"{name}.log"
    started = time.monotonic()
    print(f"  {name:<12} ", end="", flush=True)
    with path.open("wb") as log:
        problem = None
        for command in commands:
            problem = run(command, log, started + 60 * minutes)
            if problem:
                break
    seconds = time.monotonic() - started
    last = tail(path)
    if problem:
        print(f"FAILED  {seconds:6.1f} s  {problem}: {command}")
        print("".join(f"    | {line}\n" for line in last), end="")
        print(f"    the whole of it: {path.relative_to(ROOT)}", flush=True)
    else:
        # Many tools end with the line that matters.
        print(f"passed  {seconds:6.1f} s  {last[-1].strip()[:60] if last else ''}", flush=True)
    return problem is None


def main():
    wanted = sys.argv[1:]
    unknown = set(wanted) - {name for name, *_ in PARTS}
    if unknown:
        print(f"no such part: {', '.join(sorted(unknown))}; the parts are "
              f"{', '.join(name for name, *_ in PARTS)}", file=sys.stderr)
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    passed, failed = [], []
    started = time.monotonic()
    for name, minutes, commands, needs in PARTS:
        if wanted and name not in wanted:
            continue
        if needs and not (ROOT / needs).exists():
            print(f"  {name:<12} left out: there is no {needs}")
            continue
        (passed if play(name, minutes, commands) else failed).append(name)
    print(f"  {'':<12} {'':<6} {time.monotonic() - started:8.1f} s in all")
    if failed:
        print(f"failed: {', '.join(failed)}")
    print(f"{len(passed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
