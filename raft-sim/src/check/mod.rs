//! The judges: what must hold after every step, one theme a file.
//!
//! A judge sees only what can be seen from outside: what goes into a node, what comes out of it,
//! and what its disk has. It keeps its own history and holds each observation against that, so a
//! step costs what changed and not what was there before. Every judge is shown in its tests to
//! object to a history that breaks its rules.

pub(crate) mod acknowledgements;
pub(crate) mod contract;
pub(crate) mod durability;
pub(crate) mod election;
pub(crate) mod history;
pub(crate) mod lease;
pub(crate) mod liveness;
pub(crate) mod log;
pub(crate) mod membership;
pub(crate) mod progress;
pub(crate) mod reads;

use std::fmt;

/// A rule that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The name of the check.
    pub check: &'static str,
    /// What was expected and what was found.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.detail)
    }
}

/// What a judge says.
pub(crate) type Verdict = Result<(), Violation>;

/// An objection, unless it holds.
#[inline]
pub(crate) fn ensure(holds: bool, check: &'static str, detail: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation { check, detail: detail() }) }
}

/// All judges of one run.
#[derive(Debug, Default)]
pub(crate) struct Judges {
    pub(crate) acknowledgements: acknowledgements::Acknowledgements,
    pub(crate) election: election::Election,
    pub(crate) lease: lease::Lease,
    pub(crate) log: log::LogJudge,
    pub(crate) membership: membership::Fold,
    pub(crate) progress: progress::Flow,
    pub(crate) reads: reads::Reads,
    pub(crate) history: history::History,
}

/// Asserts that a judge objected by this name.
#[cfg(test)]
pub(crate) fn assert_objects(verdict: Verdict, check: &str) {
    match verdict {
        Err(violation) => assert_eq!(violation.check, check, "{violation}"),
        Ok(()) => panic!("nobody objected: {check}"),
    }
}
