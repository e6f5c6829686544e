use super::*;
use crate::state::limits::Limits;
use crate::state::patch;
use crate::state::random::{Random, fast_json_patch};
use serde_json::json;

/// A document's versions, oldest first, and the inverses between them.
struct Past {
    versions: Vec<Value>,
    inverses: Vec<Vec<Operation>>,
}

impl Past {
    fn new(first: Value) -> Self {
        Self { versions: vec![first], inverses: Vec::new() }
    }

    fn head(&self) -> &Value {
        self.versions.last().unwrap()
    }

    fn commit(&mut self, ops: &[Operation]) {
        let mut next = self.head().clone();
        if let Ok(applied) = patch::apply(&mut next, ops, &Limits::default())
            && !applied.effects.is_empty()
        {
            self.versions.push(next);
            self.inverses.push(applied.inverse);
        }
    }

    fn becomes(&mut self, next: &Value) {
        self.commit(&diff::diff(self.head(), next));
    }

    fn since(&self, version: usize) -> Vec<Later<'_>> {
        let later = |inverse| Later { version: 0, actor: "", ops: &[], inverse, is_own: false };
        self.inverses[version..].iter().map(|inverse| later(inverse)).collect()
    }

    fn rewrite(&self, seen: usize, body: &Value) -> Edits {
        three_way(self.head(), body, &self.since(seen), None).unwrap()
    }

    /// What a post comes to, and its conflicts, when its author saw at least version `since`.
    fn post(&self, since: usize, posted: &Value) -> (Value, Edits) {
        let since = self.since(since);
        let edits = posted_edits(self.head(), posted, super::Past::Since(&since), None);
        (fast_json_patch(self.head().clone(), &edits.ops), edits)
    }
}

/// `versions` from L to the head; the post; what it comes to; the places in conflict.
fn check(versions: &[Value], posted: Value, then: Value, conflicts: &[&str]) {
    let mut past = Past::new(versions[0].clone());
    versions[1..].iter().for_each(|version| past.becomes(version));
    let (merged, edits) = past.post(0, &posted);
    assert_eq!(merged, then, "{versions:?} with {posted}: {edits:?}");
    let found: Vec<_> = edits.conflicts.iter().map(Pointer::to_string).collect();
    assert_eq!(found, conflicts, "{versions:?} with {posted}");
}

#[test]
fn members_that_the_post_does_not_change_stay_as_others_left_them() {
    check(&[json!({"a": 1, "b": 1}), json!({"a": 2, "b": 1})], json!({"a": 1, "b": 5}), json!({"a": 2, "b": 5}), &[]);
    check(&[json!({"a": 1}), json!({"a": 2}), json!({"a": 3})], json!({"a": 2.0}), json!({"a": 3}), &[]);
    check(
        &[json!({"o": {"x": 1}}), json!({"o": {"x": 1, "y": 2}})],
        json!({"o": {"x": 3}}),
        json!({"o": {"x": 3, "y": 2}}),
        &[],
    );
}

#[test]
fn an_edit_of_what_changed_meanwhile_wins_and_is_told() {
    check(&[json!({"a": 1}), json!({"a": 2})], json!({"a": 3}), json!({"a": 3}), &["/a"]);
    check(&[json!({"o": {"x": 1}}), json!({"o": {"x": 2}})], json!({"o": "flat"}), json!({"o": "flat"}), &["/o"]);
}

#[test]
fn an_absent_member_is_a_deletion_only_if_it_was_always_there() {
    check(&[json!({"a": 1, "b": 1}), json!({"a": 2, "b": 1})], json!({"a": 1}), json!({"a": 2}), &[]);
    check(&[json!({"a": 1}), json!({"a": 1, "n": 1})], json!({"a": 1}), json!({"a": 1, "n": 1}), &[]);
    check(&[json!({"a": 1}), json!({}), json!({"a": 1})], json!({}), json!({"a": 1}), &[]);
    check(&[json!({"a": 1, "b": 1}), json!({"a": 2, "b": 1})], json!({"b": 1}), json!({"b": 1}), &["/a"]);
}

#[test]
fn an_edit_below_what_another_removed_brings_back_no_more_than_itself() {
    check(
        &[json!({"o": {"x": 1, "y": 1}}), json!({})],
        json!({"o": {"x": 2, "y": 1}}),
        json!({"o": {"x": 2}}),
        &["/o/x", "/o"],
    );
    check(&[json!({"o": {"x": 1, "y": 1}}), json!({})], json!({"o": {"x": 1}}), json!({}), &[]);
    let card = |id: &str, n: i32| json!({"id": id, "n": n});
    check(
        &[json!({"l": [card("a", 1), card("b", 1)]}), json!({"l": [card("b", 1)]})],
        json!({"l": [card("a", 2), card("b", 2)]}),
        json!({"l": [card("b", 2)]}),
        &["/l"],
    );
}

