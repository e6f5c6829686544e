//! What the lifecycle documents of runs and agents tell: while a run is at work, when it is over, and after a kill.

use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::server::{Home, say};

#[tokio::test]
async fn a_run_that_a_browser_started_has_a_record_too() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    for (id, word, status) in [("u1", "hello", "succeeded"), ("u2", "fail", "failed"), ("u3", "approve", "waiting")] {
        server.run_to_end("demo", &say(&format!("t-{id}"), id, word)).await;
        let page = server.get_v1(&format!("/runs?thread=t-{id}&agent=demo")).await;
        let [record] = page.body["items"].as_array().unwrap().as_slice() else { panic!("one run: {page:?}") };
        assert_eq!((&record["status"], &record["cause"]["type"]), (&json!(status), &json!("user")));
        assert_eq!(record["error"]["code"].as_str(), (word == "fail").then_some("demo_failed"));
        let run_id = record["run_id"].as_str().unwrap();
        assert_eq!(server.data(&format!("lifecycle/{run_id}")).await, *record);
        let history = server.get_v1(&format!("/state/lifecycle/{run_id}/history")).await;
        let versions: Vec<_> = history.body["commits"].as_array().unwrap().iter().map(|it| &it["version"]).collect();
        assert_eq!(versions, [1, 2]);
        let write = server.put_document(&format!("lifecycle/{run_id}"), &json!({ "status": "dead" }), &[]).await;
        assert_eq!(write.refusal(), (403, "forbidden"));
    }
    server.run_to_end("demo", &say("t-u1", "u4", "colour")).await;
    let page = server.get_v1("/runs?limit=1").await;
    assert_eq!(page.body["items"][0]["thread_id"], "t-u1", "the newest comes first");
    let mut suggestion = say("t-u1", "u5", "hello");
    suggestion["tools"] = json!([{ "name": "copilotkitSuggest", "description": "", "parameters": {} }]);
    server.run_to_end("demo", &suggestion).await;
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let page = server.get_v1(&format!("/runs?limit=1{cursor}")).await;
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|run| run["status"].clone()));
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["succeeded", "waiting", "failed", "succeeded"], "a suggestion is none of them");
}

#[tokio::test]
async fn records_of_runs_and_agents_are_what_the_schema_of_their_type_says_and_nothing_else() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    for word in ["hello", "fail", "approve", "colour"] {
        let mut input = say(word, word, word);
        input["tools"] = json!([{ "name": "set_theme_color", "description": "", "parameters": {} }]);
        server.run_to_end("demo", &input).await;
    }
    let queued = server.submit("demo", &json!({ "prompt": "hello" })).await;
    server.until_over(&queued).await;
    let mut schema = server.get_v1("/types/lifecycle/schema").await.body;
    for shape in schema["$defs"].as_object_mut().expect("shapes").values_mut().filter(|it| it["type"] == "object") {
        shape["unevaluatedProperties"] = json!(false);
    }
    let validator = jsonschema::validator_for(&schema).expect("a JSON schema");
    let mut records = server.get_v1("/runs").await.body["items"].as_array().expect("runs").clone();
    assert_eq!(records.len(), 5);
    assert!(records.iter().any(|run| run["pending_tool_calls"].is_array()), "{records:?}");
    records.push(server.data("lifecycle/agent:demo").await);
    for record in records {
        let faults: Vec<_> = validator.iter_errors(&record).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?} in {record}");
    }
}

#[tokio::test]
async fn the_record_of_a_run_that_was_cut_off_is_right_after_the_kill() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let run_id = server.submit("demo", &json!({ "prompt": "slow" })).await;
    server.until_status(&run_id, &["running"]).await;
    let server = server.crash_and_restart();
    let record = server.record(&run_id).await;
    let is_closed = record["status"] == "failed" && record["error"]["code"] == "interrupted";
    assert!(is_closed || record["status"] == "running", "closed, or going on: {record}");
}

#[tokio::test]
async fn the_record_of_a_run_at_work_tells_how_many_steps_it_has_done() {
    let step = |name: &str| format!("{{ step: {{ name: {name}, do: [ {{ wait: 300ms }} ] }} }}");
    let acts = format!("[ {}, {}, {{ say: a }}, {{ wait: 60s }} ]", step("one"), step("two"));
    let agent =
        format!("agent: {{ kind: native, name: scripted, config: {{ pace: 0ms, turns: [ {{ do: {acts} }} ] }} }}\n");
    let home = Home::with_agents(&[("agent.yaml", &agent)]);
    let server = home.serve();
    let run_id = server.submit("agent", &json!({ "prompt": "go" })).await;
    let name = format!("lifecycle/{run_id}");
    let steps = |n: u64| move |record: &Value| record["steps"] == n && record["status"] == "running";
    server.until_document(&name, steps(1)).await;
    server.until_document(&name, steps(2)).await;
    let server = server.crash_and_restart();
    server.until_document(&name, steps(2)).await;
    server.post_v1(&format!("/runs/{run_id}/cancel"), &json!({}), &[]).await;
    assert_eq!(server.record(&run_id).await["steps"], 2);
}

#[tokio::test]
async fn an_agents_document_tells_live_what_it_is_at() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let run_id = server.submit("demo", &json!({ "prompt": "hello" })).await;
    let record = server.until_over(&run_id).await;
    let standing = server.until_document("lifecycle/agent:demo", |it| it["last_run"]["status"] == "succeeded").await;
    assert_eq!(
        standing["last_run"],
        json!({
            "run_id": run_id, "status": "succeeded", "finished_at": record["finished_at"],
        })
    );
    assert_eq!((&standing["live"], &standing["queued"], &standing["today"]["runs"]), (&json!(0), &json!(0), &json!(1)));
    let write = server.put_document("lifecycle/agent:demo", &json!({ "paused": true }), &[]).await;
    assert_eq!(write.refusal(), (403, "forbidden"));
}

#[tokio::test]
async fn an_agents_document_names_its_last_run_right_after_a_kill_that_came_before_it_was_written() {
    let home = Home::with_agents(&[DEMO]);
    let mut server = home.serve();
    for _ in 0..3 {
        let run_id = server.submit("demo", &json!({ "prompt": "hello" })).await;
        let record = server.until_over(&run_id).await;
        server = server.crash_and_restart();
        let standing = server.data("lifecycle/agent:demo").await;
        let last = json!({ "run_id": run_id, "status": "succeeded", "finished_at": record["finished_at"] });
        assert_eq!((&standing["last_run"], &standing["live"]), (&last, &json!(0)));
    }
}
