//! `agent` of kind `llm`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::scalars::{Duration, Pointer, Secret};

/// A model.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Llm {
    /// `provider/model`, or a name from `_shared/models.yaml`.
    model: String,
    base_url: Option<String>,
    api_key: Option<Secret>,
    api: Option<Api>,
    headers: Option<BTreeMap<String, String>>,
    params: Option<Params>,
    /// Asked in this order when `model` fails.
    fallback: Option<Vec<String>>,
    timeouts: Option<LlmTimeouts>,
    /// US dollars for a million tokens, where the runtime does not know it.
    price: Option<Price>,
    output: Option<Output>,
    history: Option<History>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Api {
    Chat,
    Responses,
    Anthropic,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Params {
    #[schemars(range(min = 0, max = 2))]
    temperature: Option<f64>,
    #[schemars(range(min = 1))]
    max_output_tokens: Option<u32>,
    reasoning_effort: Option<String>,
    parallel_tool_calls: Option<bool>,
    /// Goes into the request as it is.
    extra: Option<Map<String, Value>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LlmTimeouts {
    connect: Option<Duration>,
    first_token: Option<Duration>,
    idle: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// A JSON Schema.
    schema: Value,
    write_to: Option<Pointer>,
    #[schemars(range(min = 0, max = 10))]
    retries: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct History {
    #[schemars(range(min = 1))]
    max_messages: Option<u32>,
    client_system: Option<ClientSystem>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ClientSystem {
    Drop,
    Keep,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Price {
    #[schemars(range(min = 0))]
    input: f64,
    #[schemars(range(min = 0))]
    cached_input: Option<f64>,
    #[schemars(range(min = 0))]
    cache_write: Option<f64>,
    #[schemars(range(min = 0))]
    output: f64,
}
