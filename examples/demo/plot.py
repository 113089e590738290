"""The demo as a picture: acknowledged writes a second, who led, and what happened to whom. SVG."""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP, CHART, LANE = 1200, 118, 24, 132, 240, 40
BIN = 0.25  # seconds
COLOURS = ["1d4ed8", "b45309", "047857", "be185d", "6d28d9", "0e7490", "4d7c0f"]
DARK = ["7eb0ff", "fbbf24", "34d399", "f58bbf", "b69cff", "3fd0e6", "a3e635"]
LABELS = {
    "kill": "kill -9",
    "freeze": "frozen",
    "add": "added",
    "remove": "removed",
}

STYLE = """\
text { font: 15px system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif; fill: #171b26; }
.ground { fill: #fff; } .soft { fill: #566074; font-size: 13px; } .title { font-size: 22px;
font-weight: 700; } .grid { stroke: #dde1ea; } .fault { stroke: #b91c1c; stroke-dasharray: 3 4; }
.bad { fill: #b91c1c; font-size: 13px; font-weight: 600; } .up { stroke: #c3cad8; stroke-width: 4; }
.ice { fill: #dbeafe; stroke: #60a5fa; } .mark { stroke: #b91c1c; stroke-width: 3; fill: none; }
"""
DARK_STYLE = """
text { fill: #e8ebf2; } .ground { fill: #0d1017; } .soft { fill: #9aa5b8; }
.grid { stroke: #2a3242; }
.fault { stroke: #fca5a5; } .bad { fill: #fca5a5; } .up { stroke: #3b4559; }
.ice { fill: #172b4d; stroke: #7eb0ff; } .mark { stroke: #fca5a5; }
"""


def style():
    """The colours, for light and for dark."""

    def of_nodes(colours):
        return "".join(f".n{i} {{ fill: #{c}; stroke: #{c}; }}" for i, c in enumerate(colours))

    dark = f"@media (prefers-color-scheme: dark) {{{DARK_STYLE}{of_nodes(DARK)} }}"
    return f"<style>{STYLE}{of_nodes(COLOURS)}\n{dark}</style>"


