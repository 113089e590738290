//! Applying membership changes to a running node, and leaving joint configurations by itself
//! (paper, section 6). A change takes effect when it is applied, not when it is appended.

use bytes::Bytes;

use crate::entry::{Entries, Entry, EntryKind};
use crate::error::BadConfChange;
use crate::event::Event;
use crate::ids::{Index, NodeId};
use crate::log::Storage;
use crate::membership::{ConfChangeKind, ConfChangeV2, Membership};
use crate::role::{Raft, Role};
use crate::state::ConfState;
use crate::wire;

/// What applying a membership change did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppliedConfChange {
    /// The membership from now on: to be kept with the next snapshot.
    pub conf_state: ConfState,
    /// Whether a snapshot that contains this change was taken meanwhile. The membership above is
    /// the snapshot's then: keep it with nothing older, and make no snapshot of your own before
    /// that one is restored.
    pub overtaken: bool,
    /// Present when no node can apply this change: it was skipped, here as on every other node.
    pub skipped: Option<BadConfChange>,
}

impl<S: Storage> Raft<S> {
    /// Applies a committed change, or skips it if it cannot be applied.
    pub(crate) fn apply_conf_change(&mut self, change: &ConfChangeV2) -> AppliedConfChange {
        // Nothing after a pending snapshot was handed out yet, so this change is part of it.
        if self.core.log.has_snapshot() {
            return self.overtaken_conf_change();
        }
        match self.core.membership.apply(change) {
            Ok(membership) => {
                self.forget_remade(change, &membership);
                self.switch_to(membership);
                self.applied_conf_change(None)
            }
            Err(error) => self.skip_conf_change(BadConfChange::Inapplicable(error)),
        }
    }

    /// Applies the change in a committed entry. An entry without one changes nothing.
    pub(crate) fn apply_conf_change_entry(&mut self, entry: &Entry) -> AppliedConfChange {
        if entry.index <= self.core.restored {
            return self.overtaken_conf_change();
        }
        match wire::decode_conf_change(entry) {
            Ok(Some(change)) => self.apply_conf_change(&change.into()),
            Ok(None) => self.applied_conf_change(None),
            Err(error) => self.skip_conf_change(BadConfChange::Undecodable(error)),
        }
    }

    /// A member that a change removes and adds again is new: what the leader knew of it is about
    /// another life. Who stays in the outgoing half was never gone.
    fn forget_remade(&mut self, change: &ConfChangeV2, next: &Membership) {
        let Role::Leader(leader) = &mut self.role else { return };
        for step in change.changes.iter().filter(|step| step.kind == ConfChangeKind::Remove) {
            if let Some(id) = NodeId::new(step.node)
                && !next.voters_outgoing().contains(&id)
            {
                leader.forget(id);
            }
        }
    }

    fn skip_conf_change(&mut self, error: BadConfChange) -> AppliedConfChange {
        self.core.emit(|| Event::ConfChangeSkipped(error.clone()));
        self.applied_conf_change(Some(error))
    }

    fn overtaken_conf_change(&self) -> AppliedConfChange {
        AppliedConfChange { overtaken: true, ..self.applied_conf_change(None) }
    }

    fn applied_conf_change(&self, skipped: Option<BadConfChange>) -> AppliedConfChange {
        AppliedConfChange {
            conf_state: self.core.membership.to_conf_state(),
            overtaken: false,
            skipped,
        }
    }

    /// Goes on with this membership. A leader may lose its place by it, or may find that more is
    /// committed now; who is new is sent what there is without waiting for a heartbeat.
    pub(crate) fn switch_to(&mut self, membership: Membership) {
        let core = &mut self.core;
        core.emit(|| Event::MembershipChanged { membership: membership.to_string() });
        core.membership = membership;
        let Role::Leader(leader) = &mut self.role else { return };
        leader.reconcile(&core.membership, core.log.last_index());
        leader.reconcile_reads(core);
        let own = core.id();
        if !core.membership.contains(own) || core.membership.is_learner(own) {
            // Removed or demoted. Without stepping down it leads on, without counting itself,
            // until somebody else is elected (thesis, section 4.2.2).
            if core.settings.step_down_on_removal {
                let term = core.term();
                self.become_follower(term, None);
            }
            return;
        }
        if leader.maybe_commit(core) {
            leader.broadcast_append(core);
        } else {
            leader.broadcast_entries(core);
        }
        if core.membership.is_singleton() {
            // Nobody is left who could confirm what waits.
            leader.confirm_reads(core);
        }
    }

    /// Everything up to `index` is applied. `bytes` is the size under which it was handed out.
    #[inline(always)]
    pub(crate) fn applied_to(&mut self, index: Index, bytes: u64) {
        self.core.log.applied_to(index, bytes);
        if self.core.membership.auto_leave() {
            self.leave_joint_if_due();
        }
    }

    /// A leader proposes to leave a joint configuration that is to be left by itself, once the
    /// change that entered it is applied.
    pub(crate) fn leave_joint_if_due(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let core = &mut self.core;
        if core.membership.auto_leave() && core.log.applied() >= leader.pending_conf_index {
            let leave =
                Entry { kind: EntryKind::ConfChangeV2, data: Bytes::new(), ..Entry::default() };
            // It cannot be taken during a transfer: then the end of the transfer tries again, here
            // or at the next leader.
            let _ = leader.on_proposal(core, &Entries::from(vec![leave]));
        }
    }
}
