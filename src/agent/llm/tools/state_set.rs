//! `state_set {doc?, path, value}`: the value at a path of a document, whatever was there before.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::reach::{Reach, Target};
use super::typed::Typed;
use crate::agent::context::{RunContext, Terms};
use crate::agent::error::{AgentError, StateError};
use crate::agent::tools::{Call, Tool, refused, spec};
use crate::agui;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;

/// How often a write is tried again because the state changed under it.
const MAX_TRIES: usize = 8;

pub(super) struct StateSet {
    reach: Reach,
    typed: Typed,
}

impl StateSet {
    pub(super) const NAME: &str = "state_set";

    pub(super) fn new(reach: Reach, typed: Typed) -> Self {
        Self { reach, typed }
    }
}

#[async_trait]
impl Tool for StateSet {
    fn spec(&self) -> agui::Tool {
        let description = format!(
            "Sets one value of the state that you share with the application; objects on the way to it are made. Answers \
             the new version, or why nothing was changed.{}",
            self.reach.where_to_write()
        );
        let (path, value) = self.typed.path_and_value();
        let doc = self.reach.doc_property(&[&self.reach.others.write]);
        let own = [("path".to_owned(), path), ("value".to_owned(), value)];
        let properties: Map<String, Value> = doc.into_iter().chain(own).collect();
        let parameters = json!({ "type": "object", "properties": properties, "required": ["path", "value"] });
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
            let written = set(&target, &path, value).await;
            let is_moved = matches!(&written, Err(StateError::Refused { code, .. }) if *code == "version_conflict");
            if !is_moved || tries == MAX_TRIES {
                return target.told(Some(&path), written).await;
            }
        }
    }
}

/// Looks and writes at one version: an index means an element only as long as the list is the same.
async fn set(target: &Target<'_>, path: &Pointer, value: &Value) -> Result<u64, StateError> {
    let whole = *path == Pointer::root();
    let seen = target.read_for_write().await?;
    let body = seen.value.unwrap_or_else(|| Value::Object(Map::new()));
    if target.seen().is_some_and(|shown| shown != seen.version) && is_in_list(&body, path) {
        return set_in_list(target, &body, path, value).await;
    }
    let (path, value) = target.scope.place(&body, path, value.clone());
    let op = match path.get(&body) {
        Some(_) => Operation::Replace { path, value },
        None => Operation::Add { path, value },
    };
    let terms = Terms { if_version: Some(seen.version), creates: target.is_own() || whole, ..Terms::default() };
    target.write(vec![op], terms).await
}

/// Others wrote since the model looked: the element that it means may stand elsewhere now, which the document tells.
async fn set_in_list(target: &Target<'_>, body: &Value, path: &Pointer, value: &Value) -> Result<u64, StateError> {
    let (path, value) = (path.clone(), value.clone());
    let is_element = path.parent().is_some_and(|list| list.get(body).is_some_and(Value::is_array));
    let op = match path.last() {
        Some(index) if is_element && index != "-" => Operation::Replace { path, value },
        // A member is set by `add`, also where one is.
        Some(_) | None => Operation::Add { path, value },
    };
    let terms = Terms { seen: target.seen(), creates: target.is_own(), ..Terms::default() };
    target.write(vec![op], terms).await
}

/// Whether a step of the path is an index.
fn is_in_list(body: &Value, path: &Pointer) -> bool {
    std::iter::successors(path.parent(), Pointer::parent).any(|above| above.get(body).is_some_and(Value::is_array))
}
