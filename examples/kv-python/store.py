"""The SQLite file: the log, the hard state, the members, the request ids and the keys.

All writing happens in one thread (`node.py` sees to that), one transaction for each Ready. Reading
a value happens on a connection of its own, which sees what was committed last.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import raftcore
from codec import DELETE, PUT, Malformed, State, Write
from whole import check_log, check_rows, crc32

# A request id is remembered for so many log indexes after the one that applied it.
REMEMBERED = 65_536

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value,
  crc INTEGER, CHECK (crc = crc32(name, value))) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (idx INTEGER PRIMARY KEY, term INTEGER, kind INTEGER, data BLOB,
  crc INTEGER, CHECK (crc = crc32(idx, term, kind, data)));
CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, removed INTEGER, url TEXT,
  crc INTEGER, CHECK (crc = crc32(id, removed, url)));
CREATE TABLE IF NOT EXISTS seen (request_id BLOB PRIMARY KEY, idx INTEGER,
  crc INTEGER, CHECK (crc = crc32(request_id, idx))) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_by_index ON seen (idx);
CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY, value BLOB,
  crc INTEGER, CHECK (crc = crc32(key, value))) WITHOUT ROWID;
"""
SET = "INSERT OR REPLACE INTO meta VALUES (?1, ?2, crc32(?1, ?2))"
APPEND = "INSERT INTO log VALUES (?1, ?2, ?3, ?4, crc32(?1, ?2, ?3, ?4))"
SET_MEMBER = "INSERT OR REPLACE INTO members VALUES (?1, ?2, ?3, crc32(?1, ?2, ?3))"
REMEMBER = "INSERT INTO seen VALUES (?1, ?2, crc32(?1, ?2))"
PUT_PAIR = "INSERT OR REPLACE INTO kv VALUES (?1, ?2, crc32(?1, ?2))"

Members = dict[int, tuple[bool, str]]


@dataclass
class Applied:
    """What one Ready changes beside the log."""

    committed: raftcore.Entries
    members: Members | None = None
    conf_state: raftcore.ConfState | None = None
    # Filled while applying: (serial, index) of this node's own writes.
    answers: list[tuple[int, int]] = field(default_factory=list)


class NotOurs(Exception):
    """This directory is another node's."""


