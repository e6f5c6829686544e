//! Definitions as the people who write them meet them: what the binary accepts, refuses, and makes of each field.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::text;
use crate::support::live::Socket;
use crate::support::server::{Home, Server, say};
use crate::support::upstream::{Upstream, events};

const FINISHED: &str = concat!(
    r#"{"type":"RUN_STARTED","threadId":"x","runId":"y"}"#,
    "\n",
    r#"{"type":"RUN_FINISHED","threadId":"x","runId":"y"}"#
);

#[tokio::test]
async fn an_agent_is_told_only_of_the_browser_tools_its_definition_allows() {
    let upstream = Upstream::start(events(&FINISHED.lines().collect::<Vec<_>>())).await;
    let text = format!(
        "agent: {{ kind: remote, url: {} }}\ntools: {{ client: {{ type: client, allow: [set_*] }} }}\n",
        upstream.url
    );
    let home = Home::with_agents(&[("remote.yaml", &text)]);
    let server = home.serve_in_memory();
    let mut input = say("t1", "u1", "hello");
    let tool = |name: &str| json!({"name": name, "description": "", "parameters": {"type": "object"}});
    input["tools"] = json!([tool("set_theme"), tool("delete_everything"), tool("set_page")]);
    server.run_to_end("remote", &input).await;
    let told = upstream.last_input();
    let names: Vec<_> = told["tools"].as_array().expect("a list").iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["set_theme", "set_page"]);
}

/// An agent that says one thing.
fn saying(words: &str) -> String {
    format!(
        "agent: {{ kind: native, name: scripted, config: {{ pace: 0ms, turns: [ {{ when: {{ text: wait }}, do: [ {{ say: started }}, {{ wait: 30s }}, {{ say: {words} }} ] }}, {{ do: [ {{ say: {words} }} ] }} ] }} }}\n"
    )
}

async fn agent(server: &Server, id: &str) -> Value {
    let response = server.http().get(format!("{}/v1/agents/{id}", server.url)).send().await.expect("an answer");
    response.json().await.expect("JSON")
}

/// Asks until the agent is as wanted; an agent that never comes to it fails the test.
async fn until(server: &Server, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let found = agent(server, id).await;
        if wanted(&found) {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{id} never came to what was wanted: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_run_whose_agent_is_removed_goes_on_and_can_be_followed_and_stopped_under_its_name() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let mut live = server.run("demo", &say("t", "u1", "slow")).await;
    live.until("TEXT_MESSAGE_CONTENT").await;
    std::fs::remove_file(home.path().join("agents/demo.yaml")).expect("the file is there");
    until(&server, "demo", |agent| agent["code"] == "not_found").await;
    live.until("TEXT_MESSAGE_CONTENT").await;
    for strange in ["/agent/nobody/stop/t", "/agent/demo/stop/another"] {
        assert_eq!(server.post(strange, &json!({})).await.status(), 404, "{strange}");
    }
    let mut again = server.connect("demo", "t").await;
    again.until("TEXT_MESSAGE_CONTENT").await;
    assert_eq!(server.get("/threads/t/state?agentId=demo").await["state"], json!({}));
    let mut socket = Socket::open(&server, "tab").await;
    socket.say(&json!({"type": "follow", "channel": 1, "thread": "t", "agent": "demo"})).await;
    socket.until("event").await;
    socket.say(&json!({"type": "stop", "thread": "t", "agent": "demo"})).await;
    for stream in [&mut live, &mut again] {
        stream.until("RUN_FINISHED").await;
    }
    let connect = json!({"threadId": "t", "runId": "r", "messages": []});
    assert_eq!(server.post("/agent/demo/connect", &connect).await.status(), 404, "it is at nothing any more");
    assert_eq!(server.post("/agent/demo/stop/t", &json!({})).await.status(), 404, "it is at nothing any more");
}

#[tokio::test]
async fn an_edit_is_served_as_soon_as_it_is_saved_and_new_and_removed_files_count() {
    let home = Home::with_agents(&[("a.yaml", &saying("one"))]);
    let server = home.serve_in_memory();
    let before = agent(&server, "a").await;
    assert_eq!(text(&server.run_to_end("a", &say("t1", "u1", "hi")).await), "one");
    home.write_agent("a.yaml", &saying("two"));
    let after = until(&server, "a", |agent| agent["hash"] != before["hash"]).await;
    assert_eq!(after["status"], "ready");
    assert_eq!(text(&server.run_to_end("a", &say("t1", "u2", "hi")).await), "two");

    home.write_agent("b.yaml", &saying("three"));
    until(&server, "b", |agent| agent["status"] == "ready").await;
    assert_eq!(text(&server.run_to_end("b", &say("t2", "u1", "hi")).await), "three");
    assert!(server.get("/info").await["agents"]["b"].is_object());

    std::fs::remove_file(home.path().join("agents/a.yaml")).expect("the file is there");
    until(&server, "a", |agent| agent["code"] == "not_found").await;
    assert_eq!(server.post("/agent/a/run", &say("t3", "u1", "hi")).await.status(), 404);
    assert!(server.get("/info").await["agents"]["a"].is_null());

    // Editors save by renaming; whole folders are moved in and out.
    let draft = home.path().join("draft.yaml");
    std::fs::write(&draft, saying("four")).expect("a file");
    std::fs::rename(&draft, home.path().join("agents/b.yaml")).expect("a rename");
    let folder = home.path().join("c");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("agent.yaml"), saying("five")).expect("a file");
    std::fs::rename(&folder, home.path().join("agents/c")).expect("a rename");
    until(&server, "c", |agent| agent["status"] == "ready").await;
    assert_eq!(text(&server.run_to_end("b", &say("t4", "u1", "hi")).await), "four");
    // A file in a folder that came later is watched too.
    std::fs::write(home.path().join("agents/c/agent.yaml"), saying("six")).expect("a file");
    let five = agent(&server, "c").await["hash"].clone();
    until(&server, "c", |agent| agent["hash"] != five || agent["hash"].is_null()).await;
    assert_eq!(text(&server.run_to_end("c", &say("t5", "u1", "hi")).await), "six");
}

