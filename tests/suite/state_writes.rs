//! What holds for every write of a document: once, together, on behalf of a run, and back again (docs/state-api.md §2, §8).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::documents::{INTENTS, JSON_PATCH, MERGE_PATCH};
use crate::support::server::{Home, Server, say};

fn server() -> (Home, Server) {
    let home = Home::with_agents(&[]);
    let server = home.serve();
    (home, server)
}

#[tokio::test]
async fn a_write_with_a_key_happens_once_and_is_answered_the_same() {
    let (_home, server) = server();
    let put = [("idempotency-key", "k1"), ("prefer", "return=representation")];
    let first = server.put_document("shared/a", &json!({"n": 1}), &put).await;
    assert_eq!((first.status, first.body.get("duplicate")), (201, None));
    let inc = json!([{"op": "inc", "path": "/n", "by": 1}]);
    let patched = server.patch_document("shared/a", INTENTS, &inc, &[("idempotency-key", "k1")]).await;
    assert_eq!(patched.version(), 2, "another method is another request");
    let mut server = server;
    for round in 0..2 {
        let again = server.put_document("shared/a", &json!({"n": 1}), &put).await;
        assert_eq!((again.status, again.etag()), (201, first.etag()), "round {round}");
        let mut expected = first.body.clone();
        expected["duplicate"] = true.into();
        assert_eq!(again.body, expected);
        let again = server.patch_document("shared/a", INTENTS, &inc, &[("idempotency-key", "k1")]).await;
        assert_eq!((again.status, again.version(), &again.body["duplicate"]), (200, 2, &json!(true)));
        assert_eq!(server.data("shared/a").await, json!({"n": 2}));
        server = server.crash_and_restart();
    }
    let other = server.put_document("shared/a", &json!({"n": 9}), &put).await;
    assert_eq!(other.refusal(), (422, "idempotency_mismatch"));
    assert_eq!(server.put_document("shared/b", &json!({"n": 9}), &put).await.status, 201, "another document");
    let deleted = server.delete_document("shared/a", &[("idempotency-key", "k1")]).await;
    let again = server.delete_document("shared/a", &[("idempotency-key", "k1")]).await;
    assert_eq!((deleted.status, deleted.etag()), (again.status, again.etag()));
    assert_eq!(server.get_v1("/state/shared/a/history").await.body["commits"].as_array().unwrap().len(), 3);
    for key in ["", &"k".repeat(513)] {
        let refused = server.put_document("shared/a", &json!({}), &[("idempotency-key", key)]).await;
        assert_eq!(refused.refusal(), (400, "invalid_header"));
    }
}

#[tokio::test]
async fn a_refusal_is_not_remembered_and_a_write_that_changed_nothing_is() {
    let (_home, server) = server();
    let key = [("idempotency-key", "k")];
    let add = json!({"x": 1});
    assert_eq!(server.patch_document("shared/a", MERGE_PATCH, &add, &key).await.refusal(), (404, "not_found"));
    server.put_document("shared/a", &json!({"x": 1}), &[]).await;
    let same = server.patch_document("shared/a", MERGE_PATCH, &add, &key).await;
    assert_eq!((same.status, same.version(), same.body.get("duplicate")), (200, 1, None));
    server.put_document("shared/a", &json!({"x": 2}), &[]).await;
    let again = server.patch_document("shared/a", MERGE_PATCH, &add, &key).await;
    assert_eq!((again.version(), &again.body["duplicate"]), (1, &json!(true)));
    assert_eq!(server.data("shared/a").await, json!({"x": 2}));
}

#[tokio::test]
async fn retries_across_kills_take_effect_exactly_once() {
    let (_home, mut server) = server();
    server.put_document("shared/a", &json!({"n": 0}), &[]).await;
    for op in 0..40 {
        let key = format!("op-{op}");
        let inc = json!([{"op": "inc", "path": "/n", "by": 1}]);
        let headers = [("idempotency-key", key.as_str())];
        if op % 4 == 0 {
            // The request is on its way while the process dies.
            let url = format!("{}/v1/state/shared/a", server.url);
            let request = server.http().patch(url).header("content-type", INTENTS).header("idempotency-key", &key);
            let lost = tokio::spawn(request.body(inc.to_string()).send());
            if op % 8 == 0 {
                tokio::task::yield_now().await;
            }
            server = server.crash_and_restart();
            // Whether it was taken is what the retry finds out.
            let _ = lost.await;
        }
        for _ in 0..1 + op % 3 {
            let answer = server.patch_document("shared/a", INTENTS, &inc, &headers).await;
            assert_eq!(answer.version(), op + 2, "op {op}");
        }
    }
    assert_eq!(server.data("shared/a").await, json!({"n": 40}));
}

