"""HTTP: the clients' API, and POST /raft for the peers. What each status means: ../PROTOCOL.md."""

import hmac
import json
import re
import time
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import raftcore
from aiohttp import web
from codec import DELETE, NODE_ID_MAX, PUT, Malformed, messages
from node import Node, Refused, Unknown
from peers import NoAnswer
from raftcore import Message, MessageKind

VISIBLE = re.compile(rb"[\x21-\x7e]{1,64}")
URL = re.compile(r"http://[A-Za-z0-9.\-]+:[0-9]{1,5}|http://\[[0-9a-fA-F:.]+\]:[0-9]{1,5}")
SPEAKS_AS_LEADER = {
    MessageKind.APPEND,
    MessageKind.HEARTBEAT,
    MessageKind.SNAPSHOT,
    MessageKind.VOTE,
    MessageKind.PRE_VOTE,
}


PAGE = (Path(__file__).parent.parent / "page" / "index.html").read_bytes()


class Answer(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def is_url(text: str) -> bool:
    return URL.fullmatch(text) is not None and 0 < urlsplit_port(text) < 65536


def urlsplit_port(text: str) -> int:
    try:
        return urlsplit(text).port or 0
    except ValueError:
        return 0


def node_id(text: str) -> int | None:
    is_number = re.fullmatch(r"[1-9][0-9]{0,18}", text) is not None
    return int(text) if is_number and int(text) <= NODE_ID_MAX else None


class Web:
    """Both doors of a node."""

    def __init__(self, node: Node) -> None:
        self.node, self.options = node, node.options

    def clients(self) -> web.Application:
        application = web.Application(client_max_size=self.options.max_value + 1)
        application.router.add_route("*", "/{path:.*}", self.answering(self.on_client))
        return application

    def peers(self) -> web.Application:
        application = web.Application(client_max_size=self.options.max_peer_body)
        application.router.add_route("*", "/{path:.*}", self.answering(self.on_peer))
        return application

    def answering(self, handler):
        """Turn what goes wrong into an answer of one line."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response: web.StreamResponse
            try:
                response = await handler(request)
            except Answer as error:
                response = text(error.status, str(error), error.headers)
            except Refused as error:
                writes = request.method in ("PUT", "POST", "DELETE") and handler != self.on_peer
                response = self.not_now(error.status, str(error), "refused" if writes else "")
            except Unknown as error:
                response = self.not_now(503, f"outcome unknown: {error}", "unknown")
            except web.HTTPRequestEntityTooLarge:
                response = text(413, "the body is too long")
            if handler == self.on_peer and not response.prepared:
                response.headers["Raft-Cluster"] = self.options.cluster_id
            return response

        return answer

    def not_now(self, status: int, why: str, outcome: str) -> web.Response:
        headers = {}
        if status == 503:
            headers["Retry-After"] = "1"
            leader = self.node.raft.soft_state().leader
            if leader is not None:
                headers["Raft-Leader"] = str(leader)
            if outcome:
                headers["Raft-Outcome"] = outcome
        return text(status, why, headers)

    # Clients.

    async def on_client(self, request: web.Request) -> web.Response:
        raw, _, query = request.raw_path.partition("?")
        if re.search("%(?![0-9A-Fa-f]{2})", raw):
            raise Answer(400, "the path cannot be decoded")
        path = unquote_to_bytes(raw[1:])
        if path.startswith(b"_/kv/"):
            return await self.on_key(request, path[5:], query, long=True)
        if path in (b"_/", b"_/status") and request.method not in ("GET", "HEAD"):
            raise Answer(405, "this can only be read", Allow="GET, HEAD")
        if path == b"_/":
            fresh = {"Cache-Control": "no-cache"}
            return web.Response(body=PAGE, content_type="text/html", charset="utf-8", headers=fresh)
        if path == b"_/status":
            return await self.status_of(request.query.get("of", ""))
        if path == b"_/leader":
            return await self.on_leader(request)
        if path.startswith(b"_/"):
            raise Answer(404, "nothing is there; a key that begins with _/ is at /_/kv/_/...")
        if request.method in ("POST", "DELETE"):
            return await self.on_member(request, path)
        return await self.on_key(request, path, query, long=False)

    async def on_key(
        self, request: web.Request, key: bytes, query: str, *, long: bool
    ) -> web.Response:
        reads = request.method in ("GET", "HEAD")
        for parameter in filter(None, query.split("&")):
            name = parameter.partition("=")[0]
            if name != "stale" or not reads:
                raise Answer(400, f"unknown parameter {name[:64]!r}; in a key, ? is written %3F")
        if not key:
            raise Answer(400, "a key is needed in the path")
        if len(key) > self.options.max_key:
            raise Answer(413, f"the key is longer than {self.options.max_key} bytes")
        if reads:
            return await self.read(key, query)
        if request.method == "PUT":
            return await self.write(request, PUT, key)
        if request.method == "DELETE" and long:
            return await self.write(request, DELETE, key)
        methods = "GET, HEAD, PUT, DELETE" if long else "GET, HEAD, PUT, POST, DELETE"
        raise Answer(405, "that method means nothing for a key", Allow=methods)

    async def read(self, key: bytes, query: str) -> web.Response:
        if query and query != "stale=1":
            raise Answer(400, "stale can only be 1")
        value = self.node.store.get(key) if query else await self.node.read(key)
        if value is None:
            raise Answer(404, "no such key")
        return web.Response(body=value, content_type="application/octet-stream")

    async def write(self, request: web.Request, operation: int, key: bytes) -> web.Response:
        if operation == PUT and not has_body(request):
            why = "a value is needed in the body; an empty one is sent with Content-Length: 0"
            raise Answer(411, why)
        if (request.content_length or 0) > self.options.max_value and operation == PUT:
            raise Answer(413, f"the value is longer than {self.options.max_value} bytes")
        value = await request.read() if operation == PUT else b""
        if len(value) > self.options.max_value:
            raise Answer(413, f"the value is longer than {self.options.max_value} bytes")
        request_id = request.headers.get("Request-Id", "").encode("utf-8", "surrogateescape")
        if "Request-Id" in request.headers and not VISIBLE.fullmatch(request_id):
            raise Answer(400, "Request-Id is not 1 to 64 visible ASCII characters")
        index = await self.node.write(operation, key, value, request_id)
        return web.Response(status=204, headers={"Raft-Index": str(index)})

    async def on_member(self, request: web.Request, path: bytes) -> web.Response:
        adds = request.method == "POST"
        member = node_id(path.decode("latin-1"))
        if member is None:
            raise Answer(400, "members are added and removed by their id, a number from 1 up")
        url = None
        if adds:
            if not has_body(request):
                raise Answer(411, "the new member's peer URL is needed in the body")
            url = (await request.read()).decode("latin-1").rstrip(" \t\r\n")
            if not is_url(url):
                raise Answer(400, "the body is not a peer URL of the form http://host:port")
        index = await self.node.change(member, url)
        return web.Response(status=204, headers={"Raft-Index": str(index)})

    async def on_leader(self, request: web.Request) -> web.Response:
        if request.method != "PUT":
            raise Answer(405, "leadership is handed over by PUT", Allow="PUT")
        if not has_body(request):
            raise Answer(411, "the id of the member that is to lead is needed in the body")
        member = node_id((await request.read()).decode("latin-1").strip())
        if member is None:
            raise Answer(400, "the body is not a member's id")
        self.node.transfer(member)
        return web.Response(status=204)

    async def status_of(self, of: str) -> web.Response:
        """This node's status, or another member's: the page asks one node for all of them."""
        member = node_id(of) if of else self.options.id
        if member is None:
            raise Answer(400, "of is not a node's id")
        if member == self.options.id:
            return self.own_status()
        gone, url = self.node.members.get(member, (True, ""))
        if gone:
            raise Answer(404, f"no member has the id {member}")
        try:
            found = await self.node.peers.ask_status(member, url)
        except NoAnswer as error:
            raise Refused(503, str(error)) from error
        return web.Response(body=found, content_type="application/json")

    def own_status(self) -> web.Response:
        return web.json_response(self.status(), dumps=lambda o: json.dumps(o) + "\n")

    def status(self) -> dict:
        node, state = self.node, self.node.raft.status()
        removed = node.members.get(node.options.id, (False, ""))[0]
        return {
            "id": node.options.id,
            "cluster": node.options.cluster_id,
            "language": "python",
            "library": raftcore.__version__,
            "role": "removed" if removed else state.role.name.lower().replace("_", "-"),
            "term": state.term,
            "vote": state.vote or 0,
            "leader": state.leader or 0,
            "commit": state.commit,
            "applied": node.applied,
            "first_index": state.first_index,
            "last_index": state.last_index,
            "snapshot_index": node.snapshot_index,
            "keys": node.store.count(),
            "pending_writes": len(node.waiting),
            "pending_reads": len(node.reads.waiting) + len(node.reads.confirmed),
            "uptime_ms": int(1000 * (time.monotonic() - node.started)),
            "snapshots": {
                "made": node.snapshots_made,
                "sent": node.peers.snapshots_sent,
                "installed": node.snapshots_installed,
                "installed_index": node.snapshot_installed_index,
            },
            "members": [
                {"id": member, "url": url, "voter": member in state.conf_state.voters}
                for member, (gone, url) in sorted(node.members.items())
                if not gone
            ],
            "removed": sorted(member for member, (gone, _) in node.members.items() if gone),
            "progress": [
                {
                    "id": peer.id,
                    "state": peer.state.name.lower(),
                    "match": peer.match_index,
                    "next": peer.next_index,
                }
                for peer in state.progress
            ],
            "client_url": self.options.listen,
            "elections": list(node.elections),
            "storage": {
                "ok": not node.trouble,
                "errors": node.errors,
                "error": node.last_error,
            },
        }

    # Peers.

    async def on_peer(self, request: web.Request) -> web.StreamResponse:
        secret = self.options.secret
        given = request.headers.get("Raft-Secret", "").encode("utf-8", "surrogateescape")
        if secret and not hmac.compare_digest(given, secret.encode()):
            raise Answer(403, "the cluster's secret is missing or wrong")
        doors = {
            "/raft": ("POST", self.on_messages),
            "/stream": ("GET", self.on_stream),
            "/status": ("GET", self.on_status),
        }
        if request.path not in doors:
            why = "only /raft, /stream and /status are here; clients have another address"
            raise Answer(404, why)
        method, door = doors[request.path]
        if request.method != method:
            raise Answer(405, f"{request.path} is asked for by {method}", Allow=method)
        return await door(request)

    async def on_messages(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not body:
            raise Answer(411, "messages are needed in the body")
        sender, url, is_member = self.admit(request)
        if self.node.trouble:
            raise Refused(503, self.node.trouble)
        refused = self.node.step_many(sender, url, self.collect(sender, body, is_member))
        if refused:
            raise Answer(400, str(refused[0]))
        return web.Response(status=204)

    async def on_stream(self, request: web.Request) -> web.StreamResponse:
        sender, _, is_member = self.admit(request)
        peer = self.node.peers.peers.get(sender)
        if not is_member or peer is None:
            raise Answer(403, f"node {sender} is not a member")
        return await peer.speak(request)

    async def on_status(self, request: web.Request) -> web.Response:
        self.admit(request)
        return self.own_status()

    def admit(self, request: web.Request) -> tuple[int, str, bool]:
        """Who speaks, and may it?"""
        headers = request.headers
        cluster, url = headers.get("Raft-Cluster"), headers.get("Raft-Url", "")
        sender = node_id(headers.get("Raft-From", ""))
        to = node_id(headers.get("Raft-To", ""))
        if cluster is None:
            raise Answer(400, "the header Raft-Cluster is missing")
        if cluster != self.options.cluster_id:
            raise Answer(403, f"this is cluster {self.options.cluster_id!r}")
        if sender is None or to is None:
            raise Answer(400, "the headers Raft-From and Raft-To must be node ids")
        if not is_url(url):
            raise Answer(400, "the header Raft-Url must be the sender's URL")
        if to != self.options.id:
            raise Answer(421, f"this is node {self.options.id}, not {to}")
        if sender == self.options.id:
            raise Answer(403, f"node {sender} is this one: two are running with the same id")
        removed, known = self.node.members.get(sender, (False, None))
        if removed:
            raise Answer(410, f"node {sender} was removed from the cluster")
        if known and known != url:
            raise Answer(403, f"node {sender} is at {known}: is another running with the same id?")
        return sender, url, known is not None

    def collect(self, sender: int, body: bytes, is_member: bool) -> list[Message]:
        """Look at every message before the first is handed over."""
        try:
            found = messages(body)
        except Malformed as error:
            raise Answer(400, str(error)) from error
        if not is_member and any(m.kind not in SPEAKS_AS_LEADER for m in found):
            raise Answer(403, f"node {sender} is not a member")
        return found


def has_body(request: web.Request) -> bool:
    return "Content-Length" in request.headers or "Transfer-Encoding" in request.headers


def text(status: int, line: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=line + "\n", headers=headers)
