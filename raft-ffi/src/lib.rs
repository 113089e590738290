//! libraftcore: the consensus core behind a stable C ABI.
//!
//! This crate translates; it decides nothing. Files that declare something for C are the chapters
//! of the header, in the order in which `tools/header` lists them: the public modules here. The
//! others are behind them: `guard` (every export runs under it), `handle` (a node behind its
//! lock), `ready_memory` and `ready_arrays` (Readies in C's form), `awaited` (what storage threads
//! owe), `message_in` and `message_scan` (messages from C), `alive` (what was destroyed), `sized`
//! (structs that grow), `owned` (objects for the caller to own), `backend` and `callbacks`
//! (storages), `readiness` (the descriptor), `journal` (the log).
//!
//! It is the only home of unsafe code, locks and descriptors. The rules, each of which a test
//! holds:
//!
//! - an export is `extern "C"`, begins with `raftcore_`, and its body is one `guard!`;
//! - its arguments are raw pointers and integers; nothing about them is believed before it is
//!   checked, except what the header asks of the caller;
//! - outputs are checked before anything is done and written after everything succeeded.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![allow(
    clippy::missing_safety_doc,
    reason = "what a caller must keep is said once for all exports, in the header's overview"
)]

#[macro_use]
mod guard;
#[macro_use]
mod sized;

mod alive;
mod awaited;
mod backend;
mod callbacks;
mod delivery;
#[cfg(feature = "guarding-allocator")]
mod guarding;
mod handle;
mod journal;
#[cfg(test)]
mod layout;
mod message_in;
mod message_scan;
mod owned;
#[cfg(feature = "planted-panics")]
mod planted;
mod readiness;
mod ready_arrays;
mod ready_memory;

pub mod async_writes;
pub mod config;
pub mod describe;
pub mod entry;
pub mod error;
pub mod inspect;
pub mod kept;
pub mod log;
pub mod membership;
pub mod message;
pub mod node;
mod payloads;
pub mod poll;
pub mod propose;
pub mod ready;
pub mod slice;
pub mod snapshot;
pub mod status;
pub mod step;
pub mod storage;
pub mod storage_callbacks;
pub mod version;
