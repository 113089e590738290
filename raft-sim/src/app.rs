//! The application's loop around one node: take a Ready, send, write, sync, send what waited,
//! apply, advance. Between any two of these a crash, a pause or another message can come.

use raftcore::{Entries, Entry, Message, Ready, Snapshot};

use crate::check::{contract, durability};
use crate::client::{Client, Machine};
use crate::cluster::World;
use crate::disk::{Batch, Disk};
use crate::host::{Stage, range_of};
use crate::input::Input;
use crate::observe::judge_release;
use crate::sabotage::Sabotage;

impl World {
    /// Goes through the loop until it rests, or until something takes time.
    pub(crate) fn run_loop(&mut self, slot: usize) {
        while self.violation.is_none() && self.hosts[slot].is_up() {
            match self.loop_action(slot) {
                Next::Rest => return,
                Next::At(delay) => return self.queue_loop(slot, Some(delay)),
                Next::Go => {}
            }
            let at_once = self.plan.at_once;
            let host = &mut self.hosts[slot];
            if host.stage == Stage::Idle && !host.node.as_ref().is_some_and(|n| n.has_ready()) {
                return;
            }
            if !host.random.chance(at_once) {
                return self.queue_loop(slot, None);
            }
        }
    }

    /// One action of the loop.
    fn loop_action(&mut self, slot: usize) -> Next {
        let sabotage = self.plan.sabotage;
        match self.hosts[slot].stage {
            Stage::Idle => return self.take_ready(slot),
            Stage::Send => {
                let messages = self.ready_of(slot, |ready| std::mem::take(&mut ready.messages));
                self.send_all(slot, &messages);
                if sabotage == Sabotage::SendBeforeSync {
                    self.send_after_sync(slot);
                }
                self.hosts[slot].stage = Stage::Write;
            }
            Stage::Write => return self.write_ready(slot),
            Stage::Sync => return self.sync_ready(slot),
            Stage::SendAfterSync => {
                self.send_after_sync(slot);
                self.hosts[slot].stage = Stage::Apply;
            }
            Stage::Apply => {
                if self.apply_ready(slot) {
                    self.hosts[slot].stage = Stage::Advance;
                }
            }
            Stage::Advance => {
                self.hosts[slot].stage = Stage::Idle;
                let Some(ready) = self.hosts[slot].ready.take() else { return Next::Rest };
                let mut failed = false;
                if let Some(result) = self.call(slot, Input::Advance, |node| node.advance(ready)) {
                    failed = result.is_err();
                }
                if failed {
                    // A disk that cannot be read: the Ready comes again, with nothing new in it.
                    return self.take_back(slot);
                }
            }
        }
        Next::Go
    }

    /// An `advance` failed. The node hands the same Ready out again.
    fn take_back(&mut self, slot: usize) -> Next {
        let Some(Ok(ready)) = self.call(slot, Input::ReadyAgain, |node| node.ready()) else {
            return Next::At(crate::swarm::TICK);
        };
        let host = &mut self.hosts[slot];
        host.ready = ready;
        host.stage = if host.ready.is_some() { Stage::Advance } else { Stage::Idle };
        Next::At(crate::swarm::TICK)
    }

    fn take_ready(&mut self, slot: usize) -> Next {
        let ready = match self.call(slot, Input::Ready, |node| node.ready()) {
            Some(Ok(Some(ready))) => ready,
            Some(Err(_)) => return Next::At(crate::swarm::TICK),
            _ => return Next::Rest,
        };
        self.trace(slot, || format!("Ready {}:\n{}", ready.number(), ready.describe()));
        self.recorder.on_ready(&ready, self.hosts[slot].config.async_storage_writes);
        self.judge_ready(slot, &ready);
        let host = &mut self.hosts[slot];
        host.apply_at = 0;
        if host.config.async_storage_writes {
            self.hand_to_threads(slot, ready);
        } else {
            host.ready = Some(ready);
            host.stage = Stage::Send;
        }
        Next::Go
    }

    fn hand_to_threads(&mut self, slot: usize, mut ready: Ready) {
        let messages = std::mem::take(&mut ready.messages);
        self.send_all(slot, &messages);
        self.take_read_states(slot, &mut ready);
        let host = &mut self.hosts[slot];
        host.append_work.extend(ready.append.take());
        host.apply_work.extend(ready.apply.take());
        self.wake_threads(slot);
    }

    fn ready_of<T: Default>(&mut self, slot: usize, f: impl FnOnce(&mut Ready) -> T) -> T {
        self.hosts[slot].ready.as_mut().map(f).unwrap_or_default()
    }

    fn send_after_sync(&mut self, slot: usize) {
        let messages = self.ready_of(slot, |ready| std::mem::take(&mut ready.messages_after_sync));
        self.send_all(slot, &messages);
    }

    fn send_all(&mut self, slot: usize, messages: &[Message]) {
        for message in messages {
            self.release(slot, message);
        }
    }

