//! Several models for one agent: when one fails for good, the next one answers.

use serde_json::json;

use crate::support::events::{state, text, types};
use crate::support::model::{call, chunks, definition, said, text as answer};
use crate::support::server::{Home, Server, say};
use crate::support::upstream::{Answer, Upstream, status};

/// Two fakes, and an agent that asks the first, and the second when the first fails.
async fn pair(
    first: impl IntoIterator<Item = Answer>,
    second: impl IntoIterator<Item = Answer>,
) -> (Upstream, Upstream, Home, Server) {
    let (first, second) = (Upstream::start_with(first).await, Upstream::start_with(second).await);
    let home = Home::with_agents(&[("helper.md", &definition(&first, "  fallback: [second]", "")), ("key.txt", "k\n")]);
    std::fs::create_dir(home.path().join("agents/_shared")).expect("a folder");
    let base = second.url.trim_end_matches("/agent");
    home.write_agent("_shared/models.yaml", &format!("second: {{ model: other/large, base_url: \"{base}/v1\" }}\n"));
    let server = home.serve_in_memory();
    (first, second, home, server)
}

#[tokio::test]
async fn when_a_model_fails_for_good_the_next_one_answers() {
    for (fault, times) in [
        (status("503 Service Unavailable", "busy"), 4),
        (status("429 Too Many Requests", r#"{"error":{"message":"slow down"}}"#), 4),
        (status("401 Unauthorized", "{}"), 1),
        (status("404 Not Found", r#"{"error":"no such model"}"#), 1),
    ] {
        let (first, second, _home, server) = pair([fault], [answer("fine")]).await;
        let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
        assert_eq!(text(&events), "fine");
        assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"));
        assert_eq!((first.bodies().len(), second.bodies().len()), (times, 1));
        assert_eq!(second.bodies()[0]["model"], "large");
    }
}

#[tokio::test]
async fn what_the_first_one_left_half_is_closed_before_the_next_one_speaks() {
    let (_first, _second, _home, server) = pair([chunks(&[said("half")])], [answer("whole")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!(text(&events), "halfhalfhalfhalfwhole", "each try was seen");
    let open = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((open("TEXT_MESSAGE_START"), open("TEXT_MESSAGE_END")), (5, 5));
}

#[tokio::test]
async fn a_run_stays_with_the_model_that_answered() {
    let set = call("c", "state_set", &json!({ "path": "/n", "value": 1 }));
    let (first, second, _home, server) = pair([status("401 Unauthorized", "{}")], [set, answer("done")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!((text(&events).as_str(), state(&events)), ("done", json!({ "n": 1 })));
    assert_eq!((first.bodies().len(), second.bodies().len()), (1, 2));
    let usage = &events.last().expect("a terminal")["usage"];
    assert!(usage.is_null() || usage[0]["provider"] == "other", "{usage}");
}

#[tokio::test]
async fn when_all_fail_the_run_says_what_each_of_them_said() {
    let (_first, _second, _home, server) =
        pair([status("401 Unauthorized", "{}")], [status("404 Not Found", r#"{"error":"no such model"}"#)]).await;
    let end = server.run_to_end("helper", &say("t", "u", "hello")).await.pop().expect("a terminal");
    assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!("provider_error")));
    let message = end["message"].as_str().expect("a message");
    assert!(message.contains("test/small: ") && message.contains("other/large: ") && message.contains("no such model"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_passed_over_after_its_tries() {
    let second = Upstream::start(answer("fine")).await;
    // Nothing listens there.
    let elsewhere = definition(&second, "", "").replace(second.url.trim_end_matches("/agent"), "http://127.0.0.1:9");
    let base = second.url.trim_end_matches("/agent");
    let home = Home::with_agents(&[
        ("helper.md", &elsewhere.replace("  api_key", "  fallback: [second]\n  api_key")),
        ("key.txt", "k\n"),
    ]);
    std::fs::create_dir(home.path().join("agents/_shared")).expect("a folder");
    home.write_agent("_shared/models.yaml", &format!("second: {{ model: other/large, base_url: \"{base}/v1\" }}\n"));
    let server = home.serve_in_memory();
    assert_eq!(text(&server.run_to_end("helper", &say("t", "u", "hello")).await), "fine");
}
