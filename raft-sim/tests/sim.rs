//! The simulator as a test: seeds that once found something, fresh seeds, planted mistakes that
//! must be found, recorded schedules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use raft_sim::{Options, Outcome, Overrides, REGRESSIONS, Sabotage, replay, run};

fn with(overrides: Overrides) -> Options {
    Options { overrides, ..Options::default() }
}

fn check(seed: u64, outcome: &Outcome) {
    if let Some(violation) = &outcome.violation {
        panic!(
            "seed {seed}: {violation}\nreplay: cargo run --release -p raft-sim --bin sim -- \
             --seed {seed} --trace"
        );
    }
}

#[test]
fn seeds_that_found_something_find_nothing_more() {
    for (seed, _) in REGRESSIONS {
        check(*seed, &run(*seed, &Options::default()));
    }
}

#[test]
fn fresh_seeds_find_nothing() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let first = now * 1_000_000;
    println!("seeds from {first} on");
    let began = Instant::now();
    for seed in (first..).take_while(|_| began.elapsed() < Duration::from_secs(2)) {
        check(seed, &run(seed, &Options::default()));
    }
}

#[test]
fn the_same_seed_gives_the_same_hash() {
    for seed in 40..43 {
        let (first, second) = (run(seed, &Options::default()), run(seed, &Options::default()));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_ne!(first.hash, run(seed + 1, &Options::default()).hash);
    }
}

/// Some seed finds it by this name; fewer and fewer faults are needed the graver it is.
fn check_finds(overrides: Overrides, seeds: std::ops::Range<u64>, expected: &str) {
    let found = |seed| run(seed, &with(overrides)).violation.map(|violation| violation.check);
    let mut others = Vec::new();
    for seed in seeds {
        match found(seed) {
            Some(check) if check == expected => return,
            other => others.extend(other),
        }
    }
    panic!("{overrides} was not found by {expected}, but by {others:?}");
}

fn check_sabotage(sabotage: Sabotage, expected: &str) {
    check_finds(Overrides { sabotage, ..Overrides::default() }, 1..150, expected);
}

#[test]
fn messages_before_their_sync_are_found() {
    check_sabotage(Sabotage::SendBeforeSync, "released_vote_is_durable");
    check_sabotage(Sabotage::SendBeforeSync, "released_acknowledgement_is_durable");
    check_sabotage(Sabotage::HastyVotes, "released_vote_request_is_durable");
}

#[test]
fn a_disk_that_is_never_synced_is_found() {
    check_sabotage(Sabotage::NeverSync, "committed_is_durable_on_a_quorum");
    check_sabotage(Sabotage::NeverSync, "applied_is_durable");
}

#[test]
fn a_forgotten_vote_is_found() {
    check_sabotage(Sabotage::ForgetVote, "one_vote_a_term");
}

#[test]
fn entries_applied_twice_are_found() {
    check_sabotage(Sabotage::ApplyTwice, "applied_in_order_once_without_gap");
}

#[test]
fn a_log_that_is_not_cut_where_it_is_overwritten_is_found() {
    check_sabotage(Sabotage::KeepTails, "log_matching");
}

#[test]
fn membership_changes_that_nobody_checks_are_found() {
    let unchecked = Overrides { unchecked: true, ..Overrides::default() };
    check_finds(unchecked, 1..50, "one_change_at_a_time");
}

#[test]
fn lease_reads_hold_within_the_bound_and_not_beyond_it() {
    // The bound that the core declares: ticks that differ by a tenth.
    for seed in 1..6 {
        check(seed, &run(seed, &with(Overrides { leases: Some(10), ..Overrides::default() })));
    }
    // The negative control of the judge of reads: clocks of which some run three times as fast.
    let beyond = Overrides { leases: Some(200), ..Overrides::default() };
    check_finds(beyond, 85..86, "read_covers_what_was_committed");
    // And leases that nobody counts are stale under any clocks.
    let unverified = Overrides { leases: Some(0), unverified: true, ..Overrides::default() };
    check_finds(unverified, 1..40, "read_covers_what_was_committed");
}

fn schedules() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schedules");
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut files: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    files.sort();
    files
}

#[test]
fn recorded_schedules_replay_with_their_hash() {
    let files = schedules();
    let mut needs = BTreeSet::new();
    for file in files {
        if std::env::var_os("REWRITE").is_some_and(|value| value == "1") {
            rewrite(&file);
        }
        let text = std::fs::read_to_string(&file).expect("the file can be read");
        let replayed = replay(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(replayed.got, replayed.expected, "{}: record it again?", file.display());
        let line = text.lines().nth(1).and_then(|line| line.strip_prefix("needs "));
        needs.extend(line.expect("needs").split(' ').map(str::to_owned));
    }
    let all = ["async-storage-writes", "conf-state", "nothing", "reads-fail", "snapshot-busy"];
    assert!(needs.iter().eq(all), "what the schedules ask of a replayer: {needs:?}");
}

/// Runs the command of the file's third line again, after the core has changed on purpose.
fn rewrite(file: &Path) {
    let text = std::fs::read_to_string(file).expect("the file can be read");
    let command = text.lines().nth(2).and_then(|line| line.strip_prefix("# sim ")).expect("# sim");
    let mut words = command.split(' ');
    let (mut seed, mut overrides) = (0, Overrides::default());
    while let Some(word) = words.next() {
        let number = words.next().and_then(|word| word.parse().ok()).expect("a number");
        match word {
            "--seed" => seed = number,
            "--length" => overrides.length = Some(number),
            "--lease" => overrides.leases = Some(number),
            _ => panic!("{}: what is {word}?", file.display()),
        }
    }
    let outcome = run(seed, &Options { records: true, ..with(overrides) });
    std::fs::write(file, outcome.recorded.expect("a recording")).expect("the file can be written");
}

/// The names of rules in a text: what stands in quotes, in small letters with underscores.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |word: &&str| {
        word.contains('_') && word.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
    };
    text.split('"').filter(is_name)
}

#[test]
fn every_rule_has_a_negative_control() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.join("check"), source.join("observe")];
    let mut files = vec![source.join("run.rs"), source.join("../tests/sim.rs")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).expect("the folder can be read");
        files.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    let (mut rules, mut shown) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("the file can be read");
        let is_test = file.ends_with("tests.rs") || file.ends_with("sim.rs");
        let (code, tests) = if is_test {
            ("", &*text)
        } else {
            text.split_once("mod tests").unwrap_or((&text, ""))
        };
        rules.extend(names_in(code).map(str::to_owned));
        shown.extend(names_in(tests).map(str::to_owned));
    }
    let unshown: Vec<_> = rules.difference(&shown).collect();
    assert!(rules.len() >= 50, "{} rules were found", rules.len());
    assert!(unshown.is_empty(), "no test shows that these fire: {unshown:?}");
}
