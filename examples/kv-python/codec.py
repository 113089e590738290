"""The bytes of log entries, changes of members and snapshots, as in PROTOCOL.md.

Decoders believe nothing: any bytes give a value or are Malformed.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Self

VERSION = 1
NODE_ID_MAX = 2**63 - 1
REQUEST_ID_MAX = 64
REQUEST_ID_WINDOW = 65_536
URL_MAX = 512
MAGIC = b"RKV1"


class Operation(IntEnum):
    """What a write does."""

    PUT = 1
    DELETE = 2


class Malformed(ValueError):
    """Bytes that mean nothing."""


class Reader:
    """Takes from the front of some bytes; beyond their end they are Malformed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.take_bytes(struct.calcsize(form)))

    def take_bytes(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise Malformed("it ends too early")
        found, self.at = self.data[self.at : end], end
        return found

    def take_rest(self) -> bytes:
        return self.take_bytes(len(self.data) - self.at)


def url_of(data: bytes) -> str:
    if len(data) > URL_MAX or not data.isascii():
        raise Malformed("no URL")
    return data.decode()


@dataclass(frozen=True, slots=True)
class Write:
    """A log entry: one write to the store."""

    operation: Operation
    origin: int
    serial: int
    request_id: bytes  # empty when the client gave none
    key: bytes
    value: bytes = b""

    def encode(self) -> bytes:
        head = struct.pack(
            ">BBQQB", VERSION, self.operation, self.origin, self.serial, len(self.request_id)
        )
        return head + self.request_id + struct.pack(">H", len(self.key)) + self.key + self.value

    @classmethod
    def decode(cls, data: bytes) -> Self:
        reader = Reader(data)
        version, operation, origin, serial, length = reader.take(">BBQQB")
        request_id = reader.take_bytes(length)
        key = reader.take_bytes(*reader.take(">H"))
        value = reader.take_rest()
        if version != VERSION or operation not in (Operation.PUT, Operation.DELETE):
            raise Malformed("no write")
        if not key or length > REQUEST_ID_MAX or (operation == Operation.DELETE and value):
            raise Malformed("no write")
        return cls(Operation(operation), origin, serial, request_id, key, value)


@dataclass(frozen=True, slots=True)
class Change:
    """The context of a change of members."""

    origin: int = 0  # 0: a bootstrap entry
    serial: int = 0
    url: str = ""

    def encode(self) -> bytes:
        return struct.pack(">BQQ", VERSION, self.origin, self.serial) + self.url.encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        reader = Reader(data)
        version, origin, serial = reader.take(">BQQ")
        if version != VERSION:
            raise Malformed("no context of a change")
        return cls(origin, serial, url_of(reader.take_rest()))


class Member(NamedTuple):
    """Who is in the cluster, or was."""

    id: int
    removed: bool
    url: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot's data is made of, in this order."""

    members: list[Member]
    requests: list[tuple[int, bytes]]  # (index, request id)
    pairs: list[tuple[bytes, bytes]]

    def encode(self) -> bytes:
        parts = [MAGIC, struct.pack(">I", len(self.members))]
        for id_, removed, url in self.members:
            parts += [struct.pack(">QBH", id_, removed, len(url)), url.encode()]
        parts.append(struct.pack(">I", len(self.requests)))
        for index, request_id in self.requests:
            parts += [struct.pack(">QB", index, len(request_id)), request_id]
        parts.append(struct.pack(">Q", len(self.pairs)))
        for key, value in self.pairs:
            parts += [struct.pack(">H", len(key)), key, struct.pack(">I", len(value)), value]
        body = b"".join(parts)
        return body + struct.pack(">I", zlib.crc32(body))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        body, crc = data[:-4], data[-4:]
        if body[:4] != MAGIC or struct.pack(">I", zlib.crc32(body)) != crc:
            raise Malformed("no snapshot")
        reader = Reader(body[len(MAGIC) :])
        members = [cls.take_member(reader) for _ in range(*reader.take(">I"))]
        requests = [cls.take_request(reader) for _ in range(*reader.take(">I"))]
        pairs = [cls.take_pair(reader) for _ in range(*reader.take(">Q"))]
        if reader.take_rest():
            raise Malformed("a snapshot with something behind it")
        return cls(members, requests, pairs)

    @staticmethod
    def take_member(reader: Reader) -> Member:
        id_, removed, length = reader.take(">QBH")
        if not 0 < id_ <= NODE_ID_MAX:
            raise Malformed("no node id")
        return Member(id_, bool(removed), url_of(reader.take_bytes(length)))

    @staticmethod
    def take_request(reader: Reader) -> tuple[int, bytes]:
        index, length = reader.take(">QB")
        if not 0 < length <= REQUEST_ID_MAX:
            raise Malformed("no request id")
        return index, reader.take_bytes(length)

    @staticmethod
    def take_pair(reader: Reader) -> tuple[bytes, bytes]:
        key = reader.take_bytes(*reader.take(">H"))
        if not key:
            raise Malformed("no key")
        return key, reader.take_bytes(*reader.take(">I"))
