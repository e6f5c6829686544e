//! Intents: edits that say what is meant, so that they merge where a patch would collide (the state API's §2 and §8).

mod compile;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use utoipa::ToSchema;

use crate::state::limits::Limits;
use crate::state::patch::PatchError;
use crate::state::pointer::Pointer;

pub(crate) use compile::{Misfit, compile};

/// The member that names the elements of a list whose schema names none.
pub const DEFAULT_KEY: &str = "id";

/// One edit. Missing members and the objects above them are created; unknown members are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "snake_case", expecting = "an intent, `{\"op\", \"path\", …}`")]
pub enum Intent {
    /// Adds to a number; from 0.
    Inc {
        path: Pointer,
        #[schema(value_type = f64)]
        by: Number,
    },
    /// Puts an element at the end of a list; from `[]`.
    Append { path: Pointer, value: Value },
    /// Puts an element with a key of its own after or before that with the given key, or at the end.
    Insert {
        path: Pointer,
        value: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Value>,
    },
    /// Moves the element with this key after or before another, or to the end.
    Move {
        path: Pointer,
        key: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Value>,
    },
    /// Removes the element with this key.
    RemoveKey { path: Pointer, key: Value },
    /// Replaces `delete` code points at `pos` of a text; from `""`.
    Text {
        path: Pointer,
        pos: usize,
        #[serde(default)]
        delete: usize,
        #[serde(default)]
        insert: String,
    },
    /// Sets a member or an element.
    Set { path: Pointer, value: Value },
    /// Removes a member or an element; nothing if it is missing.
    Unset { path: Pointer },
}

impl Intent {
    /// The place this edit is about: of a list, the list.
    pub fn path(&self) -> &Pointer {
        match self {
            Self::Inc { path, .. }
            | Self::Append { path, .. }
            | Self::Insert { path, .. }
            | Self::Move { path, .. }
            | Self::RemoveKey { path, .. }
            | Self::Text { path, .. }
            | Self::Set { path, .. }
            | Self::Unset { path } => path,
        }
    }

    fn names_two_places(&self) -> bool {
        let (Self::Insert { after, before, .. } | Self::Move { after, before, .. }) = self else { return false };
        after.is_some() && before.is_some()
    }
}

/// Reads an array of at most `limits.max_ops` intents.
pub fn read(intents: Value, limits: &Limits) -> Result<Vec<Intent>, PatchError> {
    let Value::Array(intents) = intents else {
        return Err(PatchError::InvalidPatch { index: 0, reason: "intents come as an array".to_owned() });
    };
    if intents.len() > limits.max_ops {
        return Err(PatchError::TooMany { count: intents.len(), max: limits.max_ops });
    }
    let read_one = |(index, intent)| {
        let refused = |reason| PatchError::InvalidPatch { index, reason };
        let intent = Intent::deserialize(intent).map_err(|error: serde_json::Error| refused(error.to_string()))?;
        match intent.names_two_places() {
            true => Err(refused("names either `after` or `before`, not both".to_owned())),
            false => Ok(intent),
        }
    };
    intents.into_iter().enumerate().map(read_one).collect()
}

#[cfg(test)]
mod tests;
