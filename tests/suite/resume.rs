//! `Last-Event-ID` on connect: a client that was cut gets what it missed and no more, by REST and through an envelope.

use std::sync::Arc;
use std::time::Duration;

use coagent_runtime::store::{self, Kind, Memory, Store};
use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::{EventStream, text, types};
use crate::support::server::{Home, Server, say, with_messages};

/// The events of a stream, each with the id it arrived under.
async fn with_ids(mut stream: EventStream) -> Vec<(Option<String>, Value)> {
    let mut seen = Vec::new();
    loop {
        stream.last_id = None;
        let Some(event) = stream.next().await else { return seen };
        seen.push((stream.last_id.clone(), event));
    }
}

/// What happened, without the state, which a resumed stream shows anew, and with each text in one piece.
fn happened(events: &[Value]) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = Vec::new();
    for event in events {
        let event_type = event["type"].as_str().expect("a type");
        let delta = event["delta"].as_str().unwrap_or_default();
        match told.last_mut() {
            _ if event_type.starts_with("STATE_") => {}
            Some((last, said)) if last == event_type && event_type.ends_with("_CONTENT") => said.push_str(delta),
            _ => told.push((event_type.to_owned(), delta.to_owned())),
        }
    }
    told
}

async fn connect_by_envelope(server: &Server, thread: &str, last_event_id: &str) -> Vec<Value> {
    let body = json!({"method": "agent/connect", "params": {"agentId": "demo"}, "body": with_messages(thread, &[])});
    let request = server.http().post(server.copilotkit("")).header("last-event-id", last_event_id).json(&body);
    EventStream::new(request.send().await.expect("an answer")).rest().await
}

#[tokio::test]
async fn a_client_that_was_cut_after_any_event_gets_the_rest_of_the_run_and_the_runs_after_it() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let first = with_ids(server.run("demo", &say("t", "u1", "weather")).await).await;
    server.run_to_end("demo", &say("t", "u2", "hello")).await;
    let replay = server.replay("demo", "t").await;
    let second_began = replay.iter().rposition(|event| event["type"] == "RUN_STARTED").expect("two runs");
    let events: Vec<Value> = first.iter().map(|(_, event)| event.clone()).collect();
    let mut cuts = 0;
    for (place, (id, _)) in first.iter().enumerate() {
        let Some(id) = id else { continue };
        cuts += 1;
        let resumed = server.connect_after("demo", "t", id).await.rest().await;
        let missed = [&events[place + 1..], &replay[second_began..]].concat();
        assert_eq!(happened(&resumed), happened(&missed), "cut after event {place}, {id}");
        assert_eq!(connect_by_envelope(&server, "t", id).await, resumed, "{id}");
    }
    assert!(cuts >= 8, "durable frames carry ids: {cuts}");
    let last = first.last().and_then(|(id, _)| id.clone()).expect("a terminal is durable");
    let server = server.crash_and_restart();
    let resumed = server.connect_after("demo", "t", &last).await.rest().await;
    assert_eq!(happened(&resumed), happened(&replay[second_began..]), "also after a crash");
}

#[tokio::test]
async fn a_client_that_was_cut_in_a_live_run_follows_it_to_its_end() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let mut run = server.run("demo", &say("t", "u1", "slow")).await;
    run.until("TEXT_MESSAGE_END").await;
    let id = run.last_id.clone().expect("a closed message is durable");
    drop(run);
    let mut resumed = server.connect_after("demo", "t", &id).await;
    assert_eq!(resumed.next().await.expect("an event")["type"], "STATE_SNAPSHOT");
    assert_eq!(
        resumed.next().await.expect("an event")["type"],
        "TEXT_MESSAGE_START",
        "the next message, not the first"
    );
    server.stop("demo", "t").await;
    assert_eq!(types(&resumed.rest().await).last(), Some(&"RUN_FINISHED"));
}

#[tokio::test]
async fn an_id_that_means_nothing_here_gets_everything() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let run = with_ids(server.run("demo", &say("t", "u1", "hello")).await).await;
    let id = run.iter().find_map(|(id, _)| id.clone()).expect("an id");
    let (epoch, _) = id.rsplit_once('.').expect("an epoch and a position");
    let everything = server.replay("demo", "t").await;
    let mut ids = ["", "x", "1", ".", "other.2"].map(str::to_owned).to_vec();
    ids.extend(["0", "99999", "-1", "+3", "02"].map(|position| format!("{epoch}.{position}")));
    for id in &ids {
        assert_eq!(server.connect_after("demo", "t", id).await.rest().await, everything, "{id:?}");
    }
    let up_to_date = run.last().and_then(|(id, _)| id.clone()).expect("an id");
    assert!(server.connect_after("demo", "t", &up_to_date).await.rest().await.is_empty(), "nothing was missed");
}

#[tokio::test]
async fn a_client_whose_past_was_superseded_is_told_to_forget_it() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let first = with_ids(server.run("demo", &say("t", "u1", "one")).await).await;
    let id = first[first.len() - 2].0.clone().or_else(|| first.last().and_then(|(id, _)| id.clone())).expect("an id");
    server.run_to_end("demo", &say("t", "u1", "one")).await;
    let resumed = server.connect_after("demo", "t", &id).await.rest().await;
    assert_eq!((&resumed[0]["type"], &resumed[0]["messages"]), (&json!("MESSAGES_SNAPSHOT"), &json!([])));
    assert_eq!(text(&resumed), "You said: one");
}

