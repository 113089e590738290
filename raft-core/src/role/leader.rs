//! What only a leader has: what it knows of each member, its waiting reads, a transfer under way.

use crate::core::Core;
use crate::ids::{Index, NodeId};
use crate::log::Storage;
use crate::membership::Membership;
use crate::progress::Progress;
use crate::read_index::ReadQueue;

/// Up to so many members are looked through one by one.
const FEW_MEMBERS: usize = 16;

/// The state of a leader. It ends with its leadership.
#[derive(Debug)]
pub(crate) struct Leader {
    /// One for each member, this node included, sorted by id.
    pub(crate) members: Vec<(NodeId, Progress)>,
    pub(crate) heartbeat_elapsed: u32,
    /// To whom leadership is being handed over.
    pub(crate) transferee: Option<NodeId>,
    /// No membership change is in the log beyond this index. While it is not applied, no further
    /// one is proposed (thesis, section 4.1).
    pub(crate) pending_conf_index: Index,
    /// The payload bytes that are proposed and not applied. May be too low, never too high.
    pub(crate) uncommitted_bytes: u64,
    pub(crate) reads: ReadQueue,
}

impl Leader {
    /// A leader that begins: it knows nothing of the others but their names.
    pub(crate) fn new<S: Storage>(core: &Core<S>) -> Self {
        let last = core.log.last_index();
        let own = core.id();
        let progress = |id| {
            let mut progress = Progress::new(last.next());
            if id == own {
                progress.on_acknowledged(last);
                progress.become_replicate();
                progress.mark_active();
            }
            (id, progress)
        };
        let mut members: Vec<_> = core.membership.members().map(progress).collect();
        members.shrink_to_fit();
        let mut leader = Self {
            members,
            heartbeat_elapsed: 0,
            transferee: None,
            // There may be a change in the tail, or not: waiting until the tail is applied is
            // cheaper than looking through it.
            pending_conf_index: last,
            uncommitted_bytes: 0,
            reads: ReadQueue::new(&core.settings),
        };
        leader.count_promises(core);
        leader
    }

    pub(crate) fn progress(&self, id: NodeId) -> Option<&Progress> {
        // Looking at each of a few is quicker than a search.
        if self.members.len() <= FEW_MEMBERS {
            self.members.iter().find(|(member, _)| *member == id).map(|(_, progress)| progress)
        } else {
            self.members.get(self.place_of(id)?).map(|(_, progress)| progress)
        }
    }

    pub(crate) fn progress_mut(&mut self, id: NodeId) -> Option<&mut Progress> {
        let place = self.place_of(id)?;
        self.members.get_mut(place).map(|(_, progress)| progress)
    }

    /// Where this member stands among all.
    pub(crate) fn place_of(&self, id: NodeId) -> Option<usize> {
        if self.members.len() <= FEW_MEMBERS {
            self.members.iter().position(|(member, _)| *member == id)
        } else {
            self.members.binary_search_by_key(&id, |(member, _)| *member).ok()
        }
    }

    pub(crate) fn members(&self) -> &[(NodeId, Progress)] {
        &self.members
    }

    pub(crate) fn members_mut(&mut self) -> impl Iterator<Item = &mut (NodeId, Progress)> {
        self.members.iter_mut()
    }

    /// Forgets what it knows of a member.
    pub(crate) fn forget(&mut self, member: NodeId) {
        self.members.retain(|(id, _)| *id != member);
        self.reads.forget(member);
    }

    /// Follows a change of the membership: who stays keeps their progress, who is new is probed
    /// from the end of the log and counts as active until the next check.
    pub(crate) fn reconcile(&mut self, membership: &Membership, last: Index) {
        self.members.retain(|(id, _)| membership.contains(*id));
        for id in membership.members() {
            if let Err(place) = self.members.binary_search_by_key(&id, |(id, _)| *id) {
                let mut progress = Progress::new(last.max(Index(1)));
                progress.mark_active();
                self.members.insert(place, (id, progress));
            }
        }
        if self.transferee.is_some_and(|id| !membership.is_voter(id)) {
            self.transferee = None;
        }
    }
}
