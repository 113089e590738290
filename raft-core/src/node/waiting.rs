//! Whether something waits for a Ready.

use super::Node;
use crate::log::Storage;
#[cfg(debug_assertions)]
use crate::progress::Progress;
use crate::ready::ReadyContents;
use crate::state::SoftState;
use crate::work::Work;

impl<S: Storage> Node<S> {
    /// Whether something waits. It was noted where it happened: see `work.rs`.
    #[inline(always)]
    pub(super) fn something_waits(&self) -> bool {
        let core = &self.raft.core;
        !core.outbox.is_empty() || self.is_news(core.work())
    }

    /// Whether this is anything to tell.
    #[inline(always)]
    pub(super) fn is_news(&self, work: Work) -> bool {
        work != Work::NONE && (work != Work::SOFT_STATE || self.has_new_soft_state())
    }

    /// Leader and role may have been set to what they were.
    #[cold]
    fn has_new_soft_state(&self) -> bool {
        self.raft.soft_state() != self.last_soft_state()
    }

    const fn last_soft_state(&self) -> SoftState {
        SoftState { leader: self.last_leader, role: self.last_role }
    }

    /// Puts into a Ready what few have.
    #[inline(never)]
    pub(super) fn put_what_is_rare(&mut self, contents: &mut ReadyContents, work: Work) {
        if work.has(Work::READS) {
            self.raft.core.take_read_states(&mut contents.read_states);
        }
        if work.has(Work::SNAPSHOT) {
            contents.snapshot = self.raft.core.log.accept_snapshot();
        }
        if work.has(Work::SOFT_STATE) && self.has_new_soft_state() {
            let soft_state = self.raft.soft_state();
            contents.soft_state = Some(soft_state);
            SoftState { leader: self.last_leader, role: self.last_role } = soft_state;
        }
    }

    /// Holds what was noted against a look at everything.
    #[cfg(debug_assertions)]
    pub(super) fn check_work(&self) {
        let core = &self.raft.core;
        assert_eq!(core.outbox.check(), Ok(()));
        let owes = |(_, progress): &(_, Progress)| progress.owes();
        let leader = self.raft.role.as_leader();
        let owes_appends = leader.is_some_and(|leader| leader.members().iter().any(owes));
        assert!(!owes_appends || core.outbox.owes(), "who is owed something is sent it");
        let (now, last) = (core.hard_state(), self.last_hard_state);
        let mut work = Work::NONE;
        work.set(Work::BALLOT, (now.term, now.vote) != (last.term, last.vote));
        work.set(Work::COMMIT, now.commit != last.commit);
        work.set(Work::ENTRIES, core.log.has_next_unstable());
        work.set(Work::COMMITTED, core.log.has_next_committed());
        work.set(Work::SNAPSHOT, core.log.has_next_snapshot());
        work.set(Work::READS, core.has_read_states());
        // Only that one may be noted without being so.
        let noted = core.work();
        work.set(Work::SOFT_STATE, noted.has(Work::SOFT_STATE) || self.has_new_soft_state());
        assert_eq!(noted, work, "what waits for a Ready is what was noted");
    }
}
