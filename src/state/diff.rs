//! The difference between two values as operations in safe form; where arrays align it says so in inserts and removals.

pub(crate) mod align;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::state::value::{same, size};

/// Beyond this many operations inside one array, the whole array is written if that is shorter.
const MANY_OPS: usize = 256;

/// Operations that turn `from` into `to`: none if they are the same as JSON.
///
/// Elements of arrays are recognised by a string member `id` or `key` that all have and none share, else by equality.
pub fn diff(from: &Value, to: &Value) -> Vec<Operation> {
    diff_at(from, to, &Pointer::root())
}

/// [`diff`] of what stands at a member.
pub(crate) fn diff_at(from: &Value, to: &Value, at: &Pointer) -> Vec<Operation> {
    let mut differ = Differ { grain: Grain::Short, ops: Vec::new() };
    differ.value(from, to, at, false);
    differ.ops
}

/// [`diff`] at a place, never replacing a whole array: for merges, where what others do to its other elements must survive.
pub(crate) fn fine(from: &Value, to: &Value, at: &Pointer, is_element: bool) -> Vec<Operation> {
    let mut differ = Differ { grain: Grain::Fine, ops: Vec::new() };
    differ.value(from, to, at, is_element);
    differ.ops
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grain {
    Short,
    Fine,
}

struct Differ {
    grain: Grain,
    ops: Vec<Operation>,
}

impl Differ {
    fn value(&mut self, from: &Value, to: &Value, at: &Pointer, is_element: bool) {
        match (from, to) {
            (Value::Object(from), Value::Object(to)) => self.members(from, to, at),
            (Value::Array(from), Value::Array(to)) => {
                let start = self.ops.len();
                self.elements(from, to, at);
                if self.grain == Grain::Short && self.ops.len() - start > MANY_OPS {
                    let value = Value::Array(to.clone());
                    let ops = self.ops[start..].iter();
                    if size(&value) < ops.map(|op| 30 + op.value().map_or(0, size)).sum() {
                        self.ops.truncate(start);
                        self.ops.push(set(at, value, is_element));
                    }
                }
            }
            _ if same(from, to) => {}
            _ => self.ops.push(set(at, to.clone(), is_element)),
        }
    }

    fn members(&mut self, from: &Map<String, Value>, to: &Map<String, Value>, at: &Pointer) {
        for key in from.keys().filter(|key| !to.contains_key(*key)) {
            self.ops.push(Operation::Remove { path: at.join(key) });
        }
        for (key, to) in to {
            match from.get(key) {
                Some(from) if from.is_object() || from.is_array() || !same(from, to) => {
                    self.value(from, to, &at.join(key), false);
                }
                Some(_) => {}
                None => self.ops.push(Operation::Add { path: at.join(key), value: to.clone() }),
            }
        }
    }

    fn elements(&mut self, from: &[Value], to: &[Value], at: &Pointer) {
        let pairs = pairs(from, to);
        let mut kept = pairs.iter().rev().peekable();
        for index in (0..from.len()).rev() {
            if kept.next_if(|pair| pair.0 == index).is_none() {
                self.ops.push(Operation::Remove { path: at.join(index.to_string()) });
            }
        }
        let mut kept = pairs.iter().peekable();
        for (index, to) in to.iter().enumerate() {
            match kept.next_if(|pair| pair.1 == index) {
                Some(&(i, _)) if same(&from[i], to) => {}
                Some(&(i, _)) => self.value(&from[i], to, &at.join(index.to_string()), true),
                None => self.ops.push(Operation::Add { path: at.join(index.to_string()), value: to.clone() }),
            }
        }
    }
}

fn set(at: &Pointer, value: Value, is_element: bool) -> Operation {
    let path = at.clone();
    if is_element { Operation::Replace { path, value } } else { Operation::Add { path, value } }
}

/// The members that may be an element's key, in order of preference.
pub(crate) const KEY_MEMBERS: [&str; 2] = ["id", "key"];

/// The elements' keys, if every element has one (a string) that no other has.
pub(crate) fn unique_keys<'v>(keys: impl Iterator<Item = Option<&'v str>>) -> Option<Vec<&'v str>> {
    let keys: Vec<&str> = keys.collect::<Option<_>>()?;
    let distinct: BTreeSet<&str> = keys.iter().copied().collect();
    (distinct.len() == keys.len()).then_some(keys)
}

/// Which elements of `from` are which of `to`, in order on both sides: by key, else by equality and place.
pub(crate) fn pairs(from: &[Value], to: &[Value]) -> Vec<(usize, usize)> {
    align::align((from.len(), to.len()), shared_keys(from, to), |i, j| same(&from[i], &to[j]))
}

/// [`pairs`], where elements with keys may also have changed places.
pub(crate) fn matches(from: &[Value], to: &[Value]) -> Vec<(usize, usize)> {
    shared_keys(from, to).map_or_else(|| pairs(from, to), by_key)
}

