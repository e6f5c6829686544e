//! Which tool of the page the guide takes, with which arguments, and what it says of the state. Pure.

use serde_json::{Map, Value, json};

use crate::agui::Tool;

/// Words in the names of tools whose effect a person sees at once.
const VISIBLE: &[&str] = &["theme", "color", "colour", "background"];
const COLORS: &[&str] = &[
    "teal", "red", "green", "blue", "orange", "purple", "pink", "yellow", "navy", "gold", "crimson", "black", "white",
];

/// The tool that the message names, else one whose effect is visible, else the first.
pub(super) fn tool<'t>(tools: &'t [Tool], asked: &str) -> Option<&'t Tool> {
    let asked = asked.to_lowercase();
    let visible = |tool: &&Tool| VISIBLE.iter().any(|word| tool.name.to_lowercase().contains(word));
    tools
        .iter()
        .find(|tool| asked.contains(&tool.name.to_lowercase()))
        .or_else(|| tools.iter().find(visible))
        .or_else(|| tools.first())
}

/// Arguments that fit the tool's schema, as far as a simple look at it can tell.
pub(super) fn arguments(tool: &Tool, asked: &str, state: &Value) -> Value {
    let schema: Value =
        tool.parameters.as_ref().and_then(|text| serde_json::from_str(text.get()).ok()).unwrap_or(Value::Null);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return json!({}) };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let is_needed = |name: &String| required.is_empty() || required.contains(&name.as_str());
    let members = properties.iter().filter(|(name, _)| is_needed(name));
    Value::Object(members.map(|(name, schema)| (name.clone(), argument(name, schema, asked, state))).collect())
}

fn argument(name: &str, schema: &Value, asked: &str, state: &Value) -> Value {
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("number" | "integer") => schema.get("minimum").cloned().unwrap_or_else(|| 1.into()),
        Some("boolean") => true.into(),
        Some("array") => json!([]),
        Some("object") => Value::Object(Map::new()),
        _ if VISIBLE.iter().any(|word| name.to_lowercase().contains(word)) => color(asked).into(),
        _ => state.get("goal").and_then(Value::as_str).filter(|goal| !goal.is_empty()).unwrap_or(asked).into(),
    }
}

/// The colour that the message names, else teal.
fn color(asked: &str) -> &'static str {
    let asked = asked.to_lowercase();
    COLORS.iter().find(|color| asked.contains(**color)).copied().unwrap_or("teal")
}

/// The shared state in one sentence.
pub(super) fn described(state: &Value) -> String {
    let goal = state.get("goal").and_then(Value::as_str).filter(|goal| !goal.is_empty());
    let steps = state.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let done = steps.iter().filter(|step| step.get("status").and_then(Value::as_str) == Some("done")).count();
    match (goal, state.as_object().map(Map::len).unwrap_or_default()) {
        (Some(goal), _) => format!("The goal is “{goal}”, {done} of {} steps are done.", steps.len()),
        (None, 0) => "The shared state is empty.".to_owned(),
        (None, _) if !steps.is_empty() => format!("{done} of {} steps are done.", steps.len()),
        (None, count) => format!("The shared state has {count} members and no goal yet."),
    }
}
