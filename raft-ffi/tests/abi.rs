//! The header, the library and the committed list of exports say the same, and every export is
//! guarded. What a test can compare is never kept in step by hand.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn header() -> String {
    fs::read_to_string(root().join("include/raftcore.h")).unwrap()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}");
    output
}

#[test]
fn the_header_is_current() {
    let fresh = raftcore_header::generate(&root()).unwrap();
    let committed = header();
    let differing = fresh.lines().zip(committed.lines()).position(|(new, old)| new != old);
    if fresh != committed {
        let line = differing.map_or(0, |at| at + 1);
        panic!("include/raftcore.h is stale (first at line {line}): run `make header`");
    }
}

#[test]
fn the_header_fits_the_page_and_is_ascii() {
    for (number, line) in header().lines().enumerate() {
        assert!(line.len() <= 100 && line.is_ascii(), "raftcore.h:{}: {line}", number + 1);
    }
}

/// The functions that the header declares; those it defines itself are not exported.
fn declared() -> BTreeSet<String> {
    let header = header();
    let code = header.lines().filter(|line| !line.trim_start().starts_with(['/', '*']));
    let declarations = code.filter(|line| !line.starts_with([' ', '#']) && !line.contains("(*"));
    let mut names = BTreeSet::new();
    let mut is_inline = false;
    for line in declarations {
        is_inline |= line.starts_with("static inline");
        if let Some((before, _)) = line.split_once('(') {
            let name = before.rsplit([' ', '*']).next().unwrap_or_default();
            if !std::mem::take(&mut is_inline) {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

/// The C tests, one after the other.
fn tests_in_c() -> String {
    let mut all = String::new();
    for folder in ["raft-ffi/tests/c", "raft-ffi/tests/c/guarding"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "c" || kind == "h") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

/// Every way to fail is met by a C test: each status, and each reason that stands behind one. What
/// a callback of a test returns, or a comment names, is met by nobody.
#[test]
fn every_error_is_tested_in_c() {
    let tests = tests_in_c().replace("return RAFTCORE_", "");
    let tests: String = tests.split("/*").map(|part| part.split("*/").last().unwrap()).collect();
    let words: BTreeSet<&str> =
        tests.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let header = header();
    let defines = header.lines().filter_map(|line| line.strip_prefix("#define "));
    let names: Vec<&str> = defines.filter_map(|line| line.split_whitespace().next()).collect();
    let mut errors = 0;
    for kind in ["ERR", "REFUSAL", "DROP", "CONFIG"] {
        let prefix = format!("RAFTCORE_{kind}_");
        for name in names.iter().filter(|name| name.starts_with(&prefix)) {
            // What has no number of its own yet.
            if !name.ends_with("_OTHER") {
                assert!(words.contains(name), "{name} is met by no test");
                errors += 1;
            }
        }
    }
    assert!(errors > 60, "{errors}");
}

/// Every export is called by a C test, and one that can fail is called with NULL in `null.c`.
#[test]
fn every_export_is_tested_in_c() {
    let all = tests_in_c();
    let null = fs::read_to_string(root().join("raft-ffi/tests/c/null.c")).unwrap();
    let header = header();
    for name in declared() {
        assert!(all.contains(&format!("{name}(")), "{name} is called by no test");
        let can_fail = header.contains(&format!("raftcore_status {name}("));
        assert!(!can_fail || null.contains(&format!("{name}(")), "{name} is not in null.c");
    }
}

/// Who hands something out says whose it is, in the same words everywhere.
#[test]
fn every_function_says_who_owns_what_it_hands_out() {
    let header = header();
    let mut said = 0;
    for name in declared() {
        let (before, after) = header.split_once(&format!("{name}(")).unwrap();
        let doc = before.rsplit("\n\n").next().unwrap().replace("\n/// ", " ");
        let arguments = after.split_once(");").unwrap().0;
        let words = if arguments.contains("raftcore_buffer *out") {
            "The caller owns the buffer and frees it with raftcore_buffer_free."
        } else if arguments.contains("raftcore_ready **") {
            "belongs to the node and is valid until it is given back"
        } else if arguments.contains("const int32_t **") {
            "belongs to the node, until that is destroyed"
        } else if arguments.contains("**") {
            "owns"
        } else {
            continue;
        };
        assert!(doc.contains(words), "{name} does not say: {words}");
        let is_object = words == "owns";
        let frees = ["frees it with raftcore_", "frees them with raftcore_"];
        assert!(!is_object || frees.iter().any(|words| doc.contains(words)), "{name}: {doc}");
        said += 1;
    }
    assert!(said > 25, "{said}");
}

/// What cannot be called from C, and why.
const NOT_IN_C: [(&str, &str); 11] = [
    ("node::fault_with", "for the boundary itself"),
    ("node::give_back", "a Ready in C belongs to its node"),
    ("node::lend", "a Ready in C belongs to its node"),
    ("node::storage", "the program has the storage"),
    ("node::storage_mut", "the program has the storage"),
    ("node::randomized_election_timeout", "hidden: for judges"),
    ("node::set_randomized_election_timeout", "hidden: for scenarios"),
    ("node::last_position", "hidden: for judges"),
    ("node::term_at", "hidden: for judges"),
    ("wire::encode_into", "a Ready's messages are encoded"),
    ("wire::encoded_len", "a Ready's messages are encoded"),
];

/// Names that C has in another form.
const RENAMED: [(&str, &str); 30] = [
    ("node::new", "raftcore_node_create"),
    ("node::step_encoded", "raftcore_node_step"),
    ("node::step", "raftcore_node_step_messages"),
    ("node::propose_checked", "raftcore_node_propose_many"),
    ("node::id", "raftcore_node_status"),
    ("node::basic_status", "raftcore_node_status"),
    ("node::soft_state", "raftcore_node_status"),
    ("node::hard_state", "raftcore_node_status"),
    ("node::fault", "raftcore_node_describe"),
    ("node::set_observer", "raftcore_node_set_log"),
    ("memory::new", "raftcore_storage_create_memory"),
    ("memory::with_conf_state", "raftcore_storage_create_memory"),
    ("memory::persist", "raftcore_node_persist"),
    ("memory::persist_taking", "raftcore_node_persist"),
    ("memory::hard_state", "raftcore_storage_initial_state"),
    ("wire::encode", "raftcore_message_encode"),
    ("wire::decode", "raftcore_message_decode"),
    ("wire::decode_entry", "raftcore_entries_decode"),
    ("describe::message", "raftcore_message_describe"),
    ("describe::entry", "raftcore_entries_describe"),
    ("describe::entries", "raftcore_entries_describe"),
    ("describe::hard_state", "raftcore_hard_state_describe"),
    ("describe::soft_state", "raftcore_node_describe"),
    ("describe::role", "raftcore_role_text"),
    ("describe::conf_state", "raftcore_conf_state_describe"),
    ("describe::snapshot", "raftcore_snapshot_describe"),
    ("describe::conf_change", "raftcore_conf_change_describe"),
    ("describe::changes", "raftcore_conf_change_describe"),
    ("describe::read_states", "raftcore_node_describe_ready"),
    ("describe::quoted", "raftcore_entries_describe"),
];

#[test]
fn everything_that_the_core_can_do_can_be_done_from_c() {
    let declared = declared();
    let rooms = [
        ("node", "node.rs"),
        ("memory", "log/memory.rs"),
        ("wire", "wire/encode.rs"),
        ("wire", "wire/decode.rs"),
        ("describe", "describe.rs"),
    ];
    let mut seen = BTreeSet::new();
    for (room, file) in rooms {
        let source = fs::read_to_string(root().join("raft-core/src").join(file)).unwrap();
        for line in source.lines() {
            let line = line.trim_start().replace("pub const fn", "pub fn");
            let Some(rest) = line.strip_prefix("pub fn ") else { continue };
            let name = rest.split(['(', '<']).next().unwrap();
            let full = format!("{room}::{name}");
            // decode_conf_state is raftcore_conf_state_decode.
            let export = match (room, name.split_once('_')) {
                ("node", _) => format!("raftcore_node_{name}"),
                ("memory", _) => format!("raftcore_storage_{name}"),
                (_, Some((verb, object))) => format!("raftcore_{object}_{verb}"),
                _ => String::new(),
            };
            let renamed = RENAMED.iter().find(|(known, _)| *known == full);
            let export = renamed.map_or(export, |(_, export)| (*export).to_owned());
            let left_out = NOT_IN_C.iter().any(|(known, _)| *known == full);
            assert!(declared.contains(&export) != left_out, "{full}: {export}");
            seen.insert(full);
        }
    }
    assert!(seen.len() > 50, "{seen:?}");
    for (name, _) in RENAMED.iter().chain(&NOT_IN_C) {
        assert!(seen.contains(*name), "{name} is gone");
    }
}

/// The library, built as this test was.
fn library() -> PathBuf {
    // target/<profile>/deps/abi-<hash>
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().to_owned();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "raftcore-ffi", "--target-dir"]);
    build.arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        build.arg("--release");
    }
    run(build.current_dir(env!("CARGO_MANIFEST_DIR")));
    folder.join("libraftcore.so")
}

#[test]
#[cfg(target_os = "linux")]
fn exports_are_those_of_the_header_and_of_the_list() {
    let output = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library()));
    let text = String::from_utf8(output.stdout).unwrap();
    let exported: BTreeSet<String> =
        text.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect();
    let declared = declared();
    assert_eq!(exported, declared, "the library's exports and the header's functions");
    let list = fs::read_to_string(root().join("raft-ffi/exports.txt")).unwrap();
    let listed: BTreeSet<String> = list.lines().map(str::to_owned).collect();
    let mut difference = String::new();
    for name in declared.symmetric_difference(&listed) {
        let sign = if listed.contains(name) { '-' } else { '+' };
        let _ = writeln!(difference, "{sign}{name}");
    }
    assert!(difference.is_empty(), "raft-ffi/exports.txt differs:\n{difference}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_library_carries_its_abi_version_in_its_name() {
    let output = run(Command::new("readelf").arg("-d").arg(library()));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Library soname: [libraftcore.so.0]"), "{text}");
}

#[test]
fn every_export_is_one_guard() {
    let mut exports = 0;
    for entry in fs::read_dir(root().join("raft-ffi/src")).unwrap() {
        let path = entry.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        let mut parts = source.split("#[unsafe(no_mangle)]\n");
        parts.next();
        for part in parts {
            exports += 1;
            let (signature, rest) = part.split_once("{\n").unwrap();
            let body = rest.split("\n}\n").next().unwrap();
            let guards = body.matches("guard!(").count();
            let first = body.lines().map(str::trim).find(|line| !line.starts_with("//"));
            let begins = first.is_some_and(|line| line.starts_with("guard!("));
            assert!(begins && guards == 1, "{}: {signature}", path.display());
            let is_c = signature.contains("extern \"C\" fn raftcore_");
            assert!(is_c && !signature.contains(['&', '<']), "{}: {signature}", path.display());
            assert!(!signature.contains("bool"), "{}: {signature}", path.display());
        }
    }
    assert_eq!(exports, declared().len());
}
