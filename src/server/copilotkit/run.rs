//! `run` and `connect`: the two calls that answer with a stream (docs/copilotkit §1.4, §1.5).

use axum::http::HeaderMap;

use crate::access::Principal;
use crate::agui::RunAgentInput;
use crate::runtime::{Connect, Runtime, StartRun};

use super::super::stream::event_stream;
use super::{Answer, Problem};

pub(super) async fn run(runtime: &Runtime, agent: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    let agent = runtime.agents().find(agent).ok_or_else(|| Problem::agent_not_found(agent))?;
    let input = read(body)?;
    let headers = applications_own(headers);
    let frames = runtime.run(StartRun { principal: Principal::local(), agent, input, headers }).await?;
    Ok(event_stream(frames))
}

pub(super) async fn connect(runtime: &Runtime, agent: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    let agent = runtime.agents().find(agent).ok_or_else(|| Problem::agent_not_found(agent))?;
    let input = read(body)?;
    let last_event_id = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let connect = Connect {
        principal: Principal::local(),
        agent,
        dialect: input.dialect(),
        thread_id: input.thread_id,
        run_id: input.run_id,
        last_event_id,
    };
    Ok(event_stream(runtime.connect(connect).await?))
}

fn read(body: &[u8]) -> Result<RunAgentInput, Problem> {
    RunAgentInput::read(body).map_err(|error| Problem::invalid_body(error.to_string()))
}

/// The headers that an agent may be told of; which of them it passes on is its definition's (`forward_headers`).
/// This server consumes no credential itself, so `authorization` is the application's own.
fn applications_own(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str() == "authorization" || name.as_str().starts_with("x-"))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}
