//! Visits every state that a small group can reach: see `--help`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use raft_sim::{Found, Sabotage, Scope, explore};

const HELP: &str = "\
explore [options]    visits every state of a small group; a broken rule is shown with the way to it
  --terms N --proposals N --crashes N --duplicates N --beats N
                     how much happens: 2 terms, 1 proposal and nothing else; without
                     --duplicates every message arrives any number of times
  --sabotage NAME    an application that breaks the contract: send-before-sync, never-sync,
                     forget-vote, hasty-votes
  --pre-vote         nodes ask for pre-votes first
  --seconds S        gives up after so long, which is a failure";

fn main() -> ExitCode {
    let scope = match parse() {
        Ok(scope) => scope,
        Err(error) => {
            eprintln!("{error}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let found = explore(&scope);
    show(&scope, &found, began.elapsed());
    if found.is_exhausted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse() -> Result<Scope, String> {
    let mut scope = Scope { proposals: 1, ..Scope::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--pre-vote" {
            scope.pre_vote = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--sabotage" => {
                scope.sabotage = sabotage(&value)?;
                continue;
            }
            "--seconds" => {
                let seconds = value.parse().map_err(|_| format!("{value} seconds?"))?;
                scope.max_time = Duration::from_secs(seconds);
                continue;
            }
            _ => {}
        }
        let number: u8 = value.parse().map_err(|_| format!("{value}: a small number?"))?;
        match word.as_str() {
            "--terms" => scope.terms = number.into(),
            "--proposals" => scope.proposals = number,
            "--crashes" => scope.crashes = number,
            "--duplicates" => scope.duplicates = Some(number),
            "--beats" => scope.beats = number,
            _ => return Err(format!("what is {word}?")),
        }
    }
    Ok(scope)
}

fn sabotage(name: &str) -> Result<Sabotage, String> {
    let named = Sabotage::ALL.into_iter().find(|sabotage| sabotage.name() == name);
    named.ok_or_else(|| format!("no sabotage {name}"))
}

fn show(scope: &Scope, found: &Found, took: Duration) {
    let Scope { nodes, terms, proposals, crashes, beats, .. } = scope;
    let copies = match scope.duplicates {
        None => "every message any number of times".into(),
        Some(count) => format!("{count} messages twice"),
    };
    let pre_vote = if scope.pre_vote { "on" } else { "off" };
    println!(
        "{nodes} nodes, {terms} terms, {proposals} proposals, {crashes} crashes, {copies}, \
         {beats} heartbeats, pre-vote {pre_vote}"
    );
    if let Some((violation, way)) = &found.violation {
        println!("VIOLATION {violation}");
        way.iter().enumerate().for_each(|(at, step)| println!("{:4}. {step}", at + 1));
    }
    println!(
        "committed up to {}, leaders of two terms at once: {}; {} states of single nodes, the \
         core was asked {} times",
        found.committed, found.two_leaders, found.locals, found.asked
    );
    let (states, steps, depth) = (found.states, found.steps, found.depth);
    let end = match (&found.violation, found.is_exhausted) {
        (Some(_), _) => "A RULE IS BROKEN",
        (None, true) => "all of them: nothing is left to visit",
        (None, false) => "CUT OFF: more is left to visit",
    };
    println!(
        "{states} states visited, {steps} steps, depth {depth}, {:.1} s: {end}",
        took.as_secs_f64()
    );
}
