//! The judges over a group that somebody else drives: the same rules, by the same names, for the
//! clusters of the Python package's `raftcore.testing`.
//!
//! Whoever drives reports each call on a node, each Ready, each message as it leaves, and shows
//! what is on a node's disk whenever that changes. Nothing is believed that can be looked at.

use raftcore::{
    ConfState, Config, Entry, Error, Index, Membership, MemoryStorage, Message, Node, NodeId,
    Position, Ready, Snapshot, Storage,
};

use crate::check::{Judges, Verdict, Violation, contract, durability, ensure};
use crate::disk::Disk;
use crate::host::Host;
use crate::input::Input;
use crate::network::SLOTS;
use crate::observe::{Step, judge, judge_ready, judge_release};
use crate::random::{Random, mix_bytes};

/// The judges of one group, whose members are 1 to [`Referee::MEMBERS`] at most. A node that was
/// never started is not judged.
pub struct Referee {
    judges: Judges,
    hosts: Vec<Host>,
    steps: u64,
}

impl Referee {
    /// The highest id that a member can have.
    pub const MEMBERS: u64 = SLOTS as u64;

    /// A group that begins with these members, an empty log, and this state of its state machine.
    ///
    /// # Errors
    /// The members are none, or they are too many.
    pub fn new(members: &ConfState, state: &[u8]) -> Result<Self, Violation> {
        let refused = |detail: String| Violation { check: "members_can_be_judged", detail };
        let first = Membership::from_conf_state(members).map_err(|e| refused(e.to_string()))?;
        check_members(&first)?;
        let mut judges = Judges::default();
        judges.log.found(Position::default(), digest(state));
        judges.membership.found(0, first, 0);
        // The host's own draws serve the simulator's faults: there are none of them here.
        let config = |slot: usize| Config::new(slot as u64 + 1, 0);
        let host = |slot: usize| Host::new(slot, config(slot), 0, Random::new(0));
        Ok(Self { judges, hosts: (0..SLOTS).map(host).collect(), steps: 0 })
    }

