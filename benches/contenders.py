"""The contenders: one table. To add one, add its line here, and how to build it in `Build`.

A contender is a program that is called as `program WORKLOAD name=value...` and prints its figures
as lines `name value`; README.md says which workloads there are and what each prints.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benches"
OUT = ROOT / "target" / "bench"
COUNTED = ROOT / "target" / "bench-count"


def run(*command, cwd=ROOT, **environment):
    subprocess.run(command, cwd=cwd, check=True, env=dict(os.environ, **environment))


@dataclass(frozen=True)
class Build:
    """How a program comes about: the timed one in `path`, the counting one in `counted`."""
    path: Path
    counted: list = field(hash=False)  # the command that counts allocations, empty for none

    def make(self):
        raise NotImplementedError(self)  # each language has its own


class Cargo(Build):
    @classmethod
    def of(cls, package):
        return cls(OUT / "release" / package, [COUNTED / "release" / package])

    def make(self):
        self.make_timed()
        self.build(COUNTED, "--features", f"{self.path.name}/count")

    def make_timed(self):
        self.build(OUT)

    def build(self, target, *features):
        run("cargo", "build", "--release", "--locked", "--quiet", "--manifest-path",
            str(HERE / "Cargo.toml"), "-p", self.path.name, "--target-dir", str(target), *features)


class Gcc(Build):
    @classmethod
    def of(cls, name):
        return cls(OUT / "c" / name, [COUNTED / "c" / name])

    def make(self):
        source = HERE / "c" / f"{self.path.name.replace('-', '_')}.c"
        libraries = ["-lraft"]
        if self.path.name == "raftcore-c":
            run("cargo", "build", "--release", "--locked", "--quiet", "-p", "raftcore-ffi",
                "--target-dir", str(ROOT / "target"))
            libraries = [str(ROOT / "target/release/libraftcore.a"), "-lpthread", "-ldl", "-lm"]
        for path, flags in ((self.path, []), (self.counted[0], ["-DCOUNT"])):
            path.parent.mkdir(parents=True, exist_ok=True)
            run("cc", "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Iinclude",
                *flags, "-o", str(path), str(source), "benches/c/bench.c", *libraries)


class Go(Build):
    @classmethod
    def of(cls, module):
        path = OUT / "go" / module
        return cls(path, [path, "count=1"])

    def make(self):
        tags, environment = [], {}
        if self.path.name == "raftcore":
            # The library of this tree, installed where pkg-config finds it.
            prefix = ROOT / "target/go/prefix"
            run("make", "--silent", "lib")
            run("tools/install", PREFIX=str(prefix))
            tags = ["-tags", "raftcore_static"]
            environment["PKG_CONFIG_PATH"] = f"{prefix}/lib/pkgconfig"
        run("go", "build", *tags, "-o", str(self.path), ".", cwd=HERE / "go" / self.path.name,
            **environment)


class Python(Build):
    """A program in `python/`, with the package of this tree and the peers of its language."""

    @classmethod
    def of(cls, name):
        return cls(OUT / "python" / name, [])

    def make(self):
        python = ROOT / "target" / "python-env" / "bin" / "python"
        script = HERE / "python" / f"{self.path.name.replace('-', '_')}.py"
        run(str(ROOT / "tools" / "python-env"))
        run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--require-hashes", "-r", str(HERE / "python" / "requirements.txt"))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(f'#!/bin/sh\nexec "{python}" "{script}" "$@"\n')
        self.path.chmod(0o755)


class Services(Build):
    """The services, etcd's, and the program that runs clusters of them."""

    @classmethod
    def all(cls):
        return cls(OUT / "services" / "services", [])

    def make(self):
        run("make", "--silent", "kv-c", "kv-go")
        run(str(ROOT / "tools" / "python-env"))
        folder = HERE / "go" / "services"
        for program, package in (("services", "."), ("etcd", "go.etcd.io/etcd/server/v3"),
                                 ("raftexample", "go.etcd.io/etcd/v3/contrib/raftexample")):
            run("go", "build", "-o", str(self.path.parent / program), package, cwd=folder)


@dataclass(frozen=True)
class Contender:
    """Its name in the report, its program, what it is called with besides, and what it can do."""
    name: str
    about: str
    build: Build
    args: tuple = ()
    workloads: frozenset = frozenset(["W1", "W2", "W3", "W4", "W5", "W8"])

    def available(self):
        """Why it cannot take part on this machine, or nothing."""
        if isinstance(self.build, (Go, Services)) and not shutil.which("go"):
            return "Go is not installed"
        if self.build.path.name == "c-raft" and not Path("/usr/include/raft.h").exists():
            return "libraft-dev is not installed"
        return None


CORE = Cargo.of("bench-raftcore")
RAFT_RS = Cargo.of("bench-raft-rs")
C_RAFT = Gcc.of("c-raft")
WITH_GROWTH = frozenset(["W1", "W2", "W3", "W4", "W5", "W8", "W9"])

CONTENDERS = [
    Contender("raftcore", "raft-core, its MemoryStorage", CORE, workloads=WITH_GROWTH),
    Contender("raftcore-c", "libraftcore through raftcore.h", Gcc.of("raftcore-c"),
              workloads=frozenset(["W1", "W2", "W3", "W4", "W8"])),
    Contender("raftcore-go", "libraftcore through its Go module", Go.of("raftcore")),
    Contender("raft-rs", "raft 0.7.0, its MemStorage", RAFT_RS, workloads=WITH_GROWTH),
    Contender("raft-rs-best", "raft 0.7.0, a storage without lock or clone", RAFT_RS,
              ("storage=best",), frozenset(["W1", "W2", "W4"])),
    Contender("etcd-raft", "go.etcd.io/raft/v3 3.7.0", Go.of("etcd37")),
    Contender("etcd-raft-3.6", "go.etcd.io/raft/v3 3.6.0", Go.of("etcd36")),
    Contender("c-raft", "libraft 0.15, a heartbeat after each batch: like for like", C_RAFT,
              ("flush=1",), frozenset(["W1", "W4"])),
    Contender("raftcore-python", "the package raftcore on CPython, messages as bytes",
              Python.of("raftcore-python"), workloads=frozenset(["W2", "W4"])),
    Contender("pysyncobj", "PySyncObj 0.3.17 on CPython, over the loopback",
              Python.of("pysyncobj-bench"), workloads=frozenset(["W2"])),
    Contender("c-raft-late", "libraft 0.15, followers hear of a commit with the next append",
              C_RAFT, (), frozenset(["W1", "W3"])),
    Contender("floor", "the pump and a log that is passed on: no Raft", Cargo.of("bench-floor"),
              workloads=frozenset(["W1", "W4"])),
    *(Contender(name, about, Services.all(), (f"system={name}",), frozenset(["W7"]))
      for name, about in (
          ("kv-c", "three nodes of examples/kv-c"),
          ("kv-go", "three nodes of examples/kv-go"),
          ("kv-python", "three nodes of examples/kv-python"),
          ("mixed", "a node of each"),
          ("etcd", "etcd 3.6.8 itself, over gRPC"),
          ("raftexample", "etcd's contrib/raftexample 3.6.8; a write counts when it can be read"),
      )),
]
