//! A storage that fails or lies when it is told to.

use std::cell::{Cell, RefCell};
use std::fmt;

use raftcore::{
    ConfState, Entries, Entry, HardState, Index, MemoryStorage, Snapshot, Storage, StorageError,
    Term,
};

/// The calls that a node makes on its storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    InitialState,
    Entries,
    Term,
    FirstIndex,
    LastIndex,
    Snapshot,
}

impl Call {
    pub(crate) const ALL: [Self; 6] = [
        Self::InitialState,
        Self::Entries,
        Self::Term,
        Self::FirstIndex,
        Self::LastIndex,
        Self::Snapshot,
    ];
}

/// What a storage does instead of answering.
#[derive(Clone)]
pub(crate) enum Lie {
    Fail(StorageError),
    /// Changes the entries that it read.
    Entries(fn(Vec<Entry>) -> Vec<Entry>),
    /// Answers this number, whatever was asked: a term or a bound.
    Number(u64),
    Snapshot(fn(Snapshot) -> Snapshot),
}

struct Rule {
    call: Call,
    /// How many such calls are answered well before.
    after: usize,
    /// How many are not answered well then.
    times: usize,
    lie: Lie,
}

/// A [`MemoryStorage`] that follows orders.
#[derive(Default)]
pub(crate) struct FaultyStorage {
    pub(crate) inner: MemoryStorage,
    rules: RefCell<Vec<Rule>>,
    /// Of a hundred calls so many fail, at random.
    flaky_percent: Cell<u64>,
    random: Cell<u64>,
}

impl FaultyStorage {
    pub(crate) fn new(inner: MemoryStorage) -> Self {
        Self { inner, ..Self::default() }
    }

    /// From now on so many of a hundred calls fail, at random.
    pub(crate) fn make_flaky(&self, percent: u64, seed: u64) {
        self.flaky_percent.set(percent);
        self.random.set(seed);
    }

    /// From now on every such call fails.
    pub(crate) fn break_down(&self, call: Call) {
        self.lie(call, 0, usize::MAX, Lie::Fail(failure()));
    }

    /// After this many good answers, so many calls get this one.
    pub(crate) fn lie(&self, call: Call, after: usize, times: usize, lie: Lie) {
        self.rules.borrow_mut().push(Rule { call, after, times, lie });
    }

    /// From now on it answers well again.
    pub(crate) fn mend(&self) {
        self.rules.borrow_mut().clear();
        self.flaky_percent.set(0);
    }

    fn order(&self, call: Call) -> Option<Lie> {
        let next = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.random.set(next);
        if (next >> 33) % 100 < self.flaky_percent.get() {
            return Some(Lie::Fail(failure()));
        }
        let mut rules = self.rules.borrow_mut();
        let rule = rules.iter_mut().find(|rule| rule.call == call && rule.times > 0)?;
        if rule.after > 0 {
            rule.after -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.lie.clone())
    }

    fn number(&self, call: Call, honest: Result<u64, StorageError>) -> Result<u64, StorageError> {
        match self.order(call) {
            Some(Lie::Fail(error)) => Err(error),
            Some(Lie::Number(number)) => Ok(number),
            _ => honest,
        }
    }
}

/// What a broken storage says.
pub(crate) fn failure() -> StorageError {
    StorageError::failed("the disk is gone")
}

/// Without the orders: they are no state of the log.
impl fmt::Debug for FaultyStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Storage for FaultyStorage {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        match self.order(Call::InitialState) {
            Some(Lie::Fail(error)) => Err(error),
            _ => self.inner.initial_state(),
        }
    }

    fn entries(&self, low: Index, high: Index, max_bytes: u64) -> Result<Entries, StorageError> {
        let honest = || self.inner.entries(low, high, max_bytes);
        match self.order(Call::Entries) {
            Some(Lie::Fail(error)) => Err(error),
            Some(Lie::Entries(change)) => {
                Ok(change(honest()?.iter().cloned().collect()).into_iter().collect())
            }
            _ => honest(),
        }
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        self.number(Call::Term, self.inner.term(index).map(|term| term.0)).map(Term)
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        self.number(Call::FirstIndex, self.inner.first_index().map(|index| index.0)).map(Index)
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        self.number(Call::LastIndex, self.inner.last_index().map(|index| index.0)).map(Index)
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        match self.order(Call::Snapshot) {
            Some(Lie::Fail(error)) => Err(error),
            Some(Lie::Snapshot(change)) => self.inner.snapshot().map(change),
            _ => self.inner.snapshot(),
        }
    }
}
