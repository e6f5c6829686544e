//! Why a run is there, and through which runs that came about (docs/agents.md §6).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What started a run. It travels with the run, its commits (by the run's record) and whatever the run starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    #[serde(rename = "type")]
    pub kind: CauseKind,
    /// The agent whose run or whose end it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The document that fired, `type/id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// The trigger's own name, such as that of a webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The run that brought it about, the last of `chain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The runs before it, the first one first; empty for one that a person or the API started.
    pub chain: Vec<String>,
    /// How far from the first one: 0 for what a person or the API started, also when it goes on with a chain.
    pub depth: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A person, over CopilotKit, AG-UI or a socket.
    User,
    Api,
    State,
    Cron,
    Interval,
    Webhook,
    Agent,
    Start,
}

impl Cause {
    /// Nothing came before.
    pub fn first(kind: CauseKind) -> Self {
        Self { kind, agent: None, doc: None, name: None, run_id: None, chain: Vec::new(), depth: 0 }
    }

    pub fn user() -> Self {
        Self::first(CauseKind::User)
    }

    /// Of something that `run_id`, whose own cause this is, brings about.
    pub fn after(&self, run_id: &str, kind: CauseKind) -> Self {
        let mut chain = self.chain.clone();
        chain.push(run_id.to_owned());
        Self { kind, run_id: Some(run_id.to_owned()), chain, depth: self.depth + 1, ..Self::first(kind) }
    }

    /// The run with which the chain of the run `run_id`, whose cause this is, began.
    pub fn root<'c>(&'c self, run_id: &'c str) -> &'c str {
        self.chain.first().map_or(run_id, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_grows_by_the_run_that_goes_before() {
        let first = Cause::first(CauseKind::Api);
        let second = first.after("r1", CauseKind::State);
        let third = Cause { doc: Some("task/a".to_owned()), ..second.after("r2", CauseKind::State) };
        assert_eq!((first.root("r1"), third.root("r3")), ("r1", "r1"));
        assert_eq!((third.depth, third.run_id.as_deref()), (2, Some("r2")));
        let written = r#"{"type":"state","doc":"task/a","run_id":"r2","chain":["r1","r2"],"depth":2}"#;
        assert_eq!(serde_json::to_string(&third).expect("plain data"), written);
        assert_eq!(serde_json::from_str::<Cause>(written).expect("as it is written"), third);
    }
}
