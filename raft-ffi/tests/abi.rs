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

/// A folder of this test's own, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("raftcore-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
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

#[test]
fn the_header_compiles_alone_and_twice_in_every_dialect() {
    let scratch = Scratch::new("header");
    let include = root().join("include");
    let once = "#include <raftcore.h>\nint main(void) { return 0; }\n";
    let twice = format!("#include <raftcore.h>\n{once}");
    let dialects = [
        ("cc", "c", ["c99", "c11", "c17", "gnu17"].as_slice()),
        ("c++", "c++", ["c++11", "c++14", "c++17", "c++20"].as_slice()),
    ];
    for (compiler, language, standards) in dialects {
        for standard in standards {
            for (name, text) in [("once", once), ("twice", twice.as_str())] {
                let source = scratch.file(name, text);
                run(Command::new(compiler)
                    .args(["-x", language, "-fsyntax-only"])
                    .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"])
                    .arg(format!("-std={standard}"))
                    .arg("-I")
                    .arg(&include)
                    .arg(source));
            }
        }
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
