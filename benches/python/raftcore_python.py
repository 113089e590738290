"""Contender raftcore-python: the commit pipeline from Python, messages as bytes."""

import sys

import raftcore
from meter import Meter, arguments, report


class Member:
    """A node, its storage, its messages, and what it applied."""

    def __init__(self, i, voters, inflight, max_message):
        self.storage = raftcore.MemoryStorage(voters=voters)
        config = raftcore.Config(
            id=i,
            seed=i,
            election_timeout_ticks=1000,
            heartbeat_interval_ticks=100,
            max_inflight_messages=inflight,
            max_message_bytes=max_message,
            pre_vote=False,
            check_quorum=False,
        )
        self.node = raftcore.RawNode(config, self.storage)
        self.inbox = []
        self.applied = self.index = self.sum = 0


class Group:
    """All members in one thread."""

    def __init__(self, count, inflight, max_message):
        voters = range(1, count + 1)
        self.members = {i: Member(i, voters, inflight, max_message) for i in voters}
        self.messages = self.wire_bytes = 0
        self.leader = self.members[1].node
        self.leader.campaign()
        self.pump()
        assert self.leader.soft_state().role is raftcore.Role.LEADER

    def pump(self):
        members, busy = self.members, True
        while busy:
            busy = False
            for member in members.values():
                inbox = member.inbox
                if inbox:
                    busy, member.inbox = True, []
                    if len(inbox) == 1:
                        member.node.step(inbox[0])
                    else:
                        member.node.step_many(inbox)
                while (ready := member.node.ready()) is not None:
                    busy = True
                    self.handle(member, ready)

    def handle(self, member, ready):
        members = self.members
        for to, data in ready.outgoing:
            members[to].inbox.append(data)
            self.messages += 1
            self.wire_bytes += len(data)
        committed = ready.committed
        if committed:
            for index, _, _, data in committed.rows():
                if data:
                    member.applied += 1
                    member.sum += index ^ data[0]
            member.index = index
        member.storage.persist(ready)
        for to, data in ready.outgoing_after_sync:
            members[to].inbox.append(data)
            self.messages += 1
            self.wire_bytes += len(data)
        member.node.advance(ready)


def main():
    workload, args = arguments()
    if workload != "commit":
        sys.exit(f"{workload} is not done here")
    entries, batch = args.get("entries", 200_000), args.get("batch", 1)
    payload, compact = args.get("payload", 128), args.get("compact", 4096)
    group = Group(
        args.get("voters", 3), args.get("inflight", 512), args.get("max_message", 1 << 20)
    )
    messages, wire_bytes = group.messages, group.wire_bytes
    meter = Meter()
    proposed = compacted = 0
    while proposed < entries:
        until = min(proposed + batch, entries)
        payloads = [bytes([number & 255]) * payload for number in range(proposed, until)]
        if len(payloads) == 1:
            group.leader.propose(payloads[0])
        else:
            group.leader.propose_many(payloads)
        proposed = until
        group.pump()
        if compact and proposed - compacted >= compact:
            compacted = proposed
            for member in group.members.values():
                member.storage.compact(member.index)
    figures = meter.figures(entries)
    sums = {(member.applied, member.sum) for member in group.members.values()}
    if len(sums) != 1 or sums.pop()[0] != entries:
        sys.exit("the members did not all apply what was proposed")
    figures["messages_per_entry"] = (group.messages - messages) / entries
    figures["wire_bytes_per_entry"] = (group.wire_bytes - wire_bytes) / entries
    figures["check_sum"] = group.members[1].sum
    report(figures)


main()
