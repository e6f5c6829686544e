//! Agents and documents other than their own state, through the binary: what a definition allows, and what tools are told.

use serde_json::{Value, json};

use crate::support::events::{results, text};
use crate::support::model::{call, definition, text as answer};
use crate::support::server::{Home, Server, say};
use crate::support::upstream::{Answer, Upstream};

/// A type of documents with a schema.
const NOTE: &str = "schema:\n  type: object\n  properties:\n    text: { type: string }\n    stars: { type: integer, minimum: 1 }\n    key: { type: string, x-secret: true }\n";

/// An agent that may do this to documents, answered for by a fake with these answers.
async fn helper(documents: &str, answers: impl IntoIterator<Item = Answer>) -> (Upstream, Home, Server) {
    let model = Upstream::start_with(answers).await;
    let text = definition(&model, "", "").replacen("---\nname", &format!("---\n{documents}name"), 1);
    let home = Home::with_agents(&[("helper.md", &text), ("key.txt", "k"), ("_types/note.yaml", NOTE)]);
    let server = home.serve_in_memory();
    (model, home, server)
}

#[tokio::test]
async fn an_agent_reads_and_writes_the_documents_that_its_definition_names() {
    let documents = "documents: { read: ['task/*'], write: ['task/*#/status', 'task/*#/result', shared/board] }\n";
    let patch = |doc: &str, ops: Value| json!({ "doc": doc, "ops": ops });
    let set = |doc: &str, path: &str, value: Value| json!({ "doc": doc, "path": path, "value": value });
    let (model, _home, server) = helper(
        documents,
        [
            call("c0", "state_read", &json!({ "doc": "task/1" })),
            call("c1", "state_set", &set("task/1", "/status", json!("ready"))),
            call("c2", "state_set", &set("task/1", "/title", json!("mine"))),
            call("c3", "state_set", &set("task/1", "/status", json!("done"))),
            call("c4", "state_set", &set("shared/board", "", json!({ "n": 1 }))),
            call("c5", "state_patch", &patch("shared/board", json!([{ "op": "replace", "path": "/n", "value": 2 }]))),
            call("c6", "state_read", &json!({ "doc": "shared/other" })),
            call("c7", "state_set", &set("shared/other", "/x", json!(1))),
            call("c8", "state_set", &json!({ "path": "/own", "value": true })),
            answer("done"),
        ],
    )
    .await;
    server.put_document("task/1", &json!({ "title": "Buy milk" }), &[]).await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    assert_eq!(text(&events), "done");
    let results = results(&events);
    assert_eq!(results[0], json!({ "ok": true, "version": 1, "value": { "title": "Buy milk", "status": "new" } }));
    assert_eq!(results[1], json!({ "ok": true, "version": 2 }));
    let at = |index: usize, field: &str| results[index][field].clone();
    assert_eq!(
        (at(2, "code"), at(2, "version"), at(2, "value")),
        (json!("forbidden_path"), json!(2), json!("Buy milk"))
    );
    assert_eq!((at(3, "code"), at(3, "value")), (json!("transition_invalid"), json!("ready")));
    assert_eq!(results[4], json!({ "ok": true, "version": 1 }), "a document that may be written whole can be made");
    assert_eq!(results[5], json!({ "ok": true, "version": 2 }));
    for index in [6, 7] {
        assert_eq!(at(index, "code"), json!("forbidden"));
        let error = results[index]["error"].as_str().expect("a sentence");
        assert!(
            error.contains("task/*#/status") && error.contains("shared/board"),
            "it tells what is allowed: {error}"
        );
    }
    assert_eq!(results[8], json!({ "ok": true, "version": 1 }));
    assert_eq!(server.data("shared/board").await, json!({ "n": 2 }));
    assert_eq!(server.data("task/1").await["status"], "ready");
    let history = server.get_v1("/state/shared/board/history").await;
    let commit = history.body["commits"].as_array().or(history.body["items"].as_array()).expect("commits")[0].clone();
    assert_eq!(commit["actor"], "agent:helper", "{commit}");
    assert!(commit["run_id"].is_string(), "the run that wrote it is known: {commit}");
    let offered = model.bodies()[0]["tools"].to_string();
    assert!(offered.contains("task/*, shared/board"), "{offered}");
}

