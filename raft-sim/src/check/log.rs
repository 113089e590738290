//! The logs of all nodes and the one history of what was committed (paper, figure 3: Leader
//! Append-Only, Log Matching, Leader Completeness, State Machine Safety).
//!
//! Each entry is known by the hash of the whole log up to it: two logs that agree there agree on
//! everything before. So one comparison for each new entry checks whole prefixes.

use raftcore::{Entries, Entry, NodeId, Position, Snapshot};

use super::{Verdict, ensure};
use crate::client::digest_of;
use crate::network::SLOTS;
use crate::random::mix;

/// An entry as the judge keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Known {
    term: u64,
    /// The hash of the log up to here.
    chain: u64,
    is_conf_change: bool,
}

/// One node's log, as it was handed out to be persisted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Mirror {
    /// The index before the first entry.
    base: u64,
    base_known: Option<Known>,
    entries: Vec<Known>,
    /// Up to here it was held against the history.
    checked: u64,
    applied: u64,
}

impl Mirror {
    fn last(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    fn at(&self, index: u64) -> Option<Known> {
        if index == self.base {
            return self.base_known;
        }
        let at = index.checked_sub(self.base + 1)?;
        self.entries.get(at as usize).copied()
    }
}

/// What is committed at one index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Committed {
    known: Known,
    /// A term in which it was seen to be committed: that of its commit, or a later one.
    in_term: u64,
}

/// The judge of logs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct LogJudge {
    mirrors: [Mirror; SLOTS],
    /// For each index the entries that were ever there: one for each term.
    seen: Vec<Vec<Known>>,
    /// The history, from `base + 1` on.
    history: Vec<Committed>,
    base: u64,
    /// The digest of the state machine after each index of the history, once somebody applied it.
    states: Vec<u64>,
}

impl LogJudge {
    /// The group begins with a snapshot at this position.
    pub(crate) fn found(&mut self, at: Position, state: u64) {
        self.base = at.index.0;
        self.states.push(state);
        for mirror in &mut self.mirrors {
            *mirror = Mirror::default();
        }
    }

    /// The chain before the first entry of the history.
    const fn base_known(&self) -> Known {
        Known { term: if self.base == 0 { 0 } else { 1 }, chain: 7, is_conf_change: false }
    }

    /// The last index that is known to be committed.
    pub(crate) fn committed(&self) -> u64 {
        self.base + self.history.len() as u64
    }

    fn history_at(&self, index: u64) -> Option<Known> {
        if index == self.base {
            return Some(self.base_known());
        }
        let at = index.checked_sub(self.base + 1)?;
        self.history.get(at as usize).map(|committed| committed.known)
    }

    /// The node's log as it was last handed out ends here.
    pub(crate) fn last(&self, slot: usize) -> Option<Position> {
        let mirror = &self.mirrors[slot];
        let term = mirror.at(mirror.last()).map_or(0, |known| known.term);
        Some(Position { term: raftcore::Term(term), index: raftcore::Index(mirror.last()) })
    }

    pub(crate) fn term_at(&self, slot: usize, index: u64) -> Option<u64> {
        self.mirrors[slot].at(index).map(|known| known.term)
    }

    /// How many membership changes this node's log holds in `(from, to]`.
    pub(crate) fn conf_changes_between(&self, slot: usize, from: u64, to: u64) -> usize {
        let mirror = &self.mirrors[slot];
        (from + 1..=to).filter(|i| mirror.at(*i).is_some_and(|known| known.is_conf_change)).count()
    }

    /// How many membership changes are committed in `(from, to]`: what a node has replaced in its
    /// log, and not handed out yet, does not count.
    pub(crate) fn committed_changes(&self, from: u64, to: u64) -> usize {
        let at = |index: &u64| self.history_at(*index);
        (from + 1..=to).filter(|index| at(index).is_some_and(|known| known.is_conf_change)).count()
    }

