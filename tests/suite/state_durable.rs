//! What a document's log is good for: every version, back and forth, after kills, faults and moves (docs/state-api.md §2, §8).

use std::sync::Arc;

use coagent_runtime::state::limits::Limits;
use coagent_runtime::state::patch::{self, Operation};
use coagent_runtime::state::value::same;
use coagent_runtime::store::Kind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::documents::{INTENTS, JSON_PATCH, MERGE_PATCH};
use crate::support::faulty::{Fault, Faulty};
use crate::support::server::{Home, Server};

/// A small generator, so that a failure can be played again.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }
}

/// One random write of a document; refusals are part of it.
async fn write_something(server: &Server, name: &str, random: &mut Random, version: u64) {
    let n = random.below(1000);
    let member = ["a", "b", "c"][random.below(3)];
    let base = version.saturating_sub(random.below(4) as u64).max(1).to_string();
    let base: &[(&str, &str)] = if random.below(2) == 0 { &[] } else { &[("base-version", &base)] };
    let answer = match random.below(7) {
        0 => server.put_document(name, &json!({"list": [n, 1, 2], "a": {"x": n}}), base).await,
        1 => server.patch_document(name, MERGE_PATCH, &json!({member: {"x": n, "y": null}}), base).await,
        2 => {
            let intents = json!([{"op": "append", "path": "/list", "value": n}, {"op": "inc", "path": "/n", "by": 1}]);
            server.patch_document(name, INTENTS, &intents, base).await
        }
        3 => {
            let at = random.below(3);
            let ops = json!([{"op": "add", "path": format!("/list/{at}"), "value": {"id": n}}]);
            server.patch_document(name, JSON_PATCH, &ops, base).await
        }
        4 => server.patch_document(name, JSON_PATCH, &json!([{"op": "remove", "path": "/list/0"}]), base).await,
        5 => server.patch_document(name, JSON_PATCH, &json!([{"op": "move", "from": "/a", "path": "/c"}]), base).await,
        _ if random.below(4) == 0 => server.delete_document(name, &[]).await,
        _ => server.put_document(name, &json!({"list": [], "a": n}), &[]).await,
    };
    assert!(answer.status < 500, "{answer:?}");
}

