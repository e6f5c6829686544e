//! Every vector made by running AG-UI's own 1.0.0 packages: what they accept is read, with the same things removed and
//! upgraded; what they refuse is refused by the same field; and what is written is accepted by them and, in its legacy
//! form, by the 0.0.59 client.

use std::collections::BTreeSet;

use coagent_runtime::agui::sse::Decoder;
use coagent_runtime::agui::transcript::Reducer;
use coagent_runtime::agui::{Admission, Compactor, Dialect, Event, Message, ReadError, Reading, RunAgentInput};
use serde_json::{Map, Value, json};

const EVENTS: &str = include_str!("../vectors/agui-vectors.jsonl");
const INPUTS: &str = include_str!("../vectors/runinput-vectors.jsonl");

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(vector: &Value, key: &str) -> String {
    vector[key].as_str().unwrap_or_default().to_owned()
}

fn read(event: &Value) -> Result<Reading, ReadError> {
    Event::read(&event.to_string())
}

/// Whether a refusal is only about optional nulls, which we leave out before anything else.
fn only_nulls(event: &Value, issues: &BTreeSet<String>) -> bool {
    const REQUIRED: &[&str] = &[
        "messageId",
        "toolCallId",
        "toolCallName",
        "delta",
        "content",
        "threadId",
        "runId",
        "message",
        "stepName",
        "role",
        "subtype",
        "entityId",
        "encryptedValue",
        "activityType",
        "patch",
        "messages",
        "name",
        "type",
    ];
    const REQUIRED_WITH_NAME: &[&str] = &["SUBAGENT_STARTED", "CUSTOM"];
    let is_optional = |key: &str| {
        let event_type = event["type"].as_str().unwrap_or_default();
        match key {
            "subagentRunId" => !event_type.starts_with("SUBAGENT_"),
            "name" => !REQUIRED_WITH_NAME.contains(&event_type),
            "messageId" | "toolCallId" | "delta" | "toolCallName" if event_type.ends_with("_CHUNK") => true,
            "role" => event_type == "TEXT_MESSAGE_START" || event_type == "TOOL_CALL_RESULT",
            _ => !REQUIRED.contains(&key),
        }
    };
    issues.iter().all(|pointer| {
        let key = pointer.rsplit('/').next().unwrap_or_default();
        event.pointer(pointer) == Some(&Value::Null) && is_optional(key)
    })
}

fn remove(value: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a parent");
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.remove(key)),
        Some(Value::Array(items)) => drop(items.remove(key.parse().unwrap())),
        _ => panic!("nothing at {pointer}"),
    }
}

fn without_top_level_nulls(event: &mut Map<String, Value>) {
    event.retain(|key, value| !value.is_null() || matches!(key.as_str(), "snapshot" | "event" | "value"));
}

