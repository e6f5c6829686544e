//! The commits a writer has not seen: where a place of the head was before them, and which of them wrote there last.

use serde_json::Value;

use crate::state::document::Commit;
use crate::state::patch::{self, Operation};
use crate::state::pointer::{Pointer, array_index};

/// One commit of `(base, head]`; a slice of them is always oldest first and without gaps.
#[derive(Debug, Clone, Copy)]
pub struct Later<'c> {
    pub version: u64,
    pub actor: &'c str,
    /// In safe form, from the version before.
    pub ops: &'c [Operation],
    /// In safe form, back to the version before.
    pub inverse: &'c [Operation],
    /// Whether the writer made it: then nothing of it is news.
    pub is_own: bool,
}

impl<'c> From<&'c Commit> for Later<'c> {
    fn from(commit: &'c Commit) -> Self {
        Self {
            version: commit.version,
            actor: &commit.actor,
            ops: &commit.ops,
            inverse: &commit.inverse,
            is_own: false,
        }
    }
}

/// Those of `since` that came after the writer's latest.
pub(crate) fn after_own<'s, 'c>(since: &'s [Later<'c>]) -> &'s [Later<'c>] {
    let first = since.iter().rposition(|later| later.is_own).map_or(0, |own| own + 1);
    &since[first..]
}

/// The latest commit of others that wrote at, above or below `path`, a place of `head`.
pub fn last_writer<'c>(path: &Pointer, since: &'c [Later<'c>], head: &Value) -> Option<&'c Later<'c>> {
    last_writer_before(path, head, [], since)
}

/// [`last_writer`] for a place of `value`, to which the head was led by operations that `own` takes back (newest first).
pub(crate) fn last_writer_before<'c, 'o>(
    path: &Pointer,
    value: &Value,
    own: impl IntoIterator<Item = &'o Operation>,
    since: &'c [Later<'c>],
) -> Option<&'c Later<'c>> {
    let mut trail = Trail::new(path.clone(), value);
    for op in own {
        trail.step_back(op);
    }
    since.iter().rev().find(|later| {
        if later.is_own {
            for op in later.inverse {
                trail.step_back(op);
            }
        }
        !later.is_own && later.inverse.iter().any(|op| trail.step_back(op))
    })
}

/// Where `path` of `value` was, and what stood there, before the operations that `inverse` takes back (newest first).
///
/// The cost is that of the value at `path` and of the operations, not of the document.
pub(crate) fn before<'o>(
    path: &Pointer,
    value: &Value,
    inverse: impl IntoIterator<Item = &'o Operation>,
) -> (Pointer, Option<Value>) {
    let mut rewind = Rewind::new(path, value);
    inverse.into_iter().for_each(|op| rewind.step_back(op));
    (rewind.trail.place, rewind.was)
}

