"""Who led when: asked of the nodes all the time, since each forgets its own part when it dies."""

import threading
import time


class Witness(threading.Thread):
    """Collects the elections that the nodes tell of in /_/status."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.terms = {}  # term -> (Unix time in ms, leader)
        self.stopping = threading.Event()
        self.start()

    def run(self):
        while not self.stopping.wait(0.25):
            self.look()

    def look(self):
        """Asks each node once."""
        for node in self.cluster.awake():
            status = node.status(timeout=0.5)
            for election in status["elections"] if status else ():
                at, leader = election["at_ms"], election["leader"]
                self.terms[election["term"]] = min(
                    self.terms.get(election["term"], (at, leader)), (at, leader)
                )

    def reigns(self, timeline):
        """(from, to, node) of each leadership, in seconds of the timeline, in order."""
        self.stopping.set()
        self.join()
        self.look()
        clock = time.time() - time.monotonic()
        starts = [
            (at / 1000 - clock - timeline.started, leader)
            for _, (at, leader) in sorted(self.terms.items())
        ]
        ends = [at for at, _ in starts[1:]] + [timeline.now()]
        found = []
        for (begin, node), until in zip(starts, ends, strict=True):
            for at, kind, fallen in timeline.events:
                if fallen == node and kind in ("kill", "freeze") and begin <= at < until:
                    until = at
            found.append((max(begin, 0.0), until, node))
        return found
