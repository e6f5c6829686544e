//! What a person or a probe asks of the server itself: the start page and the health routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::runtime::Runtime;

const START_PAGE: &str = include_str!("start_page.html");

pub(super) fn routes(base_path: &str, runtime: Arc<Runtime>) -> Router {
    let page = START_PAGE.replace("{{base_path}}", base_path);
    Router::new()
        .route("/", get(|| async { Html(page) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(runtime)
}

/// Definitions are loaded before the server listens, so only the store can be missing.
async fn ready(State(runtime): State<Arc<Runtime>>) -> Response {
    if runtime.is_ready().await {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
    }
}
