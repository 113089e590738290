//! Plain values that cross the door: what a node persists, shows and restores.

use bytes::Bytes;

use crate::context::Context;
use crate::ids::{Index, NodeId, Position, Term};

/// What a node must have on disk before it sends a message that depends on it (paper, figure 2,
/// "persistent state on all servers").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct HardState {
    /// The latest term this node has seen.
    pub term: Term,
    /// Whom this node voted for in that term.
    pub vote: Option<NodeId>,
    /// The highest index known to be committed. May be behind after a crash: it is learned again.
    pub commit: Index,
}

impl HardState {
    /// Whether nothing was ever stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a node is at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(i32)]
pub enum RoleKind {
    /// Answers others (paper, section 5.1).
    #[default]
    Follower = 0,
    /// Asks for votes (section 5.2).
    Candidate = 1,
    /// Replicates its log (section 5.3).
    Leader = 2,
    /// Asks whether an election could be won before it disturbs anyone (thesis, section 9.6).
    PreCandidate = 3,
}

/// State that helps an application to route requests. Not persisted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct SoftState {
    /// The leader of the current term, as far as this node knows.
    pub leader: Option<NodeId>,
    /// What this node is.
    pub role: RoleKind,
}

/// The members of a group in plain form, as it is stored and sent. Nothing about it is believed
/// until a node has checked it.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct ConfState {
    /// The voters; of a joint configuration, the incoming ones.
    pub voters: Vec<u64>,
    /// Members that receive the log and do not count in any quorum.
    pub learners: Vec<u64>,
    /// Of a joint configuration, the outgoing voters; empty otherwise (paper, section 6).
    pub voters_outgoing: Vec<u64>,
    /// Outgoing voters that become learners when the joint configuration is left.
    pub learners_next: Vec<u64>,
    /// Whether the leader leaves the joint configuration by itself once that is safe.
    pub auto_leave: bool,
}

impl ConfState {
    /// A configuration with these voters and nobody else.
    #[must_use]
    pub fn with_voters(voters: impl IntoIterator<Item = u64>) -> Self {
        Self { voters: voters.into_iter().collect(), ..Self::default() }
    }

    /// Whether both name the same members, whatever their order.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        let sorted = |ids: &[u64]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        let form = |state: &Self| {
            [&state.voters, &state.learners, &state.voters_outgoing, &state.learners_next]
                .map(|ids| sorted(ids))
        };
        self.auto_leave == other.auto_leave && form(self) == form(other)
    }
}

/// The state of an application after a position of the log, in place of the log up to there
/// (paper, section 7).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Snapshot {
    /// The position of the last entry that the snapshot contains.
    pub position: Position,
    /// The membership after that entry.
    pub conf_state: ConfState,
    /// The application's state: whatever its own code can restore.
    pub data: Bytes,
}

impl Snapshot {
    /// The index of the last entry that the snapshot contains.
    #[must_use]
    pub const fn index(&self) -> Index {
        self.position.index
    }

    /// The term of the last entry that the snapshot contains.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.position.term
    }

    /// Whether the snapshot contains nothing: such a snapshot stands for "none".
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.position.index == Index::ZERO
    }
}

/// The answer to a [`read_index`](crate::Node::read_index): once everything up to `index` is
/// applied, the read may be served and is linearizable (thesis, section 6.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadState {
    /// Apply up to here before you answer.
    pub index: Index,
    /// The context that was given with the request.
    pub context: Context,
}

/// One member of a group to be bootstrapped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The member.
    pub id: NodeId,
    /// Kept in the context of the entry that adds the member, for example its address.
    pub context: Bytes,
}
