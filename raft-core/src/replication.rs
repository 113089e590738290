//! Replication: a leader's appends and heartbeats, what members do with them, what the leader
//! learns from their answers, and the commit rule (paper, sections 5.3 and 5.4.2).

use crate::context::Context;
use crate::core::Core;
use crate::entry::Entries;
use crate::error::{Error, Refusal, StorageError};
use crate::event::Event;
use crate::ids::{Index, NodeId, Position};
use crate::log::Storage;
use crate::membership::Membership;
use crate::message::{Append, AppendResponse, Body, Rejection};
use crate::progress::{Owed, Progress, State};
use crate::quorum::majority;
use crate::read_index::ReadEcho;
use crate::role::{Leader, Raft, Role};

impl<S: Storage> Raft<S> {
    /// Builds what is owed to others: a leader's appends and heartbeats, or the answer to one.
    /// These entries go into the same Ready to be persisted.
    #[inline(never)]
    pub(crate) fn send_owed(&mut self, fresh: &Entries) {
        let owed = self.core.outbox.take_owed();
        if let Role::Leader(leader) = &mut self.role {
            if owed.has_heartbeats() {
                leader.broadcast_heartbeat(&mut self.core);
            }
            if owed.has_appends() {
                leader.send_owed(&mut self.core, fresh);
            }
        }
        if owed.has_heartbeat_response() {
            self.core.send_owed_response();
        }
    }

    /// The same where nobody looks for a short way. A test holds both side by side.
    #[cfg(test)]
    pub(crate) fn send_owed_the_long_way(&mut self) {
        let owed = self.core.outbox.take_owed();
        if let Role::Leader(leader) = &mut self.role {
            if owed.has_heartbeats() {
                leader.broadcast_heartbeat(&mut self.core);
            }
            for (to, progress) in &mut leader.members {
                let owed = progress.take_owed();
                if owed != Owed::Nothing {
                    self.core.catch_up(&mut None, *to, progress, owed == Owed::Append);
                }
            }
        }
        if owed.has_heartbeat_response() {
            self.core.send_owed_response();
        }
    }

    /// A tick of a leader: heartbeats, and once in an election timeout a look at the quorum and
    /// at a transfer that takes too long. Returns whether more happened than that time passed.
    pub(crate) fn tick_leader(&mut self) -> bool {
        let Role::Leader(leader) = &mut self.role else { return false };
        leader.heartbeat_elapsed = leader.heartbeat_elapsed.saturating_add(1);
        leader.reads.tick();
        let core = &mut self.core;
        core.election_elapsed = core.election_elapsed.saturating_add(1);
        let election_is_due = core.election_elapsed >= core.settings.election_timeout;
        if election_is_due {
            core.election_elapsed = 0;
            core.log.rest();
            if core.settings.check_quorum {
                self.check_quorum();
            }
            if let Role::Leader(leader) = &mut self.role
                && leader.abort_transfer(&mut self.core)
            {
                // While handing over it could not.
                self.leave_joint_if_due();
            }
        }
        let Role::Leader(leader) = &mut self.role else { return true };
        if leader.heartbeat_elapsed >= self.core.settings.heartbeat_interval {
            leader.heartbeat_elapsed = 0;
            leader.send_heartbeats(&mut self.core);
            return true;
        }
        election_is_due
    }
}

impl<S: Storage> Core<S> {
    /// Takes a leader's entries, if the position before them is here (paper, figure 2,
    /// AppendEntries, receiver steps 2 to 5).
    pub(crate) fn on_append(&mut self, from: NodeId, append: Append) {
        let Append { prev, entries, commit } = append;
        let committed = self.log.committed();
        if prev.index < committed {
            // Everything up to the commit index agrees with the leader already.
            self.answer_append(from, committed);
        } else if self.log.matches(prev) {
            let last_new = prev.index.plus(entries.len() as u64);
            let known = self.log.count_matching(&entries);
            if known < entries.len() {
                self.log.replace_from_first(entries.part(known, usize::MAX));
            }
            self.acknowledge(from, commit, last_new);
        } else {
            let rejection = self.reject(prev);
            self.send(from, Body::AppendResponse(rejection));
        }
    }

    /// The same, where they are of the present term and go on where this log ends.
    #[inline]
    pub(crate) fn on_next_append(
        &mut self,
        from: NodeId,
        prev: Position,
        entries: Entries,
        commit: Index,
    ) {
        let last_new = prev.index.skip(entries.len() as u64);
        self.log.extend_in_term(self.term(), entries);
        self.acknowledge(from, commit, last_new);
    }

