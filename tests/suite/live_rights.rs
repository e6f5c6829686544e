//! What followers of a document may see: rights and secrets over server-sent events and WebSockets, and writes on behalf
//! of a run; agents among the peers.

use serde_json::{Value, json};

use crate::support::agents::BOARD;
use crate::support::documents::MERGE_PATCH;
use crate::support::live::{Events, Socket};
use crate::support::server::{Home, say};

const VAULT: &str = r#"
schema:
  type: object
  properties:
    title: { type: string }
    token: { type: string, x-secret: true }
    audit: { type: array, x-access: { read: ["role:auditor"] } }
"#;

#[tokio::test]
async fn what_is_hidden_reaches_no_follower() {
    let home = Home::with_agents(&[]);
    std::fs::create_dir_all(home.path().join("agents/_types")).unwrap();
    std::fs::write(home.path().join("agents/_types/vault.yaml"), VAULT).unwrap();
    let server = home.serve_in_memory();
    server.put_document("vault/a", &json!({"title": "one", "token": "s3cret", "audit": ["s3cret"]}), &[]).await;
    let mut socket = Socket::open(&server, "reader").await;
    assert_eq!(socket.subscribe(1, "vault/a").await["data"], json!({"title": "one"}));
    let mut events = Events::open(&server, "vault/a/events", None).await;
    assert_eq!(events.next().await.data["data"], json!({"title": "one"}));
    // A change of what is hidden is a version like any other, of which nothing is told.
    for (body, told) in [
        (json!({"token": "other-s3cret"}), json!([])),
        (json!({"audit": ["more s3cret"], "title": "two"}), json!([{"op": "add", "path": "/title", "value": "two"}])),
        (json!({"token": null}), json!([])),
    ] {
        assert_eq!(server.patch_document("vault/a", MERGE_PATCH, &body, &[]).await.status, 200);
        let (over_socket, over_events) = (socket.hear_a("delta").await, events.next().await.data);
        assert_eq!((&over_socket["ops"], &over_events["ops"]), (&told, &told));
        assert_eq!(over_socket["to"], over_events["to"]);
    }
    // Who resumes is told no more than who stayed, and who tests learns nothing.
    let epoch = server.get_v1("/state/vault/a").await.body["epoch"].as_str().unwrap().to_owned();
    let mut resumed = Events::open(&server, "vault/a/events", Some(&format!("{epoch}.1"))).await;
    for _ in 0..3 {
        let told = resumed.next().await;
        assert!(!told.data.to_string().contains("s3cret"), "{told:?}");
    }
    let patch = json!([{"op": "test", "path": "/audit", "value": ["more s3cret"]}]);
    socket.say(&json!({"type": "mutate", "channel": 1, "mutation_id": 1, "patch": patch})).await;
    assert_eq!(socket.hear_a("reject").await["code"], "forbidden_path");
}

fn clerk(note: &str) -> String {
    format!(
        "state:\n  scope: shared/desk\n  schema: {{ type: object, properties: {{ note: {{ type: string{note} }} }} }}\n\
         agent: {{ kind: native, name: scripted, config: {{ turns: [ {{ do: [ {{ say: hi }} ] }} ] }} }}\n"
    )
}

#[tokio::test]
async fn a_follower_starts_over_when_what_it_may_see_becomes_less_or_more() {
    let home = Home::with_agents(&[("clerk.yaml", &clerk(""))]);
    let server = home.serve_in_memory();
    let whole = json!({"title": "desk", "note": "mine"});
    server.put_document("shared/desk", &whole, &[]).await;
    server.put_document("shared/other", &json!({}), &[]).await;
    let mut socket = Socket::open(&server, "reader").await;
    assert_eq!(socket.subscribe(1, "shared/desk").await["data"], whole);
    let mut beside = Socket::open(&server, "beside").await;
    beside.subscribe(1, "shared/other").await;
    let mut events = Events::open(&server, "shared/desk/events", None).await;
    assert_eq!(events.next().await.data["reason"], "new");
    for (note, seen) in [(", x-secret: true", json!({"title": "desk"})), ("", whole.clone())] {
        home.write_agent("clerk.yaml", &clerk(note));
        let snapshot = socket.hear_a("snapshot").await;
        assert_eq!((&snapshot["reason"], &snapshot["data"]), (&json!("access"), &seen));
        let told = events.next().await;
        assert_eq!(
            (told.event.as_str(), &told.data["reason"], &told.data["data"]),
            ("snapshot", &json!("access"), &seen)
        );
    }
    server.patch_document("shared/desk", MERGE_PATCH, &json!({"note": "yours"}), &[]).await;
    assert_eq!(socket.hear_a("delta").await["from"], 1);
    assert_eq!(events.next().await.event, "delta");
    server.patch_document("shared/other", MERGE_PATCH, &json!({"n": 1}), &[]).await;
    assert_eq!(beside.hear_a("delta").await["from"], 1, "whose sight is the same goes on");
}

