//! Documents over HTTP: read, replace, patch, delete, list, history, and how each is refused (docs/state-api.md §2).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::documents::{INTENTS, JSON_PATCH, MERGE_PATCH};
use crate::support::server::{Home, Server};

fn server() -> (Home, Server) {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    (home, server)
}

#[tokio::test]
async fn an_unknown_path_and_a_foreign_page_are_refused_as_problems() {
    let (_home, server) = server();
    assert_eq!(server.get_v1("/nothing/here").await.refusal(), (404, "not_found"));
    for header in [("origin", "https://evil.example"), ("host", "evil.example")] {
        let refused = server.v1(Method::GET, "/nothing", &[header], None).await;
        assert_eq!(refused.refusal(), (403, "forbidden"));
    }
    let refused = server.post_v1("/state/shared/a", &json!({}), &[]).await;
    assert_eq!(refused.refusal(), (405, "method_not_allowed"));
    let allowed = refused.headers["allow"].to_str().unwrap();
    assert!(["GET", "PUT", "PATCH", "DELETE"].iter().all(|method| allowed.contains(method)), "{allowed}");
    let request = server.http().get(format!("{}/v1/types", server.url)).header("origin", "http://localhost:5173");
    let answer = request.send().await.unwrap();
    assert_eq!(
        answer.headers()["access-control-expose-headers"],
        "ETag, Retry-After, Allow, Accept-Encoding, Accept-Patch, Preference-Applied",
        "a page may read these"
    );
}

#[tokio::test]
async fn a_document_is_created_read_replaced_and_deleted() {
    let (_home, server) = server();
    assert_eq!(server.get_v1("/state/shared/a").await.refusal(), (404, "not_found"));
    let created = server.put_document("shared/a", &json!({"n": 1}), &[]).await;
    assert_eq!((created.status, created.version()), (201, 1));
    let epoch = created.body["epoch"].as_str().unwrap().to_owned();
    assert_eq!(created.etag(), format!("\"{epoch}.1\""));
    assert_eq!(created.body, json!({"epoch": epoch, "version": 1}), "nothing else unless asked for");

    let read = server.get_v1("/state/shared/a").await;
    assert_eq!((read.status, read.etag()), (200, created.etag()));
    let (at, by) = (read.body["updated_at"].clone(), read.body["updated_by"].clone());
    assert_eq!(
        read.body,
        json!({"type": "shared", "id": "a", "epoch": epoch, "version": 1, "data": {"n": 1}, "updated_at": at, "updated_by": by})
    );
    assert_eq!(by, json!("user:local"));
    assert!(at.as_str().unwrap().ends_with('Z'), "{at}");

    let replaced = server.put_document("shared/a", &json!({"n": 2}), &[("prefer", "return=representation")]).await;
    assert_eq!((replaced.status, &replaced.body["data"]), (200, &json!({"n": 2})));
    let deleted = server.delete_document("shared/a", &[]).await;
    assert_eq!((deleted.status, deleted.etag()), (204, format!("\"{epoch}.3\"")));
    let gone = server.get_v1("/state/shared/a").await;
    assert_eq!((gone.refusal(), &gone.body["version"]), ((410, "deleted"), &json!(3)));
    assert_eq!(server.delete_document("shared/a", &[]).await.refusal(), (410, "deleted"));
    let revived = server.put_document("shared/a", &json!({"n": 4}), &[]).await;
    assert_eq!((revived.status, revived.etag()), (201, format!("\"{epoch}.4\"")), "same epoch, versions go on");
}

