//! What agents write to a state that refuses some of it, and that others change while a run is live.

use serde_json::{Value, json};

use crate::support::documents::JSON_PATCH;
use crate::support::events::results;
use crate::support::model::{call, definition, said, serve, text as answer};
use crate::support::server::{Home, Server, say};
use crate::support::upstream::{Upstream, WAIT, sse};

fn frames(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn started() -> Value {
    json!({ "type": "RUN_STARTED", "threadId": "x", "runId": "y" })
}

fn finished() -> Value {
    json!({ "type": "RUN_FINISHED", "threadId": "x", "runId": "y" })
}

fn snapshot(state: Value) -> Value {
    json!({ "type": "STATE_SNAPSHOT", "snapshot": state })
}

fn delta(ops: Value) -> Value {
    json!({ "type": "STATE_DELTA", "delta": ops })
}

fn hosting(upstream: &Upstream, state: &str) -> (Home, Server) {
    let agent = format!("agent: {{ kind: remote, url: {} }}\nstate: {{ {state} }}\n", upstream.url);
    let home = Home::with_agents(&[("remote.yaml", &agent)]);
    let server = home.serve_in_memory();
    (home, server)
}

/// What a run of a remote agent leaves that tells these of its state.
async fn left_by(state_of: &str, told: &[Value]) -> Value {
    let all: Vec<Value> = [started()].into_iter().chain(told.iter().cloned()).chain([finished()]).collect();
    let upstream = Upstream::start(sse(&frames(&all))).await;
    let (_home, server) = hosting(&upstream, state_of);
    let run = server.run_to_end("remote", &say("t", "u", "go")).await;
    assert_eq!(run.last().expect("a terminal")["type"], "RUN_FINISHED");
    server.get("/threads/t/state").await["state"].clone()
}

#[tokio::test]
async fn what_was_refused_of_a_remote_agents_state_comes_with_its_next_snapshot() {
    const TYPED: &str = "schema: { type: object, properties: { n: { type: integer }, l: { type: array } } }, \
                         initial: { n: 1, l: [] }";
    let add = |value: i64| json!([{ "op": "add", "path": "/l/-", "value": value }]);
    let bad =
        || delta(json!([{ "op": "replace", "path": "/n", "value": "x" }, { "op": "add", "path": "/l/-", "value": 1 }]));
    for (state_of, told, expected) in [
        (
            TYPED,
            vec![snapshot(json!({ "n": "x", "l": [1] })), snapshot(json!({ "n": 2, "l": [1] }))],
            json!({ "n": 2, "l": [1] }),
        ),
        (TYPED, vec![bad(), snapshot(json!({ "n": 1, "l": [1] }))], json!({ "n": 1, "l": [1] })),
        // What was refused, then a delta that was taken: the snapshot brings the first.
        (
            TYPED,
            vec![snapshot(json!({ "n": "x", "l": [1] })), delta(add(2)), snapshot(json!({ "n": 2, "l": [1, 2] }))],
            json!({ "n": 2, "l": [1, 2] }),
        ),
        (
            "",
            vec![snapshot(json!({ "big": 9_007_199_254_740_993_u64, "a": 1 })), snapshot(json!({ "a": 1 }))],
            json!({ "a": 1 }),
        ),
    ] {
        assert_eq!(left_by(state_of, &told).await, expected, "{told:?}");
    }
}

/// What a run leaves of a state from which a user's operations came in between the first and the second of what is told.
async fn left_after(before: Value, first: &[Value], theirs: &[Value], second: &[Value]) -> Value {
    let word = json!({ "type": "TEXT_MESSAGE_CHUNK", "messageId": "m", "delta": "so" });
    let first = frames(&[&[started()], first, &[word]].concat());
    let second = frames(&[second, &[finished()]].concat());
    let upstream = Upstream::start(sse(&format!("{first}{WAIT}{second}"))).await;
    let (_home, server) = hosting(&upstream, &format!("initial: {before}"));
    let mut stream = server.run("remote", &say("t", "u", "go")).await;
    stream.until("TEXT_MESSAGE_CONTENT").await;
    for theirs in theirs {
        let patched = server.patch_document("agent/remote:t", JSON_PATCH, &json!([theirs]), &[]).await;
        assert_eq!(patched.status, 200, "{:?}", patched.body);
    }
    upstream.goes_on();
    assert_eq!(stream.rest().await.last().expect("a terminal")["type"], "RUN_FINISHED");
    server.get("/threads/t/state").await["state"].clone()
}

fn op(op: &str, path: &str, value: Value) -> Value {
    match op {
        "remove" => json!({ "op": op, "path": path }),
        op => json!({ "op": op, "path": path, "value": value }),
    }
}

#[tokio::test]
async fn a_remote_agents_index_means_the_element_that_it_was_sent() {
    let nothing = Value::Null;
    let theirs = [op("add", "/l/0", json!("z"))];
    let one = |op: Value| vec![delta(json!([op]))];
    let xy = || json!({ "l": ["x", "y"] });
    for (told, expected) in [
        (one(op("replace", "/l/0", json!("X"))), json!(["z", "X", "y"])),
        (one(op("remove", "/l/0", nothing.clone())), json!(["z", "y"])),
        // Its own writes are no news to it: after the first, y is its element 0.
        (
            [one(op("remove", "/l/0", nothing.clone())), one(op("replace", "/l/0", json!("Y")))].concat(),
            json!(["z", "Y"]),
        ),
        (
            [one(op("add", "/l/0", json!("w"))), one(op("replace", "/l/2", json!("Y")))].concat(),
            json!(["z", "w", "x", "Y"]),
        ),
    ] {
        assert_eq!(left_after(xy(), &[], &theirs, &told).await["l"], expected, "{told:?}");
    }
    // Written before the user's edit, and after it.
    let first = one(op("add", "/l/0", json!("w")));
    let second = one(op("remove", "/l/1", nothing.clone()));
    assert_eq!(left_after(xy(), &first, &theirs, &second).await["l"], json!(["z", "w", "y"]));
    // The element that it means is gone.
    let gone = [op("remove", "/l/0", nothing)];
    assert_eq!(left_after(xy(), &[], &gone, &one(op("replace", "/l/0", json!("X")))).await["l"], json!(["y"]));
}

#[tokio::test]
async fn what_a_users_edit_kept_out_comes_with_a_remote_agents_next_snapshot_and_the_rest_stays_the_users() {
    let tested = json!([
        { "op": "test", "path": "/a", "value": 1 },
        { "op": "replace", "path": "/a", "value": 2 },
        { "op": "add", "path": "/done", "value": true },
    ]);
    let second = [delta(tested), snapshot(json!({ "a": 2, "b": 1, "done": true }))];
    let theirs = [op("replace", "/a", json!(7)), op("replace", "/b", json!(8))];
    let left = left_after(json!({ "a": 1, "b": 1 }), &[], &theirs, &second).await;
    assert_eq!(left, json!({ "a": 2, "b": 8, "done": true }));
}

/// What a model's one call leaves of a list x, y after a user's operation that came while it was writing, and its result.
async fn left_by_model(tool: &str, arguments: Value, theirs: Value) -> (Value, Value) {
    let mut calls = call("c1", tool, &arguments);
    let (head, body) = {
        let whole = String::from_utf8(calls.bytes).expect("text");
        let (head, body) = whole.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    };
    let word = frames(&[said("so")]);
    calls.bytes = format!("{head}\r\n\r\n{word}{WAIT}{body}").into_bytes();
    let model = Upstream::start_with([calls, answer("done")]).await;
    let (_home, server) =
        serve(&definition(&model, "", "").replacen("---\nname", "---\nstate: { initial: { l: [x, y] } }\nname", 1));
    let mut stream = server.run("helper", &say("t", "u", "go")).await;
    stream.until("TEXT_MESSAGE_CONTENT").await;
    let patched = server.patch_document("agent/helper:t", JSON_PATCH, &json!([theirs]), &[]).await;
    assert_eq!(patched.status, 200, "{:?}", patched.body);
    model.goes_on();
    let events = stream.rest().await;
    let result = results(&events).remove(0);
    (server.get("/threads/t/state").await["state"]["l"].clone(), result)
}

#[tokio::test]
async fn a_models_index_means_the_element_that_its_prompt_showed() {
    let put_in = || op("add", "/l/0", json!("z"));
    let patch = |ops: Value| json!({ "ops": ops });
    let remove = patch(json!([{ "op": "remove", "path": "/l/0" }]));
    let (left, result) = left_by_model("state_patch", remove.clone(), put_in()).await;
    assert_eq!((left, &result["ok"]), (json!(["z", "y"]), &json!(true)));
    let set = json!({ "path": "/l/0", "value": "X" });
    let (left, result) = left_by_model("state_set", set.clone(), put_in()).await;
    assert_eq!((left, &result["ok"]), (json!(["z", "X", "y"]), &json!(true)));
    let appended = json!({ "path": "/l/-", "value": "X" });
    let (left, _) = left_by_model("state_set", appended, op("remove", "/l/0", Value::Null)).await;
    assert_eq!(left, json!(["y", "X"]));
    let (left, result) = left_by_model("state_set", set, op("remove", "/l/0", Value::Null)).await;
    assert_eq!((left, &result["code"]), (json!(["y"]), &json!("target_gone")), "{result}");
    // Who names a version means that one.
    let strict = json!({ "ops": remove["ops"], "if_version": 1 });
    let (left, result) = left_by_model("state_patch", strict, put_in()).await;
    assert_eq!((left, &result["code"]), (json!(["z", "x", "y"]), &json!("version_conflict")));
}
