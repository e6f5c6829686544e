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

#[test]
fn a_template_that_can_never_be_filled_in_is_refused_where_it_asks_for_too_much() {
    for (template, expected) in [
        ("Hello.\n{{ state.a | frob }}", "x.md:5:14: the instructions cannot be filled in: unknown filter `frob`"),
        (
            "{% if state.a is odder %}{% endif %}",
            "x.md:4:18: the instructions cannot be filled in: unknown test `odder`",
        ),
        ("{% include 'x' %}", "x.md:4:4: the instructions cannot be filled in: there are no other templates"),
        ("{% extends 'x' %}", "x.md:4:4: the instructions cannot be filled in: there are no other templates"),
        ("{% import 'x' as y %}", "x.md:4:4: the instructions cannot be filled in: there are no other templates"),
        ("{{ thread.foo() }}", "x.md:4:10: the instructions cannot be filled in: unknown method `foo`"),
        ("{{ agent() }}", "x.md:4:4: the instructions cannot be filled in: `agent` is a value and no function"),
        ("{{ lipsum() }}", "x.md:4:4: unknown variable `lipsum`"),
        ("{{ loop.index }}", "x.md:4:4: unknown variable `loop.index`"),
    ] {
        let text = format!("---\nagent: {{ kind: llm, model: scripted/echo }}\n---\n{template}\n");
        refused(&[("x.md", &text)], &[expected]);
    }
    let model = "agent: { kind: llm, model: scripted/echo }\n";
    let tool = |fields: &str| format!("{model}tools:\n  get: {{ type: http, {fields} }}\n");
    refused(
        &[("x.yaml", &tool("url: \"http://x/{{ args.a|frob }}\""))],
        &["x.yaml:3:27: the template cannot be filled in: unknown filter `frob`"],
    );
    refused(
        &[("x.yaml", &tool("method: POST, url: \"http://x/\", body: { a: \"{{ args.a.b() }}\" }"))],
        &["x.yaml:3:60: the template cannot be filled in: unknown method `b`"],
    );
    let trigger = format!("{NATIVE}triggers: [{{ type: state, doc: \"task/*\", when: \"new|frob\" }}]\n");
    refused(
        &[("x.yaml", &trigger)],
        &["x.yaml:2:48: `new|frob` is not an expression such as \"new == 'ready'\": unknown filter"],
    );
    accepted(
        "x.md",
        &format!(
            "---\n{model}---\n{{% for x in state %}}{{{{ loop.index }}}}{{{{ x|upper }}}}{{% endfor %}}{{{{ state|tojson }}}}\n"
        ),
    );
}

#[test]
fn what_is_wrong_is_told_at_the_value_and_in_the_file_that_it_stands_in() {
    refused(
        &[("x.yaml", "agent: { kind: native, name: nope }\n")],
        &["x.yaml:1:30: there is no built-in agent `nope`"],
    );
    refused(
        &[("x.yaml", "agent: { kind: llm, model: foo/gpt }\n")],
        &["x.yaml:1:28: nothing is known of the provider `foo`"],
    );
    let agent = format!("{NATIVE}state: {{ schema: s.json }}\n");
    for (schema, expected) in [
        ("{\"type\":\n \"objct\"}", "x/s.json:2:2: not a JSON Schema that can be used: "),
        ("{\"type\":\n \"object\"", "x/s.json:2:"),
        ("{\"properties\": {\n  \"a\": {\"minLength\": -1}}}", "x/s.json:2:22: not a JSON Schema that can be used: "),
    ] {
        let files = [("x/agent.yaml", agent.as_str()), ("x/s.json", schema)];
        refused(&files, &[expected]);
        assert!(said(&files)[0].ends_with(" (used by agent `x`)"), "{:?}", said(&files));
    }
    refused(&[("x/agent.yaml", &agent)], &["x/agent.yaml:2:18: `s.json`: cannot be read: "]);
}

#[test]
fn what_never_happens_as_it_is_written_is_refused() {
    let trigger = |text: &str| format!("{NATIVE}triggers: [{{ {text} }}]\n");
    refused(&[("x.yaml", &trigger("type: cron, expr: \"0 0 31 2 *\""))], &["x.yaml:2:32: `0 0 31 2 *` never fires"]);
    accepted("x.yaml", &trigger("type: cron, expr: \"0 0 29 2 *\""));
    let expected = "x.yaml:2:37: `triggers[0].every` must be 1s or longer, found 999ms";
    refused(&[("x.yaml", &trigger("type: interval, every: 999ms"))], &[expected]);
    accepted("x.yaml", &trigger("type: interval, every: 1s"));
    let retry = |text: &str| format!("{NATIVE}run: {{ retry: {{ {text} }} }}\n");
    let expected = "x.yaml:2:23: `run.retry.base` (300s) is longer than `run.retry.max` (1s)";
    refused(&[("x.yaml", &retry("base: 5m, max: 1s"))], &[expected]);
    accepted("x.yaml", &retry("base: 1s, max: 1s"));
    refused(
        &[
            ("x.yaml", NATIVE),
            ("_shared/model.yaml", "a: 1\n"),
            ("_shared/README.md", "Hi.\n"),
            ("_shared/_old.yaml", ""),
        ],
        &["_shared/model.yaml:1:1: nobody reads a shared file of this name: there are mcp, models, prices"],
    );
}

#[test]
fn credentials_in_headers_are_never_literal() {
    let said = "the header `Authorization` holds a secret, which is never written into a file";
    let remote = |value: &str| {
        format!("agent: {{ kind: remote, url: \"http://x/\", headers: {{ X-Team: a, Authorization: \"{value}\" }} }}\n")
    };
    refused(&[("x.yaml", &remote("Bearer abc"))], &[&format!("x.yaml:1:79: {said}")]);
    accepted("x.yaml", &remote("Bearer ${env:NOBODY_SETS_THIS:-}"));
    let tool = |kind: &str, headers: &str| {
        format!(
            "agent: {{ kind: llm, model: scripted/echo }}\ntools: {{ a: {{ type: {kind}, url: \"http://x/\", headers: {{ {headers} }} }} }}\n"
        )
    };
    for (header, kind) in [
        ("cookie: a=b", "http"),
        ("X-Api-Key: abc", "http"),
        ("api-key: abc", "mcp"),
        ("proxy-authorization: a", "mcp"),
    ] {
        refused(&[("x.yaml", &tool(kind, header))], &["x.yaml:2:"]);
    }
    accepted("x.yaml", &tool("http", "authorization: \"Bearer {{ args.token }}\""));
    refused(
        &[
            ("_shared/models.yaml", "a: { model: openai/x, headers: { Authorization: abc } }\n"),
            ("_shared/mcp.yaml", "a: { url: \"http://x/\", headers: { Authorization: abc } }\n"),
        ],
        &[&format!("_shared/mcp.yaml:1:50: {said}"), &format!("_shared/models.yaml:1:49: {said}")],
    );
}
