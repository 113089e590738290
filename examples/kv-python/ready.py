"""What each Ready says is to be stored, sent, applied and answered.

`run` takes a Ready; then it is sent, committed, sent, answered, advanced, in the order that the
library gives.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import raftcore
from codec import Malformed, Operation, Write
from membership import apply_membership, is_removed, replace_removed_leader
from raftcore import EntryKind, Message, MessageKind, Ready, Role, SoftState
from store import Store, may_pass

if TYPE_CHECKING:
    from node import Node

log = logging.getLogger("kv-python")

RETRY_SECONDS_FIRST, RETRY_SECONDS_MOST = 0.1, 5.0
BROKEN = 1

Answers = list[tuple[int, int]]

# One Ready, one transaction: in the thread that writes.


def store_log_of(store: Store, ready: Ready) -> None:
    if ready.snapshot is not None:
        store.truncate(0)
        store.state.restore(ready.snapshot.data)
        store.compact(ready.snapshot.index, ready.snapshot.term)
        store.set_applied(ready.snapshot.index)
    if ready.entries:
        rows = ready.entries.rows()
        store.truncate(rows[0][0])
        store.append(rows)
    if ready.hard_state is not None:
        store.set_hard_state(ready.hard_state)


def store_write_of(node: Node, index: int, data: bytes, answers: Answers) -> None:
    try:
        write = Write.decode(data)
    except Malformed:
        why = "the entry at index %d is no write: it changes nothing, here as elsewhere"
        log.warning(why, index)
        return
    state = node.store.state
    seen_at = state.seen_before(write.request_id, index)
    if seen_at is None:
        if write.operation == Operation.PUT:
            state.put(write.key, write.value)
        else:
            state.delete(write.key)
    if write.origin == node.options.id:
        answers.append((write.serial, seen_at or index))


def commit_ready(node: Node, ready: Ready) -> Answers:
    """Returns the answers of this node's own writes."""
    store, answers = node.store, Answers()
    # What is only applied is in the synced log: after a power loss it is applied again.
    sync = ready.must_sync or ready.snapshot is not None or node.membership_changed
    with store.transaction(sync):
        store_log_of(store, ready)
        for index, _, kind, data in ready.committed.rows():
            if kind == EntryKind.NORMAL and data:
                store_write_of(node, index, data, answers)
        if ready.committed.last is not None:
            store.set_applied(ready.committed.last.index)
        if node.membership_changed:
            store.set_conf_state(node.conf_state)
            for member in node.members.values():
                store.state.set_member(member)
    return answers


# The loop.


def send_all(node: Node, messages: Iterable[Message]) -> None:
    for message in messages:
        node.peers.send(message.to, message.kind is MessageKind.SNAPSHOT, message.encode())


def note_election(node: Node) -> None:
    if not node.elections or node.elections[-1]["term"] != node.term:
        at_ms = time.time_ns() // 1_000_000
        node.elections.append({"term": node.term, "leader": node.leader, "at_ms": at_ms})


def note_roles(node: Node, soft_state: SoftState) -> None:
    node.role, node.leader = soft_state.role, soft_state.leader or 0
    if node.role is Role.LEADER:
        log.info("leads")
    elif node.leader:
        log.info("follows node %d", node.leader)
    else:
        log.info("%s, knows no leader", node.role.name.lower().replace("_", "-"))
    if node.leader:
        note_election(node)
        node.requests.new_leader()


def snapshot_is_due(node: Node) -> bool:
    """Every so many entries. And at once when members changed after the log was cut: a new member
    needs a snapshot then, and only one that was made after it was added names it as a member."""
    since = node.applied - node.snapshot_index
    return since >= node.options.snapshot_entries or (
        node.membership_changed and node.snapshot_index > 0 and since > 0
    )