/// Writes `/n` of a document; why not, if it is refused.
async fn write(server: &Server, document: &str, value: Value) -> Result<(), Value> {
    let url = format!("{}/v1/state/{document}?create=true", server.url);
    let ops = json!([{ "op": "add", "path": "/n", "value": value }]);
    let response = server
        .http()
        .patch(url)
        .header("content-type", "application/json-patch+json")
        .body(ops.to_string())
        .send()
        .await
        .expect("an answer");
    if response.status().is_success() {
        Ok(())
    } else {
        Err(response.json::<Value>().await.expect("JSON")["code"].clone())
    }
}

fn takes(kind: &str) -> String {
    format!("{{ \"type\": \"object\", \"properties\": {{ \"n\": {{ \"type\": \"{kind}\" }} }} }}")
}

#[tokio::test]
async fn an_edit_of_the_file_of_a_schema_alone_holds_for_the_next_write() {
    let home = Home::with_agents(&[]);
    std::fs::create_dir(home.path().join("agents/a")).expect("a folder");
    home.write_agent("a/state.schema.json", &takes("string"));
    let definition = saying("x") + "state: { scope: shared/desk, schema: ./state.schema.json }\n";
    home.write_agent("a/agent.yaml", &definition);
    let server = home.serve_in_memory();
    let before = agent(&server, "a").await;
    assert_eq!(write(&server, "shared/desk", json!("text")).await, Ok(()));
    assert_eq!(write(&server, "shared/desk", json!(1)).await, Err(json!("schema_invalid")));
    home.write_agent("a/state.schema.json", &takes("integer"));
    until(&server, "a", |agent| agent["hash"] != before["hash"]).await;
    assert_eq!(write(&server, "shared/desk", json!(1)).await, Ok(()));
    assert_eq!(write(&server, "shared/desk", json!("text")).await, Err(json!("schema_invalid")));
}

