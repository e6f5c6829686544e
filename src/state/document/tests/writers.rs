//! Several writers who see the document late: no write is lost, no version skipped, nothing counted twice.

use super::*;
use crate::state::intent::Intent;
use crate::state::schema::Schema;

/// What a writer says they did.
#[derive(Default)]
struct Claims {
    own: serde_json::Map<String, Value>,
    added: Vec<String>,
    counted: i64,
}

#[test]
fn writers_who_see_late_lose_nothing_skip_nothing_and_count_once() {
    let schema = Schema::compile(json!({
        "properties": {
            "count": {"type": "integer", "x-merge": "counter"},
            "log": {"type": "array", "x-merge": "append"},
            "tags": {"type": "array", "x-merge": "set"},
            "cards": {"type": "array", "x-merge": "list:id"}
        }
    }))
    .unwrap();
    let view = schema.unrestricted();
    let terms = Terms { view: Some(&view), ..Terms::default() };
    let first = json!({"count": 0, "log": [], "tags": [], "cards": [], "w0": {}, "w1": {}, "w2": {}});
    for seed in 0..600_u64 {
        let mut random = Random::new(seed);
        let mut document = Document::new(first.clone(), 1);
        let mut bodies = vec![first.clone()];
        let mut commits: Vec<Commit> = Vec::new();
        let mut claims = [Claims::default(), Claims::default(), Claims::default()];
        let mut seen = [0; 3];
        for step in 0..24 {
            let writer = random.below(3);
            if random.one_in(2) {
                seen[writer] = commits.len();
            }
            let since: Vec<Later<'_>> = commits[seen[writer]..].iter().map(Later::from).collect();
            let (name, mark) = (format!("w{writer}"), format!("w{writer}-{step}"));
            let claim = &mut claims[writer];
            let patch: Vec<Operation>;
            let intents: Vec<Intent>;
            let mut body = bodies[seen[writer]].clone();
            let kind = random.below(9);
            let mutation = match kind {
                0 => {
                    patch = ops(json!([{"op": "add", "path": format!("/{name}/{mark}"), "value": step}]));
                    Mutation::Patch { ops: &patch, since: &since }
                }
                1 => {
                    body = json!({ &name: { &mark: step } });
                    Mutation::Merge { patch: &body, since: &since }
                }
                2 => {
                    body[&name][&mark] = json!(step);
                    Mutation::Rewrite { body: &body, since: &since }
                }
                3 => {
                    intents = serde_json::from_value(json!([{"op": "inc", "path": "/count", "by": step}])).unwrap();
                    Mutation::Intents { intents: &intents, since: &since }
                }
                4 => {
                    body["count"] = json!(body["count"].as_i64().unwrap() + step);
                    Mutation::Rewrite { body: &body, since: &since }
                }
                5 => {
                    let list = ["log", "tags"][random.below(2)];
                    intents =
                        serde_json::from_value(json!([{"op": "append", "path": format!("/{list}"), "value": mark}]))
                            .unwrap();
                    Mutation::Intents { intents: &intents, since: &since }
                }
                6 => {
                    let list = body[["log", "tags"][random.below(2)]].as_array_mut().unwrap();
                    list.push(json!(mark));
                    Mutation::Rewrite { body: &body, since: &since }
                }
                7 => {
                    let cards = body["cards"].as_array_mut().unwrap();
                    cards.insert(random.below(cards.len() + 1), json!({"id": mark}));
                    Mutation::Rewrite { body: &body, since: &since }
                }
                _ => {
                    let cards = body["cards"].as_array().unwrap().len();
                    let path = format!("/cards/{}", random.below(cards + 1));
                    patch = ops(json!([{"op": "add", "path": path, "value": {"id": mark}}]));
                    Mutation::Patch { ops: &patch, since: &since }
                }
            };
            let before = document.clone();
            let decided = document.decide(mutation, &terms).unwrap_or_else(|refusal| panic!("seed {seed}: {refusal}"));
            let Decided::Changed(change) = decided else { continue };
            assert_eq!(change.version, before.version() + 1, "seed {seed}");
            assert!(change.conflicts.is_empty(), "seed {seed}: {:?}", change.conflicts);
            match kind {
                0..=2 => drop(claim.own.insert(mark, json!(step))),
                3 | 4 => claim.counted += step,
                _ => claim.added.push(mark),
            }
            commits.push(Commit::of(change, format!("user:{name}"), String::new()));
            bodies.push(document.body().clone());
            // A writer sees their own write only with what came before it.
            if random.one_in(2) {
                seen[writer] = commits.len();
            }
        }
        let body = document.body();
        let total: i64 = claims.iter().map(|claim| claim.counted).sum();
        assert_eq!(body["count"], json!(total), "seed {seed}");
        let mut found: Vec<String> = ["log", "tags", "cards"]
            .iter()
            .flat_map(|list| body[list].as_array().unwrap())
            .map(|element| element.as_str().or_else(|| element["id"].as_str()).unwrap().to_owned())
            .collect();
        let mut added: Vec<String> = claims.iter().flat_map(|claim| claim.added.clone()).collect();
        found.sort();
        added.sort();
        assert_eq!(found, added, "seed {seed}");
        for (writer, claim) in claims.iter().enumerate() {
            assert_eq!(body[format!("w{writer}")], Value::Object(claim.own.clone()), "seed {seed}");
        }
        let mut replayed = Document::new(first.clone(), 1);
        for commit in &commits {
            assert_eq!(commit.version, replayed.version() + 1, "seed {seed}: versions are contiguous");
            replayed.replay(commit).unwrap();
        }
        assert_eq!(replayed.body(), body, "seed {seed}");
    }
}
