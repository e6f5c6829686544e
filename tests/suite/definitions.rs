//! Definitions as the people who write them meet them: what the binary accepts, refuses, and makes of each field.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::events::text;
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