/// [`matches`], where elements are said to be told apart by this member; where they are not, as if nothing were said.
pub(crate) fn matches_by(key: &str, from: &[Value], to: &[Value]) -> Vec<(usize, usize)> {
    keys(key, from).zip(keys(key, to)).map_or_else(|| matches(from, to), by_key)
}

fn by_key((from, to): (Vec<&str>, Vec<&str>)) -> Vec<(usize, usize)> {
    let places: BTreeMap<&str, usize> = to.into_iter().zip(0..).collect();
    from.into_iter().enumerate().filter_map(|(index, key)| Some((index, *places.get(key)?))).collect()
}

fn shared_keys<'v>(from: &'v [Value], to: &'v [Value]) -> Option<(Vec<&'v str>, Vec<&'v str>)> {
    KEY_MEMBERS.into_iter().find_map(|name| Some((keys(name, from)?, keys(name, to)?)))
}

fn keys<'v>(name: &str, elements: &'v [Value]) -> Option<Vec<&'v str>> {
    unique_keys(elements.iter().map(|element| element.get(name)?.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::random::{Random, fast_json_patch};
    use serde_json::json;

    fn check(from: Value, to: Value, expected: Value) {
        let ops = diff(&from, &to);
        assert!(same(&fast_json_patch(from.clone(), &ops), &to), "{from} to {to}");
        assert_eq!(serde_json::to_value(&ops).unwrap(), expected, "{from} to {to}");
    }

    #[test]
    fn only_what_differs_is_said() {
        check(json!({"a": 1, "b": {"c": [1]}}), json!({"a": 1.0, "b": {"c": [1]}}), json!([]));
    }

    #[test]
    fn members_are_added_and_removed_by_key() {
        check(
            json!({"a": 1, "b": {"c": 2, "d": 3}}),
            json!({"b": {"c": 4, "d": 3}, "e": null}),
            json!([{"op": "remove", "path": "/a"}, {"op": "add", "path": "/b/c", "value": 4}, {"op": "add", "path": "/e", "value": null}]),
        );
        check(json!({"a": 1}), json!([1]), json!([{"op": "add", "path": "", "value": [1]}]));
        check(json!([[1], 2]), json!([5, 2]), json!([{"op": "replace", "path": "/0", "value": 5}]));
    }

    #[test]
    fn keyed_elements_change_move_and_go_by_key() {
        let card = |id: &str, text: &str| json!({"id": id, "text": text});
        check(
            json!([card("a", "1"), card("b", "2"), card("c", "3")]),
            json!([card("c", "3"), card("a", "1x"), card("b", "2"), card("d", "4")]),
            json!([
                {"op": "remove", "path": "/2"},
                {"op": "add", "path": "/0", "value": card("c", "3")},
                {"op": "add", "path": "/1/text", "value": "1x"},
                {"op": "add", "path": "/3", "value": card("d", "4")}
            ]),
        );
    }

    #[test]
    fn an_insert_at_the_head_of_a_long_array_is_one_operation() {
        let long: Vec<Value> = (0..10_000).map(|n| json!({"n": n})).collect();
        let mut longer = long.clone();
        longer.insert(0, json!("new"));
        let (long, longer) = (json!({"l": long}), json!({"l": longer}));
        check(long, longer, json!([{"op": "add", "path": "/l/0", "value": "new"}]));
    }

    #[test]
    fn scattered_edits_of_a_long_array_stay_small() {
        let long: Vec<Value> = (0..10_000).map(|n| json!(n)).collect();
        let mut edited = long.clone();
        edited.remove(9_000);
        edited.insert(5_000, json!("x"));
        edited.insert(10, json!("y"));
        assert_eq!(diff(&json!(long), &json!(edited)).len(), 3);
    }

    #[test]
    fn a_list_that_changes_wholly_is_written_as_one() {
        let (from, to): (Vec<_>, Vec<_>) = (0..2_000).map(|n| (json!(n), json!(-n - 1))).unzip();
        check(json!({"l": from}), json!({"l": to.clone()}), json!([{"op": "add", "path": "/l", "value": to}]));
    }

    #[test]
    fn applying_a_difference_gives_the_other_value() {
        for seed in 0..5_000 {
            let mut random = Random::new(seed);
            let from = random.value(4);
            let to = if random.one_in(2) { random.value(4) } else { random.edited(&from) };
            let ops = diff(&from, &to);
            assert!(same(&fast_json_patch(from.clone(), &ops), &to), "seed {seed}: {from} to {to} by {ops:?}");
            assert_eq!(ops.is_empty(), same(&from, &to), "seed {seed}");
            let fine = fine(&from, &to, &Pointer::root(), false);
            assert!(same(&fast_json_patch(from, &fine), &to), "seed {seed}, finely");
        }
    }
}
