use super::*;
use crate::state::random::{Random, fast_json_patch};
use crate::state::value::same;
use serde_json::json;

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

fn ops(ops: Value) -> Vec<Operation> {
    serde_json::from_value(ops).unwrap()
}

/// A body, a mutation, and the body it leads to or the code it is refused with.
fn check(body: Value, mutation: Mutation<'_>, terms: Terms<'_>, then: Result<Value, &str>) {
    let mut document = Document::new(body.clone(), 7);
    match (document.decide(mutation, &terms), then) {
        (Ok(decided), Ok(then)) => {
            assert_eq!(document.body(), &then);
            let Decided::Changed(change) = decided else {
                assert_eq!((document.version(), body), (7, then));
                return;
            };
            assert_eq!((document.version(), change.version), (8, 8));
            assert_eq!(document.size(), then.to_string().len());
            document.revert(&change);
            assert_eq!(document, Document::new(body, 7));
        }
        (Err(refusal), Err(code)) => {
            assert_eq!(refusal.code(), code, "{refusal}");
            assert_eq!(document, Document::new(body, 7));
        }
        (decided, then) => panic!("{decided:?} instead of {then:?}"),
    }
}

#[test]
fn each_kind_of_mutation_leads_to_its_body() {
    let body = || json!({"a": 1, "o": {"x": 1}, "l": [1]});
    let patch = ops(json!([{"op": "add", "path": "/l/-", "value": 2}]));
    check(
        body(),
        Mutation::Patch { ops: &patch, since: &[] },
        Terms::default(),
        Ok(json!({"a": 1, "o": {"x": 1}, "l": [1, 2]})),
    );
    check(
        body(),
        Mutation::Merge { patch: &json!({"a": null, "o": {"y": 2}}), since: &[] },
        Terms::default(),
        Ok(json!({"o": {"x": 1, "y": 2}, "l": [1]})),
    );
    check(body(), Mutation::Replace(&json!({"b": 1})), Terms::default(), Ok(json!({"b": 1})));
    check(body(), Mutation::Replace(&json!([1])), Terms::default(), Ok(json!([1])));
    check(body(), Mutation::Replace(&json!({"a": 1.0, "o": {"x": 1}, "l": [1]})), Terms::default(), Ok(body()));
    let rewritten = json!({"a": 0, "o": {"x": 5}, "l": []});
    let inverse = ops(json!([{"op": "add", "path": "/a", "value": 0}, {"op": "remove", "path": "/l/0"}]));
    let since = [Later { version: 7, actor: "user:bob", ops: &[], inverse: &inverse, is_own: false }];
    check(
        body(),
        Mutation::Rewrite { body: &rewritten, since: &since },
        Terms::default(),
        Ok(json!({"a": 1, "o": {"x": 5}, "l": [1]})),
    );
    check(
        body(),
        Mutation::Posted { state: &json!({"a": 5, "b": 6}), past: Past::Unknown },
        Terms::default(),
        Ok(json!({"a": 1, "o": {"x": 1}, "l": [1], "b": 6})),
    );
}

#[test]
fn a_mutation_for_another_version_is_refused() {
    let terms = Terms { if_version: Some(6), ..Terms::default() };
    check(json!({}), Mutation::Merge { patch: &json!({"a": 1}), since: &[] }, terms, Err("version_conflict"));
    check(
        json!({}),
        Mutation::Merge { patch: &json!({"a": 1}), since: &[] },
        Terms { if_version: Some(7), ..terms },
        Ok(json!({"a": 1})),
    );
}

#[test]
fn a_write_outside_the_allowed_places_is_refused_whatever_stands_there() {
    let allowed = [pointer("/mine")];
    let terms = Terms { allowed: Some(&allowed), ..Terms::default() };
    let body = || json!({"mine": {}, "other": 1});
    check(
        body(),
        Mutation::Merge { patch: &json!({"mine": {"a": 1}}), since: &[] },
        terms,
        Ok(json!({"mine": {"a": 1}, "other": 1})),
    );
    check(
        body(),
        Mutation::Merge { patch: &json!({"mine": {"a": 1}, "other": 2}), since: &[] },
        terms,
        Err("forbidden_path"),
    );
    for forbidden in [
        json!([{"op": "add", "path": "/other", "value": 1}]),
        json!([{"op": "remove", "path": "/absent"}]),
        json!([{"op": "move", "from": "/other", "path": "/mine/x"}]),
        json!([{"op": "copy", "from": "/mine", "path": "/minecraft"}]),
        json!([{"op": "replace", "path": "", "value": {}}]),
    ] {
        check(body(), Mutation::Patch { ops: &ops(forbidden), since: &[] }, terms, Err("forbidden_path"));
    }
}