    /// Learns how much of what it has is committed, and answers.
    #[inline(always)]
    fn acknowledge(&mut self, from: NodeId, commit: Index, last_new: Index) {
        let committed = self.log.committed();
        // Beyond the last new entry this log may still differ from the leader's.
        self.commit_to(commit.min(last_new));
        if last_new <= self.acknowledged && self.is_mere_news(committed, commit, last_new) {
            return;
        }
        self.acknowledged = self.acknowledged.max(last_new);
        self.answer_append(from, last_new);
    }

    /// Whether an append of what was acknowledged already only told how much of it is committed.
    /// That needs no answer. If the acknowledgement was lost, the leader asks again, and as nothing
    /// is news a second time, or it has committed more than is here, that is answered.
    fn is_mere_news(&self, before: Index, commit: Index, last_new: Index) -> bool {
        self.settings.coalesce_appends && before < commit && commit <= last_new
    }

    /// The answer to an append whose previous entry is not here, with where the logs may meet.
    #[cold]
    fn reject(&self, prev: Position) -> AppendResponse {
        let upper = prev.index.min(self.log.last_index());
        let (hint, hint_term) = self.log.last_at_most(upper, prev.term);
        AppendResponse { index: prev.index, rejection: Some(Rejection { hint, hint_term }) }
    }

    /// Learns the commit index. The leader never names one beyond what this log is known to have,
    /// unless this log has lost something: then nothing is believed, but the leader was heard.
    pub(crate) fn on_heartbeat(
        &mut self,
        from: NodeId,
        commit: Index,
        context: Context,
    ) -> Result<(), Error> {
        let last = self.log.last_index();
        if commit > last {
            self.emit(|| Event::CommitBeyondLog { commit, last });
            return Err(Refusal::CommitBeyondLog { commit, last }.into());
        }
        self.on_possible_heartbeat(from, commit, context);
        Ok(())
    }

    /// The same, where the log has what is committed.
    #[inline(always)]
    pub(crate) fn on_possible_heartbeat(&mut self, from: NodeId, commit: Index, context: Context) {
        self.commit_to(commit);
        if self.settings.coalesce_appends && context.is_empty() {
            self.outbox.owe_heartbeat_response();
        } else {
            self.answer_heartbeat(from, context);
        }
    }

    /// Builds the answer that the leader is owed, unless it was forgotten meanwhile.
    pub(crate) fn send_owed_response(&mut self) {
        if let Some(leader) = self.leader() {
            self.answer_heartbeat(leader, Context::new());
        }
    }
}

impl Leader {
    /// Sends to every member what it lacks, at least the commit index.
    pub(crate) fn broadcast_append<S: Storage>(&mut self, core: &mut Core<S>) {
        self.broadcast(core, Owed::Append);
    }

    /// Sends to every member what it lacks, but nothing to those who lack nothing.
    pub(crate) fn broadcast_entries<S: Storage>(&mut self, core: &mut Core<S>) {
        self.broadcast(core, Owed::Entries);
    }

    #[inline]
    fn broadcast<S: Storage>(&mut self, core: &mut Core<S>, what: Owed) {
        if !core.settings.coalesce_appends {
            return self.broadcast_at_once(core, what);
        }
        let own = core.id();
        for (_, progress) in self.members.iter_mut().filter(|(id, _)| *id != own) {
            core.owe(progress, what);
        }
    }

    #[inline(never)]
    fn broadcast_at_once<S: Storage>(&mut self, core: &mut Core<S>, what: Owed) {
        let own = core.id();
        for (to, progress) in self.members.iter_mut().filter(|(id, _)| *id != own) {
            core.append_to(*to, progress, what == Owed::Append);
        }
    }

    /// Sends an append, an empty one if the member lacks nothing or its window is full.
    pub(crate) fn send_append<S: Storage>(&mut self, core: &mut Core<S>, to: NodeId) {
        if let Some(place) = self.place_of(to) {
            self.send_append_at(core, place);
        }
    }

    fn send_append_at<S: Storage>(&mut self, core: &mut Core<S>, place: usize) {
        let Some((to, progress)) = self.members.get_mut(place) else { return };
        if core.settings.coalesce_appends {
            core.owe(progress, Owed::Append);
        } else {
            core.append_to(*to, progress, true);
        }
    }

