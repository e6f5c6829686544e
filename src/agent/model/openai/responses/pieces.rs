//! From the events of a response to the pieces of an answer.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::agent::model::reading::{self, truncated};
use crate::agent::model::usage::Counts;
use crate::agent::model::{Fault, Finish, ModelName, Piece, parts, refusal};
use crate::agui::TokenUsage;

/// Reads one answer.
#[derive(Debug)]
pub(in crate::agent::model::openai) struct Assembler {
    by: ModelName,
    /// The items of the response by the index the server gives them.
    items: HashMap<u64, Item>,
    calls: usize,
    sealed: Vec<Value>,
    finish: Option<Finish>,
    usage: Option<TokenUsage>,
    has_begun: bool,
}

/// What is known of one item.
#[derive(Debug, Default)]
struct Item {
    /// The number of the call that it is.
    call: Option<usize>,
    /// Something of its content came piece by piece.
    has_streamed: bool,
    /// It was told whole.
    is_done: bool,
}

impl Assembler {
    pub(in crate::agent::model::openai) fn new(by: ModelName) -> Self {
        Self { by, items: HashMap::new(), calls: 0, sealed: Vec::new(), finish: None, usage: None, has_begun: false }
    }
}

impl reading::Assembler for Assembler {
    fn take(&mut self, event: &Value, out: &mut Vec<Piece>) -> Result<(), Fault> {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        let response = event.get("response");
        match kind {
            "response.output_item.added" => self.added(event, out),
            "response.output_text.delta" | "response.refusal.delta" => {
                self.item(event).has_streamed = true;
                out.extend(text_in(event, "delta").map(Piece::Text));
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.item(event).has_streamed = true;
                out.extend(text_in(event, "delta").map(Piece::Reasoning));
            }
            // Each part of a summary is a paragraph.
            "response.reasoning_summary_part.added" => {
                let index = event.get("summary_index").and_then(Value::as_u64);
                out.extend(index.filter(|index| *index > 0).map(|_| Piece::Reasoning("\n\n".to_owned())));
            }
            "response.function_call_arguments.delta" => {
                let item = self.item(event);
                item.has_streamed = true;
                let call = item.call;
                if let (Some(call), Some(delta)) = (call, text_in(event, "delta")) {
                    out.push(Piece::Arguments { call, delta });
                }
            }
            "response.output_item.done" => {
                let index = index_of(event);
                self.done(index, event.get("item").unwrap_or(&Value::Null), out);
            }
            "response.completed" => self.ended(response, Finish::Complete, out),
            "response.incomplete" => {
                let reason = response.and_then(|response| response.pointer("/incomplete_details/reason"));
                let finish = match reason.and_then(Value::as_str) {
                    Some("content_filter") => Finish::Filtered,
                    _ => Finish::Length,
                };
                self.ended(response, finish, out);
            }
            "response.failed" | "response.cancelled" => {
                let error = response.and_then(|response| response.get("error")).unwrap_or(&Value::Null);
                return Err(refusal::in_band(error));
            }
            "error" => return Err(refusal::in_band(event.get("error").unwrap_or(&without_type(event)))),
            // The whole answer of a server that does not stream, or an error that has no type.
            "" => {
                if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
                    return Err(refusal::in_band(error));
                }
                match event.get("status").and_then(Value::as_str) {
                    Some("incomplete") => self.ended(Some(event), Finish::Length, out),
                    Some(_) => self.ended(Some(event), Finish::Complete, out),
                    None => {}
                }
            }
            _ => {}
        }
        self.has_begun |= !out.is_empty();
        Ok(())
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }

    fn has_finish(&self) -> bool {
        self.finish.is_some()
    }

    fn is_whole(&self) -> bool {
        self.finish.is_some()
    }

    fn end(&mut self, out: &mut Vec<Piece>) -> Result<(), Fault> {
        let finish = self.finish.ok_or_else(truncated)?;
        out.extend(parts::sealed(&self.by, &self.sealed).map(Piece::Sealed));
        out.extend(self.usage.take().map(Piece::Usage));
        out.push(Piece::Finished(finish));
        Ok(())
    }
}

