//! Writes `include/raftcore.h` from the sources of raft-ffi.
//!
//! cbindgen sorts constants, types and functions into three heaps. A header that reads as a manual
//! wants them in the order in which they are told, so each item goes through cbindgen by itself:
//! a source file becomes a chapter, its `//!` the chapter's opening, its items follow in their
//! order, with blank lines where the source has them.

use std::fmt::Write as _;
use std::path::Path;

/// The source files of raft-ffi that declare something for C, in the order of the header: a type
/// stands before its first use.
pub const CHAPTERS: [&str; 21] = [
    "version",
    "status",
    "error",
    "slice",
    "entry",
    "membership",
    "snapshot",
    "message",
    "config",
    "storage",
    "storage_callbacks",
    "node",
    "propose",
    "ready",
    "step",
    "kept",
    "async_writes",
    "poll",
    "inspect",
    "log",
    "describe",
];

/// The header, made from the sources below `root`, the workspace's folder.
///
/// # Errors
/// A text that says which file could not be read, or what cbindgen did not understand.
pub fn generate(root: &Path) -> Result<String, String> {
    let crate_dir = root.join("raft-ffi");
    let scratch = std::env::temp_dir().join(format!("raftcore-header-{}.rs", std::process::id()));
    let mut header = read(&crate_dir.join("header/overview.h"))?;
    for chapter in CHAPTERS {
        let source = read(&crate_dir.join("src").join(chapter).with_extension("rs"))?;
        header.push_str(&banner(&source));
        for item in items(&source) {
            write(&scratch, &item.text)?;
            let declaration = declaration(&scratch, &item)
                .map_err(|error| format!("{chapter}.rs: {}: {error}", item.name))?;
            if item.after_blank {
                header.push('\n');
            }
            header.push_str(declaration.trim());
            header.push('\n');
        }
    }
    // A file of ours that stays behind in the temporary folder harms nobody.
    let _ = std::fs::remove_file(&scratch);
    header.push('\n');
    header.push_str(&read(&crate_dir.join("header/inline.h"))?);
    let contents = contents(&header);
    Ok(header.replace(" * @CHAPTERS@\n", &contents))
}

/// The names of the header's chapters in their order, as a paragraph of its overview.
fn contents(header: &str) -> String {
    let after_rule = header.lines().zip(header.lines().skip(1));
    let titles = after_rule.filter(|(line, _)| line.starts_with("/* ---"));
    let titles: Vec<&str> = titles.map(|(_, title)| title.trim_matches([' ', '*', '.'])).collect();
    let text = format!("CHAPTERS. {}.", titles.join("; "));
    let mut out = String::new();
    let mut line = String::from(" *");
    for word in text.split(' ') {
        if line.len() + word.len() >= 100 {
            let _ = writeln!(out, "{line}");
            line.truncate(2);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
    out
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The chapter's opening: the file's `//!` as a comment between rules.
fn banner(source: &str) -> String {
    let rule = "-".repeat(96);
    let mut out = format!("\n/* {rule}\n");
    for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
        out.push_str(format!(" *{line}").trim_end());
        out.push('\n');
    }
    let _ = writeln!(out, " * {} */", "-".repeat(93));
    out
}

/// A declaration for C in a source file, its comment and attributes included.
struct Item {
    text: String,
    name: String,
    after_blank: bool,
}

/// The items of a source file that C can see: what `rustfmt` leaves at the start of a line and
/// begins with `pub`. An item ends where a line without indentation closes it.
fn items(source: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    let mut after_blank = true;
    for line in source.lines().skip_while(|line| line.starts_with("//!")) {
        if lines.is_empty() && line.is_empty() {
            after_blank = true;
            continue;
        }
        lines.push(line);
        let indented = line.starts_with([' ', '/', '#', ')']);
        if !indented && (line.ends_with(';') || line.ends_with('}')) {
            if let Some(name) = lines.iter().find_map(|line| exported_name(line)) {
                items.push(Item { text: lines.join("\n"), name: name.to_owned(), after_blank });
                after_blank = false;
            }
            lines.clear();
        }
    }
    items
}

/// The name that a line declares for C, if it does.
fn exported_name(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ")?.trim_start_matches("unsafe ");
    let name = ["struct ", "type ", "const ", "extern \"C\" fn "]
        .into_iter()
        .find_map(|keyword| rest.strip_prefix(keyword))?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    name.get(..end).filter(|name| name.to_lowercase().starts_with("raftcore_"))
}

/// What cbindgen makes of one item.
fn declaration(path: &Path, item: &Item) -> Result<String, String> {
    let config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Both,
        no_includes: true,
        usize_is_size_t: true,
        documentation_style: cbindgen::DocumentationStyle::Cxx,
        line_length: 99,
        tab_width: 4,
        export: cbindgen::ExportConfig { include: vec![item.name.clone()], ..Default::default() },
        ..Default::default()
    };
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(path)
        .generate()
        .map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    bindings.write(&mut out);
    let text = String::from_utf8(out).map_err(|error| error.to_string())?;
    if text.contains(&item.name) {
        Ok(parenthesized(&text))
    } else {
        Err("cbindgen left it out".to_owned())
    }
}

/// A negative constant in parentheses, so that it stays one operand wherever it is expanded.
fn parenthesized(text: &str) -> String {
    match text.rsplit_once(" -") {
        Some((define, number)) if define.contains("#define ") => {
            format!("{define} (-{})", number.trim_end())
        }
        _ => text.to_owned(),
    }
}
