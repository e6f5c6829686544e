//! How the endpoint of a remote agent is asked: where it says it is, in the words of the version that it knows.

use serde_json::{Value, json};

use crate::support::events::types;
use crate::support::server::{Home, say, with_messages};
use crate::support::upstream::{Answer, Then, Upstream, events};

const STARTED: &str = r#"{"type":"RUN_STARTED","threadId":"x","runId":"y"}"#;
const FINISHED: &str = r#"{"type":"RUN_FINISHED","threadId":"x","runId":"y"}"#;

fn moved(status: &str, location: &str) -> Answer {
    let head = format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    Answer { bytes: head.into_bytes(), piece: 0, then: Then::Close }
}

fn remote(upstream: &Upstream, rest: &str) -> Home {
    let definition =
        format!("agent: {{ kind: remote, url: \"{}\", headers: {{ x-room: \"7\" }}{rest} }}", upstream.url);
    Home::with_agents(&[("remote.yaml", &definition)])
}

#[tokio::test]
async fn an_endpoint_that_is_elsewhere_on_its_server_is_asked_there() {
    for (status, location) in [("307 Temporary Redirect", "/agent/"), ("308 Permanent Redirect", "agent/?v=1")] {
        let answers = [moved(status, location), events(&[STARTED, FINISHED])];
        let upstream = Upstream::start_with(answers).await;
        let server = remote(&upstream, "").serve_in_memory();
        let run = server.run_to_end("remote", &say("t", "u", "hello")).await;
        assert_eq!(types(&run).last(), Some(&"RUN_FINISHED"), "{run:?}");
        let [(first, asked), (second, asked_again)] = upstream.requests().try_into().expect("two requests");
        assert!(first.starts_with("POST /agent HTTP/1.1") && second.starts_with("POST /agent/"), "{second}");
        assert!(second.to_lowercase().contains("x-room: 7"));
        assert_eq!(asked, asked_again);
    }
}

#[tokio::test]
async fn nothing_is_sent_to_another_server_than_the_definition_names() {
    let other = Upstream::start(events(&[STARTED, FINISHED])).await;
    let upstream = Upstream::start(moved("307 Temporary Redirect", &other.url)).await;
    let server = remote(&upstream, "").serve_in_memory();
    let run = server.run_to_end("remote", &say("t", "u", "hello")).await;
    let end = run.last().expect("a terminal");
    assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!("upstream_error")));
    assert!(end["message"].as_str().expect("a message").contains("has to name the address it is at"), "{end}");
    assert_eq!((upstream.requests().len(), other.requests().len()), (1, 0));
    upstream.answers(moved("307 Temporary Redirect", "/agent"));
    let round = server.run_to_end("remote", &say("t2", "u", "hello")).await;
    assert_eq!(round.last().expect("a terminal")["code"], "upstream_error", "a circle ends");
}

#[tokio::test]
async fn an_endpoint_that_was_not_said_to_speak_1_0_is_asked_in_the_words_of_0_x() {
    let image = json!({"type": "binary", "mimeType": "image/png", "id": "f1"});
    let posted = json!({"id": "u", "role": "user", "content": [{"type": "text", "text": "look"}, image]});
    let part = |upstream: &Upstream| upstream.last_input()["messages"][0]["content"][1].clone();
    let file: Value = json!({"type": "image", "source": {"type": "file", "value": "f1", "mimeType": "image/png"}});
    for (version, expected) in [("", &image), (", protocol_version: \"1.0\"", &file)] {
        let upstream = Upstream::start(events(&[STARTED, FINISHED])).await;
        let server = remote(&upstream, version).serve_in_memory();
        server.run_to_end("remote", &with_messages("t", std::slice::from_ref(&posted))).await;
        assert_eq!(part(&upstream), *expected);
    }
}
