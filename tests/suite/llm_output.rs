//! Answers that have a shape: asked for, held to it, mended, written to the state, shown.

use serde_json::{Value, json};

use crate::support::events::{state, text};
use crate::support::model::{call, conversation, definition, serve, text as answer};
use crate::support::server::{Home, Server, say};
use crate::support::upstream::{Answer, Upstream, status};

const SCHEMA: &str =
    "{ type: object, required: [title], properties: { title: { type: string }, stars: { type: integer } } }";

async fn shaped(answers: impl IntoIterator<Item = Answer>, rest: &str) -> (Upstream, Home, Server) {
    let model = Upstream::start_with(answers).await;
    let output = format!("  output: {{ schema: {SCHEMA}, write_to: /trip/summary, retries: 1 }}{rest}");
    let (home, server) = serve(&definition(&model, &output, ""));
    (model, home, server)
}

fn end(events: &[Value]) -> &Value {
    events.last().expect("a terminal")
}

#[tokio::test]
async fn an_answer_that_fits_is_written_shown_and_the_result_of_the_run() {
    let (model, _home, server) = shaped([answer(r#"{"title":"Rome","stars":5}"#)], "").await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let expected = json!({ "title": "Rome", "stars": 5 });
    assert_eq!(state(&events), json!({ "trip": { "summary": expected } }));
    assert_eq!(serde_json::from_str::<Value>(&text(&events)).expect("JSON"), expected);
    assert_eq!((&end(&events)["type"], &end(&events)["result"]), (&json!("RUN_FINISHED"), &expected));
    let body = &model.bodies()[0];
    assert_eq!(body["response_format"]["json_schema"]["schema"]["required"], json!(["title"]));
    assert!(body["messages"][0]["content"].as_str().expect("a text").contains("JSON Schema"), "{body}");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_mended_and_never_seen() {
    let (model, _home, server) = shaped([answer(r#"Here: {"title":1}"#), answer(r#"{"title":"Rome"}"#)], "").await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!(text(&events), r#"{"title":"Rome"}"#);
    assert_eq!(end(&events)["result"], json!({ "title": "Rome" }));
    let second = &model.bodies()[1]["messages"];
    assert!(second.to_string().contains("Your answer cannot be used: it is not one JSON value"), "{second}");
    assert_eq!(conversation(&model.bodies()[1]).last().expect("a message")["content"], r#"Here: {"title":1}"#);
}

#[tokio::test]
async fn an_answer_that_never_fits_fails_the_run_and_writes_nothing() {
    let (model, _home, server) = shaped([answer(r#"{"title":1}"#)], "").await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!((&end(&events)["type"], &end(&events)["code"]), (&json!("RUN_ERROR"), &json!("provider_error")));
    assert!(end(&events)["message"].as_str().expect("a message").contains("at /title"), "{}", end(&events));
    assert_eq!((model.bodies().len(), state(&events), text(&events)), (2, json!({}), String::new()));
}

#[tokio::test]
async fn what_the_state_does_not_take_is_told_like_any_other_fault() {
    let rest = "\nstate: { write: [/elsewhere] }";
    let (model, _home, server) = shaped([answer(r#"{"title":"Rome"}"#)], rest).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!(end(&events)["type"], "RUN_ERROR");
    assert!(end(&events)["message"].as_str().expect("a message").contains("the state does not take it"));
    assert_eq!((model.bodies().len(), state(&events)), (2, json!({})));
}

#[tokio::test]
async fn tools_are_called_before_the_answer_takes_its_shape() {
    let set = call("c", "state_set", &json!({ "path": "/n", "value": 1 }));
    let (_model, _home, server) = shaped([set, answer("```json\n{\"title\":\"Rome\"}\n```")], "").await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!(state(&events), json!({ "n": 1, "trip": { "summary": { "title": "Rome" } } }));
    assert_eq!(text(&events), r#"{"title":"Rome"}"#);
}

#[tokio::test]
async fn a_server_that_knows_no_formats_is_asked_in_words_alone() {
    let refusal = status("400 Bad Request", r#"{"error":{"message":"Unknown parameter: 'response_format'"}}"#);
    let (model, _home, server) = shaped([refusal, answer(r#"{"title":"Rome"}"#)], "").await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!(end(&events)["result"], json!({ "title": "Rome" }));
    assert!(model.bodies()[1]["response_format"].is_null());
}
