//! Mistakes of the application, planted to show that a judge sees them.

/// A planted mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sabotage {
    /// None: the application keeps the contract.
    #[default]
    None,
    /// Sends what waits for the disk before the disk has it.
    SendBeforeSync,
    /// Does not sync when it should.
    NeverSync,
    /// Comes back from a crash without its vote.
    ForgetVote,
    /// Applies entries twice.
    ApplyTwice,
    /// Lets requests for votes leave before the disk has the term and the candidate's own vote.
    HastyVotes,
    /// Overwrites entries without cutting the log behind them: after a crash they are there again.
    KeepTails,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::SendBeforeSync,
        Self::NeverSync,
        Self::ForgetVote,
        Self::ApplyTwice,
        Self::HastyVotes,
        Self::KeepTails,
    ];

    /// Its name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SendBeforeSync => "send-before-sync",
            Self::NeverSync => "never-sync",
            Self::ForgetVote => "forget-vote",
            Self::ApplyTwice => "apply-twice",
            Self::HastyVotes => "hasty-votes",
            Self::KeepTails => "keep-tails",
        }
    }
}
