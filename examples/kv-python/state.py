"""The applied state: members, remembered request ids, keys; and all of it as a snapshot."""

import sqlite3

from codec import REQUEST_ID_WINDOW, Member, Snapshot

SET_MEMBER = "INSERT OR REPLACE INTO members VALUES (?1, ?2, ?3, crc32(?1, ?2, ?3))"
PUT = "INSERT OR REPLACE INTO kv VALUES (?1, ?2, crc32(?1, ?2))"
REMEMBER = "INSERT INTO seen VALUES (?1, ?2, crc32(?1, ?2))"


class State:
    """Its tables, in the node's file. What changes them is part of a transaction of the store."""

    def __init__(self, db: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        # The reader serves the event loop, and sees what was committed last; the rest happens in
        # the thread that writes.
        self.db, self.reader = db, reader

    def read_members(self) -> dict[int, Member]:
        rows = self.db.execute("SELECT id, removed, url FROM members ORDER BY id")
        return {id_: Member(id_, bool(removed), url) for id_, removed, url in rows}

    def get(self, key: bytes) -> bytes | None:
        row = self.reader.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def count(self) -> int:
        return int(self.reader.execute("SELECT count(*) FROM kv").fetchone()[0])

    def dump(self) -> bytes:
        """The applied state, in the form of a snapshot's data."""
        members = list(self.read_members().values())
        requests = list(self.db.execute("SELECT idx, request_id FROM seen ORDER BY idx"))
        pairs = list(self.db.execute("SELECT key, value FROM kv ORDER BY key"))
        return Snapshot(members, requests, pairs).encode()

    def set_member(self, member: Member) -> None:
        self.db.execute(SET_MEMBER, member)

    def put(self, key: bytes, value: bytes) -> None:
        self.db.execute(PUT, (key, value))

    def delete(self, key: bytes) -> None:
        self.db.execute("DELETE FROM kv WHERE key = ?", (key,))

    def forget(self, index: int) -> None:
        """What left the window. The answer to a repeated write must depend on the log alone."""
        self.db.execute("DELETE FROM seen WHERE idx <= ?", (index - REQUEST_ID_WINDOW,))

    def seen_before(self, request_id: bytes, index: int) -> int | None:
        """Where the write with this id was applied; if nowhere, it is remembered as applied now."""
        if not request_id:
            return None
        self.forget(index)
        row = self.db.execute("SELECT idx FROM seen WHERE request_id = ?", (request_id,)).fetchone()
        if row is not None:
            return int(row[0])
        self.db.execute(REMEMBER, (request_id, index))
        return None

    def restore(self, data: bytes) -> None:
        snapshot = Snapshot.decode(data)
        for table in ("members", "seen", "kv"):
            self.db.execute(f"DELETE FROM {table}")
        self.db.executemany(SET_MEMBER, snapshot.members)
        self.db.executemany(REMEMBER, [(id_, index) for index, id_ in snapshot.requests])
        self.db.executemany(PUT, snapshot.pairs)
