//! Mutations of documents that have a schema: merge rules, rights, secrets, transitions.

use super::*;
use crate::state::intent::{self, Intent};
use crate::state::schema::{Reader, Schema, View};

fn schema(source: Value) -> Schema {
    Schema::compile(source).unwrap()
}

/// How a writer says what they want; each with the version they had seen.
#[derive(Debug, Clone)]
enum Own {
    Patch(Value),
    Merge(Value),
    Intents(Value),
    Rewrite(Value),
    Posted(Value),
}

struct Outcome {
    body: Value,
    conflicts: Vec<String>,
}

/// `theirs` is a patch on `base` that another made meanwhile, with all rights.
fn decide(view: &View, base: &Value, theirs: &Value, own: &Own) -> Result<Outcome, Refusal> {
    let mut document = Document::new(base.clone(), 1);
    let theirs = ops(theirs.clone());
    let decided = document.decide(Mutation::Patch { ops: &theirs, since: &[] }, &Terms::default()).unwrap();
    let since = match &decided {
        Decided::Changed(change) => {
            vec![Later { version: 2, actor: "user:them", ops: &change.ops, inverse: &change.inverse, is_own: false }]
        }
        Decided::Unchanged => Vec::new(),
    };
    let before = document.clone();
    let (patch, intents): (Vec<Operation>, Vec<Intent>);
    let mutation = match own {
        Own::Patch(own) => {
            patch = ops(own.clone());
            Mutation::Patch { ops: &patch, since: &since }
        }
        Own::Intents(own) => {
            intents = intent::read(own.clone(), &Limits::default()).unwrap();
            Mutation::Intents { intents: &intents, since: &since }
        }
        Own::Merge(patch) => Mutation::Merge { patch, since: &since },
        Own::Rewrite(body) => Mutation::Rewrite { body, since: &since },
        Own::Posted(state) => Mutation::Posted { state, past: Past::Since(&since) },
    };
    let terms = Terms { view: Some(view), ..Terms::default() };
    match document.decide(mutation, &terms) {
        Ok(decided) => {
            let mut conflicts = Vec::new();
            if let Decided::Changed(change) = decided {
                assert!(change.conflicts.iter().all(|conflict| conflict.version == Some(2)), "{change:?}");
                conflicts = change.conflicts.iter().map(|conflict| conflict.path.to_string()).collect();
                assert!(same(&fast_json_patch(before.body().clone(), &change.ops), document.body()));
                let body = document.body().clone();
                document.revert(&change);
                assert_eq!(document, before);
                return Ok(Outcome { body, conflicts });
            }
            Ok(Outcome { body: document.body().clone(), conflicts })
        }
        Err(refusal) => {
            assert_eq!(document, before, "a refusal changes nothing");
            Err(refusal)
        }
    }
}

fn check(view: &View, base: &Value, theirs: &Value, own: Own, then: Result<Value, &str>, conflicts: &[&str]) {
    match (decide(view, base, theirs, &own), then) {
        (Ok(outcome), Ok(then)) => {
            assert!(same(&outcome.body, &then), "{own:?}: {} instead of {then}", outcome.body);
            assert_eq!(outcome.conflicts, conflicts, "{own:?}");
        }
        (Err(refusal), Err(code)) => assert_eq!(refusal.code(), code, "{own:?}: {refusal}"),
        (Ok(outcome), Err(code)) => panic!("{own:?}: {} instead of {code}", outcome.body),
        (Err(refusal), Ok(then)) => panic!("{own:?}: {refusal} instead of {then}"),
    }
}

fn set(path: &str, value: Value) -> Value {
    json!([{"op": "add", "path": path, "value": value}])
}

/// Every way to write `value` at member `name` over `base`.
fn ways(base: &Value, name: &str, value: &Value) -> Vec<Own> {
    let mut body = base.clone();
    body[name] = value.clone();
    vec![
        Own::Patch(json!([{"op": "replace", "path": format!("/{name}"), "value": value}])),
        Own::Patch(set(&format!("/{name}"), value.clone())),
        Own::Merge(json!({ name: value })),
        Own::Intents(json!([{"op": "set", "path": format!("/{name}"), "value": value}])),
        Own::Rewrite(body.clone()),
        Own::Posted(body),
    ]
}

