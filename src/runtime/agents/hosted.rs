//! One agent that can run: its definition and what answers for it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use crate::agent::definition::{ClientSystem, Definition, Documents, Kind, Problem, RunSpec, Scope, Trigger};
use crate::agent::tools::mcp::Servers;
use crate::agent::{Agent, AgentError, RunContext, RunOutcome, llm, native, remote};
use crate::agui::{AgentCapabilities, Outcome};
use crate::state::pointer::Pointer;
use crate::state::schema::Schema;
use crate::store::Owner;

use super::super::document::DocumentRef;
use super::super::documents::DocumentName;
use super::super::thread::ThreadRef;
use super::kept::Files;
use super::used::Used;

/// An agent as it is defined now. A run keeps the one it started with.
pub struct Hosted {
    definition: Arc<Definition>,
    agent: Box<dyn Agent>,
    may_write: Option<Arc<[Pointer]>>,
    /// Shared by all versions of the agent's definition.
    used: Arc<Used>,
    /// What the definition is made of, while it may have to be kept for a run.
    files: Option<Files>,
    /// The tenants for whom it is kept. A lock, because threads' tasks keep it; held for a look.
    kept_for: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for Hosted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hosted").field("id", &self.definition.id).finish_non_exhaustive()
    }
}

impl Hosted {
    pub(super) fn build(definition: Arc<Definition>, used: Arc<Used>, servers: &Servers) -> Result<Self, Problem> {
        let agent = match &definition.kind {
            Kind::Llm(model) => llm::build(&definition, model, servers).map_err(|problem| *problem)?,
            Kind::Remote(remote) => {
                remote::build(remote, &definition.state).map_err(|reason| definition.problem("agent", reason))?
            }
            Kind::Native(native) => {
                let make = native::maker(&native.name).map_err(|why| definition.problem("agent.name", why))?;
                make(&native.config).map_err(|error| definition.config_problem(&error.path, &error.message))?
            }
        };
        let may_write = definition.state.write.as_ref().map(|paths| paths.iter().map(|path| pointer(path)).collect());
        let files = Files::of(&definition).filter(|_| is_durable(&definition));
        Ok(Self { definition, agent, may_write, used, files, kept_for: Mutex::default() })
    }

    /// What is to be kept for runs of this tenant; `None` when it is kept, or cannot be.
    pub(super) fn to_be_kept(&self, tenant: &str) -> Option<&Files> {
        let is_kept = self.kept_for().contains(tenant);
        self.files.as_ref().filter(|_| !is_kept)
    }

    pub(super) fn is_kept(&self, tenant: &str) {
        self.kept_for().insert(tenant.to_owned());
    }

