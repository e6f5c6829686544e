//! Which documents there are.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::runtime::{DocumentItem, ListQuery, Runtime};

use super::super::error::problem::{Problem, Reads};
use super::super::v1::query::{Query, refused};

const USUAL: usize = 100;
const MOST: usize = 1000;

/// Lists documents
///
/// Those that are not deleted, by type and id.
#[utoipa::path(
    get, path = "/v1/state", tag = "documents", operation_id = "list_documents",
    params(
        ("type" = Option<String>, Query, description = "Of this type"),
        ("prefix" = Option<String>, Query, description = "Whose ids begin so"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of an earlier answer"),
        ("limit" = Option<u64>, Query, minimum = 1, description = "At most so many; 1,000 at most"),
    ),
    responses((status = 200, description = "A page of documents", body = Documents), Reads),
)]
pub(in crate::server) async fn list(
    State(runtime): State<Arc<Runtime>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    let wanted = ListQuery {
        kind: query.get("type").map(str::to_owned),
        prefix: query.get("prefix").unwrap_or_default().to_owned(),
        after: query.get("cursor").map(cursor).transpose()?,
        limit: query.limit(USUAL, MOST)?,
        with_deleted: false,
    };
    let page = runtime.documents(&Principal::local()).list(&wanted).await?;
    let next_cursor = page.next.map(|name| URL_SAFE_NO_PAD.encode(name));
    Ok(Json(Documents { items: page.items.into_iter().map(Item::from).collect(), next_cursor }).into_response())
}

fn cursor(text: &str) -> Result<String, Problem> {
    let name = URL_SAFE_NO_PAD.decode(text).ok().and_then(|name| String::from_utf8(name).ok());
    name.filter(|name| !name.is_empty()).ok_or_else(|| refused("cursor", "the `next_cursor` of an earlier answer"))
}

#[derive(Serialize, ToSchema)]
pub(in crate::server) struct Documents {
    items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DocumentItem)]
struct Item {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[schema(value_type = String)]
    epoch: Arc<str>,
    version: u64,
    updated_at: String,
    updated_by: String,
}

impl From<DocumentItem> for Item {
    fn from(item: DocumentItem) -> Self {
        let DocumentItem { name, epoch, version, updated_at, updated_by } = item;
        Self { kind: name.kind().to_owned(), id: name.id().to_owned(), epoch, version, updated_at, updated_by }
    }
}
