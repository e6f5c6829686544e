use serde_json::{Value, json};

use super::Guide;
use crate::agent::native::rehearsal::{asked, play, tool, user};

fn guide() -> Guide {
    Guide::new(&json!({ "pace": "0ms" })).expect("a good configuration")
}

#[tokio::test]
async fn it_thinks_aloud_and_calls_a_tool_whose_effect_is_visible() {
    let mut input = user("make it red");
    let text = json!({ "type": "string" });
    input.tools = vec![
        tool("log", &json!({})),
        tool(
            "set_theme_color",
            &json!({ "properties": { "themeColor": text, "note": text }, "required": ["themeColor"] }),
        ),
    ];
    let played = play(&guide(), input, json!({ "goal": "rest", "steps": [{ "status": "done" }, {}] })).await;
    assert_eq!(played.said(), ["The goal is “rest”, 1 of 2 steps are done. Watch the page."]);
    assert_eq!(played.arguments(), [r#"{"themeColor":"red"}"#]);
    assert_eq!(played.types()[0], "REASONING_START");
    let last = played.events.last().expect("events");
    assert_eq!(last["type"], "TOOL_CALL_END", "the run ends with the call pending");
}

#[tokio::test]
async fn the_answer_of_the_page_is_told_in_the_run_that_brings_it() {
    let function = json!({ "name": "set_theme_color", "arguments": "{}" });
    let input = asked(&[
        json!({ "id": "u", "role": "user", "content": "theme" }),
        json!({ "id": "a", "role": "assistant", "toolCalls": [{ "id": "c", "type": "function", "function": function }] }),
        json!({ "id": "x", "role": "tool", "toolCallId": "c", "content": "done" }),
    ]);
    let played = play(&guide(), input, Value::Null).await;
    assert_eq!(played.said(), ["The page answered: done. The shared state is empty."]);
    assert!(played.arguments().is_empty(), "it does not call again");
}

#[tokio::test]
async fn without_a_tool_of_the_page_it_says_so() {
    let played = play(&guide(), user("hello"), json!({ "a": 1 })).await;
    assert!(
        played.said()[0].ends_with("This page offers me no tool to use, so I can only talk."),
        "{:?}",
        played.said()
    );
}

#[tokio::test]
async fn asked_what_to_say_next_it_offers_and_does_not_think_aloud() {
    let mut input = user("Suggest what the user could say next");
    input.tools = vec![tool("copilotkitSuggest", &json!({}))];
    let played = play(&guide(), input, Value::Null).await;
    assert_eq!(played.types(), ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END"]);
    assert!(played.arguments()[0].contains("What do you see?"), "{:?}", played.arguments());
}
