use serde_json::json;

use super::*;
use crate::agent::model::FaultKind;
use crate::agent::model::reading::Assembler as _;

/// The pieces of an answer whose stream closes after these chunks.
fn read(chunks: &[Value]) -> (Vec<Piece>, Result<(), Fault>) {
    let mut assembler = Assembler::default();
    let mut pieces = Vec::new();
    for chunk in chunks {
        if let Err(fault) = assembler.take(chunk, &mut pieces) {
            return (pieces, Err(fault));
        }
    }
    let ended = assembler.end(&mut pieces);
    (pieces, ended)
}

fn delta(delta: Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn finish(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

fn call(index: Value, id: Value, name: Value, arguments: Value) -> Value {
    delta(json!({ "tool_calls": [{ "index": index, "id": id, "function": { "name": name, "arguments": arguments } }] }))
}

/// Each call as `name(arguments)`, with its id.
fn calls(pieces: &[Piece]) -> Vec<(String, Option<String>)> {
    let mut calls: Vec<(String, String, Option<String>)> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Call { call, id, name } => {
                assert_eq!(*call, calls.len(), "calls are numbered in order");
                calls.push((name.clone(), String::new(), id.clone()));
            }
            Piece::Arguments { call, delta } => calls[*call].1.push_str(delta),
            Piece::Text(_) | Piece::Reasoning(_) | Piece::Sealed(_) | Piece::Usage(_) | Piece::Finished(_) => {}
        }
    }
    calls.into_iter().map(|(name, arguments, id)| (format!("{name}({arguments})"), id)).collect()
}

fn check(what: &str, chunks: &[Value], expected: &[(&str, Option<&str>)]) {
    let (pieces, ended) = read(chunks);
    assert_eq!(ended, Ok(()), "{what}");
    let calls = calls(&pieces);
    let calls: Vec<_> = calls.iter().map(|(call, id)| (call.as_str(), id.as_deref())).collect();
    assert_eq!(calls, expected, "{what}");
}

#[test]
fn calls_are_told_apart_whatever_their_indexes_say() {
    let null = || Value::Null;
    check(
        "as OpenAI does",
        &[
            call(json!(0), json!("a"), json!("f"), json!("")),
            call(json!(1), json!("b"), json!("g"), json!("")),
            call(json!(0), null(), null(), json!("{\"x\":")),
            call(json!(1), null(), null(), json!("{}")),
            call(json!(0), null(), null(), json!("1}")),
            finish("tool_calls"),
        ],
        &[("f({\"x\":1})", Some("a")), ("g({})", Some("b"))],
    );
    check(
        "all at index 0, whole, with ids",
        &[
            call(json!(0), json!("a"), json!("f"), json!("{\"x\":1}")),
            call(json!(0), json!("b"), json!("f"), json!("{\"x\":2}")),
            finish("stop"),
        ],
        &[("f({\"x\":1})", Some("a")), ("f({\"x\":2})", Some("b"))],
    );
    check(
        "all at index 0, whole, without ids",
        &[
            call(json!(0), json!(""), json!("f"), json!("{\"x\":1}")),
            call(json!(0), json!(""), json!("f"), json!("{\"x\":2}")),
            finish("stop"),
        ],
        &[("f({\"x\":1})", None), ("f({\"x\":2})", None)],
    );
    check(
        "neither index nor id",
        &[
            call(null(), null(), json!("f"), json!({ "x": 1 })),
            call(null(), null(), json!("g"), json!({ "x": 2 })),
            finish("stop"),
        ],
        &[("f({\"x\":1})", None), ("g({\"x\":2})", None)],
    );
    check(
        "an id of its own for every delta",
        &[
            call(json!(0), json!("a1"), json!("f"), json!("{\"x\"")),
            call(json!(0), json!("a2"), null(), json!(":1}")),
            finish("tool_calls"),
        ],
        &[("f({\"x\":1})", Some("a1"))],
    );
    check(
        "id and name in every delta",
        &[
            call(json!(0), json!("a"), json!("f"), json!("{\"x\"")),
            call(json!(0), json!("a"), json!("f"), json!(":1}")),
            finish("tool_calls"),
        ],
        &[("f({\"x\":1})", Some("a"))],
    );
    check(
        "one id for all, at places of their own",
        &[
            call(json!(0), json!("a"), json!("f"), json!("{\"x\"")),
            call(json!(1), json!("a"), json!("g"), json!("{}")),
            call(json!(0), json!("a"), json!("f"), json!(":1}")),
            finish("tool_calls"),
        ],
        &[("f({\"x\":1})", Some("a")), ("g({})", Some("a"))],
    );
    check(
        "the name in every delta, no ids",
        &[
            call(json!(0), null(), json!("f"), json!("{\"x\"")),
            call(json!(0), null(), json!("f"), json!(":1}")),
            finish("tool_calls"),
        ],
        &[("f({\"x\":1})", None)],
    );
    check("arguments of nobody's call", &[call(json!(3), null(), null(), json!("{}")), finish("stop")], &[]);
}

