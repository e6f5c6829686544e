//! Requests that nobody should send: each is answered with what would be accepted, and nothing of it is done.

use reqwest::Method;
use serde_json::json;

use crate::support::documents::{INTENTS, JSON_PATCH, MERGE_PATCH};
use crate::support::server::Home;

const JSON: &str = "application/json";

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_of_it_is_done() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    let body = json!({"n": 1, "list": [{"id": "a"}, {"id": "b"}], "text": "hello"});
    server.put_document("shared/a", &body, &[]).await;
    let put =
        |header: &'static str, value: &'static str| (Method::PUT, "/state/shared/a", JSON, vec![(header, value)], "{}");
    let send = |method: Method, path: &'static str, kind: &'static str, body: &'static str| {
        (method, path, kind, Vec::new(), body)
    };
    let post = |path: &'static str, body: &'static str| send(Method::POST, path, JSON, body);
    let (patch, tags, rollback) = ("/state/shared/a", "/state/shared/a/tags", "/state/shared/a/rollback");
    for (request, refusal, said) in [
        (put("content-encoding", "gzip"), (415, "unsupported_media_type"), "without `Content-Encoding`"),
        (send(Method::PUT, patch, "application/json; charset=latin1", "{}"), (415, "unsupported_media_type"), "UTF-8"),
        (put("base-version", "0"), (400, "invalid_header"), "a number from 1"),
        (put("base-version", "99"), (404, "version_not_found"), "its newest is 1"),
        (put("x-run-id", "nobody"), (403, "forbidden"), "not a live run"),
        (send(Method::PATCH, patch, JSON_PATCH, "[7]"), (400, "invalid_patch"), "expected an operation"),
        (send(Method::PATCH, patch, INTENTS, "[7]"), (400, "invalid_patch"), "expected an intent"),
        (
            send(
                Method::PATCH,
                patch,
                INTENTS,
                r#"[{"op":"insert","path":"/list","value":{"id":"c"},"after":"a","before":"b"}]"#,
            ),
            (400, "invalid_patch"),
            "not both",
        ),
        (
            send(Method::PATCH, patch, INTENTS, r#"[{"op":"move","path":"/list","key":"a","after":"b","before":"b"}]"#),
            (400, "invalid_patch"),
            "not both",
        ),
        (
            send(
                Method::PATCH,
                patch,
                JSON_PATCH,
                r#"[{"op":"add","path":"/n","value":2},{"op":"remove","path":"/x"}]"#,
            ),
            (409, "target_gone"),
            "/x",
        ),
        (
            send(
                Method::PATCH,
                patch,
                JSON_PATCH,
                r#"[{"op":"add","path":"/n","value":2},{"op":"test","path":"/n","value":1}]"#,
            ),
            (409, "test_failed"),
            "/n",
        ),
        (
            send(
                Method::PATCH,
                patch,
                JSON_PATCH,
                r#"[{"op":"add","path":"/p","value":{"q":{}}},{"op":"move","from":"/p","path":"/p/q/r"}]"#,
            ),
            (400, "invalid_patch"),
            "/p",
        ),
        (
            send(Method::PATCH, patch, JSON_PATCH, r#"[{"op":"add","path":"/list/9","value":1}]"#),
            (409, "target_gone"),
            "/list/9",
        ),
        (post(rollback, "[]"), (400, "invalid_body"), "either `to_version` or `run_id`"),
        (post(rollback, r#"{"to_version":"1"}"#), (400, "invalid_body"), "a whole number from 0"),
        (post("/state/shared/absent/rollback", r#"{"to_version":1}"#), (404, "not_found"), "does not exist"),
        (
            send(Method::PATCH, patch, JSON_PATCH, r#"[{"op":"add","path":"/text/a","value":1}]"#),
            (409, "target_gone"),
            "not of the kind",
        ),
        (
            send(Method::PATCH, patch, INTENTS, r#"[{"op":"frob","path":"/n"}]"#),
            (400, "invalid_patch"),
            "operation 0 is refused",
        ),
        (post(tags, r#"{"name":""}"#), (400, "invalid_name"), "`` is not a legal name: a tag has"),
        (post(tags, "7"), (400, "invalid_body"), "`{\"name\", \"version\"?}`"),
        (post(tags, r#"{"name":"x","version":0}"#), (404, "version_not_found"), "no version 0"),
        (send(Method::GET, "/types/Bad/schema", JSON, ""), (400, "invalid_name"), "begins with a letter"),
        (
            post(
                "/state:batch",
                r#"{"mutations":[{"doc":"shared/a","merge":{"n":2}},{"doc":"task/x","replace":{"title":7}}]}"#,
            ),
            (422, "schema_invalid"),
            "/title",
        ),
    ] {
        let (method, path, kind, headers, text) = request;
        let headers: Vec<_> = std::iter::once(("content-type", kind)).chain(headers).collect();
        let answer = server.v1(method, path, &headers, Some(text.to_owned())).await;
        assert_eq!(answer.refusal(), refusal, "{path} {text}");
        assert!(answer.body["detail"].as_str().unwrap().contains(said), "{path} {text}: {}", answer.body["detail"]);
        let read = server.get_v1("/state/shared/a").await;
        assert_eq!((read.version(), &read.body["data"]), (1, &body), "{path} {text}");
    }
}

#[tokio::test]
async fn a_value_may_be_as_deep_in_a_patch_or_a_batch_as_in_a_document() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let send = async |method: Method, path: &str, kind: &str, body: String| {
        server.v1(method, path, &[("content-type", kind)], Some(body)).await.status
    };
    // A member of the root is one level down.
    for (depth, expected) in [(63, 200), (64, 400)] {
        server.put_document("shared/a", &json!({}), &[]).await;
        let value = deep(depth);
        for (kind, body) in [
            (JSON_PATCH, format!(r#"[{{"op":"add","path":"/x","value":{value}}}]"#)),
            (MERGE_PATCH, format!(r#"{{"y":{value}}}"#)),
            (INTENTS, format!(r#"[{{"op":"set","path":"/z","value":{value}}}]"#)),
        ] {
            assert_eq!(send(Method::PATCH, "/state/shared/a", kind, body).await, expected, "{kind}, {depth} levels");
        }
        for change in [
            "patch\":[{\"op\":\"add\",\"path\":\"/p\",\"value\":VALUE}]",
            "replace\":{\"q\":VALUE}",
            "intents\":[{\"op\":\"set\",\"path\":\"/r\",\"value\":VALUE}]",
        ] {
            let body = format!(r#"{{"mutations":[{{"doc":"shared/a","{}}}]}}"#, change.replace("VALUE", &value));
            assert_eq!(send(Method::POST, "/state:batch", JSON, body).await, expected, "{change}, {depth} levels");
        }
    }
}

#[tokio::test]
async fn a_preference_is_understood_however_it_is_written() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    for prefer in ["return=representation", "Return=\"Representation\"", "respond-async, return = representation; x=1"]
    {
        let written = server.put_document("shared/a", &json!({"p": prefer}), &[("prefer", prefer)]).await;
        assert_eq!(written.body["data"], json!({"p": prefer}));
    }
    for prefer in ["return=minimal", "representation", "returns=representation"] {
        let written = server.put_document("shared/a", &json!({"p": prefer}), &[("prefer", prefer)]).await;
        assert_eq!(written.body.get("data"), None, "{prefer}");
    }
}

#[tokio::test]
async fn a_types_own_limits_hold() {
    let home = Home::with_agents(&[]);
    std::fs::create_dir_all(home.path().join("agents/_types")).unwrap();
    let small = "limits: { document_bytes: 40, depth: 3, operations: 2 }\n";
    std::fs::write(home.path().join("agents/_types/small.yaml"), small).unwrap();
    let server = home.serve_in_memory();
    server.put_document("small/a", &json!({"n": 1}), &[]).await;
    let put = async |body: serde_json::Value| server.put_document("small/a", &body, &[]).await.refusal().0;
    assert_eq!(put(json!({"text": "x".repeat(40)})).await, 413);
    assert_eq!(put(json!({"a": {"b": {"c": {}}}})).await, 400);
    let op = json!({"op": "add", "path": "/n", "value": 2});
    let many = server.patch_document("small/a", JSON_PATCH, &json!([op, op, op]), &[]).await;
    assert_eq!(many.refusal(), (413, "too_large"));
    assert_eq!(server.data("small/a").await, json!({"n": 1}));
}

#[tokio::test]
async fn a_document_that_never_was_has_no_version_in_a_refusal() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    for (header, value) in [("if-match", "\"0.1\""), ("if-match", "*"), ("base-version", "3")] {
        let refused = server.put_document("shared/none", &json!({}), &[(header, value)]).await;
        assert!(refused.status >= 400 && refused.body.get("version").is_none(), "{refused:?}");
        assert!(!refused.body["detail"].as_str().unwrap().contains("at version 0"), "{refused:?}");
    }
}
