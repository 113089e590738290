//! The other library in Rust: enough of the standard library to bring its symbols along.

/// How many digits a number has; a panic and its catching are part of it.
#[unsafe(no_mangle)]
pub extern "C" fn other_length_of(number: u32) -> u32 {
    let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(number)));
    let number = *caught.unwrap_err().downcast::<u32>().unwrap();
    u32::try_from(format!("{number}").len()).unwrap()
}
