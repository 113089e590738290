//! Whole clusters of raftcore nodes in one thread, for tests.
//!
//! [`scenario`] plays text files: a story of commands, each followed by what the nodes must have
//! answered, byte for byte. It is how this project shows that it decides as the other libraries
//! of its protocol family do. The crate knows raft-core's public door and nothing behind it.
//!
//! [`run`] plays a seed: a group in virtual time, with everything that can go wrong going wrong,
//! and every rule of the protocol checked after every step (`check`). `swarm` draws what a seed
//! stands for, `cluster` has the clock and the queue of events, `host` and `app` are a node with
//! its application, `faults` and `workload` what happens to it, `settle` the phase in which all
//! must become well again. [`Referee`] is the judges alone, for nodes that somebody else drives.

mod app;
mod check;
mod client;
mod cluster;
mod disk;
mod explore;
mod faults;
mod host;
mod input;
mod limits;
mod network;
mod observe;
mod random;
mod referee;
mod regressions;
mod run;
mod sabotage;
pub mod scenario;
mod schedule;
mod settle;
mod summary;
mod swarm;
mod threads;
mod workload;

pub use check::Violation;
pub use explore::{Found, Scope, explore};
pub use input::Input;
pub use referee::Referee;
pub use regressions::REGRESSIONS;
pub use run::{Options, Outcome, catch_panics, minimise, run};
pub use sabotage::Sabotage;
pub use schedule::{Replayed, replay};
pub use summary::Summary;
pub use swarm::Overrides;
