//! Runs that are submitted: stored before they are acknowledged, started when there is room, whoever watches.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::{state, text, types};
use crate::support::server::{Home, Server, say};

/// Submits a run that takes its time.
async fn submit_slow(server: &Server) -> String {
    server.submit("demo", &json!({ "prompt": "slow" })).await
}

#[tokio::test]
async fn a_submitted_run_happens_with_nobody_watching_and_its_record_tells() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let answer = server.try_submit("demo", &json!({ "prompt": "count" })).await;
    assert_eq!((answer.status, &answer.body["accepted"]), (202, &json!(true)));
    let (run_id, thread) = (answer.body["run_id"].as_str().unwrap(), answer.body["thread_id"].as_str().unwrap());
    let record = server.until_over(run_id).await;
    assert_eq!(
        (&record["status"], &record["agent"], &record["thread_id"]),
        (&json!("succeeded"), &json!("demo"), &json!(thread))
    );
    assert_eq!(record["cause"], json!({ "type": "api", "chain": [], "depth": 0 }));
    for time in ["queued_at", "started_at", "finished_at"] {
        assert!(record[time].as_str().is_some_and(|time| time.ends_with('Z')), "{time} of {record}");
    }
    assert_eq!(record.get("error"), None);
    assert_eq!(server.record(run_id).await, record, "the document and the API tell the same");
    let replay = server.replay("demo", thread).await;
    assert_eq!((text(&replay).as_str(), types(&replay)[0]), ("counted", "RUN_STARTED"));
    assert_eq!(replay[0]["input"]["messages"][0]["content"], "count");
}

#[tokio::test]
async fn a_submitted_run_knows_the_whole_thread_and_begins_with_the_state_that_was_submitted() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    server.run_to_end("demo", &say("t", "u1", "hello")).await;
    let messages = json!([{ "role": "user", "content": "how are you" }]);
    let body = json!({ "thread_id": "t", "messages": messages, "state": { "colour": "teal" } });
    server.until_over(&server.submit("demo", &body).await).await;
    assert_eq!(text(&server.replay("demo", "t").await), "You said: helloYou said: how are you");
    assert_eq!(server.data("agent/demo:t").await, json!({ "colour": "teal" }));

    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "in": inner }));
    let deepest = json!({ "thread_id": "deep", "prompt": "hello", "state": nested(64) });
    assert_eq!(server.until_over(&server.submit("demo", &deepest).await).await["status"], "succeeded");
    assert_eq!(server.data("agent/demo:deep").await, nested(64), "as deep as a document may be");
    let deeper = json!({ "prompt": "hello", "state": nested(65) });
    assert_eq!(server.try_submit("demo", &deeper).await.refusal(), (400, "invalid_json"));
}

