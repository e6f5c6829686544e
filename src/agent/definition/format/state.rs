//! `state` and `documents`.

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::scalars::Pointer;

/// The document the agent works on.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct State {
    /// `thread`, `agent`, `shared/<id>` (which may contain `{{thread}}`) or `trigger`.
    #[schemars(regex(pattern = r"^(thread|agent|trigger|shared/.+)$"))]
    scope: Option<String>,
    /// A JSON Schema, the name of a file beside the definition, of a declared type, or `rust:<TypeName>`.
    schema: Option<SchemaSource>,
    initial: Option<Map<String, Value>>,
    /// What the agent gets.
    read: Option<Vec<Pointer>>,
    /// Below what it may write.
    write: Option<Vec<Pointer>>,
    predict: Option<Vec<Predict>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum SchemaSource {
    Named(String),
    Inline(Map<String, Value>),
    Anything(bool),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Predict {
    tool: String,
    argument: String,
    path: Pointer,
}

/// Documents beside the agent's own state.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Documents {
    /// `type/id`, with `*` for any characters, and `#/pointer` behind it if less than the whole is meant.
    read: Option<Vec<String>>,
    /// The same.
    write: Option<Vec<String>>,
}
