//! Log entries, and runs of them that are shared instead of copied.
//!
//! One entry travels through many hands: the unstable tail, a message to every peer, the Ready
//! that persists it, the storage, the Ready that applies it. [`Entries`] is a list of counted
//! references to immutable blocks, so each of those hands costs one reference per *block*, not a
//! clone per entry.

use std::sync::Arc;

use bytes::Bytes;

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
            field_bytes(self.payload_bytes()).saturating_add(self.payload_bytes())
        };
        data.saturating_add(kind)
            .saturating_add(number_bytes(self.term.0))
            .saturating_add(number_bytes(self.index.0))
    }
}

/// The encoded length of a numeric field with its tag; an absent field means zero.
const fn number_bytes(n: u64) -> u64 {
    if n == 0 { 0 } else { field_bytes(n) }
}

/// A tag of one byte and a varint.
const fn field_bytes(n: u64) -> u64 {
    varint_bytes(n).saturating_add(1)
}

/// The length of a protobuf varint: a byte for every seven bits, one for zero.
const fn varint_bytes(n: u64) -> u64 {
    let bits = 64u32.saturating_sub((n | 1).leading_zeros());
    bits.div_ceil(7) as u64
}

/// A part of one shared block.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    block: Arc<[Entry]>,
    start: u32,
    end: u32,
}

impl Segment {
    #[inline]
    fn as_slice(&self) -> &[Entry] {
        self.block.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    #[inline]
    const fn len(&self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// The part `[from, to)` of this segment, counted from its own start.
    fn part(&self, from: usize, to: usize) -> Self {
        let to = to.min(self.len());
        let from = from.min(to);
        // Both fit: they are at most `self.len()`, which is a difference of two u32.
        let start = self.start.saturating_add(from as u32);
        let end = self.start.saturating_add(to as u32);
        Self { block: Arc::clone(&self.block), start, end }
    }
}

/// A list of entries in shared, immutable blocks. Cloning it or cutting a part out of it counts
/// references and copies no entry.
///
/// The entries of a list that the core hands out are consecutive. A list that came from a peer
/// can hold anything: the door (`step`) checks it before it believes it.
#[derive(Default, Debug)]
pub struct Entries {
    /// The first segment. Invariant: no segment is empty.
    head: Option<Segment>,
    /// What follows it. Nearly every list is one segment, so the rest takes one word: lists are
    /// moved around with every message.
    #[allow(clippy::box_collection, reason = "one word instead of three")]
    rest: Option<Box<Vec<Segment>>>,
}

impl Entries {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { head: None, rest: None }
    }

    #[inline]
    fn rest(&self) -> &[Segment] {
        self.rest.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The list as one slice, if it is one segment, or none at all.
    #[inline]
    fn as_one(&self) -> Option<&[Entry]> {
        match (&self.head, &self.rest) {
            (Some(head), None) => Some(head.as_slice()),
            (None, _) => Some(&[]),
            _ => None,
        }
    }

    fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.head.iter().chain(self.rest())
    }

    /// How many entries there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        let head = self.head.as_ref().map_or(0, Segment::len);
        match &self.rest {
            None => head,
            Some(rest) => rest.iter().map(Segment::len).fold(head, usize::saturating_add),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// The first entry.
    #[inline]
    #[must_use]
    pub fn first(&self) -> Option<&Entry> {
        self.head.as_ref()?.as_slice().first()
    }

    /// The last entry.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<&Entry> {
        self.rest().last().or(self.head.as_ref())?.as_slice().last()
    }

    /// The entry at this place of the list (not of the log).
    #[must_use]
    pub fn get(&self, mut at: usize) -> Option<&Entry> {
        for segment in self.segments() {
            if at < segment.len() {
                return segment.as_slice().get(at);
            }
            at = at.saturating_sub(segment.len());
        }
        None
    }

    /// The entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> + '_ {
        self.slices().flatten()
    }

    /// The entries as contiguous slices, in order.
    pub fn slices(&self) -> impl DoubleEndedIterator<Item = &[Entry]> + '_ {
        self.segments().map(Segment::as_slice)
    }

    /// The part `[from, to)` of the list, cut to what there is.
    #[must_use]
    pub fn part(&self, from: usize, to: usize) -> Self {
        let mut out = Self::new();
        let mut passed = 0usize;
        for segment in self.segments() {
            let end = passed.saturating_add(segment.len());
            if end > from && passed < to {
                out.push_segment(
                    segment.part(from.saturating_sub(passed), to.saturating_sub(passed)),
                );
            }
            passed = end;
        }
        out
    }

    /// Appends the entries of another list.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let Self { head, rest } = other;
        for segment in head.into_iter().chain(rest.into_iter().flat_map(|rest| *rest)) {
            self.push_segment(segment);
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
    pub fn limit_encoded_bytes(&mut self, max_bytes: u64) {
        if max_bytes == u64::MAX || self.len() <= 1 {
            return;
        }
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
        let add = |sum: u64, entry| sum.saturating_add(bytes(entry));
        match self.as_one() {
            Some(slice) => slice.iter().fold(0, add),
            None => self.iter().fold(0, add),
        }
    }

    fn push_segment(&mut self, segment: Segment) {
        if segment.len() == 0 {
            return;
        }
        if self.head.is_none() {
            self.head = Some(segment);
        } else {
            self.rest.get_or_insert_default().push(segment);
        }
    }

    /// One block of the entries in `tail`, which is left empty, its capacity kept.
    pub(crate) fn seal(tail: &mut Vec<Entry>) -> Self {
        let mut list = Self::new();
        if !tail.is_empty() {
            let block: Arc<[Entry]> = tail.drain(..).collect();
            // A block above 2^32 entries would not fit into memory.
            let end = block.len() as u32;
            list.head = Some(Segment { block, start: 0, end });
        }
        list
    }
}

impl Clone for Entries {
    #[inline]
    fn clone(&self) -> Self {
        Self { head: self.head.clone(), rest: self.rest.clone() }
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(mut entries: Vec<Entry>) -> Self {
        Self::seal(&mut entries)
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
        assert!(Arc::ptr_eq(
            &whole.head.as_ref().unwrap().block,
            &list.head.as_ref().unwrap().block
        ));
        assert_eq!(list.get(3).map(|e| e.index), Some(Index(4)));
        assert_eq!(list.get(8), None);
    }

    #[test]
    fn equality_looks_at_entries_not_at_blocks() {
        assert_eq!(two_blocks(), Entries::from(entries(1..9)));
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
