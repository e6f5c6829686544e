//! What a definition says of the tools its agent may call (docs/agents.md §1, `tools`).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::{Map, Value};

use super::glob;
use crate::state::pointer::Pointer;

/// How long a call may take unless the definition says so.
pub(in crate::agent) const TOOL_TIMEOUT: Duration = Duration::from_secs(30);

/// The tools of an agent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tools {
    pub state: StateTools,
    pub client: ClientTools,
    /// By the names of the file, in its order.
    pub named: Vec<(String, NamedTool)>,
}

/// A tool that the file names.
#[derive(Debug, Clone, PartialEq)]
pub enum NamedTool {
    Agent(Box<AgentTool>),
    Http(Box<HttpTool>),
    Mcp(Box<McpTool>),
}

/// The built-in tools that read and change the agent's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateTools {
    /// `state_read`
    pub read: bool,
    /// `state_patch` and `state_set`
    pub patch: bool,
}

impl Default for StateTools {
    fn default() -> Self {
        Self { read: true, patch: true }
    }
}

/// Which of the tools that a browser offers with a run are the agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTools {
    /// Names, in which `*` stands for any characters; all by default.
    pub allow: Vec<String>,
}

impl Default for ClientTools {
    fn default() -> Self {
        Self { allow: vec!["*".to_owned()] }
    }
}

impl ClientTools {
    /// Whether the agent gets the browser's tool of this name.
    pub fn allows(&self, name: &str) -> bool {
        self.allow.iter().any(|pattern| glob::matches(pattern, name))
    }
}

/// Another agent, asked in a run of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentTool {
    pub description: String,
    pub agent: String,
    /// A JSON Schema of the arguments; `None` is one text, `prompt`.
    pub input: Option<Map<String, Value>>,
    pub timeout: Duration,
}

/// How long another agent may take, unless the definition says so: a little less than a run may go without progress.
pub(in crate::agent) const AGENT_TIMEOUT: Duration = Duration::from_secs(110);

/// A request that is made of a call's arguments.
#[derive(Clone, PartialEq)]
pub struct HttpTool {
    pub description: String,
    pub method: Method,
    /// A template over `args`, as are the values of `headers` and the texts of `body`.
    pub url: String,
    /// Names are lower-case and occur once.
    pub headers: Vec<(String, String)>,
    /// A JSON Schema of the arguments.
    pub input: Option<Map<String, Value>>,
    pub body: Option<Value>,
    /// Which part of the answer is the result.
    pub output_pointer: Option<Pointer>,
    pub timeout: Duration,
    pub idempotent: bool,
    pub allow_private: AllowPrivate,
}

/// Which addresses of this machine and its networks a tool may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowPrivate {
    #[default]
    Nothing,
    Everything,
    /// Those of these hosts, as the address names them.
    Hosts(Vec<String>),
}

impl HttpTool {
    /// A tool of which nothing else is said.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            description: String::new(),
            idempotent: method == Method::GET,
            method,
            url: url.into(),
            headers: Vec::new(),
            input: None,
            body: None,
            output_pointer: None,
            timeout: TOOL_TIMEOUT,
            allow_private: AllowPrivate::default(),
        }
    }
}

impl fmt::Debug for HttpTool {
    /// Names the headers without their values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTool")
            .field("method", &self.method)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The tools of a server of the Model Context Protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct McpTool {
    pub server: McpChoice,
    /// Names of the server's tools, in which `*` stands for any characters; `None` is all.
    pub allow: Option<Vec<String>>,
    pub timeout: Duration,
    /// `None`: what the server says of each.
    pub idempotent: Option<bool>,
}

/// Which server.
#[derive(Debug, Clone, PartialEq)]
pub enum McpChoice {
    /// One of `_shared/mcp.yaml`, until it is looked up.
    Named(String),
    Here(McpServer),
}

/// A server and how it is reached. Equal ones share a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct McpServer {
    pub reach: McpReach,
    /// Where its process works: the folder of the file that names it.
    pub folder: PathBuf,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub enum McpReach {
    /// A process that is started and spoken to over its pipes.
    Command { command: Vec<String>, env: Vec<(String, String)> },
    /// Streamable HTTP. Names of headers are lower-case and occur once.
    Url { url: Url, headers: Vec<(String, String)> },
}

impl fmt::Debug for McpReach {
    /// Without values that may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { command, .. } => f.debug_tuple("Command").field(&command.first()).finish(),
            Self::Url { url, .. } => f.debug_tuple("Url").field(&url.host_str()).finish(),
        }
    }
}
