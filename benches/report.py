"""Turns the rows of the report into tables and plots. Nothing is measured here."""

import platform
import re
import subprocess
from pathlib import Path

from workloads import METRICS

OURS = "raftcore"


def pick(rows, workload, variant, metric):
    """The rows of one line of a table, by contender."""
    return {row["contender"]: row for row in rows
            if (row["workload"], row["variant"], row["metric"]) == (workload, variant, metric)}


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def cell(row):
    if row is None:
        return ""
    middle, low, high = (number(row[key]) for key in ("median", "min", "max"))
    return middle if low == high else f"{middle} ({low}–{high})"


def ratio(row, ours):
    """Of the medians, and the median of the ratios in each round."""
    if not row or not ours or not ours["median"]:
        return ""
    of_medians, by_round = row["median"] / ours["median"], row.get("by_round")
    return f"{of_medians:.2f} ({by_round:.2f})" if by_round else f"{of_medians:.2f}"


def lines_of(workload):
    """The lines of a workload's tables: title, variant, metric."""
    if workload.name in METRICS:
        return [(metric, workload.variants[0], metric) for metric in METRICS[workload.name]]
    return [(variant, variant, workload.metric) for variant in workload.variants]


def grid(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def table(workload, rows):
    """Medians with their range, then how many times the time of ours each takes."""
    lines = [(title, pick(rows, workload.name, variant, metric))
             for title, variant, metric in lines_of(workload)]
    names = list(dict.fromkeys(name for _, found in lines for name in found))
    of = "" if workload.name in METRICS else f", {workload.metric}"
    text = [f"\n### {workload.title}{of}\n"]
    text += grid(["median (range)", *names],
                 [[title, *(cell(found.get(name)) for name in names)] for title, found in lines])
    others = [name for name in names if name != OURS]
    if OURS in names and others:
        ratios = []
        for title, found in lines:
            ours = found.get(OURS)
            ratios.append([title, *(ratio(found.get(name), ours) for name in others)])
        text += ["", *grid([f"times {OURS} (round by round)", *others], ratios)]
    allocations = allocation_lines(workload, rows)
    if allocations:
        names = list(dict.fromkeys(name for _, found in allocations for name in found))
        text += ["", *grid(["counted", *names], [
            [title, *(number(found[name]["median"]) if name in found else "" for name in names)]
            for title, found in allocations])]
    return "\n".join(text)


def allocation_lines(workload, rows):
    metrics = dict.fromkeys(row["metric"] for row in rows if row["workload"] == workload.name
                            and row["metric"].startswith(("allocs_", "copied_", "in_place")))
    return [(f"{variant} {metric}", pick(rows, workload.name, variant, metric))
            for variant in workload.variants for metric in metrics]


def machine():
    """What was measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    count = len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE))

    def first_line(*command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.stdout.splitlines()[0]
        except (OSError, IndexError):
            return f"no {command[0]}"
    return [f"{model[1] if model else platform.machine()}, {count} cores, "
            f"Linux {platform.release()}", first_line("rustc", "--version"),
            first_line("cc", "--version"), first_line("go", "version")]


def page(workloads, rows, contenders, rounds):
    told = (f"{rounds} rounds in turns. Times are CPU time of the process: medians, with their "
            "range.")
    return written(told, workloads, rows, [c for c in contenders if c.workloads != {"W7"}])


def services_page(workloads, rows, contenders, rounds):
    """W7 apart: its clients, its nodes and whatever else runs share the machine's cores."""
    told = (f"{rounds} rounds in turns, medians with their range. `_c16` is with 16 clients,\n"
            "who each wait for an answer before they ask again; `cpu_us` is the CPU time of the\n"
            "three nodes together. The clients run on the same cores.")
    return written(told, workloads, rows, [c for c in contenders if "W7" in c.workloads])


def written(told, workloads, rows, contenders):
    load = Path("/proc/loadavg").read_text().split()[0]
    text = ["<!-- Written by benches/publish.py from what make bench measured. -->", "",
            told, f"The machine's load at the end was {load}.", "",
            *(f"- {line}" for line in machine()), "",
            *(f"- {c.name}: {c.about}" for c in contenders)]
    return "\n".join([*text, *(table(workload, rows) for workload in workloads)]) + "\n"


def plot(workloads, rows, folder):
    """A plot for each workload: bars, or for what grows, lines."""
    import matplotlib  # only where `make bench` installed it
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "raftcore", "svg.fonttype": "none"})
    from matplotlib import pyplot
    paths = []
    for workload in workloads:
        lines = [(title, pick(rows, workload.name, variant, metric))
                 for title, variant, metric in lines_of(workload)
                 if not workload.name.startswith("W7") or "s_per_s" in metric]
        names = list(dict.fromkeys(name for _, found in lines for name in found))
        figure, axes = pyplot.subplots(figsize=(9, 4.5))
        draw = draw_growth if workload.name.startswith("W9") else draw_bars
        draw(axes, lines, names)
        axes.set_title(workload.title)
        axes.set_ylabel("CPU ns" if workload.name == "W3" else workload.metric)
        axes.legend(fontsize="small")
        paths.append(folder / f"bench-{workload.name}.svg")
        figure.savefig(paths[-1], bbox_inches="tight", metadata={"Date": None})
        pyplot.close(figure)
    return paths


def draw_bars(axes, lines, names):
    width = 0.8 / max(1, len(names))
    for at, name in enumerate(names):
        found = [(place, row[name]) for place, (_, row) in enumerate(lines) if name in row]
        places = [place + (at - (len(names) - 1) / 2) * width for place, _ in found]
        middle = [row["median"] for _, row in found]
        below = [row["median"] - row["min"] for _, row in found]
        above = [row["max"] - row["median"] for _, row in found]
        axes.bar(places, middle, width, yerr=[below, above], label=name,
                 error_kw={"elinewidth": 0.7})
    axes.set_yscale("log")
    axes.set_xticks(range(len(lines)), [title for title, _ in lines], fontsize="small")


def draw_growth(axes, lines, names):
    for name in names:
        points = [(title.partition("=")[2], found[name]) for title, found in lines
                  if name in found]
        axes.errorbar(
            [x for x, _ in points], [row["median"] for _, row in points],
            [[row["median"] - row["min"] for _, row in points],
             [row["max"] - row["median"] for _, row in points]],
            label=name, marker="o", capsize=3)
    axes.set_xlabel(lines[0][0].partition("=")[0])
    axes.set_ylim(bottom=0)
