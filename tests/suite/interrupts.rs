//! Questions of an agent that wait for a person: one resume answers all of them, each once.

use serde_json::{Value, json};

use crate::support::agents::DEMO;
use crate::support::events::{messages, text, types};
use crate::support::server::{Home, Server, say, with_messages};
use crate::support::upstream::{Upstream, events};

const STARTED: &str = r#"{"type":"RUN_STARTED","threadId":"x","runId":"y"}"#;
const FINISHED: &str = r#"{"type":"RUN_FINISHED","threadId":"x","runId":"y"}"#;
const TWO_QUESTIONS: &str = r#"{"type":"RUN_FINISHED","threadId":"x","runId":"y","outcome":{"type":"interrupt","interrupts":[{"id":"price","reason":"confirmation"},{"id":"date","reason":"input_required","responseSchema":{"type":"object"}}]}}"#;

/// A thread on which an upstream waits for two answers, and the input that asked for it.
async fn asked() -> (Home, Server, Upstream, Value) {
    let upstream = Upstream::start(events(&[STARTED, TWO_QUESTIONS])).await;
    let agent = format!("agent: {{ kind: remote, url: \"{}\" }}", upstream.url);
    let home = Home::with_agents(&[("remote.yaml", &agent)]);
    let server = home.serve_in_memory();
    let input = say("t", "u", "book it");
    let run = server.run_to_end("remote", &input).await;
    assert_eq!(run.last().expect("a terminal")["outcome"]["interrupts"].as_array().expect("questions").len(), 2);
    upstream.answers(events(&[STARTED, FINISHED]));
    (home, server, upstream, input)
}

fn answer(id: &str, status: &str) -> Value {
    json!({"interruptId": id, "status": status})
}

#[tokio::test]
async fn a_resume_that_answers_some_of_the_questions_reaches_no_agent_and_leaves_all_of_them_open() {
    let (_home, server, upstream, mut input) = asked().await;
    for (resume, names) in [
        (json!([answer("price", "resolved")]), "interrupt `date` has no answer"),
        (json!([answer("date", "cancelled")]), "interrupt `price` has no answer"),
        (json!([answer("price", "resolved"), answer("price", "resolved")]), "interrupt `price` is answered twice"),
        (
            json!([answer("price", "resolved"), answer("date", "resolved"), answer("price", "cancelled")]),
            "interrupt `price` is answered twice",
        ),
        (
            json!([answer("price", "resolved"), answer("date", "resolved"), answer("colour", "resolved")]),
            "does not wait for an answer to interrupt `colour`",
        ),
    ] {
        input["resume"] = resume;
        let run = server.run_to_end("remote", &input).await;
        let end = run.last().expect("a terminal");
        assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!("invalid_resume")));
        assert!(end["message"].as_str().expect("a message").contains(names), "{end}");
    }
    assert_eq!(upstream.bodies().len(), 1, "the agent was asked nothing");
    input["resume"] =
        json!([{"interruptId": "price", "status": "resolved", "payload": {"ok": true}}, answer("date", "cancelled")]);
    let resumed = server.run_to_end("remote", &input).await;
    assert_eq!(types(&resumed).last(), Some(&"RUN_FINISHED"));
    assert_eq!(upstream.last_input()["resume"], input["resume"]);
}