#[tokio::test]
async fn a_batch_changes_all_of_its_documents_or_none() {
    let (_home, server) = server();
    server.put_document("shared/a", &json!({"n": 1}), &[]).await;
    let batch = async |mutations: Value, headers: &[(&str, &str)]| {
        server.post_v1("/state:batch", &json!({"mutations": mutations}), headers).await
    };
    let both = json!([
        {"doc": "shared/a", "patch": [{"op": "replace", "path": "/n", "value": 2}], "if_version": 1},
        {"doc": "task/t", "replace": {"title": "x"}},
        {"doc": "shared/a", "merge": {"m": 1}, "reason": "twice in one", "mutation_id": 7},
        {"doc": "shared/b", "intents": [{"op": "inc", "path": "/n", "by": 1}], "create": true},
    ]);
    let key = [("idempotency-key", "b1"), ("x-reason", "common")];
    let done = batch(both.clone(), &key).await;
    let results = json!([
        {"doc": "shared/a", "version": 2}, {"doc": "task/t", "version": 1},
        {"doc": "shared/a", "version": 3}, {"doc": "shared/b", "version": 1},
    ]);
    assert_eq!((done.status, &done.body), (200, &json!({"results": results})));
    let again = batch(both.clone(), &key).await;
    assert_eq!(again.body, json!({"results": results, "duplicate": true}));
    assert_eq!(batch(json!([]), &key).await.refusal(), (422, "idempotency_mismatch"));
    let reasons = server.get_v1("/state/shared/a/history").await.body;
    assert_eq!(
        (&reasons["commits"][1]["reason"], &reasons["commits"][2]["reason"]),
        (&json!("common"), &json!("twice in one"))
    );

    let twice = json!([{"doc": "shared/a", "merge": {"n": 9}, "if_version": 3}, {"doc": "shared/a", "merge": {"n": 8}, "if_version": 3}]);
    let refused = batch(twice, &[]).await;
    assert_eq!((refused.refusal(), refused.version()), ((409, "version_conflict"), 3), "the head that is stored");
    assert_eq!(refused.body["index"], 1);

    for (last, refusal) in [
        (json!({"doc": "shared/a", "merge": {}, "if_version": 1}), (409, "version_conflict")),
        (json!({"doc": "shared/a", "patch": [{"op": "test", "path": "/n", "value": 9}]}), (409, "test_failed")),
        (json!({"doc": "shared/a", "patch": [{"op": "remove", "path": "/none"}]}), (409, "target_gone")),
        (json!({"doc": "task/t", "replace": 1}), (422, "schema_invalid")),
        (json!({"doc": "shared/none", "merge": {}}), (404, "not_found")),
        (json!({"doc": "lifecycle/x", "replace": {}}), (403, "forbidden")),
        (json!({"doc": "nope/x", "replace": {}}), (404, "unknown_type")),
        (json!({"doc": "shared", "replace": {}}), (400, "invalid_name")),
        (json!({"doc": "shared/a"}), (400, "invalid_body")),
        (json!({"doc": "shared/a", "merge": {}, "replace": {}}), (400, "invalid_body")),
        (json!({"doc": "shared/a", "patch": [{"op": "frob"}]}), (400, "invalid_patch")),
        (json!({"doc": "shared/a", "merge": {"n": 9}, "if_verison": 1}), (400, "invalid_body")),
    ] {
        let first = json!({"doc": "shared/a", "merge": {"half": true}});
        let second = json!({"doc": "shared/c", "replace": {"half": true}});
        let refused = batch(json!([first, second, last]), &[]).await;
        assert_eq!((refused.refusal(), &refused.body["index"]), (refusal, &json!(2)), "{last}");
    }
    assert_eq!(server.data("shared/a").await, json!({"n": 2, "m": 1}));
    assert_eq!(server.get_v1("/state/shared/c").await.status, 404);
    assert_eq!(server.get_v1("/state/shared/a").await.version(), 3);
    assert_eq!(server.post_v1("/state:batch", &json!([]), &[]).await.refusal(), (400, "invalid_body"));
    let refused = server.v1(Method::POST, "/state:batch", &[], Some("{}".into())).await;
    assert_eq!(refused.refusal(), (415, "unsupported_media_type"));
}

