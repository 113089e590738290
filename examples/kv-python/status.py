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


def members(node: Node, membership: ConfState) -> list[dict[str, Any]]:
    return [
        {"id": id_, "url": url, "voter": id_ in membership.voters}
        for id_, removed, url in sorted(node.members.values())
        if not removed
    ]


def progress(peers: tuple[PeerStatus, ...]) -> list[dict[str, Any]]:
    return [
        {"id": p.id, "state": json_name(p.state), "match": p.match_index, "next": p.next_index}
        for p in peers
    ]


def storage(node: Node) -> dict[str, Any]:
    error = node.storage_error or None
    return {"ok": not node.stalled, "errors": node.storage_errors, "error": error}


def status(node: Node) -> dict[str, Any]:
    state, options = node.raft.status(), node.options
    is_gone = is_removed(node.members, options.id)
    return {
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
        "members": members(node, state.conf_state),
        "removed": [id_ for id_, removed, _ in sorted(node.members.values()) if removed],
        "progress": progress(state.progress),
        "elections": list(node.elections),
        "storage": storage(node),
    }


def reply(node: Node) -> web.Response:
    return web.Response(text=json.dumps(status(node)) + "\n", content_type="application/json")
