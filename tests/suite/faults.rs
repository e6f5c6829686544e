//! What clients see when the store fails them for a while: on a full disk, on damage, and far back in a long history.

use std::sync::Arc;

use coagent_runtime::store::Kind;
use serde_json::{Value, json};

use crate::support::agents::{BOARD, DEMO};
use crate::support::events::{state, types};
use crate::support::faulty::{Fault, Faulty};
use crate::support::server::{Home, say};

const WRITER: (&str, &str) = (
    "writer.yaml",
    r#"
name: Writer
state: { scope: shared/board, initial: { items: [], owner: nobody } }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { text: many }
        do: [ { repeat: { times: 4200, do: [ { patch: [ { op: add, path: /items/-, value: 1 } ] } ] } }, { say: "written" } ]
      - when: { text: heavy }
        do: [ { repeat: { times: 3000, do: [ { patch: [ { op: add, path: /items/-, value: HEAVY } ] } ] } }, { say: "written" } ]
      - when: { text: steps }
        do: [ { wait: 1500ms }, { step: { name: unseen, do: [] } } ]
      - when: { text: later }
        do: [ { wait: 2500ms }, { patch: [ { op: add, path: /items/-, value: "late" } ] }, { say: "written" } ]
      - do: [ { patch: [ { op: add, path: /items/-, value: "one" } ] }, { say: "written" } ]
"#,
);