#[test]
fn elements_that_others_added_survive() {
    check(
        &[json!({"l": ["a"]}), json!({"l": ["a", "b"]})],
        json!({"l": ["a", "c"]}),
        json!({"l": ["a", "b", "c"]}),
        &[],
    );
    check(
        &[json!({"l": ["a"]}), json!({"l": ["b", "a"]})],
        json!({"l": ["c", "a"]}),
        json!({"l": ["c", "b", "a"]}),
        &[],
    );
    check(
        &[json!({"l": ["a", "b"]}), json!({"l": ["a", "b", "c"]})],
        json!({"l": ["b"]}),
        json!({"l": ["b", "c"]}),
        &[],
    );
    check(
        &[json!({"l": ["a"]}), json!({"l": ["a", "b"]})],
        json!({"l": ["a", "b", "c"]}),
        json!({"l": ["a", "b", "c"]}),
        &[],
    );
    check(&[json!({"l": []}), json!({"l": ["a"]})], json!({"l": ["b"]}), json!({"l": ["a", "b"]}), &[]);
    check(
        &[json!({"l": ["a", "b"]}), json!({"l": ["b"]})],
        json!({"l": ["a", "b", "c"]}),
        json!({"l": ["b", "c"]}),
        &[],
    );
}

#[test]
fn an_element_is_removed_only_if_it_was_always_there() {
    check(
        &[json!({"l": ["a", "b"]}), json!({"l": ["a", "b", "c"]})],
        json!({"l": ["a", "c"]}),
        json!({"l": ["a", "c"]}),
        &[],
    );
    check(
        &[json!({"l": ["a"]}), json!({"l": ["a", "b"]}), json!({"l": ["a", "b", "c"]})],
        json!({"l": ["a", "c"]}),
        json!({"l": ["a", "b", "c"]}),
        &[],
    );
}

#[test]
fn elements_without_keys_are_edited_in_place() {
    let todo = |text: &str, done: bool| json!({"text": text, "done": done});
    check(
        &[
            json!({"l": [todo("a", false), todo("b", false)]}),
            json!({"l": [todo("n", false), todo("a", false), todo("b", false)]}),
        ],
        json!({"l": [todo("a", false), todo("b", true)]}),
        json!({"l": [todo("n", false), todo("a", false), todo("b", true)]}),
        &[],
    );
    check(
        &[json!({"l": [todo("a", false)]}), json!({"l": [todo("a2", false)]})],
        json!({"l": [todo("a", true)]}),
        json!({"l": [todo("a2", true)]}),
        &[],
    );
}

#[test]
fn lists_in_lists_merge_too() {
    let column = |id: &str, cards: &[&str]| json!({"id": id, "cards": cards});
    check(
        &[
            json!({"c": [column("todo", &["x"]), column("done", &[])]}),
            json!({"c": [column("new", &[]), column("todo", &["x", "y"]), column("done", &[])]}),
        ],
        json!({"c": [column("todo", &["x", "z"]), column("done", &["w"])]}),
        json!({"c": [column("new", &[]), column("todo", &["x", "y", "z"]), column("done", &["w"])]}),
        &[],
    );
}

#[test]
fn elements_that_the_post_moves_are_moved_with_what_others_changed_in_them() {
    let card = |id: &str, n: i32| json!({"id": id, "n": n});
    check(
        &[
            json!({"l": [card("a", 1), card("b", 1), card("c", 1)]}),
            json!({"l": [card("a", 1), card("b", 1), card("c", 2)]}),
        ],
        json!({"l": [card("c", 1), card("a", 1), card("b", 1)]}),
        json!({"l": [card("c", 2), card("a", 1), card("b", 1)]}),
        &[],
    );
}

#[test]
fn an_element_that_another_moved_is_still_the_same() {
    let card = |id: &str, n: i32| json!({"id": id, "n": n});
    for (first, posted, then) in [
        (
            json!({"l": [card("a", 1), card("b", 1), card("c", 1)]}),
            json!({"l": [card("a", 2), card("b", 1), card("c", 1)]}),
            json!({"l": [card("b", 1), card("c", 1), card("a", 2)]}),
        ),
        (json!({"l": ["a", "b", "c"]}), json!({"l": ["b", "c"]}), json!({"l": ["b", "c"]})),
        (json!({"l": ["a", "b", "c"]}), json!({"l": ["a", "c"]}), json!({"l": ["c", "a"]})),
    ] {
        let mut past = Past::new(first);
        let path = |text: &str| Pointer::parse(text).unwrap();
        past.commit(&[Operation::Move { from: path("/l/0"), path: path("/l/2") }]);
        let (merged, edits) = past.post(0, &posted);
        assert_eq!(merged, then, "{edits:?}");
        assert_eq!(edits.conflicts, []);
    }
}

