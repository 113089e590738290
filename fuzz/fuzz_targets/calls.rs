//! A program of calls, honest and hostile, played on a live group of three.
#![no_main]

use arbitrary::Unstructured;
use raftcore_fuzz::{Action, Group};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Unstructured::new(data);
    let mut group = Group::new(input.arbitrary().unwrap_or_default());
    for _ in 0..400 {
        let Ok(action) = input.arbitrary::<Action>() else { break };
        group.act(&action);
    }
    group.settle();
});