    /// A node starts: its log is what its disk has.
    pub(crate) fn on_restart(
        &mut self,
        slot: usize,
        first: u64,
        entries: &Entries,
        applied: u64,
    ) -> Verdict {
        let base = first - 1;
        // Only what is committed is ever compacted.
        let base_known = self.history_at(base);
        let id = slot as u64 + 1;
        ensure(base == 0 || base_known.is_some(), "snapshot_equals_history", || {
            format!("node {id} starts at {base}, which nobody committed")
        })?;
        let checked = base.max(self.base);
        self.mirrors[slot] = Mirror { base, base_known, entries: Vec::new(), checked, applied };
        self.extend(slot, entries)
    }

    /// A Ready: what is to be persisted, and how far the node knows it to be committed.
    pub(crate) fn on_ready(
        &mut self,
        slot: usize,
        entries: &Entries,
        snapshot: Option<&Snapshot>,
        leads: bool,
    ) -> Verdict {
        let id = slot as u64 + 1;
        if let Some(snapshot) = snapshot {
            let index = snapshot.index().0;
            let mirror = &self.mirrors[slot];
            ensure(index > mirror.checked, "restored_only_if_newer", || {
                format!("node {id} restores {index}, but has {} committed", mirror.checked)
            })?;
            let known = self.history_at(index);
            let base_known = known.filter(|known| known.term == snapshot.term().0);
            ensure(base_known.is_some(), "snapshot_equals_history", || {
                format!("node {id} restores {}, history has {known:?}", snapshot.position)
            })?;
            let applied = mirror.applied;
            self.mirrors[slot] =
                Mirror { base: index, base_known, entries: Vec::new(), checked: index, applied };
        }
        let Some(first) = entries.first() else { return Ok(()) };
        let (first, mirror) = (first.index.0, &self.mirrors[slot]);
        ensure(!leads || first > mirror.last(), "leader_never_overwrites", || {
            format!("leader {id} writes {first} over its log, which ends at {}", mirror.last())
        })?;
        ensure(first > mirror.checked, "committed_is_immutable", || {
            format!("node {id} writes {first}, but has {} committed", mirror.checked)
        })?;
        self.extend(slot, entries)
    }

    /// Puts entries in the place of everything from the first of them on.
    fn extend(&mut self, slot: usize, entries: &Entries) -> Verdict {
        let Some(first) = entries.first() else { return Ok(()) };
        let first = first.index.0;
        let mirror = &mut self.mirrors[slot];
        let id = slot as u64 + 1;
        let joined = first > mirror.base && first <= mirror.last() + 1;
        ensure(joined, "log_has_no_gap", || {
            format!("node {id} writes {first} after {}..{}", mirror.base, mirror.last())
        })?;
        mirror.entries.truncate((first - mirror.base - 1) as usize);
        if mirror.base == 0 && mirror.base_known.is_none() {
            mirror.base_known = Some(Known { term: 0, chain: 7, is_conf_change: false });
        }
        let mut chain = mirror.at(first - 1).map_or(0, |known| known.chain);
        for (index, entry) in (first..).zip(entries.iter()) {
            ensure(entry.index.0 == index, "log_has_no_gap", || {
                format!("node {id} writes {} where {index} is due", entry.position())
            })?;
            chain = mix(chain, digest_of(entry));
            let known = Known { term: entry.term.0, chain, is_conf_change: entry.is_conf_change() };
            note_seen(&mut self.seen, id, index, known)?;
            mirror.entries.push(known);
        }
        Ok(())
    }

    /// A node knows the log to be committed up to `commit`, in this term.
    pub(crate) fn on_commit(&mut self, slot: usize, commit: u64, term: u64) -> Verdict {
        let mut committed = self.base + self.history.len() as u64;
        let mirror = &mut self.mirrors[slot];
        let id = slot as u64 + 1;
        ensure(commit <= mirror.last(), "commit_is_in_the_log", || {
            format!("node {id} has committed {commit} and its log ends at {}", mirror.last())
        })?;
        for index in mirror.checked.max(mirror.base) + 1..=commit {
            let Some(known) = mirror.at(index) else { continue };
            if index == committed + 1 {
                self.history.push(Committed { known, in_term: term });
                committed += 1;
                continue;
            }
            let expected = index
                .checked_sub(self.base + 1)
                .and_then(|at| self.history.get(at as usize))
                .map(|committed| committed.known);
            ensure(expected == Some(known), "committed_equals_history", || {
                format!("node {id} at {index}: {known:?}, history: {expected:?}")
            })?;
        }
        mirror.checked = mirror.checked.max(commit);
        Ok(())
    }