    /// Sends entries as long as the member lacks some and its window has room.
    fn send_entries_at<S: Storage>(&mut self, core: &mut Core<S>, place: usize) {
        let Some((to, progress)) = self.members.get_mut(place) else { return };
        if core.settings.coalesce_appends {
            core.owe(progress, Owed::Entries);
        } else {
            while core.append_to(*to, progress, false) {}
        }
    }

    /// Builds the appends that members are owed: one each, or as many as it takes. Mostly all of
    /// them lack what is persisted with the same Ready, or just the commit index.
    fn send_owed<S: Storage>(&mut self, core: &mut Core<S>, fresh: &Entries) {
        let before_fresh = core.position_before_message(fresh);
        // What had to be read for one may serve the next.
        let mut read = None;
        let last = core.log.last_index();
        for (to, progress) in &mut self.members {
            let owed = progress.take_owed();
            if owed == Owed::Nothing {
                continue;
            }
            if progress.next_index() == last.after() {
                // Only the commit index can be news.
                if owed == Owed::Append && !progress.is_paused() {
                    core.append_nothing(*to, progress);
                }
                continue;
            }
            if let Some(prev) = before_fresh
                && progress.next_index() == prev.index.after()
                && !progress.is_paused()
                && !progress.is_window_full(&core.settings.inflight)
            {
                core.append_entries(*to, progress, prev, fresh.clone());
                continue;
            }
            core.catch_up(&mut read, *to, progress, owed == Owed::Append);
        }
    }

    /// Sends heartbeats: now, or when the next Ready is taken.
    pub(crate) fn send_heartbeats<S: Storage>(&mut self, core: &mut Core<S>) {
        if core.settings.coalesce_appends {
            core.outbox.owe_heartbeats();
        } else {
            self.broadcast_heartbeat(core);
        }
    }

    /// Sends heartbeats now. The position of the read queue goes with them.
    fn broadcast_heartbeat<S: Storage>(&mut self, core: &mut Core<S>) {
        let context = self.reads.heartbeat_context();
        let (own, committed) = (core.id(), core.log.committed());
        for (to, progress) in self.members_mut() {
            if *to == own {
                continue;
            }
            // Never a commit index beyond what is known to match: the member could have
            // something else there.
            let commit = progress.match_index().min(committed);
            core.send_heartbeat(*to, commit, context);
            progress.on_sent_commit(commit);
        }
    }

