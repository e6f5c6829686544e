//! Named versions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Principal;
use crate::runtime::{Runtime, Tag};

use super::super::error::problem::{Problem, Reads, Writes};
use super::super::v1::body::{BODY_BYTES, fields, json as json_body};
use super::named::{self, Named};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TagWanted)]
pub(in crate::server) struct Wanted {
    name: String,
    /// The head if absent.
    version: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(in crate::server) struct Tags {
    tags: Vec<Tag>,
}

/// Names a version
///
/// What has a name is never thinned out.
#[utoipa::path(
    post, path = "/v1/state/{type}/{id}/tags", tag = "history", operation_id = "tag_version",
    params(named::Written),
    request_body(content = Wanted, example = json!({"name": "shipped", "version": 1})),
    responses((status = 201, description = "Named", body = Tag), Writes),
)]
pub(in crate::server) async fn tag(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: Wanted = fields(json_body(&headers, body, BODY_BYTES).await?, "a tag is `{\"name\", \"version\"?}`")?;
    let tag = runtime.documents(&Principal::local()).tag(&name, &wanted.name, wanted.version).await?;
    Ok((StatusCode::CREATED, Json(tag)).into_response())
}

/// Lists named versions
#[utoipa::path(
    get, path = "/v1/state/{type}/{id}/tags", tag = "history", operation_id = "list_tags",
    params(named::Written),
    responses((status = 200, description = "By their versions", body = Tags), Reads),
)]
pub(in crate::server) async fn tags(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
) -> Result<Response, Problem> {
    let tags = runtime.documents(&Principal::local()).tags(&name).await?;
    Ok(Json(Tags { tags }).into_response())
}
