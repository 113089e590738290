"""Messages from the other nodes and what they ask for: POST /raft, GET /stream, GET /status.

Whatever comes here was sent by a stranger until it is shown not to be: the headers are checked
first, then the frames, and the library checks the messages themselves.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

import raftcore
import status
from aiohttp import web
from codec import Malformed, Reader, Snapshot
from membership import is_member, is_removed
from options import is_url, node_id
from raftcore import Message, MessageKind
from requests import Refused, not_now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from node import Node

    Door = Callable[[Node, web.Request], Awaitable[web.StreamResponse]]

# A node that was away does not know the newest members, and one of those may lead by now.
SPEAKS_AS_LEADER_OR_CANDIDATE = {
    MessageKind.APPEND,
    MessageKind.HEARTBEAT,
    MessageKind.SNAPSHOT,
    MessageKind.VOTE,
    MessageKind.PRE_VOTE,
}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who speaks."""

    id: int
    url: str
    is_member: bool


def bears_secret(secret: str, given: str) -> bool:
    """In a time that does not tell how much of it was right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())


def admit_member(node: Node, sender: int, url: str) -> Sender:
    if is_removed(node.members, sender):
        raise Refused(410, f"node {sender} was removed from the cluster")
    known = node.members[sender].url if sender in node.members else ""
    if known and known != url:
        why = f"node {sender} is at {known}: is another one running with the same id?"
        raise Refused(403, why)
    return Sender(sender, url, sender in node.members)


def admit(node: Node, request: web.Request) -> Sender:
    """Who speaks, and may it?"""
    cluster, this = request.headers.get("Raft-Cluster"), node.options.id
    url = request.headers.get("Raft-Url", "")
    sender = node_id(request.headers.get("Raft-From", ""))
    to = node_id(request.headers.get("Raft-To", ""))
    if cluster is None:
        raise Refused(400, "the header Raft-Cluster is missing")
    if cluster != node.options.cluster_id:
        raise Refused(403, f"this is cluster '{node.options.cluster_id}', not '{cluster[:64]}'")
    if sender is None or to is None:
        raise Refused(400, "the headers Raft-From and Raft-To must be node ids")
    if not is_url(url):
        raise Refused(400, "the header Raft-Url must be the sender's URL")
    if to != this:
        raise Refused(421, f"this is node {this}, not {to}")
    if sender == this:
        raise Refused(403, f"node {sender} is this one: two are running with the same id")
    return admit_member(node, sender, url)


def snapshot_is_whole(message: Message) -> bool:
    """One that could not be restored must not get as far as a Ready."""
    if message.snapshot is None:
        return False
    try:
        Snapshot.decode(message.snapshot.data)
    except Malformed:
        return False
    return True


def admit_message(sender: Sender, frame: bytes, number: int) -> Message:
    try:
        message = Message.decode(frame)
    except (raftcore.DecodeError, raftcore.InvalidMessage) as error:
        raise Refused(400, f"frame {number} is no message") from error
    if not sender.is_member and message.kind not in SPEAKS_AS_LEADER_OR_CANDIDATE:
        raise Refused(403, f"node {sender.id} is not a member")
    if message.kind is MessageKind.SNAPSHOT and not snapshot_is_whole(message):
        raise Refused(400, "the data of the snapshot does not decode")
    return message


def collect(sender: Sender, body: bytes) -> list[Message]:
    """Take frames apart, and look at every message before the first is handed over."""
    reader, number, messages = Reader(body), 0, []
    while reader.at < len(body):
        number += 1
        try:
            frame = reader.take_bytes(*reader.take(">I"))
        except Malformed as error:
            raise Refused(400, f"the body ends within frame {number}") from error
        if frame:  # an empty one says nothing
            messages.append(admit_message(sender, frame, number))
    return messages


def hand_over(node: Node, sender: Sender, messages: list[Message]) -> None:
    if not sender.is_member:
        node.peers.learn(sender.id, sender.url)
    refused = node.raft.step_many(messages)
    node.wake.set()
    for error in refused:
        # A proposal that nobody leads is just lost.
        if not isinstance(error, raftcore.ProposalDropped | raftcore.NotLeader):
            raise Refused(400, f"a message is refused: {error}")


async def on_messages(node: Node, request: web.Request) -> web.Response:
    body = await request.read()
    if not body:
        raise Refused(411, "messages are needed in the body")
    sender = admit(node, request)
    if trouble := node.trouble():
        raise not_now(trouble)
    hand_over(node, sender, collect(sender, body))
    return web.Response(status=204)


def on_frames(node: Node, from_: int, frames: bytes) -> None:
    """Whole frames that came on a stream. There nobody is answered: what cannot be taken now is
    lost, and Raft repeats it."""
    if not is_member(node.members, from_):
        raise Refused(403, f"node {from_} is not a member")
    sender = Sender(from_, "", is_member=True)
    messages = collect(sender, frames)
    if messages and not node.trouble():
        hand_over(node, sender, messages)


async def on_stream(node: Node, request: web.Request) -> web.StreamResponse:
    sender = admit(node, request)
    answer = await node.peers.stream(sender.id, request) if sender.is_member else None
    if answer is None:
        raise Refused(403, f"node {sender.id} is not a member")
    return answer


async def on_status(node: Node, request: web.Request) -> web.Response:
    admit(node, request)
    return status.reply(node)


DOORS: dict[str, tuple[str, Door]] = {
    "/raft": ("POST", on_messages),
    "/stream": ("GET", on_stream),
    "/status": ("GET", on_status),
}


async def on_request(node: Node, request: web.Request) -> web.StreamResponse:
    secret = node.options.secret
    if secret and not bears_secret(secret, request.headers.get("Raft-Secret", "")):
        raise Refused(403, "the cluster's secret is missing or wrong")
    if request.path not in DOORS:
        why = "only /raft, /stream and /status are here; clients are served at another address"
        raise Refused(404, why)
    method, door = DOORS[request.path]
    if request.method != method:
        why = f"{request.path} is asked for by {method}"
        raise Refused(405, why, {"Allow": method})
    return await door(node, request)
