//! `proto/raft.proto` and `schema.rs` are two texts of one schema: neither may change alone.

const PROTO: &str = include_str!("../../../proto/raft.proto");
const SCHEMA: &str = include_str!("../schema.rs");

/// Message, field number, and the field's type as prost names it.
type Field = (String, u32, String);

/// `optional uint64 term = 4;` within `message Message {`.
fn fields_of_the_proto() -> Vec<Field> {
    let mut message = "";
    let mut fields = Vec::new();
    for line in PROTO.lines() {
        let words: Vec<&str> = line.split("//").next().unwrap().split_whitespace().collect();
        match words[..] {
            ["message", name, "{"] => message = name,
            [label @ ("optional" | "repeated"), kind, _, "=", number] => {
                let number = number.trim_end_matches(';').parse().unwrap();
                fields.push((message.to_owned(), number, prost_type(label, kind)));
            }
            _ => {}
        }
    }
    fields
}

fn prost_type(label: &str, kind: &str) -> String {
    let enums = ["EntryType", "MessageType", "ConfChangeType", "ConfChangeTransition"];
    match (label, kind) {
        ("repeated", "uint64") => "uint64, repeated, packed = \"false\"".to_owned(),
        ("optional", "uint64" | "bool") => kind.to_owned(),
        ("optional", "bytes") => "bytes = \"bytes\"".to_owned(),
        ("optional", kind) if enums.contains(&kind) => "int32".to_owned(),
        (label, _) => format!("message, {label}"),
    }
}

/// `#[prost(uint64, tag = "4")]` within `pub struct Message {`.
fn fields_of_the_schema() -> Vec<Field> {
    let mut message = "";
    let mut fields = Vec::new();
    for line in SCHEMA.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub struct ") {
            message = name.trim_end_matches(" {");
        }
        if let Some(field) = line.strip_prefix("#[prost(") {
            let (kind, rest) = field.split_once(", tag = \"").unwrap();
            let number = rest.trim_end_matches("\")]").parse().unwrap();
            fields.push((message.to_owned(), number, kind.to_owned()));
        }
    }
    fields
}

#[test]
fn the_schema_says_what_the_proto_says() {
    let (mut proto, mut schema) = (fields_of_the_proto(), fields_of_the_schema());
    proto.sort();
    schema.sort();
    assert_eq!(schema.len(), 40);
    assert_eq!(schema, proto);
}

#[test]
fn the_kinds_have_the_names_and_numbers_of_the_proto() {
    for number in 0..crate::MessageKind::COUNT as i32 {
        let name = crate::MessageKind::from_number(number).unwrap().wire_name();
        assert!(PROTO.contains(&format!("  {name} = {number};")), "{name} = {number}");
    }
}
