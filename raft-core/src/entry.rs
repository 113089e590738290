//! Log entries, and runs of them that are shared instead of copied.
//!
//! One entry travels through many hands: the unstable tail, a message to every peer, the Ready
//! that persists it, the storage, the Ready that applies it. [`Entries`] is a list of counted
//! references to immutable blocks, so each of those hands costs one reference per *block*, not a
//! clone per entry.

use std::fmt;

use bytes::Bytes;
use raftcore_blocks::{Shared, Writer};

use crate::ids::{Index, Position, Term};

/// What the data of an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(i32)]
pub enum EntryKind {
    /// The application's own bytes, or nothing at all (a new leader's first entry).
    #[default]
    Normal = 0,
    /// An encoded [`crate::ConfChange`]: one member at a time.
    ConfChange = 1,
    /// An encoded [`crate::ConfChangeV2`]; no data means "leave the joint configuration".
    ConfChangeV2 = 2,
}

/// One entry of the replicated log.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Entry {
    /// The term of the leader that created it.
    pub term: Term,
    /// Its place in the log.
    pub index: Index,
    /// What `data` is.
    pub kind: EntryKind,
    /// The payload. Counted, never copied by the core.
    pub data: Bytes,
}

impl Entry {
    /// Where this entry stands.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position { term: self.term, index: self.index }
    }

    /// Whether this entry changes the membership when it is applied.
    #[must_use]
    pub const fn is_conf_change(&self) -> bool {
        !matches!(self.kind, EntryKind::Normal)
    }

    /// The payload's length in bytes: what counts against the in-flight and uncommitted limits.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.data.len() as u64
    }

    /// The size of the entry's encoding in bytes: what counts against the size limits of a
    /// message and of a Ready. Kept equal to the encoder's result by a test in `wire`.
    #[must_use]
    pub fn encoded_bytes(&self) -> u64 {
        let kind = if matches!(self.kind, EntryKind::Normal) { 0 } else { 2 };
        let data = if self.data.is_empty() {
            0
        } else {
            field_bytes(self.payload_bytes()).wrapping_add(self.payload_bytes())
        };
        // Nothing in memory is so long that this would wrap.
        data.wrapping_add(kind)
            .wrapping_add(number_bytes(self.term.0))
            .wrapping_add(number_bytes(self.index.0))
    }
}

/// The encoded length of a numeric field with its tag; an absent field means zero.
const fn number_bytes(n: u64) -> u64 {
    if n == 0 { 0 } else { field_bytes(n) }
}

/// A tag of one byte and a varint.
pub(crate) const fn field_bytes(n: u64) -> u64 {
    varint_bytes(n).wrapping_add(1)
}

/// The length of a protobuf varint: a byte for every seven bits, one for zero. A division by seven
/// that is exact for up to 64 bits, without dividing.
const fn varint_bytes(n: u64) -> u64 {
    let highest = 63u32.wrapping_sub((n | 1).leading_zeros());
    highest.wrapping_mul(9).wrapping_add(73).wrapping_shr(6) as u64
}

/// A list of entries in shared, immutable blocks. Cloning it or cutting a part out of it counts
/// references and copies no entry.
///
/// The entries of a list that the core hands out are consecutive. A list that came from a peer
/// can hold anything: the door (`step`) checks it before it believes it.
///
/// It is two words, so that it travels in registers: lists are moved around with every message.
#[derive(Clone, Default)]
pub struct Entries {
    block: Option<Shared<Joined, Entry>>,
    /// Which part of the block. Invariant: it is not empty, unless there is no block.
    part: Part,
}

/// A part `[start, end)` of a block, in one word: `start` in its lower half, at most `end`.
#[derive(Clone, Copy, Default)]
struct Part(u64);

impl Part {
    const fn new(start: u32, end: u32) -> Self {
        Self((end as u64) << 32 | start as u64)
    }

    const fn start(self) -> u32 {
        self.0 as u32
    }

    const fn end(self) -> u32 {
        (self.0 >> 32) as u32
    }

    const fn len(self) -> usize {
        self.end().wrapping_sub(self.start()) as usize
    }
}

/// Of a list in several parts, each of them in one block: these. It is always meant as a whole, and
/// its own block holds no entry.
type Joined = Option<Box<Vec<Entries>>>;

