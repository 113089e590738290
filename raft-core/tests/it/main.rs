//! The integration tests of the core: stories about nodes, told through the public interface alone.
//!
//! One binary, a file a theme. What a rule is called in the paper, in the thesis, or among the
//! mistakes that others have made is said at the test that holds it.

mod support;

#[path = "../../src/wire/tests/oracle.rs"]
mod oracle;

mod async_writes;
mod bootstrap;
mod coalescing;
mod contexts;
mod election;
mod flow;
mod hostile;
mod lease;
mod live_cluster;
mod many_groups;
mod membership;
mod misuse;
mod paper;
mod poison;
mod proposals;
mod reads;
mod replication;
mod restart;
mod snapshot;
mod stale_read;
mod storage_faults;
mod texts;
mod transfer;

use raftcore::wire::schema;
