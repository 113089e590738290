//! What one seed stands for: who founds the group, how it is set up, and what happens to it. Drawn
//! with an eye on the group of raftcore, so that most of what is drawn makes sense.

use crate::group::{Change, Look, Op, Part, Setup};
use std::collections::BTreeMap;

/// A small generator (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is above zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

pub fn setup(random: &mut Random) -> (Vec<u64>, Setup) {
    let founders = (1..=1 + random.below(5)).collect();
    let setup = Setup {
        pre_vote: random.below(2) == 0,
        check_quorum: random.below(2) == 0,
        message_bytes: random.pick(&[0, 64, 1 << 20]),
    };
    (founders, setup)
}

/// Who is no member any more, and stops. Whether it still hears that it is none is up to chance.
pub fn removed(looks: &BTreeMap<u64, Look>) -> Vec<u64> {
    let newest = looks.values().filter(|look| look.leads).max_by_key(|look| look.term);
    let Some(leader) = newest else { return Vec::new() };
    looks.keys().copied().filter(|id| !is_member(*id, leader)).collect()
}

/// Whether the group has a leader that the others hear of.
pub fn has_leader(looks: &BTreeMap<u64, Look>) -> bool {
    looks.values().any(|look| look.leads)
}

/// What happens next to a group that is at rest and looks like this.
pub fn next(random: &mut Random, setup: &Setup, looks: &BTreeMap<u64, Look>) -> Vec<Op> {
    let Some((leader, look)) = looks.iter().filter(|(_, look)| look.leads).max_by_key(|l| l.1.term)
    else {
        let voters: Vec<u64> = looks.iter().filter(|l| is_voter(*l.0, l.1)).map(|l| *l.0).collect();
        let id = random.pick(&voters);
        // As often as it takes to reach the highest term: whoever is elected below it is deposed by
        // whoever has it, before or after its first entry is committed, as messages happen to run.
        let top = looks.values().map(|look| look.term).max().unwrap_or(0);
        let behind = (top - looks[&id].term).max(1);
        let mut ops = vec![Op::Campaign(id); behind as usize];
        ops.push(Op::Settle);
        return ops;
    };
    let members = &look.members;
    let voters: Vec<u64> = members.voters.clone();
    let all: Vec<u64> = looks.keys().copied().filter(|id| is_member(*id, look)).collect();
    if !voters.contains(leader) {
        // It was elected by the outgoing voters.
        return vec![Op::Transfer(*leader, random.pick(&voters)), Op::Settle];
    }
    match random.below(12) {
        0 => vec![Op::Campaign(random.pick(&voters)), Op::Settle],
        // A member whose term is not heard would try again when its own library's draw says so.
        1 if setup.pre_vote || !setup.check_quorum => {
            vec![Op::Timeout(random.pick(&all)), Op::Settle]
        }
        2 => vec![Op::TickAll(1 + random.below(3) as u32)],
        3 => vec![Op::Transfer(random.pick(&all), random.pick(&voters)), Op::Settle],
        // One entry stays: without any, the storage of raft-rs forgets where its log ends.
        4 => vec![Op::Compact(random.pick(&all), random.pick(&[1, 1, 2, 5]))],
        5 | 6 => change(random, *leader, look, looks),
        _ => proposals(random, &all),
    }
}

fn is_voter(id: u64, look: &Look) -> bool {
    look.members.voters.contains(&id)
}

fn is_member(id: u64, look: &Look) -> bool {
    let members = &look.members;
    [&members.voters, &members.outgoing, &members.learners, &members.learners_next]
        .iter()
        .any(|ids| ids.contains(&id))
}

/// Some proposals at any of the members, messages arriving in between.
fn proposals(random: &mut Random, all: &[u64]) -> Vec<Op> {
    let mut ops = Vec::new();
    for _ in 0..=random.below(6) {
        let data = vec![random.next() as u8; 1 + random.below(40) as usize];
        ops.push(Op::Propose(random.pick(all), data));
        if random.below(3) == 0 {
            ops.push(Op::Deliver);
        }
    }
    ops.push(Op::Settle);
    ops
}

/// A change of up to three members. The leader stays a voter: what becomes of one that does not
/// is where the libraries differ on purpose.
fn change(random: &mut Random, leader: u64, look: &Look, looks: &BTreeMap<u64, Look>) -> Vec<Op> {
    let mut ops = Vec::new();
    if !look.members.outgoing.is_empty() {
        let leave = Change { parts: Vec::new(), transition: 0 };
        return vec![Op::Change(leader, leave), Op::Settle];
    }
    let mut next_id = looks.keys().max().map_or(1, |id| id + 1);
    let others: Vec<u64> =
        looks.keys().copied().filter(|id| *id != leader && is_member(*id, look)).collect();
    let mut parts = Vec::new();
    for _ in 0..1 + random.below(3) {
        let part = match random.below(4) {
            0 if !others.is_empty() => Part::Removed(random.pick(&others)),
            1 if !others.is_empty() => Part::Learner(random.pick(&others)),
            2 if !others.is_empty() => Part::Voter(random.pick(&others)),
            kind => {
                if next_id > 12 {
                    continue;
                }
                ops.push(Op::Begin(next_id));
                next_id += 1;
                let id = next_id - 1;
                if kind == 3 { Part::Learner(id) } else { Part::Voter(id) }
            }
        };
        parts.push(part);
    }
    if !parts.is_empty() {
        let transition = random.below(3) as u8;
        ops.push(Op::Change(leader, Change { parts, transition }));
        if random.below(4) == 0 {
            // A second one at the heels of the first: refused or replaced, in both alike.
            let parts = vec![Part::Learner(next_id)];
            ops.push(Op::Change(leader, Change { parts, transition: 0 }));
        }
    }
    ops.push(Op::Settle);
    ops
}
