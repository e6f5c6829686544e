//! What starts a run without a person (docs/agents.md §1, `triggers`), as the checks of a folder need it.

use serde_json::Value;

/// One trigger of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    pub kind: TriggerKind,
    /// As the file says it; secrets are still placeholders.
    pub written: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TriggerKind {
    /// A path of a document changed.
    State {
        /// `type/id`, with `*` for any characters.
        doc: String,
        /// A pointer in which `*` stands for any one member; absent means anywhere.
        path: Option<String>,
        /// Who has to have written it; absent means anyone but the agent itself.
        from: Option<Vec<String>>,
    },
    Cron,
    Interval,
    Webhook,
    /// A run of this agent ended.
    Agent {
        agent: String,
    },
    /// The process started.
    Start,
}