#[tokio::test]
async fn types_are_served_as_soon_as_they_are_saved_and_a_broken_one_stays_what_it_was() {
    let home = Home::with_agents(&[("a.yaml", &(saying("x") + "state: { scope: agent, schema: board }\n"))]);
    std::fs::create_dir(home.path().join("agents/_types")).expect("a folder");
    let declare = |schema: &str| home.write_agent("_types/board.yaml", &format!("schema: {schema}\n"));
    declare(&takes("string"));
    let server = home.serve_in_memory();
    let before = agent(&server, "a").await;
    assert_eq!(before["status"], "ready");
    assert_eq!(write(&server, "board/b", json!("text")).await, Ok(()));
    declare(&takes("integer"));
    let after = until(&server, "a", |agent| agent["hash"] != before["hash"]).await;
    assert_eq!(after["status"], "ready");
    assert_eq!(write(&server, "board/b", json!(1)).await, Ok(()));
    assert_eq!(write(&server, "board/b", json!("text")).await, Err(json!("schema_invalid")));

    declare("{ type: nonsense }");
    let kept = until(&server, "a", |agent| agent["errors"][0]["message"].is_string()).await;
    assert_eq!((&kept["status"], &kept["hash"]), (&json!("ready"), &after["hash"]));
    assert_eq!(write(&server, "board/b", json!(2)).await, Ok(()));
    assert_eq!(write(&server, "board/b", json!("text")).await, Err(json!("schema_invalid")));

    home.write_agent("_types/note.yaml", &format!("schema: {}\n", takes("boolean")));
    declare(&takes("boolean"));
    until(&server, "a", |agent| agent["hash"] != after["hash"]).await;
    assert_eq!(write(&server, "note/n", json!(true)).await, Ok(()), "a type may come later");
    let schema = server.http().get(format!("{}/v1/types/board/schema", server.url)).send().await.expect("an answer");
    assert_eq!(schema.json::<Value>().await.expect("JSON")["properties"]["n"]["type"], "boolean");
}

#[tokio::test]
async fn an_edit_of_the_named_models_reaches_the_agents_that_use_them() {
    let home = Home::with_agents(&[("a.yaml", "agent: { kind: llm, model: fast }\n")]);
    std::fs::create_dir(home.path().join("agents/_shared")).expect("a folder");
    let declare = |text: &str| home.write_agent("_shared/models.yaml", text);
    declare("fast: { model: openai/gpt-5-mini, api_key: \"${env:COAGENT_TEST_KEY_NOBODY_SETS}\" }\n");
    let server = home.serve_in_memory();
    let before = agent(&server, "a").await;
    let end = server.run_to_end("a", &say("t1", "u1", "hi")).await.pop().expect("a terminal");
    assert_eq!(end["code"], "missing_configuration");
    declare("fast: { model: scripted/echo }\n");
    let after = until(&server, "a", |agent| agent["hash"] != before["hash"]).await;
    assert_eq!(text(&server.run_to_end("a", &say("t1", "u2", "hi")).await), "You said: hi");
    declare("fast: { model: }\n");
    let kept = until(&server, "a", |agent| agent["errors"][0]["message"].is_string()).await;
    assert_eq!((&kept["status"], &kept["hash"]), (&json!("ready"), &after["hash"]));
    assert_eq!(text(&server.run_to_end("a", &say("t1", "u3", "hi")).await), "You said: hi");
}

#[tokio::test]
async fn a_broken_edit_during_a_run_keeps_the_last_good_version_and_shows_its_errors() {
    let home = Home::with_agents(&[("a.yaml", &saying("good")), ("other.yaml", &saying("other"))]);
    let server = home.serve_in_memory();
    let good = agent(&server, "a").await;
    let mut run = server.run("a", &say("t1", "u1", "wait")).await;
    run.until("TEXT_MESSAGE_CONTENT").await;
    home.write_agent("a.yaml", "agent: { kind: native, name: scripted, config: { turns: 3 } }\n");
    let broken = until(&server, "a", |agent| agent["errors"] != json!([])).await;
    assert_eq!((&broken["status"], &broken["hash"]), (&json!("ready"), &good["hash"]));
    let error = &broken["errors"][0];
    assert!(error["file"].as_str().is_some_and(|file| file.ends_with("a.yaml")), "{error}");
    assert_eq!(error["line"], 1);
    assert!(agent(&server, "other").await["errors"] == json!([]));
    // New runs go on with the last good version, and so does the one that was live.
    assert_eq!(text(&server.run_to_end("a", &say("t2", "u1", "hi")).await), "good");
    server.stop("a", "t1").await;
    assert_eq!(run.rest().await.last().expect("a terminal")["type"], "RUN_FINISHED");

    home.write_agent("a.yaml", "agent: [\n");
    until(&server, "a", |agent| agent["errors"][0]["message"] != error["message"]).await;
    assert_eq!(text(&server.run_to_end("a", &say("t3", "u1", "hi")).await), "good");

    home.write_agent("a.yaml", &saying("better"));
    let fixed = until(&server, "a", |agent| agent["errors"] == json!([])).await;
    assert_ne!(fixed["hash"], good["hash"]);
    assert_eq!(text(&server.run_to_end("a", &say("t4", "u1", "hi")).await), "better");
}

