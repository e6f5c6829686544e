//! Named versions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::access::Principal;
use crate::runtime::Runtime;

use super::super::error::problem::Problem;
use super::super::v1::body::{BODY_BYTES, json as json_body};
use super::mutation::invalid;
use super::named::Named;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    version: Option<u64>,
}

pub(in crate::server) async fn tag(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: Wanted = serde_json::from_value(json_body(&headers, body, BODY_BYTES).await?)
        .map_err(|error| invalid(&error.to_string()))?;
    let tag = runtime.documents(&Principal::local()).tag(&name, &wanted.name, wanted.version).await?;
    Ok((StatusCode::CREATED, Json(tag)).into_response())
}

pub(in crate::server) async fn tags(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
) -> Result<Response, Problem> {
    let tags = runtime.documents(&Principal::local()).tags(&name).await?;
    Ok(Json(json!({"tags": tags})).into_response())
}
