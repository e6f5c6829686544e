//! The tools of an agent: its own, which run here, and the browser's, which end the run and are answered by the next.

mod limits;
mod reach;
mod state_patch;
mod state_read;
mod state_set;
mod typed;

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

use crate::agent::context::{RunContext, RunInput};
use crate::agent::definition::{Definition, McpChoice, NamedTool};
use crate::agent::error::AgentError;
use crate::agent::tools::agents::{Colleague, Handoff};
use crate::agent::tools::http::Http;
use crate::agent::tools::mcp::{Server, Servers};
use crate::agent::tools::{Tool, refused};
use crate::agui::{self, Message, ToolCall};
pub(super) use limits::Outcome;
use reach::Reach;
use state_patch::StatePatch;
use state_read::StateRead;
use state_set::StateSet;
use typed::Typed;

/// The tool that CopilotKit's requests for suggestions have to have called.
const SUGGEST: &str = "copilotkitSuggest";

/// The tools that an agent has of its own.
pub(super) struct Toolbox {
    tools: Vec<Own>,
    /// Whose tools are known when they are asked.
    servers: Vec<Server>,
}

#[derive(Clone)]
struct Own {
    spec: agui::Tool,
    tool: Arc<dyn Tool>,
}

impl Own {
    fn new(tool: Arc<dyn Tool>) -> Self {
        Self { spec: tool.spec(), tool }
    }
}

/// What one run offers the model.
pub(super) struct Offer {
    pub(super) tools: Vec<agui::Tool>,
    pub(super) required: Option<String>,
    /// Those of `tools` that run here.
    own: Vec<Own>,
}

impl Toolbox {
    /// The error names the field that is wrong.
    pub(super) fn new(definition: &Definition, servers: &Servers) -> Result<Self, (String, String)> {
        let (said, reach) = (&definition.tools, Reach::of(definition));
        let mut own: Vec<Arc<dyn Tool>> = Vec::new();
        if said.state.read {
            own.push(Arc::new(StateRead::new(reach.clone())));
        }
        if said.state.patch && reach.can_write() {
            let typed = Typed::of(definition);
            own.push(Arc::new(StatePatch::new(reach.clone(), typed.clone())));
            own.push(Arc::new(StateSet::new(reach, typed)));
        }
        let mut asked = Vec::new();
        for (name, tool) in &said.named {
            match tool {
                NamedTool::Agent(agent) => {
                    let built = Colleague::build(name, agent);
                    own.push(Arc::new(built.map_err(|(field, message)| (format!("tools.{name}.{field}"), message))?));
                }
                NamedTool::Http(http) => {
                    let built = Http::build(name, http);
                    own.push(Arc::new(built.map_err(|(field, message)| (format!("tools.{name}.{field}"), message))?));
                }
                NamedTool::Mcp(mcp) => match &mcp.server {
                    McpChoice::Here(server) => asked.push(Server::new(name, mcp, server, servers)),
                    McpChoice::Named(server) => {
                        let message = format!("no server `{server}` is named in _shared/mcp.yaml");
                        return Err((format!("tools.{name}"), message));
                    }
                },
            }
        }
        own.extend(definition.handoffs.iter().map(|agent| Arc::new(Handoff::new(agent)) as Arc<dyn Tool>));
        Ok(Self { tools: own.into_iter().map(Own::new).collect(), servers: asked })
    }

    /// The specs of the agent's own tools, as far as they are known without asking anybody.
    pub(super) fn specs(&self) -> impl Iterator<Item = &agui::Tool> {
        self.tools.iter().map(|own| &own.spec)
    }