#[tokio::test]
async fn batches_that_cross_neither_block_nor_tear() {
    let (_home, server) = server();
    for name in ["a", "b", "c"] {
        server.put_document(&format!("shared/{name}"), &json!({"n": 0}), &[]).await;
    }
    let one = async |round: usize| {
        let mut names = ["a", "b", "c"];
        names.rotate_left(round % 3);
        let inc =
            |name: &str| json!({"doc": format!("shared/{name}"), "intents": [{"op": "inc", "path": "/n", "by": 1}]});
        let mutations: Vec<Value> = names.iter().map(|name| inc(name)).collect();
        let done = server.post_v1("/state:batch", &json!({"mutations": mutations}), &[]).await;
        assert_eq!(done.status, 200, "{done:?}");
        let versions: Vec<_> =
            done.body["results"].as_array().unwrap().iter().map(|result| &result["version"]).collect();
        assert!(versions.windows(2).all(|pair| pair[0] == pair[1]), "all three moved together: {versions:?}");
    };
    futures_util::future::join_all((0..60).map(one)).await;
    for name in ["a", "b", "c"] {
        assert_eq!(server.data(&format!("shared/{name}")).await, json!({"n": 60}));
    }
}

#[tokio::test]
async fn what_comes_to_nothing_makes_no_version() {
    let (_home, server) = server();
    server.put_document("shared/a", &json!({"a": 1, "st": "a", "list": [{"id": 1}, {"id": 2}]}), &[]).await;
    for (kind, changes) in [
        (JSON_PATCH, json!([{"op": "replace", "path": "/a", "value": 2}, {"op": "replace", "path": "/a", "value": 1}])),
        (JSON_PATCH, json!([{"op": "add", "path": "/b", "value": 1}, {"op": "remove", "path": "/b"}])),
        (JSON_PATCH, json!([{"op": "remove", "path": "/st"}, {"op": "add", "path": "/st", "value": "a"}])),
        (
            JSON_PATCH,
            json!([{"op": "move", "from": "/list/0", "path": "/list/1"}, {"op": "move", "from": "/list/1", "path": "/list/0"}]),
        ),
        (INTENTS, json!([{"op": "inc", "path": "/a", "by": 2}, {"op": "inc", "path": "/a", "by": -2}])),
        (
            INTENTS,
            json!([{"op": "append", "path": "/list", "value": 3}, {"op": "set", "path": "/list", "value": [{"id": 1}, {"id": 2}]}]),
        ),
    ] {
        let answer = server.patch_document("shared/a", kind, &changes, &[]).await;
        assert_eq!((answer.status, answer.version()), (200, 1), "{changes}");
    }
    assert_eq!(server.get_v1("/state/shared/a/history").await.body["commits"].as_array().unwrap().len(), 1);
    let half = json!([{"op": "inc", "path": "/a", "by": 2}, {"op": "inc", "path": "/a", "by": -1}]);
    assert_eq!(server.patch_document("shared/a", INTENTS, &half, &[]).await.version(), 2);
    assert_eq!(server.data("shared/a").await["a"], 2);
}

