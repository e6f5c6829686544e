//! An agent that thinks aloud about the shared state and uses a tool of the page, when the page offers one.

mod choice;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::suggest::{self, Offer, suggest};
use super::voice::Voice;
use crate::agent::config::{ConfigError, Entry, pace};
use crate::agent::{Agent, AgentError, Descriptor, RunContext, RunOutcome};
use crate::agui::{AgentCapabilities, Message, ReasoningCapabilities, ToolCapabilities};
use crate::state::pointer::Pointer;

const DEFAULT_PACE: Duration = Duration::from_millis(40);
/// How many characters of a tool's answer are repeated.
const REPEATED_CHARS: usize = 300;

const OFFERS: &[Offer] = &[("What do you see?", "What do you see?"), ("Make it teal", "Make the page teal")];

pub(super) struct Guide {
    pace: Duration,
}

impl Guide {
    pub(super) fn new(config: &Value) -> Result<Self, ConfigError> {
        Ok(Self { pace: pace(&Entry::root(config), &[], DEFAULT_PACE)? })
    }
}

#[async_trait]
impl Agent for Guide {
    fn descriptor(&self) -> Descriptor {
        let capabilities = AgentCapabilities {
            tools: Some(ToolCapabilities {
                supported: Some(true),
                client_provided: Some(true),
                ..ToolCapabilities::default()
            }),
            reasoning: Some(ReasoningCapabilities {
                supported: Some(true),
                streaming: Some(true),
                ..ReasoningCapabilities::default()
            }),
            ..AgentCapabilities::default()
        };
        Descriptor {
            description: "Thinks aloud about the shared state and uses a tool of the page".to_owned(),
            capabilities,
        }
    }

    async fn run(&self, cx: RunContext) -> Result<RunOutcome, AgentError> {
        let mut voice = Voice::new(&cx, self.pace);
        if suggest::is_asked(&voice) {
            suggest(&mut voice, OFFERS).await?;
            return Ok(RunOutcome::default());
        }
        let state = cx.read_state(&Pointer::root()).await?.value.unwrap_or(Value::Null);
        let seen = choice::described(&state);
        if let Some(Message::Tool(result)) = cx.input().messages.last().map(AsRef::as_ref) {
            let answer: String = result.content.text().chars().take(REPEATED_CHARS).collect();
            voice.reason(&format!("The page has answered. {seen}")).await?;
            voice.say(&format!("The page answered: {answer}. {seen}")).await?;
            return Ok(RunOutcome::default());
        }
        let asked = cx.input().last_user_text();
        match choice::tool(&cx.input().tools, &asked) {
            Some(tool) => {
                voice.reason(&format!("{seen} The page offers `{}`: I use it to show something.", tool.name)).await?;
                voice.say(&format!("{seen} Watch the page.")).await?;
                voice.call(&tool.name, &choice::arguments(tool, &asked, &state)).await?;
            }
            None => {
                voice.reason(&format!("{seen} The page offers no tool.")).await?;
                let hint = "This page offers me no tool to use, so I can only talk.";
                voice.say(&format!("{seen} {hint}")).await?;
            }
        }
        Ok(RunOutcome::default())
    }
}
