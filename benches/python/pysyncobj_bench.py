"""Contender pysyncobj: three objects of it in one thread, which talk over the loopback.

It has no node without I/O, so its sockets are in its figures. It is given a hundredth of the
entries, at most 2,000.
"""

import socket
import sys
import time

from meter import Meter, arguments, report
from pysyncobj import SyncObj, SyncObjConf, replicated

LIMIT_SECONDS = 120


class Log(SyncObj):
    """Counts and sums what it applies."""

    def __init__(self, own, others, conf):
        super().__init__(own, others, conf)
        self.applied = self.sum = 0

    @replicated
    def put(self, data):
        self.applied += 1
        self.sum += self.applied ^ data[0]


def main():
    workload, args = arguments()
    if workload != "commit":
        sys.exit(f"{workload} is not done here")
    entries = min(args.get("entries", 200_000) // 100, 2_000)
    batch, payload = args.get("batch", 1), args.get("payload", 128)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(args.get("voters", 3))]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    # Timeouts that never fire, and no waiting between one append and the next.
    conf = SyncObjConf(autoTick=False, appendEntriesPeriod=0.001, commandsQueueSize=1 << 20)
    members = [Log(own, [o for o in addresses if o != own], conf) for own in addresses]
    end = time.monotonic() + LIMIT_SECONDS

    def until(condition):
        while not condition():
            for member in members:
                member.doTick(0.0)
            if time.monotonic() > end:
                sys.exit("it takes too long")

    until(lambda: all(member.isReady() for member in members))
    leader = next((m for m in members if m._isLeader()), members[0])
    meter = Meter()
    for proposed in range(0, entries, batch):
        count = min(batch, entries - proposed)
        for number in range(proposed, proposed + count):
            leader.put(bytes([number & 255]) * payload)
        until(lambda: all(member.applied >= proposed + count for member in members))  # noqa: B023
    figures = meter.figures(entries)
    if {member.applied for member in members} != {entries}:
        sys.exit("the members did not all apply what was proposed")
    figures["check_sum"] = members[0].sum
    report(figures)


main()
