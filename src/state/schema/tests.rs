use super::*;
use crate::state::limits::Limits;
use crate::state::patch::{self, Operation};
use crate::state::random::Random;
use serde_json::json;

fn schema(source: Value) -> Schema {
    Schema::compile(source.clone()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

/// The place at which a schema is refused.
fn refused(source: Value, at: &str) {
    let error = Schema::compile(source.clone()).expect_err(&source.to_string());
    assert_eq!(error.path.to_string(), at, "{source}: {error}");
}

#[test]
fn what_a_schema_cannot_keep_is_refused_where_it_is_said() {
    refused(json!({"$ref": "https://example.com/other.json"}), "/$ref");
    refused(json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}), "/properties/a/$ref");
    refused(json!({"$ref": "other.json#/a"}), "/$ref");
    refused(json!({"$ref": "#/$defs/absent"}), "/$defs/absent");
    refused(json!({"$dynamicRef": "#node"}), "/$dynamicRef");
    refused(json!({"properties": {"a": {"$id": "https://example.com/a"}}}), "/properties/a/$id");
    refused(json!({"properties": {"a": {"x-merge": "sum"}}}), "/properties/a/x-merge");
    refused(json!({"x-merge": "list:"}), "/x-merge");
    refused(json!({"x-access": ["any"]}), "/x-access");
    refused(json!({"x-access": {"read": ["ann"]}}), "/x-access/read");
    refused(json!({"x-access": {"reads": ["any"]}}), "/x-access/reads");
    refused(json!({"x-secret": "yes"}), "/x-secret");
    refused(json!({"x-transitions": {"a": "b"}}), "/x-transitions");
    refused(json!({"x_access": {"read": []}, "x-Access": {"read": []}}), "/x-Access");
    refused(json!({"properties": 1}), "/properties");
    refused(json!({"type": "objekt"}), "/type");
    refused(json!({"description": "x".repeat(300_000)}), "");
    let deep = (0..70).fold(json!({}), |inner, _| json!({"items": inner}));
    assert!(Schema::compile(deep).is_err());
    let wide: Vec<Value> = (0..5_000).map(|_| json!({})).collect();
    assert!(Schema::compile(json!({"anyOf": wide})).is_err());
}

#[test]
fn patterns_that_need_backtracking_are_refused_and_hard_ones_are_matched_at_once() {
    for pattern in ["(?=a)b", "(?<!a)b", r"(a)\1"] {
        assert!(Schema::compile(json!({"pattern": pattern})).is_err(), "{pattern}");
        assert!(Schema::compile(json!({"patternProperties": {pattern: {}}})).is_err(), "{pattern}");
    }
    assert!(Schema::compile(json!({"pattern": "((((a{99}){99}){99}){99}){99}"})).is_err());
    // Exponential for a matcher that backtracks.
    let evil = schema(json!({"type": "string", "pattern": "^(a+)+$"}));
    assert_eq!(evil.faults(&json!("a".repeat(50_000) + "!")).len(), 1);
}

#[test]
fn faults_name_their_place_and_quote_no_value() {
    let schema = schema(json!({
        "type": "object", "required": ["title"],
        "properties": {"title": {"type": "string"}, "items": {"items": {"type": "object", "properties": {"n": {"maximum": 9}}}}}
    }));
    let faults = schema.faults(&json!({"items": [{}, {"n": 4_242}]}));
    let found: Vec<_> = faults.iter().map(|fault| fault.path.to_string()).collect();
    assert!(found.contains(&"/items/1/n".to_owned()) && found.contains(&String::new()), "{faults:?}");
    assert!(faults.iter().all(|fault| !fault.message.contains("4242")), "{faults:?}");
}

#[test]
fn keywords_that_look_at_several_places_are_told_and_only_they_are_judged_whole() {
    let local = schema(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object", "properties": {"a": {"enum": [1, 2]}, "l": {"items": {"$ref": "#/$defs/n"}}},
        "$defs": {"n": {"type": "number"}}, "additionalProperties": false, "x-merge": "lww"
    }));
    assert!(local.whole().is_empty(), "{:?}", local.whole());
    let whole =
        schema(json!({"properties": {"a": {"anyOf": [{}, {}]}, "l": {"uniqueItems": true}, "e": {"const": {"x": 1}}}}));
    assert_eq!(whole.whole(), [pointer("/properties/a"), pointer("/properties/e"), pointer("/properties/l")]);
}

