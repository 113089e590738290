//! Plays the same schedules to a group of raft-rs and to one of raftcore, without faults, and
//! compares after each step: leader, term, vote, log, commit index, what is applied, members.
//!
//!     differential [--seconds S] [--from N]
//!                                   fresh seeds for so long (10), after the first 200
//!     differential --seed N         one seed, and what happens in it

mod group;
mod ours;
mod schedule;
mod theirs;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use group::{Group, Look, Op};
use ours::Ours;
use theirs::Theirs;

/// Steps of one seed, some of several operations.
const STEPS: usize = 60;
/// These are played each time.
const FIRST_SEEDS: u64 = 200;

#[derive(Default)]
struct Count {
    seeds: u64,
    comparisons: u64,
    entries: u64,
    elections: u64,
    changes: u64,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    let mut count = Count::default();
    let held = match value("--seed") {
        Some(seed) => play(seed, true, &mut count),
        None => {
            let time = Duration::from_secs(value("--seconds").unwrap_or(10));
            play_many(time, value("--from"), &mut count)
        }
    };
    let Count { seeds, comparisons, entries, elections, changes } = count;
    println!(
        "{seeds} seeds, {comparisons} comparisons, {entries} entries, {elections} elections, \
         {changes} membership changes: {}",
        if held { "no difference" } else { "DIFFERENT" }
    );
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play_many(time: Duration, from: Option<u64>, count: &mut Count) -> bool {
    let began = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let fresh = from.unwrap_or(now * 1_000_000);
    println!("seeds 1 to {FIRST_SEEDS}, then from {fresh} on");
    (1..=FIRST_SEEDS).all(|seed| play(seed, false, count))
        && (fresh..).take_while(|_| began.elapsed() < time).all(|seed| play(seed, false, count))
}

/// Says which seed it was when a library panics.
struct Playing(u64);

impl Drop for Playing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("a panic; replay: tests/differential/run --seed {}", self.0);
        }
    }
}

/// Plays a seed; whether both groups came to the same.
fn play(seed: u64, shows: bool, count: &mut Count) -> bool {
    count.seeds += 1;
    let _playing = Playing(seed);
    let mut random = schedule::Random::new(seed);
    let (founders, setup) = schedule::setup(&mut random);
    let mut ours = Group::<Ours>::new(&founders, &setup);
    let mut theirs = Group::<Theirs>::new(&founders, &setup);
    let mut story = vec![format!("{founders:?} {setup:?}")];
    for _ in 0..STEPS {
        let looks = ours.looks();
        let mut act = |ours: &mut Group<Ours>, theirs: &mut Group<Theirs>, op: Op| {
            count.changes += u64::from(matches!(op, Op::Change(..)));
            story.push(format!("{op:?}"));
            if shows {
                println!("{op:?}");
            }
            ours.act(&op);
            theirs.act(&op);
            if shows {
                show("ours  ", &ours.looks());
                show("theirs", &theirs.looks());
            }
        };
        for op in schedule::next(&mut random, &setup, &looks) {
            act(&mut ours, &mut theirs, op);
        }
        // Some of what raft-rs does waits for the next heartbeat, as leaving a joint configuration.
        // Without a leader nobody's clock runs: each library draws its own timeouts.
        if schedule::has_leader(&ours.looks()) {
            act(&mut ours, &mut theirs, Op::TickAll(2));
        }
        for id in schedule::removed(&ours.looks()) {
            ours.members.remove(&id);
            theirs.members.remove(&id);
        }
        let (mine, other) = (ours.looks(), theirs.looks());
        count.comparisons += 1;
        count.elections += u64::from(top(&looks).0 != top(&mine).0);
        count.entries += top(&mine).1 - top(&looks).1;
        if let Some(difference) = difference(&mine, &other) {
            let tail = story.len().saturating_sub(12);
            println!("seed {seed} after {} operations: {difference}", story.len() - 1);
            story[tail..].iter().for_each(|line| println!("  {line}"));
            println!("replay: tests/differential/run --seed {seed}");
            return false;
        }
    }
    true
}

fn show(whose: &str, looks: &BTreeMap<u64, Look>) {
    let one = |(id, look): (&u64, &Look)| {
        let Look { term, leader, commit, last, .. } = look;
        format!("{id}: term {term} leader {leader} commit {commit}/{last}")
    };
    println!("    {whose} {}", looks.iter().map(one).collect::<Vec<_>>().join(", "));
}

/// The highest term and the end of the longest log.
fn top(looks: &BTreeMap<u64, Look>) -> (u64, u64) {
    let term = looks.values().map(|look| look.term).max().unwrap_or(0);
    (term, looks.values().map(|look| look.last).max().unwrap_or(0))
}

/// What differs first. Where one library compacted, the other may still have entries.
fn difference(ours: &BTreeMap<u64, Look>, theirs: &BTreeMap<u64, Look>) -> Option<String> {
    for (id, mine) in ours {
        let Some(other) = theirs.get(id) else { return Some(format!("{id} is missing")) };
        for (index, entry) in &mine.log {
            match other.log.get(index) {
                Some(their) if their != entry => {
                    return Some(format!("node {id} at {index}: {entry:?}, theirs {their:?}"));
                }
                _ => {}
            }
        }
        let plain = |look: &Look| Look { log: BTreeMap::new(), ..look.clone() };
        let (mine, other) = (plain(mine), plain(other));
        if mine != other {
            return Some(format!("node {id}\n  ours   {mine:?}\n  theirs {other:?}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group with a leader and some entries.
    fn looks(payload: &[u8]) -> BTreeMap<u64, Look> {
        let setup = group::Setup { pre_vote: true, check_quorum: true, message_bytes: 1 << 20 };
        let mut group = Group::<Ours>::new(&[1, 2, 3], &setup);
        for op in [Op::Campaign(1), Op::Settle, Op::Propose(2, payload.to_vec()), Op::Settle] {
            group.act(&op);
        }
        group.looks()
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let same = looks(b"a");
        assert_eq!((same[&1].leads, same[&3].log[&2].clone()), (true, (1, 0, b"a".to_vec())));
        assert_eq!(difference(&same, &looks(b"a")), None);
        assert!(difference(&same, &looks(b"b")).is_some(), "another entry");
        let change: [fn(&mut Look); 5] = [
            |look| look.term += 1,
            |look| look.leader = 2,
            |look| look.commit -= 1,
            |look| look.last += 1,
            |look| look.members.learners.push(9),
        ];
        for change in change {
            let mut other = same.clone();
            change(other.get_mut(&2).expect("there are three"));
            assert!(difference(&same, &other).is_some(), "{other:?}");
        }
        let mut fewer = same.clone();
        fewer.remove(&3);
        assert!(difference(&same, &fewer).is_some(), "a node is missing");
    }

    #[test]
    fn a_proposal_that_only_one_group_takes_is_seen() {
        let setup = group::Setup { pre_vote: false, check_quorum: false, message_bytes: 0 };
        let mut ours = Group::<Ours>::new(&[1, 2, 3], &setup);
        let mut theirs = Group::<Theirs>::new(&[1, 2, 3], &setup);
        for op in [Op::Campaign(2), Op::Settle] {
            ours.act(&op);
            theirs.act(&op);
        }
        assert_eq!(difference(&ours.looks(), &theirs.looks()), None);
        theirs.act(&Op::Propose(2, b"x".to_vec()));
        theirs.act(&Op::Settle);
        assert!(difference(&ours.looks(), &theirs.looks()).is_some());
    }
}
