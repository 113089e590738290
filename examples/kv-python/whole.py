"""Is everything on the disk what was written there?

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
from typing import BinaryIO

# https://www.sqlite.org/fileformat2.html#the_write_ahead_log
WAL_HEADER, FRAME_HEADER, SUMS, PAGE_MOST = 32, 24, 8, 65_536


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


class Wal:
    """The write-ahead log, and the checksum over all of it so far."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.order = ">"  # how the checksums read the bytes
        self.page = 0
        self.salts = b""
        self.sum = 0, 0

    def add_to_sum(self, data: bytes) -> None:
        one, two = self.sum
        words = struct.unpack(f"{self.order}{len(data) // 4}I", data)
        for first, second in zip(words[::2], words[1::2], strict=True):
            one = one + first + two & 0xFFFFFFFF
            two = two + second + one & 0xFFFFFFFF
        self.sum = one, two

    def sum_is(self, stored: bytes) -> bool:
        return struct.pack(">II", *self.sum) == stored

    def read_header(self) -> bool:
        """Whether it is right, and frames may follow."""
        header = self.file.read(WAL_HEADER)
        if len(header) < WAL_HEADER:
            return False
        magic, _, self.page, _, self.salts, stored = struct.unpack(">IIII8s8s", header)
        self.order = ">" if magic & 1 else "<"
        self.add_to_sum(header[:-SUMS])
        return magic | 1 == 0x377F0683 and 512 <= self.page <= PAGE_MOST and self.sum_is(stored)

    def frames_are_whole(self) -> bool:
        """A transaction ends with a frame that commits. One that is not synced may stand before the
        last, as `Store.transaction` has it: so where a frame follows behind two ends, all up to
        there was on disk."""
        is_broken, ends = False, 0
        size = FRAME_HEADER + self.page
        while len(frame := self.file.read(size)) == size:
            _, commits, salts, stored = struct.unpack(">II8s8s", frame[:FRAME_HEADER])
            is_of_this_log = salts == self.salts
            if not is_broken and is_of_this_log:
                self.add_to_sum(frame[:8])
                self.add_to_sum(frame[FRAME_HEADER:])
            is_broken = is_broken or not is_of_this_log or not self.sum_is(stored)
            if is_broken and is_of_this_log:
                if ends == 2:
                    return False
                ends += commits != 0
        return True


def log_is_whole(database: str) -> bool:
    """To be asked before the database is opened, which cuts the log off."""
    path = database + "-wal"
    if not os.path.exists(path):
        return True
    with open(path, "rb") as file:
        wal = Wal(file)
        # Behind a header that is not right there is nothing: it is synced before the first frame.
        return wal.frames_are_whole() if wal.read_header() else not file.read(1)
