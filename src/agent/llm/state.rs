//! The part of its state that an agent is shown.

use serde_json::{Map, Value};

use crate::agent::context::RunContext;
use crate::agent::definition::StateSpec;
use crate::agent::error::StateError;
use crate::state::parts::only;
use crate::state::pointer::Pointer;

/// Which paths of the state an agent may read and write; `None` is everything.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) read: Option<Vec<Pointer>>,
    pub(super) write: Option<Vec<Pointer>>,
}

/// What an agent sees, and when.
#[derive(Debug, Clone)]
pub(super) struct Visible {
    /// 0 while nobody has written anything.
    pub(super) version: u64,
    /// `None` when the agent may read nothing at all.
    pub(super) value: Option<Value>,
}

impl Scope {
    pub(super) fn of(spec: &StateSpec) -> Self {
        let pointers = |paths: &Option<Vec<String>>| {
            let parsed = paths.as_ref()?.iter().map(|path| Pointer::parse(path));
            Some(parsed.collect::<Result<_, _>>().expect("a definition's pointers are checked when it is read"))
        };
        Self { read: pointers(&spec.read), write: pointers(&spec.write) }
    }

    /// The state as the agent may see it.
    pub(super) async fn look(&self, cx: &RunContext) -> Result<Visible, StateError> {
        let whole = cx.read_state(&Pointer::root()).await?;
        let body = whole.value.unwrap_or_else(|| Value::Object(Map::new()));
        let value = match self.read.as_deref() {
            None => Some(body),
            Some([]) => None,
            Some(paths) => Some(only(&body, paths)),
        };
        Ok(Visible { version: whole.version, value })
    }

    /// Whether the value at `path` is the agent's to see, with all that is in it.
    pub(super) fn shows(&self, path: &Pointer) -> bool {
        self.read.as_ref().is_none_or(|read| read.iter().any(|allowed| path.starts_with(allowed)))
    }

    /// Whether a write at `path` is within what the agent may write.
    pub(super) fn lets_write(&self, path: &Pointer) -> bool {
        self.write.as_ref().is_none_or(|write| write.iter().any(|allowed| path.starts_with(allowed)))
    }

    /// Where in `body` a value goes that is to stand at `path`: there, or, with all that is missing above it, at the highest
    /// place that is missing.
    pub(super) fn place(&self, body: &Value, path: &Pointer, value: Value) -> (Pointer, Value) {
        let (parents, nested) = missing_parents(body, path, value.clone());
        // Who may write a place need not be allowed to make what is above it.
        if self.lets_write(&parents) { (parents, nested) } else { (path.clone(), value) }
    }

    /// `/a, /b/c`, for people and models; `None` when everything may be written.
    pub(super) fn writable(&self) -> Option<String> {
        let write = self.write.as_ref()?;
        Some(write.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    }
}

/// The highest place that is missing on the way to `path`, with the value that has `value` at `path`.
pub(super) fn missing_parents(body: &Value, path: &Pointer, mut value: Value) -> (Pointer, Value) {
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
