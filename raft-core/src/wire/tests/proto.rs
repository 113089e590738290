//! `proto/raft.proto` and `oracle.rs` are two texts of one schema: neither may change alone. What
//! encodes and decodes is compared with the oracle in `compare`.

const PROTO: &str = include_str!("../../../proto/raft.proto");
const ORACLE: &str = include_str!("oracle.rs");

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

/// `#[prost(uint64, tag = "4")]` within `pub(crate) struct Message {`.
fn fields_of_the_oracle() -> Vec<Field> {
    let mut message = "";
    let mut fields = Vec::new();
    for line in ORACLE.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub(crate) struct ") {
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
fn the_oracle_says_what_the_proto_says() {
    let (mut proto, mut oracle) = (fields_of_the_proto(), fields_of_the_oracle());
    proto.sort();
    oracle.sort();
    assert_eq!(oracle.len(), 40);
    assert_eq!(oracle, proto);
}

#[test]
fn the_kinds_have_the_names_and_numbers_of_the_proto() {
    for number in 0..crate::MessageKind::COUNT as i32 {
        let name = crate::MessageKind::from_number(number).unwrap().wire_name();
        assert!(PROTO.contains(&format!("  {name} = {number};")), "{name} = {number}");
    }
}
