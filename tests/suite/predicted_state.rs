//! Predicted state: what a model is about to write is seen while it writes, and gives way to what was really written.

use serde_json::{Value, json};

use crate::support::events::{results, state, types};
use crate::support::server::{Home, Server, say};
use crate::support::upstream::{Upstream, status};

/// A plan that takes a while to write down.
fn plan() -> Value {
    json!({ "days": (1..=6).map(|n| json!({ "city": format!("City number {n}"), "n": n })).collect::<Vec<_>>() })
}

/// An agent that writes the plan as the argument `value` of a tool.
fn helper(state: &str, tools: &str, script: &str) -> (Home, Server) {
    let agent = format!("agent: {{ kind: llm, model: scripted/plan.yaml }}\nstate:\n{state}\n{tools}\n");
    let home = Home::with_agents(&[("helper/agent.yaml", &agent), ("helper/plan.yaml", script)]);
    let said = home.check();
    assert!(said.contains("no errors"), "{said}");
    let server = home.serve_in_memory();
    (home, server)
}

/// The model calls this tool with the plan, and then ends.
fn script(tool: &str, arguments: &Value) -> String {
    format!(
        "pace: 30ms\nturns:\n  - when: {{ tool: {tool} }}\n    answer: [ {{ say: \"Done: {{result}}\" }} ]\n  - answer: [ {{ call: {{ name: {tool}, args: {arguments} }} }} ]\n"
    )
}

/// The states that a client goes through, each delta applied as strictly as fast-json-patch does.
fn states(events: &[Value]) -> Vec<Value> {
    let is_state = |event: &Value| event["type"].as_str().is_some_and(|kind| kind.starts_with("STATE_"));
    (1..=events.len()).filter(|&count| is_state(&events[count - 1])).map(|count| state(&events[..count])).collect()
}

#[tokio::test]
async fn a_plan_is_seen_while_it_is_written_and_is_then_what_the_tool_wrote() {
    let value = plan();
    let (_home, server) = helper(
        "  initial: { title: Trip }\n  predict: [ { tool: state_set, argument: value, path: /plan } ]",
        "",
        &script("state_set", &json!({ "path": "/plan", "value": value })),
    );
    let events = server.run_to_end("helper", &say("t", "u", "plan")).await;
    let states = states(&events);
    let partial: Vec<&Value> =
        states.iter().filter(|state| !state["plan"].is_null() && state["plan"] != value).collect();
    assert!(partial.len() >= 3, "it grows while it is written: {states:?}");
    let days = |state: &Value| state["plan"]["days"].as_array().map_or(0, Vec::len);
    assert!(partial.iter().any(|state| days(state) >= 2) && partial.windows(2).all(|two| days(two[0]) <= days(two[1])));
    assert_eq!(*states.last().expect("a state"), json!({ "title": "Trip", "plan": value }));
    let at = |kind: &str| types(&events).iter().position(|event| *event == kind).expect("it is there");
    assert!(at("STATE_DELTA") < at("TOOL_CALL_END"), "before the call is whole");
    let thread = server.get("/threads/t/state").await;
    assert_eq!(thread["state"], json!({ "title": "Trip", "plan": value }));
    let replayed = server.replay("helper", "t").await;
    assert_eq!(state(&replayed), json!({ "title": "Trip", "plan": value }));
    assert!(!types(&replayed).contains(&"STATE_DELTA"), "nothing of it was logged");
    let history = server.get_v1("/state/agent/helper:t/history").await;
    let versions = history.body["commits"].as_array().or(history.body["items"].as_array()).expect("commits").len();
    assert_eq!(versions, 2, "what it began with, and what the tool wrote");
}

#[tokio::test]
async fn what_a_tool_did_not_write_itself_is_committed_when_it_succeeded_and_withdrawn_when_it_failed() {
    let value = plan();
    for (answer, expected) in [
        (status("200 OK", "{}"), json!({ "title": "Trip", "trip": { "plan": value } })),
        (status("500 Internal Server Error", "{}"), json!({ "title": "Trip" })),
    ] {
        let api = Upstream::start(answer).await;
        let tools = format!(
            "tools:\n  write_plan: {{ type: http, method: POST, url: \"{}\", input: {{ properties: {{ plan: {{}} }} }}, allow_private: true }}",
            api.url
        );
        let (_home, server) = helper(
            "  initial: { title: Trip }\n  predict: [ { tool: write_plan, argument: plan, path: /trip/plan } ]",
            &tools,
            &script("write_plan", &json!({ "plan": value })),
        );
        let events = server.run_to_end("helper", &say("t", "u", "plan")).await;
        let states = states(&events);
        assert!(states.iter().any(|state| !state["trip"]["plan"].is_null() && *state != expected), "{states:?}");
        assert_eq!(*states.last().expect("a state"), expected, "{}", results(&events)[0]);
        assert_eq!(server.get("/threads/t/state").await["state"], expected);
    }
}

