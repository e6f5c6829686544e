//! The body of a request for a message.

use serde_json::{Value, json};

use super::messages;
use crate::agent::definition::Params;
use crate::agent::model::parts::{parameters, unsealed};
use crate::agent::model::{ModelName, Request};
use crate::agui::Message;

/// Members that the runtime writes itself, which `params.extra` must not have.
pub(in crate::agent::model) const OWN_MEMBERS: &[&str] =
    &["model", "messages", "system", "stream", "tools", "tool_choice"];
/// The provider asks for a limit; this is the one of models that say nothing of their own.
const OUTPUT_TOKENS: u32 = 8192;

/// What is the same for every request to a server.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) model: String,
    pub(super) params: Params,
}

/// How a model is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// For so many tokens.
    ByTokens,
    /// As hard as it finds right for an effort.
    ByEffort,
}

impl Shape {
    pub(super) fn body(&self, request: &Request, by: &ModelName, thinking: Thinking) -> Value {
        let params = &self.params;
        let (system, messages) = messages::conversation(&request.messages, by);
        let limit = params.max_output_tokens.unwrap_or(OUTPUT_TOKENS);
        let mut body = json!({ "model": self.model, "max_tokens": limit, "messages": messages, "stream": true });
        if !system.is_empty() {
            // What stands in front is the same from request to request: it is kept there.
            body["system"] = json!([{ "type": "text", "text": system, "cache_control": { "type": "ephemeral" } }]);
        }
        if !request.tools.is_empty() {
            let tool = |tool: &crate::agui::Tool| json!({ "name": tool.name, "description": tool.description, "input_schema": parameters(tool) });
            body["tools"] = request.tools.iter().map(tool).collect();
            let one_by_one = params.parallel_tool_calls == Some(false);
            match &request.required_tool {
                Some(name) => body["tool_choice"] = json!({ "type": "tool", "name": name }),
                None if one_by_one => body["tool_choice"] = json!({ "type": "auto" }),
                None => {}
            }
            if one_by_one {
                body["tool_choice"]["disable_parallel_tool_use"] = true.into();
            }
        }
        match params.reasoning_effort.as_deref().filter(|_| may_think(request, by)) {
            Some(effort) if thinking == Thinking::ByEffort => {
                body["thinking"] = json!({ "type": "adaptive" });
                body["output_config"] = json!({ "effort": effort });
            }
            Some(effort) => {
                if let Some(tokens) = thinking_tokens(effort) {
                    body["thinking"] = json!({ "type": "enabled", "budget_tokens": tokens });
                    // What is thought counts to the limit.
                    body["max_tokens"] = (limit + tokens).into();
                }
            }
            None => {}
        }
        // A model that thinks takes no other temperature than its own.
        if let (Some(temperature), None) = (params.temperature, body.get("thinking")) {
            body["temperature"] = temperature.min(1.0).into();
        }
        for (name, value) in &params.extra {
            body[name] = value.clone();
        }
        body
    }
}

/// A model that has to call a tool cannot think first, and one that goes on from its calls only with what it thought then.
fn may_think(request: &Request, by: &ModelName) -> bool {
    let mut since_user =
        request.messages.iter().rev().take_while(|message| !matches!(message.as_ref(), Message::User(_)));
    let forgot = since_user.any(|message| match message.as_ref() {
        Message::Assistant(answer) => !message.tool_calls().is_empty() && unsealed(answer, by).is_empty(),
        _ => false,
    });
    request.required_tool.is_none() && !forgot
}

/// `None` for an effort that means not to think.
fn thinking_tokens(effort: &str) -> Option<u32> {
    match effort {
        "none" | "minimal" => None,
        "low" => Some(2048),
        "high" => Some(16_384),
        "xhigh" | "max" => Some(32_768),
        _ => Some(8192),
    }
}
