#!/usr/bin/env python3
"""Does with the C snippets of README and guide what a reader would do: compiles and runs them.

The program in README is compiled and run by the very commands that README prints below it. The
guide's own files in docs/snippets, and the samples in examples/c, are compiled as C99 with all
warnings as errors, linked with the library that `cargo build` makes, and run. The Rust snippets are
files of raft-core/examples, which the tests build and run anyway.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Iinclude"]
LIBRARY = "target/debug/libraftcore.a"
SYSTEM = ["-lpthread", "-ldl", "-lm"]


def run(command, **options):
    print("$", command if isinstance(command, str) else " ".join(command), flush=True)
    return subprocess.run(command, cwd=ROOT, check=True, timeout=900, **options)


def play_readme():
    """README's program, as printed."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"```c\n.*?```\n.*?```sh\n(.*?)```", text, re.DOTALL)
    if not found:
        raise SystemExit("README.md: no C program followed by the commands that run it")
    output = run(["bash", "-ec", found[1]], stdout=subprocess.PIPE, text=True).stdout
    print(output, end="")
    for member in (1, 2, 3):
        if f"member {member} applies: hello" not in output:
            raise SystemExit(f"README.md: member {member} of its program applied nothing")


def play_file(source, folder):
    program = Path(folder) / source.stem
    run(["cc", *FLAGS, str(source.relative_to(ROOT)), LIBRARY, *SYSTEM, "-o", str(program)])
    run([str(program)])


def main():
    try:
        play_readme()
        run(["cargo", "build", "--locked", "--quiet", "-p", "raftcore-ffi"])
        sources = [*ROOT.glob("docs/snippets/*.c"), *ROOT.glob("examples/c/*.c")]
        with tempfile.TemporaryDirectory() as folder:
            for source in sorted(sources):
                play_file(source, folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"README's program and {len(sources)} files compile and run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