#[tokio::test]
async fn a_stop_withdraws_what_was_predicted() {
    let (_home, server) = helper(
        "  initial: { plan: old }\n  predict: [ { tool: state_set, argument: value, path: /plan } ]",
        "",
        &script("state_set", &json!({ "path": "/plan", "value": plan() })),
    );
    let mut stream = server.run("helper", &say("t", "u", "plan")).await;
    let mut events = stream.all_until("STATE_DELTA").await;
    let seen = state(&events);
    assert_ne!(seen["plan"], "old");
    server.stop("helper", "t").await;
    events.extend(stream.rest().await);
    assert_eq!(state(&events), json!({ "plan": "old" }));
    assert_eq!(events.last().expect("a terminal")["type"], "RUN_FINISHED");
    // A page that does not listen to the end of what it stops posts what it saw last.
    let mut next = say("t", "u2", "again");
    next["state"] = seen;
    let mut stream = server.run("helper", &next).await;
    assert_eq!(stream.until("STATE_SNAPSHOT").await["snapshot"], json!({ "plan": "old" }), "nobody edited that");
    server.stop("helper", "t").await;
}

#[tokio::test]
async fn what_others_write_meanwhile_is_seen_and_never_breaks_a_client() {
    let value = plan();
    let (_home, server) = helper(
        "  scope: shared/board\n  initial: { list: [1, 2], plan: { days: [] } }\n  predict: [ { tool: state_set, argument: value, path: /plan } ]",
        "",
        &script("state_set", &json!({ "path": "/plan", "value": value })),
    );
    let mut stream = server.run("helper", &say("t", "u", "plan")).await;
    let mut events = stream.all_until("STATE_DELTA").await;
    let ops =
        json!([{ "op": "remove", "path": "/list/0" }, { "op": "add", "path": "/plan/days/-", "value": "theirs" }]);
    let written = server.patch_document("shared/board", "application/json-patch+json", &ops, &[]).await;
    assert_eq!(written.status, 200, "{written:?}");
    // A second reader comes in the middle of it.
    let late = server.connect("helper", "t").await.rest().await;
    events.extend(stream.rest().await);
    for events in [&events, &late] {
        let states = states(events);
        assert_eq!(*states.last().expect("a state"), json!({ "list": [2], "plan": value }));
    }
    let seen = states(&events);
    assert!(
        seen.iter().any(|state| state["list"] == json!([2]) && state["plan"]["days"] == json!(["theirs"])),
        "{seen:?}"
    );
}

#[test]
fn a_prediction_of_what_cannot_be_is_refused() {
    let agent =
        |state: &str, tools: &str| format!("agent: {{ kind: llm, model: scripted/echo }}\nstate: {state}\n{tools}\n");
    let predict = "predict: [ { tool: t, argument: a, path: /x/y } ]";
    let http = "tools: { t: { type: http, url: \"https://x/\", input: { properties: { b: {} } } } }";
    for (text, refusal) in [
        (agent(&format!("{{ write: [/z], {predict} }}"), ""), "`/x/y` is not this agent's to write"),
        (
            agent(&format!("{{ schema: {{ properties: {{ z: {{}} }} }}, {predict} }}"), ""),
            "`/x/y` does not exist in `state.schema`",
        ),
        (agent(&format!("{{ {predict} }}"), http), "`a` is not among the arguments of `t`"),
        (agent("{ predict: [ { tool: t, argument: a, path: '' } ] }", ""), "the whole state cannot be predicted"),
        (
            agent(&format!("{{ {predict} }}"), "")
                .replace("kind: llm, model: scripted/echo", "kind: native, name: planner"),
            "belongs to agents of kind llm",
        ),
    ] {
        let said = Home::with_agents(&[("helper.yaml", &text)]).check();
        assert!(said.contains("helper.yaml:2:") && said.contains(refusal), "{said}");
    }
}
