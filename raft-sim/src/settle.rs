//! The second phase of a run: faults stop, everybody comes back, and then the group is asked for
//! the things that a healthy one does.

use bytes::Bytes;
use raftcore::{ConfChangeV2, NodeId};

use crate::check::liveness::{Goal, Liveness, PATIENCE};
use crate::cluster::{Event, World};
use crate::input::Input;
use crate::limits::{self, Held};
use crate::network::{SLOTS, Weather};
use crate::swarm::TICK;

/// For how many election timeouts a limit has to hold without a break: half of the time that a
/// goal may take.
const PROOF: u64 = PATIENCE / 2;

/// How often a group is given more time, after a limit that went by or where the clocks that count
/// are slow. While those who could win catch up with the terms of the others, it does not count.
const RESPITES_MAX: u32 = 10;

/// How far the second phase is.
#[derive(Debug, Default)]
pub(crate) struct Settle {
    begun: bool,
    done: bool,
    liveness: Liveness,
    /// The leader and index of the last probe that was proposed.
    probe: Option<(usize, u64)>,
    asked: u64,
    answered: [bool; SLOTS],
    transfer_to: Option<NodeId>,
    /// Whether all who have a disk were started, members or not.
    is_everybody_up: bool,
    held: Option<Held>,
    /// Whether a limit held for a while since the group was given time.
    was_held: bool,
    /// How often it was given more time, and by how many terms those who could win lagged then.
    respites: u32,
    gap: u64,
}

impl Settle {
    pub(crate) const fn has_begun(&self) -> bool {
        self.begun
    }

    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    /// A read of this phase was answered at this node.
    pub(crate) fn on_read(&mut self, slot: usize, context: &[u8]) {
        if context.first() == Some(&0xfe) {
            self.answered[slot] = true;
        }
    }
}

impl World {
    /// Looks how far the group is, every half of an election timeout.
    pub(crate) fn on_settle(&mut self) {
        let election = self.plan.election_ticks * TICK;
        if !self.plan.is_judged {
            self.settle.done = true;
            return;
        }
        self.push(election / 2, Event::Settle);
        if !self.settle.begun {
            return self.heal_everything();
        }
        self.manage_members();
        if let Some(leader) = self.leader() {
            // For those who joined after the last one, and need one that knows them.
            self.compact(leader, 1000);
        }
        let is_reached = match self.settle.liveness.goal {
            Goal::Leader => self.stable_leader().is_some(),
            Goal::LeaveJoint => self.has_left_joint(),
            Goal::Converge => self.has_converged(),
            Goal::Read => self.has_read(),
            Goal::Transfer => self.has_transferred(),
            Goal::Done => true,
        };
        let now = self.now;
        let mut liveness = std::mem::take(&mut self.settle.liveness);
        let verdict = liveness.on_poll(is_reached, now, election, || self.describe_all());
        self.settle.done = liveness.goal == Goal::Done;
        self.settle.liveness = liveness;
        self.settle.held = if is_reached {
            None
        } else {
            limits::follow(self.settle.held, now, self.limit(), self.term_gap())
        };
        self.settle.was_held |= self.settle.held.is_some();
        if verdict.is_err() && self.is_excused(election) {
            return;
        }
        self.note(verdict);
    }

    /// The group did not get on in time. Whether that is no finding: it gets more time, or it is at
    /// a known limit.
    fn is_excused(&mut self, election: u64) -> bool {
        let (now, settle) = (self.now, &self.settle);
        let gap = self.term_gap();
        let limit = settle.held.and_then(|held| held.for_good(now, PROOF * election, gap));
        if let Some(limit) = limit.filter(|_| settle.is_everybody_up) {
            self.trace_line(|| format!("* {}: {}", limit.name(), self.describe_all()));
            self.summary.count(limit.name());
            self.settle.done = true;
            return true;
        }
        // Whoever left the group and was switched off may be the one whose vote is missing; and
        // who lags by many terms needs one election for each.
        let was_down =
            !std::mem::replace(&mut self.settle.is_everybody_up, true) && self.wake_everybody();
        let is_late = self.settle.was_held || self.leader().is_none() && self.is_out_ticked();
        let settle = &mut self.settle;
        if was_down || is_late && settle.respites < RESPITES_MAX {
            (settle.was_held, settle.held) = (false, None);
            settle.respites += u32::from(gap >= settle.gap);
            settle.gap = gap;
            settle.liveness.begin(now);
            return true;
        }
        false
    }

    fn heal_everything(&mut self) {
        self.trace_line(|| "* faults end".into());
        self.settle.begun = true;
        self.settle.liveness.begin(self.now);
        // Slow machines are a fault too: a thread that gets more work than it can do never ends.
        (self.plan.at_once, self.plan.pause) = (1000, 10);
        self.network.heal();
        self.network.weather = Weather { delay: 10, jitter: 20, ..Weather::default() };
        self.drop_packets_after(2 * TICK);
        for slot in 0..SLOTS {
            if let Some(disk) = self.hosts[slot].disk_mut() {
                (disk.full_until, disk.stalled_until) = (0, 0);
            }
            self.mend_disk(slot);
            if self.hosts[slot].disk().is_some() {
                self.boot(slot);
            }
        }
    }

