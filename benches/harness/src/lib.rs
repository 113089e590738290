//! The workloads of the benchmarks, for every contender in Rust: a contender implements [`Member`]
//! and calls [`main`], so that all of them run the very same loops. `benches/README.md` defines
//! the workloads; nothing here knows a particular library.

mod args;
mod commit;
mod group;
mod idle;
mod large;
mod meter;
mod reads;

pub use args::Args;
pub use group::{Applied, Out, Setup};
pub use meter::Report;

/// One member of a Raft group, as a contender has it.
///
/// The harness moves messages between members and counts what they apply; everything else is the
/// contender's, done as well as its library allows.
pub trait Member: Sized {
    /// A message between members, as the library has it.
    type Message;
    /// A message's encoding.
    type Encoded: AsRef<[u8]>;
    /// What members in one thread can share, as the library allows: buffers.
    type Shared: Default;

    /// A member of a group with these voters, the configuration given at start.
    fn new(id: u64, setup: &Setup) -> Self;
    /// Campaigns now.
    fn campaign(&mut self);
    /// Proposes one payload.
    fn propose(&mut self, payload: Vec<u8>);
    /// Proposes payloads in one call.
    fn propose_many(&mut self, payloads: impl Iterator<Item = Vec<u8>>);
    /// Takes a message from a peer.
    fn step(&mut self, message: Self::Message);
    /// Takes a message from a peer as it came over the wire.
    fn step_encoded(&mut self, message: Self::Encoded);
    /// A message's encoding, in a fresh buffer.
    fn encode(message: Self::Message) -> Self::Encoded;
    /// Whether there is something to do.
    fn has_ready(&self) -> bool;
    /// Does what the library wants done: sends, stores, applies, advances.
    fn handle_ready(&mut self, out: &mut Out<'_, Self>);
    /// Drops the log up to and including this index.
    fn compact(&mut self, index: u64);
    /// A tick of the clock.
    fn tick(&mut self);
    /// Asks for a read index; the answer is counted in `handle_ready`.
    fn read_index(&mut self, context: u64);
    /// Whether this member leads.
    fn is_leader(&self) -> bool;
}

/// Runs the workload that the command line names, and prints its figures, one `name value` a line.
pub fn main<M: Member>(args: &Args) {
    let report = match args.workload() {
        "commit" => commit::run::<M>(args),
        "idle" => idle::run::<M>(args),
        "ticks" => idle::run_counted::<M>(args),
        "large" => large::run::<M>(args),
        "reads" => reads::run::<M>(args),
        other => panic!("no workload {other}"),
    };
    report.print();
}
