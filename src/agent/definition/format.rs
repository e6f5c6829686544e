//! The format of definitions as a JSON Schema, for editors: `coagent schema agent` (docs/agents.md §1).
//!
//! These types are never filled; a test holds them against what the reader accepts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// The schema as JSON, pretty, with a line break at its end.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(AgentFile);
    schema.insert("$id".to_owned(), "urn:coagent:schema:agent".into());
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
    text.push('\n');
    text
}

/// Whole number and unit: `500ms`, `5s`, `10m`, `1h`.
#[derive(JsonSchema)]
struct Duration(#[schemars(regex(pattern = r"^([0-9]+(ms|s|m|h)|.*\$\{.*)$"))] String);

/// A JSON Pointer (RFC 6901).
#[derive(JsonSchema)]
struct Pointer(#[schemars(regex(pattern = r"^(/([^/~]|~[01])*)*$"))] String);

/// Never a literal: `${env:NAME}` or `${file:path}`.
#[derive(JsonSchema)]
struct Secret(#[schemars(regex(pattern = r"^\s*\$\{(env|file):[^}]+\}\s*$"))] String);

/// The id of an agent.
#[derive(JsonSchema)]
struct Id(#[schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]{0,63}$"))] String);

/// One agent of CoAgent Runtime.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct AgentFile {
    version: Option<Version>,
    /// What people see.
    name: Option<String>,
    /// What it does, for people and for agents that route to it.
    description: Option<String>,
    /// `false`: listed, never run.
    enabled: Option<bool>,
    /// Answers for `default` when no agent is called that.
    default: Option<bool>,
    agent: Agent,
    state: Option<State>,
    documents: Option<Documents>,
    tools: Option<Tools>,
    handoffs: Option<Vec<Id>>,
    triggers: Option<Vec<Trigger>>,
    run: Option<Run>,
    /// May a run stop and wait for a person?
    hitl: Option<Hitl>,
    /// The template of the system prompt (`kind: llm`); in Markdown files it stands below the front matter.
    instructions: Option<String>,
}

#[derive(JsonSchema)]
struct Version(#[schemars(range(min = 1, max = 1))] u8);

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Hitl {
    Deny,
    Interrupt,
}

/// Who does the work.
#[derive(JsonSchema)]
#[schemars(tag = "kind", rename_all = "snake_case")]
enum Agent {
    Llm(Llm),
    Remote(Remote),
    Native(Native),
    Attached(Attached),
}

/// A model.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Llm {
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

/// An AG-UI endpoint elsewhere.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Remote {
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
struct Native {
    name: String,
    /// What the agent itself takes.
    config: Option<Map<String, Value>>,
}

/// A worker that dials in.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Attached {
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

/// The document the agent works on.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct State {
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
struct Documents {
    /// `type/id`, with `*` for any characters.
    read: Option<Vec<String>>,
    /// The same, and `#/pointer` behind it if less than the whole is meant.
    write: Option<Vec<String>>,
}

#[derive(JsonSchema)]
struct Tools {
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

/// The tools of an MCP server: either `url` or `command`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct McpTool {
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

/// What starts a run without a person.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
enum Trigger {
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
struct StateTrigger {
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
struct CronTrigger {
    prompt: Option<String>,
    thread: Option<String>,
    visible: Option<bool>,
    expr: String,
    tz: Option<String>,
    overlap: Option<Overlap>,
    catchup: Option<DurationOrZero>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum DurationOrZero {
    Zero(#[schemars(range(min = 0, max = 0))] u8),
    Duration(Duration),
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
struct IntervalTrigger {
    prompt: Option<String>,
    thread: Option<String>,
    visible: Option<bool>,
    every: Duration,
    overlap: Option<Overlap>,
    catchup: Option<DurationOrZero>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct WebhookTrigger {
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
struct AgentTrigger {
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
struct StartTrigger {
    prompt: Option<String>,
    thread: Option<String>,
    visible: Option<bool>,
}

/// How runs queue, what they may cost, and how they are tried again.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Run {
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