#[tokio::test]
async fn a_run_keeps_the_definition_it_started_with() {
    let slow = |words: &str| saying(words).replace("wait: 30s", "wait: 2s");
    let home = Home::with_agents(&[("a.yaml", &slow("old"))]);
    let server = home.serve_in_memory();
    let before = agent(&server, "a").await;
    let mut run = server.run("a", &say("t1", "u1", "wait")).await;
    run.until("TEXT_MESSAGE_CONTENT").await;
    home.write_agent("a.yaml", &slow("new"));
    until(&server, "a", |agent| agent["hash"] != before["hash"]).await;
    assert_eq!(text(&server.run_to_end("a", &say("t2", "u1", "hi")).await), "new");
    assert_eq!(text(&run.rest().await), "old", "the live run is not told of the edit");
}

#[tokio::test]
async fn a_folder_that_comes_later_is_read_when_it_comes() {
    let home = Home::with_agents(&[]);
    std::fs::remove_dir(home.path().join("agents")).expect("an empty folder");
    let server = home.serve_in_memory();
    assert_eq!(agent(&server, "a").await["code"], "not_found");
    std::fs::create_dir(home.path().join("agents")).expect("a folder");
    home.write_agent("a.yaml", &saying("here"));
    until(&server, "a", |agent| agent["status"] == "ready").await;
    home.write_agent("b.yaml", &saying("there"));
    until(&server, "b", |agent| agent["status"] == "ready").await;
}

/// What `coagent check` says of these files, folders aside, and its exit code.
fn check(files: &[(&str, &str)], flags: &[&str]) -> (i32, Vec<String>) {
    let home = Home::with_agents(&[]);
    for (name, text) in files {
        let path = home.path().join("agents").join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_coagent"));
    let output = command.arg("check").arg("--agents").arg(home.path().join("agents")).args(flags).output();
    let output = output.expect("the binary runs");
    let said = String::from_utf8(output.stdout).expect("text");
    let folder = format!("{}/", home.path().join("agents").display());
    (output.status.code().expect("an exit code"), said.lines().map(|line| line.replace(&folder, "")).collect())
}

#[test]
fn files_of_editors_that_mark_utf8_with_three_bytes_are_read() {
    for (name, text) in [
        ("a.md", "---\nagent: { kind: llm, model: scripted/echo }\n---\nhello\n"),
        ("a.yaml", "agent: { kind: native, name: planner }\n"),
        ("a.json", r#"{ "agent": { "kind": "native", "name": "planner" } }"#),
        ("a.toml", "[agent]\nkind = \"native\"\nname = \"planner\"\n"),
    ] {
        let marked = format!("\u{feff}{text}");
        assert_eq!(check(&[(name, &marked)], &[]), (0, vec!["1 agent, no errors".to_owned()]), "{name}");
    }
}

#[test]
fn a_file_that_is_larger_than_any_definition_is_not_read() {
    let text = format!("agent: {{ kind: native, name: planner }}\n# {}\n", "x".repeat(1 << 20));
    let (code, said) = check(&[("a.yaml", &text)], &[]);
    assert_eq!((code, said[0].ends_with("is larger than 1 MiB")), (1, true), "{said:#?}");
}

#[test]
fn paths_are_held_against_the_schema_of_the_state() {
    let schema = r#"{"type": "object", "properties": {
        "trip": {"type": "object", "properties": {"days": {"type": "array", "items": {"type": "object", "properties": {"city": {"type": "string"}}}}}},
        "user": {"type": "object", "properties": {"name": {"type": "string"}}}}}"#;
    let native = "agent: { kind: native, name: planner }\n";
    let good = format!(
        "{native}state:\n  schema: state.schema.json\n  initial: {{ trip: {{ days: [] }} }}\n  read: [/trip, /user/name, \"\"]\n  write: [/trip/days/0/city]\n"
    );
    assert_eq!(
        check(&[("a/agent.yaml", &good), ("a/state.schema.json", schema)], &[]),
        (0, vec!["1 agent, no errors".to_owned()])
    );

    let bad = good.replace("/user/name", "/usr").replace("0/city", "0/town").replace("days: [] }", "days: 3 }");
    let (code, said) = check(&[("a/agent.yaml", &bad), ("a/state.schema.json", schema), ("b.yaml", native)], &[]);
    assert_eq!(code, 1);
    assert!(
        said[0].starts_with("a/agent.yaml:4:28: `state.initial` does not fit `state.schema` at `/trip/days`"),
        "{said:#?}"
    );
    assert_eq!(
        said[1..],
        [
            "a/agent.yaml:5:17: `/usr` does not exist in `state.schema`",
            "a/agent.yaml:6:11: `/trip/days/0/town` does not exist in `state.schema`",
        ]
    );

    let inline = format!("{native}state: {{ schema: {schema}, write: [/tirp] }}\n")
        .replace('\n', " ")
        .replace("} state:", "}\nstate:");
    let (code, said) = check(&[("a.yaml", &inline)], &[]);
    assert_eq!(code, 1);
    assert!(said[0].ends_with("`/tirp` does not exist in `state.schema`"), "{said:#?}");
}

