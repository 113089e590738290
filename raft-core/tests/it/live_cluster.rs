//! Live groups under random noise, from a seed.
//!
//! Two kinds of run. In the *honest* one the network loses, repeats, delays and reorders, nodes
//! die and come back, and garbage that must be refused is mixed in: then everything that Raft
//! promises has to hold, and once the noise stops, a leader has to emerge. In the *forged* one
//! messages are altered in ways that pass for true ones. No promise of Raft can hold then, since a
//! forged leader may say anything, so only this is asked: no panic, no broken invariant inside a
//! node, no fault.
//!
//! `RAFTCORE_SOAK=1000` plays so many seeds of each instead of a few.

use std::collections::BTreeMap;

use bytes::Bytes;
use raftcore::{
    AnyConfChange, Body, Config, Entry, EntryKind, Error, Index, Message, MessageKind, NodeId,
    ReadState, RoleKind, SnapshotStatus, Storage, Term, Transition, wire,
};

use crate::oracle;
use crate::support::{Group, Member, fingerprint, id, many, one};

/// A small generator (xorshift): the same seed, the same story.
struct Random(u64);

impl Random {
    /// A number in `[0, bound)`.
    fn pick(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 24) % bound
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.pick(100) < percent
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.pick(all.len() as u64) as usize]
    }
}

/// Says how to play a story again that ended in a panic.
struct Replay {
    seed: u64,
    story: Story,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("you can reproduce this failure with seed={}: {:?}", self.seed, self.story);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Story {
    nodes: u64,
    storage_threads: bool,
    steps: u32,
    /// Whether messages are altered so that they may pass for true ones.
    forged: bool,
}

/// What the judge has seen.
#[derive(Default)]
struct Judge {
    /// Who led each term.
    leaders: BTreeMap<u64, u64>,
    /// What was applied at each index, by whoever came first.
    history: BTreeMap<u64, Entry>,
    /// How much of each member's application was compared with it.
    compared: BTreeMap<u64, usize>,
    /// The membership after each index.
    memberships: BTreeMap<u64, String>,
    /// Whom each member is known to have voted for: its disk says so.
    votes: BTreeMap<(u64, u64), NodeId>,
    /// The greatest commit index of anybody when a read was asked.
    asked: BTreeMap<Bytes, u64>,
    commits: BTreeMap<u64, u64>,
}

impl Judge {
    fn look(&mut self, group: &Group) {
        for (&own, member) in &group.members {
            if member.role() == RoleKind::Leader {
                let leader = *self.leaders.entry(member.term()).or_insert(own);
                assert_eq!(leader, own, "two leaders in term {}", member.term());
            }
            let compared = self.compared.entry(own).or_default();
            for entry in &member.applied[*compared..] {
                let known = self.history.entry(entry.index.0).or_insert_with(|| entry.clone());
                assert_eq!(known, entry, "{own} applies something else at {}", entry.index);
            }
            *compared = member.applied.len();
            assert!(in_order(&member.applied), "{own} applies out of order");
            let commit = self.commits.entry(own).or_default();
            assert!(member.commit() >= *commit, "the commit index of {own} fell");
            *commit = member.commit();
            self.look_at_disk(own, member);
            self.look_at_membership(own, member);
            for ReadState { index, context } in &member.reads {
                let at_least = self.asked.get(&**context).copied().unwrap_or_default();
                assert!(index.0 >= at_least, "a stale read at {index}, committed was {at_least}");
            }
        }
    }

    /// Within a term a stored vote changes only from none, over every restart.
    fn look_at_disk(&mut self, own: u64, member: &Member) {
        let stored = member.storage().inner.hard_state();
        if let Some(vote) = stored.vote {
            let first = *self.votes.entry((own, stored.term.0)).or_insert(vote);
            assert_eq!(vote, first, "{own} changed its vote in term {}", stored.term);
        }
    }

    /// The same index, the same membership, on every member that has applied so far.
    fn look_at_membership(&mut self, own: u64, member: &Member) {
        // That of a snapshot holds before it is stored, and the applied index follows then.
        if member.appends.iter().any(|work| work.snapshot.is_some()) {
            return;
        }
        let (applied, members) = (member.status().applied.0, member.members());
        let known = self.memberships.entry(applied).or_insert_with(|| members.clone());
        assert_eq!(*known, members, "the membership of {own} after {applied}");
    }

    /// A member begins a new life.
    fn forget(&mut self, own: u64, stored_commit: u64) {
        self.compared.insert(own, 0);
        self.commits.insert(own, stored_commit);
    }

