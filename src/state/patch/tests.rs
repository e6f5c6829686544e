use super::*;
use crate::state::random::{Random, fast_json_patch};
use crate::state::value::{same, size};
use serde_json::json;

fn check(given: Value, patch: Value, then: Result<Value, &str>) {
    let mut doc = given.clone();
    let outcome = read(patch.clone(), &Limits::default()).and_then(|ops| apply(&mut doc, &ops, &Limits::default()));
    match (outcome, then) {
        (Ok(applied), Ok(then)) => {
            assert_eq!(doc, then, "{patch}");
            assert!(same(&fast_json_patch(given.clone(), &applied.effects), &then), "{patch}");
            replay(&mut doc, &applied.inverse).unwrap();
            assert_eq!(doc, given, "{patch} taken back");
        }
        (Err(error), Err(code)) => {
            assert_eq!(error.code(), code, "{patch}: {error}");
            assert_eq!(doc, given, "{patch} left something behind");
        }
        (outcome, then) => panic!("{patch}: {outcome:?} instead of {then:?}"),
    }
}

#[test]
fn the_examples_of_rfc_6902_hold() {
    check(
        json!({"foo": "bar"}),
        json!([{"op": "add", "path": "/baz", "value": "qux"}]),
        Ok(json!({"baz": "qux", "foo": "bar"})),
    );
    check(
        json!({"foo": ["bar", "baz"]}),
        json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
        Ok(json!({"foo": ["bar", "qux", "baz"]})),
    );
    check(json!({"baz": "qux", "foo": "bar"}), json!([{"op": "remove", "path": "/baz"}]), Ok(json!({"foo": "bar"})));
    check(json!({"foo": ["a", "b", "c"]}), json!([{"op": "remove", "path": "/foo/1"}]), Ok(json!({"foo": ["a", "c"]})));
    check(json!({"baz": "qux"}), json!([{"op": "replace", "path": "/baz", "value": "boo"}]), Ok(json!({"baz": "boo"})));
    check(
        json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
        json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
        Ok(json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}})),
    );
    check(
        json!({"foo": ["all", "grass", "cows", "eat"]}),
        json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
        Ok(json!({"foo": ["all", "cows", "eat", "grass"]})),
    );
    check(
        json!({"baz": "qux", "foo": ["a", 2, "c"]}),
        json!([{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2.0}]),
        Ok(json!({"baz": "qux", "foo": ["a", 2, "c"]})),
    );
    check(json!({"baz": "qux"}), json!([{"op": "test", "path": "/baz", "value": "bar"}]), Err("test_failed"));
    check(
        json!({"foo": "bar"}),
        json!([{"op": "add", "path": "/child", "value": {"grandchild": {}}}]),
        Ok(json!({"foo": "bar", "child": {"grandchild": {}}})),
    );
    check(
        json!({"foo": "bar"}),
        json!([{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}]),
        Ok(json!({"foo": "bar", "baz": "qux"})),
    );
    check(json!({"foo": "bar"}), json!([{"op": "add", "path": "/baz/bat", "value": "qux"}]), Err("target_gone"));
    check(
        json!({"/": 9, "~1": 10}),
        json!([{"op": "test", "path": "/~01", "value": 10}]),
        Ok(json!({"/": 9, "~1": 10})),
    );
    check(
        json!({"foo": ["bar"]}),
        json!([{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]),
        Ok(json!({"foo": ["bar", ["abc", "def"]]})),
    );
    check(json!({"a": 1}), json!([{"op": "replace", "path": "", "value": [1]}]), Ok(json!([1])));
    check(json!({"a": 1}), json!([{"op": "add", "path": "/a", "value": null}]), Ok(json!({"a": null})));
}

#[test]
fn what_is_no_patch_is_told_from_what_does_not_apply() {
    for malformed in [
        json!({}),
        json!([1]),
        json!([{"op": "add", "path": "/a"}]),
        json!([{"op": "add", "path": "a", "value": 1}]),
        json!([{"op": "added", "path": "/a", "value": 1}]),
        json!([{"op": "move", "path": "/a"}]),
        json!([{"path": "/a", "value": 1}]),
        json!([{"op": "move", "from": "/o", "path": "/o/x"}]),
        json!([{"op": "add", "path": "/__proto__/a", "value": 1}]),
        json!([{"op": "add", "path": "/b", "value": {"constructor": {"prototype": 1}}}]),
        json!([{"op": "add", "path": "/constructor", "value": {"prototype": 1}}]),
        json!([{"op": "copy", "from": "/constructor/prototype", "path": "/b"}]),
    ] {
        check(json!({"a": 1, "o": {"x": 1}}), malformed, Err("invalid_patch"));
    }
    for gone in [
        json!([{"op": "remove", "path": "/b"}]),
        json!([{"op": "replace", "path": "/b", "value": 1}]),
        json!([{"op": "copy", "from": "/b", "path": "/c"}]),
        json!([{"op": "add", "path": "/l/3", "value": 1}]),
        json!([{"op": "add", "path": "/l/01", "value": 1}]),
        json!([{"op": "remove", "path": "/l/-"}]),
        json!([{"op": "remove", "path": "/l/2"}]),
        json!([{"op": "add", "path": "/a/b", "value": 1}]),
        json!([{"op": "remove", "path": "/l/0"}, {"op": "add", "path": "/x", "value": 2}, {"op": "remove", "path": "/l/1"}]),
    ] {
        check(json!({"a": 1, "l": [1, 2]}), gone, Err("target_gone"));
    }
}

