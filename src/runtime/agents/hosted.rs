//! One agent that can run: its definition and what answers for it.

use std::sync::Arc;

use serde_json::Value;

use crate::access::Principal;
use crate::agent::definition::{ClientSystem, Definition, Documents, Kind, Problem, Scope, Trigger};
use crate::agent::tools::mcp::Servers;
use crate::agent::{Agent, AgentError, RunContext, RunOutcome, llm, native, remote};
use crate::agui::{AgentCapabilities, Outcome};
use crate::state::pointer::Pointer;
use crate::state::schema::Schema;

use super::super::document::DocumentRef;
use super::super::thread::ThreadRef;
use super::used::Used;

/// An agent as it is defined now. A run keeps the one it started with.
pub struct Hosted {
    definition: Arc<Definition>,
    agent: Box<dyn Agent>,
    may_write: Option<Arc<[Pointer]>>,
    /// Shared by all versions of the agent's definition.
    used: Arc<Used>,
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
            Kind::Remote(remote) => remote::build(remote, &definition.state)
                .map_err(|reason| Problem::of_file(&definition.source, reason).of_agent(&definition.id))?,
            Kind::Native(native) => native::build(&native.name, &native.config)
                .map_err(|error| definition.config_problem(&error.path, &error.message))?,
        };
        let may_write = definition.state.write.as_ref().map(|paths| paths.iter().map(|path| pointer(path)).collect());
        Ok(Self { definition, agent, may_write, used })
    }

    pub(super) fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    pub(super) fn used(&self) -> Arc<Used> {
        Arc::clone(&self.used)
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

    /// Names this version of the definition.
    pub(in crate::runtime) fn hash(&self) -> &str {
        &self.definition.hash
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

    /// The agent's state document on a thread (docs/agents.md §6).
    pub(in crate::runtime) fn document(&self, principal: &Principal, thread: &ThreadRef) -> DocumentRef {
        let id = &self.definition.id;
        let scope = &self.definition.state.scope;
        let owner = match scope {
            Scope::Thread => thread.owner.clone(),
            Scope::Agent | Scope::Shared(_) => String::new(),
        };
        DocumentRef { tenant: principal.tenant.clone(), owner, name: scope.document_key(id, &thread.id) }
    }
}

fn pointer(path: &str) -> Pointer {
    Pointer::parse(path).expect("a definition's pointers are checked when it is read")
}
