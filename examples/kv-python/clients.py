"""The clients' API. PROTOCOL.md has the table; here is a door for each line of it."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import page
from aiohttp import web
from codec import REQUEST_ID_MAX, Operation, Write
from options import is_url, is_visible, node_id
from requests import Refused, not_now

if TYPE_CHECKING:
    from node import Node

READS = "GET", "HEAD"

# Answers.


def reply_text(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers=headers)


def reply_refusal(node: Node, refused: Refused) -> web.Response:
    """Not now: with Retry-After, and the leader if known."""
    headers = dict(refused.headers)
    if refused.status == 503:
        headers["Retry-After"] = "1"
        if node.leader:
            headers["Raft-Leader"] = str(node.leader)
    return reply_text(refused.status, str(refused), headers)


def refused_method(allowed: str, why: str) -> Refused:
    return Refused(405, why, {"Allow": allowed})


def reply_value(node: Node, key: bytes) -> web.Response:
    try:
        value = node.store.state.get(key)
    except sqlite3.Error as error:
        raise not_now(f"the disk cannot be read: {error}") from error
    if value is None:
        raise Refused(404, "no such key")
    return web.Response(body=value, content_type="application/octet-stream")


# What is asked.


def has_body(request: web.Request) -> bool:
    return "Content-Length" in request.headers or "Transfer-Encoding" in request.headers


def refused_for_now(node: Node, outcome: str = "") -> None:
    """Whatever stands in the way of changing anything now."""
    trouble = node.trouble()
    if not trouble and node.requests.full():
        trouble = "too many requests are waiting"
    if not trouble and node.commit > node.applied + node.options.max_gap:
        trouble = "too many entries are committed and not applied yet"
    if trouble:
        raise not_now(trouble, outcome)


# Keys.


async def on_write(
    node: Node, request: web.Request, operation: Operation, key: bytes
) -> web.Response:
    is_put, most = operation is Operation.PUT, node.options.max_value
    if is_put and not has_body(request):
        why = "a value is needed in the body; an empty one is sent with Content-Length: 0"
        raise Refused(411, why)
    is_too_long = is_put and (request.content_length or 0) > most
    value = await request.read() if is_put and not is_too_long else b""
    if is_too_long or len(value) > most:
        raise Refused(413, f"the value is longer than {most} bytes")
    request_id = request.headers.get("Request-Id")
    if request_id is not None and not is_visible(request_id, REQUEST_ID_MAX):
        why = f"Request-Id is not 1 to {REQUEST_ID_MAX} visible ASCII characters"
        raise Refused(400, why)
    refused_for_now(node, "refused")
    serial = node.requests.next_serial()
    named = (request_id or "").encode()
    entry = Write(operation, node.options.id, serial, named, key, value).encode()
    node.propose(entry)
    index = await node.requests.await_write(serial, entry if named else b"")
    return web.Response(status=204, headers={"Raft-Index": str(index)})


async def on_read(node: Node, request: web.Request, key: bytes) -> web.Response:
    stale = request.query.get("stale")
    if stale not in (None, "1"):
        raise Refused(400, "stale can only be 1")
    if stale is None:
        refused_for_now(node)
        await node.requests.await_read()
    return reply_value(node, key)


async def on_key(node: Node, request: web.Request, key: bytes, long_form: bool) -> web.Response:
    """In the short form DELETE speaks of members, so that only the long form deletes a key."""
    method = request.method
    for name in request.query:
        if name != "stale" or method not in READS:
            why = f"unknown parameter '{name[:64]}'; in a key, ? is written %3F"
            raise Refused(400, why)
    if not key:
        raise Refused(400, "a key is needed in the path")
    if len(key) > node.options.max_key:
        raise Refused(413, f"the key is longer than {node.options.max_key} bytes")
    if method == "PUT":
        return await on_write(node, request, Operation.PUT, key)
    if method in READS:
        return await on_read(node, request, key)
    if method == "DELETE" and long_form:
        return await on_write(node, request, Operation.DELETE, key)
    allowed = "GET, HEAD, PUT, DELETE" if long_form else "GET, HEAD, PUT, POST, DELETE"
    raise refused_method(allowed, "that method means nothing for a key")


# Members.


async def body_text(request: web.Request) -> str:
    """Without the white space that comes with files and here-documents."""
    return (await request.read()).decode("latin-1").rstrip(" \t\r\n")


async def on_member(node: Node, request: web.Request, path: bytes) -> web.Response:
    adds, id_ = request.method == "POST", node_id(path.decode("latin-1"))
    if id_ is None:
        does = "POST /<node id> adds" if adds else "DELETE /<node id> removes"
        instead = "written by PUT /<key>" if adds else "deleted by DELETE /_/kv/<key>"
        why = f"{does} a member by its id, a number from 1 up; a key is {instead}"
        raise Refused(400, why)
    if adds and not has_body(request):
        raise Refused(411, "the new member's peer URL is needed in the body")
    url = await body_text(request) if adds else None
    if url is not None and not is_url(url):
        raise Refused(400, "the body is not a peer URL of the form http://host:port")
    refused_for_now(node, "refused")
    serial = node.requests.next_serial()
    node.propose_change(id_, url, serial)
    index = await node.requests.await_write(serial)
    return web.Response(status=204, headers={"Raft-Index": str(index)})


async def on_leader(node: Node, request: web.Request) -> web.Response:
    if request.method != "PUT":
        raise refused_method("PUT", "leadership is handed over by PUT")
    if not has_body(request):
        raise Refused(411, "the id of the member that is to lead is needed in the body")
    id_ = node_id(await body_text(request))
    if id_ is None:
        raise Refused(400, "the body is not a member's id")
    refused_for_now(node)
    node.transfer(id_)
    return web.Response(status=204)


# The door.


async def route(node: Node, request: web.Request, path: bytes) -> web.Response:
    if path.startswith(b"_/kv/"):
        return await on_key(node, request, path.removeprefix(b"_/kv/"), long_form=True)
    if path == b"_/status":
        if request.method not in READS:
            raise refused_method("GET, HEAD", "the status can only be read")
        return await page.reply_of(node, request.query.get("of"))
    if path == b"_/leader":
        return await on_leader(node, request)
    if path == b"_/":
        if request.method not in READS:
            raise refused_method("GET, HEAD", "the page can only be read")
        return page.reply()
    if path.startswith(b"_/"):
        raise Refused(404, "nothing is there; a key that begins with _/ is at /_/kv/_/...")
    if request.method in ("POST", "DELETE"):
        return await on_member(node, request, path)
    return await on_key(node, request, path, long_form=False)


async def on_request(node: Node, request: web.Request) -> web.StreamResponse:
    path = request.raw_path.partition("?")[0]
    if not path.startswith("/"):
        raise Refused(400, "the path must begin with a slash")
    if re.search("%(?![0-9A-Fa-f]{2})", path):
        raise Refused(400, "the path cannot be decoded")
    return await route(node, request, unquote_to_bytes(path[1:]))
