//! Version.

use std::ffi::{CStr, c_char};

/// The version of this header: a change that breaks programs.
pub const RAFTCORE_VERSION_MAJOR: u32 = 0;
/// The version of this header: something new.
pub const RAFTCORE_VERSION_MINOR: u32 = 1;
/// The version of this header: something mended.
pub const RAFTCORE_VERSION_PATCH: u32 = 0;

const TEXT: &CStr = c"0.1.0";
const NUMBER: u32 =
    RAFTCORE_VERSION_MAJOR * 1_000_000 + RAFTCORE_VERSION_MINOR * 1_000 + RAFTCORE_VERSION_PATCH;

/// The version of the library that is linked, for example "0.1.0": a constant text.
#[unsafe(no_mangle)]
pub extern "C" fn raftcore_version() -> *const c_char {
    guard!(else TEXT.as_ptr(), { TEXT.as_ptr() })
}

/// The version of the library that is linked as a number that grows with it:
/// major * 1000000 + minor * 1000 + patch.
#[unsafe(no_mangle)]
pub extern "C" fn raftcore_version_number() -> u32 {
    guard!(else NUMBER, { NUMBER })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_numbers_are_those_of_the_package() {
        assert_eq!(TEXT.to_str(), Ok(env!("CARGO_PKG_VERSION")));
        let number = |text: &str| text.parse::<u32>().unwrap();
        assert_eq!(RAFTCORE_VERSION_MAJOR, number(env!("CARGO_PKG_VERSION_MAJOR")));
        assert_eq!(RAFTCORE_VERSION_MINOR, number(env!("CARGO_PKG_VERSION_MINOR")));
        assert_eq!(RAFTCORE_VERSION_PATCH, number(env!("CARGO_PKG_VERSION_PATCH")));
        assert_eq!(raftcore_version_number(), 1_000);
    }
}
