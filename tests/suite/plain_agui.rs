//! Agents as plain AG-UI endpoints, for clients that know nothing of CopilotKit: `/v1/agents`.

use coagent_runtime::agui::protobuf;
use serde_json::{Value, json};

use crate::support::agents::{BOARD, DEMO};
use crate::support::events::{EventStream, state, text, types};
use crate::support::server::{Home, Server, say};

use super::queued_runs::with_conflict;

const PROTOBUF: &str = "application/vnd.ag-ui.event+proto";

fn url(server: &Server, path: &str) -> String {
    format!("{}/v1/agents{path}", server.url)
}

async fn post(server: &Server, agent: &str, accept: Option<&str>, input: &Value) -> reqwest::Response {
    let mut request = server.http().post(url(server, &format!("/{agent}"))).json(input);
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    request.send().await.expect("an answer")
}

/// The events of a protobuf answer; every byte has to belong to a frame.
async fn decoded(response: reqwest::Response) -> Vec<Value> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], PROTOBUF);
    let body = response.bytes().await.expect("the stream is not cut");
    let mut rest = body.as_ref();
    let mut events = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().expect("four bytes")) as usize;
        assert!(length > 0, "an empty envelope is fatal for a client");
        let event = protobuf::read(&rest[4..4 + length]).expect("an event");
        events.push(serde_json::from_str(&event.to_json()).expect("JSON"));
        rest = &rest[4 + length..];
    }
    events
}

/// Without what differs from run to run: ids that were minted, and those that the test chose.
fn told(events: &[Value]) -> Vec<Value> {
    fn without_ids(value: &mut Value) {
        match value {
            Value::String(text) if uuid::Uuid::parse_str(text).is_ok() => *text = "an id".to_owned(),
            Value::Array(items) => items.iter_mut().for_each(without_ids),
            Value::Object(members) => {
                members.retain(|key, _| !["threadId", "runId", "input"].contains(&key.as_str()));
                members.values_mut().for_each(without_ids);
            }
            _ => {}
        }
    }
    let mut events = events.to_vec();
    events.iter_mut().for_each(without_ids);
    events
}

async fn read(server: &Server, path: &str) -> (u16, Value) {
    let response = server.http().get(url(server, path)).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_cache_is_told_that_the_encoding_depends_on_what_was_accepted() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    for accept in [None, Some(PROTOBUF)] {
        let answer = post(&server, "demo", accept, &say("t", "u", "hello")).await;
        assert!(answer.headers().get_all("vary").iter().any(|names| names == "Accept"), "{:?}", answer.headers());
        answer.bytes().await.expect("the stream is not cut");
    }
}

#[tokio::test]
async fn both_encodings_of_a_run_tell_the_same() {
    let home = Home::with_agents(&[DEMO, BOARD]);
    let server = home.serve_in_memory();
    for (agent, words) in [
        ("demo", "hello"),
        ("demo", "weather"),
        ("demo", "colour"),
        ("demo", "approve"),
        ("demo", "fail"),
        ("demo", "count"),
    ] {
        for version in [None, Some("1.0")] {
            let input = |thread: &str| {
                let mut input = say(&format!("{thread}-{words}-{version:?}"), "u1", words);
                if let Some(version) = version {
                    input["protocolVersion"] = version.into();
                }
                input
            };
            let sse = EventStream::new(post(&server, agent, None, &input("sse")).await).rest().await;
            let binary = decoded(post(&server, agent, Some(PROTOBUF), &input("proto")).await).await;
            let mut expected = told(&sse);
            if version.is_none() {
                // What the protobuf of 0.x does not have.
                expected.retain(|event| {
                    let kind = event["type"].as_str().expect("a type");
                    !kind.starts_with("REASONING_") && !kind.starts_with("ACTIVITY_") && kind != "TOOL_CALL_RESULT"
                });
            }
            assert_eq!(told(&binary), expected, "{words}");
            assert_eq!(types(&sse)[..2], ["RUN_STARTED", "STATE_SNAPSHOT"]);
        }
    }
}

