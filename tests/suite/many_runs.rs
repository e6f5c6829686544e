//! Many threads at once, and one thread for long: what is replayed is complete and nobody else's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use crate::support::agents::DEMO;
use crate::support::events::{text, types};
use crate::support::server::{Home, Server, say};

/// Runs one after another, each with a message of its own; answers what was said.
async fn converse(server: &Server, thread: &str, runs: usize, from: usize) -> Vec<String> {
    let mut said = Vec::with_capacity(runs);
    for run in from..from + runs {
        let words = format!("{thread} says {run}");
        let events = server.run_to_end("demo", &say(thread, &format!("{thread}-{run}"), &words)).await;
        assert_eq!(text(&events), format!("You said: {words}"), "a run hears its own answer");
        said.push(words);
    }
    said
}

/// What a replay tells was said and heard, checked to be whole runs one after another.
fn conversation(replay: &[Value]) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for run in replay.chunk_by(|_, next| next["type"] != "RUN_STARTED") {
        let seen = types(run);
        assert_eq!((seen[0], seen[seen.len() - 1]), ("RUN_STARTED", "RUN_FINISHED"));
        let messages = run[0]["input"]["messages"].as_array().expect("a run's new messages");
        assert_eq!(messages.len(), 1, "each run added one message");
        told.push((messages[0]["content"].as_str().expect("text").to_owned(), text(run)));
    }
    told
}

fn expected(said: &[String]) -> Vec<(String, String)> {
    said.iter().map(|words| (words.clone(), format!("You said: {words}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_threads_run_at_once_and_each_replays_complete_and_unmixed() {
    let home = Home::with_agents(&[DEMO]);
    let server = Arc::new(home.serve());
    let said = join_all((0..50).map(|n| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { converse(&server, &format!("t{n}"), 5, 0).await })
    }))
    .await;
    let said: Vec<_> = said.into_iter().map(|said| said.expect("no conversation fails")).collect();
    let replays = join_all((0..50).map(|n| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.replay("demo", &format!("t{n}")).await })
    }))
    .await;
    for (n, (said, replay)) in said.iter().zip(&replays).enumerate() {
        let replay = replay.as_ref().expect("no replay fails");
        assert!(replay.iter().all(|event| event.get("threadId").is_none_or(|id| *id == format!("t{n}"))));
        assert_eq!(conversation(replay), expected(said), "thread t{n}");
    }
    let server = Arc::into_inner(server).expect("every task has ended").crash_and_restart();
    assert_eq!(conversation(&server.replay("demo", "t49").await), expected(&said[49]), "also after a crash");
    assert_eq!(server.get("/threads?limit=200").await["threads"].as_array().expect("a list").len(), 50);
}

#[tokio::test]
async fn a_thread_of_two_thousand_runs_replays_every_one_of_them_and_a_run_costs_what_it_did_at_first() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let mut said = converse(&server, "long", 100, 0).await;
    let (first, early) = timed(converse(&server, "long", 400, 100)).await;
    let (middle, _) = timed(converse(&server, "long", 1100, 500)).await;
    let (rest, late) = timed(converse(&server, "long", 400, 1600)).await;
    said.extend(first.into_iter().chain(middle).chain(rest));
    let (replay, took) = timed(server.replay("demo", "long")).await;
    assert_eq!(conversation(&replay), expected(&said));
    assert_eq!(said.len(), 2000);
    assert!(late < early * 5, "400 runs took {early:?} at first and {late:?} at last");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let messages = server.get("/threads/long/messages").await;
    assert_eq!(messages["messages"].as_array().expect("a list").len(), 4000);
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (work.await, began.elapsed())
}
