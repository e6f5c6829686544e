//! Processes that were only asleep: what another one took up meanwhile they do not write, and what nobody took goes on.

use std::sync::Arc;
use std::time::Duration;

use coagent_runtime::store::{Memory, Store};
use serde_json::json;

use super::durable_runs::{answers, check, home, start};
use crate::support::agents::DEMO;
use crate::support::events::{text, types};
use crate::support::mortal::Mortal;
use crate::support::server::{Home, say};
use crate::support::steps::Steps;

/// At every commit that the run makes after its start.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_only_paused_writes_nothing_more() {
    for commits in 3.. {
        let model = Steps::start(answers(), None).await;
        let home = home(&model);
        let kept = Arc::new(Memory::new());
        let store = Mortal::new(&kept, commits, false);
        let mut died = store.died();
        let zombie = home.serve_here(store.clone()).await;
        let mut running = start(&zombie, "helper", "go");
        let is_paused = tokio::select! {
            _ = died.wait_for(|died| *died) => true,
            _ = &mut running => false,
        };
        if !is_paused {
            assert!(commits > 6, "it is paused at more than three of its commits, and not {commits}");
            return;
        }
        let server = home.serve_here(kept).await;
        let events = server.replay("helper", "t").await;
        check(&events, &model, &server).await;
        // Now it wakes up in the middle of its commit, and whatever it does from there.
        assert!(store.revives().await, "what it was about to write is refused");
        running.await.expect("its stream was cut");
        check(&server.replay("helper", "t").await, &model, &server).await;
        drop(zombie);
    }
}

/// Two processes share a store. One stops in the middle of its run for longer than its lease, while clients of it wait to have
/// documents and runs stored; the other goes on with the run; then the first one wakes up.
#[tokio::test(flavor = "multi_thread")]
async fn who_sleeps_past_its_lease_finds_its_run_taken_over_and_writes_nothing_of_it() {
    let model = Steps::start(answers(), None).await;
    let home = home(&model);
    let kept = Arc::new(Memory::new());
    let store = Mortal::new(&kept, 5, false);
    let sleeper = Arc::new(home.serve_here(store.clone()).await);
    let other = home.serve_here(kept.clone()).await;
    let running = start(&sleeper, "helper", "go");
    let lease = kept.leases().await.expect("a store")[0].fence;
    store.died().wait_for(|died| *died).await.expect("the store is there");
    let late: Vec<_> = (0..100)
        .map(|n| {
            let sleeper = Arc::clone(&sleeper);
            tokio::spawn(async move {
                match n % 2 {
                    0 => sleeper.put_document(&format!("shared/late-{n}"), &json!({ "n": n }), &[]).await,
                    _ => {
                        sleeper
                            .try_submit("helper", &json!({ "prompt": "late", "thread_id": format!("late-{n}") }))
                            .await
                    }
                }
            })
        })
        .collect();
    let is_void = async {
        while kept.leases().await.expect("a store").iter().any(|held| held.fence == lease) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_void).await.expect("the other one notices");
    check(&other.replay("helper", "t").await, &model, &other).await;
    let bound = Duration::from_secs(20);
    let is_refused = tokio::time::timeout(bound, store.revives()).await.expect("it comes to something");
    assert!(is_refused, "what it was about to write is refused");
    tokio::time::timeout(bound, running).await.expect("it does not wait for ever").expect("its stream was cut");
    for refused in late {
        let refused = refused.await.expect("it answers");
        assert_eq!(refused.refusal(), (503, "unavailable"), "{refused:?}");
    }
    check(&other.replay("helper", "t").await, &model, &other).await;
    check(&sleeper.replay("helper", "t").await, &model, &sleeper).await;
    for n in 0..100 {
        assert_eq!(other.get_v1(&format!("/state/shared/late-{n}")).await.status, 404);
    }
    let runs = other.get_v1("/runs").await;
    assert_eq!(runs.body["items"].as_array().map(Vec::len), Some(1), "{runs:?}");
    // It has a lease again, and serves.
    sleeper.put_document("shared/after", &json!({ "n": 1 }), &[]).await;
    assert_eq!(other.data("shared/after").await, json!({ "n": 1 }));
    model.forget();
    let events = sleeper.run_to_end("helper", &say("t2", "u", "go")).await;
    assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"));
    let leases = kept.leases().await.expect("a store");
    assert!(leases.len() == 2 && leases.iter().all(|held| held.fence > lease), "{leases:?}");
}

/// While its process lives, a run is nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_starts_beside_another_leaves_its_runs_alone() {
    let home = Home::with_agents(&[DEMO]);
    let store = Arc::new(Memory::new());
    let first = home.serve_here(store.clone()).await;
    let mut stream = first.run("demo", &say("t", "u1", "slow")).await;
    stream.until("TEXT_MESSAGE_END").await;
    let second = home.serve_here(store.clone()).await;
    let answer = second.http().get(second.copilotkit("/threads/t/messages")).send().await.expect("an answer");
    assert_eq!(answer.status(), 503, "the other one answers for it");
    for _ in 0..3 {
        stream.until("TEXT_MESSAGE_END").await;
    }
    first.stop("demo", "t").await;
    assert_eq!(stream.rest().await.last().expect("a terminal")["type"], "RUN_FINISHED");
    assert_eq!(second.replay("demo", "t").await.last().expect("a terminal")["type"], "RUN_FINISHED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_cannot_open_the_store_of_a_paused_one_which_goes_on_after_its_lease_too() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let mut stream = server.run("demo", &say("t", "u1", "slow")).await;
    stream.until("TEXT_MESSAGE_END").await;
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &server.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    };
    signal("-STOP");
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_coagent"))
        .args(["serve", "--listen", "127.0.0.1:0", "--store", &home.options().store])
        .output()
        .expect("the binary starts");
    assert_eq!(second.status.code(), Some(2), "{}", String::from_utf8_lossy(&second.stderr));
    // Longer than a lease is held: nobody could take its place, so it renews it.
    tokio::time::sleep(std::time::Duration::from_secs(16)).await;
    signal("-CONT");
    stream.until("TEXT_MESSAGE_END").await;
    assert_eq!(text(&server.run_to_end("demo", &say("t2", "u1", "hello")).await), "You said: hello");
    server.stop("demo", "t").await;
    assert_eq!(stream.rest().await.last().expect("a terminal")["type"], "RUN_FINISHED");
}
