#!/usr/bin/env python3
"""Runs the contenders side by side, and reports.

    benches/bench.py                everything, under twenty minutes
    benches/bench.py W1 W4          only these workloads
    benches/bench.py --rounds 9     more rounds, for a busy machine
    benches/bench.py --only raftcore,raft-rs
    benches/bench.py --keep W1      keep what target/bench.json has of the other workloads
    benches/bench.py --smoke        each once, small: that they run, not how fast; writes nothing

The contenders take turns (A B A B ...), so that a machine that slows down slows all of them. CPU
time is the figure to look at where others use the machine too. Writes target/bench.json, a table
in target/bench.md, and plots beside them.
"""

import argparse
import json
import subprocess
import sys
from statistics import median

import report
from contenders import CONTENDERS, ROOT
from workloads import WORKLOADS, unit

JSON = ROOT / "target" / "bench.json"
SERVICES_PAGE = ROOT / "target" / "bench-services.md"
# What does not change from run to run, so that it must not be a rate.
CHECKED = "check_sum"
SMOKE = ["entries=1000", "reads=1000", "groups=50", "seconds=0.2"]


def figures_of(command):
    """Runs a program and reads its figures."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=600, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(map(str, command))}: exit code {done.returncode}\n"
                         f"{done.stderr[-2000:]}")
    pairs = (line.split() for line in done.stdout.splitlines())
    return {name: float(value) for name, value in pairs}


def call(program, workload, variant, contender, smoke):
    # Of arguments with the same name the first counts.
    return [*program[:1], workload.command, *(SMOKE if smoke else []), *variant.split(),
            *workload.fixed.split(), *contender.args, *program[1:]]


def play(workload, variant, contenders, rounds, smoke):
    """One variant of a workload: rounds in turns, and one run that counts allocations."""
    seen = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            figures = figures_of(call([contender.build.path], workload, variant, contender,
                                      smoke))
            seen[contender.name].append(figures)
    for contender in contenders:
        runs = seen[contender.name]
        if len({figures.get(CHECKED) for figures in runs}) != 1:
            raise SystemExit(f"bench: {contender.name} applied other entries in another round")
        values = {name: [figures[name] for figures in runs] for name in runs[0]}
        by_round = {name: times_ours(runs, seen.get(report.OURS), name) for name in values}
        if contender.build.counted and not workload.name.startswith("W9"):
            counted = figures_of(call(contender.build.counted, workload, variant, contender,
                                      smoke))
            values.update({name: [value] for name, value in counted.items()
                           if not name.startswith(("cpu_", "wall_", "rss_"))})
        for metric, found in values.items():
            if metric != CHECKED:
                yield {"workload": workload.name, "variant": variant,
                       "contender": contender.name, "metric": metric, "unit": unit(metric),
                       "median": median(found), "min": min(found), "max": max(found),
                       "by_round": by_round.get(metric)}


def times_ours(runs, ours, metric):
    """How many times ours it was, round by round: the median. What slows the machine for a while
    slows both of a round, so this stays where it is when the medians of all rounds wander."""
    pairs = [(one[metric], our[metric]) for one, our in zip(runs, ours or []) if metric in our]
    if not pairs or not all(our for _, our in pairs):
        return None
    return median(one / our for one, our in pairs)


def chosen(names, only):
    """The workloads and contenders that are asked for."""
    known = {workload.name for workload in WORKLOADS} | {"W7", "W9"}
    for name in set(names) - known:
        raise SystemExit(f"bench: no workload {name}; there are {', '.join(sorted(known))}")
    for name in set(only) - {contender.name for contender in CONTENDERS}:
        raise SystemExit(f"bench: no contender {name}")
    workloads = [workload for workload in WORKLOADS if not names or workload.name in names
                 or workload.name.partition("-")[0] in names]
    families = {workload.name.partition("-")[0] for workload in workloads}
    contenders = []
    for contender in CONTENDERS:
        if only and contender.name not in only or not families & contender.workloads:
            continue
        reason = contender.available()
        if reason:
            print(f"bench: NOT RUN: {contender.name}: {reason}", flush=True)
        else:
            contenders.append(contender)
    return workloads, contenders


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    options.rounds = 1 if options.smoke else options.rounds
    workloads, contenders = chosen(options.workloads, [n for n in options.only.split(",") if n])
    for build in dict.fromkeys(contender.build for contender in contenders):
        print(f"building {build.path.name}", flush=True)
        build.make()
    rows = []
    for workload in workloads:
        family = workload.name.partition("-")[0]
        taking_part = [c for c in contenders if family in c.workloads]
        for variant in workload.variants:
            rows += play(workload, variant, taking_part, options.rounds, options.smoke)
        if not options.smoke:
            print(report.table(workload, rows), flush=True)
    if options.smoke:
        print(f"{len(contenders)} contenders ran {len(workloads)} workloads, small, and agree")
        return 0
    if options.keep and JSON.exists():
        ran = {workload.name for workload in workloads}
        rows += [row for row in json.loads(JSON.read_text()) if row["workload"] not in ran]
        workloads = [w for w in WORKLOADS if any(row["workload"] == w.name for row in rows)]
        contenders = [c for c in CONTENDERS if any(row["contender"] == c.name for row in rows)]
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps(rows, indent=1) + "\n")
    of_core = [w for w in workloads if not w.name.startswith("W7")]
    page = report.page(of_core, rows, contenders, options.rounds)
    JSON.with_suffix(".md").write_text(page)
    of_services = [w for w in workloads if w.name.startswith("W7")]
    if of_services:
        SERVICES_PAGE.write_text(report.services_page(of_services, rows, contenders,
                                                      options.rounds))
    plots = report.plot(workloads, rows, JSON.parent)
    print(f"wrote {', '.join(str(p.relative_to(ROOT)) for p in [JSON, *plots])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
