//! The protobuf encoding against vectors made by the published packages, and its generated messages against their schema.

use std::fmt::Write as _;
use std::path::Path;

use coagent_runtime::agui::{Event, Reading, protobuf};
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    why: String,
    /// As it stands in the file, so that the members of objects keep their order.
    event: Box<RawValue>,
    hex: String,
    frame_hex: String,
    decoded: Value,
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../vectors/agui-proto-vectors.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("a vector is JSON")).collect()
}

fn event(json: &str) -> Event {
    match Event::read(json) {
        Ok(Reading::Event(event)) => event,
        other => panic!("{json}: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("strings take every write");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(digit).collect()
}

#[test]
fn every_vector_is_written_byte_by_byte_and_read_back() {
    let vectors = vectors();
    assert!(vectors.len() > 100, "the vectors are there");
    for vector in vectors {
        let mut frame = Vec::new();
        protobuf::write_frame(&mut frame, &event(vector.event.get()));
        assert_eq!(hex(&frame[4..]), vector.hex, "{}", vector.why);
        assert_eq!(hex(&frame), vector.frame_hex, "{}", vector.why);
        let decoded = protobuf::read(&bytes(&vector.hex)).unwrap_or_else(|error| panic!("{}: {error}", vector.why));
        assert_eq!(decoded, event(&vector.decoded.to_string()), "{}", vector.why);
    }
}

#[test]
fn the_generated_messages_are_those_of_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("src/agui/protobuf/wire.rs");
    let proto = std::fs::read_to_string(root.join("proto/ag_ui.proto")).expect("the schema is readable");
    let generated = generate(&proto);
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&target, &generated).expect("the sources are writable");
    }
    let committed = std::fs::read_to_string(&target).expect("the messages are readable");
    assert!(
        committed == generated,
        "src/agui/protobuf/wire.rs is not what proto/ag_ui.proto says; run\n\
         REGENERATE=1 cargo test --test all the_generated_messages_are_those_of_the_schema"
    );
}

/// The Rust messages of a schema that uses no more of the language than ours does.
fn generate(proto: &str) -> String {
    let mut out = String::from(
        "//! Generated from proto/ag_ui.proto by the test `the_generated_messages_are_those_of_the_schema`. Do not edit.\n\n\
         use super::value::{Struct, Value};\n",
    );
    let mut lines = proto.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    while let Some(line) = lines.next() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("enum"), Some(name)) => enumeration(name, &block(&mut lines), &mut out),
            (Some("message"), Some(name)) => message(name, &block(&mut lines), &mut out),
            _ => {}
        }
    }
    out
}

/// The lines up to the brace that closes the block, inner blocks included.
fn block<'p>(lines: &mut impl Iterator<Item = &'p str>) -> Vec<&'p str> {
    let mut depth = 1;
    let mut inside = Vec::new();
    for line in lines {
        depth += line.matches('{').count();
        depth -= line.matches('}').count();
        if depth == 0 {
            return inside;
        }
        inside.push(line);
    }
    panic!("a block is not closed: {inside:?}");
}

fn enumeration(name: &str, values: &[&str], out: &mut String) {
    let derives = "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]";
    write!(out, "\n{derives}\n#[repr(i32)]\npub(crate) enum {name} {{\n").expect("written");
    for value in values {
        let (word, number) = value.trim_end_matches(';').split_once(" = ").expect("NAME = number");
        writeln!(out, "    {} = {number},", pascal(&word.to_lowercase())).expect("written");
    }
    out.push_str("}\n");
}

fn message(name: &str, fields: &[&str], out: &mut String) {
    let mut fields = fields.iter().copied();
    let (mut inside, mut oneofs) = (String::new(), String::new());
    while let Some(line) = fields.next() {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["message", inner, "{"] => message(inner, &block(&mut fields), out),
            ["oneof", field, "{"] => {
                let arms = block(&mut fields);
                let tags: Vec<&str> = arms.iter().map(|arm| parts(arm).3).collect();
                let tags = tags.join(", ");
                let choice = format!("{name}Kind");
                writeln!(inside, "    #[prost(oneof = \"{choice}\", tags = \"{tags}\")]").expect("written");
                writeln!(inside, "    pub(crate) {field}: Option<{choice}>,").expect("written");
                writeln!(oneofs, "\n#[derive(Clone, PartialEq, prost::Oneof)]\npub(crate) enum {choice} {{")
                    .expect("written");
                for arm in arms {
                    let (_, arm_type, arm_name, tag) = parts(arm);
                    writeln!(oneofs, "    #[prost(message, tag = \"{tag}\")]").expect("written");
                    writeln!(oneofs, "    {}({arm_type}),", pascal(arm_name)).expect("written");
                }
                oneofs.push_str("}\n");
            }
            _ => field(line, &mut inside),
        }
    }
    write!(out, "\n#[derive(Clone, PartialEq, prost::Message)]\npub(crate) struct {name} {{\n{inside}}}\n{oneofs}")
        .expect("written");
}

