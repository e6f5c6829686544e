//! Runs that fail, are not to be started, or come of each other: retries, dead letters, chains, daily limits.

use std::sync::Arc;

use coagent_runtime::access::Principal;
use coagent_runtime::agui::Message;
use coagent_runtime::runtime::{
    Agents, Behalf, Cause, CauseKind, Lifecycle, RunStatus, Runtime, Submission, ThreadChoice,
};
use coagent_runtime::store::Memory;
use serde_json::{Value, json};

use crate::support::server::{Home, Server, say, with_messages};

/// An agent that fails, and what its definition says of that.
fn failing(run: &str) -> String {
    let turns = "[ { when: { text: fine }, do: [ { say: done } ] }, { do: [ { say: partial }, { fail: { message: \"it broke\", code: provider_error } } ] } ]";
    format!("agent: {{ kind: native, name: scripted, config: {{ pace: 0ms, turns: {turns} }} }}\nrun: {run}\n")
}

async fn dead_letters(server: &Server) -> Vec<Value> {
    server.get_v1("/dead-letters").await.body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_run_that_fails_is_tried_again_as_often_as_its_definition_says_and_then_kept() {
    let agent = failing("{ retry: { attempts: 3, base: 10ms }, dead_letter: keep }");
    let home = Home::with_agents(&[("agent.yaml", &agent)]);
    let server = home.serve();
    let run_id = server.submit("agent", &json!({ "prompt": "go", "thread_id": "t" })).await;
    let record = server.until_over(&run_id).await;
    assert_eq!((&record["status"], &record["attempt"]), (&json!("dead"), &json!(3)), "{record}");
    assert_eq!(record["error"], json!({ "code": "provider_error", "message": "it broke" }));
    let starts = server.replay("agent", "t").await.iter().filter(|event| event["type"] == "RUN_STARTED").count();
    assert_eq!(starts, 3);
    let server = server.crash_and_restart();
    let [letter] = dead_letters(&server).await.try_into().expect("one letter");
    assert_eq!(
        (&letter["id"], &letter["reason"], &letter["agent"]),
        (&json!(run_id), &json!("provider_error"), &json!("agent"))
    );
    assert_eq!(server.get_v1("/usage?by=agent").await.body["items"][0]["runs"], 1, "attempts are one run");

    let retried = server.post_v1(&format!("/dead-letters/{run_id}/retry"), &json!({}), &[]).await;
    assert_eq!((retried.status, &retried.body["run_id"]), (202, &json!(run_id)));
    assert_eq!(server.until_over(&run_id).await["status"], "dead");
    assert_eq!(server.get_v1("/usage?by=agent").await.body["items"][0]["runs"], 1, "it was over before");
    let is_told = |it: &Value| it["last_run"]["status"] == "dead" && it["queued"] == 0;
    assert_eq!(server.until_document("lifecycle/agent:agent", is_told).await["today"]["runs"], 1);
    let again = server.post_v1("/dead-letters/nobody/retry", &json!({}), &[]).await;
    assert_eq!(again.refusal(), (404, "not_found"));
    assert_eq!(dead_letters(&server).await.len(), 1);
}

#[tokio::test]
async fn dead_letters_are_listed_in_pages_the_oldest_first() {
    let home = Home::with_agents(&[("agent.yaml", &failing("{ dead_letter: keep }"))]);
    let server = home.serve_in_memory();
    let mut dead = Vec::new();
    for _ in 0..5 {
        let run_id = server.submit("agent", &json!({ "prompt": "go" })).await;
        server.until_over(&run_id).await;
        dead.push(json!(run_id));
    }
    let (mut listed, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = server.get_v1(&format!("/dead-letters?limit=2{cursor}")).await.body;
        let ids = page["items"].as_array().unwrap().iter().map(|letter| letter["id"].clone());
        let before = listed.len();
        listed.extend(ids);
        sizes.push(listed.len() - before);
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((listed, sizes), (dead, vec![2, 2, 1]));
    for wrong in ["limit=0", "limit=x", "cursor=!", "cursor=eA"] {
        let refused = server.get_v1(&format!("/dead-letters?{wrong}")).await;
        assert_eq!(refused.refusal(), (400, "invalid_query"), "{wrong}");
    }
}

#[tokio::test]
async fn a_failure_is_simply_that_where_the_definition_says_nothing() {
    let home = Home::with_agents(&[("agent.yaml", &failing("{}"))]);
    let server = home.serve_in_memory();
    let run_id = server.submit("agent", &json!({ "prompt": "go" })).await;
    let record = server.until_over(&run_id).await;
    assert_eq!((&record["status"], &record["attempt"]), (&json!("failed"), &json!(1)));
    assert_eq!(dead_letters(&server).await, [Value::Null; 0]);
    let steps = server.get_v1(&format!("/runs/{run_id}")).await.body["step_list"].clone();
    assert_eq!(steps[0]["type"], "answer");
}

#[tokio::test]
async fn an_attempt_that_waits_for_its_time_survives_a_kill() {
    let agent = failing("{ retry: { attempts: 2, base: 3s } }");
    let home = Home::with_agents(&[("agent.yaml", &agent)]);
    let server = home.serve();
    let run_id = server.submit("agent", &json!({ "prompt": "go" })).await;
    let waits = |record: &Value| record["attempt"] == 2 && record["status"] == "queued";
    server.until_document(&format!("lifecycle/{run_id}"), waits).await;
    let server = server.crash_and_restart();
    assert_eq!(server.record(&run_id).await["status"], "queued");
    let record = server.until_over(&run_id).await;
    assert_eq!((&record["status"], &record["attempt"]), (&json!("failed"), &json!(2)));
}

#[tokio::test]
async fn an_agent_that_has_used_up_its_day_takes_no_further_run() {
    let agent = failing("{ daily: { runs: 2 } }");
    let home = Home::with_agents(&[("agent.yaml", &agent)]);
    let server = home.serve();
    let first = server.submit("agent", &json!({ "prompt": "fine" })).await;
    server.until_over(&first).await;
    server.run_to_end("agent", &say("t", "u1", "fine")).await;
    let server = server.crash_and_restart();
    assert_eq!(server.try_submit("agent", &json!({ "prompt": "fine" })).await.refusal(), (429, "budget_exceeded"));
    let refused = server.post("/agent/agent/run", &say("t", "u2", "fine")).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "budget_exceeded");
}

#[tokio::test]
async fn a_run_that_is_tried_again_counts_once_though_its_definition_tries_no_more() {
    let home = Home::with_agents(&[("agent.yaml", &failing("{ dead_letter: keep, daily: { runs: 2 } }"))]);
    let server = home.serve();
    let run_id = server.submit("agent", &json!({ "prompt": "go" })).await;
    server.until_over(&run_id).await;
    home.write_agent("agent.yaml", &failing("{ daily: { runs: 2 } }"));
    let server = server.crash_and_restart();
    server.post_v1(&format!("/dead-letters/{run_id}/retry"), &json!({}), &[]).await;
    assert_eq!(server.until_over(&run_id).await["status"], "failed");
    assert_eq!(server.get_v1("/usage?by=agent").await.body["items"][0]["runs"], 1);
    server.until_over(&server.submit("agent", &json!({ "prompt": "fine" })).await).await;
    assert_eq!(server.get_v1("/usage?by=agent").await.body["items"][0]["runs"], 2);
}

#[tokio::test]
async fn runs_that_only_answer_calls_count_to_the_chain_of_the_first() {
    let turns = "[ { do: [ { call: { name: next, args: {} } } ] } ]";
    let agent = format!(
        "agent: {{ kind: native, name: scripted, config: {{ pace: 0ms, turns: {turns} }} }}\nrun: {{ chain: {{ max_runs: 3 }} }}\n"
    );
    let home = Home::with_agents(&[("agent.yaml", &agent)]);
    let mut server = home.serve();
    let mut messages = vec![json!({ "id": "u1", "role": "user", "content": "go" })];
    let mut ends = Vec::new();
    for n in 0..4 {
        let mut input = with_messages("t", &messages);
        input["tools"] = json!([{ "name": "next", "description": "", "parameters": {} }]);
        let events = server.run_to_end("agent", &input).await;
        ends.push(events.last().unwrap()["code"].as_str().unwrap_or("finished").to_owned());
        messages.extend(crate::support::events::messages(&events).into_iter().filter(|it| it["role"] == "assistant"));
        let call = messages.last().unwrap()["toolCalls"][0]["id"].clone();
        messages.push(json!({ "id": format!("r{n}"), "role": "tool", "toolCallId": call, "content": "ok" }));
        // Counted from what is stored as well.
        server = server.crash_and_restart();
    }
    assert_eq!(ends, ["finished", "finished", "finished", "budget_exceeded"]);
    let page = server.get_v1("/runs?thread=t").await;
    let last = &page.body["items"][0];
    assert_eq!((&last["cause"]["depth"], last["cause"]["chain"].as_array().unwrap().len()), (&json!(0), 3));
}

#[tokio::test]
async fn a_run_too_far_from_its_beginning_or_one_too_many_of_it_becomes_a_dead_letter_that_can_be_tried() {
    let agent = failing("{ chain: { max_depth: 2, max_runs: 3 } }");
    let home = Home::with_agents(&[("agent.yaml", &agent)]);
    let agents = Agents::load(&home.options().agents);
    let runtime = Runtime::start(Arc::new(Memory::new()), agents).await.expect("an empty store");
    let submit = async |cause: Cause| {
        let submission = Submission {
            principal: Principal::local(),
            agent: runtime.agents().find("agent").expect("it is hosted"),
            thread: ThreadChoice::New,
            messages: vec![Message::user("u", "fine")],
            state: None,
            cause,
            behalf: Behalf::Caller,
            idempotency_key: None,
            put: Vec::new(),
            settle: Vec::new(),
            keeps_instructions: false,
        };
        let submitted = runtime.submit(submission).await.expect("it is taken");
        let record = runtime.run_record(&Principal::local(), &submitted.run_id).await.expect("a store");
        record.expect("it is stored")
    };
    let first = submit(Cause::first(CauseKind::Api)).await;
    let second = submit(first.cause.after(&first.run_id, CauseKind::State)).await;
    let third = submit(second.cause.after(&second.run_id, CauseKind::State)).await;
    let too_deep = submit(third.cause.after(&third.run_id, CauseKind::State)).await;
    let too_many = submit(first.cause.after(&first.run_id, CauseKind::State)).await;
    let why = |run: &Lifecycle| (run.status, run.error.as_ref().map(|error| error.code.clone()));
    assert_eq!(why(&too_deep), (RunStatus::Dead, Some("chain_depth".to_owned())));
    assert_eq!(why(&too_many), (RunStatus::Dead, Some("chain_runs".to_owned())));
    assert!(too_deep.started_at.is_none() && third.error.is_none());
    let letters = runtime.dead_letters(&Principal::local(), None, 9).await.expect("a store").items;
    assert_eq!(letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["chain_depth", "chain_runs"]);
    let retried = runtime.retry_dead_letter(&Principal::local(), &too_deep.run_id).await.expect("a store");
    assert_eq!(retried.map(|it| it.run_id).as_deref(), Some(too_deep.run_id.as_str()));
    let mut events = runtime.run_events(&Principal::local(), &too_deep.run_id, None).await.unwrap().unwrap();
    while let Some(bytes) = events.next().await {
        bytes.expect("the run can be read");
    }
    let record = runtime.run_record(&Principal::local(), &too_deep.run_id).await.unwrap().unwrap();
    assert_eq!(record.status, RunStatus::Succeeded);
    runtime.end_runs().await;
}
