"""An election timeline as SVG: a row for each node, time to the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

COLOURS = {
    "follower": "#cfd8dc",
    "pre_candidate": "#ffe082",
    "candidate": "#ffb300",
    "leader": "#43a047",
    "down": "#ffffff",
}
ROW, LEFT, TOP, BAR, WIDTH = 34, 60, 30, 18, 900


def timeline(trace: Sequence[dict[str, Any]], members: Sequence[int], end: int) -> str:
    """Draw a trace of SimCluster."""
    scale = WIDTH / max(end, 1)
    rows = {member: TOP + place * ROW for place, member in enumerate(members)}
    height = TOP + len(members) * ROW + 40

    def x(time: int) -> float:
        return round(LEFT + time * scale, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        *_partitions(trace, end, x, height),
    ]
    for member, y in rows.items():
        parts.append(f'<text x="8" y="{y + 13}">node {member}</text>')
        for start, stop, role, term in _spans(trace, member, end):
            title = escape(f"{role}, term {term}, ticks {start} to {stop}")
            parts.append(
                f'<rect x="{x(start)}" y="{y}" width="{max(x(stop) - x(start), 1):.1f}" '
                f'height="{BAR}" fill="{COLOURS[role]}" stroke="#90a4ae" stroke-width="0.5">'
                f"<title>{title}</title></rect>"
            )
            if role == "leader":
                parts.append(f'<text x="{x(start) + 3}" y="{y + 13}" fill="white">{term}</text>')
    parts.extend(_marks(trace, rows, x))
    parts.extend(_legend(height))
    parts.append("</svg>\n")
    return "\n".join(parts)


def _spans(
    trace: Sequence[dict[str, Any]], member: int, end: int
) -> list[tuple[int, int, str, int]]:
    """When the member was what."""
    spans: list[tuple[int, int, str, int]] = []
    start, role, term = 0, "follower", 0
    for event in trace:
        if event.get("node") != member or event["event"] not in ("role", "crash", "restart"):
            continue
        if event["t"] > start:
            spans.append((start, event["t"], role, term))
        start = event["t"]
        if event["event"] == "role":
            role, term = event["role"], event["term"]
        else:
            role = "down" if event["event"] == "crash" else "follower"
    return [*spans, (start, end, role, term)]


def _partitions(trace: Sequence[dict[str, Any]], end: int, x: Any, height: int) -> list[str]:
    """Shade the time in which the network was cut."""
    parts: list[str] = []
    since: tuple[int, str] | None = None
    events: list[dict[str, Any]] = [*trace, {"t": end, "event": "heal"}]
    for event in events:
        if event["event"] not in ("partition", "heal"):
            continue
        if since is not None:
            start, text = since
            parts.append(
                f'<rect x="{x(start)}" y="18" width="{x(event["t"]) - x(start):.1f}" '
                f'height="{height - 58}" fill="#e53935" opacity="0.10"/>'
                f'<text x="{x(start) + 2}" y="14" fill="#b71c1c">{escape(text)}</text>'
            )
        since = None
        if event["event"] == "partition":
            groups = [" ".join(map(str, group)) for group in event["groups"]]
            since = (event["t"], " | ".join(groups))
    return parts


def _marks(trace: Sequence[dict[str, Any]], rows: dict[int, int], x: Any) -> list[str]:
    """Votes as lines from the voter to the candidate, crashes as crosses."""
    parts: list[str] = []
    for event in trace:
        if event["event"] == "vote" and event["candidate"] in rows and event["node"] in rows:
            one, other = rows[event["node"]] + BAR / 2, rows[event["candidate"]] + BAR / 2
            at = x(event["t"])
            parts.append(
                f'<line x1="{at}" y1="{one}" x2="{at}" y2="{other}" stroke="#1565c0" '
                f'stroke-dasharray="2 2"><title>vote in term {event["term"]}</title></line>'
                f'<circle cx="{at}" cy="{one}" r="2.5" fill="#1565c0"/>'
            )
        elif event["event"] in ("crash", "restart"):
            sign = "\u2715" if event["event"] == "crash" else "\u25b6"
            y = rows[event["node"]] + 13
            parts.append(f'<text x="{x(event["t"]) - 4}" y="{y}" fill="#b71c1c">{sign}</text>')
    return parts


def _legend(height: int) -> list[str]:
    parts: list[str] = []
    for place, (role, colour) in enumerate(COLOURS.items()):
        at = LEFT + place * 120
        parts.append(
            f'<rect x="{at}" y="{height - 26}" width="14" height="14" fill="{colour}" '
            f'stroke="#90a4ae"/><text x="{at + 20}" y="{height - 15}">'
            f"{role.replace('_', '-')}</text>"
        )
    return parts