    /// A message leaves the node.
    pub(crate) fn release(&mut self, slot: usize, message: &Message) {
        if self.plan.is_judged {
            let digest = |data: &[u8]| Machine::decode(data).digest();
            let verdict = judge_release(&mut self.judges, &self.hosts[slot], message, digest);
            self.note(verdict);
        }
        self.trace(slot, || format!("-> {}", raftcore::describe::message(&message.into())));
        self.send(slot, message);
    }

    fn write_ready(&mut self, slot: usize) -> Next {
        let now = self.now;
        let batch = self.ready_of(slot, |ready| Batch {
            hard_state: ready.hard_state,
            snapshot: ready.snapshot.clone(),
            entries: ready.entries.clone(),
        });
        let must_sync = self.ready_of(slot, |ready| ready.must_sync);
        if let Err(wait) = self.write(slot, batch, now) {
            return Next::At(wait);
        }
        self.hosts[slot].stage = if must_sync { Stage::Sync } else { Stage::SendAfterSync };
        Next::Go
    }

    /// Writes to the disk; if it is full, says how long to wait.
    pub(crate) fn write(&mut self, slot: usize, batch: Batch, now: u64) -> Result<(), u64> {
        let id = self.hosts[slot].id;
        let Some(disk) = self.hosts[slot].disk_mut() else { return Ok(()) };
        if disk.full_until > now {
            let wait = disk.full_until - now;
            self.summary.count("write_on_a_full_disk");
            return Err(wait);
        }
        let verdict = batch
            .hard_state
            .map_or(Ok(()), |new| durability::on_write(id, &disk.durable_hard_state(), &new));
        let written = disk.write(batch);
        self.recorder.on_persist(slot);
        self.note(verdict);
        self.note(contract::on_stored(id, &written));
        Ok(())
    }

    fn sync_ready(&mut self, slot: usize) -> Next {
        if let Err(wait) = self.sync(slot) {
            return Next::At(wait);
        }
        self.hosts[slot].stage = Stage::SendAfterSync;
        Next::Go
    }

    /// Syncs the disk; if it is stalled, says how long to wait.
    pub(crate) fn sync(&mut self, slot: usize) -> Result<(), u64> {
        let now = self.now;
        let never = self.plan.sabotage == Sabotage::NeverSync;
        let Some(disk) = self.hosts[slot].disk_mut() else { return Ok(()) };
        if disk.stalled_until > now {
            let wait = disk.stalled_until - now;
            self.summary.count("sync_on_a_stalled_disk");
            return Err(wait);
        }
        if !never {
            let synced = disk.sync();
            self.note(contract::on_stored(self.hosts[slot].id, &synced));
        }
        Ok(())
    }

    /// Applies what a Ready says, or a part of it; whether all of it is done.
    fn apply_ready(&mut self, slot: usize) -> bool {
        let snapshot = self.ready_of(slot, |ready| ready.snapshot.clone());
        if let Some(snapshot) = snapshot
            && self.hosts[slot].apply_at == 0
        {
            self.restore(slot, &snapshot);
        }
        let committed = self.ready_of(slot, |ready| ready.committed.clone());
        if !self.apply_some(slot, &committed) {
            return false;
        }
        if let Some(mut ready) = self.hosts[slot].ready.take() {
            self.take_read_states(slot, &mut ready);
            self.hosts[slot].ready = Some(ready);
        }
        self.maybe_compact(slot);
        true
    }

    /// The application goes on from a snapshot.
    pub(crate) fn restore(&mut self, slot: usize, snapshot: &Snapshot) {
        let host = &mut self.hosts[slot];
        let index = snapshot.index().0;
        if index <= host.applied {
            return;
        }
        host.machine = Machine::decode(&snapshot.data);
        (host.applied, host.last_snapshot) = (index, index);
        host.conf_state = snapshot.conf_state.clone();
        host.overtaken = false;
        let (id, state) = (host.id, host.machine.digest());
        let verdict = self.judges.log.on_snapshot(id, snapshot, state);
        self.judges.log.on_restored(slot, index);
        self.note(verdict);
        self.summary.count("snapshots_restored");
        self.trace(slot, || format!("restores a snapshot at {index}"));
        self.answer_reads(slot);
    }

    /// Applies these entries, now or bit by bit; whether all of them are applied.
    pub(crate) fn apply_some(&mut self, slot: usize, entries: &Entries) -> bool {
        let at_once = self.plan.at_once;
        let mut at = self.hosts[slot].apply_at;
        if at == 0 && !entries.is_empty() {
            self.trace(slot, || format!("applies {}", range_of(entries)));
        }
        for entry in entries.part(at, usize::MAX).iter() {
            self.apply(slot, entry);
            at += 1;
            self.hosts[slot].apply_at = at;
            if self.violation.is_some() {
                return true;
            }
            if at < entries.len() && !self.hosts[slot].random.chance(at_once) {
                return false;
            }
        }
        self.hosts[slot].apply_at = 0;
        self.save(slot);
        self.answer_reads(slot);
        true
    }