#[tokio::test]
async fn an_absent_document_is_made_only_when_that_is_asked_for() {
    let add = json!([{ "op": "add", "path": "/title", "value": "Call Ann" }]);
    let documents = "documents: { write: ['task/*', 'shared/*#/part'] }\n";
    let (_model, _home, server) = helper(
        documents,
        [
            call("c0", "state_patch", &json!({ "doc": "task/7", "ops": add })),
            call("c1", "state_patch", &json!({ "doc": "task/7", "ops": add, "create": true })),
            call("c2", "state_set", &json!({ "doc": "task/8", "path": "/title", "value": "x" })),
            call("c3", "state_set", &json!({ "doc": "task/8", "path": "", "value": { "title": "Write" } })),
            call(
                "c4",
                "state_patch",
                &json!({ "doc": "shared/p", "ops": [{ "op": "add", "path": "/part", "value": 1 }], "create": true }),
            ),
            answer("done"),
        ],
    )
    .await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    let results = results(&events);
    assert_eq!((&results[0]["code"], &results[0]["version"]), (&json!("not_found"), &json!(0)));
    assert!(results[0]["error"].as_str().expect("a sentence").contains("`create: true`"), "{}", results[0]);
    assert_eq!(results[1], json!({ "ok": true, "version": 1 }));
    assert_eq!(results[2]["code"], "not_found");
    assert_eq!(results[3], json!({ "ok": true, "version": 1 }));
    assert_eq!(results[4]["code"], "forbidden", "who may write a part of it may not make it: {}", results[4]);
    assert_eq!(server.data("task/7").await, json!({ "title": "Call Ann", "status": "new" }), "as its type begins");
    assert_eq!(server.data("task/8").await, json!({ "title": "Write", "status": "new" }));
}

#[tokio::test]
async fn a_model_is_told_by_the_schema_which_value_goes_where() {
    let documents = "state: { write: [], read: [] }\ndocuments: { write: ['note/*'] }\n";
    let set = |value: Value| json!({ "doc": "note/1", "path": "/stars", "value": value });
    let (model, _home, server) = helper(
        documents,
        [call("c0", "state_set", &set(json!(0))), call("c1", "state_set", &set(json!(3))), answer("done")],
    )
    .await;
    server.put_document("note/1", &json!({ "text": "x", "key": "s3cret" }), &[]).await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    let results = results(&events);
    assert_eq!((&results[0]["ok"], &results[0]["code"]), (&json!(false), &json!("schema_invalid")));
    assert_eq!(results[1], json!({ "ok": true, "version": 2 }));
    let tools = model.bodies()[0]["tools"].clone();
    let parameters = |name: &str| {
        let mut tools = tools.as_array().expect("tools").iter();
        tools.find(|tool| tool["function"]["name"] == name).expect(name)["function"]["parameters"].clone()
    };
    assert_eq!(parameters("state_set")["properties"]["path"]["enum"], json!(["", "/stars", "/text"]));
    let ops = parameters("state_patch")["properties"]["ops"]["items"]["anyOf"].clone();
    assert_eq!(ops[1]["properties"]["value"], json!({ "type": "integer", "minimum": 1 }));
    assert!(!tools.to_string().contains("key"), "what is hidden from the agent is not told: {tools}");
}

#[test]
fn a_definition_that_names_what_no_document_can_be_is_refused() {
    for (documents, refusal) in [
        ("{ read: ['tsk/*'] }", "`tsk` is not declared"),
        ("{ write: ['note/*#/starz'] }", "`/starz` does not exist in the schema of type `note`"),
        ("{ write: ['lifecycle/*'] }", "written by the runtime only"),
    ] {
        let text = format!("agent: {{ kind: llm, model: scripted/echo }}\ndocuments: {documents}\n");
        let home = Home::with_agents(&[("helper.yaml", &text), ("_types/note.yaml", NOTE)]);
        let said = home.check();
        assert!(said.contains("helper.yaml:2:") && said.contains(refusal), "{said}");
    }
}
