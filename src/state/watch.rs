//! What one commit changed at places that somebody watches, told as value before and value after.
//!
//! It looks at what the operations name, never at a whole document; what moved to another index because something was
//! inserted or removed before it has not changed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde_json::{Map, Value};

use crate::state::limits::Limits;
use crate::state::patch::{self, Operation};
use crate::state::pointer::{Pointer, PointerError, array_index};

/// Stands for any one member or element.
const ANY: &str = "*";

/// A JSON Pointer in which `*` stands for any one member or element. The empty one is the whole document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place(Pointer);

/// A watched place that is not what it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Where exactly.
    pub path: Pointer,
    /// `None` where nothing was.
    pub old: Option<Value>,
    /// `None` where nothing is now.
    pub new: Option<Value>,
}

impl Place {
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        Pointer::parse(text).map(Self)
    }

    fn tokens(&self) -> &[String] {
        self.0.tokens()
    }

    /// Whether the first steps of the place can be these.
    fn leads_to(&self, steps: &[String]) -> bool {
        self.tokens().iter().zip(steps).all(|(wanted, step)| wanted == ANY || wanted == step)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is different at `place` after a commit with these operations and this inverse, both in safe form, that led to
/// `after`. Ordered by path.
pub fn changes(place: &Place, after: &Value, ops: &[Operation], inverse: &[Operation]) -> Vec<Changed> {
    if !ops.iter().any(|op| place.leads_to(op.path().tokens())) {
        return Vec::new();
    }
    if place.tokens().is_empty() {
        let mut old = after.clone();
        patch::replay(&mut old, inverse).expect("an inverse applies to the body that its commit made");
        return vec![Changed { path: Pointer::root(), old: Some(old), new: Some(after.clone()) }];
    }
    let mut body = before(after, ops, inverse);
    let mut found: BTreeMap<Pointer, Changed> = BTreeMap::new();
    for op in ops {
        let at = op.path();
        let is_watched = place.leads_to(at.tokens());
        let look = |body: &Value| if is_watched { seen(place, at, body) } else { BTreeMap::new() };
        let shifts = is_element(&body, at) && !matches!(op, Operation::Replace { .. });
        let old = look(&body);
        patch::apply(&mut body, std::slice::from_ref(op), &Limits::NONE).expect("a commit's operations apply in order");
        let new = look(&body);
        // An element that was put in or taken out: what else stands at its index is another one.
        let (old, new) = match (shifts, op) {
            (true, Operation::Remove { .. }) => (old, BTreeMap::new()),
            (true, _) => (BTreeMap::new(), new),
            (false, _) => (old, new),
        };
        note(&mut found, old, new);
    }
    found.into_values().filter(|change| change.old != change.new).collect()
}

/// The document before the commit, as far as its operations reach.
fn before(after: &Value, ops: &[Operation], inverse: &[Operation]) -> Value {
    let mut body = match after {
        Value::Object(members) if ops.iter().chain(inverse).all(|op| !op.path().is_root()) => {
            let touched = ops.iter().chain(inverse).filter_map(|op| op.path().tokens().first());
            let part = touched.filter_map(|name| Some((name.clone(), members.get(name)?.clone())));
            Value::Object(part.collect::<Map<_, _>>())
        }
        whole => whole.clone(),
    };
    patch::replay(&mut body, inverse).expect("an inverse applies to the body that its commit made");
    body
}

/// Whether a pointer names an element of an array.
fn is_element(body: &Value, at: &Pointer) -> bool {
    at.parent().is_some_and(|parent| parent.get(body).is_some_and(Value::is_array))
}

/// The values at `place` that a write at `at` can change: at or below it, or the one it lies in.
fn seen(place: &Place, at: &Pointer, body: &Value) -> BTreeMap<Pointer, Value> {
    let mut found = BTreeMap::new();
    let depth = place.tokens().len();
    if at.tokens().len() >= depth {
        let path = Pointer::from_tokens(at.tokens()[..depth].iter().cloned());
        if let Some(value) = path.get(body) {
            found.insert(path.clone(), value.clone());
        }
    } else if let Some(value) = at.get(body) {
        below(&place.tokens()[at.tokens().len()..], value, &mut at.clone(), &mut found);
    }
    found
}

fn below(rest: &[String], value: &Value, path: &mut Pointer, found: &mut BTreeMap<Pointer, Value>) {
    let Some((token, rest)) = rest.split_first() else {
        found.insert(path.clone(), value.clone());
        return;
    };
    let mut step = |name: &str, value: &Value| {
        path.tokens_mut().push(name.to_owned());
        below(rest, value, path, found);
        path.tokens_mut().pop();
    };
    match value {
        Value::Object(members) if token == ANY => members.iter().for_each(|(name, value)| step(name, value)),
        Value::Array(elements) if token == ANY => {
            elements.iter().enumerate().for_each(|(index, value)| step(&index.to_string(), value));
        }
        Value::Object(members) => members.get(token).into_iter().for_each(|value| step(token, value)),
        Value::Array(elements) => {
            let element = array_index(token).and_then(|index| elements.get(index));
            element.into_iter().for_each(|value| step(token, value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The first value before and the last value after, of each path.
fn note(found: &mut BTreeMap<Pointer, Changed>, mut old: BTreeMap<Pointer, Value>, new: BTreeMap<Pointer, Value>) {
    let mut merge = |path: Pointer, old: Option<Value>, new: Option<Value>| match found.entry(path) {
        Entry::Occupied(mut known) => known.get_mut().new = new,
        Entry::Vacant(free) => {
            let path = free.key().clone();
            free.insert(Changed { path, old, new });
        }
    };
    for (path, value) in new {
        let before = old.remove(&path);
        merge(path, before, Some(value));
    }
    for (path, value) in old {
        merge(path, Some(value), None);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Commits `ops` to `before` and looks at `place`.
    fn check(place: &str, before: &Value, ops: &Value, expected: &[(&str, Value, Value)]) {
        let ops: Vec<Operation> = serde_json::from_value(ops.clone()).expect("operations");
        let mut after = before.clone();
        let applied = patch::apply(&mut after, &ops, &Limits::NONE).expect("they apply");
        let place = Place::parse(place).expect("a place");
        let found: Vec<_> = changes(&place, &after, &applied.effects, &applied.inverse)
            .into_iter()
            .map(|change| {
                let told = |value: Option<Value>| value.unwrap_or(Value::String("nothing".to_owned()));
                (change.path.to_string(), told(change.old), told(change.new))
            })
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(path, old, new)| ((*path).to_owned(), old.clone(), new.clone())).collect();
        assert_eq!(found, expected, "{place} under {ops:?}");
    }

    #[test]
    fn a_change_is_told_with_the_value_before_and_after() {
        let task = json!({"status": "new", "title": "a", "parts": {"x": {"done": false}, "y": {"done": true}}});
        let set = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
        check("/status", &task, &set("/status", json!("ready")), &[("/status", json!("new"), json!("ready"))]);
        check("/status", &task, &set("/title", json!("b")), &[]);
        check("/status", &task, &set("/status", json!("new")), &[]);
        check(
            "/status",
            &task,
            &json!([{"op": "remove", "path": "/status"}]),
            &[("/status", json!("new"), json!("nothing"))],
        );
        check(
            "/parts/*/done",
            &task,
            &set("/parts/x/done", json!(true)),
            &[("/parts/x/done", json!(false), json!(true))],
        );
        check(
            "/parts/*/done",
            &task,
            &set("/parts", json!({"y": {"done": false}, "z": {"done": 1}})),
            &[
                ("/parts/x/done", json!(false), json!("nothing")),
                ("/parts/y/done", json!(true), json!(false)),
                ("/parts/z/done", json!("nothing"), json!(1)),
            ],
        );
        check(
            "/parts/x",
            &task,
            &set("/parts/x/done", json!(true)),
            &[("/parts/x", json!({"done": false}), json!({"done": true}))],
        );
    }

    #[test]
    fn a_place_below_a_new_body_is_compared_with_the_old_one() {
        let old = json!({"status": "new"});
        let whole = |body: Value| json!([{"op": "add", "path": "", "value": body}]);
        check("/status", &old, &whole(json!({"status": "done"})), &[("/status", json!("new"), json!("done"))]);
        check("/status", &old, &whole(json!({"status": "new", "a": 1})), &[]);
        check(
            "",
            &old,
            &json!([{"op": "add", "path": "/a", "value": 1}]),
            &[("", json!({"status": "new"}), json!({"status": "new", "a": 1}))],
        );
    }

    #[test]
    fn what_moved_to_another_index_has_not_changed() {
        let list = json!({"items": [{"s": "a"}, {"s": "b"}]});
        check(
            "/items/*/s",
            &list,
            &json!([{"op": "add", "path": "/items/0", "value": {"s": "new"}}]),
            &[("/items/0/s", json!("nothing"), json!("new"))],
        );
        check(
            "/items/*/s",
            &list,
            &json!([{"op": "remove", "path": "/items/0"}]),
            &[("/items/0/s", json!("a"), json!("nothing"))],
        );
        check(
            "/items/*/s",
            &list,
            &json!([{"op": "replace", "path": "/items/1/s", "value": "c"}]),
            &[("/items/1/s", json!("b"), json!("c"))],
        );
    }

    #[test]
    fn what_was_set_and_set_back_in_one_commit_has_not_changed() {
        let task = json!({"status": "new"});
        let ops = json!([
            {"op": "add", "path": "/status", "value": "ready"},
            {"op": "add", "path": "/status", "value": "new"}
        ]);
        check("/status", &task, &ops, &[]);
    }
}