#[test]
fn places_with_a_rule_come_together_however_they_are_written() {
    let keyed = |keys: &str| Value::Array(keys.chars().map(|key| json!({"sku": key.to_string(), "n": 1})).collect());
    let cases = [
        (json!("counter"), json!(3), json!(4), json!(5), json!(6)),
        (json!("max"), json!(3), json!(9), json!(5), json!(9)),
        (json!("min"), json!(9), json!(3), json!(5), json!(3)),
        (json!("set"), json!(["a", "b"]), json!(["a", "b", "c"]), json!(["b", "d"]), json!(["b", "c", "d"])),
        (json!("append"), json!([1]), json!([1, 2]), json!([1, 3]), json!([1, 2, 3])),
        (json!("list:sku"), keyed("ab"), keyed("axb"), keyed("aby"), keyed("axby")),
        (json!("text"), json!("one two"), json!("one new two"), json!("one two!"), json!("one new two!")),
    ];
    for (rule, base, theirs, own, then) in cases {
        let schema = schema(json!({"properties": {"v": {"$ref": "#/$defs/v"}}, "$defs": {"v": {"x-merge": rule}}}));
        let (base, then) = (json!({"v": base, "other": 1}), json!({"v": then, "other": 1}));
        for way in ways(&base, "v", &own) {
            check(&schema.unrestricted(), &base, &set("/v", theirs.clone()), way, Ok(then.clone()), &[]);
        }
    }
}

#[test]
fn rules_hold_in_lists_and_below_what_is_written_whole() {
    let schema = schema(json!({
        "properties": {"cards": {"items": {"properties": {"votes": {"x-merge": "counter"}}}}},
        "additionalProperties": {"properties": {"n": {"x-merge": "counter"}, "best": {"x-merge": "max"}}}
    }));
    let view = schema.unrestricted();
    let base = json!({"cards": [{"id": "a", "votes": 1}, {"id": "b", "votes": 5}], "o": {"n": 1, "best": 7}});
    let theirs = json!([{"op": "add", "path": "/cards/0", "value": {"id": "x", "votes": 0}},
        {"op": "replace", "path": "/cards/2/votes", "value": 6}, {"op": "add", "path": "/o/n", "value": 2}]);
    let then = |votes: i64, o: Value| json!({"cards": [{"id": "x", "votes": 0}, {"id": "a", "votes": 1}, {"id": "b", "votes": votes}], "o": o});
    let unchanged = json!({"n": 2, "best": 7});
    check(
        &view,
        &base,
        &theirs,
        Own::Patch(json!([{"op": "replace", "path": "/cards/1/votes", "value": 7}])),
        Ok(then(8, unchanged.clone())),
        &[],
    );
    let twice = json!([{"op": "replace", "path": "/cards/1/votes", "value": 7}, {"op": "replace", "path": "/cards/1/votes", "value": 8}]);
    check(&view, &base, &theirs, Own::Patch(twice), Ok(then(9, unchanged.clone())), &[]);
    let mut body = base.clone();
    body["cards"][1]["votes"] = json!(7);
    check(&view, &base, &theirs, Own::Rewrite(body), Ok(then(8, unchanged)), &[]);
    check(
        &view,
        &base,
        &theirs,
        Own::Patch(set("/o", json!({"n": 4, "best": 3, "more": 1}))),
        Ok(then(6, json!({"n": 5, "best": 7, "more": 1}))),
        &["/o"],
    );
    check(&view, &base, &json!([]), Own::Patch(set("/o/best", json!(3))), Ok(base.clone()), &[]);
}

#[test]
fn two_that_count_the_same_step_both_count() {
    let schema = schema(json!({"properties": {"v": {"x-merge": "counter"}}}));
    let base = json!({"v": 3});
    let exact = ways(&base, "v", &json!(4))
        .into_iter()
        .filter(|way| !matches!(way, Own::Posted(_) | Own::Merge(_) | Own::Patch(_)));
    for way in exact {
        check(&schema.unrestricted(), &base, &set("/v", json!(4)), way, Ok(json!({"v": 5})), &[]);
    }
}

