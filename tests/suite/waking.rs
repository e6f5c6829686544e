//! A thread that left memory comes back as it was, and at a cost that its frames do not decide.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::events::{text, types};
use crate::support::faulty::Faulty;
use crate::support::server::{Home, Server, say, with_messages};

const WORDY: (&str, &str) = (
    "wordy.yaml",
    r#"
name: Wordy
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { tool: pick }
        do: [ { say: "picked {result}" } ]
      - when: { text: ask }
        do: [ { call: { name: pick, args: {} } } ]
      - when: { text: work }
        do: [ { repeat: { times: 60, do: [ { step: { name: one-of-many-steps-that-leave-no-message, do: [] } } ] } }, { say: "done: {message}" } ]
      - do: [ { say: "heard {message}" } ]
"#,
);

fn user(id: &str, text: &str) -> Value {
    json!({"id": id, "role": "user", "content": text})
}

/// Enough work for what the thread remembers to be stored, several times.
async fn work(server: &Server, thread: &str, runs: usize) {
    for n in 0..runs {
        server.run_to_end("wordy", &say(thread, &format!("{thread}-{n}"), "work")).await;
    }
}

#[tokio::test]
async fn waking_reads_what_is_remembered_and_not_every_frame() {
    let home = Home::with_agents(&[WORDY]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    work(&server, "t", 60).await;
    let snapshots = store.thread_snapshots();
    assert!((1..30).contains(&snapshots), "60 runs stored what they remember {snapshots} times");
    let frames = server.get("/threads/t/events").await.to_string().len();
    drop(server);
    let server = home.serve_here(store.clone()).await;
    store.read_bytes();
    let events = server.run_to_end("wordy", &say("t", "next", "hello")).await;
    assert_eq!(text(&events), "heard hello");
    let read = store.read_bytes();
    assert!(frames > 400_000, "the thread is long: {frames} bytes of events");
    assert!(read < 200_000, "{read} bytes were read to wake a thread of {frames}");
}

#[tokio::test]
async fn a_thread_comes_back_as_it_was() {
    let home = Home::with_agents(&[WORDY]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    server.run_to_end("wordy", &say("t", "u1", "hello")).await;
    // Asked again: the first answer is superseded.
    server.run_to_end("wordy", &say("t", "u1", "hello")).await;
    let mut ask = say("t", "u2", "ask");
    ask["tools"] = json!([{"name": "pick", "description": "", "parameters": {"type": "object"}}]);
    let asked = server.run_to_end("wordy", &ask).await;
    let call = asked.iter().find(|event| event["type"] == "TOOL_CALL_START").expect("a call")["toolCallId"].clone();
    work(&server, "t", 40).await;
    let edit = with_messages("t", &[user("u1", "hello, edited"), user("u3", "hello")]);
    server.run_to_end("wordy", &edit).await;
    let (replay, messages) = (server.replay("wordy", "t").await, server.get("/threads/t/messages").await);
    drop(server);
    let server = home.serve_here(store.clone()).await;
    assert_eq!(server.replay("wordy", "t").await, replay);
    assert_eq!(server.get("/threads/t/messages").await, messages);
    let answer = json!({"id": "r1", "role": "tool", "toolCallId": call, "content": "red"});
    let known = messages["messages"].as_array().unwrap().iter().find(|message| !message["toolCalls"].is_null());
    let known = json!({"id": known.unwrap()["id"], "role": "assistant", "toolCalls": [
        {"id": call, "type": "function", "function": {"name": "pick", "arguments": "{}"}}]});
    let events = server.run_to_end("wordy", &with_messages("t", &[known, answer])).await;
    assert_eq!(text(&events), "picked red", "the question is still open");
    let again = with_messages("t", &[user("t-0", "work")]);
    server.run_to_end("wordy", &again).await;
    let replay = server.replay("wordy", "t").await;
    let starts = types(&replay).iter().filter(|of| **of == "RUN_STARTED").count();
    assert_eq!(starts, 3, "asking the third run again supersedes all after it");
}
