//! What waits for a Ready, as a set.
//!
//! Each kind is noted by the setter through which it comes about, so that nobody has to look for
//! it: an application asks for work several times an entry, and mostly there is none. Messages are
//! not in it; they are noted in the outbox. In debug builds all of it is held against a full look
//! on leaving every public call (`node/waiting.rs`).

/// Kinds of work.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Work(u8);

impl Work {
    pub(crate) const NONE: Self = Self(0);
    /// The term or the vote changed.
    pub(crate) const BALLOT: Self = Self(1);
    /// The commit index rose.
    pub(crate) const COMMIT: Self = Self(2);
    /// Either: there is a hard state to persist.
    pub(crate) const HARD_STATE: Self = Self(Self::BALLOT.0 | Self::COMMIT.0);
    /// Entries wait to be persisted.
    pub(crate) const ENTRIES: Self = Self(4);
    /// Entries wait to be applied.
    pub(crate) const COMMITTED: Self = Self(8);
    /// A snapshot waits to be persisted.
    pub(crate) const SNAPSHOT: Self = Self(16);
    /// Reads can be answered.
    pub(crate) const READS: Self = Self(32);
    /// The leader or the role was set: perhaps to what the application was told last.
    pub(crate) const SOFT_STATE: Self = Self(64);
    /// What few Readies have.
    pub(crate) const RARE: Self = Self(Self::SNAPSHOT.0 | Self::READS.0 | Self::SOFT_STATE.0);

    /// What is in either.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this one and not in the other.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether any of these is in it.
    pub(crate) const fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    pub(crate) const fn note(&mut self, kind: Self) {
        self.0 |= kind.0;
    }

    /// Notes that this is so, or that it is not.
    pub(crate) const fn set(&mut self, kind: Self, is_so: bool) {
        *self = if is_so { self.or(kind) } else { self.without(kind) };
    }
}
