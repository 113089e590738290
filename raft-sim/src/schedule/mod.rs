//! Recorded schedules: everything that goes into the nodes of a run, with a hash over what comes
//! out, in a text that any language can replay on its own binding. The format is in
//! `raft-sim/SCHEDULES.md`; nothing here knows about time, networks or faults.

mod hash;
mod record;
mod replay;
mod settings;

use std::fmt::Write as _;

use bytes::Bytes;

pub(crate) use record::Recorder;
pub use replay::{Replayed, replay};

/// The first line of every schedule.
const HEADER: &str = "raft-schedule 2";

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".into();
    }
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<Bytes> {
    if text == "-" {
        return Some(Bytes::new());
    }
    let pairs = (0..text.len()).step_by(2);
    let bytes: Option<Vec<u8>> =
        pairs.map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    bytes.map(Bytes::from)
}
