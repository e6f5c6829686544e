//! Answers that have a shape: asked for as JSON of a schema, held against it, written to the state, and shown when they fit.

use serde_json::Value;

use super::state::Scope;
use crate::agent::context::RunContext;
use crate::agent::definition::Output;
use crate::agent::error::{AgentError, StateError};
use crate::agui::{Json, Message, to_json};
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::state::schema::Schema;

/// How often the answer is written again because the state changed under it.
const MAX_WRITES: usize = 8;
/// How many of its faults a model is told at once.
const TOLD_FAULTS: usize = 10;

/// The shape of an agent's last answer.
pub(super) struct Shape {
    schema: Schema,
    write_to: Option<Pointer>,
    retries: u32,
}

/// What became of an answer.
pub(super) enum Judged {
    /// It fits, and is where it belongs.
    Fits(Json),
    /// It does not; what the model is told, so that it tries again.
    Again(Message),
}

impl Shape {
    /// The error is a sentence about the schema.
    pub(super) fn new(output: &Output) -> Result<Self, String> {
        let schema = Schema::compile(output.schema.clone()).map_err(|error| {
            let place = error.path.to_string();
            let inside = if place.is_empty() { String::new() } else { format!(" (at {place})") };
            format!("not a JSON Schema that can be used: {}{inside}", error.message)
        })?;
        let pointer =
            |path: &String| Pointer::parse(path).expect("a definition's pointers are checked when it is read");
        Ok(Self { schema, write_to: output.write_to.as_ref().map(pointer), retries: output.retries })
    }

    pub(super) fn schema(&self) -> &Value {
        self.schema.source()
    }

    /// The words for a model whose provider does not know how to hold it to a schema.
    pub(super) fn instruction(&self) -> String {
        format!(
            "## Your answer\n\nOnce you call no more tools, answer with one JSON value that fits this JSON Schema, and with \
             nothing else: no other words, no code fence.\n\n{}",
            self.schema.source()
        )
    }

    /// Judges the text of an answer; `tried` counts the answers that were judged before.
    pub(super) async fn judge(
        &self,
        cx: &RunContext,
        scope: &Scope,
        text: &str,
        tried: u32,
    ) -> Result<Judged, AgentError> {
        let complaint = match self.read(text) {
            Ok(value) => match cx.open_step("output").within(self.write(cx, scope, &value)).await? {
                Ok(()) => {
                    cx.say(&shown(text)).await?;
                    return Ok(Judged::Fits(to_json(&value)));
                }
                Err(refusal) => refusal,
            },
            Err(complaint) => complaint,
        };
        if tried >= self.retries {
            let times = tried + 1;
            let message = format!("the model's answer does not fit `agent.output` after {times} tries: {complaint}");
            return Err(AgentError::new("provider_error", message));
        }
        tracing::info!(tried, complaint, "an answer does not fit its schema");
        let told = format!(
            "Your answer cannot be used: {complaint}. Answer again, with the whole JSON value and nothing else."
        );
        Ok(Judged::Again(Message::developer(cx.new_id(), told)))
    }

    fn read(&self, text: &str) -> Result<Value, String> {
        let value: Value =
            serde_json::from_str(unfenced(text)).map_err(|error| format!("it is not one JSON value ({error})"))?;
        let faults = self.schema.faults(&value);
        let told = faults.iter().take(TOLD_FAULTS).map(|fault| match fault.path.to_string().as_str() {
            "" => fault.message.clone(),
            path => format!("at {path}: {}", fault.message),
        });
        match told.collect::<Vec<_>>() {
            none if none.is_empty() => Ok(value),
            told => Err(told.join("; ")),
        }
    }

    /// Puts the value at its place of the state; `Err` inside says why the state does not take it.
    async fn write(&self, cx: &RunContext, scope: &Scope, value: &Value) -> Result<Result<(), String>, AgentError> {
        let Some(path) = &self.write_to else { return Ok(Ok(())) };
        for _ in 0..MAX_WRITES {
            let seen = cx.read_state(&Pointer::root()).await?;
            let body = seen.value.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            let (path, value) = scope.place(&body, path, value.clone());
            let op = match path.get(&body) {
                Some(_) => Operation::Replace { path, value },
                None => Operation::Add { path, value },
            };
            match cx.patch_state_at(seen.version, vec![op]).await {
                Ok(_) => return Ok(Ok(())),
                Err(StateError::Refused { code: "version_conflict", .. }) => {}
                Err(StateError::Refused { message, .. }) => {
                    return Ok(Err(format!("the state does not take it: {message}")));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Err("the state changed again and again while it was written".to_owned()))
    }
}

/// The JSON within a fence of code, which models like to put around it.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    inner.map_or(text, |inner| inner.strip_prefix("json").unwrap_or(inner).trim())
}

/// The answer as people see it.
fn shown(text: &str) -> String {
    unfenced(text).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_held_against_its_schema() {
        let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
        let shape = Shape::new(&Output { schema, write_to: None, retries: 0 }).expect("a schema");
        for (text, expected) in [
            ("{\"n\":1}", Ok(json!({ "n": 1 }))),
            ("```json\n{\"n\":1}\n```\n", Ok(json!({ "n": 1 }))),
            ("Here you are: {\"n\":1}", Err("not one JSON value")),
            ("{\"n\":\"x\"}", Err("at /n: ")),
            ("{}", Err("n")),
            ("", Err("not one JSON value")),
        ] {
            match (shape.read(text), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
        let bad = Output { schema: json!({ "type": "nonsense" }), write_to: None, retries: 0 };
        assert!(Shape::new(&bad).is_err());
    }
}
