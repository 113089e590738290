//! Any membership, any change: the laws hold, what is encoded comes back, a group lives on.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    raftcore_fuzz::changes::play(data);
});
