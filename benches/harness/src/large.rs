//! W5: large entries. How fast they go through, and how often their bytes are copied on the way:
//! the applied bytes are looked at in memory. On the leader they are in place if they are the very
//! buffer that was proposed, on a follower if they lie in the buffer that was received.

use crate::commit::payload;
use crate::group::{Group, Network, Setup};
use crate::meter::{Meter, Report};
use crate::{Args, Member};

/// Entries between compactions: the log must not fill the memory.
const COMPACT: u64 = 16;

pub(crate) fn run<M: Member>(args: &Args) -> Report {
    let bytes = args.number("payload", 64 << 10) as usize;
    let entries = args.number("entries", ((256 << 20) / bytes) as u64);
    let encodes = args.number("encoded", 1) == 1;
    let setup = Setup::default();
    let mut network = Network::<M>::new(setup.voters, encodes);
    let mut group = Group::elected(&setup, &mut network);
    let mut in_place = [0u64; 2];

    keep_freed_memory();
    let meter = Meter::start();
    for number in 0..entries {
        let payload = payload(number + 1, bytes);
        let proposed = payload.as_ptr_range();
        group.leader().propose(payload);
        group.pump(&mut network);
        for (at, place) in group.places.iter().enumerate() {
            let origin = if at == 0 || !encodes { &proposed } else { network.received(at) };
            in_place[at.min(1)] += u64::from(origin.contains(&place.applied.data));
        }
        if (number + 1) % COMPACT == 0 {
            group.compact();
        }
    }
    let taken = meter.stop();

    group.check(entries);
    let mut report = Report::default();
    let payload_bytes = entries * bytes as u64;
    if cfg!(feature = "count") {
        // The payload itself is one.
        let allocated = taken.allocations.large_bytes as f64 / payload_bytes as f64;
        report.add("copied_bytes_per_byte", allocated - 1.0);
        let followers = entries * (setup.voters - 1);
        report.add("in_place_on_leader", in_place[0] as f64 / entries as f64);
        report.add("in_place_on_followers", in_place[1] as f64 / followers as f64);
    } else {
        let kib = payload_bytes as f64 / 1024.0;
        report.add("cpu_ns_per_kib", taken.cpu_ns as f64 / kib);
        report.add("wall_mib_per_s", kib / 1024.0 / (taken.wall_ns as f64 / 1e9));
    }
    report
}

/// What is freed goes back to the allocator, not to the system: otherwise much of what is measured
/// is the kernel, which clears pages again and again, and how often depends on which buffer happens
/// to be freed last.
pub(crate) fn keep_freed_memory() {
    for option in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: it sets a number in the allocator, before another thread could be there.
        let done = unsafe { libc::mallopt(option, 1 << 30) };
        assert_eq!(done, 1, "glibc's allocator takes the setting");
    }
}