#[tokio::test]
async fn a_run_outlives_a_fault_of_its_document() {
    let home = Home::with_agents(&[WRITER, BOARD]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    let mut live = server.run("writer", &say("one", "u1", "later")).await;
    live.until("STATE_SNAPSHOT").await;
    store.fails(Fault::Full(Some(Kind::Document)));
    let mut edit = say("two", "u2", "hello");
    edit["state"] = json!({"colour": "red"});
    let refused = server.post("/agent/board/run", &edit).await;
    assert_eq!(refused.status(), 507);
    assert!(refused.text().await.unwrap().contains("disk is full"));
    store.works();
    let delta = live.until("STATE_DELTA").await;
    assert_eq!(delta["delta"][0]["value"], "late");
    assert_eq!(types(&live.rest().await).last(), Some(&"RUN_FINISHED"));
    assert_eq!(server.get("/threads/one/state").await["state"]["items"], json!(["late"]));
}

#[tokio::test]
async fn an_agent_hears_that_its_write_was_not_stored() {
    let home = Home::with_agents(&[WRITER]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    let mut live = server.run("writer", &say("one", "u1", "later")).await;
    live.until("STATE_SNAPSHOT").await;
    store.fails(Fault::Full(Some(Kind::Document)));
    let end = live.until("RUN_ERROR").await;
    assert!(end["message"].as_str().unwrap().contains("disk is full"), "{end}");
}

#[tokio::test]
async fn a_state_far_back_is_shown_as_it_was() {
    let home = Home::with_agents(&[WRITER]);
    let server = home.serve_in_memory();
    for (n, text) in ["one", "many", "one"].into_iter().enumerate() {
        server.run_to_end("writer", &say("t", &format!("u{n}"), text)).await;
    }
    let replay = server.replay("writer", "t").await;
    let snapshots = replay.iter().filter(|event| event["type"] == "STATE_SNAPSHOT");
    let lengths: Vec<_> = snapshots.map(|event| event["snapshot"]["items"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [1, 4201, 4202]);
    assert_eq!(state(&replay)["items"].as_array().unwrap().len(), 4202);
}

#[tokio::test]
async fn a_thread_with_a_cut_off_run_is_read_while_the_disk_is_full() {
    let home = Home::with_agents(&[DEMO]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    server.run_to_end("demo", &say("t", "u1", "hello")).await;
    let mut live = server.run("demo", &say("t", "u2", "long message")).await;
    live.until("TEXT_MESSAGE_START").await;
    let id = live.last_id.clone().expect("a durable frame has an id");
    store.fails(Fault::Full(None));
    assert_eq!(live.until("RUN_ERROR").await["code"], "internal", "the run is lost");
    // What ends it follows from what is stored, so it is shown as it will be stored.
    let replay = server.replay("demo", "t").await;
    assert_eq!(types(&replay).iter().filter(|of| **of == "RUN_STARTED").count(), 2);
    assert_eq!(types(&replay)[replay.len() - 3..], ["TEXT_MESSAGE_END", "STATE_SNAPSHOT", "RUN_ERROR"]);
    assert_eq!(replay.last().unwrap()["code"], "interrupted");
    let rest = server.connect_after("demo", "t", &id).await.rest().await;
    assert_eq!(
        types(&rest)[rest.len() - 2..],
        ["TEXT_MESSAGE_END", "RUN_ERROR"],
        "a client that was cut gets the rest"
    );
    let messages = server.get("/threads/t/messages").await;
    assert_eq!(messages["messages"].as_array().unwrap().len(), 4);
    assert_eq!(server.get("/threads/t/events").await["events"].as_array().unwrap(), &replay);
    let refused = server.post("/agent/demo/run", &say("t", "u3", "hello")).await;
    assert_eq!(refused.status(), 507);
    assert_eq!(refused.json::<Value>().await.expect("JSON")["code"], "storage_full");
    let begins_a_document = json!({ "state": { "a": 1 }, "threadId": "new", "runId": "r", "messages": [] });
    for input in [say("t", "u3", "hello"), begins_a_document] {
        assert_eq!(server.post_v1("/agents/demo", &input, &[]).await.refusal(), (507, "storage_full"));
    }
    assert_eq!(server.post_v1("/agents/demo/pause", &json!({}), &[]).await.refusal(), (507, "storage_full"));
    assert_eq!(server.replay("demo", "t").await, replay, "a refused run changes nothing");
    store.works();
    assert_eq!(types(&server.run_to_end("demo", &say("t", "u3", "hello")).await).last(), Some(&"RUN_FINISHED"));
    let after = server.replay("demo", "t").await;
    assert_eq!(types(&after).iter().filter(|of| **of == "RUN_STARTED").count(), 3);
    assert_eq!(after[..replay.len() - 2], replay[..replay.len() - 2]);
}

#[tokio::test]
async fn a_run_that_a_full_disk_cut_off_is_taken_up_when_there_is_room_though_nobody_asks() {
    let home = Home::with_agents(&[DEMO]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    let mut live = server.run("demo", &say("t", "u1", "long message")).await;
    live.until("TEXT_MESSAGE_START").await;
    store.fails(Fault::Full(None));
    live.until("RUN_ERROR").await;
    let runs = server.get_v1("/runs").await.body["items"].clone();
    assert_eq!(runs[0]["status"], "running", "nothing else can be stored");
    store.works();
    let run_id = runs[0]["run_id"].as_str().expect("an id");
    assert_eq!(server.until_over(run_id).await["status"], "succeeded", "a durable run goes on");
    assert_eq!(types(&server.replay("demo", "t").await).last(), Some(&"RUN_FINISHED"));
}

#[tokio::test]
async fn what_cannot_be_read_to_its_end_is_an_error_and_not_a_shorter_thread() {
    let home = Home::with_agents(&[DEMO]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    // More than a page of runs.
    for n in 0..300 {
        server.run_to_end("demo", &say("t", &format!("u{n}"), "hello")).await;
    }
    let all = server.get("/threads/t/events").await["events"].as_array().unwrap().len();
    store.fails(Fault::ReadsAfter(1));
    let url = server.copilotkit("/threads/t/events");
    assert_eq!(server.http().get(url).send().await.unwrap().status(), 503);
    store.fails(Fault::ReadsAfter(1));
    let cut = server.post("/agent/demo/connect", &say("t", "x", "")).await;
    assert_eq!(cut.status(), 200);
    assert!(cut.text().await.is_err(), "a stream that breaks off is cut, it does not end");
    store.works();
    assert_eq!(server.get("/threads/t/events").await["events"].as_array().unwrap().len(), all);
}

#[tokio::test]
async fn nothing_is_shown_that_was_not_stored() {
    let home = Home::with_agents(&[WRITER]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    let mut live = server.run("writer", &say("t", "u1", "steps")).await;
    live.until("STATE_SNAPSHOT").await;
    store.fails(Fault::Full(None));
    assert_eq!(types(&live.rest().await), ["RUN_ERROR"]);
}

#[tokio::test]
async fn a_reader_that_fell_far_behind_gets_a_snapshot_and_misses_nothing() {
    let heavy = WRITER.1.replace("HEAVY", &format!("{:?}", "x".repeat(4000)));
    let home = Home::with_agents(&[("writer.yaml", &heavy)]);
    let server = home.serve_in_memory();
    let mut slow = server.run("writer", &say("t", "u1", "heavy")).await;
    let mut events = vec![slow.until("STATE_SNAPSHOT").await];
    server.connect("writer", "t").await.rest().await;
    events.extend(slow.rest().await);
    assert_eq!(state(&events)["items"].as_array().unwrap().len(), 3000);
}
