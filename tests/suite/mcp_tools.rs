//! Tools of Model Context Protocol servers: pooled, named, limited, and away without ending a run.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::events::{text, tool_results};
use crate::support::mcp::{McpServer, SCRIPT};
use crate::support::model::{call, definition, text as answer};
use crate::support::server::{Home, Server, say};
use crate::support::upstream::{Answer, Upstream};

/// An agent with this front matter, answered for by a fake with these answers; `fake.sh` is beside its definition.
async fn helper(tools: &str, answers: impl IntoIterator<Item = Answer>) -> (Upstream, Home, Server) {
    let model = Upstream::start_with(answers).await;
    let text = definition(&model, "", "").replacen("---\nname", &format!("---\n{tools}\nname"), 1);
    let home = Home::with_agents(&[("helper.md", &text), ("key.txt", "k"), ("fake.sh", SCRIPT)]);
    let server = home.serve_in_memory();
    (model, home, server)
}

/// The tools that a request offers, by name.
fn offered(body: &Value) -> Vec<String> {
    let tools = body["tools"].as_array().expect("tools").iter();
    tools.map(|tool| tool["function"]["name"].as_str().expect("a name").to_owned()).collect()
}

fn code(result: &str) -> String {
    let result: Value = serde_json::from_str(result).unwrap_or_else(|_| panic!("no refusal: {result}"));
    assert_eq!(result["ok"], false);
    result["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn tools_of_a_server_over_http_are_called_by_its_name_and_theirs() {
    let mcp = McpServer::start().await;
    let tools = format!(
        "tools:\n  state: {{ read: false, patch: false }}\n  calc: {{ type: mcp, url: \"{}\", headers: {{ X-Key: \"${{file:key.txt}}\" }}, allow: [add] }}",
        mcp.url
    );
    let (model, _home, server) = helper(
        &tools,
        [
            call("c1", "calc__add", &json!({ "a": 2, "b": 40 })),
            call("c2", "calc__add", &json!({})),
            call("c3", "calc__hidden", &json!({})),
            answer("done"),
        ],
    )
    .await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    assert_eq!(text(&events), "done");
    let results = tool_results(&events);
    assert_eq!(results[0], "42");
    assert_eq!((code(&results[1]), code(&results[2])), ("tool_error".to_owned(), "unknown_tool".to_owned()));
    assert_eq!(offered(&model.bodies()[0]), ["calc__add"], "what is not allowed is not offered");
    assert!(mcp.head("tools/call").contains("x-key: k\r\n"), "{}", mcp.head("tools/call"));
    let again = server.run_to_end("helper", &say("t2", "u", "go")).await;
    assert_eq!(text(&again), "done");
    assert_eq!((mcp.count("initialize"), mcp.count("tools/list")), (1, 1), "one connection serves all runs");
}

#[tokio::test]
async fn a_server_that_is_a_process_is_started_once_and_again_when_it_ended() {
    let tools =
        "tools:\n  sh: { type: mcp, command: [sh, fake.sh], env: { WORD: hello, STARTS: starts.txt }, timeout: 1s }";
    let (model, home, server) = helper(
        tools,
        [
            call("c1", "sh__echo", &json!({ "text": "one" })),
            call("c2", "sh__hang", &json!({})),
            call("c3", "sh__end", &json!({})),
            call("c4", "sh__echo", &json!({ "text": "two" })),
            answer("done"),
        ],
    )
    .await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    assert_eq!(text(&events), "done");
    let results = tool_results(&events);
    assert_eq!(results[0], "hello one");
    assert_eq!(code(&results[1]), "timeout");
    assert_eq!(code(&results[2]), "unreachable", "a call that may not run twice is not made again: {}", results[2]);
    assert_eq!(results[3], "hello two", "the next call starts the process again");
    let starts = std::fs::read_to_string(home.path().join("agents/starts.txt")).expect("it was started");
    assert_eq!(starts.lines().count(), 2, "{starts}");
    assert!(offered(&model.bodies()[0]).contains(&"sh__echo".to_owned()));
}

#[tokio::test]
async fn a_server_that_is_away_costs_its_tools_and_not_the_run() {
    let tools = "tools:\n  gone: { type: mcp, command: [./nowhere], allow: [fetch, 'x*'] }\n  mute: { type: mcp, url: \"http://127.0.0.1:1/mcp\" }";
    let (model, _home, server) = helper(tools, [call("c1", "gone__fetch", &json!({})), answer("done")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    assert_eq!(text(&events), "done");
    let results = tool_results(&events);
    assert_eq!(code(&results[0]), "unreachable");
    assert!(results[0].contains("cannot be started"), "{}", results[0]);
    let offered = offered(&model.bodies()[0]);
    assert!(offered.contains(&"gone__fetch".to_owned()), "what the definition names is offered: {offered:?}");
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
    }
}

#[tokio::test]
async fn servers_made_with_the_official_sdk_are_spoken_to_over_pipes_and_over_http() {
    let rig = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp");
    let python = rig.join(".venv/bin/python");
    if !python.exists() {
        assert!(std::env::var_os("COAGENT_RIGS").is_none(), "./test.sh installs the SDK");
        return println!("skipped: {} is missing: ./test.sh installs it", python.display());
    }
    let program = rig.join("server.py");
    let mut http = Command::new(&python).arg(&program).arg("http").stdout(Stdio::piped()).spawn().expect("it starts");
    let port = {
        use std::io::{BufRead as _, BufReader};
        let mut line = String::new();
        BufReader::new(http.stdout.take().expect("a pipe")).read_line(&mut line).expect("it says its port");
        line.trim().to_owned()
    };
    // It says its port before it listens.
    while tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let _http = Running(http);
    let tools = format!(
        "tools:\n  near: {{ type: mcp, command: [\"{}\", \"{}\", stdio] }}\n  far: {{ type: mcp, url: \"http://127.0.0.1:{port}/mcp\" }}",
        python.display(),
        program.display()
    );
    let calls = |server: &str| {
        let name = |tool: &str| format!("{server}__{tool}");
        [
            call(&format!("{server}1"), &name("add"), &json!({ "a": 2, "b": 40 })),
            call(&format!("{server}2"), &name("fail"), &json!({})),
            call(&format!("{server}3"), &name("describe"), &json!({ "name": "Ann" })),
        ]
    };
    let answers = calls("near").into_iter().chain(calls("far")).chain([answer("done")]);
    let (_model, _home, server) = helper(&tools, answers).await;
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    assert_eq!(text(&events), "done");
    let results = tool_results(&events);
    assert_eq!(results.len(), 6);
    for results in results.chunks(3) {
        assert_eq!(results[0], "42");
        assert_eq!(code(&results[1]), "tool_error");
        // The SDK keeps what went wrong to itself.
        assert!(results[1].contains("Error executing tool fail"), "{}", results[1]);
        let described: Value = serde_json::from_str(&results[2]).expect("JSON");
        assert_eq!(described, json!({ "name": "Ann", "length": 3 }));
    }
}

#[tokio::test]
async fn servers_have_names_of_the_application_s_own() {
    let mcp = McpServer::start().await;
    let tools = "tools:\n  calc: { type: mcp }\n  other: { type: mcp, server: calc, allow: [add] }";
    let model = Upstream::start_with([call("c1", "other__add", &json!({ "a": 1, "b": 2 })), answer("done")]).await;
    let text = definition(&model, "", "").replacen("---\nname", &format!("---\n{tools}\nname"), 1);
    let shared = format!("calc: {{ url: \"{}\", headers: {{ X-Key: \"${{file:key.txt}}\" }} }}\n", mcp.url);
    let files =
        [("helper.md", text.as_str()), ("key.txt", "k"), ("_shared/mcp.yaml", &shared), ("_shared/key.txt", "s")];
    let home = Home::with_agents(&files);
    let server = home.serve_in_memory();
    let events = server.run_to_end("helper", &say("t", "u", "go")).await;
    assert_eq!(tool_results(&events), ["3"]);
    assert!(mcp.head("tools/call").contains("x-key: s\r\n"), "{}", mcp.head("tools/call"));
    assert_eq!(mcp.count("initialize"), 1, "both names mean one connection");
    assert!(offered(&model.bodies()[0]).contains(&"calc__add".to_owned()));
    for (shared, refusal) in [
        ("calc: { url: \"http://x/\", command: [y] }", "`calc` needs one of `url` and `command`"),
        ("calc: { uri: \"http://x/\" }", "unknown field `calc.uri`"),
        ("calk: { url: \"http://x/\" }", "there is no server `calc` in `_shared/mcp.yaml`: there are calk"),
    ] {
        home.write_agent("_shared/mcp.yaml", shared);
        let said = home.check();
        assert!(said.contains(refusal), "{said}");
    }
}
