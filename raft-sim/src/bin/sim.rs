//! Runs seeds of the simulator: see `--help`.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raft_sim::{
    Options, Outcome, REGRESSIONS, Replayed, Sabotage, Summary, catch_panics, minimise, replay, run,
};

const HELP: &str = "\
sim [--seed N | --seeds FROM..TO | --seconds S] [options]
  --seed N         runs one seed
  --seeds A..B     runs the seeds from A on, B not included
  --seconds S      runs the seeds that once found something, then others for so long
  --from N         where these others begin (default: drawn from the clock)
  --jobs N         runs so many seeds at a time; 0: one for each core (default 1)
  --keep A,B,..    carries out only these of the seed's actions
  --only NAME,..   carries out only these kinds of action, for example crash,heal
  --minimise       looks for a small part of the actions that still fails
  --trace          prints what happens
  --length N       faults last for so many election timeouts
  --lease PERCENT  lease reads, with clocks that differ by at most so much
  --unverified     with --lease: leases that nobody counts, as upstream has them
  --unchecked      membership changes that nobody checks, judged all the same
  --sabotage NAME  an application that breaks the contract: send-before-sync, never-sync,
                   forget-vote, apply-twice, keep-tails, hasty-votes
  --record FILE    writes what goes into the nodes, for --replay and for other languages
  --replay FILE    replays such a file and compares the hash
  --hashes         prints the hash of every seed
  --summary        prints what was done
  --find NAME      names the seeds that do this, one of the names of the summary
  --keep-going     does not stop at the first failure";

#[derive(Default)]
struct Arguments {
    seeds: Option<(u64, u64)>,
    seconds: Option<u64>,
    from: Option<u64>,
    jobs: usize,
    options: Options,
    minimise: bool,
    hashes: bool,
    summary: bool,
    keep_going: bool,
    find: Option<String>,
    record: Option<String>,
    replay: Option<String>,
}

fn main() -> ExitCode {
    match parse() {
        Ok(arguments) => {
            catch_panics();
            let held = match &arguments.replay {
                Some(file) => replay_file(file),
                None => go(&arguments),
            };
            if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text}: a number?"))
}

fn parse() -> Result<Arguments, String> {
    let mut parsed = Arguments { jobs: 1, ..Arguments::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let overrides = &mut parsed.options.overrides;
        match word.as_str() {
            "--seed" => {
                let seed = number(&value()?)?;
                parsed.seeds = Some((seed, seed + 1));
            }
            "--seeds" => {
                let text = value()?;
                let (first, end) = text.split_once("..").ok_or("--seeds FROM..TO")?;
                parsed.seeds = Some((number(first)?, number(end)?));
            }
            "--seconds" => parsed.seconds = Some(number(&value()?)?),
            "--from" => parsed.from = Some(number(&value()?)?),
            "--jobs" => parsed.jobs = number(&value()?)?,
            "--keep" => {
                let list = value()?;
                let list = list.split(',').filter(|s| !s.is_empty());
                parsed.options.keep = Some(list.map(number).collect::<Result<_, _>>()?);
            }
            "--only" => {
                let list = value()?;
                parsed.options.only = Some(list.split(',').map(str::to_owned).collect());
            }
            "--minimise" => parsed.minimise = true,
            "--trace" => parsed.options.traces = true,
            "--hashes" => parsed.hashes = true,
            "--summary" => parsed.summary = true,
            "--keep-going" => parsed.keep_going = true,
            "--length" => overrides.length = Some(number(&value()?)?),
            "--lease" => overrides.leases = Some(number(&value()?)?),
            "--unverified" => overrides.unverified = true,
            "--unchecked" => overrides.unchecked = true,
            "--sabotage" => overrides.sabotage = sabotage(&value()?)?,
            "--find" => parsed.find = Some(value()?),
            "--record" => {
                parsed.options.records = true;
                parsed.record = Some(value()?);
            }
            "--replay" => parsed.replay = Some(value()?),
            _ => return Err(format!("what is {word}?")),
        }
    }
    if parsed.jobs == 0 {
        parsed.jobs = std::thread::available_parallelism().map_or(1, usize::from);
    }
    Ok(parsed)
}

fn sabotage(name: &str) -> Result<Sabotage, String> {
    let found = Sabotage::ALL.into_iter().find(|sabotage| sabotage.name() == name);
    found.ok_or_else(|| format!("no sabotage {name}"))
}

/// The seeds that are still to be run, for all who run them.
struct Work {
    first: Vec<u64>,
    next: AtomicU64,
    from: u64,
    end: u64,
    until: Option<Instant>,
    stopped: AtomicBool,
}

impl Work {
    fn of(arguments: &Arguments, began: Instant) -> Self {
        let (first, from, end) = match arguments.seconds {
            Some(seconds) => {
                let from = arguments.from.unwrap_or_else(seed_of_the_clock);
                let known: Vec<u64> = REGRESSIONS.iter().map(|(seed, _)| *seed).collect();
                println!("{} known seeds, then those from {from} on, {seconds} s", known.len());
                (known, from, u64::MAX)
            }
            None => {
                let (from, end) = arguments.seeds.unwrap_or((1, 2));
                (Vec::new(), from, end)
            }
        };
        let until = arguments.seconds.map(|seconds| began + Duration::from_secs(seconds));
        let (next, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { first, next, from, end, until, stopped }
    }

    fn take(&self) -> Option<u64> {
        let is_over = self.until.is_some_and(|until| Instant::now() >= until);
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        if let Some(seed) = self.first.get(at as usize) {
            return Some(*seed);
        }
        let seed = self.from.saturating_add(at - self.first.len() as u64);
        (seed < self.end && !is_over).then_some(seed)
    }
}

/// What came of all seeds.
#[derive(Default)]
struct Total {
    summary: Summary,
    failed: BTreeSet<u64>,
}

/// Runs what was asked for; whether all of it held.
fn go(arguments: &Arguments) -> bool {
    let began = Instant::now();
    let work = Work::of(arguments, began);
    let total = Mutex::new(Total::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| run_seeds(arguments, &work, &total));
        }
    });
    let Total { summary, failed } = total.into_inner().unwrap_or_default();
    if arguments.summary {
        let jobs = arguments.jobs;
        let rate = summary.steps as f64 / began.elapsed().as_secs_f64() / jobs as f64;
        println!("{summary}");
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        println!("{} seeds failed; {minutes:.1} minutes, {jobs} at a time", failed.len());
        println!("{rate:.0} checked node steps per second and core");
    }
    failed.is_empty()
}

