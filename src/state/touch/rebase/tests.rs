use super::*;
use crate::state::diff::{diff, fine};
use crate::state::limits::Limits;
use crate::state::patch;
use crate::state::random::Random;
use crate::state::value::same;
use serde_json::json;

fn ops(ops: Value) -> Vec<Operation> {
    serde_json::from_value(ops).unwrap()
}

/// `own` and `theirs` were made on `base`, `theirs` is at the head: what `own` leads to there, and its conflicts.
fn check(base: Value, own: Value, theirs: Value, then: Result<Value, &str>, conflicts: &[&str]) {
    let mut head = base.clone();
    let effects = patch::apply(&mut head, &ops(theirs.clone()), &Limits::default()).unwrap().effects;
    match (rebase(&ops(own.clone()), &effects, &head), then) {
        (Ok(rebased), Ok(then)) => {
            patch::apply(&mut head, &rebased.ops, &Limits::default()).unwrap();
            assert_eq!(head, then, "{own} over {theirs}: {rebased:?}");
            let found: Vec<_> = rebased.conflicts.iter().map(Pointer::to_string).collect();
            assert_eq!(found, conflicts, "{own} over {theirs}");
        }
        (Err(RebaseError::TargetGone { path, .. }), Err(gone)) => assert_eq!(path.to_string(), gone),
        (rebased, then) => panic!("{own} over {theirs}: {rebased:?} instead of {then:?}"),
    }
}

fn add(path: &str, value: impl Into<Value>) -> Value {
    json!({"op": "add", "path": path, "value": value.into()})
}

fn replace(path: &str, value: impl Into<Value>) -> Value {
    json!({"op": "replace", "path": path, "value": value.into()})
}

fn remove(path: &str) -> Value {
    json!({"op": "remove", "path": path})
}

#[test]
fn disjoint_edits_do_not_collide() {
    check(json!({"a": 1}), json!([add("/b", 2)]), json!([add("/a", 3)]), Ok(json!({"a": 3, "b": 2})), &[]);
}

#[test]
fn the_later_writer_wins_and_the_conflict_is_named() {
    check(json!({"a": 1}), json!([add("/a", 2)]), json!([add("/a", 3)]), Ok(json!({"a": 2})), &["/a"]);
    check(json!({"a": 1}), json!([add("/a", 3)]), json!([add("/a", 3)]), Ok(json!({"a": 3})), &[]);
    check(json!({"a": 1}), json!([replace("/a", 2)]), json!([remove("/a")]), Ok(json!({"a": 2})), &["/a"]);
    check(json!({"a": 1}), json!([remove("/a")]), json!([add("/a", 3)]), Ok(json!({})), &["/a"]);
    check(json!({"a": 1}), json!([remove("/a")]), json!([remove("/a")]), Ok(json!({})), &[]);
    check(json!({"o": {"x": 1}}), json!([add("/o", 5)]), json!([add("/o/x", 3)]), Ok(json!({"o": 5})), &["/o"]);
    check(
        json!({"o": {"x": 1}}),
        json!([add("/o/x", 5)]),
        json!([add("/o", json!({"y": 1}))]),
        Ok(json!({"o": {"x": 5, "y": 1}})),
        &["/o/x"],
    );
}

#[test]
fn indexes_follow_their_elements() {
    let base = || json!({"l": ["a", "b", "c"]});
    check(
        base(),
        json!([replace("/l/1", "B")]),
        json!([add("/l/0", "n")]),
        Ok(json!({"l": ["n", "a", "B", "c"]})),
        &[],
    );
    check(base(), json!([replace("/l/2", "C")]), json!([remove("/l/0")]), Ok(json!({"l": ["b", "C"]})), &[]);
    check(
        base(),
        json!([add("/l/3", "d")]),
        json!([add("/l/3", "n")]),
        Ok(json!({"l": ["a", "b", "c", "n", "d"]})),
        &[],
    );
    check(base(), json!([add("/l/-", "d")]), json!([remove("/l/0")]), Ok(json!({"l": ["b", "c", "d"]})), &[]);
    check(base(), json!([remove("/l/0"), replace("/l/1", "C")]), json!([remove("/l/1")]), Ok(json!({"l": ["C"]})), &[]);
    check(
        base(),
        json!([replace("/l/1", "B")]),
        json!([replace("/l/1", "x")]),
        Ok(json!({"l": ["a", "B", "c"]})),
        &["/l/1"],
    );
    check(base(), json!([replace("/l/1", "B")]), json!([remove("/l/1")]), Err("/l/1"), &[]);
    check(base(), json!([remove("/l/1")]), json!([remove("/l/1")]), Ok(json!({"l": ["a", "c"]})), &[]);
    check(
        base(),
        json!([{"op": "move", "from": "/l/2", "path": "/l/0"}]),
        json!([remove("/l/0")]),
        Ok(json!({"l": ["c", "b"]})),
        &[],
    );
    check(
        base(),
        json!([{"op": "test", "path": "/l/2", "value": "c"}]),
        json!([remove("/l/0")]),
        Ok(json!({"l": ["b", "c"]})),
        &[],
    );
}

