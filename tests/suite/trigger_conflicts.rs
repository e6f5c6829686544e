//! What becomes of what sets a trigger off while its agent is at work, or paused.

use serde_json::{Value, json};

use crate::support::server::Server;
use crate::support::triggers::{answering, home};

/// An agent that takes its time over what contains `slow`, and over this.
fn slow_over(slow: &str, policy: &str, triggers: &str) -> (String, String) {
    let turns = format!("[ {{ when: {{ text: '{slow}' }}, do: [ {{ wait: 60s }} ] }}, {{ do: [ {{ say: done }} ] }} ]");
    let text = format!(
        "agent: {{ kind: native, name: scripted, config: {{ pace: 0ms, turns: {turns} }} }}\n\
         run: {{ concurrency: {{ on_conflict: {policy} }} }}\ntriggers:\n{triggers}\n"
    );
    ("worker.yaml".to_owned(), text)
}

const CHANGES: &str = "  - { type: state, doc: shared/a, path: /n, visible: true }";
const HOOK: &str =
    "  - { type: webhook, name: inbox, visible: true, idempotency: \"header:X-Id\", map: { /seen/-: body } }";

impl Server {
    async fn runs_of(&self, agent: &str) -> Vec<Value> {
        let mut runs = self.get_v1(&format!("/runs?agent={agent}")).await.body["items"].as_array().unwrap().clone();
        runs.reverse();
        runs
    }

