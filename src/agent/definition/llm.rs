//! What a definition says of an agent that a model answers for (docs/agents.md §1, `kind: llm`).

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use serde_json::{Map, Value};

use super::secret::Secret;

/// A model, how to reach it and how to ask it.
#[derive(Clone, PartialEq)]
pub struct Llm {
    /// `provider/model`, or a name that `_shared/models.yaml` declares. Never empty.
    pub model: String,
    /// `http` or `https`; absent means the provider's own.
    pub base_url: Option<Url>,
    /// Absent when the file names none; a key that is named and not there is [`Secret::Missing`], which disables nothing.
    pub api_key: Option<Secret>,
    /// Absent means what the provider speaks best.
    pub api: Option<Api>,
    /// Sent with every request. Names are lower-case and occur once.
    pub headers: Vec<(String, String)>,
    pub params: Params,
    /// Models to ask when this one fails, in order, written as `model`.
    pub fallback: Vec<String>,
    pub timeouts: ModelTimeouts,
    pub output: Option<Output>,
    pub history: History,
    /// The template of the system prompt; empty when the file gives none.
    pub instructions: Instructions,
}

impl fmt::Debug for Llm {
    /// Names the headers without their values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Llm")
            .field("model", &self.model)
            .field("base_url", &self.base_url.as_ref().map(Url::as_str))
            .field("api_key", &self.api_key)
            .field("api", &self.api)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("params", &self.params)
            .field("fallback", &self.fallback)
            .field("timeouts", &self.timeouts)
            .field("output", &self.output)
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}

/// The protocol of a model server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Anthropic,
}

/// What is asked of the model beside the messages; what is absent is left to the provider.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Params {
    /// From 0 to 2.
    pub temperature: Option<f64>,
    /// At least 1.
    pub max_output_tokens: Option<u32>,
    /// The provider's word: `minimal`, `low`, `medium`, `high`, …
    pub reasoning_effort: Option<String>,
    pub parallel_tool_calls: Option<bool>,
    /// Members that go into the request as they are.
    pub extra: Map<String, Value>,
}

/// How long a model may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelTimeouts {
    pub connect: Duration,
    /// From the request to the first piece of the answer.
    pub first_token: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
}

impl Default for ModelTimeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first_token: Duration::from_secs(60), idle: Duration::from_secs(45) }
    }
}

/// An answer that has to have a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// A JSON Schema; an object or a boolean.
    pub schema: Value,
    /// Where in the agent's state the answer is put.
    pub write_to: Option<String>,
    /// How often the model is asked again when its answer does not fit.
    pub retries: u32,
}

/// How much of the conversation the model sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// The latest messages that are sent; absent means all.
    pub max_messages: Option<usize>,
    pub client_system: ClientSystem,
}

/// What becomes of system and developer messages that a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientSystem {
    #[default]
    Drop,
    Keep,
}

/// A template and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instructions {
    /// Minijinja source.
    pub text: String,
    /// The line of the file in which the text begins, from 1; 0 when the file gives none.
    pub first_line: u32,
}