#[test]
fn variables_of_instructions_are_held_against_the_schema_and_what_templates_see() {
    let agent = |body: &str| {
        format!(
            "---\nagent: {{ kind: llm, model: scripted/echo }}\nstate: {{ schema: {{ properties: {{ user: {{ type: object, properties: {{ name: {{ type: string }} }} }} }} }} }}\n---\n{body}\n"
        )
    };
    let good = agent(
        "Hello {{ state.user.name }}, {{ props.tone }}, {{ thread }}, {{ agent.name }}.\n{% for entry in context %}{{ entry.value }}{% endfor %}{% set x = 1 %}{{ x }}{{ range(3) }}",
    );
    assert_eq!(check(&[("a.md", &good)], &[]).0, 0, "{:#?}", check(&[("a.md", &good)], &[]));
    let subscripts = agent("Hello {{ state['user'][\"name\"] }}{{ state['user'][thread] }}{{ props['any'] }}.");
    assert_eq!(check(&[("a.md", &subscripts)], &[]).0, 0, "{:#?}", check(&[("a.md", &subscripts)], &[]));
    let bad = agent(
        "Hello {{ state.user['nmae'] }},\n\nyou are {{ state.usr.age }} and {{ usr }}.\n{{ state[\"user\"].name.first }}",
    );
    assert_eq!(
        check(&[("a.md", &bad)], &[]),
        (
            1,
            vec![
                "a.md:5:10: `state.user.nmae` does not exist in `state.schema`".to_owned(),
                "a.md:7:12: `state.usr.age` does not exist in `state.schema`".to_owned(),
                "a.md:7:36: unknown variable `usr`: instructions see state, props, context, thread, agent".to_owned(),
                "a.md:8:4: `state.user.name.first` does not exist in `state.schema`".to_owned(),
            ]
        )
    );
}

#[test]
fn circles_of_triggers_are_warnings_that_may_be_denied() {
    let agent = |rest: &str| format!("agent: {{ kind: native, name: planner }}\n{rest}\n");
    let a = agent("triggers: [ { type: agent, agent: b } ]");
    let b = agent("triggers: [ { type: state, doc: \"agent/a:*\", path: /plan } ]\nstate: { write: [/other] }");
    let files = [("a.yaml", a.as_str()), ("b.yaml", b.as_str()), ("c.yaml", &agent(""))];
    let (code, said) = check(&files, &[]);
    assert_eq!(code, 0, "{said:#?}");
    assert!(said.contains(&"cycle: a -> b -> a".to_owned()), "{said:#?}");
    assert_eq!(check(&files, &["--deny-warnings"]).0, 1);

    // What is not written, is not listened to, or comes from oneself makes no circle.
    for (first, second) in [
        (
            "state: { write: [/other] }\ntriggers: [ { type: agent, agent: b } ]",
            "triggers: [ { type: state, doc: \"agent/a:*\", path: /plan } ]",
        ),
        ("triggers: [ { type: agent, agent: b } ]", "triggers: [ { type: state, doc: \"agent/a:*\", from: [user] } ]"),
        ("", "triggers: [ { type: state, doc: \"agent/b:*\" } ]"),
        ("triggers: [ { type: agent, agent: b } ]", "triggers: [ { type: start }, { type: interval, every: 1m } ]"),
    ] {
        let (_, said) = check(&[("a.yaml", &agent(first)), ("b.yaml", &agent(second))], &[]);
        assert!(!said.iter().any(|line| line.starts_with("cycle")), "{first} {second}: {said:#?}");
    }
    let alone = agent("triggers: [ { type: state, doc: \"agent/a:*\", from: [\"agent:a\"] } ]");
    assert!(check(&[("a.yaml", &alone)], &[]).1.contains(&"cycle: a -> a".to_owned()));
    let three = |of: &str| agent(&format!("triggers: [ {{ type: agent, agent: {of} }} ]"));
    let (_, said) = check(&[("a.yaml", &three("c")), ("b.yaml", &three("a")), ("c.yaml", &three("b"))], &[]);
    assert_eq!(said.iter().filter(|line| line.starts_with("cycle")).collect::<Vec<_>>(), ["cycle: a -> b -> c -> a"]);
}

