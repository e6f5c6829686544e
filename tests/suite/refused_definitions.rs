//! What would fail every run, or never happen, is refused where it is written: file, line and column.

use crate::support::server::{Home, say};

const NATIVE: &str = "agent: { kind: native, name: planner }\n";

/// What `coagent check` prints of a folder of these files.
fn said(files: &[(&str, &str)]) -> Vec<String> {
    let home = Home::with_agents(&[]);
    for (name, text) in files {
        let path = home.path().join("agents").join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let folder = format!("{}/", home.path().join("agents").display());
    home.check().replace(&folder, "").lines().map(str::to_owned).collect()
}

/// Checks that the files are refused with these beginnings of lines, and nothing else.
#[track_caller]
fn refused(files: &[(&str, &str)], expected: &[&str]) {
    let said = said(files);
    assert!(said.len() == expected.len(), "{files:#?}\n{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "found    {said}\nexpected {expected}");
    }
}

/// Checks that a definition is accepted.
#[track_caller]
fn accepted(name: &str, text: &str) {
    let said = said(&[(name, text)]);
    assert!(said == ["1 agent, no errors"], "{text}\n{said:#?}");
}

#[test]
fn a_state_that_no_document_begins_with_is_refused_at_the_value() {
    let deep = format!("{}1{}", "{ a: ".repeat(60), " }".repeat(60));
    for (initial, expected) in [
        ("{ a: 9007199254740993 }", "x.yaml:2:24: no document can begin with this: the integer at `/a` is beyond"),
        ("{ a: [0, { b: -9007199254740993 }] }", "x.yaml:2:33: no document can begin with this: the integer at"),
        ("{ __proto__: { a: 1 } }", "x.yaml:2:32: no document can begin with this: the key at `/__proto__` is refused"),
        ("{ constructor: { prototype: 1 } }", "x.yaml:2:47: no document can begin with this: the key at"),
    ] {
        let text = format!("{NATIVE}state: {{ initial: {initial} }}\n");
        refused(&[("x.yaml", &text)], &[expected]);
    }
    accepted("x.yaml", &format!("{NATIVE}state: {{ initial: {{ a: 9007199254740991, b: {deep} }} }}\n"));
    let long = "x".repeat(900_000);
    let many = "*long, ".repeat(20);
    let text = format!("{NATIVE}state: {{ initial: {{ a: &long {long}, b: [{many}] }} }}\n");
    refused(&[("x.yaml", &text)], &["x.yaml:2:19: no document can begin with this: larger than 16777216 bytes"]);
}

#[test]
fn a_declared_type_and_the_agents_of_its_documents_are_held_against_its_limits() {
    let bad = "initial: { a: { __proto__: 1 } }\n";
    refused(&[("_types/trip.yaml", bad)], &["_types/trip.yaml:1:28: no document can begin with this: the key at"]);
    let shallow = "limits: { depth: 2 }\ninitial: { a: { b: { c: 1 } } }\n";
    refused(&[("_types/trip.yaml", shallow)], &["_types/trip.yaml:2:20: no document can begin with this: `/a/b` is"]);
    let text = format!("{NATIVE}state: {{ scope: shared/x, initial: {{ a: {{ b: {{ c: 1 }} }} }} }}\n");
    refused(
        &[("_types/shared.yaml", "limits: { depth: 2 }\n"), ("x.yaml", &text)],
        &["x.yaml:2:46: no document can begin with this: `/a/b` is nested deeper than 2 levels"],
    );
}

#[test]
fn a_script_writes_what_documents_take() {
    let text = "agent:\n  kind: native\n  name: scripted\n  config:\n    turns:\n      - do:\n          - patch: [{ op: add, path: /n, value: { n: 9007199254740993 } }]\n";
    refused(&[("x.yaml", text)], &["x.yaml:7:49: no document takes this: the integer at `/n` is beyond"]);
}

#[tokio::test]
async fn an_agent_whose_state_cannot_begin_is_invalid_and_starts_no_run() {
    let text = format!("{NATIVE}state: {{ initial: {{ a: 9007199254740993 }} }}\n");
    let home = Home::with_agents(&[("x.yaml", &text)]);
    let server = home.serve_in_memory();
    let agent = server.http().get(format!("{}/v1/agents/x", server.url)).send().await.expect("an answer");
    let agent: serde_json::Value = agent.json().await.expect("JSON");
    assert_eq!((&agent["status"], &agent["errors"][0]["line"]), (&serde_json::json!("invalid"), &serde_json::json!(2)));
    assert_eq!(agent["errors"][0]["path"], "state.initial.a");
    assert_eq!(server.post("/agent/x/run", &say("t", "u", "hi")).await.status(), 404);
}
