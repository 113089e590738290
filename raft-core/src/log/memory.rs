//! A log in memory: what most applications use, filled from their own log at start.

use bytes::Bytes;

use crate::entry::Entries;
use crate::error::StorageError;
use crate::ids::{Index, Position, Term};
use crate::log::Storage;
use crate::log::pieces::Pieces;
use crate::membership::PackedConfState;
use crate::ready::Ready;
use crate::state::{ConfState, HardState, Snapshot};

/// A [`Storage`] in memory. It is as durable as the process: an application that wants to survive
/// its own death also writes what a [`Ready`] says to its own log, and fills one of these from it
/// when it starts again.
///
/// ```
/// use raftcore::{ConfState, Config, MemoryStorage, Node};
///
/// // A group of one that exists from the start.
/// let storage = MemoryStorage::with_conf_state(ConfState::with_voters([1]));
/// let mut node = Node::new(&Config::new(1, 42), storage)?;
/// node.campaign()?;
/// while let Some(ready) = node.ready()? {
///     node.storage_mut().persist(&ready)?;
///     node.advance(ready)?;
/// }
/// assert_eq!(node.status().soft_state.leader, node.id().into());
/// # Ok::<(), raftcore::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    hard_state: HardState,
    /// The membership of the snapshot or, as long as there is none, of the beginning.
    snapshot_members: PackedConfState,
    rare: Option<Box<Rare>>,
    /// Where the log was compacted to: the entries follow this position.
    base: Position,
    /// The entries after `base`.
    pieces: Pieces,
}

/// What many logs of idle groups do not have.
#[derive(Clone, Debug, Default)]
struct Rare {
    /// The membership to restart with, where it is newer than the snapshot's.
    conf_state: Option<ConfState>,
    snapshot: Option<StoredSnapshot>,
}

/// A snapshot without its membership.
#[derive(Clone, Debug)]
struct StoredSnapshot {
    position: Position,
    data: Bytes,
}

impl MemoryStorage {
    /// An empty storage: for a node that is to be bootstrapped, or that joins a group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A storage of a group that has these members from the start, without entries that say so.
    #[must_use]
    pub fn with_conf_state(conf_state: ConfState) -> Self {
        Self { snapshot_members: conf_state.into(), ..Self::default() }
    }

    /// Writes what a Ready wants persisted, in the right order.
    ///
    /// # Errors
    /// As [`apply_snapshot`](Self::apply_snapshot) and [`append`](Self::append).
    pub fn persist(&mut self, ready: &Ready) -> Result<(), StorageError> {
        self.persist_snapshot(ready)?;
        if !ready.entries.is_empty() {
            self.append_own(ready.entries.clone())?;
        }
        self.persist_hard_state(ready);
        Ok(())
    }

    /// The same, and takes the Ready's entries for itself: they are of no more use to who has
    /// written them elsewhere already, or nowhere else. That is a little quicker.
    ///
    /// # Errors
    /// As [`persist`](Self::persist).
    #[inline]
    pub fn persist_taking(&mut self, ready: &mut Ready) -> Result<(), StorageError> {
        self.persist_snapshot(ready)?;
        if !ready.entries.is_empty() {
            self.append_own(std::mem::take(&mut ready.entries))?;
        }
        self.persist_hard_state(ready);
        Ok(())
    }

    #[inline]
    fn persist_snapshot(&mut self, ready: &Ready) -> Result<(), StorageError> {
        match &ready.snapshot {
            Some(snapshot) => self.apply_snapshot(Snapshot::clone(snapshot)),
            None => Ok(()),
        }
    }

    #[inline]
    fn persist_hard_state(&mut self, ready: &Ready) {
        if let Some(hard_state) = ready.hard_state {
            self.hard_state = hard_state;
        }
    }

    /// Stores the hard state.
    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// Stores the membership that a restarted node begins with, for applications that keep it
    /// beside their log. The snapshot keeps its own; the next one takes its place.
    pub fn set_conf_state(&mut self, conf_state: ConfState) {
        self.rare.get_or_insert_default().conf_state = Some(conf_state);
    }

    /// Appends consecutive entries. What the storage has from their first index on is replaced;
    /// entries that are compacted already are passed over.
    ///
    /// # Errors
    /// [`StorageError::Gap`] when they would leave a gap, or have one: nothing is changed then.
    pub fn append(&mut self, entries: &Entries) -> Result<(), StorageError> {
        self.append_own(entries.clone())
    }

