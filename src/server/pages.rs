//! What a person or a probe asks of the server itself: the start page, the health routes, the description.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::runtime::Runtime;

use super::{openapi, start_page};

pub(super) fn routes(base_path: &str, runtime: Arc<Runtime>) -> Router {
    let base_path: Arc<str> = base_path.into();
    Router::new()
        .route("/", get(move |runtime| start_page::show(base_path, runtime)))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(openapi::describe))
        .with_state(runtime)
}

/// Says that the process is alive
#[utoipa::path(
    get, path = "/healthz", tag = "server", operation_id = "is_alive",
    responses((status = 200, description = "`ok`", body = String, content_type = "text/plain")),
)]
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Says whether requests can be served
///
/// A definition that is broken disables its own agent and nothing else; a folder of definitions that cannot be read disables
/// all of them.
#[utoipa::path(
    get, path = "/readyz", tag = "server", operation_id = "is_ready",
    responses(
        (status = 200, description = "`ready`", body = String, content_type = "text/plain"),
        (status = 503, description = "The store does not answer, or the folder of agents cannot be read", body = String, content_type = "text/plain"),
    ),
)]
pub(super) async fn ready(State(runtime): State<Arc<Runtime>>) -> Response {
    if !runtime.is_ready().await {
        return (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response();
    }
    match runtime.agents().unreadable() {
        Some(problem) => {
            let why = format!("{}: {}\n", problem.file.display(), problem.message);
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
        None => "ready\n".into_response(),
    }
}
