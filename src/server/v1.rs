//! Every route under `/v1`, on one page. What is refused here is refused as a problem (RFC 9457).

mod body;

use std::sync::Arc;

use axum::Router;

use crate::runtime::Runtime;

use super::error::problem::Problem;

pub(super) fn routes(runtime: Arc<Runtime>) -> Router {
    Router::new()
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(runtime)
}
