//! Documents followed over server-sent events (docs/state-api.md §3).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::documents::JSON_PATCH;
use crate::support::live::{Events, Told};
use crate::support::server::{Home, Server};

async fn set(server: &Server, name: &str, member: &str, value: Value) -> u64 {
    let patch = json!([{"op": "add", "path": format!("/{member}"), "value": value}]);
    let answer = server.patch_document(name, JSON_PATCH, &patch, &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.version()
}

/// The versions that a delta leads from and to.
fn step(told: &Told) -> (u64, u64) {
    assert_eq!(told.event, "delta", "{told:?}");
    (told.data["from"].as_u64().unwrap(), told.data["to"].as_u64().unwrap())
}

#[tokio::test]
async fn a_document_is_followed_from_a_snapshot_through_its_deltas_to_its_deletion_and_beyond() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    let created = server.put_document("shared/a b", &json!({"n": 1}), &[]).await;
    let epoch = created.body["epoch"].as_str().unwrap().to_owned();
    let mut events = Events::open(&server, "shared/a%20b/events", None).await;
    let told = events.next().await;
    assert_eq!((told.event.as_str(), told.id.as_str()), ("snapshot", format!("{epoch}.1").as_str()));
    assert_eq!(told.data, json!({"epoch": epoch, "version": 1, "data": {"n": 1}, "reason": "new"}));

    set(&server, "shared/a b", "n", json!(2)).await;
    let told = events.next().await;
    assert_eq!((step(&told), told.id), ((1, 2), format!("{epoch}.2")));
    assert_eq!(told.data["ops"], json!([{"op": "add", "path": "/n", "value": 2}]));
    assert_eq!(told.data["actor"], "user:local");
    assert!(told.data["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{}", told.data);

    assert_eq!(server.delete_document("shared/a b", &[]).await.status, 204);
    let told = events.next().await;
    assert_eq!((told.event.as_str(), told.id), ("deleted", format!("{epoch}.3")));
    assert_eq!(told.data, json!({"version": 3}));

    server.put_document("shared/a b", &json!({"back": true}), &[]).await;
    let told = events.next().await;
    assert_eq!(step(&told), (3, 4));
    assert_eq!(told.data["ops"], json!([{"op": "add", "path": "/back", "value": true}]));
}

#[tokio::test]
async fn a_reader_that_was_cut_gets_what_it_missed_and_a_strange_position_gets_everything() {
    let home = Home::with_agents(&[]);
    let server = home.serve();
    server.put_document("shared/a", &json!({}), &[]).await;
    let first = Events::open(&server, "shared/a/events", None).await.next().await;
    let epoch = first.data["epoch"].as_str().unwrap().to_owned();
    for n in 0..5 {
        set(&server, "shared/a", "n", json!(n)).await;
    }
    let mut resumed = Events::open(&server, "shared/a/events", Some(&format!("{epoch}.3"))).await;
    for version in 4..=6 {
        assert_eq!(step(&resumed.next().await), (version - 1, version), "deltas, not a snapshot");
    }
    set(&server, "shared/a", "n", json!("live")).await;
    assert_eq!(step(&resumed.next().await), (6, 7));

    let server = server.crash_and_restart();
    let mut resumed = Events::open(&server, "shared/a/events", Some(&format!("{epoch}.2"))).await;
    for version in 3..=7 {
        assert_eq!(step(&resumed.next().await), (version - 1, version), "also after a crash");
    }
    for id in [format!("{epoch}.99"), "0000000000000000.3".to_owned(), "nonsense".to_owned(), format!("{epoch}.x")] {
        let told = Events::open(&server, "shared/a/events", Some(&id)).await.next().await;
        assert_eq!((told.event.as_str(), &told.data["reason"]), ("snapshot", &json!("epoch")), "{id}");
        assert_eq!(told.data["version"], 7);
    }
}

#[tokio::test]
async fn a_reader_that_missed_too_much_gets_the_whole_document() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    server.put_document("shared/a", &json!({}), &[]).await;
    let first = Events::open(&server, "shared/a/events", None).await.next().await;
    let epoch = first.data["epoch"].as_str().unwrap().to_owned();
    for n in 0..1100 {
        set(&server, "shared/a", "n", json!(n)).await;
    }
    let told = Events::open(&server, "shared/a/events", Some(&format!("{epoch}.2"))).await.next().await;
    assert_eq!(told.data["reason"], "trimmed");
}