    fn ask(&mut self, group: &Group, context: &Bytes) {
        let committed = group.members.values().map(Member::commit).max();
        self.asked.insert(context.clone(), committed.unwrap_or_default());
    }
}

/// Indexes rise; a snapshot may skip some, but not the log.
fn in_order(applied: &[Entry]) -> bool {
    applied.windows(2).all(|pair| pair[0].index < pair[1].index)
}

fn play(seed: u64, story: Story) {
    let _replay = Replay { seed, story };
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let lease_and_pre_vote = (random.percent(50), random.percent(50));
    let small = random.percent(50);
    let change = |c: &mut Config| {
        (c.check_quorum, c.pre_vote) = lease_and_pre_vote;
        c.async_storage_writes = story.storage_threads;
        c.seed = seed.wrapping_add(c.id);
        if small {
            c.max_message_bytes = 30;
            c.max_committed_bytes_per_ready = 40;
            c.max_inflight_messages = 2;
            c.max_uncommitted_bytes = 500;
            c.max_pending_reads = 3;
        }
    };
    let mut group = Group::with(story.nodes, change);
    group.members.values_mut().for_each(|member| member.manual = story.storage_threads);
    let mut judge = Judge::default();
    for step in 0..story.steps {
        disturb(&mut group, &mut judge, &mut random, story, step);
        work(&mut group, &mut random);
        if !story.forged {
            judge.look(&group);
        }
        network(&mut group, &mut random, story);
        for member in group.members.values() {
            assert_eq!(member.fault(), None);
        }
    }
    if !story.forged {
        calm(&mut group, &mut judge);
    }
}

/// Something that an application, an operator or the power supply may do.
fn disturb(group: &mut Group, judge: &mut Judge, random: &mut Random, story: Story, step: u32) {
    let own = 1 + random.pick(story.nodes);
    if random.percent(40) {
        for member in group.members.values_mut() {
            member.node.tick().unwrap();
        }
    }
    let other = 1 + random.pick(story.nodes);
    let report = random.one_of(&[SnapshotStatus::Finished, SnapshotStatus::Failed]);
    match random.pick(26) {
        0 => group[own].node.tick().unwrap(),
        1 => group[own].campaign().unwrap(),
        2 => group[own].node.transfer_leader(id(other)).unwrap_or_default(),
        3 => group[own].forget_leader().unwrap(),
        4 => group[own].report_unreachable(id(other)).unwrap(),
        5 | 6 => group[own].report_snapshot(id(other), report).unwrap(),
        7 => {
            let context = Bytes::from(format!("{step}"));
            judge.ask(group, &context);
            let _ = group[own].read_index(context);
        }
        8 => {
            let _ = group[own].propose_conf_change(&some_change(random, story.nodes));
        }
        9 => compact(&mut group[own]),
        10 if random.percent(40) => {
            group[own].restart();
            group[own].manual = story.storage_threads;
            let stored = group[own].commit();
            judge.forget(own, stored);
        }
        11 if random.percent(30) => group.isolate(own),
        12 | 13 => group.heal(),
        14..=19 => {
            let _ = group[own].propose(format!("{step}"));
        }
        _ => {}
    }
}

/// Nodes 1 to 3 always vote, so that somebody can always win in the end.
fn some_change(random: &mut Random, nodes: u64) -> AnyConfChange {
    let who = 4 + random.pick(nodes.saturating_sub(3).max(1));
    let kind = random.one_of(&["v", "l", "r", "u"]);
    let transition =
        random.one_of(&[Transition::Auto, Transition::JointImplicit, Transition::JointExplicit]);
    match random.pick(4) {
        0 => one(&format!("{kind}{who}")),
        1 => many(Transition::Auto, ""),
        2 => many(transition, &format!("{kind}{who} u2")),
        _ => many(transition, &format!("{kind}{who}")),
    }
}

fn compact(member: &mut Member) {
    let applied = member.status().applied;
    let log = &mut member.node.storage_mut().inner;
    if log.snapshot().unwrap().index() < applied && log.first_index().unwrap() <= applied {
        member.compact();
    }
}

/// Everybody does what their Ready says, or a part of it: storage threads may be slow.
fn work(group: &mut Group, random: &mut Random) {
    for member in group.members.values_mut() {
        let mut sent = member.drain();
        while member.manual && !member.appends.is_empty() && random.percent(60) {
            sent.extend(member.run_append());
        }
        while member.manual && !member.applies.is_empty() && random.percent(60) {
            member.run_apply();
        }
        group.wire.extend(sent);
    }
}

/// Delivers some of what is on its way, in any order, some of it twice and some never.
fn network(group: &mut Group, random: &mut Random, story: Story) {
    for _ in 0..random.pick(2 * story.nodes + 2) {
        if group.wire.is_empty() {
            return;
        }
        let at = if random.percent(70) { 0 } else { random.pick(group.wire.len() as u64) as usize };
        let message = group.wire.remove(at).unwrap();
        let (from, to) = (message.from.get(), message.to.get());
        if !group.members.contains_key(&to) || group.is_cut(from, to) {
            continue;
        }
        match random.pick(100) {
            0..5 => continue,
            5..10 => group.wire.push_back(message.clone()),
            _ => {}
        }
        if story.forged && random.percent(50) {
            deliver_forged(group, random, &message);
        }
        if !story.forged && random.percent(20) {
            deliver_garbage(group, random, &message);
        }
        // A member that was removed and does not know is no longer heard.
        match group[to].node.step_encoded(wire::encode(&message)) {
            Err(Error::Misuse(_) | Error::Faulted(_)) => panic!("not the caller's mistake"),
            Err(Error::Storage(error)) if !story.forged => panic!("the storage is well: {error}"),
            _ => {}
        }
    }
    // What is too much is lost.
    group.wire.truncate(200);
}

/// Garbage that no honest member sends is refused and leaves no trace.
fn deliver_garbage(group: &mut Group, random: &mut Random, message: &Message) {
    let to = message.to.get();
    let mut flat = wire::schema::Message::from(message);
    let belongs_to_no_term = matches!(message.body, Body::Propose(_) | Body::ReadIndex { .. });
    match random.pick(6) {
        0 => flat.kind = random.one_of(&[-1, 24, 0, 1, 10, 11, 12, 19, 20, 21, 22, 23]),
        1 => flat.to = 1 + to,
        2 => flat.from = random.one_of(&[0, u64::MAX, u64::MAX - 1]),
        3 if belongs_to_no_term => flat.term = 1,
        3 => flat.term = u64::MAX,
        4 if matches!(message.body, Body::TransferLeader) || belongs_to_no_term => flat.to = 0,
        4 => flat.from = to,
        _ => flat.kind = i32::MIN,
    }
    let member = &mut group[to];
    let before = fingerprint(member);
    let refused = member.node.step_encoded(oracle::encode(&flat));
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}: {flat:?}");
    assert_eq!(fingerprint(member), before, "{flat:?}");
}

