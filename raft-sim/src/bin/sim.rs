//! Runs seeds of the simulator: see `--help`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use raft_sim::{
    Options, Outcome, Replayed, Sabotage, Summary, catch_panics, minimise, replay, run,
};

const HELP: &str = "\
sim [--seed N | --seeds FROM..TO | --seconds S] [options]
  --seed N         runs one seed
  --seeds A..B     runs the seeds from A on, B not included
  --seconds S      runs seeds from --from on (default: drawn from the clock) for so long
  --from N         where --seconds begins
  --keep A,B,..    carries out only these of the seed's actions
  --only NAME,..   carries out only these kinds of action, for example crash,heal
  --minimise       looks for a small part of the actions that still fails
  --trace          prints what happens
  --length N       faults last for so many election timeouts
  --lease PERCENT  lease reads, with clocks that differ by at most so much
  --unverified     with --lease: leases that nobody counts, as upstream has them
  --sabotage NAME  an application that breaks the contract: send-before-sync, never-sync,
                   forget-vote, apply-twice, tear-batches, hasty-votes
  --record FILE    writes what goes into the nodes, for --replay and for other languages
  --replay FILE    replays such a file and compares the hash
  --summary        prints what was done
  --keep-going     does not stop at the first failure";

struct Arguments {
    seeds: Seeds,
    options: Options,
    minimise: bool,
    summary: bool,
    keep_going: bool,
    record: Option<String>,
    replay: Option<String>,
}

enum Seeds {
    Range(u64, u64),
    Seconds(u64),
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

fn parse() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        seeds: Seeds::Range(1, 2),
        options: Options::default(),
        minimise: false,
        summary: false,
        keep_going: false,
        record: None,
        replay: None,
    };
    let mut from = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text}: a number?"));
        match word.as_str() {
            "--seed" => {
                let seed = number(value()?)?;
                parsed.seeds = Seeds::Range(seed, seed + 1);
            }
            "--seeds" => {
                let text = value()?;
                let (first, end) = text.split_once("..").ok_or("--seeds FROM..TO")?;
                parsed.seeds = Seeds::Range(number(first.into())?, number(end.into())?);
            }
            "--seconds" => parsed.seeds = Seeds::Seconds(number(value()?)?),
            "--from" => from = Some(number(value()?)?),
            "--keep" => {
                let list = value()?;
                let list = list.split(',').filter(|s| !s.is_empty());
                let keep = list.map(|s| s.parse::<usize>().map_err(|_| format!("{s}?")));
                parsed.options.keep = Some(keep.collect::<Result<_, _>>()?);
            }
            "--only" => {
                let list = value()?;
                parsed.options.only = Some(list.split(',').map(str::to_owned).collect());
            }
            "--minimise" => parsed.minimise = true,
            "--trace" => parsed.options.traces = true,
            "--summary" => parsed.summary = true,
            "--keep-going" => parsed.keep_going = true,
            "--length" => parsed.options.overrides.length = Some(number(value()?)?),
            "--lease" => parsed.options.overrides.leases = Some(number(value()?)?),
            "--unverified" => parsed.options.overrides.unverified = true,
            "--sabotage" => parsed.options.overrides.sabotage = sabotage(&value()?)?,
            "--record" => parsed.record = Some(value()?),
            "--replay" => parsed.replay = Some(value()?),
            _ => return Err(format!("what is {word}?")),
        }
    }
    if parsed.record.is_some() {
        parsed.options.records = true;
    }
    if let (Seeds::Seconds(seconds), Some(from)) = (&parsed.seeds, from) {
        FROM.with(|cell| cell.set(Some(from)));
        parsed.seeds = Seeds::Seconds(*seconds);
    }
    Ok(parsed)
}

thread_local! {
    static FROM: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

fn sabotage(name: &str) -> Result<Sabotage, String> {
    let found = Sabotage::ALL.into_iter().find(|sabotage| sabotage.name() == name);
    found.ok_or_else(|| format!("no sabotage {name}"))
}

/// Runs what was asked for; whether all of it held.
fn go(arguments: &Arguments) -> bool {
    let began = Instant::now();
    let (first, end, time) = match arguments.seeds {
        Seeds::Range(first, end) => (first, end, None),
        Seeds::Seconds(seconds) => {
            let first = FROM.with(std::cell::Cell::get).unwrap_or_else(seed_of_the_clock);
            println!("seeds from {first} on, for {seconds} s");
            (first, u64::MAX, Some(Duration::from_secs(seconds)))
        }
    };
    let mut total = Summary::default();
    let mut held = true;
    for seed in first..end {
        if time.is_some_and(|time| began.elapsed() >= time) {
            break;
        }
        let outcome = run(seed, &arguments.options);
        total.add(&outcome.summary);
        if end == first + 1 {
            println!("seed {seed}: hash {:016x}", outcome.hash);
        }
        if let Some(file) = &arguments.record {
            write_record(file, &outcome);
        }
        if outcome.violation.is_some() {
            held = false;
            tell(seed, &outcome, arguments);
            if !arguments.keep_going {
                break;
            }
        }
    }
    if arguments.summary {
        let rate = total.steps as f64 / began.elapsed().as_secs_f64();
        println!("{total}");
        println!("{rate:.0} checked node steps per second");
    }
    held
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
