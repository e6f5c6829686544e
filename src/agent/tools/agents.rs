//! Other agents as tools: one that answers a question (`type: agent`), and one that takes the conversation over (`handoffs`).

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::input::Input;
use super::{Call, Tool, refused, spec};
use crate::agent::context::{Asking, RunContext};
use crate::agent::definition::AgentTool;
use crate::agent::error::AgentError;
use crate::agui;

/// An agent that is asked something and answers, in a run of its own.
pub(in crate::agent) struct Colleague {
    name: String,
    definition: AgentTool,
    input: Input,
}

impl Colleague {
    /// The error names the field of the tool that is wrong with it.
    pub(in crate::agent) fn build(name: &str, definition: &AgentTool) -> Result<Self, (&'static str, String)> {
        let question = json!({
            "type": "object",
            "properties": { "prompt": { "type": "string", "description": "what you ask; it knows nothing else of this conversation" } },
            "required": ["prompt"],
        });
        let question = question.as_object().expect("it is written as one");
        let input = Input::compile(Some(definition.input.as_ref().unwrap_or(question)));
        let input = input.map_err(|message| ("input", message))?;
        Ok(Self { name: name.to_owned(), definition: definition.clone(), input })
    }
}

#[async_trait]
impl Tool for Colleague {
    fn spec(&self) -> agui::Tool {
        let description = match self.definition.description.as_str() {
            "" => format!("Asks the agent `{}` and answers what it says.", self.definition.agent),
            description => description.to_owned(),
        };
        spec(&self.name, description, self.input.schema())
    }

    /// A call that is made again means the run that it started before.
    fn is_idempotent(&self) -> bool {
        true
    }

    fn timeout(&self) -> Duration {
        self.definition.timeout
    }

    async fn call(&self, cx: &RunContext, call: Call<'_>) -> Result<Value, AgentError> {
        if let Some(fault) = self.input.fault(call.arguments) {
            return Ok(refused("invalid_arguments", &fault));
        }
        let answered = cx.run_agent(&self.definition.agent, call.id, prompt(call.arguments), Asking::ToAnswer).await?;
        Ok(match answered {
            Ok(answer) => json!({ "ok": true, "answer": answer.text, "run_id": answer.run_id }),
            Err(refusal) => refused(&refusal.code, &refusal.message),
        })
    }
}

/// The only text among the arguments, or all of them as JSON.
fn prompt(arguments: &Map<String, Value>) -> String {
    match arguments.get("prompt") {
        Some(Value::String(prompt)) if arguments.len() == 1 => prompt.clone(),
        _ => Value::Object(arguments.clone()).to_string(),
    }
}

/// An agent that answers next in this conversation.
pub(in crate::agent) struct Handoff {
    agent: String,
    description: String,
}

impl Handoff {
    pub(in crate::agent) const PREFIX: &'static str = "handoff_to_";

    pub(in crate::agent) fn new(agent: &str) -> Self {
        let description = format!(
            "Hands this conversation over to the agent `{agent}`, which answers next and sees all of it. Your part ends with it."
        );
        Self { agent: agent.to_owned(), description }
    }
}

#[async_trait]
impl Tool for Handoff {
    fn spec(&self) -> agui::Tool {
        let message = json!({ "type": "string", "description": "what the other agent should know or do" });
        let parameters = json!({ "type": "object", "properties": { "message": message } });
        spec(&format!("{}{}", Self::PREFIX, self.agent), self.description.clone(), &parameters)
    }

    /// A call that is made again means the run that it started before.
    fn is_idempotent(&self) -> bool {
        true
    }

    async fn call(&self, cx: &RunContext, call: Call<'_>) -> Result<Value, AgentError> {
        let message = call.arguments.get("message").and_then(Value::as_str).unwrap_or_default();
        let taken = cx.run_agent(&self.agent, call.id, message.to_owned(), Asking::ToGoOn).await?;
        Ok(match taken {
            Ok(answer) => json!({ "ok": true, "run_id": answer.run_id }),
            Err(refusal) => refused(&refusal.code, &refusal.message),
        })
    }
}
