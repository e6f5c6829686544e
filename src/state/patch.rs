//! JSON Patch (RFC 6902) stand-in.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use super::limits::Limits;
use super::pointer::Pointer;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    Add { path: Pointer, value: Value },
    Remove { path: Pointer },
    Replace { path: Pointer, value: Value },
    Move { from: Pointer, path: Pointer },
    Copy { from: Pointer, path: Pointer },
    Test { path: Pointer, value: Value },
}
#[derive(Debug, Clone, Default)]
pub struct Applied { pub effects: Vec<Operation>, pub inverse: Vec<Operation> }
#[derive(Debug, Clone, thiserror::Error)]
pub enum PatchError { #[error("no target at `{path}`")] TargetGone { path: Pointer } }
impl PatchError {
    pub fn code(&self) -> &'static str { "target_gone" }
    pub fn path(&self) -> Option<&Pointer> { match self { Self::TargetGone { path } => Some(path) } }
}
pub fn apply(doc: &mut Value, ops: &[Operation], _limits: &Limits) -> Result<Applied, PatchError> {
    let before = doc.clone();
    let mut applied = Applied::default();
    for op in ops {
        if let Err(e) = one(doc, op, &mut applied) { *doc = before; return Err(e); }
    }
    applied.inverse.reverse();
    Ok(applied)
}
pub fn replay(doc: &mut Value, ops: &[Operation]) -> Result<(), PatchError> { apply(doc, ops, &Limits::default()).map(|_| ()) }
fn one(doc: &mut Value, op: &Operation, out: &mut Applied) -> Result<(), PatchError> {
    let (path, value) = match op {
        Operation::Add { path, value } | Operation::Replace { path, value } => (path, Some(value.clone())),
        Operation::Remove { path } => (path, None),
        _ => return Ok(()),
    };
    let gone = || PatchError::TargetGone { path: path.clone() };
    let Some(parent) = path.parent() else { return Err(gone()) };
    let last = path.last().unwrap().to_owned();
    let at = doc.pointer_mut(&parent.to_string()).ok_or_else(gone)?;
    match (at, value) {
        (Value::Object(m), Some(v)) => {
            let old = m.insert(last, v.clone());
            if old.as_ref() == Some(&v) { return Ok(()) }
            out.inverse.push(match old { Some(o) => Operation::Add { path: path.clone(), value: o }, None => Operation::Remove { path: path.clone() } });
            out.effects.push(Operation::Add { path: path.clone(), value: v });
        }
        (Value::Object(m), None) => {
            let old = m.remove(&last).ok_or_else(gone)?;
            out.inverse.push(Operation::Add { path: path.clone(), value: old });
            out.effects.push(op.clone());
        }
        (Value::Array(a), Some(v)) => {
            let i = if last == "-" { a.len() } else { last.parse().map_err(|_| gone())? };
            if i > a.len() { return Err(gone()) }
            a.insert(i, v.clone());
            let p = parent.join(i.to_string());
            out.inverse.push(Operation::Remove { path: p.clone() });
            out.effects.push(Operation::Add { path: p, value: v });
        }
        (Value::Array(a), None) => {
            let i: usize = last.parse().map_err(|_| gone())?;
            if i >= a.len() { return Err(gone()) }
            let old = a.remove(i);
            out.inverse.push(Operation::Add { path: path.clone(), value: old });
            out.effects.push(op.clone());
        }
        _ => return Err(gone()),
    }
    Ok(())
}
pub fn size_after(size: usize, _b: &Value, _e: &[Operation], _i: &[Operation]) -> usize { size }
