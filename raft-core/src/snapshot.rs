//! Snapshots: sent to members that are behind the leader's log, restored by them, and what the
//! application reports about their way (paper, section 7).

use std::sync::Arc;

use crate::core::Core;
use crate::error::StorageError;
use crate::event::Event;
use crate::ids::NodeId;
use crate::log::Storage;
use crate::membership::Membership;
use crate::message::{AppendResponse, Body};
use crate::progress::{Progress, State};
use crate::role::{Leader, Raft};
use crate::state::Snapshot;

/// What became of a snapshot that the application was to deliver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(i32)]
pub enum SnapshotStatus {
    /// It was delivered.
    Finished = 0,
    /// It was not; the member is probed again.
    Failed = 1,
}

impl<S: Storage> Core<S> {
    /// Sends the latest snapshot, unless the member seems to be gone or there is none right now.
    /// Returns whether it was sent.
    #[cold]
    pub(crate) fn send_snapshot(&mut self, to: NodeId, progress: &mut Progress) -> bool {
        // A snapshot is large: none for a member that does not answer.
        if !progress.is_recent_active() {
            return false;
        }
        let snapshot = match self.log.snapshot() {
            Ok(snapshot) => snapshot,
            Err(StorageError::SnapshotTemporarilyUnavailable) => return false,
            Err(error) => {
                self.skip_send(to, error);
                return false;
            }
        };
        let leaves_out_receiver = Membership::from_conf_state(&snapshot.conf_state)
            .is_ok_and(|membership| !membership.is_empty() && !membership.contains(to));
        // A member ignores a snapshot of a group that it is not in, and asking again and again
        // would not make the storage's any newer.
        if snapshot.is_empty() || leaves_out_receiver {
            self.emit(|| Event::SnapshotMissing { to });
            self.metrics.count_rare(|rare| Some(&mut rare.sends_skipped));
            return false;
        }
        let at = snapshot.position;
        progress.become_snapshot(at.index);
        self.send(to, Body::Snapshot(snapshot));
        self.metrics.count_rare(|rare| Some(&mut rare.snapshots_sent));
        self.emit(|| Event::SnapshotSent { to, at });
        true
    }
}

impl Leader {
    /// Goes on with a member whose snapshot has arrived, or not.
    pub(crate) fn on_snapshot_status(&mut self, member: NodeId, status: SnapshotStatus) {
        let Some(progress) = self.progress_mut(member) else { return };
        if !matches!(progress.state(), State::Snapshot { .. }) {
            return;
        }
        match status {
            SnapshotStatus::Finished => progress.become_probe(),
            SnapshotStatus::Failed => progress.abort_snapshot(),
        }
        // Delivered: wait for the member's own answer. Failed: wait a heartbeat before trying
        // again.
        progress.pause();
    }
}

impl<S: Storage> Raft<S> {
    /// Takes a snapshot in the place of the log if it is newer than what is committed here.
    #[cold]
    pub(crate) fn on_snapshot(&mut self, from: NodeId, snapshot: Arc<Snapshot>) {
        self.restore(snapshot);
        // Restored or not, what is committed is all that is known to match: a tail beyond it may
        // come from another leader. A restored log ends at its commit index.
        let index = self.core.log.committed();
        self.core.send(from, Body::AppendResponse(AppendResponse { index, rejection: None }));
    }

    fn restore(&mut self, snapshot: Arc<Snapshot>) {
        let core = &mut self.core;
        if snapshot.index() <= core.log.committed() {
            return;
        }
        // The door checked it already.
        let Ok(membership) = Membership::from_conf_state(&snapshot.conf_state) else { return };
        // A snapshot of a group that this node is no member of would leave it without a log that
        // anybody continues.
        if !membership.contains(core.id()) {
            core.emit(|| Event::SnapshotWithoutThisNode(snapshot.position));
            return;
        }
        if core.log.matches(snapshot.position) {
            // The log has all of it: only the commit index is news.
            core.commit_to(snapshot.index());
            return;
        }
        let at = snapshot.position;
        core.log.restore(snapshot);
        core.restored = at.index;
        core.metrics.count_rare(|rare| Some(&mut rare.snapshots_restored));
        core.emit(|| Event::SnapshotRestored(at));
        self.switch_to(membership);
    }
}
