//! Plays all scenarios: those that are given, as far as they are there, and the project's own.

use std::path::Path;

use raft_sim::scenario::Folder;

fn check(folder: &Path) {
    let report = Folder::open(folder).expect("the folder can be read").play();
    assert_eq!(report.failed, 0, "{}{}", report.text, report.summary());
    assert!(report.passed > 0, "no scenarios in {}", folder.display());
}

#[test]
fn the_given_scenarios_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    if folder.is_dir() {
        check(&folder);
    } else {
        println!("skipped: there is no {}", folder.display());
    }
}

#[test]
fn our_own_scenarios_pass() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios"));
}
