#!/usr/bin/env python3
"""Holds the repository to what no compiler checks: the shape of files, and prose against code.

What a test can compare is not kept in step by hand. Each check is a function that yields problems;
`tools/test_tidy.py` shows that each of them can fail. Standard library only, about a second.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COLUMNS = 100
LINES = 800
LINES_OF = {"README.md": 120, "ARCHITECTURE.md": 200}
GENERATED = {"include/raftcore.h", "raft-ffi/tests/c/first_release/raftcore.h"}
CODE = {".rs", ".c", ".h", ".hpp", ".py", ".go", ".sh"}
PROSE = {".md"}
# Files whose content is not ours to shape.
FOREIGN = {"Cargo.lock", "LICENSE"}
FOREIGN_SUFFIXES = {".sum", ".png", ".ico"}

# Written apart, so that this file does not find itself.
UNFINISHED = re.compile(
    r"\b(?:" + "|".join(["TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK"]) + r")\b"
    r"|\b(?:to" r"do|unimple" r"mented)!")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|farm|home)/")

# What must not occur where: the invariants of ARCHITECTURE.md. Tests may do more.
ABSENT = [
    ("raft-core/src/", r"\bstd::(?:time|thread|net|fs|io|process|env|sync::Mutex)\b",
     "the core knows no clock, thread, network or disk"),
    ("raft-core/src/", r"\bHashMap\b|\bHashSet\b", "no hash map: its order is random"),
    ("raft-core/src/", r"\be?print(?:ln)?!|\bdbg!", "the core prints nothing"),
    ("raft-core/src/", r"\braftcore_ffi\b|\braft_sim\b|\blibc::", "the core knows nobody"),
    ("raft-core/", r"\bunsafe\s*(?:\{|fn|impl)", "unsafe lives in raft-ffi and raft-blocks"),
    ("raft-sim/", r"\bunsafe\s*(?:\{|fn|impl)", "unsafe lives in raft-ffi and raft-blocks"),
    ("raft-blocks/src/", r"\braftcore::", "the blocks know nobody"),
    ("raft-ffi/src/", r"(?<!e)\bprintln!|\beprintln!|\bdbg!", "the library prints nothing"),
]

# Where prose may mean a path from, besides the root and its own folder.
PATH_BASES = ["raft-core/src", "raft-core/examples", "raft-ffi/src", "raft-sim/src", "include"]
PATH_SUFFIXES = ("rs", "c", "h", "hpp", "py", "go", "md", "toml", "proto", "txt")
# Prose about another project's code: its names are not looked up here.
OTHERS_NAMES = {"docs/src/coming-from-etcd-raft.md", "docs/src/coming-from-c-rafts.md"}
# Names in backticks that are nobody's identifier here.
WORDS = {"situation_outcome"}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def repository_files():
    """Every path that is or could be committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False)
    if listing.returncode == 0:
        names = listing.stdout.decode().split("\0")
    else:  # an unpacked archive
        skipped = {"target", ".git", "build", "__pycache__"}
        paths = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        names = [str(path) for path in paths if not skipped & set(path.parts)]
    return sorted(name for name in set(names) if name)


def is_text_of_ours(name):
    path = Path(name)
    if path.name in FOREIGN or path.suffix in FOREIGN_SUFFIXES or name.startswith("fuzz/corpus/"):
        return False
    return b"\0" not in (ROOT / name).read_bytes()


def without_code(text):
    """The lines of a page of prose with fenced code blanked out, so that line numbers stay."""
    fenced = False
    for line in text.splitlines():
        mark = line.lstrip().startswith("```")
        yield "" if fenced or mark else line
        fenced ^= mark


# ---- the shape of files

def check_columns(name, text):
    suffix = Path(name).suffix
    if name in GENERATED or suffix not in CODE | PROSE:
        return
    lines = without_code(text) if suffix in PROSE else text.splitlines()
    for number, line in enumerate(lines, 1):
        width = len(line.expandtabs(4))
        # Nobody can wrap a row of a table, nor an address.
        is_free = re.match(r"(?://[/!] ?)?\|", line) or suffix in PROSE and "://" in line
        if width > COLUMNS and not is_free:
            yield f"{name}:{number}: {width} columns, {COLUMNS} is the limit"


