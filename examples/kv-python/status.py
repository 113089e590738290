"""GET /_/status: what this node knows, as JSON. PROTOCOL.md names the parts."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import raftcore
from aiohttp import web
from membership import is_removed

if TYPE_CHECKING:
    from node import Node
    from raftcore import ConfState, PeerStatus


def json_name(value: raftcore.Role | raftcore.ProgressState) -> str:
    return value.name.lower().replace("_", "-")


def add_members(out: dict[str, Any], node: Node, membership: ConfState) -> None:
    rows = sorted(node.members.values())
    out["members"] = [
        {"id": id_, "url": url, "voter": id_ in membership.voters}
        for id_, removed, url in rows
        if not removed
    ]
    out["removed"] = [id_ for id_, removed, _ in rows if removed]


def add_progress(out: dict[str, Any], peers: tuple[PeerStatus, ...]) -> None:
    out["progress"] = [
        {"id": p.id, "state": json_name(p.state), "match": p.match_index, "next": p.next_index}
        for p in peers
    ]


def add_elections(out: dict[str, Any], node: Node) -> None:
    out["elections"] = list(node.elections)


def add_storage(out: dict[str, Any], node: Node) -> None:
    error = node.storage_error or None
    out["storage"] = {"ok": not node.stalled, "errors": node.storage_errors, "error": error}


def status(node: Node) -> dict[str, Any]:
    state, options = node.raft.status(), node.options
    is_gone = is_removed(node.members, options.id)
    out = {
        "id": options.id,
        "cluster": options.cluster_id,
        "client_url": options.listen,
        "language": "python",
        "library": raftcore.__version__,
        "role": "removed" if is_gone else json_name(state.role),
        "term": state.term,
        "vote": state.vote or 0,
        "leader": state.leader or 0,
        "commit": state.commit,
        "applied": node.applied,
        "first_index": state.first_index,
        "last_index": state.last_index,
        "snapshot_index": node.snapshot_index,
        "keys": node.store.state.count(),
        "pending_writes": len(node.requests.writes),
        "pending_reads": len(node.requests.reads),
        "uptime_ms": int(1000 * (time.monotonic() - node.started)),
        "snapshots": {
            "made": node.snapshots_made,
            "sent": node.peers.snapshots_sent,
            "installed": node.snapshots_installed,
            "installed_index": node.snapshot_installed_index,
        },
    }
    add_members(out, node, state.conf_state)
    add_progress(out, state.progress)
    add_elections(out, node)
    add_storage(out, node)
    return out


def reply(node: Node) -> web.Response:
    return web.Response(text=json.dumps(status(node)) + "\n", content_type="application/json")