impl Assembler {
    fn item(&mut self, event: &Value) -> &mut Item {
        self.items.entry(index_of(event)).or_default()
    }

    fn added(&mut self, event: &Value, out: &mut Vec<Piece>) {
        let item = event.get("item").unwrap_or(&Value::Null);
        if item.get("type").and_then(Value::as_str) == Some("function_call") {
            self.begin_call(index_of(event), item, out);
        }
    }

    fn begin_call(&mut self, index: u64, item: &Value, out: &mut Vec<Piece>) -> usize {
        let call = self.calls;
        self.calls += 1;
        self.items.entry(index).or_default().call = Some(call);
        let id = text_in(item, "call_id").or_else(|| text_in(item, "id"));
        out.push(Piece::Call { call, id, name: text_in(item, "name").unwrap_or_default() });
        call
    }

    /// A whole item: what of it did not come piece by piece is told now.
    fn done(&mut self, index: u64, item: &Value, out: &mut Vec<Piece>) {
        let known = self.items.entry(index).or_default();
        if std::mem::replace(&mut known.is_done, true) {
            return;
        }
        let (call, has_streamed) = (known.call, known.has_streamed);
        match item.get("type").and_then(Value::as_str).unwrap_or_default() {
            "function_call" => {
                let call = call.unwrap_or_else(|| self.begin_call(index, item, out));
                if !has_streamed && let Some(delta) = text_in(item, "arguments") {
                    out.push(Piece::Arguments { call, delta });
                }
            }
            "message" if !has_streamed => {
                let parts = item.get("content").and_then(Value::as_array).into_iter().flatten();
                let texts = parts.filter_map(|part| text_in(part, "text").or_else(|| text_in(part, "refusal")));
                out.extend(texts.map(Piece::Text));
            }
            "reasoning" => {
                if !has_streamed {
                    let parts = item.get("summary").and_then(Value::as_array).into_iter().flatten();
                    let texts: Vec<String> = parts.filter_map(|part| text_in(part, "text")).collect();
                    out.extend((!texts.is_empty()).then(|| Piece::Reasoning(texts.join("\n\n"))));
                }
                if item.get("encrypted_content").is_some_and(Value::is_string) {
                    self.sealed.push(json!({
                        "type": "reasoning",
                        "id": item.get("id"),
                        "summary": item.get("summary").cloned().unwrap_or_else(|| json!([])),
                        "encrypted_content": item["encrypted_content"],
                    }));
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, response: Option<&Value>, finish: Finish, out: &mut Vec<Piece>) {
        let output = response.and_then(|response| response.get("output")).and_then(Value::as_array);
        for (index, item) in output.into_iter().flatten().enumerate() {
            self.done(index as u64, item, out);
        }
        self.usage = response.and_then(|response| response.get("usage")).and_then(counts).map(Counts::normal);
        self.finish = Some(finish);
    }
}

/// Servers that leave the index out have one item at a time.
fn index_of(event: &Value) -> u64 {
    event.get("output_index").and_then(Value::as_u64).unwrap_or(0)
}

fn text_in(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// An `error` event whose members are beside its type, which says nothing of the error.
fn without_type(event: &Value) -> Value {
    let mut error = event.clone();
    if let Some(members) = error.as_object_mut() {
        members.remove("type");
    }
    error
}

fn counts(usage: &Value) -> Option<Counts> {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    Some(Counts {
        input: count("/input_tokens")?,
        output: count("/output_tokens").unwrap_or(0),
        total: count("/total_tokens").unwrap_or(0),
        reasoning: count("/output_tokens_details/reasoning_tokens"),
        cached: count("/input_tokens_details/cached_tokens"),
        cache_write: count("/input_tokens_details/cache_write_tokens"),
    })
}
