//! What a definition says of the tools its agent may call (docs/agents.md §1, `tools`).

use super::glob;

/// The tools of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tools {
    pub state: StateTools,
    pub client: ClientTools,
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
