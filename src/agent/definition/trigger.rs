//! What starts a run without a person (docs/agents.md §1, `triggers`).

use std::time::Duration;

use serde_json::Value;

use super::glob;
use super::schedule::Cron;
use super::secret::Secret;
use crate::state::pointer::Pointer;
use crate::state::watch::Place;

/// One trigger of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Its type, and a hash of what is written: it stays the same over restarts and over edits of other triggers.
    pub id: String,
    pub kind: TriggerKind,
    /// What the run is asked; without it, the trigger and the change as JSON.
    pub prompt: Option<String>,
    pub thread: TriggerThread,
    /// Whether the chat of the thread shows what the run was asked.
    pub visible: bool,
    /// As the file says it; secrets are still placeholders.
    pub written: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TriggerKind {
    State(StateTrigger),
    Cron {
        schedule: Box<Cron>,
        overlap: Overlap,
        catchup: Duration,
    },
    Interval {
        every: Duration,
        overlap: Overlap,
        catchup: Duration,
    },
    Webhook(Webhook),
    /// A run of this agent ended.
    Agent {
        agent: String,
        outcome: Outcome,
    },
    /// The process started.
    Start,
}

impl TriggerKind {
    /// The word the file uses, which is also the `type` of the cause.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::State(_) => "state",
            Self::Cron { .. } => "cron",
            Self::Interval { .. } => "interval",
            Self::Webhook(_) => "webhook",
            Self::Agent { .. } => "agent",
            Self::Start => "start",
        }
    }
}

/// Which thread a triggered run is on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TriggerThread {
    /// The thread of the document that fired, else one that the agent has for this document, or for itself.
    #[default]
    Own,
    /// A new one each time.
    New,
    Named(String),
}

/// A path of a document changed.
#[derive(Debug, Clone, PartialEq)]
pub struct StateTrigger {
    /// `type/id`, with `*` for any characters.
    pub doc: String,
    /// Absent means anywhere.
    pub path: Option<Place>,
    /// A minijinja expression over `old`, `new`, `state`, `doc` and `actor`; absent means always.
    pub when: Option<String>,
    /// How long it is quiet before the run starts; several changes in that time are one run.
    pub debounce: Duration,
    /// Who has to have written it; absent means anyone but the agent itself.
    pub from: Option<Vec<String>>,
}

impl StateTrigger {
    /// Whether a document, `type/id`, is watched.
    pub fn watches(&self, document: &str) -> bool {
        glob::matches(&self.doc, document)
    }

    /// Whether the trigger of `agent` listens to what `actor` writes: `user:ada`, `agent:planner`, `service:ci`, `system`.
    pub fn hears(&self, actor: &str, agent: &str) -> bool {
        let Some(from) = &self.from else { return actor.strip_prefix("agent:") != Some(agent) };
        let kind = actor.split_once(':').map_or(actor, |(kind, _)| kind);
        from.iter().any(|wanted| wanted == actor || wanted == kind)
    }
}

/// What a firing does while the last run of the same trigger has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// Nothing: it is left out.
    #[default]
    Skip,
    /// One run waits.
    Queue,
    /// It starts beside the other, if the agent's concurrency allows.
    Allow,
}

/// How a run ended, as an agent's end is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    Success,
    Failure,
    #[default]
    Any,
}

/// `POST /hooks/{agent}/{name}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    pub name: String,
    pub verify: Option<Verify>,
    pub idempotency: Option<Idempotency>,
    /// Where in the agent's state the values of these expressions over `body` and `headers` go before the run.
    pub map: Vec<(Pointer, String)>,
}

/// A signature over the body.
#[derive(Debug, Clone, PartialEq)]
pub struct Verify {
    pub hmac_sha256: Secret,
    /// Lower-case.
    pub header: String,
}

/// What tells a repeated delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// Lower-case name.
    Header(String),
    Body(Pointer),
}

impl Idempotency {
    /// Reads `header:NAME` or `body:/pointer`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("header", name) if !name.is_empty() => Some(Self::Header(name.to_ascii_lowercase())),
            ("body", pointer) => Pointer::parse(pointer).ok().map(Self::Body),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_hears_anyone_but_its_own_agent_unless_it_says_whom() {
        let hears = |from: Option<&[&str]>, actor: &str| {
            let from = from.map(|from| from.iter().map(|actor| (*actor).to_owned()).collect());
            let trigger =
                StateTrigger { doc: "task/*".to_owned(), path: None, when: None, debounce: Duration::ZERO, from };
            trigger.hears(actor, "worker")
        };
        for (from, actor, expected) in [
            (None, "user:ada", true),
            (None, "agent:planner", true),
            (None, "agent:worker", false),
            (None, "system", true),
            (Some(&["user"][..]), "user:ada", true),
            (Some(&["user"]), "agent:planner", false),
            (Some(&["user:ada"]), "user:bob", false),
            (Some(&["agent"]), "agent:worker", true),
            (Some(&["agent:intake", "service"]), "service:ci", true),
            (Some(&["agent:intake"]), "agent:intake2", false),
        ] {
            assert_eq!(hears(from, actor), expected, "{from:?} {actor}");
        }
    }
}
