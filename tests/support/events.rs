//! Reading SSE as a strict client does: one JSON event a frame, LF only, nothing but known lines.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// No step of a test takes longer, also on a slow machine; a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The events of an answer as they arrive.
pub(crate) struct EventStream {
    response: reqwest::Response,
    buffer: String,
    /// The last `id:` that arrived.
    pub(crate) last_id: Option<String>,
}

impl EventStream {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, buffer: String::new(), last_id: None }
    }

    /// The next event, `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        // Keep-alives arrive whatever becomes of the run.
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let frame: String = self.buffer.drain(..end + 2).collect();
                match self.read(&frame) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout_at(until, self.response.chunk()).await.expect("a frame in time");
            match chunk.expect("the stream is not cut") {
                Some(chunk) => {
                    self.buffer.push_str(std::str::from_utf8(&chunk).expect("frames are cut between characters"))
                }
                None => {
                    assert_eq!(self.buffer, "", "the stream ends in the middle of a frame");
                    return None;
                }
            }
        }
    }

    /// Reads until an event of this type, which it answers.
    pub(crate) async fn until(&mut self, event_type: &str) -> Value {
        let mut seen = Vec::new();
        while let Some(event) = self.next().await {
            if event["type"] == event_type {
                return event;
            }
            seen.push(event);
        }
        panic!("the stream ended without {event_type}: {seen:#?}");
    }

    /// Reads up to an event of this type; all events until then, and it.
    pub(crate) async fn all_until(&mut self, event_type: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        while let Some(event) = self.next().await {
            let is_it = event["type"] == event_type;
            seen.push(event);
            if is_it {
                return seen;
            }
        }
        panic!("the stream ended without {event_type}: {seen:#?}");
    }

    /// All events up to the end of the stream.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    fn read(&mut self, frame: &str) -> Option<Value> {
        assert!(!frame.contains('\r'), "frames use LF only: {frame:?}");
        assert!(frame.len() < 10 << 20, "clients die of a frame of {} bytes", frame.len());
        let mut event = None;
        for line in frame.lines().filter(|line| !line.is_empty()) {
            if let Some(id) = line.strip_prefix("id: ") {
                self.last_id = Some(id.to_owned());
            } else if let Some(data) = line.strip_prefix("data: ") {
                assert!(event.is_none(), "one event a frame");
                event = Some(serde_json::from_str(data).expect("an event is JSON"));
            } else {
                assert!(line.starts_with(':'), "an unknown line: {line}");
            }
        }
        event
    }
}

/// The types of events, in order.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("an event has a type")).collect()
}

/// The results of a run's tool calls, as the model is told them.
pub(crate) fn tool_results(events: &[Value]) -> Vec<String> {
    let results = events.iter().filter(|event| event["type"] == "TOOL_CALL_RESULT");
    results.map(|event| event["content"].as_str().expect("text").to_owned()).collect()
}

/// The results of a run's tool calls, as JSON.
pub(crate) fn results(events: &[Value]) -> Vec<Value> {
    tool_results(events).iter().map(|result| serde_json::from_str(result).expect("JSON")).collect()
}

/// The text of all messages that the events stream, joined.
pub(crate) fn text(events: &[Value]) -> String {
    let deltas = events.iter().filter(|event| event["type"] == "TEXT_MESSAGE_CONTENT");
    deltas.map(|event| event["delta"].as_str().expect("a delta is text")).collect()
}

/// The state as a client holds it after these events; every delta has to apply.
pub(crate) fn state(events: &[Value]) -> Value {
    let mut state = Value::Null;
    for event in events {
        match event["type"].as_str() {
            Some("STATE_SNAPSHOT") => state = event["snapshot"].clone(),
            Some("STATE_DELTA") => {
                for op in event["delta"].as_array().expect("a delta is a list") {
                    apply(&mut state, op);
                }
            }
            _ => {}
        }
    }
    state
}