    /// A node has just been elected: it has all that was committed in earlier terms.
    pub(crate) fn on_elected(&self, slot: usize, term: u64) -> Verdict {
        let mirror = &self.mirrors[slot];
        let earlier = self.history.iter().rposition(|committed| committed.in_term < term);
        let Some(at) = earlier else { return Ok(()) };
        let index = self.base + 1 + at as u64;
        let has_it = index < mirror.base || mirror.at(index) == Some(self.history[at].known);
        ensure(has_it, "leader_has_all_that_was_committed", || {
            let (id, has) = (slot + 1, mirror.at(index));
            format!("leader {id} of term {term} has {has:?} at {index}: {:?}", self.history[at])
        })
    }

    /// A node applies an entry; `state` is the digest of its state machine after that.
    pub(crate) fn on_apply(&mut self, slot: usize, entry: &Entry, state: u64) -> Verdict {
        let index = entry.index.0;
        let mirror = &mut self.mirrors[slot];
        let id = slot as u64 + 1;
        ensure(index == mirror.applied + 1, "applied_in_order_once_without_gap", || {
            format!("node {id} applies {index} after {}", mirror.applied)
        })?;
        mirror.applied = index;
        let expected = index
            .checked_sub(self.base + 1)
            .and_then(|at| self.history.get(at as usize))
            .map(|committed| committed.known.term);
        ensure(expected == Some(entry.term.0), "applied_equals_history", || {
            format!("node {id} applies {}, history has {expected:?}", entry.position())
        })?;
        self.on_state(id, index, state)
    }

    /// The state machine of somebody at this index.
    fn on_state(&mut self, id: u64, index: u64, state: u64) -> Verdict {
        let at = (index - self.base) as usize;
        if at == self.states.len() {
            self.states.push(state);
        }
        let expected = self.states.get(at).copied();
        ensure(expected == Some(state), "applied_equals_history", || {
            format!("node {id} has state {state:x} at {index}, others had {expected:x?}")
        })
    }

    /// A snapshot leaves a node, or replaces its state.
    pub(crate) fn on_snapshot(&mut self, id: NodeId, snapshot: &Snapshot, state: u64) -> Verdict {
        let index = snapshot.index().0;
        let known = self.history_at(index);
        let agrees = known.is_some_and(|known| known.term == snapshot.term().0);
        ensure(agrees, "snapshot_equals_history", || {
            format!("node {id} has a snapshot at {}, history: {known:?}", snapshot.position)
        })?;
        self.on_state(id.get(), index, state)
    }

    /// The application goes on from a snapshot.
    pub(crate) fn on_restored(&mut self, slot: usize, index: u64) {
        self.mirrors[slot].applied = index;
    }
}

