//! What a model is told beside the conversation: instructions and context before it, the state behind it, because what
//! changes from step to step must not stand in front of what a provider can keep from one request to the next.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, Serde};
use minijinja::{Environment, UndefinedBehavior, Value as Templated};
use serde_json::Value;

use super::state::Visible;
use crate::agent::context::RunInput;
use crate::agent::definition::Definition;
use crate::agent::error::AgentError;
use crate::agui::Message;

/// How many instructions of the template engine one prompt may take.
const FUEL: u64 = 100_000;
/// The longest instructions, in bytes, once they are filled in.
const INSTRUCTIONS_BYTES: usize = 1024 * 1024;
/// The longest state that is shown whole, in bytes of its JSON.
const STATE_BYTES: usize = 64 * 1024;
const TEMPLATE: &str = "instructions";

/// The instructions of an agent, checked.
pub(super) struct Prompt {
    templates: Environment<'static>,
    agent: Named,
    /// The line of the file that the template's first one is.
    first_line: u32,
}

/// Something that a template shows by its id and may ask for more: `{{ agent }}`, `{{ agent.name }}`.
#[derive(Debug, Clone)]
struct Named {
    id: String,
    members: Vec<(&'static str, String)>,
}

impl Object for Named {
    fn get_value(self: &Arc<Self>, key: &Templated) -> Option<Templated> {
        let key = key.as_str()?;
        let member = self.members.iter().find(|(name, _)| *name == key).map(|(_, value)| value);
        member.or_else(|| (key == "id").then_some(&self.id)).map(Templated::from)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl Prompt {
    /// The error is a sentence and, if known, the byte of the template that it is about.
    pub(super) fn new(
        definition: &Definition,
        template: &str,
        first_line: u32,
    ) -> Result<Self, (String, Option<usize>)> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_fuel(Some(FUEL));
        let members = vec![("name", definition.name.clone()), ("description", definition.description.clone())];
        let agent = Named { id: definition.id.clone(), members };
        if let Err(error) = templates.add_template_owned(TEMPLATE, template.to_owned()) {
            let at = error.range().map(|range| range.start);
            return Err((format!("the instructions are no template: {}", reason(&error)), at));
        }
        Ok(Self { templates, agent, first_line })
    }

    /// Instructions and the page's context as the system message; `None` when there is neither.
    pub(super) fn opening(&self, input: &RunInput, state: &Value) -> Result<Option<Message>, AgentError> {
        let mut text = self.instructions(input, state)?;
        let entries: Vec<String> =
            input.context.iter().map(|entry| format!("{}: {}", entry.description, entry.value)).collect();
        if !entries.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n\n" };
            text = format!("{text}{gap}## Context from the application\n\n{}", entries.join("\n\n"));
        }
        Ok((!text.is_empty()).then(|| Message::system("coagent-instructions", text)))
    }

    fn instructions(&self, input: &RunInput, state: &Value) -> Result<String, AgentError> {
        let props = input.forwarded_props.as_ref().and_then(|props| serde_json::from_str(props.get()).ok());
        let context: Vec<Value> = input
            .context
            .iter()
            .map(|entry| serde_json::json!({ "description": entry.description, "value": entry.value }))
            .collect();
        let thread = Named { id: input.thread_id.clone(), members: Vec::new() };
        let known = minijinja::context! {
            state => Serde(state),
            props => Serde(props.unwrap_or_else(|| Value::Object(serde_json::Map::new()))),
            context => Serde(context),
            thread => Templated::from_object(thread),
            agent => Templated::from_object(self.agent.clone()),
        };
        let template = self.templates.get_template(TEMPLATE).expect("it was added when the agent was built");
        let text = template.render(known).map_err(|error| {
            let line = line_in_file(&error, self.first_line).map(|line| format!(" (line {line})")).unwrap_or_default();
            AgentError::new(
                "internal",
                format!("the agent's instructions cannot be filled in{line}: {}", reason(&error)),
            )
        })?;
        if text.len() > INSTRUCTIONS_BYTES {
            let message = format!("the agent's instructions are longer than {INSTRUCTIONS_BYTES} bytes once filled in");
            return Err(AgentError::new("internal", message));
        }
        Ok(text.trim().to_owned())
    }
}

/// Whether [`closing`] shows the state itself, not only the names of its members.
pub(super) fn is_whole(seen: &Visible) -> bool {
    seen.version > 0 && seen.value.as_ref().is_some_and(|state| state.to_string().len() <= STATE_BYTES)
}

/// The state that the agent may read, as the last message; `None` when there is none, or none that it may read.
pub(super) fn closing(seen: &Visible, tools: &str) -> Option<Message> {
    let (version, state) = (seen.version, seen.value.as_ref().filter(|_| seen.version > 0)?);
    let json = state.to_string();
    let shown = if json.len() <= STATE_BYTES {
        format!("```json\n{json}\n```")
    } else {
        let members: Vec<&str> =
            state.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).take(100).collect();
        format!("It is too long to be shown ({} bytes). Its members are: {}.", json.len(), members.join(", "))
    };
    let content = format!(
        "## State\n\nThe state that you share with the application, at version {version}. People and other agents may \
         change it at any time; what stands here is newer than anything said above. {tools}\n\n{shown}"
    );
    Some(Message::developer("coagent-state", content))
}

fn line_in_file(error: &minijinja::Error, first_line: u32) -> Option<u32> {
    let line = u32::try_from(error.line()?).ok()?;
    (first_line > 0).then(|| first_line + line.saturating_sub(1))
}

/// What went wrong, without the engine's name for the template.
fn reason(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests;
