//! A group of nodes of one library in one thread: what is common to both libraries, and nothing
//! that could differ between them. Messages arrive in the order in which they were sent.

use std::collections::{BTreeMap, VecDeque};

/// How all nodes of a group are set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub pre_vote: bool,
    pub check_quorum: bool,
    /// The greatest size of the entries in one append; zero: one entry at a time.
    pub message_bytes: u64,
}

/// Ticks until a follower asks whether there is a leader: at least so many, less than twice.
pub const ELECTION_TICKS: u32 = 10;

/// One step of a change of the members.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    Voter(u64),
    Learner(u64),
    Removed(u64),
}

/// A change of the members.
#[derive(Clone, Debug)]
pub struct Change {
    pub parts: Vec<Part>,
    /// 0: as it needs to be; 1: joint, left by itself; 2: joint, left when somebody says so.
    pub transition: u8,
}

/// The members as one of them knows them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members {
    pub voters: Vec<u64>,
    pub outgoing: Vec<u64>,
    pub learners: Vec<u64>,
    pub learners_next: Vec<u64>,
    pub auto_leave: bool,
}

/// An entry: its term, its kind, and its payload unless it is a change of the members, which each
/// library may write in its own way.
pub type Seen = (u64, u8, Vec<u8>);

/// What is compared of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    pub term: u64,
    pub vote: u64,
    pub leader: u64,
    pub leads: bool,
    pub commit: u64,
    pub applied: u64,
    pub members: Members,
    pub last: u64,
    /// By index, as far as it is not compacted.
    pub log: BTreeMap<u64, Seen>,
}

/// A node with its application.
pub trait Member {
    type Message;

    /// A node of a group that began with these voters.
    fn new(id: u64, founders: &[u64], setup: &Setup) -> Self;
    fn tick(&mut self);
    fn campaign(&mut self);
    fn propose(&mut self, data: &[u8]);
    fn change(&mut self, change: &Change);
    fn transfer(&mut self, to: u64);
    fn step(&mut self, message: Self::Message);
    /// Drops the log up to what is applied, all but so many entries.
    fn compact(&mut self, keep: u64);
    /// Does what the node is ready for, once. Returns whether there was anything.
    fn work(&mut self, out: &mut VecDeque<(u64, Self::Message)>) -> bool;
    fn look(&self) -> Look;
}

/// Something that happens to a group.
#[derive(Clone, Debug)]
pub enum Op {
    Campaign(u64),
    /// So long without a word that the node finds its leader dead.
    Timeout(u64),
    TickAll(u32),
    Propose(u64, Vec<u8>),
    Change(u64, Change),
    Transfer(u64, u64),
    Compact(u64, u64),
    /// A node begins that will be made a member.
    Begin(u64),
    /// What is on its way now arrives, and not yet what is sent thereupon: how many messages that
    /// are is each library's own affair.
    Deliver,
    /// Everything arrives that was sent.
    Settle,
}

pub struct Group<M: Member> {
    founders: Vec<u64>,
    setup: Setup,
    pub members: BTreeMap<u64, M>,
    in_flight: VecDeque<(u64, M::Message)>,
}

impl<M: Member> Group<M> {
    pub fn new(founders: &[u64], setup: &Setup) -> Self {
        let begin = |id: &u64| (*id, M::new(*id, founders, setup));
        let members = founders.iter().map(begin).collect();
        Self { founders: founders.to_vec(), setup: *setup, members, in_flight: VecDeque::new() }
    }

    pub fn act(&mut self, op: &Op) {
        match op {
            Op::Campaign(id) => self.on(*id, M::campaign),
            Op::Timeout(id) => self.on(*id, |member| {
                // Enough for every draw, and not enough for two.
                for _ in 1..2 * ELECTION_TICKS {
                    member.tick();
                }
            }),
            Op::TickAll(times) => {
                for _ in 0..*times {
                    let ids: Vec<u64> = self.members.keys().copied().collect();
                    ids.iter().for_each(|id| self.on(*id, M::tick));
                    self.deliver(usize::MAX);
                }
            }
            Op::Propose(id, data) => self.on(*id, |member| member.propose(data)),
            Op::Change(id, change) => self.on(*id, |member| member.change(change)),
            Op::Transfer(id, to) => self.on(*id, |member| member.transfer(*to)),
            Op::Compact(id, keep) => self.on(*id, |member| member.compact(*keep)),
            Op::Begin(id) => {
                let member = M::new(*id, &self.founders, &self.setup);
                self.members.insert(*id, member);
            }
            Op::Deliver => self.deliver(self.in_flight.len()),
            Op::Settle => self.deliver(usize::MAX),
        }
    }

    pub fn looks(&self) -> BTreeMap<u64, Look> {
        self.members.iter().map(|(id, member)| (*id, member.look())).collect()
    }

    fn on(&mut self, id: u64, act: impl FnOnce(&mut M)) {
        if let Some(member) = self.members.get_mut(&id) {
            act(member);
            while member.work(&mut self.in_flight) {}
        }
    }

    fn deliver(&mut self, count: usize) {
        for delivered in 0..count {
            let Some((to, message)) = self.in_flight.pop_front() else { return };
            assert!(delivered < 100_000, "the group does not come to rest");
            self.on(to, |member| member.step(message));
        }
    }
}
