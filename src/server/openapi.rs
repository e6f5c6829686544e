//! `GET /openapi.json`: what this server answers, put together from what stands beside each handler.
//!
//! `docs/openapi.json` is the same, committed; `tests/suite/openapi.rs` holds both against the routes and the running
//! server, and says what to do about a route that is missing here.

use axum::Json;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use super::error::problem::Problematic;
use super::state::{batch, document, events, history, list, rollback, tags, transfer, types};
use super::{agents, agui, pages, runs, ws};

/// Every documented operation. Routes under `/v1` that are not here fail a test.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "CoAgent Runtime",
        description = "Agents whose state is the application's shared state: documents, live, with history. \
                       Every refusal is a problem (RFC 9457) with a stable `code`.",
    ),
    paths(
        pages::alive,
        pages::ready,
        describe,
        agents::list,
        agents::read,
        agui::run,
        agents::capabilities,
        runs::submit,
        runs::list,
        runs::look,
        runs::cancel,
        runs::events,
        runs::dead_letters,
        runs::retry,
        runs::usage,
        agents::pause,
        agents::resume,
        list::list,
        document::read,
        document::put,
        document::patch,
        document::delete,
        document::options,
        history::history,
        history::blame,
        rollback::diff,
        rollback::rollback,
        tags::tags,
        tags::tag,
        events::one,
        events::several,
        batch::batch,
        transfer::export,
        transfer::import,
        types::list,
        types::schema,
        types::typescript,
        types::pydantic,
        ws::upgrade,
    ),
    components(schemas(Problematic, events::Snapshot<'_>, crate::runtime::DeltaTold<'_>, events::Deleted<'_>)),
)]
struct Description;

/// The document as it is served and committed.
pub fn description() -> String {
    let mut text = Description::openapi().to_pretty_json().expect("a description is JSON");
    text.push('\n');
    text
}

/// Describes the API
#[utoipa::path(
    get, path = "/openapi.json", tag = "server", operation_id = "describe_api",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
)]
pub(super) async fn describe() -> Response {
    Json(Description::openapi()).into_response()
}