#[tokio::test]
async fn an_idempotency_key_makes_one_run_however_often_it_comes() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let body = json!({ "prompt": "hello", "idempotency_key": "order-7" });
    let answers = join_all((0..8).map(|_| server.try_submit("demo", &body))).await;
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer.body["run_id"].as_str().unwrap()).collect();
    let threads: BTreeSet<_> = answers.iter().map(|answer| answer.body["thread_id"].as_str().unwrap()).collect();
    let accepted = answers.iter().filter(|answer| answer.body["accepted"] == true).count();
    assert_eq!((ids.len(), threads.len(), accepted), (1, 1, 1));
    assert!(answers.iter().all(|answer| answer.status == 202));
    let run_id = (*ids.first().unwrap()).to_owned();
    let server = server.crash_and_restart();
    let again = server.try_submit("demo", &body).await;
    assert_eq!((again.body["run_id"].as_str(), &again.body["accepted"]), (Some(run_id.as_str()), &json!(false)));
    let other = server.submit("demo", &json!({ "prompt": "hello", "idempotency_key": "order-8" })).await;
    assert_ne!(other, run_id);
    assert_eq!(server.get_v1("/runs").await.body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_submission_is_said_and_nothing_is_stored() {
    let broken = ("broken.yaml", "agent: { kind: native }");
    let home = Home::with_agents(&[DEMO, broken]);
    let server = home.serve_in_memory();
    let refused = async |agent: &str, body: Value| {
        let answer = server.try_submit(agent, &body).await;
        (answer.status, answer.body["code"].as_str().unwrap().to_owned())
    };
    let because = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(refused("nobody", json!({ "prompt": "x" })).await, because(404, "not_found"));
    assert_eq!(refused("broken", json!({ "prompt": "x" })).await, because(409, "agent_invalid"));
    for body in [
        json!([]),
        json!({ "prompt": 7 }),
        json!({ "promt": "x" }),
        json!({ "messages": ["x"] }),
        json!({ "messages": [{ "role": "king", "content": "x" }] }),
        json!({ "prompt": "x", "idempotency_key": "" }),
    ] {
        assert_eq!(refused("demo", body.clone()).await, because(400, "invalid_body"), "{body}");
    }
    assert_eq!(refused("demo", json!({ "prompt": "x", "thread_id": "" })).await, because(400, "invalid_name"));
    assert_eq!(server.get_v1("/runs").await.body, json!({ "items": [] }));
    assert_eq!(server.get_v1("/runs/nobody").await.refusal(), (404, "not_found"));
    assert_eq!(server.post_v1("/runs/nobody/cancel", &json!({}), &[]).await.refusal(), (404, "not_found"));
    assert_eq!(server.get_v1("/runs?status=done").await.refusal(), (400, "invalid_query"));
    assert_eq!(server.get_v1("/runs?cursor=!").await.refusal(), (400, "invalid_query"));
}

#[tokio::test]
async fn a_submission_to_a_busy_thread_is_refused_unless_the_definition_says_otherwise() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let first = server.submit("demo", &json!({ "prompt": "slow", "thread_id": "t" })).await;
    server.until_status(&first, &["running"]).await;
    let refused = server.try_submit("demo", &json!({ "prompt": "hello", "thread_id": "t" })).await;
    assert_eq!((refused.refusal(), &refused.body["run_id"]), ((409, "thread_busy"), &json!(first)));
    server.post_v1(&format!("/runs/{first}/cancel"), &json!({}), &[]).await;
    let next = server.submit("demo", &json!({ "prompt": "hello", "thread_id": "t" })).await;
    assert_eq!(server.until_over(&next).await["status"], "succeeded");
}

#[tokio::test]
async fn eight_runs_of_an_agent_are_at_work_a_hundred_wait_and_the_next_one_is_refused() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let runs = join_all((0..8).map(|_| submit_slow(&server))).await;
    for run_id in &runs {
        server.until_status(run_id, &["running"]).await;
    }
    // What is asked for at the same moment waits in an order of its own; this one is the first.
    let first = submit_slow(&server).await;
    join_all((1..100).map(|_| submit_slow(&server))).await;
    let refused = server.try_submit("demo", &json!({ "prompt": "slow" })).await;
    assert_eq!(refused.refusal(), (429, "queue_full"));
    assert_eq!(refused.headers["retry-after"], "1");
    let listed = async |status: &str| {
        let page = server.get_v1(&format!("/runs?status={status}&limit=500")).await;
        page.body["items"].as_array().unwrap().len()
    };
    assert_eq!((listed("running").await, listed("queued").await), (8, 100));

    // One that ends makes room for the first that waits.
    let cancelled = server.post_v1(&format!("/runs/{}/cancel", runs[0]), &json!({}), &[]).await;
    assert_eq!(cancelled.body["status"], "cancelled");
    server.until_status(&first, &["running"]).await;
    server.submit("demo", &json!({ "prompt": "slow" })).await;
}

