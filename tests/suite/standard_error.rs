//! A log that nobody reads, or that cannot be written: the server goes on, and ends as it should.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::crash::Mount;
use crate::support::events::{EventStream, types};
use crate::support::server::{Home, say};

/// Nobody answers there.
const GONE: (&str, &str) = ("gone.yaml", "agent: { kind: remote, url: \"http://127.0.0.1:9/\" }\n");

/// A server whose standard error is the test's; killed when dropped.
struct Quiet {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // One that has ended already is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Quiet {
    /// On a port that was free just now.
    async fn start(home: &Home, store: &str, errors: impl Into<Stdio>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
        let child = Command::new(env!("CARGO_BIN_EXE_coagent"))
            .args(["serve", "--listen", &free.to_string(), "--store", store, "--agents"])
            .arg(home.path().join("agents"))
            .env("COAGENT_LOG", "info")
            .stderr(errors)
            .spawn()
            .expect("the binary starts");
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        let mut server = Self { child, url: format!("http://{free}"), http };
        let began = Instant::now();
        while server.http.get(format!("{}/readyz", server.url)).send().await.is_err() {
            assert_eq!(server.child.try_wait().expect("it can be waited for"), None, "the server ended");
            assert!(began.elapsed() < Duration::from_secs(60), "the server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    async fn put(&self, id: &str, body: &Value) -> (u16, Value) {
        let request = self.http.request(Method::PUT, format!("{}/v1/state/shared/{id}", self.url)).json(body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// The last event of a run of an agent that cannot be reached.
    async fn fail_a_run(&self) -> Value {
        let url = format!("{}/api/copilotkit/agent/gone/run", self.url);
        let answer = self.http.post(url).json(&say("t", &uuid::Uuid::now_v7().to_string(), "hello")).send().await;
        let events = EventStream::new(answer.expect("an answer")).rest().await;
        assert_eq!(types(&events).last(), Some(&"RUN_ERROR"));
        events.last().expect("there is one").clone()
    }

    /// SIGTERM; the exit code.
    async fn ends(&mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(began.elapsed() < Duration::from_secs(30), "the server did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Takes all the room there is.
fn fill(file: &Path) {
    let mut ballast = File::create(file).expect("a file");
    for size in [1 << 16, 1 << 12, 1] {
        while ballast.write_all(&vec![b'.'; size]).is_ok() {}
    }
}

#[tokio::test]
async fn a_server_whose_log_cannot_be_written_serves_and_stops_as_ever() {
    let home = Home::with_agents(&[GONE]);
    let (reader, closed) = std::io::pipe().expect("a pipe");
    drop(reader);
    let full = File::options().write(true).open("/dev/full").expect("a device");
    for errors in [Stdio::from(full), Stdio::from(closed)] {
        let mut server = Quiet::start(&home, "memory:", errors).await;
        for _ in 0..2 {
            let end = server.fail_a_run().await;
            assert!(end["code"] != "internal", "{end}");
        }
        assert_eq!(server.put("a", &json!({})).await.0, 201);
        // The folder is still watched.
        home.write_agent("late.yaml", "agent: { kind: remote, url: \"http://127.0.0.1:9/\" }\n");
        let began = Instant::now();
        loop {
            let agents = server.http.get(format!("{}/v1/agents", server.url)).send().await.expect("an answer");
            if agents.text().await.expect("text").contains("late") {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "the new agent is not seen");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        std::fs::remove_file(home.path().join("agents/late.yaml")).expect("it is there");
        assert_eq!(server.ends().await, Some(0));
    }
}

#[tokio::test]
async fn a_server_whose_log_is_not_read_serves_and_stops_and_what_is_read_later_is_in_order() {
    let home = Home::with_agents(&[GONE]);
    let (mut reader, mut errors) = std::io::pipe().expect("a pipe");
    // As much as such a pipe takes.
    let ballast = vec![b'.'; 1 << 16];
    errors.write_all(&ballast).expect("there is room");
    let mut server = Quiet::start(&home, "memory:", errors).await;
    server.fail_a_run().await;
    assert_eq!(server.put("a", &json!({})).await.0, 201);
    reader.read_exact(&mut vec![0; ballast.len()]).expect("it is there");
    let mut lines = BufReader::new(reader).lines().map(|line| line.expect("text"));
    assert!(lines.next().is_some_and(|line| line.starts_with("coagent ")));
    assert!(lines.any(|line| line == format!("listening on {}", server.url)));
    assert_eq!(server.ends().await, Some(0));
    assert!(lines.any(|line| line.contains("stopping: no new connections")), "the last words are written");
    let (unread, errors) = std::io::pipe().expect("a pipe");
    (&errors).write_all(&ballast).expect("there is room");
    let mut server = Quiet::start(&home, "memory:", errors).await;
    assert_eq!(server.ends().await, Some(0));
    drop(unread);
}

#[tokio::test]
async fn a_log_on_the_full_disk_of_the_database_costs_no_more_than_its_lines() {
    let home = Home::with_agents(&[GONE]);
    let disk = match Mount::new(&home.path().join("disk"), &["-t", "tmpfs", "-o", "size=8m", "tmpfs"]) {
        Ok(mounted) => mounted,
        Err(why) => return println!("skipped: no small disk to fill: {why}"),
    };
    let (log, ballast) = (disk.at.join("log.txt"), disk.at.join("ballast"));
    let errors = File::options().append(true).create(true).open(&log).expect("a file");
    let store = format!("sqlite:{}", disk.at.join("a.db").display());
    let mut server = Quiet::start(&home, &store, errors.try_clone().expect("a handle")).await;
    assert_eq!(server.put("a", &json!({})).await.0, 201);
    // To the end of its last page, so that the next line needs another one.
    let length = errors.metadata().expect("it is there").len();
    (&errors).write_all(&vec![b'\n'; 4096 - (length % 4096) as usize]).expect("there is room");
    fill(&ballast);
    for id in ["b", "c", "d"] {
        let (status, refused) = server.put(id, &json!({ "text": "x".repeat(50_000) })).await;
        assert_eq!((status, &refused["code"]), (507, &json!("storage_full")), "{refused}");
    }
    std::fs::remove_file(&ballast).expect("it is there");
    assert_eq!(server.put("e", &json!({})).await.0, 201);
    assert_eq!(server.ends().await, Some(0));
    let said = std::fs::read_to_string(&log).expect("text");
    assert!(said.contains("there is room on the disk again") && !said.contains("panicked"), "{said}");
}