def check_length(name, text):
    limit = LINES_OF.get(name, LINES if Path(name).suffix in CODE else None)
    count = text.count("\n")
    if limit and count > limit and name not in GENERATED:
        yield f"{name}: {count} lines, {limit} is the limit: is it still one idea?"


def check_whitespace(name, text):
    if text and not text.endswith("\n"):
        yield f"{name}: the last line has no end"
    for number, line in enumerate(text.split("\n"), 1):
        if line.endswith("\r"):
            yield f"{name}:{number}: a carriage return"
        elif line.rstrip() != line and not name.endswith(".txt"):
            yield f"{name}:{number}: white space at the end"


def check_unfinished(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        found = UNFINISHED.search(line)
        if found:
            yield f"{name}:{number}: {found[0]}: finish it or open an issue"


def check_machine_paths(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        found = MACHINE_PATH.search(line)
        if found:
            yield f"{name}:{number}: {found[0]} is a path of one machine"


def check_opening(name, text):
    if name.endswith(".rs") and not text.startswith("//!"):
        yield f"{name}:1: a file opens with `//!`: what it is for, and what is not in it"


def check_absent(name, text):
    if not name.endswith(".rs") or re.search(r"/tests?[/.]", name):
        return
    code = text.split("#[cfg(test)]\nmod ")[0]
    for prefix, pattern, why in ABSENT:
        if not name.startswith(prefix):
            continue
        for number, line in enumerate(code.splitlines(), 1):
            found = re.search(pattern, line)
            if found and not line.lstrip().startswith("//"):
                yield f"{name}:{number}: {found[0]}: {why}"


# ---- prose against code

def is_checked_prose(name):
    """The pages that newcomers follow: at the top level, in the guide, and the crate's own."""
    return name.endswith(".md") and (
        "/" not in name or name.startswith("docs/") or name == "raft-core/README.md")


def check_links(name, text):
    if not name.endswith(".md"):
        return
    for number, line in enumerate(without_code(text), 1):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            target, _, anchor = target.partition("#")
            path = (ROOT / name).parent / target if target else ROOT / name
            if not path.exists():
                yield f"{name}:{number}: a link to {target}, which does not exist"
            elif anchor and path.suffix == ".md" and anchor not in anchors(path.read_text()):
                yield f"{name}:{number}: a link to #{anchor}, which is no heading there"


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", "\n".join(without_code(text)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def check_names(name, text, known):
    """Names in backticks exist: paths, make targets, identifiers. `known` is what there is."""
    if not is_checked_prose(name):
        return
    for number, line in enumerate(without_code(text), 1):
        for quoted in re.findall(r"(?<!`)`([^`]+)`(?!`)", line):
            problem = problem_with(quoted, name, known)
            if problem:
                yield f"{name}:{number}: `{quoted}`: {problem}"


def problem_with(quoted, name, known):
    others = name in OTHERS_NAMES or name == "CHANGELOG.md"
    if quoted.startswith("make "):
        target = quoted.split()[1]
        return None if target in known.targets else "no such target in the Makefile"
    if is_path(quoted):
        bases = [ROOT, (ROOT / name).parent, *(ROOT / base for base in PATH_BASES)]
        return None if any((base / quoted).exists() for base in bases) else "no such file"
    constant = re.fullmatch(r"(raftcore_|RAFTCORE_)\w*", quoted)
    if constant and not re.search(rf"\b{quoted}" + (r"" if quoted[-1] == "_" else r"\b"),
                                  known.header):
        return "not in include/raftcore.h"
    if re.fullmatch(r"[A-Za-z_]\w*(::\w+)+(\(\))?", quoted):
        words = re.findall(r"\w+", quoted)
        missing = [word for word in words if word not in known.words]
        return f"{missing[0]} is no name in the sources" if missing else None
    if not others and not constant and re.fullmatch(r"[A-Za-z_]\w*(\(\))?", quoted):
        word = quoted.removesuffix("()")
        return None if word in known.words | WORDS else "no such name in the sources"
    return None


def is_path(quoted):
    if re.search(r"[\s<>*{}$:=(),|\"']", quoted) or quoted.startswith(("-", "/", "target/")):
        return False
    if re.match(r"(?:[\w-]+\.)+(?:io|com|org|dev)\b", quoted) or quoted.startswith("."):
        return False
    return "/" in quoted or quoted.rpartition(".")[2] in PATH_SUFFIXES and "." in quoted


class Known:
    """What names in prose may mean."""

    def __init__(self, files):
        self.header = read("include/raftcore.h") if "include/raftcore.h" in files else ""
        makefile = read("Makefile")
        self.targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
        self.words = set()
        for name in files:
            suffix = Path(name).suffix
            if suffix in CODE | {".toml", ".proto"} or "/" not in name and suffix == "":
                self.words |= set(re.findall(r"\w+", read(name)))


def check_book(files):
    """The guide: every page is listed, every include is found, and no code is typed in by hand."""
    summary = read("docs/src/SUMMARY.md")
    listed = set(re.findall(r"\]\(([^)]+\.md)\)", summary))
    pages = {name.removeprefix("docs/src/") for name in files
             if name.startswith("docs/src/") and name.endswith(".md")} - {"SUMMARY.md"}
    for page in sorted(pages - listed):
        yield f"docs/src/SUMMARY.md: {page} is not listed"
    for page in sorted(pages):
        name = f"docs/src/{page}"
        yield from check_includes(name, read(name))


def check_includes(name, text):
    for block in re.finditer(r"^```([\w,]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        language, code = block[1].partition(",")[0], block[2]
        lines = [line for line in code.splitlines() if line.strip()]
        includes = [re.fullmatch(r"\{\{#include ([^:}]+)(?::(\w+))?\}\}", line) for line in lines]
        number = text[:block.start()].count("\n") + 1
        # The pages on Python are programs, which python/tests/test_docs.py runs.
        is_run = language == "python" and name.startswith("docs/src/python/")
        if language in {"rust", "c", "cpp", "go", "python"} and not (all(includes) or is_run):
            yield f"{name}:{number}: code that no test compiles: include it from a file"
        for found in filter(None, includes):
            path = ((ROOT / name).parent / found[1]).resolve()
            if not path.is_file():
                yield f"{name}:{number}: {found[1]} does not exist"
            elif found[2] and not re.search(rf"ANCHOR: {found[2]}\b", path.read_text()):
                yield f"{name}:{number}: {found[1]} has no ANCHOR {found[2]}"


def check_readme(readme, program):
    """The program that README prints is the file that the tests run."""
    printed = re.search(r"^```c\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    if not printed or printed[1] != program:
        yield "README.md: its C program is not examples/c/quickstart.c: " \
              "run `tools/tidy.py --write-readme`"


def write_readme():
    program = read("examples/c/quickstart.c")
    text = re.sub(r"^```c\n.*?^```$", lambda _: f"```c\n{program}```", read("README.md"),
                  count=1, flags=re.MULTILINE | re.DOTALL)
    (ROOT / "README.md").write_text(text, encoding="utf-8")


def check_versions(changelog, manifest, header):
    version = re.search(r'^version = "(.*)"', manifest, re.MULTILINE)[1]
    if not re.search(r"^## Unreleased", changelog, re.MULTILINE):
        yield "CHANGELOG.md: no section `## Unreleased`"
    releases = re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    if releases and releases[0] != version:
        yield f"CHANGELOG.md: the latest release is {releases[0]}, Cargo.toml says {version}"
    for crate, folder in (("raftcore", "raft-core"), ("raftcore-blocks", "raft-blocks")):
        if f'{crate} = {{ path = "{folder}", version = "{version}" }}' not in manifest:
            yield f"Cargo.toml: the dependency on {crate} does not name version {version}"
    parts = [re.search(rf"RAFTCORE_VERSION_{part} (\d+)", header)
             for part in ("MAJOR", "MINOR", "PATCH")]
    if header and ".".join(part[1] if part else "?" for part in parts) != version:
        yield f"include/raftcore.h: its version is not {version}"


def check_rust_version(name, text, manifest):
    """Where prose says which Rust is needed, it says what the manifest says."""
    needed = re.search(r'^rust-version = "(.*)"', manifest, re.MULTILINE)[1]
    for number, line in enumerate(text.splitlines(), 1):
        for found in re.findall(r"\bRust (?:is )?(\d+\.\d+)", line):
            if found != needed:
                yield f"{name}:{number}: Rust {found}, but Cargo.toml says {needed}"


def check_license(text):
    if "Apache License" not in text or "END OF TERMS AND CONDITIONS" not in text:
        yield "LICENSE: not the full text of the Apache License"


def check_architecture(architecture, files):
    """Every folder of the top level is on the map."""
    folders = {name.split("/")[0] for name in files if "/" in name}
    for folder in sorted(folder for folder in folders if not folder.startswith(".")):
        if f"{folder}/" not in architecture:
            yield f"ARCHITECTURE.md: {folder}/ is not on the map"


def check_rooms(readme, texts):
    """The three services have the same rooms, and each opens with the sentence that README has.

    `texts` has the text of each file below examples/.
    """
    rooms = re.findall(r"^\| `(\w+)` \| (.*) \|$", readme, re.MULTILINE)
    if not rooms:
        yield "examples/README.md: no table of rooms"
    folders = {"kv-c": "c", "kv-go": "go", "kv-python": "py"}
    for folder, suffix in folders.items():
        for room, sentence in rooms:
            text = texts.get(f"{folder}/{room}.{suffix}")
            if text is None:
                yield f"examples/{folder}: there is no room {room}.{suffix}"
            elif not opens_with(text, sentence):
                yield f"examples/{folder}/{room}.{suffix}: does not open with `{sentence}`"
        listed = {f"{folder}/{room}.{suffix}" for room, _ in rooms} | {"kv-c/bytes.c"}
        for name in sorted(texts):
            if name.startswith(f"{folder}/") and name.endswith(f".{suffix}") \
                    and name not in listed:
                yield f"examples/{name}: examples/README.md does not list this room"


def opens_with(text, sentence):
    """Whether a sentence stands in the first comment, but for line ends and comment marks."""
    comment = re.sub(r'(?m)^(?:/\*| \*|//|""")|\*/', " ", text[:1000])
    return " ".join(sentence.split()) in " ".join(comment.split())


def check_parts(contributing, test):
    """Every part of `make test` is explained."""
    for part in re.findall(r'^    \("([a-z-]+)", \d+, \[', test, re.MULTILINE):
        if f"`{part}`" not in contributing:
            yield f"CONTRIBUTING.md: part {part} of tools/test.py is not explained"


SHAPE = [check_columns, check_length, check_whitespace, check_unfinished, check_machine_paths,
         check_opening, check_absent, check_links]


def check_promises(behaviour, tests):
    """Each test that docs/src/behaviour.md names is there; `tests` has the text of each file."""
    for stem, test in re.findall(r"`(\w+)::(\w+)`", behaviour):
        if f"fn {test}(" not in tests.get(stem, ""):
            yield f"docs/src/behaviour.md: there is no test {stem}::{test}"


def check_symlink(name, target):
    if target.startswith("/"):
        yield f"{name}: a link to {target}, a path of one machine"


def problems():
    paths = repository_files()
    for name in paths:
        if (ROOT / name).is_symlink():
            yield from check_symlink(name, str((ROOT / name).readlink()))
    files = [name for name in paths if (ROOT / name).is_file()]
    known = Known(files)
    for name in files:
        if not is_text_of_ours(name):
            continue
        text = read(name)
        for check in SHAPE:
            yield from check(name, text)
        yield from check_names(name, text, known)
        if is_checked_prose(name):
            yield from check_rust_version(name, text, read("Cargo.toml"))
    yield from check_book(files)
    yield from check_readme(read("README.md"), read("examples/c/quickstart.c"))
    yield from check_versions(read("CHANGELOG.md"), read("Cargo.toml"), known.header)
    yield from check_license(read("LICENSE"))
    yield from check_parts(read("CONTRIBUTING.md"), read("tools/test.py"))
    yield from check_rooms(read("examples/README.md"), {
        name.removeprefix("examples/"): read(name) for name in files
        if name.startswith("examples/kv-")})
    tests = {path.stem: path.read_text() for path in (ROOT / "raft-core/tests/it").glob("*.rs")}
    yield from check_promises(read("docs/src/behaviour.md"), tests)
    yield from check_architecture(read("ARCHITECTURE.md"), files)


def main():
    if sys.argv[1:] == ["--write-readme"]:
        write_readme()
        return 0
    found = list(problems())
    for problem in found:
        print(problem)
    print(f"tidy: {len(found)} problems" if found else "tidy: nothing to complain about")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
