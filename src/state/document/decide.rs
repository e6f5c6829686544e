//! From a mutation to a change in place: rebase or merge, check the writer's paths, apply within limits.

use serde_json::Value;

use super::steps::{Plan, plan};
use super::{Change, Conflict, Decided, Document, Mutation, Refusal, Terms};
use crate::state::later::{Later, last_writer};
use crate::state::limits::Limits;
use crate::state::patch::{Applied, Editor, Parents};
use crate::state::pointer::Pointer;

pub(super) fn decide(document: &mut Document, mutation: Mutation<'_>, terms: &Terms<'_>) -> Result<Decided, Refusal> {
    if let Some(expected) = terms.if_version.filter(|&expected| expected != document.version) {
        return Err(Refusal::VersionConflict { expected, head: document.version });
    }
    let Plan { steps, conflicts } = plan(&document.body, mutation, terms)?;
    let lost = |path| conflict_at(path, mutation.since(), &document.body);
    let conflicts: Vec<Conflict> = conflicts.into_iter().map(lost).collect();

    let room = terms.limits.max_bytes.saturating_sub(document.size);
    let limits = Limits { max_bytes: room, ..terms.limits };
    let creates_parents = terms.creates_parents && matches!(mutation, Mutation::Patch { .. })
        || matches!(mutation, Mutation::Intents { .. });
    let parents = if creates_parents { Parents::Created } else { Parents::Required };
    let mut editor = Editor::begin(&mut document.body, limits, parents);
    for (index, step) in steps.iter().enumerate() {
        let outcome = step.operations(index, editor.doc()).and_then(|ops| {
            let mut ops = ops.iter();
            ops.try_for_each(|op| editor.apply(index, op)).map_err(Refusal::from)
        });
        if let Err(refusal) = outcome {
            editor.abort();
            return Err(refusal);
        }
    }
    let Applied { effects, inverse, growth } = editor.finish();
    if effects.is_empty() && !terms.always {
        return Ok(Decided::Unchanged);
    }
    document.version += 1;
    document.grow(growth);
    let revives = std::mem::replace(&mut document.deleted, false);
    Ok(Decided::Changed(Change { version: document.version, ops: effects, inverse, conflicts, growth, revives }))
}

fn conflict_at(path: Pointer, since: &[Later<'_>], head: &Value) -> Conflict {
    let lost = path.get(head).cloned().unwrap_or(Value::Null);
    let writer = last_writer(&path, since, head);
    let (version, actor) = (writer.map(|later| later.version), writer.map(|later| later.actor.to_owned()));
    Conflict { path, version, actor, lost }
}
