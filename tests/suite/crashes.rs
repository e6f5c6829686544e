//! What is left after `kill -9` and what a graceful stop does, through the real binary.

use std::time::Duration;

use serde_json::json;

use crate::support::agents::{BOARD, DEMO, fleeting};
use crate::support::events::{state, text, types};
use crate::support::server::{HalfSent, Home, say};

#[tokio::test]
async fn a_run_that_was_live_at_a_kill_is_closed_properly() {
    let home = Home::with_agents(&[("demo.yaml", &fleeting())]);
    let server = home.serve();
    let mut stream = server.run("demo", &say("t", "u1", "long message")).await;
    stream.until("TEXT_MESSAGE_START").await;
    let id = stream.last_id.clone().expect("a durable frame has an id");
    // A second of words: everything older than the last tenth of a second is stored.
    for _ in 0..40 {
        stream.until("TEXT_MESSAGE_CONTENT").await;
    }
    let server = server.crash_and_restart();
    let replay = server.replay("demo", "t").await;
    assert_eq!(types(&replay)[..2], ["RUN_STARTED", "TEXT_MESSAGE_START"]);
    assert_eq!(types(&replay)[replay.len() - 3..], ["TEXT_MESSAGE_END", "STATE_SNAPSHOT", "RUN_ERROR"]);
    assert_eq!(replay.last().unwrap()["code"], "interrupted");
    assert!(text(&replay).split_whitespace().count() > 20, "stored text is there: {}", text(&replay));
    let rest = server.connect_after("demo", "t", &id).await.rest().await;
    assert_eq!(text(&rest), text(&replay), "a client that was cut gets the rest");
    let next = server.run_to_end("demo", &say("t", "u2", "hello")).await;
    assert_eq!(text(&next), "You said: hello", "the thread goes on");
}

