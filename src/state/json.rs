//! Strict reading of JSON text (RFC 8259) within limits: what two parsers could understand differently is refused.
//!
//! One pass builds the tree. Decimal fractions are read exactly, so that a number written by one side and read by the
//! other stays the number it was.

mod reader;

use serde_json::Value;

use crate::state::limits::{Limits, MAX_SAFE_INTEGER};
use crate::state::pointer::{Pointer, is_prototype_key};
use crate::state::value::text_size;

/// Why a text or a value is refused, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("not JSON at byte {offset} (in `{path}`): {what}")]
    Syntax { path: Pointer, offset: usize, what: &'static str },
    #[error("a key in `{path}` is longer than {max_key_bytes} bytes")]
    KeyTooLong { path: Pointer, max_key_bytes: usize },
    #[error("duplicate key at `{path}`")]
    DuplicateKey { path: Pointer },
    #[error("the key at `{path}` is refused: it reaches a JavaScript prototype")]
    PrototypeKey { path: Pointer },
    #[error("the integer at `{path}` is beyond ±(2^53−1): send it as a string")]
    UnsafeInteger { path: Pointer },
    #[error("the number at `{path}` is beyond the range of a double")]
    NotFinite { path: Pointer },
    #[error("`{path}` is nested deeper than {max_depth} levels")]
    TooDeep { path: Pointer, max_depth: usize },
    #[error("larger than {max_bytes} bytes")]
    TooLarge { max_bytes: usize },
    #[error("more than {max_values} values")]
    TooManyValues { max_values: usize },
}

impl JsonError {
    /// Whether a smaller value would be accepted (413), as opposed to another one (400).
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::TooManyValues { .. })
    }
}

/// Reads one JSON text (UTF-8, no byte order mark) into a value.
pub fn read(text: impl AsRef<[u8]>, limits: &Limits) -> Result<Value, JsonError> {
    reader::read(text.as_ref(), limits)
}

/// Refuses a value that [`read`] would have refused as text; for values that came as trees. Returns its size in bytes.
pub fn check(value: &Value, limits: &Limits) -> Result<usize, JsonError> {
    check_at(value, &Pointer::root(), limits)
}

/// [`check`] for a value that will stand at `at`: depth and prototype keys count from the root, paths in errors too.
pub(crate) fn check_at(value: &Value, at: &Pointer, limits: &Limits) -> Result<usize, JsonError> {
    let mut walk = Walk { limits, values: 0, size: 0 };
    walk.value(value, at.last(), at.tokens().len()).map_err(|fault| {
        let mut tokens: Vec<String> = fault.steps;
        tokens.reverse();
        let path = Pointer::from_tokens(at.tokens().iter().cloned().chain(tokens));
        match fault.kind {
            FaultKind::KeyTooLong => JsonError::KeyTooLong { path, max_key_bytes: limits.max_key_bytes },
            FaultKind::PrototypeKey => JsonError::PrototypeKey { path },
            FaultKind::UnsafeInteger => JsonError::UnsafeInteger { path },
            FaultKind::TooDeep => JsonError::TooDeep { path, max_depth: limits.max_depth },
            FaultKind::TooLarge => JsonError::TooLarge { max_bytes: limits.max_bytes },
            FaultKind::TooManyValues => JsonError::TooManyValues { max_values: limits.max_values },
        }
    })?;
    Ok(walk.size)
}

struct Walk<'l> {
    limits: &'l Limits,
    values: usize,
    size: usize,
}

/// A refusal on its way out of the recursion; `steps` are collected innermost first.
struct Fault {
    kind: FaultKind,
    steps: Vec<String>,
}

enum FaultKind {
    KeyTooLong,
    PrototypeKey,
    UnsafeInteger,
    TooDeep,
    TooLarge,
    TooManyValues,
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self { kind, steps: Vec::new() }
    }
}

impl Fault {
    fn below(mut self, step: impl ToString) -> Self {
        self.steps.push(step.to_string());
        self
    }
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, name: Option<&str>, depth: usize) -> Result<(), Fault> {
        self.values += 1;
        if self.values > self.limits.max_values {
            return Err(FaultKind::TooManyValues.into());
        }
        match value {
            Value::Array(elements) => {
                self.enter(depth, elements.len())?;
                for (index, element) in elements.iter().enumerate() {
                    // An index is no key: nothing is directly under `constructor` through an array.
                    self.value(element, None, depth + 1).map_err(|fault| fault.below(index))?;
                }
            }
            Value::Object(members) => {
                self.enter(depth, members.len())?;
                for (key, member) in members {
                    if key.len() > self.limits.max_key_bytes {
                        return Err(FaultKind::KeyTooLong.into());
                    }
                    if is_prototype_key(key, name) {
                        return Err(Fault::from(FaultKind::PrototypeKey).below(key));
                    }
                    self.size += text_size(key) + 1;
                    self.value(member, Some(key), depth + 1).map_err(|fault| fault.below(key))?;
                }
            }
            Value::Number(number) => {
                let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
                if magnitude.is_some_and(|magnitude| magnitude > MAX_SAFE_INTEGER) {
                    return Err(FaultKind::UnsafeInteger.into());
                }
                self.size += crate::state::value::size(value);
            }
            Value::Null | Value::Bool(_) | Value::String(_) => self.size += crate::state::value::size(value),
        }
        if self.size > self.limits.max_bytes {
            return Err(FaultKind::TooLarge.into());
        }
        Ok(())
    }

    fn enter(&mut self, depth: usize, len: usize) -> Result<(), Fault> {
        if depth >= self.limits.max_depth {
            return Err(FaultKind::TooDeep.into());
        }
        self.size += len.saturating_sub(1) + 2;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
