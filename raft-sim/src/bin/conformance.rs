//! Plays scenario files: `conformance [FOLDER]`.
//!
//! Without an argument the folder is the one that `RAFTCORE_CONFORMANCE_DIR` names, or else
//! `../shared/conformance` beside the repository, which may be missing. The project's own
//! scenarios are played in any case; with `REWRITE=1` their expected outputs are replaced by what
//! comes out, and nobody else's ever are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use raft_sim::scenario::{Folder, Report};

fn main() -> ExitCode {
    let asked_for =
        env::args_os().nth(1).or_else(|| env::var_os("RAFTCORE_CONFORMANCE_DIR")).map(PathBuf::from);
    let rewrite = env::var_os("REWRITE").is_some_and(|value| value == "1");
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = crate_folder.join("tests/scenarios");
    let shared = crate_folder.join("../../shared/conformance");
    let mut report = Report::default();
    match asked_for {
        Some(folder) => report.add(&play(&folder, false)),
        None if shared.is_dir() => report.add(&play(&shared, false)),
        None => println!("skipped: there is no {}", shared.display()),
    }
    report.add(&play(&own, rewrite));
    print!("{}", report.text);
    println!("{}", report.summary());
    if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays a folder; one that cannot be read counts as a failure.
fn play(folder: &Path, rewrite: bool) -> Report {
    match Folder::open(folder) {
        Ok(folder) => folder.rewriting(rewrite).play(),
        Err(error) => {
            Report { failed: 1, text: format!("{}: {error}\n", folder.display()), passed: 0 }
        }
    }
}
