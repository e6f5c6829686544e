//! An agent that answers by script, for tests and demos. It refuses histories that a model's server would refuse.

mod perform;
mod police;
mod script;
#[cfg(test)]
mod tests;
mod words;

use async_trait::async_trait;
use serde_json::Value;

use crate::agent::config::ConfigError;
use crate::agent::{Agent, AgentError, Descriptor, RunContext, RunOutcome};
use crate::agui::{AgentCapabilities, HumanInTheLoop, ReasoningCapabilities, StateCapabilities, ToolCapabilities};
use script::Script;

pub(super) struct Scripted {
    script: Script,
}

impl Scripted {
    pub(super) fn new(config: &Value) -> Result<Self, ConfigError> {
        Ok(Self { script: Script::read(config)? })
    }
}

#[async_trait]
impl Agent for Scripted {
    fn descriptor(&self) -> Descriptor {
        let capabilities = AgentCapabilities {
            tools: Some(ToolCapabilities {
                supported: Some(true),
                client_provided: Some(true),
                ..ToolCapabilities::default()
            }),
            state: Some(StateCapabilities { deltas: Some(true), ..StateCapabilities::default() }),
            reasoning: Some(ReasoningCapabilities {
                supported: Some(true),
                streaming: Some(true),
                ..ReasoningCapabilities::default()
            }),
            human_in_the_loop: Some(HumanInTheLoop {
                supported: Some(true),
                interrupts: Some(true),
                ..HumanInTheLoop::default()
            }),
            ..AgentCapabilities::default()
        };
        Descriptor { description: "Answers by script".to_owned(), capabilities }
    }

    async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError> {
        police::check(cx.input())?;
        let asked = words::Asked::of(cx.input());
        match self.script.turns.iter().find(|turn| asked.matches(&turn.when)) {
            Some(turn) => perform::perform(&cx, &self.script, &asked, &turn.acts).await,
            None => {
                let message = format!("no turn of the script answers `{}`", asked.message);
                Err(AgentError::new("no_turn", message))
            }
        }
    }
}
