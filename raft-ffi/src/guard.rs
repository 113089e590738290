//! The one guard that every export runs under: no panic leaves the library, and every failure
//! reaches the caller in the same three ways (status, error argument, last error).
//!
//! That the node of a call that panicked is faulted is not seen to here but in `handle`, which
//! holds the node at that moment.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_char;
use std::fmt::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::error::{self, Failure, raftcore_error};
#[cfg(feature = "planted-panics")]
use crate::planted;
use crate::status::{RAFTCORE_ERR_PANIC, RAFTCORE_OK, raftcore_status};

/// Runs the body of an export.
///
/// `guard!(error, { .. })` is for the calls that return a status: the body returns
/// `Result<(), Failure>`. `guard!(else value, { .. })` is for the few others; they return `value`
/// if the body panics.
macro_rules! guard {
    (else $fallback:expr, $body:block) => {
        $crate::guard::run(|| $body).unwrap_or($fallback)
    };
    ($error:expr, $body:block) => {{
        let body = || $body;
        // SAFETY: the caller of the export says that `error` is NULL or points to a
        // raftcore_error whose struct_size is set.
        unsafe { $crate::guard::report($error, body) }
    }};
}

/// Runs `body`; `None` if it panicked.
#[inline]
pub(crate) fn run<T>(body: impl FnOnce() -> T) -> Option<T> {
    quieten();
    let was_inside = INSIDE.replace(true);
    #[cfg(feature = "planted-panics")]
    let body = || {
        planted::panic_at(planted::AT_THE_DOOR);
        body()
    };
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(was_inside);
    // The payload's own drop could panic: it is forgotten.
    result.map_err(std::mem::forget).ok()
}

/// Runs `body` and reports its failure.
///
/// # Safety
/// `error` is NULL or points to a `raftcore_error` whose `struct_size` is set.
#[inline]
pub(crate) unsafe fn report(
    error: *mut raftcore_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> raftcore_status {
    // SAFETY: as promised by the caller.
    let result = run(|| unsafe { error::check_argument(error) }.and_then(|()| body()));
    let failure = match result {
        Some(Ok(())) => return RAFTCORE_OK,
        Some(Err(failure)) => failure,
        None => Failure::new(RAFTCORE_ERR_PANIC, PANIC_TEXT.with(PanicText::read)),
    };
    // SAFETY: as promised by the caller; a struct_size that is wrong is seen and left alone.
    unsafe { error::deliver(error, &failure) };
    failure.status()
}

thread_local! {
    /// Whether this thread is inside an export.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// What the last panic inside an export said.
    static PANIC_TEXT: PanicText = const { PanicText(UnsafeCell::new(Text::new())) };
}

/// A panic inside an export becomes a status with a text: nothing is printed. All other panics,
/// for example of a Rust program that links the static library, go where they went before.
#[inline]
fn quieten() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if INSIDE.get() {
                PANIC_TEXT.with(|text| text.write(info));
            } else {
                before(info);
            }
        }));
    });
}

struct PanicText(UnsafeCell<Text>);

impl PanicText {
    fn write(&self, info: &panic::PanicHookInfo<'_>) {
        // SAFETY: the cell belongs to this thread, and neither this function nor `read` calls
        // anything that could come back here while the reference lives, except a panic while
        // formatting the panic, which aborts the process before its hook runs.
        let text = unsafe { &mut *self.0.get() };
        text.clear();
        let payload = info.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = message.unwrap_or("no text");
        let _ = write!(text, "a bug in raftcore, please report it: {message}");
        if let Some(place) = info.location() {
            let _ = write!(text, " ({}:{})", place.file(), place.line());
        }
    }

    fn read(&self) -> String {
        // SAFETY: as in `write`.
        let text = unsafe { &*self.0.get() };
        text.as_str().to_owned()
    }
}

/// Text in a fixed buffer, cut to fit between two characters and always ended by NUL.
pub(crate) struct Text {
    bytes: [u8; error::RAFTCORE_ERROR_MESSAGE_SIZE],
    len: usize,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; error::RAFTCORE_ERROR_MESSAGE_SIZE], len: 0 }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("")
    }

    pub(crate) fn to_chars(&self) -> [c_char; error::RAFTCORE_ERROR_MESSAGE_SIZE] {
        self.bytes.map(|byte| byte as c_char)
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len().saturating_sub(self.len).saturating_sub(1);
        let mut cut = room.min(text.len());
        while !text.is_char_boundary(cut) {
            cut = cut.saturating_sub(1);
        }
        if let Some(space) = self.bytes.get_mut(self.len..self.len.saturating_add(cut)) {
            space.copy_from_slice(text.as_bytes().get(..cut).unwrap_or_default());
            self.len = self.len.saturating_add(cut);
        }
        if cut < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_with_its_text_and_place() {
        let mut error = raftcore_error::empty();
        let status = guard!(&raw mut error, { panic!("seven") });
        assert_eq!(status, RAFTCORE_ERR_PANIC);
        let text = error.text();
        assert!(text.contains("seven") && text.contains("guard.rs:"), "{text}");
        assert_eq!(guard!(else 7, { if true { panic!("again") } else { 8 } }), 7);
    }

    #[test]
    fn a_payload_that_panics_when_dropped_does_no_harm() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(run(|| panic::panic_any(Bomb)), None::<()>);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_two_characters() {
        let mut text = Text::new();
        assert!(write!(text, "{}", "ä".repeat(200)).is_err());
        assert_eq!(text.as_str().len(), 254);
        assert_eq!(text.bytes[255], 0);
    }
}
