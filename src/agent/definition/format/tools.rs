//! `tools`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::scalars::{Duration, Id, Pointer};

#[derive(JsonSchema)]
pub(super) struct Tools {
    /// The built-in state tools.
    state: Option<StateTools>,
    #[schemars(flatten)]
    named: BTreeMap<String, Tool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StateTools {
    read: Option<bool>,
    patch: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
enum Tool {
    Mcp(McpTool),
    Http(HttpTool),
    Agent(AgentTool),
    Client(ClientTool),
}

/// The tools of an MCP server: `url`, `command` or the name of one in `_shared/mcp.yaml` (the tool's own when nothing is said).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct McpTool {
    server: Option<String>,
    url: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    command: Option<Vec<String>>,
    env: Option<BTreeMap<String, String>>,
    allow: Option<Vec<String>>,
    timeout: Option<Duration>,
    idempotent: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct HttpTool {
    description: Option<String>,
    method: Option<Method>,
    url: String,
    headers: Option<BTreeMap<String, String>>,
    input: Option<Map<String, Value>>,
    body: Option<Value>,
    output_pointer: Option<Pointer>,
    timeout: Option<Duration>,
    idempotent: Option<bool>,
    /// May addresses of this machine and its networks be asked? All, or those of these hosts.
    allow_private: Option<AllowPrivate>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum AllowPrivate {
    All(bool),
    Hosts(Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct AgentTool {
    description: Option<String>,
    agent: Id,
    input: Option<Map<String, Value>>,
    state: Option<ToolState>,
    timeout: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ToolState {
    Isolated,
    Shared,
}

/// The browser's tools.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ClientTool {
    /// Names, with `*` for any characters.
    allow: Option<Vec<String>>,
}
