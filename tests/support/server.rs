//! The real binary on a free port, with a folder and a store of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::events::EventStream;

/// A running `coagent serve`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    options: Options,
    http: reqwest::Client,
}

/// How to start it.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) agents: PathBuf,
    pub(crate) store: String,
    pub(crate) flags: Vec<String>,
}

/// A folder that holds definitions and a database, and goes when it is dropped.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// A folder with these definition files.
    pub(crate) fn with_agents(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("agents")).expect("a folder for agents");
        let home = Self { folder };
        for (name, text) in files {
            home.write_agent(name, text);
        }
        home
    }

    pub(crate) fn write_agent(&self, name: &str, text: &str) {
        std::fs::write(self.path().join("agents").join(name), text).expect("a definition file");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a server on this folder's agents and sqlite database.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.options())
    }

    /// The same, keeping nothing.
    pub(crate) fn serve_in_memory(&self) -> Server {
        Server::start(Options { store: "memory:".to_owned(), ..self.options() })
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            agents: self.path().join("agents"),
            store: format!("sqlite:{}", self.path().join("data").join("coagent.db").display()),
            flags: Vec::new(),
        }
    }
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        let (child, url) = spawn(&options);
        Self { child, url, options, http: client() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9, and a new process on the same store.
    pub(crate) fn crash_and_restart(mut self) -> Self {
        self.kill();
        let (child, url) = spawn(&self.options);
        self.child = child;
        self.url = url;
        self
    }

    pub(crate) fn kill(&mut self) {
        // A process that is already gone is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; answers the exit code and how long it took.
    pub(crate) fn terminate(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                return (status.code(), began.elapsed());
            }
            assert!(began.elapsed() < Duration::from_secs(12), "the server did not end within 12 s of SIGTERM");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn copilotkit(&self, path: &str) -> String {
        format!("{}/api/copilotkit{path}", self.url)
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Posts a run and follows its stream.
    pub(crate) async fn run(&self, agent: &str, input: &Value) -> EventStream {
        let response = self.post(&format!("/agent/{agent}/run"), input).await;
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap_or_default());
        EventStream::new(response)
    }

    /// Posts a run and answers all its events.
    pub(crate) async fn run_to_end(&self, agent: &str, input: &Value) -> Vec<Value> {
        self.run(agent, input).await.rest().await
    }

    pub(crate) async fn connect(&self, agent: &str, thread: &str) -> EventStream {
        EventStream::new(self.post(&format!("/agent/{agent}/connect"), &empty_input(thread)).await)
    }

    pub(crate) async fn connect_after(&self, agent: &str, thread: &str, last_event_id: &str) -> EventStream {
        let url = self.copilotkit(&format!("/agent/{agent}/connect"));
        let request = self.http.post(url).header("Last-Event-ID", last_event_id).json(&empty_input(thread));
        EventStream::new(request.send().await.expect("an answer"))
    }

    /// Everything that a connect replays.
    pub(crate) async fn replay(&self, agent: &str, thread: &str) -> Vec<Value> {
        self.connect(agent, thread).await.rest().await
    }

    pub(crate) async fn stop(&self, agent: &str, thread: &str) -> Value {
        let url = self.copilotkit(&format!("/agent/{agent}/stop/{thread}"));
        let response = self.http.post(url).send().await.expect("an answer");
        response.json().await.expect("JSON")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        self.http.post(self.copilotkit(path)).json(body).send().await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.http.get(self.copilotkit(path)).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client of its own, so that one test's connections are not another's.
fn client() -> reqwest::Client {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("an HTTP client")
}

fn spawn(options: &Options) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coagent"))
        .arg("serve")
        .args(["--listen", "127.0.0.1:0", "--store", &options.store])
        .arg("--agents")
        .arg(&options.agents)
        .args(&options.flags)
        .env("COAGENT_LOG", "warn")
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    let mut said = Vec::new();
    let url = loop {
        let Some(line) = lines.next() else { panic!("the server ended before it listened:\n{}", said.join("\n")) };
        let line = line.expect("stderr is text");
        if let Some(url) = line.strip_prefix("listening on ") {
            break url.to_owned();
        }
        said.push(line);
    };
    // Keeps the pipe empty and shows what the server says when a test fails.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("[coagent] {line}")));
    (child, url)
}

/// A run input with one user message.
pub(crate) fn say(thread: &str, id: &str, text: &str) -> Value {
    with_messages(thread, &[json!({"id": id, "role": "user", "content": text})])
}

/// A run input with these messages, as CopilotKit's client sends it.
pub(crate) fn with_messages(thread: &str, messages: &[Value]) -> Value {
    json!({
        "threadId": thread, "runId": uuid::Uuid::now_v7().to_string(), "tools": [], "context": [],
        "forwardedProps": {}, "state": {}, "messages": messages,
    })
}

fn empty_input(thread: &str) -> Value {
    with_messages(thread, &[])
}
