"""Prints a line of C for every export, a call with zeros: what panics.c plants a panic in."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
HEADER = re.sub(r"/\*.*?\*/|//[^\n]*", "", (ROOT / "include/raftcore.h").read_text(),
                flags=re.DOTALL)

for name in (ROOT / "raft-ffi/exports.txt").read_text().split():
    found = re.search(rf"^([\w ]+[ *]){name}\(([^;]*)\);", HEADER, re.MULTILINE)
    result, arguments = found[1], [] if found[2].strip() == "void" else found[2].split(",")
    zeros = ["0"] * len(arguments)
    if arguments and "raftcore_error *" in arguments[-1]:
        zeros[-1] = "&error"
    kind = "FAILS" if zeros[-1:] == ["&error"] else "RETURNS"
    print(f"{kind}({name}({', '.join(zeros)}))")
    if kind == "FAILS" and "raftcore_status" not in result:
        raise SystemExit(f"{name} takes an error and returns no status")
