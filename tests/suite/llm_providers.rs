//! Anthropic's messages and OpenAI's responses: what is asked, what is shown, and every fault they have.

use serde_json::{Value, json};

use crate::support::events::{state, text, types};
use crate::support::model::{KEY, definition, serve};
use crate::support::server::{Home, Server, say};
use crate::support::upstream::{Answer, Then, Upstream, sse, status};

/// Which of the two.
#[derive(Clone, Copy, PartialEq)]
enum Api {
    Anthropic,
    Responses,
}

async fn asking(api: Api, answers: impl IntoIterator<Item = Answer>, more: &str) -> (Upstream, Home, Server) {
    let model = Upstream::start_with(answers).await;
    let api = if api == Api::Anthropic { "anthropic" } else { "responses" };
    let agent = format!("  api: {api}\n  timeouts: {{ first_token: 5s, idle: 5s }}{more}");
    let (home, server) = serve(&definition(&model, &agent, "Be brief."));
    (model, home, server)
}

async fn run(api: Api, answers: impl IntoIterator<Item = Answer>) -> (Vec<Value>, Vec<Value>) {
    let (model, _home, server) = asking(api, answers, "").await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    (events, model.bodies())
}

fn stream(events: &[Value]) -> Answer {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("message"));
    sse(&events.iter().map(frame).collect::<String>())
}

/// The beginning of a message, as Anthropic sends it.
fn message_start() -> Value {
    json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message", "role": "assistant", "content": [],
        "usage": { "input_tokens": 10, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 5, "output_tokens": 1 } } })
}

fn block(index: u64, start: Value, deltas: &[Value]) -> Vec<Value> {
    let mut events = vec![json!({ "type": "content_block_start", "index": index, "content_block": start })];
    events.extend(deltas.iter().map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })));
    events.push(json!({ "type": "content_block_stop", "index": index }));
    events
}

fn message_end(reason: &str) -> Vec<Value> {
    vec![
        json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": { "output_tokens": 20 } }),
        json!({ "type": "message_stop" }),
    ]
}

fn message(blocks: &[Vec<Value>], reason: &str) -> Answer {
    let events = [vec![message_start(), json!({ "type": "ping" })], blocks.concat(), message_end(reason)].concat();
    stream(&events)
}

fn words(index: u64, text: &str) -> Vec<Value> {
    let delta = |text: &str| json!({ "type": "text_delta", "text": text });
    let (one, two) = text.split_at(text.len() / 2);
    block(index, json!({ "type": "text", "text": "" }), &[delta(one), delta(two)])
}

fn tool_use(index: u64, name: &str, input: &Value) -> Vec<Value> {
    let delta = |text: &str| json!({ "type": "input_json_delta", "partial_json": text });
    let input = input.to_string();
    let (one, two) = input.split_at(input.len() / 2);
    let start = json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": {} });
    block(index, start, &[delta(""), delta(one), delta(two)])
}

/// A whole answer that says this.
fn saying(api: Api, text: &str) -> Answer {
    match api {
        Api::Anthropic => message(&[words(0, text)], "end_turn"),
        Api::Responses => stream(&[
            json!({ "type": "response.created", "response": { "id": "resp_1", "status": "in_progress" } }),
            json!({ "type": "response.output_text.delta", "output_index": 0, "delta": text }),
            json!({ "type": "response.completed", "response": { "usage": {
                "input_tokens": 105, "input_tokens_details": { "cached_tokens": 90 }, "output_tokens": 20, "total_tokens": 125 } } }),
        ]),
    }
}

/// The beginning of an answer that never ends.
fn half(api: Api, text: &str) -> Answer {
    match api {
        Api::Anthropic => stream(&[vec![message_start()], words(0, text)].concat()),
        Api::Responses => stream(&[json!({ "type": "response.output_text.delta", "output_index": 0, "delta": text })]),
    }
}

const BOTH: [Api; 2] = [Api::Anthropic, Api::Responses];

#[tokio::test]
async fn an_answer_streams_and_says_what_it_cost() {
    for api in BOTH {
        let (events, _) = run(api, [saying(api, "Hello there")]).await;
        assert_eq!(text(&events), "Hello there");
        let end = events.last().expect("a terminal");
        assert_eq!(end["type"], "RUN_FINISHED", "{end}");
        let usage = &end["usage"][0];
        let told = (&usage["inputTokens"], &usage["outputTokens"], &usage["totalTokens"], &usage["cachedInputTokens"]);
        assert_eq!(told, (&json!(105), &json!(20), &json!(125), &json!(90)), "cached tokens are part of the input");
        assert!(usage["costUsd"].is_null(), "clients know no such member");
    }
}