#[tokio::test]
async fn a_reject_says_place_by_place_what_the_schema_refuses() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    server.put_document("task/a", &json!({"title": "One"}), &[]).await;
    let mut socket = Socket::open(&server, "writer").await;
    socket.subscribe(1, "task/a").await;
    let wrong = json!({"type": "mutate", "channel": 1, "mutation_id": 1, "merge": {"title": 7, "progress": 2}});
    socket.say_all(&[wrong.clone(), wrong]).await;
    for _ in 0..2 {
        let reject = socket.hear_a("reject").await;
        assert_eq!(reject["code"], "schema_invalid");
        let places: Vec<_> = reject["errors"].as_array().unwrap().iter().map(|error| &error["path"]).collect();
        assert_eq!(places, ["/progress", "/title"], "{reject}");
        assert!(reject["errors"][0]["message"].is_string());
    }
    socket.say(&json!({"type": "mutate", "channel": 1, "mutation_id": 2, "replace": [1]})).await;
    assert_eq!(socket.hear_a("reject").await["errors"][0]["path"], "");
}

const WORKER: (&str, &str) = (
    "worker.yaml",
    r#"
state: { scope: shared/board }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - do: [ { wait: 300ms }, { patch: [ { op: add, path: /rows, value: [] }, { op: add, path: /rows/0, value: { n: 1 } } ] }, { wait: 300ms }, { patch: [ { op: add, path: /title, value: x } ] }, { wait: 300ms } ]
"#,
);

/// The peers of a document, after the next change of them.
async fn peers(watcher: &mut Socket) -> Value {
    watcher.until("presence").await["peers"].take()
}

#[tokio::test]
async fn an_agent_is_a_peer_at_its_document_while_it_works_with_the_place_it_works_on() {
    let home = Home::with_agents(&[WORKER]);
    let server = home.serve_in_memory();
    server.put_document("shared/board", &json!({}), &[]).await;
    let mut watcher = Socket::open(&server, "watcher").await;
    watcher.say(&json!({"type": "subscribe", "channel": 1, "doc": "shared/board", "presence": true})).await;
    assert_eq!(peers(&mut watcher).await, json!({}));
    let run = server.run("worker", &say("t", "u1", "go")).await;
    let (mut places, mut run_id) = (Vec::new(), String::new());
    loop {
        let peers = peers(&mut watcher).await;
        let Some((id, peer)) = peers.as_object().unwrap().iter().next() else { break };
        assert_eq!((&peer["principal"], &peer["data"]["run_id"]), (&json!("agent:worker"), &json!(id)));
        run_id.clone_from(id);
        places.push(peer["data"]["path"].clone());
    }
    run.rest().await;
    assert_eq!(places, [json!(null), json!("/rows"), json!("/title")], "it left when its run was over");
    let commits = server.get_v1("/state/shared/board/history").await.body["commits"].clone();
    assert_eq!(commits[1]["run_id"], json!(run_id), "a peer's run is the run of its commits");
}

#[tokio::test]
async fn a_mutation_over_a_socket_may_be_on_behalf_of_a_live_run() {
    let home = Home::with_agents(&[BOARD]);
    let server = home.serve_in_memory();
    server.put_document("shared/board", &json!({"items": []}), &[]).await;
    let mut socket = Socket::open(&server, "helper").await;
    socket.say(&json!({"type": "subscribe", "channel": 1, "doc": "shared/board", "presence": true})).await;
    assert_eq!(peers(&mut socket).await, json!({}));
    let run = server.run("board", &say("t", "u1", "wait")).await;
    let run_id = peers(&mut socket).await.as_object().unwrap().keys().next().expect("the agent").clone();
    let mutate = |id: u64, run_id: &str| json!({"type": "mutate", "channel": 1, "mutation_id": id, "run_id": run_id, "merge": {"by": id}});
    socket.say(&mutate(1, &run_id)).await;
    socket.until("ack").await;
    assert_eq!(socket.until("delta").await["run_id"], json!(run_id));
    socket.say(&mutate(2, "0198c0de-0000-7000-8000-000000000000")).await;
    assert_eq!(socket.until("reject").await["code"], "forbidden", "a run that is not live is nobody's");
    server.stop("board", "t").await;
    drop(run);
}
