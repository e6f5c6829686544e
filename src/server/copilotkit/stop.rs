//! `stop`: ends the live run of a thread (docs/copilotkit.md §1).

use axum::Json;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use crate::access::Principal;
use crate::runtime::{Runtime, StopOutcome};

use super::extract::json as read;
use super::{Answer, Problem};

pub(super) async fn answer(runtime: &Runtime, agent: &str, thread: &str, body: &[u8]) -> Answer {
    let run_id = run_id(body)?;
    let principal = Principal::local();
    if runtime.agent_on(&principal, agent, thread).is_none() {
        return Err(Problem::agent_not_found(agent));
    }
    let outcome = runtime.stop(&principal, thread, run_id.as_deref()).await?;
    let body = match outcome {
        StopOutcome::Stopped => json!({
            "stopped": true,
            "interrupt": {"type": "RUN_ERROR", "message": "Run stopped by user", "code": "STOPPED"},
        }),
        StopOutcome::NothingRunning => {
            json!({"stopped": false, "message": format!("No active run for thread '{thread}'.")})
        }
        StopOutcome::OtherRun => {
            let run_id = run_id.unwrap_or_default();
            json!({"stopped": false, "message": format!("Run '{run_id}' is not the active run for thread '{thread}'.")})
        }
    };
    Ok(Json(body).into_response())
}

/// The body is empty, `{}` or `{"runId": "…"}`.
fn run_id(body: &[u8]) -> Result<Option<String>, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let mut members: Map<String, Value> = read(body).map_err(|_| Problem::invalid_stop("Invalid stop request"))?;
    let run_id = members.remove("runId");
    if !members.is_empty() {
        return Err(Problem::invalid_stop("Invalid stop request"));
    }
    match run_id {
        None => Ok(None),
        Some(Value::String(id)) if !id.trim().is_empty() => Ok(Some(id)),
        Some(_) => Err(Problem::invalid_stop("Invalid runId")),
    }
}
