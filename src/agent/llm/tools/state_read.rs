//! `state_read {path?}`: the value at a path, within what the agent may read.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Tool, refused, spec};
use crate::agent::context::RunContext;
use crate::agent::error::AgentError;
use crate::agent::llm::state::{Scope, Visible};
use crate::agui;
use crate::state::pointer::Pointer;

/// The longest value that is read at once, in bytes of its JSON.
const VALUE_BYTES: usize = 64 * 1024;

pub(super) struct StateRead {
    scope: Scope,
}

impl StateRead {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope }
    }
}

#[async_trait]
impl Tool for StateRead {
    fn spec(&self) -> agui::Tool {
        let description =
            "Reads the state that you share with the application, as it is now. Answers its version and the \
                           value at `path`."
                .to_owned();
        let path =
            json!({ "type": "string", "description": "JSON Pointer such as /trip/days/0; everything when left out" });
        spec("state_read", description, &json!({ "type": "object", "properties": { "path": path } }))
    }

    async fn call(&self, cx: &RunContext, arguments: &Map<String, Value>) -> Result<Value, AgentError> {
        let text = match arguments.get("path") {
            None | Some(Value::Null) => "",
            Some(Value::String(path)) => path,
            Some(_) => return Ok(refused("invalid_arguments", "`path` must be a text")),
        };
        let path = match Pointer::parse(text) {
            Ok(path) => path,
            Err(error) => return Ok(refused("invalid_arguments", &error.to_string())),
        };
        let Visible { version, value } = self.scope.look(cx).await?;
        let seen = value.as_ref().and_then(|value| path.get(value));
        let outcome = match seen {
            Some(value) => {
                let bytes = value.to_string().len();
                if bytes <= VALUE_BYTES {
                    return Ok(json!({ "ok": true, "version": version, "value": value }));
                }
                refused("too_large", &format!("the value at `{path}` has {bytes} bytes: read a part of it"))
            }
            None if self.scope.shows(&path) => refused("not_found", &format!("there is nothing at `{path}`")),
            None => refused("forbidden_path", &format!("`{path}` is not yours to read")),
        };
        let mut outcome = outcome;
        outcome["version"] = version.into();
        Ok(outcome)
    }
}