#[tokio::test]
async fn clients_that_wait_for_one_run_are_each_told_it_in_the_encoding_that_they_asked_for() {
    let home = Home::with_agents(&[("agent.yaml", &with_conflict("coalesce"))]);
    let server = home.serve_in_memory();
    let mut live = server.run("agent", &say("t", "u1", "slow")).await;
    live.until("TEXT_MESSAGE_CONTENT").await;
    let first = EventStream::new(post(&server, "agent", None, &say("t", "u2", "second")).await);
    let second = post(&server, "agent", Some(PROTOBUF), &say("t", "u3", "third")).await;
    let third = post(&server, "agent", Some(PROTOBUF), &say("t", "u4", "fourth")).await;
    server.stop("agent", "t").await;
    // The run is over before the others have their streams, or not: they are told all of it.
    for events in [first.rest().await, decoded(second).await, decoded(third).await] {
        assert_eq!(text(&events), "You said: fourth");
        assert_eq!((types(&events)[0], types(&events).last()), ("RUN_STARTED", Some(&"RUN_FINISHED")));
    }
}

#[tokio::test]
async fn the_answer_is_protobuf_for_those_who_ask_and_sse_for_everyone_else() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    for (index, (accept, expected)) in [
        (None, "text/event-stream"),
        (Some("*/*"), "text/event-stream"),
        (Some("text/event-stream"), "text/event-stream"),
        (Some("application/json"), "text/event-stream"),
        (Some("application/vnd.ag-ui.event+proto;q=0"), "text/event-stream"),
        (Some("application/vnd.ag-ui.event+proto; charset=utf-8"), "text/event-stream"),
        (Some(PROTOBUF), PROTOBUF),
        (Some("application/*"), PROTOBUF),
        (Some("text/event-stream, application/vnd.ag-ui.event+proto;q=0.1"), PROTOBUF),
    ]
    .into_iter()
    .enumerate()
    {
        let response = post(&server, "demo", accept, &say(&format!("t{index}"), "u1", "hello")).await;
        assert_eq!(response.headers()["content-type"], expected, "{accept:?}");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        response.bytes().await.expect("the stream is not cut");
    }
}

#[tokio::test]
async fn a_plain_client_shares_threads_and_state_with_copilotkit() {
    let home = Home::with_agents(&[DEMO, BOARD]);
    let server = home.serve();
    let first = EventStream::new(post(&server, "board", None, &say("t1", "u1", "add")).await).rest().await;
    assert_eq!(state(&first)["items"], json!(["from the agent"]));
    let replayed = server.replay("board", "t1").await;
    assert_eq!(text(&replayed), "added");
    // A commit by somebody else on the same document reaches a live run in both encodings, from one encoding of it each.
    let waiting = tokio::spawn(decoded(post(&server, "board", Some(PROTOBUF), &say("t2", "u2", "wait")).await));
    let mut watched = EventStream::new(post(&server, "board", None, &say("t3", "u3", "wait")).await);
    watched.until("STATE_SNAPSHOT").await;
    EventStream::new(post(&server, "board", None, &say("t4", "u4", "add")).await).rest().await;
    let delta = watched.until("STATE_DELTA").await;
    assert_eq!(server.stop("board", "t2").await["stopped"], true);
    let told = waiting.await.expect("the run ends");
    let deltas: Vec<_> = told.iter().filter(|event| event["type"] == "STATE_DELTA").collect();
    assert_eq!(deltas, [&delta], "{told:#?}");
    assert_eq!(server.stop("board", "t3").await["stopped"], true);
}

#[tokio::test]
async fn what_is_wrong_with_an_input_is_said_before_anything_starts() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let send = |content_type: &'static str, body: &'static str| {
        let request = server.http().post(url(&server, "/demo")).header("content-type", content_type).body(body);
        async move {
            let response = request.send().await.expect("an answer");
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let status = response.status().as_u16();
            let body: Value = response.json().await.expect("JSON");
            assert_eq!(body["status"], status);
            (status, body)
        }
    };
    let (status, body) = send("application/json", r#"{"runId": 1, "messages": []}"#).await;
    assert_eq!((status, body["code"].as_str()), (400, Some("invalid_body")));
    let paths: Vec<_> = body["errors"].as_array().expect("errors").iter().map(|error| &error["path"]).collect();
    assert_eq!(paths, ["/threadId", "/runId"]);
    let (status, body) = send("application/json", "{").await;
    assert_eq!((status, body["code"].as_str()), (400, Some("invalid_json")));
    let (status, body) = send("text/plain", "{}").await;
    assert_eq!((status, body["code"].as_str()), (415, Some("unsupported_media_type")));
    let (status, body) = read(&server, "/nobody").await;
    assert_eq!((status, body["code"].as_str()), (404, Some("not_found")));
    let nobody = post(&server, "nobody", None, &say("t", "u", "x")).await;
    assert_eq!(nobody.status(), 404);
    // A busy thread is refused whatever the encoding.
    let mut slow = EventStream::new(post(&server, "demo", None, &say("busy", "u1", "slow")).await);
    slow.until("TEXT_MESSAGE_CONTENT").await;
    let busy = post(&server, "demo", Some(PROTOBUF), &say("busy", "u2", "hello")).await;
    assert_eq!(busy.status(), 409);
    let busy: Value = busy.json().await.expect("JSON");
    assert_eq!(busy["code"], "thread_busy");
    assert!(busy["run_id"].is_string(), "{busy}");
    server.stop("demo", "busy").await;
}