/// A message that was altered and may pass for a true one.
fn deliver_forged(group: &mut Group, random: &mut Random, message: &Message) {
    let to = message.to.get();
    let mut flat = wire::schema::Message::from(message);
    for _ in 0..=random.pick(3) {
        alter(&mut flat, random);
    }
    let mut bytes = oracle::encode(&flat);
    match random.pick(8) {
        0 => bytes.truncate(random.pick(bytes.len() as u64 + 1) as usize),
        1 if !bytes.is_empty() => {
            let at = random.pick(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.pick(8);
        }
        2 => bytes.push(random.pick(256) as u8),
        _ => {}
    }
    let _ = group[to].node.step_encoded(bytes);
}

/// Changes one field to something near, far, or at a limit.
fn alter(flat: &mut wire::schema::Message, random: &mut Random) {
    let near = |value: u64, random: &mut Random| match random.pick(6) {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        2 => 0,
        3 => random.one_of(&[u64::MAX, u64::MAX / 2, 1 << 32, 1000]),
        _ => random.pick(20),
    };
    match random.pick(14) {
        0 => flat.kind = random.pick(26) as i32 - 1,
        1 => flat.from = near(flat.from, random),
        2 | 3 => flat.term = near(flat.term, random),
        4 => flat.log_term = near(flat.log_term, random),
        5 => flat.index = near(flat.index, random),
        6 => flat.commit = near(flat.commit, random),
        7 => flat.reject = !flat.reject,
        8 => flat.reject_hint = near(flat.reject_hint, random),
        9 => flat.context = Bytes::copy_from_slice(&near(1, random).to_le_bytes()),
        10 if !flat.entries.is_empty() => {
            let at = random.pick(flat.entries.len() as u64) as usize;
            let entry = &mut flat.entries[at];
            match random.pick(4) {
                0 => entry.term = near(entry.term, random),
                1 => entry.index = near(entry.index, random),
                2 => entry.kind = random.pick(5) as i32 - 1,
                _ => entry.data = Bytes::from(vec![random.pick(256) as u8; 3]),
            }
        }
        11 => flat.entries.truncate(random.pick(3) as usize),
        12 => flat.entries.push(forged_entry(flat, random)),
        _ => flat.snapshot = Some(forged_snapshot(flat, random)),
    }
}

fn forged_entry(flat: &wire::schema::Message, random: &mut Random) -> wire::schema::Entry {
    let data = match random.pick(3) {
        0 => wire::encode_conf_change(&some_change(random, 6)).1,
        1 => Bytes::from_static(&[0x08, 0x07]),
        _ => Bytes::from_static(b"forged"),
    };
    let index = flat.index.wrapping_add(1 + flat.entries.len() as u64);
    let kind = random.one_of(&[EntryKind::Normal, EntryKind::ConfChange, EntryKind::ConfChangeV2]);
    wire::schema::Entry { kind: kind as i32, term: flat.term, index, data }
}

fn forged_snapshot(flat: &wire::schema::Message, random: &mut Random) -> wire::schema::Snapshot {
    let mut ids = || (0..random.pick(4)).map(|_| random.pick(6)).collect::<Vec<u64>>();
    let members = wire::schema::ConfState {
        voters: ids(),
        learners: ids(),
        voters_outgoing: ids(),
        learners_next: ids(),
        auto_leave: false,
    };
    let metadata = wire::schema::SnapshotMetadata {
        conf_state: Some(members),
        index: flat.index.wrapping_add(random.pick(30)),
        term: flat.term,
    };
    wire::schema::Snapshot { data: Bytes::new(), metadata: Some(metadata) }
}

/// The noise is over: a leader emerges, a proposal commits, everybody agrees.
fn calm(group: &mut Group, judge: &mut Judge) {
    group.heal();
    for member in group.members.values_mut() {
        let sent = member.run_storage();
        group.wire.extend(sent);
        member.manual = false;
    }
    group.settle();
    judge.look(group);
    for round in 0..400 {
        group.run(1);
        judge.look(group);
        let Some(leader) = group.leader() else { continue };
        for other in 1..=5 {
            // Snapshots that were lost in the noise.
            group[leader].report_snapshot(id(other), SnapshotStatus::Failed).unwrap();
        }
        if round % 20 == 19 {
            // The last snapshot may be older than the membership of who needs it.
            compact(&mut group[leader]);
        }
        let _ = group[leader].propose_conf_change(&many(Transition::Auto, ""));
        let _ = group[leader].propose(format!("calm {round}"));
        group.settle();
        judge.look(group);
        if is_agreed(group, leader) {
            return;
        }
    }
    panic!("the group does not come to agree:\n{}", describe(group));
}

fn describe(group: &Group) -> String {
    let line = |(own, member): (&u64, &Member)| {
        let (status, last) = (member.status(), member.last_index());
        let progress: Vec<String> = status
            .progress
            .iter()
            .map(|peer| format!("{}: {}", peer.id, peer.describe()))
            .collect();
        format!(
            "{own} {:?} term {} last {last} commit {} applied {} first {} {} {progress:?}\n",
            member.role(),
            member.term(),
            member.commit(),
            status.applied,
            status.first_index,
            status.membership,
        )
    };
    group.members.iter().map(line).collect()
}

/// Whether all members of the leader's configuration have committed and applied all it has, with
/// something of its own term in it, and have the same configuration.
fn is_agreed(group: &Group, leader: u64) -> bool {
    let lead = &group[leader];
    let status = lead.status();
    let log = &lead.storage().inner;
    let term = log.term(Index(lead.commit())).unwrap_or_default();
    let all = status.membership.members().map(NodeId::get);
    term == Term(lead.term())
        && !status.membership.is_joint()
        && all.filter(|member| group.members.contains_key(member)).all(|member| {
            let member = &group[member];
            member.last_index() == lead.last_index()
                && member.commit() == lead.last_index()
                && member.status().applied.0 == lead.last_index()
                && member.members() == lead.members()
        })
}

fn seeds(few: u64) -> std::ops::Range<u64> {
    let soak = std::env::var("RAFTCORE_SOAK").ok().and_then(|n| n.parse().ok());
    1..1 + soak.unwrap_or(few)
}

#[test]
fn three_nodes_in_honest_noise_agree() {
    let story = Story { nodes: 3, storage_threads: false, steps: 1200, forged: false };
    seeds(10).for_each(|seed| play(seed, story));
}

#[test]
fn five_nodes_in_honest_noise_agree() {
    let story = Story { nodes: 5, storage_threads: false, steps: 1200, forged: false };
    seeds(8).for_each(|seed| play(1000 + seed, story));
}

#[test]
fn storage_threads_in_honest_noise_agree() {
    let story = Story { nodes: 3, storage_threads: true, steps: 1200, forged: false };
    seeds(8).for_each(|seed| play(2000 + seed, story));
    let story = Story { nodes: 5, ..story };
    seeds(6).for_each(|seed| play(3000 + seed, story));
}

#[test]
fn forged_messages_break_no_node() {
    for nodes in [3, 5] {
        for storage_threads in [false, true] {
            let story = Story { nodes, storage_threads, steps: 1000, forged: true };
            seeds(6).for_each(|seed| play(4000 + 10 * nodes + seed, story));
        }
    }
}

#[test]
fn noise_alone_breaks_no_node() {
    let mut random = Random(77);
    let mut member = Member::new(1, &[1, 2, 3]);
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..random.pick(40)).map(|_| random.pick(256) as u8).collect();
        let _ = member.node.step_encoded(bytes);
    }
    assert_eq!(member.fault(), None);
    assert!(member.metrics().received(MessageKind::Append) < 20_000);
}