#[tokio::test]
async fn a_dry_run_is_answered_the_same_whenever_it_is_repeated() {
    let (_home, mut server) = server();
    let large = "x".repeat(80 << 10);
    for (name, first) in [("shared/small", json!({"n": 1})), ("shared/large", json!({"n": 1, "text": large}))] {
        server.put_document(name, &first, &[]).await;
        server.put_document(name, &json!({"n": 2}), &[]).await;
    }
    let headers = [("idempotency-key", "dry"), ("prefer", "return=representation")];
    for name in ["shared/small", "shared/large"] {
        let path = format!("/state/{name}/rollback");
        let wanted = json!({"to_version": 1, "dry_run": true});
        let first = server.post_v1(&path, &wanted, &headers).await;
        let etag = server.get_v1(&format!("/state/{name}")).await.etag();
        assert_eq!((first.status, first.version(), first.etag()), (200, 3, etag), "the head is still the one before");
        assert!(first.body["data"]["n"] == 1 && first.body["ops"] != json!([]));
        let mut expected = first.body.clone();
        expected["duplicate"] = true.into();
        for round in 0..2 {
            let again = server.post_v1(&path, &wanted, &headers).await;
            assert!(again.body == expected && again.etag() == first.etag(), "{name} {round}");
            if name == "shared/small" {
                // Also when the document has gone on.
                server.put_document(name, &json!({"n": 9 + round}), &[]).await;
            }
            server = server.crash_and_restart();
        }
    }
}

#[tokio::test]
async fn a_rollback_is_a_commit_forward() {
    let (_home, server) = server();
    server.put_document("shared/a", &json!({"n": 1, "list": [1, 2]}), &[]).await;
    server.put_document("shared/a", &json!({"n": 2, "list": [2, 3], "more": true}), &[]).await;
    let back = async |body: Value| server.post_v1("/state/shared/a/rollback", &body, &[]).await;
    let dry = back(json!({"to_version": 1, "dry_run": true})).await;
    assert_eq!((dry.status, dry.version()), (200, 3));
    assert_eq!(server.get_v1("/state/shared/a").await.version(), 2, "a dry run changes nothing");
    let done = back(json!({"to_version": 1, "reason": "was better"})).await;
    assert_eq!((done.status, done.version(), &done.body["skipped"]), (200, 3, &json!([])));
    assert_eq!(done.body["ops"], dry.body["ops"]);
    assert_eq!(server.data("shared/a").await, json!({"n": 1, "list": [1, 2]}));
    let history = server.get_v1("/state/shared/a/history?limit=1").await.body;
    assert_eq!(
        (&history["commits"][0]["reason"], &history["commits"][0]["ops"]),
        (&json!("was better"), &done.body["ops"])
    );
    let same = back(json!({"to_version": 3})).await;
    assert_eq!((same.version(), &same.body["ops"]), (3, &json!([])));
    server.delete_document("shared/a", &[]).await;
    assert_eq!(back(json!({"to_version": 4})).await.refusal(), (410, "deleted"), "that version is the tombstone");
    assert_eq!(back(json!({"to_version": 2})).await.version(), 5);
    assert_eq!(server.data("shared/a").await["more"], true, "rollback revives");
    for version in [0, 9] {
        assert_eq!(back(json!({"to_version": version})).await.refusal(), (404, "version_not_found"));
    }
    for body in [json!({}), json!({"to_version": "x"}), json!({"to_version": 1, "run_id": "r"}), json!([])] {
        assert_eq!(back(body).await.refusal(), (400, "invalid_body"));
    }
    let refused = server.post_v1("/state/shared/none/rollback", &json!({"to_version": 1}), &[]).await;
    assert_eq!(refused.refusal(), (404, "not_found"));
    let stale = [("if-match", "\"x.1\"")];
    let refused = server.post_v1("/state/shared/a/rollback", &json!({"to_version": 1}), &stale).await;
    assert_eq!(refused.refusal(), (412, "version_conflict"));
}

