//! What a run did, counted: so that one can see whether it did anything.

use std::collections::BTreeMap;
use std::fmt;

/// What is worth knowing never to have happened.
const RARE: [&str; 20] = [
    "candidate_outrun",
    "conf_change_overtaken",
    "crash_before_advance",
    "crash_before_append_thread_replies",
    "crash_before_append_thread_syncs",
    "crash_before_append_thread_writes",
    "crash_before_apply",
    "crash_before_apply_thread_replies",
    "crash_before_send",
    "crash_before_send_after_sync",
    "crash_before_sync",
    "crash_before_write",
    "crash_inside_apply",
    "demotion_proposed",
    "member_proposed_again",
    "nobody_can_win",
    "old_message_to_who_came_back",
    "replacement_of_all_proposed",
    "stuck_with_a_higher_term",
    "write_on_a_full_disk",
];

/// Counters of one run or of many.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many seeds were run.
    pub seeds: u64,
    /// Calls on nodes, each of them checked.
    pub steps: u64,
    /// Terms that had a leader.
    pub elections: u64,
    /// Messages that were sent.
    pub messages: u64,
    /// Entries that were committed.
    pub committed: u64,
    /// Reads that a round of heartbeats confirmed.
    pub rounds: u64,
    /// Operations of clients that are part of a judged history.
    pub operations: u64,
    faults: BTreeMap<&'static str, u64>,
    branches: BTreeMap<&'static str, u64>,
}

impl Summary {
    pub(crate) fn count(&mut self, branch: &'static str) {
        *self.branches.entry(branch).or_default() += 1;
    }

    pub(crate) fn count_action(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    /// How often something happened.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        let find = |counts: &BTreeMap<&'static str, u64>| counts.get(name).copied();
        find(&self.branches).or_else(|| find(&self.faults)).unwrap_or_default()
    }

    /// Adds the counters of another run.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.elections += other.elections;
        self.messages += other.messages;
        self.committed += other.committed;
        self.operations += other.operations;
        self.rounds += other.rounds;
        for (name, count) in &other.faults {
            *self.faults.entry(name).or_default() += count;
        }
        for (name, count) in &other.branches {
            *self.branches.entry(name).or_default() += count;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, steps, elections, messages, committed, operations, rounds, .. } = self;
        writeln!(f, "seeds {seeds}, node steps {steps}, elections {elections}")?;
        writeln!(f, "messages {messages}, committed {committed}, client operations {operations}")?;
        writeln!(f, "reads confirmed by a round of heartbeats {rounds}")?;
        let list = |counts: &mut dyn Iterator<Item = (&&'static str, u64)>| {
            let all: Vec<_> = counts.map(|(name, n)| format!("{name} {n}")).collect();
            all.join(", ")
        };
        writeln!(f, "actions: {}", list(&mut self.faults.iter().map(|(name, n)| (name, *n))))?;
        let usual = self.branches.iter().filter(|(name, _)| !RARE.contains(name));
        writeln!(f, "branches: {}", list(&mut usual.map(|(name, n)| (name, *n))))?;
        write!(f, "rare branches: {}", list(&mut RARE.iter().map(|name| (name, self.of(name)))))
    }
}
