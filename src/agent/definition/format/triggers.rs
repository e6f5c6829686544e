//! `triggers`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::scalars::{Duration, DurationOrZero, Id, Pointer, Secret};

/// What starts a run without a person.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub(super) enum Trigger {
    State(StateTrigger),
    Cron(CronTrigger),
    Interval(IntervalTrigger),
    Webhook(WebhookTrigger),
    Agent(AgentTrigger),
    Start(StartTrigger),
}

/// A path of a document changed and a condition holds.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct StateTrigger {
    prompt: Option<String>,
    thread: Option<String>,
    visible: Option<bool>,
    doc: String,
    path: Option<Pointer>,
    /// An expression over `old`, `new`, `state`, `doc`, `actor`.
    when: Option<String>,
    debounce: Option<Duration>,
    /// `user`, `agent`, `service`, or one of them with `:` and a name.
    from: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CronTrigger {
    prompt: Option<String>,
    thread: Option<String>,
    visible: Option<bool>,
    expr: String,
    tz: Option<String>,
    overlap: Option<Overlap>,
    catchup: Option<DurationOrZero>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Overlap {
    Skip,
    Queue,
    Allow,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct IntervalTrigger {
    prompt: Option<String>,
    thread: Option<String>,
    visible: Option<bool>,
    every: Duration,
    overlap: Option<Overlap>,
    catchup: Option<DurationOrZero>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct WebhookTrigger {
    prompt: Option<String>,
    thread: Option<String>,
    visible: Option<bool>,
    name: Id,
    verify: Option<Verify>,
    idempotency: Option<String>,
    map: Option<BTreeMap<String, String>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Verify {
    hmac_sha256: Secret,
    header: String,
}

/// A run of another agent ended.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct AgentTrigger {
    prompt: Option<String>,
    thread: Option<String>,
    visible: Option<bool>,
    agent: Id,
    outcome: Option<TriggerOutcome>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum TriggerOutcome {
    Success,
    Failure,
    Any,
}

/// The process started.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct StartTrigger {
    prompt: Option<String>,
    thread: Option<String>,
    visible: Option<bool>,
}
