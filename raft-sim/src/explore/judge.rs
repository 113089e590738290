//! What the judges of the whole group say of a step: the same judges as those of the random
//! search, `check`. What they remember is a part of a state, so that two ways to the same nodes
//! are the same state only if the judges will say the same of everything that follows.

use raftcore::{HardState, RoleKind, Status};

use super::local::{Local, Look};
use crate::check::election::Election;
use crate::check::log::LogJudge;
use crate::check::progress::check_match;
use crate::check::{Verdict, durability};
use crate::disk::Disk;

/// What was seen on the way to a state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Ghost {
    pub(super) election: Election,
    pub(super) log: LogJudge,
}

impl Ghost {
    pub(super) fn new() -> Self {
        let mut ghost = Self::default();
        ghost.log.found(raftcore::Position::default(), 0);
        ghost
    }

    /// Takes in what a node did.
    pub(super) fn see(&mut self, slot: usize, looks: &[Look]) -> Verdict {
        looks.iter().try_for_each(|look| self.see_one(slot, look))
    }

    fn see_one(&mut self, slot: usize, look: &Look) -> Verdict {
        match look {
            Look::Leads { before, after, .. } => {
                let term = after.hard_state.term.0;
                if leads(before, &after.hard_state) {
                    return Ok(());
                }
                self.election.on_elected(after.id, term, &after.membership)?;
                self.log.on_elected(slot, term)?;
                self.election.on_leading(after.id, term)
            }
            Look::Handed { entries, commit, term, leads } => {
                self.log.on_ready(slot, entries, None, *leads)?;
                self.log.on_commit(slot, *commit, *term)
            }
            Look::Applied { entry, state } => self.log.on_apply(slot, entry, *state),
            Look::Voted { term, candidate } => self.election.on_promise(slot, *term, *candidate),
            Look::Restarted { entries } => self.log.on_restart(slot, 1, entries, 0),
        }
    }
}

/// Whether it led in this term before.
fn leads(before: &Status, now: &HardState) -> bool {
    before.soft_state.role == RoleKind::Leader && before.hard_state.term == now.term
}

/// What a leader committed is on the disks of a quorum, and what it believes of the others is so.
pub(super) fn check_disks<'a>(
    slot: usize,
    looks: &[Look],
    ghost: &Ghost,
    local: impl Fn(usize) -> Option<&'a Local>,
) -> Verdict {
    for look in looks {
        let Look::Leads { before, after, disk } = look else { continue };
        let disk_of = |id: raftcore::NodeId| -> Option<&Disk> {
            let at = id.get() as usize - 1;
            if at == slot { Some(disk) } else { local(at).map(|local| &local.disk) }
        };
        let (term, commit) = (after.hard_state.term.0, after.hard_state.commit.0);
        if commit > before.hard_state.commit.0 {
            durability::on_commit(after.id, term, commit, &after.membership, disk_of)?;
        }
        for peer in &after.progress {
            let matched = peer.progress.match_index().0;
            if peer.id != after.id
                && let Some(disk) = disk_of(peer.id)
            {
                let own = ghost.log.term_at(slot, matched);
                check_match(slot, term, peer.id, matched, disk, own)?;
            }
        }
    }
    Ok(())
}