/// A block that is not full yet.
pub(crate) type OpenBlock = Writer<Joined, Entry>;

impl Entries {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { block: None, part: Part::new(0, 0) }
    }

    /// The parts of the list that lie in one block each.
    #[inline]
    fn parts(&self) -> &[Self] {
        match self.block.as_ref().map(Shared::header) {
            None => &[],
            Some(Some(parts)) => parts,
            Some(None) => std::slice::from_ref(self),
        }
    }

    /// The list as one slice, unless it has parts.
    #[inline]
    fn as_one(&self) -> Option<&[Entry]> {
        let Some(block) = &self.block else { return Some(&[]) };
        // A block without entries is one of parts.
        block.get(self.part.start() as usize..self.part.end() as usize)
    }

    /// The entries of a list in one block.
    #[inline]
    fn as_slice(&self) -> &[Entry] {
        self.as_one().unwrap_or_default()
    }

    /// How many entries there are.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.part.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.block.is_none()
    }

    /// The first entry.
    #[inline]
    #[must_use]
    pub fn first(&self) -> Option<&Entry> {
        match self.in_block(0) {
            Some(entry) => Some(entry),
            None => self.parts().first()?.in_block(0),
        }
    }

    /// The last entry.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<&Entry> {
        self.get(self.len().wrapping_sub(1))
    }

    /// The first and the last entry, in one look.
    #[inline]
    pub(crate) fn ends(&self) -> Option<(&Entry, &Entry)> {
        let block: &[Entry] = self.block.as_ref()?;
        let first = block.get(self.part.start() as usize);
        match first.zip(block.get(self.part.end().wrapping_sub(1) as usize)) {
            Some(ends) => Some(ends),
            None => self.first().zip(self.last()),
        }
    }

    /// The entry at this place of the list (not of the log).
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&Entry> {
        if at >= self.len() {
            return None;
        }
        match self.in_block(at) {
            Some(entry) => Some(entry),
            None => self.in_parts(at),
        }
    }

    /// The entry at this place of the list, which is not beyond it, unless the list has parts.
    #[inline]
    fn in_block(&self, at: usize) -> Option<&Entry> {
        // A block without entries is one of parts.
        self.block.as_ref()?.get((self.part.start() as usize).saturating_add(at))
    }

    /// The same if it has.
    #[cold]
    fn in_parts(&self, at: usize) -> Option<&Entry> {
        if at.saturating_add(1) == self.len() {
            let last = self.parts().last()?;
            return last.in_block(last.len().saturating_sub(1));
        }
        self.iter().nth(at)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> + '_ {
        self.slices().flatten()
    }

    /// The entries as contiguous slices, in order.
    pub fn slices(&self) -> impl DoubleEndedIterator<Item = &[Entry]> + '_ {
        self.parts().iter().map(Self::as_slice)
    }

    /// Whether one message of so many bytes can carry them: of one entry it always can.
    #[inline]
    pub(crate) fn fit(&self, max_bytes: u64) -> bool {
        self.len() <= 1 || max_bytes == u64::MAX || self.encoded_bytes() <= max_bytes
    }

    /// Whether they all have this term and follow on this index without a gap.
    #[inline]
    pub(crate) fn follow(&self, index: Index, term: Term) -> bool {
        let mut last = index;
        let mut follows = |entry: &Entry| {
            last = last.after();
            entry.term == term && entry.index == last
        };
        match self.as_one() {
            _ if self.is_empty() => true,
            Some([only]) => follows(only),
            Some(slice) => slice.iter().all(follows),
            None => self.iter().all(follows),
        }
    }

    /// The part `[from, to)` of the list, cut to what there is.
    #[must_use]
    pub fn part(&self, from: usize, to: usize) -> Self {
        let mut out = Self::new();
        let mut passed = 0usize;
        for part in self.parts() {
            out.push_part(part.part_of_one(from.saturating_sub(passed), to.saturating_sub(passed)));
            passed = passed.saturating_add(part.len());
        }
        out
    }

    /// The same for a list in one block.
    fn part_of_one(&self, from: usize, to: usize) -> Self {
        let to = to.min(self.len());
        let from = from.min(to);
        if from == to {
            return Self::new();
        }
        // Both fit: they are at most `self.len()`, which is a difference of two u32.
        let start = self.part.start().saturating_add(from as u32);
        let end = self.part.start().saturating_add(to as u32);
        Self { block: self.block.clone(), part: Part::new(start, end) }
    }

    /// Forgets what it has: most lists that are cleared have nothing.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if !self.is_empty() {
            *self = Self::new();
        }
    }

    /// Appends the entries of another list.
    pub fn append(&mut self, other: Self) {
        match other.block.as_ref().map(Shared::header) {
            Some(Some(parts)) if !self.is_empty() => {
                parts.iter().for_each(|part| self.push_part(part.clone()));
            }
            _ => self.push_part(other),
        }
    }

    /// Keeps the first `len` entries.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            *self = self.part(0, len);
        }
    }

    /// Keeps the longest prefix whose encoding is at most `max_bytes`, but at least one entry, so
    /// that an entry above the limit can still travel.
    #[inline]
    pub fn limit_encoded_bytes(&mut self, max_bytes: u64) {
        if max_bytes != u64::MAX && self.len() > 1 {
            self.cut_to(max_bytes);
        }
    }

    fn cut_to(&mut self, max_bytes: u64) {
        let mut total = 0u64;
        let fits = self
            .iter()
            .take_while(|entry| {
                total = total.saturating_add(entry.encoded_bytes());
                total <= max_bytes
            })
            .count();
        self.truncate(fits.max(1));
    }

    /// The sum of the entries' encodings in bytes.
    #[must_use]
    pub fn encoded_bytes(&self) -> u64 {
        self.sum(Entry::encoded_bytes)
    }

    /// The sum of the entries' payloads in bytes.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.sum(Entry::payload_bytes)
    }

    fn sum(&self, bytes: impl Fn(&Entry) -> u64) -> u64 {
        let add = |sum: u64, entry: &Entry| sum.saturating_add(bytes(entry));
        match self.as_one() {
            Some(slice) => slice.iter().fold(0, add),
            None => self.iter().fold(0, add),
        }
    }

    /// Appends a list in one block; to an empty list, any list.
    fn push_part(&mut self, part: Self) {
        if part.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = part;
            return;
        }
        let Err(part) = self.join(part) else { return };
        let end = self.len().saturating_add(part.len()) as u32;
        match self.block.as_mut().and_then(Shared::header_mut) {
            Some(Some(parts)) => {
                parts.push(part);
                self.part = Part::new(0, end);
            }
            _ => {
                let parts = self.parts().iter().cloned().chain([part]).collect();
                let block = OpenBlock::new(Some(Box::new(parts)), 0).into_shared();
                *self = Self { block: Some(block), part: Part::new(0, end) };
            }
        }
    }

    /// Appends a list that goes on where this one ends, in the same block; any other comes back.
    #[inline]
    pub(crate) fn join(&mut self, next: Self) -> Result<(), Self> {
        if self.go_on(&next) { Ok(()) } else { Err(next) }
    }

    /// Where this list lies in another of the same block, if it is a part of it. For the C library,
    /// which has shown the other.
    #[doc(hidden)]
    #[inline]
    pub fn place_in(&self, whole: &Self) -> Option<usize> {
        let (one, other) = (self.block.as_ref()?, whole.block.as_ref()?);
        let is_part = self.part.end() <= whole.part.end() && one.is_same_block(other);
        let place = self.part.start().checked_sub(whole.part.start()).filter(|_| is_part)?;
        Some(place as usize)
    }

    /// A block of its own for these, which are as many as they say.
    #[inline]
    fn of(entries: impl ExactSizeIterator<Item = Entry>) -> Self {
        // A block above 2^32 entries would not fit into memory.
        let len = entries.len() as u32;
        if len == 0 {
            return Self::new();
        }
        let mut block = OpenBlock::new(None, len);
        entries.for_each(|entry| drop(block.push(entry)));
        Self { part: Part::new(0, len), block: Some(block.into_shared()) }
    }

    /// Goes on with a list that begins where this one ends, in the same block, without counting
    /// another reference to it; whether it does so. For the C library, which keeps what it shows.
    #[doc(hidden)]
    #[inline]
    pub fn go_on(&mut self, next: &Self) -> bool {
        match (&self.block, &next.block) {
            (Some(one), Some(other))
                if one.is_same_block(other) && self.part.end() == next.part.start() =>
            {
                self.part = Part::new(self.part.start(), next.part.end());
                true
            }
            _ => false,
        }
    }

    /// What a block has, that was not shared yet.
    #[inline]
    pub(crate) fn share(block: &mut OpenBlock) -> Self {
        let start = block.shared();
        Self { part: Part::new(start, block.len() as u32), block: Some(block.share()) }
    }
}

