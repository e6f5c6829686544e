//! What a definition says of an agent that a model answers for (docs/agents.md §1, `kind: llm`).

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use serde_json::{Map, Value};

use super::secret::Secret;

/// A model, how to reach it and how to ask it.
#[derive(Debug, Clone, PartialEq)]
pub struct Llm {
    /// `provider/model`, or a name that `_shared/models.yaml` declares. Never empty.
    pub model: String,
    /// What the definition itself says; a named model's settings stand below it.
    pub settings: ModelSettings,
    /// Models to ask when this one fails, in order, written as `model`.
    pub fallback: Vec<String>,
    /// `model` and `fallback` with all that their names stand for, in this order; filled in once all files are read.
    pub asked: Vec<AskedModel>,
    pub output: Option<Output>,
    pub history: History,
    /// The template of the system prompt; empty when the file gives none.
    pub instructions: Instructions,
}

/// How to reach and to ask a model, as far as one file says.
#[derive(Clone, PartialEq, Default)]
pub struct ModelSettings {
    /// `http` or `https`; absent means the provider's own.
    pub base_url: Option<Url>,
    /// Absent when the file names none; a key that is named and not there is [`Secret::Missing`], which disables nothing.
    pub api_key: Option<Secret>,
    /// Absent means what the provider speaks best.
    pub api: Option<Api>,
    /// Sent with every request. Names are lower-case and occur once.
    pub headers: Vec<(String, String)>,
    pub params: Params,
    pub timeouts: SaidTimeouts,
    /// What tokens cost, where the file says so.
    pub price: Option<Price>,
}

/// A model that an agent asks, with all that its names stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedModel {
    /// The field that asks for it, dotted: `agent.model`, `agent.fallback[0]`.
    pub field: String,
    pub provider: String,
    /// What it is called there.
    pub name: String,
    pub settings: ModelSettings,
}

impl fmt::Debug for ModelSettings {
    /// Names the headers without their values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelSettings")
            .field("base_url", &self.base_url.as_ref().map(Url::as_str))
            .field("api_key", &self.api_key)
            .field("api", &self.api)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("params", &self.params)
            .field("timeouts", &self.timeouts)
            .field("price", &self.price)
            .finish()
    }
}

impl ModelSettings {
    /// These settings, and those of `below` wherever these say nothing: headers by name, parameters and time-outs one by
    /// one.
    pub(in crate::agent) fn over(self, below: Self) -> Self {
        let mut headers = self.headers;
        let more = below.headers.into_iter().filter(|(name, _)| !headers.iter().any(|(own, _)| own == name));
        headers.extend(more.collect::<Vec<_>>());
        Self {
            base_url: self.base_url.or(below.base_url),
            api_key: self.api_key.or(below.api_key),
            api: self.api.or(below.api),
            headers,
            params: self.params.over(below.params),
            timeouts: self.timeouts.over(below.timeouts),
            price: self.price.or(below.price),
        }
    }

    /// What holds for every model that a definition asks, wherever it is served.
    pub(in crate::agent) fn everywhere(&self) -> Self {
        let params = Params { extra: Map::new(), ..self.params.clone() };
        Self { params, timeouts: self.timeouts, ..Self::default() }
    }
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    pub input: f64,
    pub output: f64,
    /// Absent: as `input`.
    pub cached_input: Option<f64>,
    /// Absent: as `input`.
    pub cache_write: Option<f64>,
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

impl Params {
    fn over(self, below: Self) -> Self {
        let mut extra = below.extra;
        extra.extend(self.extra);
        Self {
            temperature: self.temperature.or(below.temperature),
            max_output_tokens: self.max_output_tokens.or(below.max_output_tokens),
            reasoning_effort: self.reasoning_effort.or(below.reasoning_effort),
            parallel_tool_calls: self.parallel_tool_calls.or(below.parallel_tool_calls),
            extra,
        }
    }
}

/// The time-outs that a file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SaidTimeouts {
    pub connect: Option<Duration>,
    pub first_token: Option<Duration>,
    pub idle: Option<Duration>,
}

impl SaidTimeouts {
    fn over(self, below: Self) -> Self {
        Self {
            connect: self.connect.or(below.connect),
            first_token: self.first_token.or(below.first_token),
            idle: self.idle.or(below.idle),
        }
    }

    /// The defaults where nothing is said.
    pub fn whole(self) -> ModelTimeouts {
        let default = ModelTimeouts::default();
        ModelTimeouts {
            connect: self.connect.unwrap_or(default.connect),
            first_token: self.first_token.unwrap_or(default.first_token),
            idle: self.idle.unwrap_or(default.idle),
        }
    }
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
