//! The server processes that are measured, and the kernel's accounting of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use serde_json::Value;

/// A server in a process of its own; killed when dropped.
pub(crate) struct Process {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Process {
    /// The real binary on the bench's agents.
    pub(crate) fn coagent(store: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coagent"));
        let agents = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/agents");
        command.args(["serve", "--listen", "127.0.0.1:0", "--store", store, "--agents"]).arg(agents);
        command.arg("--config").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/coagent.toml"));
        command.env("COAGENT_LOG", "warn").stdin(Stdio::null());
        Self::start(command, &[])
    }

    /// This program again, as the handler that answers every run with `frames`.
    pub(crate) fn pre_encoded(frames: &[u8]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--pre-encoded").stdin(Stdio::piped());
        Self::start(command, frames)
    }

    /// This program again, as a bare broadcaster over WebSockets.
    pub(crate) fn broadcaster() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--broadcaster").stdin(Stdio::null());
        Self::start(command, &[])
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn start(mut command: Command, input: &[u8]) -> anyhow::Result<Self> {
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input)?;
        }
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let url = loop {
            let line = lines.next().ok_or_else(|| anyhow::anyhow!("a server ended before it listened"))??;
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { child, url, http })
    }

    pub(crate) async fn post(&self, agent: &str, input: &Value) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}/api/copilotkit/agent/{agent}/run", self.url);
        Ok(self.http.post(url).json(input).send().await?.error_for_status()?)
    }

    /// A run, read to its end.
    pub(crate) async fn drain(&self, agent: &str, input: &Value) -> anyhow::Result<()> {
        let mut response = self.post(agent, input).await?;
        while response.chunk().await?.is_some() {}
        Ok(())
    }

    /// Time that the server's threads have run so far, to the nanosecond.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the server lives");
        let run_ns = tasks.map(|task| {
            let schedstat = task.expect("a thread").path().join("schedstat");
            let text = std::fs::read_to_string(schedstat).unwrap_or_default();
            text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0)
        });
        Duration::from_nanos(run_ns.sum())
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that has ended already is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The agent of the handler that looks at what is posted.
pub(crate) const READING: &str = "reading";

/// The floor: takes the body (and, for one agent, reads it as JSON), answers bytes that were encoded before.
pub(crate) fn pre_encoded() -> anyhow::Result<()> {
    let mut frames = Vec::new();
    std::io::stdin().read_to_end(&mut frames)?;
    let frames = Bytes::from(frames);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let event_stream = || [(CONTENT_TYPE, "text/event-stream")];
        let read = frames.clone();
        let answer = move |_body: Bytes| {
            let frames = frames.clone();
            async move { (event_stream(), frames) }
        };
        let read_and_answer = move |body: Bytes| {
            let frames = read.clone();
            async move {
                serde_json::from_slice::<Value>(&body).expect("the bench posts JSON");
                (event_stream(), frames)
            }
        };
        let routes = Router::new()
            .route("/api/copilotkit/agent/{agent}/run", post(answer))
            .route(&format!("/api/copilotkit/agent/{READING}/run"), post(read_and_answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("listening on http://{}", listener.local_addr()?);
        axum::serve(listener, routes).await?;
        Ok(())
    })
}