fn field(line: &str, out: &mut String) {
    let (label, field_type, name, tag) = parts(line);
    let (encoding, rust_type, is_message) = match field_type {
        "string" => ("string".to_owned(), "String", false),
        "bool" => ("bool".to_owned(), "bool", false),
        "int64" => ("int64".to_owned(), "i64", false),
        "EventType" | "JsonPatchOperationType" => (format!("enumeration = \"{field_type}\""), "i32", false),
        other => ("message".to_owned(), other, true),
    };
    let (label, rust_type) = match label {
        "repeated" => (", repeated", format!("Vec<{rust_type}>")),
        "optional" => (", optional", format!("Option<{rust_type}>")),
        _ if is_message => (", optional", format!("Option<{rust_type}>")),
        _ => ("", rust_type.to_owned()),
    };
    let name = if name == "type" { "r#type" } else { name };
    writeln!(out, "    #[prost({encoding}{label}, tag = \"{tag}\")]\n    pub(crate) {name}: {rust_type},")
        .expect("written");
}

/// Label, type, name and number of a field.
fn parts(line: &str) -> (&str, &str, &str, &str) {
    let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
    let plain = |name: &'_ str| name.len() - name.trim_start_matches("google.protobuf.").len();
    match words.as_slice() {
        [label, field_type, name, "=", tag] => (*label, &field_type[plain(field_type)..], *name, *tag),
        [field_type, name, "=", tag] => ("", &field_type[plain(field_type)..], *name, *tag),
        other => panic!("not a field: {other:?}"),
    }
}

fn pascal(snake: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    snake.split('_').map(capital).collect()
}

#[test]
fn an_envelope_that_contradicts_itself_is_refused() {
    for (hex, expected) in [
        ("", "the envelope carries no event"),
        ("0a080a02080212026d31", "envelope carries TEXT_MESSAGE_START but the base event declares TEXT_MESSAGE_END"),
        ("0a0412026d31", "base_event"),
        ("ff", "invalid varint"),
    ] {
        let error = protobuf::read(&bytes(hex)).expect_err(hex).to_string();
        assert!(error.contains(expected), "{hex}: {error}");
    }
}

/// The event as who reads its frame gets it.
fn over_the_wire(json: &str) -> Value {
    let mut frame = Vec::new();
    protobuf::write_frame(&mut frame, &event(json));
    let read = protobuf::read(&frame[4..]).unwrap_or_else(|error| panic!("{json}: {error}"));
    serde_json::from_str(&read.to_json()).expect("an event is JSON")
}

#[test]
fn what_protobuf_holds_otherwise_than_json_arrives_as_near_as_it_can() {
    let snapshot =
        |value: &str| over_the_wire(&format!(r#"{{"type":"STATE_SNAPSHOT","snapshot":{value}}}"#))["snapshot"].clone();
    assert_eq!(snapshot(r#"{"a":"x\ud83c"}"#)["a"], "x\u{fffd}", "half a character");
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(snapshot(&deep), deep, "what is nested too deep travels as its text");
    for whole in ["7", "-7", "9007199254740991"] {
        assert_eq!(snapshot(whole).to_string(), whole);
    }
    assert_eq!(snapshot("1e20").as_f64(), Some(1e20));
    assert_eq!(snapshot("9007199254740993").as_f64(), Some(9_007_199_254_740_992.0), "rounded, as doubles are");
}

#[test]
fn frames_of_others_are_read_as_protobuf_says() {
    let twice = "3a280a02080612222a200a0e0a0161120911000000000000f03f0a0e0a01611209110000000000000040";
    let read = protobuf::read(&bytes(twice)).expect("an event");
    assert_eq!(
        read.to_json(),
        r#"{"type":"STATE_SNAPSHOT","snapshot":{"a":2}}"#,
        "of a key that comes twice the last counts"
    );
    let unknown = protobuf::read(&bytes("420c0a0208071206080912022f61")).expect("an event");
    assert_eq!(unknown.to_json(), r#"{"type":"STATE_DELTA","delta":[]}"#, "an operation that nobody knows is left out");
}
