//! What only CopilotKit's commercial platform answers: refused as its runtime does without one (docs/copilotkit.md §1).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Problem;

const NEVER_STORED: HeaderValue = HeaderValue::from_static("no-store, private");

/// No metadata: clients go on without.
pub(super) fn inspector_metadata() -> Response {
    (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, NEVER_STORED)]).into_response()
}

pub(super) fn inspector_learning() -> Response {
    ([(header::CACHE_CONTROL, NEVER_STORED)], Problem::not_found()).into_response()
}

pub(super) async fn subscribe() -> Problem {
    Problem::needs_platform("Thread operations require")
}

pub(super) async fn annotate() -> Problem {
    Problem::needs_platform("annotate requires")
}
