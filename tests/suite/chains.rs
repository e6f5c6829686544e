//! Agents that set each other off: how far that goes, and what is said of it beforehand.

use serde_json::{Value, json};

use crate::support::server::Server;
use crate::support::triggers::{answering, home, scripted};

/// An agent that writes its name into the ball when one of these did.
fn player(id: &str, from: &str, run: &str) -> (String, String) {
    let trigger = format!("  - {{ type: state, doc: shared/ball, path: /by, from: [{from}] }}");
    let (name, text) = scripted(id, &trigger, &format!("{{ patch: [ {{ op: add, path: /by, value: {id} }} ] }}"));
    (name, format!("state: {{ scope: shared/ball }}\nrun: {run}\n{text}"))
}

async fn dead_letters(server: &Server) -> Vec<Value> {
    server.get_v1("/dead-letters").await.body["items"].as_array().unwrap().clone()
}

/// All runs of a chain that has come to its end, the oldest first.
async fn until_over(server: &Server) -> Vec<Value> {
    for _ in 0..1200 {
        let mut runs = server.get_v1("/runs?limit=500").await.body["items"].as_array().unwrap().clone();
        runs.reverse();
        let is_quiet = runs.iter().all(|run| run["finished_at"].is_string());
        if is_quiet && runs.iter().any(|run| run["status"] == "dead") {
            return runs;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the chain does not come to its end");
}

#[tokio::test]
async fn two_agents_that_set_each_other_off_are_stopped_by_the_length_of_their_chain_and_known_beforehand() {
    for (run, reason, started) in
        [("{}", "chain_depth", 9), ("{ chain: { max_depth: 99, max_runs: 5 } }", "chain_runs", 5)]
    {
        let home = home(&[player("ping", "user, \"agent:pong\"", run), player("pong", "\"agent:ping\"", run)]);
        let said = home.check();
        assert!(said.contains("cycle: ping -> pong -> ping"), "{said}");
        let server = home.serve();
        server.put_document("shared/ball", &json!({ "by": "nobody" }), &[]).await;
        let runs = until_over(&server).await;
        assert_eq!(runs.len(), started + 1, "{runs:#?}");
        let (dead, well) = runs.split_last().unwrap();
        assert!(well.iter().all(|run| run["status"] == "succeeded"), "{well:#?}");
        for (depth, run) in runs.iter().enumerate() {
            let player = ["ping", "pong"][depth % 2];
            assert_eq!((&run["agent"], &run["cause"]["depth"]), (&json!(player), &json!(depth)));
        }
        let letters = dead_letters(&server).await;
        assert_eq!((letters.len(), &letters[0]["reason"], &letters[0]["id"]), (1, &json!(reason), &dead["run_id"]));
        assert_eq!(server.get_v1("/state/shared/ball").await.version(), started as u64 + 1, "each wrote once");
    }
}

#[tokio::test]
async fn a_record_of_a_run_sets_off_what_watches_it_and_not_its_own_agent() {
    let failing = scripted("first", "  []", "{ fail: { message: \"it broke\", code: provider_error } }");
    let watch = "  - { type: state, doc: \"lifecycle/*\", path: /status, when: \"new == 'failed'\", visible: true }";
    let (name, text) = scripted("nurse", watch, "{ fail: { message: \"so did I\", code: provider_error } }");
    let home = home(&[failing, (name, text)]);
    let server = home.serve();
    let run_id = server.submit("first", &json!({ "prompt": "go" })).await;
    let nursed = server.until_runs("nurse", 1).await;
    let doc = format!("lifecycle/{run_id}");
    assert_eq!(
        nursed[0]["cause"],
        json!({ "type": "state", "doc": doc, "run_id": run_id, "chain": [run_id], "depth": 1 })
    );
    let told = server.told("nurse", nursed[0]["thread_id"].as_str().unwrap()).await;
    let change = &told[0][0]["changes"][0];
    assert_eq!((&change["old"], &change["new"]), (&json!("running"), &json!("failed")));
    // Had its own failure set it off, that run would be there before this one.
    server.submit("first", &json!({ "prompt": "go" })).await;
    server.until_runs("nurse", 2).await;
}

#[tokio::test]
async fn agents_that_watch_each_others_records_come_to_rest_as_well() {
    // The ids of runs begin with a 0.
    let watching = |id: &str| answering(id, "  - { type: state, doc: \"lifecycle/0*\", path: /status }");
    let home = home(&[watching("one"), watching("other")]);
    let server = home.serve_in_memory();
    server.submit("one", &json!({ "prompt": "go" })).await;
    let (mut runs, mut at_rest) = (until_over(&server).await, 0);
    while at_rest < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        let now = until_over(&server).await;
        at_rest = if now.len() == runs.len() { at_rest + 1 } else { 0 };
        runs = now;
        assert!(runs.len() < 200, "they go on and on");
    }
    let (dead, started): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run["status"] == "dead");
    assert!(started.len() <= 32, "{} runs of one chain", started.len());
    let is_after = |run: &Value| dead.iter().any(|dead| dead["run_id"] == run["cause"]["run_id"]);
    assert!(!runs.iter().any(is_after), "where a chain ends, nothing comes of it");
}