#[test]
fn triggers_name_agents_and_paths_that_exist() {
    let schema = "state: { schema: { properties: { status: { type: string } } } }";
    let a = format!("agent: {{ kind: native, name: planner }}\n{schema}\n");
    let b = "agent: { kind: native, name: planner }\ntriggers:\n  - { type: agent, agent: nobody }\n  - { type: state, doc: \"agent/a:*\", path: /stauts, from: [\"agent:none\"] }\n  - { type: state, doc: \"agent/a:*\", path: /status, when: \"state['status'] == new and range(3) and state.stauts\" }\n";
    let (code, said) = check(&[("a.yaml", &a), ("b.yaml", b)], &[]);
    assert_eq!(code, 1);
    assert_eq!(
        said,
        [
            "b.yaml:3:27: agent `nobody` does not exist",
            "b.yaml:4:44: `/stauts` does not exist in the schema of `agent/a:*`",
            "b.yaml:4:60: agent `none` does not exist",
            "b.yaml:5:59: `state.stauts` does not exist in the schema of `agent/a:*`",
        ]
    );
}

#[test]
fn triggers_watch_types_that_are_declared() {
    let watching = |doc: &str| {
        format!("agent: {{ kind: native, name: planner }}\ntriggers: [{{ type: state, doc: \"{doc}\" }}]\n")
    };
    for doc in ["task/*", "shared/board", "agent/a:*", "lifecycle/*", "note/*", "*/x", "no*/x"] {
        let files = [("_types/note.yaml", "put: merge\n"), ("a.yaml", &watching(doc))];
        assert_eq!(check(&files, &[]).1.last().map(String::as_str), Some("1 agent, no errors"), "{doc}");
    }
    let files =
        [("_types/bad.yaml", "put: never\n"), ("a.yaml", &watching("nosuch/*")), ("b.yaml", &watching("bad/x"))];
    let (code, said) = check(&files, &[]);
    assert_eq!(code, 1);
    assert_eq!(
        said[1..],
        [
            "a.yaml:2:32: type `nosuch` is not declared: write _types/nosuch.yaml",
            "b.yaml:2:32: type `bad` is declared, and its file cannot be used",
        ]
    );
}

/// The files that a page shows whole: fenced blocks that say of themselves `# agents/<name>`.
fn shown_files(page: &str) -> Vec<(String, String)> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(&path).expect("the page is readable");
    let blocks =
        text.split("\n```").skip(1).step_by(2).map(|block| block.split_once('\n').map_or("", |(_, text)| text));
    let named = blocks.filter_map(|block| {
        let name = block.lines().find_map(|line| line.strip_prefix("# agents/"))?;
        let name = name.split([':', ' ']).next().unwrap_or_default();
        Some((name.to_owned(), format!("{block}\n")))
    });
    named.collect()
}

#[test]
fn every_definition_that_the_documentation_shows_whole_is_one() {
    for (page, count) in [("docs/agents.md", 2), ("README.md", 2)] {
        let files = shown_files(page);
        assert_eq!(files.len(), count, "{page}: {files:?}");
        for (name, text) in &files {
            let (code, said) = check(&[(name, text)], &[]);
            assert_eq!((code, said), (0, vec!["1 agent, no errors".to_owned()]), "{page}: {name}\n{text}");
        }
    }
}

