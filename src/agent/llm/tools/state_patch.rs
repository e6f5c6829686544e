//! `state_patch {ops, if_version?}`: RFC 6902 operations, all or nothing, with their real outcome.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{Tool, refused, spec, told, where_to_write};
use crate::agent::context::RunContext;
use crate::agent::error::AgentError;
use crate::agent::llm::state::Scope;
use crate::agui;
use crate::state::patch::Operation;

pub(super) struct StatePatch {
    scope: Scope,
}

impl StatePatch {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope }
    }
}

#[async_trait]
impl Tool for StatePatch {
    fn spec(&self) -> agui::Tool {
        let description = format!(
            "Changes the state that you share with the application: JSON Patch operations (RFC 6902), applied in order, \
             all or nothing. `add` at /list/- appends. Answers the new version, or why nothing was changed.{}",
            where_to_write(&self.scope)
        );
        let op = json!({
            "type": "object",
            "properties": {
                "op": { "type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"] },
                "path": { "type": "string", "description": "JSON Pointer such as /trip/days/0" },
                "value": { "description": "for add, replace and test: any JSON value" },
                "from": { "type": "string", "description": "for move and copy" },
            },
            "required": ["op", "path"],
        });
        let if_version =
            json!({ "type": "integer", "description": "change only if the state is still at this version" });
        let properties = json!({ "ops": { "type": "array", "items": op }, "if_version": if_version });
        let parameters = json!({ "type": "object", "properties": properties, "required": ["ops"] });
        spec("state_patch", description, &parameters)
    }

    async fn call(&self, cx: &RunContext, arguments: &Map<String, Value>) -> Result<Value, AgentError> {
        let ops = match read(arguments.get("ops")) {
            Ok(ops) => ops,
            Err(error) => return Ok(refused("invalid_patch", &error)),
        };
        let if_version = match arguments.get("if_version") {
            None | Some(Value::Null) => None,
            Some(version) => match version.as_u64() {
                Some(version) => Some(version),
                None => return Ok(refused("invalid_arguments", "`if_version` must be a whole number")),
            },
        };
        let path = ops.first().map(|op| op.path().clone());
        let written = match if_version {
            Some(version) => cx.patch_state_at(version, ops).await,
            None => cx.patch_state(ops).await,
        };
        told(cx, &self.scope, path.as_ref(), written).await
    }
}

/// Models write a single operation without its list, and the list as a text.
fn read(ops: Option<&Value>) -> Result<Vec<Operation>, String> {
    let ops = match ops {
        Some(Value::String(text)) => {
            serde_json::from_str(text).map_err(|error| format!("`ops` is a text that is not JSON: {error}"))?
        }
        Some(ops) => ops.clone(),
        None => return Err("`ops` is missing: a list of operations".to_owned()),
    };
    let list = match ops {
        Value::Array(ops) => ops,
        op @ Value::Object(_) => vec![op],
        _ => return Err("`ops` must be a list of operations".to_owned()),
    };
    let read = |(index, op)| serde_json::from_value(op).map_err(|error| format!("operation {index}: {error}"));
    list.into_iter().enumerate().map(read).collect()
}