#[tokio::test]
async fn anthropic_is_asked_in_its_own_words_and_wants_its_thoughts_back() {
    let thought = block(
        0,
        json!({ "type": "thinking", "thinking": "", "signature": "" }),
        &[
            json!({ "type": "thinking_delta", "thinking": "a title first" }),
            json!({ "type": "signature_delta", "signature": "s3al" }),
        ],
    );
    let first = message(
        &[thought, words(1, "I write it down."), tool_use(2, "state_set", &json!({ "path": "/n", "value": 1 }))],
        "tool_use",
    );
    let more = "\n  params: { max_output_tokens: 100, temperature: 0.5, reasoning_effort: low }";
    let (model, _home, server) = asking(Api::Anthropic, [first, saying(Api::Anthropic, "Done.")], more).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!((text(&events).as_str(), state(&events)), ("I write it down.Done.", json!({ "n": 1 })));
    let thought: Vec<_> = events.iter().filter(|event| event["type"] == "REASONING_MESSAGE_CONTENT").collect();
    assert_eq!(thought[0]["delta"], "a title first");

    let head = model.last_head().to_lowercase();
    assert!(head.starts_with("post /v1/messages "), "{head}");
    assert!(head.contains(&format!("x-api-key: {KEY}")) && head.contains("anthropic-version: 2023-06-01"), "{head}");
    let bodies = model.bodies();
    let body = &bodies[0];
    assert_eq!(body["system"][0]["text"], "Be brief.");
    assert_eq!(body["messages"], json!([{ "role": "user", "content": [{ "type": "text", "text": "hello" }] }]));
    assert_eq!((&body["max_tokens"], &body["thinking"]["budget_tokens"]), (&json!(2148), &json!(2048)));
    assert!(body["temperature"].is_null(), "a model that thinks takes none");
    assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
    let turns = bodies[1]["messages"].as_array().expect("messages");
    assert_eq!(turns.iter().map(|turn| &turn["role"]).collect::<Vec<_>>(), ["user", "assistant", "user"]);
    assert_eq!(turns[1]["content"][0], json!({ "type": "thinking", "thinking": "a title first", "signature": "s3al" }));
    assert_eq!(turns[1]["content"][2]["input"], json!({ "path": "/n", "value": 1 }));
    let last = turns[2]["content"].as_array().expect("blocks");
    assert_eq!((&last[0]["type"], &last[0]["tool_use_id"]), (&json!("tool_result"), &turns[1]["content"][2]["id"]));
    assert_eq!(last[0]["cache_control"]["type"], "ephemeral", "what comes before the state can be kept");
    assert!(last[1]["text"].as_str().expect("a text").contains("## State"), "the state is last");
}

#[tokio::test]
async fn responses_are_asked_in_their_own_words_and_want_their_reasoning_back() {
    let call =
        json!({ "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "state_set", "arguments": "" });
    let mut whole = call.clone();
    whole["arguments"] = json!({ "path": "/n", "value": 1 }).to_string().into();
    let reasoning = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "s3al" });
    let first = stream(&[
        json!({ "type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "a title first" }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": reasoning }),
        json!({ "type": "response.output_item.added", "output_index": 1, "item": call }),
        json!({ "type": "response.function_call_arguments.delta", "output_index": 1, "delta": whole["arguments"] }),
        json!({ "type": "response.output_item.done", "output_index": 1, "item": whole }),
        json!({ "type": "response.completed", "response": {} }),
    ]);
    let more = "\n  params: { max_output_tokens: 100, reasoning_effort: low }";
    let (model, _home, server) = asking(Api::Responses, [first, saying(Api::Responses, "Done.")], more).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!((text(&events).as_str(), state(&events)), ("Done.", json!({ "n": 1 })));
    assert!(model.last_head().starts_with("POST /v1/responses "), "{}", model.last_head());
    let bodies = model.bodies();
    assert_eq!((&bodies[0]["store"], &bodies[0]["max_output_tokens"]), (&json!(false), &json!(100)));
    assert_eq!(bodies[0]["reasoning"], json!({ "effort": "low", "summary": "auto" }));
    let kinds: Vec<_> = bodies[1]["input"].as_array().expect("items").iter().collect();
    let kinds: Vec<&str> =
        kinds.iter().map(|item| item["type"].as_str().or(item["role"].as_str()).expect("a kind")).collect();
    assert_eq!(kinds, ["system", "user", "reasoning", "function_call", "function_call_output", "developer"]);
}

#[tokio::test]
async fn every_fault_of_a_server_ends_the_run_with_its_code() {
    let error =
        |kind: &str, message: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#);
    for (answer, code, said, asked) in [
        (status("529 Overloaded", &error("overloaded_error", "busy")), "provider_error", "busy", 4),
        (status("429 Too Many Requests", &error("rate_limit_error", "slow down")), "rate_limited", "slow down", 4),
        (status("401 Unauthorized", &error("authentication_error", KEY)), "auth", "agent.api_key", 1),
        (status("404 Not Found", &error("not_found_error", "no model small")), "provider_error", "no model small", 1),
        (status("413 Payload Too Large", &error("request_too_large", "big")), "context_overflow", "too long", 1),
        (
            status("400 Bad Request", &error("invalid_request_error", "prompt is too long: 9 tokens")),
            "context_overflow",
            "too long",
            1,
        ),
        (
            status("400 Bad Request", &error("invalid_request_error", "Your credit balance is too low")),
            "provider_error",
            "credit balance",
            1,
        ),
    ] {
        for api in BOTH {
            let (events, bodies) = run(api, [answer.clone()]).await;
            let end = events.last().expect("a terminal");
            assert_eq!((&end["type"], &end["code"]), (&json!("RUN_ERROR"), &json!(code)), "{end}");
            assert!(end["message"].as_str().expect("a message").contains(said), "{end}");
            assert!(!end.to_string().contains(KEY), "the key is nobody's to see: {end}");
            assert_eq!(bodies.len(), asked, "{end}");
        }
    }
}

