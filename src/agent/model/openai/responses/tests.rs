use std::sync::Arc;

use super::*;
use crate::agent::definition::Params;
use crate::agent::model::reading::Assembler as _;
use crate::agent::model::{Fault, FaultKind, Finish, Piece};
use crate::agui::{Message, Tool, to_json};

fn by() -> ModelName {
    ModelName { provider: "openai".to_owned(), name: "gpt-5".to_owned() }
}

/// The pieces of an answer whose stream closes after these events.
fn read(events: &[Value]) -> (Vec<Piece>, Result<(), Fault>) {
    let mut assembler = Assembler::new(by());
    let mut pieces = Vec::new();
    for event in events {
        let mut more = Vec::new();
        if let Err(fault) = assembler.take(event, &mut more) {
            return (pieces, Err(fault));
        }
        pieces.extend(more);
    }
    let ended = assembler.end(&mut pieces);
    (pieces, ended)
}

fn call_item(arguments: &str) -> Value {
    json!({ "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": arguments })
}

#[test]
fn an_answer_is_read_by_the_types_of_its_events_alone() {
    let (pieces, ended) = read(&[
        json!({ "type": "response.created", "response": {} }),
        json!({ "type": "response.output_item.added", "output_index": 0, "item": { "type": "reasoning", "id": "rs_1" } }),
        json!({ "type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0 }),
        json!({ "type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "hm" }),
        json!({ "type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 1 }),
        json!({ "type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "so" }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "hm" }], "encrypted_content": "xyz" } }),
        json!({ "type": "response.output_text.delta", "output_index": 1, "delta": "Hel" }),
        json!({ "type": "response.output_text.delta", "output_index": 1, "delta": "lo" }),
        json!({ "type": "response.output_item.added", "output_index": 2, "item": call_item("") }),
        json!({ "type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{\"a\"" }),
        json!({ "type": "response.function_call_arguments.delta", "output_index": 2, "delta": ":1}" }),
        json!({ "type": "response.output_item.done", "output_index": 2, "item": call_item("{\"a\":1}") }),
        json!({ "type": "response.something.new", "output_index": 9 }),
        json!({ "type": "response.completed", "response": { "output": [{}, {}, call_item("{\"a\":1}")], "usage": {
            "input_tokens": 10, "input_tokens_details": { "cached_tokens": 4 }, "output_tokens": 5,
            "output_tokens_details": { "reasoning_tokens": 2 }, "total_tokens": 15 } } }),
    ]);
    assert_eq!(ended, Ok(()));
    let text = |text: &str| Piece::Text(text.to_owned());
    let thought = |text: &str| Piece::Reasoning(text.to_owned());
    let arguments = |delta: &str| Piece::Arguments { call: 0, delta: delta.to_owned() };
    assert_eq!(
        pieces[..8],
        [
            thought("hm"),
            thought("\n\n"),
            thought("so"),
            text("Hel"),
            text("lo"),
            Piece::Call { call: 0, id: Some("call_1".to_owned()), name: "f".to_owned() },
            arguments("{\"a\""),
            arguments(":1}"),
        ]
    );
    let [Piece::Sealed(sealed), Piece::Usage(usage), Piece::Finished(Finish::Complete)] = &pieces[8..] else {
        panic!("{pieces:#?}")
    };
    assert!(sealed.contains("xyz"));
    assert_eq!((usage.input_tokens, usage.cached_input_tokens), (Some(10), Some(4)));
    assert_eq!((usage.output_tokens, usage.reasoning_tokens, usage.total_tokens), (Some(5), Some(2), Some(15)));
}

#[test]
fn what_did_not_come_piece_by_piece_is_told_at_the_end() {
    let message = json!({ "type": "message", "content": [{ "type": "output_text", "text": "Hello" }] });
    let whole = json!({ "object": "response", "status": "completed", "output": [message, call_item("{}")] });
    let said = |pieces: &[Piece]| format!("{pieces:?}");
    let (pieces, ended) = read(&[whole]);
    assert_eq!((ended, pieces.len()), (Ok(()), 4), "{}", said(&pieces));
    assert_eq!(pieces[0], Piece::Text("Hello".to_owned()));
    let (pieces, _) = read(&[
        json!({ "type": "response.output_item.done", "output_index": 0, "item": message }),
        json!({ "type": "response.completed", "response": { "output": [message] } }),
    ]);
    assert_eq!(pieces, [Piece::Text("Hello".to_owned()), Piece::Finished(Finish::Complete)]);
}

#[test]
fn every_end_and_every_fault_is_told_apart() {
    let incomplete = |reason: &str| json!({ "type": "response.incomplete", "response": { "incomplete_details": { "reason": reason } } });
    assert_eq!(read(&[incomplete("max_output_tokens")]).0, [Piece::Finished(Finish::Length)]);
    assert_eq!(read(&[incomplete("content_filter")]).0, [Piece::Finished(Finish::Filtered)]);
    for (event, kind) in [
        (json!({ "type": "error", "code": "rate_limit_exceeded", "message": "slow down" }), FaultKind::RateLimited),
        (json!({ "type": "error", "error": { "type": "server_error", "message": "boom" } }), FaultKind::Provider),
        (json!({ "type": "error", "code": "context_length_exceeded", "message": "x" }), FaultKind::ContextOverflow),
        (
            json!({ "type": "response.failed", "response": { "error": { "code": "server_error", "message": "boom" } } }),
            FaultKind::Provider,
        ),
        (json!({ "type": "response.output_text.delta", "delta": "half" }), FaultKind::Truncated),
    ] {
        let fault = read(std::slice::from_ref(&event)).1.expect_err("a fault");
        assert_eq!(fault.kind, kind, "{event}");
    }
}

#[test]
fn a_conversation_becomes_items() {
    let messages = json!([
        { "id": "s", "role": "system", "content": "obey" },
        { "id": "u", "role": "user", "content": [
            { "type": "text", "text": "look" },
            { "type": "image", "source": { "type": "data", "value": "aGk=", "mimeType": "image/png" } },
            { "type": "document", "source": { "type": "data", "value": "aGk=", "mimeType": "application/pdf" } },
            { "type": "video", "source": { "type": "url", "value": "https://x/y.mp4" } },
        ] },
        { "id": "a", "role": "assistant", "content": "yes",
          "encryptedValue": "{\"by\":\"openai/gpt-5\",\"items\":[{\"type\":\"reasoning\"}]}",
          "toolCalls": [{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "broken" } }] },
        { "id": "r", "role": "tool", "toolCallId": "c", "content": "done" },
        { "id": "b", "role": "assistant", "content": "no", "encryptedValue": "{\"by\":\"x/y\",\"items\":[1]}" },
        { "id": "d", "role": "developer", "content": "the state" },
    ]);
    let messages = Message::read_list(&messages.to_string()).expect("messages").into_iter().map(Arc::new).collect();
    let tool = Tool {
        name: "f".to_owned(),
        description: "d".to_owned(),
        parameters: Some(to_json(&json!({}))),
        metadata: None,
    };
    let request = Request {
        messages,
        tools: vec![tool],
        required_tool: Some("f".to_owned()),
        output: Some(json!({ "type": "object" })),
    };
    let params = Params {
        temperature: Some(0.5),
        max_output_tokens: Some(9),
        reasoning_effort: Some("low".to_owned()),
        parallel_tool_calls: Some(false),
        extra: json!({ "seed": 7 }).as_object().expect("an object").clone(),
    };
    let shape = Shape { model: "gpt-5".to_owned(), params, is_openai: true };
    assert_eq!(
        body(&shape, &by(), &request, Made::default()),
        json!({
            "model": "gpt-5", "stream": true, "store": false, "temperature": 0.5, "max_output_tokens": 9, "seed": 7,
            "reasoning": { "effort": "low", "summary": "auto" }, "include": ["reasoning.encrypted_content"],
            "parallel_tool_calls": false, "tool_choice": { "type": "function", "name": "f" },
            "tools": [{ "type": "function", "name": "f", "description": "d", "strict": false,
                        "parameters": { "type": "object", "properties": {} } }],
            "text": { "format": { "type": "json_schema", "name": "answer", "schema": { "type": "object" }, "strict": false } },
            "input": [
                { "role": "system", "content": "obey" },
                { "role": "user", "content": [
                    { "type": "input_text", "text": "look" },
                    { "type": "input_image", "image_url": "data:image/png;base64,aGk=" },
                    { "type": "input_file", "filename": "document", "file_data": "data:application/pdf;base64,aGk=" },
                    { "type": "input_text", "text": "[The video at https://x/y.mp4 was attached here, in a form that this model cannot be shown.]" },
                ] },
                { "type": "reasoning" },
                { "role": "assistant", "content": "yes" },
                { "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" },
                { "type": "function_call_output", "call_id": "c", "output": "done" },
                { "role": "assistant", "content": "no" },
                { "role": "developer", "content": "the state" },
            ],
        })
    );
}