/// Log Matching: what stands at an index in a term is the same in every log, all before it too.
fn note_seen(seen: &mut Vec<Vec<Known>>, id: u64, index: u64, known: Known) -> Verdict {
    let at = index as usize;
    if at >= seen.len() {
        seen.resize(at + 1, Vec::new());
    }
    match seen[at].iter().find(|other| other.term == known.term) {
        Some(other) => ensure(*other == known, "log_matching", || {
            format!("node {id} has another log up to {}/{index} than it was seen", known.term)
        }),
        None => {
            seen[at].push(known);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;
    use raftcore::{EntryKind, Index, Term};

    fn entry(term: u64, index: u64, data: &'static str) -> Entry {
        let (term, index) = (Term(term), Index(index));
        Entry { term, index, data: data.into(), ..Entry::default() }
    }

    fn judge() -> LogJudge {
        let mut judge = LogJudge::default();
        judge.found(Position::default(), 0);
        judge
    }

    fn write(judge: &mut LogJudge, slot: usize, entries: &[Entry]) -> Verdict {
        judge.on_ready(slot, &Entries::from(entries.to_vec()), None, false)
    }

    #[test]
    fn logs_that_differ_before_an_equal_entry_are_seen() {
        let mut judge = judge();
        write(&mut judge, 0, &[entry(1, 1, "a"), entry(2, 2, "b")]).unwrap();
        write(&mut judge, 1, &[entry(1, 1, "a"), entry(2, 2, "b")]).unwrap();
        let other = write(&mut judge, 2, &[entry(2, 1, "a"), entry(2, 2, "b")]);
        assert_objects(other, "log_matching");
        assert_objects(write(&mut judge, 2, &[entry(3, 5, "a")]), "log_has_no_gap");
    }

    #[test]
    fn what_is_committed_never_changes() {
        let mut judge = judge();
        write(&mut judge, 0, &[entry(1, 1, "a"), entry(1, 2, "b")]).unwrap();
        judge.on_commit(0, 2, 1).unwrap();
        assert_objects(write(&mut judge, 0, &[entry(2, 2, "c")]), "committed_is_immutable");
        write(&mut judge, 1, &[entry(1, 1, "a"), entry(2, 2, "c")]).unwrap();
        assert_objects(judge.on_commit(1, 2, 2), "committed_equals_history");
        assert_objects(judge.on_commit(1, 9, 2), "commit_is_in_the_log");
        assert_objects(judge.on_elected(1, 3), "leader_has_all_that_was_committed");
        judge.on_elected(0, 3).unwrap();
    }

    #[test]
    fn a_change_that_was_replaced_is_not_committed() {
        let mut judge = judge();
        let change = Entry { kind: EntryKind::ConfChange, ..entry(1, 2, "change") };
        write(&mut judge, 0, &[entry(1, 1, "a"), change]).unwrap();
        write(&mut judge, 1, &[entry(1, 1, "a"), entry(2, 2, "b")]).unwrap();
        judge.on_commit(1, 2, 2).unwrap();
        // Node 1 has replaced its change by now, but not handed that out yet.
        assert_eq!(judge.conf_changes_between(0, 0, 2), 1);
        assert_eq!(judge.committed_changes(0, 2), 0);
        write(&mut judge, 1, &[Entry { kind: EntryKind::ConfChange, ..entry(2, 3, "c") }]).unwrap();
        judge.on_commit(1, 3, 2).unwrap();
        assert_eq!(judge.committed_changes(0, 3), 1);
    }

    #[test]
    fn a_leader_that_overwrites_is_seen() {
        let mut judge = judge();
        write(&mut judge, 0, &[entry(1, 1, "a"), entry(1, 2, "b")]).unwrap();
        let entries = Entries::from(vec![entry(2, 2, "c")]);
        let verdict = judge.on_ready(0, &entries, None, true);
        assert_objects(verdict, "leader_never_overwrites");
    }

    #[test]
    fn applying_out_of_order_twice_or_something_else_is_seen() {
        let mut judge = judge();
        write(&mut judge, 0, &[entry(1, 1, "a"), entry(1, 2, "b")]).unwrap();
        judge.on_commit(0, 2, 1).unwrap();
        let name = "applied_in_order_once_without_gap";
        assert_objects(judge.on_apply(0, &entry(1, 2, "b"), 5), name);
        judge.on_apply(0, &entry(1, 1, "a"), 5).unwrap();
        assert_objects(judge.on_apply(0, &entry(1, 1, "a"), 5), name);
        assert_objects(judge.on_apply(0, &entry(2, 2, "c"), 6), "applied_equals_history");
        assert_objects(judge.on_apply(1, &entry(1, 1, "a"), 9), "applied_equals_history");
    }

    #[test]
    fn a_snapshot_of_another_history_is_seen() {
        let mut judge = judge();
        write(&mut judge, 0, &[entry(1, 1, "a")]).unwrap();
        judge.on_commit(0, 1, 1).unwrap();
        judge.on_apply(0, &entry(1, 1, "a"), 5).unwrap();
        let id = NodeId::new(1).unwrap();
        let at = |term, index| Snapshot {
            position: Position { term: Term(term), index: Index(index) },
            ..Snapshot::default()
        };
        judge.on_snapshot(id, &at(1, 1), 5).unwrap();
        assert_objects(judge.on_snapshot(id, &at(2, 1), 5), "snapshot_equals_history");
        assert_objects(judge.on_snapshot(id, &at(1, 1), 6), "applied_equals_history");
        let old = judge.on_ready(0, &Entries::new(), Some(&at(1, 1)), false);
        assert_objects(old, "restored_only_if_newer");
    }
}
