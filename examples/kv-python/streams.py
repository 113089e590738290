"""Messages to the other nodes without asking each time.

A GET /stream is answered without end, with what one node has to say to another. So a batch of
messages costs a write, and not a request and its answer. While there is no stream, messages are
posted.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING

import aiohttp
import incoming
from aiohttp import web
from requests import Refused

if TYPE_CHECKING:
    from node import Node

SILENT_TICKS = 20  # something is said with each tick: after so many the stream is broken
PAUSE_TICKS = 5  # before it is asked for again
NOTHING = bytes(4)


def framed(message: bytes) -> bytes:
    return struct.pack(">I", len(message)) + message


class Speaker:
    """The end that speaks: the answer to a member that asked for it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.frames: list[bytes] = []
        self.waiting = 0  # bytes
        self.some = asyncio.Event()
        self.closed = False

    def close(self) -> None:
        self.closed = True
        self.some.set()

    def say(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.waiting += len(frame)
        self.some.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Until it breaks, or is closed."""
        options = self.node.options
        response = web.StreamResponse(headers={"Raft-Cluster": options.cluster_id})
        response.content_type = "application/octet-stream"
        patience = SILENT_TICKS * options.tick_ms / 1000
        with contextlib.suppress(OSError, TimeoutError):
            await response.prepare(request)
            while not self.closed:
                await self.some.wait()
                self.some.clear()
                body, self.frames, self.waiting = b"".join(self.frames), [], 0
                if body:
                    await asyncio.wait_for(response.write(body), patience)
        return response


class Listener:
    """The end that hears: asks a member for a stream, and again when it broke."""

    def __init__(self, node: Node, from_: int, url: str) -> None:
        self.node, self.from_, self.url = node, from_, url
        self.tick = node.options.tick_ms / 1000
        self.asking = asyncio.create_task(self.run())

    def close(self) -> None:
        self.asking.cancel()

    async def run(self) -> None:
        while True:
            # If it is refused, a message that is posted will be too, and says why.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, Refused):
                await self.ask()
            await asyncio.sleep(PAUSE_TICKS * self.tick)

    def whole_frames(self, heard: bytes) -> int:
        """The length of the frames that are whole."""
        end = 0
        while len(heard) - end >= 4:
            (length,) = struct.unpack_from(">I", heard, end)
            if length > self.node.options.max_peer_body:
                raise Refused(413, "a frame is too long")
            if len(heard) - end - 4 < length:
                break
            end += 4 + length
        return end

    async def ask(self) -> None:
        peers, silence = self.node.peers, SILENT_TICKS * self.tick
        timeout = aiohttp.ClientTimeout(total=None, connect=silence, sock_read=silence)
        # A connection of its own.
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{self.url}/stream", headers=peers.introduce(self.from_)) as answer,
        ):
            peers.heed(answer, self.url)
            if answer.status != 200:
                return
            heard = b""
            async for data in answer.content.iter_any():
                heard += data
                whole = self.whole_frames(heard)
                incoming.on_frames(self.node, self.from_, heard[:whole])
                heard = heard[whole:]