    /// The agent's runs, the oldest first, as soon as there are so many.
    async fn until_there_are(&self, agent: &str, count: usize) -> Vec<Value> {
        for _ in 0..1200 {
            let runs = self.runs_of(agent).await;
            if runs.len() >= count {
                return runs;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("{agent} does not come to {count} runs");
    }

    async fn cancel(&self, run: &Value) {
        let run_id = run["run_id"].as_str().expect("an id");
        let answer = self.post_v1(&format!("/runs/{run_id}/cancel"), &json!({}), &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    async fn until_at_work(&self, run: &Value) {
        self.until_status(run["run_id"].as_str().expect("an id"), &["running"]).await;
    }
}

fn new_values(told: &[Value]) -> Vec<Value> {
    told.iter().flat_map(|told| told["changes"].as_array().unwrap()).map(|change| change["new"].clone()).collect()
}

#[tokio::test]
async fn changes_while_a_run_for_them_is_at_work_are_one_run_after_it() {
    for policy in ["reject", "coalesce"] {
        let home = home(&[slow_over("\"new\":1,", policy, CHANGES)]);
        let server = home.serve_in_memory();
        server.put_document("shared/a", &json!({ "n": 1 }), &[]).await;
        let first = server.until_there_are("worker", 1).await;
        server.until_at_work(&first[0]).await;
        for n in 2..5 {
            server.set("shared/a", "/n", json!(n)).await;
        }
        assert_eq!(server.runs_of("worker").await.len(), 1, "{policy}: they wait for it");
        server.cancel(&first[0]).await;
        let runs = server.until_runs("worker", 2).await;
        let told = server.told("worker", runs[1]["thread_id"].as_str().unwrap()).await;
        assert_eq!(new_values(&told[1]), [json!(4)], "{policy}");
    }
}

#[tokio::test]
async fn changes_of_an_agent_that_enqueues_are_a_run_each_in_their_order() {
    let home = home(&[slow_over("\"new\":1,", "enqueue", CHANGES)]);
    let server = home.serve();
    server.put_document("shared/a", &json!({ "n": 1 }), &[]).await;
    let first = server.until_there_are("worker", 1).await;
    for n in 2..5 {
        server.set("shared/a", "/n", json!(n)).await;
    }
    server.until_there_are("worker", 4).await;
    let server = server.crash_and_restart();
    server.until_at_work(&first[0]).await;
    server.cancel(&first[0]).await;
    let runs = server.until_runs("worker", 4).await;
    let told = server.told("worker", runs[0]["thread_id"].as_str().unwrap()).await;
    let each: Vec<_> = told.iter().map(|told| new_values(told)).collect();
    assert_eq!(each, [[json!(1)], [json!(2)], [json!(3)], [json!(4)]]);
}

#[tokio::test]
async fn changes_within_a_debounce_are_one_run_also_of_an_agent_that_enqueues() {
    let trigger = "  - { type: state, doc: shared/a, path: /n, visible: true, debounce: 300ms }";
    let home = home(&[slow_over("never", "enqueue", trigger)]);
    let server = home.serve_in_memory();
    server.put_document("shared/a", &json!({ "n": 1 }), &[]).await;
    server.set("shared/a", "/n", json!(2)).await;
    let runs = server.until_runs("worker", 1).await;
    let told = server.told("worker", runs[0]["thread_id"].as_str().unwrap()).await;
    assert_eq!(new_values(&told[0]), [json!(2)]);
}

#[tokio::test]
async fn a_change_takes_the_place_of_the_run_for_the_one_before_where_the_agent_supersedes() {
    let home = home(&[slow_over("\"new\":1,", "supersede", CHANGES)]);
    let server = home.serve_in_memory();
    server.put_document("shared/a", &json!({ "n": 1 }), &[]).await;
    let first = server.until_there_are("worker", 1).await;
    server.until_at_work(&first[0]).await;
    server.set("shared/a", "/n", json!(2)).await;
    let runs = server.until_runs("worker", 2).await;
    assert_eq!((&runs[0]["status"], &runs[1]["status"]), (&json!("superseded"), &json!("succeeded")));
}

#[tokio::test]
async fn documents_on_one_thread_have_a_run_each_and_each_once() {
    let trigger = "  - { type: state, doc: \"task/*\", path: /title, visible: true, thread: ops }";
    let home = home(&[slow_over("task/1", "coalesce", trigger)]);
    let server = home.serve_in_memory();
    server.put_document("task/1", &json!({ "title": "a" }), &[]).await;
    let first = server.until_there_are("worker", 1).await;
    server.until_at_work(&first[0]).await;
    for task in ["task/2", "task/3"] {
        server.put_document(task, &json!({ "title": "a" }), &[]).await;
    }
    server.until_there_are("worker", 3).await;
    server.cancel(&first[0]).await;
    server.until_runs("worker", 3).await;
    let told = server.told("worker", "ops").await;
    let mut of: Vec<_> = told.iter().map(|told| (told.len(), told[0]["doc"].as_str().unwrap())).collect();
    of.sort_unstable();
    assert_eq!(of, [(1, "task/1"), (1, "task/2"), (1, "task/3")]);
}

#[tokio::test]
async fn deliveries_while_a_run_of_their_hook_is_at_work_are_one_run_after_it_that_is_told_of_each() {
    let (name, text) = slow_over("first", "reject", HOOK);
    let home = home(&[(name, format!("state: {{ initial: {{ seen: [] }} }}\n{text}"))]);
    let server = home.serve();
    let deliver = async |server: &Server, id: &str| {
        let (status, answer) = server.deliver("worker/inbox", &json!(id).to_string(), &[("X-Id", id)]).await;
        assert_eq!(status, 202, "{answer}");
        (answer["run_id"].clone(), answer["accepted"] == true)
    };
    let (first, _) = deliver(&server, "first").await;
    server.until_status(first.as_str().unwrap(), &["running"]).await;
    let (second, accepted) = deliver(&server, "second").await;
    assert!(accepted && second != first);
    assert_eq!(deliver(&server, "third").await, (second.clone(), true));
    assert_eq!(deliver(&server, "third").await, (second.clone(), false), "a repeated one is known");
    let server = server.crash_and_restart();
    assert_eq!(deliver(&server, "fourth").await, (second.clone(), true));
    assert_eq!(deliver(&server, "third").await, (second.clone(), false));
    server.cancel(&json!({ "run_id": first })).await;
    server.until_runs("worker", 2).await;
    let told = server.told("worker", "auto:worker").await;
    let bodies: Vec<_> = told[1].iter().map(|told| told["body"].clone()).collect();
    assert_eq!(bodies, ["second", "third", "fourth"]);
    assert_eq!(server.data("agent/worker:auto:worker").await["seen"], json!(["first", "second", "third", "fourth"]));
}

#[tokio::test]
async fn what_sets_a_paused_agent_off_waits_together_and_its_timers_do_not_fire() {
    let ends = "  - { type: agent, agent: first, visible: true }\n  - { type: interval, every: 1s, thread: new }";
    let other = answering("other", "  - { type: interval, every: 1s, thread: new }");
    let home = home(&[answering("first", "  []"), other, slow_over("never", "enqueue", ends)]);
    let server = home.serve();
    assert_eq!(server.post_v1("/agents/worker/pause", &json!({}), &[]).await.status, 200);
    let before = server.runs_of("worker").await.len();
    for _ in 0..3 {
        let run_id = server.submit("first", &json!({ "prompt": "go" })).await;
        server.until_over(&run_id).await;
    }
    let others = server.runs_of("other").await.len();
    server.until_there_are("other", others + 3).await;
    let ended = |runs: &[Value]| runs.iter().filter(|run| run["cause"]["type"] == "agent").cloned().collect::<Vec<_>>();
    let waiting = server.until_there_are("worker", before + 1).await;
    assert_eq!((waiting.len(), ended(&waiting).len()), (before + 1, 1), "one run waits, and no timer's: {waiting:#?}");
    assert_eq!(server.post_v1("/agents/worker/resume", &json!({}), &[]).await.status, 200);
    server.until_over(ended(&waiting)[0]["run_id"].as_str().unwrap()).await;
    assert_eq!(server.told("worker", "auto:worker").await[0].len(), 3, "it is told of each end");
    // Its timers go on.
    server.until_there_are("worker", before + 3).await;
}
