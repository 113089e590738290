#!/usr/bin/env python3
"""Shows that each check of tidy finds what it is for, and lets pass what is right."""

import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import tidy  # noqa: E402

KNOWN = SimpleNamespace(
    header="raftcore_node_tick RAFTCORE_ERR_PANIC", targets={"test"}, words={"Raft", "step"})
MANIFEST = '''version = "0.1.0"
rust-version = "1.88"
raftcore = { path = "raft-core", version = "0.1.0" }
raftcore-blocks = { path = "raft-blocks", version = "0.1.0" }
'''
HEADER = """#define RAFTCORE_VERSION_MAJOR 0
#define RAFTCORE_VERSION_MINOR 1
#define RAFTCORE_VERSION_PATCH 0
"""


class Checks(unittest.TestCase):
    def check(self, problems, part=None):
        """Expects one problem that has `part` in it; without `part`, none."""
        problems = list(problems)
        self.assertEqual(len(problems), 1 if part else 0, problems)
        if part:
            self.assertIn(part, problems[0])

    def test_long_lines(self):
        long = "a " * 60
        self.check(tidy.check_columns("x.rs", long), "x.rs:1: 120 columns")
        self.check(tidy.check_columns("x.md", f"ok\n{long}"), "x.md:2")
        self.check(tidy.check_columns("x.md", f"```\n{long}\n```\n|{long}|"))
        self.check(tidy.check_columns("x.rs", f"/// |{long}|"))
        self.check(tidy.check_columns("include/raftcore.h", long))

    def test_long_files(self):
        self.check(tidy.check_length("x.py", "\n" * 801), "801 lines")
        self.check(tidy.check_length("README.md", "\n" * 121), "120 is the limit")
        self.check(tidy.check_length("x.py", "\n" * 800))

    def test_white_space(self):
        self.check(tidy.check_whitespace("x.rs", "a \n"), "white space")
        self.check(tidy.check_whitespace("x.rs", "a\r\n"), "carriage return")
        self.check(tidy.check_whitespace("x.rs", "a"), "no end")
        self.check(tidy.check_whitespace("x.rs", "a\n"))

    def test_unfinished_places(self):
        for mark in ("TO" "DO", "FIX" "ME", "to" "do!()", "unimple" "mented!()"):
            self.check(tidy.check_unfinished("x.rs", f"a\n// {mark}\n"), "x.rs:2")
        self.check(tidy.check_unfinished("x.rs", "a to-do list, a hacker\n"))

    def test_paths_of_one_machine(self):
        for folder in ("work", "root", "home"):
            self.check(tidy.check_machine_paths("x.md", f"in /{folder}/me\n"), f"/{folder}/")
        self.check(tidy.check_machine_paths("x.md", "examples/home/x, the home/ folder\n"))
        self.check(tidy.check_symlink("x", "/elsewhere"), "path of one machine")
        self.check(tidy.check_symlink("x", "../elsewhere"))

    def test_openings(self):
        self.check(tidy.check_opening("x.rs", "use std;\n"), "opens with")
        self.check(tidy.check_opening("x.rs", "//! What it is for.\n"))

    def test_what_must_be_absent(self):
        core = "raft-core/src/step.rs"
        self.check(tidy.check_absent(core, "use std::time::Instant;"), "no clock")
        self.check(tidy.check_absent(core, "let m: HashMap<u8, u8>;"), "hash map")
        self.check(tidy.check_absent(core, "unsafe { x() }"), "unsafe")
        self.check(tidy.check_absent(core, "// std::time is not used"))
        self.check(tidy.check_absent(core, "a\n#[cfg(test)]\nmod tests { std::fs::x() }"))
        self.check(tidy.check_absent("raft-ffi/src/x.rs", "unsafe { x() }"))

    def test_links(self):
        self.check(tidy.check_links("README.md", "[a](nowhere.md)"), "does not exist")
        self.check(tidy.check_links("README.md", "[a](#nowhere)"), "no heading")
        self.check(tidy.check_links("README.md", "[a](LICENSE) [b](https://x.y/z)"))

    def test_names(self):
        def names(text):
            return tidy.check_names("README.md", text, KNOWN)
        self.check(names("`tools/nothing.py`"), "no such file")
        self.check(names("`make nothing`"), "no such target")
        self.check(names("`raftcore_node_tock`"), "not in include/raftcore.h")
        self.check(names("`Raft::stop`"), "stop is no name")
        self.check(names("`stop`"), "no such name")
        self.check(names("`tools/tidy.py` `make test` `raftcore_node_tick` `Raft::step` `step`"))
        self.check(names("`raftcore_` `cargo test` `a = b` `-1`"))

    def test_snippets_are_included(self):
        def includes(text):
            return tidy.check_includes("docs/src/x.md", text)
        self.check(includes("```rust\nlet x;\n```\n"), "no test compiles")
        self.check(includes("```c\n{{#include ../nothing.c}}\n```\n"), "does not exist")
        self.check(includes("```c\n{{#include ../snippets/calls.c:no}}\n```\n"), "no ANCHOR")
        self.check(includes("```c\n{{#include ../snippets/calls.c:turn}}\n```\n"))
        self.check(includes("```text\nanything\n```\n"))

    def test_readme_prints_the_program(self):
        self.check(tidy.check_readme("```c\nold\n```\n", "new\n"), "quickstart.c")
        self.check(tidy.check_readme("```c\nnew\n```\n", "new\n"))

    def test_versions(self):
        def versions(changelog, header=HEADER):
            return tidy.check_versions(changelog, MANIFEST, header)
        self.check(versions("## 0.1.0\n"), "Unreleased")
        self.check(versions("## Unreleased\n## 0.2.0\n"), "latest release is 0.2.0")
        self.check(versions("## Unreleased\n", HEADER.replace("1", "2")), "raftcore.h")
        self.check(versions("## Unreleased\n## 0.1.0\n"))
        self.check(tidy.check_rust_version("x.md", "needs Rust 1.70\n", MANIFEST), "1.88")
        self.check(tidy.check_rust_version("x.md", "needs Rust 1.88\n", MANIFEST))

    def test_license(self):
        self.check(tidy.check_license("Apache License"), "full text")

    def test_every_promised_test_is_there(self):
        tests = {"reads": "fn a_read_waits() {"}
        self.check(tidy.check_promises("`reads::a_read_waits`, `reads::gone`", tests), "gone")

    def test_the_services_have_the_same_rooms(self):
        readme = "| `main` | Start, signals,  stop. |\n"
        texts = {
            "kv-c/main.c": "/* Start, signals,\n * stop. And more. */", "kv-c/bytes.c": "",
            "kv-go/main.go": "// Start, signals, stop.\n\npackage main\n",
            "kv-python/main.py": '"""Start, signals, stop."""\n',
        }
        self.check(tidy.check_rooms(readme, texts))
        self.check(tidy.check_rooms(readme, {**texts, "kv-go/main.go": "// Stop.\n"}), "open with")
        self.check(tidy.check_rooms(readme, {**texts, "kv-go/new.go": ""}), "not list")
        del texts["kv-python/main.py"]
        self.check(tidy.check_rooms(readme, texts), "no room main.py")
        self.check(tidy.check_rooms("", {}), "no table")

    def test_every_part_is_explained(self):
        parts = '    ("rust", 9, [\n    ("new", 9, ["x"]'
        self.check(tidy.check_parts("`rust`", parts), "part new")

    def test_every_folder_is_on_the_map(self):
        self.check(tidy.check_architecture("tools/", ["tools/x", "new/x", ".ci/run"]), "new/")


if __name__ == "__main__":
    unittest.main()
