#!/usr/bin/env python3
"""Takes what `make bench` measured into the repository, so that no figure is typed by hand:

    benches/RESULTS.md      every table, with machine and versions; the guide includes it
    docs/src/plots          the plots that the guide shows
    README.md               the short table, with machine and versions, between its marks

    publish.py services     only W7, as benches/RESULTS-services.md

Run it after a whole `make bench` on a machine that does little else, and commit what it wrote.
"""

import json
import re
import shutil
import subprocess
import sys
import textwrap

import report
from bench import JSON, SERVICES_PAGE
from contenders import CONTENDERS, HERE, ROOT
from workloads import WORKLOADS

PLOTS = ["W1", "W2", "W8", "W9-log", "W9-cluster", "W9-payload", "W9-window", "W9-loss"]
# Lines of the short table: title, workload, variant, metric.
SHORT = [
    ("commit an entry, 1 at a time", "W1", "batch=1", "cpu_ns_per_entry"),
    ("16 in one call", "W1", "batch=16", "cpu_ns_per_entry"),
    ("16 in 16 calls", "W1", "batch=16 mode=each", "cpu_ns_per_entry"),
    ("one member alone", "W4", "batch=1", "cpu_ns_per_entry"),
    ("a linearizable read, 16 at a time", "W8", "batch=16", "cpu_ns_per_read"),
]
SHORT_NAMES = ["raftcore", "c-raft", "raft-rs", "etcd-raft"]
MARKS = re.compile(r"(<!-- bench -->\n).*?(<!-- end of bench -->\n)", re.DOTALL)


def short_table(rows):
    names, lines = SHORT_NAMES, []
    for title, workload, variant, metric in SHORT:
        found = report.pick(rows, workload, variant, metric)
        lines.append([title, *(report.number(found[n]["median"]) if found.get(n) else "–"
                               for n in names)])
    return "\n".join(report.grid(["CPU ns", *names], lines)) + "\n"


def short_origin(page):
    """On what the short table was measured, and with which peers: from the page of that run."""
    machine = re.search(r"^- .*?\n\n", page, re.DOTALL | re.MULTILINE)[0]
    tools = re.sub(r" \([^)]*\)", "", machine).replace("- ", "").strip().splitlines()
    peers = [c.about.partition(",")[0] for c in CONTENDERS if c.name in SHORT_NAMES[1:]]
    text = (f"Three members, 128 bytes an entry, medians. {'; '.join(tools + peers)}.\n"
            "`make bench` repeats it, and says [more](docs/src/performance.md).")
    return textwrap.fill(text, 100, break_on_hyphens=False) + "\n"


def publish_services():
    if not SERVICES_PAGE.exists():
        raise SystemExit(f"publish: there is no {SERVICES_PAGE.name}: make bench WORKLOAD=W7")
    shutil.copy(SERVICES_PAGE, HERE / "RESULTS-services.md")


def main():
    publish_services()
    if sys.argv[1:] == ["services"]:
        return 0
    rows = json.loads(JSON.read_text())
    missing = {w.name for w in WORKLOADS} - {row["workload"] for row in rows}
    if missing:
        raise SystemExit(f"publish: {JSON.name} has no {', '.join(sorted(missing))}: make bench")
    shutil.copy(JSON.with_suffix(".md"), HERE / "RESULTS.md")
    for name in PLOTS:
        target = ROOT / "docs" / "src" / "plots" / f"{name}.svg"
        target.parent.mkdir(exist_ok=True)
        text = (JSON.parent / f"bench-{name}.svg").read_text()
        target.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
    readme = ROOT / "README.md"
    table = f"{short_table(rows)}\n{short_origin(JSON.with_suffix('.md').read_text())}"
    text, count = MARKS.subn(lambda found: found[1] + table + found[2], readme.read_text())
    if count != 1:
        raise SystemExit("publish: README.md has no marks for the table")
    readme.write_text(text)
    known = {c.name for c in CONTENDERS}
    assert set(SHORT_NAMES) <= known, "a contender of the short table is gone"
    subprocess.run(["git", "status", "--short"], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
