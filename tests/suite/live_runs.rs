//! AG-UI runs over the WebSocket (docs/state-api.md §4).

use serde_json::{Value, json};

use crate::support::agents::{BOARD, DEMO};
use crate::support::documents::JSON_PATCH;
use crate::support::live::Socket;
use crate::support::server::{Home, say};

fn run(channel: u64, agent: &str, input: &Value) -> Value {
    json!({"type": "run", "channel": channel, "agent": agent, "input": input})
}

/// The events of a channel up to its end, and why it ended.
async fn events(socket: &mut Socket, channel: u64) -> (Vec<Value>, String) {
    let (mut events, mut seq) = (Vec::new(), 0);
    loop {
        let mut frame = socket.hear().await;
        if frame["channel"] != channel {
            continue;
        }
        match frame["type"].as_str() {
            Some("event") => {
                let next = frame["seq"].as_u64().expect("a position");
                assert!(next >= seq, "positions never go back: {frame}");
                seq = next;
                events.push(frame["event"].take());
            }
            Some("end") => return (events, frame["reason"].as_str().expect("a reason").to_owned()),
            _ => panic!("{frame}"),
        }
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

#[tokio::test]
async fn a_run_streams_its_events_and_ends_the_channel() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let mut socket = Socket::open(&server, "c").await;
    socket.say(&run(1, "demo", &say("t1", "m1", "count"))).await;
    let (seen, reason) = events(&mut socket, 1).await;
    assert_eq!(reason, "finished");
    let seen = kinds(&seen);
    assert_eq!(
        (seen[0], seen[1], *seen.last().unwrap()),
        ("RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"),
        "{seen:?}"
    );
    assert!(seen.contains(&"STATE_DELTA") && seen.contains(&"TEXT_MESSAGE_CONTENT"), "{seen:?}");

    socket.say(&run(1, "demo", &say("t2", "m1", "fail"))).await;
    let (seen, reason) = events(&mut socket, 1).await;
    assert_eq!((*kinds(&seen).last().unwrap(), reason.as_str()), ("RUN_ERROR", "failed"));

    socket.say(&json!({"type": "follow", "channel": 2, "thread": "t1", "agent": "demo"})).await;
    let (replayed, reason) = events(&mut socket, 2).await;
    let replayed = kinds(&replayed);
    assert_eq!((replayed[0], *replayed.last().unwrap(), reason.as_str()), ("RUN_STARTED", "RUN_FINISHED", "finished"));

    for (agent, input, code) in [
        ("nobody", say("t", "m", "x"), "not_found"),
        ("demo", json!({"threadId": 7}), "invalid_body"),
        ("demo", say(&"t".repeat(300), "m", "x"), "invalid_name"),
    ] {
        socket.say(&run(3, agent, &input)).await;
        let error = socket.hear_a("error").await;
        assert_eq!((&error["code"], &error["channel"]), (&json!(code), &json!(3)), "{error}");
    }
}

#[tokio::test]
async fn a_live_run_is_followed_by_others_survives_its_socket_and_is_stopped_by_any() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let mut starter = Socket::open(&server, "starter").await;
    starter.say(&run(1, "demo", &say("t", "m1", "slow"))).await;
    let mut last = 0;
    for _ in 0..8 {
        last = starter.hear_a("event").await["seq"].as_u64().unwrap();
    }
    let mut other = Socket::open(&server, "other").await;
    other.say(&run(5, "demo", &say("t", "m2", "slow"))).await;
    let busy = other.hear_a("error").await;
    assert_eq!((&busy["code"], &busy["channel"]), (&json!("thread_busy"), &json!(5)));
    assert!(busy["run_id"].as_str().is_some_and(|id| !id.is_empty()), "{busy}");
    drop(starter);

    other.say(&json!({"type": "follow", "channel": 6, "thread": "t", "agent": "demo"})).await;
    assert_eq!(other.hear_a("event").await["event"]["type"], "RUN_STARTED");
    other.say(&json!({"type": "unsubscribe", "channel": 6})).await;
    other.say(&json!({"type": "follow", "channel": 7, "thread": "t", "agent": "demo", "after": last})).await;
    loop {
        let frame = other.hear_a("event").await;
        if frame["channel"] == 7 {
            assert_eq!((&frame["event"]["type"], &frame["seq"]), (&json!("STATE_SNAPSHOT"), &json!(last)));
            assert_ne!(frame["event"]["type"], "RUN_STARTED", "what came before is not repeated");
            break;
        }
    }
    other.say(&json!({"type": "stop", "thread": "t", "agent": "demo"})).await;
    let (seen, reason) = events(&mut other, 7).await;
    assert_eq!((*kinds(&seen).last().unwrap(), reason.as_str()), ("RUN_FINISHED", "finished"));
    other.say(&json!({"type": "stop", "thread": "t", "agent": "demo"})).await;
    assert_eq!(other.hear_a("error").await["code"], "not_found");
}

#[tokio::test]
async fn a_commit_by_anyone_reaches_the_channel_of_a_run() {
    let home = Home::with_agents(&[BOARD]);
    let server = home.serve();
    let mut socket = Socket::open(&server, "c").await;
    socket.say(&run(1, "board", &say("t", "m1", "wait"))).await;
    while socket.hear_a("event").await["event"]["type"] != "STATE_SNAPSHOT" {}
    let patch = json!([{"op": "add", "path": "/owner", "value": "ada"}]);
    assert_eq!(server.patch_document("shared/board", JSON_PATCH, &patch, &[]).await.status, 200);
    let delta = socket.hear_a("event").await["event"].clone();
    assert_eq!((&delta["type"], &delta["delta"]), (&json!("STATE_DELTA"), &patch));
    // A run that is live when the server stops goes on at its next start: its channel ends before the goodbye, not with a
    // terminal and not as if it were over.
    server.begin_to_stop();
    let (code, said) = socket.closed().await;
    let kinds: Vec<_> = said.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!((code, kinds.as_slice()), (4503, &["end", "goaway"][..]));
    assert_eq!(said[0]["reason"], "lost");
}