#[tokio::test]
async fn a_reader_that_has_the_version_gets_nothing() {
    let (_home, server) = server();
    let etag = server.put_document("shared/a", &json!({}), &[]).await.etag();
    for tag in [etag.clone(), format!("\"x.1\", W/{etag}"), "*".to_owned()] {
        let same = server.v1(Method::GET, "/state/shared/a", &[("if-none-match", &tag)], None).await;
        assert_eq!((same.status, same.etag(), &same.body), (304, etag.clone(), &Value::Null), "{tag}");
    }
    let changed = server.v1(Method::GET, "/state/shared/a", &[("if-none-match", "\"x.1\"")], None).await;
    assert_eq!(changed.status, 200);
    assert!(changed.headers["accept-patch"].to_str().unwrap().contains(JSON_PATCH));
}

#[tokio::test]
async fn every_version_stays_readable() {
    let (_home, server) = server();
    for n in 1..=4 {
        server.put_document("shared/a", &json!({"n": n}), &[]).await;
    }
    server.delete_document("shared/a", &[]).await;
    server.put_document("shared/a", &json!(["a list"]), &[]).await;
    for n in 1..=4 {
        let old = server.get_v1(&format!("/state/shared/a?version={n}")).await;
        assert_eq!((old.version(), &old.body["data"]), (n, &json!({"n": n})));
        assert!(old.etag().ends_with(&format!(".{n}\"")));
    }
    assert_eq!(server.get_v1("/state/shared/a?version=5").await.refusal(), (410, "deleted"));
    assert_eq!(server.get_v1("/state/shared/a?version=6").await.body["data"], json!(["a list"]));
    for version in [0, 7] {
        let refused = server.get_v1(&format!("/state/shared/a?version={version}")).await;
        assert_eq!(refused.refusal(), (404, "version_not_found"));
    }
    assert_eq!(server.get_v1("/state/shared/a?version=x").await.refusal(), (400, "invalid_query"));
    assert_eq!(server.get_v1("/state/shared/b?version=1").await.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn names_are_checked_before_anything_else() {
    let (_home, server) = server();
    let long = "x".repeat(257);
    for (name, refusal) in [
        ("Shared/a", (400, "invalid_name")),
        ("0/a", (400, "invalid_name")),
        ("shared/a%00b", (400, "invalid_name")),
        ("shared/a%0Ab", (400, "invalid_name")),
        ("shared/%ff", (400, "invalid_name")),
        (&format!("shared/{long}"), (400, "invalid_name")),
        ("undeclared/a", (404, "unknown_type")),
    ] {
        assert_eq!(server.get_v1(&format!("/state/{name}")).await.refusal(), refusal, "{name}");
        assert_eq!(server.put_document(name, &json!({}), &[]).await.refusal(), refusal, "{name}");
    }
    for name in
        ["shared/a%2Fb%20c", "shared/%C3%A9%F0%9F%98%80", "shared/a:b", &format!("shared/{}", "%C3%A9".repeat(256))]
    {
        assert_eq!(server.put_document(name, &json!({}), &[]).await.status, 201, "{name}");
        assert_eq!(server.get_v1(&format!("/state/{name}")).await.status, 200, "{name}");
    }
    let read = server.get_v1("/state/shared/a%2Fb%20c").await;
    assert_eq!(read.body["id"], "a/b c");
    assert_eq!(server.put_document("lifecycle/x", &json!({}), &[]).await.refusal(), (403, "forbidden"));
}

#[tokio::test]
async fn preconditions_hold_or_refuse() {
    let (_home, server) = server();
    let put = async |headers: &[(&str, &str)]| server.put_document("shared/a", &json!({"n": 1}), headers).await;
    assert_eq!(put(&[("if-match", "\"x.1\"")]).await.refusal(), (412, "version_conflict"), "absent");
    assert_eq!(put(&[("if-match", "*")]).await.refusal(), (412, "version_conflict"), "absent");
    let first = put(&[("if-none-match", "*")]).await;
    assert_eq!(first.status, 201);
    let refused = put(&[("if-none-match", "*")]).await;
    assert_eq!((refused.refusal(), refused.version()), ((412, "already_exists"), 1));
    let second = server.put_document("shared/a", &json!({"n": 2}), &[("if-match", &first.etag())]).await;
    assert_eq!((second.status, second.version()), (200, 2));
    let stale = put(&[("if-match", &first.etag())]).await;
    assert_eq!((stale.refusal(), stale.version()), ((412, "version_conflict"), 2));
    assert_eq!(server.data("shared/a").await, json!({"n": 2}));
    let listed = format!("\"other.9\", {}", second.etag());
    assert_eq!(put(&[("if-match", &listed)]).await.version(), 3);
    let weak = format!("W/\"{}.3\"", second.body["epoch"].as_str().unwrap());
    assert_eq!(put(&[("if-match", &weak)]).await.refusal(), (412, "version_conflict"));
    assert_eq!(put(&[("if-match", "three")]).await.refusal(), (400, "invalid_header"));
    assert_eq!(put(&[("base-version", "9")]).await.refusal(), (404, "version_not_found"));
    assert_eq!(put(&[("base-version", "x")]).await.refusal(), (400, "invalid_header"));
    let stale = server.delete_document("shared/a", &[("if-match", &first.etag())]).await;
    assert_eq!(stale.refusal(), (412, "version_conflict"));
}

#[tokio::test]
async fn a_body_put_with_its_base_is_merged_three_ways() {
    let (_home, server) = server();
    server.put_document("shared/a", &json!({"title": "x", "list": [1], "left": 1}), &[]).await;
    server.put_document("shared/a", &json!({"title": "theirs", "list": [1, 2], "left": 1}), &[]).await;
    let mine = json!({"title": "x", "list": [1], "right": 2});
    let merged =
        server.put_document("shared/a", &mine, &[("base-version", "1"), ("prefer", "return=representation")]).await;
    assert_eq!(merged.body["data"], json!({"title": "theirs", "list": [1, 2], "right": 2}));
    let mine = json!({"title": "mine", "list": [1], "left": 1});
    let merged = server.put_document("shared/a", &mine, &[("base-version", "1")]).await;
    let conflict = &merged.body["conflicts"][0];
    assert_eq!(conflict, &json!({"path": "/title", "version": 2, "actor": "user:local", "lost": "theirs"}));
    assert_eq!(server.data("shared/a").await["title"], "mine", "the later writer wins");
}

#[tokio::test]
async fn patches_of_both_forms_change_what_they_name() {
    let (_home, server) = server();
    let ops = json!([{"op": "add", "path": "/n", "value": 1}]);
    assert_eq!(server.patch_document("shared/a", JSON_PATCH, &ops, &[]).await.refusal(), (404, "not_found"));
    assert_eq!(server.patch_document("shared/a?create=true", JSON_PATCH, &ops, &[]).await.status, 201);
    let merged = server.patch_document("shared/a", MERGE_PATCH, &json!({"m": {"x": null, "y": 1}}), &[]).await;
    assert_eq!((merged.status, merged.version()), (200, 2));
    assert_eq!(server.data("shared/a").await, json!({"n": 1, "m": {"y": 1}}));
    for (ops, refusal) in [
        (json!([{"op": "remove", "path": "/nothing"}]), (409, "target_gone")),
        (json!([{"op": "test", "path": "/n", "value": 2}]), (409, "test_failed")),
        (json!([{"op": "add", "path": "n", "value": 2}]), (400, "invalid_patch")),
        (json!([{"op": "frob", "path": "/n"}]), (400, "invalid_patch")),
        (json!({"op": "remove"}), (400, "invalid_patch")),
        (json!([{"op": "add", "path": "/constructor/prototype", "value": 2}]), (400, "invalid_patch")),
    ] {
        let with_a_change = json!([{"op": "add", "path": "/half", "value": true}]);
        let all = match (&ops, with_a_change) {
            (Value::Array(ops), Value::Array(first)) => Value::Array(first.into_iter().chain(ops.clone()).collect()),
            _ => ops.clone(),
        };
        assert_eq!(server.patch_document("shared/a", JSON_PATCH, &all, &[]).await.refusal(), refusal, "{ops}");
    }
    assert_eq!(server.data("shared/a").await, json!({"n": 1, "m": {"y": 1}}), "nothing is applied by halves");
    let many = Value::Array(vec![json!({"op": "test", "path": "/n", "value": 1}); 1001]);
    assert_eq!(server.patch_document("shared/a", JSON_PATCH, &many, &[]).await.refusal(), (413, "too_large"));
    let refused = server.patch_document("shared/a", "application/json", &json!({}), &[]).await;
    assert_eq!(refused.refusal(), (415, "unsupported_media_type"));
    assert!(refused.headers["accept-patch"].to_str().unwrap().contains(MERGE_PATCH));
    server.delete_document("shared/a", &[]).await;
    assert_eq!(server.patch_document("shared/a", MERGE_PATCH, &json!({"z": 1}), &[]).await.refusal(), (410, "deleted"));
    assert_eq!(server.patch_document("shared/a?create=true", MERGE_PATCH, &json!({"z": 1}), &[]).await.status, 201);
    assert_eq!(server.data("shared/a").await, json!({"z": 1}), "a revived document begins empty");
}

#[tokio::test]
async fn a_patch_made_on_an_older_version_means_what_it_meant() {
    let (_home, server) = server();
    server.put_document("shared/a", &json!({"list": ["a", "b", "c"]}), &[]).await;
    let insert = json!([{"op": "add", "path": "/list/0", "value": "first"}]);
    server.patch_document("shared/a", JSON_PATCH, &insert, &[]).await;
    let edit = json!([{"op": "replace", "path": "/list/1", "value": "B"}]);
    let shifted = server.patch_document("shared/a", JSON_PATCH, &edit, &[("base-version", "1")]).await;
    assert_eq!((shifted.status, shifted.body.get("conflicts")), (200, None));
    assert_eq!(server.data("shared/a").await["list"], json!(["first", "a", "B", "c"]));
    server.patch_document("shared/a", JSON_PATCH, &json!([{"op": "remove", "path": "/list/3"}]), &[]).await;
    let gone = json!([{"op": "replace", "path": "/list/2", "value": "C"}]);
    let refused = server.patch_document("shared/a", JSON_PATCH, &gone, &[("base-version", "1")]).await;
    assert_eq!(refused.refusal(), (409, "target_gone"));
    let stale = json!({"list": ["a", "b", "c", "d"]});
    let merged = server.patch_document("shared/a", MERGE_PATCH, &json!({"x": 1}), &[("base-version", "1")]).await;
    assert_eq!(merged.status, 200);
    assert_eq!(server.put_document("shared/a", &stale, &[("base-version", "1")]).await.status, 200);
    assert_eq!(server.data("shared/a").await, json!({"list": ["first", "a", "B", "d"], "x": 1}));
}

#[tokio::test]
async fn intents_say_what_is_meant() {
    let (_home, server) = server();
    let send = async |intents: Value| server.patch_document("shared/a?create=true", INTENTS, &intents, &[]).await;
    let first = json!([
        {"op": "inc", "path": "/n", "by": 2},
        {"op": "append", "path": "/list", "value": {"id": "a"}},
        {"op": "insert", "path": "/list", "value": {"id": "b"}, "before": "a"},
        {"op": "set", "path": "/deep/er", "value": "hello"},
        {"op": "text", "path": "/deep/er", "pos": 5, "delete": 0, "insert": " 😀"},
        {"op": "unset", "path": "/nothing"},
    ]);
    assert_eq!(send(first).await.status, 201);
    let expected = json!({"n": 2, "list": [{"id": "b"}, {"id": "a"}], "deep": {"er": "hello 😀"}});
    assert_eq!(server.data("shared/a").await, expected);
    let more = json!([
        {"op": "move", "path": "/list", "key": "b", "after": "a"},
        {"op": "remove_key", "path": "/list", "key": "a"},
        {"op": "inc", "path": "/n", "by": -1},
    ]);
    assert_eq!(send(more).await.status, 200);
    assert_eq!(server.data("shared/a").await, json!({"n": 1, "list": [{"id": "b"}], "deep": {"er": "hello 😀"}}));
    let out_of_range = json!([{"op": "text", "path": "/deep/er", "pos": 99, "delete": 1, "insert": ""}]);
    assert_eq!(send(out_of_range).await.refusal(), (409, "target_gone"));
    assert_eq!(send(json!([{"op": "frob", "path": "/n"}])).await.refusal(), (400, "invalid_patch"));
}

#[tokio::test]
async fn a_write_that_changes_nothing_makes_no_version() {
    let (_home, server) = server();
    let created = server.put_document("shared/a", &json!({}), &[]).await;
    assert_eq!((created.status, created.version()), (201, 1), "an empty document is one");
    let put = server.put_document("shared/a", &json!({}), &[]).await;
    let merge = server.patch_document("shared/a", MERGE_PATCH, &json!({"x": null}), &[]).await;
    let patch = server.patch_document("shared/a", JSON_PATCH, &json!([]), &[]).await;
    for same in [put, merge, patch] {
        assert_eq!((same.status, same.version(), same.etag()), (200, 1, created.etag()));
    }
    assert_eq!(server.get_v1("/state/shared/a/history").await.body["commits"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_two_parsers_could_read_differently_is_refused() {
    let (_home, server) = server();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let put = async |body: String| {
        server.v1(Method::PUT, "/state/shared/a", &[("content-type", "application/json")], Some(body)).await
    };
    for body in [
        "".to_owned(),
        "{".to_owned(),
        "{\"a\":1,\"a\":2}".to_owned(),
        "{\"__proto__\":{}}".to_owned(),
        "{\"x\":{\"constructor\":{\"prototype\":1}}}".to_owned(),
        "9007199254740992".to_owned(),
        "1e400".to_owned(),
        "NaN".to_owned(),
        "\"\\ud800\"".to_owned(),
        deep(65),
        deep(1_000_000),
        "{\"a\":".repeat(1_000_000),
    ] {
        let shown: String = body.chars().take(60).collect();
        assert_eq!(put(body).await.refusal(), (400, "invalid_json"), "{shown}");
    }
    for body in ["9007199254740991", "-1.5e300", "{\"constructor\":{\"x\":{\"prototype\":1}}}", &deep(64)] {
        assert!(put(body.to_owned()).await.status < 300, "{body}");
    }
    assert_eq!(server.v1(Method::PUT, "/state/shared/a", &[], Some("{}".into())).await.status, 415);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(server.v1(Method::PUT, "/state/shared/a", &form, Some("{}".into())).await.status, 415);
    assert_eq!(put(format!("\"{}\"", "x".repeat(16 << 20))).await.refusal(), (413, "too_large"));
    let big = json!({"x": "y".repeat(1 << 20)});
    assert_eq!(server.patch_document("shared/b?create=true", MERGE_PATCH, &big, &[]).await.status, 413);
    assert_eq!(server.put_document("shared/b", &big, &[]).await.status, 201);
}

#[tokio::test]
async fn a_patch_bomb_costs_nothing() {
    let (_home, server) = server();
    server.put_document("shared/a", &json!({"a": ["x".repeat(1000)]}), &[]).await;
    let copies = Value::Array(vec![json!({"op": "copy", "from": "/a", "path": "/a/-"}); 30]);
    let refused = server.patch_document("shared/a", JSON_PATCH, &copies, &[]).await;
    assert_eq!(refused.refusal(), (413, "too_large"));
    assert_eq!(server.get_v1("/state/shared/a").await.version(), 1);
}

#[tokio::test]
async fn parents_that_intents_create_nest_no_deeper_than_a_document_may() {
    let (_home, server) = server();
    server.put_document("shared/a", &json!({}), &[]).await;
    for depth in [65, 5_000, 200_000] {
        for intent in
            [json!({"op": "inc", "by": 1}), json!({"op": "append", "value": 1}), json!({"op": "set", "value": 1})]
        {
            let mut intent = intent;
            intent["path"] = "/m".repeat(depth).into();
            let refused = server.patch_document("shared/a", INTENTS, &json!([intent]), &[]).await;
            assert_eq!(refused.refusal(), (400, "invalid_json"), "{depth}");
        }
    }
    let kept = server.get_v1("/state/shared/a").await;
    assert_eq!((kept.version(), &kept.body["data"]), (1, &json!({})), "nothing is applied by halves");
    let deepest = json!([{"op": "inc", "path": "/m".repeat(64), "by": 1}]);
    assert_eq!(server.patch_document("shared/a", INTENTS, &deepest, &[]).await.status, 200);
}

#[tokio::test]
async fn roots_of_agents_and_tasks_are_objects() {
    let (_home, server) = server();
    for body in [json!([1]), json!("text"), json!(null), json!(3)] {
        assert_eq!(server.put_document("shared/a", &body, &[]).await.status / 100, 2);
        assert_eq!(server.data("shared/a").await, body);
        for name in ["task/a", "agent/a"] {
            let refused = server.put_document(name, &body, &[]).await;
            assert_eq!(refused.refusal(), (422, "schema_invalid"), "{name} {body}");
            assert_eq!(refused.body["errors"][0]["path"], "");
        }
    }
    server.put_document("agent/a", &json!({"x": 1}), &[]).await;
    let ops = json!([{"op": "replace", "path": "", "value": 1}]);
    assert_eq!(server.patch_document("agent/a", JSON_PATCH, &ops, &[]).await.refusal(), (422, "schema_invalid"));
    assert_eq!(server.data("agent/a").await, json!({"x": 1}));
}

#[tokio::test]
async fn documents_are_listed_by_name_in_pages() {
    let (_home, server) = server();
    for name in ["task/b", "shared/b1", "shared/b2", "shared/a", "shared/c", "agent/planner:t"] {
        server.put_document(name, &json!({"title": "x"}), &[]).await;
    }
    server.delete_document("shared/b2", &[]).await;
    let names = |answer: &Value| -> Vec<String> {
        let items = answer["items"].as_array().unwrap().iter();
        items.map(|item| format!("{}/{}", item["type"].as_str().unwrap(), item["id"].as_str().unwrap())).collect()
    };
    let all = server.get_v1("/state").await.body;
    assert_eq!(names(&all), ["agent/planner:t", "shared/a", "shared/b1", "shared/c", "task/b"]);
    assert_eq!(all.get("next_cursor"), None);
    let read = server.get_v1("/state/shared/a").await.body;
    for member in ["type", "id", "epoch", "version", "updated_at", "updated_by"] {
        assert_eq!(all["items"][1][member], read[member], "{member}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get_v1(&format!("/state?limit=2{cursor}")).await.body;
        seen.extend(names(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, names(&all));
    assert_eq!(names(&server.get_v1("/state?type=shared&prefix=b").await.body), ["shared/b1"]);
    assert_eq!(names(&server.get_v1("/state?prefix=b").await.body), ["shared/b1", "task/b"]);
    assert_eq!(names(&server.get_v1("/state?type=task&prefix=z").await.body), Vec::<String>::new());
    for (query, refusal) in [
        ("limit=0", (400, "invalid_query")),
        ("limit=x", (400, "invalid_query")),
        ("cursor=%21", (400, "invalid_query")),
        ("cursor=", (400, "invalid_query")),
        ("type=Shared", (400, "invalid_name")),
        ("type=nope", (404, "unknown_type")),
    ] {
        assert_eq!(server.get_v1(&format!("/state?{query}")).await.refusal(), refusal, "{query}");
    }
    for list in ["/state/shared/a/history", "/runs", "/dead-letters"] {
        assert_eq!(server.get_v1(&format!("{list}?cursor=")).await.refusal(), (400, "invalid_query"), "{list}");
    }
}

#[tokio::test]
async fn history_tells_every_commit_and_filters_them() {
    let (_home, server) = server();
    server.put_document("shared/a", &json!({"n": 0}), &[("x-reason", "because é")]).await;
    for n in 1..=9 {
        let ops = json!([{"op": "replace", "path": if n % 3 == 0 { "/n" } else { "/m" }, "value": n}]);
        let ops = if n == 1 { json!([{"op": "add", "path": "/m", "value": 1}]) } else { ops };
        server.patch_document("shared/a", JSON_PATCH, &ops, &[]).await;
    }
    let history = async |query: &str| -> (Vec<u64>, Value) {
        let answer = server.get_v1(&format!("/state/shared/a/history{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let commits = answer.body["commits"].as_array().unwrap().iter();
        (commits.map(|commit| commit["version"].as_u64().unwrap()).collect(), answer.body)
    };
    let (versions, all) = history("").await;
    assert_eq!(versions, (1..=10).collect::<Vec<_>>());
    let at = &all["commits"][0]["at"];
    assert_eq!(
        all["commits"][0],
        json!({"version": 1, "ops": [{"op": "add", "path": "/n", "value": 0}], "inverse": [{"op": "remove", "path": "/n"}],
               "actor": "user:local", "reason": "because é", "at": at})
    );
    assert_eq!(history("?limit=3").await.0, [8, 9, 10], "a bare limit means the latest");
    let most = u64::MAX;
    for beside in [
        format!("?after={most}"),
        format!("?after={most}&before={most}"),
        format!("?cursor=a{most}"),
        format!("?cursor=b{most}&after={most}"),
        "?before=0".to_owned(),
        "?after=0&before=0".to_owned(),
        "?cursor=b0".to_owned(),
        "?after=10".to_owned(),
    ] {
        assert_eq!(history(&beside).await.1, json!({"commits": []}), "{beside}");
    }
    assert_eq!(history("?after=2&limit=3").await.0, [3, 4, 5]);
    assert_eq!(history("?before=5&limit=2").await.0, [3, 4]);
    assert_eq!(history("?after=2&before=5").await.0, [3, 4]);
    assert_eq!(history("?path=/n").await.0, [1, 4, 7, 10]);
    assert_eq!(history("?path=").await.0.len(), 10);
    assert_eq!(history("?actor=user:local&limit=2").await.0, [9, 10]);
    assert_eq!(history("?actor=agent:x").await.0, Vec::<u64>::new());
    assert_eq!(history("?run_id=none").await.0, Vec::<u64>::new());
    for start in ["?limit=3", "?after=0&limit=3"] {
        let (mut seen, mut query) = (Vec::new(), start.to_owned());
        loop {
            let (versions, page) = history(&query).await;
            assert!(versions.is_sorted(), "always oldest first");
            seen.extend(versions);
            let Some(next) = page["next_cursor"].as_str() else { break };
            query = format!("?limit=3&cursor={next}");
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=10).collect::<Vec<_>>(), "{start}");
    }
    server.delete_document("shared/a", &[]).await;
    let (versions, all) = history("?limit=1").await;
    assert_eq!(versions, [11], "the history of a deleted document stays readable");
    assert_eq!(all["commits"][0]["ops"].as_array().unwrap().len(), 2, "a tombstone removes what was there");
    for query in ["?after=x", "?cursor=zzz", "?path=n", "?limit=0"] {
        let refused = server.get_v1(&format!("/state/shared/a/history{query}")).await;
        assert_eq!(refused.refusal(), (400, "invalid_query"), "{query}");
    }
    assert_eq!(server.get_v1("/state/shared/none/history").await.refusal(), (404, "not_found"));
}
