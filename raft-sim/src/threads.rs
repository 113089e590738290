//! The application with asynchronous storage writes: one thread appends, one applies, each in the
//! order in which work came, and a crash can come between any two of their actions.

use raftcore::{LocalResponse, Reply};

use crate::check::contract;
use crate::cluster::{Event, World};
use crate::disk::Batch;
use crate::host::AppendStage;
use crate::input::Input;

impl World {
    /// Whoever has work and rests goes on soon.
    pub(crate) fn wake_threads(&mut self, slot: usize) {
        let pause = self.plan.pause;
        let host = &mut self.hosts[slot];
        let life = host.life;
        let (append_delay, apply_delay) =
            (1 + host.random.below(pause), 1 + host.random.below(pause));
        let append = !host.append_work.is_empty() && !host.append_queued;
        let apply = !host.apply_work.is_empty() && !host.apply_queued;
        host.append_queued |= append;
        host.apply_queued |= apply;
        if append {
            self.push(append_delay, Event::Append { slot, life });
        }
        if apply {
            self.push(apply_delay, Event::Apply { slot, life });
        }
    }

    /// The append thread does its next actions.
    pub(crate) fn run_append_thread(&mut self, slot: usize) {
        let at_once = self.plan.at_once;
        while self.violation.is_none() && self.hosts[slot].is_up() {
            if self.hosts[slot].append_work.is_empty() {
                return;
            }
            if let Err(wait) = self.append_action(slot) {
                let life = self.hosts[slot].life;
                self.hosts[slot].append_queued = true;
                return self.push(wait, Event::Append { slot, life });
            }
            if !self.hosts[slot].random.chance(at_once) {
                return self.wake_threads(slot);
            }
        }
    }

    /// One action: a write, a sync, or one reply. An error says how long to wait.
    fn append_action(&mut self, slot: usize) -> Result<(), u64> {
        let now = self.now;
        let Some(work) = self.hosts[slot].append_work.front() else { return Ok(()) };
        match self.hosts[slot].append_stage {
            AppendStage::Write => {
                let batch = Batch {
                    hard_state: work.hard_state,
                    snapshot: work.snapshot.clone(),
                    entries: work.entries.clone(),
                };
                let must_sync = work.must_sync;
                self.write(slot, batch, now)?;
                self.hosts[slot].append_stage =
                    if must_sync { AppendStage::Sync } else { AppendStage::Reply(0) };
                Ok(())
            }
            AppendStage::Sync => {
                self.sync(slot)?;
                self.hosts[slot].append_stage = AppendStage::Reply(0);
                Ok(())
            }
            AppendStage::Reply(at) => {
                if at == 0
                    && let Some(snapshot) = work.snapshot.clone()
                {
                    self.restore(slot, &snapshot);
                }
                self.pass_on(slot, at);
                Ok(())
            }
        }
    }

    /// Passes the next reply on, or goes on to the next piece of work.
    fn pass_on(&mut self, slot: usize, at: usize) {
        let host = &mut self.hosts[slot];
        let Some(work) = host.append_work.front() else { return };
        let Some(reply) = work.replies.get(at).cloned() else {
            host.append_work.pop_front();
            host.append_stage = AppendStage::Write;
            return;
        };
        host.append_stage = AppendStage::Reply(at + 1);
        match reply {
            Reply::Peer(message) => self.release(slot, &message),
            Reply::Local(response) => self.respond(slot, Input::Appended, response),
        }
    }

    fn respond(&mut self, slot: usize, input: Input<'_>, response: LocalResponse) {
        if let Some(result) = self.call(slot, input, |node| node.storage_response(response)) {
            self.note(contract::on_response(self.hosts[slot].id, &result));
        }
        self.wake(slot);
    }

    /// The apply thread does its next actions.
    pub(crate) fn run_apply_thread(&mut self, slot: usize) {
        let at_once = self.plan.at_once;
        while self.violation.is_none() && self.hosts[slot].is_up() {
            let Some(work) = self.hosts[slot].apply_work.front() else { return };
            let entries = work.entries.clone();
            if self.apply_some(slot, &entries) {
                if let Some(work) = self.hosts[slot].apply_work.pop_front() {
                    self.respond(slot, Input::Applied, work.reply);
                }
                self.maybe_compact(slot);
            }
            if !self.hosts[slot].random.chance(at_once) {
                return self.wake_threads(slot);
            }
        }
    }
}
