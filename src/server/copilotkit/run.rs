//! `run`, `connect` and `suggest`: the calls that answer with a stream (docs/copilotkit.md §3).

use std::sync::Arc;

use axum::http::HeaderMap;

use crate::access::Principal;
use crate::agui::{Encoding, RunAgentInput};
use crate::runtime::{ClientProps, Connect, Hosted, ReplayFrom, StartRun};

use super::super::caller::applications_own;
use super::super::stream::{event_stream, going_on_after};
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
    let (principal, input) = (Principal::local(), read(body));
    let known = input.as_ref().ok().and_then(|input| mount.runtime.agent_on(&principal, agent, &input.thread_id));
    let agent = known.map_or_else(|| find(mount, agent), Ok)?;
    let input = input?;
    let tap = mount.debug_feed.as_ref().map(|feed| feed.tap(&agent, &input));
    let last_event_id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let from = match (last_event_id, ClientProps::of(&input).from_run) {
        (Some(id), _) => going_on_after(id),
        (None, Some(run_id)) => ReplayFrom::Run(run_id),
        (None, None) => ReplayFrom::Beginning,
    };
    let connect = Connect {
        principal,
        agent,
        dialect: input.dialect(),
        thread_id: input.thread_id,
        run_id: input.run_id,
        from,
        held: input.messages,
    };
    Ok(event_stream(mount.runtime.connect(connect).await?, tap))
}

fn start(mount: &Mount, agent: &str, headers: &HeaderMap, body: &[u8]) -> Result<StartRun, Problem> {
    let agent = find(mount, agent)?;
    let input = read(body)?;
    Ok(StartRun {
        principal: Principal::local(),
        agent,
        input,
        headers: applications_own(headers),
        encoding: Encoding::Sse,
    })
}

fn find(mount: &Mount, agent: &str) -> Result<Arc<Hosted>, Problem> {
    mount.runtime.agents().find(agent).ok_or_else(|| Problem::agent_not_found(agent))
}

fn read(body: &[u8]) -> Result<RunAgentInput, Problem> {
    RunAgentInput::read(body).map_err(|error| Problem::invalid_body(error.to_string()))
}
