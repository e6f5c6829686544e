use std::sync::Arc;

use super::*;
use crate::state::document::{Commit, Decided, Document, Mutation, Terms};
use crate::state::patch;
use crate::state::pointer::Pointer;
use crate::state::random::{Random, fast_json_patch};
use crate::state::schema::Schema;
use crate::state::value::same;
use serde_json::{Value, json};

fn ops(ops: Value) -> Vec<Operation> {
    serde_json::from_value(ops).unwrap()
}

/// A document with its commits; `actor` and `run_id` as each write says.
struct History {
    first: Value,
    document: Document,
    commits: Vec<Commit>,
}

impl History {
    fn new(first: Value) -> Self {
        Self { document: Document::new(first.clone(), 1), first, commits: Vec::new() }
    }

    fn write(&mut self, actor: &str, run: Option<&str>, patch: &[Operation]) {
        let mutation = Mutation::Patch { ops: patch, since: &[] };
        if let Ok(Decided::Changed(change)) = self.document.decide(mutation, &Terms::default()) {
            let mut commit = Commit::of(change, actor.to_owned(), "2026-01-01T00:00:00Z".to_owned());
            commit.run_id = run.map(Arc::from);
            self.commits.push(commit);
        }
    }

    fn random(random: &mut Random) -> Self {
        let mut history = Self::new(random.object(3));
        for _ in 0..random.below(16) {
            let patch: Vec<Operation> =
                (0..=random.below(2)).map(|_| random.operation(history.document.body())).collect();
            let run = random.one_in(3).then_some("run");
            history.write(if run.is_some() { "agent:a" } else { "user:u" }, run, &patch);
        }
        history
    }

    fn later(&self) -> Vec<Later<'_>> {
        self.commits.iter().map(Later::from).collect()
    }

    /// Undoing the run `run`: the body then, and the places that stay.
    fn undone(&self, schema: Option<&Schema>) -> (Value, Vec<String>) {
        let of_run: Vec<u64> = self
            .commits
            .iter()
            .filter(|commit| commit.run_id.as_deref() == Some("run"))
            .map(|commit| commit.version)
            .collect();
        let undo =
            undo_run(self.document.body(), &self.later(), |later| of_run.contains(&later.version), schema).unwrap();
        let body = fast_json_patch(self.document.body().clone(), &undo.ops);
        (body, undo.skipped.iter().map(|skipped| skipped.path.to_string()).collect())
    }
}

#[test]
fn one_delta_for_many_leads_to_the_same_and_applies_as_strictly() {
    let mut dropped = 0;
    for seed in 0..6_000 {
        let mut random = Random::new(seed);
        let history = History::random(&mut random);
        let from = random.below(history.commits.len() + 1);
        let mut body = history.first.clone();
        history.commits[..from].iter().for_each(|commit| patch::replay(&mut body, &commit.ops).unwrap());
        let squashed = squash(history.commits[from..].iter().map(|commit| commit.ops.as_slice()));
        dropped += history.commits[from..].iter().map(|commit| commit.ops.len()).sum::<usize>() - squashed.len();
        assert!(
            same(&fast_json_patch(body.clone(), &squashed), history.document.body()),
            "seed {seed}: {body} by {squashed:?}"
        );
        let back = rollback(&history.later()[from..]);
        assert!(same(&fast_json_patch(history.document.body().clone(), &back), &body), "seed {seed}: {back:?}");
    }
    assert!(dropped > 1_000, "{dropped}");
}

