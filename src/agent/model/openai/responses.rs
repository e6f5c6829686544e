//! OpenAI's responses: what is asked, and the pieces of what comes back, by the `type` of each event and nothing else that
//! compatible servers leave out.

mod input;
mod pieces;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::concessions::{Concession, Made};
use super::request::Shape;
use crate::agent::model::parts::parameters;
use crate::agent::model::{ModelName, Request};

pub(super) use pieces::Assembler;

/// The body of a request. The server keeps nothing: every request tells the whole conversation.
pub(super) fn body(shape: &Shape, by: &ModelName, request: &Request, made: Made) -> Value {
    let params = &shape.params;
    let developer = if made.has(Concession::NoDeveloper) { "system" } else { "developer" };
    let mut body = json!({
        "model": shape.model,
        "input": input::items(&request.messages, by, developer),
        "stream": true,
        "store": false,
    });
    let mut say = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    let tool = |tool: &crate::agui::Tool| {
        json!({
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters(tool),
            // What is strict has to say more than tools of the browser and of MCP servers do.
            "strict": false,
        })
    };
    let has_tools = !request.tools.is_empty();
    say("tools", has_tools.then(|| request.tools.iter().map(tool).collect()));
    say("tool_choice", request.required_tool.as_ref().map(|name| json!({ "type": "function", "name": name })));
    say("parallel_tool_calls", params.parallel_tool_calls.filter(|_| has_tools).map(Value::from));
    say("temperature", params.temperature.map(Value::from));
    say("max_output_tokens", params.max_output_tokens.map(Value::from));
    say("reasoning", reasoning(params.reasoning_effort.as_deref(), made));
    say(
        "include",
        (params.reasoning_effort.is_some() && !made.has(Concession::NoSealedReasoning))
            .then(|| json!(["reasoning.encrypted_content"])),
    );
    let format = |schema: &Value| json!({ "format": { "type": "json_schema", "name": "answer", "schema": schema, "strict": false } });
    say("text", request.output.as_ref().filter(|_| !made.has(Concession::NoFormat)).map(format));
    for (name, value) in &params.extra {
        say(name, Some(value.clone()));
    }
    body
}

fn reasoning(effort: Option<&str>, made: Made) -> Option<Value> {
    let effort = effort?;
    Some(match made.has(Concession::NoSummary) {
        true => json!({ "effort": effort }),
        false => json!({ "effort": effort, "summary": "auto" }),
    })
}
