//! Threads renamed, archived, deleted and paged through, by REST and through the single route's tunnel.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::agents::{BOARD, DEMO};
use crate::support::events::{state, text};
use crate::support::server::{Home, Server, say};

const COUNTER: (&str, &str) = (
    "counter.yaml",
    r#"
state: { initial: { count: 0, notes: [] } }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - when: { text: bump }
        do: [ { patch: [ { op: replace, path: /count, value: 7 } ] }, { say: "bumped" } ]
      - do: [ { say: "the count is {state:/count}" } ]
"#,
);

fn demo() -> (Home, Server) {
    let home = Home::with_agents(&[DEMO, COUNTER]);
    let server = home.serve();
    (home, server)
}

async fn hello(server: &Server, thread: &str) {
    server.run_to_end("demo", &say(thread, &uuid::Uuid::now_v7().to_string(), "hello")).await;
}

async fn listed(server: &Server, query: &str) -> Vec<String> {
    let page = server.get(&format!("/threads{query}")).await;
    let threads = page["threads"].as_array().expect("a list");
    threads.iter().map(|thread| thread["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_thread_is_renamed_archived_and_brought_back_and_stays_so_over_a_crash() {
    let (_home, server) = demo();
    hello(&server, "t").await;
    let before = server.get("/threads").await["threads"][0].clone();
    let (status, renamed, _) =
        server.ask(Method::PATCH, "/threads/t", r#"{"agentId":"demo","name":"  Groceries "}"#).await;
    assert_eq!((status, &renamed["name"], &renamed["archived"]), (200, &json!("Groceries"), &json!(false)));
    assert_eq!(renamed["createdAt"], before["createdAt"]);
    assert!(renamed["updatedAt"].as_str() > before["updatedAt"].as_str(), "a rename is an update");
    let (status, archived, _) = server.ask(Method::POST, "/threads/t/archive", r#"{"agentId":"demo"}"#).await;
    assert_eq!((status, archived), (200, json!({"threadId": "t", "archived": true})));
    let server = server.crash_and_restart();
    assert!(listed(&server, "").await.is_empty(), "an archived thread is not listed");
    assert_eq!(server.get("/threads?includeArchived=true").await["threads"][0]["name"], "Groceries");
    let (status, back, _) = server.ask(Method::PATCH, "/threads/t", r#"{"archived":false,"name":null}"#).await;
    assert_eq!((status, &back["archived"], &back["name"]), (200, &json!(false), &Value::Null));
    for nothing in [r#"{"name":""}"#, r#"{"name":"  "}"#] {
        assert_eq!(server.ask(Method::PATCH, "/threads/t", r#"{"name":"x"}"#).await.1["name"], "x");
        assert_eq!(server.ask(Method::PATCH, "/threads/t", nothing).await.1["name"], Value::Null, "{nothing}");
    }
    assert_eq!(text(&server.replay("demo", "t").await), "You said: hello", "and its conversation is untouched");
}

#[tokio::test]
async fn a_live_run_goes_on_while_its_thread_is_renamed() {
    let (_home, server) = demo();
    let mut run = server.run("demo", &say("t", "u1", "slow")).await;
    run.until("TEXT_MESSAGE_CONTENT").await;
    assert_eq!(server.ask(Method::PATCH, "/threads/t", r#"{"name":"Busy"}"#).await.0, 200);
    run.until("TEXT_MESSAGE_CONTENT").await;
    server.stop("demo", "t").await;
    run.rest().await;
    assert_eq!(server.get("/threads").await["threads"][0]["name"], "Busy", "the end of the run keeps the name");
}

#[tokio::test]
async fn a_deleted_thread_is_gone_with_its_own_state_and_begins_anew() {
    let home = Home::with_agents(&[COUNTER, BOARD]);
    let server = home.serve();
    server.run_to_end("counter", &say("t", "u1", "bump")).await;
    server.run_to_end("board", &say("t", "u2", "add")).await;
    assert_eq!(server.get("/threads/t/state?agentId=counter").await["state"]["count"], 7);
    let (status, answer, _) = server.ask(Method::DELETE, "/threads/t", r#"{"agentId":"counter"}"#).await;
    assert_eq!((status, answer), (200, json!({"threadId": "t", "deleted": true})));
    for restarted in [false, true] {
        assert!(listed(&server, "?includeArchived=true").await.is_empty());
        assert_eq!(server.get("/threads/t/messages").await["messages"], json!([]));
        assert_eq!(server.get("/threads/t/events").await["events"], json!([]));
        assert_eq!(server.get("/threads/t/state").await["state"], Value::Null);
        assert!(server.replay("counter", "t").await.is_empty(), "restarted: {restarted}");
        assert_eq!(server.ask(Method::DELETE, "/threads/t", "").await.0, 404);
    }
    let server = server.crash_and_restart();
    assert!(server.replay("counter", "t").await.is_empty());
    let board = server.run_to_end("board", &say("other", "u3", "show")).await;
    assert_eq!(state(&board)["items"], json!(["from the agent"]), "a shared document is not the thread's");
    let again = server.run_to_end("counter", &say("t", "u1", "how much?")).await;
    assert_eq!(text(&again), "the count is 0", "the state begins anew");
    assert_eq!(state(&again), json!({"count": 0, "notes": []}));
    assert_eq!(text(&server.replay("counter", "t").await), "the count is 0");
}

#[tokio::test]
async fn a_thread_with_a_live_run_is_not_deleted_nor_cleared_away() {
    let (_home, server) = demo();
    hello(&server, "idle").await;
    let mut run = server.run("demo", &say("live", "u1", "slow")).await;
    run.until("TEXT_MESSAGE_START").await;
    let (status, body, _) = server.ask(Method::DELETE, "/threads/live", "").await;
    assert_eq!((status, &body["error"], &body["code"]), (409, &json!("Thread is busy"), &json!("thread_busy")));
    let (status, body, headers) = server.ask(Method::POST, "/threads/clear", "").await;
    assert_eq!((status, body, headers.get("content-type")), (204, json!(""), None));
    assert_eq!(listed(&server, "").await, ["live"]);
    server.stop("demo", "live").await;
    assert_eq!(server.ask(Method::DELETE, "/threads/live", "").await.0, 200);
    assert!(listed(&server, "").await.is_empty());
}

#[tokio::test]
async fn clearing_removes_more_threads_than_a_page_holds() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    for n in 0..210 {
        hello(&server, &format!("t{n}")).await;
    }
    for (asked, given) in [("", 50), ("?limit=199", 199), ("?limit=200", 200), ("?limit=1000", 200)] {
        assert_eq!(listed(&server, asked).await.len(), given, "{asked}");
    }
    server.ask(Method::PATCH, "/threads/t3", r#"{"archived":true}"#).await;
    assert_eq!(server.ask(Method::POST, "/threads/clear", "").await.0, 204);
    assert!(listed(&server, "?includeArchived=true").await.is_empty());
}

#[tokio::test]
async fn pages_of_threads_hold_every_thread_once_and_end_where_they_say() {
    let (_home, server) = demo();
    server.run_to_end("counter", &say("c", "u", "hello")).await;
    for n in 0..7 {
        hello(&server, &format!("t{n}")).await;
    }
    for hidden in ["t0", "t1"] {
        server.ask(Method::POST, &format!("/threads/{hidden}/archive"), "").await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    for _ in 0..5 {
        let page = server.get(&format!("/threads?agentId=demo&limit=2{cursor}")).await;
        let ids = page["threads"].as_array().expect("a list").iter().map(|thread| thread["id"].clone());
        seen.extend(ids);
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["t6", "t5", "t4", "t3", "t2"]);
    let exact = server.get("/threads?agentId=demo&limit=5").await;
    assert_eq!(exact["nextCursor"], Value::Null, "what is left is another agent's");
    assert_eq!(listed(&server, "?agentId=default").await, ["c"], "the alias is the first by name, `counter`");
    assert_eq!(listed(&server, "?agentId=nobody").await, [""; 0]);
    assert_eq!(listed(&server, "?agentId=demo&includeArchived=true&limit=2").await, ["t1", "t0"], "archiving touches");
    for wrong in ["limit=0", "limit=x", "limit=-1", "cursor=x"] {
        assert_eq!(server.ask(Method::GET, &format!("/threads?{wrong}"), "").await.0, 400, "{wrong}");
    }
    assert_eq!(server.get("/threads?limit=1000").await["threads"].as_array().expect("a list").len(), 6);
}

#[tokio::test]
async fn a_thread_that_does_not_exist_and_a_body_that_is_none_are_refused() {
    let (_home, server) = demo();
    hello(&server, "t").await;
    let gone = json!({"error": "Thread not found"});
    for (method, path) in [
        (Method::PATCH, "/threads/nobody"),
        (Method::DELETE, "/threads/nobody"),
        (Method::POST, "/threads/nobody/archive"),
    ] {
        let (status, body, _) = server.ask(method.clone(), path, r#"{"name":"x"}"#).await;
        assert_eq!((status, &body), (404, &gone), "{method} {path}");
    }
    for body in ["", "[]", "{", r#"{"name":7}"#, r#"{"archived":"yes"}"#, r#"{"agentId":1}"#] {
        let (status, answer, _) = server.ask(Method::PATCH, "/threads/t", body).await;
        assert_eq!((status, &answer["error"]), (400, &json!("Invalid request body")), "{body}");
    }
    let (status, answer, _) = server.ask(Method::PATCH, "/threads/t", r#"{"name":"\ud800"}"#).await;
    let details = answer["details"].as_str().unwrap();
    assert!(
        status == 400 && details.contains("not JSON at byte") && details.contains("a surrogate without its pair"),
        "{answer}"
    );
    let long = json!({"name": "x".repeat(201)}).to_string();
    assert_eq!(server.ask(Method::PATCH, "/threads/t", &long).await.0, 400);
    assert_eq!(server.ask(Method::DELETE, "/threads/t", "[").await.0, 400);
    assert_eq!(server.ask(Method::POST, "/threads/t/archive", "[").await.0, 400);
    assert_eq!(listed(&server, "").await, ["t"], "nothing of that changed anything");
    let odd = "/threads/a%2Fb%20c";
    hello(&server, "a/b c").await;
    assert_eq!(server.ask(Method::PATCH, odd, r#"{"name":"odd"}"#).await.1["id"], "a/b c");
}

#[tokio::test]
async fn the_tunnel_answers_every_thread_route_as_rest_does() {
    let (_home, server) = demo();
    for thread in ["t", "u"] {
        hello(&server, thread).await;
    }
    for path in ["/threads?agentId=demo&limit=1", "/threads/t/messages", "/threads/t/events", "/threads/t/state"] {
        assert_eq!(server.tunnel("GET", path, Value::Null).await, (200, server.get(path).await), "{path}");
    }
    assert_eq!(server.tunnel("patch", "/threads/t", json!({"name": "Mine"})).await.1["name"], "Mine");
    let as_text = json!(r#"{"name":"As text"}"#);
    assert_eq!(server.tunnel("PATCH", "/threads/t", as_text).await.1["name"], "As text");
    let archived = server.tunnel("POST", "/threads/t/archive", json!({"agentId": "demo"})).await;
    assert_eq!(archived, (200, json!({"threadId": "t", "archived": true})));
    let deleted = server.tunnel("DELETE", "/threads/t", json!({"agentId": "demo"})).await;
    assert_eq!(deleted, (200, json!({"threadId": "t", "deleted": true})));
    assert_eq!(server.tunnel("POST", "/threads/clear", Value::Null).await, (204, json!("")));
    assert!(listed(&server, "?includeArchived=true").await.is_empty());
}

#[tokio::test]
async fn the_tunnel_leads_nowhere_else() {
    let (_home, server) = demo();
    let not_found = json!({"error": "Not found"});
    for path in
        ["/info", "/agent/demo/run", "/", "/threads/../info", "/transcribe", "/memories", "/memories/x", "/v1/state"]
    {
        for method in ["GET", "POST"] {
            assert_eq!(server.tunnel(method, path, json!({})).await, (404, not_found.clone()), "{method} {path}");
        }
    }
    let wrong_method = json!({"error": "Method not allowed"});
    for (method, path) in [("POST", "/threads"), ("GET", "/threads/clear"), ("GET", "/threads/t"), ("GET", "/annotate")]
    {
        assert_eq!(server.tunnel(method, path, json!({})).await, (405, wrong_method.clone()), "{method} {path}");
    }
    let refused = |message: &str| (400, json!({"error": "invalid_request", "message": message}));
    for path in ["threads", "//evil/threads", "/\\evil", "http://evil/threads"] {
        let expected = refused("Resource path must be Runtime-relative");
        assert_eq!(server.tunnel("GET", path, json!({})).await, expected, "{path}");
    }
    for (path, method, missing) in [("", "GET", "path"), (" ", "GET", "path"), ("/threads", "", "httpMethod")] {
        let expected = refused(&format!("Missing or invalid parameter '{missing}'"));
        assert_eq!(server.tunnel(method, path, json!({})).await, expected, "{path} {method}");
    }
}