#[tokio::test]
async fn a_run_is_cancelled_wherever_it_is_and_again_without_harm() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let cancel = async |run_id: &str| server.post_v1(&format!("/runs/{run_id}/cancel"), &json!({}), &[]).await.body;
    let live = server.submit("demo", &json!({ "prompt": "slow", "thread_id": "t" })).await;
    server.until_status(&live, &["running"]).await;
    assert_eq!(cancel(&live).await["status"], "cancelled");
    let replay = server.replay("demo", "t").await;
    assert_eq!(types(&replay).last(), Some(&"RUN_FINISHED"), "{replay:?}");
    assert_eq!(cancel(&live).await, server.record(&live).await);

    let busy = join_all((0..8).map(|_| submit_slow(&server))).await;
    for run_id in &busy {
        server.until_status(run_id, &["running"]).await;
    }
    let queued = server.submit("demo", &json!({ "prompt": "hello" })).await;
    assert_eq!(server.record(&queued).await["status"], "queued");
    let cancelled = cancel(&queued).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled.get("started_at").is_none() && cancelled["finished_at"].is_string(), "{cancelled}");
    cancel(&busy[0]).await;
    let next = server.submit("demo", &json!({ "prompt": "hello" })).await;
    server.until_over(&next).await;
    assert_eq!(server.record(&queued).await, cancelled, "it never starts");
    let done = server.until_over(&next).await;
    assert_eq!(cancel(&next).await, done, "a run that is over stays as it was");
}

#[tokio::test]
async fn no_queued_run_is_lost_or_doubled_in_a_loop_of_kills() {
    let quick = (
        "quick.yaml",
        "agent: { kind: native, name: scripted, config: { pace: 0ms, turns: [ { do: [ { say: done } ] } ] } }",
    );
    let home = Home::with_agents(&[quick]);
    let mut server = home.serve();
    let mut accepted = Vec::new();
    for cycle in 0..5_u64 {
        let submitting = join_all((0..4).map(|writer| {
            let server = &server;
            async move {
                let mut taken = Vec::new();
                for n in 0..60 {
                    let url = format!("{}/v1/agents/quick/runs", server.url);
                    let body = json!({ "prompt": "go", "thread_id": format!("t-{cycle}-{writer}-{n}") });
                    let Ok(answer) = server.http().post(url).json(&body).send().await else { break };
                    if answer.status() == 429 {
                        continue;
                    }
                    let Ok(answer) = answer.json::<Value>().await else { break };
                    taken.push((answer["run_id"].as_str().unwrap().to_owned(), body["thread_id"].clone()));
                }
                taken
            }
        }));
        let pid = server.pid();
        let killer = tokio::task::spawn_blocking(move || {
            std::thread::sleep(std::time::Duration::from_millis(60 + 50 * cycle));
            std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill runs")
        });
        accepted.extend(submitting.await.into_iter().flatten());
        killer.await.expect("the killer ran");
        server = server.crash_and_restart();
    }
    assert!(accepted.len() > 20, "the load was real: {} runs", accepted.len());
    for (run_id, thread) in &accepted {
        let record = server.until_over(run_id).await;
        let is_closed = record["error"]["code"] == "interrupted";
        assert!(record["status"] == "succeeded" || is_closed, "{record}");
        let replay = server.replay("quick", thread.as_str().unwrap()).await;
        let starts = types(&replay).iter().filter(|kind| **kind == "RUN_STARTED").count();
        assert_eq!(starts, 1, "{run_id} happened once: {replay:?}");
    }
}

const SLOW: &str =
    "{ when: { text: slow }, do: [ { repeat: { times: 400, do: [ { say: tick }, { wait: 50ms } ] } } ] }";

/// An agent whose busy threads are dealt with like this.
pub(super) fn with_conflict(policy: &str) -> String {
    let turns = format!("[ {SLOW}, {{ do: [ {{ say: \"You said: {{message}}\" }} ] }} ]");
    format!(
        "agent: {{ kind: native, name: scripted, config: {{ pace: 0ms, turns: {turns} }} }}\n\
         run: {{ concurrency: {{ on_conflict: {policy} }} }}\n"
    )
}

