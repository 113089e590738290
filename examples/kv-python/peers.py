"""Messages to the other nodes.

A member that listens gets them on a stream. To the others they are posted, on kept-alive
connections: one request at a time, and what comes meanwhile waits and then leaves together in the
next. So a slow peer gets larger batches, and nothing else here needs tuning. A snapshot has a
request of its own, so that a heartbeat need not wait behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from codec import Member
from streams import NOTHING, Listener, Speaker, framed

if TYPE_CHECKING:
    from node import Node

log = logging.getLogger("kv-python")

BATCH_BYTES = 1 << 20
SNAPSHOT_SECONDS = 60.0
MESSAGE_TIMEOUT_TICKS = 20
STRANGERS_MAX = 64
RETIRE_TICKS = 20


class Peer:
    """One other node: what waits for it, and a task that posts it."""

    def __init__(self, peers: Peers, id_: int, url: str) -> None:
        self.peers, self.id, self.url = peers, id_, url
        self.queue: deque[bytes] = deque()
        self.queued_bytes = 0
        self.some = asyncio.Event()
        self.reachable = True
        self.retire_in = 0  # ticks until a removed member is forgotten; 0: it is not removed
        # Where it listens to this node, and where this node, if it is a member, listens to it.
        self.speaker: Speaker | None = None
        self.listener: Listener | None = None
        self.posting = asyncio.create_task(self.flush())

    def close(self) -> None:
        self.posting.cancel()
        if self.listener is not None:
            self.listener.close()
        if self.speaker is not None:
            self.speaker.close()

    def drop_oldest(self) -> bytes:
        oldest = self.queue.popleft()
        self.queued_bytes -= len(oldest)
        return oldest

    def report_lost(self) -> None:
        """What waited behind a message that was lost is stale by the time the peer is back: Raft
        will say what it needs then."""
        self.queue.clear()
        self.queued_bytes = 0
        self.peers.node.report_unreachable(self.id)

    def note_reachable(self, reachable: bool, why: str = "answers") -> None:
        if reachable != self.reachable:
            log.info("peer %d at %s: %s", self.id, self.url, why)
        self.reachable = reachable

    async def post(self, body: bytes, seconds: float) -> bool:
        """Whether the peer took it."""
        peers = self.peers
        try:
            async with peers.session.post(
                f"{self.url}/raft",
                data=body,
                headers=peers.introduce(self.id),
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as answer:
                text = await answer.text(errors="replace")
                peers.heed(answer, self.url)
                taken = answer.status == 204
                why = "answers" if taken else f"answers {answer.status}: {text.strip()[:160]}"
                self.note_reachable(taken, why)
                return taken
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.note_reachable(False, "cannot be reached")
            return False

    def fill_body(self) -> bytes:
        """All that fits into a batch, but at least one message."""
        body = bytearray(self.drop_oldest())
        while self.queue and len(body) + len(self.queue[0]) <= BATCH_BYTES:
            body += self.drop_oldest()
        return bytes(body)

    def say(self, frame: bytes) -> None:
        """Who takes it too slowly loses the stream, and with it all that waits."""
        assert self.speaker is not None
        self.speaker.say(frame)
        if self.speaker.waiting > self.peers.node.options.peer_queue:
            self.speaker.close()

    def send(self, frame: bytes) -> None:
        if self.speaker is not None:
            self.say(frame)
            return
        self.queue.append(frame)
        self.queued_bytes += len(frame)
        while self.queued_bytes > self.peers.node.options.peer_queue and len(self.queue) > 1:
            self.drop_oldest()
            self.note_reachable(False, "takes messages too slowly; the oldest are dropped")
            self.peers.node.report_unreachable(self.id)
        self.some.set()

    async def flush(self) -> None:
        tick = self.peers.node.options.tick_ms / 1000
        while True:
            await self.some.wait()
            while self.queue:
                if not await self.post(self.fill_body(), MESSAGE_TIMEOUT_TICKS * tick):
                    self.report_lost()
                    # A dead address needs no hammering.
                    await asyncio.sleep(tick)
            self.some.clear()

    async def send_snapshot(self, frame: bytes) -> None:
        arrived = await self.post(frame, SNAPSHOT_SECONDS)
        self.peers.snapshots_sent += arrived
        self.peers.node.report_snapshot(self.id, arrived)


class Peers:
    """The table of peers."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.peers: dict[int, Peer] = {}
        # How many were ever learned from what they said: bounded, since anyone can say it.
        self.strangers = 0
        self.snapshots_sent = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def close(self) -> None:
        self.close_streams()
        for task in self.tasks:
            task.cancel()
        await self.session.close()

    def close_streams(self) -> None:
        for peer in self.peers.values():
            peer.close()

    def heed(self, answer: aiohttp.ClientResponse, url: str) -> None:
        """Hear from an answer that this node was removed."""
        is_ours = answer.headers.get("Raft-Cluster") == self.node.options.cluster_id
        if answer.status == 410 and is_ours:
            self.node.leave(url)

    def introduce(self, to: int) -> dict[str, str]:
        """The headers by which another node knows who asks and whom."""
        options = self.node.options
        headers = {
            "Raft-Cluster": options.cluster_id,
            "Raft-From": str(options.id),
            "Raft-To": str(to),
            "Raft-Url": self.node.own_url,
        }
        if options.secret:
            headers["Raft-Secret"] = options.secret
        return headers

    def forget(self, id_: int) -> None:
        self.peers.pop(id_).close()

    def add(self, id_: int, url: str) -> None:
        self.peers[id_] = Peer(self, id_, url)

    def learn(self, id_: int, url: str) -> None:
        """A sender that is not a member yet, as far as this node knows."""
        if id_ not in self.peers and self.strangers < STRANGERS_MAX:
            self.strangers += 1
            self.add(id_, url)
            log.info("heard of node %d at %s", id_, url)

    def follow(self, members: dict[int, Member]) -> None:
        """Make the peers those of the membership: connect new ones, let go of removed ones."""
        for id_, removed, url in members.values():
            peer = self.peers.get(id_)
            if id_ == self.node.options.id:
                continue
            if removed:
                # It still has to hear that it was removed: when it asks.
                if peer is not None and not peer.retire_in:
                    peer.retire_in = RETIRE_TICKS
                    if peer.listener is not None:
                        peer.listener.close()
                        peer.listener = None
                continue
            if peer is not None and url and peer.url != url:
                self.forget(id_)
            if id_ not in self.peers and url:
                self.add(id_, url)
            peer = self.peers.get(id_)
            if peer is not None and peer.listener is None:
                peer.listener = Listener(self.node, id_, peer.url)

    def tick(self) -> None:
        for peer in list(self.peers.values()):
            # An empty frame says nothing, but silence would say that the stream is broken.
            if peer.speaker is not None:
                peer.say(NOTHING)
            if peer.retire_in:
                peer.retire_in -= 1
                if not peer.retire_in:
                    self.forget(peer.id)

    async def stream(self, to: int, request: web.Request) -> web.StreamResponse | None:
        """Answer this peer's request with all that is for it from now on."""
        peer = self.peers.get(to)
        if peer is None:
            return None
        if peer.speaker is not None:
            peer.speaker.close()  # who asks again does not hear the last one
        speaker = peer.speaker = Speaker(self.node)
        try:
            return await speaker.answer(request)
        finally:
            if peer.speaker is speaker:
                peer.speaker = None
                peer.report_lost()

    def send(self, to: int, is_snapshot: bool, message: bytes) -> None:
        peer = self.peers.get(to)
        if peer is None:
            self.node.report_unreachable(to)
            if is_snapshot:
                self.node.report_snapshot(to, False)
        elif is_snapshot:
            task = asyncio.create_task(peer.send_snapshot(framed(message)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            peer.send(framed(message))
