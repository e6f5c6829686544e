//! What can go wrong inside a run, sorted by who must react.

use thiserror::Error;

use crate::agui::TokenUsage;

/// The end of a run that failed: becomes `RUN_ERROR {message, code}` (codes: docs/agents.md §6).
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{message}")]
pub struct AgentError {
    pub code: String,
    /// A sentence for the person who reads the chat.
    pub message: String,
    /// What the run cost until then.
    pub usage: Vec<TokenUsage>,
}

impl AgentError {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), usage: Vec::new() }
    }

    /// The host no longer listens; whatever the agent returns now is ignored.
    pub fn run_is_over() -> Self {
        Self::new("interrupted", "the run is over")
    }
}

/// Why the agent's state was not read or written. An agent may try something else or give up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// The mutation was refused and nothing of it applied; `code` is one of docs/state-api.md §2.
    #[error("{message}")]
    Refused { code: &'static str, message: String, version: u64 },
    #[error("the store is unavailable: {reason}")]
    Unavailable { reason: String },
    #[error("the run is over")]
    RunIsOver,
}

impl From<StateError> for AgentError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::RunIsOver => Self::run_is_over(),
            StateError::Refused { .. } | StateError::Unavailable { .. } => {
                Self::new("internal", format!("the agent's state could not be used: {error}"))
            }
        }
    }
}
