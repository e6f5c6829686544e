//! The documents that an agent's state tools reach, and which one a call means.

use serde_json::{Map, Value, json};

use crate::agent::context::{RunContext, Terms, Versioned};
use crate::agent::definition::{Definition, DocumentPlace, Documents, Scope as Whose};
use crate::agent::error::{AgentError, StateError};
use crate::agent::llm::state::{Scope, Visible};
use crate::agent::tools::refused;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;

/// What the state tools of one agent may touch.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    agent: String,
    whose: Whose,
    pub(super) own: Scope,
    pub(super) others: Documents,
}

/// The document that a call means.
#[derive(Debug)]
pub(super) struct Target<'c> {
    cx: &'c RunContext,
    /// `None` is the agent's own state.
    name: Option<&'c str>,
    pub(super) scope: Scope,
}

impl Reach {
    pub(super) fn of(definition: &Definition) -> Self {
        Self {
            agent: definition.id.clone(),
            whose: definition.state.scope.clone(),
            own: Scope::of(&definition.state),
            others: definition.documents.clone(),
        }
    }

    /// Whether there is anything to write.
    pub(super) fn can_write(&self) -> bool {
        !self.others.write.is_empty() || self.own.write.as_ref().is_none_or(|write| !write.is_empty())
    }

    /// The document that the arguments name, or what the model is told instead.
    pub(super) fn target<'c>(
        &self,
        cx: &'c RunContext,
        arguments: &'c Map<String, Value>,
    ) -> Result<Target<'c>, Value> {
        let name = match arguments.get("doc") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if name.is_empty() => None,
            Some(Value::String(name)) => Some(name.as_str()),
            Some(_) => return Err(refused("invalid_arguments", "`doc` must be a text such as task/1")),
        };
        let own = self.whose.document_key(&self.agent, &cx.input().thread_id, cx.cause().doc.as_deref());
        let Some(name) = name.filter(|name| *name != own) else {
            return Ok(Target { cx, name: None, scope: self.own.clone() });
        };
        let (read, write) = (self.others.readable(name), self.others.writable(name));
        if read.is_empty() {
            let error = match self.others_said() {
                Some(others) => format!("`{name}` is not among your documents: {others}"),
                None => format!("`{name}` is not your document: leave `doc` out"),
            };
            return Err(refused("forbidden", &error));
        }
        Ok(Target { cx, name: Some(name), scope: Scope { read: limits(read), write: limits(write) } })
    }

    /// Which other documents there are, as a sentence.
    pub(super) fn others_said(&self) -> Option<String> {
        let said = |verb: &str, places: &[DocumentPlace]| {
            let places: Vec<String> = places.iter().map(ToString::to_string).collect();
            (!places.is_empty()).then(|| format!("you may {verb} {}", places.join(", ")))
        };
        let parts = [said("read", &self.others.read), said("write", &self.others.write)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Where the agent may write, for the description of a tool that writes.
    pub(super) fn where_to_write(&self) -> String {
        let own = match self.own.writable() {
            Some(paths) if paths.is_empty() => " Your own state is not yours to change.".to_owned(),
            Some(paths) => format!(" You may write at and below: {paths}."),
            None => String::new(),
        };
        let others: Vec<String> = self.others.write.iter().map(ToString::to_string).collect();
        match others.as_slice() {
            [] => own,
            others => {
                format!("{own} Other documents, by `doc`: {} (`*` stands for any characters).", others.join(", "))
            }
        }
    }

    /// The argument `doc`, where there is a choice.
    pub(super) fn doc_property(&self, places: &[&[DocumentPlace]]) -> Option<(String, Value)> {
        let mut patterns: Vec<&str> = Vec::new();
        for place in places.iter().copied().flatten() {
            if !patterns.contains(&place.pattern.as_str()) {
                patterns.push(&place.pattern);
            }
        }
        if patterns.is_empty() {
            return None;
        }
        let description = format!(
            "the document, one of {} (`*` stands for any characters); your own state when left out",
            patterns.join(", ")
        );
        Some(("doc".to_owned(), json!({ "type": "string", "description": description })))
    }
}

/// Everything, or these paths.
fn limits(paths: Vec<Pointer>) -> Option<Vec<Pointer>> {
    if paths.contains(&Pointer::root()) { None } else { Some(paths) }
}

impl Target<'_> {
    /// Whether it is the agent's own state, which its first write makes.
    pub(super) fn is_own(&self) -> bool {
        self.name.is_none()
    }

    /// The document as the agent may see it.
    pub(super) async fn look(&self) -> Result<Visible, StateError> {
        match self.name {
            None => self.scope.look(self.cx).await,
            Some(_) => {
                let whole = self.read(&Pointer::root()).await?;
                Ok(Visible { version: whole.version, value: whole.value })
            }
        }
    }

    /// What a write has to know of the document: also what the agent's prompt is not shown.
    pub(super) async fn read_for_write(&self) -> Result<Versioned<Option<Value>>, StateError> {
        self.read(&Pointer::root()).await
    }

    pub(super) async fn read(&self, path: &Pointer) -> Result<Versioned<Option<Value>>, StateError> {
        self.cx.read_document(self.name, path).await
    }

    /// The version that the model was shown.
    pub(super) fn seen(&self) -> Option<u64> {
        self.cx.seen(self.name)
    }

    pub(super) async fn write(&self, ops: Vec<Operation>, terms: Terms) -> Result<u64, StateError> {
        self.cx.write_document(self.name, ops, terms).await
    }

    /// A write's outcome as the model is told it (docs/agents.md §6), with what stands at `path` now when it was refused.
    pub(super) async fn told(
        &self,
        path: Option<&Pointer>,
        written: Result<u64, StateError>,
    ) -> Result<Value, AgentError> {
        /// The longest value that goes with a refusal, in bytes of JSON.
        const VALUE_BYTES: usize = 4096;
        let (code, message) = match written {
            Ok(version) => return Ok(json!({ "ok": true, "version": version })),
            Err(StateError::Refused { code: code @ ("not_found" | "deleted"), message, .. }) if !self.is_own() => {
                let how = "state_patch with `create: true`, or state_set at \"\", makes it";
                (code, format!("{message}: {how}"))
            }
            Err(StateError::Refused { code, message, .. }) => (code, message),
            Err(error @ (StateError::Unavailable { .. } | StateError::RunIsOver)) => return Err(error.into()),
        };
        let mut result = refused(code, &message);
        let path = path.filter(|path| self.scope.shows(path));
        let asked = match (path, &self.scope.read) {
            (Some(path), _) => path.clone(),
            (None, Some(readable)) if !self.is_own() => readable.first().cloned().unwrap_or_default(),
            (None, _) => Pointer::root(),
        };
        let now = match self.read(&asked).await {
            Ok(now) => now,
            Err(StateError::Refused { version, .. }) => {
                result["version"] = version.into();
                return Ok(result);
            }
            Err(error @ (StateError::Unavailable { .. } | StateError::RunIsOver)) => return Err(error.into()),
        };
        result["version"] = now.version.into();
        let value = now.value.filter(|value| path.is_some() && value.to_string().len() <= VALUE_BYTES);
        if let Some(value) = value {
            result["value"] = value;
        }
        Ok(result)
    }
}
