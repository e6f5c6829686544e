//! Runs go on from their last step after the process died under them, and nothing of them is done twice.

use std::sync::Arc;

use coagent_runtime::store::Memory;
use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::{EventStream, state, text, types};
use crate::support::model::{called, said, usage};
use crate::support::mortal::Mortal;
use crate::support::server::{Home, Server, say};
use crate::support::steps::{Steps, Stop};
use crate::support::upstream::{Answer, Then, Upstream, status};

const STATE: &str = "state: { initial: { log: [] } }";

/// Four answers with four calls between them; each costs 10 tokens and says 5.
pub(super) fn answers() -> Vec<Vec<Value>> {
    let append = |what: &str| json!({ "ops": [{ "op": "add", "path": "/log/-", "value": what }] }).to_string();
    let title = json!({ "path": "/title", "value": "T" }).to_string();
    vec![
        vec![said("First "), said("things first."), called(0, "c1", "state_patch", &append("one")), usage(10, 5)],
        vec![called(0, "c2", "state_set", &title), usage(10, 5)],
        vec![
            said("And "),
            said("then?"),
            called(0, "c3", "state_patch", &append("two")),
            called(1, "c4", "state_read", "{}"),
            usage(10, 5),
        ],
        vec![said("All "), said("done."), usage(10, 5)],
    ]
}

pub(super) fn home(model: &Steps) -> Home {
    Home::with_agents(&[("helper.md", &model.agent(STATE))])
}

/// What the events of such a run come to, whatever happened under way; `server` still serves it.
pub(super) async fn check(events: &[Value], model: &Steps, server: &Server) {
    let end = events.last().expect("a terminal");
    assert_eq!(end["type"], "RUN_FINISHED", "{events:#?}");
    let used = &end["usage"][0];
    assert_eq!((&used["inputTokens"], &used["outputTokens"]), (&json!(40), &json!(20)), "each answer is paid for once");
    assert_eq!(state(events), json!({ "log": ["one", "two"], "title": "T" }));
    let results = events.iter().filter(|event| event["type"] == "TOOL_CALL_RESULT");
    let ok = results.filter(|event| event["content"].as_str().is_some_and(|content| content.contains("\"ok\":true")));
    assert_eq!(ok.count(), 4, "each call has its result once: {events:#?}");
    assert_every_message_is_closed(events);
    let document =
        server.http().get(format!("{}/v1/state/agent/helper:t", server.url)).send().await.expect("an answer");
    let document: Value = document.json().await.expect("JSON");
    assert_eq!(document["version"], 4, "the initial state and three writes: {document}");
    let mut asked = model.asked();
    let count = asked.len();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, [0, 1, 2, 3]);
    assert!(count <= 5, "at most the answer that was under way is asked for again: {:?}", model.asked());
    let messages = server.get("/threads/t/messages").await;
    let last = messages["messages"].as_array().expect("messages").last().expect("a message").clone();
    assert_eq!(last["content"], "All done.");
}

fn assert_every_message_is_closed(events: &[Value]) {
    let ids = |event_type: &str| -> Vec<String> {
        let of_type = events.iter().filter(|event| event["type"] == event_type);
        let mut ids: Vec<_> = of_type.map(|event| event["messageId"].as_str().expect("an id").to_owned()).collect();
        ids.sort_unstable();
        ids
    };
    let starts = ids("TEXT_MESSAGE_START");
    assert_eq!(starts, ids("TEXT_MESSAGE_END"));
    assert!(starts.windows(2).all(|pair| pair[0] != pair[1]), "what is said again has a new id: {starts:?}");
}

/// Starts a run and does not wait for it.
pub(super) fn start(server: &Server, agent: &'static str, text: &'static str) -> tokio::task::JoinHandle<()> {
    let (http, url) = (server.http().clone(), server.copilotkit(&format!("/agent/{agent}/run")));
    tokio::spawn(async move {
        // The server dies under it, so it may end in any way.
        if let Ok(mut response) = http.post(url).json(&say("t", "u", text)).send().await {
            while let Ok(Some(_)) = response.chunk().await {}
        }
    })
}

