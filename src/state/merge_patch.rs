//! JSON Merge Patch (RFC 7396) as operations: what a merge would change, and nothing else.

use serde_json::{Map, Value};

use crate::state::patch::Operation;
use crate::state::pointer::Pointer;
use crate::state::value::same;

/// The operations, in safe form, by which `patch` merges into `doc`. Nulls in `patch` remove members; empty when nothing changes.
pub fn effects_of(doc: &Value, patch: &Value) -> Vec<Operation> {
    let mut ops = Vec::new();
    merge(Some(doc), patch, &Pointer::root(), &mut ops);
    ops
}

fn merge(target: Option<&Value>, patch: &Value, at: &Pointer, ops: &mut Vec<Operation>) {
    if let (Some(Value::Object(target)), Value::Object(patch)) = (target, patch) {
        for (key, patch) in patch {
            if !patch.is_null() {
                merge(target.get(key), patch, &at.join(key), ops);
            } else if target.contains_key(key) {
                ops.push(Operation::Remove { path: at.join(key) });
            }
        }
        return;
    }
    let value = without_nulls(patch);
    if target.is_none_or(|target| !same(target, &value)) {
        ops.push(Operation::Add { path: at.clone(), value });
    }
}

/// What a merge patch makes of nothing.
fn without_nulls(patch: &Value) -> Value {
    let Value::Object(members) = patch else { return patch.clone() };
    let kept = members.iter().filter(|(_, value)| !value.is_null());
    Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::random::{Random, fast_json_patch};
    use serde_json::json;

    fn check(doc: Value, patch: Value, then: Value) {
        let ops = effects_of(&doc, &patch);
        assert_eq!(fast_json_patch(doc.clone(), &ops), then, "{doc} merged with {patch}");
        assert_eq!(ops.is_empty(), doc == then, "{doc} merged with {patch}: {ops:?}");
    }

    #[test]
    fn the_examples_of_rfc_7396_hold() {
        check(json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"}));
        check(json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"}));
        check(json!({"a": "b"}), json!({"a": null}), json!({}));
        check(json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"}));
        check(json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"}));
        check(json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]}));
        check(json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}}));
        check(json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]}));
        check(json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"]));
        check(json!({"a": "b"}), json!(["c"]), json!(["c"]));
        check(json!({"a": "foo"}), json!(null), json!(null));
        check(json!({"a": "foo"}), json!("bar"), json!("bar"));
        check(json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1}));
        check(json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"}));
        check(json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}}));
        check(json!({"a": {"b": 1}}), json!({"a": {}, "z": null}), json!({"a": {"b": 1}}));
    }

    fn reference(target: Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else { return patch.clone() };
        let mut members = if let Value::Object(members) = target { members } else { Map::new() };
        for (key, value) in patch {
            let old = members.remove(key).unwrap_or(Value::Null);
            if !value.is_null() {
                members.insert(key.clone(), reference(old, value));
            }
        }
        Value::Object(members)
    }

    #[test]
    fn merging_gives_what_the_rfc_pseudocode_gives() {
        for seed in 0..3_000 {
            let mut random = Random::new(seed);
            let (doc, patch) = (random.value(3), random.value(3));
            let merged = fast_json_patch(doc.clone(), &effects_of(&doc, &patch));
            assert!(same(&merged, &reference(doc, &patch)), "seed {seed}");
        }
    }
}
