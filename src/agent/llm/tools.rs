//! The tools of an agent: its own, which run here, and the browser's, which end the run and are answered by the next.

mod reach;
mod state_patch;
mod state_read;
mod state_set;
mod typed;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::agent::context::{RunContext, RunInput};
use crate::agent::definition::Definition;
use crate::agent::error::AgentError;
use crate::agui::{self, to_json};
use reach::Reach;
use state_patch::StatePatch;
use state_read::StateRead;
use state_set::StateSet;
use typed::Typed;

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
    pub(super) fn new(definition: &Definition) -> Self {
        let (tools, reach) = (&definition.tools, Reach::of(definition));
        let mut own: Vec<Box<dyn Tool>> = Vec::new();
        if tools.state.read {
            own.push(Box::new(StateRead::new(reach.clone())));
        }
        if tools.state.patch && reach.can_write() {
            let typed = Typed::of(definition);
            own.push(Box::new(StatePatch::new(reach.clone(), typed.clone())));
            own.push(Box::new(StateSet::new(reach, typed)));
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

fn spec(name: &str, description: String, parameters: &Value) -> agui::Tool {
    agui::Tool { name: name.to_owned(), description, parameters: Some(to_json(parameters)), metadata: None }
}

#[cfg(test)]
mod tests;