/// One operation, as strictly as fast-json-patch: what does not apply fails the test.
fn apply(state: &mut Value, op: &Value) {
    let path = op["path"].as_str().expect("a path");
    if path.is_empty() {
        *state = op["value"].clone();
        return;
    }
    let (parent, last) = path.rsplit_once('/').expect("a pointer begins with a slash");
    let last = last.replace("~1", "/").replace("~0", "~");
    let parent = state.pointer_mut(parent).unwrap_or_else(|| panic!("no parent for {op}"));
    match (op["op"].as_str().expect("an op"), parent) {
        ("add", Value::Object(members)) => drop(members.insert(last, op["value"].clone())),
        ("remove", Value::Object(members)) => assert!(members.remove(&last).is_some(), "nothing to remove: {op}"),
        ("replace", Value::Object(members)) => {
            *members.get_mut(&last).unwrap_or_else(|| panic!("nothing to replace: {op}")) = op["value"].clone();
        }
        ("add", Value::Array(items)) => items.insert(last.parse().expect("an index"), op["value"].clone()),
        ("remove", Value::Array(items)) => drop(items.remove(last.parse().expect("an index"))),
        ("replace", Value::Array(items)) => items[last.parse::<usize>().expect("an index")] = op["value"].clone(),
        (other, parent) => panic!("an operation that no delta may hold: {other} on {parent}"),
    }
}

/// What a client makes of these events: the messages that it sends back with its next run.
pub(crate) fn messages(events: &[Value]) -> Vec<Value> {
    messages_after(Vec::new(), events)
}

/// The same of a client that has these messages already: it adds to those that it knows.
pub(crate) fn messages_after(held: Vec<Value>, events: &[Value]) -> Vec<Value> {
    let mut messages = held;
    fn add(messages: &mut Vec<Value>, message: Value) {
        if !messages.iter().any(|known| known["id"] == message["id"]) {
            messages.push(message);
        }
    }
    for event in events {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().expect("a type") {
            "RUN_STARTED" => {
                let brought = event["input"]["messages"].as_array().into_iter().flatten();
                brought.for_each(|message| add(&mut messages, message.clone()));
            }
            "MESSAGES_SNAPSHOT" => messages = event["messages"].as_array().expect("messages").clone(),
            "TEXT_MESSAGE_START" => {
                add(&mut messages, json!({"id": text("messageId"), "role": "assistant", "content": ""}));
            }
            "REASONING_MESSAGE_START" => {
                add(&mut messages, json!({"id": text("messageId"), "role": "reasoning", "content": ""}));
            }
            "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT" => {
                let message = messages.iter_mut().find(|message| message["id"] == event["messageId"]).expect("begun");
                message["content"] =
                    (message["content"].as_str().unwrap_or_default().to_owned() + &text("delta")).into();
            }
            "TOOL_CALL_START" => {
                let owner = text("parentMessageId");
                if !messages.iter().any(|message| message["id"] == owner.as_str()) {
                    messages.push(json!({"id": owner, "role": "assistant"}));
                }
                let message = messages.iter_mut().find(|message| message["id"] == owner.as_str()).expect("made");
                let function = json!({"name": text("toolCallName"), "arguments": ""});
                let call = json!({"id": text("toolCallId"), "type": "function", "function": function});
                match message["toolCalls"].as_array_mut() {
                    Some(calls) => calls.push(call),
                    None => message["toolCalls"] = json!([call]),
                }
            }
            "TOOL_CALL_ARGS" => {
                let calls = messages.iter_mut().filter_map(|message| message.get_mut("toolCalls")?.as_array_mut());
                let call = calls.flatten().find(|call| call["id"] == event["toolCallId"]).expect("begun");
                let arguments = call["function"]["arguments"].as_str().unwrap_or_default().to_owned() + &text("delta");
                call["function"]["arguments"] = arguments.into();
            }
            "TOOL_CALL_RESULT" => {
                let makes = |message: &Value| {
                    message["toolCalls"]
                        .as_array()
                        .is_some_and(|calls| calls.iter().any(|call| call["id"] == event["toolCallId"]))
                };
                let after = messages.iter().position(makes).map_or(messages.len(), |made| made + 1);
                let results = messages[after..].iter().take_while(|message| message["role"] == "tool").count();
                let result = json!({
                    "id": text("messageId"), "role": "tool", "toolCallId": text("toolCallId"), "content": text("content"),
                });
                messages.insert(after + results, result);
            }
            _ => {}
        }
    }
    messages
}