#[tokio::test]
async fn everything_that_was_finished_is_there_after_a_kill() {
    let home = Home::with_agents(&[DEMO, BOARD]);
    let server = home.serve();
    for n in 0..5 {
        server.run_to_end("demo", &say("t", &format!("u{n}"), "count")).await;
    }
    server.run_to_end("board", &say("b", "u", "add")).await;
    let before = server.replay("demo", "t").await;
    let server = server.crash_and_restart();
    assert_eq!(server.replay("demo", "t").await, before);
    assert_eq!(state(&server.replay("board", "b").await)["items"], json!(["from the agent"]));
    assert_eq!(server.get("/threads").await["threads"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn no_run_that_a_client_saw_is_lost_in_a_loop_of_kills() {
    let home = Home::with_agents(&[DEMO]);
    let mut server = home.serve();
    let mut expected = Vec::new();
    for cycle in 0..6_u64 {
        let runs = (0..8).map(|writer| {
            let (server, thread) = (&server, format!("thread-{writer}"));
            async move {
                let mut seen = Vec::new();
                for n in 0..50 {
                    let id = format!("{thread}-{cycle}-{n}");
                    let url = server.copilotkit("/agent/demo/run");
                    let request = server.http().post(url).json(&say(&thread, &id, "hello"));
                    let Ok(response) = request.send().await else { break };
                    let Ok(body) = response.text().await else { break };
                    if !body.contains("RUN_FINISHED") {
                        break;
                    }
                    seen.push((thread.clone(), id));
                }
                seen
            }
        });
        let pid = server.pid();
        let killer = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(200 + 70 * cycle));
            std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill runs")
        });
        let seen = futures_util::future::join_all(runs).await;
        killer.await.expect("the killer ran");
        expected.extend(seen.into_iter().flatten());
        server = server.crash_and_restart();
    }
    assert!(expected.len() > 20, "the load was real: {} runs", expected.len());
    for writer in 0..8 {
        let thread = format!("thread-{writer}");
        let replay = server.replay("demo", &thread).await;
        let ids = replay.iter().filter_map(|event| event["input"]["messages"][0]["id"].as_str());
        let ids: Vec<_> = ids.collect();
        for (_, id) in expected.iter().filter(|(of, _)| *of == thread) {
            assert_eq!(ids.iter().filter(|seen| *seen == id).count(), 1, "run {id} of {thread} is there once");
        }
        let starts = types(&replay).iter().filter(|t| **t == "RUN_STARTED").count();
        let ends = types(&replay).iter().filter(|t| matches!(**t, "RUN_FINISHED" | "RUN_ERROR")).count();
        assert_eq!(starts, ends, "every run of {thread} is closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_ends_streams_cleanly_and_exits_in_time() {
    let home = Home::with_agents(&[("demo.yaml", &fleeting())]);
    let mut server = home.serve();
    let mut stream = server.run("demo", &say("t", "u1", "slow")).await;
    stream.until("TEXT_MESSAGE_CONTENT").await;
    let reading = tokio::spawn(stream.rest());
    let (code, took) = tokio::task::block_in_place(|| server.terminate());
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let rest = reading.await.expect("the stream ended cleanly");
    assert_eq!(rest.last().unwrap()["code"], "interrupted");
    let server = home.serve();
    assert_eq!(server.replay("demo", "t").await.last().unwrap()["code"], "interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_once_the_stop_has_begun() {
    let home = Home::with_agents(&[("demo.yaml", &fleeting())]);
    let mut server = home.serve();
    let mut live = server.run("demo", &say("live", "u1", "slow")).await;
    live.until("TEXT_MESSAGE_CONTENT").await;
    let mut suggestion = say("s", "u1", "slow");
    suggestion["tools"] = json!([{"name": "copilotkitSuggest", "description": "", "parameters": {}}]);
    let mut suggesting = server.run("demo", &suggestion).await;
    suggesting.until("TEXT_MESSAGE_CONTENT").await;
    // Requests whose bodies are still on their way when the stop comes, on a new thread and on one that is live.
    let mut late = Vec::new();
    for thread in ["new", "live"] {
        late.push(HalfSent::new(&server, "POST", "/agent/demo/run", &say(thread, "u2", "hello")).await);
    }
    server.begin_to_stop();
    assert_eq!(live.rest().await.last().unwrap()["code"], "interrupted");
    assert_eq!(suggesting.rest().await.last().unwrap()["code"], "interrupted");
    for request in late {
        let (status, body) = request.finish().await;
        assert_eq!((status, body["code"].as_str()), (503, Some("unavailable")));
        assert_eq!(body["message"], "the server is shutting down");
    }
    let (code, took) = tokio::task::block_in_place(|| server.terminate());
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(4), "nothing was left to wait for: {took:?}");
    let server = home.serve();
    assert!(server.replay("demo", "new").await.is_empty(), "what was refused left nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_on_its_way_when_the_stop_comes_is_answered_and_what_it_writes_is_kept() {
    let home = Home::with_agents(&[DEMO]);
    let mut server = home.serve();
    server.run_to_end("demo", &say("t", "u", "hello")).await;
    let rename = json!({"name": "Kept at the last moment"});
    let request = HalfSent::new(&server, "PATCH", "/threads/t", &rename).await;
    server.begin_to_stop();
    while std::net::TcpStream::connect(server.url.trim_start_matches("http://")).is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, thread) = request.finish().await;
    assert_eq!((status, &thread["name"]), (200, &rename["name"]));
    assert_eq!(server.ended().await, Some(0));
    let server = home.serve();
    assert_eq!(server.get("/threads").await["threads"][0]["name"], rename["name"]);
}

#[tokio::test]
async fn a_second_server_on_the_same_database_is_refused() {
    let home = Home::with_agents(&[DEMO]);
    let _server = home.serve();
    let options = home.options();
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_coagent"))
        .args(["serve", "--listen", "127.0.0.1:0", "--store", &options.store])
        .output()
        .expect("the binary starts");
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("in use"), "{said}");
}

#[tokio::test]
async fn a_bad_configuration_is_said_in_one_line_with_exit_code_2() {
    for (flags, says) in [
        (["--listen", "0.0.0.0:0"], "loopback"),
        (["--store", "mysql://x"], "memory:, sqlite:PATH"),
        (["--base-path", "x"], "begin with `/`"),
        (["--cors-origins", "nonsense"], "origin"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_coagent"))
            .arg("serve")
            .args(flags)
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.trim().lines().count() == 1 && said.contains(says), "{flags:?}: {said}");
    }
}
