"""Messages to the other nodes: a queue for each, bounded, and a task that empties it.

A member that listens gets them on a stream; to the others they are posted.
"""

import asyncio
import logging
from collections import deque

import aiohttp
from aiohttp import web
from codec import framed
from raftcore import MessageKind, SnapshotStatus
from streams import NOTHING, SILENT_TICKS, Listener, Speaker

log = logging.getLogger("kv-python")

SNAPSHOT_SECONDS = 60
STATUS_SECONDS = 1
BATCH_BYTES = 1 << 20


class NoAnswer(Exception):
    """A member that does not tell its status."""


class Peer:
    """One other node."""

    def __init__(self, peers: "Peers", node: int, url: str) -> None:
        self.peers, self.node, self.url = peers, node, url
        self.queue: deque[bytes] = deque()
        self.bytes = 0
        self.some = asyncio.Event()
        self.task = asyncio.create_task(self.run())
        # Where it listens to this node, and where this node, if it is a member, listens to it.
        self.speaker: Speaker | None = None
        self.listener: Listener | None = None

    def end(self) -> None:
        self.task.cancel()
        if self.listener is not None:
            self.listener.task.cancel()
        if self.speaker is not None:
            self.speaker.end()

    def put(self, frame: bytes) -> None:
        if self.speaker is not None:
            self.speaker.say(frame)
            if self.speaker.bytes > self.peers.options.peer_queue:
                self.speaker.end()
            return
        self.queue.append(frame)
        self.bytes += len(frame)
        while self.bytes > self.peers.options.peer_queue and len(self.queue) > 1:
            self.bytes -= len(self.queue.popleft())
        self.some.set()

    async def speak(self, request: web.Request) -> web.StreamResponse:
        """Answer it with all that is for it from now on; who asks again does not hear the last."""
        if self.speaker is not None:
            self.speaker.end()
        speaker = self.speaker = Speaker()
        options = self.peers.options
        headers = {"Raft-Cluster": options.cluster_id, "Content-Type": "application/octet-stream"}
        try:
            return await speaker.answer(request, headers, SILENT_TICKS * options.tick_ms / 1000)
        finally:
            if self.speaker is speaker:
                self.speaker = None
                self.peers.node.report_unreachable(self.node)

    async def run(self) -> None:
        while True:
            await self.some.wait()
            batch = []
            while self.queue and sum(map(len, batch)) < BATCH_BYTES:
                batch.append(self.queue.popleft())
                self.bytes -= len(batch[-1])
            if not self.queue:
                self.some.clear()
            seconds = 10 * self.peers.options.tick_ms / 1000
            if not await self.peers.post(self, b"".join(batch), seconds):
                self.peers.node.report_unreachable(self.node)
                # What it missed is repeated by Raft; a dead address needs no hammering.
                await asyncio.sleep(self.peers.options.tick_ms / 1000)


class Peers:
    """All other nodes."""

    def __init__(self, options, node) -> None:
        self.options, self.node = options, node
        self.peers: dict[int, Peer] = {}
        self.learned: dict[int, str] = {}
        self.refusals: dict[int, str] = {}
        self.snapshots_sent = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def close(self) -> None:
        self.end_streams()
        for task in self.tasks:
            task.cancel()
        await self.session.close()

    def end_streams(self) -> None:
        for peer in self.peers.values():
            peer.end()

    def tick(self) -> None:
        """Say something on each stream, so that silence means that it is broken."""
        for peer in self.peers.values():
            if peer.speaker is not None:
                peer.put(NOTHING)

    def follow(self, members: dict[int, tuple[bool, str]]) -> None:
        """Know these members, and nobody who was removed."""
        for node, (removed, url) in members.items():
            peer = self.peers.get(node)
            if peer is not None and (removed or peer.url != url):
                peer.end()
                del self.peers[node]
            if not removed and node != self.options.id and node not in self.peers:
                self.peers[node] = Peer(self, node, url)
            peer = self.peers.get(node)
            if peer is not None and peer.listener is None:
                peer.listener = Listener(self, node, url)

    def learn(self, node: int, url: str) -> None:
        """Know one who leads or campaigns and of whom the log here does not speak yet."""
        if node not in self.peers:
            self.peers[node] = Peer(self, node, url)

    def send(self, messages) -> None:
        for message in messages:
            peer = self.peers.get(message.to)
            if message.kind is MessageKind.SNAPSHOT:
                self.send_snapshot(peer, message)
            elif peer is not None:
                peer.put(framed(message.encode()))

    def send_snapshot(self, peer: Peer | None, message) -> None:
        """On a request of its own, so that heartbeats pass it."""

        async def deliver() -> None:
            arrived = peer is not None and await self.post(
                peer, framed(message.encode()), SNAPSHOT_SECONDS
            )
            self.snapshots_sent += arrived
            status = SnapshotStatus.FINISHED if arrived else SnapshotStatus.FAILED
            self.node.report_snapshot(message.to, status)

        task = asyncio.create_task(deliver())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def introduction(self, to: int) -> dict[str, str]:
        """The headers by which another node knows who asks and whom."""
        headers = {
            "Raft-Cluster": self.options.cluster_id,
            "Raft-From": str(self.options.id),
            "Raft-To": str(to),
            "Raft-Url": self.node.own_url,
        }
        if self.options.secret:
            headers["Raft-Secret"] = self.options.secret
        return headers

    async def ask_status(self, node: int, url: str) -> bytes:
        """A member's status, as it sends it."""
        headers = self.introduction(node)
        timeout = aiohttp.ClientTimeout(total=STATUS_SECONDS)
        try:
            url += "/status"
            async with self.session.get(url, headers=headers, timeout=timeout) as answer:
                if answer.status == 200:
                    return await answer.read()
                why = f"node {node} answers {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError):
            why = f"node {node} answers nothing"
        raise NoAnswer(why)

    async def post(self, peer: Peer, body: bytes, seconds: float) -> bool:
        """Whether the peer took it."""
        headers = self.introduction(peer.node)
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self.session.post(
                f"{peer.url}/raft", data=body, headers=headers, timeout=timeout
            ) as answer:
                reason = await answer.text(errors="replace")
                self.heed(answer, peer.node)
                if answer.status != 204:
                    self.note_refusal(peer.node, reason.strip()[:200])
                return answer.status == 204
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def heed(self, answer: aiohttp.ClientResponse, node: int) -> None:
        """Hear from an answer that this node was removed."""
        same = answer.headers.get("Raft-Cluster") == self.options.cluster_id
        if answer.status == 410 and same:
            self.node.leave(f"node {node}")

    def note_refusal(self, node: int, reason: str) -> None:
        """Once for each reason in a row, since it comes back with every message."""
        if self.refusals.get(node) != reason:
            self.refusals[node] = reason
            log.warning("node %d refuses: %s", node, reason)
