//! The agents that this process hosts: definitions with what answers for them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::access::Principal;
use crate::agent::definition::{ClientSystem, Definition, Kind, Problem, Scope};
use crate::agent::folder::{self, Folder};
use crate::agent::{Agent, AgentError, RunContext, RunOutcome, llm, native, remote};
use crate::agui::AgentCapabilities;
use crate::state::pointer::Pointer;

use super::document::DocumentRef;
use super::thread::ThreadRef;

/// Agents by id, and what is wrong with the definitions that are not among them.
#[derive(Debug)]
pub struct Agents {
    hosted: BTreeMap<String, Arc<Hosted>>,
    default: Option<Arc<Hosted>>,
    problems: Vec<Problem>,
}

/// One agent that can run.
pub struct Hosted {
    definition: Definition,
    agent: Box<dyn Agent>,
    may_write: Option<Arc<[Pointer]>>,
}

impl std::fmt::Debug for Hosted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hosted").field("id", &self.definition.id).finish_non_exhaustive()
    }
}

impl Agents {
    /// Reads a folder of definitions. A bad file disables its agent only and becomes a problem.
    pub fn load(folder: &Path) -> Self {
        let loaded = Folder::load(folder);
        let mut problems = loaded.problems;
        let default = folder::default_agent(&loaded.definitions).map(|definition| definition.id.clone());
        let mut hosted = BTreeMap::new();
        for definition in loaded.definitions.into_iter().filter(|definition| definition.enabled) {
            match Hosted::build(definition) {
                Ok(agent) => drop(hosted.insert(agent.id().to_owned(), Arc::new(agent))),
                Err(problem) => problems.push(problem),
            }
        }
        let default = default.and_then(|id| hosted.get(&id)).or_else(|| hosted.values().next()).cloned();
        Self { hosted, default, problems }
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The agent of an id; `default` is an alias where no definition has that id.
    pub fn find(&self, id: &str) -> Option<Arc<Hosted>> {
        let alias = || self.default.as_ref().filter(|_| id == "default");
        self.hosted.get(id).or_else(alias).cloned()
    }

    /// What `/info` lists: every agent, and `default` even where no definition has that id.
    pub fn listed(&self) -> impl Iterator<Item = (&str, &Arc<Hosted>)> {
        let alias =
            self.default.as_ref().filter(|_| !self.hosted.contains_key("default")).map(|agent| ("default", agent));
        alias.into_iter().chain(self.hosted.iter().map(|(id, agent)| (id.as_str(), agent)))
    }

    /// Every agent by its own id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Hosted>> {
        self.hosted.values()
    }
}

impl Hosted {
    fn build(definition: Definition) -> Result<Self, Problem> {
        let agent = match &definition.kind {
            Kind::Llm(model) => llm::build(&definition, model).map_err(|problem| *problem)?,
            Kind::Remote(remote) => remote::build(remote, &definition.state)
                .map_err(|reason| Problem::of_file(&definition.source, reason).of_agent(&definition.id))?,
            Kind::Native(native) => native::build(&native.name, &native.config)
                .map_err(|error| definition.config_problem(&error.path, &error.message))?,
        };
        let may_write = definition.state.write.as_ref().map(|paths| paths.iter().map(|path| pointer(path)).collect());
        Ok(Self { definition, agent, may_write })
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
        self.agent.run(cx).await
    }

    pub(super) fn initial_state(&self) -> Value {
        self.definition.state.initial.clone()
    }

    /// Whether the agent is told of the browser's tool of this name.
    pub(super) fn takes_client_tool(&self, name: &str) -> bool {
        self.definition.tools.client.allows(name)
    }

    /// Whether the agent is told the system and developer messages that clients send.
    pub(super) fn keeps_client_instructions(&self) -> bool {
        match &self.definition.kind {
            Kind::Llm(model) => model.history.client_system == ClientSystem::Keep,
            Kind::Remote(_) | Kind::Native(_) => false,
        }
    }

    /// Pointers below which the agent may write; `None` = everywhere.
    pub(super) fn may_write(&self) -> Option<Arc<[Pointer]>> {
        self.may_write.clone()
    }

    /// The agent's state document on a thread (docs/agents.md §6).
    pub(super) fn document(&self, principal: &Principal, thread: &ThreadRef) -> DocumentRef {
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
