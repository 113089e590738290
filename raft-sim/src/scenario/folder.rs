//! A folder of scenario files, and how playing it is told.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::parser::{Directive, Script};
use super::{diff, play};

/// So many differences of one file are shown; what comes after is most often their consequence.
const SHOWN: usize = 3;

/// Scenario files to be played.
#[derive(Clone, Debug)]
pub struct Folder {
    files: Vec<PathBuf>,
    rewrite: bool,
}

/// How it went.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Report {
    /// Files in which every output was as expected.
    pub passed: usize,
    /// The other ones.
    pub failed: usize,
    /// What was different, to be read by people. Empty when nothing was.
    pub text: String,
}

impl Report {
    /// Adds what another folder came to.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.text.push_str(&other.text);
    }

    /// The last line of a run.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{} scenarios passed, {} failed", self.passed, self.failed)
    }
}

impl Folder {
    /// All `.txt` files in this folder and below it, by name. A path of a single file is that
    /// file.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        collect(path, &mut files)?;
        files.sort();
        Ok(Self { files, rewrite: false })
    }

    /// Writes what comes out into the files, in the place of what was expected. Only commit the
    /// changes if you understand what caused them.
    #[must_use]
    pub fn rewriting(mut self, rewrite: bool) -> Self {
        self.rewrite = rewrite;
        self
    }

    /// Plays every file. One that fails stops none of the others.
    #[must_use]
    pub fn play(&self) -> Report {
        let mut report = Report::default();
        for file in &self.files {
            match self.play_file(file) {
                Ok(()) => report.passed += 1,
                Err(text) => {
                    report.failed += 1;
                    report.text.push_str(&text);
                }
            }
        }
        report
    }

    fn play_file(&self, file: &Path) -> Result<(), String> {
        let name = file.display();
        let text = fs::read_to_string(file).map_err(|error| format!("{name}: {error}\n"))?;
        let script = Script::parse(&text).map_err(|error| format!("{name}: {error}\n"))?;
        if script.directives().is_empty() {
            return Err(format!("{name}: there is no directive in this file\n"));
        }
        let played = play(&script);
        let mut text = String::new();
        if let Some((line, problem)) = played.broken {
            text = format!("{name}:{line}: {problem}\n");
        } else if self.rewrite {
            let rewritten = script.with_outputs(&played.outputs);
            return fs::write(file, rewritten).map_err(|error| format!("{name}: {error}\n"));
        }
        text.insert_str(0, &differences(&name.to_string(), &script, &played.outputs));
        if text.is_empty() { Ok(()) } else { Err(text) }
    }
}

/// Shows where outputs are not what was expected.
fn differences(name: &str, script: &Script, outputs: &[String]) -> String {
    let pairs = script.directives().iter().zip(outputs);
    let different: Vec<_> = pairs.filter(|(directive, got)| directive.expected != **got).collect();
    let mut text = String::new();
    for (directive, got) in different.iter().take(SHOWN) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}:{}: {}", directive.line, headline(directive));
        let _ = writeln!(text, "--- expected\n+++ got");
        text.push_str(&diff::unified(&directive.expected, got));
        text.push('\n');
    }
    if different.len() > SHOWN {
        let more = different.len() - SHOWN;
        let _ = writeln!(text, "{name}: {more} more of its outputs are different\n");
    }
    text
}

/// A directive on one line.
fn headline(directive: &Directive) -> String {
    let mut line = directive.command.clone();
    for arg in &directive.args {
        let _ = match arg.values.as_slice() {
            [] => write!(line, " {}", arg.key),
            [value] => write!(line, " {}={value}", arg.key),
            values => write!(line, " {}=({})", arg.key, values.join(",")),
        };
    }
    line
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let is_scenario = path.extension().is_some_and(|extension| extension == "txt");
        if path.is_dir() || is_scenario {
            collect(&path, files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a file with this text, and returns the report and what the file says afterwards.
    fn played(name: &str, text: &str, rewrite: bool) -> (Report, String) {
        let file = std::env::temp_dir().join(format!("raft-sim-{}-{name}.txt", std::process::id()));
        fs::write(&file, text).unwrap();
        let mut report = Folder::open(&file).unwrap().rewriting(rewrite).play();
        report.text = report.text.replace(&file.display().to_string(), "FILE");
        let after = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        (report, after)
    }

    const WRONG: &str = "# one node\nadd-nodes 1\n----\nnot ok\n\nraft-state\n----\nok\n";
    const RIGHT: &str = "# one node\nadd-nodes 1\n----\nok\n\nraft-state\n----\n\
                         1: StateFollower (Non-Voter) Term:0 Lead:0\n";

    #[test]
    fn a_difference_is_shown_with_its_place() {
        let (report, after) = played("differs", WRONG, false);
        assert_eq!(report.summary(), "0 scenarios passed, 1 failed");
        let expected = "\
            FILE:2: add-nodes 1\n--- expected\n+++ got\n@@ -1,1 +1,1 @@\n-not ok\n+ok\n\n\
            FILE:6: raft-state\n--- expected\n+++ got\n@@ -1,1 +1,1 @@\n-ok\n\
            +1: StateFollower (Non-Voter) Term:0 Lead:0\n\n";
        assert_eq!(report.text, expected);
        assert_eq!(after, WRONG);
    }

    #[test]
    fn rewriting_makes_a_file_pass() {
        let (report, after) = played("rewritten", WRONG, true);
        assert_eq!(report, Report { passed: 1, ..Report::default() });
        assert_eq!(after, RIGHT);
        let (report, _) = played("right", RIGHT, false);
        assert_eq!(report.summary(), "1 scenarios passed, 0 failed");
    }

    #[test]
    fn a_file_that_cannot_be_read_or_played_fails() {
        let (report, _) = played("unplayable", "campaign 7\n----\nok\n", true);
        assert_eq!((report.failed, &*report.text), (1, "FILE:1: there is no node 7\n"));
        let (report, _) = played("unreadable", "campaign\n", false);
        assert_eq!((report.failed, &*report.text), (1, "FILE: line 1: no line ---- follows\n"));
        let (report, _) = played("empty", "# nothing\n", false);
        assert_eq!(report.failed, 1);
    }
}
