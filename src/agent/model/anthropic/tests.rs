use std::sync::Arc;

use serde_json::json;

use super::pieces::Assembler;
use super::*;
use crate::agent::definition::Params;
use crate::agent::model::Piece;
use crate::agent::model::reading::Assembler as _;
use crate::agui::Message;

fn by() -> ModelName {
    ModelName { provider: "anthropic".to_owned(), name: "claude".to_owned() }
}

fn conversation(messages: &Value) -> (String, Value) {
    let messages: Vec<_> =
        Message::read_list(&messages.to_string()).expect("messages").into_iter().map(Arc::new).collect();
    let (system, turns) = messages::conversation(&messages, &by());
    (system, turns.into())
}

#[test]
fn user_and_assistant_take_turns_and_nothing_is_empty() {
    let call = json!({ "id": "functions.f:0", "type": "function", "function": { "name": "f", "arguments": "broken" } });
    let (system, turns) = conversation(&json!([
        { "id": "s", "role": "system", "content": "obey" },
        { "id": "o", "role": "developer", "content": "in JSON" },
        { "id": "a", "role": "assistant", "content": "yes" },
        { "id": "b", "role": "assistant", "content": " ", "toolCalls": [call] },
        { "id": "r", "role": "tool", "toolCallId": "functions.f:0", "content": "done" },
        { "id": "u", "role": "user", "content": "one" },
        { "id": "v", "role": "user", "content": "two" },
        { "id": "d", "role": "developer", "content": "the state" },
    ]));
    assert_eq!(system, "obey\n\nin JSON");
    let text = |text: &str| json!({ "type": "text", "text": text });
    let mut two = text("two");
    two["cache_control"] = json!({ "type": "ephemeral" });
    let result = json!({ "type": "tool_result", "tool_use_id": "functions_f_0", "content": [text("done")] });
    assert_eq!(
        turns,
        json!([
            { "role": "user", "content": [text("Go on.")] },
            { "role": "assistant", "content": [
                text("yes"), { "type": "tool_use", "id": "functions_f_0", "name": "f", "input": {} },
            ] },
            { "role": "user", "content": [result, text("one"), two, text("the state")] },
        ])
    );
    let (_, turns) = conversation(
        &json!([{ "id": "u", "role": "user", "content": "x" }, { "id": "a", "role": "assistant", "content": "y" }]),
    );
    assert_eq!(turns[2], json!({ "role": "user", "content": [text("Go on.")] }), "the last word is the user's");
}

#[test]
fn a_model_thinks_only_where_it_may() {
    let shape = Shape {
        model: "claude".to_owned(),
        params: Params { reasoning_effort: Some("low".to_owned()), temperature: Some(2.0), ..Params::default() },
    };
    let body = |messages: Value, required: Option<&str>| {
        let messages = Message::read_list(&messages.to_string()).expect("messages").into_iter().map(Arc::new).collect();
        let tools = required.iter().map(|name| crate::agui::Tool {
            name: (*name).to_owned(),
            description: String::new(),
            parameters: None,
            metadata: None,
        });
        let request =
            Request { messages, tools: tools.collect(), required_tool: required.map(str::to_owned), output: None };
        shape.body(&request, &by(), Thinking::ByTokens)
    };
    let user = json!({ "id": "u", "role": "user", "content": "x" });
    let call = json!([{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }]);
    let calling =
        |sealed: Value| json!({ "id": "a", "role": "assistant", "toolCalls": call, "encryptedValue": sealed });
    let result = json!({ "id": "r", "role": "tool", "toolCallId": "c", "content": "done" });
    let sealed = json!("{\"by\":\"anthropic/claude\",\"items\":[{\"type\":\"thinking\"}]}");
    let others = json!("{\"by\":\"anthropic/other\",\"items\":[{\"type\":\"thinking\"}]}");
    assert_eq!(body(json!([user]), None)["thinking"]["type"], "enabled");
    assert_eq!(body(json!([user, calling(sealed), result]), None)["thinking"]["type"], "enabled");
    let forgot = body(json!([user, calling(others), result]), None);
    assert_eq!((&forgot["thinking"], &forgot["temperature"]), (&json!(null), &json!(1.0)));
    assert_eq!(body(json!([user, calling(json!(null)), result, user]), None)["thinking"]["type"], "enabled");
    let forced = body(json!([user]), Some("f"));
    assert_eq!((&forced["thinking"], &forced["tool_choice"]["name"]), (&json!(null), &json!("f")));
}

#[test]
fn a_message_that_came_whole_is_read_like_its_events() {
    let whole = json!({ "type": "message", "stop_reason": "tool_use", "usage": { "input_tokens": 3, "output_tokens": 4 },
        "content": [{ "type": "text", "text": "Hello" }, { "type": "tool_use", "id": "t", "name": "f", "input": { "a": 1 } }] });
    let (mut assembler, mut pieces) = (Assembler::new(by()), Vec::new());
    assembler.take(&whole, &mut pieces).expect("a message");
    assert!(assembler.is_whole());
    assembler.end(&mut pieces).expect("an end");
    let Some(Piece::Usage(usage)) = pieces.get(3) else { panic!("{pieces:?}") };
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(3), Some(4)));
    assert_eq!(pieces[2], Piece::Arguments { call: 0, delta: "{\"a\":1}".to_owned() });
}

#[test]
fn thoughts_that_nobody_may_read_go_back_as_they_came() {
    let block = json!({ "type": "redacted_thinking", "data": "opaque" });
    let mut assembler = Assembler::new(by());
    let mut pieces = Vec::new();
    for event in [
        json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } }),
    ] {
        assembler.take(&event, &mut pieces).expect("no fault");
    }
    assembler.end(&mut pieces).expect("an end");
    let sealed = pieces.iter().find_map(|piece| match piece {
        Piece::Sealed(sealed) => serde_json::from_str::<Value>(sealed).ok(),
        _ => None,
    });
    assert_eq!(sealed.expect("a sealed piece")["items"], json!([block]));
}