    /// A node was made from this disk, with the application's state up to `applied`.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn on_start<S: Storage>(
        &mut self,
        config: &Config,
        node: &Node<S>,
        disk: &MemoryStorage,
        applied: u64,
    ) -> Result<(), Violation> {
        let Some(slot) = self.slot(node.id()) else { return Err(stranger(node.id().get())) };
        let (id, status) = (node.id(), node.status());
        check_members(&status.membership)?;
        let host = &mut self.hosts[slot];
        // What was last seen there, not what is there now: a disk may forget nothing meanwhile.
        let known = host.disk.replace(Disk::with_log(disk));
        host.config = config.clone();
        host.ticks = 0;
        let membership = status.membership.clone();
        host.status = Some(status);
        self.judges.lease.on_restart(slot);
        self.judges.acknowledgements.on_restart(slot);
        self.judges.progress.on_restart(slot);
        let first = disk.first_index().unwrap_or_default();
        let entries = host.disk.as_ref().map(Disk::durable_entries).unwrap_or_default();
        self.judges.log.on_restart(slot, first.0, &entries, applied)?;
        if let Some(known) = known {
            durability::on_restart(id, &known.durable_hard_state(), &node.hard_state())?;
            let (had, has) = (known.durable_last(), node.last_position().index.0);
            ensure(has >= had, "restart_keeps_the_log", || {
                format!("node {id} had stored up to {had} and began with {has}")
            })?;
        }
        // Who joins knows of no members yet.
        if membership == Membership::default() && applied == 0 {
            return Ok(());
        }
        self.judges.membership.on_state(id, applied, &membership)
    }

    /// A node was told this and answered so.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn on_call<S: Storage>(
        &mut self,
        node: &Node<S>,
        input: &Input<'_>,
        error: Option<&Error>,
    ) -> Result<(), Violation> {
        let Some(slot) = self.slot(node.id()) else { return Ok(()) };
        contract::on_fault(node.id(), node.fault())?;
        let (after, last) = (node.status(), node.last_position());
        check_members(&after.membership)?;
        self.steps += 1;
        let host = &mut self.hosts[slot];
        match input {
            Input::Tick => host.ticks += 1,
            Input::ReadIndex(context) if error.is_none() => {
                self.judges.reads.on_asked(slot, host.life, context);
            }
            _ => {}
        }
        let Some(before) = host.status.replace(after.clone()) else { return Ok(()) };
        let now = self.steps;
        let step = Step { slot, before: &before, after: &after, input, error, last, now };
        judge(&mut self.judges, &self.hosts, &step)
    }

    /// A node handed this out.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn on_ready(&mut self, id: NodeId, ready: &Ready) -> Result<(), Violation> {
        let Some(slot) = self.slot(id) else { return Ok(()) };
        let host = &self.hosts[slot];
        judge_ready(&mut self.judges, host, ready, self.steps)?;
        for read in &ready.read_states {
            let index = read.index.0;
            self.judges.reads.on_released(slot, host.life, &read.context, index)?;
        }
        Ok(())
    }

    /// This is on a node's disk now, and would be there after a crash.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn on_stored(&mut self, id: NodeId, disk: &MemoryStorage) -> Result<(), Violation> {
        let Some(slot) = self.slot(id) else { return Ok(()) };
        let before = self.hosts[slot].disk.replace(Disk::with_log(disk));
        let before = before.map(|disk| disk.durable_hard_state()).unwrap_or_default();
        durability::on_write(id, &before, &disk.hard_state())
    }

    /// A message leaves this node.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn on_release(&mut self, id: NodeId, message: &Message) -> Result<(), Violation> {
        let Some(slot) = self.slot(id) else { return Ok(()) };
        judge_release(&mut self.judges, &self.hosts[slot], message, digest)
    }

    /// A node applied an entry; its state machine is like this now.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn on_applied(&mut self, id: NodeId, entry: &Entry, state: &[u8]) -> Result<(), Violation> {
        let Some(slot) = self.slot(id) else { return Ok(()) };
        self.judges.log.on_apply(slot, entry, digest(state))?;
        self.judges.membership.on_apply(entry)?;
        let disk = self.hosts[slot].disk();
        let has = disk.map(|disk| disk.durable_term(entry.index.0));
        has.map_or(Ok(()), |has| durability::on_apply(id, entry, has))
    }

    /// A node has these members after the entry at this index.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn on_members(
        &mut self,
        id: NodeId,
        index: Index,
        members: &ConfState,
    ) -> Result<(), Violation> {
        self.judges.membership.on_applied_change(id, index.0, members)
    }

    /// A node's state machine took this snapshot and is like this now.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn on_restored(
        &mut self,
        id: NodeId,
        snapshot: &Snapshot,
        state: &[u8],
    ) -> Result<(), Violation> {
        let Some(slot) = self.slot(id) else { return Ok(()) };
        let verdict = self.judges.log.on_snapshot(id, snapshot, digest(state));
        self.judges.log.on_restored(slot, snapshot.index().0);
        verdict
    }

    /// A node stopped; its disk stays.
    pub fn on_crash(&mut self, id: NodeId) {
        if let Some(slot) = self.slot(id) {
            self.hosts[slot].status = None;
            self.hosts[slot].life += 1;
        }
    }

    fn slot(&self, id: NodeId) -> Option<usize> {
        usize::try_from(id.get() - 1).ok().filter(|slot| *slot < self.hosts.len())
    }
}

/// Equal states give equal numbers.
fn digest(state: &[u8]) -> u64 {
    mix_bytes(0, state)
}

fn check_members(members: &Membership) -> Verdict {
    let state = members.to_conf_state();
    let lists = [&state.voters, &state.voters_outgoing, &state.learners, &state.learners_next];
    match lists.into_iter().flatten().find(|id| **id > Referee::MEMBERS) {
        Some(id) => Err(stranger(*id)),
        None => Ok(()),
    }
}

