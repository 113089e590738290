//! W1, W2, W4 and W9: entries are proposed, replicated, committed and applied on every member.

use crate::group::{Group, Network, Setup};
use crate::large::keep_freed_memory;
use crate::meter::{Meter, Report};
use crate::{Args, Member};

pub(crate) const NAMES: [&str; 4] =
    ["cpu_ns_per_entry", "wall_ns_per_entry", "allocs_per_entry", "alloc_bytes_per_entry"];

/// What is asked for.
struct Plan {
    entries: u64,
    batch: u64,
    /// One call for a batch, or one for each entry.
    in_one: bool,
    payload: usize,
    /// Entries between two compactions; zero for none.
    compact: u64,
}

pub(crate) fn run<M: Member>(args: &Args) -> Report {
    let plan = Plan {
        entries: args.number("entries", 200_000),
        batch: args.number("batch", 1),
        in_one: args.text("mode", "batch") == "batch",
        payload: args.number("payload", 128) as usize,
        compact: args.number("compact", 4096),
    };
    let setup = Setup {
        voters: args.number("voters", 3),
        max_inflight: args.number("inflight", 512) as usize,
        max_message_bytes: args.number("max_message", 1 << 20),
        ..Setup::default()
    };
    let mut network = Network::<M>::new(setup.voters, args.number("encoded", 0) == 1);
    let mut group = Group::elected(&setup, &mut network);
    network.lose(args.number("loss", 0));
    keep_freed_memory();
    let (messages, wire_bytes) = (network.messages, network.wire_bytes);

    let meter = Meter::start();
    commit(&mut group, &mut network, &plan);
    let taken = meter.stop();

    let sum = group.check(plan.entries);
    let per_entry = |total: u64| total as f64 / plan.entries as f64;
    let mut report = Report::default();
    report.add_taken(NAMES, &taken, plan.entries);
    report.add("messages_per_entry", per_entry(network.messages - messages));
    if network.wire_bytes > wire_bytes {
        report.add("wire_bytes_per_entry", per_entry(network.wire_bytes - wire_bytes));
    }
    report.add("check_sum", sum as f64);
    report
}

/// A fresh payload, filled by the application.
pub(crate) fn payload(number: u64, bytes: usize) -> Vec<u8> {
    vec![number as u8; bytes]
}

fn commit<M: Member>(group: &mut Group<M>, network: &mut Network<M>, plan: &Plan) {
    let (mut proposed, mut compacted) = (0, 0);
    while proposed < plan.entries {
        let until = (proposed + plan.batch).min(plan.entries);
        let payloads = (proposed..until).map(|number| payload(number, plan.payload));
        if plan.in_one && plan.batch > 1 {
            group.leader().propose_many(payloads);
        } else {
            payloads.for_each(|payload| group.leader().propose(payload));
        }
        proposed = until;
        group.pump(network);
        catch_up(group, network, proposed);
        if plan.compact > 0 && proposed - compacted >= plan.compact {
            group.compact();
            compacted = proposed;
        }
    }
}

/// Lets time pass until messages that were lost are made up for.
fn catch_up<M: Member>(group: &mut Group<M>, network: &mut Network<M>, proposed: u64) {
    let mut ticks = 0;
    while group.places.iter().any(|place| place.applied.count < proposed) {
        group.leader().tick();
        group.pump(network);
        ticks += 1;
        assert!(ticks < 1_000_000, "a member does not catch up");
    }
}
