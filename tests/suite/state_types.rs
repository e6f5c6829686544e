//! Types of documents over HTTP: schemas, transitions, rights, secrets; who wrote what, and a run undone
//! (docs/state-api.md §2, §8).

use serde_json::{Value, json};

use crate::support::documents::{INTENTS, JSON_PATCH, MERGE_PATCH};
use crate::support::events::state;
use crate::support::server::{Home, Server, say};

const BOARD: &str = r#"
schema:
  type: object
  required: [title]
  properties:
    title: { type: string, maxLength: 20 }
    votes: { type: integer, x-merge: counter }
    owner: { type: string, x-merge: cas }
    phase: { enum: [open, closed], x-transitions: { open: [closed] } }
    token: { type: string, x-secret: true }
    audit: { type: array, x-access: { read: ["role:auditor"], write: ["service:audit"] } }
    sealed: { type: string, x-access: { write: ["role:nobody"] } }
    mine: { type: string, x-access: { write: ["role:local"] } }
  additionalProperties: false
initial: { title: untitled, phase: open, token: s3cret, audit: [one] }
"#;

const MERGED: &str = "put: merge\n";

fn with_types(types: &[(&str, &str)], agents: &[(&str, &str)]) -> (Home, Server) {
    let home = Home::with_agents(agents);
    std::fs::create_dir_all(home.path().join("agents/_types")).unwrap();
    for (name, text) in types {
        std::fs::write(home.path().join("agents/_types").join(name), text).unwrap();
    }
    let server = home.serve();
    (home, server)
}