#[tokio::test]
async fn every_agent_is_listed_with_its_status_and_only_ready_ones_run() {
    let home = Home::with_agents(&[
        DEMO,
        ("broken.yaml", "name: Broken\nagent: { kind: remote, url: nowhere }\n"),
        ("off.yaml", "enabled: false\ndescription: Switched off\nagent: { kind: native, name: planner }\n"),
        ("unbuilt.yaml", "agent: { kind: native, name: nothing }\n"),
        ("unreadable.yaml", "agent: [\n"),
    ]);
    let server = home.serve_in_memory();
    let (status, list) = read(&server, "").await;
    assert_eq!(status, 200);
    let items = list["items"].as_array().expect("items");
    let listed: Vec<_> =
        items.iter().map(|item| (item["id"].as_str(), item["status"].as_str(), item["kind"].as_str())).collect();
    assert_eq!(
        listed,
        [
            (Some("broken"), Some("invalid"), Some("remote")),
            (Some("demo"), Some("ready"), Some("native")),
            (Some("off"), Some("disabled"), Some("native")),
            (Some("unbuilt"), Some("invalid"), Some("native")),
            (Some("unreadable"), Some("invalid"), None),
        ]
    );
    let (status, demo) = read(&server, "/demo").await;
    assert_eq!((status, &demo), (200, &items[1]));
    assert_eq!((&demo["name"], &demo["description"]), (&json!("Demo"), &json!("Answers by script")));
    assert_eq!((&demo["errors"], &demo["triggers"]), (&json!([]), &json!([])));
    assert_eq!(demo["state"], json!({"scope": "thread"}));
    assert_eq!(demo["hash"].as_str().map(str::len), Some(64));
    assert!(demo["usage"].is_object(), "{demo}");
    let error = &items[0]["errors"][0];
    assert!(error["file"].as_str().is_some_and(|file| file.ends_with("broken.yaml")), "{error}");
    assert_eq!((&error["line"], &error["column"], &error["path"]), (&json!(2), &json!(29), &json!("agent.url")));
    assert!(error["message"].as_str().is_some_and(|message| message.contains("is not an address")), "{error}");

    for (agent, says) in [("broken", "broken.yaml:2:29"), ("off", "enabled: false"), ("unbuilt", "unbuilt.yaml:1:")] {
        let refused = post(&server, agent, None, &say("t", "u", "x")).await;
        assert_eq!(refused.status(), 409, "{agent}");
        let refused: Value = refused.json().await.expect("JSON");
        assert_eq!(refused["code"], "agent_invalid");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{refused}");
        assert_eq!(read(&server, &format!("/{agent}/capabilities")).await.0, 409);
        let copilotkit = server.post(&format!("/agent/{agent}/run"), &say("t", "u", "x")).await;
        assert_eq!(copilotkit.status(), 404, "{agent}");
    }
    let info = server.get("/info").await;
    let known: Vec<_> = info["agents"].as_object().expect("agents").keys().collect();
    assert_eq!(known, ["default", "demo"]);
}

#[tokio::test]
async fn default_is_an_alias_that_is_resolved_before_anything_is_stored() {
    let home = Home::with_agents(&[
        DEMO,
        ("a.yaml", "agent: { kind: native, name: planner }\n"),
        ("main.yaml", "default: true\nagent: { kind: native, name: planner }\n"),
    ]);
    let server = home.serve_in_memory();
    assert_eq!(read(&server, "/default").await.1["id"], "main");
    EventStream::new(post(&server, "default", None, &say("t1", "u1", "hello")).await).rest().await;
    let threads = server.get("/threads?agentId=main").await;
    assert_eq!(threads["threads"][0]["agentId"], "main", "{threads}");
    assert_eq!(read(&server, "/main").await.1["usage"]["runs"], 1);
}

#[tokio::test]
async fn capabilities_say_how_the_agent_is_reached() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let (status, capabilities) = read(&server, "/demo/capabilities").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&capabilities["transport"]["streaming"], &capabilities["transport"]["httpBinary"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(read(&server, "/nobody/capabilities").await.0, 404);
}
