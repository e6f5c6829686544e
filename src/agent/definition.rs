//! What one file under `agents/` says: an agent's name, its kind, and the state it works on (docs/agents.md §1).
//!
//! It reads and checks the file; it starts nothing and opens no connection.

mod beginning;
mod credentials;
mod documents;
mod fields;
#[expect(dead_code, reason = "types that say a format and are never filled")]
mod format;
pub(super) mod glob;
mod grammar;
mod llm;
mod models;
pub(super) mod paths;
mod placeholder;
mod prices;
mod problem;
mod reader;
mod run;
pub mod schedule;
mod schema;
mod secret;
mod servers;
mod shared;
mod source;
mod span;
mod tools;
mod tree;
mod trigger;
mod types;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use crate::agent::variables;
use crate::state::pointer::Pointer;
use crate::state::schema::Schema;

pub(super) use beginning::refusal as refusal_of_beginning;
pub use documents::{DocumentPlace, Documents};
pub use format::schema as schema_of_the_format;
pub use llm::{
    Api, AskedModel, ClientSystem, History, Instructions, Llm, ModelSettings, ModelTimeouts, Output, Params, Price,
    SaidTimeouts,
};
pub(crate) use models::NamedModels;
pub(crate) use prices::{compiled_in as compiled_in_prices, shared as shared_prices};
pub use problem::Problem;
pub use run::{Chain, Concurrency, Daily, OnConflict, Retry, RunBudget, RunSpec};
pub use secret::Secret;
pub(crate) use servers::NamedServers;
pub(crate) use shared::strangers as shared_strangers;
pub(crate) use source::{EXTENSIONS as DEFINITION_EXTENSIONS, Source};
pub(crate) use span::parse as parse_duration;
pub(in crate::agent) use tools::TOOL_TIMEOUT;
pub use tools::{
    AgentTool, AllowPrivate, ClientTools, HttpTool, McpChoice, McpReach, McpServer, McpTool, NamedTool, StateTools,
    Tools,
};
pub use trigger::{Idempotency, Outcome, Overlap, StateTrigger, Trigger, TriggerKind, TriggerThread, Verify, Webhook};
pub(crate) use types::{TypeSource, problem_in_schema};

/// The longest id of an agent, in characters.
const MAX_ID: usize = 64;

/// A checked definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// `^[a-z0-9][a-z0-9_-]{0,63}$`, from the file's or its folder's name.
    pub id: String,
    /// The id when the file gives no name.
    pub name: String,
    /// Empty when the file gives none.
    pub description: String,
    /// A disabled agent is listed nowhere and cannot be run.
    pub enabled: bool,
    /// Marked to answer for `default` when no agent is called that.
    pub default: bool,
    pub kind: Kind,
    pub state: StateSpec,
    pub documents: Documents,
    pub tools: Tools,
    /// The agents that may take its conversations over.
    pub handoffs: Vec<String>,
    pub triggers: Vec<Trigger>,
    /// Whether a run may stop and wait for a person.
    pub asks_people: bool,
    pub run: RunSpec,
    /// The file it was read from.
    pub source: PathBuf,
    /// Every file it is made of, its own first: the file of its schema, of its type, of the models it names.
    pub files: Vec<PathBuf>,
    /// SHA-256 over these files, in lower-case hex: what a run keeps to know what it was started with.
    pub hash: String,
    places: Places,
}

/// Where everything stands in the file. It does not print, because it holds what placeholders stood for.
#[derive(Clone, PartialEq)]
struct Places(tree::Node);

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places(…)")
    }
}

/// Who does the work.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A model.
    Llm(Box<Llm>),
    /// An AG-UI endpoint elsewhere.
    Remote(Remote),
    /// An agent that is compiled in.
    Native(Native),
}

impl Kind {
    /// The word the file uses: `llm`, `remote` or `native`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Llm(_) => "llm",
            Self::Remote(_) => "remote",
            Self::Native(_) => "native",
        }
    }
}

/// An AG-UI endpoint and how to talk to it.
#[derive(Clone, PartialEq)]
pub struct Remote {
    /// `http` or `https`, without credentials.
    pub url: Url,
    /// Sent with every request; they win over forwarded ones. Names are lower-case and occur once.
    pub headers: Vec<(String, String)>,
    pub forward_headers: ForwardHeaders,
    pub forward_state: ForwardState,
    pub state_mode: StateMode,
    pub timeouts: Timeouts,
    /// The largest single event it may send, in bytes.
    pub max_event_bytes: usize,
    /// Drop `RAW` events and `rawEvent` members.
    pub strip_raw: bool,
    /// The version of AG-UI that requests name.
    pub protocol_version: Option<String>,
}