#[test]
fn an_intent_meets_a_rule_once() {
    let schema = schema(
        json!({"properties": {"n": {"x-merge": "counter"}, "t": {"x-merge": "text"}, "l": {"x-merge": "append"}}}),
    );
    let view = schema.unrestricted();
    let base = json!({"n": 3, "t": "one two", "l": [1]});
    let with = |name: &str, value: Value| {
        let mut body = base.clone();
        body[name] = value;
        body
    };
    let inc = Own::Intents(json!([{"op": "inc", "path": "/n", "by": 2}, {"op": "inc", "path": "/n", "by": 2}]));
    check(&view, &base, &set("/n", json!(5)), inc, Ok(with("n", json!(9))), &[]);
    let text = Own::Intents(json!([{"op": "text", "path": "/t", "pos": 7, "insert": "!"}]));
    check(&view, &base, &set("/t", json!("one new two")), text, Ok(with("t", json!("one new two!"))), &[]);
    let append = Own::Intents(json!([{"op": "append", "path": "/l", "value": 3}]));
    check(&view, &base, &set("/l/-", json!(2)), append, Ok(with("l", json!([1, 2, 3]))), &[]);
}

#[test]
fn a_place_that_must_be_seen_is_refused_to_who_has_not() {
    let schema = schema(
        json!({"properties": {"v": {"x-merge": "cas"}, "o": {"x-merge": "cas", "properties": {"free": {"x-merge": "lww"}}}}}),
    );
    let view = schema.unrestricted();
    let base = json!({"v": 1, "w": 1, "o": {"n": 1, "free": 1}});
    for own in [5, 2] {
        for way in ways(&base, "v", &json!(own)) {
            // Of a value somebody holds by now nothing tells whether it was meant anew.
            if own == 2 && matches!(way, Own::Posted(_) | Own::Merge(_)) {
                continue;
            }
            let refusal = decide(&view, &base, &set("/v", json!(2)), &way).err().unwrap_or_else(|| panic!("{way:?}"));
            assert_eq!((refusal.code(), refusal.path()), ("conflict", Some(&pointer("/v"))), "{way:?}");
        }
        for way in ways(&base, "v", &json!(own)) {
            let mut then = base.clone();
            (then["v"], then["w"]) = (json!(own), json!(2));
            check(&view, &base, &set("/w", json!(2)), way, Ok(then), &[]);
        }
    }
    // The rule is of the whole object, whatever is written in it.
    for own in
        [Own::Patch(set("/o/m", json!(2))), Own::Patch(set("/o/n", json!(3))), Own::Merge(json!({"o": {"m": 2}}))]
    {
        let refusal = decide(&view, &base, &set("/o/n", json!(2)), &own).err().unwrap_or_else(|| panic!("{own:?}"));
        assert_eq!((refusal.code(), refusal.path()), ("conflict", Some(&pointer("/o"))), "{own:?}");
    }
    check(
        &view,
        &base,
        &set("/o/free", json!(2)),
        Own::Patch(set("/o/free", json!(3))),
        Ok(json!({"v": 1, "w": 1, "o": {"n": 1, "free": 3}})),
        &["/o/free"],
    );
    check(&view, &base, &set("/v", json!(2)), Own::Patch(set("", json!({"v": 3}))), Err("conflict"), &[]);
    check(
        &view,
        &base,
        &set("/v", json!(2)),
        Own::Intents(json!([{"op": "inc", "path": "/v", "by": 1}])),
        Err("conflict"),
        &[],
    );
}