#[test]
fn writes_that_change_nothing_leave_no_effects() {
    let mut doc = json!({"a": 1, "l": [1.0]});
    let ops = json!([
        {"op": "add", "path": "/a", "value": 1.0},
        {"op": "replace", "path": "/l/0", "value": 1},
        {"op": "move", "from": "/a", "path": "/a"},
        {"op": "test", "path": "/a", "value": 1},
        {"op": "replace", "path": "", "value": {"a": 1, "l": [1]}}
    ]);
    let applied = apply(&mut doc, &read(ops, &Limits::default()).unwrap(), &Limits::default()).unwrap();
    assert_eq!(applied, Applied::default());
}

#[test]
fn missing_objects_are_created_only_where_asked() {
    let ops = read(json!([{"op": "add", "path": "/a/b/c", "value": 1}]), &Limits::default()).unwrap();
    let mut doc = json!({});
    assert!(apply(&mut doc, &ops, &Limits::default()).is_err());
    let applied = apply_creating(&mut doc, &ops, &Limits::default()).unwrap();
    assert_eq!(doc, json!({"a": {"b": {"c": 1}}}));
    assert_eq!(
        serde_json::to_value(&applied.effects).unwrap(),
        json!([{"op": "add", "path": "/a", "value": {}}, {"op": "add", "path": "/a/b", "value": {}}, {"op": "add", "path": "/a/b/c", "value": 1}])
    );
    let into_list = read(json!([{"op": "add", "path": "/l/0/c", "value": 1}]), &Limits::default()).unwrap();
    assert!(apply_creating(&mut json!({"l": []}), &into_list, &Limits::default()).is_err());
}

#[test]
fn a_patch_is_held_to_its_limits_and_leaves_nothing() {
    let doubling: Vec<Operation> = (0..20)
        .map(|step| {
            let path = |step: u32| Pointer::parse(&format!("/a{step}")).unwrap();
            Operation::Copy { from: Pointer::root(), path: path(step) }
        })
        .collect();
    let mut doc = json!({"a": "x".repeat(1000)});
    let before = doc.clone();
    assert!(matches!(apply(&mut doc, &doubling, &Limits::default()), Err(PatchError::TooLarge { .. })));
    assert_eq!(doc, before);

    let mut large = json!({"a": "x".repeat(600_000)});
    let copy =
        |path: &str| Operation::Copy { from: Pointer::parse("/a").unwrap(), path: Pointer::parse(path).unwrap() };
    let outcome = apply(&mut large, &[copy("/b"), copy("/c")], &Limits::default());
    assert!(matches!(outcome, Err(PatchError::TooLarge { index: 1, .. })));
    let outcome = apply(&mut large, &[copy("/b")], &Limits { max_bytes: 700_000, ..Limits::default() });
    assert!(outcome.is_ok());

    let many = vec![Operation::Remove { path: Pointer::root() }; 1001];
    assert_eq!(apply(&mut doc, &many, &Limits::default()), Err(PatchError::TooMany { count: 1001, max: 1000 }));

    let add = |path: &str, value: Value| Operation::Add { path: Pointer::parse(path).unwrap(), value };
    let room = Limits::of_bytes(20);
    assert!(apply(&mut doc, &[add("/b", json!("x".repeat(12)))], &room).is_ok(), "20 bytes: ,\"b\":\"…12…\" is 19");
    let mut doc = before.clone();
    let ops = [add("/b", json!("1234567")), add("/c", json!("1234567"))];
    assert!(matches!(apply(&mut doc, &ops, &room), Err(PatchError::TooLarge { index: 1, .. })));
    assert_eq!(doc, before);

    let deep = (0..63).fold(json!(1), |inner, _| json!([inner]));
    let mut doc = json!({"d": deep, "o": {}});
    let into = read(json!([{"op": "move", "from": "/d", "path": "/o/d"}]), &Limits::default()).unwrap();
    assert!(matches!(apply(&mut doc, &into, &Limits::default()), Err(PatchError::TooDeep { .. })));
    assert!(doc.get("d").is_some());
}

#[test]
fn random_patches_are_safe_reversible_and_all_or_nothing() {
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let given = random.object(4);
        let ops: Vec<_> = (0..=random.below(8)).map(|_| random.operation(&given)).collect();
        let mut doc = given.clone();
        match apply(&mut doc, &ops, &Limits::default()) {
            Ok(applied) => {
                assert!(same(&fast_json_patch(given.clone(), &applied.effects), &doc), "seed {seed}");
                assert!(same(&fast_json_patch(doc.clone(), &applied.inverse), &given), "seed {seed}");
                assert_eq!(size(&given) as i64 + applied.growth, size(&doc) as i64, "seed {seed}");
                assert!(applied.effects.iter().all(|op| {
                    matches!(op, Operation::Add { .. } | Operation::Remove { .. } | Operation::Replace { .. })
                }));
            }
            Err(_) => assert_eq!(doc, given, "seed {seed}"),
        }
    }
}
