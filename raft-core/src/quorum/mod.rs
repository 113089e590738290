//! What a group of voters has decided: how far the log is committed, and how an election stands.
//!
//! Pure arithmetic over what the voters reported. [`majority`] answers for one set of voters,
//! [`joint`] for the two sets of a joint configuration. Who the voters are is `membership`; what
//! a commit index may be used for is the leader's commit rule (paper, section 5.4.2) and not here.
//!
//! Voters come as a slice without repetitions; what they reported comes as a function, so that
//! the caller keeps its own form of it. Up to 16 voters nothing is allocated.

pub mod joint;
pub mod majority;
#[cfg(test)]
mod twin;

/// How a vote stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VoteResult {
    /// The votes that are still missing decide.
    Pending,
    /// Whatever is still missing, there will be no majority.
    Lost,
    /// A majority granted it.
    Won,
}