#[test]
fn what_another_wrote_again_as_it_was_is_not_touched() {
    let mut past = Past::new(json!({"a": 1, "o": {"x": 1}, "l": [{"n": 1}, {"n": 2}]}));
    let value = json!({"a": 2, "o": {"x": 1}, "l": [{"n": 1}, {"n": 2}]});
    past.commit(&[Operation::Add { path: Pointer::root(), value }]);
    let (merged, edits) = past.post(0, &json!({"a": 1, "o": {"x": 5}, "l": [{"n": 2}]}));
    assert_eq!(merged, json!({"a": 2, "o": {"x": 5}, "l": [{"n": 2}]}));
    assert_eq!(edits.conflicts, []);
}

#[test]
fn without_evidence_a_post_only_fills_in_what_is_absent() {
    let head = json!({"a": 1, "o": {"x": 1}, "l": [1], "n": null});
    let posted = json!({"a": 2, "o": {"x": 2, "y": 2}, "l": [2], "n": 2, "z": 2});
    let edits = posted_edits(&head, &posted, super::Past::Unknown, None);
    let merged = fast_json_patch(head, &edits.ops);
    assert_eq!(merged, json!({"a": 1, "o": {"x": 1, "y": 2}, "l": [1], "n": null, "z": 2}));
    assert!(edits.conflicts.is_empty());
}

#[test]
fn roots_that_are_no_objects_are_one_value() {
    check(&[json!([1]), json!([1, 2])], json!([1, 3]), json!([1, 3]), &[""]);
    check(&[json!([1]), json!([1, 2])], json!([1]), json!([1, 2]), &[]);
    check(&[json!([1]), json!({"a": 1})], json!([1]), json!({"a": 1}), &[]);
}

fn random_past(random: &mut Random) -> Past {
    let mut past = Past::new(random.object(4));
    for _ in 0..random.below(8) {
        if random.one_in(5) {
            let next = random.edited(past.head());
            past.commit(&[Operation::Add { path: Pointer::root(), value: next }]);
            continue;
        }
        let op = random.operation(past.head());
        past.commit(&[op]);
    }
    past
}

#[test]
fn a_stale_post_without_edits_changes_nothing_whatever_is_known() {
    for seed in 0..4_000 {
        let mut random = Random::new(seed);
        let past = random_past(&mut random);
        let seen = random.below(past.versions.len());
        let since = random.below(seen + 1);
        let (_, edits) = past.post(since, &past.versions[seen]);
        assert_eq!(edits, Edits::default(), "seed {seed}: {:?} saw {seen}, since {since}", past.versions);
    }
}

#[test]
fn a_post_on_an_untouched_head_is_taken_as_it_is() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let past = random_past(&mut random);
        let posted = random.edited(past.head());
        let (merged, edits) = past.post(past.inverses.len(), &posted);
        assert!(same(&merged, &posted), "seed {seed}");
        assert!(edits.conflicts.is_empty());
        let edits = three_way(past.head(), &posted, &[], None).unwrap();
        assert!(same(&fast_json_patch(past.head().clone(), &edits.ops), &posted), "seed {seed}");
    }
}

#[test]
fn any_post_on_any_past_gives_operations_that_apply() {
    for seed in 0..4_000 {
        let mut random = Random::new(seed);
        let past = random_past(&mut random);
        let seen = random.below(past.versions.len());
        let posted = if random.one_in(3) { random.value(4) } else { random.edited(&past.versions[seen]) };
        let since = random.below(past.versions.len());
        past.post(since, &posted);
        let edits = past.rewrite(seen, &posted);
        fast_json_patch(past.head().clone(), &edits.ops);
    }
}

/// A document with parts of the poster's (`m…`) and parts of others' (`t…`), in members, keyed and plain lists.
fn shared_document(random: &mut Random) -> Value {
    let mut cards = Vec::new();
    let mut words = Vec::new();
    for n in 0..random.below(7) {
        let owner = ["m", "t"][random.below(2)];
        cards.push(json!({"id": format!("{owner}{n}"), "n": 0, "tags": ["m", "t"]}));
        words.push(json!(format!("{owner}{n}")));
    }
    json!({"m": random.object(2), "t": random.object(2), "cards": cards, "words": words, "both": {"m": 0, "t": 0}})
}

