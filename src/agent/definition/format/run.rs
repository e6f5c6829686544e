//! `run`.

use schemars::JsonSchema;

use super::scalars::Duration;

/// How runs queue, what they may cost, and how they are tried again.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Run {
    concurrency: Option<Concurrency>,
    budget: Option<Budget>,
    daily: Option<Daily>,
    chain: Option<Chain>,
    retry: Option<Retry>,
    durable: Option<Durable>,
    dead_letter: Option<DeadLetter>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Concurrency {
    #[schemars(range(min = 1, max = 1))]
    per_thread: Option<u32>,
    #[schemars(range(min = 1))]
    per_agent: Option<u32>,
    on_conflict: Option<OnConflict>,
    queue_max: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OnConflict {
    Reject,
    Enqueue,
    Supersede,
    Coalesce,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Budget {
    #[schemars(range(min = 1))]
    steps: Option<u32>,
    tool_calls: Option<u32>,
    #[schemars(range(min = 1))]
    tokens: Option<u64>,
    #[schemars(range(min = 0))]
    cost_usd: Option<f64>,
    wall: Option<Duration>,
    no_progress: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Daily {
    runs: Option<u32>,
    #[schemars(range(min = 0))]
    cost_usd: Option<f64>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Chain {
    max_depth: Option<u32>,
    #[schemars(range(min = 1))]
    max_runs: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Retry {
    #[schemars(range(min = 1))]
    attempts: Option<u32>,
    base: Option<Duration>,
    max: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Durable {
    Steps,
    Off,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum DeadLetter {
    Keep,
    Drop,
}
