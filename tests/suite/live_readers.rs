//! Readers that are slow, stalled or gone: nobody else notices, and those that come back catch up.

use std::time::{Duration, Instant};

use coagent_runtime::state::limits::Limits;
use coagent_runtime::state::patch;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::documents::JSON_PATCH;
use crate::support::live::{Socket, connection};
use crate::support::server::{Home, Options, Server};

/// More than kernel buffers hold for one connection, in this many versions.
const VERSIONS: u64 = 120;
const VALUE_BYTES: usize = 50 << 10;

/// A server that waits so long for readers that take nothing.
fn patient(home: &Home, stalled_after_ms: u64) -> Server {
    let file = home.path().join("coagent.toml");
    std::fs::write(&file, format!("[live]\nstalled_after_ms = {stalled_after_ms}\n")).unwrap();
    let flags = vec!["--config".to_owned(), file.display().to_string()];
    Server::start(Options { flags, store: "memory:".to_owned(), ..home.options() })
}

async fn fill(writer: &mut Socket, versions: u64) -> Vec<Duration> {
    let mut took = Vec::new();
    for id in 1..=versions {
        let value = format!("{id:0>width$}", width = VALUE_BYTES);
        let began = Instant::now();
        let patch = json!([{"op": "add", "path": "/value", "value": value}]);
        writer.say(&json!({"type": "mutate", "channel": 1, "mutation_id": id, "patch": patch})).await;
        writer.until("ack").await;
        took.push(began.elapsed());
    }
    took
}

