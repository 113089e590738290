"""Changes of members: checked when they are asked for, and applied.

The library needs each change once, and before the transaction that stores what comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from codec import NODE_ID_MAX, Change, Malformed, Member, Snapshot
from raftcore import (
    ConfChange,
    ConfChangeKind,
    ConfChangeSingle,
    ConfChangeV2,
    ConfState,
    DecodeError,
    Entry,
    EntryKind,
    Ready,
)
from requests import Refused

if TYPE_CHECKING:
    from node import Node

Step = ConfChange | ConfChangeSingle


def is_member(members: dict[int, Member], id_: int) -> bool:
    return id_ in members and not members[id_].removed


def is_removed(members: dict[int, Member], id_: int) -> bool:
    return id_ in members and members[id_].removed


def check_change(members: dict[int, Member], id_: int, url: str | None) -> None:
    """What this node knows may be old; the leader and the log have the last word."""
    left = [member for member in members.values() if not member.removed]
    if is_removed(members, id_):
        why = f"node {id_} was removed; an id is never used again"
        raise Refused(404 if url is None else 409, why)
    if url is None and id_ not in members:
        raise Refused(404, f"no member has the id {id_}")
    for member in left:
        if url is not None and (member.id == id_) != (member.url == url):
            raise Refused(409, f"node {member.id} is a member already, at {member.url}")
    if url is None and len(left) == 1:
        raise Refused(409, "the last member cannot be removed")


def in_conf_state(conf_state: ConfState, id_: int) -> bool:
    return id_ in (*conf_state.voters, *conf_state.learners, *conf_state.voters_outgoing)


def steps_of(entry: Entry) -> Sequence[Step]:
    """What a change of members does. What no node can decode does nothing."""
    try:
        change = entry.conf_change()
    except DecodeError:
        return ()
    if change is None:
        return ()
    return change.changes if isinstance(change, ConfChangeV2) else (change,)


def follow_change(node: Node, steps: Sequence[Step], context: Change) -> None:
    """The members' table follows the membership that the library says is now in force."""
    for step in steps:
        id_ = step.node
        if not 0 < id_ <= NODE_ID_MAX:
            continue
        if in_conf_state(node.conf_state, id_):
            known = node.members[id_].url if id_ in node.members else ""
            node.members[id_] = Member(id_, False, context.url or known)
        elif id_ in node.members:
            node.members[id_] = Member(id_, True, "")


def apply_change(node: Node, entry: Entry) -> None:
    steps = steps_of(entry)
    if not steps:
        # The library skips what it cannot decode, and ends a joint membership.
        node.conf_state = node.raft.apply_conf_change(entry).conf_state
        return
    change = entry.conf_change()
    assert change is not None
    # A removed id stays removed. Every node finds the same here, and vetoes the same.
    allowed = [
        ConfChangeSingle(step.kind, 0)
        if step.kind is not ConfChangeKind.REMOVE and is_removed(node.members, step.node)
        else ConfChangeSingle(step.kind, step.node)
        for step in steps
    ]
    if isinstance(change, ConfChangeV2):
        vetoed = ConfChangeV2(allowed, change.transition, change.context)
    else:
        vetoed = ConfChangeV2(allowed, context=change.context)
    node.conf_state = node.raft.apply_conf_change(vetoed).conf_state
    try:
        context = Change.decode(change.context)
    except Malformed:
        context = Change()
    follow_change(node, steps, context)
    if context.origin == node.options.id:
        node.answers.append((context.serial, entry.index))


def apply_membership(node: Node, ready: Ready) -> None:
    """The changes of members in a Ready, to the library and to this node's table."""
    node.membership_changed = False
    node.answers = []
    if ready.snapshot is not None:
        members = Snapshot.decode(ready.snapshot.data).members
        node.members = {member.id: member for member in members}
        node.conf_state = ready.snapshot.conf_state
        node.membership_changed = True
    for entry in ready.committed:
        if entry.kind is not EntryKind.NORMAL:
            apply_change(node, entry)
            node.membership_changed = True


def replace_removed_leader(node: Node) -> None:
    """A leader that was removed is not waited for: the members forget it, so that they may vote,
    and the first of them stands for election at once. If that fails, the election timeout comes
    anyway."""
    if node.leader == node.options.id or not is_removed(node.members, node.leader):
        return
    node.raft.forget_leader()
    if min(id_ for id_ in node.members if is_member(node.members, id_)) == node.options.id:
        node.raft.campaign()
