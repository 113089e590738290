//! Carrying out the list of actions: faults of machines, disks and the network, and what an
//! operator asks for.

use raftcore::{Error, Node, NodeId};

use crate::cluster::{Event, World};
use crate::input::Input;
use crate::network::SLOTS;
use crate::swarm::{Action, Who};

impl World {
    /// Does what is at this place of the list, unless faults have ended.
    pub(crate) fn act(&mut self, at: usize) {
        if self.settle.has_begun() {
            return;
        }
        let (_, action) = self.plan.actions[at];
        self.summary.count_action(action.name());
        self.trace_line(|| format!("* {at}: {action:?}"));
        match action {
            Action::Crash { who, down_for } => self.with(who, |world, slot| {
                world.crash_for(slot, down_for);
            }),
            Action::CrashAll { down_for } => {
                for slot in 0..SLOTS {
                    self.crash_for(slot, down_for);
                }
            }
            Action::Pause { who, length } => self.with(who, |world, slot| {
                world.hosts[slot].paused_until = world.now + length;
            }),
            Action::Split { mask } => self.network.split(mask),
            Action::Isolate { who } => self.with(who, |world, slot| {
                world.network.split(1 << slot);
            }),
            Action::Bridge { mask, bridge } => {
                self.network.bridge(mask, (bridge % self.plan.voters as u64) as usize);
            }
            Action::Ring => self.network.ring(self.plan.voters),
            Action::CutOneWay { from, to } => {
                let voters = self.plan.voters as u64;
                self.network.cut((from % voters) as usize, (to % voters) as usize);
            }
            Action::Heal => self.network.heal(),
            Action::Stall { .. }
            | Action::Full { .. }
            | Action::FailReads { .. }
            | Action::SnapshotBusy { .. } => self.fail_disk(action),
            _ => self.request(action),
        }
    }

    fn crash_for(&mut self, slot: usize, down_for: u64) {
        if self.hosts[slot].is_up() {
            self.crash(slot);
            let life = self.hosts[slot].life;
            self.push(down_for, Event::Boot { slot, life });
        }
    }

    fn fail_disk(&mut self, action: Action) {
        let now = self.now;
        let (Action::Stall { who, length }
        | Action::Full { who, length }
        | Action::FailReads { who, length }
        | Action::SnapshotBusy { who, length }) = action
        else {
            return;
        };
        self.with(who, |world, slot| {
            let Some(disk) = world.hosts[slot].disk_mut() else { return };
            match action {
                Action::Stall { .. } => disk.stalled_until = now + length,
                Action::Full { .. } => disk.full_until = now + length,
                Action::FailReads { .. } => {
                    if !disk.reads_fail.replace(true) {
                        world.recorder.on_reads_fail(slot, true);
                    }
                }
                _ => {
                    if !disk.snapshot_busy.replace(true) {
                        world.recorder.on_snapshot_busy(slot, true);
                    }
                }
            }
            world.push(length, Event::DiskWorks { slot });
        });
    }

    /// The disk of this slot can be read again.
    pub(crate) fn mend_disk(&mut self, slot: usize) {
        let Some(disk) = self.hosts[slot].disk() else { return };
        if disk.reads_fail.replace(false) {
            self.recorder.on_reads_fail(slot, false);
        }
        if disk.snapshot_busy.replace(false) {
            self.recorder.on_snapshot_busy(slot, false);
        }
    }

    /// What an operator asks a node for.
    fn request(&mut self, action: Action) {
        match action {
            Action::Campaign { who } => self.ask(who, Input::Campaign, Node::campaign),
            Action::Transfer { who, to } => {
                let to = self.member(to);
                self.ask(who, Input::Transfer(to), |node| node.transfer_leader(to));
            }
            Action::ForgetLeader { who } => self.ask(who, Input::ForgetLeader, Node::forget_leader),
            Action::Unreachable { who, member } => {
                let member = self.member(member);
                let input = Input::Unreachable(member);
                self.ask(who, input, |node| node.report_unreachable(member));
            }
            Action::Compact { who, keep } => self.with(who, |world, slot| {
                if world.hosts[slot].stage != crate::host::Stage::Apply {
                    world.compact(slot, keep);
                }
            }),
            Action::Burst { who, count, bytes } => self.burst(who, count, bytes),
            Action::Reconfigure { who, how } => self.with(who, |world, slot| {
                world.reconfigure(slot, how);
            }),
            _ => {}
        }
    }

    fn ask(
        &mut self,
        who: Who,
        input: Input<'_>,
        act: impl FnOnce(&mut Node<crate::disk::Disk>) -> Result<(), Error>,
    ) {
        if let Some(slot) = self.find(who) {
            self.call(slot, input, act);
            self.wake(slot);
        }
    }

    /// Some member's id.
    fn member(&self, number: u64) -> NodeId {
        let members: Vec<NodeId> = self.judges.membership.newest().members().collect();
        let at = number as usize % members.len().max(1);
        members.get(at).copied().unwrap_or(self.hosts[0].id)
    }

    fn with(&mut self, who: Who, act: impl FnOnce(&mut Self, usize)) {
        if let Some(slot) = self.find(who) {
            act(self, slot);
        }
    }

    /// Whom an action means now.
    pub(crate) fn find(&self, who: Who) -> Option<usize> {
        let number = match who {
            Who::Leader => match self.leader() {
                Some(slot) => return Some(slot),
                None => 0,
            },
            Who::Running(number) => number,
        };
        let running = || self.hosts.iter().filter(|host| host.is_up());
        let count = running().count().max(1);
        running().nth(number as usize % count).map(|host| host.slot)
    }
}
