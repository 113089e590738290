#!/usr/bin/env python3
"""Shows that the measuring tools can fail: a check of instructions that finds what got dearer, and
a report whose ratios are right."""

import contextlib
import io
import unittest

import bench
import instructions
import publish
import report
from workloads import WORKLOADS

HERE = instructions.tools()


def compare(now, before, tools=HERE):
    """How many figures are dearer, and what was printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        dearer = instructions.compare({"a tick": now},
                                      {"tools": tools, "instructions": {"a tick": before}})
    return dearer, out.getvalue()


class Instructions(unittest.TestCase):
    def test_three_percent_pass_and_four_do_not(self):
        self.assertEqual(compare(102.9, 100.0)[0], 0)
        self.assertEqual(compare(104.0, 100.0)[0], 1)

    def test_other_tools_are_named_and_still_compared(self):
        other = dict(HERE, rustc="rustc 1.0.0")
        dearer, text = compare(110.0, 100.0, other)
        self.assertEqual(dearer, 0)
        self.assertIn("OTHER TOOLS", text)
        self.assertIn("rustc 1.0.0", text)
        self.assertEqual(compare(116.0, 100.0, other)[0], 1)

    def test_what_got_cheaper_asks_for_a_new_baseline(self):
        dearer, text = compare(90.0, 100.0)
        self.assertEqual(dearer, 0)
        self.assertIn("make bench-baseline", text)

    def test_a_figure_without_a_baseline_fails(self):
        with self.assertRaises(SystemExit):
            instructions.compare({"new": 1.0}, {"tools": HERE, "instructions": {}})


class Report(unittest.TestCase):
    def test_ratios_are_those_of_the_medians(self):
        def row(contender, median):
            return {"workload": "W4", "variant": "batch=1", "contender": contender,
                    "metric": "cpu_ns_per_entry", "unit": "ns", "median": median,
                    "min": median - 1, "max": median + 1}
        w4 = next(workload for workload in WORKLOADS if workload.name == "W4")
        text = report.table(w4, [row("raftcore", 50.0), row("raft-rs", 400.0)])
        self.assertIn("| batch=1 | 50.0 (49.0–51.0) | 400 (399–401) |", text)
        self.assertIn("| batch=1 | 8.00 |", text)

    def test_a_machine_that_slows_down_does_not_show_round_by_round(self):
        ours = [{"ns": ns} for ns in (10.0, 10.0, 30.0, 30.0, 30.0)]
        other = [{"ns": ns} for ns in (11.0, 11.0, 11.0, 33.0, 33.0)]
        self.assertAlmostEqual(bench.times_ours(other, ours, "ns"), 1.1)
        self.assertIsNone(bench.times_ours(other, None, "ns"))
        self.assertIsNone(bench.times_ours(other, [{"ns": 0.0}] * 5, "ns"))
        row = {"median": 11.0, "by_round": 1.1}
        self.assertEqual(report.ratio(row, {"median": 30.0}), "0.37 (1.10)")

    def test_the_short_table_names_machine_tools_and_peers(self):
        page = report.page([], [], bench.CONTENDERS, 5)
        text = " ".join(publish.short_origin(page).split())
        self.assertRegex(text, r"\d cores")
        self.assertRegex(text, r"rustc \d")
        for peer in ("; raft 0.7.0;", "go.etcd.io/raft/v3 3.7.0;", "libraft 0.15."):
            self.assertIn(peer, text)

    def test_a_program_that_fails_ends_the_bench(self):
        with self.assertRaises(SystemExit):
            bench.figures_of(["false"])


if __name__ == "__main__":
    unittest.main()
