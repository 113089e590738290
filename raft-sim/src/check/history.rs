//! What clients saw could have happened one operation after the other, each between its beginning
//! and its end (linearizability).
//!
//! The list is judged as it grows: every change and every read tells how long the list was, and of
//! each length there is one content. Registers are judged at the end of the run, by a search for
//! an order (Wing and Gong, with Lowe's memory of what was tried).

use std::collections::{BTreeMap, HashSet};

use super::{Verdict, Violation, ensure};

/// The end of an operation that was never seen to end.
const NEVER: u64 = u64::MAX;

/// After so many steps of a search it is given up without a verdict: the judge of the list, and
/// that of read indexes, look at the same run.
const STEPS_MAX: usize = 200_000;

/// One operation on a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Operation {
    start: u64,
    end: u64,
    /// What it put, or what it found.
    value: u32,
    writes: bool,
}

/// What the clients saw.
#[derive(Debug, Default)]
pub(crate) struct History {
    registers: BTreeMap<u8, Vec<Operation>>,
    /// The hash of the list for each length that was seen.
    lists: BTreeMap<u32, u64>,
    /// The greatest length that an operation had seen when it ended.
    list_seen: u32,
    pub(crate) operations: u64,
}

impl History {
    /// What an operation that starts now has to see.
    pub(crate) const fn list_seen(&self) -> u32 {
        self.list_seen
    }

    /// An append or a read of the list ended: it began when `seen` was known, and made or found
    /// the list of this length.
    pub(crate) fn on_list(&mut self, seen: u32, appends: bool, len: u32, hash: u64) -> Verdict {
        self.operations += 1;
        let first = *self.lists.entry(len).or_insert(hash);
        ensure(first == hash, "lists_are_prefixes", || {
            format!("two lists of length {len}: {first:x} and {hash:x}")
        })?;
        ensure(len >= seen + u32::from(appends), "list_is_linearizable", || {
            format!("a list of length {len} was seen after one of length {seen}")
        })?;
        self.list_seen = self.list_seen.max(len);
        Ok(())
    }

    /// A register was written; `end` is missing when nobody knows whether it was.
    pub(crate) fn on_write(&mut self, register: u8, value: u32, start: u64, end: Option<u64>) {
        self.operations += 1;
        let end = end.unwrap_or(NEVER);
        self.push(register, Operation { start, end, value, writes: true });
    }

    pub(crate) fn on_read(&mut self, register: u8, value: u32, start: u64, end: u64) {
        self.operations += 1;
        self.push(register, Operation { start, end, value, writes: false });
    }

    fn push(&mut self, register: u8, operation: Operation) {
        self.registers.entry(register).or_default().push(operation);
    }

    /// Judges the registers, at the end of the run.
    pub(crate) fn check_registers(&mut self) -> Verdict {
        for (register, operations) in std::mem::take(&mut self.registers) {
            if let Some(at) = find_unordered(&relevant(operations)) {
                let detail = format!("register {register}: no order explains {at:?}");
                return Err(Violation { check: "register_is_linearizable", detail });
            }
        }
        Ok(())
    }
}

/// Leaves out writes of which nobody knows whether they happened, if nobody read them either.
fn relevant(mut operations: Vec<Operation>) -> Vec<Operation> {
    let read: HashSet<u32> = operations.iter().filter(|o| !o.writes).map(|o| o.value).collect();
    operations.retain(|o| o.end != NEVER || read.contains(&o.value));
    operations.sort_by_key(|o| (o.start, o.end));
    operations
}

/// Searches for an order, part by part: where nothing is under way the history can be cut, and
/// the part before only decides which values the register may have. Returns an operation that no
/// order explains.
fn find_unordered(operations: &[Operation]) -> Option<Operation> {
    let mut values = vec![0u32];
    let mut from = 0;
    while from < operations.len() {
        let mut end = operations[from].end;
        let mut to = from + 1;
        while to < operations.len() && operations[to].start <= end {
            end = end.max(operations[to].end);
            to += 1;
        }
        let part = &operations[from..to];
        let mut after: Vec<u32> = Vec::new();
        for value in &values {
            Search::new(part).run(*value, &mut after);
        }
        after.sort_unstable();
        after.dedup();
        if after.is_empty() {
            return part.last().copied();
        }
        values = after;
        from = to;
    }
    None
}

