//! The WebSocket protocol frame by frame (docs/state-api.md §4).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::documents::JSON_PATCH;
use crate::support::live::Socket;
use crate::support::server::{Home, Options, Server};

fn mutate(channel: u64, id: u64, change: Value) -> Value {
    let mut frame = json!({"type": "mutate", "channel": channel, "mutation_id": id});
    frame.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    frame
}

fn set(channel: u64, id: u64, member: &str, value: impl Into<Value>) -> Value {
    let value: Value = value.into();
    mutate(channel, id, json!({"patch": [{"op": "add", "path": format!("/{member}"), "value": value}]}))
}

/// A server whose sessions have these bounds.
fn bounded(home: &Home, limits: &str) -> Server {
    let file = home.path().join("coagent.toml");
    std::fs::write(&file, format!("[live]\n{limits}\n")).unwrap();
    let flags = vec!["--config".to_owned(), file.display().to_string()];
    Server::start(Options { flags, store: "memory:".to_owned(), ..home.options() })
}

#[tokio::test]
async fn hello_is_answered_with_the_limits_and_only_the_protocol_is_echoed() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    let offers = "coagent.v1, bearer.c2VjcmV0";
    let socket = Socket::shake(&server.url, "", &[("sec-websocket-protocol", offers)]).await.expect("a socket");
    assert_eq!(socket.headers.headers()["sec-websocket-protocol"], "coagent.v1");
    let socket = socket.greeted("c1").await;
    assert_eq!(
        socket.welcome["limits"],
        json!({"frame_bytes": 1048576, "in_flight": 100, "subscriptions": 256, "mutations_per_second": 1000})
    );
    assert_eq!((&socket.welcome["protocol"], &socket.welcome["heartbeat_ms"]), (&json!(1), &json!(20000)));
    assert_eq!(socket.welcome["principal"], "user:local");
    assert!(socket.welcome["connection_id"].as_str().is_some_and(|id| !id.is_empty()));
}

