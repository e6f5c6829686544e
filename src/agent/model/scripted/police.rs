//! What a model's server refuses: requests whose tool answers do not match their tool calls, and tools that clash.

use std::collections::HashSet;

use crate::agent::model::Request;
use crate::agui::Message;

/// The error is a sentence.
pub(super) fn check(request: &Request) -> Result<(), String> {
    tools(request)?;
    let mut open: Vec<&str> = Vec::new();
    let mut called: HashSet<&str> = HashSet::new();
    for message in &request.messages {
        if let Message::Tool(result) = message.as_ref() {
            let call = result.tool_call_id.as_str();
            let Some(at) = open.iter().position(|id| *id == call) else {
                return Err(format!("the tool message `{}` answers no call before it ({call})", result.id));
            };
            open.swap_remove(at);
            continue;
        }
        if let Some(call) = open.first() {
            return Err(format!("the tool call `{call}` has no answer right after it"));
        }
        for call in message.tool_calls() {
            if call.id.is_empty() || call.function.name.is_empty() {
                return Err("a tool call has no id or no name".to_owned());
            }
            if !called.insert(&call.id) {
                return Err(format!("the tool call `{}` is there twice", call.id));
            }
            open.push(&call.id);
        }
    }
    match open.first() {
        Some(call) => Err(format!("the tool call `{call}` has no answer")),
        None if request.messages.is_empty() => Err("there are no messages".to_owned()),
        None => Ok(()),
    }
}

fn tools(request: &Request) -> Result<(), String> {
    let mut names: HashSet<&str> = HashSet::new();
    for tool in &request.tools {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if tool.name.is_empty() || tool.name.len() > 64 || !tool.name.chars().all(is_name) {
            return Err(format!("`{}` is no name of a tool", tool.name));
        }
        if !names.insert(&tool.name) {
            return Err(format!("the tool `{}` is offered twice", tool.name));
        }
    }
    match &request.required_tool {
        Some(required) if !names.contains(required.as_str()) => Err(format!("the tool `{required}` is not offered")),
        Some(_) | None => Ok(()),
    }
}
