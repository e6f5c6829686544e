//! Shared state as CopilotKit's client sees it: posted whole, merged by evidence, sent as deltas that apply.

use serde_json::{Value, json};

use crate::support::agents::{BOARD, DEMO};
use crate::support::events::{state, types};
use crate::support::server::{Home, Server, say, with_messages};

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
      - when: { text: later }
        do: [ { wait: 300ms }, { patch: [ { op: add, path: /list/-, value: agent } ] }, { say: "appended" } ]
      - when: { text: quietly }
        do: [ { say: "on it" }, { wait: 300ms }, { patch: [ { op: add, path: /list/-, value: agent } ] } ]
      - when: { text: wordless }
        do: [ { patch: [ { op: add, path: /list/-, value: agent } ] } ]
      - when: { text: retitle }
        do: [ { patch: [ { op: add, path: /title, value: "one" } ] }, { patch: [ { op: add, path: /title, value: "two" } ] }, { say: "done" } ]
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

/// A run whose client is cut after its first snapshot; what happened in it, from another reader.
async fn cut_run(server: &Server, agent: &str, input: &Value) -> Vec<Value> {
    let mut stream = server.run(agent, input).await;
    stream.until("STATE_SNAPSHOT").await;
    drop(stream);
    server.replay(agent, input["threadId"].as_str().unwrap()).await
}

/// What a client holds that was cut in its first run, by the messages it got, and that then posts its old state again.
async fn after_a_cut(asked: &str, heard: impl Fn(&Value) -> Vec<Value>) -> Value {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve();
    let first = post("t", &[], asked, &json!({"note": "mine"}));
    let events = cut_run(&server, "notes", &first).await;
    let mut seen = first["messages"].as_array().unwrap().clone();
    let start = events.iter().find(|event| event["type"] == "TEXT_MESSAGE_START").expect("the agent spoke");
    seen.extend(heard(&start["messageId"]));
    let old = json!({"note": "mine", "list": [], "title": "untitled"});
    state(&server.run_to_end("notes", &post("t", &seen, "hello", &old)).await)
}

#[tokio::test]
async fn a_client_that_was_cut_in_a_run_reverts_nothing_of_it() {
    let kept = json!({"note": "mine", "list": ["agent"], "title": "untitled"});
    assert_eq!(after_a_cut("later", |_| vec![]).await, kept, "it has its own message only");
    let part = |id: &Value| vec![json!({"id": id, "role": "assistant", "content": "appen"})];
    assert_eq!(after_a_cut("later", part).await, kept, "it has a part of the answer");
    let whole = |id: &Value| vec![json!({"id": id, "role": "assistant", "content": "on it"})];
    assert_eq!(after_a_cut("quietly", whole).await, kept, "it has all that was said, and that was before the write");
}

#[tokio::test]
async fn who_heard_a_run_to_its_end_edits_what_it_ended_with() {
    let home = Home::with_agents(&[NOTES]);
    let mut server = home.serve();
    for (nth, asked) in ["wordless", "quietly"].into_iter().enumerate() {
        let thread = format!("t{nth}");
        let first = post(&thread, &[], asked, &json!({}));
        let events = server.run_to_end("notes", &first).await;
        assert_eq!(state(&events)["list"], json!(["agent"]));
        let old = json!({"list": [], "title": "untitled"});
        let events = server.run_to_end("notes", &post(&thread, &history(&first, &events), "hello", &old)).await;
        assert_eq!(state(&events)["list"], json!([]), "{asked}: the client took the entry out");
    }
    // The next run stores that the one before was heard; a crash in between forgets it, and nothing is reverted.
    let first = post("t", &[], "wordless", &json!({}));
    server.run_to_end("notes", &first).await;
    server = server.crash_and_restart();
    let seen = first["messages"].as_array().unwrap();
    let events = server.run_to_end("notes", &post("t", seen, "hello", &json!({"list": [], "title": "untitled"}))).await;
    assert_eq!(state(&events)["list"], json!(["agent"]));
}

#[tokio::test]
async fn a_client_that_was_cut_before_the_first_snapshot_deletes_nothing() {
    let home = Home::with_agents(&[NOTES, BOARD]);
    let server = home.serve();
    let first = post("t", &[], "later", &json!({"note": "mine"}));
    cut_run(&server, "notes", &first).await;
    let seen = first["messages"].as_array().unwrap();
    let events = server.run_to_end("notes", &post("t", seen, "hello", &json!({"note": "mine"}))).await;
    assert_eq!(state(&events), json!({"note": "mine", "list": ["agent"], "title": "untitled"}));
    // The same where others had made the document: what was no evidence then is none now.
    server.run_to_end("board", &say("one", "u1", "add")).await;
    let made_up = json!({"owner": "me", "items": []});
    let first = post("two", &[], "wait", &made_up);
    let mut stream = server.run("board", &first).await;
    stream.until("STATE_SNAPSHOT").await;
    drop(stream);
    server.stop("board", "two").await;
    let events =
        server.run_to_end("board", &post("two", first["messages"].as_array().unwrap(), "hello", &made_up)).await;
    assert_eq!(state(&events), json!({"owner": "nobody", "items": ["from the agent"]}));
}

#[tokio::test]
async fn a_client_that_sends_no_history_edits_but_deletes_nothing() {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve();
    server.run_to_end("notes", &say("t", "u1", "append")).await;
    let events = server.run_to_end("notes", &post("t", &[], "hello", &json!({"title": "mine"}))).await;
    assert_eq!(state(&events), json!({"list": ["agent"], "title": "mine"}));
}

#[tokio::test]
async fn an_exact_version_tells_an_edit_from_a_value_that_came_and_went() {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve();
    let first = server.run_to_end("notes", &say("t", "u1", "retitle")).await;
    assert_eq!(state(&first)["title"], "two");
    // At version 1 the title is `untitled`; `one` stood there later, and this client never saw it.
    let mut input = post("t", &[], "hello", &json!({"list": [], "title": "one"}));
    input["forwardedProps"] = json!({"coagent": {"stateVersion": 1}});
    assert_eq!(state(&server.run_to_end("notes", &input).await)["title"], "one");
    let mut unknown = post("t", &[], "hello", &json!({"list": [], "title": "untitled"}));
    unknown["forwardedProps"] = json!({"coagent": {"stateVersion": 99}});
    assert_eq!(state(&server.run_to_end("notes", &unknown).await)["title"], "one", "no such version proves nothing");
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

#[tokio::test]
async fn a_client_has_what_the_agent_wrote_before_it_hears_of_it() {
    let home = Home::with_agents(&[NOTES]);
    let server = home.serve_in_memory();
    for n in 0..30 {
        let events = server.run_to_end("notes", &say(&format!("t-{n}"), "u1", "append")).await;
        let place = |of: &str| types(&events).iter().position(|seen| *seen == of);
        assert!(place("STATE_DELTA").is_some() && place("STATE_DELTA") < place("TEXT_MESSAGE_START"), "{events:?}");
    }
}

#[tokio::test]
async fn a_reload_shows_what_others_wrote_since() {
    let home = Home::with_agents(&[BOARD]);
    let server = home.serve();
    server.run_to_end("board", &say("one", "u1", "hello")).await;
    server.run_to_end("board", &say("two", "u2", "add")).await;
    assert_eq!(state(&server.replay("board", "one").await)["items"], json!(["from the agent"]));
}