    /// The agent's own tools, then the browser's; a browser's tool of the same name stays behind. A run that has to call
    /// one of the browser's tools is offered nothing else.
    pub(super) async fn offer(&self, input: &RunInput) -> Offer {
        if let Some(tool) = required_tool(input) {
            return Offer { tools: vec![tool.clone()], required: Some(tool.name.clone()), own: Vec::new() };
        }
        let mut own = self.tools.clone();
        for tool in join_all(self.servers.iter().map(Server::tools)).await.into_iter().flatten().map(Own::new) {
            if own.iter().any(|known| known.spec.name == tool.spec.name) {
                tracing::warn!(tool = tool.spec.name, "two tools have the same name; the second is left out");
            } else {
                own.push(tool);
            }
        }
        let mut tools: Vec<agui::Tool> = own.iter().map(|own| own.spec.clone()).collect();
        for tool in &input.tools {
            if tools.iter().any(|known| known.name == tool.name) {
                tracing::warn!(tool = tool.name, "the browser offers a tool whose name is taken; it is left out");
            } else {
                tools.push(tool.clone());
            }
        }
        Offer { tools, required: None, own }
    }
}

impl Offer {
    /// Whether a call of this name ends the run and is answered by the browser.
    pub(super) fn is_browsers(&self, name: &str) -> bool {
        self.find(name).is_none() && self.tools.iter().any(|tool| tool.name == name)
    }

    /// Whether a call of this name may be made again when its outcome is unknown. A call of no tool does nothing.
    pub(super) fn is_idempotent(&self, name: &str) -> bool {
        self.find(name).is_none_or(Tool::is_idempotent)
    }

    /// Whether a call of this name hands the conversation over.
    pub(super) fn is_handoff(&self, name: &str) -> bool {
        name.starts_with(Handoff::PREFIX) && self.find(name).is_some()
    }

    /// Runs a call of the agent's own tools.
    pub(super) async fn call(&self, cx: &RunContext, call: &ToolCall) -> Result<Outcome, AgentError> {
        let name = &call.function.name;
        let Some(tool) = self.find(name) else {
            let names: Vec<_> = self.tools.iter().map(|tool| tool.name.as_str()).collect();
            let error = format!("there is no tool `{name}`: there are {}", names.join(", "));
            return Ok(refused("unknown_tool", &error).into());
        };
        limits::call(tool, cx, &call.id, &call.function.arguments).await
    }

    fn find(&self, name: &str) -> Option<&dyn Tool> {
        self.own.iter().find(|own| own.spec.name == name).map(|own| own.tool.as_ref())
    }
}

/// The document (`None` = the agent's own state) that the result of a state tool shows, and at which version. That a write was
/// made shows nothing of what others wrote.
pub(super) fn shown(call: &ToolCall, result: &Message) -> Option<(Option<String>, u64)> {
    let is_read = match call.function.name.as_str() {
        StateRead::NAME => true,
        StatePatch::NAME | StateSet::NAME => false,
        _ => return None,
    };
    let result: Value = serde_json::from_str(&result.text()).ok()?;
    let version = result.get("version")?.as_u64().filter(|_| is_read || result["ok"] == false)?;
    let arguments: Value = serde_json::from_str(&call.function.arguments).unwrap_or_default();
    let document = arguments.get("doc").and_then(Value::as_str).filter(|name| !name.is_empty());
    Some((document.map(str::to_owned), version))
}

/// A result with something that the runtime has to say about it.
pub(super) fn with_note(result: String, note: &str) -> String {
    match serde_json::from_str::<Value>(&result) {
        Ok(Value::Object(mut members)) => {
            members.insert("note".to_owned(), note.into());
            Value::Object(members).to_string()
        }
        Ok(_) | Err(_) => format!("{result}\n[{note}]"),
    }
}

/// The browser's tool that the run has to call (`forwardedProps.toolChoice`, or a request for suggestions).
fn required_tool(input: &RunInput) -> Option<&agui::Tool> {
    let props: Option<Value> = input.forwarded_props.as_ref().and_then(|props| serde_json::from_str(props.get()).ok());
    let chosen = props.as_ref().and_then(|props| props.pointer("/toolChoice/function/name")).and_then(Value::as_str);
    let is_suggestion = || input.tools.len() == 1 && input.tools[0].name == SUGGEST;
    let wanted = chosen.or_else(|| is_suggestion().then_some(SUGGEST))?;
    input.tools.iter().find(|tool| tool.name == wanted)
}

#[cfg(test)]
mod tests;
