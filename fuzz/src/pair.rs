//! Each member twice: as a Rust node, and as a node behind the C API. Both are told the same, in
//! the forms of each, and must answer the same: Readies, messages, states, errors. In the end all
//! that the C API allocated is free again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{CStr, c_void};
use std::mem::zeroed;
use std::ptr::{null, null_mut};
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use raftcore::{
    AnyConfChange, ConfState, Config, Error, Index, MemoryStorage, Node, NodeId, SnapshotStatus,
    wire,
};
use raftcore_capi::config::{raftcore_config, raftcore_config_init};
use raftcore_capi::describe::raftcore_node_describe;
use raftcore_capi::error::raftcore_error;
use raftcore_capi::inspect::{raftcore_node_state, raftcore_node_status};
use raftcore_capi::membership::{
    raftcore_conf_change, raftcore_conf_change_decode, raftcore_conf_change_destroy,
    raftcore_conf_state, raftcore_conf_state_destroy,
};
use raftcore_capi::message::raftcore_messages;
use raftcore_capi::node::*;
use raftcore_capi::propose::*;
use raftcore_capi::ready::*;
use raftcore_capi::slice::{raftcore_buffer, raftcore_buffer_free, raftcore_ids};
use raftcore_capi::step::{raftcore_node_step, raftcore_node_step_packed};
use raftcore_capi::storage::*;

use crate::conf_change;

/// Counts what is allocated and not freed. C programs have valgrind for that.
struct Counting;

static LIVE: AtomicI64 = AtomicI64::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[derive(Arbitrary, Debug)]
enum Act {
    Tick {
        node: u8,
        times: u8,
    },
    Campaign {
        node: u8,
    },
    Propose {
        node: u8,
        bytes: Vec<u8>,
    },
    Change {
        node: u8,
        transition: u8,
        steps: Vec<(u8, u8)>,
    },
    Read {
        node: u8,
        context: Vec<u8>,
    },
    Transfer {
        node: u8,
        to: u8,
    },
    Forget {
        node: u8,
    },
    Unreachable {
        node: u8,
        member: u8,
    },
    Snapshot {
        node: u8,
        member: u8,
        failed: bool,
    },
    Deliver {
        at: u8,
        packed: bool,
    },
    Lose {
        at: u8,
    },
    Bytes {
        node: u8,
        bytes: Vec<u8>,
    },
    Work {
        node: u8,
    },
    Compact {
        node: u8,
    },
    /// Calls that C can make and Rust cannot: refused, and nothing happens.
    Misuse {
        node: u8,
        how: u8,
    },
}

struct Pair {
    rust: Node<MemoryStorage>,
    c: *mut raftcore_node,
    storage: *mut raftcore_storage,
    applied: Index,
}

/// Plays an input.
pub fn play(data: &[u8]) {
    // What a thread keeps for good, it keeps from its first failed call on.
    static WARM: AtomicBool = AtomicBool::new(false);
    if !WARM.swap(true, Ordering::Relaxed) {
        play_once(&[]);
    }
    let before = LIVE.load(Ordering::Relaxed);
    play_once(data);
    assert_eq!(LIVE.load(Ordering::Relaxed), before, "something was not freed");
}

fn play_once(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let (pre_vote, check_quorum) = input.arbitrary().unwrap_or_default();
    let mut pairs: Vec<Pair> = (1..=3).map(|id| Pair::new(id, pre_vote, check_quorum)).collect();
    let mut in_flight: Vec<(usize, Bytes)> = Vec::new();
    pairs[0].misuse(0);
    for _ in 0..200 {
        let Ok(act) = input.arbitrary::<Act>() else { break };
        perform(&mut pairs, &mut in_flight, act);
    }
}