/// Runs an agent on a store that dies at its n-th commit, for every n, and lets another runtime go on on what is left of it;
/// `check` sees the events of the thread, when there is a run at all.
async fn at_each_commit(
    home: &Home,
    agent: &'static str,
    text: &'static str,
    check: impl AsyncFn(bool, Vec<Value>, Server),
) {
    for last_is_written in [false, true] {
        for commits in 0.. {
            assert!(commits < 200, "the run ends");
            let kept = Arc::new(Memory::new());
            let store = Mortal::new(&kept, commits, last_is_written);
            let mut died = store.died();
            let server = home.serve_here(store).await;
            let mut running = start(&server, agent, text);
            let is_dead = tokio::select! {
                _ = died.wait_for(|died| *died) => true,
                _ = &mut running => false,
            };
            drop(server);
            running.abort();
            let server = home.serve_here(kept).await;
            let events = server.replay(agent, "t").await;
            // A document without a run is shown as it is, too.
            if events.len() > 3 {
                check(last_is_written, events, server).await;
            } else {
                assert!(commits < 3, "a run that was started is there: {events:#?}");
            }
            if !is_dead {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_at_any_of_its_commits_ends_as_if_it_had_not() {
    let model = Steps::start(answers(), None).await;
    let home = home(&model);
    at_each_commit(&home, "helper", "go", async |last_is_written, events, server| {
        check(&events, &model, &server).await;
        let is_whole = types(&events).iter().filter(|kind| **kind == "TEXT_MESSAGE_START").count() == 3;
        if last_is_written && is_whole {
            assert_eq!(model.asked(), [0, 1, 2, 3], "no answer that is stored is asked for again");
        }
        model.forget();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_around_and_in_each_answer_ends_as_if_it_had_not() {
    let kinds: [fn(usize) -> Stop; 3] = [Stop::Before, Stop::During, Stop::Unfinished];
    for stop in (0..4).flat_map(|step| kinds.map(|kind| kind(step))) {
        let model = Steps::start(answers(), Some(stop)).await;
        let home = home(&model);
        let server = home.serve();
        let running = start(&server, "helper", "go");
        model.has_stopped().await;
        let server = server.crash_and_restart();
        let events = server.replay("helper", "t").await;
        check(&events, &model, &server).await;
        running.await.expect("its stream was cut");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_was_at_work_at_a_kill_is_called_again_only_if_that_does_no_harm() {
    for (is_idempotent, calls, told) in [(false, 1, r#"{"error":"interrupted"}"#), (true, 2, "paid")] {
        let answers = vec![vec![called(0, "c1", "pay", r#"{"sum":3}"#)], vec![said("All done.")]];
        let model = Steps::start(answers, None).await;
        // It takes the request and never answers.
        let bank = Upstream::start(Answer { bytes: Vec::new(), piece: 0, then: Then::Hold }).await;
        let url = bank.url.clone();
        let tool = format!(
            "type: http, method: POST, url: \"{url}\", input: {{ type: object, properties: {{ sum: {{ type: integer }} }} }}, \
             body: {{ sum: 3 }}, output_pointer: /told, idempotent: {is_idempotent}, allow_private: true"
        );
        let home = Home::with_agents(&[("helper.md", &model.agent(&format!("tools: {{ pay: {{ {tool} }} }}")))]);
        let server = home.serve();
        let running = start(&server, "helper", "go");
        while bank.bodies().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        bank.answers(status("200 OK", r#"{"told":"paid"}"#));
        let server = server.crash_and_restart();
        let events = server.replay("helper", "t").await;
        assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"), "{events:#?}");
        let results: Vec<_> = events.iter().filter(|event| event["type"] == "TOOL_CALL_RESULT").collect();
        assert_eq!(results.len(), 1, "{results:#?}");
        assert!(results[0]["content"].as_str().is_some_and(|content| content.contains(told)), "{results:#?}");
        assert_eq!((bank.bodies().len(), model.asked()), (calls, vec![0, 1]));
        running.await.expect("its stream was cut");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_answer_is_closed_visibly_and_asked_for_again_under_a_new_id() {
    let model = Steps::start(answers(), Some(Stop::During(0))).await;
    let home = home(&model);
    let server = home.serve();
    let mut stream = server.run("helper", &say("t", "u", "go")).await;
    stream.until("TEXT_MESSAGE_CONTENT").await;
    let half = stored_text(&server).await;
    let server = server.crash_and_restart();
    let events = server.replay("helper", "t").await;
    check(&events, &model, &server).await;
    let of_half: Vec<_> = events.iter().filter(|event| event["messageId"] == half).cloned().collect();
    assert_eq!(
        (types(&of_half).first(), types(&of_half).last()),
        (Some(&"TEXT_MESSAGE_START"), Some(&"TEXT_MESSAGE_END"))
    );
    assert_eq!(messages(&events)[..2], ["First things first.", "First things first."]);
    assert_eq!(model.asked(), [0, 0, 1, 2, 3]);
}

/// Waits until streamed text is stored, as another reader of the thread sees by its id; the id of its message.
async fn stored_text(server: &Server) -> Value {
    loop {
        let mut reader = server.connect("helper", "t").await;
        reader.until("TEXT_MESSAGE_START").await;
        reader.last_id = None;
        let event = reader.until("TEXT_MESSAGE_CONTENT").await;
        if reader.last_id.is_some() {
            return event["messageId"].clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_cut_goes_on_where_it_was_in_the_next_process() {
    let model = Steps::start(answers(), Some(Stop::Before(2))).await;
    let home = home(&model);
    let server = home.serve();
    let mut stream = server.run("helper", &say("t", "u", "go")).await;
    let mut seen = Vec::new();
    let title = |event: &Value| event["type"] == "TOOL_CALL_RESULT" && event["toolCallId"] == "c2";
    while !seen.last().is_some_and(title) {
        seen.push(stream.next().await.expect("the run goes on"));
    }
    let id = stream.last_id.clone().expect("a result is durable");
    model.has_stopped().await;
    let server = server.crash_and_restart();
    let rest = server.connect_after("helper", "t", &id).await.rest().await;
    seen.extend(rest.into_iter().filter(|event| event["type"] != "STATE_SNAPSHOT"));
    let whole = server.replay("helper", "t").await;
    let spoken = |events: &[Value]| -> Vec<Value> {
        let is_state = |event: &&Value| event["type"].as_str().is_some_and(|kind| kind.starts_with("STATE_"));
        events.iter().filter(|event| !is_state(event)).map(|event| event["type"].clone()).collect()
    };
    assert_eq!(text(&seen), text(&whole));
    assert_eq!(spoken(&seen).last(), Some(&json!("RUN_FINISHED")));
    check(&whole, &model, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_can_be_followed_stopped_and_never_be_joined_by_another() {
    let model = Steps::start(answers(), Some(Stop::Before(1))).await;
    let home = home(&model);
    let server = home.serve();
    let running = start(&server, "helper", "go");
    model.has_stopped().await;
    model.stops(Stop::Before(1));
    let server = server.crash_and_restart();
    model.has_stopped().await;
    let mut stream = server.connect("helper", "t").await;
    stream.until("TOOL_CALL_RESULT").await;
    let busy = server.post("/agent/helper/run", &say("t", "u2", "hello")).await;
    assert_eq!(busy.status(), 409);
    server.stop("helper", "t").await;
    assert_eq!(stream.rest().await.last().expect("a terminal")["type"], "RUN_FINISHED");
    let server = server.crash_and_restart();
    let events = server.replay("helper", "t").await;
    assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"), "what was stopped stays stopped");
    assert_eq!(model.asked(), [0, 1, 1]);
    running.await.expect("its stream was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_which_the_process_dies_five_times_is_closed() {
    let model = Steps::start(answers(), Some(Stop::Before(1))).await;
    let home = home(&model);
    let mut server = home.serve();
    let running = start(&server, "helper", "go");
    for _ in 0..4 {
        model.has_stopped().await;
        model.stops(Stop::Before(1));
        server = server.crash_and_restart();
    }
    model.has_stopped().await;
    let server = server.crash_and_restart();
    let events = server.replay("helper", "t").await;
    assert_eq!(events.last().expect("a terminal")["code"], "interrupted");
    assert_eq!(model.asked(), [0, 1, 1, 1, 1, 1], "and it is not asked again");
    running.await.expect("its stream was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_as_many_steps_as_one_that_is_never_killed() {
    let look = |n: usize| vec![called(0, "c", "state_read", &json!({ "path": format!("/{n}") }).to_string())];
    let model = Steps::start((0..30).map(look).collect(), Some(Stop::Before(11))).await;
    let home = home(&model);
    let server = home.serve();
    let running = start(&server, "helper", "go");
    model.has_stopped().await;
    let server = server.crash_and_restart();
    let events = server.replay("helper", "t").await;
    assert_eq!(events.last().expect("a terminal")["code"], "budget_exceeded");
    let expected: Vec<usize> = (0..12).chain(11..20).collect();
    assert_eq!(model.asked(), expected);
    running.await.expect("its stream was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_suspends_a_run_and_the_next_start_goes_on_with_it() {
    let model = Steps::start(answers(), Some(Stop::During(2))).await;
    let home = home(&model);
    let mut server = home.serve();
    let mut stream = server.run("helper", &say("t", "u", "go")).await;
    stream.until("TOOL_CALL_RESULT").await;
    stream.until("TEXT_MESSAGE_CONTENT").await;
    model.has_stopped().await;
    let reading = tokio::spawn(stream.rest());
    let (code, _) = tokio::task::block_in_place(|| server.terminate());
    assert_eq!(code, Some(0));
    let rest = reading.await.expect("the stream ended cleanly");
    assert!(
        !types(&rest).iter().any(|kind| matches!(*kind, "RUN_FINISHED" | "RUN_ERROR")),
        "it is not over: {rest:#?}"
    );
    let server = home.serve();
    let events = server.replay("helper", "t").await;
    check(&events, &model, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_gracefully_is_no_crash_however_often() {
    let model = Steps::start(answers(), Some(Stop::Before(1))).await;
    let home = home(&model);
    let mut server = home.serve();
    let running = start(&server, "helper", "go");
    for _ in 0..6 {
        model.has_stopped().await;
        model.stops(Stop::Before(1));
        assert_eq!(tokio::task::block_in_place(|| server.terminate()).0, Some(0));
        server = home.serve();
    }
    model.has_stopped().await;
    let server = server.crash_and_restart();
    assert_eq!(server.replay("helper", "t").await.last().expect("a terminal")["type"], "RUN_FINISHED");
    running.await.expect("its stream ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_durable_is_closed_as_interrupted() {
    let model = Steps::start(answers(), Some(Stop::Before(1))).await;
    let definition = model.agent(&format!("{STATE}\nrun: {{ durable: off }}"));
    let home = Home::with_agents(&[("helper.md", &definition)]);
    let server = home.serve();
    let running = start(&server, "helper", "go");
    model.has_stopped().await;
    let server = server.crash_and_restart();
    let events = server.replay("helper", "t").await;
    assert_eq!(events.last().expect("a terminal")["code"], "interrupted");
    assert_eq!(model.asked(), [0, 1]);
    running.await.expect("its stream was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scripted_agent_that_dies_at_any_of_its_commits_does_everything_once() {
    let home = Home::with_agents(&[(
        "ten.yaml",
        r#"
state: { initial: { log: [] } }
agent:
  kind: native
  name: scripted
  config:
    pace: 0ms
    turns:
      - do:
          - repeat:
              times: 3
              do:
                - step: { name: round, do: [ { patch: [ { op: add, path: /log/-, value: x } ] }, { say: "one of three" } ] }
                - patch: [ { op: add, path: /log/-, value: y } ]
          - tool: { name: look, args: { at: it }, result: 7 }
          - reason: "so be it"
          - say: "the end"
"#,
    )]);
    at_each_commit(&home, "ten", "go", async |_, events, _| {
        assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"), "{events:#?}");
        assert_eq!(state(&events), json!({ "log": ["x", "y", "x", "y", "x", "y"] }));
        let whole = |wanted: &str| messages(&events).iter().filter(|text| *text == wanted).count();
        assert_eq!((whole("one of three"), whole("the end")), (3, 1), "{events:#?}");
        let results = events.iter().filter(|event| event["type"] == "TOOL_CALL_RESULT" && event["content"] == "7");
        assert_eq!(results.count(), 1);
        assert_every_message_is_closed(&events);
        let brackets = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        assert_eq!(brackets("STEP_STARTED"), brackets("STEP_FINISHED"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planner_that_dies_at_any_of_its_commits_works_on_each_item_once() {
    let home =
        Home::with_agents(&[("planner.yaml", "agent: { kind: native, name: planner, config: { pace: 0ms } }\n")]);
    at_each_commit(&home, "planner", "plan a picnic: place, basket, friends", async |_, events, _| {
        assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"), "{events:#?}");
        let steps = state(&events)["steps"].as_array().expect("a list").clone();
        assert_eq!(steps.len(), 3);
        assert!(steps.iter().all(|step| step["status"] == "done"), "{steps:?}");
        let said = messages(&events);
        let whole =
            |wanted: &str| said.iter().filter(|text| text.starts_with(wanted) && text.ends_with(['.', '”'])).count();
        assert_eq!(whole("I made a plan of 3 steps"), 1, "{said:?}");
        for step in &steps {
            let title = step["title"].as_str().expect("a title");
            assert_eq!(whole(&format!("I am working on “{title}” now")), 1, "{said:?}");
        }
        // Which of the two depends on whether it finds open items when it looks again.
        let ends = whole("The list is done.") + whole("Everything on the list is done.");
        assert_eq!(ends, 1, "{said:?}");
    })
    .await;
}

/// The texts of the messages, in the order they began.
fn messages(events: &[Value]) -> Vec<String> {
    let starts = events.iter().filter(|event| event["type"] == "TEXT_MESSAGE_START");
    let said = |start: &Value| -> String {
        let of_it =
            |event: &&Value| event["type"] == "TEXT_MESSAGE_CONTENT" && event["messageId"] == start["messageId"];
        events.iter().filter(of_it).map(|event| event["delta"].as_str().expect("a text")).collect()
    };
    starts.map(said).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_with_the_definition_it_began_with_whatever_the_folder_says_by_then() {
    let schema = r#"{ "type": "object", "properties": { "log": { "type": "array" }, "title": { "type": "string" } } }"#;
    let state = "state: { initial: { log: [] }, schema: log.schema.json }\nname: ${file:name.txt}";
    for is_deleted in [false, true] {
        let model = Steps::start(answers(), Some(Stop::Before(1))).await;
        let definition = model.agent(state);
        let files = [("helper.md", definition.as_str()), ("log.schema.json", schema), ("name.txt", "Helper")];
        let home = Home::with_agents(&files);
        let mut server = home.serve();
        let running = start(&server, "helper", "go");
        model.has_stopped().await;
        server.kill();
        if is_deleted {
            std::fs::remove_file(home.path().join("agents/helper.md")).expect("it was there");
            std::fs::remove_file(home.path().join("agents/log.schema.json")).expect("it was there");
            home.write_agent("other.yaml", "agent: { kind: native, name: guide }\n");
        } else {
            home.write_agent("helper.md", &definition.replace("Be brief.", "Be long."));
            home.write_agent("log.schema.json", &schema.replace("title", "headline"));
        }
        let server = home.serve();
        let thread = server.get("/threads/t/messages").await;
        assert!(thread["messages"].is_array());
        while model.asked().last() != Some(&3) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(model.asked(), [0, 1, 1, 2, 3]);
        assert!(model.instructions().iter().all(|text| text == "Be brief."), "{:?}", model.instructions());
        if !is_deleted {
            check(&server.replay("helper", "t").await, &model, &server).await;
            model.forget();
            server.run_to_end("helper", &say("t2", "u", "go")).await;
            assert_eq!(model.instructions().last().map(String::as_str), Some("Be long."));
        }
        running.await.expect("its stream was cut");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_run_goes_on_live_after_a_kill() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let mut stream = server.run("demo", &say("t", "u1", "slow")).await;
    for _ in 0..5 {
        stream.until("TEXT_MESSAGE_END").await;
    }
    let server = server.crash_and_restart();
    let mut stream: EventStream = server.connect("demo", "t").await;
    for _ in 0..10 {
        stream.until("TEXT_MESSAGE_END").await;
    }
    server.stop("demo", "t").await;
    assert_eq!(stream.rest().await.last().expect("a terminal")["type"], "RUN_FINISHED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_whose_run_ended_after_a_kill_can_be_deleted_and_begun_anew() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let mut stream = server.run("demo", &say("t", "u1", "slow")).await;
    stream.until("TEXT_MESSAGE_END").await;
    let server = server.crash_and_restart();
    server.stop("demo", "t").await;
    let deleted = server.http().delete(server.copilotkit("/threads/t")).send().await.expect("an answer");
    assert!(deleted.status().is_success());
    let server = server.crash_and_restart();
    assert!(server.replay("demo", "t").await.is_empty());
    assert_eq!(text(&server.run_to_end("demo", &say("t", "u1", "hello")).await), "You said: hello");
}
