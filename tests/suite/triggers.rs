//! Triggers: runs that start without a person, once for each thing that happened, across crashes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::events::{state, text};
use crate::support::server::Server;
use crate::support::triggers::{answering, home, scripted};

#[tokio::test]
async fn a_change_of_a_watched_path_starts_a_run_that_knows_why() {
    let trigger = "  - { type: state, doc: \"task/*\", path: /status, when: \"new == 'ready'\" }";
    let home = home(&[answering("worker", trigger)]);
    let server = home.serve_in_memory();
    server.put_document("task/1", &json!({ "title": "a" }), &[]).await;
    server.set("task/1", "/title", json!("b")).await;
    server.set("task/1", "/status", json!("ready")).await;
    let runs = server.until_runs("worker", 1).await;
    let cause = json!({ "type": "state", "doc": "task/1", "chain": [], "depth": 0 });
    assert_eq!((&runs[0]["cause"], &runs[0]["status"]), (&cause, &json!("succeeded")));
    assert_eq!(runs[0]["thread_id"], "auto:worker:task/1");
    let replay = server.replay("worker", "auto:worker:task/1").await;
    assert_eq!(text(&replay), "done");
    assert_eq!(replay[0]["input"]["messages"], json!([]), "what it was asked is not shown in chat");
}

#[tokio::test]
async fn a_visible_trigger_shows_what_the_run_was_asked() {
    let trigger = "  - { type: state, doc: shared/board, path: /items/*, prompt: Look., visible: true, thread: ops }";
    let home = home(&[scripted("worker", trigger, "{ say: \"{message}\" }")]);
    let server = home.serve_in_memory();
    server.put_document("shared/board", &json!({ "items": ["a"] }), &[]).await;
    server.until_runs("worker", 1).await;
    let replay = server.replay("worker", "ops").await;
    let asked = replay[0]["input"]["messages"][0]["content"].as_str().unwrap();
    let (prompt, told) = asked.split_once("\n\n").unwrap();
    let told: Value = serde_json::from_str(told).unwrap();
    assert_eq!((prompt, &told["trigger"], &told["doc"]), ("Look.", &json!("state"), &json!("shared/board")));
    let change = &told["changes"][0];
    assert_eq!((&change["path"], &change["new"], change.get("old")), (&json!("/items/0"), &json!("a"), None));
    assert_eq!(change["actor"], "user:local");
}

#[tokio::test]
async fn an_agents_own_writes_start_it_only_when_it_asks_for_them() {
    let state = "state: { scope: shared/counter }\n";
    let patch = "{ patch: [ { op: add, path: /seen, value: true } ] }";
    let (deaf, text) = scripted("deaf", "  - { type: state, doc: shared/counter }", patch);
    let (other, heard) = answering("other", "  - { type: state, doc: shared/counter, path: /seen, from: [agent] }");
    let home = home(&[(deaf, format!("{state}{text}")), (other, heard)]);
    let server = home.serve_in_memory();
    server.put_document("shared/counter", &json!({ "n": 1 }), &[]).await;
    let deaf = server.until_runs("deaf", 1).await;
    let other = server.until_runs("other", 1).await;
    let first = deaf[0]["run_id"].clone();
    let cause = json!({ "type": "state", "doc": "shared/counter", "run_id": first, "chain": [first], "depth": 1 });
    assert_eq!(other[0]["cause"], cause);
    // The next change would come after a run that the agent's own write had started.
    server.set("shared/counter", "/n", json!(2)).await;
    server.until_runs("deaf", 2).await;
}

#[tokio::test]
async fn changes_within_a_debounce_are_one_run() {
    let trigger = "  - { type: state, doc: shared/a, path: /n, debounce: 400ms, visible: true }";
    let home = home(&[answering("worker", trigger)]);
    let server = home.serve_in_memory();
    server.put_document("shared/a", &json!({ "n": 0 }), &[]).await;
    for n in 1..=5 {
        server.set("shared/a", "/n", json!(n)).await;
    }
    let runs = server.until_runs("worker", 1).await;
    let replay = server.replay("worker", runs[0]["thread_id"].as_str().unwrap()).await;
    let asked = replay[0]["input"]["messages"][0]["content"].as_str().unwrap().to_owned();
    let told: Value = serde_json::from_str(asked.split_once("\n\n").unwrap().1).unwrap();
    let change = &told["changes"][0];
    assert_eq!((&change["new"], change.get("old")), (&json!(5), None), "from before all of them to now: {told}");
}