#[tokio::test]
async fn an_error_in_the_stream_is_the_servers_and_the_answer_is_asked_for_again() {
    for api in BOTH {
        let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
        let (events, bodies) = run(api, [stream(&[overloaded]), saying(api, "fine")]).await;
        assert_eq!((text(&events).as_str(), bodies.len()), ("fine", 2));
        let quiet = ["RUN_STARTED", "STATE_SNAPSHOT", "TEXT_MESSAGE_START"];
        assert_eq!(types(&events)[..3], quiet, "nothing of the first try is seen");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_closed_and_asked_for_again() {
    for api in BOTH {
        let (events, bodies) = run(api, [half(api, "half "), saying(api, "whole")]).await;
        assert_eq!((text(&events).as_str(), bodies.len()), ("half whole", 2));
        let starts = events.iter().filter(|event| event["type"] == "TEXT_MESSAGE_START").count();
        assert_eq!((starts, types(&events).last()), (2, Some(&"RUN_FINISHED")));
        let (events, _) = run(api, [half(api, "half ")]).await;
        assert_eq!(events.last().expect("a terminal")["code"], "truncated");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_for_too_long_is_given_up() {
    for api in BOTH {
        for (answer, said) in [(sse(""), "did not begin to answer"), (half(api, "half"), "fell silent")] {
            let model = Upstream::start(Answer { then: Then::Hold, ..answer }).await;
            let word = if api == Api::Anthropic { "anthropic" } else { "responses" };
            let agent = format!("  api: {word}\n  timeouts: {{ first_token: 300ms, idle: 300ms }}");
            let (_home, server) = serve(&definition(&model, &agent, ""));
            let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
            let end = events.last().expect("a terminal");
            assert_eq!(end["code"], "timeout", "{end}");
            assert!(end["message"].as_str().expect("a message").contains(said), "{end}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_ran_into_its_limit_or_a_filter_says_so() {
    let (events, _) = run(Api::Anthropic, [message(&[words(0, "as far as it goes")], "max_tokens")]).await;
    let end = events.last().expect("a terminal");
    assert_eq!((text(&events).as_str(), &end["type"]), ("as far as it goes", &json!("RUN_ERROR")));
    assert_eq!(end["code"], "truncated", "{end}");
    let (events, _) = run(Api::Anthropic, [message(&[words(0, "I")], "refusal")]).await;
    assert!(events.last().expect("a terminal")["message"].as_str().expect("a message").contains("content filter"));
}

#[tokio::test]
async fn a_model_that_thinks_by_effort_is_asked_so_from_then_on() {
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","message":"thinking.type.enabled is not supported for this model, use adaptive"}}"#;
    let answers = [status("400 Bad Request", refusal), saying(Api::Anthropic, "fine")];
    let (model, _home, server) = asking(Api::Anthropic, answers, "\n  params: { reasoning_effort: high }").await;
    assert_eq!(text(&server.run_to_end("helper", &say("t", "u", "hello")).await), "fine");
    let body = &model.bodies()[1];
    assert_eq!((&body["thinking"]["type"], &body["output_config"]["effort"]), (&json!("adaptive"), &json!("high")));
}

#[tokio::test]
async fn attachments_reach_anthropic_as_blocks() {
    let (model, _home, server) = asking(Api::Anthropic, [saying(Api::Anthropic, "fine")], "").await;
    let data = |mime_type: &str| json!({ "type": "data", "value": "aGk=", "mimeType": mime_type });
    let mut input = say("t", "u", "hello");
    input["messages"][0]["content"] = json!([
        { "type": "text", "text": "look" },
        { "type": "image", "source": data("image/png") },
        { "type": "document", "source": data("application/pdf"), "metadata": { "filename": "a.pdf" } },
        { "type": "document", "source": data("text/plain"), "metadata": { "filename": "a.txt" } },
        { "type": "audio", "source": data("audio/wav") },
    ]);
    server.run_to_end("helper", &input).await;
    let sent = &model.bodies()[0]["messages"][0]["content"];
    assert_eq!(sent[1]["source"], json!({ "type": "base64", "media_type": "image/png", "data": "aGk=" }));
    assert_eq!((&sent[2]["type"], &sent[2]["title"]), (&json!("document"), &json!("a.pdf")));
    assert_eq!(sent[3]["text"], "Attached file a.txt:\nhi");
    assert!(sent[4]["text"].as_str().expect("a text").contains("audio recording"), "{sent}");
}
