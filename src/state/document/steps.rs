//! What a mutation comes to on the head: the operations and intents to carry out there, and the places others wrote too.

use std::borrow::Cow;

use serde_json::Value;

use super::{Mutation, Refusal, Terms};
use crate::state::intent::{DEFAULT_KEY, Intent, Misfit, compile};
use crate::state::later::{Later, before, held, inverses, last_writer};
use crate::state::limits::Limits;
use crate::state::merge::{Edits, posted_edits, three_way};
use crate::state::patch::{Operation, PatchError};
use crate::state::pointer::Pointer;
use crate::state::schema::{Rule, Schema, View};
use crate::state::text::Range;
use crate::state::touch::{RebaseError, Rebased, rebase, rebase_beside};
use crate::state::{diff, json, merge_patch};

pub(super) struct Plan<'m> {
    pub(super) steps: Vec<Step<'m>>,
    /// Places of the head that others wrote since the writer looked, and that this writes over.
    pub(super) conflicts: Vec<Pointer>,
}

pub(super) enum Step<'m> {
    Write(Cow<'m, Operation>),
    /// An intent, where its path is at the head, and where its range is if it edits text.
    Intent {
        intent: &'m Intent,
        path: Pointer,
        range: Option<Range>,
    },
}

impl<'m> Step<'m> {
    /// What to do on `doc`, the value as the steps before left it.
    pub(super) fn operations(
        &self,
        index: usize,
        doc: &Value,
        schema: Option<&Schema>,
    ) -> Result<Cow<'_, [Operation]>, Refusal> {
        match self {
            Self::Write(op) => Ok(Cow::Borrowed(std::slice::from_ref(op.as_ref()))),
            Self::Intent { intent, path, range } => {
                let key = key_of(path, schema);
                let ops = compile(intent, path, *range, key, doc).map_err(|misfit| match misfit {
                    Misfit::Gone(path) => PatchError::TargetGone { index, path }.into(),
                    Misfit::Taken(path) => Refusal::Conflict { paths: vec![path] },
                    Misfit::Overflow => {
                        let reason = format!("the sum at `{path}` is beyond the range of a double");
                        PatchError::InvalidPatch { index, reason }.into()
                    }
                })?;
                Ok(Cow::Owned(ops))
            }
        }
    }

    /// Whether its operations are made for the value as it is, whatever others did.
    pub(super) fn is_merged(&self) -> bool {
        matches!(self, Self::Intent { intent, .. } if !matches!(intent, Intent::Set { .. }))
    }

    fn writes(&self) -> impl Iterator<Item = &Pointer> {
        let (op, path) = match self {
            Self::Write(op) => (Some(op.writes()), None),
            Self::Intent { path, .. } => (None, Some(path)),
        };
        op.into_iter().flatten().chain(path)
    }
}

pub(super) fn plan<'m>(head: &Value, mutation: Mutation<'m>, terms: &Terms<'_>) -> Result<Plan<'m>, Refusal> {
    let limits = &terms.limits;
    let schema = terms.view.map(View::schema);
    refuse_unseen(&mutation, terms)?;
    let mut plan = match mutation {
        Mutation::Patch { ops, since } => {
            refuse_many(ops.len(), limits)?;
            patch(head, ops, since)?
        }
        Mutation::Merge { patch, since } => {
            let ops = merge_patch::effects_of(head, patch);
            let is_theirs = |path: &&Pointer| last_writer(path, since, head).is_some();
            let conflicts = ops.iter().map(Operation::path).filter(is_theirs).cloned().collect();
            made(Edits { ops, conflicts })
        }
        Mutation::Intents { intents, since } => {
            refuse_many(intents.len(), limits)?;
            carry(head, intents, since, schema)?
        }
        Mutation::Replace(body) => {
            refuse_value(body, limits)?;
            made(Edits { ops: diff::diff(head, &kept(head, body, terms)), conflicts: Vec::new() })
        }
        Mutation::Rewrite { body, since } => {
            refuse_value(body, limits)?;
            made(three_way(head, &kept(head, body, terms), since, schema).ok_or_else(|| unfit(since))?)
        }
        Mutation::Posted { state, past } => {
            refuse_value(state, limits)?;
            made(posted_edits(head, &kept(head, state, terms), past, schema))
        }
    };
    refuse_forbidden(&plan.steps, terms)?;
    if let Some(schema) = schema {
        refuse_unclaimed(&plan, mutation.since(), head, schema)?;
        // What a rule brought together is no conflict, but for what the rule itself tells.
        let merges = |path: &Pointer| {
            let is_merged = schema.rule_at(path).is_some_and(|rule| !matches!(rule, Rule::Lww | Rule::Cas));
            is_merged && path.get(head).is_some()
        };
        if matches!(mutation, Mutation::Patch { .. } | Mutation::Merge { .. } | Mutation::Intents { .. }) {
            plan.conflicts.retain(|path| !merges(path));
        }
    }
    Ok(plan)
}

