//! Errors.
//!
//! Every call that can fail takes a raftcore_error last, which may be NULL. The text comes back in
//! the same call and in memory of the caller's, because a goroutine or a coroutine may be on
//! another thread by the time it looks, and because a buffer needs no free. A program that stays
//! on one thread can leave it NULL and ask raftcore_last_error afterwards.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

use std::borrow::Cow;
use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char};
use std::fmt::{self, Write as _};
use std::io;

use crate::guard::Text;
use crate::sized;
use crate::status::{self, raftcore_status};

/// The length of the text in a raftcore_error in bytes, the NUL at its end included.
pub const RAFTCORE_ERROR_MESSAGE_SIZE: usize = 256;

/// Why a call failed. Memory of the caller's: set struct_size, pass its address, read it when the
/// call returned something other than RAFTCORE_OK. It is written only then.
///
///     raftcore_error error = {.struct_size = sizeof error};
///     if (raftcore_node_tick(node, &error) != RAFTCORE_OK) fputs(error.message, stderr);
#[repr(C)]
#[derive(Clone, Copy)]
pub struct raftcore_error {
    /// sizeof(raftcore_error), set by the caller.
    pub struct_size: usize,
    /// What the call returned.
    pub status: raftcore_status,
    /// More about it: a RAFTCORE_REFUSAL_, RAFTCORE_DROP_ or RAFTCORE_CONFIG_ number or an errno,
    /// as the status says; otherwise zero.
    pub detail: i32,
    /// A sentence for a log, in UTF-8, cut to fit and ended by NUL. Its wording may change.
    pub message: [c_char; RAFTCORE_ERROR_MESSAGE_SIZE],
}

sized!(raftcore_error);

/// What a status means, in a few words: a constant text, never NULL, not to be freed. An unknown
/// number gives "unknown status".
#[unsafe(no_mangle)]
pub extern "C" fn raftcore_status_text(status: raftcore_status) -> *const c_char {
    guard!(else UNKNOWN.as_ptr(), { status::text(status).unwrap_or(UNKNOWN).as_ptr() })
}

/// The text of the last call that failed on this thread, or "" if none did. A convenience: the
/// error argument of each call is the surer way. The text is valid until another call fails on
/// this thread or the thread ends; it is not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn raftcore_last_error() -> *const c_char {
    guard!(else UNKNOWN.as_ptr(), { LAST.with(|last| last.0.get().cast_const().cast()) })
}

const UNKNOWN: &CStr = c"unknown status";

type Message = [c_char; RAFTCORE_ERROR_MESSAGE_SIZE];

/// The text of the last failure on this thread. It has no destructor, so that it can be read
/// whatever else the thread is just tearing down.
struct Last(UnsafeCell<Message>);

thread_local! {
    static LAST: Last = const { Last(UnsafeCell::new([0; RAFTCORE_ERROR_MESSAGE_SIZE])) };
}

/// Why an export fails. One word, because it travels with every result, and most are none.
#[derive(Debug)]
pub(crate) struct Failure(Box<Reason>);

/// What `raftcore_error` says, before it is cut to size.
#[derive(Debug)]
struct Reason {
    status: raftcore_status,
    detail: i32,
    text: Cow<'static, str>,
}

impl Failure {
    #[cold]
    pub(crate) fn new(status: raftcore_status, text: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Reason { status, detail: 0, text: text.into() }))
    }

    pub(crate) fn with_detail(mut self, detail: i32) -> Self {
        self.0.detail = detail;
        self
    }

    /// Something was NULL.
    #[cold]
    pub(crate) fn null(name: &str) -> Self {
        Self::new(status::RAFTCORE_ERR_NULL, format!("{name} is NULL"))
    }

    /// A number means nothing.
    #[cold]
    pub(crate) fn number(name: &str, got: impl fmt::Display) -> Self {
        Self::new(status::RAFTCORE_ERR_ENUM, format!("{name}: {got} has no meaning here"))
    }

    /// The operating system said no just now.
    pub(crate) fn os(what: &str) -> Self {
        let error = io::Error::last_os_error();
        let errno = error.raw_os_error().unwrap_or_default();
        Self::new(status::RAFTCORE_ERR_OS, format!("{what}: {error}")).with_detail(errno)
    }

    pub(crate) const fn status(&self) -> raftcore_status {
        self.0.status
    }

    pub(crate) fn into_text(self) -> String {
        self.0.text.into_owned()
    }
}

impl From<raftcore::Error> for Failure {
    #[cold]
    fn from(error: raftcore::Error) -> Self {
        let (number, detail) = status::of(&error);
        Self::new(number, error.to_string()).with_detail(detail)
    }
}

impl From<raftcore::StorageError> for Failure {
    fn from(error: raftcore::StorageError) -> Self {
        raftcore::Error::from(error).into()
    }
}

impl From<raftcore::DecodeError> for Failure {
    fn from(error: raftcore::DecodeError) -> Self {
        raftcore::Error::from(error).into()
    }
}

/// Whether an error argument can be written to.
///
/// # Safety
/// `error` is NULL or points to a `raftcore_error` whose `struct_size` is set.
pub(crate) unsafe fn check_argument(error: *const raftcore_error) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: as promised by the caller.
    unsafe { sized::check(error, "error") }.map(drop)
}

/// Tells a failure to the caller: in its error argument, and as this thread's last error.
///
/// # Safety
/// As for [`check_argument`].
pub(crate) unsafe fn deliver(error: *mut raftcore_error, failure: &Failure) {
    let mut text = Text::new();
    // Cut when it is too long.
    let _ = text.write_str(&failure.0.text);
    let message = text.to_chars();
    // SAFETY: the cell belongs to this thread and no reference into it is kept.
    LAST.with(|last| unsafe { last.0.get().write(message) });
    // SAFETY: as promised by the caller.
    let error = unsafe { sized::optional_out(error, "error") };
    // One whose size is wrong is not written.
    if let Ok(Some(error)) = error {
        let Reason { status, detail, .. } = *failure.0;
        let struct_size = size_of::<raftcore_error>();
        error.write(raftcore_error { struct_size, status, detail, message });
    }
}

impl raftcore_error {
    /// One that can be filled.
    pub(crate) const fn empty() -> Self {
        let struct_size = size_of::<Self>();
        Self { struct_size, status: 0, detail: 0, message: [0; RAFTCORE_ERROR_MESSAGE_SIZE] }
    }

    /// The text, up to its NUL.
    pub(crate) fn text(&self) -> String {
        let bytes: Vec<u8> =
            self.message.iter().map(|c| *c as u8).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