/// One thread runs seeds until there are none left.
fn run_seeds(arguments: &Arguments, work: &Work, total: &Mutex<Total>) {
    while let Some(seed) = work.take() {
        let outcome = run(seed, &arguments.options);
        let Ok(mut total) = total.lock() else { return };
        total.summary.add(&outcome.summary);
        if arguments.hashes || work.end == work.from.saturating_add(1) {
            println!("seed {seed}: hash {:016x}", outcome.hash);
        }
        if let Some(name) = arguments.find.as_ref().filter(|name| outcome.summary.of(name) > 0) {
            println!("seed {seed}: {name} {}", outcome.summary.of(name));
        }
        if let Some(file) = &arguments.record {
            write_record(file, &outcome);
        }
        if outcome.violation.is_some() {
            total.failed.insert(seed);
            tell(seed, &outcome, arguments);
            work.stopped.store(!arguments.keep_going, Ordering::Relaxed);
        }
    }
}

/// Replays a recorded schedule; whether its hash came out.
fn replay_file(file: &str) -> bool {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    match text.and_then(|text| replay(&text)) {
        Ok(Replayed { expected, got, inputs }) => {
            println!("{file}: {inputs} inputs, hash {got:016x}, expected {expected:016x}");
            got == expected
        }
        Err(error) => {
            println!("{file}: {error}");
            false
        }
    }
}

/// Writes what was recorded.
fn write_record(file: &str, outcome: &Outcome) {
    let Some(text) = &outcome.recorded else { return };
    match std::fs::write(file, text) {
        Ok(()) => println!("{file}: {} lines", text.lines().count()),
        Err(error) => println!("{file}: {error}"),
    }
}

fn seed_of_the_clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |time| time.as_secs() * 1_000_000)
}

/// Tells a failure: what broke, and how to see it again.
fn tell(seed: u64, outcome: &Outcome, arguments: &Arguments) {
    let Some(violation) = &outcome.violation else { return };
    let Options { overrides, only, keep, .. } = &arguments.options;
    let mut command =
        format!("cargo run --release -p raft-sim --bin sim -- --seed {seed}{overrides}");
    if let Some(only) = only {
        command.push_str(&format!(" --only {}", only.join(",")));
    }
    let list = |keep: &[usize]| {
        let list: Vec<_> = keep.iter().map(ToString::to_string).collect();
        format!("--keep {}", list.join(","))
    };
    let kept = keep.as_ref().map_or(String::new(), |keep| format!(" {}", list(keep)));
    println!("seed {seed} failed: {violation}");
    println!("replay: {command}{kept} --trace");
    if arguments.minimise {
        let keep = minimise(seed, &arguments.options, violation.check, |left| {
            eprint!("\r{left} actions left  ");
        });
        eprintln!();
        println!("minimised: {command} {} --trace", list(&keep));
    }
}
