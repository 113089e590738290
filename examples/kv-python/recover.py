"""--force-new-cluster: of a cluster whose quorum is lost for ever, one node goes on alone, with
what it has.

Raft cannot do that, so it is done to the log behind Raft's back: entries that remove all others,
and a hard state that commits them.
"""

import logging

import raftcore
from codec import Change
from membership import steps_of
from raftcore import ConfChange, ConfChangeKind, EntryKind
from store import NotOurs, Store, StoredState

log = logging.getLogger("kv-python")


def look_at_entry(entry: raftcore.Entry, this: int) -> set[int]:
    """Who becomes a member by it. It must not remove this node."""
    added = set()
    for step in steps_of(entry):
        if step.kind is not ConfChangeKind.REMOVE:
            added.add(step.node)
        elif step.node == this:
            raise NotOurs("--force-new-cluster: the log removes this node; take another")
    return added


def append_removal(store: Store, index: int, term: int, member: int) -> None:
    change = ConfChange(ConfChangeKind.REMOVE, member, Change().encode())
    store.append([(index, term, EntryKind.CONF_CHANGE, change.encode())])


def remove_others(
    store: Store, this: int, others: set[int], last: int, last_term: int, term: int
) -> None:
    """The new term is one that the old cluster has not seen: what is appended is not mistaken for
    an entry of theirs at the same place."""
    term = max(term, last_term) + 1
    with store.transaction():
        for member in sorted(others):
            log.warning("node %d is removed by force", member)
            last += 1
            append_removal(store, last, term, member)
        store.set_hard_state(raftcore.HardState(term, this, last))


def force_new_cluster(store: Store, this: int, state: StoredState) -> StoredState:
    """Make this node the only member of its cluster, in what is stored."""
    entries = store.read_log(state)
    last, last_term = state.compacted_index, state.compacted_term
    if entries:
        last, last_term = entries[-1].index, entries[-1].term
    if not last:
        raise NotOurs("--force-new-cluster: nothing is stored here")
    others = {member.id for member in store.state.read_members().values() if not member.removed}
    for entry in entries:
        if entry.index > state.applied:
            others |= look_at_entry(entry, this)
    others -= {0, this}
    if others:
        remove_others(store, this, others, last, last_term, state.hard_state.term)
    return store.read_state()
