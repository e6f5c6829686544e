//! The real binary on a free port, with a folder and a store of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coagent_runtime::config::{Config, Flags};
use coagent_runtime::runtime::{Agents, Runtime};
use coagent_runtime::server;
use coagent_runtime::store::Store;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::events::EventStream;

/// No answer is silent for so long, keep-alives included: a hang fails its test.
const SILENCE: Duration = Duration::from_secs(90);

/// A running `coagent serve`, or the same in this process; ended when dropped.
pub(crate) struct Server {
    process: Process,
    pub(crate) url: String,
    options: Options,
    http: reqwest::Client,
}

enum Process {
    Child(Child),
    /// Stops when the guard is dropped.
    Here {
        _stop: DropGuard,
    },
}

/// How to start it.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) agents: PathBuf,
    pub(crate) store: String,
    pub(crate) flags: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
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
        let file = self.path().join("agents").join(name);
        std::fs::create_dir_all(file.parent().expect("it is in the folder")).expect("a folder");
        std::fs::write(file, text).expect("a definition file");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What `coagent check` says of this folder's agents.
    pub(crate) fn check(&self) -> String {
        let checked = Command::new(env!("CARGO_BIN_EXE_coagent"))
            .args(["check", "--agents"])
            .arg(self.path().join("agents"))
            .output()
            .expect("the binary starts");
        String::from_utf8(checked.stdout).expect("text")
    }

    /// Starts a server on this folder's agents and sqlite database.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.options())
    }

    /// The same, keeping nothing.
    pub(crate) fn serve_in_memory(&self) -> Server {
        Server::start(Options { store: "memory:".to_owned(), ..self.options() })
    }

    /// The runtime and its routes in this process, on a store of the test's own.
    pub(crate) async fn serve_here(&self, store: Arc<dyn Store>) -> Server {
        let options = self.options();
        let flags = Flags { listen: Some("127.0.0.1:0".to_owned()), ..Flags::default() };
        let config = Config::load(flags).expect("a good configuration");
        let runtime = Runtime::start(store, Agents::load(&options.agents)).await.expect("the store can be read");
        let listener = TcpListener::bind(config.listen).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let routes = server::routes(&config, &Arc::new(runtime));
        tokio::spawn(server::serve(listener, routes, (&config).into(), stop.clone()));
        Server { process: Process::Here { _stop: stop.drop_guard() }, url, options, http: client() }
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            agents: self.path().join("agents"),
            store: format!("sqlite:{}", self.path().join("data").join("coagent.db").display()),
            flags: Vec::new(),
            env: Vec::new(),
        }
    }
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        let (child, url) = spawn(&options);
        Self { process: Process::Child(child), url, options, http: client() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child().id()
    }

    fn child(&self) -> &Child {
        match &self.process {
            Process::Child(child) => child,
            Process::Here { .. } => panic!("this server has no process of its own"),
        }
    }

    /// kill -9, and a new process on the same store.
    pub(crate) fn crash_and_restart(mut self) -> Self {
        self.kill();
        let (child, url) = spawn(&self.options);
        self.process = Process::Child(child);
        self.url = url;
        self
    }

    pub(crate) fn kill(&mut self) {
        if let Process::Child(child) = &mut self.process {
            // A process that is already gone is what was wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM; answers the exit code and how long it took.
    pub(crate) fn terminate(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        self.begin_to_stop();
        let Process::Child(child) = &mut self.process else { panic!("this server has no process of its own") };
        loop {
            if let Some(status) = child.try_wait().expect("the child can be waited for") {
                return (status.code(), began.elapsed());
            }
            assert!(began.elapsed() < Duration::from_secs(12), "the server did not end within 12 s of SIGTERM");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The exit code of a server that was told to stop.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let Process::Child(child) = &mut self.process else { panic!("this server has no process of its own") };
        for _ in 0..600 {
            if let Some(status) = child.try_wait().expect("the child can be waited for") {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server did not end within 12 s of SIGTERM")
    }

    /// SIGTERM, without waiting for the end.
    pub(crate) fn begin_to_stop(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
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

    /// One request below the base path: status, body (JSON, or text as a JSON string) and headers.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, Value, HeaderMap) {
        let request = self.http.request(method, self.copilotkit(path)).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)), headers)
    }

    /// One request without a body, wherever the base path is.
    pub(crate) async fn ask_at(&self, method: Method, path: &str) -> (u16, Value, HeaderMap) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)), headers)
    }

    /// The same through the single route's tunnel.
    pub(crate) async fn tunnel(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let params = json!({"path": path, "httpMethod": method});
        let envelope = json!({"method": "resource/request", "params": params, "body": body});
        let (status, answer, _) = self.ask(Method::POST, "", &envelope.to_string()).await;
        (status, answer)
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
    reqwest::Client::builder().no_proxy().read_timeout(SILENCE).build().expect("an HTTP client")
}

fn spawn(options: &Options) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coagent"))
        .arg("serve")
        .args(["--listen", "127.0.0.1:0", "--store", &options.store])
        .arg("--agents")
        .arg(&options.agents)
        .args(&options.flags)
        .env("COAGENT_LOG", "warn")
        .envs(options.env.iter().cloned())
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

const CONTINUE: &[u8; 25] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A request whose body has not all been sent, and for which the server waits.
pub(crate) struct HalfSent {
    socket: TcpStream,
    rest: Vec<u8>,
}

impl HalfSent {
    pub(crate) async fn new(server: &Server, method: &str, path: &str, body: &Value) -> Self {
        let Self { mut socket, mut rest } = Self::announced(server, method, path, body).await;
        // The server says that it waits for the body: the request has passed the listener and is not in its queue.
        let mut goes_on = [0; CONTINUE.len()];
        socket.read_exact(&mut goes_on).await.expect("it goes on");
        assert_eq!(goes_on, *CONTINUE);
        let first: Vec<u8> = rest.drain(..rest.len() / 2).collect();
        socket.write_all(&first).await.expect("half of the body is taken");
        Self { socket, rest }
    }

    /// With nothing but its head sent.
    pub(crate) async fn announced(server: &Server, method: &str, path: &str, body: &Value) -> Self {
        let address = server.url.strip_prefix("http://").expect("a plain address");
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        let (body, path) = (body.to_string().into_bytes(), format!("/api/copilotkit{path}"));
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.expect("the head is taken");
        Self { socket, rest: body }
    }

    /// Sends the rest; the status and the body of the answer.
    pub(crate) async fn finish(mut self) -> (u16, Value) {
        self.socket.write_all(&self.rest).await.expect("the rest is taken");
        self.answer().await
    }

    /// Sends nothing more; the status and the body of the answer.
    pub(crate) async fn answer(mut self) -> (u16, Value) {
        let mut text = String::new();
        self.socket.read_to_string(&mut text).await.expect("an answer");
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let (_, body) = text.split_once("\r\n\r\n").expect("a head");
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

fn empty_input(thread: &str) -> Value {
    with_messages(thread, &[])
}