#[tokio::test]
async fn a_page_that_names_a_run_is_shown_the_thread_from_it_on() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    server.run_to_end("demo", &say("t", "u1", "hello")).await;
    let submitted = server.submit("demo", &json!({ "thread_id": "t", "prompt": "weather" })).await;
    server.until_over(&submitted).await;
    server.run_to_end("demo", &say("t", "u3", "hello again")).await;

    let shown_from = |run: &str| {
        let mut input = with_messages("t", &[]);
        input["forwardedProps"] = json!({ "coagent": { "fromRun": run } });
        let server = &server;
        async move { EventStream::new(server.post("/agent/demo/connect", &input).await).rest().await }
    };
    let whole = server.replay("demo", "t").await;
    let begins: Vec<usize> = (0..whole.len()).filter(|&at| whole[at]["type"] == "RUN_STARTED").collect();
    assert_eq!(begins.len(), 3);
    assert_eq!(happened(&shown_from(&submitted).await), happened(&whole[begins[1]..]));
    assert_eq!(shown_from("a-run-of-nobody").await, [Value::Null; 0]);

    let started = server.run("demo", &say("t", "u4", "slow")).await;
    let live = server.get_v1("/runs?thread=t&status=running").await.body["items"][0]["run_id"].clone();
    let mut follower = {
        let mut input = with_messages("t", &[]);
        input["forwardedProps"] = json!({ "coagent": { "fromRun": live } });
        EventStream::new(server.post("/agent/demo/connect", &input).await)
    };
    let began = follower.next().await.expect("an event");
    assert_eq!((&began["type"], &began["input"]["messages"][0]["id"]), (&json!("RUN_STARTED"), &json!("u4")));
    server.stop("demo", "t").await;
    assert_eq!(follower.rest().await.last().expect("an end")["type"], "RUN_FINISHED");
    drop(started);

    // The first question is asked again: what the page shows after it is no longer so.
    server.run_to_end("demo", &say("t", "u1", "hello")).await;
    let told = shown_from(&submitted).await;
    let (forgets, everything) = told.split_at(3);
    assert_eq!(
        types(forgets),
        ["RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_FINISHED"],
        "in a run, as the published clients take it"
    );
    assert_eq!(forgets[1]["messages"], json!([]));
    assert_eq!(everything, server.replay("demo", "t").await);
}

/// Lets the clock of timers go on.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Waits until no raw entries are kept of any thread.
async fn until_trimmed(store: &dyn Store) {
    let trimmed = async {
        while !store.open_streams(Kind::Log).await.expect("a store").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), trimmed).await.expect("raw entries are dropped some time");
}

#[tokio::test]
async fn the_middle_of_a_run_can_be_resumed_for_ten_minutes_after_its_end_and_then_everything_is_told_anew() {
    let home = Home::with_agents(&[DEMO]);
    let store = Arc::new(Memory::new());
    let server = home.serve_here(store.clone()).await;
    let run = with_ids(server.run("demo", &say("t", "u1", "weather")).await).await;
    let place = run.iter().position(|(id, event)| id.is_some() && event["type"] == "TOOL_CALL_END").expect("a call");
    let id = run[place].0.clone().expect("it has an id");
    let events: Vec<Value> = run.into_iter().map(|(_, event)| event).collect();
    let rest = happened(&events[place + 1..]);
    pass(Duration::from_secs(9 * 60 + 50)).await;
    let resumed = server.connect_after("demo", "t", &id).await.rest().await;
    assert_eq!(happened(&resumed), rest, "nearly ten minutes later");
    assert_eq!(store.open_streams(Kind::Log).await.expect("a store").len(), 1);
    pass(Duration::from_secs(15)).await;
    until_trimmed(store.as_ref()).await;
    let resumed = server.connect_after("demo", "t", &id).await.rest().await;
    assert_eq!((&resumed[0]["type"], &resumed[0]["messages"]), (&json!("MESSAGES_SNAPSHOT"), &json!([])));
    let everything = server.replay("demo", "t").await;
    assert_eq!(resumed[1..], everything[..]);
    assert_eq!(happened(&everything), happened(&events));
}

#[tokio::test]
async fn what_a_process_left_of_its_runs_is_dropped_by_the_next_one() {
    let home = Home::with_agents(&[DEMO]);
    let mut server = home.serve();
    let before = server.run_to_end("demo", &say("t", "u1", "hello")).await;
    server.kill();
    let store = store::open(&home.options().store).expect("the store of the process that died");
    let server = home.serve_here(Arc::clone(&store)).await;
    assert_eq!(store.open_streams(Kind::Log).await.expect("a store").len(), 1);
    pass(Duration::from_secs(10 * 60 + 5)).await;
    until_trimmed(store.as_ref()).await;
    assert_eq!(happened(&server.replay("demo", "t").await), happened(&before));
}
