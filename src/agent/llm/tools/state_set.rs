//! `state_set {path, value}`: the value at a path, whatever was there before.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Tool, refused, spec, told, where_to_write};
use crate::agent::context::RunContext;
use crate::agent::error::{AgentError, StateError};
use crate::agent::llm::state::Scope;
use crate::agui;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;

/// How often a write is tried again because the state changed under it.
const MAX_TRIES: usize = 8;

pub(super) struct StateSet {
    scope: Scope,
}

impl StateSet {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope }
    }
}

#[async_trait]
impl Tool for StateSet {
    fn spec(&self) -> agui::Tool {
        let description = format!(
            "Sets one value of the state that you share with the application; objects on the way to it are made. Answers \
             the new version, or why nothing was changed.{}",
            where_to_write(&self.scope)
        );
        let path = json!({ "type": "string", "description": "JSON Pointer such as /trip/title" });
        let properties = json!({ "path": path, "value": { "description": "any JSON value" } });
        let parameters = json!({ "type": "object", "properties": properties, "required": ["path", "value"] });
        spec("state_set", description, &parameters)
    }

    async fn call(&self, cx: &RunContext, arguments: &Map<String, Value>) -> Result<Value, AgentError> {
        let Some(Value::String(text)) = arguments.get("path") else {
            return Ok(refused("invalid_arguments", "`path` is missing: a JSON Pointer such as /trip/title"));
        };
        let path = match Pointer::parse(text) {
            Ok(path) => path,
            Err(error) => return Ok(refused("invalid_arguments", &error.to_string())),
        };
        let Some(value) = arguments.get("value") else {
            return Ok(refused("invalid_arguments", "`value` is missing: any JSON value"));
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let written = self.set(cx, &path, value).await;
            let is_moved = matches!(&written, Err(StateError::Refused { code, .. }) if *code == "version_conflict");
            if !is_moved || tries == MAX_TRIES {
                return told(cx, &self.scope, Some(&path), written).await;
            }
        }
    }
}

impl StateSet {
    /// Looks and writes at one version: an index means an element only as long as the list is the same.
    async fn set(&self, cx: &RunContext, path: &Pointer, value: &Value) -> Result<u64, StateError> {
        let seen = cx.read_state(&Pointer::root()).await?;
        let body = seen.value.unwrap_or_else(|| Value::Object(Map::new()));
        let (path, value) = missing_parents(&body, path, value.clone());
        let op = match path.get(&body) {
            Some(_) => Operation::Replace { path, value },
            None => Operation::Add { path, value },
        };
        cx.patch_state_at(seen.version, vec![op]).await
    }
}

/// The highest place that is missing on the way to `path`, with the value that has `value` at `path`.
fn missing_parents(body: &Value, path: &Pointer, mut value: Value) -> (Pointer, Value) {
    let mut at = path.clone();
    while let Some(parent) = at.parent() {
        if parent.get(body).is_some() {
            break;
        }
        let name = at.last().expect("what has a parent has a last step").to_owned();
        value = Value::Object(Map::from_iter([(name, value)]));
        at = parent;
    }
    (at, value)
}
