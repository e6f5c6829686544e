//! `coagent run | runs | agents` against a running server.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::server::{Home, Server};

/// Exit code, standard output and standard error of a command.
fn coagent(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coagent"));
    let ended = command.args(arguments).env("COAGENT_URL", &server.url).output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (ended.status.code().expect("an exit code"), text(ended.stdout), text(ended.stderr))
}

#[tokio::test]
async fn a_run_is_told_as_it_happens_and_its_exit_code_says_how_it_ended() {
    let slow = "agent: { kind: native, name: scripted, config: { turns: [ { do: [ { wait: 60s } ] } ] } }\nrun: { budget: { wall: 200ms } }\n";
    let home = Home::with_agents(&[DEMO, ("slow.yaml", slow)]);
    let server = home.serve_in_memory();
    let (code, out, err) = coagent(&server, &["run", "demo", "what is the weather", "--thread", "t"]);
    assert_eq!((code, out.as_str()), (0, "It is 21 degrees\n"), "{err}");
    for told in ["in thread t", "· look", "→ get_weather {\"city\":\"Rome\"}", "← {\"temperature\":21}"] {
        assert!(err.contains(told), "`{told}` is not in: {err}");
    }
    let (code, out, err) = coagent(&server, &["run", "demo", "hello", "--quiet"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "You said: hello\n", ""));
    let (code, out, err) = coagent(&server, &["run", "demo", "fail"]);
    assert_eq!((code, out.as_str()), (1, "partial\n"));
    assert!(err.contains("the run ended as failed: the demo failed"), "{err}");
    assert_eq!(coagent(&server, &["run", "slow", "x"]).0, 5);
    assert_eq!(coagent(&server, &["run", "demo", "approve"]).0, 6);
    let (code, _, err) = coagent(&server, &["run", "nobody", "x"]);
    assert_eq!((code, err.as_str()), (1, "coagent: not_found: agent `nobody` does not exist\n"));
    assert_eq!(coagent(&server, &["run", "demo"]).0, 2);
    let nowhere = coagent(&server, &["run", "demo", "x", "--url", "http://127.0.0.1:9"]);
    assert_eq!(nowhere.0, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_the_run() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let mut command = Command::new(env!("CARGO_BIN_EXE_coagent"));
    command.args(["run", "demo", "slow"]).env("COAGENT_URL", &server.url);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).expect("it says something");
    assert_eq!(line, "tick\n");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    out.read_to_string(&mut line).expect("its end is told");
    assert_eq!(child.wait().expect("it ends").code(), Some(4));
    assert_eq!(server.get_v1("/runs").await.body["items"][0]["status"], "cancelled");
}

#[tokio::test]
async fn runs_and_agents_are_listed_shown_cancelled_and_paused() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let first = server.submit("demo", &json!({ "prompt": "hello", "thread_id": "a" })).await;
    server.until_over(&first).await;
    let second = server.submit("demo", &json!({ "prompt": "slow", "thread_id": "b" })).await;
    server.until_status(&second, &["running"]).await;
    let (code, out, _) = coagent(&server, &["runs"]);
    let ids: Vec<_> = out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!((code, ids), (0, vec![second.as_str(), first.as_str()]));
    assert!(out.lines().all(|line| line.contains("demo") && line.contains("api")), "{out}");
    for filter in [["--status", "succeeded"], ["--thread", "a"], ["--limit", "1"]] {
        assert_eq!(coagent(&server, &["runs", "--agent", "demo", filter[0], filter[1]]).1.lines().count(), 1);
    }
    let (_, out, _) = coagent(&server, &["runs", "show", &first]);
    let shown: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&shown["run_id"], &shown["step_list"][0]["type"]), (&json!(first), &json!("answer")));
    assert_eq!(coagent(&server, &["runs", "show", "nobody"]).0, 1);
    assert_eq!(coagent(&server, &["runs", "cancel", &second]).0, 0);
    assert_eq!(server.record(&second).await["status"], "cancelled");

    assert_eq!(coagent(&server, &["agents", "pause", "demo"]).1, "demo is paused\n");
    let (_, out, _) = coagent(&server, &["agents"]);
    assert!(out.starts_with("demo ") && out.contains("native") && out.contains("paused"), "{out}");
    assert_eq!(coagent(&server, &["run", "demo", "x"]).0, 1);
    assert_eq!(coagent(&server, &["agents", "resume", "demo"]).1, "demo is ready\n");
    assert_eq!(coagent(&server, &["agents", "resume", "nobody"]).0, 1);
}
