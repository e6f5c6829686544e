//! What a schema makes of one operation before it is carried out: who may do it, what stays as it is, how it merges.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::{Conflict, Refusal};
use crate::state::diff::fine;
use crate::state::later::{Later, before, inverses, last_writer_before};
use crate::state::merge::rules::Settled;
use crate::state::patch::{Editor, Operation, PatchError};
use crate::state::pointer::Pointer;
use crate::state::schema::{Rule, View};
use crate::state::value::same;

/// Stands between the steps of a mutation and the document.
pub(super) struct Gate<'g> {
    view: Option<&'g View>,
    since: &'g [Later<'g>],
    /// The operations are what differs between two bodies, and not what a writer wrote down.
    is_body: bool,
    /// What the writer takes a place to hold after their own writes so far, where a rule made something else of them.
    own: BTreeMap<Pointer, Value>,
    /// Values that had to go when a rule brought two writes together.
    pub(super) conflicts: Vec<Conflict>,
}

impl<'g> Gate<'g> {
    pub(super) fn new(view: Option<&'g View>, since: &'g [Later<'g>], is_body: bool) -> Self {
        Self { view, since, is_body, own: BTreeMap::new(), conflicts: Vec::new() }
    }

    /// What to carry out instead of `op`, the operation or a part of step `index`.
    ///
    /// `is_merged` says that it was made for the value as it is, and not for the version its writer saw.
    pub(super) fn pass<'o>(
        &mut self,
        index: usize,
        op: &'o Operation,
        is_merged: bool,
        editor: &Editor<'_>,
    ) -> Result<Cow<'o, [Operation]>, Refusal> {
        let Some(view) = self.view else { return Ok(Cow::Borrowed(std::slice::from_ref(op))) };
        let doc = editor.doc();
        let sight = view.sight(op.path());
        let barred = |path: &Pointer, old: Option<&Value>, new: Option<&Value>| {
            let barred = (!self.is_body).then(|| view.barred(path, old, new)).flatten();
            barred.map_or(Ok(()), |path| Err(Refusal::ForbiddenPath { path }))
        };
        match op {
            Operation::Test { path, value } => {
                if !view.hides(&sight) {
                    return Ok(Cow::Borrowed(std::slice::from_ref(op)));
                }
                // The writer tests what they can see; what they cannot see must not show in the outcome.
                let shown = path.get(doc).map(|found| view.shown(&sight, found));
                match shown.is_some_and(|shown| same(&shown, value)) {
                    true => Ok(Cow::Borrowed(&[])),
                    false => Err(PatchError::TestFailed { index, path: path.clone() }.into()),
                }
            }
            Operation::Move { from, path } | Operation::Copy { from, path } => {
                let source = view.sight(from);
                let is_like = source.is_like(&sight);
                if view.hides(&source) && !is_like {
                    return Err(Refusal::ForbiddenPath { path: from.clone() });
                }
                if matches!(op, Operation::Copy { .. }) {
                    barred(path, None, from.get(doc))?;
                } else if !is_like {
                    barred(from, from.get(doc), None)?;
                    barred(path, None, from.get(doc))?;
                }
                Ok(Cow::Borrowed(std::slice::from_ref(op)))
            }
            Operation::Remove { path } => {
                if view.bars(&sight) {
                    barred(path, path.get(doc), None)?;
                }
                Ok(Cow::Borrowed(std::slice::from_ref(op)))
            }
            Operation::Add { path, value } | Operation::Replace { path, value } => {
                let container = path.parent().and_then(|parent| parent.get(doc));
                let is_insert = matches!(op, Operation::Add { .. }) && container.is_some_and(Value::is_array);
                if is_insert && self.is_in_set(view, path, container, value) {
                    return Ok(Cow::Borrowed(&[]));
                }
                let old = path.get(doc).filter(|_| !is_insert);
                let mut new = Cow::Borrowed(value);
                if let Some(old) = old {
                    if view.hides(&sight) && !self.is_body {
                        new = Cow::Owned(view.keeping(path, old, value.clone()));
                    }
                    if view.schema().has_rules()
                        && let Some(settled) = self.settled(view, path, old, &new, is_merged || self.is_body, editor)
                    {
                        new = Cow::Owned(settled);
                    }
                }
                if view.bars(&sight) && !self.is_body {
                    view.barred(path, old, Some(&new)).map_or(Ok(()), |path| Err(Refusal::ForbiddenPath { path }))?;
                }
                Ok(match new {
                    Cow::Borrowed(_) => Cow::Borrowed(std::slice::from_ref(op)),
                    Cow::Owned(new) if new == *value => Cow::Borrowed(std::slice::from_ref(op)),
                    Cow::Owned(new) => match old {
                        Some(old) if old.is_array() && new.is_array() => {
                            Cow::Owned(fine(old, &new, path, container.is_some_and(Value::is_array)))
                        }
                        _ => Cow::Owned(vec![with_value(op, new)]),
                    },
                })
            }
        }
    }

    /// Whether a set has the element already.
    fn is_in_set(&self, view: &View, path: &Pointer, container: Option<&Value>, value: &Value) -> bool {
        let is_set = || path.parent().is_some_and(|set| view.schema().rule_at(&set) == Some(&Rule::Set));
        let elements = container.and_then(Value::as_array);
        elements.is_some_and(|elements| elements.iter().any(|element| same(element, value))) && is_set()
    }

    /// What `new` comes to by the merge rules at `path` and below, if they make something else of it.
    fn settled(
        &mut self,
        view: &View,
        path: &Pointer,
        old: &Value,
        new: &Value,
        is_merged: bool,
        editor: &Editor<'_>,
    ) -> Option<Value> {
        let own_steps = || editor.steps_back();
        let base = match self.own.get(path) {
            _ if is_merged => Some(old.clone()),
            Some(own) => Some(own.clone()),
            None => before(path, editor.doc(), own_steps().chain(inverses(self.since))).1,
        };
        let Settled { value, conflicts } = view.schema().settled(path, base.as_ref(), old, new)?;
        for below in conflicts {
            let path = Pointer::from_tokens(path.tokens().iter().chain(below.tokens()).cloned());
            let (at_head, lost) = before(&path, editor.doc(), own_steps());
            let writer = last_writer_before(&path, editor.doc(), own_steps(), self.since);
            self.conflicts.push(Conflict {
                path: at_head,
                version: writer.map(|later| later.version),
                actor: writer.map(|later| later.actor.to_owned()),
                lost: lost.unwrap_or(Value::Null),
            });
        }
        self.own.insert(path.clone(), new.clone());
        (value != *new).then_some(value)
    }
}

fn with_value(op: &Operation, value: Value) -> Operation {
    let path = op.path().clone();
    match op {
        Operation::Replace { .. } => Operation::Replace { path, value },
        _ => Operation::Add { path, value },
    }
}