#[test]
fn a_whole_call_in_the_chunk_that_stops_is_a_call() {
    let chunk = json!({ "choices": [{ "finish_reason": "stop", "delta": { "role": "assistant", "tool_calls": [
        { "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } },
        { "index": 0, "id": "b", "type": "function", "function": { "name": "g", "arguments": "{}" } },
    ] } }] });
    check("one chunk", &[chunk], &[("f({})", Some("a")), ("g({})", Some("b"))]);
}

#[test]
fn reasoning_is_read_under_both_names_and_once() {
    let (pieces, _) = read(&[
        delta(json!({ "reasoning_content": "a" })),
        delta(json!({ "reasoning": "b" })),
        delta(json!({ "reasoning": "c", "reasoning_content": "c" })),
        delta(json!({ "reasoning": "", "reasoning_content": null, "content": "text" })),
        finish("stop"),
    ]);
    let reasoning = |text: &str| Piece::Reasoning(text.to_owned());
    let text = Piece::Text("text".to_owned());
    assert_eq!(pieces, [reasoning("a"), reasoning("b"), reasoning("c"), text, Piece::Finished(Finish::Complete)]);
}

#[test]
fn an_answer_without_its_end_is_truncated() {
    for chunks in [vec![], vec![delta(json!({ "content": "half" }))], vec![delta(json!({})), finish("")]] {
        let fault = read(&chunks).1.expect_err("it has no end");
        assert_eq!(fault.kind, FaultKind::Truncated);
    }
}

#[test]
fn every_reason_to_finish_is_an_end() {
    for (reason, expected) in [
        ("stop", Finish::Complete),
        ("eos", Finish::Complete),
        ("tool_calls", Finish::Complete),
        ("something_new", Finish::Complete),
        ("length", Finish::Length),
        ("content_filter", Finish::Filtered),
    ] {
        assert_eq!(read(&[finish(reason)]).0, [Piece::Finished(expected)], "{reason}");
    }
    let number = json!({ "choices": [{ "delta": {}, "finish_reason": 1 }] });
    assert_eq!(read(&[number]).0, [Piece::Finished(Finish::Complete)]);
}

#[test]
fn an_error_object_ends_the_answer() {
    for chunk in [
        json!({ "error": { "message": "boom", "code": 502 } }),
        json!({ "detail": "boom" }),
        json!({ "error": { "message": "boom", "code": 502 }, "choices": [{ "delta": { "content": "" }, "finish_reason": "error" }] }),
        json!({ "choices": [{ "delta": {}, "finish_reason": "error", "error": { "message": "boom" } }] }),
    ] {
        let fault = read(&[delta(json!({ "content": "half" })), chunk.clone()]).1.expect_err("an error");
        assert_eq!(fault.kind, FaultKind::Provider, "{chunk}");
        assert!(fault.message.contains("boom"), "{chunk}: {fault}");
    }
}

#[test]
fn usage_is_the_last_that_was_said() {
    let usage = |input: u64| json!({ "choices": [], "usage": { "prompt_tokens": input, "completion_tokens": 2, "total_tokens": input + 2 } });
    let (pieces, ended) = read(&[usage(1), finish("stop"), usage(7)]);
    assert_eq!(ended, Ok(()));
    let Some(Piece::Usage(usage)) = pieces.first() else { panic!("no usage in {pieces:?}") };
    assert_eq!((usage.input_tokens, usage.total_tokens), (Some(7), Some(9)));
    assert_eq!(pieces.len(), 2);
}

#[test]
fn odd_shapes_are_passed_over() {
    let (pieces, ended) = read(&[
        json!({}),
        json!({ "choices": null }),
        json!({ "choices": [] }),
        json!({ "choices": [{ "delta": null }] }),
        json!({ "choices": [{ "delta": { "content": 3, "tool_calls": null } }], "usage": null }),
        json!({ "choices": [{ "message": { "role": "assistant", "content": [{ "type": "text", "text": "whole" }] }, "finish_reason": "stop" }] }),
    ]);
    assert_eq!(ended, Ok(()));
    assert_eq!(pieces, [Piece::Text("whole".to_owned()), Piece::Finished(Finish::Complete)]);
}