fn perform(pairs: &mut [Pair], in_flight: &mut Vec<(usize, Bytes)>, act: Act) {
    let at = |node: u8| usize::from(node % 3);
    match act {
        Act::Deliver { at, packed } if !in_flight.is_empty() => {
            let (to, bytes) = in_flight.remove(usize::from(at) % in_flight.len());
            if let Some(pair) = pairs.get_mut(to) {
                if packed { pair.step_packed(&bytes) } else { pair.step(&bytes) }
            }
        }
        Act::Lose { at } if !in_flight.is_empty() => {
            in_flight.remove(usize::from(at) % in_flight.len());
        }
        Act::Deliver { .. } | Act::Lose { .. } => {}
        Act::Bytes { node, bytes } => pairs[at(node)].step(&bytes.into()),
        Act::Work { node } => {
            pairs[at(node)].work(in_flight);
            let extra = in_flight.len().saturating_sub(128);
            in_flight.drain(..extra);
        }
        Act::Tick { node, times } => (0..times % 16).for_each(|_| pairs[at(node)].tick()),
        Act::Compact { node } => pairs[at(node)].compact(),
        Act::Misuse { node, how } => pairs[at(node)].misuse(how),
        Act::Propose { node, bytes } => pairs[at(node)].propose(&bytes),
        Act::Change { node, transition, steps } => {
            pairs[at(node)].change(&AnyConfChange::Many(conf_change(transition, &steps)));
        }
        Act::Campaign { node }
        | Act::Forget { node }
        | Act::Read { node, .. }
        | Act::Transfer { node, .. }
        | Act::Unreachable { node, .. }
        | Act::Snapshot { node, .. } => pairs[at(node)].call(&act),
    }
}

/// An error that C can have filled in.
fn no_error() -> raftcore_error {
    // SAFETY: numbers and characters.
    let mut error: raftcore_error = unsafe { zeroed() };
    error.struct_size = size_of::<raftcore_error>();
    error
}

/// Whether both succeeded, or both failed with the same words.
fn compare<T>(rust: &Result<T, Error>, status: i32, error: &raftcore_error) {
    match rust {
        Ok(_) => assert_eq!(status, 0),
        Err(expected) => {
            assert!(status < 0, "{status}, {expected}");
            assert_eq!(error.status, status);
            // SAFETY: ended by NUL.
            let text = unsafe { CStr::from_ptr(error.message.as_ptr()) }.to_string_lossy();
            let expected = expected.to_string();
            let (text, expected) = (text.trim_end_matches('\u{fffd}'), expected.as_str());
            assert!(expected.starts_with(text) && !text.is_empty(), "{text}, in Rust {expected}");
        }
    }
}

fn taken(buffer: &mut raftcore_buffer) -> Vec<u8> {
    // SAFETY: filled by a call that succeeded.
    unsafe {
        let bytes = slice::from_raw_parts(buffer.data, buffer.len).to_vec();
        raftcore_buffer_free(buffer);
        bytes
    }
}

impl Pair {
    fn new(id: u64, pre_vote: bool, check_quorum: bool) -> Self {
        let mut config = Config::new(id, 7 * id);
        config.election_timeout_ticks = 4;
        (config.pre_vote, config.check_quorum) = (pre_vote, check_quorum);
        let members = ConfState::with_voters(1..=3);
        let rust = Node::new(&config, MemoryStorage::with_conf_state(members.clone()))
            .expect("a valid configuration");
        // SAFETY: every pointer is to something that lives, and outputs are ours.
        unsafe {
            let mut other: raftcore_config = zeroed();
            assert_eq!(raftcore_config_init(&mut other, size_of_val(&other), null_mut()), 0);
            (other.id, other.seed, other.election_timeout_ticks) = (id, 7 * id, 4);
            (other.pre_vote, other.check_quorum) = (pre_vote.into(), check_quorum.into());
            let state = conf_state(&members.voters);
            let (mut storage, mut c) = (null_mut(), null_mut());
            let mut error = no_error();
            assert_eq!(raftcore_storage_create_memory(&state, &mut storage, &mut error), 0);
            assert_eq!(raftcore_node_create(&other, storage, &mut c, &mut error), 0);
            Self { rust, c, storage, applied: Index::ZERO }
        }
    }