    /// Whoever is a member runs. Whoever is none any more is stopped, once a leader knows so.
    fn manage_members(&mut self) {
        let newest = self.judges.membership.newest().clone();
        let leader = self.leader().and_then(|slot| self.hosts[slot].status.clone());
        let settled = leader.as_ref().filter(|status| {
            let slot = status.id.get() as usize - 1;
            let at_commit = self.judges.log.term_at(slot, status.hard_state.commit.0);
            at_commit == Some(status.hard_state.term.0)
        });
        let members = settled.map(|status| status.membership.clone());
        let everybody = self.settle.is_everybody_up;
        for slot in 0..SLOTS {
            let id = self.hosts[slot].id;
            let belongs = newest.contains(id) || members.as_ref().is_some_and(|m| m.contains(id));
            if belongs {
                self.boot(slot);
            } else if members.is_some() && self.hosts[slot].is_up() && !everybody {
                self.crash(slot);
            }
        }
    }

    /// A leader that all its members follow, and that has committed in its term.
    fn stable_leader(&self) -> Option<usize> {
        let slot = self.leader()?;
        let status = self.hosts[slot].status.as_ref()?;
        let term = status.hard_state.term;
        let committed = self.judges.log.term_at(slot, status.hard_state.commit.0) == Some(term.0);
        let follows = |id: NodeId| {
            let host = self.hosts.get(id.get() as usize - 1);
            self.is_stuck(id, slot)
                || host.and_then(|host| host.status.as_ref()).is_some_and(|status| {
                    let leader = status.soft_state.leader.map(|id| id.get() as usize - 1);
                    status.hard_state.term == term && leader == Some(slot)
                })
        };
        (committed && status.membership.members().all(follows)).then_some(slot)
    }

    fn has_left_joint(&mut self) -> bool {
        let Some(slot) = self.stable_leader() else { return false };
        let Some(status) = &self.hosts[slot].status else { return false };
        if !status.membership.is_joint() {
            return true;
        }
        if !status.membership.auto_leave() && self.may_reconfigure(slot) {
            let change = ConfChangeV2::leave_joint().into();
            let input = Input::ProposeConfChange(&change);
            self.call(slot, input, |node| node.propose_conf_change(&change));
            self.wake(slot);
        }
        false
    }

    fn has_converged(&mut self) -> bool {
        let Some(slot) = self.stable_leader() else { return false };
        match self.settle.probe {
            Some((leader, index)) if leader == slot => {
                let Some(status) = &self.hosts[slot].status else { return false };
                let has = |id: NodeId| {
                    self.is_stuck(id, slot) || self.hosts[id.get() as usize - 1].applied >= index
                };
                status.membership.members().all(has)
            }
            _ => {
                let payload = Bytes::from_static(b"settle");
                let copy = payload.clone();
                let result = self.call(slot, Input::Propose(&payload), |node| node.propose(copy));
                if let Some(Ok(raftcore::Proposed::Appended { last, .. })) = result {
                    self.settle.probe = Some((slot, last.0));
                }
                self.wake(slot);
                false
            }
        }
    }

    fn has_read(&mut self) -> bool {
        let Some(leader) = self.stable_leader() else { return false };
        let Some(status) = &self.hosts[leader].status else { return false };
        let reachable = status.membership.members().filter(|id| !self.is_stuck(*id, leader));
        let members: Vec<usize> = reachable.map(|id| id.get() as usize - 1).collect();
        if members.iter().all(|slot| self.settle.answered[*slot]) {
            return true;
        }
        for slot in members {
            if !self.settle.answered[slot] {
                self.settle.asked += 1;
                let mut context = vec![0xfe];
                context.extend_from_slice(&self.settle.asked.to_le_bytes());
                let context = Bytes::from(context);
                let (copy, life) = (context.clone(), self.hosts[slot].life);
                self.judges.reads.on_asked(slot, life, &context);
                self.call(slot, Input::ReadIndex(&context), |node| node.read_index(copy));
                self.wake(slot);
            }
        }
        false
    }

    fn has_transferred(&mut self) -> bool {
        let Some(slot) = self.stable_leader() else { return false };
        let Some(status) = &self.hosts[slot].status else { return false };
        if let Some(to) = self.settle.transfer_to.filter(|to| status.membership.is_voter(*to)) {
            if to == status.id {
                return true;
            }
            self.call(slot, Input::Transfer(to), |node| node.transfer_leader(to));
            self.wake(slot);
            return false;
        }
        let own = status.id;
        let voters = status.membership.voters();
        let other = voters.iter().find(|id| **id != own && !self.is_stuck(**id, slot));
        self.settle.transfer_to = other.copied();
        self.settle.transfer_to.is_none()
    }

    /// All nodes in a few words each, for who has to find out why nothing happens.
    fn describe_all(&self) -> String {
        let mut out = String::new();
        for host in &self.hosts {
            let Some(status) = &host.status else { continue };
            let state = raftcore::describe::hard_state(&status.hard_state);
            let soft = raftcore::describe::soft_state(&status.soft_state);
            let (last, applied) = (status.last_index, host.applied);
            let members = &status.membership;
            out.push_str(&format!(
                "\n  {}: {state} {soft} last={last} applied={applied} {members}",
                host.id
            ));
        }
        out
    }
}
