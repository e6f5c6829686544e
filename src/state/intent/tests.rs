use super::*;
use crate::state::document::{Decided, Document, Mutation, Terms};
use crate::state::later::Later;
use serde_json::json;

fn intents(intents: Value) -> Vec<Intent> {
    read(intents, &Limits::default()).unwrap()
}

/// What `own` comes to on a body on which others did `theirs` meanwhile, and the places in conflict.
fn check(base: Value, theirs: Value, own: Value, then: Result<Value, &str>, conflicts: &[&str]) {
    let mut document = Document::new(base, 4);
    let theirs: Vec<_> = serde_json::from_value(theirs).unwrap();
    let decided = document.decide(Mutation::Patch { ops: &theirs, since: &[] }, &Terms::default()).unwrap();
    let since = match &decided {
        Decided::Changed(change) => {
            vec![Later { version: 5, actor: "user:them", ops: &change.ops, inverse: &change.inverse, is_own: false }]
        }
        Decided::Unchanged => Vec::new(),
    };
    let before = document.clone();
    let own_intents = intents(own.clone());
    match (document.decide(Mutation::Intents { intents: &own_intents, since: &since }, &Terms::default()), then) {
        (Ok(decided), Ok(then)) => {
            assert_eq!(document.body(), &then, "{own}");
            let Decided::Changed(change) = decided else {
                assert_eq!(document, before);
                return;
            };
            let found: Vec<_> = change.conflicts.iter().map(|conflict| conflict.path.to_string()).collect();
            assert_eq!(found, conflicts, "{own}");
            assert!(change.conflicts.iter().all(|conflict| conflict.actor.as_deref() == Some("user:them")));
            assert_eq!(crate::state::random::fast_json_patch(before.into_body(), &change.ops), then);
        }
        (Err(refusal), Err(code)) => {
            assert_eq!(refusal.code(), code, "{own}: {refusal}");
            assert_eq!(document, before);
        }
        (decided, then) => panic!("{own}: {decided:?} instead of {then:?}"),
    }
}

fn alone(base: Value, own: Value, then: Result<Value, &str>) {
    check(base, json!([]), json!([own]), then, &[]);
}

#[test]
fn intents_create_what_is_missing() {
    alone(json!({}), json!({"op": "inc", "path": "/a/b", "by": 2}), Ok(json!({"a": {"b": 2}})));
    alone(json!({}), json!({"op": "append", "path": "/a/l", "value": 1}), Ok(json!({"a": {"l": [1]}})));
    alone(json!({}), json!({"op": "insert", "path": "/l", "value": {"id": "a"}}), Ok(json!({"l": [{"id": "a"}]})));
    alone(json!({}), json!({"op": "text", "path": "/t", "pos": 0, "insert": "x"}), Ok(json!({"t": "x"})));
    alone(json!({}), json!({"op": "set", "path": "/a/b/c", "value": null}), Ok(json!({"a": {"b": {"c": null}}})));
    alone(json!({"a": 1}), json!({"op": "unset", "path": "/b/c"}), Ok(json!({"a": 1})));
}

#[test]
fn sums_are_exact_as_long_as_they_are_whole() {
    alone(json!({"n": 40}), json!({"op": "inc", "path": "/n", "by": 2}), Ok(json!({"n": 42})));
    alone(json!({"n": 1}), json!({"op": "inc", "path": "/n", "by": -1.5}), Ok(json!({"n": -0.5})));
    alone(json!({"n": [1, 2]}), json!({"op": "inc", "path": "/n/1", "by": 2}), Ok(json!({"n": [1, 4]})));
    alone(json!({"n": "1"}), json!({"op": "inc", "path": "/n", "by": 2}), Err("target_gone"));
    let most = 9_007_199_254_740_991_i64;
    alone(json!({"n": most}), json!({"op": "inc", "path": "/n", "by": 1}), Err("invalid_patch"));
    alone(json!({"n": 1e308}), json!({"op": "inc", "path": "/n", "by": 1e308}), Err("invalid_patch"));
}

#[test]
fn elements_are_placed_by_key() {
    let list = |keys: &str| json!({"l": keys.chars().map(|key| json!({"id": key.to_string()})).collect::<Vec<_>>()});
    let insert = |place: Value| {
        let mut op = json!({"op": "insert", "path": "/l", "value": {"id": "x"}});
        op.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        op
    };
    alone(list("abc"), insert(json!({})), Ok(list("abcx")));
    alone(list("abc"), insert(json!({"after": "a"})), Ok(list("axbc")));
    alone(list("abc"), insert(json!({"before": "a"})), Ok(list("xabc")));
    alone(list("abc"), insert(json!({"after": "z"})), Err("target_gone"));
    alone(list("axc"), insert(json!({})), Err("conflict"));
    let moves = |key: &str, place: &str, anchor: &str| json!({"op": "move", "path": "/l", "key": key, place: anchor});
    alone(list("abc"), moves("a", "after", "b"), Ok(list("bac")));
    alone(list("abc"), moves("c", "before", "a"), Ok(list("cab")));
    alone(list("abc"), moves("c", "after", "b"), Ok(list("abc")));
    alone(list("abc"), moves("b", "after", "b"), Ok(list("abc")));
    alone(list("abc"), json!({"op": "move", "path": "/l", "key": "a"}), Ok(list("bca")));
    alone(list("abc"), moves("z", "after", "b"), Err("target_gone"));
    alone(list("abc"), json!({"op": "remove_key", "path": "/l", "key": "b"}), Ok(list("ac")));
    alone(list("abc"), json!({"op": "remove_key", "path": "/l", "key": "z"}), Err("target_gone"));
}