    /// Learns how far the log of the member at this place matches, or where it could match instead.
    pub(crate) fn on_append_response<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        place: usize,
        response: AppendResponse,
    ) -> Result<(), StorageError> {
        let Some((_, progress)) = self.members.get_mut(place) else { return Ok(()) };
        if response.rejection.is_some() || !matches!(progress.state(), State::Replicate(_)) {
            return self.on_odd_response(core, place, response);
        }
        progress.mark_active();
        if progress.on_acknowledged(response.index) {
            progress.free_inflights_up_to(response.index);
            self.go_on(core, place);
        }
        Ok(())
    }

    /// The same of a member that rejects, or is not replicating.
    #[inline(never)]
    fn on_odd_response<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        place: usize,
        response: AppendResponse,
    ) -> Result<(), StorageError> {
        let Some((from, progress)) = self.members.get_mut(place) else { return Ok(()) };
        match response.rejection {
            Some(rejection) => {
                // What the answer depends on is read before anything is changed.
                core.log.refresh_first()?;
                progress.mark_active();
                let from = *from;
                self.on_append_rejected(core, from, response.index, rejection);
            }
            None => {
                let in_snapshot = matches!(progress.state(), State::Snapshot { .. });
                let first = if in_snapshot { core.log.first_index()? } else { Index::ZERO };
                progress.mark_active();
                // An answer that tells nothing new can still end a probe, for example after the
                // member was reported unreachable.
                let ends_probe = matches!(progress.state(), State::Probe)
                    && progress.match_index() == response.index;
                if progress.on_acknowledged(response.index) || ends_probe {
                    self.on_append_accepted(core, place, first);
                }
            }
        }
        Ok(())
    }

    /// This leader's own log is durable up to `index`, all of it appended or taken over by this
    /// term: that counts like any other member's word.
    pub(crate) fn on_own_written<S: Storage>(&mut self, core: &mut Core<S>, index: Index) {
        if let Some(progress) = self.progress_mut(core.id())
            && progress.on_acknowledged(index)
            && index > core.log.committed()
            && self.maybe_commit(core)
        {
            self.broadcast_append(core);
        }
    }

    /// Probes where the logs may meet. With the member's term at its hint whole terms can be
    /// skipped: where this log's term is higher, the logs cannot match (paper, section 5.3, end).
    #[cold]
    fn on_append_rejected<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        from: NodeId,
        rejected: Index,
        rejection: Rejection,
    ) {
        let Rejection { hint, hint_term } = rejection;
        let probe = if hint_term.0 > 0 { core.log.last_at_most(hint, hint_term).0 } else { hint };
        let Some(progress) = self.progress_mut(from) else { return };
        if progress.on_rejected(rejected, probe) {
            if matches!(progress.state(), State::Replicate(_)) {
                progress.become_probe();
            }
            self.send_append(core, from);
        }
    }

    /// The log of a member that was not replicating matches. `first` is this log's first index, for
    /// a member in snapshot state.
    fn on_append_accepted<S: Storage>(&mut self, core: &mut Core<S>, place: usize, first: Index) {
        let Some((_, progress)) = self.members.get_mut(place) else { return };
        match progress.state() {
            State::Probe => progress.become_replicate(),
            // Whatever snapshot it applied: the log reaches it again.
            State::Snapshot { .. } if progress.match_index().next() >= first => {
                progress.become_probe();
                progress.become_replicate();
            }
            State::Snapshot { .. } | State::Replicate(_) => {}
        }
        self.go_on(core, place);
    }

    /// More of a member's log matches: perhaps something becomes committed by it, perhaps more can
    /// be sent.
    #[inline(always)]
    fn go_on<S: Storage>(&mut self, core: &mut Core<S>, place: usize) {
        let Some((from, progress)) = self.members.get(place) else { return };
        let from = *from;
        let committed = core.log.committed();
        let can_bump = progress.can_bump_commit(committed);
        // What is committed already needs no count.
        let may_commit = progress.match_index() > committed;
        let is_other = from != core.id();
        let sends = if may_commit && self.maybe_commit(core) {
            self.broadcast_append(core);
            true
        } else {
            if is_other && can_bump {
                self.send_append_at(core, place);
            }
            can_bump
        };
        // An append that is owed brings all that can be sent.
        if is_other && !(sends && core.settings.coalesce_appends) {
            // The window may have room for several messages now.
            self.send_entries_at(core, place);
        }
        self.finish_transfer(core, from);
    }

    /// Commits what a quorum has, if it is of this leader's own term: an earlier term's entries
    /// are committed by what follows them (paper, section 5.4.2 and figure 8). Returns whether
    /// the commit index moved.
    pub(crate) fn maybe_commit<S: Storage>(&mut self, core: &mut Core<S>) -> bool {
        let index = if core.membership.has_only_voters() {
            // All whom it tracks: nobody need be looked up by name.
            majority::committed_index_of(&self.members, |(_, progress)| progress.match_index())
        } else {
            self.committed_index_by_name(&core.membership)
        };
        if index <= core.log.committed() || !core.log.matches(Position { term: core.term(), index })
        {
            return false;
        }
        core.commit_to(index);
        self.release_postponed_reads(core);
        true
    }

    #[inline(never)]
    fn committed_index_by_name(&self, membership: &Membership) -> Index {
        membership.committed_index(|id| self.progress(id).map(|progress| progress.match_index()))
    }

    /// A member is alive; it may have missed something.
    #[inline]
    pub(crate) fn on_heartbeat_response<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        place: usize,
        echo: ReadEcho,
    ) {
        let Some((_, progress)) = self.members.get_mut(place) else { return };
        progress.mark_active();
        // One probe for each heartbeat, and out of a full window an empty append: what filled it
        // may be lost.
        progress.unpause();
        let is_behind = progress.match_index() < core.log.last_index();
        if is_behind || matches!(progress.state(), State::Probe) {
            self.send_append_at(core, place);
        }
        if echo != ReadEcho::NONE {
            self.on_read_echoed(core, place, echo);
        }
    }

    /// The application could not reach a member: what was in flight is probably lost.
    pub(crate) fn on_unreachable(&mut self, member: NodeId) {
        if let Some(progress) = self.progress_mut(member)
            && matches!(progress.state(), State::Replicate(_))
        {
            progress.become_probe();
        }
    }
}

impl<S: Storage> Core<S> {
    /// Notes what a member is to be sent when the next Ready is taken, if there is something to
    /// send, as far as can be told without reading.
    fn owe(&mut self, progress: &mut Progress, what: Owed) {
        let lacks_nothing = progress.next_index() > self.log.last_index();
        if progress.is_paused() || (what == Owed::Entries && lacks_nothing) {
            return;
        }
        progress.owe(what);
        self.outbox.owe_appends();
    }