#[tokio::test]
async fn every_write_ends_in_what_the_schema_allows() {
    let (home, server) = with_types(&[("board.yaml", BOARD)], &[]);
    assert_eq!(home.check(), "0 agents, no errors\n", "a folder of types is nothing to complain of");
    let created = server.put_document("board/a", &json!({}), &[("prefer", "return=representation")]).await;
    assert_eq!((created.status, &created.body["data"]), (201, &json!({"title": "untitled", "phase": "open"})));
    let merge = async |body: Value| server.patch_document("board/a", MERGE_PATCH, &body, &[]).await;
    for (body, path) in [
        (json!({"title": "x".repeat(21)}), "/title"),
        (json!({"title": 3}), "/title"),
        (json!({"title": null}), ""),
        (json!({"stranger": 1}), "/stranger"),
        (json!({"votes": 1.5}), "/votes"),
    ] {
        let refused = merge(body.clone()).await;
        assert_eq!(refused.refusal(), (422, "schema_invalid"), "{body}");
        let errors = refused.body["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error["path"] == path && error["message"].is_string()), "{refused:?}");
    }
    assert_eq!(merge(json!({"phase": "closed"})).await.status, 200);
    let refused = merge(json!({"phase": "open"})).await;
    assert_eq!((refused.refusal(), &refused.body["path"]), ((422, "transition_invalid"), &json!("/phase")));
    let votes = json!([{"op": "inc", "path": "/votes", "by": 1}]);
    server.patch_document("board/a", INTENTS, &votes, &[]).await;
    let version = server.get_v1("/state/board/a").await.version().to_string();
    for _ in 0..2 {
        server.patch_document("board/a", INTENTS, &votes, &[("base-version", &version)]).await;
    }
    assert_eq!(server.data("board/a").await["votes"], 3, "counters add up");
    merge(json!({"owner": "ada"})).await;
    let refused =
        server.patch_document("board/a", MERGE_PATCH, &json!({"owner": "bob"}), &[("base-version", &version)]).await;
    assert_eq!((refused.refusal(), &refused.body["paths"]), ((409, "conflict"), &json!(["/owner"])));
    for (member, status) in [("sealed", 403), ("mine", 200)] {
        let ops = json!([{"op": "add", "path": format!("/{member}"), "value": "x"}]);
        let answer = server.patch_document("board/a", JSON_PATCH, &ops, &[]).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 403 {
            assert_eq!((answer.refusal(), &answer.body["path"]), ((403, "forbidden_path"), &json!("/sealed")));
        }
    }
}

#[tokio::test]
async fn what_is_hidden_shows_in_no_answer_and_survives_what_does_not_mention_it() {
    let (_home, server) = with_types(&[("board.yaml", BOARD)], &[]);
    server.put_document("board/a", &json!({"title": "x"}), &[]).await;
    server.put_document("board/a", &json!({"title": "y", "phase": "open"}), &[]).await;
    server.patch_document("board/a", MERGE_PATCH, &json!({"token": "other-s3cret"}), &[]).await;
    let rolled = server.post_v1("/state/board/a/rollback", &json!({"to_version": 1}), &[]).await;
    let mut answers = vec![rolled.body.to_string()];
    for path in [
        "/state/board/a",
        "/state/board/a?version=1",
        "/state/board/a/history",
        "/state/board/a/history?path=/token",
        "/state/board/a/diff?from=0",
        "/state/board/a/blame",
    ] {
        let answer = server.get_v1(path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answers.push(answer.body.to_string());
    }
    let export = server.http().get(format!("{}/v1/state:export", server.url)).send().await.unwrap();
    answers.push(export.text().await.unwrap());
    for answer in &answers {
        assert!(!answer.contains("s3cret") && !answer.contains("/token") && !answer.contains("audit"), "{answer}");
    }
    assert_eq!(server.get_v1("/state/board/a/history?path=/token").await.body["commits"], json!([]));
    let whole = server.get_v1("/state/board/a?secrets=true").await.body;
    assert_eq!(whole["data"]["token"], "s3cret", "kept by writes that do not mention it, rolled back with the rest");
    assert_eq!(whole["data"].get("audit"), None, "an auditor's place is no secret, and hidden all the same");
    for op in [
        json!({"op": "test", "path": "/token", "value": "s3cret"}),
        json!({"op": "test", "path": "/token", "value": "wrong"}),
    ] {
        let refused = server.patch_document("board/a", JSON_PATCH, &json!([op]), &[]).await;
        assert_eq!(
            refused.refusal(),
            (403, "forbidden_path"),
            "right or wrong, a test tells nothing of what is hidden"
        );
    }
    let copy = json!([{"op": "copy", "from": "/token", "path": "/title"}]);
    assert_eq!(server.patch_document("board/a", JSON_PATCH, &copy, &[]).await.refusal(), (403, "forbidden_path"));
}

const CLERK: (&str, &str) = (
    "clerk.yaml",
    r#"
state: { scope: "shared/desk", initial: { title: desk, token: s3cret } }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { text: secret }
        do: [ { patch: [ { op: add, path: /token, value: changed-s3cret } ] }, { say: "done" } ]
      - when: { text: bad }
        do: [ { patch: [ { op: add, path: /title, value: 7 } ] }, { say: "done" } ]
      - do: [ { patch: [ { op: add, path: /note, value: hello } ] }, { say: "done" } ]
"#,
);

const DESK: &str = "schema: { type: object, properties: { title: { type: string }, token: { x-secret: true } } }\n";

#[tokio::test]
async fn secrets_of_a_shared_document_reach_no_browser_and_no_agent() {
    let (_home, server) = with_types(&[("shared.yaml", DESK)], &[CLERK]);
    let events = server.run_to_end("clerk", &say("t", "u1", "secret")).await;
    let replay = server.replay("clerk", "t").await;
    let seen = [Value::from(events.clone()), Value::from(replay), server.get("/threads/t/state").await];
    for seen in seen {
        assert!(!seen.to_string().contains("s3cret"), "{seen}");
    }
    assert_eq!(state(&events), json!({"title": "desk"}));
    assert_eq!(server.get_v1("/state/shared/desk?secrets=true").await.body["data"]["token"], "changed-s3cret");
    let events = server.run_to_end("clerk", &say("t", "u2", "bad")).await;
    assert_eq!(events.last().unwrap()["type"], "RUN_ERROR", "a schema binds agents too");
    let mut post = say("t", "u3", "hello");
    post["state"] = json!({"title": 5});
    let events = server.run_to_end("clerk", &post).await;
    let rejected = events.iter().find(|event| event["name"] == "coagent.state_rejected").expect("a refusal");
    assert_eq!(rejected["value"]["code"], "schema_invalid");
    assert_eq!(state(&events), json!({"title": "desk", "note": "hello"}), "the run goes on from the head");
}

#[tokio::test]
async fn a_task_has_its_built_in_type() {
    let (_home, server) = with_types(&[], &[]);
    let created = server.put_document("task/t", &json!({"title": "x"}), &[]).await;
    assert_eq!(created.status, 201);
    assert_eq!(server.data("task/t").await, json!({"title": "x", "status": "new"}));
    let merge = async |body: Value| server.patch_document("task/t", MERGE_PATCH, &body, &[]).await;
    assert_eq!(merge(json!({"status": "done"})).await.refusal(), (422, "transition_invalid"));
    for status in ["ready", "running", "failed", "ready", "cancelled"] {
        assert_eq!(merge(json!({"status": status})).await.status, 200, "{status}");
    }
    assert_eq!(merge(json!({"progress": 2})).await.refusal(), (422, "schema_invalid"));
    assert_eq!(merge(json!({"anything": "else"})).await.status, 200);
    let patched = server.patch_document("task/p?create=true", MERGE_PATCH, &json!({"title": "y"}), &[]).await;
    assert_eq!((patched.status, server.data("task/p").await), (201, json!({"title": "y", "status": "new"})));
    assert_eq!(server.put_document("task/q", &json!({}), &[]).await.refusal(), (422, "schema_invalid"));
}

#[tokio::test]
async fn a_put_may_mean_a_merge_by_what_its_author_last_read() {
    let (_home, server) = with_types(&[("plan.yaml", MERGED)], &[]);
    server.put_document("plan/a", &json!({"a": 1, "b": 1}), &[]).await;
    let filled = server.put_document("plan/a", &json!({"a": 9, "c": 3}), &[]).await;
    assert_eq!(filled.status, 200);
    let mut seen = server.data("plan/a").await;
    assert_eq!(seen, json!({"a": 1, "b": 1, "c": 3}), "without a read it only fills in what is absent");
    server.patch_document("plan/a", MERGE_PATCH, &json!({"b": 2, "d": 4}), &[]).await;
    seen["a"] = 5.into();
    seen.as_object_mut().unwrap().remove("c");
    server.put_document("plan/a", &seen, &[]).await;
    assert_eq!(server.data("plan/a").await, json!({"a": 5, "b": 2, "d": 4}));
    let etag = server.get_v1("/state/plan/a").await.etag();
    server.put_document("plan/a", &json!({"z": 1}), &[("if-match", &etag)]).await;
    assert_eq!(server.data("plan/a").await, json!({"z": 1}), "with a precondition it replaces");
}

#[tokio::test]
async fn types_tell_their_schemas_and_a_broken_one_serves_no_document() {
    let (_home, server) = with_types(&[("board.yaml", BOARD), ("bad.yaml", "schema: { type: nonsense }\n")], &[]);
    let types = server.get_v1("/types").await.body;
    let names: Vec<&str> =
        types["items"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(names, ["agent", "board", "lifecycle", "shared", "task"]);
    let schema = server.get_v1("/types/board/schema").await;
    assert_eq!(schema.headers["content-type"], "application/schema+json");
    assert_eq!(schema.body["properties"]["votes"]["x-merge"], "counter");
    assert_eq!(server.get_v1("/types/shared/schema").await.body, json!({}));
    for (path, contains) in [("/types/board/types.ts", "export "), ("/types/board/types.py", "class Board")] {
        let response = server.http().get(format!("{}/v1{path}", server.url)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        assert!(text.contains(contains) && text.contains("Board"), "{text}");
    }
    for path in ["/types/nope/schema", "/types/nope/types.ts", "/types/bad/schema", "/state/bad/x"] {
        assert_eq!(server.get_v1(path).await.refusal(), (404, "unknown_type"), "{path}");
    }
    assert_eq!(server.put_document("bad/x", &json!({}), &[]).await.refusal(), (404, "unknown_type"));
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
          - { patch: [ { op: add, path: /title, value: agents }, { op: add, path: /list/0, value: agents } ] }
          - { patch: [ { op: add, path: /draft, value: { text: agents } }, { op: remove, path: /old } ] }
          - { say: "done" }
"#,
);

const LISTS: &str = r#"
schema:
  type: object
  properties:
    items:
      type: array
      x-merge: list:id
      items: { type: object, properties: { owner: { type: string, x-merge: cas } } }
"#;

#[tokio::test]
async fn elements_that_two_writers_add_under_one_key_come_together_and_one_that_is_there_is_in_the_way() {
    let (_home, server) = with_types(&[("lists.yaml", LISTS)], &[]);
    let add = |value: Value| json!({"op": "add", "path": "/items/-", "value": value});
    let made = async |name: &str, items: Value| {
        server.put_document(name, &json!({ "items": items }), &[]).await;
    };
    let patch = async |name: &str, ops: Value, base: &str| {
        let headers = [("base-version", base), ("prefer", "return=representation")];
        server.patch_document(name, JSON_PATCH, &ops, &headers[usize::from(base.is_empty())..]).await
    };

    made("lists/a", json!([])).await;
    patch("lists/a", json!([add(json!({"id": "x", "n": 1}))]), "1").await;
    let second = patch("lists/a", json!([add(json!({"id": "x", "text": "t"}))]), "1").await;
    assert_eq!((second.status, second.version()), (200, 3));
    assert_eq!(second.body["data"]["items"], json!([{"id": "x", "n": 1, "text": "t"}]), "as by `PUT`");
    let history = server.get_v1("/state/lists/a/history?limit=1").await.body;
    assert_eq!(history["commits"][0]["ops"], json!([{"op": "add", "path": "/items/0/text", "value": "t"}]));
    let again = patch("lists/a", json!([add(json!({"id": "x", "text": "t"}))]), "1").await;
    assert_eq!((again.status, again.version()), (200, 3), "it is all there");
    let other = patch("lists/a", json!([add(json!({"id": "x", "n": 2}))]), "1").await;
    assert_eq!(other.body["data"]["items"][0]["n"], 2, "the later writer stands");
    assert_eq!(other.body["conflicts"][0]["path"], "/items/0/n");
    assert_eq!(other.body["conflicts"][0]["lost"], 1);

    // What the writer does with the element afterwards is done with the one that it becomes.
    made("lists/b", json!([{"id": "a"}])).await;
    patch("lists/b", json!([{"op": "add", "path": "/items/0", "value": {"id": "x", "n": 1}}]), "1").await;
    let ops =
        json!([add(json!({"id": "x"})), {"op": "add", "path": "/items/1/text", "value": "t"}, add(json!({"id": "z"}))]);
    let second = patch("lists/b", ops, "1").await;
    assert_eq!(second.body["data"]["items"], json!([{"id": "x", "n": 1, "text": "t"}, {"id": "a"}, {"id": "z"}]));

    for (base, ops) in [
        ("", json!([add(json!({"id": "a", "n": 2}))])),
        ("1", json!([add(json!({"id": "a", "n": 2}))])),
        ("", json!([{"op": "copy", "from": "/items/1", "path": "/items/0"}])),
        ("", json!([add(json!({"id": "new"})), add(json!({"id": "new"}))])),
    ] {
        let refused = patch("lists/b", ops.clone(), base).await;
        assert_eq!(refused.refusal(), (409, "conflict"), "{ops}");
        assert!(refused.body["paths"][0].as_str().is_some_and(|path| path.starts_with("/items/")), "{refused:?}");
    }
    let moved = json!([{"op": "remove", "path": "/items/1"}, {"op": "add", "path": "/items/0", "value": {"id": "a"}}]);
    assert_eq!(patch("lists/b", moved, "").await.status, 200);

    // Nobody claims by an addition what has to be seen.
    made("lists/c", json!([])).await;
    patch("lists/c", json!([add(json!({"id": "x", "owner": "ann"}))]), "1").await;
    let claimed = patch("lists/c", json!([add(json!({"id": "x", "owner": "bob"}))]), "1").await;
    assert_eq!((claimed.refusal(), &claimed.body["paths"]), ((409, "conflict"), &json!(["/items/0/owner"])));
}

#[tokio::test]
async fn all_elements_of_a_key_go_when_it_is_removed() {
    let (_home, server) = with_types(&[("lists.yaml", LISTS)], &[]);
    server
        .put_document("lists/a", &json!({"items": [{"id": "x", "n": 1}, {"id": "y"}, {"id": "x", "n": 2}]}), &[])
        .await;
    let remove = json!([{"op": "remove_key", "path": "/items", "key": "x"}]);
    assert_eq!(server.patch_document("lists/a", INTENTS, &remove, &[]).await.status, 200);
    assert_eq!(server.data("lists/a").await, json!({"items": [{"id": "y"}]}));
    let refused = server.patch_document("lists/a", INTENTS, &remove, &[]).await;
    assert_eq!(refused.refusal(), (409, "target_gone"));
}

#[tokio::test]
async fn a_run_is_undone_where_nobody_wrote_since() {
    let home = Home::with_agents(&[EDITOR]);
    let server = home.serve();
    server.put_document("shared/page", &json!({"title": "mine", "list": ["x"], "old": 1}), &[]).await;
    server.run_to_end("editor", &say("t", "u1", "go")).await;
    let run_id = server.get_v1("/state/shared/page/history").await.body["commits"][2]["run_id"].clone();
    let later = json!([
        {"op": "replace", "path": "/title", "value": "since"},
        {"op": "add", "path": "/list/-", "value": "y"},
    ]);
    server.patch_document("shared/page", JSON_PATCH, &later, &[]).await;
    let undo = async |body: Value| server.post_v1("/state/shared/page/rollback", &body, &[]).await;
    let dry = undo(json!({"run_id": run_id, "dry_run": true})).await;
    assert_eq!(server.get_v1("/state/shared/page").await.version(), 4);
    let key = [("idempotency-key", "u")];
    let body = json!({"run_id": run_id, "reason": "not wanted"});
    let done = server.post_v1("/state/shared/page/rollback", &body, &key).await;
    assert_eq!((done.status, done.version(), &done.body["ops"]), (200, 5, &dry.body["ops"]));
    assert_eq!(server.data("shared/page").await, json!({"title": "since", "list": ["x", "y"], "old": 1}));
    let skipped = done.body["skipped"].as_array().unwrap();
    assert_eq!((skipped.len(), &skipped[0]["path"]), (1, &json!("/title")), "{skipped:?}");
    assert!(skipped[0]["reason"].as_str().unwrap().contains("user:local"));
    let again = server.post_v1("/state/shared/page/rollback", &body, &key).await;
    assert_eq!((&again.body["skipped"], &again.body["duplicate"]), (&done.body["skipped"], &json!(true)));
    assert_eq!(undo(json!({"run_id": "another"})).await.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn blame_names_who_wrote_each_leaf() {
    let home = Home::with_agents(&[EDITOR]);
    let server = home.serve();
    server
        .put_document("shared/page", &json!({"title": "mine", "list": ["x"], "old": 1, "deep": {"er": {}}}), &[])
        .await;
    server.run_to_end("editor", &say("t", "u1", "go")).await;
    let blame = async |query: &str| server.get_v1(&format!("/state/shared/page/blame{query}")).await;
    let leaves = blame("").await.body["path"].clone();
    let by =
        |leaf: &str| (leaves[leaf]["version"].as_u64(), leaves[leaf]["actor"].as_str().unwrap_or("nobody").to_owned());
    assert_eq!(by("/title"), (Some(2), "agent:editor".to_owned()));
    assert_eq!(by("/list/0"), (Some(2), "agent:editor".to_owned()));
    assert_eq!(by("/list/1"), (Some(1), "user:local".to_owned()), "it moved and is still theirs");
    assert_eq!(by("/draft/text"), (Some(3), "agent:editor".to_owned()));
    assert_eq!(by("/deep/er"), (Some(1), "user:local".to_owned()), "an empty object is a leaf");
    assert!(leaves["/title"]["run_id"].is_string() && leaves["/title"]["at"].is_string());
    assert_eq!(leaves.as_object().unwrap().len(), 5);
    assert_eq!(blame("?path=/list").await.body["path"].as_object().unwrap().len(), 2);
    assert_eq!(blame("?path=/none").await.body["path"], json!({}));
    assert_eq!(blame("?path=x").await.refusal(), (400, "invalid_query"));
    server.delete_document("shared/page", &[]).await;
    assert_eq!(blame("").await.refusal(), (410, "deleted"));
}

#[tokio::test]
async fn the_schema_of_an_agents_definition_holds_for_its_state_whoever_writes() {
    let counter = r#"
state:
  initial: { count: 0 }
  schema: { type: object, properties: { count: { type: integer, maximum: 5 } }, additionalProperties: false }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { text: "too much" }
        do: [ { patch: [ { op: add, path: /count, value: 9 } ] } ]
      - when: { text: raise }
        do: [ { patch: [ { op: add, path: /count, value: 3 } ] } ]
      - do: [ { say: "ok" } ]
"#;
    let home = Home::with_agents(&[("counter.yaml", counter)]);
    let server = home.serve();
    let events = server.run_to_end("counter", &say("t", "u1", "raise")).await;
    assert_eq!(state(&events), json!({"count": 3}));
    let mut posted = say("t", "u2", "hello");
    posted["state"] = json!({"count": 7});
    let events = server.run_to_end("counter", &posted).await;
    let rejected = events.iter().find(|event| event["name"] == "coagent.state_rejected").expect("a refusal");
    assert_eq!(
        (&rejected["value"]["code"], &rejected["value"]["errors"][0]["path"]),
        (&json!("schema_invalid"), &json!("/count"))
    );
    let events = server.run_to_end("counter", &say("t", "u3", "too much")).await;
    assert_eq!((state(&events), &events[events.len() - 1]["type"]), (json!({"count": 3}), &json!("RUN_ERROR")));
}
