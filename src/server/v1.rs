//! Every route under `/v1`, on one page. What is refused here is refused as a problem (RFC 9457).

pub(super) mod body;
pub(super) mod query;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Extension, Router};

use crate::config::LiveLimits;
use crate::runtime::Runtime;

use super::error::problem::Problem;
use super::live::Sessions;
use super::state::{batch, document, events, history, list, rollback, tags, transfer, types};
use super::{agents, agui, runs, ws};

pub(super) fn routes(runtime: Arc<Runtime>, limits: &LiveLimits) -> Router {
    let document = get(document::read)
        .put(document::put)
        .patch(document::patch)
        .delete(document::delete)
        .options(document::options);
    Router::new()
        .route("/agents", get(agents::list))
        .route("/agents/{id}", get(agents::read).post(agui::run))
        .route("/agents/{id}/capabilities", get(agents::capabilities))
        .route("/agents/{id}/runs", post(runs::submit))
        .route("/agents/{id}/pause", post(agents::pause))
        .route("/agents/{id}/resume", post(agents::resume))
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::look))
        .route("/runs/{id}/events", get(runs::events))
        .route("/runs/{id}/cancel", post(runs::cancel))
        .route("/usage", get(runs::usage))
        .route("/dead-letters", get(runs::dead_letters))
        .route("/dead-letters/{id}/retry", post(runs::retry))
        .route("/state", get(list::list))
        .route("/state/{type}/{id}", document)
        .route("/state/{type}/{id}/history", get(history::history))
        .route("/state/{type}/{id}/blame", get(history::blame))
        .route("/state/{type}/{id}/diff", get(rollback::diff))
        .route("/state/{type}/{id}/rollback", post(rollback::rollback))
        .route("/state/{type}/{id}/tags", get(tags::tags).post(tags::tag))
        .route("/state/{type}/{id}/events", get(events::one))
        .route("/state/events", get(events::several))
        .route("/state:batch", post(batch::batch))
        .route("/state:export", get(transfer::export))
        .route("/state:import", post(transfer::import))
        .route("/types", get(types::list))
        .route("/types/{type}/schema", get(types::schema))
        .route("/types/{type}/types.ts", get(types::typescript))
        .route("/types/{type}/types.py", get(types::pydantic))
        .route("/ws", get(ws::upgrade).layer(Extension(Sessions::new(limits.clone()))))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(runtime)
}
