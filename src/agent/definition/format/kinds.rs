//! `agent` of the kinds `remote`, `native` and `attached`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::scalars::{Duration, Secret};

/// An AG-UI endpoint elsewhere.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Remote {
    url: String,
    headers: Option<BTreeMap<String, String>>,
    forward_headers: Option<ForwardHeaders>,
    forward_state: Option<ForwardState>,
    state_mode: Option<StateMode>,
    timeouts: Option<RemoteTimeouts>,
    #[schemars(range(min = 1024, max = 67_108_864))]
    max_event_bytes: Option<u32>,
    /// Drop `RAW` events and `rawEvent` fields.
    strip_raw: Option<bool>,
    /// The version of AG-UI that requests name.
    #[schemars(regex(pattern = r"^[0-9]+\.[0-9]+$"))]
    protocol_version: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum ForwardHeaders {
    All(bool),
    Only(Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ForwardState {
    Full,
    Read,
    None,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum StateMode {
    Merge,
    Replace,
    DeltasOnly,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RemoteTimeouts {
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    idle: Option<Duration>,
}

/// An agent that is compiled in.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Native {
    name: String,
    /// What the agent itself takes.
    config: Option<Map<String, Value>>,
}

/// A worker that dials in.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Attached {
    token: Option<Secret>,
    #[schemars(range(min = 1))]
    max_inflight: Option<u32>,
    lease: Option<Duration>,
    absent: Option<Absent>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Absent {
    Queue,
    Fail,
}