    fn kept_for(&self) -> MutexGuard<'_, HashSet<String>> {
        self.kept_for.lock().expect("no code panics while it holds this lock")
    }

    pub(super) fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    pub(super) fn used(&self) -> Arc<Used> {
        Arc::clone(&self.used)
    }

    /// Whether the definition says what the agent's state is.
    pub(super) fn describes_state(&self) -> bool {
        self.definition.state.schema.as_ref().is_some_and(|state| state.schema.is_some())
    }

    /// The schema of a document, `type/id`, if it is this agent's state and the definition describes it.
    pub(super) fn schema_of(&self, document: &str) -> Option<&Schema> {
        let state = &self.definition.state;
        let schema = state.schema.as_ref()?.schema.as_ref()?;
        state.scope.may_be(&self.definition.id, document).then_some(schema)
    }

    pub(in crate::runtime) fn triggers(&self) -> &[Trigger] {
        &self.definition.triggers
    }

    pub(in crate::runtime) fn trigger(&self, id: &str) -> Option<&Trigger> {
        self.definition.triggers.iter().find(|trigger| trigger.id == id)
    }

    /// How its runs queue, what they may use, and how they are tried again.
    pub(in crate::runtime) fn run_spec(&self) -> &RunSpec {
        &self.definition.run
    }

    /// Names this version of the definition.
    pub(in crate::runtime) fn hash(&self) -> &str {
        &self.definition.hash
    }

    /// Whether its runs go on after a crash.
    pub(in crate::runtime) fn is_durable(&self) -> bool {
        is_durable(&self.definition)
    }

    pub fn id(&self) -> &str {
        &self.definition.id
    }

    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// `llm`, `remote` or `native`.
    pub fn kind(&self) -> &'static str {
        self.definition.kind.as_str()
    }

    pub fn description(&self) -> String {
        match self.definition.description.as_str() {
            "" => self.agent.descriptor().description,
            description => description.to_owned(),
        }
    }

    /// What has to be configured before it can run, as a sentence.
    pub fn missing(&self) -> Option<String> {
        self.agent.missing()
    }

    pub fn capabilities(&self) -> AgentCapabilities {
        self.agent.descriptor().capabilities
    }

    pub(crate) async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError> {
        let ended = self.agent.run(cx).await.and_then(|ended| self.without_questions(ended));
        self.used.count(match &ended {
            Ok(outcome) => &outcome.usage,
            Err(error) => &error.usage,
        });
        ended
    }

    /// A run that stops to ask a person fails where the definition denies it (`hitl: deny`).
    fn without_questions(&self, ended: RunOutcome) -> Result<RunOutcome, AgentError> {
        let asks = matches!(ended.outcome, Some(Outcome::Interrupt(_)));
        if self.definition.asks_people || !asks {
            return Ok(ended);
        }
        let message = "the agent stopped to ask a person, which its definition denies (`hitl: deny`)";
        Err(AgentError { usage: ended.usage, ..AgentError::new("hitl_denied", message) })
    }

    pub(in crate::runtime) fn initial_state(&self) -> Value {
        self.definition.state.initial.clone()
    }

    /// Whether the agent is told of the browser's tool of this name.
    pub(in crate::runtime) fn takes_client_tool(&self, name: &str) -> bool {
        self.definition.tools.client.allows(name)
    }

    /// Whether the agent is told the system and developer messages that clients send.
    pub(in crate::runtime) fn keeps_client_instructions(&self) -> bool {
        match &self.definition.kind {
            Kind::Llm(model) => model.history.client_system == ClientSystem::Keep,
            Kind::Remote(_) | Kind::Native(_) => false,
        }
    }

    /// Whether the definition names that agent as a tool or for a handoff.
    pub(in crate::runtime) fn may_ask(&self, agent: &str) -> bool {
        self.definition.asks().any(|asked| asked == agent)
    }

    /// The documents beside its state that the agent may use.
    pub(in crate::runtime) fn documents(&self) -> &Documents {
        &self.definition.documents
    }

    /// Pointers below which the agent may write; `None` = everywhere.
    pub(in crate::runtime) fn may_write(&self) -> Option<Arc<[Pointer]>> {
        self.may_write.clone()
    }

    /// The agent's state document in a run on a thread (docs/agents.md §6); `fired` is the document that started the run.
    pub(in crate::runtime) fn document(&self, thread: &ThreadRef, fired: Option<&str>) -> DocumentRef {
        let scope = &self.definition.state.scope;
        let name = scope.document_key(&self.definition.id, &thread.id, fired);
        let is_owned = match scope {
            Scope::Thread => true,
            Scope::Agent | Scope::Shared(_) => false,
            Scope::Trigger => name.parse().is_ok_and(|name: DocumentName| name.is_owned()),
        };
        let owner = if is_owned { thread.owner.clone() } else { Owner::shared() };
        DocumentRef { tenant: thread.tenant.clone(), owner, name: name.into() }
    }
}

fn is_durable(definition: &Definition) -> bool {
    match &definition.kind {
        Kind::Llm(_) | Kind::Native(_) => definition.run.durable,
        Kind::Remote(_) => false,
    }
}

fn pointer(path: &str) -> Pointer {
    Pointer::parse(path).expect("a definition's pointers are checked when it is read")
}
