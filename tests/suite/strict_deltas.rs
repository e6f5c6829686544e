//! Every delta that leaves the state layer applies in the real fast-json-patch with validation on, as AG-UI clients use it.
//!
//! `./test.sh` installs the package; without it the test says that it is skipped.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use coagent_runtime::state::document::{Commit, Decided, Document, Mutation, Terms};
use coagent_runtime::state::history::{rollback, squash, undo_run};
use coagent_runtime::state::intent::Intent;
use coagent_runtime::state::later::Later;
use coagent_runtime::state::merge::Past;
use coagent_runtime::state::patch::Operation;
use coagent_runtime::state::schema::{Reader, Schema};
use serde_json::{Value, json};

use crate::support::random::Random;

/// Histories of this many seeds; each gives about twenty cases.
const SEEDS: u64 = 600;

#[test]
fn every_delta_applies_in_the_real_fast_json_patch() {
    let rig = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fast-json-patch");
    let is_there = rig.join("node_modules/fast-json-patch").is_dir()
        && Command::new("node").arg("--version").output().is_ok_and(|node| node.status.success());
    if !is_there {
        assert!(std::env::var_os("COAGENT_RIGS").is_none(), "./test.sh installs node and fast-json-patch");
        return println!("skipped: node, or fast-json-patch in {}, is missing: ./test.sh installs both", rig.display());
    }
    let first = std::env::var("COAGENT_SEED").ok().map(|seed| seed.parse::<u64>().expect("a seed is a number"));
    let seeds = first.map_or(0..SEEDS, |seed| seed..seed + 1);
    let mut lines = String::new();
    let mut count = 0;
    for seed in seeds.clone() {
        for case in history(seed) {
            writeln!(lines, "{case}").expect("a text takes everything");
            count += 1;
        }
    }
    assert!(count > 3_000 || first.is_some(), "{count}");
    let folder = tempfile::tempdir().expect("there is room for a file");
    let cases = folder.path().join("cases.jsonl");
    std::fs::write(&cases, lines).expect("there is room for a file");
    let done = Command::new("node").arg(rig.join("apply.mjs")).arg(&cases).output().expect("node starts");
    let told = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}\nreplay one seed with COAGENT_SEED=<seed>");
    assert_eq!(told.trim(), format!("{count} deltas applied"));
}

/// Cases of one random history: deltas of every form, squashed ones, rollbacks, undone runs, a restricted reader's.
fn history(seed: u64) -> Vec<Value> {
    let mut random = Random::new(seed);
    let schema = Schema::compile(json!({
        "properties": {"a": {"x-merge": "counter"}, "b": {"x-merge": "set"}, "id": {"x-secret": true}},
        "additionalProperties": {"properties": {"id": {"x-secret": true}, "c": {"x-access": {"read": ["role:admin"]}}}}
    }))
    .expect("the schema compiles");
    let (all, some) = (schema.unrestricted(), schema.view(&Reader { names: &["user:ann"], secrets: false }));
    let mut bodies = vec![random.object(3)];
    let mut document = Document::new(bodies[0].clone(), 1);
    let mut commits: Vec<Commit> = Vec::new();
    let mut cases = Vec::new();
    for _ in 0..12 {
        let seen = commits.len() - random.below(commits.len().min(4) + 1);
        let since: Vec<Later<'_>> = commits[seen..].iter().map(Later::from).collect();
        let base = &bodies[seen];
        let body = edited(&mut random, base);
        let (ops, intents): (Vec<Operation>, Vec<Intent>) = (operations(&mut random, base), intents(&mut random, base));
        let mutation = match random.below(6) {
            0 | 1 => Mutation::Patch { ops: &ops, since: &since },
            2 => Mutation::Merge { patch: &body, since: &since },
            3 => Mutation::Intents { intents: &intents, since: &since },
            4 => Mutation::Rewrite { body: &body, since: &since },
            _ => Mutation::Posted { state: &body, past: Past::Since(&since) },
        };
        let view = if random.below(2) == 0 { &all } else { &some };
        let creates_parents = random.below(2) == 0;
        let terms = Terms { view: Some(view), creates_parents, ..Terms::default() };
        let Ok(Decided::Changed(change)) = document.decide(mutation, &terms) else { continue };
        let mut commit = Commit::of(change, "user:ann".to_owned(), "2026-01-01T00:00:00Z".to_owned());
        commit.run_id = (random.below(3) == 0).then(|| "run".into());
        let before = bodies.last().expect("there is a first");
        cases.push(case(seed, "delta", before, &commit.ops, document.body()));
        cases.push(case(seed, "inverse", document.body(), &commit.inverse, before));
        let seen = |body| some.value(body).expect("the root is not hidden").into_owned();
        cases.push(case(seed, "reader", &seen(before), &some.ops(&commit.ops), &seen(document.body())));
        commits.push(commit);
        bodies.push(document.body().clone());
    }
    let from = random.below(commits.len() + 1);
    let since: Vec<Later<'_>> = commits[from..].iter().map(Later::from).collect();
    let squashed = squash(since.iter().map(|later| later.ops));
    cases.push(case(seed, "squashed", &bodies[from], &squashed, document.body()));
    cases.push(case(seed, "rollback", document.body(), &rollback(&since), &bodies[from]));
    let of_run: Vec<u64> =
        commits.iter().filter(|commit| commit.run_id.is_some()).map(|commit| commit.version).collect();
    let undo = undo_run(document.body(), &since, |later| of_run.contains(&later.version), Some(&schema))
        .expect("a history's inverses apply");
    let mut undone = document.body().clone();
    coagent_runtime::state::patch::replay(&mut undone, &undo.ops).expect("what undoes a run applies");
    cases.push(case(seed, "undo", document.body(), &undo.ops, &undone));
    cases
}