/// What is wrong after `ops` on a valid `body`, by looking where they touched, and what that look found.
fn after(source: &Schema, mut body: Value, ops: Value) -> Vec<String> {
    assert_eq!(source.faults(&body), [], "{body}");
    let ops: Vec<Operation> = serde_json::from_value(ops).unwrap();
    let effects = patch::apply(&mut body, &ops, &Limits::default()).unwrap().effects;
    let found = source.faults_of_change(&body, &effects);
    assert_eq!(found.is_empty(), source.faults(&body).is_empty(), "{body}: {found:?}");
    found.iter().map(|fault| fault.path.to_string()).collect()
}

#[test]
fn a_change_is_judged_where_it_touched() {
    let source = schema(json!({
        "type": "object", "required": ["title"], "additionalProperties": false, "maxProperties": 5,
        "propertyNames": {"pattern": "^[a-z]+$"},
        "properties": {
            "title": {"type": "string"},
            "tree": {"$ref": "#/$defs/node"},
            "tags": {"type": "array", "uniqueItems": true, "items": {"type": "string"}},
            "list": {"type": "array", "maxItems": 2, "items": {"type": "object", "required": ["n"]}}
        },
        "patternProperties": {"^free": true},
        "$defs": {"node": {"type": "object", "properties": {"n": {"type": "integer"}, "below": {"items": {"$ref": "#/$defs/node"}}}}}
    }));
    let body = || json!({"title": "t", "tree": {"n": 1, "below": [{"n": 2}]}, "tags": ["a"], "list": [{"n": 1}]});
    let check = |op: Value, faults: &[&str]| assert_eq!(after(&source, body(), json!([op])), faults, "{op}");
    check(json!({"op": "add", "path": "/title", "value": "u"}), &[]);
    check(json!({"op": "add", "path": "/title", "value": 1}), &["/title"]);
    check(json!({"op": "remove", "path": "/title"}), &[""]);
    check(json!({"op": "add", "path": "/other", "value": 1}), &["", "/other"][1..]);
    check(json!({"op": "remove", "path": "/tags"}), &[]);
    check(json!({"op": "add", "path": "/tree/below/0/n", "value": 1.5}), &["/tree/below/0/n"]);
    check(json!({"op": "add", "path": "/tree/below/0/below", "value": [{"n": "x"}]}), &["/tree/below/0/below/0/n"]);
    check(json!({"op": "add", "path": "/tags/0", "value": "a"}), &["/tags"]);
    check(json!({"op": "add", "path": "/tags/0", "value": 1}), &["/tags/0"]);
    check(json!({"op": "remove", "path": "/list/0/n"}), &["/list/0"]);
    check(json!({"op": "add", "path": "/list/0", "value": {}}), &["/list/0"]);
    check(json!({"op": "replace", "path": "", "value": []}), &[""]);
    let ops = json!([{"op": "add", "path": "/list/0", "value": {"n": 1}}, {"op": "add", "path": "/list/0", "value": {"n": 1}}]);
    assert_eq!(after(&source, body(), ops), ["/list"]);
    let ops = json!([{"op": "add", "path": "/list/0", "value": {"n": 1}}, {"op": "remove", "path": "/list/1/n"}]);
    assert_eq!(after(&source, body(), ops), ["/list/1"]);
}

/// A random schema for the random values of this layer's tests.
fn random_schema(random: &mut Random, depth: usize) -> Value {
    let mut schema = match random.below(7) {
        0 => json!({"type": (["object", "array", "string", "number", "null", "boolean"][random.below(6)])}),
        1 => json!({"enum": [0, 1, "x", null, 2]}),
        2 => json!({"maximum": random.below(4)}),
        3 => json!({"maxItems": random.below(5), "maxProperties": random.below(6)}),
        4 => json!({"required": [(["a", "b", "0"][random.below(3)])]}),
        _ => json!({}),
    };
    if depth == 0 {
        return schema;
    }
    for name in ["a", "b", "c", "0", "id"] {
        if random.one_in(2) {
            schema["properties"][name] = random_schema(random, depth - 1);
        }
    }
    if random.one_in(3) {
        schema["items"] = random_schema(random, depth - 1);
    }
    match random.below(12) {
        0 => schema["additionalProperties"] = json!(false),
        1 => schema["additionalProperties"] = random_schema(random, depth - 1),
        2 => schema["uniqueItems"] = json!(true),
        3 => schema["allOf"] = json!([random_schema(random, depth - 1)]),
        4 => schema["anyOf"] = json!([random_schema(random, depth - 1), {"minProperties": 1}]),
        5 => schema["prefixItems"] = json!([random_schema(random, depth - 1)]),
        6 => schema["propertyNames"] = json!({"maxLength": 3}),
        7 => schema["patternProperties"] = json!({"^[a-c]": random_schema(random, depth - 1)}),
        _ => {}
    }
    schema
}

