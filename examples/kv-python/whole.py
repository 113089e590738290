"""Is everything in the file what was written into it?

SQLite notices damage to its own structure, not to what is stored in it. So each row carries a CRC
over its other columns, as a constraint: `PRAGMA integrity_check` reads them all at the start.

And it takes the first frame of its write-ahead log that is not right for the end of that log. This
is so after a power loss, which tears the end off. But where a frame in the middle was damaged, what
stands behind it was acknowledged, and must not be forgotten in silence.
"""

import os
import sqlite3
import struct
import zlib

# https://www.sqlite.org/fileformat2.html#the_write_ahead_log
HEADER, FRAME_HEADER = 32, 24


def crc32(*columns: int | str | bytes) -> int:
    """In SQL: an integer as eight bytes, anything else as its length and bytes."""
    crc = 0
    for column in columns:
        if isinstance(column, int):
            crc = zlib.crc32(struct.pack(">Q", column & (1 << 64) - 1), crc)
        else:
            data = column.encode() if isinstance(column, str) else column
            crc = zlib.crc32(data, zlib.crc32(struct.pack(">Q", len(data)), crc))
    return crc


def check_rows(db: sqlite3.Connection) -> None:
    """Read every row. What is written from now on is right by construction."""
    (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"the database is damaged: {verdict}")
    db.execute("PRAGMA ignore_check_constraints = ON")


def check_log(database: str) -> None:
    """Before the database is opened, which cuts the log off."""
    path = database + "-wal"
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        header = file.read(HEADER)
        if len(header) == HEADER and not is_whole(header, file):
            raise OSError(f"{path} is damaged in the middle: what follows would be lost")


def is_whole(header: bytes, file) -> bool:
    """A transaction ends with a frame that commits. The next one is written when that is synced: so
    where one follows, all up to that frame was on disk."""
    magic, _, page, _, salts, stored = struct.unpack(">IIII8s8s", header)
    order = ">" if magic & 1 else "<"
    sums = add_to(order, (0, 0), header[:24])
    if magic | 1 != 0x377F0683 or not 512 <= page <= 65536 or struct.pack(">II", *sums) != stored:
        return not file.read(1)
    broken = synced = False
    while len(frame := file.read(FRAME_HEADER + page)) == FRAME_HEADER + page:
        _, commits, frame_salts, stored = struct.unpack(">II8s8s", frame[:FRAME_HEADER])
        if not broken and frame_salts == salts:
            sums = add_to(order, add_to(order, sums, frame[:8]), frame[FRAME_HEADER:])
        broken = broken or frame_salts != salts or struct.pack(">II", *sums) != stored
        if broken and frame_salts == salts:
            if synced:
                return False
            synced = commits != 0
    return True


def add_to(order: str, sums: tuple[int, int], data: bytes) -> tuple[int, int]:
    one, two = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = one + first + two & 0xFFFFFFFF
        two = two + second + one & 0xFFFFFFFF
    return one, two
