//! A fake model server that speaks chat completions, and agents that ask it.

use serde_json::{Value, json};

use super::server::{Home, Server};
use super::upstream::{Answer, Upstream, sse};

/// The key that agents of these tests carry; its file ends with a line break, as files do.
pub(crate) const KEY: &str = "key-of-the-test";

/// A definition of kind `llm` that asks the fake, with more fields of `agent` and of the file. The instructions are last.
pub(crate) fn definition(model: &Upstream, agent: &str, rest: &str) -> String {
    let base = model.url.trim_end_matches("/agent");
    format!(
        "---\nname: Helper\nagent:\n  kind: llm\n  model: test/small\n  base_url: {base}/v1\n  api_key: ${{file:key.txt}}\n{agent}\n---\n{rest}"
    )
}

/// A server with one agent, `helper`, of this definition.
pub(crate) fn serve(definition: &str) -> (Home, Server) {
    let home = Home::with_agents(&[("helper.md", definition), ("key.txt", &format!("{KEY}\n"))]);
    let server = home.serve_in_memory();
    (home, server)
}

/// A fake with these answers, and an agent that asks it.
pub(crate) async fn helper(answers: impl IntoIterator<Item = Answer>) -> (Upstream, Home, Server) {
    let model = Upstream::start_with(answers).await;
    let (home, server) = serve(&definition(&model, "  timeouts: { first_token: 5s, idle: 5s }", "Be brief."));
    (model, home, server)
}

/// A chunk with this delta.
pub(crate) fn delta(delta: Value) -> Value {
    json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "small", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

pub(crate) fn said(text: &str) -> Value {
    delta(json!({ "content": text }))
}

pub(crate) fn called(index: u64, id: &str, name: &str, arguments: &str) -> Value {
    delta(
        json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }] }),
    )
}

pub(crate) fn finish(reason: &str) -> Value {
    json!({ "id": "chatcmpl-1", "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

pub(crate) fn usage(input: u64, output: u64) -> Value {
    json!({ "id": "chatcmpl-1", "choices": [], "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output } })
}

/// An answer of these chunks; `[DONE]` is not among them.
pub(crate) fn chunks(chunks: &[Value]) -> Answer {
    sse(&chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<String>())
}

/// A whole answer: these chunks, the reason, `[DONE]`.
pub(crate) fn whole(parts: &[Value], reason: &str) -> Answer {
    let frames = parts.iter().chain([&finish(reason)]).map(|chunk| format!("data: {chunk}\n\n")).collect::<String>();
    sse(&format!("{frames}data: [DONE]\n\n"))
}

/// A whole answer that says this.
pub(crate) fn text(text: &str) -> Answer {
    whole(&[delta(json!({ "role": "assistant", "content": "" })), said(text)], "stop")
}

/// A whole answer that calls this tool.
pub(crate) fn call(id: &str, name: &str, arguments: &Value) -> Answer {
    whole(&[called(0, id, name, &arguments.to_string())], "tool_calls")
}

/// The messages of a request without those that the prompt adds at both ends.
pub(crate) fn conversation(body: &Value) -> Vec<Value> {
    let messages = body["messages"].as_array().expect("messages").iter();
    messages.filter(|message| message["role"] != "system" && message["role"] != "developer").cloned().collect()
}
