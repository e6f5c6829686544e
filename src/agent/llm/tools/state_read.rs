//! `state_read {doc?, path?}`: the value at a path of a document, within what the agent may read.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::reach::Reach;
use crate::agent::context::RunContext;
use crate::agent::error::{AgentError, StateError};
use crate::agent::llm::state::Visible;
use crate::agent::tools::{Call, Tool, refused, spec};
use crate::agui;
use crate::state::pointer::Pointer;

/// The longest value that is read at once, in bytes of its JSON.
const VALUE_BYTES: usize = 64 * 1024;

pub(super) struct StateRead {
    reach: Reach,
}

impl StateRead {
    pub(super) const NAME: &str = "state_read";

    pub(super) fn new(reach: Reach) -> Self {
        Self { reach }
    }
}

#[async_trait]
impl Tool for StateRead {
    fn spec(&self) -> agui::Tool {
        let mut description = "Reads the state that you share with the application, as it is now. Answers its version \
                               and the value at `path`."
            .to_owned();
        if let Some(others) = self.reach.others_said() {
            description = format!("{description} Other documents are read by `doc`: {others}.");
        }
        let path =
            json!({ "type": "string", "description": "JSON Pointer such as /trip/days/0; everything when left out" });
        let doc = self.reach.doc_property(&[&self.reach.others.read, &self.reach.others.write]);
        let properties: Map<String, Value> = doc.into_iter().chain([("path".to_owned(), path)]).collect();
        spec(Self::NAME, description, &json!({ "type": "object", "properties": properties }))
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    async fn call(&self, cx: &RunContext, call: Call<'_>) -> Result<Value, AgentError> {
        let arguments = call.arguments;
        let target = match self.reach.target(cx, arguments) {
            Ok(target) => target,
            Err(refusal) => return Ok(refusal),
        };
        let text = match arguments.get("path") {
            None | Some(Value::Null) => "",
            Some(Value::String(path)) => path,
            Some(_) => return Ok(refused("invalid_arguments", "`path` must be a text")),
        };
        let path = match Pointer::parse(text) {
            Ok(path) => path,
            Err(error) => return Ok(refused("invalid_arguments", &error.to_string())),
        };
        let Visible { version, value } = match target.look().await {
            Ok(seen) => seen,
            Err(StateError::Refused { code, message, .. }) => return Ok(refused(code, &message)),
            Err(error @ (StateError::Unavailable { .. } | StateError::RunIsOver)) => return Err(error.into()),
        };
        let seen = value.as_ref().and_then(|value| path.get(value));
        let outcome = match seen {
            Some(value) => {
                let bytes = value.to_string().len();
                if bytes <= VALUE_BYTES {
                    return Ok(json!({ "ok": true, "version": version, "value": value }));
                }
                refused("too_large", &format!("the value at `{path}` has {bytes} bytes: read a part of it"))
            }
            None if target.scope.shows(&path) => refused("not_found", &format!("there is nothing at `{path}`")),
            None => refused("forbidden_path", &format!("`{path}` is not yours to read")),
        };
        let mut outcome = outcome;
        outcome["version"] = version.into();
        Ok(outcome)
    }
}
