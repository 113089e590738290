//! What only a candidate or pre-candidate has: the votes.

use smallvec::SmallVec;

use crate::ids::NodeId;

/// The votes that were counted so far.
#[derive(Debug, Default)]
pub(crate) struct Candidate {
    votes: SmallVec<[(NodeId, bool); 4]>,
}

impl Candidate {
    /// Counts a vote. A member's first answer stands, so that a duplicate changes nothing.
    pub(crate) fn record(&mut self, voter: NodeId, granted: bool) {
        if self.vote_of(voter).is_none() {
            self.votes.push((voter, granted));
        }
    }

    /// What this member answered, if it did.
    pub(crate) fn vote_of(&self, voter: NodeId) -> Option<bool> {
        self.votes.iter().find(|(id, _)| *id == voter).map(|(_, granted)| *granted)
    }
}
