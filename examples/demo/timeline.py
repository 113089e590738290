"""What happens, as it happens: seconds since the start, who, and a line. Coloured on a terminal."""

import os
import sys
import time

COLOURS = {
    "plain": "",
    "good": "\033[32m",
    "bad": "\033[31m",
    "leader": "\033[1m",
    "title": "\033[1m",
}
NODE_COLOURS = ["\033[34m", "\033[33m", "\033[32m", "\033[35m", "\033[36m", "\033[31m"]
BARS = " ▁▂▃▄▅▆▇█"
INDENT = " " * 9


class Timeline:
    """Prints, and keeps what was printed about nodes for the plot."""

    def __init__(self):
        self.started = time.monotonic()
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.events = []  # (seconds, kind, node)

    def now(self):
        """Seconds since the start."""
        return time.monotonic() - self.started

    def paint(self, text, code):
        """Text in a colour, if there are colours here."""
        return f"{code}{text}\033[0m" if self.coloured and code else text

    def say(self, text, colour="plain", node=None):
        """A line, about a node or about none."""
        who = ""
        if node is not None:
            name = f"node {node.id}" + (f" · {node.language}" if node.language else "")
            who = self.paint(f"{name:<17}", NODE_COLOURS[(node.id - 1) % len(NODE_COLOURS)])
        print(f"{self.now():7.2f}  {who}{self.paint(text, COLOURS[colour])}", flush=True)

    def note(self, kind, node):
        """Keeps an event for the plot."""
        self.events.append((self.now(), kind, node.id))

    def title(self, text):
        """The head of an act."""
        print(f"\n{INDENT}{self.paint(text, COLOURS['title'])}", flush=True)

    def verdict(self, passed, text):
        """The last line."""
        word = self.paint("PASS" if passed else "FAIL", COLOURS["good" if passed else "bad"])
        print(f"\n{word}  {text}", flush=True)

    def summary(self, times, reigns, columns=80):
        """The whole of it in two lines: acknowledged writes over time, and who led."""
        end = max(times, default=0.0)
        step = max(end / columns, 0.01)
        counts, leaders = [0] * columns, ["·"] * columns
        for at in times:
            counts[min(int(at / step), columns - 1)] += 1
        for begin, until, node in reigns:
            for column in range(columns):
                if begin <= (column + 0.5) * step < until:
                    leaders[column] = str(node % 10)
        most = max(counts, default=0) or 1
        bars = "".join(BARS[-(-count * (len(BARS) - 1) // most)] for count in counts)
        print(f"\n{INDENT}writes  {bars}", flush=True)
        print(f"{INDENT}leader  {''.join(leaders)}", flush=True)
        print(f"{INDENT}        0 s{f'{end:.0f} s':>{columns - 3}}", flush=True)