impl From<Entry> for Entries {
    #[inline]
    fn from(entry: Entry) -> Self {
        Self::of([entry].into_iter())
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Self {
        Self::of(entries.into_iter())
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self::from(entries.into_iter().collect::<Vec<_>>())
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = Box<dyn DoubleEndedIterator<Item = &'a Entry> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Entries {}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(range: std::ops::Range<u64>) -> Vec<Entry> {
        range
            .map(|i| Entry {
                term: Term(1),
                index: Index(i),
                data: vec![0; 10].into(),
                ..Entry::default()
            })
            .collect()
    }

    fn two_blocks() -> Entries {
        let mut list = Entries::from(entries(1..4));
        list.append(Entries::from(entries(4..9)));
        list
    }

    fn indexes(list: &Entries) -> Vec<u64> {
        list.iter().map(|e| e.index.0).collect()
    }

    #[test]
    fn a_part_crosses_blocks_without_copying() {
        let list = two_blocks();
        assert_eq!(indexes(&list.part(1, 6)), [2, 3, 4, 5, 6]);
        assert_eq!(indexes(&list.part(3, 100)), [4, 5, 6, 7, 8]);
        assert!(list.part(5, 5).is_empty());
        assert!(list.part(20, 30).is_empty());
        let whole = list.part(0, 8);
        assert!(whole.slices().map(<[Entry]>::as_ptr).eq(list.slices().map(<[Entry]>::as_ptr)));
        assert_eq!(list.get(3).map(|e| e.index), Some(Index(4)));
        assert_eq!(list.get(8), None);
        let cut = list.part(1, 6);
        assert_eq!((0..7).filter_map(|at| cut.get(at)).count(), 5);
        for (list, ends) in [(&list, (1, 8)), (&cut, (2, 6)), (&list.part(3, 5), (4, 5))] {
            assert_eq!(list.ends(), list.first().zip(list.last()));
            assert_eq!(list.ends().map(|(a, b)| (a.index.0, b.index.0)), Some(ends));
        }
        assert_eq!((Entries::new().first(), Entries::new().last()), (None, None));
    }

    #[test]
    fn a_part_knows_its_place_in_what_it_was_cut_from() {
        let list = Entries::from(entries(1..9));
        let part = list.part(2, 6);
        assert_eq!(part.place_in(&list), Some(2));
        assert_eq!(list.part(3, 6).place_in(&part), Some(1));
        assert_eq!(part.place_in(&part), Some(0));
        // Longer at either end, or of another block, or nothing.
        for other in [list.part(1, 6), list.part(2, 7), entries(3..7).into(), Entries::new()] {
            assert_eq!(other.place_in(&part), None);
        }
        assert_eq!(part.place_in(&Entries::new()), None);
    }

    #[test]
    fn equality_looks_at_entries_not_at_blocks() {
        assert_eq!(two_blocks(), Entries::from(entries(1..9)));
        assert_eq!(format!("{:?}", two_blocks()), format!("{:?}", entries(1..9)));
    }

    #[test]
    fn the_size_limit_keeps_at_least_one_entry() {
        let one = entries(1..2)[0].encoded_bytes();
        let mut list = two_blocks();
        list.limit_encoded_bytes(0);
        assert_eq!(list.len(), 1);
        let mut list = two_blocks();
        list.limit_encoded_bytes(4 * one);
        assert_eq!(list.len(), 4);
        let mut list = two_blocks();
        list.limit_encoded_bytes(5 * one - 1);
        assert_eq!(list.len(), 4);
        let mut list = two_blocks();
        list.limit_encoded_bytes(u64::MAX);
        assert_eq!(list.len(), 8);
    }
}
