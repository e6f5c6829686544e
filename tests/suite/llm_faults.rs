//! What model servers do instead of answering properly, each as the run shows it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::events::{text, types};
use crate::support::model::{
    KEY, call, called, chunks, definition, delta, finish, helper, said, serve, text as answer, usage, whole,
};
use crate::support::server::say;
use crate::support::upstream::{Answer, Then, Upstream, sse, status};

/// The events of a run against these answers, and how often the model was asked.
async fn run(answers: impl IntoIterator<Item = Answer>) -> (Vec<Value>, usize) {
    let (model, _home, server) = helper(answers).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    (events, model.bodies().len())
}

/// A run that is to fail: its code, with a message that says `said`.
async fn check(fault: Answer, code: &str, said: &str, asked: usize) {
    let (events, times) = run([fault]).await;
    let end = events.last().expect("a terminal");
    assert_eq!(end["type"], "RUN_ERROR", "{events:#?}");
    assert_eq!(end["code"], code, "{end}");
    assert!(end["message"].as_str().expect("a message").contains(said), "{end}");
    assert!(!end.to_string().contains(KEY), "the key is nobody's to see: {end}");
    assert_eq!(times, asked, "{end}");
}

/// A run that is to succeed in spite of the first answers.
async fn recovers(faults: &[Answer], expected: &str) {
    let (events, times) = run(faults.iter().cloned().chain([answer("fine")])).await;
    assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"), "{events:#?}");
    assert_eq!(text(&events), expected);
    assert_eq!(times, faults.len() + 1);
}

fn slow_down() -> Answer {
    status("429 Too Many Requests", r#"{"error":{"message":"slow down","code":429}}"#)
}

#[tokio::test]
async fn a_refused_request_says_what_the_server_said() {
    let body =
        r#"{"error":{"message":"there is no model small","type":"invalid_request_error","code":"model_not_found"}}"#;
    check(status("404 Not Found", body), "provider_error", "there is no model small", 1).await;
    check(status("422 Unprocessable Entity", r#"{"detail":"unknown model"}"#), "provider_error", "unknown model", 1)
        .await;
    check(status("400 Bad Request", r#"{"object":"error","message":"bad","code":400}"#), "provider_error", "bad", 1)
        .await;
}

#[tokio::test]
async fn an_answer_may_begin_with_a_byte_order_mark() {
    for piece in [0, 1, 2] {
        let mut marked = answer("fine");
        let head = marked.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
        marked.bytes.splice(head..head, "\u{feff}".bytes());
        marked.piece = piece;
        let (events, times) = run([marked]).await;
        assert_eq!((text(&events).as_str(), times), ("fine", 1), "{events:#?}");
    }
}

#[tokio::test]
async fn a_bad_key_is_not_tried_twice_and_not_shown() {
    let body = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}"}}}}"#);
    check(status("401 Unauthorized", &body), "auth", "agent.api_key", 1).await;
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_named() {
    let body =
        r#"{"error":{"message":"This model's maximum context length is 8 tokens","code":"context_length_exceeded"}}"#;
    check(status("400 Bad Request", body), "context_overflow", "too long", 1).await;
}

#[tokio::test]
async fn a_server_that_fails_four_times_has_failed() {
    check(status("503 Service Unavailable", "<html>busy</html>"), "provider_error", "503", 4).await;
    check(slow_down(), "rate_limited", "slow down", 4).await;
}

#[tokio::test]
async fn an_account_without_money_is_not_asked_again() {
    let body = r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
    check(status("429 Too Many Requests", body), "rate_limited", "exceeded", 1).await;
}

#[tokio::test]
async fn a_fault_before_anything_is_visible_leaves_no_trace() {
    let broken = status("500 Internal Server Error", "boom");
    recovers(&[broken.clone(), slow_down(), status("529 Overloaded", r#"{"detail":"later"}"#)], "fine").await;
    let (events, _) = run([broken, chunks(&[]), answer("fine")]).await;
    let expected = [
        "RUN_STARTED",
        "STATE_SNAPSHOT",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "RUN_FINISHED",
    ];
    assert_eq!(types(&events), expected);
}

#[tokio::test]
async fn the_wait_that_a_server_asks_for_is_kept() {
    let mut busy = slow_down();
    busy.bytes =
        String::from_utf8(busy.bytes).expect("text").replace("\r\n\r\n", "\r\nretry-after: 1\r\n\r\n").into_bytes();
    let began = Instant::now();
    recovers(&[busy], "fine").await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_closed_and_asked_for_again_under_a_new_id() {
    let half = chunks(&[said("half an ans")]);
    let (events, times) = run([half, answer("a whole answer")]).await;
    assert_eq!(times, 2);
    let starts: Vec<_> = events.iter().filter(|event| event["type"] == "TEXT_MESSAGE_START").collect();
    assert_eq!(starts.len(), 2);
    assert_ne!(starts[0]["messageId"], starts[1]["messageId"]);
    assert_eq!(text(&events), "half an ansa whole answer");
    let message = ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"];
    let expected = [["RUN_STARTED", "STATE_SNAPSHOT"].as_slice(), &message, &message, &["RUN_FINISHED"]].concat();
    assert_eq!(types(&events), expected, "the half is closed before the whole begins");
}

#[tokio::test]
async fn a_call_that_breaks_off_is_answered_and_nobody_runs_it() {
    let half = chunks(&[called(0, "c1", "state_set", r#"{"path":"/a","val"#)]);
    let (model, _home, server) = helper([half, answer("again")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let result = events.iter().find(|event| event["type"] == "TOOL_CALL_RESULT").expect("a result");
    assert_eq!((&result["toolCallId"], &result["content"]), (&json!("c1"), &json!(r#"{"error":"interrupted"}"#)));
    assert!(!types(&events).contains(&"STATE_DELTA"));
    assert_eq!(text(&events), "again");
    let second = &model.bodies()[1];
    assert!(!second["messages"].to_string().contains("c1"), "it is asked as if it had not been asked: {second}");
    let next = server.run_to_end("helper", &say("t", "u2", "and now?")).await;
    assert_eq!(text(&next), "again");
}

#[tokio::test]
async fn an_answer_without_its_end_is_truncated() {
    check(chunks(&[said("half")]), "truncated", "middle of its answer", 4).await;
    check(sse("data: [DONE]\n\n"), "truncated", "middle of its answer", 4).await;
    check(chunks(&[finish("")]), "truncated", "middle of its answer", 4).await;
}

#[tokio::test]
async fn an_error_in_the_stream_is_the_servers() {
    let error = json!({ "error": { "message": "the GPU fell off", "code": 502 } });
    check(chunks(std::slice::from_ref(&error)), "provider_error", "the GPU fell off", 4).await;
    check(chunks(&[said("half"), error]), "provider_error", "the GPU fell off", 4).await;
    let refused = json!({ "error": { "message": "bad tool", "type": "BadRequestError", "code": 400 } });
    check(chunks(&[refused]), "provider_error", "bad tool", 1).await;
    check(sse("data: {not json\n\n"), "provider_error", "not JSON", 4).await;
}

#[tokio::test]
async fn a_page_instead_of_an_answer_points_at_the_address() {
    let page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html></html>".to_vec();
    check(Answer { bytes: page, piece: 0, then: Then::Close }, "provider_error", "agent.base_url", 1).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_after_four_tries() {
    let model = Upstream::start(answer("never")).await;
    let definition = definition(&model, "", "");
    let port = model.url.split(':').nth(2).and_then(|rest| rest.split('/').next()).expect("a port").to_owned();
    // Nobody listens on port 1 of this machine.
    let (_home, server) = serve(&definition.replace(&format!(":{port}/"), ":1/"));
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let end = events.last().expect("a terminal");
    assert_eq!(end["code"], "provider_error", "{end}");
    assert!(end["message"].as_str().expect("a message").contains("127.0.0.1:1"), "{end}");
}

#[tokio::test]
async fn a_server_that_takes_no_connection_in_time_is_tried_four_times() {
    // Once its queue is full, the system answers no further connection.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    let is_full = loop {
        let connecting = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(300), connecting).await {
            Ok(stream) => waiting.push(stream),
            Err(_) => break true,
        }
    };
    assert!(is_full && !waiting.is_empty());
    let model = Upstream::start(answer("never")).await;
    let definition = definition(&model, "  timeouts: { connect: 200ms }", "");
    let taken = model.url.trim_start_matches("http://").trim_end_matches("/agent");
    let (_home, server) = serve(&definition.replace(taken, &address.to_string()));
    let began = Instant::now();
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let end = events.last().expect("a terminal");
    assert_eq!(end["code"], "timeout", "{end}");
    assert!(end["message"].as_str().expect("a message").contains("no connection in time"), "{end}");
    assert!(began.elapsed() >= Duration::from_millis(4 * 200), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_is_silent_for_too_long_is_given_up() {
    let hold = |mut answer: Answer| {
        answer.then = Then::Hold;
        answer
    };
    for (silent, said) in [
        (hold(Answer { bytes: Vec::new(), piece: 0, then: Then::Hold }), "did not begin to answer within 300ms"),
        (hold(chunks(&[])), "did not begin to answer within 300ms"),
        (hold(chunks(&[delta(json!({ "role": "assistant" }))])), "did not begin to answer within 300ms"),
        (hold(chunks(&[said_first()])), "fell silent: nothing came within 200ms"),
    ] {
        let mut model = Upstream::start(silent).await;
        let (_home, server) = serve(&definition(&model, "  timeouts: { first_token: 300ms, idle: 200ms }", ""));
        let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
        let end = events.last().expect("a terminal");
        assert_eq!(end["code"], "timeout", "{end}");
        assert!(end["message"].as_str().expect("a message").contains(said), "{end}");
        assert_eq!(model.bodies().len(), 1, "silence is not tried again");
        model.is_hung_up_on().await;
    }
}

fn said_first() -> Value {
    said("one word")
}

#[tokio::test]
async fn a_server_that_forgets_to_close_after_its_answer_is_not_waited_for() {
    let mut open = whole(&[said("done"), usage(3, 1)], "stop");
    open.bytes.truncate(open.bytes.len() - "data: [DONE]\n\n".len());
    open.then = Then::Hold;
    let began = Instant::now();
    let (events, _) = run([open]).await;
    assert_eq!(types(&events).last(), Some(&"RUN_FINISHED"));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn usage_is_asked_for_and_left_out_where_that_is_refused() {
    let refusal = r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}"#;
    let (model, _home, server) = helper([status("422 Unprocessable Entity", refusal), answer("fine")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!(text(&events), "fine");
    server.run_to_end("helper", &say("t2", "u", "hello")).await;
    let asked: Vec<_> = model.bodies().iter().map(|body| body["stream_options"].clone()).collect();
    assert_eq!(asked, [json!({ "include_usage": true }), Value::Null, Value::Null], "and it is remembered");
}

#[tokio::test]
async fn what_a_server_does_not_understand_is_said_otherwise() {
    let limit =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let roles = "Conversation roles must alternate user/assistant/user/assistant/...";
    for (refusal, path, before, after) in [
        (limit, "/max_completion_tokens", Value::Null, json!(40)),
        (limit, "/max_tokens", json!(40), Value::Null),
        (roles, "/messages/2/role", json!("system"), Value::Null),
        (roles, "/messages/1/role", json!("user"), json!("user")),
    ] {
        let refused = status("400 Bad Request", &json!({ "error": { "message": refusal } }).to_string());
        let model = Upstream::start_with([refused, answer("fine")]).await;
        let rest = "state: { initial: { n: 1 } }\n";
        let definition = definition(&model, "  params: { max_output_tokens: 40 }", "Be brief.");
        let (_home, server) = serve(&definition.replacen("---\nname", &format!("---\n{rest}name"), 1));
        let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
        assert_eq!(text(&events), "fine", "{refusal}");
        let bodies = model.bodies();
        let sent = |body: &Value| body.pointer(path).cloned().unwrap_or(Value::Null);
        assert_eq!((sent(&bodies[0]), sent(&bodies[1])), (before, after), "{path} after {refusal}");
        let last = bodies[1]["messages"].as_array().expect("messages").last().expect("a message");
        assert!(last["content"].as_str().expect("text").contains(r#"{"n":1}"#), "the state stays last: {last}");
    }
    // A refusal that no other way of saying it changes is final.
    let refused = status("400 Bad Request", &json!({ "error": { "message": limit } }).to_string());
    check(refused, "provider_error", "Unsupported parameter", 2).await;
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let (events, times) = run([whole(&[], "stop")]).await;
    assert_eq!((types(&events), times), (vec!["RUN_STARTED", "STATE_SNAPSHOT", "RUN_FINISHED"], 1));
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let whole = r#"{ "choices": [ { "message": { "role": "assistant", "content": "all\nat once" }, "finish_reason": "stop" } ],
        "usage": { "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8 } }"#;
    let (events, _) = run([status("200 OK", whole)]).await;
    assert_eq!(text(&events), "all\nat once");
    assert_eq!(events.last().expect("a terminal")["usage"][0]["totalTokens"], 8);
}

#[tokio::test]
async fn odd_chunks_make_ordinary_answers() {
    let eos = sse("data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"eos\"}]}\n\n");
    let (events, _) = run([eos]).await;
    assert_eq!((text(&events).as_str(), types(&events).last()), ("hi", Some(&"RUN_FINISHED")));
    let comments = sse(&format!(
        ": OPENROUTER PROCESSING\n\ndata: \n\ndata: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        said("hi"),
        finish("stop")
    ));
    assert_eq!(text(&run([comments]).await.0), "hi");
    let mut trickle = whole(&[said("naïve – 日本")], "stop");
    trickle.piece = 1;
    assert_eq!(text(&run([trickle]).await.0), "naïve – 日本");
}

#[tokio::test]
async fn reasoning_is_shown_before_the_answer_under_either_name() {
    for name in ["reasoning_content", "reasoning"] {
        let thoughts = whole(&[delta(json!({ name: "let me " })), delta(json!({ name: "think" })), said("42")], "stop");
        let (events, _) = run([thoughts]).await;
        let mut kinds = types(&events);
        kinds.dedup();
        let expected = [
            "RUN_STARTED",
            "STATE_SNAPSHOT",
            "REASONING_START",
            "REASONING_MESSAGE_START",
            "REASONING_MESSAGE_CONTENT",
            "REASONING_MESSAGE_END",
            "REASONING_END",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_END",
            "RUN_FINISHED",
        ];
        assert_eq!(kinds, expected, "{name}");
    }
    let both = whole(&[delta(json!({ "reasoning": "hm", "reasoning_content": "hm" })), said("42")], "stop");
    let (events, _) = run([both]).await;
    let thought = |event: &&Value| event["type"] == "REASONING_MESSAGE_CONTENT";
    assert_eq!(events.iter().filter(thought).count(), 1);
}

#[tokio::test]
async fn calls_of_one_answer_are_kept_apart_though_all_have_index_0_and_no_id() {
    let set = |path: &str| json!({ "path": path, "value": 1 }).to_string();
    let parts = [called(0, "", "state_set", &set("/a")), called(0, "", "state_set", &set("/b"))];
    let (model, _home, server) = helper([whole(&parts, "stop"), answer("done")]).await;
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    assert_eq!(crate::support::events::state(&events), json!({ "a": 1, "b": 1 }));
    let second = &model.bodies()[1]["messages"];
    let message = second.as_array().expect("messages").iter().find(|message| message["tool_calls"].is_array());
    let ids: Vec<_> = message.expect("a message with calls")["tool_calls"]
        .as_array()
        .expect("calls")
        .iter()
        .map(|call| &call["id"])
        .collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
}

#[tokio::test]
async fn a_provider_that_gives_every_answer_the_same_call_id_is_understood() {
    let set = |value: u64| call("call_0", "state_set", &json!({ "path": "/n", "value": value }));
    let (model, _home, server) = helper([set(1), set(2), answer("done"), set(3), answer("done")]).await;
    let first = server.run_to_end("helper", &say("t", "u1", "count")).await;
    let ids = |events: &[Value], kind: &str| -> Vec<Value> {
        events.iter().filter(|event| event["type"] == kind).map(|event| event["toolCallId"].clone()).collect()
    };
    let (begun, answered) = (ids(&first, "TOOL_CALL_START"), ids(&first, "TOOL_CALL_RESULT"));
    assert!(begun == answered && begun.len() == 2 && begun[0] != begun[1], "{begun:?} {answered:?}");
    let told = model.bodies()[2]["messages"].to_string();
    assert!(
        begun.iter().all(|id| told.matches(id.as_str().expect("text")).count() >= 2),
        "each call has its answer: {told}"
    );
    assert_eq!(crate::support::events::state(&first), json!({ "n": 2 }), "{first:#?}");
    let second = server.run_to_end("helper", &say("t", "u2", "count on")).await;
    assert_eq!(crate::support::events::state(&second), json!({ "n": 3 }));
    assert_eq!(types(&second).last(), Some(&"RUN_FINISHED"));
}

#[tokio::test]
async fn a_flooding_server_is_cut_off() {
    let line = format!("data: {}\n\n", delta(json!({ "nothing": "x".repeat(60_000) })));
    let model = Upstream::start(sse(&line.repeat(150))).await;
    // Time enough: it is not the clock that ends this.
    let (_home, server) = serve(&definition(&model, "", ""));
    let events = server.run_to_end("helper", &say("t", "u", "hello")).await;
    let end = events.last().expect("a terminal");
    assert_eq!(end["code"], "provider_error", "{end}");
    assert!(end["message"].as_str().expect("a message").contains("longer than"), "{end}");
    assert_eq!(model.bodies().len(), 1);
}
