//! W8: linearizable reads on the leader, confirmed by a round of heartbeats or by a lease.

use crate::group::{Group, Network, Setup};
use crate::meter::{Meter, Report};
use crate::{Args, Member};

pub(crate) fn run<M: Member>(args: &Args) -> Report {
    let (reads, batch) = (args.number("reads", 100_000), args.number("batch", 1));
    let setup = Setup { lease: args.number("lease", 0) == 1, ..Setup::default() };
    let mut network = Network::<M>::new(setup.voters, false);
    let mut group = Group::elected(&setup, &mut network);
    // A round of heartbeats, so that there is a lease.
    (0..setup.heartbeat_ticks).for_each(|_| group.leader().tick());
    group.pump(&mut network);
    let messages = network.messages;

    let meter = Meter::start();
    let mut asked = 0;
    while asked < reads {
        let until = (asked + batch).min(reads);
        (asked..until).for_each(|context| group.leader().read_index(context));
        group.pump(&mut network);
        asked = until;
        assert_eq!(group.places[0].applied.reads, asked, "reads answered");
    }
    let taken = meter.stop();

    let mut report = Report::default();
    let names = ["cpu_ns_per_read", "wall_ns_per_read", "allocs_per_read", "alloc_bytes_per_read"];
    report.add_taken(names, &taken, reads);
    report.add("messages_per_read", (network.messages - messages) as f64 / reads as f64);
    report
}