#[test]
fn a_result_beyond_the_limits_is_refused() {
    let limits = Limits::of_bytes(30);
    let terms = Terms { limits, ..Terms::default() };
    check(
        json!({"a": "x"}),
        Mutation::Merge { patch: &json!({"b": "123456789012"}), since: &[] },
        terms,
        Ok(json!({"a": "x", "b": "123456789012"})),
    );
    check(
        json!({"a": "x"}),
        Mutation::Merge { patch: &json!({"b": "1234567890123456"}), since: &[] },
        terms,
        Err("too_large"),
    );
    check(json!({"a": "x"}), Mutation::Replace(&json!("x".repeat(30))), terms, Err("too_large"));
    check(
        json!({"a": "x".repeat(50)}),
        Mutation::Merge { patch: &json!({"a": "x".repeat(40)}), since: &[] },
        terms,
        Ok(json!({"a": "x".repeat(40)})),
    );
    let deep = (0..65).fold(json!(1), |inner, _| json!([inner]));
    check(json!({}), Mutation::Merge { patch: &json!({"a": deep}), since: &[] }, Terms::default(), Err("invalid_json"));
    check(json!({}), Mutation::Replace(&json!({"__proto__": 1})), Terms::default(), Err("invalid_patch"));
}

#[test]
fn a_conflict_keeps_the_value_that_was_lost_and_who_wrote_it() {
    let mut document = Document::new(json!({"a": 2, "l": ["n", "x"]}), 2);
    let theirs = ops(json!([{"op": "add", "path": "/a", "value": 2}, {"op": "add", "path": "/l/0", "value": "n"}]));
    let inverse = ops(json!([{"op": "remove", "path": "/l/0"}, {"op": "add", "path": "/a", "value": 1}]));
    let since = [Later { version: 2, actor: "agent:bob", ops: &theirs, inverse: &inverse, is_own: false }];
    let own =
        ops(json!([{"op": "replace", "path": "/a", "value": 3}, {"op": "replace", "path": "/l/0", "value": "y"}]));
    let decided = document.decide(Mutation::Patch { ops: &own, since: &since }, &Terms::default()).unwrap();
    let Decided::Changed(change) = decided else { panic!("{decided:?}") };
    assert_eq!(document.body(), &json!({"a": 3, "l": ["n", "y"]}));
    let commit = Commit::of(change, "user:ann", "2026-01-01T00:00:00Z");
    assert_eq!(
        serde_json::to_value(&commit).unwrap(),
        json!({
            "version": 3,
            "ops": [{"op": "add", "path": "/a", "value": 3}, {"op": "replace", "path": "/l/1", "value": "y"}],
            "inverse": [{"op": "replace", "path": "/l/1", "value": "x"}, {"op": "add", "path": "/a", "value": 2}],
            "actor": "user:ann", "at": "2026-01-01T00:00:00Z",
            "conflicts": [{"path": "/a", "version": 2, "actor": "agent:bob", "lost": 2}]
        })
    );
    assert_eq!(serde_json::from_value::<Commit>(serde_json::to_value(&commit).unwrap()).unwrap(), commit);
}

#[test]
fn replaying_the_commits_gives_the_head_and_taking_them_back_the_start() {
    for seed in 0..1_000 {
        let mut random = Random::new(seed);
        let mut document = Document::absent();
        let mut changes = Vec::new();
        for _ in 0..random.below(12) {
            let body = random.edited(document.body());
            let patch = [random.operation(document.body())];
            let mutation = match random.below(4) {
                0 => Mutation::Patch { ops: &patch, since: &[] },
                1 => Mutation::Merge { patch: &body, since: &[] },
                2 => Mutation::Replace(&body),
                _ => Mutation::Posted { state: &body, past: Past::Since(&[]) },
            };
            if let Ok(Decided::Changed(change)) = document.decide(mutation, &Terms::default()) {
                changes.push(change);
            }
            assert_eq!(document.size(), document.body().to_string().len(), "seed {seed}");
        }
        let mut replayed = Document::absent();
        let mut client = json!({});
        for change in &changes {
            client = fast_json_patch(client, &change.ops);
            replayed.replay(&Commit::of(change.clone(), "", "")).unwrap();
        }
        assert_eq!(replayed, document, "seed {seed}");
        assert!(same(&client, document.body()), "seed {seed}");
        for change in changes.iter().rev() {
            document.revert(change);
        }
        assert_eq!(document, Document::absent(), "seed {seed}");
    }
}

#[test]
fn a_tombstone_leaves_nothing_until_the_next_change_and_can_be_taken_back() {
    let mut document = Document::new(json!({"a": 1, "b": [2]}), 4);
    let before = document.clone();
    let tombstone = document.end();
    assert_eq!((document.body(), document.version(), document.exists()), (&json!({}), 5, false));
    assert_eq!(document.size(), 2);
    let write = ops(json!([{"op": "add", "path": "/c", "value": 3}]));
    let Ok(Decided::Changed(revival)) = document.decide(Mutation::Patch { ops: &write, since: &[] }, &Terms::default())
    else {
        panic!("a deleted document can be written again")
    };
    assert!(document.exists());
    document.revert(&revival);
    assert!(!document.exists());
    document.revert(&tombstone);
    assert_eq!(document, before);
}

#[test]
fn a_tombstone_of_a_list_leads_to_an_empty_object_too() {
    let mut document = Document::new(json!([1]), 4);
    let tombstone = document.end();
    assert_eq!((document.body(), document.size()), (&json!({}), 2));
    document.revert(&tombstone);
    assert_eq!(document.body(), &json!([1]));
}

mod governed;
mod writers;