#[tokio::test]
async fn a_run_that_waits_for_its_thread_streams_when_it_begins_and_survives_its_client_and_the_process() {
    let home = Home::with_agents(&[("agent.yaml", &with_conflict("enqueue"))]);
    let server = home.serve();
    let mut live = server.run("agent", &say("t", "u1", "slow")).await;
    live.until("TEXT_MESSAGE_CONTENT").await;
    let waiting = server.run("agent", &say("t", "u2", "second")).await;
    let left = server.run("agent", &say("t", "u3", "third")).await;
    let queued = server.get_v1("/runs?status=queued").await.body["items"].as_array().unwrap().clone();
    assert_eq!(queued.iter().map(|run| run["cause"]["type"].as_str().unwrap()).collect::<Vec<_>>(), ["user", "user"]);
    drop(left);
    assert_eq!(server.stop("agent", "t").await["stopped"], true);
    assert_eq!(text(&waiting.rest().await), "You said: second");
    let third = queued[0]["run_id"].as_str().unwrap();
    assert_eq!(server.until_over(third).await["status"], "succeeded", "its client has left");

    let mut live = server.run("agent", &say("t", "u4", "slow")).await;
    live.until("TEXT_MESSAGE_CONTENT").await;
    let submitted = server.submit("agent", &json!({ "prompt": "fifth", "thread_id": "t" })).await;
    let waits = server.run("agent", &say("t", "u6", "sixth")).await;
    let page = server.get_v1("/runs?status=queued").await;
    let sixth = page.body["items"][0]["run_id"].as_str().unwrap().to_owned();
    let server = server.crash_and_restart();
    drop(waits);
    let live_run = server.get_v1("/runs?status=running").await.body["items"][0]["run_id"].clone();
    if let Some(run_id) = live_run.as_str() {
        // It goes on where it was cut off, until it is stopped.
        server.post_v1(&format!("/runs/{run_id}/cancel"), &json!({}), &[]).await;
    }
    for run_id in [&submitted, &sixth] {
        assert_eq!(server.until_over(run_id).await["status"], "succeeded");
    }
    let said = text(&server.replay("agent", "t").await);
    assert!(said.ends_with("You said: sixthYou said: fifth"), "people come first, and each once: {said}");
    assert_eq!(said.matches("You said: sixth").count(), 1);
}

#[tokio::test]
async fn a_run_that_waits_can_be_stopped_by_its_client_and_ends_as_a_stopped_one() {
    let home = Home::with_agents(&[("agent.yaml", &with_conflict("enqueue"))]);
    let server = home.serve_in_memory();
    let mut live = server.run("agent", &say("t", "u1", "slow")).await;
    live.until("TEXT_MESSAGE_CONTENT").await;
    let input = say("t", "u2", "second");
    let waiting = server.run("agent", &input).await;
    let stop = json!({ "runId": input["runId"] });
    assert_eq!(server.post("/agent/agent/stop/t", &stop).await.json::<Value>().await.unwrap()["stopped"], true);
    assert_eq!(types(&waiting.rest().await), ["RUN_STARTED", "RUN_FINISHED"]);
    assert_eq!(server.get_v1("/runs?status=cancelled").await.body["items"].as_array().unwrap().len(), 1);
    live.until("TEXT_MESSAGE_CONTENT").await;
}

#[tokio::test]
async fn a_run_that_supersedes_takes_the_place_of_what_is_at_work_and_of_what_waits() {
    let home = Home::with_agents(&[("agent.yaml", &with_conflict("supersede"))]);
    let server = home.serve_in_memory();
    let mut live = server.run("agent", &say("t", "u1", "slow")).await;
    live.until("TEXT_MESSAGE_CONTENT").await;
    assert_eq!(text(&server.run_to_end("agent", &say("t", "u2", "second")).await), "You said: second");
    assert_eq!(live.rest().await.last().unwrap()["type"], "RUN_FINISHED");
    let third = server.submit("agent", &json!({ "prompt": "slow", "thread_id": "t" })).await;
    server.until_status(&third, &["running"]).await;
    let fourth = server.submit("agent", &json!({ "prompt": "fourth", "thread_id": "t" })).await;
    assert_eq!(server.until_over(&fourth).await["status"], "succeeded");
    assert_eq!(server.record(&third).await["status"], "superseded");
    let statuses = server.get_v1("/runs").await.body["items"].clone();
    let statuses: Vec<_> = statuses.as_array().unwrap().iter().map(|run| run["status"].clone()).collect();
    assert_eq!(statuses, ["succeeded", "superseded", "succeeded", "superseded"]);
}

