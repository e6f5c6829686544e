//! `coagent state` against a running server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::server::{Home, Server};

/// What a command said, and its exit code.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("not JSON: {} {}", self.out, self.err))
    }
}

fn state(url: &str, arguments: &[&str], input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coagent"));
    command.arg("state").args(arguments).env("COAGENT_URL", url);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: ended.status.code().expect("an exit code"), out: text(ended.stdout), err: text(ended.stderr) }
}

fn done(server: &Server, arguments: &[&str], input: &str) -> Ran {
    let ran = state(&server.url, arguments, input);
    assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
    ran
}

#[tokio::test]
async fn documents_are_put_read_changed_and_brought_back() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    let created = done(&server, &["put", "shared/a b,c", "--data", r#"{"n":1}"#, "--create"], "").json();
    assert_eq!(created["version"], 1);
    done(&server, &["put", "shared/a b,c"], r#"{"n":2,"list":[]}"#);
    let file = home.path().join("merge.json");
    std::fs::write(&file, r#"{"by":"merge"}"#).unwrap();
    done(&server, &["patch", "shared/a b,c", file.to_str().unwrap(), "--reason", "why not"], "");
    done(&server, &["patch", "shared/a b,c"], r#"[{"op":"add","path":"/p","value":true}]"#);
    let intents = r#"[{"op":"inc","path":"/n","by":5},{"op":"append","path":"/list","value":"x"}]"#;
    done(&server, &["patch", "shared/a b,c", "--base", "2"], intents);
    let expected = json!({"n": 7, "list": ["x"], "by": "merge", "p": true});
    assert_eq!(done(&server, &["get", "shared/a b,c"], "").json(), expected);
    assert_eq!(done(&server, &["get", "shared/a b,c", "--version", "2"], "").json(), json!({"n": 2, "list": []}));
    let full = done(&server, &["get", "shared/a b,c", "--full"], "").json();
    assert_eq!((&full["version"], &full["updated_by"]), (&json!(5), &json!("user:local")));
    done(&server, &["put", "shared/a b,c", "--data", "{}", "--if-version", "5"], "");

    let history = done(&server, &["history", "shared/a b,c", "--after", "1", "--limit", "2"], "");
    let commits: Vec<Value> = history.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(commits.iter().map(|commit| &commit["version"]).collect::<Vec<_>>(), [&json!(2), &json!(3)]);
    assert_eq!(commits[1]["reason"], "why not");
    assert!(history.err.contains("--after"), "{}", history.err);

    let dry = done(&server, &["rollback", "shared/a b,c", "--to-version", "5", "--dry-run"], "").json();
    assert!(dry["ops"].as_array().is_some_and(|ops| !ops.is_empty()), "{dry}");
    assert_eq!(done(&server, &["get", "shared/a b,c"], "").json(), json!({}));
    done(&server, &["rollback", "shared/a b,c", "--to-version", "5"], "");
    assert_eq!(done(&server, &["get", "shared/a b,c"], "").json(), expected);
}

#[tokio::test]
async fn refusals_bad_usage_and_an_absent_server_have_their_own_exit_codes() {
    let home = Home::with_agents(&[]);
    let mut server = home.serve_in_memory();
    done(&server, &["put", "shared/a", "--data", "{}"], "");
    for (arguments, input, code, said) in [
        (&["get", "shared/none"][..], "", 1, "not_found: "),
        (&["get", "nosuch/a"], "", 1, "unknown_type: "),
        (&["get", "nothing"], "", 2, "write type/id"),
        (&["put", "shared/a"], "{", 1, "invalid_json: "),
        (&["put", "shared/a", "--create"], "{}", 1, "already_exists: "),
        (&["put", "shared/a", "--if-version", "7"], "{}", 1, "version_conflict: "),
        (&["patch", "shared/a"], r#"[{"op":"remove","path":"/x"}]"#, 1, "target_gone: "),
        (&["rollback", "shared/a", "--to-version", "9"], "", 1, "version_not_found: "),
        (&["watch", "shared/none"], "", 1, "not_found: "),
        (&["patch", "shared/a"], "not json", 2, "not JSON"),
        (&["put", "shared/a", "/nonexistent/file"], "", 2, "/nonexistent/file"),
        (&["import", "/nonexistent/file"], "", 2, "/nonexistent/file"),
        (&["rollback", "shared/a"], "", 2, "--to-version"),
        (&["dance"], "", 2, "dance"),
    ] {
        let ran = state(&server.url, arguments, input);
        assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(said) && ran.out.is_empty(), "{arguments:?}: {}", ran.err);
    }
    server.kill();
    let ran = state(&server.url, &["get", "shared/a"], "");
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("cannot be reached"), "{}", ran.err);
}

#[tokio::test]
async fn a_watch_prints_every_change_as_a_line() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    done(&server, &["put", "shared/a", "--data", "{}"], "");
    done(&server, &["put", "shared/x,y", "--data", "{}"], "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_coagent"));
    command.args(["state", "watch", "shared/a", "shared/x,y", "--count", "3", "--url", &server.url]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").unwrap()).unwrap() };
    let snapshots = [next(), next()];
    assert!(snapshots.iter().all(|line| line["event"] == "snapshot"), "{snapshots:?}");
    done(&server, &["patch", "shared/x,y", "--data", r#"{"n":1}"#], "");
    let delta = next();
    assert_eq!(
        (&delta["event"], &delta["data"]["doc"], &delta["data"]["to"]),
        (&json!("delta"), &json!("shared/x,y"), &json!(2))
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let id = snapshots[1]["id"].as_str().unwrap();
    let resumed = done(&server, &["watch", "shared/a", "shared/x,y", "--count", "1", "--after", id], "").json();
    assert_eq!(resumed["data"]["from"], 1, "what was missed comes first");
}

#[tokio::test]
async fn what_one_server_exports_another_imports() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    for name in ["shared/a", "shared/b", "task/t"] {
        done(&server, &["put", name, "--data", r#"{"title":"one"}"#], "");
        done(&server, &["patch", name, "--data", r#"{"title":"two"}"#], "");
    }
    let file = home.path().join("export.jsonl");
    let path = file.to_str().unwrap();
    done(&server, &["export", "--type", "shared", "--output", path], "");
    let all = done(&server, &["export"], "").out;
    let other = home.serve_in_memory();
    done(&other, &["import", path], "");
    assert_eq!(done(&other, &["get", "shared/b"], "").json(), json!({"title": "two"}));
    assert_eq!(done(&other, &["get", "shared/b", "--version", "1"], "").json(), json!({"title": "one"}));
    assert_eq!(state(&other.url, &["get", "task/t"], "").code, 1);
    assert_eq!(state(&other.url, &["import"], &all).code, 1, "some are there already");
    let damaged = state(&other.url, &["import"], &format!("{}\n{{", all.lines().next().unwrap()));
    assert!(damaged.code == 1 && damaged.err.contains("line: 2"), "{}", damaged.err);
    done(&other, &["import", "--existing", "skip"], &all);
    assert_eq!(done(&other, &["get", "task/t"], "").json()["title"], "two");
}
