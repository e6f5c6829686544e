//! What of a request travels on to agents.

use axum::http::HeaderMap;

/// The headers that an agent may be told of; which of them it passes on is its definition's (`forward_headers`).
/// This server consumes no credential itself, so `authorization` is the application's own.
pub(super) fn applications_own(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str() == "authorization" || name.as_str().starts_with("x-"))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}
