//! Suggestions: an agent asked beside the conversation, leaving nothing behind.

use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::{EventStream, text, types};
use crate::support::server::{Home, say};
use crate::support::upstream::{Answer, Then, Upstream, events};

fn asking(thread: &str) -> Value {
    let mut input = say(thread, "s1", "Suggest what the user could say next.");
    input["tools"] = json!([{"name": "copilotkitSuggest", "description": "", "parameters": {}}]);
    input["forwardedProps"] = json!({"toolChoice": {"type": "function", "function": {"name": "copilotkitSuggest"}}});
    input["state"] = json!({"count": 3});
    input
}

#[tokio::test]
async fn a_suggestion_streams_like_a_run_and_leaves_no_thread_and_no_state() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    // Whatever is posted here is stateless, also what no suggestion tool marks.
    for input in [asking("s"), say("s", "u", "hello")] {
        let events = EventStream::new(server.post("/agent/demo/suggest", &input).await).rest().await;
        assert_eq!((types(&events)[0], types(&events).last().copied()), ("RUN_STARTED", Some("RUN_FINISHED")));
        assert!(events[0].get("input").is_none(), "{}", events[0]);
    }
    let envelope = json!({"method": "agent/suggest", "params": {"agentId": "demo"}, "body": asking("s")});
    assert!(!EventStream::new(server.post("", &envelope).await).rest().await.is_empty());
    assert_eq!(server.get("/threads").await["threads"], json!([]));
    assert!(server.replay("demo", "s").await.is_empty());
    assert_eq!(server.get("/threads/s/state").await["state"], Value::Null);
    // The id is free for a thread.
    assert_eq!(text(&server.run_to_end("demo", &say("s", "u1", "hello")).await), "You said: hello");
}

#[tokio::test]
async fn a_suggestion_is_refused_as_a_run_is() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let post = reqwest::Method::POST;
    let (status, body, _) = server.ask(post.clone(), "/agent/nope/suggest", "{").await;
    assert_eq!((status, &body["message"]), (404, &json!("Agent 'nope' does not exist")));
    let (status, body, _) = server.ask(post, "/agent/demo/suggest", "{").await;
    assert_eq!((status, &body["error"]), (400, &json!("Invalid request body")));
    for thread in ["", "a\nb", &"x".repeat(191)] {
        assert_eq!(server.post("/agent/demo/suggest", &asking(thread)).await.status(), 400, "{thread:?}");
    }
    let (status, _, headers) = server.ask(reqwest::Method::GET, "/agent/demo/suggest", "").await;
    assert_eq!((status, &headers["allow"]), (405, &"POST".parse().unwrap()));
}

#[tokio::test]
async fn a_client_that_leaves_a_suggestion_stops_the_agent_but_one_that_leaves_a_run_does_not() {
    let started = r#"{"type":"RUN_STARTED","threadId":"x","runId":"y"}"#;
    let words = r#"{"type":"TEXT_MESSAGE_START","messageId":"m","role":"assistant"}"#;
    let held = Answer { then: Then::Hold, ..events(&[started, words]) };
    let mut upstream = Upstream::start(held).await;
    let definition = format!("agent: {{ kind: remote, url: {} }}", upstream.url);
    let home = Home::with_agents(&[("remote.yaml", &definition)]);
    let server = home.serve_in_memory();
    let mut run = server.run("remote", &say("t", "u", "hello")).await;
    run.until("TEXT_MESSAGE_START").await;
    drop(run);
    let mut suggestion = EventStream::new(server.post("/agent/remote/suggest", &asking("s")).await);
    suggestion.until("TEXT_MESSAGE_START").await;
    drop(suggestion);
    upstream.is_hung_up_on().await;
    assert_eq!(server.stop("remote", "t").await["stopped"], true, "the run is still live");
}

#[tokio::test]
async fn a_page_can_stop_its_suggestion_whatever_route_it_came_by() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    for route in ["run", "suggest"] {
        let mut input = asking("s");
        input["messages"][0]["content"] = "slow".into();
        input["runId"] = "r1".into();
        let mut suggestion = EventStream::new(server.post(&format!("/agent/demo/{route}"), &input).await);
        suggestion.until("TEXT_MESSAGE_CONTENT").await;
        let other = server.post("/agent/demo/stop/s", &json!({"runId": "r2"})).await;
        assert_eq!(other.json::<Value>().await.expect("JSON")["stopped"], false);
        assert_eq!(server.stop("demo", "s").await["stopped"], true);
        let rest = suggestion.rest().await;
        assert_eq!(types(&rest)[rest.len() - 2..], ["TEXT_MESSAGE_END", "RUN_FINISHED"]);
        assert_eq!(server.stop("demo", "s").await["stopped"], false, "nothing is left of it");
    }
    assert_eq!(server.get("/threads").await["threads"], json!([]));
}

