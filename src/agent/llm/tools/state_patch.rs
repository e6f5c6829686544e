//! `state_patch {doc?, ops, if_version?, create?}`: RFC 6902 operations, all or nothing, with their real outcome.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::reach::Reach;
use super::typed::Typed;
use crate::agent::context::{RunContext, Terms};
use crate::agent::error::AgentError;
use crate::agent::tools::{Call, Tool, refused, spec};
use crate::agui;
use crate::state::patch::Operation;

pub(super) struct StatePatch {
    reach: Reach,
    typed: Typed,
}

impl StatePatch {
    pub(super) const NAME: &str = "state_patch";

    pub(super) fn new(reach: Reach, typed: Typed) -> Self {
        Self { reach, typed }
    }
}

#[async_trait]
impl Tool for StatePatch {
    fn spec(&self) -> agui::Tool {
        let description = format!(
            "Changes the state that you share with the application: JSON Patch operations (RFC 6902), applied in order, \
             all or nothing. `add` at /list/- appends. Answers the new version, or why nothing was changed.{}",
            self.reach.where_to_write()
        );
        let if_version =
            json!({ "type": "integer", "description": "change only if the state is still at this version" });
        let mut properties = Map::new();
        if let Some((name, doc)) = self.reach.doc_property(&[&self.reach.others.write]) {
            properties.insert(name, doc);
            let create = "make the document if it does not exist; for documents that you may write whole";
            properties.insert("create".to_owned(), json!({ "type": "boolean", "description": create }));
        }
        properties.insert("ops".to_owned(), json!({ "type": "array", "items": self.typed.operation() }));
        properties.insert("if_version".to_owned(), if_version);
        let parameters = json!({ "type": "object", "properties": properties, "required": ["ops"] });
        spec(Self::NAME, description, &parameters)
    }

    /// A write is made once, however often its call is.
    fn is_idempotent(&self) -> bool {
        true
    }

    async fn call(&self, cx: &RunContext, call: Call<'_>) -> Result<Value, AgentError> {
        let arguments = call.arguments;
        let target = match self.reach.target(cx, arguments) {
            Ok(target) => target,
            Err(refusal) => return Ok(refusal),
        };
        let creates = match arguments.get("create") {
            None | Some(Value::Null) => target.is_own(),
            Some(Value::Bool(create)) => *create || target.is_own(),
            Some(_) => return Ok(refused("invalid_arguments", "`create` must be true or false")),
        };
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
        // Who names a version means that one.
        let seen = if if_version.is_none() { target.seen() } else { None };
        let written = target.write(ops, Terms { if_version, seen, creates }).await;
        target.told(path.as_ref(), written).await
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