async def make_snapshot(node: Node) -> None:
    """The applied state, as it is now, for members that are too far behind for the log."""
    data = await node.beside(node.store.state.dump)
    node.memory.create_snapshot(node.applied, data, node.conf_state)
    node.snapshot_index = node.applied
    node.snapshots_made += 1
    log.info("snapshot at index %d, %d bytes", node.applied, len(data))


async def cut_log(node: Node) -> None:
    """In the file and then in memory, but leave what members that are only a little behind still
    need."""
    cut = node.snapshot_index - node.options.catch_up_entries
    if cut < node.memory.first_index():
        return
    term = node.memory.term(cut)

    def compact() -> None:
        with node.store.transaction():
            node.store.compact(cut, term)

    try:
        await node.beside(compact)
    except sqlite3.OperationalError as error:
        if not may_pass(error):
            raise
        log.error("the log was not cut: %s; it will be with the next snapshot", error)
    else:
        node.memory.compact(cut)


def note_applied_term(node: Node, term: int) -> None:
    if term > node.applied_term:
        node.requests.term_applied(term)
    node.applied_term = term


async def finish_ready(node: Node, ready: Ready) -> None:
    """Everything in the Ready is durable: what depends on that follows."""
    node.memory.persist(ready)
    send_all(node, ready.messages_after_sync)

    if ready.snapshot is not None:
        node.applied = node.snapshot_index = ready.snapshot.index
        node.snapshots_installed += 1
        node.snapshot_installed_index = ready.snapshot.index
        size = len(ready.snapshot.data)
        log.info("snapshot of index %d installed, %d bytes", ready.snapshot.index, size)
    last = ready.committed.last
    if last is not None:
        node.applied = last.index
    if node.membership_changed:
        node.peers.follow(node.members)

    for serial, index in node.answers:
        node.requests.write_applied(serial, index)
    if last is not None:
        note_applied_term(node, last.term)
    for read in ready.read_states:
        node.requests.read_confirmed(read.context, read.index)
    node.requests.applied(node.applied)

    node.raft.advance(ready)
    if node.membership_changed:
        replace_removed_leader(node)
    if snapshot_is_due(node):
        await make_snapshot(node)
        await cut_log(node)
    if is_removed(node.members, node.options.id):
        node.leave("the log")


async def commit_and_finish(node: Node, ready: Ready) -> None:
    """A commit that fails leaves everything as it was, and the Ready in hand: nothing that depends
    on it is sent or answered, and the same is tried again. Meanwhile the node is mute, and the
    others may choose another leader."""
    pause = RETRY_SECONDS_FIRST
    while True:
        try:
            node.answers += await node.beside(commit_ready, node, ready)
            break
        except sqlite3.OperationalError as error:
            node.storage_errors, node.storage_error = node.storage_errors + 1, f"SQLite: {error}"
            if not may_pass(error):
                raise
            if not node.stalled:
                log.error("nothing can be stored: %s; trying again until it works", error)
            node.stalled = f"the disk cannot be written: {error}"
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS_MOST)
    if node.stalled:
        log.info("the disk can be written again")
        node.stalled = ""
    await finish_ready(node, ready)


async def on_ready(node: Node, ready: Ready) -> None:
    if ready.hard_state is not None:
        node.term, node.commit = ready.hard_state.term, ready.hard_state.commit
    if ready.soft_state is not None:
        note_roles(node, ready.soft_state)
    send_all(node, ready.messages)
    apply_membership(node, ready)
    await commit_and_finish(node, ready)


async def run(node: Node) -> None:
    """One Ready after the other, while there is one."""
    try:
        while True:
            ready = node.raft.ready()
            if ready is None:
                node.wake.clear()
                await node.wake.wait()
            else:
                await on_ready(node, ready)
    except sqlite3.Error as error:
        log.error("the database cannot be used any more: %s: stopping", error)
        node.stop(BROKEN)
    except (OSError, ValueError, raftcore.RaftError):
        log.exception("cannot go on")
        node.stop(BROKEN)