    fn tick(&mut self) {
        let mut error = no_error();
        // SAFETY: our node, our error.
        let status = unsafe { raftcore_node_tick(self.c, &mut error) };
        compare(&self.rust.tick(), status, &error);
    }

    fn step(&mut self, bytes: &Bytes) {
        let mut error = no_error();
        // SAFETY: as above, and bytes that live.
        let status =
            unsafe { raftcore_node_step(self.c, bytes.as_ptr().cast(), bytes.len(), &mut error) };
        compare(&self.rust.step_encoded(bytes.clone()), status, &error);
        self.check_state();
    }

    /// The same message twice in one package.
    fn step_packed(&mut self, bytes: &Bytes) {
        let (packed, lengths) = ([&bytes[..], bytes].concat(), [bytes.len() as u64; 2]);
        let (mut statuses, mut error) = ([1; 2], no_error());
        // SAFETY: as above; there is a status for each.
        unsafe {
            let (data, len) = (packed.as_ptr().cast(), packed.len());
            let (each, out) = (lengths.as_ptr(), statuses.as_mut_ptr());
            raftcore_node_step_packed(self.c, data, len, each, 2, out, &mut error);
        }
        for status in statuses {
            let rust = self.rust.step_encoded(bytes.clone());
            assert_eq!(rust.is_ok(), status == 0, "{rust:?}, {status}");
        }
        self.check_state();
    }

    fn propose(&mut self, bytes: &[u8]) {
        let mut error = no_error();
        // SAFETY: as above; `out` may be NULL.
        let status = unsafe {
            let data: *const c_void = if bytes.is_empty() { null() } else { bytes.as_ptr().cast() };
            raftcore_node_propose(self.c, data, bytes.len(), null_mut(), &mut error)
        };
        compare(&self.rust.propose(bytes.to_vec()), status, &error);
    }

    fn change(&mut self, change: &AnyConfChange) {
        let (kind, data) = wire::encode_conf_change(change);
        let mut error = no_error();
        // SAFETY: as above; what is decoded is ours until it is destroyed.
        let status = unsafe {
            let mut decoded: *mut raftcore_conf_change = null_mut();
            let (bytes, len) = (data.as_ptr().cast(), data.len());
            let made =
                raftcore_conf_change_decode(kind as i32, bytes, len, &mut decoded, &mut error);
            assert_eq!(made, 0);
            let status = raftcore_node_propose_conf_change(self.c, decoded, null_mut(), &mut error);
            raftcore_conf_change_destroy(decoded);
            status
        };
        compare(&self.rust.propose_conf_change(change), status, &error);
    }

    fn call(&mut self, act: &Act) {
        let mut error = no_error();
        let (c, at) = (self.c, &raw mut error);
        let id = |number: &u8| NodeId::new(u64::from(*number % 4) + 1).expect("above zero");
        // SAFETY: as above.
        let (rust, status) = unsafe {
            match act {
                Act::Campaign { .. } => (self.rust.campaign(), raftcore_node_campaign(c, at)),
                Act::Forget { .. } => {
                    (self.rust.forget_leader(), raftcore_node_forget_leader(c, at))
                }
                Act::Read { context, .. } => {
                    let (data, len) = (context.as_ptr().cast(), context.len());
                    let status = raftcore_node_read_index(c, data, len, at);
                    (self.rust.read_index(context.clone()), status)
                }
                Act::Transfer { to, .. } => {
                    let status = raftcore_node_transfer_leader(c, id(to).get(), at);
                    (self.rust.transfer_leader(id(to)), status)
                }
                Act::Unreachable { member, .. } => {
                    let status = raftcore_node_report_unreachable(c, id(member).get(), at);
                    (self.rust.report_unreachable(id(member)), status)
                }
                Act::Snapshot { member, failed, .. } => {
                    let (rust, number) = if *failed {
                        (SnapshotStatus::Failed, RAFTCORE_SNAPSHOT_FAILED)
                    } else {
                        (SnapshotStatus::Finished, RAFTCORE_SNAPSHOT_FINISHED)
                    };
                    let status = raftcore_node_report_snapshot(c, id(member).get(), number, at);
                    (self.rust.report_snapshot(id(member), rust), status)
                }
                _ => return,
            }
        };
        compare(&rust, status, &error);
        self.check_state();
    }