#[test]
fn every_form_is_judged_by_the_schema_and_the_transitions() {
    let schema = schema(json!({
        "type": "object", "required": ["status"],
        "properties": {"n": {"type": "integer"}, "status": {"type": "string", "x-transitions": {"new": ["done"], "done": []}}}
    }));
    let view = schema.unrestricted();
    let base = json!({"status": "new", "n": 1});
    for way in ways(&base, "n", &json!("one")) {
        let refusal = decide(&view, &base, &json!([]), &way).err().unwrap();
        let Refusal::SchemaInvalid { errors } = &refusal else { panic!("{refusal}") };
        assert_eq!(
            (refusal.code(), errors[0].path.to_string().as_str(), errors.len()),
            ("schema_invalid", "/n", 1),
            "{way:?}"
        );
    }
    for way in ways(&base, "status", &json!("gone")) {
        check(&view, &base, &json!([]), way, Err("transition_invalid"), &[]);
    }
    for way in ways(&base, "status", &json!("done")) {
        check(&view, &base, &json!([]), way, Ok(json!({"status": "done", "n": 1})), &[]);
    }
    check(
        &view,
        &json!({"n": 1, "status": "new"}),
        &json!([]),
        Own::Rewrite(json!({"n": 1})),
        Err("transition_invalid"),
        &[],
    );
}

fn guarded() -> Schema {
    schema(json!({
        "properties": {
            "key": {"x-secret": true},
            "private": {"x-access": {"read": ["user:ann"], "write": ["user:ann"]}},
            "price": {"x-access": {"write": ["user:ann"]}},
            "users": {"items": {"properties": {"password": {"x-secret": true}, "role": {"x-access": {"write": ["user:ann"]}}}}}
        }
    }))
}

#[test]
fn who_cannot_see_a_place_does_not_delete_it() {
    let schema = guarded();
    let bob = schema.view(&Reader { names: &["user:bob"], secrets: false });
    let base = json!({
        "key": "k", "private": {"n": 1}, "price": 5, "note": "a",
        "users": [{"id": "u", "password": "p", "role": "r"}, {"id": "v", "password": "q", "role": "s"}]
    });
    let seen = bob.value(&base).unwrap().into_owned();
    let mut edited = seen.clone();
    edited["note"] = json!("b");
    edited["users"].as_array_mut().unwrap().reverse();
    edited["users"][0]["name"] = json!("V");
    let mut then = base.clone();
    then["note"] = json!("b");
    then["users"].as_array_mut().unwrap().reverse();
    then["users"][0]["name"] = json!("V");
    for way in [Own::Rewrite(edited.clone()), Own::Posted(edited)] {
        check(&bob, &base, &json!([]), way, Ok(then.clone()), &[]);
    }
    let mut document = Document::new(base.clone(), 1);
    let terms = Terms { view: Some(&bob), ..Terms::default() };
    assert_eq!(document.decide(Mutation::Replace(&seen), &terms), Ok(Decided::Unchanged));
    let mut kept = base.clone();
    kept["users"][0]["name"] = json!("U");
    let element = json!({"id": "u", "role": "r", "name": "U"});
    check(
        &bob,
        &base,
        &json!([]),
        Own::Patch(json!([{"op": "replace", "path": "/users/0", "value": element}])),
        Ok(kept),
        &[],
    );
    let mut rekeyed = base.clone();
    rekeyed["key"] = json!("new");
    check(&bob, &base, &json!([]), Own::Patch(set("/key", json!("new"))), Ok(rekeyed), &[]);
}

#[test]
fn elements_keep_what_is_hidden_by_the_key_that_their_list_names() {
    let items = json!({"properties": {"pin": {"x-secret": true}}});
    let schema = schema(json!({"properties": {"users": {"x-merge": "list:name", "items": items}}}));
    let bob = schema.view(&Reader { names: &["user:bob"], secrets: false });
    let base = json!({"users": [{"name": "u", "pin": 1}, {"name": "v", "pin": 2}, {"name": "w", "pin": 3}]});
    let edited = json!({"users": [{"name": "w"}, {"name": "u", "age": 4}]});
    let then = json!({"users": [{"name": "w", "pin": 3}, {"name": "u", "age": 4, "pin": 1}]});
    check(&bob, &base, &json!([]), Own::Rewrite(edited), Ok(then), &[]);
}

