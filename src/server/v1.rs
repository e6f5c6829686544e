//! Every route under `/v1`, on one page. What is refused here is refused as a problem (RFC 9457).

pub(super) mod body;
pub(super) mod query;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::runtime::Runtime;

use super::error::problem::Problem;
use super::state::{document, history, list};

pub(super) fn routes(runtime: Arc<Runtime>) -> Router {
    let document = get(document::read)
        .put(document::put)
        .patch(document::patch)
        .delete(document::delete)
        .options(document::options);
    Router::new()
        .route("/state", get(list::list))
        .route("/state/{type}/{id}", document)
        .route("/state/{type}/{id}/history", get(history::history))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(runtime)
}