#[test]
fn what_is_written_again_is_sent_once() {
    let check = |deltas: Value, then: Value| {
        let deltas: Vec<Vec<Operation>> = serde_json::from_value(deltas).unwrap();
        assert_eq!(squash(deltas.iter().map(Vec::as_slice)), ops(then));
    };
    let set = |path: &str, n: i64| json!({"op": "add", "path": path, "value": n});
    let remove = |path: &str| json!({"op": "remove", "path": path});
    check(json!([[set("/a", 1)], [set("/b", 1)], [set("/a", 2)]]), json!([set("/b", 1), set("/a", 2)]));
    check(json!([[set("/o/x", 1), set("/o/y", 1)], [set("/o", 2)]]), json!([set("/o", 2)]));
    check(json!([[set("/a", 1)], [set("", 2)], [set("", 3)]]), json!([set("", 3)]));
    check(json!([[set("/o/x", 1)], [remove("/o")]]), json!([remove("/o")]));
    check(json!([[set("/o", 1)], [remove("/o")]]), json!([set("/o", 1), remove("/o")]));
    check(json!([[remove("/o")], [set("/o", 1)]]), json!([set("/o", 1)]));
    // Elements stay what they are: an index names another one after a shift.
    let kept = json!([[set("/l/1/n", 1)], [set("/l/0", 9)], [set("/l/1/n", 2)]]);
    check(kept.clone(), kept.as_array().unwrap().iter().flat_map(|delta| delta.as_array().unwrap().clone()).collect());
    check(json!([[set("/l/1/n", 1)], [set("/l/1/n", 2)], [set("/l/0", 9)]]), json!([set("/l/1/n", 2), set("/l/0", 9)]));
    check(json!([[set("/l/0", 1)], [set("/l", 2)]]), json!([set("/l", 2)]));
}

#[test]
fn every_leaf_is_blamed_on_the_commit_that_put_it_there() {
    let mut history = History::new(json!({}));
    history.write("user:ann", None, &ops(json!([{"op": "add", "path": "/l", "value": [{"n": 1}, {"n": 2}]}, {"op": "add", "path": "/t", "value": "x"}])));
    history.write("agent:a", Some("run"), &ops(json!([{"op": "add", "path": "/l/0", "value": {"n": 0}}])));
    history.write(
        "user:bob",
        None,
        &ops(json!([{"op": "replace", "path": "/l/2/n", "value": 9}, {"op": "add", "path": "/e", "value": {}}])),
    );
    let mut blame =
        Blame::new(&json!({}), Mark { version: 1, actor: "system".into(), run_id: None, at: String::new() });
    history.commits.iter().for_each(|commit| blame.commit(commit));
    let told = |path: &str| -> Vec<(String, u64)> {
        let leaves = blame.leaves(&Pointer::parse(path).unwrap());
        leaves.into_iter().map(|(path, mark)| (path.to_string(), mark.version)).collect()
    };
    let expected = [("/e", 4), ("/l/0/n", 3), ("/l/1/n", 2), ("/l/2/n", 4), ("/t", 2)];
    assert_eq!(told(""), expected.map(|(path, version)| (path.to_owned(), version)));
    assert_eq!(told("/l/1"), [("/l/1/n".to_owned(), 2)]);
    assert_eq!(told("/absent"), []);
    let mark = blame.leaves(&Pointer::parse("/l/0").unwrap()).into_values().next().unwrap();
    assert_eq!(
        serde_json::to_value(mark).unwrap(),
        json!({"version": 3, "actor": "agent:a", "run_id": "run", "at": "2026-01-01T00:00:00Z"})
    );
}

fn leaves(value: &Value, at: &Pointer, found: &mut Vec<Pointer>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(name, value)| leaves(value, &at.join(name), found));
        }
        Value::Array(elements) if !elements.is_empty() => {
            elements.iter().enumerate().for_each(|(index, value)| leaves(value, &at.join(index.to_string()), found));
        }
        _ => found.push(at.clone()),
    }
}

#[test]
fn blame_knows_every_leaf_and_agrees_with_who_wrote_there_last() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let history = History::random(&mut random);
        let start = Mark { version: 1, actor: "system".into(), run_id: None, at: String::new() };
        let mut blame = Blame::new(&history.first, start);
        let (mut body, cut) = (history.first.clone(), random.below(history.commits.len() + 1));
        for (index, commit) in history.commits.iter().enumerate() {
            if index == cut {
                // What was dropped leaves nothing but who wrote each leaf.
                blame = Blame::restored(&body, &blame.leaves(&Pointer::root()));
            }
            blame.commit(commit);
            patch::replay(&mut body, &commit.ops).unwrap();
        }
        let mut wanted = Vec::new();
        leaves(history.document.body(), &Pointer::root(), &mut wanted);
        wanted.sort_unstable();
        let found = blame.leaves(&Pointer::root());
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), wanted, "seed {seed}");
        let later = history.later();
        for (path, mark) in &found {
            let writer = crate::state::later::last_writer(path, &later, history.document.body());
            assert_eq!(mark.version, writer.map_or(1, |later| later.version), "seed {seed}: {path}");
        }
    }
}

