//! Predicted state: while a model writes the arguments of a tool, the state that they will probably make is shown
//! (docs/agents.md §6, “State”).

use std::time::Duration;

use jiter::{JsonValue, PartialMode};
use serde_json::{Map, Number, Value};
use tokio::time::Instant;

use super::tools::{Outcome, with_note};
use crate::agent::context::{RunContext, Terms};
use crate::agent::definition::Predict;
use crate::agent::error::{AgentError, StateError};
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;

/// A prediction is made when so much has come since the last one,
const EVERY_BYTES: usize = 256;
/// or so much time has passed.
const EVERY: Duration = Duration::from_millis(40);
/// The longer the arguments, the rarer they are read again: reading all of them costs what is there.
const GROWTH: usize = 16;
/// Longer arguments are not predicted any further.
const LONGEST: usize = 64 * 1024;

/// Which argument of a tool becomes what of the state.
#[derive(Debug, Clone)]
pub(super) struct Predictions {
    mappings: Vec<Mapping>,
}

#[derive(Debug, Clone)]
struct Mapping {
    tool: String,
    argument: String,
    path: Pointer,
}

/// The arguments of one call while they come.
#[derive(Debug)]
pub(super) struct Coming {
    mappings: Vec<Mapping>,
    read: usize,
    at: Instant,
    is_shown: bool,
}

/// What stood at the predicted places before a call.
#[derive(Debug)]
pub(super) struct Before(Vec<(Mapping, Option<Value>)>);

impl Predictions {
    pub(super) fn of(predict: &[Predict]) -> Self {
        let mapping = |said: &Predict| Mapping {
            tool: said.tool.clone(),
            argument: said.argument.clone(),
            path: said.path.clone(),
        };
        Self { mappings: predict.iter().map(mapping).collect() }
    }

    /// For a call of this tool, if something is predicted of it.
    pub(super) fn coming(&self, tool: &str) -> Option<Coming> {
        let mappings: Vec<Mapping> = self.of_tool(tool).cloned().collect();
        (!mappings.is_empty()).then(|| Coming { mappings, read: 0, at: Instant::now(), is_shown: false })
    }

    fn of_tool(&self, tool: &str) -> impl Iterator<Item = &Mapping> {
        self.mappings.iter().filter(move |mapping| mapping.tool == tool)
    }

    /// Looks at the predicted places before the call is made; `None` where nothing is predicted of the tool.
    pub(super) async fn before(&self, cx: &RunContext, tool: &str) -> Result<Option<Before>, AgentError> {
        let mut before = Vec::new();
        for mapping in self.of_tool(tool) {
            before.push((mapping.clone(), cx.read_state(&mapping.path).await?.value));
        }
        Ok((!before.is_empty()).then_some(Before(before)))
    }
}

impl Coming {
    /// Shows what the arguments so far come to, now and then.
    pub(super) async fn show(&mut self, cx: &RunContext, arguments: &str) -> Result<(), AgentError> {
        let since = arguments.len() - self.read.min(arguments.len());
        let is_due = since >= EVERY_BYTES + arguments.len() / GROWTH || since > 0 && self.at.elapsed() >= EVERY;
        if !is_due || arguments.len() > LONGEST {
            return Ok(());
        }
        (self.read, self.at) = (arguments.len(), Instant::now());
        let Some(read) = beginning(arguments) else { return Ok(()) };
        let values: Vec<(Pointer, Value)> = self
            .mappings
            .iter()
            .filter_map(|mapping| Some((mapping.path.clone(), read.get(&mapping.argument)?.clone())))
            .collect();
        if values.is_empty() {
            return Ok(());
        }
        self.is_shown = true;
        cx.predict(values).await
    }

    /// Whether something is shown that somebody has to take back.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }
}

