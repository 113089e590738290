//! Whole clusters of raftcore nodes in one thread, for tests.
//!
//! [`scenario`] plays text files: a story of commands, each followed by what the nodes must have
//! answered, byte for byte. It is how this project shows that it decides as the other libraries
//! of its protocol family do. The crate knows raft-core's public door and nothing behind it.

pub mod scenario;
