//! The debug feed: a copy of what streams carry, for whoever was told to look.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::{EventStream, types};
use crate::support::server::{Home, Server, say};

fn feeding() -> (Home, Server) {
    let home = Home::with_agents(&[DEMO]);
    let mut options = home.options();
    options.flags = vec!["--debug-events".to_owned()];
    (home, Server::start(options))
}

async fn feed(server: &Server) -> EventStream {
    let mut response = server.http().get(server.copilotkit("/cpk-debug-events")).send().await.expect("an answer");
    assert_eq!(response.chunk().await.expect("a stream").as_deref(), Some(&b": connected\n\n"[..]));
    EventStream::new(response)
}

/// The next sightings, as many as `events`.
async fn seen(feed: &mut EventStream, events: usize) -> Vec<Value> {
    let mut seen = Vec::new();
    while seen.len() < events {
        seen.push(feed.next().await.expect("the feed goes on"));
    }
    seen
}

#[tokio::test]
async fn every_event_of_runs_and_connects_is_told_with_where_it_came_from() {
    let (_home, server) = feeding();
    let mut feed = feed(&server).await;
    let mut input = say("t", "u1", "weather");
    input["runId"] = "r1".into();
    let run = server.run_to_end("demo", &input).await;
    let told = seen(&mut feed, run.len()).await;
    assert_eq!(told.iter().map(|sighting| sighting["event"].clone()).collect::<Vec<_>>(), run);
    for sighting in &told {
        assert_eq!(
            (&sighting["agentId"], &sighting["threadId"], &sighting["runId"]),
            (&json!("demo"), &json!("t"), &json!("r1"))
        );
        assert!(sighting["timestamp"].as_u64() > Some(1_500_000_000_000), "milliseconds: {sighting}");
    }
    let replay = server.replay("demo", "t").await;
    let told: Vec<Value> = seen(&mut feed, replay.len()).await.into_iter().map(|told| told["event"].clone()).collect();
    assert_eq!(told, replay);
    // A suggestion is nobody's conversation.
    EventStream::new(server.post("/agent/demo/suggest", &say("s", "u", "hello")).await).rest().await;
    server.run_to_end("demo", &say("t2", "u2", "hello")).await;
    assert_eq!(seen(&mut feed, 1).await[0]["threadId"], "t2");
}

#[tokio::test]
async fn the_feed_tells_no_headers_properties_context_or_tools() {
    let (_home, server) = feeding();
    let mut feed = feed(&server).await;
    let mut input = say("t", "u1", "hello");
    input["forwardedProps"] = json!({"token": "SECRET-1"});
    input["context"] = json!([{"description": "d", "value": "SECRET-2"}]);
    input["tools"] = json!([{"name": "t", "description": "SECRET-3", "parameters": {}}]);
    let request = server.http().post(server.copilotkit("/agent/demo/run")).header("authorization", "Bearer SECRET-4");
    let run = EventStream::new(request.json(&input).send().await.expect("an answer")).rest().await;
    let told = seen(&mut feed, run.len()).await;
    assert!(!json!(told).to_string().contains("SECRET"), "{told:#?}");
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_how_much_it_lost_and_goes_on() {
    // More than the sockets and the feed's own buffer hold together.
    let line = "x".repeat(8 << 10);
    let flood = format!(
        r#"
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: {{ text: flood }}
        do: [ {{ repeat: {{ times: 4000, do: [ {{ raw: {{ type: RAW, event: {line} }} }} ] }} }} ]
      - do: [ {{ say: "quiet" }} ]
"#
    );
    let home = Home::with_agents(&[("flood.yaml", &flood)]);
    let mut options = home.options();
    options.store = "memory:".to_owned();
    options.flags = vec!["--debug-events".to_owned()];
    let server = Server::start(options);
    let mut feed = server.http().get(server.copilotkit("/cpk-debug-events")).send().await.expect("an answer");
    let flood = server.run_to_end("flood", &say("t", "u1", "flood")).await;
    let last = server.run_to_end("flood", &say("last", "u2", "hello")).await;
    let (mut bytes, mut looked_at) = (Vec::new(), 0);
    // The end of the last run has to be told, however much was lost before it.
    let is_end =
        |line: &[u8]| line.starts_with(b"data: ") && contains(line, b"RUN_FINISHED") && contains(line, b"\"last\"");
    while !bytes[looked_at..].split(|byte| *byte == b'\n').any(is_end) {
        looked_at = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let chunk = tokio::time::timeout(Duration::from_secs(20), feed.chunk()).await.expect("the feed goes on");
        bytes.extend(chunk.expect("bytes").expect("the feed does not end"));
    }
    let text = String::from_utf8(bytes).expect("the feed is text");
    let notices = text.lines().filter_map(|line| line.strip_prefix(": ")?.strip_suffix(" events were lost"));
    let lost: u64 = notices.map(|lost| lost.parse::<u64>().expect("a number")).sum();
    let told = text.lines().filter(|line| line.starts_with("data: ")).count() as u64;
    assert!(lost > 0 && told < flood.len() as u64, "lost {lost}, told {told}");
    assert_eq!(lost + told, (flood.len() + last.len()) as u64, "every event is either told or counted");
}

#[tokio::test]
async fn the_feed_is_off_unless_it_was_asked_for_and_ends_with_the_server() {
    let home = Home::with_agents(&[DEMO]);
    let closed = home.serve_in_memory();
    let (status, body, _) = closed.ask(Method::GET, "/cpk-debug-events", "").await;
    assert_eq!((status, body), (404, json!("Not Found")));
    let (_home, mut server) = feeding();
    assert_eq!(server.ask(Method::POST, "/cpk-debug-events", "").await.0, 405);
    let feed = feed(&server).await;
    let (code, took) = server.terminate();
    assert!(code == Some(0) && took < Duration::from_secs(3), "a reader holds up no stop: {code:?} after {took:?}");
    assert!(types(&feed.rest().await).is_empty());
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}
