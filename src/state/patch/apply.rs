//! The walk behind [`super::apply`]: writes in place while it notes effects, inverse and growth, and undoes itself on failure.

use serde_json::{Map, Value};

use super::{Applied, Operation, PatchError};
use crate::state::json::{self, JsonError};
use crate::state::limits::Limits;
use crate::state::pointer::{Pointer, array_index};
use crate::state::value::{same, size, text_size};

/// Whether objects missing above a target are created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state) enum Parents {
    Required,
    Created,
}

pub(super) fn apply(
    doc: &mut Value,
    ops: &[Operation],
    limits: &Limits,
    parents: Parents,
) -> Result<Applied, PatchError> {
    if ops.len() > limits.max_ops {
        return Err(PatchError::TooMany { count: ops.len(), max: limits.max_ops });
    }
    let mut editor = Editor::begin(doc, *limits, parents);
    for (index, op) in ops.iter().enumerate() {
        if let Err(error) = editor.apply(index, op) {
            editor.abort();
            return Err(error);
        }
    }
    Ok(editor.finish())
}

/// A value while operations change it one by one, until they are kept or all taken back.
pub(in crate::state) struct Editor<'d> {
    doc: &'d mut Value,
    limits: Limits,
    parents: Parents,
    index: usize,
    copied: usize,
    moved: usize,
    /// `inverse` in the order of the effects until the end.
    done: Applied,
}

impl<'d> Editor<'d> {
    /// `limits.max_bytes` is what all operations together may add; their number is the caller's to bound.
    pub(in crate::state) fn begin(doc: &'d mut Value, limits: Limits, parents: Parents) -> Self {
        // Most changes are one operation, and a vector that grows takes room for four.
        let done = Applied { effects: Vec::with_capacity(1), inverse: Vec::with_capacity(1), growth: 0 };
        Self { doc, limits, parents, index: 0, copied: 0, moved: 0, done }
    }

    /// The value as the operations so far left it.
    pub(in crate::state) fn doc(&self) -> &Value {
        self.doc
    }

    /// Applies the next operation; after an error only [`abort`](Self::abort) is of use.
    pub(in crate::state) fn apply(&mut self, index: usize, op: &Operation) -> Result<(), PatchError> {
        self.index = index;
        let growth = self.done.growth;
        self.operation(op)?;
        self.check_growth(growth, op.path())
    }

    /// What the operations so far did.
    pub(in crate::state) fn effects(&self) -> &[Operation] {
        &self.done.effects
    }

    /// What takes the operations so far back, newest first.
    pub(in crate::state) fn steps_back(&self) -> impl Iterator<Item = &Operation> {
        self.done.inverse.iter().rev()
    }

    /// Keeps what was done.
    pub(in crate::state) fn finish(self) -> Applied {
        let mut applied = self.done;
        applied.inverse.reverse();
        applied
    }

    /// Takes everything back.
    pub(in crate::state) fn abort(mut self) {
        self.undo();
    }
}

/// Whether a write must find something at its path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Add,
    Replace,
}

