//! What CopilotKit's routes refuse before they look at it: ids, sizes, names of other machines.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::agents::DEMO;
use crate::support::server::{HalfSent, Home, Server, say};

fn demo() -> (Home, Server) {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    (home, server)
}

#[tokio::test]
async fn a_thread_id_that_is_none_is_refused_on_every_route() {
    let (_home, server) = demo();
    let (longest, too_long) = ("ü".repeat(190), "x".repeat(191));
    for (id, legal) in [
        (longest.as_str(), true),
        (" ", true),
        ("a/b", true),
        ("...", true),
        (&too_long, false),
        ("a\nb", false),
        ("\u{85}", false),
    ] {
        let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let run = say(id, "u", "hello").to_string();
        for (method, path, body) in [
            (Method::POST, "/agent/demo/run".to_owned(), run.as_str()),
            (Method::POST, "/agent/demo/connect".to_owned(), &run),
            (Method::POST, "/agent/demo/suggest".to_owned(), &run),
            (Method::POST, format!("/agent/demo/stop/{encoded}"), ""),
            (Method::GET, format!("/threads/{encoded}/messages"), ""),
            (Method::GET, format!("/threads/{encoded}/events"), ""),
            (Method::GET, format!("/threads/{encoded}/state"), ""),
            (Method::PATCH, format!("/threads/{encoded}"), "{}"),
            (Method::POST, format!("/threads/{encoded}/archive"), ""),
            (Method::DELETE, format!("/threads/{encoded}"), ""),
        ] {
            let (status, answer, _) = server.ask(method.clone(), &path, body).await;
            if legal {
                assert!(status == 200 || status == 404, "{method} {path}: {status} {answer}");
            } else {
                let refused = (&json!("Invalid request body"), true);
                let says = answer["details"].as_str().is_some_and(|says| says.contains("1 to 190 characters"));
                assert_eq!((status, (&answer["error"], says)), (400, refused), "{method} {path}: {answer}");
            }
        }
    }
    // What no URL can hold: nothing, and what every parser of a URL takes out of it.
    for id in ["", ".", ".."] {
        for call in ["run", "connect", "suggest"] {
            let (status, answer, _) =
                server.ask(Method::POST, &format!("/agent/demo/{call}"), &say(id, "u", "hello").to_string()).await;
            assert_eq!((status, &answer["error"]), (400, &json!("Invalid request body")), "{id:?} {call}");
        }
        let run = server.post_v1("/agents/demo", &say(id, "u", "hello"), &[]).await;
        assert_eq!(run.refusal(), (400, "invalid_name"), "{id:?}");
    }
    let stop = json!({"method": "agent/stop", "params": {"agentId": "demo", "threadId": ".."}});
    assert_eq!(server.ask(Method::POST, "", &stop.to_string()).await.0, 400);
}

#[tokio::test]
async fn a_body_over_32_mib_is_refused_with_its_limit_whatever_the_route() {
    let (_home, server) = demo();
    let huge = format!("{{\"threadId\":\"{}\"}}", "x".repeat(32 << 20));
    for (method, path) in [
        (Method::POST, "/agent/demo/run"),
        (Method::POST, "/agent/demo/connect"),
        (Method::POST, "/agent/demo/suggest"),
        (Method::POST, "/agent/demo/stop/t"),
        (Method::POST, "/transcribe"),
        (Method::PATCH, "/threads/t"),
        (Method::POST, ""),
    ] {
        let (status, answer, _) = server.ask(method, path, &huge).await;
        assert_eq!((status, &answer["code"]), (413, &json!("too_large")), "{path}");
        assert_eq!(answer["message"], "the body may have at most 33554432 bytes", "{path}");
    }
    let as_large_as_may_be = say("t", "u", &"x".repeat((32 << 20) - 4096)).to_string();
    let (status, answer, _) = server.ask(Method::POST, "/agent/demo/stop/t", &as_large_as_may_be).await;
    assert_eq!((status, &answer["error"]), (400, &json!("Invalid stop request")), "that much is read");
}

#[tokio::test]
async fn a_page_of_threads_has_at_most_200_entries_and_says_where_the_next_one_begins() {
    let (_home, server) = demo();
    for thread in 0..203 {
        server.run_to_end("demo", &say(&format!("t{thread:03}"), "u", "hello")).await;
    }
    let ids = |page: &Value| -> Vec<String> {
        let threads = page["threads"].as_array().expect("a list").iter();
        threads.map(|thread| thread["id"].as_str().expect("an id").to_owned()).collect()
    };
    let first = server.get("/threads?limit=1000").await;
    let cursor = first["nextCursor"].as_str().expect("there is more");
    let second = server.get(&format!("/threads?limit=1000&cursor={cursor}")).await;
    assert_eq!((ids(&first).len(), ids(&second).len(), &second["nextCursor"]), (200, 3, &Value::Null));
    let all: Vec<_> = (0..203).rev().map(|thread| format!("t{thread:03}")).collect();
    assert_eq!([ids(&first), ids(&second)].concat(), all);
    assert_eq!(ids(&server.get("/threads").await).len(), 50, "unless more are asked for");
    for query in ["limit=0", "limit=-1", "limit=many", "limit=", "cursor=here"] {
        let (status, answer, _) = server.ask(Method::GET, &format!("/threads?{query}"), "").await;
        assert_eq!((status, &answer["error"]), (400, &json!("Invalid query")), "{query}");
    }
}

