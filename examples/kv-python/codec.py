"""The bytes of log entries, membership contexts and snapshots: see ../PROTOCOL.md."""

import struct
import zlib
from dataclasses import dataclass

from raftcore import DecodeError, InvalidMessage, Message

PUT, DELETE = 1, 2
VERSION = 1
NODE_ID_MAX = 2**63 - 1


class Malformed(ValueError):
    """Bytes that mean nothing."""


@dataclass(frozen=True, slots=True)
class Write:
    """What an entry says."""

    operation: int
    origin: int
    serial: int
    request_id: bytes
    key: bytes
    value: bytes = b""

    def encode(self) -> bytes:
        head = struct.pack(
            ">BBQQB", VERSION, self.operation, self.origin, self.serial, len(self.request_id)
        )
        return head + self.request_id + struct.pack(">H", len(self.key)) + self.key + self.value

    @classmethod
    def decode(cls, data: bytes) -> "Write":
        read = Reader(data)
        version, operation, origin, serial = read.unpack(">BBQQ")
        request_id = read.bytes(read.unpack(">B")[0])
        key = read.bytes(read.unpack(">H")[0])
        value = read.rest()
        is_known = version == VERSION and operation in (PUT, DELETE)
        if not is_known or not key or (operation == DELETE and value):
            raise Malformed("no write")
        return cls(operation, origin, serial, request_id, key, value)


@dataclass(frozen=True, slots=True)
class Change:
    """The context of a membership change."""

    origin: int = 0
    serial: int = 0
    url: str = ""

    def encode(self) -> bytes:
        return struct.pack(">BQQ", VERSION, self.origin, self.serial) + self.url.encode()

    @classmethod
    def decode(cls, data: bytes) -> "Change":
        read = Reader(data)
        version, origin, serial = read.unpack(">BQQ")
        if version != VERSION:
            raise Malformed("no context of a change")
        return cls(origin, serial, read.text(read.rest()))


@dataclass(frozen=True, slots=True)
class State:
    """The whole replicated state, as a snapshot has it."""

    members: list[tuple[int, bool, str]]
    request_ids: list[tuple[int, bytes]]
    pairs: list[tuple[bytes, bytes]]

    def encode(self) -> bytes:
        parts = [b"RKV1", struct.pack(">I", len(self.members))]
        for member, removed, url in self.members:
            parts += [struct.pack(">QBH", member, removed, len(url)), url.encode()]
        parts.append(struct.pack(">I", len(self.request_ids)))
        for index, request_id in self.request_ids:
            parts += [struct.pack(">QB", index, len(request_id)), request_id]
        parts.append(struct.pack(">Q", len(self.pairs)))
        for key, value in self.pairs:
            parts += [struct.pack(">H", len(key)), key, struct.pack(">I", len(value)), value]
        body = b"".join(parts)
        return body + struct.pack(">I", zlib.crc32(body))

    @classmethod
    def decode(cls, data: bytes) -> "State":
        body, check = data[:-4], data[-4:]
        if len(data) < 20 or body[:4] != b"RKV1" or struct.pack(">I", zlib.crc32(body)) != check:
            raise Malformed("no snapshot")
        read = Reader(body[4:])
        members = []
        for _ in range(read.unpack(">I")[0]):
            member, removed, length = read.unpack(">QBH")
            members.append((member, bool(removed), read.text(read.bytes(length))))
        request_ids = []
        for _ in range(read.unpack(">I")[0]):
            index, length = read.unpack(">QB")
            request_ids.append((index, read.bytes(length)))
        pairs = []
        for _ in range(read.unpack(">Q")[0]):
            key = read.bytes(read.unpack(">H")[0])
            pairs.append((key, read.bytes(read.unpack(">I")[0])))
        if read.rest():
            raise Malformed("a snapshot with something behind it")
        return cls(members, request_ids, pairs)


class Reader:
    """Reads from the front of some bytes; beyond their end they are Malformed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def unpack(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.bytes(struct.calcsize(form)))

    def bytes(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise Malformed("it ends too early")
        found, self.at = self.data[self.at : end], end
        return found

    def rest(self) -> bytes:
        return self.bytes(len(self.data) - self.at)

    @staticmethod
    def text(data: bytes) -> str:
        try:
            return data.decode("ascii")
        except UnicodeDecodeError as error:
            raise Malformed("no text") from error


def messages(body: bytes) -> list[Message]:
    """Take frames apart. An empty one says nothing."""
    read, found = Reader(body), []
    while read.at < len(body):
        if frame := read.bytes(read.unpack(">I")[0]):
            found.append(decode(frame))
    return found


def decode(frame: bytes) -> Message:
    """A message; a snapshot that could not be restored must not get any further."""
    try:
        message = Message.decode(frame)
    except (DecodeError, InvalidMessage) as error:
        raise Malformed(str(error)) from error
    if message.snapshot is not None:
        try:
            State.decode(message.snapshot.data)
        except Malformed as error:
            raise Malformed("the data of the snapshot does not decode") from error
    return message


def whole_frames(heard: bytes, longest: int) -> int:
    """The length of those frames that are whole."""
    end = 0
    while len(heard) - end >= 4:
        (length,) = struct.unpack_from(">I", heard, end)
        if length > longest:
            raise Malformed("a frame is too long")
        if len(heard) - end - 4 < length:
            break
        end += 4 + length
    return end


def framed(message: bytes) -> bytes:
    """Make one frame."""
    return struct.pack(">I", len(message)) + message