/// One search over a part.
struct Search<'a> {
    part: &'a [Operation],
    done: Vec<u64>,
    tried: HashSet<(Vec<u64>, u32)>,
}

impl<'a> Search<'a> {
    fn new(part: &'a [Operation]) -> Self {
        Self { part, done: vec![0; part.len().div_ceil(64)], tried: HashSet::new() }
    }

    fn is_done(&self, at: usize) -> bool {
        self.done[at / 64] >> (at % 64) & 1 == 1
    }

    /// Adds every value that the register can have when all is done.
    fn run(&mut self, value: u32, found: &mut Vec<u32>) {
        // A list of what is to be tried next, in place of a recursion as deep as the history.
        let mut stack: Vec<(usize, u32)> = Vec::new();
        let mut value = value;
        let mut next = 0;
        loop {
            if let Some(at) = self.next_candidate(next, value) {
                let operation = self.part[at];
                let after = if operation.writes { operation.value } else { value };
                self.done[at / 64] |= 1 << (at % 64);
                if self.tried.insert((self.done.clone(), after)) {
                    stack.push((at, value));
                    (value, next) = (after, 0);
                    if self.all_that_ended_is_done() {
                        found.push(value);
                    }
                    if self.tried.len() > STEPS_MAX {
                        // Any value will do: nothing is said about this part.
                        found.extend(self.part.iter().map(|operation| operation.value));
                        return;
                    }
                    continue;
                }
                self.done[at / 64] &= !(1 << (at % 64));
                next = at + 1;
                continue;
            }
            let Some((at, before)) = stack.pop() else { return };
            self.done[at / 64] &= !(1 << (at % 64));
            (value, next) = (before, at + 1);
        }
    }

    /// The first operation from `from` on that may come next.
    fn next_candidate(&self, from: usize, value: u32) -> Option<usize> {
        let open = || self.part.iter().enumerate().filter(|(i, _)| !self.is_done(*i));
        let first_end = open().map(|(_, operation)| operation.end).min()?;
        open()
            .skip_while(|(i, _)| *i < from)
            .take_while(|(_, operation)| operation.start <= first_end)
            .find(|(_, operation)| operation.writes || operation.value == value)
            .map(|(i, _)| i)
    }

    fn all_that_ended_is_done(&self) -> bool {
        self.part.iter().enumerate().all(|(i, o)| self.is_done(i) || o.end == NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;

    #[test]
    fn a_read_of_what_was_overwritten_is_seen() {
        let mut history = History::default();
        history.on_write(0, 1, 0, Some(10));
        history.on_write(0, 2, 20, Some(30));
        history.on_read(0, 2, 40, 50);
        history.on_read(0, 1, 60, 70);
        assert_objects(history.check_registers(), "register_is_linearizable");
    }

    #[test]
    fn overlapping_operations_may_come_in_any_order() {
        let mut history = History::default();
        history.on_write(0, 1, 0, Some(100));
        history.on_write(0, 2, 0, Some(100));
        history.on_read(0, 2, 10, 20);
        history.on_read(0, 1, 30, 40);
        history.on_read(0, 1, 110, 120);
        history.check_registers().unwrap();
        history.on_write(0, 1, 0, Some(100));
        history.on_read(0, 1, 10, 20);
        history.on_read(0, 0, 30, 40);
        assert_objects(history.check_registers(), "register_is_linearizable");
    }

    #[test]
    fn a_write_that_never_ended_may_happen_late_or_not_at_all() {
        let mut history = History::default();
        history.on_write(0, 1, 0, None);
        history.on_write(0, 9, 0, None);
        history.on_read(0, 0, 10, 20);
        history.on_write(0, 2, 30, Some(40));
        history.on_read(0, 1, 50, 60);
        history.check_registers().unwrap();
    }

    #[test]
    fn lists_that_differ_or_shrink_are_seen() {
        let mut history = History::default();
        history.on_list(0, true, 1, 11).unwrap();
        history.on_list(1, true, 2, 22).unwrap();
        history.on_list(1, false, 1, 11).unwrap();
        assert_objects(history.on_list(0, false, 2, 23), "lists_are_prefixes");
        assert_objects(history.on_list(2, false, 1, 11), "list_is_linearizable");
        assert_objects(history.on_list(2, true, 2, 22), "list_is_linearizable");
    }
}