async fn whole_history(server: &Server, name: &str) -> Vec<Value> {
    let (mut commits, mut cursor) = (Vec::new(), "after=0".to_owned());
    loop {
        let page = server.get_v1(&format!("/state/{name}/history?limit=37&{cursor}")).await.body;
        commits.extend(page["commits"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return commits };
        cursor = format!("cursor={next}");
    }
}

fn ops(commit: &Value, member: &str) -> Vec<Operation> {
    serde_json::from_value(commit[member].clone()).expect("operations")
}

#[tokio::test]
async fn replaying_the_log_gives_every_version_and_its_inverses_lead_back() {
    for seed in 0..3 {
        let home = Home::with_agents(&[]);
        let mut server = home.serve();
        let mut random = Random(seed);
        server.put_document("shared/a", &json!({"list": [1, 2, 3], "a": {}}), &[]).await;
        for step in 0..60 {
            let version = server.v1(Method::GET, "/state/shared/a", &[], None).await.body["version"].as_u64();
            write_something(&server, "shared/a", &mut random, version.unwrap_or(1)).await;
            if step % 25 == 24 {
                server = server.crash_and_restart();
            }
        }
        let commits = whole_history(&server, "shared/a").await;
        let mut body = json!({});
        for (index, commit) in commits.iter().enumerate() {
            assert_eq!(commit["version"], index as u64 + 1, "seed {seed}: versions are contiguous");
            let before = body.clone();
            let applied = patch::apply(&mut body, &ops(commit, "ops"), &Limits::default());
            applied.unwrap_or_else(|error| panic!("seed {seed}: {commit} on {before}: {error}"));
            let mut back = body.clone();
            patch::apply(&mut back, &ops(commit, "inverse"), &Limits::default()).expect("an inverse applies");
            assert!(same(&back, &before), "seed {seed}: {commit}: {back} is not {before}");
            let shown = server.get_v1(&format!("/state/shared/a?version={}", index + 1)).await;
            match commit["deleted"] == true {
                true => assert_eq!((shown.status, &body), (410, &json!({}))),
                false => assert!(same(&shown.body["data"], &body), "seed {seed}: {shown:?} is not {body}"),
            }
        }
        let head = server.get_v1("/state/shared/a").await;
        assert_eq!(head.body["version"].as_u64().unwrap(), commits.len() as u64);
        assert!(head.status == 410 || same(&head.body["data"], &body), "seed {seed}");
    }
}

#[tokio::test]
async fn an_old_version_of_a_long_history_is_read_without_the_rest() {
    let home = Home::with_agents(&[]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    server.put_document("shared/a", &json!({"log": []}), &[]).await;
    let text = "x".repeat(700);
    for n in 0..1500 {
        let edit = json!({"n": n, "text": format!("{n} {text}")});
        server.patch_document("shared/a", MERGE_PATCH, &edit, &[]).await;
    }
    let fresh = home.serve_here(store.clone()).await;
    store.read_bytes();
    assert_eq!(fresh.data("shared/a").await["n"], 1499);
    let woken = store.read_bytes();
    assert!(woken < 300_000, "waking reads a body and what came after it, not 2 MB of history: {woken}");
    for version in [2, 3, 400, 1000, 1499] {
        store.read_bytes();
        let old = fresh.get_v1(&format!("/state/shared/a?version={version}")).await;
        assert_eq!(old.body["data"]["n"], version - 2);
        let read = store.read_bytes();
        assert!(read < 300_000, "version {version}: {read} bytes");
    }
}

#[tokio::test]
async fn a_full_disk_and_a_store_that_is_down_are_told_apart_and_nothing_is_acknowledged() {
    let home = Home::with_agents(&[]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    server.put_document("shared/a", &json!({"n": 1}), &[]).await;
    let etag = server.get_v1("/state/shared/a").await.etag();
    for (fault, refusal) in [
        (Fault::Full(None), (507, "storage_full")),
        (Fault::Full(Some(Kind::Document)), (507, "storage_full")),
        (Fault::Down { written: false }, (503, "unavailable")),
    ] {
        store.fails(fault.clone());
        let key = [("idempotency-key", "k")];
        let put = server.put_document("shared/a", &json!({"n": 2}), &key).await;
        let created = server.put_document("shared/b", &json!({}), &[]).await;
        let patched = server.patch_document("shared/a", MERGE_PATCH, &json!({"n": 2}), &[]).await;
        let deleted = server.delete_document("shared/a", &[]).await;
        let mutations =
            json!({"mutations": [{"doc": "shared/a", "merge": {"n": 2}}, {"doc": "shared/b", "replace": 1}]});
        let batch = server.post_v1("/state:batch", &mutations, &[]).await;
        for refused in [&put, &created, &patched, &deleted, &batch] {
            assert_eq!(refused.refusal(), refusal, "{fault:?}");
            assert_eq!(refused.headers.contains_key("retry-after"), refusal.0 == 503);
        }
        let read = server.get_v1("/state/shared/a").await;
        assert_eq!((read.etag(), &read.body["data"]), (etag.clone(), &json!({"n": 1})), "reads go on: {fault:?}");
        assert_eq!(server.get_v1("/state/shared/b").await.status, 404);
        store.works();
    }
    let again = server.put_document("shared/a", &json!({"n": 2}), &[("idempotency-key", "k")]).await;
    assert_eq!((again.version(), again.body.get("duplicate")), (2, None), "what was refused was not remembered");
}

#[tokio::test]
async fn a_write_whose_fate_is_unknown_is_settled_by_its_key() {
    let home = Home::with_agents(&[]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    server.put_document("shared/a", &json!({"n": 0}), &[]).await;
    let inc = json!([{"op": "inc", "path": "/n", "by": 1}]);
    let key = [("idempotency-key", "k")];
    store.fails(Fault::Down { written: true });
    let lost = server.patch_document("shared/a", INTENTS, &inc, &key).await;
    assert_eq!(lost.refusal(), (503, "unavailable"));
    store.works();
    let settled = server.patch_document("shared/a", INTENTS, &inc, &key).await;
    assert_eq!((settled.version(), &settled.body["duplicate"]), (2, &json!(true)));
    assert_eq!(server.data("shared/a").await, json!({"n": 1}));
    store.fails(Fault::Down { written: true });
    let both = json!({"mutations": [{"doc": "shared/a", "intents": inc}, {"doc": "shared/b", "replace": {}}]});
    assert_eq!(server.post_v1("/state:batch", &both, &key).await.status, 503);
    store.works();
    assert_eq!(server.post_v1("/state:batch", &both, &key).await.body["duplicate"], true);
    assert_eq!(server.data("shared/a").await, json!({"n": 2}));
}

#[tokio::test]
async fn a_write_that_another_node_overtook_is_decided_again() {
    let home = Home::with_agents(&[]);
    let store = Arc::new(Faulty::new());
    let server = home.serve_here(store.clone()).await;
    let etag = server.put_document("shared/a", &json!({"n": 0}), &[]).await.etag();
    store.fails(Fault::Overtaken);
    let merged = server.patch_document("shared/a", MERGE_PATCH, &json!({"n": 1}), &[]).await;
    assert_eq!(merged.version(), 3);
    assert_eq!(server.data("shared/a").await, json!({"n": 1, "other": 1}));
    let history = server.get_v1("/state/shared/a/history").await.body;
    assert_eq!(history["commits"][1]["actor"], "node:b");
    let fresh = server.get_v1("/state/shared/a").await.etag();
    store.fails(Fault::Overtaken);
    let stale = server.put_document("shared/a", &json!({"n": 2}), &[("if-match", &fresh)]).await;
    assert_eq!((stale.refusal(), stale.version()), ((412, "version_conflict"), 4));
    assert_ne!(etag, fresh);
    store.fails(Fault::Overtaken);
    let batch = json!({"mutations": [{"doc": "shared/a", "merge": {"n": 3}}, {"doc": "shared/b", "replace": {}}]});
    let done = server.post_v1("/state:batch", &batch, &[]).await;
    assert_eq!(done.body["results"][0]["version"], 6);
}

async fn exported(server: &Server, query: &str) -> String {
    let response = server.http().get(format!("{}/v1/state:export{query}", server.url)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    response.text().await.expect("a whole export")
}

async fn import(server: &Server, text: &str, query: &str) -> crate::support::documents::Answer {
    let headers = [("content-type", "application/x-ndjson")];
    server.v1(Method::POST, &format!("/state:import{query}"), &headers, Some(text.to_owned())).await
}

#[tokio::test]
async fn an_export_of_no_declared_type_is_refused_before_it_begins() {
    let home = Home::with_agents(&[]);
    let server = home.serve();
    assert_eq!(server.get_v1("/state:export?type=nothing").await.refusal(), (404, "unknown_type"));
}

#[tokio::test]
async fn an_export_brings_documents_to_another_server_with_their_histories() {
    let home = Home::with_agents(&[]);
    let server = home.serve();
    let mut random = Random(7);
    for name in ["shared/a", "task/t", "agent/x:thread", "shared/odd %2F\u{e9}"] {
        server.put_document(name, &json!({"title": "x", "list": [1, 2, 3]}), &[("x-reason", "first")]).await;
        for version in 1..30 {
            write_something(&server, name, &mut random, version).await;
        }
        server.put_document(name, &json!({"title": "y", "list": []}), &[]).await;
    }
    server.post_v1("/state/shared/a/tags", &json!({"name": "good", "version": 2}), &[]).await;
    server.put_document("shared/gone", &json!([1]), &[]).await;
    server.delete_document("shared/gone", &[]).await;
    let text = exported(&server, "").await;

    let other_home = Home::with_agents(&[]);
    let other = other_home.serve();
    let done = import(&other, &text, "").await;
    let commits = text.lines().filter(|line| line.starts_with("{\"commit\"")).count();
    assert_eq!((done.status, &done.body), (200, &json!({"documents": 5, "commits": commits, "skipped": []})));
    let other = other.crash_and_restart();
    for name in ["shared/a", "task/t", "agent/x:thread", "shared/odd %2F\u{e9}"] {
        assert_eq!(whole_history(&other, name).await, whole_history(&server, name).await, "{name}");
        let (here, there) =
            (server.get_v1(&format!("/state/{name}")).await.body, other.get_v1(&format!("/state/{name}")).await.body);
        for member in ["version", "data", "updated_at", "updated_by"] {
            assert_eq!(here[member], there[member], "{name}");
        }
        assert_ne!(here["epoch"], there["epoch"], "another lineage");
    }
    assert_eq!(other.get_v1("/state/shared/gone").await.refusal(), (410, "deleted"));
    assert_eq!(other.get_v1("/state/shared/gone?version=1").await.body["data"], json!([1]));
    assert_eq!(other.get_v1("/state/shared/a/tags").await.body, json!({"tags": [{"name": "good", "version": 2}]}));
    let before = other.get_v1("/state/shared/a").await.version();
    assert_eq!(other.put_document("shared/a", &json!({"n": 1}), &[]).await.version(), before + 1, "versions go on");

    assert_eq!(import(&other, &text, "").await.refusal(), (412, "already_exists"));
    assert_eq!(import(&other, &text, "?existing=skip").await.body["skipped"].as_array().unwrap().len(), 5);
    assert_eq!(import(&other, &text, "?existing=no").await.refusal(), (400, "invalid_query"));
    let only = exported(&server, "?type=shared&prefix=g").await;
    assert_eq!(only.lines().count(), 5, "{only}");
}

#[tokio::test]
async fn a_damaged_export_is_refused_with_its_line_and_leaves_no_half_document() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    server.put_document("shared/a", &json!({"n": 1}), &[]).await;
    server.put_document("shared/a", &json!({"n": 2}), &[]).await;
    let lines: Vec<String> = exported(&server, "").await.lines().map(str::to_owned).collect();
    let with = |line: usize, text: &str| {
        let mut lines = lines.clone();
        lines[line] = text.to_owned();
        lines.join("\n")
    };
    let cases = [
        (lines[..4].join("\n"), "incomplete"),
        (lines[..3].join("\n"), "incomplete"),
        ([&lines[..3], &lines[4..]].concat().join("\n"), "1 commits of 2"),
        (with(3, &lines[3].replace("\"version\":2", "\"version\":3")), "version 3 where 2 comes"),
        (with(3, &lines[3].replace("/n", "/x/y")), "cannot be made again"),
        (with(2, "{}"), "not a line of an export"),
        (with(2, &lines[2][1..]), "not JSON"),
        (with(0, "{\"coagent\":\"documents\",\"format\":2}"), "format 1"),
        (lines[1..].join("\n"), "begins with its format"),
        (with(4, "{\"end\":{\"documents\":2,\"commits\":2}}"), "2 were announced"),
        (with(4, "{\"end\":{\"documents\":1,\"commits\":3}}"), "2 commits came, 3 were announced"),
        (with(1, &lines[1].replace("shared/a", "nope/a")), "no type"),
    ];
    for (text, why) in cases {
        let fresh_home = Home::with_agents(&[]);
        let fresh = fresh_home.serve_in_memory();
        let refused = import(&fresh, &text, "").await;
        assert!(refused.status >= 400, "{why}");
        assert!(refused.body["detail"].as_str().unwrap().contains(why), "{why}: {refused:?}");
        assert!(refused.body["line"].as_u64().is_some(), "{refused:?}");
        let there = fresh.get_v1("/state/shared/a").await;
        assert!(there.status == 404 || there.version() == 2, "whole or not at all: {why}");
    }
}

#[tokio::test]
async fn records_of_runs_come_back_by_no_import_and_leave_no_export_that_does_not_ask_for_them() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let run_id = server.submit("demo", &json!({"prompt": "hello"})).await;
    server.until_over(&run_id).await;
    server.put_document("shared/a", &json!({"n": 1}), &[]).await;
    let (everything, records) = (exported(&server, "").await, exported(&server, "?type=lifecycle").await);
    assert!(!everything.contains("lifecycle/") && records.contains(&format!("lifecycle/{run_id}")), "{everything}");

    let other_home = Home::with_agents(&[]);
    let other = other_home.serve_in_memory();
    assert_eq!(import(&other, &everything, "").await.status, 200);
    let forged = everything.replace("shared/a", "lifecycle/agent:demo");
    for records in [&records, &forged] {
        let refused = import(&other, records, "").await;
        assert_eq!((refused.refusal(), &refused.body["line"]), ((403, "forbidden"), &json!(2)));
        let skipped = import(&other, records, "?existing=skip").await;
        assert_eq!((skipped.status, &skipped.body["documents"]), (200, &json!(0)), "{skipped:?}");
    }
    for name in [format!("lifecycle/{run_id}"), "lifecycle/agent:demo".to_owned()] {
        assert_eq!(other.get_v1(&format!("/state/{name}")).await.refusal(), (404, "not_found"));
    }
}

#[tokio::test]
async fn a_document_that_its_schema_refuses_comes_back_by_no_import() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    server.put_document("task/x", &json!({"title": "write"}), &[]).await;
    server.put_document("task/y", &json!({"title": "read"}), &[]).await;
    server.delete_document("task/y", &[]).await;
    let text = exported(&server, "").await;

    let other_home = Home::with_agents(&[]);
    let other = other_home.serve_in_memory();
    let refused = import(&other, &text.replace("\"write\"", "7"), "").await;
    assert_eq!(refused.refusal(), (422, "schema_invalid"));
    assert_eq!(refused.body["errors"][0]["path"], "/title", "{refused:?}");
    assert_eq!(other.get_v1("/state/task/x").await.status, 404);
    assert_eq!(import(&other, &text, "").await.body["documents"], 2, "a deleted one has nothing to be refused");
}