#[test]
fn judging_what_was_touched_finds_a_fault_exactly_where_judging_all_finds_one() {
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0..1_500_u64 {
        let mut random = Random::new(seed);
        let schema = schema(random_schema(&mut random, 3));
        let mut body = random.object(3);
        if !schema.faults(&body).is_empty() {
            continue;
        }
        let mut effects = Vec::new();
        for _ in 0..=random.below(3) {
            let op = random.operation(&body);
            if let Ok(done) = patch::apply(&mut body, &[op], &Limits::default()) {
                effects.extend(done.effects);
            }
        }
        let (some, all) = (schema.faults_of_change(&body, &effects), schema.faults(&body));
        assert_eq!(some.is_empty(), all.is_empty(), "seed {seed}: {schema:?}\n{body}\n{effects:?}\n{some:?}\n{all:?}");
        *(if all.is_empty() { &mut valid } else { &mut invalid }) += 1;
    }
    assert!(valid > 100 && invalid > 20, "{valid} valid, {invalid} invalid");
}

#[test]
fn a_small_change_of_a_large_document_is_judged_as_fast_as_of_a_small_one() {
    let source = schema(json!({
        "type": "object", "required": ["log"], "additionalProperties": {"type": "array", "items": {"type": "object",
        "properties": {"n": {"type": "integer"}}}}
    }));
    let body = json!({"log": (0..200_000).map(|n| json!({"n": n})).collect::<Vec<_>>()});
    let effects: Vec<Operation> =
        serde_json::from_value(json!([{"op": "replace", "path": "/log/7", "value": {"n": 1}}])).unwrap();
    // Judging the whole body twenty thousand times would take minutes.
    for _ in 0..20_000 {
        assert_eq!(source.faults_of_change(&body, &effects), []);
    }
}

fn hop(source: &Schema, mut body: Value, ops: Value) -> Option<(String, String, Option<String>)> {
    let ops: Vec<Operation> = serde_json::from_value(ops).unwrap();
    let done = patch::apply(&mut body, &ops, &Limits::default()).unwrap();
    source.forbidden_hop(&body, &done.effects, &done.inverse).map(|hop| (hop.path.to_string(), hop.from, hop.to))
}

#[test]
fn lifecycle_members_hop_as_allowed_only() {
    let status = json!({"x-transitions": {"new": ["ready"], "ready": ["done", "new"], "done": []}});
    let source = schema(json!({
        "properties": {"status": {"$ref": "#/$defs/status"}, "steps": {"items": {"properties": {"status": {"$ref": "#/$defs/status"}}}}},
        "$defs": {"status": status}
    }));
    let body = || json!({"status": "new", "steps": [{"id": "a", "status": "done"}, {"id": "b", "status": "new"}]});
    let told =
        |path: &str, from: &str, to: Option<&str>| Some((path.to_owned(), from.to_owned(), to.map(str::to_owned)));
    let set = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    assert_eq!(hop(&source, body(), set("/status", json!("ready"))), None);
    assert_eq!(hop(&source, body(), set("/status", json!("new"))), None);
    assert_eq!(hop(&source, body(), set("/status", json!("done"))), told("/status", "new", Some("done")));
    assert_eq!(hop(&source, body(), set("/status", json!(1))), told("/status", "new", None));
    assert_eq!(hop(&source, body(), json!([{"op": "remove", "path": "/status"}])), told("/status", "new", None));
    assert_eq!(hop(&source, body(), set("", json!({"status": "done"}))), told("/status", "new", Some("done")));
    assert_eq!(hop(&source, body(), set("", json!({}))), told("/status", "new", None));
    assert_eq!(
        hop(&source, body(), json!([{"op": "replace", "path": "/steps/0/status", "value": "new"}])),
        told("/steps/0/status", "done", Some("new"))
    );
    assert_eq!(hop(&source, body(), json!([{"op": "remove", "path": "/steps/0"}])), None);
    let inserted = json!([{"op": "add", "path": "/steps/0", "value": {"id": "x", "status": "done"}},
        {"op": "replace", "path": "/steps/2/status", "value": "ready"}]);
    assert_eq!(hop(&source, body(), inserted), None);
    let reordered = set("/steps", json!([{"id": "b", "status": "new"}, {"id": "a", "status": "done"}]));
    assert_eq!(hop(&source, body(), reordered), None);
}