    /// Sends an append or, where the log does not reach back far enough, a snapshot. Returns
    /// whether something was sent. A read that fails is counted and tried again at the next
    /// occasion: other members are not to suffer from it.
    fn append_to(&mut self, to: NodeId, progress: &mut Progress, send_if_empty: bool) -> bool {
        self.append_from(&mut None, to, progress, send_if_empty)
    }

    /// Sends as many appends as it takes, as long as the window has room.
    #[inline(never)]
    fn catch_up(
        &mut self,
        last_read: &mut Option<Read>,
        to: NodeId,
        progress: &mut Progress,
        send_if_empty: bool,
    ) {
        let mut sent = self.append_from(last_read, to, progress, send_if_empty);
        while sent && progress.next_index() <= self.log.last_index() {
            sent = self.append_from(last_read, to, progress, false);
        }
    }

    /// As `append_to`, where something may have been read for another member already.
    #[inline(never)]
    fn append_from(
        &mut self,
        last_read: &mut Option<Read>,
        to: NodeId,
        progress: &mut Progress,
        send_if_empty: bool,
    ) -> bool {
        let (next, last) = (progress.next_index(), self.log.last());
        let lacks_nothing = next > last.index;
        if progress.is_paused() || (lacks_nothing && !send_if_empty) {
            return false;
        }
        if next == last.index.next() {
            self.append_nothing(to, progress);
            return true;
        }
        let is_empty = lacks_nothing || progress.is_window_full(&self.settings.inflight);
        let (prev, entries) = match last_read {
            Some(read) if read.next == next && read.is_empty == is_empty => {
                (read.prev, read.entries.clone())
            }
            _ => match self.read_for_append(next, is_empty) {
                Ok((prev, entries)) => {
                    let read = Read { next, is_empty, prev, entries: entries.clone() };
                    *last_read = Some(read);
                    (prev, entries)
                }
                Err(StorageError::Compacted) => return self.send_snapshot(to, progress),
                Err(error) => {
                    self.skip_send(to, error);
                    return false;
                }
            },
        };
        if entries.is_empty() && !send_if_empty {
            return false;
        }
        self.append_entries(to, progress, prev, entries);
        true
    }

    /// What stands before the last entries of the log, if there are some and one message can carry
    /// them.
    #[inline]
    fn position_before_message(&self, last_ones: &Entries) -> Option<Position> {
        let index = last_ones.first()?.index.prev();
        let term = self.log.term(index)?;
        last_ones.fit(self.settings.max_message_bytes).then_some(Position { term, index })
    }

    /// Sends these entries, or none, after this position.
    #[inline(always)]
    fn append_entries(
        &mut self,
        to: NodeId,
        progress: &mut Progress,
        prev: Position,
        entries: Entries,
    ) {
        let limits = &self.settings.inflight;
        let count = entries.len() as u64;
        let bytes = if limits.max_inflight_bytes == u64::MAX { 0 } else { entries.payload_bytes() };
        progress.on_sent_entries(count, bytes, limits);
        progress.on_sent_commit(self.log.committed());
        self.send_append(to, prev, entries);
    }

    /// Sends an append to a member that lacks no entries: it tells the commit index.
    #[inline]
    fn append_nothing(&mut self, to: NodeId, progress: &mut Progress) {
        progress.on_sent_entries(0, 0, &self.settings.inflight);
        progress.on_sent_commit(self.log.committed());
        self.send_append(to, self.log.last(), Entries::new());
    }

    /// The position before `next` and, unless none are to be sent, the entries from there on.
    fn read_for_append(
        &mut self,
        next: Index,
        is_empty: bool,
    ) -> Result<(Position, Entries), StorageError> {
        let prev = self.log.position_before(next)?;
        let entries = if is_empty {
            Entries::new()
        } else {
            self.log.entries_from(next, self.settings.max_message_bytes)?
        };
        Ok((prev, entries))
    }

    /// Counts and reports a message that is not sent because reading for it failed.
    #[cold]
    pub(crate) fn skip_send(&mut self, to: NodeId, error: StorageError) {
        self.metrics.count_rare(|rare| Some(&mut rare.sends_skipped));
        self.emit(|| Event::SendSkipped { to, error });
    }
}

/// What was read for an append.
struct Read {
    next: Index,
    /// Whether it is to carry no entries.
    is_empty: bool,
    prev: Position,
    entries: Entries,
}
