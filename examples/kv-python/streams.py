"""Streams: a GET /stream is answered without end, with what one node has to say to another.

So a batch of messages costs a write, and not a request and its answer. While there is no stream,
messages are posted.
"""

import asyncio
import contextlib

import aiohttp
from aiohttp import web
from codec import Malformed, messages, whole_frames

# In ticks: how long a stream may be silent, though something is said with each tick, and when one
# that broke is asked for again.
SILENT_TICKS = 20
PAUSE_TICKS = 5
NOTHING = bytes(4)


class Speaker:
    """The end that speaks: the answer to a member that asked for it."""

    def __init__(self) -> None:
        self.queue: list[bytes] = []
        self.bytes = 0
        self.some = asyncio.Event()
        self.ended = False

    def say(self, frame: bytes) -> None:
        self.queue.append(frame)
        self.bytes += len(frame)
        self.some.set()

    def end(self) -> None:
        self.ended = True
        self.some.set()

    async def answer(
        self, request: web.Request, headers: dict[str, str], seconds: float
    ) -> web.StreamResponse:
        """Until it breaks, or is ended."""
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        while not self.ended:
            await self.some.wait()
            self.some.clear()
            body, self.queue, self.bytes = b"".join(self.queue), [], 0
            if body:
                try:
                    await asyncio.wait_for(response.write(body), seconds)
                except (OSError, TimeoutError):
                    break
        return response


class Listener:
    """The end that hears: asks a node for a stream, and again when it broke."""

    def __init__(self, peers, node: int, url: str) -> None:
        self.peers, self.node, self.url = peers, node, url
        self.tick = peers.options.tick_ms / 1000
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        while True:
            # A message that is posted will fail too, and says why.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, Malformed):
                await self.hear()
            await asyncio.sleep(PAUSE_TICKS * self.tick)

    async def hear(self) -> None:
        headers = self.peers.introduction(self.node)
        silence = SILENT_TICKS * self.tick
        timeout = aiohttp.ClientTimeout(total=None, connect=silence, sock_read=silence)
        # A connection of its own.
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{self.url}/stream", headers=headers) as answer,
        ):
            self.peers.heed(answer, self.node)
            if answer.status != 200:
                return
            heard = b""
            async for data in answer.content.iter_any():
                heard += data
                whole = whole_frames(heard, self.peers.options.max_peer_body)
                self.peers.node.hear(self.node, messages(heard[:whole]))
                heard = heard[whole:]
