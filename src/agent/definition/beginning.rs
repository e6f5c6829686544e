//! What a new document begins with, held against what documents take: what is refused there would fail every run.

use serde_json::Value;

use crate::state::json::{self, JsonError};
use crate::state::limits::Limits;
use crate::state::pointer::Pointer;

/// Why no document can begin with this value, and where in it.
pub(crate) fn refusal(initial: &Value, limits: &Limits) -> Option<(Pointer, String)> {
    let error = json::check(initial, limits).err()?;
    Some((place(&error), format!("no document can begin with this: {error}")))
}

fn place(error: &JsonError) -> Pointer {
    match error {
        JsonError::Syntax { path, .. }
        | JsonError::KeyTooLong { path, .. }
        | JsonError::DuplicateKey { path }
        | JsonError::PrototypeKey { path }
        | JsonError::UnsafeInteger { path }
        | JsonError::NotFinite { path }
        | JsonError::TooDeep { path, .. } => path.clone(),
        JsonError::TooLarge { .. } | JsonError::TooManyValues { .. } => Pointer::root(),
    }
}