/// Nobody deletes what they cannot see: a body counts as holding it.
fn kept<'b>(head: &Value, body: &'b Value, terms: &Terms<'_>) -> Cow<'b, Value> {
    match terms.view.filter(|view| !view.sees_all()) {
        Some(view) => Cow::Owned(view.keeping(&Pointer::root(), head, body.clone())),
        None => Cow::Borrowed(body),
    }
}

/// The places a writer names are judged before anything is looked at, so that a refusal tells nothing about what is there.
fn refuse_unseen(mutation: &Mutation<'_>, terms: &Terms<'_>) -> Result<(), Refusal> {
    let Some(view) = terms.view else { return Ok(()) };
    let forbidden = match mutation {
        Mutation::Patch { ops, .. } => ops.iter().find_map(|op| {
            let read = match op {
                Operation::Test { path, .. } => Some(path),
                Operation::Move { from, .. } | Operation::Copy { from, .. } => Some(from),
                Operation::Add { .. } | Operation::Remove { .. } | Operation::Replace { .. } => None,
            };
            let unseen = read.filter(|path| !view.may_read(path));
            unseen.or_else(|| op.writes().find(|path| !view.may_write(path)))
        }),
        Mutation::Intents { intents, .. } => intents.iter().map(Intent::path).find(|path| !view.may_write(path)),
        _ => None,
    };
    forbidden.map_or(Ok(()), |path| Err(Refusal::ForbiddenPath { path: path.clone() }))
}

/// A `cas` place is written only by who has seen what is there.
fn refuse_unclaimed(plan: &Plan<'_>, since: &[Later<'_>], head: &Value, schema: &Schema) -> Result<(), Refusal> {
    if since.is_empty() || !schema.has_cas() {
        return Ok(());
    }
    let is_theirs = |path: &Pointer| last_writer(path, since, head).is_some();
    let mut paths: Vec<Pointer> = Vec::new();
    for path in plan.conflicts.iter().chain(plan.steps.iter().flat_map(Step::writes)) {
        if let Some(place) = schema.cas_over(path) {
            paths.extend(is_theirs(&place).then_some(place));
        } else if let Some(value) = path.get(head) {
            paths.extend(schema.cas_below(path, value).into_iter().filter(&is_theirs));
        }
    }
    paths.sort_unstable();
    paths.dedup();
    if paths.is_empty() { Ok(()) } else { Err(Refusal::Conflict { paths }) }
}

fn key_of<'s>(list: &Pointer, schema: Option<&'s Schema>) -> &'s str {
    schema.and_then(|schema| schema.key_at(list)).unwrap_or(DEFAULT_KEY)
}

fn made<'m>(Edits { ops, conflicts }: Edits) -> Plan<'m> {
    Plan { steps: ops.into_iter().map(|op| Step::Write(Cow::Owned(op))).collect(), conflicts }
}

