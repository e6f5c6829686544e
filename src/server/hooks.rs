//! `POST /hooks/{agent}/{name}`: deliveries of webhooks (docs/agents.md §2).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use crate::runtime::{Delivery, Runtime};

use super::agents::fit_by_id;
use super::error::problem::Problem;
use super::v1::body;

pub(super) fn routes(runtime: Arc<Runtime>) -> Router {
    Router::new()
        .route("/hooks/{agent}/{name}", post(deliver))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(runtime)
}

/// The run is stored when this is answered.
async fn deliver(
    State(runtime): State<Arc<Runtime>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Path((agent, name)) = path.map_err(|_| Problem::not_found())?;
    let agent = fit_by_id(&runtime, &agent)?;
    let body = body::bytes(body, body::BODY_BYTES).await?;
    let headers: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let delivered = runtime.deliver(&agent, &name, Delivery { headers: &headers, body: &body }).await?;
    let (run_id, thread_id, accepted) = (delivered.run_id, delivered.thread_id, delivered.accepted);
    let answer = json!({ "run_id": run_id, "thread_id": thread_id, "accepted": accepted });
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