#[test]
fn a_run_is_undone_where_nobody_wrote_since() {
    let mut history = History::new(json!({"title": "a", "n": 1, "list": [{"id": "x", "n": 1}], "gone": {"x": 1}}));
    let agent = |history: &mut History, patch: Value| history.write("agent:a", Some("run"), &ops(patch));
    let user = |history: &mut History, patch: Value| history.write("user:u", None, &ops(patch));
    agent(
        &mut history,
        json!([{"op": "add", "path": "/title", "value": "b"}, {"op": "add", "path": "/plan", "value": {"a": 1}}]),
    );
    user(&mut history, json!([{"op": "add", "path": "/note", "value": "mine"}]));
    agent(
        &mut history,
        json!([{"op": "add", "path": "/list/0", "value": {"id": "y", "n": 1}}, {"op": "remove", "path": "/gone"}, {"op": "add", "path": "/n", "value": 5}]),
    );
    user(
        &mut history,
        json!([{"op": "add", "path": "/title", "value": "c"}, {"op": "replace", "path": "/list/1/n", "value": 7}]),
    );
    let (body, skipped) = history.undone(None);
    assert_eq!(body, json!({"title": "c", "n": 1, "list": [{"id": "x", "n": 7}], "gone": {"x": 1}, "note": "mine"}));
    assert_eq!(skipped, ["/title"]);
    user(
        &mut history,
        json!([{"op": "add", "path": "/plan/b", "value": 2}, {"op": "replace", "path": "/list/0/n", "value": 2}]),
    );
    let (body, skipped) = history.undone(None);
    assert_eq!(body["plan"], json!({"a": 1, "b": 2}));
    assert_eq!(body["list"], json!([{"id": "y", "n": 2}, {"id": "x", "n": 7}]));
    assert_eq!(skipped, ["/list/0", "/plan", "/title"]);
}

#[test]
fn undoing_a_run_takes_its_count_out_of_a_counter() {
    let schema = Schema::compile(json!({"properties": {"n": {"x-merge": "counter"}}})).unwrap();
    let mut history = History::new(json!({"n": 1}));
    history.write("agent:a", Some("run"), &ops(json!([{"op": "add", "path": "/n", "value": 4}])));
    history.write("user:u", None, &ops(json!([{"op": "add", "path": "/n", "value": 6}])));
    assert_eq!(history.undone(Some(&schema)), (json!({"n": 3}), vec![]));
    assert_eq!(history.undone(None), (json!({"n": 6}), vec!["/n".to_owned()]));
}

#[test]
fn undoing_a_run_alone_gives_the_body_before_it_and_never_touches_what_others_own() {
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let mut history = History::new(json!({"mine": random.object(2), "agent": random.object(2)}));
        let is_alone = random.one_in(3);
        for _ in 0..random.below(12) {
            let is_run = is_alone || random.one_in(2);
            let root = if is_run { "agent" } else { "mine" };
            let op = random.operation(&history.document.body()[root]);
            let mut value = serde_json::to_value(&op).unwrap();
            for name in ["path", "from"] {
                if let Some(path) = value.get(name).and_then(Value::as_str) {
                    value[name] = json!(format!("/{root}{path}"));
                }
            }
            let op = serde_json::from_value::<Operation>(value).unwrap();
            if op.writes().all(|path| path.tokens().len() > 1) {
                history.write(if is_run { "agent:a" } else { "user:u" }, is_run.then_some("run"), &[op]);
            }
        }
        let (body, skipped) = history.undone(None);
        assert!(same(&body["mine"], &history.document.body()["mine"]), "seed {seed}");
        assert!(same(&body["agent"], &history.first["agent"]), "seed {seed}: {body} of {}", history.first);
        assert!(skipped.is_empty(), "seed {seed}: {skipped:?}");
    }
}
