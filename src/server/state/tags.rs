//! Named versions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Principal;
use crate::runtime::{Runtime, Tag, Tagged};

use super::super::error::problem::{Problem, Reads, Writes};
use super::super::v1::body::{BODY_BYTES, JSON, bytes, expect_type, fields, parsed};
use super::named::{self, Named};
use super::terms;

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

/// A version with a name.
#[derive(Serialize, ToSchema)]
#[schema(as = VersionTagged)]
pub(in crate::server) struct Answer {
    #[serde(flatten)]
    tag: Tag,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// Names a version
///
/// What has a name is never thinned out.
#[utoipa::path(
    post, path = "/v1/state/{type}/{id}/tags", tag = "history", operation_id = "tag_version",
    params(
        named::Written,
        ("idempotency-key" = Option<String>, Header, description = "The same request with the same key happens once within 24 hours"),
    ),
    request_body(content = Wanted, example = json!({"name": "shipped", "version": 1})),
    responses((status = 201, description = "Named", body = Answer), Writes),
)]
pub(in crate::server) async fn tag(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    expect_type(&headers, &[JSON])?;
    let body = bytes(body, BODY_BYTES).await?;
    let wanted: Wanted = fields(parsed(&body, BODY_BYTES)?, "a tag is `{\"name\", \"version\"?}`")?;
    let principal = Principal::local();
    let once = terms::once(&headers, &principal, &method, &format!("{name}/tags"), &body)?;
    let documents = runtime.documents(&principal);
    let Tagged { tag, duplicate } = documents.tag(&name, &wanted.name, wanted.version, once).await?;
    Ok((StatusCode::CREATED, Json(Answer { tag, duplicate })).into_response())
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
