//! `run`, `connect` and `suggest`: the calls that answer with a stream (docs/copilotkit.md §3).

use std::sync::Arc;

use axum::http::HeaderMap;

use crate::access::Principal;
use crate::agui::RunAgentInput;
use crate::runtime::{Connect, Hosted, StartRun};

use super::super::stream::event_stream;
use super::{Answer, Mount, Problem};

pub(super) async fn run(mount: &Mount, agent: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    let request = start(mount, agent, headers, body)?;
    let tap = mount.debug_feed.as_ref().map(|feed| feed.tap(&request.agent, &request.input));
    Ok(event_stream(mount.runtime.run(request).await?, tap))
}

/// As a run, but on no thread; a client that leaves stops the agent.
pub(super) fn suggest(mount: &Mount, agent: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    Ok(event_stream(mount.runtime.suggest(start(mount, agent, headers, body)?)?, None))
}

pub(super) async fn connect(mount: &Mount, agent: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    let agent = find(mount, agent)?;
    let input = read(body)?;
    let tap = mount.debug_feed.as_ref().map(|feed| feed.tap(&agent, &input));
    let last_event_id = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let connect = Connect {
        principal: Principal::local(),
        agent,
        dialect: input.dialect(),
        thread_id: input.thread_id,
        run_id: input.run_id,
        last_event_id,
    };
    Ok(event_stream(mount.runtime.connect(connect).await?, tap))
}

fn start(mount: &Mount, agent: &str, headers: &HeaderMap, body: &[u8]) -> Result<StartRun, Problem> {
    let agent = find(mount, agent)?;
    let input = read(body)?;
    Ok(StartRun { principal: Principal::local(), agent, input, headers: applications_own(headers) })
}

fn find(mount: &Mount, agent: &str) -> Result<Arc<Hosted>, Problem> {
    mount.runtime.agents().find(agent).ok_or_else(|| Problem::agent_not_found(agent))
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