class Plot:
    """One picture; everything in seconds since the start of the demo."""

    def __init__(self, nodes, times, reigns, events, end):
        self.nodes, self.times, self.events, self.end = nodes, times, events, end
        self.reigns = [
            (begin, min(until, end), node) for begin, until, node in reigns if begin < end
        ]
        self.parts = []
        self.bottom = TOP + CHART

    def x(self, seconds):
        """Where a moment stands."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.end, 1)

    def rates(self):
        """Acknowledged writes a second, at the middle of each bin, smoothed over three bins."""
        counts = [0] * (int(self.end / BIN) + 1)
        for at in self.times:
            if at <= self.end:
                counts[int(at / BIN)] += 1
        smooth = []
        for i in range(len(counts)):
            near = counts[max(0, i - 1) : i + 2]
            smooth.append(((i + 0.5) * BIN, sum(near) / len(near) / BIN))
        return smooth

    def text(self, x, y, text, kind="", anchor="start"):
        self.parts.append(
            f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def line(self, x1, y1, x2, y2, kind):
        self.parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{kind}"/>')

    def chart(self):
        """The writes, in the colour of who led."""
        rates = self.rates()
        most = max((rate for _, rate in rates), default=0) or 1
        step = next(s for s in (20, 50, 100, 200, 500, 1000, 2000, 5000, 10**9) if most / s <= 5)
        for value in range(0, int(most) + 1, step):
            y = round(self.bottom - CHART * value / most, 1)
            self.line(LEFT, y, WIDTH - RIGHT, y, "grid")
            self.text(LEFT - 10, y + 5, f"{value:,}", "soft", "end")
        points = [(self.x(at), round(self.bottom - CHART * rate / most, 1)) for at, rate in rates]
        outline = " ".join(f"{x},{y}" for x, y in points)
        area = f"{points[0][0]},{self.bottom} {outline} {points[-1][0]},{self.bottom}"
        clips = []
        for number, (begin, until, node) in enumerate(self.reigns):
            x, width = self.x(begin), round(max(0, self.x(until) - self.x(begin)), 1)
            clips.append(
                f'<clipPath id="r{number}"><rect x="{x}" y="0" width="{width}" '
                f'height="{self.bottom}"/></clipPath>'
            )
            kind = f"n{(node - 1) % len(COLOURS)}"
            self.parts.append(
                f'<g clip-path="url(#r{number})"><polygon points="{area}" class="{kind}" '
                f'fill-opacity="0.28" stroke="none"/><polyline points="{outline}" class="{kind}" '
                f'style="fill: none" stroke-width="2"/></g>'
            )
        self.parts.append(f"<defs>{''.join(clips)}</defs>")

    def faults(self, bottom):
        """What was done to the cluster: a line each, labelled above the chart."""
        ends = [-1e9, -1e9, -1e9]  # of the labels in each row
        for at, kind, node in self.events:
            if kind not in LABELS:
                continue
            x = self.x(at)
            row = next((r for r in range(3) if ends[r] < x), 2)
            ends[row] = x + 118
            y = TOP - 14 - 17 * row
            self.line(x, y + 4, x, bottom, "fault")
            end = "end" if x > WIDTH - 150 else "start"
            self.text(
                x + (4 if end == "start" else -4), y, f"{LABELS[kind]}: node {node}", "bad", end
            )

    def lane(self, row, node):
        """A node's life: thin while it is there, thick while it leads."""
        y = self.bottom + LANE * (row + 1)
        kind = f"n{(node.id - 1) % len(COLOURS)}"
        self.text(LEFT - 12, y + 5, f"{node.id} · {node.language}", anchor="end")
        mine = [(at, what) for at, what, of in self.events if of == node.id]
        since = frozen = None
        for at, what in mine + [(self.end, "end")]:
            if what in ("start", "add") and since is None:
                since = at
            elif what in ("kill", "gone", "end") and since is not None:
                self.line(self.x(since), y, self.x(at), y, "up")
                since = None
            if what == "freeze":
                frozen = at
        for begin, until, leader in self.reigns:
            if leader == node.id:
                width = max(1, round(self.x(until) - self.x(begin), 1))
                self.parts.append(
                    f'<rect x="{self.x(begin)}" y="{y - 9}" width="{width}" '
                    f'height="18" rx="4" class="{kind}" stroke="none"/>'
                )
        for at, what in mine:
            x = self.x(at)
            if what == "wake":
                begin = self.x(frozen)
                self.parts.append(
                    f'<rect x="{begin}" y="{y - 9}" width="{round(x - begin, 1)}" '
                    'height="18" rx="4" class="ice"/>'
                )
            elif what in ("kill", "gone"):
                self.parts.append(f'<path d="M{x - 6} {y - 6}l12 12m0 -12l-12 12" class="mark"/>')
            elif what == "snapshot":
                self.parts.append(
                    f'<path d="M{x} {y - 9}l9 9l-9 9l-9 -9z" class="{kind}" stroke="none"/>'
                )

    def draw(self, title, subtitle):
        """The whole picture as text."""
        lanes = self.bottom + LANE * (len(self.nodes) + 1)
        height = lanes + 46
        self.text(24, 40, title, "title")
        self.text(24, 64, subtitle, "soft")
        self.text(24, TOP - 14, "writes/s", "soft")
        self.chart()
        for row, node in enumerate(self.nodes):
            self.lane(row, node)
        self.faults(lanes - 18)
        step = next(s for s in (1, 2, 5, 10, 20, 60, 300, 10**9) if self.end / s <= 16)
        for second in range(0, int(self.end) + 1, step):
            self.text(self.x(second), lanes, f"{second} s", "soft", "middle")
        whose = "another node's snapshot"
        if len({node.language for node in self.nodes}) > 1:
            whose = "a snapshot made in another language"
        self.text(
            LEFT,
            lanes + 28,
            f"thick: leads · ice: frozen · ✕: killed or removed · ◆: caught up by {whose}",
            "soft",
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'role="img" aria-label="{escape(title)}">{style()}'
            f'<rect width="{WIDTH}" height="{height}" class="ground"/>'
            f"{''.join(self.parts)}</svg>\n"
        )
