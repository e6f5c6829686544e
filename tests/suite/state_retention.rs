//! Versions that a type does not keep (`retention` in `agents/_types/<type>.yaml`): told to nobody, gone from the store, and
//! what is kept of them (docs/state-api.md §8).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::documents::{JSON_PATCH, MERGE_PATCH};
use crate::support::live::{Events, Socket};
use crate::support::server::{Home, Server, say};

const TYPE: &str = "agents/_types/note.yaml";

fn declare(home: &Home, text: &str) {
    std::fs::create_dir_all(home.path().join("agents/_types")).unwrap();
    std::fs::write(home.path().join(TYPE), text).unwrap();
}

async fn set(server: &Server, name: &str, member: &str, value: Value) -> u64 {
    let answer = server.patch_document(name, MERGE_PATCH, &json!({ member: value }), &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.version()
}

/// The versions that the history lists, and up to which they are gone.
async fn listed(server: &Server, name: &str) -> (Vec<u64>, Value) {
    let mut history = server.get_v1(&format!("/state/{name}/history?after=0&limit=1000")).await;
    assert_eq!(history.status, 200, "{history:?}");
    let trimmed = history.body["trimmed"].take();
    let commits = history.body["commits"].as_array().unwrap();
    (commits.iter().map(|commit| commit["version"].as_u64().unwrap()).collect(), trimmed)
}

#[tokio::test]
async fn what_is_beyond_the_bound_is_told_to_nobody_and_what_has_a_name_to_everybody() {
    let home = Home::with_agents(&[]);
    declare(&home, "retention: { versions: 5 }\n");
    for server in [home.serve(), home.serve_in_memory()] {
        let created = server.put_document("note/a", &json!({"first": "born", "n": 0}), &[]).await;
        let epoch = created.body["epoch"].as_str().unwrap().to_owned();
        for n in 2..=40 {
            assert_eq!(set(&server, "note/a", "n", json!(n)).await, n);
            if n == 3 {
                let tagged = server.post_v1("/state/note/a/tags", &json!({"name": "third"}), &[]).await;
                assert_eq!(tagged.status, 201, "{tagged:?}");
            }
        }
        assert_eq!(listed(&server, "note/a").await, (vec![36, 37, 38, 39, 40], json!(35)));
        let pages = server.get_v1("/state/note/a/history?limit=3").await.body;
        let rest =
            server.get_v1(&format!("/state/note/a/history?cursor={}", pages["next_cursor"].as_str().unwrap())).await;
        assert_eq!((rest.body["commits"].as_array().unwrap().len(), rest.body.get("next_cursor")), (2, None));

        for version in [1, 2, 4, 35] {
            let gone = server.get_v1(&format!("/state/note/a?version={version}")).await;
            assert_eq!((gone.refusal(), gone.version()), ((404, "version_not_found"), 40), "{version}");
            let rollback = server.post_v1("/state/note/a/rollback", &json!({"to_version": version}), &[]).await;
            assert_eq!(rollback.refusal(), (404, "version_not_found"), "{version}");
            let tag = server.post_v1("/state/note/a/tags", &json!({"name": "late", "version": version}), &[]).await;
            assert_eq!(tag.refusal(), (404, "version_not_found"), "{version}");
            let diff = server.get_v1(&format!("/state/note/a/diff?from={version}")).await;
            assert_eq!(diff.refusal(), (404, "version_not_found"), "{version}");
        }
        for (version, n) in [(3, 3), (36, 36), (40, 40)] {
            let was = server.get_v1(&format!("/state/note/a?version={version}")).await;
            assert_eq!((was.status, &was.body["data"]), (200, &json!({"first": "born", "n": n})), "{version}");
            assert_eq!((&was.body["updated_by"], was.etag()), (&json!("user:local"), format!("\"{epoch}.{version}\"")));
        }
        let diff = server.get_v1("/state/note/a/diff?from=3&to=36").await.body;
        assert_eq!(diff["ops"], json!([{"op": "add", "path": "/n", "value": 36}]));

        let blame = server.get_v1("/state/note/a/blame").await.body;
        assert_eq!((&blame["path"]["/first"]["version"], &blame["path"]["/n"]["version"]), (&json!(1), &json!(40)));

        for (version, expected) in [(34, "snapshot"), (35, "delta"), (39, "delta")] {
            let id = format!("{epoch}.{version}");
            let told = Events::open(&server, "note/a/events", Some(&id)).await.next().await;
            assert_eq!(told.event, expected, "{version}");
            match expected {
                "snapshot" => {
                    assert_eq!((&told.data["reason"], &told.data["version"]), (&json!("trimmed"), &json!(40)))
                }
                _ => assert_eq!(told.data["from"], version),
            }
        }
        let mut socket = Socket::open(&server, "c").await;
        let since = json!({"epoch": epoch, "version": 10});
        socket.say(&json!({"type": "subscribe", "channel": 1, "doc": "note/a", "since": since})).await;
        let told = socket.hear().await;
        assert_eq!((&told["type"], &told["reason"]), (&json!("snapshot"), &json!("trimmed")));

        let back = server.post_v1("/state/note/a/rollback", &json!({"to_version": 3}), &[]).await;
        assert_eq!((back.status, back.version()), (200, 41), "a named version can be gone back to");
        assert_eq!(server.data("note/a").await, json!({"first": "born", "n": 3}));
        assert_eq!(listed(&server, "note/a").await.0, [37, 38, 39, 40, 41]);
    }
}

#[tokio::test]
async fn what_is_over_leaves_the_store_by_the_way_and_what_is_kept_survives_a_kill() {
    let home = Home::with_agents(&[]);
    declare(&home, "retention: { versions: 5 }\n");
    let server = home.serve();
    server.put_document("note/a", &json!({"list": [1, 2, 3], "first": true}), &[]).await;
    for n in 2..=200 {
        set(&server, "note/a", "text", json!(format!("{n} {}", "x".repeat(100)))).await;
        if n % 50 == 0 {
            server.post_v1("/state/note/a/tags", &json!({"name": format!("t{n}")}), &[]).await;
        }
    }
    let data = server.data("note/a").await;
    // Without the bound everything that is there shows again.
    drop(server);
    declare(&home, "");
    let server = home.serve().crash_and_restart();
    let (versions, trimmed) = listed(&server, "note/a").await;
    assert!(versions.len() < 60, "{} commits are still there", versions.len());
    assert_eq!(trimmed, json!(versions[0] - 1));
    assert_eq!(server.data("note/a").await, data);
    for n in [50, 100, 150] {
        let was = server.get_v1(&format!("/state/note/a?version={n}")).await;
        assert_eq!(was.body["data"]["text"], format!("{n} {}", "x".repeat(100)));
    }
    assert_eq!(server.get_v1("/state/note/a?version=51").await.refusal(), (404, "version_not_found"));
    let oldest = server.get_v1(&format!("/state/note/a?version={}", versions[0])).await;
    assert!(oldest.body["data"]["text"].as_str().unwrap().starts_with(&versions[0].to_string()));
    let blame = server.get_v1("/state/note/a/blame?path=/list").await.body;
    assert_eq!(blame["path"]["/list/0"]["version"], 1, "who wrote a leaf is known for longer than its commit");

    // A writer that saw a version from before cannot be merged, one that saw a later one can.
    let patch = json!([{"op": "add", "path": "/list/0", "value": 0}]);
    let stale = server.patch_document("note/a", JSON_PATCH, &patch, &[("base-version", "2")]).await;
    assert_eq!(stale.refusal(), (409, "conflict"));
    let base = versions[0].to_string();
    assert_eq!(server.patch_document("note/a", JSON_PATCH, &patch, &[("base-version", &base)]).await.status, 200);
    assert_eq!(server.data("note/a").await["list"], json!([0, 1, 2, 3]));
}

#[tokio::test]
async fn a_write_is_answered_the_same_when_its_version_is_over() {
    let home = Home::with_agents(&[]);
    declare(&home, "retention: { versions: 3 }\n");
    let server = home.serve();
    server.put_document("note/a", &json!({"n": 0}), &[]).await;
    let put = [("idempotency-key", "put"), ("prefer", "return=representation")];
    let first = server.put_document("note/a", &json!({"n": 1}), &put).await;
    let (back, key) = (json!({"to_version": 1}), [("idempotency-key", "back")]);
    let went_back = server.post_v1("/state/note/a/rollback", &back, &key).await;
    assert_eq!((&first.body["data"], went_back.status), (&json!({"n": 1}), 200));
    let rounds: Vec<Value> = (0..700).map(|n| json!({"doc": "note/a", "replace": {"n": n, "more": true}})).collect();
    assert_eq!(server.post_v1("/state:batch", &json!({"mutations": rounds}), &[]).await.status, 200);
    for n in 0..20 {
        set(&server, "note/a", "n", json!(n)).await;
    }
    let (first_again, back_again) = (
        server.put_document("note/a", &json!({"n": 1}), &put).await,
        server.post_v1("/state/note/a/rollback", &back, &key).await,
    );
    for (first, again) in [(first, first_again), (went_back, back_again)] {
        let mut expected = first.body.clone();
        expected["duplicate"] = true.into();
        assert_eq!((again.status, again.etag(), again.body), (first.status, first.etag(), expected));
    }
}

#[tokio::test]
async fn an_export_of_what_is_kept_is_a_document_elsewhere() {
    let home = Home::with_agents(&[]);
    declare(&home, "retention: { versions: 4 }\n");
    let server = home.serve();
    server.put_document("note/a", &json!({"born": true, "list": [1]}), &[]).await;
    for n in 2..=30 {
        set(&server, "note/a", "n", json!(n)).await;
        if n % 10 == 0 {
            server.post_v1("/state/note/a/tags", &json!({"name": format!("t{n}")}), &[]).await;
        }
    }
    let text = server.http().get(format!("{}/v1/state:export", server.url)).send().await.unwrap().text().await.unwrap();
    let kinds: Vec<&str> = text.lines().map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(
        kinds,
        ["at", "document", "kept", "kept", "base", "commit", "commit", "commit", "commit", "end"],
        "{text}"
    );
    let other_home = Home::with_agents(&[]);
    declare(&other_home, "retention: { versions: 4 }\n");
    let other = other_home.serve();
    let import = async |text: &str| {
        let headers = [("content-type", "application/x-ndjson")];
        other.v1(reqwest::Method::POST, "/state:import", &headers, Some(text.to_owned())).await
    };
    for (from, to) in [("\"trimmed\":26", "\"trimmed\":25"), ("{\"base\"", "{\"kept\""), ("\"trimmed\":26,", "")] {
        assert!(text.contains(from), "{text}");
        assert_eq!(import(&text.replace(from, to)).await.status, 400, "{from}");
    }
    assert_eq!(import(&text).await.status, 200);
    let other = other.crash_and_restart();
    for path in ["/history", "/tags", "/blame", "?version=10", "?version=20", "?version=27", "/diff?from=10"] {
        let mut answers = Vec::new();
        for server in [&server, &other] {
            let mut answer = server.get_v1(&format!("/state/note/a{path}")).await;
            answer.body.as_object_mut().unwrap().remove("epoch");
            answers.push(answer.body);
        }
        assert_eq!(answers[0], answers[1], "{path}");
    }
    assert_eq!(other.get_v1("/state/note/a?version=5").await.refusal(), (404, "version_not_found"));
    assert_eq!(set(&other, "note/a", "n", json!(31)).await, 31);
    assert_eq!(other.data("note/a").await, json!({"born": true, "list": [1], "n": 31}));
}

const EDITOR: (&str, &str) = (
    "editor.yaml",
    r#"
state: { scope: "shared/page" }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - do:
          - { patch: [ { op: add, path: /a, value: 1 } ] }
          - { patch: [ { op: add, path: /b, value: 2 } ] }
          - { say: "done" }
"#,
);

#[tokio::test]
async fn the_last_version_of_each_run_is_kept_and_a_run_that_is_partly_gone_is_not_undone_by_halves() {
    let home = Home::with_agents(&[EDITOR]);
    std::fs::create_dir_all(home.path().join("agents/_types")).unwrap();
    std::fs::write(home.path().join("agents/_types/shared.yaml"), "retention: { versions: 3 }\n").unwrap();
    let server = home.serve();
    server.put_document("shared/page", &json!({"title": "x"}), &[]).await;
    server.run_to_end("editor", &say("t", "u1", "go")).await;
    let commits = server.get_v1("/state/shared/page/history").await.body;
    let run_id = commits["commits"][2]["run_id"].as_str().expect("a run wrote this").to_owned();
    assert_eq!(server.get_v1("/state/shared/page?version=3").await.body["data"], json!({"title": "x", "a": 1, "b": 2}));
    set(&server, "shared/page", "a", json!(9)).await;
    let undo = json!({"run_id": run_id, "dry_run": true});
    assert_eq!(server.post_v1("/state/shared/page/rollback", &undo, &[]).await.status, 200, "all of it is still there");
    set(&server, "shared/page", "c", json!(1)).await;
    assert_eq!(server.get_v1("/state/shared/page?version=1").await.refusal(), (404, "version_not_found"));
    assert_eq!(
        server.get_v1("/state/shared/page?version=2").await.status,
        200,
        "as far as the run was when it was dropped"
    );
    let refused = server.post_v1("/state/shared/page/rollback", &undo, &[]).await;
    assert_eq!(refused.refusal(), (404, "version_not_found"));
    for n in 6..=20 {
        set(&server, "shared/page", "n", json!(n)).await;
    }
    let server = server.crash_and_restart();
    let end = server.get_v1("/state/shared/page?version=3").await;
    assert_eq!((end.status, &end.body["data"]), (200, &json!({"title": "x", "a": 1, "b": 2})));
    assert_eq!(end.body["updated_by"], "agent:editor");
    let shown = server.replay("editor", "t").await;
    assert_eq!(crate::support::events::state(&shown)["n"], 20, "a thread is replayed all the same");
}

/// Whether the store itself has let go of versions of two documents.
fn is_gone(home: &Home) -> bool {
    let database = rusqlite::Connection::open(home.path().join("data").join("coagent.db")).unwrap();
    let trimmed = "SELECT count(*) FROM streams WHERE kind = 'doc' AND trimmed > 0";
    database.query_row(trimmed, [], |row| row.get::<_, i64>(0)).unwrap() == 2
}

/// An export of one document whose commits were made so many days ago.
fn history_of(name: &str, days_ago: &[i64]) -> String {
    let mut lines = vec![json!({"coagent": "documents", "format": 1})];
    lines.push(json!({"document": {"name": name, "version": days_ago.len()}}));
    for (index, days) in days_ago.iter().enumerate() {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
        let ops = json!([{"op": "add", "path": "/n", "value": index + 1}]);
        let commit =
            json!({"version": index + 1, "ops": ops, "inverse": [], "actor": "user:ann", "at": at.to_string()});
        lines.push(json!({"commit": commit}));
    }
    lines.push(json!({"end": {"documents": 1}}));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn versions_grow_too_old_also_of_documents_that_nobody_touches_but_never_the_newest() {
    let home = Home::with_agents(&[]);
    declare(&home, "retention: { days: 30 }\n");
    let server = home.serve();
    for (name, days) in [("note/mixed", &[50, 40, 31, 29, 2, 0][..]), ("note/old", &[90, 80, 70])] {
        let url = format!("{}/v1/state:import", server.url);
        let request = server.http().post(url).header("content-type", "application/x-ndjson");
        let imported = request.body(history_of(name, days)).send().await.unwrap();
        assert_eq!(imported.status(), 200, "{}", imported.text().await.unwrap());
    }
    assert_eq!(listed(&server, "note/mixed").await, (vec![4, 5, 6], json!(3)));
    assert_eq!(listed(&server, "note/old").await, (vec![3], json!(2)));
    assert_eq!(server.data("note/old").await, json!({"n": 3}));
    assert_eq!(server.get_v1("/state/note/old?version=2").await.refusal(), (404, "version_not_found"));
    // A start looks at what is due; then it is gone for good, whatever the type says later.
    let server = server.crash_and_restart();
    let gone = async {
        while !is_gone(&home) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("what is over is dropped");
    drop(server);
    declare(&home, "");
    let server = home.serve();
    assert_eq!(listed(&server, "note/mixed").await, (vec![4, 5, 6], json!(3)));
    assert_eq!(listed(&server, "note/old").await, (vec![3], json!(2)));
    assert_eq!(server.data("note/mixed").await, json!({"n": 6}));
}