#[test]
fn what_a_writer_may_not_write_is_refused_in_every_form() {
    let schema = guarded();
    let bob = schema.view(&Reader { names: &["user:bob"], secrets: false });
    let ann = schema.view(&Reader { names: &["user:ann"], secrets: false });
    let base = json!({"key": "k", "private": {"n": 1}, "price": 5, "users": [{"id": "u", "role": "r"}]});
    let mut ways: Vec<Own> =
        ways(&base, "price", &json!(6)).into_iter().chain(ways(&base, "private", &json!({"n": 2}))).collect();
    ways.extend([
        Own::Patch(json!([{"op": "remove", "path": "/price"}])),
        Own::Patch(json!([{"op": "remove", "path": "/private/absent"}])),
        Own::Patch(json!([{"op": "remove", "path": "/users/0"}])),
        Own::Patch(json!([{"op": "remove", "path": ""}])),
        Own::Patch(set("/users/-", json!({"id": "x", "role": "admin"}))),
        Own::Patch(set("/users/0", json!({"id": "x", "role": "admin"}))),
        Own::Patch(json!([{"op": "replace", "path": "/users/0", "value": {"id": "u", "role": "admin"}}])),
        Own::Patch(json!([{"op": "replace", "path": "/users/0", "value": {"id": "u"}}])),
        Own::Rewrite(json!({"users": [{"id": "u", "role": "admin"}], "price": 5})),
        Own::Rewrite(json!({"users": [{"id": "u", "role": "r"}]})),
        Own::Intents(json!([{"op": "inc", "path": "/price", "by": 1}])),
        Own::Intents(json!([{"op": "unset", "path": "/price"}])),
        Own::Intents(json!([{"op": "remove_key", "path": "/users", "key": "u"}])),
    ]);
    for way in ways {
        check(&bob, &base, &json!([]), way.clone(), Err("forbidden_path"), &[]);
        if !matches!(&way, Own::Patch(patch) if patch.to_string().contains("absent")) {
            decide(&ann, &base, &json!([]), &way).unwrap_or_else(|refusal| panic!("{way:?}: {refusal}"));
        }
    }
}

#[test]
fn no_operation_tells_what_is_hidden() {
    let schema = guarded();
    let bob = schema.view(&Reader { names: &["user:bob"], secrets: false });
    let base =
        json!({"key": "k", "private": {"n": 1}, "users": [{"id": "u", "password": "p"}, {"id": "v"}], "open": {}});
    let forbidden = [
        json!({"op": "test", "path": "/key", "value": "k"}),
        json!({"op": "test", "path": "/key", "value": "x"}),
        json!({"op": "test", "path": "/private/n", "value": 1}),
        json!({"op": "copy", "from": "/key", "path": "/open/k"}),
        json!({"op": "move", "from": "/key", "path": "/open/k"}),
        json!({"op": "copy", "from": "/private", "path": "/open/p"}),
        json!({"op": "copy", "from": "/users/0", "path": "/open/u"}),
        json!({"op": "copy", "from": "/users", "path": "/open/u"}),
        json!({"op": "move", "from": "/users", "path": "/open/u"}),
        json!({"op": "copy", "from": "", "path": "/open/all"}),
    ];
    for op in forbidden {
        check(&bob, &base, &json!([]), Own::Patch(json!([op])), Err("forbidden_path"), &[]);
    }
    let tests = |value: Value| Own::Patch(json!([{"op": "test", "path": "/users", "value": value}]));
    check(&bob, &base, &json!([]), tests(json!([{"id": "u"}, {"id": "v"}])), Ok(base.clone()), &[]);
    check(&bob, &base, &json!([]), tests(base["users"].clone()), Err("test_failed"), &[]);
    let mut moved = base.clone();
    moved["users"].as_array_mut().unwrap().reverse();
    check(
        &bob,
        &base,
        &json!([]),
        Own::Patch(json!([{"op": "move", "from": "/users/0", "path": "/users/1"}])),
        Ok(moved),
        &[],
    );
    let mut copied = base.clone();
    copied["users"].as_array_mut().unwrap().insert(0, json!({"id": "u", "password": "p"}));
    check(
        &bob,
        &base,
        &json!([]),
        Own::Patch(json!([{"op": "copy", "from": "/users/0", "path": "/users/0"}])),
        Ok(copied),
        &[],
    );
}
