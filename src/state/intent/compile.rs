//! From an intent to the operations that carry it out on the value as it is now.

use serde_json::{Number, Value};

use super::Intent;
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::state::text::Range;
use crate::state::value::same;

/// Why an intent cannot be carried out here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// What it acts on is missing or of another kind.
    Gone(Pointer),
    /// The list has an element with this key already.
    Taken(Pointer),
    /// The sum is no finite double.
    Overflow,
}

/// The operations for `intent` at `path`, where its own path has gone meanwhile, on `doc`; `key` names the list's elements.
///
/// `carried` is where the range of a `text` intent has gone. Missing parents are left to who applies them.
pub(crate) fn compile(
    intent: &Intent,
    path: &Pointer,
    carried: Option<Range>,
    key: &str,
    doc: &Value,
) -> Result<Vec<Operation>, Misfit> {
    let here = path.get(doc);
    let gone = || Misfit::Gone(path.clone());
    Ok(match intent {
        Intent::Set { value, .. } => vec![set(path, value.clone(), doc)],
        Intent::Unset { .. } => here.map(|_| Operation::Remove { path: path.clone() }).into_iter().collect(),
        Intent::Inc { by, .. } => {
            let sum = match here {
                None => by.clone(),
                Some(Value::Number(number)) => add(number, by).ok_or(Misfit::Overflow)?,
                Some(_) => return Err(gone()),
            };
            vec![set(path, Value::Number(sum), doc)]
        }
        Intent::Append { value, .. } => match here {
            None => vec![set(path, Value::Array(vec![value.clone()]), doc)],
            Some(Value::Array(_)) => vec![Operation::Add { path: path.join("-"), value: value.clone() }],
            Some(_) => return Err(gone()),
        },
        Intent::Insert { value, after, before, .. } => {
            let elements = match here {
                None if after.is_none() && before.is_none() => {
                    return Ok(vec![set(path, Value::Array(vec![value.clone()]), doc)]);
                }
                Some(Value::Array(elements)) => elements,
                _ => return Err(gone()),
            };
            if let Some(taken) = value.get(key).and_then(|own| place_of(elements, key, own)) {
                return Err(Misfit::Taken(path.join(taken.to_string())));
            }
            let at = place(elements, key, after.as_ref(), before.as_ref()).ok_or_else(gone)?;
            vec![Operation::Add { path: path.join(at.to_string()), value: value.clone() }]
        }
        Intent::Move { key: moved, after, before, .. } => {
            let Some(Value::Array(elements)) = here else { return Err(gone()) };
            let from = place_of(elements, key, moved).ok_or_else(gone)?;
            let is_own = |anchor: &Option<Value>| anchor.as_ref().is_some_and(|anchor| same(anchor, moved));
            if is_own(after) || is_own(before) {
                return Ok(Vec::new());
            }
            let to = place(elements, key, after.as_ref(), before.as_ref()).ok_or_else(gone)?;
            // The element leaves its place first.
            let to = if to > from { to - 1 } else { to };
            let step = |index: usize| path.join(index.to_string());
            if from == to { Vec::new() } else { vec![Operation::Move { from: step(from), path: step(to) }] }
        }
        Intent::RemoveKey { key: removed, .. } => {
            let Some(Value::Array(elements)) = here else { return Err(gone()) };
            // From the end, so that the others stay where they are.
            let is_it = |element: &Value| element.get(key).is_some_and(|own| same(own, removed));
            let places = elements.iter().enumerate().rev().filter(|(_, element)| is_it(element));
            let removals: Vec<_> =
                places.map(|(at, _)| Operation::Remove { path: path.join(at.to_string()) }).collect();
            if removals.is_empty() {
                return Err(gone());
            }
            removals
        }
        Intent::Text { pos, delete, insert, .. } => {
            let text = match here {
                None => "",
                Some(Value::String(text)) => text.as_str(),
                Some(_) => return Err(gone()),
            };
            let range = carried.unwrap_or(Range { pos: *pos, delete: *delete });
            vec![set(path, Value::String(spliced(text, range, insert).ok_or_else(gone)?), doc)]
        }
    })
}

/// Members are set by `add`; elements that are there by `replace`, for an `add` would insert.
fn set(path: &Pointer, value: Value, doc: &Value) -> Operation {
    let path = path.clone();
    let in_array = path.parent().and_then(|parent| parent.get(doc)).is_some_and(Value::is_array);
    if in_array { Operation::Replace { path, value } } else { Operation::Add { path, value } }
}

fn add(left: &Number, right: &Number) -> Option<Number> {
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64())
        && let Some(sum) = left.checked_add(right)
    {
        return Some(sum.into());
    }
    Number::from_f64(left.as_f64()? + right.as_f64()?)
}

fn place_of(elements: &[Value], key: &str, wanted: &Value) -> Option<usize> {
    elements.iter().position(|element| element.get(key).is_some_and(|own| same(own, wanted)))
}

/// Where a new element goes: `after` counts before `before`; the end without either, nowhere if neither is there.
fn place(elements: &[Value], key: &str, after: Option<&Value>, before: Option<&Value>) -> Option<usize> {
    let find = |anchor: Option<&Value>| anchor.and_then(|anchor| place_of(elements, key, anchor));
    match (after, before) {
        (None, None) => Some(elements.len()),
        _ => find(after).map(|at| at + 1).or_else(|| find(before)),
    }
}

fn spliced(text: &str, range: Range, insert: &str) -> Option<String> {
    let end = range.pos.checked_add(range.delete)?;
    let byte = |place: usize| text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(place);
    let (start, end) = (byte(range.pos)?, byte(end)?);
    Some([&text[..start], insert, &text[end..]].concat())
}