#[tokio::test]
async fn variables_and_files_stand_in_for_their_placeholders_where_agents_are_asked() {
    let upstream = Upstream::start(events(&FINISHED.lines().collect::<Vec<_>>())).await;
    let text = format!(
        "agent:\n  kind: remote\n  url: ${{env:COAGENT_TEST_UNSET:-{}}}\n  headers: {{ X-Token: \"Bearer ${{file:token}}\" }}\n",
        upstream.url
    );
    let home = Home::with_agents(&[]);
    std::fs::create_dir(home.path().join("agents/remote")).expect("a folder");
    home.write_agent("remote/agent.yaml", &text);
    home.write_agent("remote/token", "s3cret\n");
    home.write_agent("unset.yaml", "agent: { kind: remote, url: \"${env:COAGENT_TEST_UNSET}\" }\n");
    let server = home.serve_in_memory();
    server.run_to_end("remote", &say("t1", "u1", "hi")).await;
    assert!(upstream.last_head().to_lowercase().contains("x-token: bearer s3cret\r\n"), "{}", upstream.last_head());
    let unset = agent(&server, "unset").await;
    assert_eq!(
        (&unset["status"], &unset["errors"][0]["line"], &unset["errors"][0]["column"]),
        (&json!("invalid"), &json!(1), &json!(29))
    );
    assert!(
        unset["errors"][0]["message"]
            .as_str()
            .is_some_and(|message| message.contains("`COAGENT_TEST_UNSET` is not set"))
    );
    assert!(!agent(&server, "remote").await.to_string().contains("s3cret"));
}

#[test]
fn the_schema_for_editors_is_the_committed_one() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_coagent")).args(["schema", "agent"]).output().expect("the binary runs");
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).expect("text");
    let target = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/agent.schema.json");
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&target, &printed).expect("the folder is writable");
    }
    let committed = std::fs::read_to_string(&target).expect("the schema is readable");
    assert!(
        committed == printed,
        "docs/agent.schema.json is not what `coagent schema agent` prints; run\n\
         REGENERATE=1 cargo test --test all the_schema_for_editors_is_the_committed_one"
    );
}

#[test]
fn a_second_default_is_warned_of() {
    let marked = "default: true\nagent: { kind: native, name: planner }";
    let (code, said) =
        check(&[("a.yaml", marked), ("b.yaml", marked), ("c.yaml", &marked.replace("true", "false"))], &[]);
    assert_eq!(code, 0);
    assert_eq!(said, ["b.yaml:1:10: warning: agent `a` is the default already", "3 agents, no errors"]);
}

#[test]
fn secrets_in_lists_whose_elements_cannot_be_told_apart_are_warned_of() {
    let list = |list: &str, element: &str| {
        format!(
            "schema:\n  properties:\n    safe: {{ x-secret: true }}\n    accounts:\n      type: array\n      {list}\n      \
             items: {{ $ref: \"#/$defs/account\" }}\n  $defs:\n    account:\n      properties:\n        {element}\n        \
             login: {{ properties: {{ password: {{ x-secret: true }} }} }}\n"
        )
    };
    let warned = |said: &[String]| -> Vec<String> {
        let warnings = said.iter().filter(|line| line.contains(": warning: "));
        warnings.map(|line| line.split(" hold something").next().expect("a line").to_owned()).collect()
    };
    let agent = ("a.yaml", "agent: { kind: native, name: planner }\nstate: { schema: bank }\n");
    let (merge, name) = ("x-merge: list:name", "name: { type: string }");
    for (list_says, element, is_warned_of) in [
        ("minItems: 0", name, true),
        ("x-merge: append", name, true),
        (merge, name, false),
        ("minItems: 0", "id: { type: string }", false),
        ("x-secret: true", name, false),
    ] {
        let file = list(list_says, element);
        let (code, said) = check(&[("_types/bank.yaml", &file), agent], &[]);
        assert_eq!(code, 0, "{said:#?}");
        let expected = "_types/bank.yaml:5:7: warning: the elements of this list".to_owned();
        assert_eq!(warned(&said), if is_warned_of { vec![expected] } else { Vec::new() }, "{list_says} {element}");
    }
    let own = "agent: { kind: native, name: planner }\nstate:\n  schema:\n    items: { properties: { pin: { x-secret: true } } }\n";
    let (_, said) = check(&[("a.yaml", own)], &[]);
    assert_eq!(warned(&said).len(), 1, "{said:#?}");
}
