//! Clients die of an event of more than 10 MiB, and may post 32: what they posted comes back in events that they can read.
//! Every stream of these tests checks the size of its frames.

use serde_json::{Value, json};

use crate::support::agents::{BOARD, DEMO};
use crate::support::events::{messages, state};
use crate::support::server::{Home, say, with_messages};

const ECHO: (&str, &str) = (
    "echo.yaml",
    "name: Echo\nagent: { kind: native, name: scripted, config: { pace: 0ms, turns: [ { do: [ { say: heard } ] } ] } }\n",
);

/// 12 MiB of rows, three quarters of them in one list.
fn large_state() -> Value {
    let row = |n: usize| json!({ "n": n, "text": "x".repeat(64 << 10) });
    json!({ "rows": (0..144).map(row).collect::<Vec<_>>(), "other": { "rows": (0..48).map(row).collect::<Vec<_>>() } })
}

fn image(id: &str) -> Value {
    let data = "A".repeat(12 << 20);
    json!({ "id": id, "role": "user", "content": [
        { "type": "text", "text": "look at this" },
        { "type": "image", "source": { "type": "data", "value": data, "mimeType": "image/png" } },
    ] })
}

#[tokio::test]
async fn a_message_too_large_for_an_event_is_told_in_part_and_kept_whole() {
    let home = Home::with_agents(&[ECHO]);
    let server = home.serve();
    let posted = image("u1");
    server.run_to_end("echo", &with_messages("t", std::slice::from_ref(&posted))).await;
    let server = server.crash_and_restart();
    assert!(server.get("/threads/t/messages").await["messages"][0] == posted, "it is kept whole");

    let held = messages(&server.replay("echo", "t").await);
    assert_eq!(held[0]["content"][0]["text"], "look at this");
    assert_eq!(held[0]["content"][1], json!({ "type": "text", "text": "[image/png of 12 MiB, not sent back]" }));

    // A page that was loaded anew posts what it was told, and has changed nothing by it.
    let question = json!({ "id": "u2", "role": "user", "content": "and?" });
    server.run_to_end("echo", &with_messages("t", &[held, vec![question]].concat())).await;
    let kept = server.get("/threads/t/messages").await;
    assert!(kept["messages"][0] == posted, "it is still whole");
    assert_eq!(kept["messages"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_text_too_large_for_an_event_is_told_in_several() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let word = "x".repeat(12 << 20);
    let events = server.run_to_end("demo", &say("t", "u1", &word)).await;
    let answer = |events: &[Value]| messages(events)[1]["content"] == format!("You said: {word}");
    assert!(answer(&events), "the run tells all of it");
    let server = server.crash_and_restart();
    assert!(answer(&server.replay("demo", "t").await), "so does a replay");
}

#[tokio::test]
async fn a_state_too_large_for_an_event_is_told_in_several() {
    let home = Home::with_agents(&[ECHO]);
    let server = home.serve();
    let mut input = say("t", "u1", "keep this");
    input["state"] = large_state();
    assert!(state(&server.run_to_end("echo", &input).await) == large_state(), "the run tells all of it");
    let server = server.crash_and_restart();
    assert!(state(&server.replay("echo", "t").await) == large_state(), "so does a replay");
    let plain = server
        .http()
        .post(format!("{}/v1/agents/echo", server.url))
        .header("accept", "application/vnd.ag-ui.event+proto");
    let bytes = plain.json(&say("t", "u2", "again")).send().await.expect("an answer").bytes().await.expect("a body");
    let mut rest = &bytes[..];
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        assert!(length < 10 << 20, "a frame of {length} bytes");
        rest = &after[length..];
    }
}

#[tokio::test]
async fn a_change_too_large_for_an_event_is_told_in_several_to_whoever_watches() {
    let home = Home::with_agents(&[DEMO, BOARD]);
    let server = home.serve_in_memory();
    let mut stream = server.run("board", &say("t", "u1", "wait")).await;
    let mut seen = stream.all_until("STATE_SNAPSHOT").await;
    let written = server.put_document("shared/board", &large_state(), &[]).await;
    assert_eq!(written.status, 200);
    seen.extend(stream.rest().await);
    assert!(state(&seen) == large_state(), "all of it was told");
}
