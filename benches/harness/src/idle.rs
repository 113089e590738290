//! W3: many groups that have nothing to do. What a member weighs, what a tick costs, and a round of
//! heartbeats. One network serves all groups, so that its buffers weigh nothing, nor what a library
//! lets members share.

use crate::group::{Group, Network, Setup};
use crate::meter::{Meter, Report, Taken, resident_bytes};
use crate::{Args, Member};

const TICK_ROUNDS: u64 = 20;
const HOT_TICKS: u64 = 100_000;
const HEARTBEATS: u64 = 5;

pub(crate) fn run<M: Member>(args: &Args) -> Report {
    let groups_wanted = args.number("groups", 10_000);
    let setup = Setup { election_ticks: 1_000_000, heartbeat_ticks: 10, ..Setup::default() };
    let members = groups_wanted * setup.voters;
    let mut network = Network::<M>::new(setup.voters, false);
    network.many_groups = true;
    let mut groups = Vec::with_capacity(groups_wanted as usize);
    let mut report = Report::default();

    let before = resident_bytes();
    groups.extend((0..groups_wanted).map(|_| Group::<M>::new(&setup)));
    let new = resident_bytes() - before;
    groups.iter_mut().for_each(|group| group.elect(&mut network));
    let elected = resident_bytes() - before;
    if !cfg!(feature = "count") {
        report.add("rss_bytes_per_new_node", new as f64 / members as f64);
        report.add("rss_bytes_per_node", elected as f64 / members as f64);
    }
    follower_ticks(&mut groups, &mut report);
    leader_ticks(&mut groups, &mut network, &mut report);
    report
}

fn tick<M: Member>(member: &mut M) {
    member.tick();
    assert!(!member.has_ready(), "an idle member wants something");
}

fn follower_ticks<M: Member>(groups: &mut [Group<M>], report: &mut Report) {
    let followers: u64 = groups.iter().map(|group| group.places.len() as u64 - 1).sum();
    let meter = Meter::start();
    for _ in 0..TICK_ROUNDS {
        for group in groups.iter_mut() {
            group.places[1..].iter_mut().for_each(|place| tick(&mut place.member));
        }
    }
    let names =
        ["cpu_ns_per_cold_tick", "wall_ns_per_cold_tick", "allocs_per_tick", "bytes_per_tick"];
    report.add_taken(names, &meter.stop(), TICK_ROUNDS * followers);

    let follower = &mut groups[0].places[1].member;
    let meter = Meter::start();
    (0..HOT_TICKS).for_each(|_| tick(follower));
    let taken = meter.stop();
    if !cfg!(feature = "count") {
        report.add("cpu_ns_per_hot_tick", taken.cpu_ns as f64 / HOT_TICKS as f64);
    }
}

/// Nine ticks that only count, and the tenth, which is heard around the group and back.
fn leader_ticks<M: Member>(groups: &mut [Group<M>], network: &mut Network<M>, report: &mut Report) {
    let (mut idle, mut round) = (Taken::default(), Taken::default());
    for _ in 0..HEARTBEATS {
        let meter = Meter::start();
        for _ in 0..9 {
            groups.iter_mut().for_each(|group| tick(group.leader()));
        }
        idle += meter.stop();
        let messages = network.messages;
        let meter = Meter::start();
        for group in groups.iter_mut() {
            group.leader().tick();
            group.pump(network);
        }
        round += meter.stop();
        assert_eq!(network.messages - messages, 4 * groups.len() as u64, "two out, two back");
    }
    let rounds = HEARTBEATS * groups.len() as u64;
    if !cfg!(feature = "count") {
        report.add("cpu_ns_per_leader_tick", idle.cpu_ns as f64 / (9 * rounds) as f64);
    }
    let names = [
        "cpu_ns_per_heartbeat_round",
        "wall_ns_per_heartbeat_round",
        "allocs_per_heartbeat_round",
        "alloc_bytes_per_heartbeat_round",
    ];
    report.add_taken(names, &round, rounds);
}

/// The same by number, for counting instructions: ticks of a follower, and rounds of heartbeats.
pub(crate) fn run_counted<M: Member>(args: &Args) -> Report {
    let setup = Setup { election_ticks: 1_000_000, heartbeat_ticks: 10, ..Setup::default() };
    let mut network = Network::<M>::new(setup.voters, false);
    network.many_groups = true;
    let mut group = Group::elected(&setup, &mut network);
    (0..args.number("ticks", 0)).for_each(|_| tick(&mut group.places[1].member));
    for _ in 0..args.number("beats", 0) {
        (0..9).for_each(|_| tick(group.leader()));
        group.leader().tick();
        group.pump(&mut network);
    }
    Report::default()
}
