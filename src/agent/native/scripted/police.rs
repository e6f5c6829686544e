//! The check that a model's server makes of every history: calls and results belong together.

use std::collections::HashSet;

use crate::agent::context::RunInput;
use crate::agent::error::AgentError;
use crate::agui::{Message, Role};

/// Fails for a call before the last user message that has no result, and for a result without its call.
pub(super) fn check(input: &RunInput) -> Result<(), AgentError> {
    let refuse = |message: String| Err(AgentError::new("provider_error", message));
    let results = input.messages.iter().filter_map(|message| match message.as_ref() {
        Message::Tool(result) => Some(result.tool_call_id.as_str()),
        Message::Developer(_)
        | Message::System(_)
        | Message::User(_)
        | Message::Assistant(_)
        | Message::Activity(_)
        | Message::Reasoning(_) => None,
    });
    let answered: HashSet<&str> = results.clone().collect();
    let last_user = input.messages.iter().rposition(|message| message.role() == Role::User).unwrap_or(0);
    let unanswered = input.messages[..last_user]
        .iter()
        .flat_map(|message| message.tool_calls())
        .find(|call| !answered.contains(call.id.as_str()));
    if let Some(call) = unanswered {
        return refuse(format!("unanswered tool call {} of {}", call.id, call.function.name));
    }
    let called: HashSet<&str> =
        input.messages.iter().flat_map(|message| message.tool_calls()).map(|call| call.id.as_str()).collect();
    match results.clone().find(|id| !called.contains(id)) {
        Some(id) => refuse(format!("tool result without its call {id}")),
        None => Ok(()),
    }
}
