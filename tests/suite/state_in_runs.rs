//! Shared state as CopilotKit's client sees it: posted whole, merged by evidence, sent as deltas that apply.

use serde_json::{Value, json};

use crate::support::agents::{BOARD, DEMO};
use crate::support::events::{state, types};
use crate::support::server::{Home, say, with_messages};

const NOTES: (&str, &str) = (
    "notes.yaml",
    r#"
name: Notes
state: { scope: thread, initial: { list: [], title: untitled } }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { text: append }
        do: [ { patch: [ { op: add, path: /list/-, value: agent } ] }, { say: "appended" } ]
      - when: { text: gone }
        do: [ { patch: [ { op: remove, path: /nothing } ] } ]
      - do: [ { say: "ok" } ]
"#,
);

/// Posts the whole history and a state, as the client does.
fn post(thread: &str, history: &[Value], text: &str, state: &Value) -> Value {
    let mut messages = history.to_vec();
    messages.push(json!({"id": uuid::Uuid::now_v7().to_string(), "role": "user", "content": text}));
    let mut input = with_messages(thread, &messages);
    input["state"] = state.clone();
    input
}

/// The messages a client holds after a run, from what it posted and what came.
fn history(input: &Value, events: &[Value]) -> Vec<Value> {
    let mut messages = input["messages"].as_array().expect("a list").clone();
    let starts = events.iter().filter(|event| event["type"] == "TEXT_MESSAGE_START");
    messages.extend(starts.map(|event| json!({"id": event["messageId"], "role": "assistant", "content": "…"})));
    messages
}

#[tokio::test]
async fn a_run_begins_with_the_initial_state_and_follows_with_deltas() {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve();
    let events = server.run_to_end("notes", &say("t", "u1", "append")).await;
    assert_eq!(types(&events)[..3], ["RUN_STARTED", "STATE_SNAPSHOT", "STATE_DELTA"]);
    assert_eq!(events[1]["snapshot"], json!({"list": [], "title": "untitled"}));
    assert_eq!(events[2]["delta"], json!([{"op": "add", "path": "/list/0", "value": "agent"}]));
}

#[tokio::test]
async fn an_agent_without_state_still_sends_an_empty_snapshot() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let events = server.run_to_end("demo", &say("t", "u1", "hello")).await;
    assert_eq!(events[1], json!({"type": "STATE_SNAPSHOT", "snapshot": {}}));
}

#[tokio::test]
async fn state_is_right_over_three_runs_with_edits_between_them() {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve();
    let first = post("t", &[], "append", &json!({}));
    let events = server.run_to_end("notes", &first).await;
    let mut seen = state(&events);
    seen["title"] = "mine".into();
    let second = post("t", &history(&first, &events), "append", &seen);
    let events = server.run_to_end("notes", &second).await;
    assert_eq!(state(&events), json!({"list": ["agent", "agent"], "title": "mine"}));
    let mut seen = state(&events);
    seen["list"].as_array_mut().unwrap().remove(0);
    let third = post("t", &history(&second, &events), "hello", &seen);
    let events = server.run_to_end("notes", &third).await;
    assert_eq!(state(&events), json!({"list": ["agent"], "title": "mine"}));
    assert_eq!(state(&server.replay("notes", "t").await), json!({"list": ["agent"], "title": "mine"}));
    assert_eq!(server.get("/threads/t/state").await["state"], json!({"list": ["agent"], "title": "mine"}));
}

#[tokio::test]
async fn a_stale_post_reverts_nothing() {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve();
    let first = post("t", &[], "append", &json!({}));
    let events = server.run_to_end("notes", &first).await;
    let (stale, seen) = (state(&events), history(&first, &events));
    server.run_to_end("notes", &post("t", &seen, "append", &stale)).await;
    // A second tab that saw only the first run posts what it has.
    let events = server.run_to_end("notes", &post("t", &seen, "hello", &stale)).await;
    assert_eq!(state(&events)["list"], json!(["agent", "agent"]));
}