/// The status of a request that is sent as it stands.
async fn status_of(server: &Server, head: &str) -> u16 {
    let address = server.url.strip_prefix("http://").expect("a plain address");
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let request = format!("{head}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the request is taken");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

#[tokio::test]
async fn every_host_and_origin_that_a_request_names_must_be_one_of_ours() {
    let (_home, server) = demo();
    let info = "/api/copilotkit/info HTTP/1.1";
    for (head, status) in [
        (format!("GET {info}\r\nhost: localhost"), 200),
        (format!("GET http://localhost{info}\r\nhost: localhost"), 200),
        (format!("GET {info}\r\nx-nothing: 1"), 403),
        ("GET /api/copilotkit/info HTTP/1.0\r\nx-nothing: 1".to_owned(), 403),
        ("GET /v1/state HTTP/1.1\r\nx-nothing: 1".to_owned(), 403),
        (format!("GET http://evil.example{info}\r\nhost: localhost"), 403),
        (format!("GET http://localhost{info}\r\nhost: evil.example"), 403),
        (format!("GET {info}\r\nhost: localhost\r\nhost: evil.example"), 403),
        (format!("GET {info}\r\nhost: localhost\r\norigin: http://localhost:1"), 200),
        (format!("GET {info}\r\nhost: localhost\r\norigin: http://localhost:1\r\norigin: http://evil.example"), 403),
        (format!("GET {info}\r\nhost: localhost\r\norigin: http://user@localhost:1"), 403),
    ] {
        assert_eq!(status_of(&server, &head).await, status, "{head}");
    }
}

/// Sends all of a request before it reads, as many clients do; the status of the answer.
async fn status_after_writing_all(server: &Server, head: &str, body: &[u8]) -> u16 {
    let address = server.url.strip_prefix("http://").expect("a plain address");
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let head = format!("{head}\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).await.expect("the head is taken");
    socket.write_all(body).await.unwrap_or_else(|error| panic!("{head}: the body is taken: {error}"));
    let mut status = [0; 12];
    socket.read_exact(&mut status).await.unwrap_or_else(|error| panic!("{head}: an answer: {error}"));
    let status = std::str::from_utf8(&status).expect("text").rsplit(' ').next().map(str::parse);
    status.and_then(Result::ok).expect("a status")
}

#[tokio::test]
async fn a_client_that_is_still_writing_gets_its_refusal() {
    let (_home, server) = demo();
    let foreign = "origin: https://evil.example";
    for (head, bytes, status) in [
        ("POST /nope HTTP/1.1".to_owned(), 2 << 20, 404),
        ("POST /nope HTTP/1.1".to_owned(), 4 << 20, 404),
        ("POST /api/copilotkit/info HTTP/1.1".to_owned(), 4 << 20, 405),
        ("GET /api/copilotkit/info HTTP/1.1".to_owned(), 4 << 20, 200),
        ("POST /api/copilotkit/agent/nope/run HTTP/1.1".to_owned(), 4 << 20, 404),
        (format!("POST /api/copilotkit/agent/demo/run HTTP/1.1\r\n{foreign}"), 4 << 20, 403),
        ("POST /api/copilotkit/agent/demo/run HTTP/1.1".to_owned(), 36 << 20, 413),
        ("POST /v1/agents/nope HTTP/1.1".to_owned(), 4 << 20, 404),
        ("POST /v1/state:batch HTTP/1.1\r\ncontent-type: application/json".to_owned(), 4 << 20, 413),
        ("PUT /v1/agents HTTP/1.1".to_owned(), 4 << 20, 405),
    ] {
        assert_eq!(status_after_writing_all(&server, &head, &vec![b'x'; bytes]).await, status, "{head} {bytes}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_refused_without_it() {
    let (_home, server) = demo();
    let began = std::time::Instant::now();
    let announced = HalfSent::announced(&server, "PUT", "/nope", &json!({"a": "b"})).await;
    assert_eq!(announced.answer().await.0, 404);
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "nobody waits for what was not asked for");
}

/// The timers of this server's ends of connections, as Linux tells them: `02` is a probe that is due.
fn timers(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux tells its connections");
    let ours = format!(":{port:04X}");
    let established = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ends = established.filter(|columns| columns.len() > 5 && columns[1].ends_with(&ours) && columns[3] == "01");
    ends.map(|columns| columns[5][..2].to_owned()).collect()
}

#[tokio::test]
async fn a_silent_connection_is_probed_so_that_a_peer_that_vanished_is_found_out() {
    let (_home, server) = demo();
    let address = server.url.strip_prefix("http://").expect("a plain address");
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let _socket = TcpStream::connect(address).await.expect("a connection");
    for _ in 0..500 {
        if timers(port) == ["02"] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no probe is due: {:?}", timers(port));
}
