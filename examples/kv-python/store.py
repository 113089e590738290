"""What is on the disk: the log, Raft's hard state, and the applied state.

One SQLite file holds them all, so one COMMIT, one sync, makes a whole Ready durable: the entries,
the hard state, and what was applied. The tables of the applied state always stand at `applied`
exactly; there is no copy of a snapshot in the file, since the tables are one.

All writing happens in one thread (`Node.beside` sees to that).
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import raftcore
from state import State
from whole import check_rows, crc32, log_is_whole

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
# A full or read-only disk can be mended. After a failed sync nobody knows what the disk has, and a
# damaged file does not heal.
MENDABLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}


class NotOurs(Exception):
    """This node may not use this directory."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """What stands in the file beside the log and the tables of the applied state."""

    hard_state: raftcore.HardState
    applied: int
    compacted_index: int  # of the entry just before the first one in the log
    compacted_term: int
    conf_state: raftcore.ConfState  # at `applied`
    joined: bool  # the node was started to join a cluster, and must never bootstrap one


class Store:
    """One node's directory, held exclusively."""

    def __init__(self, directory: str, node: int, cluster_id: str, joins: bool) -> None:
        os.makedirs(directory, exist_ok=True)
        self.lock = open(os.path.join(directory, "lock"), "w")  # noqa: SIM115 - held until close
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotOurs("the data directory is in use by another process") from error
        path = os.path.join(directory, "kv.sqlite")
        if not log_is_whole(path):
            raise OSError(f"{path}-wal is damaged in the middle: what follows would be lost")
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.create_function("crc32", -1, crc32, deterministic=True)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.relaxed = self.unsynced = False
        self.db.executescript(SCHEMA)
        check_rows(self.db)
        self.reader = sqlite3.connect(path, isolation_level=None)
        self.state = State(self.db, self.reader)
        if self.get("node", 0) == 0:
            self.create(node, cluster_id, joins)
        self.belongs_to(node, cluster_id)

    def create(self, node: int, cluster_id: str, joins: bool) -> None:
        """The identity comes in one transaction: a crash leaves a database with it or without."""
        with self.transaction():
            self.set("node", node)
            self.set("cluster", cluster_id)
            self.set("joined", joins)

    def belongs_to(self, node: int, cluster_id: str) -> None:
        owner, cluster = self.get("node", 0), self.get("cluster", "")
        if owner != node:
            raise NotOurs(f"the data directory belongs to node {owner}, this is node {node}")
        if cluster != cluster_id:
            raise NotOurs(
                f"the data directory belongs to cluster '{cluster}', this is cluster '{cluster_id}'"
            )

    def close(self) -> None:
        self.reader.close()
        self.db.close()
        self.lock.close()

    # Reading.

    def get(self, name: str, default: Any) -> Any:
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return default if row is None else row[0]

    def read_state(self) -> StoredState:
        found = StoredState(
            hard_state=raftcore.HardState.decode(self.get("hard_state", b"")),
            applied=self.get("applied", 0),
            compacted_index=self.get("cut", 0),
            compacted_term=self.get("cut_term", 0),
            conf_state=raftcore.ConfState.decode(self.get("conf_state", b"")),
            joined=bool(self.get("joined", False)),
        )
        if not found.compacted_index <= found.applied <= found.hard_state.commit:
            why = "compacted, applied and commit index in the database are out of order"
            raise sqlite3.DatabaseError(why)
        return found

    def read_log(self, state: StoredState) -> list[raftcore.Entry]:
        entries = []
        last, last_term = state.compacted_index, state.compacted_term
        for index, term, kind, data in self.db.execute(
            "SELECT idx, term, kind, data FROM log ORDER BY idx"
        ):
            if index != last + 1 or term < last_term:
                why = "the log in the database has a gap or a term that falls"
                raise sqlite3.DatabaseError(why)
            entries.append(raftcore.Entry(term, index, data, raftcore.EntryKind(kind)))
            last, last_term = index, term
        if last < state.hard_state.commit:
            raise sqlite3.DatabaseError("the log in the database ends before the commit index")
        return entries

    # Changing.

    @contextmanager
    def transaction(self, sync: bool = True) -> Iterator[None]:
        """All of it or nothing. Its COMMIT is the sync, or may leave that to the next one: but
        never two in a row, so that a torn end of the file can be told from damage."""
        relaxed = not sync and not self.unsynced
        if relaxed != self.relaxed:
            self.db.execute(f"PRAGMA synchronous = {'NORMAL' if relaxed else 'FULL'}")
            self.relaxed = relaxed
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        self.unsynced = relaxed

    def append(self, rows: Iterable[tuple[int, int, int, bytes]]) -> None:
        """Entries, as (index, term, kind, data)."""
        self.db.executemany(APPEND, rows)

    def truncate(self, from_index: int) -> None:
        self.db.execute("DELETE FROM log WHERE idx >= ?", (from_index,))

    def set(self, name: str, value: int | str | bytes) -> None:
        self.db.execute(SET, (name, value))

    def set_hard_state(self, hard_state: raftcore.HardState) -> None:
        self.set("hard_state", hard_state.encode())

    def set_applied(self, index: int) -> None:
        self.set("applied", index)
        self.state.forget(index)

    def set_conf_state(self, conf_state: raftcore.ConfState) -> None:
        self.set("conf_state", conf_state.encode())

    def compact(self, index: int, term: int) -> None:
        self.db.execute("DELETE FROM log WHERE idx <= ?", (index,))
        self.set("cut", index)
        self.set("cut_term", term)


def may_pass(error: sqlite3.Error) -> bool:
    """Whether what failed may succeed later, since the transaction left everything as it was."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code in MENDABLE or code & 0xFF in MENDABLE
