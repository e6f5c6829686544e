//! The tools of an agent: its own, which run here, and the browser's, which end the run and are answered by the next.

mod state_patch;
mod state_read;
mod state_set;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::state::Scope;
use crate::agent::context::{RunContext, RunInput};
use crate::agent::definition::Tools;
use crate::agent::error::{AgentError, StateError};
use crate::agui::{self, to_json};
use state_patch::StatePatch;
use state_read::StateRead;
use state_set::StateSet;

/// The tool that CopilotKit's requests for suggestions have to have called.
const SUGGEST: &str = "copilotkitSuggest";

/// A tool that runs here.
///
/// What it answers goes back to the model, refusals included, as an object with `ok`. An `Err` ends the run: it is for
/// what no model can mend.
#[async_trait]
pub(super) trait Tool: Send + Sync {
    /// Name, description, and JSON Schema of the arguments.
    fn spec(&self) -> agui::Tool;

    async fn call(&self, cx: &RunContext, arguments: &Map<String, Value>) -> Result<Value, AgentError>;
}

/// The tools that an agent has of its own.
pub(super) struct Toolbox {
    tools: Vec<(agui::Tool, Box<dyn Tool>)>,
}

/// What one run offers the model.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) tools: Vec<agui::Tool>,
    pub(super) required: Option<String>,
}

impl Toolbox {
    pub(super) fn new(tools: &Tools, scope: &Scope) -> Self {
        let mut own: Vec<Box<dyn Tool>> = Vec::new();
        if tools.state.read {
            own.push(Box::new(StateRead::new(scope.clone())));
        }
        if tools.state.patch && scope.write.as_ref().is_none_or(|write| !write.is_empty()) {
            own.push(Box::new(StatePatch::new(scope.clone())));
            own.push(Box::new(StateSet::new(scope.clone())));
        }
        Self { tools: own.into_iter().map(|tool| (tool.spec(), tool)).collect() }
    }

    /// The specs of the agent's own tools.
    pub(super) fn specs(&self) -> impl Iterator<Item = &agui::Tool> {
        self.tools.iter().map(|(spec, _)| spec)
    }

    /// The agent's own tools, then the browser's; a browser's tool of the same name stays behind. A run that has to call
    /// one of the browser's tools is offered nothing else.
    pub(super) fn offer(&self, input: &RunInput) -> Offer {
        if let Some(tool) = required_tool(input) {
            return Offer { tools: vec![tool.clone()], required: Some(tool.name.clone()) };
        }
        let mut tools: Vec<agui::Tool> = self.specs().cloned().collect();
        for tool in &input.tools {
            if tools.iter().any(|known| known.name == tool.name) {
                tracing::warn!(tool = tool.name, "the browser offers a tool whose name is taken; it is left out");
            } else {
                tools.push(tool.clone());
            }
        }
        Offer { tools, required: None }
    }

    /// Whether a call of this name ends the run and is answered by the browser.
    pub(super) fn is_browsers(&self, name: &str, offer: &Offer) -> bool {
        self.find(name).is_none() && offer.tools.iter().any(|tool| tool.name == name)
    }

    /// Runs a call of the agent's own tools; answers what the model is told.
    pub(super) async fn call(
        &self,
        cx: &RunContext,
        offer: &Offer,
        name: &str,
        arguments: &str,
    ) -> Result<String, AgentError> {
        let Some(tool) = self.find(name) else {
            let names: Vec<_> = offer.tools.iter().map(|tool| tool.name.as_str()).collect();
            let error = format!("there is no tool `{name}`: there are {}", names.join(", "));
            return Ok(refused("unknown_tool", &error).to_string());
        };
        let read = if arguments.trim().is_empty() { "{}" } else { arguments };
        let result = match serde_json::from_str::<Map<String, Value>>(read) {
            Ok(arguments) => tool.call(cx, &arguments).await?,
            Err(error) => refused("invalid_arguments", &format!("the arguments are not a JSON object: {error}")),
        };
        Ok(result.to_string())
    }

    fn find(&self, name: &str) -> Option<&dyn Tool> {
        self.tools.iter().find(|(spec, _)| spec.name == name).map(|(_, tool)| tool.as_ref())
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

fn refused(code: &str, error: &str) -> Value {
    json!({ "ok": false, "code": code, "error": error })
}

/// A write's outcome as the model is told it (docs/agents.md §6), with what stands at `path` now when it was refused.
async fn told(
    cx: &RunContext,
    scope: &Scope,
    path: Option<&crate::state::pointer::Pointer>,
    written: Result<u64, StateError>,
) -> Result<Value, AgentError> {
    /// The longest value that goes with a refusal, in bytes of JSON.
    const VALUE_BYTES: usize = 4096;
    let (code, message) = match written {
        Ok(version) => return Ok(json!({ "ok": true, "version": version })),
        Err(StateError::Refused { code, message, .. }) => (code, message),
        Err(error @ (StateError::Unavailable { .. } | StateError::RunIsOver)) => return Err(error.into()),
    };
    let mut result = refused(code, &message);
    let path = path.filter(|path| scope.shows(path)).cloned();
    let now = cx.read_state(path.as_ref().unwrap_or(&crate::state::pointer::Pointer::root())).await?;
    result["version"] = now.version.into();
    let value = now.value.filter(|value| path.is_some() && value.to_string().len() <= VALUE_BYTES);
    if let Some(value) = value {
        result["value"] = value;
    }
    Ok(result)
}

fn spec(name: &str, description: String, parameters: &Value) -> agui::Tool {
    agui::Tool { name: name.to_owned(), description, parameters: Some(to_json(parameters)), metadata: None }
}

/// The sentence that tells a model where it may write.
fn where_to_write(scope: &Scope) -> String {
    scope.writable().map(|paths| format!(" You may write at and below: {paths}.")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