    #[inline]
    fn append_own(&mut self, entries: Entries) -> Result<(), StorageError> {
        let Some((first, last)) = entries.ends() else { return Ok(()) };
        let (first, last) = (first.index, last.index);
        let (len, end) = (entries.len() as u64, self.pieces.end());
        if first > end {
            return Err(StorageError::Gap { expected: end, got: first });
        }
        if last.since(first) != len.wrapping_sub(1) {
            return Err(StorageError::Gap { expected: first.plus(len).prev(), got: last });
        }
        if first == end {
            // Nearly always they go on where the log ends.
            self.pieces.push(entries);
            return Ok(());
        }
        if last <= self.base.index {
            return Ok(());
        }
        let new_first = first.max(self.base.index.next());
        self.pieces.truncate_from(new_first);
        self.pieces.push(entries.part(new_first.since(first) as usize, usize::MAX));
        Ok(())
    }

    /// Puts a snapshot in the place of the whole log.
    ///
    /// # Errors
    /// [`StorageError::SnapshotOutOfDate`] when a snapshot as new is stored already, or when this
    /// one contains nothing.
    pub fn apply_snapshot(&mut self, snapshot: Snapshot) -> Result<(), StorageError> {
        let Snapshot { position, conf_state, data } = snapshot;
        if position.index <= self.snapshot_index() {
            return Err(StorageError::SnapshotOutOfDate);
        }
        self.base = position;
        self.pieces = Pieces::starting_at(position.index.next());
        self.snapshot_members = conf_state.into();
        let snapshot = Some(StoredSnapshot { position, data });
        self.rare = Some(Box::new(Rare { conf_state: None, snapshot }));
        Ok(())
    }

    fn stored_snapshot(&self) -> Option<&StoredSnapshot> {
        self.rare.as_ref()?.snapshot.as_ref()
    }

    fn snapshot_index(&self) -> Index {
        self.stored_snapshot().map_or(Index::ZERO, |snapshot| snapshot.position.index)
    }

    /// Stores the application's state after the entry at `index` as the snapshot to send to
    /// members that are behind, and returns it. `conf_state` is the membership after that entry;
    /// `None` leaves the stored one. The log keeps its entries: see [`compact`](Self::compact).
    ///
    /// # Errors
    /// [`StorageError::SnapshotOutOfDate`] when a snapshot as new is stored already,
    /// [`StorageError::Unavailable`] when there is no such entry.
    pub fn create_snapshot(
        &mut self,
        index: Index,
        conf_state: Option<ConfState>,
        data: impl Into<Bytes>,
    ) -> Result<Snapshot, StorageError> {
        if index <= self.snapshot_index() {
            return Err(StorageError::SnapshotOutOfDate);
        }
        let position = Position { term: self.term(index)?, index };
        let rare = self.rare.get_or_insert_default();
        if let Some(conf_state) = conf_state.or(rare.conf_state.take()) {
            self.snapshot_members = conf_state.into();
        }
        rare.snapshot = Some(StoredSnapshot { position, data: data.into() });
        self.snapshot()
    }

    /// Drops the entries up to and including `index`. Keep some that are applied already, so that
    /// members that are a little behind need no snapshot; never drop one that is not applied.
    ///
    /// # Errors
    /// [`StorageError::Compacted`] when they are gone already, [`StorageError::Unavailable`] when
    /// there is no such entry. Nothing is changed then.
    pub fn compact(&mut self, index: Index) -> Result<(), StorageError> {
        if index <= self.base.index {
            return Err(StorageError::Compacted);
        }
        let term = self.term(index)?;
        self.base = Position { term, index };
        self.pieces.drop_before(index.next());
        Ok(())
    }

    /// The stored hard state.
    #[must_use]
    pub const fn hard_state(&self) -> HardState {
        self.hard_state
    }
}