#[tokio::test]
async fn a_post_without_evidence_only_fills_in_what_is_absent() {
    let home = Home::with_agents(&[BOARD]);
    let server = home.serve();
    server.run_to_end("board", &say("one", "u1", "add")).await;
    let mut stranger = say("two", "u2", "nothing");
    stranger["state"] = json!({"items": [], "owner": "me", "colour": "red"});
    let events = server.run_to_end("board", &stranger).await;
    assert_eq!(state(&events), json!({"items": ["from the agent"], "owner": "nobody", "colour": "red"}));
}

#[tokio::test]
async fn an_exact_version_makes_deletions_possible_and_keeps_what_others_added() {
    let home = Home::with_agents(&[BOARD]);
    let server = home.serve();
    server.run_to_end("board", &say("one", "u1", "hello")).await;
    server.run_to_end("board", &say("two", "u2", "add")).await;
    let mut input = say("three", "u3", "hello");
    input["state"] = json!({"items": []});
    input["forwardedProps"] = json!({"coagent": {"stateVersion": 1}});
    let events = server.run_to_end("board", &input).await;
    assert_eq!(state(&events), json!({"items": ["from the agent"]}), "`owner` is deleted, the item is not");
}

#[tokio::test]
async fn a_commit_by_anyone_reaches_a_live_run() {
    let home = Home::with_agents(&[BOARD]);
    let server = home.serve();
    let mut watching = server.run("board", &say("one", "u1", "wait")).await;
    watching.until("STATE_SNAPSHOT").await;
    server.run_to_end("board", &say("two", "u2", "add")).await;
    let delta = watching.until("STATE_DELTA").await;
    assert_eq!(delta["delta"][0]["value"], "from the agent");
    server.stop("board", "one").await;
}

#[tokio::test]
async fn a_shared_document_shows_on_a_thread_without_runs() {
    let home = Home::with_agents(&[BOARD]);
    let server = home.serve();
    server.run_to_end("board", &say("one", "u1", "add")).await;
    let replay = server.replay("board", "fresh").await;
    assert_eq!(types(&replay), ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"]);
    assert_eq!(replay[1]["snapshot"]["items"], json!(["from the agent"]));
    assert_eq!(server.get("/threads").await["threads"].as_array().unwrap().len(), 1, "nothing was stored");
}

#[tokio::test]
async fn a_posted_state_over_the_limits_is_rejected_and_the_run_goes_on() {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve();
    let mut deep = json!(1);
    for _ in 0..80 {
        deep = json!({"a": deep});
    }
    let mut input = say("t", "u1", "hello");
    input["state"] = json!({"title": "taken?", "deep": deep});
    let events = server.run_to_end("notes", &input).await;
    assert_eq!(types(&events)[..3], ["RUN_STARTED", "STATE_SNAPSHOT", "CUSTOM"]);
    assert_eq!(
        (&events[2]["name"], &events[2]["value"]["code"]),
        (&json!("coagent.state_rejected"), &json!("invalid_json"))
    );
    assert_eq!(events[1]["snapshot"]["title"], "untitled", "nothing of it is written");
    assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"));
}

#[tokio::test]
async fn a_patch_that_does_not_apply_never_reaches_a_client() {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve();
    let events = server.run_to_end("notes", &say("t", "u1", "gone")).await;
    assert!(!types(&events).contains(&"STATE_DELTA"));
    assert_eq!(types(&events).last(), Some(&"RUN_ERROR"));
}

#[tokio::test]
async fn each_recent_run_is_replayed_with_the_state_it_ended_with() {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let input = post("t", &seen, "append", &json!({}));
        let events = server.run_to_end("notes", &input).await;
        seen = history(&input, &events);
    }
    let replay = server.replay("notes", "t").await;
    let lengths: Vec<_> = replay
        .iter()
        .filter(|event| event["type"] == "STATE_SNAPSHOT")
        .map(|event| event["snapshot"]["list"].as_array().unwrap().len())
        .collect();
    assert_eq!(lengths, [1, 2, 3]);
}
