//! Reads scenario files: blocks of comments, a directive, its input, a line `----` and the output
//! that is expected.
//!
//! The lines are kept as they were read, so that a file can be written back with other expected
//! outputs and nothing else changed. What a command means is not known here.

use std::fmt;
use std::ops::Range;

/// The line between a directive with its input and the expected output.
const SEPARATOR: &str = "----";

/// A scenario file, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    lines: Vec<String>,
    directives: Vec<Directive>,
}

/// One command with everything around it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Directive {
    /// The line it stands on, counted from one.
    pub line: usize,
    /// The first word.
    pub command: String,
    /// What follows it, in order.
    pub args: Vec<Arg>,
    /// The lines between the directive and the separator, without blank edges.
    pub input: String,
    /// What must come out: lines that each end with a newline.
    pub expected: String,
    /// Which lines of the file the expected output takes.
    body: Range<usize>,
}

/// One argument: `key`, `key=value` or `key=(value, value)`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Arg {
    /// What stands before the equals sign, or all of it.
    pub key: String,
    /// The values; none without an equals sign.
    pub values: Vec<String>,
}

/// Why a file is no scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl Script {
    /// Takes a file's text apart.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut directives = Vec::new();
        let mut reader = Reader { lines: &lines, at: 0 };
        while let Some(directive) = reader.directive()? {
            directives.push(directive);
        }
        Ok(Self { lines, directives })
    }

    /// The directives in the order of the file.
    #[must_use]
    pub fn directives(&self) -> &[Directive] {
        &self.directives
    }

    /// The file's text with these outputs in place of the expected ones: one for each directive,
    /// and the old one stays where there is none.
    #[must_use]
    pub fn with_outputs(&self, outputs: &[String]) -> String {
        let mut text = String::new();
        let mut copied = 0;
        for (directive, output) in self.directives.iter().zip(outputs) {
            push_lines(&mut text, &self.lines[copied..directive.body.start]);
            text.push_str(&framed(output));
            copied = directive.body.end;
        }
        push_lines(&mut text, &self.lines[copied..]);
        text
    }
}

fn push_lines(text: &mut String, lines: &[String]) {
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
}

/// An output with a blank line in it needs a second pair of separators around it.
fn framed(output: &str) -> String {
    if output.lines().any(|line| line.trim().is_empty()) {
        format!("{SEPARATOR}\n{output}{SEPARATOR}\n{SEPARATOR}\n")
    } else {
        output.to_owned()
    }
}

struct Reader<'a> {
    lines: &'a [String],
    at: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.at)?;
        self.at += 1;
        Some(line)
    }

    fn directive(&mut self) -> Result<Option<Directive>, ParseError> {
        while let Some(line) = self.next() {
            let line = line.trim();
            // A subtest only groups what follows: it has neither input nor output.
            if line.is_empty() || line.starts_with('#') || line.starts_with("subtest ") {
                continue;
            }
            let number = self.at;
            let line = self.unfolded(line);
            let (command, args) =
                parse_line(&line).map_err(|problem| ParseError { line: number, problem })?;
            let input = self.input(number)?;
            let start = self.at;
            let expected = self.expected(number)?;
            let body = start..start + body_lines(&self.lines[start..self.at], &expected);
            return Ok(Some(Directive { line: number, command, args, input, expected, body }));
        }
        Ok(None)
    }

    /// The directive with the lines that its trailing backslashes join to it.
    fn unfolded(&mut self, first: &str) -> String {
        let mut line = first.to_owned();
        while let Some(head) = line.strip_suffix('\\') {
            let Some(more) = self.next() else { break };
            line = format!("{head} {}", more.trim());
        }
        line
    }

    fn input(&mut self, directive: usize) -> Result<String, ParseError> {
        let start = self.at;
        while let Some(line) = self.next() {
            if line == SEPARATOR {
                return Ok(self.lines[start..self.at - 1].join("\n").trim().to_owned());
            }
        }
        Err(ParseError { line: directive, problem: "no line ---- follows" })
    }

    fn expected(&mut self, directive: usize) -> Result<String, ParseError> {
        let mut text = String::new();
        if self.lines.get(self.at).is_some_and(|line| line == SEPARATOR) {
            self.at += 1;
            while let Some(line) = self.next() {
                let closes = line == SEPARATOR
                    && self.lines.get(self.at).is_some_and(|next| next == SEPARATOR);
                if closes {
                    self.at += 1;
                    return Ok(text);
                }
                push_lines(&mut text, &[line.to_owned()]);
            }
            return Err(ParseError { line: directive, problem: "no second ---- ---- follows" });
        }
        while let Some(line) = self.next() {
            if line.trim().is_empty() {
                break;
            }
            push_lines(&mut text, &[line.to_owned()]);
        }
        Ok(text)
    }
}

/// How many of the lines that were read belong to the expected output: all of the doubled form,
/// but of the plain form not the blank line that ends it.
fn body_lines(read: &[String], expected: &str) -> usize {
    match read.first() {
        Some(first) if first == SEPARATOR => read.len(),
        _ => expected.lines().count(),
    }
}