impl fmt::Debug for Remote {
    /// Names the headers without their values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("url", &self.url.as_str())
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("forward_headers", &self.forward_headers)
            .field("forward_state", &self.forward_state)
            .field("state_mode", &self.state_mode)
            .field("timeouts", &self.timeouts)
            .field("max_event_bytes", &self.max_event_bytes)
            .field("strip_raw", &self.strip_raw)
            .field("protocol_version", &self.protocol_version)
            .finish()
    }
}

/// Which of the caller's headers travel on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardHeaders {
    /// `authorization` and `x-*`, without those that proxies and platforms add (`true`, the default).
    Usual,
    /// None (`false`).
    Nothing,
    /// Exactly these, lower-case, each `authorization` or `x-*`.
    Only(Vec<String>),
}

/// How much of the state is sent along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardState {
    Full,
    /// What `state.read` names.
    Read,
    Nothing,
}

/// What a `STATE_SNAPSHOT` of the endpoint means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateMode {
    /// A proposal made from the state it was sent: what it changed is merged.
    Merge,
    /// The whole state as it shall be.
    Replace,
    /// Nothing: only `STATE_DELTA` writes.
    DeltasOnly,
}

/// How long an endpoint may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// From the request to the first byte of the body.
    pub first_byte: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first_byte: Duration::from_secs(30), idle: Duration::from_secs(120) }
    }
}

/// An agent that is compiled in, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Native {
    pub name: String,
    /// An object; the agent itself says what may be in it.
    pub config: Value,
}

impl Native {
    /// A configuration that was not read from a file.
    pub fn new(name: impl Into<String>, config: Value) -> Self {
        Self { name: name.into(), config }
    }
}

impl Definition {
    /// Counts another file to what the definition is made of.
    pub(super) fn is_made_of(&mut self, file: PathBuf, content: &str) {
        if !self.files.contains(&file) {
            self.hash = source::hash(&format!("{}{}", self.hash, source::hash(content)));
            self.files.push(file);
        }
    }

    /// The keys of all documents that its runs may work on as their own, with `*` for any characters.
    pub(super) fn own_documents(&self) -> impl Iterator<Item = String> {
        let fired = self.triggers.iter().filter_map(|trigger| match &trigger.kind {
            TriggerKind::State(state) if self.state.scope == Scope::Trigger => Some(state.doc.clone()),
            _ => None,
        });
        std::iter::once(self.state.scope.document_pattern(&self.id)).chain(fired)
    }

    /// The other agents that it asks or hands over to.
    pub fn asks(&self) -> impl Iterator<Item = &str> {
        let as_tools = self.tools.named.iter().filter_map(|(_, tool)| match tool {
            NamedTool::Agent(tool) => Some(tool.agent.as_str()),
            NamedTool::Http(_) | NamedTool::Mcp(_) => None,
        });
        as_tools.chain(self.handoffs.iter().map(String::as_str))
    }

    /// A problem with the field at `path` (dotted: `agent.timeouts.idle`), with its place in the file.
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        let problem = Problem::of_file(&self.source, message).of_agent(&self.id).at(self.places.0.locate(path));
        Problem { path: Some(path.to_owned()), ..problem }
    }

    /// A problem with the value at `pointer` below the field at `path`, with its place in the file.
    pub(super) fn problem_below(&self, path: &str, pointer: &Pointer, message: impl Into<String>) -> Problem {
        let (node, below) = self.places.0.find(path).below(pointer);
        let problem = Problem::of_file(&self.source, message).of_agent(&self.id).at(node.at);
        Problem { path: Some(format!("{path}{below}")), ..problem }
    }

    /// A problem with a variable of the instructions, at the first place that names it.
    pub(super) fn variable_problem(&self, variable: &[String], message: impl Into<String>) -> Problem {
        let at = match &self.kind {
            Kind::Llm(llm) => variables::place(&llm.instructions.text, variable),
            Kind::Remote(_) | Kind::Native(_) => None,
        };
        self.instructions_problem(at, message)
    }

    /// A problem with the instructions, at this byte of them if it is known.
    pub(super) fn instructions_problem(&self, at: Option<usize>, message: impl Into<String>) -> Problem {
        let problem = self.problem("instructions", message);
        let (Kind::Llm(llm), Some(at)) = (&self.kind, at) else { return problem };
        let Some(before) = llm.instructions.text.get(..at) else { return problem };
        let line = llm.instructions.first_line + u32::try_from(before.matches('\n').count()).unwrap_or(0);
        let in_body = self.source.extension().is_some_and(|extension| extension == "md");
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = in_body.then(|| u32::try_from(before[start..].chars().count() + 1).unwrap_or(1));
        // A text among other fields begins somewhere on its line.
        if in_body { Problem { line: Some(line), column, ..problem } } else { problem }
    }

    /// A problem with the member of `agent.config` at `path` (dotted: `turns[0].do`), with its place in the file.
    pub fn config_problem(&self, path: &str, message: &str) -> Problem {
        let separator = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        self.problem(&format!("agent.config{separator}{path}"), message)
    }
}