#[test]
fn what_both_removed_shifts_nothing_twice() {
    let base = || json!({"l": ["a", "b", "c"], "o": {"x": 1}});
    let own = json!([remove("/l/1"), replace("/l/1", "C")]);
    check(base(), own.clone(), json!([remove("/l/1")]), Ok(json!({"l": ["a", "C"], "o": {"x": 1}})), &[]);
    let theirs = json!([add("/l/0", "n"), remove("/l/2"), add("/l/0", "m")]);
    check(base(), own, theirs, Ok(json!({"l": ["m", "n", "a", "C"], "o": {"x": 1}})), &[]);
    let own = json!([remove("/o"), add("/o", json!({})), add("/o/y", 2)]);
    check(base(), own, json!([remove("/o")]), Ok(json!({"l": ["a", "b", "c"], "o": {"y": 2}})), &[]);
}

#[test]
fn members_named_by_digits_are_no_indexes() {
    let base = || json!({"o": {"1": "a", "2": "b"}});
    check(base(), json!([replace("/o/2", "B")]), json!([remove("/o/1")]), Ok(json!({"o": {"2": "B"}})), &[]);
    check(
        base(),
        json!([add("/o/0", "n")]),
        json!([add("/o/2", "c")]),
        Ok(json!({"o": {"0": "n", "1": "a", "2": "c"}})),
        &[],
    );
}

#[test]
fn below_a_removed_object_the_parents_come_back() {
    check(
        json!({"o": {"p": {"x": 1, "y": 1}}}),
        json!([add("/o/p/x", 2), add("/o/q", json!({"r": {"k": 1}})), add("/o/q/r/s", 3)]),
        json!([remove("/o")]),
        Ok(json!({"o": {"p": {"x": 2}, "q": {"r": {"k": 1, "s": 3}}}})),
        &["/o/p/x", "/o/q", "/o/q/r/s"],
    );
    check(json!({"o": {"l": [{"x": 1}]}}), json!([add("/o/l/0/x", 2)]), json!([remove("/o")]), Err("/o/l/0/x"), &[]);
    check(json!({"l": [{"x": 1}]}), json!([add("/l/0/x", 2)]), json!([remove("/l/0")]), Err("/l/0/x"), &[]);
    check(json!({"o": {"x": 1}}), json!([remove("/o/x")]), json!([remove("/o")]), Ok(json!({})), &[]);
}

#[test]
fn edits_of_different_elements_meet_in_either_order() {
    for seed in 0..4_000 {
        let mut random = Random::new(seed);
        let words: Vec<Value> =
            (0..random.below(8)).map(|n| json!(format!("{}{n}", ["m", "t"][random.below(2)]))).collect();
        let base = json!({"words": words, "m": random.object(2), "t": random.object(2)});
        let mut edited = |owner: &str| {
            let mut doc = base.clone();
            doc[owner] = random.edited(&doc[owner]);
            let words = doc["words"].as_array_mut().unwrap();
            for n in 0..random.below(4) {
                let is_own = |word: &Value| word.as_str().unwrap().starts_with(owner);
                if random.one_in(2) {
                    words.insert(random.below(words.len() + 1), json!(format!("{owner}-{n}")));
                } else if let Some(place) = words.iter().position(is_own) {
                    words.remove(place);
                }
            }
            doc
        };
        let (mine, head) = (edited("m"), edited("t"));
        let own = fine(&base, &mine, &Pointer::root(), false);
        // Only edits that say insert and remove for themselves keep words apart.
        let is_plain = |op: &Operation| !matches!(op, Operation::Replace { path, .. } if path.tokens()[0] == "words");
        let theirs = diff(&base, &head);
        if !own.iter().chain(&theirs).all(is_plain) {
            continue;
        }
        let rebased = rebase(&own, &theirs, &head).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let mut merged = head.clone();
        patch::apply(&mut merged, &rebased.ops, &Limits::default())
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let part = |doc: &Value, owner: &str| {
            let words =
                doc["words"].as_array().unwrap().iter().filter(|word| word.as_str().unwrap().starts_with(owner));
            json!([doc[owner], words.collect::<Vec<_>>()])
        };
        let told =
            || format!("seed {seed}: {base}\nmine {mine} by {own:?}\nhead {head} by {theirs:?}\nmerged {merged}");
        assert!(same(&part(&merged, "m"), &part(&mine, "m")), "{}", told());
        assert!(same(&part(&merged, "t"), &part(&head, "t")), "{}", told());
        assert_eq!(rebased.conflicts, []);
    }
}

