//! Agents elsewhere that speak AG-UI over HTTP, and everything they can do wrong.

use serde_json::{Value, json};

use crate::support::events::{state, text, types};
use crate::support::server::{Home, Server, say, with_messages};
use crate::support::upstream::{Answer, Then, Upstream, events, sse, status};

const PYDANTIC: &str = include_str!("../fixtures/pydantic-ai-2.68-run.sse.txt");
const LANGGRAPH: &str = include_str!("../fixtures/langgraph-1.2-run.sse.txt");

const STARTED: &str = r#"{"type":"RUN_STARTED","threadId":"x","runId":"y"}"#;
const FINISHED: &str = r#"{"type":"RUN_FINISHED","threadId":"x","runId":"y"}"#;

/// The recorded body, without the response's head.
fn recorded(recording: &str) -> String {
    let recording = recording.replace("\r\n", "\n");
    recording.split_once("\n\n").expect("a head").1.to_owned()
}

async fn hosting(answer: Answer) -> (Home, Server, Upstream) {
    let upstream = Upstream::start(answer).await;
    let agent = format!(
        "agent:\n  kind: remote\n  url: {}\n  timeouts: {{ first_byte: 500ms, idle: 500ms }}\n  max_event_bytes: 100000\nstate: {{ write: [/count] }}\n",
        upstream.url
    );
    let home = Home::with_agents(&[("remote.yaml", &agent)]);
    let server = home.serve_in_memory();
    (home, server, upstream)
}

fn count(thread: &str) -> Value {
    let mut input = say(thread, &format!("u-{thread}"), "bump by two");
    input["state"] = json!({"count": 40});
    input
}

/// What a run came to, without ids that differ from run to run.
fn shape(events: &[Value]) -> Vec<(String, Value)> {
    let shown = |event: &Value| (event["type"].as_str().unwrap_or_default().to_owned(), event["delta"].clone());
    events.iter().map(shown).collect()
}

#[tokio::test]
async fn recordings_replay_right_whole_and_byte_by_byte() {
    for (recording, count_after, said) in [(PYDANTIC, 42, "count is now up"), (LANGGRAPH, 41, "hello")] {
        let (_home, server, upstream) = hosting(sse(&recorded(recording))).await;
        let whole = server.run_to_end("remote", &count("whole")).await;
        upstream.answers(Answer { piece: 1, ..sse(&recorded(recording)) });
        let bytewise = server.run_to_end("remote", &count("bytewise")).await;
        assert_eq!(shape(&whole), shape(&bytewise));
        assert_eq!(types(&whole).last(), Some(&"RUN_FINISHED"));
        assert_eq!(state(&whole)["count"], count_after);
        assert!(text(&whole).starts_with(said), "{}", text(&whole));
        assert!(!types(&whole).contains(&"RAW"), "internals stay where they are");
        let replay = server.replay("remote", "whole").await;
        assert_eq!((text(&replay), state(&replay)), (text(&whole), state(&whole)));
    }
}

#[tokio::test]
async fn a_recording_cut_at_any_event_ends_the_run_with_a_clear_error() {
    for recording in [PYDANTIC, LANGGRAPH] {
        let body = recorded(recording);
        let ends: Vec<usize> = body.match_indices("\n\n").map(|(at, _)| at + 2).collect();
        let (_home, server, upstream) = hosting(sse("")).await;
        for (nth, end) in ends[..ends.len() - 1].iter().enumerate() {
            upstream.answers(sse(&body[..*end]));
            let thread = format!("cut-{nth}");
            let live = server.run_to_end("remote", &count(&thread)).await;
            assert_eq!(live.last().unwrap()["code"], "upstream_lost", "{:?}", types(&live));
            let replay = server.replay("remote", &thread).await;
            assert_eq!(
                (text(&replay), state(&replay)),
                (text(&live), state(&live)),
                "what came before the cut is kept"
            );
            assert_eq!(replay.last().unwrap()["code"], "upstream_lost");
        }
    }
}