class Store:
    """One node's directory."""

    def __init__(self, directory: str, node: int, cluster_id: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self.lock = open(os.path.join(directory, "lock"), "w")  # noqa: SIM115 - held until close
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotOurs("it is in use by another process") from error
        path = os.path.join(directory, "kv.sqlite")
        check_log(path)
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.create_function("crc32", -1, crc32, deterministic=True)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.executescript(SCHEMA)
        check_rows(self.db)
        self.reader = sqlite3.connect(path, isolation_level=None)
        self.node = node
        for name, own, what in (
            ("cluster", cluster_id, f"cluster {self.meta('cluster', cluster_id)!r}"),
            ("node", node, f"node {self.meta('node', node)}"),
        ):
            if self.meta(name, own) != own:
                raise NotOurs(f"this directory belongs to {what}")
            self.set(name, own)

    def close(self) -> None:
        self.reader.close()
        self.db.close()
        self.lock.close()

    # At the start.

    def meta(self, name, default):
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return default if row is None else row[0]

    def set(self, name, value) -> None:
        self.db.execute(SET, (name, value))

    def members(self) -> Members:
        rows = self.db.execute("SELECT id, removed, url FROM members")
        return {member: (bool(removed), url) for member, removed, url in rows}

    def load(self) -> tuple[raftcore.MemoryStorage, raftcore.ConfState, int]:
        """The log as it was, with the applied state in the place of what was cut off."""
        applied = self.meta("applied", 0)
        hard_state = raftcore.HardState.decode(self.meta("hard_state", b""))
        conf_state = raftcore.ConfState.decode(self.meta("conf_state", b""))
        memory = raftcore.MemoryStorage()
        cut = self.meta("cut", 0)
        dump = self.dump() if applied else b""
        if cut:
            term = self.meta("cut_term", 0)
            memory.apply_snapshot(raftcore.Snapshot(cut, term, conf_state, dump))
        memory.append(self.log())
        memory.set_hard_state(hard_state)
        if applied > cut:
            memory.create_snapshot(applied, dump, conf_state)
        return memory, conf_state, applied

    def log(self) -> list[raftcore.Entry]:
        rows = self.db.execute("SELECT term, idx, data, kind FROM log ORDER BY idx")
        return [
            raftcore.Entry(term, index, data, raftcore.EntryKind(kind))
            for term, index, data, kind in rows
        ]

    def append_by_force(self, rows: list, hard_state: raftcore.HardState) -> None:
        """At the end of the log, and committed by this hard state."""
        with self.transaction():
            self.db.executemany(APPEND, rows)
            self.set("hard_state", hard_state.encode())

    def dump(self) -> bytes:
        """The whole replicated state."""
        members = self.db.execute("SELECT id, removed, url FROM members ORDER BY id")
        seen = self.db.execute("SELECT idx, request_id FROM seen ORDER BY idx")
        pairs = self.db.execute("SELECT key, value FROM kv ORDER BY key")
        return State(
            [(member, bool(removed), url) for member, removed, url in members],
            list(seen),
            list(pairs),
        ).encode()

    # In the loop's thread.

    def get(self, key: bytes) -> bytes | None:
        row = self.reader.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def count(self) -> int:
        return self.reader.execute("SELECT count(*) FROM kv").fetchone()[0]

    # In the writer's thread.

    def commit(self, ready: raftcore.Ready, applied: Applied) -> None:
        """One Ready, one transaction; its COMMIT is the sync."""
        applied.answers.clear()
        with self.transaction():
            self.write_log(ready)
            for index, _, kind, data in applied.committed.rows():
                if kind == raftcore.EntryKind.NORMAL and data:
                    self.apply(index, data, applied)
            if applied.committed.last is not None:
                self.set("applied", applied.committed.last.index)
            if applied.members is not None:
                rows = [(m, removed, url) for m, (removed, url) in applied.members.items()]
                self.db.executemany(SET_MEMBER, rows)
            if applied.conf_state is not None:
                self.set("conf_state", applied.conf_state.encode())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; its COMMIT is the sync."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def write_log(self, ready: raftcore.Ready) -> None:
        if ready.snapshot is not None:
            self.restore(ready.snapshot)
        if ready.entries:
            rows = ready.entries.rows()
            self.db.execute("DELETE FROM log WHERE idx >= ?", (rows[0][0],))
            self.db.executemany(APPEND, rows)
        if ready.hard_state is not None:
            self.set("hard_state", ready.hard_state.encode())

    def restore(self, snapshot: raftcore.Snapshot) -> None:
        state = State.decode(snapshot.data)
        for table in ("log", "members", "seen", "kv"):
            self.db.execute(f"DELETE FROM {table}")
        self.db.executemany(SET_MEMBER, state.members)
        self.db.executemany(REMEMBER, [(id_, index) for index, id_ in state.request_ids])
        self.db.executemany(PUT_PAIR, state.pairs)
        self.set("cut", snapshot.index)
        self.set("cut_term", snapshot.term)
        self.set("applied", snapshot.index)

    def apply(self, index: int, data: bytes, applied: Applied) -> None:
        self.db.execute("DELETE FROM seen WHERE idx <= ?", (index - REMEMBERED,))
        try:
            write = Write.decode(data)
        except Malformed:
            return
        done_at = index
        if write.request_id:
            row = self.db.execute(
                "SELECT idx FROM seen WHERE request_id = ?", (write.request_id,)
            ).fetchone()
            if row is not None:
                done_at = row[0]
            else:
                self.db.execute(REMEMBER, (write.request_id, index))
        if done_at == index and write.operation == PUT:
            self.db.execute(PUT_PAIR, (write.key, write.value))
        elif done_at == index and write.operation == DELETE:
            self.db.execute("DELETE FROM kv WHERE key = ?", (write.key,))
        if write.origin == self.node:
            applied.answers.append((write.serial, done_at))

    def cut(self, index: int, term: int) -> None:
        """Drop the log up to this index."""
        with self.transaction():
            self.db.execute("DELETE FROM log WHERE idx <= ?", (index,))
            self.set("cut", index)
            self.set("cut_term", term)