    /// Both do what they are ready for, and it is the same.
    fn work(&mut self, out: &mut Vec<(usize, Bytes)>) {
        let mut error = no_error();
        let mut other: *const raftcore_ready = null();
        // SAFETY: as above; a Ready lives until it is advanced.
        unsafe {
            assert_eq!(raftcore_node_ready(self.c, &mut other, &mut error), 0);
            let Some(ready) = self.rust.ready().expect("memory can be read") else {
                assert!(other.is_null());
                return;
            };
            let mut text: raftcore_buffer = zeroed();
            assert_eq!(raftcore_node_describe_ready(self.c, other, &mut text, &mut error), 0);
            assert_eq!(String::from_utf8(taken(&mut text)).as_ref(), Ok(&ready.describe()));
            let lists = [
                (&ready.messages, &(*other).messages),
                (&ready.messages_after_sync, &(*other).messages_after_sync),
            ];
            for (rust, c) in lists {
                assert_eq!(rust.len(), c.count);
                for (at, message) in rust.iter().enumerate() {
                    let encoded = encoded_at(c, at);
                    assert_eq!(wire::encode(message), encoded);
                    out.push((message.to.get() as usize - 1, encoded));
                }
            }
            assert_eq!(raftcore_node_persist(self.c, other, &mut error), 0);
            self.rust.storage_mut().persist(&ready).expect("memory takes all");
            if let Some(snapshot) = &ready.snapshot {
                self.applied = snapshot.index();
            }
            let committed = &(*other).committed;
            for (at, entry) in ready.committed.iter().enumerate() {
                self.applied = entry.index;
                if entry.is_conf_change() {
                    let item = committed.items.byte_add(at * committed.stride);
                    let mut state: *mut raftcore_conf_state = null_mut();
                    let status =
                        raftcore_node_apply_conf_change_entry(self.c, item, &mut state, &mut error);
                    let applied = self.rust.apply_conf_change_entry(entry);
                    compare(&applied, status, &error);
                    if let Ok(applied) = applied {
                        assert_eq!(numbers(&(*state).voters), applied.conf_state.voters);
                    }
                    raftcore_conf_state_destroy(state);
                }
            }
            let status = raftcore_node_advance(self.c, other, &mut error);
            compare(&self.rust.advance(ready), status, &error);
        }
        self.check_state();
    }

    fn compact(&mut self) {
        let (to, state) = (self.applied, self.rust.status().membership.to_conf_state());
        let rust = self.rust.storage_mut().create_snapshot(to, Some(state), "s");
        let rust_compacts = self.rust.storage_mut().compact(to);
        let mut error = no_error();
        // SAFETY: as above. Without a membership the storage takes its own.
        unsafe {
            let (data, none) = (b"s".as_ptr().cast(), null_mut());
            let voters = self.rust.status().membership.to_conf_state();
            let joint = !voters.voters_outgoing.is_empty() || !voters.learners.is_empty();
            let plain = conf_state(&voters.voters);
            let full = if joint { self.full_state(&voters) } else { plain };
            let status = raftcore_storage_create_snapshot(
                self.storage,
                to.0,
                &full,
                data,
                1,
                none,
                &mut error,
            );
            assert_eq!(rust.is_ok(), status == 0, "{rust:?}, {status}");
            let status = raftcore_storage_compact(self.storage, to.0, &mut error);
            assert_eq!(rust_compacts.is_ok(), status == 0, "{rust_compacts:?}, {status}");
        }
    }

