//! What a command prints: collected, indented, and silenced by the level of the log.

use super::directive::{Failure, Outcome};

/// The levels from the most talkative to silence. Only the last makes a difference here, because
/// scenarios do not show the log; the others are accepted.
const LEVELS: [&str; 6] = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"];
const SILENT: usize = LEVELS.len() - 1;

/// What the present command has printed so far.
#[derive(Default, Debug)]
pub(crate) struct Output {
    text: String,
    level: usize,
}

impl Output {
    /// Prints text as it is.
    pub(crate) fn print(&mut self, text: &str) {
        if self.level != SILENT {
            self.text.push_str(text);
        }
    }

    /// Prints a line.
    pub(crate) fn line(&mut self, text: &str) {
        self.print(text);
        self.print("\n");
    }

    /// The present level.
    pub(crate) fn level(&self) -> usize {
        self.level
    }

    /// Goes back to an earlier level.
    pub(crate) fn restore_level(&mut self, level: usize) {
        self.level = level;
    }

    /// Sets the level by its name.
    pub(crate) fn set_level(&mut self, name: &str) -> Outcome {
        match LEVELS.iter().position(|level| level.eq_ignore_ascii_case(name)) {
            Some(level) => {
                self.level = level;
                Ok(())
            }
            None => {
                Err(Failure::told(format!("log levels must be either of [{}]", LEVELS.join(" "))))
            }
        }
    }

    /// Where the text ends now: a mark for [`indent_from`](Self::indent_from).
    pub(crate) fn mark(&self) -> usize {
        self.text.len()
    }

    /// Indents everything that was printed since the mark, and ends its last line.
    pub(crate) fn indent_from(&mut self, mark: usize) {
        for line in self.text.split_off(mark).lines() {
            self.text.push_str("  ");
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// Ends a command: takes what it printed together with the error it ended with. Errors are
    /// told even in silence, and nothing to tell is `ok`.
    pub(crate) fn finish(&mut self, error: Option<&str>) -> String {
        let mut text = std::mem::take(&mut self.text);
        if let Some(error) = error {
            if self.level == SILENT {
                text.clear();
            }
            text.push_str(error);
        }
        if text.is_empty() {
            text.push_str("ok");
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}
