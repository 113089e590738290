//! Running one seed from the outside: what comes of it, and how a failure is told.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::check::Violation;
use crate::cluster::World;
use crate::summary::Summary;
use crate::swarm::{Overrides, Plan};

/// How a seed is to be run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the caller fixes.
    pub overrides: Overrides,
    /// Which of the actions are carried out; all, if nothing is said.
    pub keep: Option<Vec<usize>>,
    /// Which kinds of action are carried out; all, if nothing is said.
    pub only: Option<Vec<String>>,
    /// Print what happens.
    pub traces: bool,
    /// Record what goes into the nodes.
    pub records: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// The hash over all that happened: the same for the same seed, in every build.
    pub hash: u64,
    /// What was done.
    pub summary: Summary,
    /// How many actions the plan has.
    pub actions: usize,
    /// The recorded schedule, if it was asked for.
    pub recorded: Option<String>,
}

thread_local! {
    /// Where the last panic was: a panic is a finding like any other.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes panics inside a run quiet: they are told as what was found. For programs that run many
/// seeds.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|info| {
        LAST_PANIC.with(|last| *last.borrow_mut() = info.to_string().replace('\n', " "));
    }));
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, options: &Options) -> Outcome {
    let mut plan = Plan::of(seed, &options.overrides);
    let actions = plan.actions.len();
    if let Some(keep) = &options.keep {
        let all = std::mem::take(&mut plan.actions);
        plan.actions = keep.iter().filter_map(|at| all.get(*at).copied()).collect();
    }
    if let Some(only) = &options.only {
        plan.actions.retain(|(_, action)| only.iter().any(|name| name == action.name()));
    }
    let (traces, records) = (options.traces, options.records);
    let command = format!("sim --seed {seed}{}", options.overrides);
    if traces {
        println!("{plan:#?}");
    }
    let result = without_panic(|| {
        let mut world = World::new(plan, traces, records);
        world.run();
        world.summary.seeds = 1;
        Outcome {
            violation: world.violation.take(),
            hash: world.hash,
            actions,
            recorded: world.recorder.finish(&command),
            summary: world.summary,
        }
    });
    result.unwrap_or_else(|violation| {
        let mut summary = Summary::default();
        summary.seeds = 1;
        Outcome { violation: Some(violation), hash: 0, summary, actions, recorded: None }
    })
}

/// A panic breaks a rule like any other.
fn without_panic<T>(act: impl FnOnce() -> T) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|_| {
        let detail = LAST_PANIC.with(|last| last.borrow().clone());
        Violation { check: "nothing_panics", detail }
    })
}

/// Looks for a part of the actions that still breaks the same rule, and for a small one: leaves
/// out ever smaller pieces of the list (delta debugging).
#[must_use]
pub fn minimise(
    seed: u64,
    options: &Options,
    check: &str,
    mut progress: impl FnMut(usize),
) -> Vec<usize> {
    let quiet = Options { traces: false, records: false, ..options.clone() };
    let fails = |keep: &[usize]| {
        let options = Options { keep: Some(keep.to_vec()), ..quiet.clone() };
        run(seed, &options).violation.is_some_and(|violation| violation.check == check)
    };
    let count = Plan::of(seed, &options.overrides).actions.len();
    let mut keep: Vec<usize> = options.keep.clone().unwrap_or_else(|| (0..count).collect());
    let mut piece = keep.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut shrunk = false;
        while at < keep.len() {
            let end = (at + piece).min(keep.len());
            let mut fewer = keep.clone();
            fewer.drain(at..end);
            if fails(&fewer) {
                keep = fewer;
                shrunk = true;
                progress(keep.len());
            } else {
                at = end;
            }
        }
        if piece == 1 && !shrunk {
            return keep;
        }
        piece = if piece == 1 { 1 } else { piece.div_ceil(2) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_seen() {
        assert_eq!(without_panic(|| 7), Ok(7));
        let violation = without_panic(|| Vec::<u8>::new()[0]).unwrap_err();
        assert_eq!(violation.check, "nothing_panics");
    }
}
