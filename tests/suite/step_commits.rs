//! What a step comes to, its events and the state it wrote are one commit: the batches that the runtime hands to its store.

use std::sync::Arc;

use coagent_runtime::store::{Kind, StreamKey};
use serde_json::{Value, json};

use crate::support::events::{results, types};
use crate::support::faulty::{Fault, Faulty};
use crate::support::model::{called, said};
use crate::support::server::{Home, say};
use crate::support::steps::{Steps, Stop};

/// Of the commits that brought this document a version, what else each brought entries.
fn with_document(store: &Faulty, document: &str) -> Vec<Vec<Kind>> {
    let is_it = |stream: &StreamKey| stream.scope.kind == Kind::Document && stream.id.as_ref() == document;
    let commits = store.commits().into_iter().filter(|commit| commit.iter().any(is_it));
    commits
        .map(|commit| commit.iter().filter(|stream| !is_it(stream)).map(|stream| stream.scope.kind).collect())
        .collect()
}

#[tokio::test]
async fn what_a_call_writes_its_result_and_its_step_are_one_commit() {
    let patch = |doc: Option<&str>, path: &str| {
        let mut arguments = json!({ "ops": [{ "op": "add", "path": path, "value": 1 }] });
        if let Some(doc) = doc {
            arguments["doc"] = doc.into();
            arguments["create"] = true.into();
        }
        arguments.to_string()
    };
    let set = json!({ "path": "/deep/er", "value": 2 }).to_string();
    let board = Some("shared/board");
    let model = Steps::start(
        vec![
            vec![called(0, "c1", "state_patch", &patch(None, "/a"))],
            vec![called(0, "c2", "state_patch", &patch(board, "/a")), called(1, "c3", "state_set", &set)],
            vec![called(0, "c4", "state_patch", &patch(None, "/no/where")), called(1, "c5", "state_read", "{}")],
            vec![called(0, "c6", "state_set", &set), called(1, "c7", "state_patch", &patch(board, "/b"))],
            vec![said("Done.")],
        ],
        None,
    )
    .await;
    let definition = model.agent("documents: { write: [shared/board] }\nstate: { initial: { log: [] } }");
    let home = Home::with_agents(&[("helper.md", &definition)]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    let ok: Vec<Value> = results(&events).iter().map(|result| result["ok"].clone()).collect();
    assert_eq!(ok, [true, true, true, false, true, true, true], "{events:#?}");
    let own = with_document(&store, "agent/helper:t");
    assert_eq!(own.len(), 3, "what the run begins with, and two writes; c6 changes nothing: {own:?}");
    for commit in own[1..].iter().chain(&with_document(&store, "shared/board")) {
        assert!(commit.contains(&Kind::Log) && commit.contains(&Kind::Journal), "{own:?}");
    }
    assert_eq!(server.data("shared/board").await, json!({ "a": 1, "b": 1 }));
    assert_eq!(server.data("agent/helper:t").await, json!({ "log": [], "a": 1, "deep": { "er": 2 } }));
}

#[tokio::test]
async fn an_answer_that_is_written_to_the_state_is_one_commit_with_the_end_of_its_run() {
    let model = Steps::start(vec![vec![said(r#"{"n":1}"#)]], None).await;
    let output = "output: { schema: { type: object }, write_to: /answer }";
    let definition = model.agent("").replacen("}\n", &format!(", {output} }}\n"), 1);
    let home = Home::with_agents(&[("helper.md", &definition)]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"), "{events:#?}");
    let commits = with_document(&store, "agent/helper:t");
    assert_eq!(commits.len(), 1, "{commits:?}");
    assert!(commits[0].contains(&Kind::Log) && commits[0].contains(&Kind::Thread), "{commits:?}");
    assert_eq!(server.data("agent/helper:t").await, json!({ "answer": { "n": 1 } }));
}

#[tokio::test]
async fn the_last_write_of_a_native_step_is_one_commit_with_its_end() {
    let planner = "agent: { kind: native, name: planner, config: { pace: 0ms } }\n";
    let home = Home::with_agents(&[("planner.yaml", planner)]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    let events = server.run_to_end("planner", &say("t", "u", "plan a walk: shoes, door")).await;
    let steps = events.iter().filter(|event| event["type"] == "STEP_FINISHED").count();
    assert_eq!(steps, 2, "{events:#?}");
    let commits = with_document(&store, "agent/planner:t");
    let journaled = commits.iter().filter(|commit| commit.contains(&Kind::Log) && commit.contains(&Kind::Journal));
    assert!(journaled.count() >= steps, "{commits:?}");
}

/// More than waits for the runtime at a time, and less than is taken at one go.
#[tokio::test]
async fn what_an_agent_says_at_one_go_is_one_commit_with_the_end_of_its_run() {
    let text = "word ".repeat(200);
    let talker = format!(
        "agent: {{ kind: native, name: scripted, config: {{ pace: 0ms, turns: [{{ do: [{{ say: \"{text}\" }}] }}] }} }}\n"
    );
    let home = Home::with_agents(&[("talker.yaml", &talker)]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    let events = server.run_to_end("talker", &say("t", "u", "go")).await;
    let words = events.iter().filter(|event| event["type"] == "TEXT_MESSAGE_CONTENT").count();
    assert_eq!((words, types(&events).last()), (200, Some(&"RUN_FINISHED")));
    let commits = store.commits();
    let of_log: Vec<_> = commits.iter().filter(|commit| commit.iter().any(|of| of.scope.kind == Kind::Log)).collect();
    assert_eq!(of_log.len(), 2, "its start, and all the rest: {of_log:?}");
}

/// A store that fails when a burst is to be stored: what the agent was told is forgotten with the run, which goes on from what
/// is stored, whether the burst is or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_step_was_not_stored_goes_on_before_it_and_one_whose_step_was_after_it() {
    for written in [false, true] {
        let append = json!({ "ops": [{ "op": "add", "path": "/log/-", "value": "one" }] }).to_string();
        let answers = vec![vec![called(0, "c1", "state_patch", &append)], vec![said("Done.")]];
        let model = Steps::start(answers, Some(Stop::Unfinished(0))).await;
        let home = Home::with_agents(&[("helper.md", &model.agent("state: { initial: { log: [] } }"))]);
        let store = Arc::new(Faulty::new());
        let server = home.serve_here(store.clone()).await;
        let mut stream = server.run("helper", &say("t", "u", "go")).await;
        model.has_stopped().await;
        store.fails(Fault::Down { written });
        model.goes_on();
        assert_eq!(stream.until("RUN_ERROR").await["code"], "internal", "its readers hear that it is lost here");
        store.works();
        let events = server.replay("helper", "t").await;
        assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"), "{events:#?}");
        let results = results(&events);
        assert!(results.len() == 1 && results[0]["ok"] == true, "{results:?}");
        let head = server.get_v1("/state/agent/helper:t").await;
        assert_eq!((&head.body["data"], &head.body["version"]), (&json!({ "log": ["one"] }), &json!(2)));
        assert_eq!(model.asked(), [0, 1], "the answer is journaled before its call is made");
    }
}

/// Whoever sits at a document keeps others waiting, never out, and loses nothing of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn agents_and_people_write_one_document_at_the_same_time() {
    const WRITES: usize = 20;
    let calls = |agent: usize| -> Vec<Value> {
        let call = |n: usize| {
            let ops = json!([{ "op": "add", "path": format!("/a{agent}-{n}"), "value": n }]);
            let arguments = json!({ "doc": "shared/board", "create": true, "ops": ops }).to_string();
            called(u64::try_from(n).expect("a small number"), &format!("c{n}"), "state_patch", &arguments)
        };
        (0..WRITES).map(call).collect()
    };
    let mut models = Vec::new();
    for agent in 0..2 {
        models.push(Steps::start(vec![calls(agent), vec![said("Done.")]], None).await);
    }
    let definitions: Vec<String> =
        models.iter().map(|model| model.agent("documents: { write: [shared/board] }")).collect();
    let home = Home::with_agents(&[("a0.md", &definitions[0]), ("a1.md", &definitions[1])]);
    let server = home.serve();
    server.put_document("shared/board", &json!({}), &[]).await;
    let person = async {
        for n in 0..WRITES {
            let edit = json!({ format!("p{n}"): n });
            server.patch_document("shared/board", "application/merge-patch+json", &edit, &[]).await;
        }
    };
    let (first, second, ()) = tokio::join!(
        async { server.run_to_end("a0", &say("t0", "u", "go")).await },
        async { server.run_to_end("a1", &say("t1", "u", "go")).await },
        person,
    );
    for events in [first, second] {
        assert!(results(&events).iter().all(|result| result["ok"] == true), "{events:#?}");
    }
    let head = server.get_v1("/state/shared/board").await;
    assert_eq!(head.body["data"].as_object().expect("an object").len(), 3 * WRITES, "{}", head.body);
    assert_eq!(head.body["version"], 3 * WRITES + 1);
}