    fn apply(&mut self, slot: usize, entry: &Entry) {
        let index = entry.index.0;
        let is_judged = self.plan.is_judged;
        let host = &mut self.hosts[slot];
        if index <= host.applied && self.plan.sabotage != Sabotage::ApplyTwice {
            // A snapshot overtook it.
            return;
        }
        let command = host.machine.apply(&entry.data);
        host.applied = index;
        let (id, state) = (host.id, host.machine.digest());
        let durable = host.disk().map(|disk| disk.durable_term(index));
        if is_judged {
            let verdict = self.judges.log.on_apply(slot, entry, state);
            self.note(verdict);
            let verdict = self.judges.membership.on_apply(entry);
            self.note(verdict);
            let verdict = durable.map_or(Ok(()), |has| durability::on_apply(id, entry, has));
            self.note(verdict);
        }
        let overtaken =
            self.hosts[slot].status.as_ref().is_some_and(|s| s.first_index > entry.index);
        if entry.is_conf_change() {
            let input = Input::ApplyConfChange(entry);
            let applied = self.call(slot, input, |node| node.apply_conf_change_entry(entry));
            if overtaken {
                // The node took a snapshot meanwhile, and its membership with it: what it says now
                // is the membership there, not here.
                self.hosts[slot].overtaken = true;
                self.summary.count("conf_change_overtaken");
            } else if let Some(Ok(applied)) = applied {
                self.hosts[slot].conf_state = applied.conf_state.clone();
                if is_judged {
                    let has = &applied.conf_state;
                    let verdict = self.judges.membership.on_applied_change(id, index, has);
                    self.note(verdict);
                }
                self.after_reconfiguration(slot);
            }
        }
        if let Some(command) = command {
            self.on_command_applied(slot, command);
        }
    }

    /// An application that keeps its state on disk writes it, sometimes.
    fn save(&mut self, slot: usize) {
        let keeps = self.plan.keeps_state;
        let host = &mut self.hosts[slot];
        if !keeps || host.applied == 0 || host.overtaken || host.random.chance(300) {
            return;
        }
        let saved = crate::disk::Saved {
            index: host.applied,
            machine: host.machine,
            conf_state: host.conf_state.clone(),
        };
        if let Some(disk) = host.disk_mut() {
            disk.saved = Some(saved);
        }
    }

    pub(crate) fn maybe_compact(&mut self, slot: usize) {
        let every = self.plan.compacts_every;
        let host = &mut self.hosts[slot];
        if every > 0 && host.applied >= host.last_snapshot + every {
            let keep = host.random.pick(&[0, 0, 1, 5, 50]);
            self.compact(slot, keep);
        }
    }

    /// The application makes a snapshot of itself and drops the log, all but so many entries.
    pub(crate) fn compact(&mut self, slot: usize, keep: u64) {
        let host = &mut self.hosts[slot];
        let (index, machine, conf_state) = (host.applied, host.machine, host.conf_state.clone());
        let life_began = self.plan.voters as u64;
        if !host.is_up() || index <= host.last_snapshot || index < life_began {
            return;
        }
        let stored = host.disk().map_or(0, Disk::snapshot_index);
        if stored >= index || host.overtaken {
            // A snapshot that was received waits to replace all this.
            return;
        }
        let host = &mut self.hosts[slot];
        host.last_snapshot = index;
        let compact_to = index.saturating_sub(keep);
        let Some(disk) = host.disk_mut() else { return };
        let made = disk
            .sync()
            .and_then(|()| disk.snapshot_and_compact(index, &conf_state, &machine, compact_to));
        self.recorder.on_compact(slot, index, &conf_state, &machine.encode(), compact_to);
        self.trace(slot, || format!("makes a snapshot at {index}, compacts to {compact_to}"));
        self.note(contract::on_stored(self.hosts[slot].id, &made));
        self.summary.count("snapshots_made");
    }

    fn take_read_states(&mut self, slot: usize, ready: &mut Ready) {
        let life = self.hosts[slot].life;
        for read in std::mem::take(&mut ready.read_states) {
            self.summary.count("reads_released");
            self.settle.on_read(slot, &read.context);
            if self.plan.is_judged {
                let (context, index) = (&read.context, read.index.0);
                let verdict = self.judges.reads.on_released(slot, life, context, index);
                self.note(verdict);
            }
            if let Some((client, number)) = Client::of_context(&read.context) {
                self.hosts[slot].waiting_reads.push((read.index.0, client, number));
            }
        }
        self.answer_reads(slot);
    }
}

/// How the loop goes on.
enum Next {
    /// There is nothing to do.
    Rest,
    /// The same action again, after so long.
    At(u64),
    Go,
}
