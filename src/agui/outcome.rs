//! How runs and subagents end (section 1.3): outcomes, the interrupts they may hold, and what was used on the way.

use serde::{Deserializer, Serialize, Serializer};

use crate::agui::json::Object;
use crate::agui::read::{Read, Reader, Union, read_required_union, read_text, read_union};
use crate::agui::record::{deserialize_as_read, record};

record! {
    /// A question that a run ended with; the next run of the thread answers it by its id.
    pub struct Interrupt {
        id: String = "id",
        /// `tool_call`, `input_required`, `confirmation` or a namespaced reason of the application.
        reason: String = "reason",
    } optional {
        message: String = "message",
        tool_call_id: String = "toolCallId",
        /// JSON Schema of the answer.
        response_schema: Object = "responseSchema",
        /// ISO 8601 by convention; what cannot be parsed never expires.
        expires_at: String = "expiresAt",
        metadata: Object = "metadata",
        subagent_run_id: String = "subagentRunId",
    }
}

record! {
    /// Tokens of one provider and model over the whole run, subagents included. Input and output are totals: cached and
    /// cache-written tokens are part of the input, reasoning is part of the output.
    pub struct TokenUsage {
    } optional {
        provider: String = "provider",
        model: String = "model",
        input_tokens: u64 = "inputTokens",
        output_tokens: u64 = "outputTokens",
        total_tokens: u64 = "totalTokens",
        reasoning_tokens: u64 = "reasoningTokens",
        cached_input_tokens: u64 = "cachedInputTokens",
        cache_write_input_tokens: u64 = "cacheWriteInputTokens",
        /// The runtime's own account, which clients are not told; absent where the price is not known.
        cost_usd: f64 = "costUsd",
    }
}

record! {
    /// The run did what it was asked to.
    pub struct Success as "type" = "success" {
    } optional {
        /// Calls of browser tools that wait for their answer; absent lets the client find them in the stream.
        pending_tool_call_ids: Vec<String> = "pendingToolCallIds",
    }
}

record! {
    /// The run waits for answers.
    pub struct Interrupted as "type" = "interrupt" {
        /// At least one.
        interrupts: NonEmpty = "interrupts",
    }
}

record! {
    /// Somebody stopped the run; nothing is owed.
    pub struct Cancelled as "type" = "cancelled" {}
}

/// A list of interrupts that is not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct NonEmpty(Vec<Interrupt>);

impl NonEmpty {
    /// The list, unless it is empty.
    pub fn new(interrupts: Vec<Interrupt>) -> Option<Self> {
        (!interrupts.is_empty()).then_some(Self(interrupts))
    }

    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Interrupt> {
        self.0.iter_mut()
    }
}

impl std::ops::Deref for NonEmpty {
    type Target = [Interrupt];
    fn deref(&self) -> &[Interrupt] {
        &self.0
    }
}

impl Serialize for NonEmpty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Read for NonEmpty {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let interrupts = Vec::read(deserializer, reader)?;
        Self::new(interrupts).ok_or_else(|| D::Error::custom("at least one interrupt is required"))
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Success(Success),
    Interrupt(Interrupted),
    Cancelled(Cancelled),
}

impl Outcome {
    /// Success, with nothing said about pending calls.
    pub fn success() -> Self {
        Self::Success(Success { pending_tool_call_ids: None })
    }

    /// Waiting for answers; `None` without a question.
    pub fn interrupt(interrupts: Vec<Interrupt>) -> Option<Self> {
        NonEmpty::new(interrupts).map(|interrupts| Self::Interrupt(Interrupted { interrupts }))
    }

    /// Stopped.
    pub fn cancelled() -> Self {
        Self::Cancelled(Cancelled {})
    }

    /// The questions of an interrupted run.
    pub fn interrupts(&self) -> &[Interrupt] {
        match self {
            Self::Interrupt(interrupted) => &interrupted.interrupts,
            Self::Success(_) | Self::Cancelled(_) => &[],
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Success(outcome) => outcome.serialize(serializer),
            Self::Interrupt(outcome) => outcome.serialize(serializer),
            Self::Cancelled(outcome) => outcome.serialize(serializer),
        }
    }
}

impl Union for Outcome {
    const TAG: &'static str = "type";

    fn read_member(tag: &str, text: &str, reader: &mut Reader) -> Option<Result<Self, serde_json::Error>> {
        Some(match tag {
            "success" => read_text(text, reader).map(Self::Success),
            "interrupt" => read_text(text, reader).map(Self::Interrupt),
            "cancelled" => read_text(text, reader).map(Self::Cancelled),
            _ => return None,
        })
    }
}

impl Read for Outcome {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        read_required_union(deserializer, reader)
    }

    fn read_known<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Option<Self>, D::Error> {
        read_union(deserializer, reader)
    }
}

record! {
    /// The subagent did what it was asked to.
    pub struct SubagentSuccess as "type" = "success" {}
}

record! {
    /// The subagent waits; it goes on under the same id in the run that answers.
    pub struct Suspended as "type" = "suspended" {
    } optional {
        interrupt_ids: Vec<String> = "interruptIds",
    }
}

/// How a subagent ended.
#[derive(Clone, Debug, PartialEq)]
pub enum SubagentOutcome {
    Success(SubagentSuccess),
    Suspended(Suspended),
}

impl Serialize for SubagentOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Success(outcome) => outcome.serialize(serializer),
            Self::Suspended(outcome) => outcome.serialize(serializer),
        }
    }
}

impl Union for SubagentOutcome {
    const TAG: &'static str = "type";

    fn read_member(tag: &str, text: &str, reader: &mut Reader) -> Option<Result<Self, serde_json::Error>> {
        Some(match tag {
            "success" => read_text(text, reader).map(Self::Success),
            "suspended" => read_text(text, reader).map(Self::Suspended),
            _ => return None,
        })
    }
}

impl Read for SubagentOutcome {
    fn read<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Self, D::Error> {
        read_required_union(deserializer, reader)
    }

    fn read_known<'de, D: Deserializer<'de>>(deserializer: D, reader: &mut Reader) -> Result<Option<Self>, D::Error> {
        read_union(deserializer, reader)
    }
}

deserialize_as_read!(Interrupt, TokenUsage, Outcome, SubagentOutcome);