#[tokio::test]
async fn versions_are_compared_and_named() {
    let (_home, server) = server();
    for n in 1..=3 {
        server.put_document("shared/a", &json!({"n": n, "list": vec![0; n]}), &[]).await;
    }
    let diff = async |query: &str| server.get_v1(&format!("/state/shared/a/diff?{query}")).await;
    let way = diff("from=1&to=3").await.body;
    let ops = json!([{"op": "add", "path": "/list/1", "value": 0}, {"op": "add", "path": "/list/2", "value": 0}, {"op": "add", "path": "/n", "value": 3}]);
    assert_eq!(way, json!({"from": 1, "to": 3, "ops": ops}));
    assert_eq!(diff("from=2").await.body["to"], 3, "to the newest");
    assert_eq!(diff("from=3&to=3").await.body["ops"], json!([]));
    assert_eq!(diff("from=3&to=0").await.body["ops"].as_array().unwrap().len(), 2, "back to nothing");
    assert_eq!(diff("from=1&to=9").await.refusal(), (404, "version_not_found"));
    assert_eq!(diff("to=1").await.refusal(), (400, "invalid_query"));

    let tag = async |body: Value| server.post_v1("/state/shared/a/tags", &body, &[]).await;
    let named = tag(json!({"name": "first", "version": 1})).await;
    assert_eq!((named.status, &named.body), (201, &json!({"name": "first", "version": 1})));
    assert_eq!(tag(json!({"name": "newest"})).await.body, json!({"name": "newest", "version": 3}));
    assert_eq!(tag(json!({"name": "first", "version": 1})).await.status, 201, "the same again is the same");
    let refused = tag(json!({"name": "first", "version": 2})).await;
    assert_eq!((refused.refusal(), refused.version()), ((409, "conflict"), 1));
    assert_eq!(tag(json!({"name": "none", "version": 9})).await.refusal(), (404, "version_not_found"));
    assert_eq!(tag(json!({"name": "", "version": 1})).await.refusal(), (400, "invalid_name"));
    assert_eq!(tag(json!({"version": 1})).await.refusal(), (400, "invalid_body"));
    let reviewed = async |body: Value| server.post_v1("/state/shared/a/tags", &body, &[("idempotency-key", "t")]).await;
    let first = reviewed(json!({"name": "first"})).await;
    assert_eq!(first.refusal(), (409, "conflict"), "refusals are not remembered");
    let first = reviewed(json!({"name": "newest"})).await;
    assert_eq!((first.status, &first.body), (201, &json!({"name": "newest", "version": 3})));
    server.put_document("shared/a", &json!({"n": 4}), &[]).await;
    let again = reviewed(json!({"name": "newest"})).await;
    assert_eq!((again.status, &again.body), (201, &json!({"name": "newest", "version": 3, "duplicate": true})));
    assert_eq!(reviewed(json!({"name": "other"})).await.refusal(), (422, "idempotency_mismatch"));
    let server = server.crash_and_restart();
    let tags = server.get_v1("/state/shared/a/tags").await.body;
    assert_eq!(tags, json!({"tags": [{"name": "first", "version": 1}, {"name": "newest", "version": 3}]}));
    assert_eq!(server.get_v1("/state/shared/none/tags").await.refusal(), (404, "not_found"));
}

const WORKER: (&str, &str) = (
    "worker.yaml",
    r#"
name: Worker
state: { scope: shared/board, initial: { items: [] } }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { text: slow }
        do: [ { patch: [ { op: add, path: /items/-, value: agent } ] }, { wait: 60s }, { say: "done" } ]
      - do: [ { patch: [ { op: add, path: /items/-, value: agent } ] }, { say: "done" } ]
"#,
);

#[tokio::test]
async fn a_commit_by_anyone_reaches_the_run_that_is_live_on_the_document() {
    let home = Home::with_agents(&[WORKER]);
    let server = home.serve();
    let mut live = server.run("worker", &say("t", "u1", "slow")).await;
    live.until("STATE_DELTA").await;
    let read = server.get_v1("/state/shared/board").await;
    assert_eq!(read.body["data"], json!({"items": ["agent"]}));
    assert_eq!(read.body["updated_by"], "agent:worker");
    let add = json!([{"op": "add", "path": "/items/-", "value": "person"}]);
    let history = server.get_v1("/state/shared/board/history").await.body;
    let run_id = history["commits"][1]["run_id"].as_str().expect("an agent's commit names its run").to_owned();
    let patched = server.patch_document("shared/board", JSON_PATCH, &add, &[("x-run-id", &run_id)]).await;
    assert_eq!(patched.status, 200, "a client writes on behalf of its own live run");
    assert_eq!(live.until("STATE_DELTA").await["delta"], json!([{"op": "add", "path": "/items/1", "value": "person"}]));
    let of_run = server.get_v1(&format!("/state/shared/board/history?run_id={run_id}")).await.body;
    let actors: Vec<_> = of_run["commits"].as_array().unwrap().iter().map(|commit| &commit["actor"]).collect();
    assert_eq!(actors, ["agent:worker", "user:local"]);
    let refused = server.patch_document("shared/board", JSON_PATCH, &add, &[("x-run-id", "another")]).await;
    assert_eq!(refused.refusal(), (403, "forbidden"));
    let stopped = server.post("/agent/worker/stop/t", &json!({})).await;
    assert_eq!(stopped.status(), 200);
    let refused = server.patch_document("shared/board", JSON_PATCH, &add, &[("x-run-id", &run_id)]).await;
    assert_eq!(refused.refusal(), (403, "forbidden"), "the run is over");
    let array = server.put_document("shared/board", &json!([1]), &[]).await;
    assert_eq!(array.status, 200, "a shared document may be anything");
}

