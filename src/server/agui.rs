//! Agents as plain AG-UI endpoints, for any AG-UI client: `POST /v1/agents/{id}` (docs/agents.md §2).

mod negotiation;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::access::Principal;
use crate::agui::{Encoding, RunAgentInput};
use crate::runtime::{Runtime, StartRun};

use super::agents::fit;
use super::caller::applications_own;
use super::error::problem::{Code, Problem, Runs};
use super::stream::{event_stream, protobuf_stream};
use super::v1::body;

use negotiation::encoding;

/// A run's input may be this large (docs/state-api.md §1).
pub(super) const INPUT_BYTES: usize = 32 << 20;

/// `RunAgentInput` of AG-UI 1.0.
#[derive(ToSchema)]
#[schema(as = RunAgentInput, rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `RunAgentInput::read` takes apart")]
pub(super) struct Posted {
    thread_id: String,
    run_id: String,
    protocol_version: Option<String>,
    parent_run_id: Option<String>,
    /// What the client believes the state to be.
    state: Option<Value>,
    messages: Vec<Map<String, Value>>,
    tools: Option<Vec<Map<String, Value>>>,
    context: Option<Vec<Map<String, Value>>>,
    forwarded_props: Option<Value>,
    resume: Option<Vec<Map<String, Value>>>,
}

/// Runs an agent
///
/// Runs the agent with the posted `RunAgentInput`. What is wrong with it is said before anything starts; from the first
/// event on, errors are events. The answer is AG-UI's, in the encoding that `Accept` prefers.
#[utoipa::path(
    post, path = "/v1/agents/{id}", tag = "agents", operation_id = "run_agent",
    params(("id" = String, Path, description = "The agent", example = "demo")),
    request_body(content = Posted, content_type = "application/json", example = json!({
        "threadId": "thread-1", "runId": "run-1", "tools": [], "context": [], "forwardedProps": {}, "state": {},
        "messages": [{"id": "message-1", "role": "user", "content": "hello"}],
    })),
    responses(
        (status = 200, description = "Events of AG-UI 1.0", content(
            (String = "text/event-stream"), (Vec<u8> = "application/vnd.ag-ui.event+proto"),
        )),
        Runs,
    ),
)]
pub(super) async fn run(
    State(runtime): State<Arc<Runtime>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let agent = fit(&runtime, id)?;
    body::expect_type(&headers, &[body::JSON])?;
    let input = read(&body::bytes(body, INPUT_BYTES).await?)?;
    let encoding = encoding(&headers);
    let headers = applications_own(&headers);
    let frames = runtime.run(StartRun { principal: Principal::local(), agent, input, headers, encoding }).await?;
    let mut answer = match encoding {
        Encoding::Sse => event_stream(frames, None),
        Encoding::Protobuf => protobuf_stream(frames),
    };
    answer.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    Ok(answer)
}

fn read(body: &[u8]) -> Result<RunAgentInput, Problem> {
    RunAgentInput::read(body).map_err(|error| {
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
        let code = if is_json { Code::InvalidBody } else { Code::InvalidJson };
        Problem::new(code, error.to_string()).with("errors", json!(error.issues))
    })
}
