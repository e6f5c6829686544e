//! The body of a chat completion: only what servers that call themselves compatible have in common.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::concessions::{Concession, Made};
use super::messages::{self, ChatMessage};
use crate::agent::definition::Params;
use crate::agent::model::Request;
use crate::agent::model::parts::parameters;

/// Members that the runtime writes itself, which `params.extra` must not have.
pub(in crate::agent::model) const OWN_MEMBERS: &[&str] = &[
    "model",
    "messages",
    "input",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "n",
    "functions",
    "function_call",
];

/// What is the same for every request to a server.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) model: String,
    pub(super) params: Params,
    /// OpenAI itself: it knows `developer`, and calls the limit of the output by its newer name.
    pub(super) is_openai: bool,
}

#[derive(Serialize)]
pub(super) struct Body<'r> {
    model: &'r str,
    messages: Vec<ChatMessage>,
    /// Without it async-openai's stream is empty and nobody says why.
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ChatTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
    #[serde(flatten)]
    extra: &'r Map<String, Value>,
}

#[derive(Serialize)]
struct ChatTool<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'r>,
}

#[derive(Serialize)]
struct Function<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'r str,
    parameters: &'r RawValue,
}

impl Shape {
    pub(super) fn body<'r>(&'r self, request: &'r Request, made: Made) -> Body<'r> {
        let params = &self.params;
        let limit = params.max_output_tokens;
        let is_new_name = self.is_openai != made.has(Concession::OtherLimitName);
        let developer = if self.is_openai && !made.has(Concession::NoDeveloper) { "developer" } else { "system" };
        let mut messages = messages::chat(&request.messages, developer);
        if made.has(Concession::StrictRoles) {
            messages = messages::strict(messages);
        }
        let forced = request.required_tool.as_ref();
        Body {
            model: &self.model,
            messages,
            stream: true,
            stream_options: (!made.has(Concession::NoUsage)).then(|| json!({ "include_usage": true })),
            tools: request.tools.iter().map(|tool| ChatTool { kind: "function", function: function(tool) }).collect(),
            tool_choice: forced.map(|name| json!({ "type": "function", "function": { "name": name } })),
            parallel_tool_calls: params.parallel_tool_calls.filter(|_| !request.tools.is_empty()),
            temperature: params.temperature,
            max_tokens: limit.filter(|_| !is_new_name),
            max_completion_tokens: limit.filter(|_| is_new_name),
            reasoning_effort: params.reasoning_effort.as_deref(),
            response_format: request.output.as_ref().filter(|_| !made.has(Concession::NoFormat)).map(|schema| {
                json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": schema, "strict": false } })
            }),
            extra: &params.extra,
        }
    }
}

fn function(tool: &crate::agui::Tool) -> Function<'_> {
    Function { name: &tool.name, description: &tool.description, parameters: parameters(tool) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::agui::{Message, Tool, to_json};

    fn shape(is_openai: bool) -> Shape {
        let params = Params {
            temperature: Some(0.5),
            max_output_tokens: Some(10),
            reasoning_effort: Some("low".to_owned()),
            parallel_tool_calls: Some(false),
            extra: json!({ "seed": 7 }).as_object().expect("an object").clone(),
        };
        Shape { model: "m".to_owned(), params, is_openai }
    }

    fn check(is_openai: bool, request: &Request, expected: Value) {
        let shape = shape(is_openai);
        let body = serde_json::to_value(shape.body(request, Made::default())).expect("JSON");
        assert_eq!(body, expected);
    }

    #[test]
    fn every_parameter_reaches_the_server_under_the_name_it_knows() {
        let hello = Request { messages: vec![Arc::new(Message::user("u", "hello"))], ..Request::default() };
        let messages = json!([{ "role": "user", "content": "hello" }]);
        let common = json!({
            "model": "m", "messages": messages, "stream": true, "stream_options": { "include_usage": true },
            "temperature": 0.5, "reasoning_effort": "low", "seed": 7,
        });
        let with = |more: Value| {
            let mut body = common.as_object().expect("an object").clone();
            body.extend(more.as_object().expect("an object").clone());
            Value::Object(body)
        };
        check(true, &hello, with(json!({ "max_completion_tokens": 10 })));
        check(false, &hello, with(json!({ "max_tokens": 10 })));
        let tool = |name: &str, parameters: Option<Value>| Tool {
            name: name.to_owned(),
            description: String::new(),
            parameters: parameters.map(|parameters| to_json(&parameters)),
            metadata: None,
        };
        let tools = vec![tool("a", None), tool("b", Some(json!({ "type": "object", "required": ["x"] })))];
        let calling = Request { tools, required_tool: Some("b".to_owned()), ..hello };
        check(
            false,
            &calling,
            with(json!({
                "max_tokens": 10,
                "tools": [
                    { "type": "function", "function": { "name": "a", "parameters": { "type": "object", "properties": {} } } },
                    { "type": "function", "function": { "name": "b", "parameters": { "type": "object", "required": ["x"] } } },
                ],
                "tool_choice": { "type": "function", "function": { "name": "b" } },
                "parallel_tool_calls": false,
            })),
        );
    }
}
