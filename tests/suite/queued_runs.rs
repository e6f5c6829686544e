//! Runs that are submitted: stored before they are acknowledged, started when there is room, whoever watches.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::{text, types};
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
    let waiting = join_all((0..100).map(|_| submit_slow(&server))).await;
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
    server.until_status(&waiting[0], &["running"]).await;
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
async fn a_run_that_a_browser_started_has_a_record_too() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    for (id, word, status) in [("u1", "hello", "succeeded"), ("u2", "fail", "failed"), ("u3", "approve", "waiting")] {
        server.run_to_end("demo", &say(&format!("t-{id}"), id, word)).await;
        let page = server.get_v1(&format!("/runs?thread=t-{id}&agent=demo")).await;
        let [record] = page.body["items"].as_array().unwrap().as_slice() else { panic!("one run: {page:?}") };
        assert_eq!((&record["status"], &record["cause"]["type"]), (&json!(status), &json!("user")));
        assert_eq!(record["error"]["code"].as_str(), (word == "fail").then_some("demo_failed"));
        let run_id = record["run_id"].as_str().unwrap();
        assert_eq!(server.data(&format!("lifecycle/{run_id}")).await, *record);
        let history = server.get_v1(&format!("/state/lifecycle/{run_id}/history")).await;
        let versions: Vec<_> = history.body["commits"].as_array().unwrap().iter().map(|it| &it["version"]).collect();
        assert_eq!(versions, [1, 2]);
        let write = server.put_document(&format!("lifecycle/{run_id}"), &json!({ "status": "dead" }), &[]).await;
        assert_eq!(write.refusal(), (403, "forbidden"));
    }
    server.run_to_end("demo", &say("t-u1", "u4", "colour")).await;
    let page = server.get_v1("/runs?limit=1").await;
    assert_eq!(page.body["items"][0]["thread_id"], "t-u1", "the newest comes first");
    let mut suggestion = say("t-u1", "u5", "hello");
    suggestion["tools"] = json!([{ "name": "copilotkitSuggest", "description": "", "parameters": {} }]);
    server.run_to_end("demo", &suggestion).await;
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let page = server.get_v1(&format!("/runs?limit=1{cursor}")).await;
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|run| run["status"].clone()));
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["succeeded", "waiting", "failed", "succeeded"], "a suggestion is none of them");
}

#[tokio::test]
async fn the_record_of_a_run_that_was_cut_off_is_right_after_the_kill() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let run_id = server.submit("demo", &json!({ "prompt": "slow" })).await;
    server.until_status(&run_id, &["running"]).await;
    let server = server.crash_and_restart();
    let record = server.record(&run_id).await;
    let is_closed = record["status"] == "failed" && record["error"]["code"] == "interrupted";
    assert!(is_closed || record["status"] == "running", "closed, or going on: {record}");
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
