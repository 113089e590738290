//! The same calls through the C API and on a Rust node: the same answers, and nothing leaks.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    raftcore_fuzz::pair::play(data);
});
