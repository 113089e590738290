//! Shows how two texts differ, line by line, in the unified form.

use std::fmt::Write;
use std::ops::Range;

/// Lines that are shown before and after a difference.
const CONTEXT: usize = 4;

/// Of texts longer than this only so many lines are compared: the work grows with the square.
const LINES: usize = 3000;

/// A line of the comparison: where it stands in both texts, and whether it belongs to both (' '),
/// only to the first ('-') or only to the second ('+').
struct Line<'a> {
    mark: char,
    text: &'a str,
    /// How many lines of the first and of the second text come before this one.
    before: (usize, usize),
}

/// The unified diff from `expected` to `got`; empty when they are equal.
#[must_use]
pub fn unified(expected: &str, got: &str) -> String {
    let old: Vec<&str> = expected.lines().take(LINES).collect();
    let new: Vec<&str> = got.lines().take(LINES).collect();
    let lines = compare(&old, &new);
    let mut text = String::new();
    for hunk in hunks(&lines) {
        let lines = &lines[hunk];
        let (old_start, new_start) = lines.first().map_or((0, 0), |line| line.before);
        let count = |mark| lines.iter().filter(|line| line.mark != mark).count();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "@@ -{},{} +{},{} @@",
            old_start + 1,
            count('+'),
            new_start + 1,
            count('-')
        );
        for line in lines {
            let _ = writeln!(text, "{}{}", line.mark, line.text);
        }
    }
    text
}

/// Aligns both texts along their longest common subsequence.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let common = common_lengths(old, new);
    let mut lines = Vec::with_capacity(old.len().max(new.len()));
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let before = (i, j);
        let (mark, text) = if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
            (' ', old[i - 1])
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            ('-', old[i - 1])
        } else {
            j += 1;
            ('+', new[j - 1])
        };
        lines.push(Line { mark, text, before });
    }
    lines
}

/// At `[i][j]` the length of the longest common subsequence of `old[i..]` and `new[j..]`.
fn common_lengths(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut lengths = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i][j] = if old[i] == new[j] {
                lengths[i + 1][j + 1] + 1
            } else {
                lengths[i + 1][j].max(lengths[i][j + 1])
            };
        }
    }
    lengths
}

/// The parts that are worth showing: every difference with its context, joined where they touch.
fn hunks(lines: &[Line<'_>]) -> Vec<Range<usize>> {
    let mut hunks: Vec<Range<usize>> = Vec::new();
    let differing = lines.iter().enumerate().filter(|(_, line)| line.mark != ' ');
    for (at, _) in differing {
        let (start, end) = (at.saturating_sub(CONTEXT), (at + CONTEXT + 1).min(lines.len()));
        match hunks.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => hunks.push(start..end),
        }
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::unified;

    fn check(expected: &str, got: &str, diff: &str) {
        assert_eq!(unified(expected, got), diff);
    }

    #[test]
    fn equal_texts_differ_in_nothing() {
        check("a\nb\n", "a\nb\n", "");
    }

    #[test]
    fn a_changed_line_stands_among_its_neighbours() {
        check("a\nb\nc\n", "a\nx\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
    }

    #[test]
    fn lines_come_and_go_at_the_edges() {
        check("", "a\n", "@@ -1,0 +1,1 @@\n+a\n");
        check("a\nb\n", "b\n", "@@ -1,2 +1,1 @@\n-a\n b\n");
    }

    #[test]
    fn distant_changes_are_shown_apart() {
        let old: String = (0..30).map(|n| format!("{n}\n")).collect();
        let new = old.replace("2\n3\n", "2\nx\n").replace("28\n", "");
        let diff = unified(&old, &new);
        assert_eq!(diff.matches("@@ -").count(), 2, "{diff}");
        assert!(diff.contains("\n-3\n+x\n") && diff.contains("\n-28\n"), "{diff}");
    }
}
