//! A node on a storage that lies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    raftcore_fuzz::liar::play(data);
});
