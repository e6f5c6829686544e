//! The agents as `/v1` lists them (docs/agents.md §6).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::agui::{AgentCapabilities, Transport};
use crate::runtime::{AgentView, Entry, Hosted, Runtime, Unfit};

use super::error::problem::{Asks, Code, Problem, Runs};

type Shared = State<Arc<Runtime>>;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agents {
    items: Vec<AgentView>,
}

/// Lists agents
#[utoipa::path(
    get, path = "/v1/agents", tag = "agents", operation_id = "list_agents",
    responses((status = 200, description = "All agents, broken ones too", body = Agents), Asks),
)]
pub(super) async fn list(State(runtime): Shared) -> Json<Agents> {
    Json(Agents { items: runtime.agents().entries().iter().map(|entry| view(&runtime, entry)).collect() })
}

/// Reads an agent
#[utoipa::path(
    get, path = "/v1/agents/{id}", tag = "agents", operation_id = "read_agent",
    params(("id" = String, Path, description = "The agent", example = "demo")),
    responses((status = 200, description = "The agent, with what is wrong with its file", body = AgentView), Asks),
)]
pub(super) async fn read(
    State(runtime): Shared,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<AgentView>, Problem> {
    let entry = entry(&runtime, id)?;
    Ok(Json(view(&runtime, &entry)))
}

/// Pauses an agent
///
/// Has the agent take no further runs.
#[utoipa::path(
    post, path = "/v1/agents/{id}/pause", tag = "agents", operation_id = "pause_agent",
    params(("id" = String, Path, description = "The agent", example = "demo")),
    responses((status = 200, description = "The agent", body = AgentView), Asks),
)]
pub(super) async fn pause(
    State(runtime): Shared,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<AgentView>, Problem> {
    let entry = entry(&runtime, id)?;
    runtime.pause(&Principal::local(), entry.id()).await?;
    Ok(Json(view(&runtime, &entry)))
}

/// Lets an agent go on
#[utoipa::path(
    post, path = "/v1/agents/{id}/resume", tag = "agents", operation_id = "resume_agent",
    params(("id" = String, Path, description = "The agent", example = "demo")),
    responses((status = 200, description = "The agent", body = AgentView), Asks),
)]
pub(super) async fn resume(
    State(runtime): Shared,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<AgentView>, Problem> {
    let entry = entry(&runtime, id)?;
    runtime.resume(&Principal::local(), entry.id()).await?;
    Ok(Json(view(&runtime, &entry)))
}

fn view(runtime: &Runtime, entry: &Entry) -> AgentView {
    let view = entry.view();
    match runtime.is_paused(&Principal::local(), entry.id()) {
        true => AgentView { status: "paused", ..view },
        false => view,
    }
}

/// Reads an agent's capabilities
///
/// What the agent says it can do, and how this server lets it be reached (AG-UI 1.0).
#[utoipa::path(
    get, path = "/v1/agents/{id}/capabilities", tag = "agents", operation_id = "read_capabilities",
    params(("id" = String, Path, description = "The agent", example = "demo")),
    responses((status = 200, description = "What it can do", body = AgentCapabilities), Runs),
)]
pub(super) async fn capabilities(
    State(runtime): Shared,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<AgentCapabilities>, Problem> {
    let mut capabilities = fit(&runtime, id)?.capabilities();
    let transport = capabilities.transport.get_or_insert_with(Transport::default);
    (transport.streaming, transport.http_binary) = (Some(true), Some(true));
    Ok(Json(capabilities))
}

/// The agent that a path names, if it can run.
pub(super) fn fit(runtime: &Runtime, id: Result<Path<String>, PathRejection>) -> Result<Arc<Hosted>, Problem> {
    let Path(id) = id.map_err(|_| Problem::not_found())?;
    fit_by_id(runtime, &id)
}

/// The agent of this id, if it can run.
pub(super) fn fit_by_id(runtime: &Runtime, id: &str) -> Result<Arc<Hosted>, Problem> {
    let entry = entry_by_id(runtime, id)?;
    let id = entry.id();
    match entry.hosted() {
        Ok(hosted) => Ok(Arc::clone(hosted)),
        Err(Unfit::Disabled) => {
            let detail = format!("agent `{id}` is disabled: its definition says `enabled: false`");
            Err(Problem::new(Code::AgentInvalid, detail))
        }
        Err(Unfit::Invalid) => {
            let first = entry.errors().first().map(ToString::to_string).unwrap_or_default();
            Err(Problem::new(Code::AgentInvalid, format!("the definition of agent `{id}` is invalid: {first}"))
                .with("errors", serde_json::to_value(entry.view().errors).expect("errors are plain data")))
        }
    }
}

fn entry(runtime: &Runtime, id: Result<Path<String>, PathRejection>) -> Result<Arc<Entry>, Problem> {
    let Path(id) = id.map_err(|_| Problem::not_found())?;
    entry_by_id(runtime, &id)
}

fn entry_by_id(runtime: &Runtime, id: &str) -> Result<Arc<Entry>, Problem> {
    let unknown = || Problem::new(Code::NotFound, format!("agent `{id}` does not exist"));
    runtime.agents().entry(id).ok_or_else(unknown)
}