fn edit_own(random: &mut Random, doc: &mut Value, owner: &str, stamp: usize) {
    let own = |value: &Value| {
        let text = value.as_str().or_else(|| value.get("id")?.as_str());
        text.is_some_and(|text| text.starts_with(owner))
    };
    match random.below(7) {
        0 => doc[owner] = random.edited(&doc[owner]),
        1 => doc["both"][owner] = json!(stamp),
        2 => {
            let (list, new) = if random.one_in(2) {
                ("words", json!(format!("{owner}-{stamp}")))
            } else {
                ("cards", json!({"id": format!("{owner}-{stamp}"), "n": 0, "tags": ["m", "t"]}))
            };
            let list = doc[list].as_array_mut().unwrap();
            let place = if random.one_in(2) { list.len() } else { random.below(list.len() + 1) };
            list.insert(place, new);
        }
        3 => {
            let list = doc[["words", "cards"][random.below(2)]].as_array_mut().unwrap();
            let places: Vec<usize> = (0..list.len()).filter(|&place| own(&list[place])).collect();
            if !places.is_empty() {
                list.remove(places[random.below(places.len())]);
            }
        }
        4 | 5 => {
            let cards = doc["cards"].as_array_mut().unwrap();
            for card in cards.iter_mut().filter(|card| own(card)) {
                card["n"] = json!(stamp);
            }
        }
        _ => {
            for card in doc["cards"].as_array_mut().unwrap() {
                card[owner] = json!(stamp);
                card["tags"].as_array_mut().unwrap().push(json!(format!("{owner}-{stamp}")));
            }
        }
    }
}

/// All that belongs to one of the two, in order.
fn part(doc: &Value, owner: &str) -> Value {
    let is_own = |value: &Value| value.as_str().is_some_and(|text| text.starts_with(owner));
    let words: Vec<_> = doc["words"].as_array().unwrap().iter().filter(|word| is_own(word)).collect();
    let cards: Vec<_> = doc["cards"].as_array().unwrap().iter().filter(|card| is_own(&card["id"])).collect();
    let cards: Vec<_> = cards.iter().map(|card| json!([card["id"], card["n"]])).collect();
    json!([doc[owner], doc["both"][owner], words, cards])
}

/// What one of the two wrote into the cards of both.
fn notes(doc: &Value, owner: &str) -> std::collections::BTreeMap<String, Value> {
    let of_card = |card: &Value| {
        let tags: Vec<_> =
            card["tags"].as_array().unwrap().iter().filter(|tag| tag.as_str().unwrap().starts_with(owner)).collect();
        (card["id"].as_str().unwrap().to_owned(), json!([card.get(owner), tags]))
    };
    doc["cards"].as_array().unwrap().iter().map(of_card).collect()
}

#[test]
fn edits_of_different_parts_all_survive_however_low_the_bound_is() {
    for seed in 0..6_000 {
        let mut random = Random::new(seed);
        let mut past = Past::new(shared_document(&mut random));
        let mut stamp = 0;
        for _ in 0..random.below(7) {
            let mut next = past.head().clone();
            for _ in 0..=random.below(3) {
                stamp += 1;
                edit_own(&mut random, &mut next, "t", stamp);
            }
            if random.one_in(4) {
                past.commit(&[Operation::Add { path: Pointer::root(), value: next }]);
            } else {
                past.becomes(&next);
            }
        }
        let seen = random.below(past.versions.len());
        let since = random.below(seen + 1);
        let mut posted = past.versions[seen].clone();
        for _ in 0..=random.below(4) {
            stamp += 1;
            edit_own(&mut random, &mut posted, "m", stamp);
        }
        let (merged, edits) = past.post(since, &posted);
        let told = || {
            format!(
                "seed {seed}: {}\nsaw {seen}, since {since}, posts {posted}\n{merged}\n{edits:?}",
                json!(past.versions)
            )
        };
        assert!(same(&part(&merged, "t"), &part(past.head(), "t")), "others' part: {}", told());
        assert!(same(&part(&merged, "m"), &part(&posted, "m")), "own part: {}", told());
        let (theirs, head) = (notes(&merged, "t"), notes(past.head(), "t"));
        assert!(
            head.iter().all(|(id, note)| theirs.get(id).is_none_or(|kept| kept == note)),
            "others' notes: {}",
            told()
        );
        let (own, wanted) = (notes(&merged, "m"), notes(&posted, "m"));
        assert!(wanted.iter().all(|(id, note)| own.get(id).is_none_or(|kept| kept == note)), "own notes: {}", told());
    }
}

#[test]
fn a_long_past_of_a_long_list_costs_what_changed_and_not_the_list_each_time() {
    let mut past = Past::new(json!({"log": (0..5_000).collect::<Vec<_>>(), "a": 1}));
    for n in 0..500 {
        past.commit(&[Operation::Add { path: Pointer::parse("/log/-").unwrap(), value: json!(n) }]);
    }
    let mut posted = past.versions[100].clone();
    posted["log"].as_array_mut().unwrap().push(json!("mine"));
    let (merged, edits) = past.post(0, &posted);
    assert_eq!(edits.ops.len(), 1);
    assert_eq!(merged["log"].as_array().unwrap().len(), 5_501);
}
