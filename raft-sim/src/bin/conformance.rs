//! Plays scenario files: `conformance [FOLDER or FILE]`.
//!
//! Without an argument the folder is the one that `RAFTCORE_CONFORMANCE_DIR` names, or else
//! `../shared/conformance` beside the repository, which may be missing. The project's own
//! scenarios are played along with any folder; a file is played alone. With `REWRITE=1` the
//! expected outputs of the project's own files are replaced by what comes out, and nobody else's
//! ever are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use raft_sim::scenario::{Folder, Report};

fn main() -> ExitCode {
    let named = env::args_os().nth(1).or_else(|| env::var_os("RAFTCORE_CONFORMANCE_DIR"));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = here.join("tests/scenarios");
    let shared = here.join("../../shared/conformance");
    let paths = match named.map(PathBuf::from) {
        Some(file) if file.is_file() => vec![file],
        Some(folder) => vec![folder, own.clone()],
        None if shared.is_dir() => vec![shared, own.clone()],
        None => {
            println!("skipped: there is no {}", shared.display());
            vec![own.clone()]
        }
    };
    let mut report = Report::default();
    for path in paths {
        let rewrite = env::var_os("REWRITE").is_some_and(|value| value == "1");
        report.add(&play(&path, rewrite && is_inside(&path, &own)));
    }
    print!("{}", report.text);
    println!("{}", report.summary());
    if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays a folder or file; one that cannot be read counts as a failure.
fn play(path: &Path, rewrite: bool) -> Report {
    match Folder::open(path) {
        Ok(folder) => folder.rewriting(rewrite).play(),
        Err(error) => {
            Report { failed: 1, text: format!("{}: {error}\n", path.display()), passed: 0 }
        }
    }
}

fn is_inside(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    }
}