impl Editor<'_> {
    fn operation(&mut self, op: &Operation) -> Result<(), PatchError> {
        self.refuse_prototypes(op.path())?;
        match op {
            Operation::Add { path, value } => {
                self.check_value(path, value)?;
                self.create_parents(path)?;
                self.write(path, value.clone(), Write::Add)
            }
            Operation::Replace { path, value } => {
                self.check_value(path, value)?;
                self.write(path, value.clone(), Write::Replace)
            }
            Operation::Remove { path } => self.remove(path),
            Operation::Move { from, path } => self.relocate(from, path),
            Operation::Copy { from, path } => {
                self.refuse_prototypes(from)?;
                let value = from.get(self.doc).ok_or_else(|| self.gone(from))?;
                self.copied += size(value);
                if self.copied > self.limits.max_copied_bytes {
                    return Err(self.too_large(path, "it copies more than a patch may"));
                }
                let value = value.clone();
                self.check_value(path, &value)?;
                self.create_parents(path)?;
                self.write(path, value, Write::Add)
            }
            Operation::Test { path, value } => match path.get(self.doc) {
                Some(found) if same(found, value) => Ok(()),
                _ => Err(PatchError::TestFailed { index: self.index, path: path.clone() }),
            },
        }
    }

    /// `move` as what it does: a removal and an addition.
    fn relocate(&mut self, from: &Pointer, path: &Pointer) -> Result<(), PatchError> {
        self.refuse_prototypes(from)?;
        if from == path {
            return from.get(self.doc).map(drop).ok_or_else(|| self.gone(from));
        }
        if path.starts_with(from) {
            let reason = format!("`{from}` cannot move into itself");
            return Err(PatchError::InvalidPatch { index: self.index, reason });
        }
        let value = from.get(self.doc).ok_or_else(|| self.gone(from))?;
        // Each move appears in the effects with its value: a large one moved to and fro must not fill the log.
        self.moved = self.moved.saturating_add(size(value));
        if self.moved > self.limits.max_moved_bytes {
            return Err(self.too_large(path, "it moves more than a patch may"));
        }
        let value = value.clone();
        self.remove(from)?;
        self.check_value(path, &value)?;
        self.create_parents(path)?;
        self.write(path, value, Write::Add)
    }

    fn write(&mut self, path: &Pointer, value: Value, write: Write) -> Result<(), PatchError> {
        let index = self.index;
        let gone = || PatchError::TargetGone { index, path: path.clone() };
        let Some((last, parents)) = path.tokens().split_last() else {
            if !same(self.doc, &value) {
                let grown = size(&value) as i64 - size(self.doc) as i64;
                let old = std::mem::replace(self.doc, value.clone());
                let root = Pointer::root();
                self.note(
                    Operation::Add { path: root.clone(), value },
                    Operation::Add { path: root, value: old },
                    grown,
                );
            }
            return Ok(());
        };
        match find(self.doc, parents) {
            Some(Value::Object(members)) => {
                let grown = match members.get(last) {
                    Some(old) if same(old, &value) => return Ok(()),
                    Some(old) => size(&value) as i64 - size(old) as i64,
                    None if write == Write::Replace => return Err(gone()),
                    None => (size(&value) + text_size(last) + 1 + usize::from(!members.is_empty())) as i64,
                };
                let inverse = match members.get_mut(last) {
                    Some(place) => {
                        let old = std::mem::replace(place, value.clone());
                        Operation::Add { path: path.clone(), value: old }
                    }
                    None => {
                        members.insert(last.clone(), value.clone());
                        Operation::Remove { path: path.clone() }
                    }
                };
                self.note(Operation::Add { path: path.clone(), value }, inverse, grown);
            }
            Some(Value::Array(elements)) if write == Write::Replace => {
                let place = array_index(last).and_then(|index| elements.get_mut(index)).ok_or_else(gone)?;
                if !same(place, &value) {
                    let grown = size(&value) as i64 - size(place) as i64;
                    let old = std::mem::replace(place, value.clone());
                    let effect = Operation::Replace { path: path.clone(), value };
                    self.note(effect, Operation::Replace { path: path.clone(), value: old }, grown);
                }
            }
            Some(Value::Array(elements)) => {
                let index = if last == "-" { Some(elements.len()) } else { array_index(last) };
                let index = index.filter(|&index| index <= elements.len()).ok_or_else(gone)?;
                let grown = (size(&value) + usize::from(!elements.is_empty())) as i64;
                elements.insert(index, value.clone());
                let mut path = path.clone();
                if last == "-" {
                    *path.tokens_mut().last_mut().expect("the path has a last step") = index.to_string();
                }
                self.note(Operation::Add { path: path.clone(), value }, Operation::Remove { path }, grown);
            }
            _ => return Err(gone()),
        }
        Ok(())
    }

    /// The root leaves null.
    fn remove(&mut self, path: &Pointer) -> Result<(), PatchError> {
        let index = self.index;
        let gone = || PatchError::TargetGone { index, path: path.clone() };
        let Some((last, parents)) = path.tokens().split_last() else {
            return self.write(path, Value::Null, Write::Replace);
        };
        let (old, shrunk) = match find(self.doc, parents) {
            Some(Value::Object(members)) => {
                let old = members.remove(last).ok_or_else(gone)?;
                let separators = text_size(last) + 1 + usize::from(!members.is_empty());
                (old, separators)
            }
            Some(Value::Array(elements)) => {
                let index = array_index(last).filter(|&index| index < elements.len()).ok_or_else(gone)?;
                let old = elements.remove(index);
                (old, usize::from(!elements.is_empty()))
            }
            _ => return Err(gone()),
        };
        let grown = -((size(&old) + shrunk) as i64);
        let inverse = Operation::Add { path: path.clone(), value: old };
        self.note(Operation::Remove { path: path.clone() }, inverse, grown);
        Ok(())
    }

    fn create_parents(&mut self, path: &Pointer) -> Result<(), PatchError> {
        if self.parents == Parents::Required {
            return Ok(());
        }
        for depth in 1..path.tokens().len() {
            let parents = &path.tokens()[..depth];
            if find(self.doc, parents).is_some() {
                continue;
            }
            let (last, above) = parents.split_last().expect("there is at least one step");
            if !matches!(find(self.doc, above), Some(Value::Object(members)) if !members.contains_key(last)) {
                return Err(self.gone(path));
            }
            let parent = Pointer::from_tokens(parents.iter().cloned());
            if depth >= self.limits.max_depth {
                return Err(PatchError::TooDeep { index: self.index, path: parent, max_depth: self.limits.max_depth });
            }
            self.write(&parent, Value::Object(Map::new()), Write::Add)?;
        }
        Ok(())
    }

    fn note(&mut self, effect: Operation, inverse: Operation, grown: i64) {
        self.done.effects.push(effect);
        self.done.inverse.push(inverse);
        self.done.growth += grown;
    }

    fn undo(&mut self) {
        let mut taken_back = std::mem::take(&mut self.done.inverse);
        taken_back.reverse();
        super::replay(self.doc, &taken_back).expect("an inverse applies to the value it was made on");
    }

    fn gone(&self, path: &Pointer) -> PatchError {
        PatchError::TargetGone { index: self.index, path: path.clone() }
    }

    fn too_large(&self, path: &Pointer, reason: &'static str) -> PatchError {
        PatchError::TooLarge { index: self.index, path: path.clone(), reason }
    }

    fn refuse_prototypes(&self, path: &Pointer) -> Result<(), PatchError> {
        if path.reaches_prototype() {
            return Err(PatchError::PrototypeKey { index: self.index, path: path.clone() });
        }
        Ok(())
    }

    fn check_value(&self, path: &Pointer, value: &Value) -> Result<(), PatchError> {
        if self.limits == Limits::NONE {
            return Ok(());
        }
        let index = self.index;
        // A large value may replace a larger one: growth is judged after the write.
        let limits = Limits { max_bytes: usize::MAX, ..self.limits };
        json::check_at(value, path, &limits).map(drop).map_err(|error| match error {
            JsonError::PrototypeKey { path } => PatchError::PrototypeKey { index, path },
            JsonError::TooDeep { path, max_depth } => PatchError::TooDeep { index, path, max_depth },
            JsonError::TooLarge { .. } | JsonError::TooManyValues { .. } => {
                self.too_large(path, "the document has no room for it")
            }
            other => PatchError::InvalidPatch { index, reason: other.to_string() },
        })
    }

    /// A document over its limit (a limit that was lowered) may still shrink.
    fn check_growth(&self, before: i64, path: &Pointer) -> Result<(), PatchError> {
        let growth = self.done.growth;
        let room = i64::try_from(self.limits.max_bytes).unwrap_or(i64::MAX);
        if growth > before && growth > room {
            return Err(self.too_large(path, "the document has no room for it"));
        }
        Ok(())
    }
}

fn find<'v>(value: &'v mut Value, tokens: &[String]) -> Option<&'v mut Value> {
    tokens.iter().try_fold(value, |value, token| match value {
        Value::Object(members) => members.get_mut(token),
        Value::Array(elements) => elements.get_mut(array_index(token)?),
        _ => None,
    })
}