#[tokio::test]
async fn runs_that_are_coalesced_become_one_that_is_asked_everything() {
    let home = Home::with_agents(&[("agent.yaml", &with_conflict("coalesce"))]);
    let server = home.serve();
    let first = server.submit("agent", &json!({ "prompt": "slow", "thread_id": "t" })).await;
    server.until_status(&first, &["running"]).await;
    let ask = async |n: usize| server.submit("agent", &json!({ "prompt": format!("ask {n}"), "thread_id": "t" })).await;
    let second = ask(2).await;
    assert_eq!((ask(3).await, ask(4).await), (second.clone(), second.clone()));
    let browser = server.run("agent", &say("t", "u5", "ask 5")).await;
    assert_eq!(server.get_v1("/runs").await.body["items"].as_array().unwrap().len(), 2);
    server.post_v1(&format!("/runs/{first}/cancel"), &json!({}), &[]).await;
    assert_eq!(server.until_over(&second).await["status"], "succeeded");
    assert_eq!(text(&browser.rest().await), "You said: ask 5");
    let replay = server.replay("agent", "t").await;
    let started: Vec<_> = replay.iter().filter(|event| event["type"] == "RUN_STARTED").collect();
    let asked: Vec<_> = started[1]["input"]["messages"].as_array().unwrap().iter().map(|it| &it["content"]).collect();
    assert_eq!(asked, ["ask 2", "ask 3", "ask 4", "ask 5"]);
}