#[tokio::test]
async fn absent_and_deleted_documents_have_no_events() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    server.put_document("shared/gone", &json!({}), &[]).await;
    server.delete_document("shared/gone", &[]).await;
    for (path, refusal) in [
        ("/state/shared/never/events", (404, "not_found")),
        ("/state/shared/gone/events", (410, "deleted")),
        ("/state/nosuch/a/events", (404, "unknown_type")),
        ("/state/Shared/a/events", (400, "invalid_name")),
        ("/state/events?docs=shared/gone", (410, "deleted")),
        ("/state/events?docs=shared/never", (404, "not_found")),
        ("/state/events?docs=nothing", (400, "invalid_name")),
        ("/state/events", (400, "invalid_query")),
    ] {
        assert_eq!(server.get_v1(path).await.refusal(), refusal, "{path}");
    }
    let answer = server.v1(Method::GET, "/state/events?docs=shared/never", &[], None).await;
    assert_eq!(answer.body["doc"], "shared/never");
}

#[tokio::test]
async fn several_documents_share_a_stream_and_a_cursor() {
    let home = Home::with_agents(&[]);
    let server = home.serve();
    for name in ["shared/a", "task/b", "shared/x,y"] {
        let body = if name == "task/b" { json!({"title": "t"}) } else { json!({"of": name}) };
        assert_eq!(server.put_document(&name.replace(',', "%2C"), &body, &[]).await.status, 201);
    }
    let path = "events?docs=shared/a,task/b,shared/x%2Cy";
    let mut events = Events::open(&server, path, None).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for _ in 0..3 {
        let told = events.next().await;
        assert_eq!((told.event.as_str(), &told.data["reason"]), ("snapshot", &json!("new")));
        seen.push(told.data["doc"].as_str().unwrap().to_owned());
        cursor = told.id;
    }
    seen.sort();
    assert_eq!(seen, ["shared/a", "shared/x,y", "task/b"]);

    set(&server, "shared/a", "n", json!(1)).await;
    set(&server, "shared/a", "n", json!(2)).await;
    set(&server, "task/b", "title", json!("u")).await;
    let server = server.crash_and_restart();
    let mut events = Events::open(&server, path, Some(&cursor)).await;
    let mut missed = Vec::new();
    for _ in 0..3 {
        let told = events.next().await;
        missed.push((told.data["doc"].as_str().unwrap().to_owned(), step(&told)));
        cursor = told.id;
    }
    missed.sort();
    let expected = [("shared/a", (1, 2)), ("shared/a", (2, 3)), ("task/b", (1, 2))];
    assert_eq!(missed, expected.map(|(doc, step)| (doc.to_owned(), step)));

    server.delete_document("task/b", &[]).await;
    let told = events.next().await;
    assert_eq!((told.event.as_str(), &told.data), ("deleted", &json!({"doc": "task/b", "version": 3})));
    // What the cursor says of documents that are not asked for does not matter, nor their order.
    let mut fewer = Events::open(&server, "events?docs=shared/a", Some(&cursor)).await;
    set(&server, "shared/a", "n", json!(3)).await;
    assert_eq!(step(&fewer.next().await), (3, 4));
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let home = Home::with_agents(&[]);
    let mut server = home.serve();
    server.put_document("shared/a", &json!({}), &[]).await;
    let mut events = Events::open(&server, "shared/a/events", None).await;
    events.next().await;
    server.begin_to_stop();
    events.end().await;
    assert_eq!(server.ended().await, Some(0));
}