fn stranger(id: u64) -> Violation {
    let detail =
        format!("there is a member {id}; those that are judged end at {}", Referee::MEMBERS);
    Violation { check: "members_can_be_judged", detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::assert_objects;
    use raftcore::{Body, HardState, Term, VoteResponse};

    fn id(n: u64) -> NodeId {
        NodeId::new(n).unwrap()
    }

    fn members(of: impl IntoIterator<Item = u64>) -> ConfState {
        ConfState::with_voters(of)
    }

    fn referee() -> Referee {
        Referee::new(&members([1, 2, 3]), b"").unwrap()
    }

    /// A node on a disk that promised this, with so many entries of term 1.
    fn disk(term: u64, vote: Option<u64>, last: u64) -> MemoryStorage {
        let mut disk = MemoryStorage::with_conf_state(members([1, 2, 3]));
        let entry = |index| Entry { term: Term(1), index: Index(index), ..Entry::default() };
        disk.append(&(1..=last).map(entry).collect()).unwrap();
        let vote = vote.map(id);
        disk.set_hard_state(HardState { term: Term(term), vote, commit: Index(0) });
        disk
    }

    fn node(disk: &MemoryStorage) -> Node<MemoryStorage> {
        Node::new(&Config::new(1, 1), disk.clone()).unwrap()
    }

    fn start(referee: &mut Referee, disk: &MemoryStorage) -> Verdict {
        referee.on_start(&Config::new(1, 1), &node(disk), disk, 0)
    }

    fn vote(term: u64) -> Message {
        let body = Body::VoteResponse(VoteResponse { rejected: false });
        Message { to: id(2), from: id(1), term: Term(term), body }
    }

    #[test]
    fn a_disk_that_forgets_is_seen_at_the_next_start() {
        let mut referee = referee();
        start(&mut referee, &disk(1, Some(2), 2)).unwrap();
        referee.on_stored(id(1), &disk(2, Some(2), 3)).unwrap();
        referee.on_crash(id(1));
        start(&mut referee, &disk(2, Some(2), 3)).unwrap();
        referee.on_crash(id(1));
        assert_objects(start(&mut referee, &disk(2, None, 3)), "restart_keeps_promises");
        referee.on_stored(id(1), &disk(2, Some(2), 3)).unwrap();
        assert_objects(start(&mut referee, &disk(2, Some(2), 2)), "restart_keeps_the_log");
        assert_objects(
            referee.on_stored(id(1), &disk(1, None, 2)),
            "stored_term_and_vote_are_kept",
        );
    }

    #[test]
    fn a_vote_that_leaves_before_it_is_stored_is_seen() {
        let mut referee = referee();
        start(&mut referee, &disk(1, None, 0)).unwrap();
        assert_objects(referee.on_release(id(1), &vote(1)), "released_vote_is_durable");
        referee.on_stored(id(1), &disk(1, Some(2), 0)).unwrap();
        referee.on_release(id(1), &vote(1)).unwrap();
    }

    #[test]
    fn a_call_that_breaks_a_rule_and_a_state_that_differs_are_seen() {
        let mut referee = referee();
        let disk = disk(1, None, 1);
        start(&mut referee, &disk).unwrap();
        let mut one = node(&disk);
        one.tick().unwrap();
        referee.on_call(&one, &Input::Tick, None).unwrap();
        let mut other = node(&disk);
        other.campaign().unwrap();
        // What a peer sent was refused, and yet the node went on to campaign.
        let error = one.step_encoded(&b"nonsense"[..]).unwrap_err();
        let verdict = referee.on_call(&other, &Input::Bytes(b"nonsense"), Some(&error));
        assert_objects(verdict, "refused_changes_nothing");
        let entry = Entry { term: Term(1), index: Index(1), ..Entry::default() };
        assert_objects(referee.on_applied(id(1), &entry, b"x"), "applied_equals_history");
    }

    #[test]
    fn members_without_a_judge_are_refused() {
        let name = "members_can_be_judged";
        assert_objects(Referee::new(&members([1, 8]), b"").map(drop), name);
        let disk = MemoryStorage::with_conf_state(members([1, 9]));
        assert_objects(start(&mut referee(), &disk), name);
        let far = Node::new(&Config::new(8, 1), disk.clone()).unwrap();
        let verdict = referee().on_start(&Config::new(8, 1), &far, &disk, 0);
        assert_objects(verdict, name);
    }
}