/// What a reader holds after everything it was told up to a version, and in how many frames.
async fn catch_up(socket: &mut Socket, mut body: Value, mut version: u64, to: u64) -> (Value, usize) {
    let mut frames = 0;
    while version < to {
        let frame = socket.hear().await;
        match frame["type"].as_str() {
            Some("delta") => {
                assert_eq!(frame["from"], version, "no gap and no repetition");
                let ops = patch::read(frame["ops"].clone(), &Limits::default()).expect("operations");
                patch::apply(&mut body, &ops, &Limits::default()).expect("a delta applies");
                version = frame["to"].as_u64().unwrap();
            }
            Some("snapshot") => {
                assert_eq!(frame["reason"], "slow", "{}", frame["version"]);
                (body, version) = (frame["data"].clone(), frame["version"].as_u64().unwrap());
            }
            other => panic!("{other:?}"),
        }
        frames += 1;
    }
    (body, frames)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stalls_slows_nobody_and_catches_up_in_few_steps() {
    let home = Home::with_agents(&[]);
    // On a busy machine it stalls for long before it is read.
    let server = patient(&home, 120_000);
    server.put_document("shared/a", &json!({}), &[]).await;
    let mut writer = Socket::open(&server, "writer").await;
    writer.subscribe(1, "shared/a").await;
    let mut reader = Socket::open(&server, "reader").await;
    let body = reader.subscribe(1, "shared/a").await["data"].clone();
    let alone = fill(&mut writer, 20).await;
    let (body, frames) = catch_up(&mut reader, body, 1, 21).await;
    assert_eq!(frames, 20, "a reader that keeps up sees every version");

    let mut stalled = Vec::new();
    for n in 0..4 {
        let mut socket = Socket::narrow(&server, &format!("stalled-{n}")).await;
        let body = socket.subscribe(1, "shared/a").await["data"].clone();
        stalled.push((socket, body));
    }
    let mut second = Socket::open(&server, "second").await;
    second.subscribe(1, "shared/a").await;
    let following = tokio::spawn(async move { catch_up(&mut reader, body, 21, 21 + VERSIONS).await });
    let beside = fill(&mut second, VERSIONS).await;
    let (expected, _) = tokio::time::timeout(Duration::from_secs(30), following).await.expect("in time").unwrap();
    let median = |mut took: Vec<Duration>| {
        took.sort();
        took[took.len() / 2]
    };
    let (alone, beside) = (median(alone), median(beside));
    assert!(beside < alone * 10 + Duration::from_millis(20), "alone {alone:?}, beside stalled readers {beside:?}");
    for (socket, body) in &mut stalled {
        let (caught_up, frames) = catch_up(socket, body.take(), 21, 21 + VERSIONS).await;
        assert!(caught_up == expected, "it holds what the others hold");
        assert!(frames < VERSIONS as usize, "{frames} frames: what it missed was put together");
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_let_go_with_4408() {
    let home = Home::with_agents(&[]);
    let server = patient(&home, 2000);
    server.put_document("shared/a", &json!({}), &[]).await;
    let mut watcher = Socket::open(&server, "watcher").await;
    watcher.say(&json!({"type": "subscribe", "channel": 1, "doc": "shared/a", "presence": true})).await;
    let mut stalled = Socket::narrow(&server, "stalled").await;
    stalled.subscribe(1, "shared/a").await;
    stalled.say(&json!({"type": "presence", "channel": 1, "data": {}})).await;
    while watcher.until("presence").await["peers"] == json!({}) {}
    let mut writer = Socket::open(&server, "writer").await;
    writer.subscribe(1, "shared/a").await;
    let filling = tokio::spawn(async move { fill(&mut writer, VERSIONS).await });
    while watcher.until("presence").await["peers"] != json!({}) {}
    // It reads on just in time to hear why.
    let (code, _) = stalled.closed().await;
    assert_eq!(code, 4408);
    filling.await.expect("the writer did not notice");
}

#[tokio::test]
async fn a_stalled_reader_of_events_is_cut() {
    let home = Home::with_agents(&[]);
    let file = home.path().join("coagent.toml");
    std::fs::write(&file, "[live]\nstalled_after_ms = 1000\n").unwrap();
    let flags =
        ["--max-connections", "2", "--config"].map(str::to_owned).into_iter().chain([file.display().to_string()]);
    let server = Server::start(Options { flags: flags.collect(), store: "memory:".to_owned(), ..home.options() });
    // One connection for everything that is asked here; the other one stalls.
    server.put_document("shared/a", &json!({"value": "x".repeat(8 << 20)}), &[]).await;
    let mut stalled = connection(&server.url).await;
    let head = b"GET /v1/state/shared/a/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stalled.write_all(head).await.expect("the request is taken");
    stalled.peek(&mut [0]).await.expect("the answer begins");
    let took_in = async {
        loop {
            let mut third = connection(&server.url).await;
            let head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            // One for whom there is no room may be cut while it writes.
            let mut answer = String::new();
            if third.write_all(head).await.is_ok()
                && third.read_to_string(&mut answer).await.is_ok()
                && answer.starts_with("HTTP/1.1 200")
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), took_in)
        .await
        .expect("the stalled reader's place is given to another");
    assert_eq!(server.get_v1("/state/shared/a").await.version(), 1, "who reads is not cut");
}

#[tokio::test]
async fn over_http2_a_reader_that_takes_nothing_is_cut_alone_and_a_slow_one_is_not() {
    let home = Home::with_agents(&[]);
    let server = patient(&home, 1000);
    let body = json!({"value": "x".repeat(4 << 20)});
    server.put_document("shared/large", &body, &[]).await;
    server.put_document("shared/small", &json!({"n": 0}), &[]).await;
    // A window as small as that of most clients, and one connection for all.
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge();
    let client = client.http2_initial_stream_window_size(65_535).http2_initial_connection_window_size(4 << 20);
    let client = client.build().unwrap();
    let get = async |path: &str| {
        let answer = client.get(format!("{}/v1/state/{path}", server.url)).send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
        answer
    };
    let mut idle = get("shared/small/events").await;
    assert!(idle.chunk().await.unwrap().is_some(), "a snapshot");
    let mut slow = get("shared/large/events").await;
    let mut slowly = 0;
    let (mut waited, mut cut) = (Duration::from_millis(1500), false);
    while !cut && waited < Duration::from_secs(30) {
        let mut stalled = get("shared/large/events").await;
        assert!(stalled.chunk().await.unwrap().is_some());
        let until = tokio::time::Instant::now() + waited;
        while tokio::time::Instant::now() < until {
            slowly += slow.chunk().await.expect("who takes a little now and then is not cut").expect("more").len();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        cut = loop {
            match stalled.chunk().await {
                Ok(Some(bytes)) if bytes.ends_with(b"\n\n") => break false,
                Ok(Some(_)) => {}
                Ok(None) => panic!("a stream that was cut does not end as if it were all"),
                Err(_) => break true,
            }
        };
        waited *= 2;
    }
    assert!(cut, "a reader that takes nothing for {waited:?} is cut");
    while slowly < 4 << 20 {
        slowly += slow.chunk().await.expect("the slow one goes on").expect("more").len();
    }
    let patch = json!([{"op": "add", "path": "/n", "value": 1}]);
    server.patch_document("shared/small", JSON_PATCH, &patch, &[]).await;
    let told = idle.chunk().await.expect("who has taken everything is not cut").expect("a delta");
    assert!(std::str::from_utf8(&told).unwrap().contains("event: delta"), "{told:?}");
    let whole: Value = get("shared/large").await.json().await.expect("an answer in many pieces is whole");
    assert_eq!(whole["data"], body);
}

#[tokio::test]
async fn squashed_deltas_lead_from_where_the_reader_is_to_the_head() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    // The body is larger than all the small changes together, so that these are the shorter way.
    let padding = "x".repeat(8 << 20);
    server.put_document("shared/a", &json!({"padding": padding, "n": 0}), &[]).await;
    let mut stalled = Socket::narrow(&server, "stalled").await;
    stalled.say(&json!({"type": "subscribe", "channel": 1, "doc": "shared/a"})).await;
    for n in 1..=200 {
        let patch = json!([{"op": "add", "path": "/n", "value": n}]);
        assert_eq!(server.patch_document("shared/a", JSON_PATCH, &patch, &[]).await.status, 200);
    }
    let snapshot = stalled.hear_a("snapshot").await;
    let (mut body, version) = (snapshot["data"].clone(), snapshot["version"].as_u64().unwrap());
    body.as_object_mut().unwrap().remove("padding");
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame: &Value| frame["to"] != 201) {
        let frame = stalled.hear().await;
        if frame["type"] == "delta" {
            frames.push(frame);
        }
    }
    assert!(
        frames.len() < 200 && frames.iter().any(|frame| frame["to"].as_u64() > frame["from"].as_u64().map(|v| v + 1))
    );
    let mut at = version;
    for frame in frames {
        assert_eq!(frame["from"], at);
        assert_eq!(frame["ops"].as_array().map(Vec::len), Some(1), "what is written over is left out");
        let ops = patch::read(frame["ops"].clone(), &Limits::default()).expect("operations");
        patch::apply(&mut body, &ops, &Limits::default()).expect("a delta applies");
        at = frame["to"].as_u64().unwrap();
    }
    assert_eq!(body, json!({"n": 200}));
}
