//! One agent as it is listed: what it is, whether it can run, and what is wrong with its file.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::agent::definition::{Definition, Problem, StateSpec};
use crate::agent::folder::Broken;

use super::hosted::Hosted;
use super::used::{UsageView, Used};

/// An agent that the folder names, whether it can run or not.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(super) id: String,
    pub(super) standing: Standing,
    /// What is wrong with the file as it is now. A ready agent with errors is served as it last was without.
    pub(super) errors: Vec<Problem>,
    pub(super) used: Arc<Used>,
}

/// Whether an agent can run.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    Ready(Arc<Hosted>),
    /// Its definition says `enabled: false`.
    Disabled(Arc<Definition>),
    /// It was read, and cannot be built.
    Unbuilt(Arc<Definition>),
    /// It could not be read, and never was.
    Invalid(Broken),
}

/// Why an agent that is listed cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    Invalid,
    Disabled,
}

/// `GET /v1/agents/{id}` (docs/agents.md §6).
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentView {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `null` when the file does not even say that.
    pub kind: Option<String>,
    /// `ready`, `invalid`, `disabled` or `paused`.
    pub status: &'static str,
    pub errors: Vec<ErrorView>,
    /// Of the definition that runs; of the file when none does.
    pub hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateView>,
    pub triggers: Vec<Value>,
    pub usage: UsageView,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorView {
    pub file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub message: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StateView {
    pub scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

impl Entry {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The agent, or why it cannot run.
    pub fn hosted(&self) -> Result<&Arc<Hosted>, Unfit> {
        match &self.standing {
            Standing::Ready(hosted) => Ok(hosted),
            Standing::Disabled(_) => Err(Unfit::Disabled),
            Standing::Unbuilt(_) | Standing::Invalid(_) => Err(Unfit::Invalid),
        }
    }

    /// What is wrong with its file as it is now.
    pub fn errors(&self) -> &[Problem] {
        &self.errors
    }

    /// `ready`, `invalid` or `disabled`.
    pub fn status(&self) -> &'static str {
        match self.hosted() {
            Ok(_) => "ready",
            Err(Unfit::Disabled) => "disabled",
            Err(Unfit::Invalid) => "invalid",
        }
    }

    pub fn view(&self) -> AgentView {
        let definition = self.definition();
        let description = match &self.standing {
            Standing::Ready(hosted) => Some(hosted.description()),
            _ => definition.map(|definition| definition.description.clone()),
        };
        let (kind, hash) = match &self.standing {
            Standing::Invalid(broken) => (broken.kind.clone(), broken.hash.clone()),
            _ => (
                definition.map(|definition| definition.kind.as_str().to_owned()),
                definition.map(|definition| definition.hash.clone()).unwrap_or_default(),
            ),
        };
        AgentView {
            id: self.id.clone(),
            name: definition.map(|definition| definition.name.clone()),
            description: description.filter(|description| !description.is_empty()),
            kind,
            status: self.status(),
            errors: self.errors.iter().map(ErrorView::of).collect(),
            hash,
            state: definition.map(|definition| StateView::of(&definition.state)),
            triggers: definition.iter().flat_map(|it| &it.triggers).map(|trigger| trigger.written.clone()).collect(),
            usage: self.used.view(),
        }
    }

    /// Whether nobody could tell this entry from another.
    pub(super) fn tells_the_same_as(&self, other: &Self) -> bool {
        let same = match (&self.standing, &other.standing) {
            (Standing::Ready(one), Standing::Ready(other)) => Arc::ptr_eq(one, other),
            (Standing::Disabled(one), Standing::Disabled(other))
            | (Standing::Unbuilt(one), Standing::Unbuilt(other)) => one == other,
            (Standing::Invalid(one), Standing::Invalid(other)) => one == other,
            _ => false,
        };
        same && self.id == other.id && self.errors == other.errors
    }

    fn definition(&self) -> Option<&Arc<Definition>> {
        match &self.standing {
            Standing::Ready(hosted) => Some(hosted.definition()),
            Standing::Disabled(definition) | Standing::Unbuilt(definition) => Some(definition),
            Standing::Invalid(_) => None,
        }
    }
}

impl StateView {
    fn of(state: &StateSpec) -> Self {
        let schema = state.schema.as_ref().and_then(|form| form.schema.as_ref());
        Self { scope: state.scope.to_string(), schema: schema.map(|schema| schema.source().clone()) }
    }
}

impl ErrorView {
    fn of(problem: &Problem) -> Self {
        let file: &Path = &problem.file;
        Self {
            file: file.display().to_string(),
            line: problem.line,
            column: problem.column,
            path: problem.path.clone(),
            message: problem.message.clone(),
        }
    }
}
