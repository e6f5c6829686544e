use std::sync::Arc;

use futures_util::StreamExt as _;
use serde_json::json;

use super::*;
use crate::agent::model::{Finish, Piece};
use crate::agui::{Message, Tool};

fn scripted(script: &Value) -> Scripted {
    let name = ModelName { provider: "scripted".to_owned(), name: "test".to_owned() };
    Scripted { name, script: Script::read(script).expect("a good script") }
}

fn request(messages: &Value, tools: &[&str]) -> Request {
    let tool =
        |name: &&str| Tool { name: (*name).to_owned(), description: String::new(), parameters: None, metadata: None };
    let messages = Message::read_list(&messages.to_string()).expect("messages of the test");
    Request {
        messages: messages.into_iter().map(Arc::new).collect(),
        tools: tools.iter().map(tool).collect(),
        ..Request::default()
    }
}

async fn pieces(script: &Value, request: &Request) -> Vec<Result<Piece, Fault>> {
    match scripted(script).answer(request).await {
        Ok(answer) => answer.collect().await,
        Err(fault) => vec![Err(fault)],
    }
}

fn text(pieces: &[Result<Piece, Fault>]) -> String {
    let text = |piece: &Result<Piece, Fault>| match piece {
        Ok(Piece::Text(text) | Piece::Arguments { delta: text, .. }) => text.clone(),
        Ok(Piece::Reasoning(_) | Piece::Call { .. } | Piece::Sealed(_) | Piece::Usage(_) | Piece::Finished(_))
        | Err(_) => String::new(),
    };
    pieces.iter().map(text).collect()
}

fn called(result: &str) -> Value {
    json!([
        { "id": "u", "role": "user", "content": "Add milk and Bread" },
        { "id": "a", "role": "assistant", "toolCalls": [{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }] },
        { "id": "t", "role": "tool", "toolCallId": "c", "content": result },
        { "id": "s", "role": "developer", "content": "the state" },
    ])
}

#[tokio::test]
async fn a_turn_answers_a_trigger_and_what_it_told() {
    let script = json!({ "pace": "0ms", "turns": [
        { "when": { "trigger": "cron" }, "answer": [{ "say": "the clock" }] },
        { "when": { "trigger": "state" }, "answer": [{ "say": "{trigger:/doc} is {trigger:/changes/0/new}" }] },
        { "answer": [{ "say": "a person" }] },
    ] });
    let told = r#"{"trigger":"state","doc":"task/1","changes":[{"path":"/status","new":"ready"}]}"#;
    let asked = json!([{ "id": "d", "role": "developer", "content": format!("Look.\n\n{told}") }]);
    assert_eq!(text(&pieces(&script, &request(&asked, &[])).await), "task/1 is ready");
    let asked = json!([{ "id": "u", "role": "user", "content": "hello" }]);
    assert_eq!(text(&pieces(&script, &request(&asked, &[])).await), "a person");
}

