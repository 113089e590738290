"""GET /_/: the page, and the status of other members for it.

The browser asks this node for the others' status, and this node asks them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import status
from aiohttp import web
from codec import Member
from membership import is_member
from options import node_id
from requests import Refused, not_now

if TYPE_CHECKING:
    from node import Node

PATIENCE_SECONDS = 1.0
PAGE = (Path(__file__).parent.parent / "page" / "index.html").read_bytes()


def reply() -> web.Response:
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache"}
    return web.Response(body=PAGE, headers=headers)


async def ask(node: Node, member: Member) -> web.Response:
    peers, said = node.peers, "nothing"
    try:
        async with peers.session.get(
            f"{member.url}/status",
            headers=peers.introduce(member.id),
            timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS),
        ) as answer:
            if answer.status == 200:
                found = await answer.read()
                return web.Response(body=found, content_type="application/json")
            said = str(answer.status)
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    raise not_now(f"node {member.id} answers {said}")


async def reply_of(node: Node, of: str | None) -> web.Response:
    """The status of the member with this id; None is this node."""
    id_ = node.options.id if of is None else node_id(of)
    if id_ is None:
        raise Refused(400, "of is not a node's id")
    if id_ == node.options.id:
        return status.reply(node)
    if not is_member(node.members, id_):
        raise Refused(404, f"no member has the id {id_}")
    return await ask(node, node.members[id_])
