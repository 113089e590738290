//! The three numbers of Raft as types, so that a term can never stand where an index belongs.
//!
//! All arithmetic on them lives here and saturates: the door refuses numbers near the 64-bit
//! limit, so saturation is never reached by an honest log, and a forged one cannot wrap. What the
//! door has seen need not be checked again: `after` and `skip` just add.

use std::fmt;
use std::num::NonZeroU64;

/// No honest index or term comes near this: the door refuses what is above it, from a peer or from
/// the storage. Above it lies more room than any log grows into.
pub(crate) const LIMIT: u64 = u64::MAX >> 1;

/// The id of a member: any 64-bit number except zero (which means "nobody" on the wire) and the
/// two highest, which name a node's own storage threads.
///
/// Ids are never reused: a node that lost its disk comes back under a new id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct NodeId(NonZeroU64);

impl NodeId {
    /// The wire's address of a node's append thread (see [`crate::StorageAppend`]).
    pub const APPEND_THREAD: u64 = u64::MAX;
    /// The wire's address of a node's apply thread (see [`crate::StorageApply`]).
    pub const APPLY_THREAD: u64 = u64::MAX - 1;

    /// The id with this number, or `None` if the number is zero or reserved.
    #[must_use]
    pub const fn new(id: u64) -> Option<Self> {
        if id >= Self::APPLY_THREAD {
            return None;
        }
        match NonZeroU64::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The wire's form of "a node or nobody": nobody is zero.
    #[must_use]
    pub fn or_zero(id: Option<Self>) -> u64 {
        id.map_or(0, Self::get)
    }
}

/// Displays in hexadecimal, as the text forms of this protocol family do.
impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", self.0)
    }
}

/// A term, Raft's logical clock (paper, section 5.1). Zero is the term before the first election.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The term before the first election, and "no term" on the wire.
    pub const ZERO: Self = Self(0);

    /// The following term.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The position of an entry in the log. The first entry has index 1; zero is before the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(transparent)]
pub struct Index(pub u64);

impl Index {
    /// The position before the first entry.
    pub const ZERO: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The position before this one; zero stays zero.
    #[must_use]
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The position `count` entries further on.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The position after this one, where this one is of a log: far below the limit.
    pub(crate) const fn after(self) -> Self {
        debug_assert!(self.0 < u64::MAX);
        Self(self.0.wrapping_add(1))
    }

    /// The position `count` entries further on, likewise.
    pub(crate) const fn skip(self, count: u64) -> Self {
        debug_assert!(count <= u64::MAX.wrapping_sub(self.0));
        Self(self.0.wrapping_add(count))
    }

    /// How many entries lie between `earlier` and this position: zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an entry stands: its term and index together name one entry of one history for ever
/// (the Log Matching Property, paper section 5.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Position {
    /// The term in which a leader created the entry. Ordered first: a later term is a newer log,
    /// whatever its length (paper, section 5.4.1).
    pub term: Term,
    /// The entry's place in the log.
    pub index: Index,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.term, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_reserved_ids_do_not_exist() {
        assert_eq!(NodeId::new(0), None);
        assert_eq!(NodeId::new(NodeId::APPEND_THREAD), None);
        assert_eq!(NodeId::new(NodeId::APPLY_THREAD), None);
        assert_eq!(NodeId::new(7).map(NodeId::get), Some(7));
        assert_eq!(format!("{:?}", NodeId::new(7)), "Some(NodeId(7))");
        assert_eq!(size_of::<Option<NodeId>>(), 8);
    }

    #[test]
    fn a_later_term_outranks_a_longer_log() {
        let long = Position { term: Term(2), index: Index(100) };
        let late = Position { term: Term(3), index: Index(1) };
        assert!(late > long);
    }
}
