//! Clients whose runs wait for their thread: each is told what it understands, can stop its run, and starts it once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::events::{EventStream, text, types};
use crate::support::server::{Home, Server, say};

use super::queued_runs::with_conflict;

/// A thread on which a slow run is live.
async fn busy(server: &Server) -> EventStream {
    let mut live = server.run("agent", &say("t", "u1", "slow")).await;
    live.until("TEXT_MESSAGE_CONTENT").await;
    live
}

/// The same input, of a client that says which protocol it speaks.
fn speaking(mut input: Value, version: &str) -> Value {
    input["protocolVersion"] = json!(version);
    input
}

/// The outcome at the end of a stream.
async fn outcome(stream: EventStream) -> Option<Value> {
    let events = stream.rest().await;
    events.last().and_then(|end| end.get("outcome").cloned())
}

#[tokio::test]
async fn a_client_of_the_old_protocol_whose_run_never_began_is_told_of_no_new_outcome() {
    let home = Home::with_agents(&[("agent.yaml", &with_conflict("enqueue"))]);
    let server = home.serve_in_memory();
    let _live = busy(&server).await;
    for (version, expected) in [(None, None), (Some("1.0"), Some(json!({ "type": "cancelled" })))] {
        let input = say("t", "u2", "second");
        let input = version.map_or_else(|| input.clone(), |version| speaking(input.clone(), version));
        let waiting = server.run("agent", &input).await;
        server.post("/agent/agent/stop/t", &json!({ "runId": input["runId"] })).await;
        assert_eq!(outcome(waiting).await, expected, "{version:?}");
    }
}

#[tokio::test]
async fn clients_whose_runs_are_coalesced_are_each_told_what_they_understand() {
    let home = Home::with_agents(&[("agent.yaml", &with_conflict("coalesce"))]);
    let server = home.serve_in_memory();
    let _live = busy(&server).await;
    let old = server.run("agent", &say("t", "u2", "slow")).await;
    let new = server.run("agent", &speaking(say("t", "u3", "slow, too"), "1.0")).await;
    let last = say("t", "u4", "slow as well");
    let mut old_as_well = server.run("agent", &last).await;
    server.stop("agent", "t").await;
    old_as_well.until("TEXT_MESSAGE_CONTENT").await;
    // Each of them may stop it under the id that it posted.
    let stopped = server.post("/agent/agent/stop/t", &json!({ "runId": last["runId"] })).await;
    assert_eq!(stopped.json::<Value>().await.expect("JSON")["stopped"], true);
    assert_eq!(outcome(new).await, Some(json!({ "type": "cancelled" })));
    for stream in [old, old_as_well] {
        assert_eq!(outcome(stream).await, None);
    }
}

#[tokio::test]
async fn a_run_that_is_posted_twice_is_refused_the_second_time_whatever_becomes_of_others() {
    for policy in ["enqueue", "coalesce", "supersede"] {
        let home = Home::with_agents(&[("agent.yaml", &with_conflict(policy))]);
        let server = home.serve_in_memory();
        let first = say("t", "u1", "slow");
        let mut live = server.run("agent", &first).await;
        live.until("TEXT_MESSAGE_CONTENT").await;
        assert_eq!(server.post("/agent/agent/run", &first).await.status(), 409, "{policy}");
        live.until("TEXT_MESSAGE_CONTENT").await;
        if policy != "supersede" {
            let second = say("t", "u2", "second");
            let waiting = server.run("agent", &second).await;
            assert_eq!(server.post("/agent/agent/run", &second).await.status(), 409, "{policy}: it waits");
            server.stop("agent", "t").await;
            assert_eq!(text(&waiting.rest().await), "You said: second");
            // It is over: an interrupt is answered under the id of the run that asked.
            assert_eq!(types(&server.run_to_end("agent", &second).await).last(), Some(&"RUN_FINISHED"), "{policy}");
        }
    }
}

#[tokio::test]
async fn streams_of_runs_that_wait_end_with_the_server_and_the_runs_go_on_after_it() {
    let home = Home::with_agents(&[("agent.yaml", &with_conflict("enqueue"))]);
    let mut server = home.serve();
    let live = busy(&server).await;
    let waiting = server.run("agent", &say("t", "u2", "second")).await;
    let queued = server.get_v1("/runs?status=queued").await.body["items"][0]["run_id"].clone();
    let run_id = queued.as_str().expect("one waits").to_owned();
    let followed = server.events_of(&run_id, None).await;
    server.begin_to_stop();
    let began = Instant::now();
    assert_eq!(types(&waiting.rest().await), [""; 0]);
    assert_eq!(types(&followed.rest().await), [""; 0]);
    live.rest().await;
    assert_eq!(server.ended().await, Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}: nobody was waited for", began.elapsed());
    let server = home.serve();
    server.stop("agent", "t").await;
    assert_eq!(server.until_over(&run_id).await["status"], "succeeded");
}