#[tokio::test]
async fn a_paused_agent_keeps_what_waits_and_takes_nothing_new_until_it_is_resumed() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let busy = join_all((0..8).map(|_| submit_slow(&server))).await;
    for run_id in &busy {
        server.until_status(run_id, &["running"]).await;
    }
    let waiting = server.submit("demo", &json!({ "prompt": "hello" })).await;
    let paused = server.post_v1("/agents/demo/pause", &json!({}), &[]).await;
    assert_eq!((paused.status, &paused.body["status"]), (200, &json!("paused")));
    assert_eq!(server.try_submit("demo", &json!({ "prompt": "x" })).await.refusal(), (409, "agent_paused"));
    for call in ["run", "suggest"] {
        let refused = server.post(&format!("/agent/demo/{call}"), &say("p", "u1", "hello")).await;
        assert_eq!(refused.status(), 409, "{call}");
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], "agent_paused", "{call}");
    }
    let mut suggestion = say("p", "u1", "hello");
    suggestion["tools"] = json!([{"name": "copilotkitSuggest", "description": "", "parameters": {}}]);
    assert_eq!(server.post("/agent/demo/run", &suggestion).await.status(), 409, "a suggestion by the route of runs");
    for run_id in &busy {
        server.post_v1(&format!("/runs/{run_id}/cancel"), &json!({}), &[]).await;
    }
    let server = server.crash_and_restart();
    assert_eq!(server.get_v1("/agents/demo").await.body["status"], "paused");
    assert_eq!(server.record(&waiting).await["status"], "queued");
    let standing = server.data("lifecycle/agent:demo").await;
    assert_eq!((&standing["paused"], &standing["agent"]), (&json!(true), &json!("demo")));
    assert_eq!(server.post_v1("/agents/demo/resume", &json!({}), &[]).await.body["status"], "ready");
    assert_eq!(server.until_over(&waiting).await["status"], "succeeded");
    assert_eq!(server.post_v1("/agents/nobody/pause", &json!({}), &[]).await.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn the_events_of_a_run_are_read_while_it_is_live_and_afterwards_and_from_where_one_was() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    server.run_to_end("demo", &say("t", "u1", "count")).await;
    let run_id = server.submit("demo", &json!({ "prompt": "long message", "thread_id": "t" })).await;
    let mut live = server.events_of(&run_id, None).await;
    live.until("TEXT_MESSAGE_START").await;
    let position: u64 = live.last_id.clone().unwrap().parse().expect("an id is a number");
    for _ in 0..20 {
        live.until("TEXT_MESSAGE_CONTENT").await;
    }
    let mut cut = server.events_of(&run_id, Some(position)).await;
    let next = cut.until("TEXT_MESSAGE_CONTENT").await;
    assert_eq!(next["delta"], "word ");
    server.post_v1(&format!("/runs/{run_id}/cancel"), &json!({}), &[]).await;
    let rest = live.rest().await;
    assert_eq!(rest.last().unwrap()["type"], "RUN_FINISHED");
    assert_eq!(cut.rest().await.last().unwrap()["type"], "RUN_FINISHED");

    let server = server.crash_and_restart();
    let whole = server.events_of(&run_id, None).await.rest().await;
    assert_eq!((types(&whole)[0], *types(&whole).last().unwrap()), ("RUN_STARTED", "RUN_FINISHED"));
    assert_eq!(whole.iter().filter(|event| event["type"] == "RUN_STARTED").count(), 1, "no other run is among them");
    assert_eq!(state(&whole), json!({ "count": 1 }));
    let after = server.events_of(&run_id, Some(position)).await.rest().await;
    assert_eq!(text(&after), text(&whole));
    assert!(!types(&after).contains(&"RUN_STARTED"), "what the reader has is not told again");
    assert_eq!(server.get_v1("/runs/nobody/events").await.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn the_events_of_a_run_that_waits_come_when_it_begins() {
    let home = Home::with_agents(&[("agent.yaml", &with_conflict("enqueue"))]);
    let server = home.serve_in_memory();
    let first = server.submit("agent", &json!({ "prompt": "slow", "thread_id": "t" })).await;
    server.until_status(&first, &["running"]).await;
    let second = server.submit("agent", &json!({ "prompt": "second", "thread_id": "t" })).await;
    let third = server.submit("agent", &json!({ "prompt": "third", "thread_id": "t" })).await;
    let (events, never) = (server.events_of(&second, None).await, server.events_of(&third, None).await);
    server.post_v1(&format!("/runs/{third}/cancel"), &json!({}), &[]).await;
    assert_eq!(never.rest().await, [Value::Null; 0], "nothing came of it");
    server.post_v1(&format!("/runs/{first}/cancel"), &json!({}), &[]).await;
    assert_eq!(text(&events.rest().await), "You said: second");
}

#[tokio::test]
async fn what_runs_came_to_is_added_up_once_by_agent_and_by_day() {
    let home = Home::with_agents(&[DEMO]);
    let mut server = home.serve();
    for n in 0..3 {
        server.run_to_end("demo", &say("t", &format!("u{n}"), "hello")).await;
        server = server.crash_and_restart();
    }
    for by in ["agent", "day"] {
        let usage = server.get_v1(&format!("/usage?by={by}")).await;
        let [line] = usage.body["items"].as_array().unwrap().as_slice() else { panic!("one line: {usage:?}") };
        assert_eq!((&line["runs"], &line["total_tokens"]), (&json!(3), &json!(0)), "{line}");
        assert!(line[by].is_string(), "{line}");
    }
    assert_eq!(server.get_v1("/usage?by=week").await.refusal(), (400, "invalid_query"));
}

#[tokio::test]
async fn a_run_ends_when_its_time_is_up_or_nothing_comes_of_it() {
    let agent = |budget: &str| {
        let turns = format!("[ {SLOW}, {{ do: [ {{ wait: 60s }} ] }} ]");
        format!(
            "agent: {{ kind: native, name: scripted, config: {{ pace: 0ms, turns: {turns} }} }}\nrun: {{ budget: {budget} }}\n"
        )
    };
    let (wall, stuck) = (agent("{ wall: 300ms }"), agent("{ no_progress: 300ms }"));
    let home = Home::with_agents(&[("wall.yaml", &wall), ("stuck.yaml", &stuck)]);
    let server = home.serve_in_memory();
    let wall = server.until_over(&server.submit("wall", &json!({ "prompt": "slow" })).await).await;
    assert_eq!((&wall["status"], &wall["error"]["code"]), (&json!("budget_exceeded"), &json!("budget_exceeded")));
    let stuck = server.run_to_end("stuck", &say("t", "u1", "wait")).await;
    assert_eq!(stuck.last().unwrap()["code"], "no_progress");
    let page = server.get_v1("/runs?agent=stuck").await;
    assert_eq!(page.body["items"][0]["status"], "budget_exceeded");
}