    fn full_state(&self, state: &ConfState) -> raftcore_conf_state {
        raftcore_conf_state {
            learners: ids(&state.learners),
            voters_outgoing: ids(&state.voters_outgoing),
            learners_next: ids(&state.learners_next),
            auto_leave: state.auto_leave.into(),
            ..conf_state(&state.voters)
        }
    }

    /// Refused for what C alone can do wrong; the node stays what it was.
    fn misuse(&mut self, how: u8) {
        let mut error = no_error();
        let text = self.describe();
        // SAFETY: what the header allows to be wrong: NULL, sizes, numbers, foreign Readies.
        let status = unsafe {
            match how % 7 {
                0 => raftcore_node_tick(null_mut(), &mut error),
                1 => raftcore_node_step(self.c, null(), 5, &mut error),
                2 => raftcore_node_advance(self.c, (&raw const error).cast(), &mut error),
                3 => raftcore_node_persist(self.c, null(), &mut error),
                4 => raftcore_node_report_snapshot(self.c, 1, 99, &mut error),
                5 => raftcore_node_transfer_leader(self.c, 0, &mut error),
                _ => raftcore_storage_term(self.storage, u64::MAX, null_mut(), &mut error),
            }
        };
        assert!(status < 0 && error.status == status, "{how}: {status}");
        assert_eq!(self.describe(), text);
    }

    fn describe(&self) -> Vec<u8> {
        // SAFETY: as above.
        unsafe {
            let mut text: raftcore_buffer = zeroed();
            assert_eq!(raftcore_node_describe(self.c, &mut text, null_mut()), 0);
            taken(&mut text)
        }
    }

    fn check_state(&self) {
        let status = self.rust.status();
        // SAFETY: as above.
        let state = unsafe {
            let mut state: raftcore_node_state = zeroed();
            state.struct_size = size_of::<raftcore_node_state>();
            assert_eq!(raftcore_node_status(self.c, &mut state, null_mut()), 0);
            state
        };
        let (hard, soft) = (status.hard_state, status.soft_state);
        assert_eq!(state.term, hard.term.0);
        assert_eq!(state.vote, NodeId::or_zero(hard.vote));
        assert_eq!(state.commit, hard.commit.0);
        assert_eq!(state.leader, NodeId::or_zero(soft.leader));
        assert_eq!(state.role, soft.role as i32);
        assert_eq!((state.applied, state.last_index), (status.applied.0, status.last_index.0));
        assert_eq!(state.pending_reads, status.pending_reads as u64);
        assert_eq!(state.uncommitted_bytes, status.uncommitted_bytes);
        assert_eq!(state.has_ready != 0, self.rust.has_ready());
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe {
            raftcore_node_destroy(self.c);
            raftcore_storage_destroy(self.storage);
        }
    }
}

fn ids(ids: &[u64]) -> raftcore_ids {
    raftcore_ids { items: ids.as_ptr(), count: ids.len() }
}

/// Borrows from `voters`.
fn conf_state(voters: &[u64]) -> raftcore_conf_state {
    // SAFETY: numbers and (NULL, 0).
    let mut state: raftcore_conf_state = unsafe { zeroed() };
    (state.struct_size, state.voters) = (size_of::<raftcore_conf_state>(), ids(voters));
    state
}

/// # Safety
/// The list is one that the library filled.
unsafe fn numbers(list: &raftcore_ids) -> Vec<u64> {
    if list.count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(list.items, list.count) }.to_vec()
}

/// # Safety
/// The list is one of a Ready that is outstanding.
unsafe fn encoded_at(list: &raftcore_messages, at: usize) -> Bytes {
    // SAFETY: the caller's promise.
    unsafe {
        let message = &*list.items.byte_add(at * list.stride);
        let encoded = &message.encoded;
        Bytes::copy_from_slice(slice::from_raw_parts(encoded.data, encoded.len))
    }
}