#[tokio::test]
async fn an_answer_that_comes_again_starts_nothing_again() {
    let (_home, server, upstream, mut input) = asked().await;
    input["resume"] = json!([answer("price", "resolved"), answer("date", "resolved")]);
    server.run_to_end("remote", &input).await;
    let again = server.run_to_end("remote", &input).await;
    assert_eq!(again.last().expect("a terminal")["code"], "invalid_resume");
    assert_eq!(upstream.bodies().len(), 2);
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_is_refused_and_becomes_no_run_of_the_thread() {
    let (_home, server, upstream, mut input) = asked().await;
    let before = server.replay("remote", "t").await;
    input["messages"] = json!([input["messages"][0], {"id": "u2", "role": "user", "content": "and this"}]);
    input["resume"] = json!([answer("colour", "resolved")]);
    let refused = server.run_to_end("remote", &input).await;
    assert_eq!(types(&refused), ["RUN_STARTED", "RUN_ERROR"]);
    assert_eq!(refused[1]["code"], "invalid_resume");
    assert_eq!(server.replay("remote", "t").await, before, "a reload tells the error to nobody, and asks again");
    assert_eq!(server.get_v1("/runs?thread=t").await.body["items"].as_array().map(Vec::len), Some(1));
    input["resume"] = json!([answer("price", "resolved"), answer("date", "resolved")]);
    assert_eq!(types(&server.run_to_end("remote", &input).await).last(), Some(&"RUN_FINISHED"));
    assert_eq!(upstream.last_input()["messages"].as_array().map(Vec::len), Some(2), "what came with it comes again");
}

#[tokio::test]
async fn a_page_that_connects_is_not_asked_what_can_be_answered_no_more() {
    let expired = TWO_QUESTIONS.replace(r#""reason":"#, r#""expiresAt":"2020-01-01T00:00:00Z","reason":"#);
    for (questions, is_asked) in [(TWO_QUESTIONS, true), (expired.as_str(), false)] {
        let upstream = Upstream::start(events(&[STARTED, questions])).await;
        let agent = format!("agent: {{ kind: remote, url: \"{}\" }}", upstream.url);
        let home = Home::with_agents(&[("remote.yaml", &agent)]);
        let server = home.serve_in_memory();
        let input = say("t", "u", "book it");
        server.run_to_end("remote", &input).await;
        let seen = server.replay("remote", "t").await;
        let end = seen.last().expect("a terminal");
        assert_eq!((&end["type"], end["outcome"].is_object()), (&json!("RUN_FINISHED"), is_asked), "{end}");
        let cancelled = json!([answer("price", "cancelled"), answer("date", "cancelled")]);
        let mut resume = input.clone();
        resume["resume"] = cancelled;
        upstream.answers(events(&[STARTED, FINISHED]));
        let run = server.run_to_end("remote", &resume).await;
        assert_eq!(types(&run).last(), Some(&"RUN_FINISHED"), "who was asked may still cancel");
    }
}

#[tokio::test]
async fn a_person_who_writes_instead_of_answering_goes_on_without_the_questions() {
    let (_home, server, upstream, mut input) = asked().await;
    let first = input["messages"][0].clone();
    let next = json!({"id": "u2", "role": "user", "content": "never mind"});
    let run = server.run_to_end("remote", &with_messages("t", &[first, next])).await;
    assert_eq!(types(&run).last(), Some(&"RUN_FINISHED"));
    input["resume"] = json!([answer("price", "resolved"), answer("date", "resolved")]);
    let late = server.run_to_end("remote", &input).await;
    assert_eq!(late.last().expect("a terminal")["code"], "invalid_resume", "nobody waits for it any more");
    assert_eq!(upstream.bodies().len(), 2);
}

#[tokio::test]
async fn the_run_that_asked_waits_until_its_thread_does_not() {
    let answered = json!([answer("price", "resolved"), answer("date", "cancelled")]);
    let (_home, server, upstream, mut input) = asked().await;
    let waiting = server.get_v1("/runs?status=waiting").await.body["items"].clone();
    let run_id = waiting[0]["run_id"].as_str().expect("it waits").to_owned();
    upstream.answers(events(&[STARTED, r#"{"type":"RUN_ERROR","message":"it is down"}"#]));
    input["resume"] = answered.clone();
    server.run_to_end("remote", &input).await;
    assert_eq!(server.record(&run_id).await, waiting[0], "an answer that came to nothing can be given again");
    upstream.answers(events(&[STARTED, TWO_QUESTIONS]));
    server.run_to_end("remote", &input).await;
    assert_eq!(server.record(&run_id).await["status"], "succeeded", "it has its answer");
    let asks_again = server.get_v1("/runs?status=waiting").await.body["items"].clone();
    assert_eq!(asks_again.as_array().map(Vec::len), Some(1), "{asks_again}");
    upstream.answers(events(&[STARTED, FINISHED]));
    let first = input["messages"][0].clone();
    let next = json!({"id": "u2", "role": "user", "content": "never mind"});
    server.run_to_end("remote", &with_messages("t", &[first, next])).await;
    let given_up = server.record(asks_again[0]["run_id"].as_str().expect("an id")).await;
    assert_eq!(given_up["status"], "cancelled", "nobody is asked any more");
    assert_eq!(given_up["finished_at"], asks_again[0]["finished_at"]);
    assert_eq!(server.get_v1("/runs?status=waiting").await.body["items"], json!([]));
}

#[tokio::test]
async fn the_run_that_asked_is_cancelled_with_its_thread() {
    let (_home, server, _upstream, _input) = asked().await;
    let waiting = server.get_v1("/runs?status=waiting").await.body["items"].clone();
    let deleted = server.http().delete(server.copilotkit("/threads/t")).send().await.expect("an answer");
    assert_eq!(deleted.status(), 200);
    assert_eq!(server.record(waiting[0]["run_id"].as_str().expect("an id")).await["status"], "cancelled");
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_refused_and_a_cancellation_is_not() {
    for (expires_at, late) in [
        ("2020-02-02T20:20:20Z", true),
        ("2020-02-02 20:20:20", true),
        ("2020-02-02", true),
        ("2999-01-01T00:00:00+01:00", false),
        ("20200202T202020Z", false),
        ("soon", false),
    ] {
        let question =
            TWO_QUESTIONS.replacen("\"id\":\"price\"", &format!("\"id\":\"price\",\"expiresAt\":\"{expires_at}\""), 1);
        let upstream = Upstream::start(events(&[STARTED, &question])).await;
        let agent = format!("agent: {{ kind: remote, url: \"{}\" }}", upstream.url);
        let home = Home::with_agents(&[("remote.yaml", &agent)]);
        let server = home.serve();
        let mut input = say("t", "u", "book it");
        server.run_to_end("remote", &input).await;
        upstream.answers(events(&[STARTED, FINISHED]));
        // What is waited for is remembered over a crash.
        let server = server.crash_and_restart();
        input["resume"] = json!([answer("price", "resolved"), answer("date", "resolved")]);
        let run = server.run_to_end("remote", &input).await;
        let end = run.last().expect("a terminal");
        if late {
            assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!("invalid_resume")), "{expires_at}");
            assert!(end["message"].as_str().expect("a message").contains("expired at 2020-02-02"), "{end}");
            input["resume"] = json!([answer("price", "cancelled"), answer("date", "resolved")]);
            let run = server.run_to_end("remote", &input).await;
            assert_eq!(types(&run).last(), Some(&"RUN_FINISHED"), "cancelling is always possible");
        } else {
            assert_eq!(end["type"], "RUN_FINISHED", "{expires_at}: {end}");
        }
    }
}

#[tokio::test]
async fn an_agent_that_may_not_ask_people_fails_when_it_does_and_leaves_no_question() {
    let upstream = Upstream::start(events(&[STARTED, TWO_QUESTIONS])).await;
    let agent = format!("agent: {{ kind: remote, url: \"{}\" }}\nhitl: deny", upstream.url);
    let home = Home::with_agents(&[("remote.yaml", &agent)]);
    let server = home.serve_in_memory();
    let mut input = say("t", "u", "book it");
    let run = server.run_to_end("remote", &input).await;
    let end = run.last().expect("a terminal");
    assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!("hitl_denied")), "{end}");
    assert_eq!(server.replay("remote", "t").await.last(), Some(end));
    input["resume"] = json!([answer("price", "resolved"), answer("date", "resolved")]);
    let resumed = server.run_to_end("remote", &input).await;
    assert_eq!(resumed.last().expect("a terminal")["code"], "invalid_resume", "nobody asked");
}

#[tokio::test]
async fn a_run_that_its_upstream_says_was_cancelled_is_recorded_so() {
    let cancelled = FINISHED.replace('}', r#","outcome":{"type":"cancelled"}}"#);
    let upstream = Upstream::start(events(&[STARTED, &cancelled])).await;
    let agent = format!("agent: {{ kind: remote, url: \"{}\" }}", upstream.url);
    let home = Home::with_agents(&[("remote.yaml", &agent)]);
    let server = home.serve_in_memory();
    let run_id = server.submit("remote", &json!({ "prompt": "go" })).await;
    assert_eq!(server.until_over(&run_id).await["status"], "cancelled");
}

/// The last question as an old page is asked it.
fn asked_in_old_words(run: &[Value]) -> Vec<Value> {
    let custom = run.iter().filter(|event| event["type"] == "CUSTOM" && event["name"] == "on_interrupt");
    custom.map(|event| event["value"].clone()).collect()
}

#[tokio::test]
async fn an_old_page_is_asked_in_its_words_and_answers_in_them() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve_in_memory();
    let mut input = say("t", "u", "approve");
    let run = server.run_to_end("demo", &input).await;
    assert_eq!(types(&run)[types(&run).len() - 2..], ["CUSTOM", "RUN_FINISHED"]);
    let values = asked_in_old_words(&run);
    let question: Value = serde_json::from_str(values[0].as_str().expect("JSON text")).expect("JSON");
    assert_eq!(question, run.last().expect("a terminal")["outcome"]["interrupts"][0]);
    input["forwardedProps"] = json!({ "command": { "resume": { "approved": true }, "interruptEvent": values[0] } });
    let resumed = server.run_to_end("demo", &input).await;
    assert_eq!(text(&resumed), r#"resumed with resolved {"approved":true}"#);
    assert_eq!(asked_in_old_words(&server.replay("demo", "t").await), values);
    // Nobody asked anything now: it is a run like any other, and no answer.
    input["messages"] = json!([{ "id": "u2", "role": "user", "content": "hello" }]);
    assert_eq!(text(&server.run_to_end("demo", &input).await), "You said: hello");
}

#[tokio::test]
async fn an_old_page_answers_the_question_that_it_names_and_abandons_those_it_was_not_shown() {
    for (event, expected) in [
        (json!(null), json!([answer("price", "cancelled"), answer("date", "resolved")])),
        (
            json!({"id": "price", "reason": "confirmation"}),
            json!([answer("price", "resolved"), answer("date", "cancelled")]),
        ),
        (json!("what to pay?"), json!([answer("price", "cancelled"), answer("date", "resolved")])),
    ] {
        let (_home, server, upstream, mut input) = asked().await;
        input["forwardedProps"] = json!({ "command": { "resume": null, "interruptEvent": event } });
        server.run_to_end("remote", &input).await;
        assert_eq!(upstream.last_input()["resume"], expected, "{event}");
    }
}

#[tokio::test]
async fn an_agent_that_asks_old_pages_itself_is_not_spoken_for() {
    let own = r#"{"type":"CUSTOM","name":"on_interrupt","value":"\"what to pay?\""}"#;
    let upstream = Upstream::start(events(&[STARTED, own, TWO_QUESTIONS])).await;
    let agent = format!("agent: {{ kind: remote, url: \"{}\" }}", upstream.url);
    let home = Home::with_agents(&[("remote.yaml", &agent)]);
    let server = home.serve_in_memory();
    let run = server.run_to_end("remote", &say("t", "u", "book it")).await;
    assert_eq!(asked_in_old_words(&run), [json!("\"what to pay?\"")]);
}

#[tokio::test]
async fn who_reads_the_thread_after_a_run_that_failed_is_asked_again_what_is_still_open() {
    let home = Home::with_agents(&[DEMO]);
    let server = home.serve();
    let mut input = say("t", "u", "approve");
    let asked = server.run_to_end("demo", &input).await;
    let question = &asked.last().expect("a terminal")["outcome"];
    let failing = json!({ "id": "u2", "role": "user", "content": "fail" });
    server.run_to_end("demo", &with_messages("t", &[input["messages"][0].clone(), failing])).await;
    let server = server.crash_and_restart();
    let replay = server.replay("demo", "t").await;
    assert_eq!(types(&replay)[replay.len() - 3..], ["RUN_ERROR", "RUN_STARTED", "RUN_FINISHED"]);
    assert_eq!(&replay.last().expect("a terminal")["outcome"], question);
    let kept = server.get("/threads/t/events").await;
    assert_eq!(kept["events"].as_array().map(Vec::len), Some(replay.len() - 2), "it is told and not stored");

    input["messages"] = json!([]);
    input["resume"] = json!([answer("approve-1", "resolved")]);
    assert!(text(&server.run_to_end("demo", &input).await).starts_with("resumed with resolved"));
    let replay = server.replay("demo", "t").await;
    assert_eq!(replay.last().expect("a terminal").get("outcome"), None, "nothing is open any more");
}

#[tokio::test]
async fn only_the_agent_that_asked_is_told_the_answer() {
    let (home, server, upstream, mut input) = asked().await;
    home.write_agent("demo.yaml", DEMO.1);
    let server = {
        drop(server);
        home.serve_in_memory()
    };
    server.run_to_end("demo", &say("t", "u", "approve")).await;
    input["messages"] = json!([]);
    input["resume"] = json!([answer("approve-1", "resolved")]);
    let refused = server.run_to_end("remote", &input).await;
    let end = refused.last().expect("a terminal");
    assert_eq!(end["code"], "invalid_resume");
    assert!(end["message"].as_str().expect("a message").contains("agent `demo` waits"), "{end}");
    assert_eq!(upstream.bodies().len(), 1, "nothing reached the agent that did not ask");
    assert!(text(&server.run_to_end("demo", &input).await).starts_with("resumed"));
}

#[tokio::test]
async fn the_call_that_a_question_is_about_is_answered_by_whoever_answers_the_question() {
    let call = r#"{"type":"TOOL_CALL_START","toolCallId":"c1","toolCallName":"book","parentMessageId":"m1"}"#;
    let end = r#"{"type":"TOOL_CALL_END","toolCallId":"c1"}"#;
    let question = r#"{"type":"RUN_FINISHED","threadId":"x","runId":"y","outcome":{"type":"interrupt","interrupts":[{"id":"i","reason":"tool_call","toolCallId":"c1"}]}}"#;
    for answers in [false, true] {
        let upstream = Upstream::start(events(&[STARTED, call, end, question])).await;
        let agent = format!("agent: {{ kind: remote, url: \"{}\" }}", upstream.url);
        let home = Home::with_agents(&[("remote.yaml", &agent)]);
        let server = home.serve();
        let mut input = say("t", "u", "book it");
        let mut held = vec![input["messages"][0].clone()];
        held.extend(messages(&server.run_to_end("remote", &input).await).into_iter().filter(|it| it["id"] != "u"));
        let server = server.crash_and_restart();
        upstream.answers(events(&[STARTED, FINISHED]));
        let result = json!({ "id": "r1", "role": "tool", "toolCallId": "c1", "content": "approved" });
        held.extend(answers.then_some(result.clone()));
        input["messages"] = json!(held);
        input["resume"] = json!([answer("i", "resolved")]);
        server.run_to_end("remote", &input).await;
        let told = upstream.last_input()["messages"].as_array().expect("a list").clone();
        let results: Vec<_> = told.into_iter().filter(|message| message["role"] == "tool").collect();
        assert_eq!(results, answers.then_some(result).into_iter().collect::<Vec<_>>());
        assert_eq!(messages(&server.replay("remote", "t").await).len(), held.len());
    }
}
