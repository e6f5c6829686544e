//! From the chunks of a chat completion to the pieces of an answer, as far from the letter as servers are.
//!
//! Chunks are looked into as JSON values: a field of an unexpected shape is passed over, never a reason to fail.

use serde_json::Value;

use crate::agent::model::reading::{self, truncated};
use crate::agent::model::usage::Counts;
use crate::agent::model::{Fault, Finish, Piece, refusal};
use crate::agui::TokenUsage;

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    calls: Vec<Call>,
    finish: Option<Finish>,
    usage: Option<TokenUsage>,
    /// Something of the answer itself has come.
    has_begun: bool,
}

#[derive(Debug)]
struct Call {
    id: Option<String>,
    index: Option<u64>,
    name: String,
    arguments: String,
}

impl reading::Assembler for Assembler {
    fn take(&mut self, chunk: &Value, out: &mut Vec<Piece>) -> Result<(), Fault> {
        let error = chunk.get("error").filter(|error| !error.is_null());
        if let Some(error) = error.or_else(|| chunk.get("detail").filter(|_| chunk.get("choices").is_none())) {
            return Err(refusal::in_band(error));
        }
        if let Some(usage) = chunk.get("usage").and_then(counts) {
            // OpenRouter says what it charges.
            let cost_usd = chunk.pointer("/usage/cost").and_then(Value::as_f64).filter(|cost| *cost >= 0.0);
            self.usage = Some(TokenUsage { cost_usd, ..usage.normal() });
        }
        let Some(choice) = chunk.get("choices").and_then(|choices| choices.get(0)) else { return Ok(()) };
        // A server that does not stream sends a whole `message`.
        let delta = choice.get("delta").filter(|delta| delta.is_object()).or_else(|| choice.get("message"));
        if let Some(delta) = delta {
            self.take_delta(delta, out);
        }
        if let Some(reason) = choice.get("finish_reason").filter(|reason| !reason.is_null()) {
            self.take_reason(reason.as_str().unwrap_or("stop"), choice)?;
        }
        Ok(())
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }

    fn is_whole(&self) -> bool {
        self.finish.is_some() && self.usage.is_some()
    }

    fn has_finish(&self) -> bool {
        self.finish.is_some()
    }

    fn end(&mut self, out: &mut Vec<Piece>) -> Result<(), Fault> {
        let finish = self.finish.ok_or_else(truncated)?;
        out.extend(self.usage.take().map(Piece::Usage));
        out.push(Piece::Finished(finish));
        Ok(())
    }
}

impl Assembler {
    fn take_delta(&mut self, delta: &Value, out: &mut Vec<Piece>) {
        // Two names for the same thing; servers that send both repeat themselves.
        let reasoning = ["reasoning_content", "reasoning"].into_iter().find_map(|name| text_in(delta, name));
        let text = delta.get("content").map(text_of).filter(|text| !text.is_empty());
        let refusal = text_in(delta, "refusal");
        out.extend(reasoning.map(|text| Piece::Reasoning(text.to_owned())));
        out.extend(text.map(Piece::Text));
        out.extend(refusal.map(|text| Piece::Text(text.to_owned())));
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.take_call(call, out);
        }
        self.has_begun |= !out.is_empty();
    }

    fn take_call(&mut self, delta: &Value, out: &mut Vec<Piece>) {
        let function = delta.get("function");
        let name = function.and_then(|function| text_in(function, "name"));
        let id = text_in(delta, "id");
        let index = delta.get("index").and_then(Value::as_u64);
        // Some servers send the arguments as the object they are.
        let arguments = match function.and_then(|function| function.get("arguments")) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        let at = match (name, self.continued(id, index, name)) {
            (_, Some(at)) => at,
            (Some(name), None) => {
                let (id, name) = (id.map(str::to_owned), name.to_owned());
                self.calls.push(Call { id: id.clone(), index, name: name.clone(), arguments: String::new() });
                out.push(Piece::Call { call: self.calls.len() - 1, id, name });
                self.calls.len() - 1
            }
            // Arguments of a call that nobody began.
            (None, None) => return,
        };
        if !arguments.is_empty() {
            self.calls[at].arguments.push_str(&arguments);
            out.push(Piece::Arguments { call: at, delta: arguments });
        }
    }

    /// The call that a delta goes on with; `None` when it begins one.
    fn continued(&self, id: Option<&str>, index: Option<u64>, name: Option<&str>) -> Option<usize> {
        let has_id = |call: &Call| call.id.as_deref() == id;
        let of_both = || self.calls.iter().rposition(|call| has_id(call) && call.index == index);
        let of_id = id.and_then(|_| of_both().or_else(|| self.calls.iter().rposition(has_id)));
        let of_index = index.and_then(|index| self.calls.iter().rposition(|call| call.index == Some(index)));
        let last = self.calls.len().checked_sub(1);
        match (id, name) {
            // Only what names a function begins a call: some servers give every delta an id of its own.
            (_, None) => of_id.or(of_index).or(last),
            // Two calls of one id are told apart by their places.
            (Some(_), Some(_)) => {
                of_id.filter(|&at| index.is_none() || self.calls[at].index.is_none() || self.calls[at].index == index)
            }
            // Without ids a named delta repeats the name of the call it goes on with, unless that call is complete.
            (None, Some(name)) => of_index.filter(|&at| {
                let call = &self.calls[at];
                let is_complete = serde_json::from_str::<serde::de::IgnoredAny>(&call.arguments).is_ok();
                call.name == name && !is_complete
            }),
        }
    }

    fn take_reason(&mut self, reason: &str, choice: &Value) -> Result<(), Fault> {
        let finish = match reason {
            "" => return Ok(()),
            "error" => return Err(refusal::in_band(choice.get("error").unwrap_or(&Value::Null))),
            "length" | "max_tokens" | "model_length" => Finish::Length,
            "content_filter" | "safety" => Finish::Filtered,
            // `stop`, `tool_calls`, `eos`, …: what came is what there is.
            _ => Finish::Complete,
        };
        self.finish = Some(finish);
        Ok(())
    }
}

/// A member that is a text and not empty.
fn text_in<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A string, or the text among parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn counts(usage: &Value) -> Option<Counts> {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    Some(Counts {
        input: count("/prompt_tokens")?,
        output: count("/completion_tokens").unwrap_or(0),
        total: count("/total_tokens").unwrap_or(0),
        reasoning: count("/completion_tokens_details/reasoning_tokens"),
        cached: count("/prompt_tokens_details/cached_tokens"),
        cache_write: count("/prompt_tokens_details/cache_write_tokens"),
    })
}

#[cfg(test)]
mod tests;