/// So many commits over a connection of their own, a few at a time.
async fn storm(server: &Server, writer: u64, commits: u64) {
    const AT_A_TIME: u64 = 25;
    for first in (0..commits).step_by(usize::try_from(AT_A_TIME).unwrap()) {
        let commit = |n: u64| {
            let patch = json!([{ "op": "add", "path": "/n", "value": writer * 1_000_000 + first + n + 1 }]);
            json!({ "doc": "shared/storm", "patch": patch })
        };
        let mutations: Vec<_> = (0..AT_A_TIME).map(commit).collect();
        let answer = server.post_v1("/state:batch", &json!({ "mutations": mutations }), &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn a_storm_of_commits_makes_a_run_at_a_time_and_none_is_missed_or_told_twice() {
    let trigger = "  - { type: state, doc: shared/storm, path: /n, visible: true }";
    let home = home(&[scripted("worker", trigger, "{ wait: 300ms }")]);
    let server = home.serve_in_memory();
    let began = Instant::now();
    server.put_document("shared/storm", &json!({ "n": 0 }), &[]).await;
    let (writers, commits) = (10, 1000);
    join_all((0..writers).map(|writer| storm(&server, writer, commits))).await;
    let end = server.get_v1("/state/shared/storm").await;
    assert_eq!(end.version(), writers * commits + 1);
    let changes = loop {
        let told = server.told("worker", "auto:worker:shared/storm").await;
        let changes: Vec<_> = told.iter().map(|told| told[0]["changes"][0].clone()).collect();
        if changes.last().is_some_and(|last| last["new"] == end.body["data"]["n"]) {
            break changes;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "the last commit is not told: {changes:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    // Each run takes 300 ms, and everything that fired meanwhile is one run after it.
    let most = began.elapsed().as_millis() / 300 + 2;
    assert!(changes.len() > 1 && (changes.len() as u128) <= most, "{} runs, and not {most}", changes.len());
    assert!(changes.windows(2).all(|pair| pair[0]["new"] == pair[1]["old"]), "each goes on from the one before");
}

#[tokio::test]
async fn an_agent_of_scope_trigger_works_on_the_document_that_fired() {
    let trigger = "  - { type: state, doc: \"shared/*\", path: /status, when: \"new == 'ready'\" }";
    let act = "{ patch: [ { op: add, path: /status, value: done } ] }";
    let (name, text) = scripted("worker", trigger, act);
    let home = home(&[(name, format!("state: {{ scope: trigger, write: [/status] }}\n{text}"))]);
    let server = home.serve();
    for document in ["shared/a", "shared/b"] {
        server.put_document(document, &json!({ "status": "ready", "title": document }), &[]).await;
    }
    for run in server.until_runs("worker", 2).await {
        let document = run["cause"]["doc"].as_str().unwrap();
        assert_eq!(server.data(document).await, json!({ "status": "done", "title": document }));
        let history = server.get_v1(&format!("/state/{document}/history")).await.body["commits"].clone();
        assert_eq!((&history[1]["actor"], &history[1]["run_id"]), (&json!("agent:worker"), &run["run_id"]));
        let replay = server.replay("worker", run["thread_id"].as_str().unwrap()).await;
        assert_eq!(state(&replay), json!({ "status": "done", "title": document }));
        let thread = run["thread_id"].as_str().unwrap().replace('/', "%2F");
        let answer = server.get(&format!("/threads/{thread}/state")).await;
        assert_eq!(answer["state"]["status"], "done", "{answer}");
    }
    // Of a run that no document started, the state is that of its thread.
    let run_id = server.submit("worker", &json!({ "prompt": "go", "thread_id": "t" })).await;
    assert_eq!(server.until_over(&run_id).await["status"], "succeeded");
    assert_eq!(server.data("agent/worker:t").await, json!({ "status": "done" }));
}

#[tokio::test]
async fn what_fired_before_a_crash_runs_once_after_it() {
    let trigger = "  - { type: state, doc: shared/a, path: /n, debounce: 1s }";
    let home = home(&[answering("worker", trigger)]);
    let server = home.serve();
    server.put_document("shared/a", &json!({ "n": 1 }), &[]).await;
    let server = server.crash_and_restart();
    let runs = server.until_runs("worker", 1).await;
    assert_eq!(runs[0]["status"], "succeeded");
    let server = server.crash_and_restart();
    server.put_document("shared/a", &json!({ "n": 2 }), &[]).await;
    server.until_runs("worker", 2).await;
}

#[tokio::test]
async fn the_end_of_another_agents_run_starts_one() {
    let chained = answering("second", "  - { type: agent, agent: first, outcome: success }");
    let failing = answering("third", "  - { type: agent, agent: first, outcome: failure }");
    let home = home(&[answering("first", "  []"), chained, failing]);
    let server = home.serve_in_memory();
    let first = server.submit("first", &json!({ "prompt": "go" })).await;
    let second = server.until_runs("second", 1).await;
    let cause = json!({ "type": "agent", "agent": "first", "run_id": first, "chain": [first], "depth": 1 });
    assert_eq!((&second[0]["cause"], &second[0]["thread_id"]), (&cause, &json!("auto:second")));
    server.until_runs("third", 0).await;
}

#[tokio::test]
async fn runs_that_another_agents_ends_start_keep_to_the_bound_of_their_agent() {
    let (name, text) = scripted("second", "  - { type: agent, agent: first, thread: new }", "{ wait: 200ms }");
    let second = (name, format!("{text}run: {{ concurrency: {{ per_agent: 1 }} }}\n"));
    let home = home(&[answering("first", "  []"), second]);
    let server = home.serve_in_memory();
    for _ in 0..3 {
        server.submit("first", &json!({ "prompt": "go" })).await;
    }
    let runs = server.until_runs("second", 3).await;
    let time = |run: &Value, what: &str| run[what].as_str().expect("a time").to_owned();
    let mut spans: Vec<_> = runs.iter().map(|run| (time(run, "started_at"), time(run, "finished_at"))).collect();
    spans.sort();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "one at a time: {spans:?}");
}

#[tokio::test]
async fn timers_fire_and_go_on_after_a_crash() {
    let every = answering("often", "  - { type: interval, every: 1s, thread: new }");
    let cron = answering("clock", "  - { type: cron, expr: \"* * * * * *\", tz: Europe/Paris, thread: new }");
    let home = home(&[every, cron]);
    let server = home.serve();
    let at_least = async |server: &Server, agent: &str, count: usize| {
        while server.get_v1(&format!("/runs?agent={agent}")).await.body["items"].as_array().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    for agent in ["often", "clock"] {
        at_least(&server, agent, 2).await;
    }
    let server = server.crash_and_restart();
    for (agent, kind) in [("often", "interval"), ("clock", "cron")] {
        at_least(&server, agent, 5).await;
        let runs = server.get_v1(&format!("/runs?agent={agent}")).await.body["items"].clone();
        assert_eq!(runs[0]["cause"], json!({ "type": kind, "chain": [], "depth": 0 }));
    }
}

#[tokio::test]
async fn a_start_trigger_fires_once_for_each_start() {
    let home = home(&[answering("opener", "  - { type: start, thread: new }")]);
    let server = home.serve();
    assert_eq!(server.until_runs("opener", 1).await[0]["cause"]["type"], "start");
    let server = server.crash_and_restart();
    server.until_runs("opener", 2).await;
}

#[tokio::test]
async fn a_delivery_is_checked_mapped_and_stored_before_it_is_acknowledged() {
    let hook = "  - { type: webhook, name: github, verify: { hmac_sha256: \"${file:_secret}\", header: X-Hub-Signature-256 }, \
                idempotency: \"header:X-GitHub-Delivery\", map: { /inbox/-: body.issue } }";
    let home = home(&[answering("triage", "  []")]);
    std::fs::write(home.path().join("agents/_secret"), "It's a Secret to Everybody\n").unwrap();
    let (name, text) = answering("triage", hook);
    home.write_agent(&name, &format!("state: {{ initial: {{ inbox: [], open: 0 }} }}\n{text}"));
    let server = home.serve();
    let body = r#"{"issue":{"number":7}}"#;
    let signature = "sha256=7b1b2bd4ae7f44d2b7b2b6bb2a4e2c7f5d62e7e4c1bb2b1c2f6d4f0c1f1f0a11";
    let (status, refused) = server.deliver("triage/github", body, &[("X-Hub-Signature-256", signature)]).await;
    assert_eq!((status, &refused["code"]), (401, &json!("bad_signature")));
    assert_eq!(server.deliver("triage/gitlab", body, &[]).await.0, 404);
    assert_eq!(server.deliver("nobody/github", body, &[]).await.0, 404);
    let good = sign(body);
    let headers = [("X-Hub-Signature-256", good.as_str()), ("X-GitHub-Delivery", "d-1")];
    let (status, first) = server.deliver("triage/github", body, &headers).await;
    assert_eq!((status, &first["accepted"]), (202, &json!(true)));
    let (status, again) = server.deliver("triage/github", body, &headers).await;
    assert_eq!((status, &again["accepted"], &again["run_id"]), (202, &json!(false), &first["run_id"]));
    let runs = server.until_runs("triage", 1).await;
    assert_eq!(runs[0]["cause"], json!({ "type": "webhook", "name": "github", "chain": [], "depth": 0 }));
    let state = server.data("agent/triage:auto:triage").await;
    assert_eq!(state, json!({ "inbox": [{ "number": 7 }], "open": 0 }));
}

fn sign(body: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"It's a Secret to Everybody").unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