#[tokio::test]
async fn stopping_a_thread_stops_its_run_and_what_is_suggested_under_its_id() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let mut run = server.run("demo", &say("t", "u", "slow")).await;
    run.until("TEXT_MESSAGE_CONTENT").await;
    let mut input = asking("t");
    input["messages"][0]["content"] = "slow".into();
    let mut suggestion = EventStream::new(server.post("/agent/demo/suggest", &input).await);
    suggestion.until("TEXT_MESSAGE_CONTENT").await;
    assert_eq!(server.stop("demo", "t").await["stopped"], true);
    assert_eq!(types(&suggestion.rest().await).last(), Some(&"RUN_FINISHED"));
    run.rest().await;
    assert!(text(&server.replay("demo", "t").await).len() < "tick".len() * 200, "it did not run to its end");
}

#[tokio::test]
async fn runs_and_suggestions_carry_the_applications_headers_and_no_others() {
    let finished = r#"{"type":"RUN_FINISHED","threadId":"x","runId":"y"}"#;
    let started = r#"{"type":"RUN_STARTED","threadId":"x","runId":"y"}"#;
    let upstream = Upstream::start(events(&[started, finished])).await;
    let definition =
        format!("agent: {{ kind: remote, url: {}, headers: {{ X-Team: from the definition }} }}", upstream.url);
    let home = Home::with_agents(&[("remote.yaml", &definition)]);
    let server = home.serve_in_memory();
    let travels = ["authorization: Bearer mine", "x-tenant: t1", "x-amzn-other: kept"];
    let stays = [
        "cookie: a=b",
        "accept-language: de",
        "x-forwarded-for: 1.2.3.4",
        "x-forwarded-proto: https",
        "x-forwarded-host: h",
        "x-forwarded-port: 1",
        "x-forwarded-server: s",
        "x-real-ip: 1.2.3.4",
        "x-amzn-trace-id: 1",
        "x-amz-cf-id: 1",
        "x-cloud-trace-context: 1",
        "x-cache: hit",
        "x-served-by: s",
        "x-request-id: 1",
        "x-copilotcloud-public-api-key: k",
        "x-azure-ref: 1",
        "x-fastly-x: 1",
        "x-vercel-id: 1",
        "x-middleware-y: 1",
        "x-team: from the caller",
    ];
    for (path, single) in [("run", false), ("suggest", false), ("run", true), ("suggest", true)] {
        let input = asking_or_saying(path);
        let (route, body) = if single {
            let envelope = json!({"method": format!("agent/{path}"), "params": {"agentId": "remote"}, "body": input});
            (String::new(), envelope)
        } else {
            (format!("/agent/remote/{path}"), input)
        };
        let mut request = server.http().post(server.copilotkit(&route)).json(&body);
        for header in travels.iter().chain(&stays) {
            let (name, value) = header.split_once(": ").expect("a header");
            request = request.header(name, value);
        }
        EventStream::new(request.send().await.expect("an answer")).rest().await;
        let head = upstream.last_head().to_ascii_lowercase();
        for header in travels {
            assert!(head.contains(&header.to_ascii_lowercase()), "{path}: {header} travels\n{head}");
        }
        for header in stays {
            assert!(!head.contains(header), "{path}: {header} stays\n{head}");
        }
        assert!(head.contains("x-team: from the definition"), "{head}");
    }
}

fn asking_or_saying(path: &str) -> Value {
    let thread = uuid::Uuid::now_v7().to_string();
    if path == "suggest" { asking(&thread) } else { say(&thread, "u", "hello") }
}

#[tokio::test]
async fn a_stop_ends_the_run_of_a_thread_and_the_suggestions_beside_it() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let mut run = server.run("demo", &say("t", "u", "slow")).await;
    run.until("TEXT_MESSAGE_CONTENT").await;
    let mut suggestion = EventStream::new(server.post("/agent/demo/suggest", &say("t", "s", "slow")).await);
    suggestion.until("TEXT_MESSAGE_CONTENT").await;
    assert_eq!(server.stop("demo", "t").await["stopped"], true);
    for rest in [run.rest().await, suggestion.rest().await] {
        assert!(rest.len() < 100, "it was stopped before its 200 words were said");
        assert_eq!(types(&rest)[rest.len() - 2..], ["TEXT_MESSAGE_END", "RUN_FINISHED"]);
    }
    assert_eq!(server.stop("demo", "t").await["stopped"], false, "nothing is left");
}
