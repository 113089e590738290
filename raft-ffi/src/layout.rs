//! The structs have the same layout in C as here, and no byte of padding, in which a field that is
//! added later could hide from `struct_size`.

use std::fmt::Write as _;
use std::process::Command;

use crate::config::raftcore_config;
use crate::entry::{raftcore_entries, raftcore_entry, raftcore_hard_state};
use crate::error::raftcore_error;
use crate::inspect::{
    raftcore_details, raftcore_metrics, raftcore_node_state, raftcore_progress, raftcore_progresses,
};
use crate::membership::{raftcore_conf_change, raftcore_conf_change_step, raftcore_conf_state};
use crate::message::{raftcore_message, raftcore_messages};
use crate::node::raftcore_peer;
use crate::propose::raftcore_proposed;
use crate::ready::{
    raftcore_read_state, raftcore_read_states, raftcore_ready, raftcore_soft_state,
};
use crate::slice::{raftcore_buffer, raftcore_ids, raftcore_slice};
use crate::snapshot::raftcore_snapshot;
use crate::storage_callbacks::raftcore_storage_callbacks;

/// A struct as Rust lays it out.
struct Layout {
    name: &'static str,
    size: usize,
    /// Name, offset, size.
    fields: Vec<(&'static str, usize, usize)>,
}

const fn size_behind<T>(_: *const T) -> usize {
    size_of::<T>()
}

macro_rules! layouts {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {
        vec![$({
            let it = std::mem::MaybeUninit::<$name>::uninit();
            let at = it.as_ptr();
            Layout {
                name: stringify!($name),
                size: size_of::<$name>(),
                fields: vec![$((
                    stringify!($field),
                    std::mem::offset_of!($name, $field),
                    // SAFETY: the address of a field of a value that is there; it is not read.
                    size_behind(unsafe { &raw const (*at).$field }),
                )),+],
            }
        }),+]
    };
}

fn layouts() -> Vec<Layout> {
    layouts! {
        raftcore_error { struct_size, status, detail, message }
        raftcore_slice { data, len }
        raftcore_ids { items, count }
        raftcore_buffer { data, len, owner }
        raftcore_entry { term, index, data, kind, reserved }
        raftcore_entries { items, count, stride }
        raftcore_hard_state { term, vote, commit }
        raftcore_conf_state {
            struct_size, voters, learners, voters_outgoing, learners_next, auto_leave, reserved,
        }
        raftcore_conf_change_step { node, kind, reserved }
        raftcore_conf_change { struct_size, form, transition, steps, step_count, context, id }
        raftcore_snapshot { struct_size, index, term, conf_state, data }
        raftcore_message {
            to, from, term, log_term, index, commit, vote, reject_hint, kind, reject, encoded,
            context, entries, snapshot, response_number,
        }
        raftcore_messages { items, count, stride }
        raftcore_config {
            struct_size, id, seed, applied, max_message_bytes, max_committed_bytes_per_ready,
            max_uncommitted_bytes, max_inflight_messages, max_inflight_bytes, max_pending_reads,
            election_timeout_ticks, heartbeat_interval_ticks, read_only, message_forms,
            check_quorum, pre_vote, forward_proposals, validate_conf_changes,
            step_down_on_removal, votes_wait_for_sync, async_storage_writes,
            coalesce_appends, auto_persist, reserved,
        }
        raftcore_storage_callbacks {
            struct_size, user_data, initial_state, entries, term, first_index, last_index,
            snapshot, finalizer,
        }
        raftcore_peer { id, context }
        raftcore_proposed { struct_size, outcome, replace_reason, term, first, last, leader }
        raftcore_soft_state { leader, role, reserved }
        raftcore_read_state { index, context }
        raftcore_read_states { items, count, stride }
        raftcore_ready {
            struct_size, number, soft_state, hard_state, snapshot, entries, committed, messages,
            messages_after_sync, read_states, must_sync, reserved, messages_after_apply,
        }
        raftcore_node_state {
            struct_size, id, term, vote, commit, applied, leader, first_index, last_index,
            transferring_to, pending_reads, uncommitted_bytes, role, faulted, has_ready, reserved,
        }
        raftcore_progress {
            id, match_index, next_index, pending_snapshot, inflight_messages, inflight_bytes,
            state, is_learner, recent_active, is_paused, flow_paused, reserved,
        }
        raftcore_progresses { items, count, stride }
        raftcore_details { struct_size, state, membership, progress }
        raftcore_metrics {
            struct_size, elections, leaderships, proposals, proposals_dropped,
            conf_changes_replaced, committed, reads_confirmed, snapshots_sent, snapshots_restored,
            sends_skipped, received, sent, refused,
        }
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn no_struct_has_padding() {
    for layout in layouts() {
        let mut end = 0;
        for (field, offset, size) in layout.fields {
            assert_eq!(offset, end, "{}.{field}", layout.name);
            end = offset + size;
        }
        assert_eq!(layout.size, end, "{}", layout.name);
    }
}

/// The numbers that `make abi` compares with what C compilers say of the header.
#[test]
#[cfg(target_pointer_width = "64")]
fn the_layout_is_the_committed_one() {
    let committed = include_str!("../../tests/abi/abi.txt");
    let of_structs = |line: &&str| line.starts_with("struct ") || line.starts_with("  ");
    let mut committed = committed.lines().filter(of_structs);
    let mut layouts = layouts();
    let mut names = Vec::new();
    while let Some(line) = committed.next() {
        let words: Vec<_> = line.split_whitespace().collect();
        let at = layouts.iter().position(|layout| layout.name == words[1]);
        let layout = layouts.remove(at.unwrap_or_else(|| panic!("{line}: unknown or twice")));
        assert_eq!(layout.size.to_string(), words[2], "{line}");
        for (field, offset, size) in layout.fields {
            let line = committed.next().unwrap_or_default();
            assert_eq!(line.trim(), format!("{field} {offset} {size}"), "{}", layout.name);
        }
        names.push(layout.name);
    }
    assert!(layouts.is_empty() && !names.is_empty(), "structs that abi.txt does not have");
}

#[test]
fn every_struct_of_the_header_is_here() {
    let header = include_str!("../../include/raftcore.h");
    let here: Vec<_> = layouts().iter().map(|layout| layout.name).collect();
    for line in header.lines() {
        let Some(rest) = line.strip_prefix("typedef struct ") else { continue };
        if let Some(name) = rest.strip_suffix(" {") {
            assert!(here.contains(&name), "{name}");
        }
    }
}

#[test]
fn c_sees_the_same_layout() {
    let mut source = String::from("#include <stddef.h>\n#include \"raftcore.h\"\n");
    let mut number = 0;
    let mut claim = |claim: String| {
        number += 1;
        let _ = writeln!(source, "typedef char claim_{number}[({claim}) ? 1 : -1];");
    };
    for layout in layouts() {
        let name = layout.name;
        claim(format!("sizeof({name}) == {}", layout.size));
        for (field, offset, size) in layout.fields {
            claim(format!("offsetof({name}, {field}) == {offset}"));
            claim(format!("sizeof((({name} *)0)->{field}) == {size}"));
        }
    }
    let path = std::env::temp_dir().join(format!("raftcore-layout-{}.c", std::process::id()));
    std::fs::write(&path, source).unwrap();
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../include");
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let output = Command::new(cc)
        .args(["-std=c99", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", include])
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