/// The event as 1.0's client sees it after its own stripping, plus null omission and the defaults of an echoed input.
fn as_accepted(vector: &Value) -> Value {
    let mut event = vector["event"].clone();
    let mut stripped: Vec<&str> =
        vector["stripped"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    stripped.sort_unstable();
    for pointer in stripped.iter().rev() {
        remove(&mut event, pointer);
    }
    without_top_level_nulls(event.as_object_mut().unwrap());
    if let Some(Value::Object(outcome)) = event.get_mut("outcome") {
        outcome.retain(|_, value| !value.is_null());
    }
    for usage in event.get_mut("usage").and_then(Value::as_array_mut).into_iter().flatten() {
        usage.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    for message in event.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        message.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    for operation in event.get_mut("delta").and_then(Value::as_array_mut).into_iter().flatten() {
        if operation["op"] == "remove" {
            operation.as_object_mut().unwrap().remove("value");
        }
    }
    if let Some(Value::Object(input)) = event.get_mut("input") {
        input.retain(|_, value| !value.is_null());
        input.entry("tools").or_insert(json!([]));
        input.entry("context").or_insert(json!([]));
    }
    if let Some(renamed) = event["type"].as_str().and_then(|name| name.strip_prefix("THINKING_")) {
        let renamed = renamed.strip_prefix("TEXT_").unwrap_or(renamed);
        let starts_message = renamed == "MESSAGE_START";
        event["type"] = json!(format!("REASONING_{renamed}"));
        event["messageId"] = json!("");
        if starts_message {
            event["role"] = json!("reasoning");
        }
    }
    event
}

/// What 0.0.59's schema is known to die of, looked for anywhere in what it would be sent.
fn dies_of(event: &Value) -> Option<&'static str> {
    let event_type = event["type"].as_str()?;
    if event_type.starts_with("SUBAGENT_") {
        return Some("a subagent event");
    }
    if event_type == "TOOL_CALL_RESULT" && !event["content"].is_string() {
        return Some("a tool result in parts");
    }
    let outcome = &event["outcome"];
    if outcome["type"] == "cancelled" || !outcome["pendingToolCallIds"].is_null() {
        return Some("an outcome of 1.0");
    }
    let echoed = event["input"]["messages"].as_array();
    for message in event["messages"].as_array().or(echoed).into_iter().flatten() {
        if message["role"] == "tool" && !message["content"].is_string() {
            return Some("a tool message in parts");
        }
        for part in message["content"].as_array().into_iter().flatten() {
            if part["source"]["type"] == "file" {
                return Some("a file");
            }
        }
    }
    if event["input"].is_object() && !(event["input"]["tools"].is_array() && event["input"]["context"].is_array()) {
        return Some("an input without tools or context");
    }
    None
}

/// Nulls where the schema has an optional field: everywhere but inside any-JSON values and objects of the application.
fn optional_null(value: &Value, pointer: &str) -> Option<String> {
    const OPAQUE: &[&str] = &[
        "rawEvent",
        "metadata",
        "snapshot",
        "event",
        "value",
        "state",
        "forwardedProps",
        "payload",
        "parameters",
        "result",
        "responseSchema",
    ];
    match value {
        Value::Null => Some(pointer.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| optional_null(item, &format!("{pointer}/{index}")))
        }
        Value::Object(map) => map
            .iter()
            .filter(|(key, value)| !(OPAQUE.contains(&key.as_str()) || *key == "content" && value.is_object()))
            .find_map(|(key, value)| optional_null(value, &format!("{pointer}/{key}"))),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn issues(vector: &Value) -> BTreeSet<String> {
    let listed = vector["issues"].as_array().into_iter().flatten().filter_map(Value::as_str);
    listed.filter_map(|issue| issue.split_once(": ")).map(|(pointer, _)| pointer.to_owned()).collect()
}

#[test]
fn every_event_is_read_as_the_reference_client_reads_it() {
    let vectors = lines(EVENTS);
    assert_eq!(vectors.len(), 428);
    let mut failures = Vec::new();
    for vector in &vectors {
        let why = text(vector, "why");
        let issues = issues(vector);
        let client = text(vector, "client");
        let accepted = client.starts_with("accept") || (client == "fatal" && only_nulls(&vector["event"], &issues));
        match (read(&vector["event"]), client.as_str()) {
            (Ok(Reading::Unknown { .. }), "drop") => {}
            // Fractions of a millisecond, which servers of 0.x send, are left out.
            (Ok(Reading::Event(_)), "fatal") if vector["event"]["timestamp"].is_f64() => {}
            (Ok(Reading::Event(event)), _) if accepted => {
                let written: Value = serde_json::from_str(&event.to_json()).unwrap();
                let expected = as_accepted(vector);
                if written != expected {
                    failures.push(format!("{why}: written {written}, expected {expected}"));
                }
            }
            (Err(ReadError::NoType), "fatal") if vector["event"]["type"].is_null() => {}
            (Err(ReadError::Invalid { path, .. }), "fatal") if !accepted => {
                if !issues.iter().any(|issue| path.starts_with(issue.as_str())) {
                    failures.push(format!("{why}: refused for {path}, not for {issues:?}"));
                }
            }
            (reading, _) => failures.push(format!("{why}: {client}, but {reading:?}")),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn what_is_written_reads_back_equal_and_has_no_optional_null() {
    for vector in lines(EVENTS) {
        let Ok(Reading::Event(event)) = read(&vector["event"]) else { continue };
        let json = event.to_json();
        assert!(json.starts_with(r#"{"type":""#), "{json}");
        assert_eq!(Event::read(&json), Ok(Reading::Event(event)), "{json}");
        let written: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(optional_null(&written, ""), None, "{json}");
    }
}

#[test]
fn the_legacy_form_is_accepted_by_the_old_client() {
    for vector in lines(EVENTS) {
        let Ok(Reading::Event(event)) = read(&vector["event"]) else { continue };
        let legacy = event.for_dialect(Dialect::Legacy);
        let changed = legacy.as_deref() != Some(&event);
        assert_eq!(changed, event.differs_in_legacy(), "{}", vector["why"]);
        let Some(legacy) = legacy else { continue };
        let written: Value = serde_json::from_str(&legacy.to_json()).unwrap();
        assert_eq!(dies_of(&written), None, "{written}");
        if vector["accepted_by_059"] == json!(false) {
            assert_ne!(written, vector["event"], "{}", vector["why"]);
        }
        assert!(!legacy.to_json().contains("subagentRunId"), "{written}");
        // A binary part is read as the file that it stands for.
        let Ok(Reading::Event(again)) = read(&written) else { panic!("{written}") };
        assert_eq!(again.for_dialect(Dialect::Legacy).as_deref(), Some(&*legacy), "{written}");
    }
}

#[test]
fn every_input_is_read_or_refused_as_the_reference_schema_does_after_null_omission() {
    let vectors = lines(INPUTS);
    assert_eq!(vectors.len(), 68);
    for vector in &vectors {
        let why = text(vector, "why");
        let read = RunAgentInput::read(vector["input"].to_string().as_bytes());
        // The one thing beyond the schema: clients upgrade binary parts, and old ones still send them.
        let accepted = vector["validAfterNullOmission"] == json!(true) || why == "message legacy binary data part";
        match read {
            Ok(input) => {
                assert!(accepted, "{why} was read");
                let written = serde_json::to_value(&input).unwrap();
                assert_eq!(optional_null(&written, ""), None, "{why}: {written}");
                assert_eq!(RunAgentInput::read(written.to_string().as_bytes()).unwrap(), input, "{why}");
                if let Some(parsed) = vector.get("parsed") {
                    let mut parsed = parsed.clone();
                    // Unknown keys pass the schema and are dropped here.
                    parsed.as_object_mut().unwrap().remove("forwarded_props");
                    for tool in parsed["tools"].as_array_mut().unwrap() {
                        tool.as_object_mut().unwrap().remove("available");
                    }
                    assert_eq!(written, parsed, "{why}");
                }
            }
            Err(error) => {
                assert!(!accepted, "{why}: {error}");
                let issues = issues(vector);
                for issue in &error.issues {
                    let named = issues.iter().any(|known| issue.path.starts_with(known.trim_end_matches('/')));
                    assert!(named, "{why}: {issue} is not among {issues:?}");
                }
            }
        }
    }
}

/// The body of a recorded HTTP/1.1 answer: what follows the headers.
fn body(recording: &str) -> &str {
    recording.split_once("\r\n\r\n").or_else(|| recording.split_once("\n\n")).expect("headers end").1
}

#[test]
fn recorded_agents_pass_the_gate_and_build_the_same_conversation_compacted() {
    for (recording, expected_events, expected_last) in [
        (include_str!("../fixtures/langgraph-1.2-run.sse.txt"), 35, "hello from the fake model"),
        (include_str!("../fixtures/pydantic-ai-2.68-run.sse.txt"), 16, "count is now up"),
    ] {
        for piece in [1, 7, 4096] {
            let mut decoder = Decoder::new(1 << 20);
            let (mut admission, mut run, mut read) = (Admission::new("t1", "r1"), Vec::new(), 0);
            let mut take = |decoder: &mut Decoder| {
                while let Some(frame) = decoder.next_frame() {
                    let Ok(Reading::Event(event)) = Event::read(&frame.unwrap().data) else { panic!("not an event") };
                    read += 1;
                    admission.admit(event, &mut run).unwrap();
                }
            };
            for bytes in body(recording).as_bytes().chunks(piece) {
                decoder.push(bytes);
                take(&mut decoder);
            }
            assert!(decoder.finish().is_none());
            assert_eq!((read, run.len()), (expected_events, expected_events - 1), "only the start is swallowed");
            assert!(admission.is_finished() && run.last().is_some_and(Event::is_terminal));

            let mut compactor = Compactor::default();
            run.iter().zip(1..).for_each(|(event, position)| compactor.push(position, event.clone()));
            let compacted: Vec<Event> = compactor.finish().into_iter().map(|one| one.event).collect();
            assert!(compacted.len() < run.len());
            let reduce = |events: &[Event]| {
                let mut reducer = Reducer::new(vec![Message::user("m1", "bump by two")]);
                events.iter().for_each(|event| reducer.apply(event));
                reducer.into_messages()
            };
            let messages = reduce(&run);
            assert_eq!(messages.last().map(Message::text).as_deref(), Some(expected_last));
            assert_eq!(reduce(&compacted), messages);
        }
    }
}