#[test]
fn any_operations_over_any_others_are_carried_or_refused() {
    for seed in 0..4_000 {
        let mut random = Random::new(seed);
        let base = random.object(4);
        let make = |random: &mut Random| {
            let mut doc = base.clone();
            let mut made = Vec::new();
            for _ in 0..=random.below(5) {
                let op = random.operation(&doc);
                if patch::apply(&mut doc, std::slice::from_ref(&op), &Limits::default()).is_ok() {
                    made.push(op);
                }
            }
            made
        };
        let (own, theirs) = (make(&mut random), make(&mut random));
        let mut head = base.clone();
        let effects = patch::apply(&mut head, &theirs, &Limits::default()).unwrap().effects;
        if let Ok(rebased) = rebase(&own, &effects, &head) {
            let before = head.clone();
            if patch::apply(&mut head, &rebased.ops, &Limits::default()).is_err() {
                assert_eq!(head, before, "seed {seed}");
            }
        }
        assert_eq!(rebase(&own, &[], &base).unwrap().ops, own);
    }
}

#[test]
fn own_writes_between_those_of_others_are_no_news() {
    for seed in 0..4_000 {
        let mut random = Random::new(seed);
        let mut next = 3;
        let mut view: Value = (0..next).collect();
        let mut head = view.clone();
        let (mut over, mut is_own) = (Vec::new(), Vec::new());
        let (mut put_in, mut taken_out): (Vec<u64>, Vec<u64>) = ((0..next).collect(), Vec::new());
        for _ in 0..random.below(12) {
            let is_mine = random.one_in(2);
            let list = if is_mine { &view } else { &head }.as_array().unwrap().clone();
            // Where the writer put something in beside what others removed is not known.
            let adds = if seed % 2 == 0 { !is_mine || random.one_in(2) } else { !is_mine && random.one_in(2) };
            if list.is_empty() && !adds {
                continue;
            }
            let op = if adds {
                let at = random.below(list.len() + 1);
                put_in.push(next);
                next += 1;
                add(&format!("/{at}"), next - 1)
            } else {
                let at = random.below(list.len());
                taken_out.push(list[at].as_u64().unwrap());
                remove(&format!("/{at}"))
            };
            let mut at_head = ops(json!([op]));
            if is_mine {
                let carried = rebase_beside(&at_head, &over, &is_own, &head);
                patch::apply(&mut view, &at_head, &Limits::default()).unwrap();
                at_head = carried.unwrap_or_else(|error| panic!("seed {seed}: {error}")).ops;
            }
            if at_head.is_empty() {
                // Both removed the same, of which the log has one.
                break;
            }
            let effects = patch::apply(&mut head, &at_head, &Limits::default()).unwrap().effects;
            is_own.extend(effects.iter().map(|_| is_mine));
            over.extend(effects);
        }
        put_in.retain(|element| !taken_out.contains(element));
        let mut left: Vec<u64> = head.as_array().unwrap().iter().map(|element| element.as_u64().unwrap()).collect();
        left.sort_unstable();
        assert_eq!(left, put_in, "seed {seed}: {over:?} {is_own:?}");
    }
}

#[test]
fn own_writes_that_took_what_others_brought_leave_nothing_of_it() {
    let check = |over: Value, is_own: &[bool], op: Value, head: Value, expected: Value| {
        let over = ops(over);
        let rebased = rebase_beside(&ops(json!([op])), &over, is_own, &head).unwrap();
        assert_eq!(serde_json::to_value(&rebased.ops).unwrap(), json!([expected]), "{over:?}");
    };
    let over = json!([add("/0", "z"), add("/2", "w"), remove("/0")]);
    check(over, &[false, false, true], replace("/1", "Y"), json!(["x", "w", "y"]), replace("/2", "Y"));
    let over = json!([add("/0", "z"), replace("/0", "Z")]);
    check(over, &[false, true], replace("/0", "X"), json!(["Z", "x"]), replace("/1", "X"));
}