#[tokio::test]
async fn a_document_that_a_run_deleted_lives_again_when_the_run_is_undone_and_one_that_others_deleted_does_not() {
    let home = Home::with_agents(&[WORKER]);
    let server = home.serve();
    let mut live = server.run("worker", &say("t", "u1", "slow")).await;
    live.until("STATE_DELTA").await;
    let history = server.get_v1("/state/shared/board/history").await.body;
    let run_id = history["commits"][1]["run_id"].as_str().expect("an agent's commit names its run").to_owned();
    let by_run = [("x-run-id", run_id.as_str())];
    let undo = async |name: &str, dry_run: bool| {
        let body = json!({"run_id": run_id, "dry_run": dry_run});
        server.post_v1(&format!("/state/{name}/rollback"), &body, &[]).await
    };
    server.put_document("shared/a", &json!({"n": 1, "list": [1]}), &[]).await;
    server.patch_document("shared/a", JSON_PATCH, &json!([{"op": "add", "path": "/m", "value": 2}]), &by_run).await;
    assert_eq!(server.delete_document("shared/a", &by_run).await.status, 204);
    assert_eq!((undo("shared/a", true).await.status, undo("shared/a", true).await.version()), (200, 4));
    assert_eq!(server.get_v1("/state/shared/a").await.refusal(), (410, "deleted"), "a dry run changes nothing");
    let undone = undo("shared/a", false).await;
    assert_eq!((undone.status, undone.version(), &undone.body["skipped"]), (200, 4, &json!([])));
    assert_eq!(server.data("shared/a").await, json!({"n": 1, "list": [1]}));

    server.put_document("shared/own", &json!({"n": 1}), &by_run).await;
    server.delete_document("shared/own", &by_run).await;
    assert_eq!((undo("shared/own", false).await.status, undo("shared/own", false).await.version()), (200, 2));
    assert_eq!(server.get_v1("/state/shared/own").await.refusal(), (410, "deleted"), "nobody but the run made it");

    server.put_document("shared/theirs", &json!({"n": 1}), &by_run).await;
    server.delete_document("shared/theirs", &[]).await;
    assert_eq!(undo("shared/theirs", false).await.refusal(), (410, "deleted"));
}

#[tokio::test]
async fn the_state_of_a_thread_is_a_document_of_its_owner() {
    let home = Home::with_agents(&[(
        "notes.yaml",
        "state: { initial: { list: [] } }\nagent: { kind: native, name: scripted, config: { pace: 0ms, turns: [ { do: [ { patch: [ { op: add, path: /list/-, value: 1 } ] } ] } ] } }\n",
    )]);
    let server = home.serve();
    server.run_to_end("notes", &say("t/1", "u1", "go")).await;
    let name = "agent/notes:t%2F1";
    assert_eq!(server.data(name).await, json!({"list": [1]}));
    server.patch_document(name, JSON_PATCH, &json!([{"op": "add", "path": "/list/-", "value": "mine"}]), &[]).await;
    assert_eq!(server.get("/threads/t%2F1/state").await["state"], json!({"list": [1, "mine"]}));
    let listed = server.get_v1("/state?type=agent").await.body;
    assert_eq!(listed["items"][0]["id"], "notes:t/1");
}
