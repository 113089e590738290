//! Raw bytes at every decoder, and what decodes at a live group.
#![no_main]

use bytes::Bytes;
use raftcore_fuzz::{Group, decode_everything};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    decode_everything(&bytes);
    let mut group = Group::elected();
    group.step_raw(0, bytes.clone());
    group.step_raw(1, bytes);
    group.settle();
});
