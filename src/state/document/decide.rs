//! From a mutation to a change in place: rebase or merge, check the writer's paths, apply within limits.

use std::borrow::Cow;

use serde_json::Value;

use super::{Change, Conflict, Decided, Document, Mutation, Refusal, Terms};
use crate::state::limits::Limits;
use crate::state::merge::{Edits, posted_edits, three_way};
use crate::state::merge_patch;
use crate::state::patch::{self, Applied, Operation, PatchError};
use crate::state::pointer::Pointer;
use crate::state::touch::{RebaseError, Rebased, rebase};
use crate::state::{diff, json};

pub(super) fn decide(document: &mut Document, mutation: Mutation<'_>, terms: &Terms<'_>) -> Result<Decided, Refusal> {
    if let Some(expected) = terms.if_version.filter(|&expected| expected != document.version) {
        return Err(Refusal::VersionConflict { expected, head: document.version });
    }
    let (ops, conflicts) = operations(&document.body, mutation, &terms.limits)?;
    refuse_forbidden(&ops, terms.allowed)?;

    let is_patch = matches!(mutation, Mutation::Patch { .. });
    // Operations made here are as many as the difference needs; the bound is on what a client sends.
    let max_ops = if is_patch { terms.limits.max_ops.max(ops.len()) } else { usize::MAX };
    let room = terms.limits.max_bytes.saturating_sub(document.size);
    let limits = Limits { max_ops, max_bytes: room, ..terms.limits };
    let lost: Vec<Conflict> = conflicts.into_iter().map(|path| lost_at(&document.body, path)).collect();
    let apply = if is_patch && terms.creates_parents { patch::apply_creating } else { patch::apply };
    let Applied { effects, inverse, growth } = apply(&mut document.body, &ops, &limits)?;
    if effects.is_empty() && !terms.always {
        return Ok(Decided::Unchanged);
    }
    document.version += 1;
    document.grow(growth);
    let revives = std::mem::replace(&mut document.deleted, false);
    Ok(Decided::Changed(Change { version: document.version, ops: effects, inverse, conflicts: lost, growth, revives }))
}

fn operations<'m>(
    head: &Value,
    mutation: Mutation<'m>,
    limits: &Limits,
) -> Result<(Cow<'m, [Operation]>, Vec<Pointer>), Refusal> {
    let made = |Edits { ops, conflicts }| (Cow::Owned(ops), conflicts);
    Ok(match mutation {
        Mutation::Patch { ops, .. } if ops.len() > limits.max_ops => {
            return Err(PatchError::TooMany { count: ops.len(), max: limits.max_ops }.into());
        }
        Mutation::Patch { ops, since: [] } => (Cow::Borrowed(ops), Vec::new()),
        Mutation::Patch { ops, since } => {
            let Rebased { ops, conflicts } = rebase(ops, since, head)
                .map_err(|RebaseError::TargetGone { index, path }| PatchError::TargetGone { index, path })?;
            (Cow::Owned(ops), conflicts)
        }
        Mutation::Merge(patch) => (Cow::Owned(merge_patch::effects_of(head, patch)), Vec::new()),
        Mutation::Replace(body) => {
            refuse_value(body, limits)?;
            (Cow::Owned(diff::diff(head, body)), Vec::new())
        }
        Mutation::Rewrite { base, body } => {
            refuse_value(body, limits)?;
            made(three_way(base, head, body))
        }
        Mutation::Posted { state, past } => {
            refuse_value(state, limits)?;
            made(posted_edits(head, state, past))
        }
    })
}

/// A body is judged whole: its parts alone could each fit.
fn refuse_value(body: &Value, limits: &Limits) -> Result<(), Refusal> {
    let refused = |error: json::JsonError| {
        let path = Pointer::root();
        match error {
            json::JsonError::TooDeep { path, max_depth } => PatchError::TooDeep { index: 0, path, max_depth },
            json::JsonError::PrototypeKey { path } => PatchError::PrototypeKey { index: 0, path },
            error if error.is_too_large() => {
                PatchError::TooLarge { index: 0, path, reason: "the document has no room for it" }
            }
            error => PatchError::InvalidPatch { index: 0, reason: error.to_string() },
        }
    };
    json::check(body, limits).map(drop).map_err(|error| refused(error).into())
}

/// Judged before anything is looked at, so that a refusal tells nothing about the value at the place.
fn refuse_forbidden(ops: &[Operation], allowed: Option<&[Pointer]>) -> Result<(), Refusal> {
    let Some(allowed) = allowed else { return Ok(()) };
    let is_allowed = |path: &Pointer| allowed.iter().any(|root| path.starts_with(root));
    let forbidden = ops.iter().flat_map(Operation::writes).find(|path| !is_allowed(path));
    forbidden.map_or(Ok(()), |path| Err(Refusal::ForbiddenPath { path: path.clone() }))
}

fn lost_at(body: &Value, path: Pointer) -> Conflict {
    let lost = path.get(body).cloned().unwrap_or(Value::Null);
    Conflict { path, version: None, actor: None, lost }
}