fn case(seed: u64, what: &str, from: &Value, ops: &[Operation], to: &Value) -> Value {
    json!({"seed": seed, "what": what, "from": from, "ops": ops, "to": to})
}

fn operations(random: &mut Random, base: &Value) -> Vec<Operation> {
    let one = |random: &mut Random| {
        let path = random.pointer(base);
        let op = match random.below(6) {
            0 => json!({"op": "remove", "path": path}),
            1 => json!({"op": "replace", "path": path, "value": random.value(2)}),
            2 => json!({"op": "move", "from": random.pointer(base), "path": path}),
            3 => json!({"op": "copy", "from": random.pointer(base), "path": path}),
            _ => json!({"op": "add", "path": path, "value": random.value(2)}),
        };
        serde_json::from_value(op).expect("it is an operation")
    };
    (0..=random.below(2)).map(|_| one(random)).collect()
}

fn intents(random: &mut Random, base: &Value) -> Vec<Intent> {
    let one = |random: &mut Random| {
        let path = random.pointer(base).replace("/-", "/a");
        let intent = match random.below(8) {
            0 => json!({"op": "inc", "path": path, "by": random.below(5)}),
            1 => json!({"op": "append", "path": path, "value": random.value(1)}),
            2 => {
                json!({"op": "insert", "path": path, "value": {"id": format!("n{}", random.below(99))}, "after": "k0", "before": "k1"})
            }
            3 => json!({"op": "move", "path": path, "key": "k1", "before": "k0"}),
            4 => json!({"op": "remove_key", "path": path, "key": "k1"}),
            5 => json!({"op": "text", "path": path, "pos": 0, "delete": random.below(2), "insert": "new"}),
            6 => json!({"op": "unset", "path": path}),
            _ => json!({"op": "set", "path": path, "value": random.value(2)}),
        };
        serde_json::from_value(intent).expect("it is an intent")
    };
    (0..=random.below(2)).map(|_| one(random)).collect()
}

fn edited(random: &mut Random, base: &Value) -> Value {
    let mut body = base.clone();
    for _ in 0..=random.below(3) {
        let ops = operations(random, &body);
        // An operation that does not fit this body edits nothing.
        if Document::new(body.clone(), 1).decide(Mutation::Patch { ops: &ops, since: &[] }, &Terms::default()).is_ok() {
            let mut document = Document::new(body, 1);
            document.decide(Mutation::Patch { ops: &ops, since: &[] }, &Terms::default()).expect("it was accepted");
            body = document.into_body();
        }
    }
    if body.is_object() { body } else { base.clone() }
}
