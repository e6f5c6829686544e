use serde_json::{Value, json};

use super::Scripted;
use crate::agent::native::rehearsal::{Played, asked, play, user};
use crate::agui::{ResumeEntry, ResumeStatus, to_json};

fn scripted(turns: Value) -> Scripted {
    Scripted::new(&json!({ "pace": "0ms", "turns": turns })).expect("a good script")
}

async fn doing(acts: Value) -> Played {
    play(&scripted(json!([{ "do": acts }])), user("Hello"), json!({ "n": 1, "name": "Ann" })).await
}

#[tokio::test]
async fn words_are_streamed_one_by_one_with_what_was_asked_filled_in() {
    let played = doing(json!([{ "say": "You said {message}, {state:/name} {state:/n} {state:/x} {other} {" }])).await;
    assert_eq!(played.said(), ["You said Hello, Ann 1 nothing {other} {"]);
    assert_eq!(played.events.len(), 2 + 8, "one event for each word");
    assert_eq!(played.types(), ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]);
}

#[tokio::test]
async fn every_act_does_what_it_says() {
    let played = doing(json!([
        { "reason": "hm" },
        { "step": { "name": "plan", "do": [
            { "patch": [{ "op": "add", "path": "/n", "value": 2 }] },
            { "tool": { "name": "look", "args": { "at": "a rather long argument" }, "result": { "ok": true } } },
        ] } },
        { "wait": "1ms" },
        { "repeat": { "times": 2, "do": [{ "say": "x" }] } },
        { "raw": { "type": "CUSTOM", "name": "c", "value": 1 } },
    ]))
    .await;
    assert_eq!(
        played.types(),
        [
            "REASONING_START",
            "REASONING_MESSAGE_START",
            "REASONING_MESSAGE_CONTENT",
            "REASONING_MESSAGE_END",
            "REASONING_END",
            "STEP_STARTED",
            "TOOL_CALL_START",
            "TOOL_CALL_ARGS",
            "TOOL_CALL_END",
            "TOOL_CALL_RESULT",
            "STEP_FINISHED",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_END",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_END",
            "CUSTOM",
        ]
    );
    assert_eq!(played.document["n"], 2);
    assert_eq!(played.arguments(), [r#"{"at":"a rather long argument"}"#]);
    assert!(played.ended.expect("it ends well").outcome.is_none());
}

#[tokio::test]
async fn the_run_ends_after_the_calls_of_the_browsers_tools() {
    let played = doing(json!([
        { "say": "look" }, { "call": { "name": "a" } }, { "call": { "name": "b" } }, { "say": "never" },
    ]))
    .await;
    assert_eq!(played.said(), ["look"]);
    let message = &played.events[0]["messageId"];
    let starts = played.events.iter().filter(|event| event["type"] == "TOOL_CALL_START");
    assert!(starts.clone().all(|start| start["parentMessageId"] == *message), "both belong to what was said");
    assert_eq!(starts.count(), 2);
}

#[tokio::test]
async fn an_interrupt_ends_the_run_with_its_question_and_the_answer_finds_its_turn() {
    let agent = scripted(json!([
        { "when": { "resumed": true }, "do": [{ "say": "{status}: {payload}" }] },
        { "do": [{ "interrupt": { "id": "i", "reason": "confirmation", "message": "Sure?" } }, { "say": "never" }] },
    ]));
    let played = play(&agent, user("go"), json!({})).await;
    assert_eq!(played.events.len(), 0);
    let outcome = serde_json::to_value(played.ended.expect("an end").outcome.expect("an outcome")).expect("JSON");
    let expected =
        json!({ "type": "interrupt", "interrupts": [{ "id": "i", "reason": "confirmation", "message": "Sure?" }] });
    assert_eq!(outcome, expected);

    let mut input = user("go");
    let payload = Some(to_json(&json!({ "yes": true })));
    input.resume =
        vec![ResumeEntry { interrupt_id: "i".to_owned(), status: ResumeStatus::Resolved, payload, metadata: None }];
    assert_eq!(play(&agent, input, json!({})).await.said(), [r#"resolved: {"yes":true}"#]);
}

#[tokio::test]
async fn the_first_turn_that_matches_answers() {
    let agent = scripted(json!([
        { "when": { "tool": "look" }, "do": [{ "say": "saw {result}" }] },
        { "when": { "text": "SLOW" }, "do": [{ "say": "slow" }] },
    ]));
    assert_eq!(play(&agent, user("a slow one"), json!({})).await.said(), ["slow"]);
    let played = play(&agent, user("else"), json!({})).await;
    assert_eq!(
        (played.error().code.as_str(), played.error().message.as_str()),
        ("no_turn", "no turn of the script answers `else`")
    );
    let called = json!({ "id": "a", "role": "assistant", "toolCalls": [call("c", "look")] });
    let result = json!({ "id": "x", "role": "tool", "toolCallId": "c", "content": "it" });
    let question = json!({ "id": "u", "role": "user", "content": "slow" });
    assert_eq!(play(&agent, asked(&[question, called, result]), json!({})).await.said(), ["saw it"]);
}

fn call(id: &str, name: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": "{}" } })
}

#[tokio::test]
async fn a_history_that_a_models_server_would_refuse_fails_the_run() {
    let agent = scripted(json!([{ "do": [{ "say": "fine" }] }]));
    let called = json!({ "id": "a", "role": "assistant", "toolCalls": [call("c", "look")] });
    let result = json!({ "id": "x", "role": "tool", "toolCallId": "c", "content": "it" });
    let question = json!({ "id": "u", "role": "user", "content": "?" });
    for (messages, expected) in [
        (vec![&called, &question], Some("unanswered tool call c of look")),
        (vec![&question, &result], Some("tool result without its call c")),
        (vec![&called, &result, &question], None),
        (vec![&question, &called, &result], None),
    ] {
        let messages: Vec<Value> = messages.into_iter().cloned().collect();
        let played = play(&agent, asked(&messages), json!({})).await;
        match expected {
            Some(message) => assert_eq!(played.error().message, message),
            None => assert_eq!(played.said(), ["fine"]),
        }
    }
}

#[tokio::test]
async fn a_refused_patch_and_a_failure_end_the_run() {
    let played = doing(json!([{ "patch": [{ "op": "remove", "path": "/nowhere" }] }, { "say": "never" }])).await;
    assert!(played.error().message.starts_with("the state was not changed: "), "{:?}", played.error());
    let played = doing(json!([{ "fail": { "message": "no {message}", "code": "mine" } }])).await;
    assert_eq!((played.error().code.as_str(), played.error().message.as_str()), ("mine", "no Hello"));
}

#[test]
fn a_bad_script_is_refused_with_the_path_of_what_is_wrong() {
    let turn = |act: Value| json!({ "turns": [{ "do": [{ "say": "x" }, act] }] });
    for (config, path) in [
        (json!({}), ""),
        (json!({ "turns": 3 }), "turns"),
        (json!({ "turns": [], "speed": 1 }), "speed"),
        (json!({ "turns": [], "pace": "fast" }), "pace"),
        (json!({ "turns": [{ "when": { "txt": "a" }, "do": [] }] }), "turns[0].when"),
        (json!({ "turns": [{}] }), "turns[0]"),
        (turn(json!({ "sing": "la" })), "turns[0].do[1].sing"),
        (turn(json!({ "say": 3 })), "turns[0].do[1].say"),
        (turn(json!({ "say": "a", "wait": "1s" })), "turns[0].do[1]"),
        (turn(json!({ "wait": "soon" })), "turns[0].do[1].wait"),
        (turn(json!({ "patch": [{ "op": "put" }] })), "turns[0].do[1].patch"),
        (turn(json!({ "interrupt": {} })), "turns[0].do[1].interrupt"),
        (turn(json!({ "call": { "name": "a", "args": [] } })), "turns[0].do[1].call.args"),
        (turn(json!({ "raw": { "type": "NOTHING" } })), "turns[0].do[1].raw"),
        (turn(json!({ "step": { "name": "s", "do": [{ "say": 1 }] } })), "turns[0].do[1].step.do[0].say"),
        (turn(json!({ "repeat": { "times": -1, "do": [] } })), "turns[0].do[1].repeat.times"),
    ] {
        let error = Scripted::new(&config).err().unwrap_or_else(|| panic!("accepted: {config}"));
        assert_eq!(error.path, path, "{config}: {error}");
    }
}