/// The values that the place `path` of `head` has held from before `since` on, oldest first, without repetitions.
pub(crate) fn held(path: &Pointer, since: &[Later<'_>], head: &Value) -> Vec<Option<Value>> {
    let mut rewind = Rewind::new(path, head);
    let mut held = vec![rewind.was.clone()];
    for later in since.iter().rev() {
        later.inverse.iter().for_each(|op| rewind.step_back(op));
        if held.last() != Some(&rewind.was) {
            held.push(rewind.was.clone());
        }
    }
    held.reverse();
    held
}

/// A place on its way into the past, with what stood there.
struct Rewind {
    trail: Trail,
    was: Option<Value>,
}

impl Rewind {
    fn new(path: &Pointer, value: &Value) -> Self {
        Self { trail: Trail::new(path.clone(), value), was: path.get(value).cloned() }
    }

    fn step_back(&mut self, op: &Operation) {
        let place = self.trail.place.clone();
        if self.trail.step_back(op) {
            self.was = take_back(self.was.take(), op, &place);
        }
    }
}

/// The inverses of `since`, newest first.
pub(crate) fn inverses<'c>(since: &'c [Later<'c>]) -> impl Iterator<Item = &'c Operation> {
    since.iter().rev().flat_map(|later| later.inverse)
}

fn take_back(was: Option<Value>, op: &Operation, place: &Pointer) -> Option<Value> {
    let path = op.path();
    if path.tokens().len() <= place.tokens().len() {
        let below = Pointer::from_tokens(place.tokens()[path.tokens().len()..].iter().cloned());
        return op.value().and_then(|value| below.get(value)).cloned();
    }
    let mut was = was?;
    let below = Pointer::from_tokens(path.tokens()[place.tokens().len()..].iter().cloned());
    let op = match op.value() {
        Some(value) if matches!(op, Operation::Replace { .. }) => {
            Operation::Replace { path: below, value: value.clone() }
        }
        Some(value) => Operation::Add { path: below, value: value.clone() },
        None => Operation::Remove { path: below },
    };
    patch::replay(&mut was, &[op]).ok().map(|()| was)
}

/// A place on its way into the past. Which of its steps are indexes is known from the head alone.
struct Trail {
    place: Pointer,
    is_index: Vec<bool>,
}

impl Trail {
    fn new(place: Pointer, head: &Value) -> Self {
        let mut here = Some(head);
        let is_index = place.tokens().iter().map(|token| {
            let container = here;
            here = container.and_then(|container| match container {
                Value::Object(members) => members.get(token),
                Value::Array(elements) => elements.get(array_index(token)?),
                _ => None,
            });
            container.is_some_and(Value::is_array)
        });
        let is_index = is_index.collect();
        Self { place, is_index }
    }

    /// Over one operation of an inverse; whether what it takes back was written at, above or below the place.
    fn step_back(&mut self, op: &Operation) -> bool {
        let path = op.path();
        let shared = path.tokens().len().checked_sub(1).filter(|&depth| self.is_index.get(depth) == Some(&true));
        let Some(depth) = shared else { return path.overlaps(&self.place) };
        let (last, array) = path.tokens().split_last().expect("a path with a depth has a last step");
        if !self.place.tokens().starts_with(array) {
            return false;
        }
        let (Some(at), Some(index)) = (array_index(last), array_index(&self.place.tokens()[depth])) else {
            return path.overlaps(&self.place);
        };
        let index = match op {
            Operation::Add { .. } if at <= index => index + 1,
            Operation::Remove { .. } if at < index => index - 1,
            Operation::Add { .. } => return false,
            _ => return at == index,
        };
        self.place.tokens_mut()[depth] = index.to_string();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::limits::Limits;
    use crate::state::patch::Applied;
    use serde_json::json;

    /// After `commits` on `head`, who wrote at `path` last, and where it was before them.
    fn check(mut head: Value, commits: &[Value], path: &str, writer: Option<u64>, was: &str) {
        let applied: Vec<Applied> = commits
            .iter()
            .map(|ops| {
                let ops: Vec<Operation> = serde_json::from_value(ops.clone()).unwrap();
                patch::apply(&mut head, &ops, &Limits::default()).unwrap()
            })
            .collect();
        let since: Vec<Later<'_>> = (1..)
            .zip(&applied)
            .map(|(version, done)| Later {
                version,
                actor: "user:a",
                ops: &done.effects,
                inverse: &done.inverse,
                is_own: false,
            })
            .collect();
        let path = Pointer::parse(path).unwrap();
        assert_eq!(last_writer(&path, &since, &head).map(|later| later.version), writer, "{path} of {head}");
        let (place, value) = before(&path, &head, inverses(&since));
        assert_eq!(place.to_string(), was, "{path} of {head}");
        // What was there, unless they brought it, stands there in the body the inverses lead to.
        let mut first = head.clone();
        inverses(&since).for_each(|op| patch::replay(&mut first, std::slice::from_ref(op)).unwrap());
        assert!(value.is_none() || value.as_ref() == place.get(&first), "{path} of {head}: {value:?}");
        assert!(value.is_some() || writer.is_some(), "{path} of {head}");
    }

    #[test]
    fn a_place_is_followed_back_through_the_shifts_of_its_lists() {
        let base = || json!({"l": [{"n": 1}, {"n": 2}], "o": {"0": 1, "1": 2}});
        let insert = json!([{"op": "add", "path": "/l/0", "value": {"n": 0}}]);
        let remove = json!([{"op": "remove", "path": "/l/0"}]);
        let write = json!([{"op": "replace", "path": "/l/1/n", "value": 9}]);
        check(base(), std::slice::from_ref(&insert), "/l/2/n", None, "/l/1/n");
        check(base(), std::slice::from_ref(&insert), "/l/0/n", Some(1), "/l/0/n");
        check(base(), std::slice::from_ref(&remove), "/l/0/n", None, "/l/1/n");
        check(base(), &[write.clone(), insert.clone()], "/l/2/n", Some(1), "/l/1/n");
        check(base(), &[insert, write.clone(), remove], "/l/0/n", Some(2), "/l/0/n");
        check(base(), &[write], "/l", Some(1), "/l");
    }

    #[test]
    fn members_named_by_digits_are_not_shifted() {
        let unset = json!([{"op": "remove", "path": "/o/0"}]);
        check(json!({"o": {"0": 1, "1": 2}}), &[unset], "/o/1", None, "/o/1");
    }

    #[test]
    fn who_wrote_above_or_below_wrote_here() {
        let whole = json!([{"op": "add", "path": "/o", "value": {"x": {"y": 2}}}]);
        check(json!({"o": 1}), std::slice::from_ref(&whole), "/o/x/y", Some(1), "/o/x/y");
        check(json!({"o": 1}), &[whole], "", Some(1), "");
    }
}