impl Before {
    /// The end of a call: a prediction gives way to what the tool wrote at its place. If the tool wrote nothing there, the
    /// argument is committed; if it failed, nothing is. In the end nothing is predicted any more.
    pub(super) async fn settle(
        self,
        cx: &RunContext,
        arguments: &str,
        outcome: Outcome,
    ) -> Result<Outcome, AgentError> {
        let settled = self.commit(cx, arguments, outcome).await;
        cx.predict(Vec::new()).await?;
        settled
    }

    async fn commit(self, cx: &RunContext, arguments: &str, mut outcome: Outcome) -> Result<Outcome, AgentError> {
        if !outcome.ok {
            return Ok(outcome);
        }
        let Ok(arguments) = serde_json::from_str::<Map<String, Value>>(arguments) else { return Ok(outcome) };
        for (mapping, before) in self.0 {
            let Some(argument) = arguments.get(&mapping.argument) else { continue };
            let now = cx.read_state(&mapping.path).await?.value;
            if now != before {
                continue;
            }
            match put(cx, &mapping.path, argument).await {
                Ok(_) => {}
                Err(StateError::Refused { code, message, .. }) => {
                    let note = format!("`{}` was not written to {}: {code}: {message}", mapping.argument, mapping.path);
                    outcome.text = with_note(outcome.text, &note);
                }
                Err(error @ (StateError::Unavailable { .. } | StateError::RunIsOver)) => return Err(error.into()),
            }
        }
        Ok(outcome)
    }
}

/// Writes a value whatever was there, with the objects above it that are missing.
async fn put(cx: &RunContext, path: &Pointer, value: &Value) -> Result<u64, StateError> {
    let seen = cx.read_state(&Pointer::root()).await?;
    let body = seen.value.unwrap_or_else(|| Value::Object(Map::new()));
    let (path, value) = super::state::missing_parents(&body, path, value.clone());
    // A member is set by `add`, also where one is.
    cx.write_document(None, vec![Operation::Add { path, value }], Terms { creates: true, ..Terms::default() }).await
}

/// The value that the beginning of a JSON text is certain of; `None` while nothing is.
fn beginning(text: &str) -> Option<Map<String, Value>> {
    // A number is not known before it ends; of a text the last characters come a little later.
    let known = text.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    let read = JsonValue::parse_with_config(known.as_bytes(), false, PartialMode::TrailingStrings).ok()?;
    match value(&read) {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

fn value(read: &JsonValue<'_>) -> Value {
    match read {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(yes) => Value::Bool(*yes),
        JsonValue::Int(number) => Value::Number(Number::from(*number)),
        JsonValue::BigInt(number) => number.to_string().parse().map_or(Value::Null, Value::Number),
        JsonValue::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        JsonValue::Str(text) => Value::String(text.to_string()),
        JsonValue::Array(items) => Value::Array(items.iter().map(value).collect()),
        JsonValue::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.to_string(), value(member))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_beginning_of_arguments_is_a_beginning_of_the_value() {
        let whole =
            json!({ "days": [{ "city": "Rome \"é\" \\ \u{1F600}", "n": 123 }, { "city": "Oslo" }], "ok": true });
        let text = whole.to_string();
        let mut cities = 0;
        let mut seen_n = false;
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            let Some(read) = beginning(&text[..end]) else { continue };
            let days = read.get("days").and_then(Value::as_array).cloned().unwrap_or_default();
            assert!(days.len() >= cities, "an element that was there stays");
            cities = days.len();
            for (day, whole) in days.iter().zip(whole["days"].as_array().expect("a list")) {
                let (city, all) = (day["city"].as_str().unwrap_or(""), whole["city"].as_str().expect("a text"));
                assert!(all.starts_with(city), "{city}");
            }
            if let Some(n) = days.first().and_then(|day| day.get("n")) {
                assert_eq!(*n, json!(123), "no part of a number");
                seen_n = true;
            }
        }
        assert!(seen_n && cities == 2);
        assert_eq!(beginning(&text).map(Value::Object), Some(whole));
        assert_eq!(beginning("[1"), None);
    }
}
