//! Several agents in one thread, each with a state of its own: whoever looks at the thread as one of them has that one's
//! state before them, whatever the others did there.

use serde_json::{Value, json};

use crate::support::agents::{BOARD, DEMO};
use crate::support::documents::JSON_PATCH;
use crate::support::events::{messages, state, text, types};
use crate::support::server::{Home, Server, say, with_messages};

/// A thread in which `demo` has counted and `board` has then added to a document that it shares with nobody here.
async fn both_ran(server: &Server) {
    server.run_to_end("demo", &say("t", "u1", "count")).await;
    server.run_to_end("board", &say("t", "u2", "add")).await;
}

fn board() -> Value {
    json!({ "items": ["from the agent"], "owner": "nobody" })
}

#[tokio::test]
async fn who_connects_as_an_agent_sees_the_whole_thread_with_the_state_of_that_agent() {
    let home = Home::with_agents(&[DEMO, BOARD]);
    let server = home.serve();
    both_ran(&server).await;
    let looked = async |server: &Server| {
        let as_demo = server.replay("demo", "t").await;
        assert_eq!((text(&as_demo).as_str(), state(&as_demo)), ("countedadded", json!({ "count": 1 })));
        let as_board = server.replay("board", "t").await;
        assert_eq!((text(&as_board).as_str(), state(&as_board)), ("countedadded", board()));
        assert!(!as_demo.iter().any(|event| event["snapshot"].get("items").is_some()), "{as_demo:?}");
    };
    looked(&server).await;
    looked(&server.crash_and_restart()).await;
}

#[tokio::test]
async fn a_threads_state_is_that_of_the_agent_that_is_asked_about_and_an_empty_one_where_nothing_was_written() {
    let home = Home::with_agents(&[DEMO, BOARD]);
    let server = home.serve_in_memory();
    server.run_to_end("demo", &say("t", "u1", "hello")).await;
    assert_eq!(server.get("/threads/t/state").await["state"], json!({}), "as the stream said");
    both_ran(&server).await;
    for (query, expected) in [("", board()), ("?agentId=demo", json!({ "count": 1 })), ("?agentId=board", board())] {
        assert_eq!(server.get(&format!("/threads/t/state{query}")).await["state"], expected, "{query}");
    }
    for path in ["/threads/t/state?agentId=nobody", "/threads/unknown/state"] {
        assert_eq!(server.get(path).await["state"], json!(null), "{path}");
    }
}

#[tokio::test]
async fn what_a_client_brings_back_of_a_thread_changes_no_other_agents_state() {
    let home = Home::with_agents(&[DEMO, BOARD]);
    let server = home.serve_in_memory();
    both_ran(&server).await;
    let seen = server.replay("demo", "t").await;
    let question = json!({ "id": "u3", "role": "user", "content": "hello" });
    let mut input = with_messages("t", &[messages(&seen), vec![question]].concat());
    input["state"] = state(&seen);
    let run = server.run_to_end("demo", &input).await;
    assert_eq!((text(&run).as_str(), state(&run)), ("You said: hello", json!({ "count": 1 })));
    assert_eq!(server.data("agent/demo:t").await, json!({ "count": 1 }));
    assert_eq!(server.data("shared/board").await, board());
}

#[tokio::test]
async fn who_follows_a_run_of_another_agent_keeps_the_state_of_their_own_and_sees_it_change() {
    let home = Home::with_agents(&[DEMO, BOARD]);
    let server = home.serve_in_memory();
    server.run_to_end("demo", &say("t", "u1", "count")).await;
    let mut live = server.run("board", &say("t", "u2", "wait")).await;
    let opening = live.all_until("STATE_SNAPSHOT").await;
    assert_eq!(state(&opening), json!({ "items": [], "owner": "nobody" }));
    let began = live.last_id.clone().expect("RUN_STARTED had an id");
    let mut followers = [server.connect("demo", "t").await, server.connect_after("demo", "t", &began).await];
    let mut seen = [Vec::new(), Vec::new()];
    for (follower, seen) in followers.iter_mut().zip(&mut seen) {
        while state(seen) != json!({ "count": 1 }) || types(seen).last() == Some(&"RUN_FINISHED") {
            seen.push(follower.next().await.expect("the run is live"));
        }
    }
    let edit = json!([{ "op": "add", "path": "/count", "value": 2 }]);
    server.patch_document("agent/demo:t", JSON_PATCH, &edit, &[]).await;
    let added = json!([{ "op": "add", "path": "/items/-", "value": "by hand" }]);
    server.patch_document("shared/board", JSON_PATCH, &added, &[]).await;
    for (follower, seen) in followers.iter_mut().zip(&mut seen) {
        seen.push(follower.until("STATE_DELTA").await);
        assert_eq!(state(seen), json!({ "count": 2 }));
    }
    server.stop("board", "t").await;
    let [first, second] = followers;
    for (follower, mut seen) in [first, second].into_iter().zip(seen) {
        seen.extend(follower.rest().await);
        assert_eq!((state(&seen), types(&seen).last()), (json!({ "count": 2 }), Some(&"RUN_FINISHED")));
    }
}