impl Storage for MemoryStorage {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        let newer = self.rare.as_ref().and_then(|rare| rare.conf_state.clone());
        Ok((self.hard_state, newer.unwrap_or_else(|| (&self.snapshot_members).into())))
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        if low <= self.base.index {
            return Err(StorageError::Compacted);
        }
        if high > self.pieces.end() {
            return Err(StorageError::Unavailable);
        }
        let mut found = self.pieces.slice(low, high);
        found.limit_encoded_bytes(max_bytes);
        Ok(found)
    }

    #[inline]
    fn term(&self, index: Index) -> Result<Term, StorageError> {
        if index == self.base.index {
            return Ok(self.base.term);
        }
        if index < self.base.index {
            return Err(StorageError::Compacted);
        }
        self.pieces.get(index).map(|entry| entry.term).ok_or(StorageError::Unavailable)
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        Ok(self.base.index.next())
    }

    #[inline]
    fn last_index(&self) -> Result<Index, StorageError> {
        Ok(self.pieces.end().prev())
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let conf_state = (&self.snapshot_members).into();
        Ok(match self.stored_snapshot().cloned() {
            Some(StoredSnapshot { position, data }) => Snapshot { position, conf_state, data },
            None => Snapshot { conf_state, ..Snapshot::default() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;

    fn entries(term: u64, range: std::ops::RangeInclusive<u64>) -> Entries {
        range.map(|i| Entry { term: Term(term), index: Index(i), ..Entry::default() }).collect()
    }

    fn log(storage: &MemoryStorage) -> Vec<(u64, u64)> {
        let first = storage.first_index().unwrap();
        let last = storage.last_index().unwrap();
        storage
            .entries(first, last.next(), u64::MAX)
            .unwrap()
            .iter()
            .map(|e| (e.term.0, e.index.0))
            .collect()
    }

    fn filled() -> MemoryStorage {
        let mut storage = MemoryStorage::new();
        storage.append(&entries(1, 1..=3)).unwrap();
        storage.append(&entries(2, 4..=6)).unwrap();
        storage
    }

    #[test]
    fn appending_replaces_from_the_first_index_on() {
        let mut storage = filled();
        storage.append(&entries(3, 3..=4)).unwrap();
        assert_eq!(log(&storage), [(1, 1), (1, 2), (3, 3), (3, 4)]);
        let gap = storage.append(&entries(3, 6..=7));
        assert_eq!(gap, Err(StorageError::Gap { expected: Index(5), got: Index(6) }));
        assert_eq!(log(&storage).len(), 4);
    }

    #[test]
    fn compaction_keeps_the_term_of_the_last_dropped_entry() {
        let mut storage = filled();
        storage.compact(Index(4)).unwrap();
        assert_eq!(log(&storage), [(2, 5), (2, 6)]);
        assert_eq!(storage.term(Index(4)), Ok(Term(2)));
        assert_eq!(storage.term(Index(3)), Err(StorageError::Compacted));
        assert_eq!(storage.entries(Index(4), Index(6), 1), Err(StorageError::Compacted));
        assert_eq!(storage.compact(Index(4)), Err(StorageError::Compacted));
        assert_eq!(storage.compact(Index(7)), Err(StorageError::Unavailable));
        storage.compact(Index(6)).unwrap();
        assert_eq!((storage.first_index(), storage.last_index()), (Ok(Index(7)), Ok(Index(6))));
        // Entries that are compacted already are passed over.
        storage.append(&entries(2, 5..=8)).unwrap();
        assert_eq!(log(&storage), [(2, 7), (2, 8)]);
    }

    #[test]
    fn without_a_snapshot_there_are_the_members_of_the_beginning() {
        let members = ConfState { voters: vec![1, 2], ..ConfState::default() };
        let storage = MemoryStorage::with_conf_state(members.clone());
        let expected = Snapshot { conf_state: members, ..Snapshot::default() };
        assert_eq!(storage.snapshot(), Ok(expected));
    }

    #[test]
    fn a_snapshot_replaces_the_log_only_when_it_is_newer() {
        let mut storage = filled();
        let made = storage.create_snapshot(Index(5), None, "five").unwrap();
        assert_eq!(made.position, Position { term: Term(2), index: Index(5) });
        assert_eq!(log(&storage).len(), 6);
        assert_eq!(storage.apply_snapshot(made), Err(StorageError::SnapshotOutOfDate));
        let nothing = MemoryStorage::new().apply_snapshot(Snapshot::default());
        assert_eq!(nothing, Err(StorageError::SnapshotOutOfDate));
        let newer = Snapshot {
            position: Position { term: Term(7), index: Index(9) },
            ..Snapshot::default()
        };
        storage.apply_snapshot(newer).unwrap();
        assert!(log(&storage).is_empty());
        assert_eq!(storage.term(Index(9)), Ok(Term(7)));
        storage.append(&entries(7, 10..=10)).unwrap();
        assert_eq!(log(&storage), [(7, 10)]);
    }

    #[test]
    fn the_size_limit_cuts_across_pieces() {
        let storage = filled();
        let one = entries(1, 1..=1).encoded_bytes();
        let read = storage.entries(Index(2), Index(7), 3 * one).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(storage.entries(Index(2), Index(8), 1), Err(StorageError::Unavailable));
    }
}
