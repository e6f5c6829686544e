//! From the events of a message to the pieces of an answer.

use serde_json::{Value, json};

use crate::agent::model::reading::{self, truncated};
use crate::agent::model::usage::Counts;
use crate::agent::model::{Fault, Finish, ModelName, Piece, parts, refusal};

/// Reads one answer.
#[derive(Debug)]
pub(super) struct Assembler {
    by: ModelName,
    blocks: Vec<(u64, Block)>,
    calls: usize,
    /// What was thought, as it has to be given back.
    sealed: Vec<Value>,
    counts: Option<Counts>,
    finish: Option<Finish>,
    is_over: bool,
    has_begun: bool,
}

/// A block that has begun.
#[derive(Debug)]
enum Block {
    Text,
    Thinking {
        thinking: String,
        signature: String,
    },
    Call {
        call: usize,
    },
    /// One that is nobody's to see.
    Other,
}

impl Assembler {
    pub(super) fn new(by: ModelName) -> Self {
        Self {
            by,
            blocks: Vec::new(),
            calls: 0,
            sealed: Vec::new(),
            counts: None,
            finish: None,
            is_over: false,
            has_begun: false,
        }
    }
}

impl reading::Assembler for Assembler {
    fn take(&mut self, event: &Value, out: &mut Vec<Piece>) -> Result<(), Fault> {
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message_start" => self.count(event.pointer("/message/usage")),
            "content_block_start" => self.begin(index, event.get("content_block").unwrap_or(&Value::Null), out),
            "content_block_delta" => self.go_on(index, event.get("delta").unwrap_or(&Value::Null), out),
            "content_block_stop" => self.close(index),
            "message_delta" => {
                self.count(event.get("usage"));
                self.reason(event.pointer("/delta/stop_reason"));
            }
            "message_stop" => self.is_over = true,
            // A server that does not stream sends the message as it is.
            "message" => {
                let blocks = event.get("content").and_then(Value::as_array).into_iter().flatten();
                for (index, block) in blocks.enumerate() {
                    self.begin(index as u64, block, out);
                    if let Some(input) = block.get("input").filter(|_| block["type"] == "tool_use") {
                        let delta = json!({ "type": "input_json_delta", "partial_json": input.to_string() });
                        self.go_on(index as u64, &delta, out);
                    }
                    self.close(index as u64);
                }
                self.count(event.get("usage"));
                self.reason(event.get("stop_reason"));
                self.is_over = true;
            }
            "error" => return Err(refusal::in_band(event.get("error").unwrap_or(&Value::Null))),
            // `ping`, and what is to come.
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
        self.finish.is_some() && self.is_over
    }

    fn end(&mut self, out: &mut Vec<Piece>) -> Result<(), Fault> {
        let finish = self.finish.ok_or_else(truncated)?;
        out.extend(parts::sealed(&self.by, &self.sealed).map(Piece::Sealed));
        out.extend(self.counts.map(|counts| Piece::Usage(counts.normal())));
        out.push(Piece::Finished(finish));
        Ok(())
    }
}

impl Assembler {
    fn begin(&mut self, index: u64, block: &Value, out: &mut Vec<Piece>) {
        let begun = match block.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text" => {
                out.extend(text_in(block, "text").map(Piece::Text));
                Block::Text
            }
            "thinking" => {
                let thinking = text_in(block, "thinking").unwrap_or_default();
                out.extend((!thinking.is_empty()).then(|| Piece::Reasoning(thinking.clone())));
                Block::Thinking { thinking, signature: text_in(block, "signature").unwrap_or_default() }
            }
            "redacted_thinking" => {
                self.sealed.push(block.clone());
                Block::Other
            }
            "tool_use" => {
                let call = self.calls;
                self.calls += 1;
                let name = text_in(block, "name").unwrap_or_default();
                out.push(Piece::Call { call, id: text_in(block, "id"), name });
                Block::Call { call }
            }
            _ => Block::Other,
        };
        self.blocks.push((index, begun));
    }

    fn go_on(&mut self, index: u64, delta: &Value, out: &mut Vec<Piece>) {
        let block = self.blocks.iter_mut().rfind(|(at, _)| *at == index).map(|(_, block)| block);
        match (delta.get("type").and_then(Value::as_str).unwrap_or_default(), block) {
            ("text_delta", _) => out.extend(text_in(delta, "text").map(Piece::Text)),
            ("thinking_delta", Some(Block::Thinking { thinking, .. })) => {
                if let Some(more) = text_in(delta, "thinking") {
                    thinking.push_str(&more);
                    out.push(Piece::Reasoning(more));
                }
            }
            ("signature_delta", Some(Block::Thinking { signature, .. })) => {
                signature.push_str(&text_in(delta, "signature").unwrap_or_default());
            }
            ("input_json_delta", Some(Block::Call { call })) => {
                let arguments = |delta| Piece::Arguments { call: *call, delta };
                out.extend(text_in(delta, "partial_json").map(arguments));
            }
            _ => {}
        }
    }

    /// A thought is given back only with its signature.
    fn close(&mut self, index: u64) {
        let Some(at) = self.blocks.iter().rposition(|(at, _)| *at == index) else { return };
        if let (_, Block::Thinking { thinking, signature }) = self.blocks.remove(at)
            && !signature.is_empty()
        {
            self.sealed.push(json!({ "type": "thinking", "thinking": thinking, "signature": signature }));
        }
    }

    /// The counts so far; what comes later replaces what it names. The provider counts beside the input what its cache held.
    fn count(&mut self, usage: Option<&Value>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        let before = self.counts.unwrap_or_default();
        let cached = count("cache_read_input_tokens").or(before.cached);
        let cache_write = count("cache_creation_input_tokens").or(before.cache_write);
        let beside = |counts: &Counts| counts.cached.unwrap_or(0) + counts.cache_write.unwrap_or(0);
        let plain = count("input_tokens").unwrap_or(before.input - beside(&before));
        let counts = Counts { cached, cache_write, output: count("output_tokens").unwrap_or(before.output), ..before };
        self.counts = Some(Counts { input: plain + beside(&counts), ..counts });
    }

    fn reason(&mut self, reason: Option<&Value>) {
        self.finish = match reason.and_then(Value::as_str) {
            None => return,
            Some("max_tokens" | "model_context_window_exceeded") => Some(Finish::Length),
            Some("refusal") => Some(Finish::Filtered),
            // `end_turn`, `tool_use`, `stop_sequence`, …: what came is what there is.
            Some(_) => Some(Finish::Complete),
        };
    }
}

fn text_in(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}
