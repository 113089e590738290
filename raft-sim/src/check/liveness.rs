//! Once faults have ended, things get done: a leader within so many election timeouts, joint
//! configurations left, proposals committed and logs equal, reads answered, transfers finished.

use super::{Verdict, Violation};

/// What is to be reached, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) enum Goal {
    #[default]
    Leader,
    LeaveJoint,
    Converge,
    Read,
    Transfer,
    Done,
}

impl Goal {
    /// The name of the check that it is reached.
    const fn check(self) -> &'static str {
        match self {
            Self::Leader => "healed_majority_elects_a_leader",
            Self::LeaveJoint => "joint_configuration_is_left",
            Self::Converge => "proposals_commit_and_logs_converge",
            Self::Read => "reads_finish",
            Self::Transfer => "transfers_finish",
            Self::Done => "",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Leader => Self::LeaveJoint,
            Self::LeaveJoint => Self::Converge,
            Self::Converge => Self::Read,
            Self::Read => Self::Transfer,
            Self::Transfer | Self::Done => Self::Done,
        }
    }
}

/// How many election timeouts each goal may take. Without pre-vote and check-quorum removed
/// members disturb, and several elections can fail one after the other.
pub(crate) const PATIENCE: u64 = 60;

/// The judge of progress.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    pub(crate) goal: Goal,
    since: u64,
}

impl Liveness {
    /// Faults ended now.
    pub(crate) const fn begin(&mut self, now: u64) {
        self.since = now;
    }

    /// Whether the present goal is reached.
    pub(crate) fn on_poll(
        &mut self,
        is_reached: bool,
        now: u64,
        election: u64,
        state: impl FnOnce() -> String,
    ) -> Verdict {
        if is_reached {
            (self.goal, self.since) = (self.goal.next(), now);
            return Ok(());
        }
        if now - self.since <= PATIENCE * election {
            return Ok(());
        }
        let detail = format!("not within {PATIENCE} election timeouts: {}", state());
        Err(Violation { check: self.goal.check(), detail })
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_objects;
    use super::*;

    #[test]
    fn what_is_not_reached_in_time_is_seen() {
        let mut judge = Liveness::default();
        judge.begin(1000);
        judge.on_poll(true, 1500, 10, String::new).unwrap();
        assert_eq!(judge.goal, Goal::LeaveJoint);
        judge.on_poll(false, 2100, 10, String::new).unwrap();
        let late = judge.on_poll(false, 2101, 10, String::new);
        assert_objects(late, "joint_configuration_is_left");
    }

    #[test]
    fn each_goal_that_is_not_reached_has_its_name() {
        let names = [
            "healed_majority_elects_a_leader",
            "joint_configuration_is_left",
            "proposals_commit_and_logs_converge",
            "reads_finish",
            "transfers_finish",
        ];
        let mut judge = Liveness::default();
        for name in names {
            assert_objects(judge.on_poll(false, 2000, 10, String::new), name);
            judge.on_poll(true, 0, 10, String::new).unwrap();
        }
        assert_eq!(judge.goal, Goal::Done);
    }
}
