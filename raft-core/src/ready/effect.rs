//! What becomes true when the application has done what a Ready asked for: part of the log is
//! durable, or applied. Who says so, `advance` or a storage thread, is not known here.

use crate::error::Error;
use crate::ids::{Index, Position, Term};
use crate::log::Storage;
use crate::ready::LocalKind;
use crate::role::{Raft, Role};

/// Entries that were handed out to be applied.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Applied {
    /// The last one; zero when there are none.
    pub(crate) last: Index,
    pub(crate) payload_bytes: u64,
}

impl<S: Storage> Raft<S> {
    /// Something became durable or applied.
    pub(crate) fn on_local(&mut self, kind: LocalKind) -> Result<(), Error> {
        match kind {
            LocalKind::Own(message) => return self.step_own(message),
            LocalKind::Appended { term, last, snapshot } => {
                if let Some(last) = last {
                    self.on_written(term, last);
                }
                if let Some(snapshot) = snapshot {
                    self.on_snapshot_written(snapshot.index());
                }
            }
            LocalKind::Applied { entries } => {
                let last = entries.last().map_or(Index::ZERO, |entry| entry.index);
                let bytes = self.core.log.applying_bytes_of(&entries);
                let payload_bytes = entries.payload_bytes();
                self.on_applied(Applied { last, payload_bytes }, bytes);
            }
        }
        Ok(())
    }

    /// The log is durable up to here, as of a term. Of an earlier one that says nothing: entries
    /// may have been overwritten since.
    pub(crate) fn on_written(&mut self, term: Term, last: Position) {
        if term != self.core.term() {
            return;
        }
        self.core.log.stable_to(last);
        if self.core.settings.write_acknowledges()
            && let Role::Leader(leader) = &mut self.role
        {
            leader.on_own_written(&mut self.core, last.index);
        }
    }

    /// So is the snapshot at this index. It is committed state, whatever the term.
    #[cold]
    pub(crate) fn on_snapshot_written(&mut self, index: Index) {
        self.core.log.stable_snapshot_to(index);
        self.applied_to(index, 0);
    }

    /// These are applied; so many bytes of what is handed out they count for.
    pub(crate) fn on_applied(&mut self, applied: Applied, bytes: u64) {
        self.applied_to(applied.last, bytes);
        if let Role::Leader(leader) = &mut self.role {
            leader.reduce_uncommitted(applied.payload_bytes);
        }
    }
}