fn guarded() -> Schema {
    schema(json!({
        "type": "object",
        "properties": {
            "key": {"x-secret": true},
            "private": {"x-access": {"read": ["user:ann", "role:admin"]}, "properties": {"open": {"x-access": {"read": ["any"]}}}},
            "price": {"x-access": {"write": ["role:admin"]}},
            "users": {"items": {"$ref": "#/$defs/user"}},
            "logs": {"items": {"x-access": {"read": ["role:admin"]}}}
        },
        "additionalProperties": {"properties": {"key": {"x-secret": true}}},
        "$defs": {"user": {"allOf": [{"properties": {"password": {"x-secret": true}}}]}}
    }))
}

fn body() -> Value {
    json!({
        "key": "k", "private": {"n": 1, "open": 2}, "price": 5, "a": {"key": "k2", "n": 1},
        "users": [{"id": "u", "password": "p"}, {"id": "v", "password": "q"}], "logs": [1, 2]
    })
}

#[test]
fn a_reader_sees_the_places_that_are_theirs() {
    let schema = guarded();
    let bob = schema.view(&Reader { names: &["user:bob"], secrets: false });
    let seen = json!({"price": 5, "a": {"n": 1}, "users": [{"id": "u"}, {"id": "v"}], "logs": []});
    assert_eq!(bob.value(&body()).unwrap().as_ref(), &seen);
    let ann = schema.view(&Reader { names: &["user:ann"], secrets: false });
    assert_eq!(ann.value(&body()).unwrap()["private"], json!({"n": 1, "open": 2}));
    let admin = schema.view(&Reader { names: &["role:admin"], secrets: true });
    assert!(admin.sees_all());
    assert_eq!(admin.value(&body()).unwrap().as_ref(), &body());
    assert!(schema.unrestricted().sees_all());
    assert_eq!(bob, schema.view(&Reader { names: &["user:eve"], secrets: false }), "who sees the same shares a view");
    assert_ne!(bob, ann);
    for (path, readable) in [
        ("/key", false),
        ("/private/open", false),
        ("/a/n", true),
        ("/a/key", false),
        ("/users/1/password", false),
        ("/logs/0", false),
    ] {
        assert_eq!(bob.may_read(&pointer(path)), readable, "{path}");
    }
    assert!(
        bob.may_write(&pointer("/key")) && !bob.may_write(&pointer("/price/x")) && admin.may_write(&pointer("/price"))
    );
    let closed = Schema::compile(json!({"x-access": {"read": ["user:ann"]}})).unwrap();
    assert_eq!(closed.view(&Reader::default()).value(&body()), None);
}

#[test]
fn projected_deltas_lead_from_what_was_seen_to_what_is_seen() {
    let schema = guarded();
    for seed in 0..1_000 {
        let mut random = Random::new(seed);
        let names: &[&str] = [&["user:bob"][..], &["user:ann"], &["role:admin"]][random.below(3)];
        let view = schema.view(&Reader { names, secrets: random.one_in(4) });
        let mut body = body();
        let mut client = view.value(&body).unwrap().into_owned();
        for _ in 0..6 {
            let keys = ["key", "private", "price", "users", "logs", "a", "b"];
            let value = match random.below(3) {
                0 => json!({"key": random.below(9), "n": random.below(9), "open": 1, "password": "x"}),
                1 => json!([{"id": "u", "password": random.below(9)}, {"n": 2}]),
                _ => random.value(2),
            };
            let op = match random.below(4) {
                0 => Operation::Add { path: Pointer::root().join(keys[random.below(keys.len())]), value },
                1 => Operation::Add { path: random.path(&body), value },
                _ => random.operation(&body),
            };
            if op.path().is_root() {
                continue;
            }
            let Ok(done) = patch::apply(&mut body, &[op], &Limits::default()) else { continue };
            client = crate::state::random::fast_json_patch(client, &view.ops(&done.effects));
            let seen = view.value(&body).unwrap();
            assert!(crate::state::value::same(&client, &seen), "seed {seed}: {client}\ninstead of {seen}");
        }
    }
}
