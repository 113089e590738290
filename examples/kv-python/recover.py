"""--force-new-cluster. Of a cluster whose quorum is lost for ever, one node goes on alone.

Raft cannot do that, so it is done to the log behind Raft's back: entries that remove all others,
and a hard state that commits them.
"""

import logging

import raftcore
from codec import Change
from raftcore import ConfChange, ConfChangeKind, ConfChangeV2, EntryKind
from store import NotOurs, Store

log = logging.getLogger("kv-python")


def force_new_cluster(store: Store, this: int) -> None:
    """Make this node the only member of its cluster, in what is stored."""
    hard_state = raftcore.HardState.decode(store.meta("hard_state", b""))
    entries = store.log()
    last, last_term = store.meta("cut", 0), store.meta("cut_term", 0)
    if entries:
        last, last_term = entries[-1].index, entries[-1].term
    if not last:
        raise NotOurs("--force-new-cluster: nothing is stored here")
    others = {member for member, (removed, _) in store.members().items() if not removed}
    for entry in entries:
        if entry.index > store.meta("applied", 0):
            for step in steps_of(entry):
                if step.kind is not ConfChangeKind.REMOVE:
                    others.add(step.node)
                elif step.node == this:
                    why = "--force-new-cluster: the log removes this node; take another"
                    raise NotOurs(why)
    others -= {0, this}
    if not others:
        return
    # A term that the old cluster has not seen: what is appended is not mistaken for an entry of
    # theirs at the same place.
    term = max(hard_state.term, last_term) + 1
    rows = []
    for member in sorted(others):
        log.warning("node %d is removed by force", member)
        last += 1
        change = ConfChange(ConfChangeKind.REMOVE, member, Change().encode())
        rows.append((last, term, EntryKind.CONF_CHANGE, change.encode()))
    store.append_by_force(rows, raftcore.HardState(term, this, last))


def steps_of(entry: raftcore.Entry) -> list:
    """What a change of members does, or nothing."""
    try:
        change = entry.conf_change()
    except raftcore.DecodeError:
        return []
    if change is None:
        return []
    return list(change.changes) if isinstance(change, ConfChangeV2) else [change]