#[test]
fn a_place_is_after_or_before_an_element_and_not_both() {
    let both = json!([{"op": "insert", "path": "/l", "value": {"id": "x"}, "after": "a", "before": "c"}]);
    let refused = read(both, &Limits::default()).expect_err("it says two places");
    assert_eq!(refused.code(), "invalid_patch");
}

#[test]
fn text_positions_count_code_points() {
    let text = |pos: usize, delete: usize, insert: &str| json!({"op": "text", "path": "/t", "pos": pos, "delete": delete, "insert": insert});
    alone(json!({"t": "ä😀b"}), text(1, 1, "x"), Ok(json!({"t": "äxb"})));
    alone(json!({"t": "ä😀b"}), text(3, 0, "!"), Ok(json!({"t": "ä😀b!"})));
    alone(json!({"t": "ä😀b"}), text(4, 0, "!"), Err("target_gone"));
    alone(json!({"t": "ä😀b"}), text(2, 2, ""), Err("target_gone"));
    alone(json!({"t": 1}), text(0, 0, ""), Err("target_gone"));
}

#[test]
fn intents_merge_with_what_others_did_meanwhile() {
    let add = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    check(
        json!({"n": 1}),
        add("/n", json!(5)),
        json!([{"op": "inc", "path": "/n", "by": 2}]),
        Ok(json!({"n": 7})),
        &[],
    );
    check(
        json!({"l": [1]}),
        add("/l/-", json!(2)),
        json!([{"op": "append", "path": "/l", "value": 3}]),
        Ok(json!({"l": [1, 2, 3]})),
        &[],
    );
    check(
        json!({"t": "hello world"}),
        add("/t", json!("oh, hello world")),
        json!([{"op": "text", "path": "/t", "pos": 6, "delete": 5, "insert": "you"}]),
        Ok(json!({"t": "oh, hello you"})),
        &[],
    );
    check(
        json!({"a": 1}),
        add("/a", json!(2)),
        json!([{"op": "set", "path": "/a", "value": 3}]),
        Ok(json!({"a": 3})),
        &["/a"],
    );
    check(
        json!({"l": [{"n": 1}, {"n": 2}]}),
        add("/l/0", json!({"n": 0})),
        json!([{"op": "set", "path": "/l/1/n", "value": 9}, {"op": "inc", "path": "/l/0/n", "by": 4}]),
        Ok(json!({"l": [{"n": 0}, {"n": 5}, {"n": 9}]})),
        &[],
    );
    let remove = |path: &str| json!([{"op": "remove", "path": path}]);
    check(
        json!({"l": [{"n": 1}]}),
        remove("/l/0"),
        json!([{"op": "inc", "path": "/l/0/n", "by": 1}]),
        Err("target_gone"),
        &[],
    );
    check(
        json!({"o": {"n": 1}}),
        remove("/o"),
        json!([{"op": "inc", "path": "/o/n", "by": 1}]),
        Ok(json!({"o": {"n": 1}})),
        &["/o/n"],
    );
    check(
        json!({"o": {"n": 1}}),
        remove("/o"),
        json!([{"op": "set", "path": "/o/n", "value": 1}]),
        Ok(json!({"o": {"n": 1}})),
        &["/o/n"],
    );
    check(json!({"a": 1, "b": 1}), remove("/a"), json!([{"op": "unset", "path": "/a"}]), Ok(json!({"b": 1})), &[]);
    let keyed = json!({"l": [{"id": "a"}, {"id": "b"}]});
    check(
        keyed,
        remove("/l/0"),
        json!([{"op": "remove_key", "path": "/l", "key": "a"}]),
        Ok(json!({"l": [{"id": "b"}]})),
        &[],
    );
}

#[test]
fn malformed_intents_are_refused() {
    for malformed in [
        json!({"op": "inc", "path": "/a", "by": 1}),
        json!([{"op": "inc", "path": "/a"}]),
        json!([{"op": "inc", "path": "/a", "by": "1"}]),
        json!([{"op": "text", "path": "/a", "pos": -1}]),
        json!([{"op": "add", "path": "/a", "value": 1}]),
        json!([{"op": "set", "path": "a", "value": 1}]),
        json!([1]),
    ] {
        assert_eq!(read(malformed.clone(), &Limits::default()).unwrap_err().code(), "invalid_patch", "{malformed}");
    }
    let many = Value::Array(vec![json!({"op": "unset", "path": "/a"}); 1_001]);
    assert_eq!(read(many, &Limits::default()).unwrap_err().code(), "too_large");
}