/// The document an agent works on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StateSpec {
    pub scope: Scope,
    pub schema: Option<StateSchema>,
    /// What a new document begins with; an object.
    pub initial: Value,
    /// Pointers to what the agent gets; `None` is everything.
    pub read: Option<Vec<String>>,
    /// Pointers below which the agent may write; `None` is everywhere.
    pub write: Option<Vec<String>>,
    /// What is shown of the state while a model writes arguments.
    pub predict: Vec<Predict>,
}

/// An argument of a tool that will probably be what stands at a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Predict {
    pub tool: String,
    pub argument: String,
    pub path: Pointer,
}

/// What describes the document.
#[derive(Debug, Clone, PartialEq)]
pub struct StateSchema {
    pub form: SchemaForm,
    /// `None` until a declared type is looked up.
    pub schema: Option<Schema>,
}

/// Where a schema is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaForm {
    /// In the definition.
    Inline,
    /// In this file beside it.
    File(String),
    /// With the declared type of this name.
    Declared(String),
    /// With the built-in agent whose state has this Rust type.
    Rust(String),
}

/// Who shares the document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// One document per agent and thread.
    #[default]
    Thread,
    /// One document per agent.
    Agent,
    /// The document `shared/<id>`; the template of the id may contain `{{thread}}`.
    Shared(String),
    /// The document that started the run; of a run that none did, one per agent and thread.
    Trigger,
}

impl fmt::Display for Scope {
    /// As a definition writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread => f.write_str("thread"),
            Self::Agent => f.write_str("agent"),
            Self::Trigger => f.write_str("trigger"),
            Self::Shared(id) => write!(f, "shared/{id}"),
        }
    }
}

impl Scope {
    /// The keys of all documents that are an agent's by their name, with `*` for any characters.
    pub(super) fn document_pattern(&self, agent: &str) -> String {
        match self {
            Self::Thread | Self::Trigger => format!("agent/{agent}:*"),
            Self::Agent => format!("agent/{agent}"),
            Self::Shared(template) => format!("shared/{}", template.replace(schema::THREAD, "*")),
        }
    }

    /// The type of the documents that it makes.
    pub(super) fn document_type(&self) -> &'static str {
        match self {
            Self::Thread | Self::Agent | Self::Trigger => "agent",
            Self::Shared(_) => "shared",
        }
    }

    /// Whether a document, `type/id`, may be that of this agent on some thread.
    pub fn may_be(&self, agent: &str, document: &str) -> bool {
        glob::matches(&self.document_pattern(agent), document)
    }

    /// The key of the document of a run, as `type/id`; `fired` is that of the document that started it. The record of a run
    /// is nobody's to work on.
    pub fn document_key(&self, agent: &str, thread: &str, fired: Option<&str>) -> String {
        match (self, fired.filter(|fired| !fired.starts_with("lifecycle/"))) {
            (Self::Trigger, Some(fired)) => fired.to_owned(),
            (Self::Thread | Self::Trigger, _) => ["agent/", agent, ":", thread].concat(),
            (Self::Agent, _) => format!("agent/{agent}"),
            (Self::Shared(template), _) => format!("shared/{}", template.replace(schema::THREAD, thread)),
        }
    }
}

/// Whether a name can be an agent's id.
pub fn is_id(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= MAX_ID && name.starts_with(allowed) && name.chars().all(|c| allowed(c) || c == '_' || c == '-')
}

#[cfg(test)]
mod tests;