/// Takes a directive line apart.
fn parse_line(line: &str) -> Result<(String, Vec<Arg>), &'static str> {
    let (command, mut rest) = split_at_any(line.trim(), &[' ']);
    let mut args = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok((command.to_owned(), args));
        }
        let (key, after_key) = split_at_any(rest, &[' ', '=']);
        if key.is_empty() {
            return Err("an argument without a name");
        }
        let mut arg = Arg { key: key.to_owned(), values: Vec::new() };
        rest = after_key;
        if let Some(value) = after_key.strip_prefix('=') {
            rest = if let Some(list) = value.strip_prefix('(') {
                parse_list(list, &mut arg.values)?
            } else {
                let (value, after) = split_at_any(value, &[' ']);
                arg.values.push(value.to_owned());
                after
            };
        }
        args.push(arg);
    }
}

/// Reads values separated by commas up to the closing parenthesis, and returns what follows it.
/// Parentheses inside a value nest.
fn parse_list<'a>(list: &'a str, values: &mut Vec<String>) -> Result<&'a str, &'static str> {
    let mut depth = 0usize;
    let mut start = 0;
    for (at, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => {
                values.push(list[start..at].trim_start_matches(' ').to_owned());
                start = at + 1;
                if c == ')' {
                    return Ok(&list[start..]);
                }
            }
            _ => {}
        }
    }
    Err("a list without its closing parenthesis")
}

fn split_at_any<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Directive {
        let script = Script::parse(text).unwrap();
        assert_eq!(script.directives().len(), 1, "{script:?}");
        script.directives()[0].clone()
    }

    fn args(line: &str) -> Vec<(String, Vec<String>)> {
        let directive = only(&format!("{line}\n----\nok\n"));
        directive.args.into_iter().map(|arg| (arg.key, arg.values)).collect()
    }

    fn arg(key: &str, values: &[&str]) -> (String, Vec<String>) {
        (key.to_owned(), values.iter().map(|v| (*v).to_owned()).collect())
    }

    fn refused(text: &str, line: usize, problem: &str) {
        let error = Script::parse(text).unwrap_err();
        assert_eq!((error.line, error.problem), (line, problem));
    }

    #[test]
    fn arguments_come_bare_with_a_value_or_with_a_list() {
        assert_eq!(
            args("add-nodes 3 voters=(1,2, 3) learners=(4) empty= index=10 none=()"),
            [
                arg("3", &[]),
                arg("voters", &["1", "2", "3"]),
                arg("learners", &["4"]),
                arg("empty", &[""]),
                arg("index", &["10"]),
                arg("none", &[""]),
            ]
        );
    }

    #[test]
    fn lists_may_nest_and_touch_what_follows() {
        assert_eq!(args("cmd a=(f(x, y), z)b=1"), [arg("a", &["f(x, y)", "z"]), arg("b", &["1"])]);
    }

    #[test]
    fn directives_that_make_no_sense_are_named_with_their_line() {
        refused("# one\ncmd a=(1,2\n----\n", 2, "a list without its closing parenthesis");
        refused("\ncmd =3\n----\n", 2, "an argument without a name");
        refused("cmd\ninput\n", 1, "no line ---- follows");
        refused("cmd\n----\n----\nx\n", 1, "no second ---- ---- follows");
    }

    #[test]
    fn comments_and_blank_lines_stand_between_blocks() {
        let text = "# story\n\n\none 1\n----\nok\n\n## aside\n  # aside\ntwo\n----\nok\n";
        let script = Script::parse(text).unwrap();
        let found: Vec<_> =
            script.directives().iter().map(|d| (d.line, d.command.as_str())).collect();
        assert_eq!(found, [(4, "one"), (10, "two")]);
    }

    #[test]
    fn input_stands_before_the_separator_and_output_ends_at_a_blank_line() {
        let directive = only("cmd\n\nv1 r2\nu3\n\n----\nfirst\n  second\n\n\n");
        assert_eq!(directive.input, "v1 r2\nu3");
        assert_eq!(directive.expected, "first\n  second\n");
    }

    #[test]
    fn output_may_be_missing_or_end_with_the_file() {
        let script = Script::parse("one\n----\n\ntwo\n----\nlast").unwrap();
        let expected: Vec<_> = script.directives().iter().map(|d| d.expected.as_str()).collect();
        assert_eq!(expected, ["", "last\n"]);
    }

    #[test]
    fn doubled_separators_keep_blank_lines() {
        let text = "one\n----\n----\na\n\n----\nb\n----\n----\n\ntwo\n----\nok\n";
        let script = Script::parse(text).unwrap();
        let expected: Vec<_> = script.directives().iter().map(|d| d.expected.as_str()).collect();
        assert_eq!(expected, ["a\n\n----\nb\n", "ok\n"]);
    }

    #[test]
    fn a_backslash_joins_lines_and_a_subtest_is_passed_over() {
        let directive = only("subtest first\n\ncmd 1 \\\n  a=2\n----\nok\n\nsubtest end\n");
        assert_eq!(directive.args.len(), 2);
        assert_eq!(directive.line, 3);
    }

    #[test]
    fn new_outputs_change_nothing_else() {
        let text = "# why\none\nx\n----\nold\nlines\n\n\n\
                    # next\ntwo\n----\n----\na\n\nb\n----\n----\n\n\
                    three\n----\nkept\n";
        let script = Script::parse(text).unwrap();
        let unchanged: Vec<_> = script.directives().iter().map(|d| d.expected.clone()).collect();
        assert_eq!(script.with_outputs(&unchanged), text);
        let outputs = ["new\n\nform\n".to_owned(), "plain\n".to_owned()];
        assert_eq!(
            script.with_outputs(&outputs),
            "# why\none\nx\n----\n----\nnew\n\nform\n----\n----\n\n\n# next\ntwo\n----\nplain\n\n\
             three\n----\nkept\n"
        );
    }
}