#[tokio::test]
async fn the_first_turn_that_fits_answers() {
    let script = json!({ "pace": "0ms", "turns": [
        { "when": { "tool": "f", "ok": false }, "answer": [{ "say": "refused" }] },
        { "when": { "tool": "f" }, "answer": [{ "say": "{result:/version} {result:/x}" }] },
        { "when": { "text": "add", "offered": "f" }, "answer": [{ "call": { "name": "f", "args": { "title": "{rest}" } } }] },
        { "answer": [{ "say": "{message} {other}" }] },
    ] });
    let asked = json!([{ "id": "u", "role": "user", "content": "Add milk and Bread" }]);
    assert_eq!(text(&pieces(&script, &request(&asked, &["f"])).await), r#"{"title":"milk and Bread"}"#);
    assert_eq!(text(&pieces(&script, &request(&asked, &[])).await), "Add milk and Bread {other}");
    assert_eq!(text(&pieces(&script, &request(&called(r#"{"ok":true,"version":3}"#), &["f"])).await), "3 nothing");
    assert_eq!(text(&pieces(&script, &request(&called(r#"{"ok":false}"#), &["f"])).await), "refused");
}

#[tokio::test]
async fn an_answer_ends_as_the_script_says() {
    let one = json!([{ "id": "u", "role": "user", "content": "two words" }]);
    let ending = async |answer: Value| {
        let script = json!({ "pace": "0ms", "turns": [{ "answer": answer }] });
        pieces(&script, &request(&one, &[])).await.pop().expect("a last piece")
    };
    assert_eq!(ending(json!([{ "say": "x" }])).await, Ok(Piece::Finished(Finish::Complete)));
    assert_eq!(ending(json!([{ "say": "x" }, { "finish": "length" }])).await, Ok(Piece::Finished(Finish::Length)));
    let fault = ending(json!([{ "say": "x" }, { "fail": { "code": "rate_limited", "message": "slow" } }])).await;
    assert_eq!(fault, Err(Fault::new(FaultKind::RateLimited, "slow")));
    let fault = ending(json!([{ "call": { "name": "g" } }])).await.expect_err("nobody offers it");
    assert!(fault.message.contains("`g`"), "{fault}");
}

#[test]
fn a_request_whose_answers_do_not_match_its_calls_is_refused() {
    let call = |id: &str| json!({ "id": format!("m-{id}"), "role": "assistant", "toolCalls": [{ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } }] });
    let result = |id: &str| json!({ "id": format!("r-{id}"), "role": "tool", "toolCallId": id, "content": "x" });
    let user = json!({ "id": "u", "role": "user", "content": "hi" });
    let good = json!([user, call("a"), result("a"), user]);
    assert_eq!(police::check(&request(&good, &["f", "g"])), Ok(()));
    for (bad, said) in [
        (json!([]), "no messages"),
        (json!([call("a")]), "has no answer"),
        (json!([call("a"), user, result("a")]), "right after it"),
        (json!([result("a")]), "answers no call"),
        (json!([call("a"), result("a"), result("a")]), "answers no call"),
        (json!([call("a"), result("a"), call("a"), result("a")]), "twice"),
    ] {
        let refusal = police::check(&request(&bad, &[])).expect_err("a bad request");
        assert!(refusal.contains(said), "{bad}: {refusal}");
    }
    assert!(police::check(&request(&good, &["f", "f"])).is_err(), "a name that is offered twice");
    assert!(police::check(&request(&good, &["a b"])).is_err(), "a name that no server takes");
    let forced = Request { required_tool: Some("h".to_owned()), ..request(&good, &["f"]) };
    assert!(police::check(&forced).is_err(), "a required tool that is not offered");
}

#[test]
fn a_script_that_cannot_be_used_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("bad.yaml"), "turns: [ { answer: [ { sing: la } ] } ]").expect("a file");
    let refusal = |name: &str| {
        let name = ModelName { provider: PROVIDER.to_owned(), name: name.to_owned() };
        Scripted::new(name, folder.path()).err().expect("it is refused")
    };
    assert!(refusal("nobody").contains("echo"), "{}", refusal("nobody"));
    assert!(refusal("../bad.yaml").contains("below the folder"), "{}", refusal("../bad.yaml"));
    assert!(refusal("gone.yaml").contains("cannot be read"), "{}", refusal("gone.yaml"));
    assert!(refusal("bad.yaml").contains("turns[0].answer[0].sing"), "{}", refusal("bad.yaml"));
}

#[test]
fn a_bad_script_is_refused_with_the_path_of_what_is_wrong() {
    for (script, path) in [
        (json!({}), ""),
        (json!({ "turns": [{}] }), "turns[0]"),
        (json!({ "turns": [{ "when": { "txt": "a" }, "answer": [] }] }), "turns[0].when"),
        (json!({ "turns": [{ "answer": [{ "say": 3 }] }] }), "turns[0].answer[0].say"),
        (json!({ "turns": [{ "answer": [{ "call": { "name": "f", "args": [] } }] }] }), "turns[0].answer[0].call.args"),
        (
            json!({ "turns": [{ "answer": [{ "fail": { "code": "x", "message": "" } }] }] }),
            "turns[0].answer[0].fail.code",
        ),
        (json!({ "turns": [{ "answer": [{ "finish": "x" }] }] }), "turns[0].answer[0].finish"),
    ] {
        let error = Script::read(&script).err().unwrap_or_else(|| panic!("accepted: {script}"));
        assert_eq!(error.path, path, "{script}: {error}");
    }
}
