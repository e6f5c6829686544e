//! From a mutation to a change in place: rebase or merge, check the writer's paths, apply within limits.

use serde_json::Value;

use super::cancel::cancels_out;
use super::gate::Gate;
use super::steps::{Plan, Step, plan};
use super::twins::Added;
use super::{Change, Conflict, Decided, Document, Mutation, Refusal, Terms, Trace};
use crate::state::diff::diff;
use crate::state::later::{Later, after_own, last_writer};
use crate::state::limits::Limits;
use crate::state::patch::{self, Applied, Editor, Operation, Parents};
use crate::state::pointer::Pointer;
use crate::state::schema::View;

pub(super) fn decide(document: &mut Document, mutation: Mutation<'_>, terms: &Terms<'_>) -> Result<Decided, Refusal> {
    if let Some(expected) = terms.if_version.filter(|&expected| expected != document.version) {
        return Err(Refusal::VersionConflict { expected, head: document.version });
    }
    let Plan { steps, conflicts } = plan(&document.body, mutation, terms)?;
    let lost = |path| conflict_at(path, mutation.since(), &document.body);
    let mut conflicts: Vec<Conflict> = conflicts.into_iter().map(lost).collect();
    let is_body = matches!(mutation, Mutation::Replace(_) | Mutation::Rewrite { .. } | Mutation::Posted { .. });
    // A body says nothing of single writes: whether it changed what its writer may not is seen by comparing.
    let barred_body = terms.view.filter(|view| is_body && view.bars_any()).map(|view| (view, document.body.clone()));

    let room = terms.limits.max_bytes.saturating_sub(document.size);
    let limits = Limits { max_bytes: room, ..terms.limits };
    let creates_parents = terms.creates_parents && matches!(mutation, Mutation::Patch { .. })
        || matches!(mutation, Mutation::Intents { .. });
    let parents = if creates_parents { Parents::Created } else { Parents::Required };
    let mut editor = Editor::begin(&mut document.body, limits, parents);
    let mut gate = Gate::new(terms.view, after_own(mutation.since()), is_body);
    let mut added = Added::new(terms.view.filter(|_| !is_body), after_own(mutation.since()));
    let carried_out = carry_out(&steps, &mut editor, (&mut gate, &mut added), terms);
    let united = match carried_out.and_then(|()| added.bring_together(&mut editor)) {
        Ok(united) => united,
        Err(refusal) => {
            editor.abort();
            return Err(refusal);
        }
    };
    conflicts.append(&mut gate.conflicts);
    let applied = match united {
        None => editor.finish(),
        Some(mut told) => {
            conflicts.append(&mut told);
            let made = editor.doc().clone();
            editor.abort();
            straight(&mut document.body, &made, limits)?
        }
    };
    if !terms.always && (applied.effects.is_empty() || cancels_out(&mut document.body, &applied)) {
        return Ok(Decided::Unchanged);
    }
    let Applied { effects, inverse, growth } = applied;
    if let Some(view) = terms.view
        && let Err(refusal) = judge(&document.body, &effects, &inverse, view, barred_body)
    {
        patch::replay(&mut document.body, &inverse).expect("an inverse applies to the value it was made on");
        return Err(refusal);
    }
    document.version += 1;
    document.grow(growth);
    let revives = std::mem::replace(&mut document.deleted, false);
    Ok(Decided::Changed(Change {
        version: document.version,
        ops: effects,
        inverse,
        conflicts,
        trace: Trace { growth, revives },
    }))
}

/// Makes `made` of the body without a detour: an element that was added and became part of another one is told as what it
/// changed there.
fn straight(body: &mut Value, made: &Value, limits: Limits) -> Result<Applied, Refusal> {
    let ops = diff(body, made);
    let limits = Limits { max_ops: usize::MAX, ..limits };
    Ok(patch::apply(body, &ops, &limits)?)
}

fn carry_out(
    steps: &[Step<'_>],
    editor: &mut Editor<'_>,
    (gate, added): (&mut Gate<'_>, &mut Added<'_>),
    terms: &Terms<'_>,
) -> Result<(), Refusal> {
    for (index, step) in steps.iter().enumerate() {
        for op in step.operations(index, editor.doc(), terms.view.map(View::schema))?.iter() {
            for op in gate.pass(index, op, step.is_merged(), editor)?.iter() {
                editor.apply(index, op)?;
                added.note(index, op, editor);
            }
        }
    }
    Ok(())
}

/// What the schema says of the change, now that it is made.
fn judge(
    body: &Value,
    effects: &[Operation],
    inverse: &[Operation],
    view: &View,
    barred_body: Option<(&View, Value)>,
) -> Result<(), Refusal> {
    if let Some((view, old)) = barred_body
        && let Some(path) = view.barred(&Pointer::root(), Some(&old), Some(body))
    {
        return Err(Refusal::ForbiddenPath { path });
    }
    if let Some(hop) = view.schema().forbidden_hop(body, effects, inverse) {
        return Err(Refusal::TransitionInvalid(hop));
    }
    let errors = view.schema().faults_of_change(body, effects);
    if errors.is_empty() { Ok(()) } else { Err(Refusal::SchemaInvalid { errors }) }
}

fn conflict_at(path: Pointer, since: &[Later<'_>], head: &Value) -> Conflict {
    let lost = path.get(head).cloned().unwrap_or(Value::Null);
    let writer = last_writer(&path, since, head);
    let (version, actor) = (writer.map(|later| later.version), writer.map(|later| later.actor.to_owned()));
    Conflict { path, version, actor, lost }
}