/// Commits that do not lead to this head: whoever passes them is told, and nothing is written.
fn unfit(since: &[Later<'_>]) -> Refusal {
    let reason = format!("the {} commits since the base do not lead to the head", since.len());
    PatchError::InvalidPatch { index: 0, reason }.into()
}

fn patch<'m>(head: &Value, ops: &'m [Operation], since: &[Later<'_>]) -> Result<Plan<'m>, Refusal> {
    if since.iter().all(|later| later.is_own) {
        let steps = ops.iter().map(|op| Step::Write(Cow::Borrowed(op))).collect();
        return Ok(Plan { steps, conflicts: Vec::new() });
    }
    let over: Vec<Operation> = since.iter().flat_map(|later| later.ops).cloned().collect();
    let is_own: Vec<bool> = since.iter().flat_map(|later| later.ops.iter().map(|_| later.is_own)).collect();
    let Rebased { ops, conflicts } = rebase_beside(ops, &over, &is_own, head).map_err(gone)?;
    Ok(made(Edits { ops, conflicts }))
}

fn gone(RebaseError::TargetGone { index, path }: RebaseError) -> Refusal {
    PatchError::TargetGone { index, path }.into()
}

/// Each intent for itself to where its place is at the head.
fn carry<'m>(
    head: &Value,
    intents: &'m [Intent],
    since: &[Later<'_>],
    schema: Option<&Schema>,
) -> Result<Plan<'m>, Refusal> {
    let mut plan = Plan { steps: Vec::with_capacity(intents.len()), conflicts: Vec::new() };
    let over: Vec<Operation> = since.iter().flat_map(|later| later.ops).cloned().collect();
    for (index, intent) in intents.iter().enumerate() {
        let path = intent.path().clone();
        if since.is_empty() {
            plan.steps.push(Step::Intent { intent, path, range: None });
            continue;
        }
        let own = match intent {
            Intent::Set { value, .. } => Operation::Replace { path, value: value.clone() },
            Intent::Unset { .. } => Operation::Remove { path },
            _ => Operation::Test { path, value: Value::Null },
        };
        let at_index = |RebaseError::TargetGone { path, .. }| gone(RebaseError::TargetGone { index, path });
        let Rebased { ops, conflicts } = rebase(&[own], &over, head).map_err(at_index)?;
        // Nothing is left of it: others unset the same.
        let Some(path) = ops.last().map(|op| op.path().clone()) else { continue };
        plan.conflicts.extend(conflicts);
        let mut range = None;
        match intent {
            Intent::Set { .. } | Intent::Unset { .. } => {}
            Intent::RemoveKey { key, .. } if others_removed(&path, (key_of(&path, schema), key), since, head) => {
                continue;
            }
            Intent::Text { pos, delete, .. } => {
                range = Some(moved(Range { pos: *pos, delete: *delete }, &path, since, head))
            }
            _ => {}
        }
        let is_merged = !matches!(intent, Intent::Set { .. } | Intent::Unset { .. });
        if is_merged && path.get(head).is_none() && before(&path, head, inverses(since)).1.is_some() {
            // Others removed what this adds to: it begins anew, and both are told.
            plan.conflicts.push(path.clone());
        }
        plan.steps.push(Step::Intent { intent, path, range });
    }
    Ok(plan)
}

/// Whether the list had the element before `since` and has it no more.
fn others_removed(list: &Pointer, (name, key): (&str, &Value), since: &[Later<'_>], head: &Value) -> bool {
    let has = |list: Option<&Value>| {
        let elements = list.and_then(Value::as_array);
        elements.is_some_and(|elements| {
            elements.iter().any(|element| element.get(name).is_some_and(|own| crate::state::value::same(own, key)))
        })
    };
    !has(list.get(head)) && has(before(list, head, inverses(since)).1.as_ref())
}

/// Where a range of the text at `path` is at the head.
fn moved(range: Range, path: &Pointer, since: &[Later<'_>], head: &Value) -> Range {
    let held = held(path, since, head);
    held.windows(2).fold(range, |range, two| match two {
        [Some(Value::String(old)), Some(Value::String(new))] => range.over(old, new),
        _ => range,
    })
}

fn refuse_many(count: usize, limits: &Limits) -> Result<(), Refusal> {
    if count > limits.max_ops {
        return Err(PatchError::TooMany { count, max: limits.max_ops }.into());
    }
    Ok(())
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

fn refuse_forbidden(steps: &[Step<'_>], terms: &Terms<'_>) -> Result<(), Refusal> {
    let is_allowed = |path: &Pointer| {
        terms.allowed.is_none_or(|allowed| allowed.iter().any(|root| path.starts_with(root)))
            && terms.view.is_none_or(|view| view.may_write(path))
    };
    let forbidden = steps.iter().flat_map(Step::writes).find(|path| !is_allowed(path)).cloned();
    forbidden.map_or(Ok(()), |path| Err(Refusal::ForbiddenPath { path }))
}
