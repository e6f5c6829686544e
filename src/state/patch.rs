//! JSON Patch (RFC 6902): its operations, and applying them in place, all or nothing, at a cost that does not grow with the document.
//!
//! What was done comes back in **safe form**: operations that a strict fast-json-patch applies to the same value without
//! failing. Object members are set by `add` (which replaces) and parents come first; array elements change by `add`,
//! `remove` and `replace` with indexes that are valid at that point; the root is set by `add` at `""`; writes that
//! change nothing are left out.

mod apply;
mod text;

pub(in crate::state) use apply::{Editor, Parents};
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub(crate) use text::write_json;
use utoipa::ToSchema;

use crate::state::limits::Limits;
use crate::state::pointer::Pointer;

/// One operation of RFC 6902 §4; unknown members are ignored, `value` must be present and may be null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "lowercase", expecting = "an operation, `{\"op\", \"path\", …}`")]
pub enum Operation {
    Add { path: Pointer, value: Value },
    Remove { path: Pointer },
    Replace { path: Pointer, value: Value },
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test { path: Pointer, value: Value },
}

pub type Patch = Vec<Operation>;

impl Operation {
    /// The place this operation is about.
    pub fn path(&self) -> &Pointer {
        match self {
            Self::Add { path, .. }
            | Self::Remove { path }
            | Self::Replace { path, .. }
            | Self::Move { path, .. }
            | Self::Copy { path, .. }
            | Self::Test { path, .. } => path,
        }
    }

    /// The value this operation brings with it.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Add { value, .. } | Self::Replace { value, .. } | Self::Test { value, .. } => Some(value),
            Self::Remove { .. } | Self::Move { .. } | Self::Copy { .. } => None,
        }
    }

    /// The places this operation writes: none for `test`, two for `move`.
    pub fn writes(&self) -> impl Iterator<Item = &Pointer> {
        let (path, from) = match self {
            Self::Add { path, .. } | Self::Remove { path } | Self::Replace { path, .. } | Self::Copy { path, .. } => {
                (Some(path), None)
            }
            Self::Move { from, path } => (Some(path), Some(from)),
            Self::Test { .. } => (None, None),
        };
        path.into_iter().chain(from)
    }
}

/// What a patch did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// The changes in safe form; empty when nothing changed.
    pub effects: Vec<Operation>,
    /// Takes the changes back, in safe form, to be applied in order.
    pub inverse: Vec<Operation>,
    /// By how many bytes the document's compact text grew.
    pub growth: i64,
}

/// Why nothing of a patch was applied; `index` is the failing operation's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    #[error("operation {index} is refused: {reason}")]
    InvalidPatch { index: usize, reason: String },
    #[error("operation {index}: `{path}` is not there, or not of the kind or length that it acts on")]
    TargetGone { index: usize, path: Pointer },
    #[error("operation {index}: the value at `{path}` is not the tested one")]
    TestFailed { index: usize, path: Pointer },
    #[error("{count} operations are too many: a patch may have {max}")]
    TooMany { count: usize, max: usize },
    #[error("operation {index} at `{path}` makes too much: {reason}")]
    TooLarge { index: usize, path: Pointer, reason: &'static str },
    #[error("operation {index} makes `{path}` nest deeper than {max_depth} levels")]
    TooDeep { index: usize, path: Pointer, max_depth: usize },
    #[error("operation {index}: the key at `{path}` is refused: it reaches a JavaScript prototype")]
    PrototypeKey { index: usize, path: Pointer },
}

impl PatchError {
    /// The error code of the state API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidPatch { .. } | Self::PrototypeKey { .. } => "invalid_patch",
            Self::TargetGone { .. } => "target_gone",
            Self::TestFailed { .. } => "test_failed",
            Self::TooMany { .. } | Self::TooLarge { .. } => "too_large",
            Self::TooDeep { .. } => "invalid_json",
        }
    }

    /// The place that was refused, if it is about one.
    pub fn path(&self) -> Option<&Pointer> {
        match self {
            Self::InvalidPatch { .. } | Self::TooMany { .. } => None,
            Self::TargetGone { path, .. }
            | Self::TestFailed { path, .. }
            | Self::TooLarge { path, .. }
            | Self::TooDeep { path, .. }
            | Self::PrototypeKey { path, .. } => Some(path),
        }
    }

    /// The failing operation's index, if one failed.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::TooMany { .. } => None,
            Self::InvalidPatch { index, .. }
            | Self::TargetGone { index, .. }
            | Self::TestFailed { index, .. }
            | Self::TooLarge { index, .. }
            | Self::TooDeep { index, .. }
            | Self::PrototypeKey { index, .. } => Some(*index),
        }
    }
}

/// Reads a patch document: an array of at most `limits.max_ops` operations.
pub fn read(patch: Value, limits: &Limits) -> Result<Patch, PatchError> {
    let Value::Array(ops) = patch else {
        let reason = "a patch is an array of operations".to_owned();
        return Err(PatchError::InvalidPatch { index: 0, reason });
    };
    if ops.len() > limits.max_ops {
        return Err(PatchError::TooMany { count: ops.len(), max: limits.max_ops });
    }
    let read_one = |(index, op)| {
        Operation::deserialize(op)
            .map_err(|error: serde_json::Error| PatchError::InvalidPatch { index, reason: error.to_string() })
    };
    ops.into_iter().enumerate().map(read_one).collect()
}

/// Applies `ops` to `doc` in order; on an error `doc` is as it was.
///
/// `limits.max_bytes` is what the patch may add to the document in total: who knows its size passes what is left.
/// The cost is that of the values named and touched, not of the document.
pub fn apply(doc: &mut Value, ops: &[Operation], limits: &Limits) -> Result<Applied, PatchError> {
    apply::apply(doc, ops, limits, apply::Parents::Required)
}

/// [`apply`] where `add`, `move` and `copy` create the missing objects above their target, as explicit `add`s first.
pub fn apply_creating(doc: &mut Value, ops: &[Operation], limits: &Limits) -> Result<Applied, PatchError> {
    apply::apply(doc, ops, limits, apply::Parents::Created)
}

/// Applies operations that were accepted before (a commit's, or an inverse), without limits.
pub fn replay(doc: &mut Value, ops: &[Operation]) -> Result<(), PatchError> {
    apply::apply(doc, ops, &Limits::NONE, apply::Parents::Required).map(drop)
}

#[cfg(test)]
mod tests;
