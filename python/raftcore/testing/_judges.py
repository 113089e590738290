"""What must hold in every group, checked after every step of every node.

A judge sees what can be seen from outside and keeps its own history.
"""

from __future__ import annotations

from .. import Entry, HardState, Position, Role, Status


class Violation(AssertionError):
    """A rule of the protocol was broken. `check` is its name."""

    def __init__(self, check: str, detail: str) -> None:
        super().__init__(check, detail)
        self.check = check
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.check}: {self.detail}"


def ensure(holds: bool, check: str, detail: str) -> None:
    """Object, unless it holds."""
    if not holds:
        raise Violation(check, detail)


class Judges:
    """The history of one run, and the rules over it."""

    def __init__(self) -> None:
        self.leaders: dict[int, int] = {}
        self.votes: dict[tuple[int, int], int] = {}
        self.states: dict[int, Status] = {}
        self.committed: dict[int, tuple[int, int, bytes]] = {}
        self.applied: dict[int, int] = {}

    def on_status(self, status: Status) -> None:
        """Judge what a node says of itself."""
        node, term = status.id, status.term
        before = self.states.get(node)
        if before is not None:
            detail = f"node {node}: {before.term} after {term}"
            ensure(term >= before.term, "term_never_falls", detail)
            detail = f"node {node}: {before.commit} after {status.commit}"
            ensure(status.commit >= before.commit, "commit_never_falls", detail)
        detail = f"node {node}: applied {status.applied}, committed {status.commit}"
        ensure(status.applied <= status.commit, "applied_is_committed", detail)
        if status.vote is not None:
            given = self.votes.setdefault((node, term), status.vote)
            detail = f"node {node} in term {term}: {given} and {status.vote}"
            ensure(given == status.vote, "one_vote_a_term", detail)
        if status.role is Role.LEADER:
            leader = self.leaders.setdefault(term, node)
            ensure(leader == node, "one_leader_a_term", f"term {term}: {leader} and {node}")
            newest = max(self.committed, default=0)
            # A leader has everything that was committed before its election (leader completeness).
            if before is None or before.role is not Role.LEADER:
                detail = f"node {node} leads with {status.last_index}, committed is {newest}"
                ensure(status.last_index >= newest, "leader_has_what_is_committed", detail)
        self.states[node] = status

    def on_committed(self, node: int, entry: Entry) -> None:
        """Judge an entry that a node applies."""
        index = entry.index
        expected = self.applied.get(node, 0) + 1
        ensure(index == expected, "applied_in_order", f"node {node}: {index}, not {expected}")
        self.applied[node] = index
        said = (entry.term, int(entry.kind), entry.data)
        known = self.committed.setdefault(index, said)
        detail = f"index {index} on node {node}: {known} and {said}"
        ensure(known == said, "same_entry_everywhere", detail)

    def on_snapshot(self, node: int, at: Position) -> None:
        """Judge a snapshot that a node restores."""
        known = self.committed.get(at.index)
        detail = f"node {node}: a snapshot at {at}, committed there is {known}"
        ensure(known is not None and known[0] == at.term, "snapshot_is_committed", detail)
        self.applied[node] = at.index

    def on_restart(self, node: int, stored: HardState, applied: int) -> None:
        """Judge what a node comes back with."""
        before = self.states.pop(node, None)
        promised = max((term for who, term in self.votes if who == node), default=0)
        detail = f"node {node}: voted in {promised}, came back in {stored.term}"
        # What only a status said was perhaps not written; a vote that was counted elsewhere was.
        if before is not None and before.role is Role.LEADER:
            ensure(stored.term >= before.term, "no_lost_term", detail)
        self.votes = {key: vote for key, vote in self.votes.items() if key[0] != node}
        if stored.vote is not None:
            self.votes[node, stored.term] = stored.vote
        self.applied[node] = applied