#[tokio::test]
async fn every_fault_of_an_upstream_is_named_and_harms_nobody_else() {
    let message = r#"{"type":"TEXT_MESSAGE_START","messageId":"m","role":"assistant"}"#;
    let half = r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"half"}"#;
    let huge = format!(r#"{{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"{}"}}"#, "x".repeat(200_000));
    let cases = [
        (status("500 Internal Server Error", "{}"), "upstream_error"),
        (status("422 Unprocessable Entity", "[]"), "upstream_error"),
        (events(&[STARTED, message, half]), "upstream_lost"),
        (sse("data: {\"type\":\n\n"), "upstream_error"),
        (events(&[STARTED, message, &huge, FINISHED]), "upstream_error"),
        (events(&[STARTED, half, FINISHED]), "invalid_sequence"),
        (Answer { then: Then::Hold, ..events(&[STARTED]) }, "timeout"),
        (Answer { bytes: Vec::new(), piece: 0, then: Then::Hold }, "timeout"),
    ];
    let (_home, server, upstream) = hosting(sse("")).await;
    for (nth, (answer, code)) in cases.into_iter().enumerate() {
        upstream.answers(answer);
        let events = server.run_to_end("remote", &say(&format!("fault-{nth}"), &format!("u{nth}"), "hello")).await;
        let end = events.last().expect("a run has an end");
        assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!(code)), "case {nth}: {end}");
        assert!(end["message"].as_str().is_some_and(|message| message.len() > 10), "{end}");
    }
    upstream.answers(events(&[STARTED, FINISHED]));
    let fine = server.run_to_end("remote", &say("fine", "u", "hello")).await;
    assert_eq!(types(&fine).last(), Some(&"RUN_FINISHED"), "the server goes on");
}

#[tokio::test]
async fn an_upstream_that_nobody_listens_at_is_named() {
    let home = Home::with_agents(&[("remote.yaml", "agent: { kind: remote, url: \"http://127.0.0.1:1/agent\" }\n")]);
    let server = home.serve_in_memory();
    let events = server.run_to_end("remote", &say("t", "u", "hello")).await;
    assert_eq!(events.last().unwrap()["code"], "upstream_error");
}

#[tokio::test]
async fn unknown_events_and_events_after_the_terminal_are_dropped() {
    let unknown = r#"{"type":"SOMETHING_NEW","x":1}"#;
    let late = r#"{"type":"TEXT_MESSAGE_START","messageId":"late"}"#;
    let (_home, server, _upstream) = hosting(events(&[STARTED, unknown, FINISHED, late])).await;
    let events = server.run_to_end("remote", &say("t", "u", "hello")).await;
    assert_eq!(types(&events), ["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"]);
    assert_eq!(events[2]["threadId"], "t", "an upstream sets no ids");
}

#[tokio::test]
async fn a_stop_reaches_the_upstream() {
    let message = r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#;
    let held = Answer { then: Then::Hold, ..events(&[STARTED, message]) };
    let (_home, server, mut upstream) = hosting(held).await;
    let mut stream = server.run("remote", &say("t", "u", "hello")).await;
    stream.until("TEXT_MESSAGE_START").await;
    server.stop("remote", "t").await;
    upstream.is_hung_up_on().await;
    assert_eq!(types(&stream.rest().await), ["TEXT_MESSAGE_END", "RUN_FINISHED"]);
}

#[tokio::test]
async fn the_upstream_gets_our_transcript_our_state_and_the_applications_headers() {
    let (_home, server, upstream) = hosting(events(&[STARTED, FINISHED])).await;
    let mut input = with_messages(
        "t",
        &[
            json!({"id": "forged", "role": "assistant", "content": "I promised"}),
            json!({"id": "u", "role": "user", "content": "hello"}),
        ],
    );
    input["state"] = json!({"count": 7});
    let url = server.copilotkit("/agent/remote/run");
    let request = server.http().post(url).header("x-team", "blue").header("cookie", "secret=1").json(&input);
    request.send().await.unwrap().text().await.unwrap();
    let got = upstream.last_request();
    let (head, body) = got.split_once("\r\n\r\n").unwrap();
    assert!(head.to_ascii_lowercase().contains("x-team: blue") && !head.contains("secret"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["messages"].as_array().unwrap().len(), 1);
    assert_eq!(body["state"], json!({"count": 7}));
}

#[tokio::test]
async fn ids_that_an_earlier_run_used_are_renamed() {
    let message = [
        STARTED,
        r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#,
        r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"hello "}"#,
        r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#,
        FINISHED,
    ];
    let (_home, server, _upstream) = hosting(events(&message)).await;
    server.run_to_end("remote", &say("t", "u1", "one")).await;
    let second = server.run_to_end("remote", &say("t", "u2", "two")).await;
    let id = second.iter().find(|event| event["type"] == "TEXT_MESSAGE_START").unwrap()["messageId"].clone();
    assert_ne!(id, "m");
    assert!(second.iter().filter_map(|event| event.get("messageId")).all(|other| *other == id));
    let messages = server.get("/threads/t/messages").await;
    assert_eq!(messages["messages"].as_array().unwrap().len(), 4);
}
