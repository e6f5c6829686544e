//! A page that connects to a thread it shows already, as CopilotKit's does after an outage or when its chat is mounted again:
//! it keeps its messages and adds what it is told to them.

use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::{EventStream, messages, messages_after, types};
use crate::support::server::{Home, Server, say, with_messages};

async fn connect_with(server: &Server, thread: &str, held: &[Value]) -> EventStream {
    EventStream::new(server.post("/agent/demo/connect", &with_messages(thread, held)).await)
}

#[tokio::test]
async fn a_page_that_shows_a_thread_shows_it_once_however_often_it_connects() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    for (id, word) in [("u1", "hello"), ("u2", "weather"), ("u3", "colour")] {
        server.run_to_end("demo", &say("t", id, word)).await;
    }
    let whole = messages(&server.replay("demo", "t").await);
    let mut held = whole.clone();
    for _ in 0..3 {
        let told = connect_with(&server, "t", &held).await.rest().await;
        held = messages_after(held, &told);
        assert_eq!(held, whole);
    }
    let cut = &whole[..2];
    let told = connect_with(&server, "t", cut).await.rest().await;
    assert_eq!(messages_after(cut.to_vec(), &told), whole, "what it did not have yet is told as well");
}

#[tokio::test]
async fn a_page_that_comes_back_to_a_live_run_shows_its_words_once() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    server.run_to_end("demo", &say("t", "u1", "hello")).await;
    let mut run = server.run("demo", &say("t", "u2", "slow")).await;
    run.until("TEXT_MESSAGE_CONTENT").await;
    let mut page = server.connect("demo", "t").await;
    let mut seen = page.all_until("RUN_FINISHED").await;
    seen.extend(page.all_until("TEXT_MESSAGE_CONTENT").await);
    let before = messages(&seen);
    assert_eq!(before.last().map(|message| &message["content"]), Some(&json!("tick")));
    let again = connect_with(&server, "t", &before).await;
    server.stop("demo", "t").await;
    let held = messages_after(before, &again.rest().await);
    assert_eq!(held, messages(&server.replay("demo", "t").await));
}

#[tokio::test]
async fn what_a_page_has_of_its_own_stays() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    server.run_to_end("demo", &say("t", "u1", "hello")).await;
    let whole = messages(&server.replay("demo", "t").await);
    let greeting = json!({"id": "greeting", "role": "assistant", "content": "What can I do for you?"});
    let unsent = json!({"id": "u9", "role": "user", "content": "written while the server was away"});
    let held: Vec<_> = [greeting].into_iter().chain(whole).chain([unsent]).collect();
    let told = connect_with(&server, "t", &held).await.rest().await;
    assert_eq!(messages_after(held.clone(), &told), held);
}

#[tokio::test]
async fn a_page_that_holds_nothing_of_the_answers_is_told_the_runs_alone() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    server.run_to_end("demo", &say("t", "u1", "hello")).await;
    let plain = server.replay("demo", "t").await;
    let question = json!({"id": "u1", "role": "user", "content": "hello"});
    for held in [&[][..], &[question], &[json!({"id": "x", "role": "assistant", "content": "hi"})]] {
        assert_eq!(connect_with(&server, "t", held).await.rest().await, plain);
    }
    assert!(!types(&plain).contains(&"MESSAGES_SNAPSHOT"));
}