#[tokio::test]
async fn credentials_have_three_forms_and_a_query_is_none_of_them() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    let shake = async |query: &str, headers: &[(&str, &str)]| Socket::shake(&server.url, query, headers).await;
    let offer = ("sec-websocket-protocol", "coagent.v1");
    for headers in [
        &[][..],
        &[offer, ("authorization", "Bearer abc")],
        &[("sec-websocket-protocol", "coagent.v1, bearer.YWJj")],
        &[offer, ("origin", "http://localhost:3000")],
    ] {
        let socket = shake("", headers).await.unwrap_or_else(|refused| panic!("{headers:?}: {refused:?}"));
        socket.greeted("c").await;
    }
    for (query, headers, status, code) in [
        ("?token=abc", &[offer][..], 400, "invalid_query"),
        ("?access_token=abc", &[offer], 400, "invalid_query"),
        ("", &[offer, ("authorization", "Basic YTpi")], 401, "unauthenticated"),
        ("", &[("sec-websocket-protocol", "coagent.v1, bearer.!!")], 401, "unauthenticated"),
        ("", &[("sec-websocket-protocol", "graphql-ws")], 400, "invalid_header"),
        ("", &[offer, ("origin", "https://evil.example")], 403, "forbidden"),
        ("", &[offer, ("origin", "null")], 403, "forbidden"),
        ("", &[offer, ("origin", "http://localhost.evil.example")], 403, "forbidden"),
    ] {
        let refused = shake(query, headers).await.err();
        let (found, body) = refused.unwrap_or_else(|| panic!("{query} {headers:?} is refused"));
        assert_eq!(found, status, "{body}");
        assert!(body.contains(&format!("\"code\":\"{code}\"")), "{body}");
    }
    let plain = server.get_v1("/ws").await;
    assert_eq!(plain.refusal(), (400, "invalid_header"));
    let mut socket = Socket::silent(&server).await;
    socket.say(&json!({"type": "hello", "client_id": "c", "token": "abc"})).await;
    socket.hear_a("welcome").await;
    socket.say(&json!({"type": "auth", "token": "def"})).await;
    socket.say(&json!({"type": "ping"})).await;
    assert_eq!(socket.hear().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn what_is_no_frame_closes_the_socket_and_bad_fields_do_not() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    for message in [
        Message::text("{"),
        Message::text(""),
        Message::text("[".repeat(100_000)),
        Message::binary(b"{\"type\":\"ping\"}".to_vec()),
        Message::text(format!("{{\"type\":\"ping\",\"pad\":\"{}\"}}", "x".repeat(1 << 20))),
    ] {
        let mut socket = Socket::open(&server, "c").await;
        let begin: String = message.to_string().chars().take(20).collect();
        socket.send(message).await;
        assert_eq!(socket.closed().await.0, 4400, "{begin}");
    }
    let mut socket = Socket::open(&server, "c").await;
    for (text, code) in [
        ("[]", "invalid_body"),
        ("7", "invalid_body"),
        ("{}", "invalid_body"),
        (r#"{"type":"dance"}"#, "invalid_body"),
        (r#"{"type":7}"#, "invalid_body"),
        (r#"{"type":"hello","client_id":"again"}"#, "invalid_body"),
        (r#"{"type":"subscribe","channel":"x","doc":"shared/a"}"#, "invalid_body"),
        (r#"{"type":"subscribe","channel":-1,"doc":"shared/a"}"#, "invalid_body"),
        (r#"{"type":"subscribe","channel":1}"#, "invalid_body"),
        (r#"{"type":"subscribe","channel":1,"doc":"Shared/a"}"#, "invalid_name"),
        (r#"{"type":"subscribe","channel":1,"doc":"shared/.."}"#, "invalid_name"),
        (r#"{"type":"subscribe","channel":1,"doc":"nosuch/a"}"#, "unknown_type"),
        (r#"{"type":"subscribe","channel":1,"doc":"shared/none"}"#, "not_found"),
        (r#"{"type":"unsubscribe","channel":9}"#, "unsubscribed"),
        (r#"{"type":"mutate","channel":1}"#, "invalid_body"),
        (r#"{"type":"mutate","channel":1,"mutation_id":0,"patch":[]}"#, "invalid_body"),
        (r#"{"type":"mutate","channel":1,"mutation_id":1}"#, "invalid_body"),
        (r#"{"type":"mutate","channel":1,"mutation_id":1,"patch":[],"merge":{}}"#, "invalid_body"),
        (r#"{"type":"presence","channel":1,"data":{}}"#, "unsubscribed"),
        (r#"{"type":"run","channel":1,"agent":"nobody","input":{}}"#, "not_found"),
        (r#"{"type":"stop","thread":"t","agent":"nobody"}"#, "not_found"),
        (r#"{"type":"ping","a":1,"a":2}"#, "invalid_json"),
        (r#"{"type":"ping","n":9007199254740993}"#, "invalid_json"),
        (r#"{"type":"ping","__proto__":{}}"#, "invalid_json"),
    ] {
        socket.send(Message::text(text)).await;
        let error = socket.hear_a("error").await;
        assert_eq!(error["code"], code, "{text}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
    socket.say(&json!({"type": "ping"})).await;
    socket.hear_a("pong").await;
}

#[tokio::test]
async fn whoever_does_not_say_hello_first_is_closed() {
    let home = Home::with_agents(&[]);
    let server = bounded(&home, "hello_within_ms = 300");
    let mut early = Socket::silent(&server).await;
    early.say(&json!({"type": "ping"})).await;
    assert_eq!(early.closed().await.0, 4401);
    let mut silent = Socket::silent(&server).await;
    assert_eq!(silent.closed().await.0, 4401);
    let mut other = Socket::silent(&server).await;
    other.say(&json!({"type": "hello", "client_id": "c", "protocol": 2})).await;
    assert_eq!(other.closed().await.0, 4400);
    let mut bad = Socket::silent(&server).await;
    bad.say(&json!({"type": "hello", "client_id": "", "protocol": 1})).await;
    bad.hear_a("error").await;
    bad.say(&json!({"type": "hello", "client_id": "c"})).await;
    bad.hear_a("welcome").await;
}

#[tokio::test]
async fn subscribers_get_a_snapshot_the_deltas_and_the_end() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    let mut socket = Socket::open(&server, "c").await;
    let body = json!({"title": "board"});
    socket.say(&json!({"type": "subscribe", "channel": 7, "doc": "shared/a", "create": body})).await;
    let snapshot = socket.hear_a("snapshot").await;
    let epoch = snapshot["epoch"].as_str().unwrap().to_owned();
    let expected =
        json!({"type": "snapshot", "channel": 7, "epoch": epoch, "version": 1, "data": body, "reason": "new"});
    assert_eq!(snapshot, expected);
    assert_eq!(socket.hear().await, json!({"type": "live", "channel": 7, "version": 1}));

    let patch = json!([{"op": "add", "path": "/n", "value": 1}]);
    server.patch_document("shared/a", JSON_PATCH, &patch, &[]).await;
    let delta = socket.hear_a("delta").await;
    assert_eq!((&delta["channel"], &delta["from"], &delta["to"]), (&json!(7), &json!(1), &json!(2)));
    assert_eq!((&delta["ops"], &delta["actor"]), (&patch, &json!("user:local")));
    assert!(delta.get("origin").is_none() && delta.get("run_id").is_none());

    // A create that finds the document changes nothing.
    socket.say(&json!({"type": "subscribe", "channel": 8, "doc": "shared/a", "create": {"other": 1}})).await;
    assert_eq!(socket.hear_a("snapshot").await["data"], json!({"title": "board", "n": 1}));
    socket.hear_a("live").await;
    socket.say_all(&[json!({"type": "unsubscribe", "channel": 8}), json!({"type": "ping"})]).await;
    socket.hear_a("pong").await;

    server.delete_document("shared/a", &[]).await;
    assert_eq!(socket.hear().await, json!({"type": "deleted", "channel": 7, "version": 3}));
    socket.say(&json!({"type": "subscribe", "channel": 9, "doc": "shared/a"})).await;
    let error = socket.hear_a("error").await;
    assert_eq!((&error["code"], &error["channel"]), (&json!("deleted"), &json!(9)));
    socket.say(&json!({"type": "subscribe", "channel": 9, "doc": "shared/a", "create": null})).await;
    let delta = socket.hear().await;
    let frames = [delta, socket.hear().await, socket.hear().await];
    let of =
        |kind: &str| frames.iter().find(|frame| frame["type"] == kind).unwrap_or_else(|| panic!("{kind}: {frames:?}"));
    assert_eq!((&of("delta")["channel"], &of("delta")["from"], &of("delta")["to"]), (&json!(7), &json!(3), &json!(4)));
    assert_eq!((&of("snapshot")["channel"], &of("snapshot")["data"]), (&json!(9), &json!(null)));

    // A channel in use is replaced.
    server.put_document("shared/b", &json!({"b": 1}), &[]).await;
    socket.say(&json!({"type": "subscribe", "channel": 9, "doc": "shared/b"})).await;
    assert_eq!(socket.hear_a("snapshot").await["data"], json!({"b": 1}));
    socket.hear_a("live").await;
    server.put_document("shared/a", &json!({"again": 1}), &[]).await;
    assert_eq!(socket.hear_a("delta").await["channel"], 7);
    socket.say(&json!({"type": "ping"})).await;
    socket.hear_a("pong").await;
}

#[tokio::test]
async fn a_resume_sends_the_missing_deltas_and_nothing_else() {
    let home = Home::with_agents(&[]);
    let server = home.serve();
    server.put_document("shared/a", &json!({}), &[]).await;
    let mut socket = Socket::open(&server, "c").await;
    let epoch = socket.subscribe(1, "shared/a").await["epoch"].clone();
    for id in 1..=6 {
        socket.say(&set(1, id, "n", id)).await;
        socket.hear_all(&["ack", "delta"]).await;
    }
    drop(socket);
    let server = server.crash_and_restart();
    let mut socket = Socket::open(&server, "c").await;
    let since = |version: u64| json!({"epoch": epoch, "version": version});
    socket.say(&json!({"type": "subscribe", "channel": 1, "doc": "shared/a", "since": since(4)})).await;
    for version in 5..=7 {
        let delta = socket.hear_a("delta").await;
        assert_eq!((&delta["from"], &delta["to"]), (&json!(version - 1), &json!(version)));
        assert_eq!(delta["origin"], json!({"client_id": "c", "mutation_id": version - 1}));
    }
    assert_eq!(socket.hear().await, json!({"type": "live", "channel": 1, "version": 7}));
    socket.say(&json!({"type": "subscribe", "channel": 2, "doc": "shared/a", "since": since(7)})).await;
    assert_eq!(socket.hear().await, json!({"type": "live", "channel": 2, "version": 7}), "nothing was missed");
    for since in [since(8), json!({"epoch": "0000000000000000", "version": 7})] {
        socket.say(&json!({"type": "subscribe", "channel": 3, "doc": "shared/a", "since": since})).await;
        assert_eq!(socket.hear_a("snapshot").await["reason"], "epoch");
        socket.hear_a("live").await;
    }
}

#[tokio::test]
async fn a_mutation_is_acknowledged_before_its_delta_and_answered_the_same_when_it_is_sent_again() {
    let home = Home::with_agents(&[]);
    let server = home.serve();
    server.put_document("shared/a", &json!({"n": 0}), &[]).await;
    let mut socket = Socket::open(&server, "c").await;
    socket.subscribe(1, "shared/a").await;
    socket.say(&mutate(1, 1, json!({"intents": [{"op": "inc", "path": "/n", "by": 5}], "reason": "because"}))).await;
    let frames = socket.hear_all(&["ack", "delta"]).await;
    assert_eq!(frames[0], json!({"type": "ack", "channel": 1, "mutation_id": 1, "version": 2}));
    assert_eq!(frames[1]["origin"], json!({"client_id": "c", "mutation_id": 1}));
    socket.say(&mutate(1, 2, json!({"patch": [{"op": "test", "path": "/n", "value": 0}]}))).await;
    let refused = socket.hear_a("reject").await;
    assert_eq!((&refused["code"], &refused["mutation_id"]), (&json!("test_failed"), &json!(2)));
    assert_eq!(refused["version"], 2);
    socket.say(&mutate(1, 3, json!({"patch": [{"op": "dance", "path": "/n"}]}))).await;
    let malformed = socket.hear_a("reject").await;
    assert_eq!(malformed["code"], "invalid_patch");
    let poisoned = r#"{"type":"mutate","channel":1,"mutation_id":4,"merge":{"__proto__":{"x":1}}}"#;
    socket.send(Message::text(poisoned)).await;
    let poison = socket.hear_a("reject").await;
    assert_eq!((&poison["code"], &poison["mutation_id"]), (&json!("invalid_json"), &json!(4)));
    socket.say(&mutate(1, 5, json!({"merge": {"n": 9}, "dry_run": true}))).await;
    let dry = socket.hear_a("ack").await;
    assert_eq!((&dry["data"], &dry["mutation_id"]), (&json!({"n": 9}), &json!(5)));
    socket.say(&mutate(1, 6, json!({"replace": {"n": 1}, "if_version": 1}))).await;
    assert_eq!(socket.hear_a("reject").await["code"], "version_conflict");
    socket.say(&mutate(1, 7, json!({"merge": {"n": 5}}))).await;
    let unchanged = socket.hear_a("ack").await;
    assert_eq!(unchanged["version"], 2, "a write that changes nothing makes no version");
    socket.say(&mutate(1, 9, json!({"merge": {"n": 6}}))).await;
    let gap = socket.hear_a("reject").await;
    assert_eq!((&gap["code"], &gap["expect"]), (&json!("mutation_gap"), &json!(8)));

    // The same answers on the same socket, on another, and after kill -9; nothing happens twice.
    for round in 0..3 {
        socket.say(&mutate(1, 1, json!({"intents": [{"op": "inc", "path": "/n", "by": 5}]}))).await;
        let again = socket.hear_a("ack").await;
        assert_eq!(again, json!({"type": "ack", "channel": 1, "mutation_id": 1, "version": 2, "duplicate": true}));
        for (id, first) in [(2, &refused), (3, &malformed), (4, &poison)] {
            socket.say(&mutate(1, id, json!({"patch": [{"op": "test", "path": "/n", "value": 0}]}))).await;
            assert_eq!(&socket.hear_a("reject").await, first, "round {round}");
        }
        socket.say(&mutate(1, 5, json!({"merge": {"n": 9}, "dry_run": true}))).await;
        let again = socket.hear_a("ack").await;
        assert_eq!(
            (&again["duplicate"], &again["data"], &again["version"]),
            (&json!(true), &json!({"n": 9}), &dry["version"])
        );
        assert_eq!(server.data("shared/a").await, json!({"n": 5}));
        match round {
            0 => drop(socket),
            _ => {
                socket.say(&json!({"type": "unsubscribe", "channel": 1})).await;
                break;
            }
        }
        socket = Socket::open(&server, "c").await;
        socket.subscribe(1, "shared/a").await;
    }
    drop(socket);
    let server = server.crash_and_restart();
    let mut socket = Socket::open(&server, "c").await;
    socket.subscribe(1, "shared/a").await;
    socket.say(&mutate(1, 1, json!({"intents": [{"op": "inc", "path": "/n", "by": 5}]}))).await;
    let again = socket.hear_a("ack").await;
    assert_eq!((&again["version"], &again["duplicate"]), (&json!(2), &json!(true)));
    socket.say(&mutate(1, 5, json!({"merge": {"n": 9}, "dry_run": true}))).await;
    let again = socket.hear_a("ack").await;
    assert_eq!((&again["data"], &again["version"]), (&json!({"n": 9}), &dry["version"]));
    socket.say(&mutate(1, 2, json!({"merge": {}}))).await;
    assert_eq!(socket.hear_a("reject").await, refused);
    socket.say(&set(1, 8, "m", 1)).await;
    socket.hear_all(&["ack", "delta"]).await;
    assert_eq!(server.data("shared/a").await, json!({"n": 5, "m": 1}));
}

#[tokio::test]
async fn numbers_are_counted_per_client_and_document_and_forgotten_clients_hear_so() {
    let home = Home::with_agents(&[]);
    let mut server = home.serve();
    server.put_document("shared/a", &json!({}), &[]).await;
    server.put_document("shared/b", &json!({}), &[]).await;
    let mut one = Socket::open(&server, "one").await;
    let mut two = Socket::open(&server, "two").await;
    for socket in [&mut one, &mut two] {
        socket.subscribe(1, "shared/a").await;
        socket.subscribe(2, "shared/b").await;
    }
    one.say(&set(1, 1, "n", 1)).await;
    one.until("ack").await;
    two.until("delta").await;
    two.say(&set(1, 1, "n", 2)).await;
    two.until("ack").await;
    one.say(&set(2, 1, "n", 3)).await;
    one.until("ack").await;
    two.say(&set(2, 7, "n", 4)).await;
    assert_eq!(two.until("reject").await["code"], "client_unknown", "it never wrote here");
    server.kill();
    // As if 24 hours had passed, then 90 days.
    let database = home.path().join("data/coagent.db");
    let forget = |pattern: &str| {
        let connection = rusqlite::Connection::open(&database).unwrap();
        let forgotten = connection.execute("DELETE FROM remembered WHERE key GLOB ?1", [pattern]).unwrap();
        assert!(forgotten > 0, "{pattern}");
    };
    forget("client:*:*");
    let server = server.crash_and_restart();
    let mut one = Socket::open(&server, "one").await;
    one.subscribe(1, "shared/a").await;
    one.say(&set(1, 1, "n", 9)).await;
    assert_eq!(one.hear_a("reject").await["code"], "client_unknown", "the answer is gone, the number is not");
    one.say(&set(1, 2, "n", 10)).await;
    assert_eq!(one.hear_all(&["ack", "delta"]).await[0]["mutation_id"], 2);
    let mut server = server;
    server.kill();
    forget("client:*");
    let server = server.crash_and_restart();
    let mut one = Socket::open(&server, "one").await;
    one.subscribe(1, "shared/a").await;
    one.say(&set(1, 3, "n", 11)).await;
    assert_eq!(one.hear_a("reject").await["code"], "client_unknown");
    assert_eq!(server.data("shared/a").await, json!({"n": 10}));
}

#[tokio::test]
async fn both_authors_of_a_conflict_hear_of_it() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    server.put_document("shared/a", &json!({"t": "old"}), &[]).await;
    let mut socket = Socket::open(&server, "c").await;
    socket.subscribe(1, "shared/a").await;
    socket.say(&mutate(1, 1, json!({"merge": {"t": "first"}, "base": 1}))).await;
    socket.hear_all(&["ack", "delta"]).await;
    socket.say(&mutate(1, 2, json!({"merge": {"t": "second"}, "base": 1}))).await;
    let ack = socket.hear_a("ack").await;
    assert_eq!(ack["conflicts"][0]["path"], "/t");
    assert_eq!(ack["conflicts"][0]["lost"], "first");
}

#[tokio::test]
async fn too_many_channels_mutations_and_frames_are_refused() {
    let home = Home::with_agents(&[]);
    let server = bounded(&home, "subscriptions = 2\nin_flight = 5\nmutations_per_second = 20\nframe_bytes = 4096");
    server.put_document("shared/a", &json!({}), &[]).await;
    let mut socket = Socket::open(&server, "c").await;
    socket.subscribe(1, "shared/a").await;
    socket.subscribe(2, "shared/a").await;
    socket.subscribe(2, "shared/a").await;
    socket.say(&json!({"type": "subscribe", "channel": 3, "doc": "shared/a"})).await;
    let error = socket.hear_a("error").await;
    assert_eq!((&error["code"], &error["channel"]), (&json!("overloaded"), &json!(3)));
    socket.say(&json!({"type": "unsubscribe", "channel": 2})).await;

    // A refusal of this kind takes no number.
    let mut next = 1;
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let burst: Vec<_> = (next..next + 10).map(|id| set(1, id, "n", id)).collect();
        socket.say_all(&burst).await;
        let mut answered = 0;
        while answered < burst.len() {
            let frame = socket.hear().await;
            match frame["type"].as_str().unwrap() {
                "ack" => {
                    assert_eq!(frame["mutation_id"], next, "{frame}");
                    next += 1;
                }
                "reject" => {
                    let code = frame["code"].as_str().unwrap().to_owned();
                    match code.as_str() {
                        "overloaded" | "rate_limited" => assert!(frame["retry_ms"].as_u64().is_some_and(|ms| ms > 0)),
                        "mutation_gap" => {}
                        other => panic!("{other}"),
                    }
                    codes.insert(code);
                }
                "delta" => continue,
                other => panic!("{other}"),
            }
            answered += 1;
        }
        if codes.contains("overloaded") && codes.contains("rate_limited") {
            break;
        }
    }
    assert!(codes.contains("overloaded") && codes.contains("rate_limited"), "{codes:?}");
    let mut flood = Socket::open(&server, "flood").await;
    flood.say_all(&vec![json!({"type": "ping"}); 500]).await;
    assert_eq!(flood.closed().await.0, 4429);
    let mut large = Socket::open(&server, "large").await;
    large.say(&json!({"type": "ping", "pad": "x".repeat(5000)})).await;
    assert_eq!(large.closed().await.0, 4400);
}

#[tokio::test]
async fn peers_see_who_is_there_until_they_leave() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    server.put_document("shared/a", &json!({}), &[]).await;
    let mut watcher = Socket::open(&server, "watcher").await;
    watcher.say(&json!({"type": "subscribe", "channel": 1, "doc": "shared/a", "presence": true})).await;
    let mut frames = [watcher.hear().await, watcher.hear().await, watcher.hear().await];
    frames.sort_by_key(|frame| frame["type"].as_str().unwrap().to_owned());
    assert_eq!(frames[1], json!({"type": "presence", "channel": 1, "peers": {}}));
    let mut peer = Socket::open(&server, "peer").await;
    peer.subscribe(5, "shared/a").await;
    let id = peer.welcome["connection_id"].as_str().unwrap().to_owned();
    for cursor in ["/title", "/items/3"] {
        peer.say(&json!({"type": "presence", "channel": 5, "data": {"cursor": cursor}})).await;
        let presence = watcher.hear_a("presence").await;
        assert_eq!(presence["peers"], json!({&id: {"principal": "user:local", "data": {"cursor": cursor}}}));
    }
    peer.say(&json!({"type": "presence", "channel": 5, "data": {"big": "x".repeat(2048)}})).await;
    assert_eq!(peer.hear_a("error").await["code"], "too_large");
    peer.say(&json!({"type": "presence", "channel": 5})).await;
    assert_eq!(watcher.hear_a("presence").await["peers"], json!({}));
    peer.say(&json!({"type": "presence", "channel": 5, "data": null})).await;
    assert_eq!(watcher.hear_a("presence").await["peers"][&id]["data"], json!(null));
    drop(peer);
    assert_eq!(watcher.hear_a("presence").await["peers"], json!({}), "a socket that is gone has left");
    assert_eq!(server.get_v1("/state/shared/a").await.version(), 1, "nothing of it is stored");
}

#[tokio::test]
async fn several_clients_may_share_a_socket_each_with_its_own_numbers_and_seat() {
    let home = Home::with_agents(&[]);
    let server = home.serve_in_memory();
    server.put_document("shared/a", &json!({}), &[]).await;
    let mut socket = Socket::open(&server, "one").await;
    let id = socket.welcome["connection_id"].as_str().unwrap().to_owned();
    for (channel, client) in [(1, "one"), (2, "two")] {
        socket.say(&json!({"type": "subscribe", "channel": channel, "doc": "shared/a", "presence": true})).await;
        let inc = json!([{"op": "inc", "path": "/n", "by": 1}]);
        for _ in 0..2 {
            let mutate =
                json!({"type": "mutate", "channel": channel, "client_id": client, "mutation_id": 1, "intents": inc});
            socket.say(&mutate).await;
            assert_eq!(socket.until("ack").await["mutation_id"], 1, "{client}");
        }
        socket.say(&json!({"type": "presence", "channel": channel, "data": client})).await;
    }
    assert_eq!(server.get_v1("/state/shared/a").await.body["data"], json!({"n": 2}), "each once");
    let both = loop {
        let presence = socket.until("presence").await;
        if presence["channel"] == 2 && presence["peers"].as_object().unwrap().len() == 2 {
            break presence;
        }
    };
    assert_eq!(both["you"], format!("{id}/2"));
    assert_eq!(both["peers"][&id]["data"], "one");
    assert_eq!(both["peers"][format!("{id}/2")]["data"], "two");
    socket.say(&json!({"type": "unsubscribe", "channel": 1})).await;
    let left = loop {
        let presence = socket.until("presence").await;
        if presence["peers"].get(&id).is_none() {
            break presence;
        }
    };
    assert_eq!(left["peers"], json!({format!("{id}/2"): {"principal": "user:local", "data": "two"}}));
    socket.say(&json!({"type": "mutate", "channel": 2, "client_id": "", "mutation_id": 1, "patch": []})).await;
    assert_eq!(socket.until("error").await["code"], "invalid_body");
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_let_go_and_one_that_does_stays() {
    let home = Home::with_agents(&[]);
    let server = bounded(&home, "heartbeat_ms = 200");
    let mut dead = Socket::open(&server, "dead").await.into_inner();
    let mut alive = Socket::open(&server, "alive").await;
    let mut pings = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        match alive.listen_raw().await {
            Some(Message::Ping(_)) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(pings >= 3, "{pings}");
    alive.say(&json!({"type": "ping"})).await;
    alive.until("pong").await;
    // It reads nothing, so that it answers nothing, until it was given up.
    let closed = async {
        loop {
            match futures_util::StreamExt::next(&mut dead).await {
                Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), closed).await.expect("a close in time"), 4408);
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight_says_goodbye_and_is_soon_over() {
    let home = Home::with_agents(&[]);
    let mut server = home.serve();
    server.put_document("shared/a", &json!({}), &[]).await;
    let mut sockets = Vec::new();
    for n in 0..8 {
        let mut socket = Socket::open(&server, &format!("c{n}")).await;
        socket.subscribe(1, "shared/a").await;
        sockets.push(socket);
    }
    for (n, socket) in sockets.iter_mut().enumerate() {
        // Each writes what nobody else does: a write that changes nothing makes no version.
        let burst: Vec<_> = (1..=20).map(|id| set(1, id, "n", format!("{n} {id}"))).collect();
        socket.say_all(&burst).await;
    }
    server.begin_to_stop();
    let began = Instant::now();
    let mut acked = 0;
    for socket in &mut sockets {
        let (code, said) = socket.closed().await;
        assert_eq!(code, 4503);
        let goaway = said.last().unwrap();
        assert_eq!((&goaway["type"], &goaway["reason"]), (&json!("goaway"), &json!("draining")));
        assert!(goaway["retry_ms"].as_u64().is_some_and(|ms| ms > 0), "{goaway}");
        acked += said.iter().filter(|frame| frame["type"] == "ack").count();
    }
    assert_eq!(server.ended().await, Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let server = server.crash_and_restart();
    let version = server.get_v1("/state/shared/a").await.version();
    assert!(version > acked as u64, "everything that was acknowledged is there: {version} after {acked}");
}
