//! One document: read, replaced, patched, deleted.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::runtime::{Accepted, DocumentName, Proposal, Runtime, Write};
use crate::state::document::Conflict;
use crate::state::intent::{self, Intent};
use crate::state::limits::Limits;
use crate::state::patch::{self, Operation};

use super::super::error::problem::{Problem, Reads, Writes};
use super::super::v1::body::{BODY_BYTES, JSON, bytes, expect_type, parsed, unwrapped};
use super::super::v1::query::Query;
use super::named::{self, Named};
use super::terms::{self, Terms};

type Shared = State<Arc<Runtime>>;
type Answer = Result<Response, Problem>;

/// The largest body of a `PUT`: a document.
const DOCUMENT_BYTES: usize = 16 << 20;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const INTENTS: &str = "application/vnd.coagent.intents+json";
const PATCHES: [&str; 3] = [JSON_PATCH, MERGE_PATCH, INTENTS];
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const PATCHES_ACCEPTED: HeaderValue = HeaderValue::from_static(
    "application/json-patch+json, application/merge-patch+json, application/vnd.coagent.intents+json",
);
const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, PATCH, DELETE, OPTIONS");

/// Reads a document
///
/// The body as its reader may see it, at the head or at an older version.
#[utoipa::path(
    get, path = "/v1/state/{type}/{id}", tag = "documents", operation_id = "read_document",
    params(
        named::Written,
        ("version" = Option<u64>, Query, description = "The document as it was at this version"),
        ("secrets" = Option<bool>, Query, description = "Shows what is secret too (right `admin`)"),
        ("if-none-match" = Option<String>, Header, description = "Entity tags that the reader has"),
    ),
    responses(
        (status = 200, description = "The document", body = Shown<'_>, headers(("etag" = String), ("accept-patch" = String))),
        (status = 304, description = "The reader has it"),
        Reads,
    ),
)]
pub(in crate::server) async fn read(
    State(runtime): Shared,
    Named(name): Named,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let principal = Principal::local();
    let query = Query::parse(query.as_deref());
    let documents = runtime.documents(&principal);
    // The local principal has every right, `admin` too.
    let documents = if query.flag("secrets")? { documents.with_secrets() } else { documents };
    let version = query.read("version", "a version")?;
    if version.is_none() && headers.contains_key(header::IF_NONE_MATCH) {
        let standing = documents.standing(&name).await?;
        let etag = etag(&standing.epoch, standing.version);
        if terms::is_known(&headers, &etag) {
            return Ok(with_etag(StatusCode::NOT_MODIFIED.into_response(), &etag));
        }
    }
    let document = match version {
        None => documents.read(&name).await?,
        Some(version) => documents.read_version(&name, version).await?,
    };
    let etag = etag(&document.epoch, document.version);
    if terms::is_known(&headers, &etag) {
        return Ok(with_etag(StatusCode::NOT_MODIFIED.into_response(), &etag));
    }
    let shown = Shown {
        kind: name.kind(),
        id: name.id(),
        epoch: &document.epoch,
        version: document.version,
        data: &document.data,
        updated_at: &document.updated_at,
        updated_by: &document.updated_by,
    };
    let mut response = with_etag(Json(shown).into_response(), &etag);
    response.headers_mut().insert(ACCEPT_PATCH, PATCHES_ACCEPTED);
    Ok(response)
}

/// Writes a whole body
///
/// Without a precondition it replaces what is there; with `Base-Version` what differs from that version is merged into
/// the head. A document that is absent or deleted is created.
#[utoipa::path(
    put, path = "/v1/state/{type}/{id}", tag = "documents", operation_id = "put_document",
    params(named::Written, Terms),
    request_body(content = Value, description = "The body", example = json!({"title": "Plan", "items": []})),
    responses(
        (status = 200, description = "Written", body = Written<'_>, headers(("etag" = String))),
        (status = 201, description = "Created", body = Written<'_>, headers(("etag" = String))),
        Writes,
    ),
)]
pub(in crate::server) async fn put(
    State(runtime): Shared,
    Named(name): Named,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    expect_type(&headers, &[JSON])?;
    let body = bytes(body, DOCUMENT_BYTES).await?;
    let body_value = parsed(&body, DOCUMENT_BYTES)?;
    let write = terms::write(&headers, Proposal::Replace(body_value))?.as_put();
    change(&runtime, &name, Write { creates: true, ..write }, &method, &headers, &body).await
}

/// Changes a document
///
/// By a JSON Patch (RFC 6902), a merge patch (RFC 7396) or intents, told apart by their content types.
#[utoipa::path(
    patch, path = "/v1/state/{type}/{id}", tag = "documents", operation_id = "patch_document",
    params(
        named::Written,
        Terms,
        ("create" = Option<bool>, Query, description = "A document that is absent is created from `{}`"),
    ),
    request_body(content(
        (Vec<Operation> = "application/json-patch+json", example = json!([{"op": "add", "path": "/title", "value": "New"}])),
        (Value = "application/merge-patch+json", example = json!({"title": "Newer"})),
        (Vec<Intent> = "application/vnd.coagent.intents+json", example = json!([{"op": "inc", "path": "/count", "by": 1}])),
    )),
    responses(
        (status = 200, description = "Written", body = Written<'_>, headers(("etag" = String))),
        (status = 201, description = "Created", body = Written<'_>, headers(("etag" = String))),
        Writes,
    ),
)]
pub(in crate::server) async fn patch(
    State(runtime): Shared,
    Named(name): Named,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let kind =
        expect_type(&headers, &PATCHES).map_err(|problem| problem.with_header(ACCEPT_PATCH, PATCHES_ACCEPTED))?;
    let creates = Query::parse(query.as_deref()).flag("create")?;
    let body = bytes(body, BODY_BYTES).await?;
    // Of a patch and of intents, the list and its items.
    let levels = if kind == MERGE_PATCH { 0 } else { 2 };
    let value = unwrapped(&body, BODY_BYTES, levels)?;
    let proposal = match kind {
        MERGE_PATCH => Proposal::Merge(value),
        INTENTS => Proposal::Intents(intent::read(value, &Limits::default())?),
        _ => Proposal::Patch(patch::read(value, &Limits::default())?),
    };
    let write = Write { creates, ..terms::write(&headers, proposal)? };
    change(&runtime, &name, write, &method, &headers, &body).await
}

/// Deletes a document
///
/// Its next version is a tombstone; its history stays readable, and writing it again goes on from there.
#[utoipa::path(
    delete, path = "/v1/state/{type}/{id}", tag = "documents", operation_id = "delete_document",
    params(named::Written, Terms),
    responses((status = 204, description = "Deleted", headers(("etag" = String))), Writes),
)]
pub(in crate::server) async fn delete(
    State(runtime): Shared,
    Named(name): Named,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let write = Write { wants_data: false, ..terms::write(&headers, Proposal::Delete)? };
    let principal = Principal::local();
    let once = terms::once(&headers, &principal, &method, &name.to_string(), &[])?;
    let deleted = runtime.documents(&principal).write(&name, Write { once, ..write }).await?;
    Ok(with_etag(StatusCode::NO_CONTENT.into_response(), &etag(&deleted.epoch, deleted.version)))
}

/// Names methods and patch formats
///
/// What may be done with a document, and how it may be patched (RFC 5789 §3.1).
#[utoipa::path(
    options, path = "/v1/state/{type}/{id}", tag = "documents", operation_id = "document_options",
    params(named::Written),
    responses((status = 204, description = "In the headers", headers(("allow" = String), ("accept-patch" = String)))),
)]
pub(in crate::server) async fn options() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::ALLOW, ALLOW);
    response.headers_mut().insert(ACCEPT_PATCH, PATCHES_ACCEPTED);
    response
}

async fn change(
    runtime: &Runtime,
    name: &DocumentName,
    write: Write,
    method: &Method,
    headers: &HeaderMap,
    body: &[u8],
) -> Answer {
    let principal = Principal::local();
    let once = terms::once(headers, &principal, method, &name.to_string(), body)?;
    let accepted = runtime.documents(&principal).write(name, Write { once, ..write }).await?;
    Ok(written(&accepted))
}

/// `{"epoch","version","data"?,"conflicts"?,"duplicate"?}` with the entity tag of the version.
fn written(accepted: &Accepted) -> Response {
    let status = if accepted.created { StatusCode::CREATED } else { StatusCode::OK };
    let body = Written {
        epoch: &accepted.epoch,
        version: accepted.version,
        data: accepted.data.as_deref(),
        conflicts: &accepted.conflicts,
        duplicate: accepted.duplicate,
    };
    let mut response = with_etag((status, Json(body)).into_response(), &etag(&accepted.epoch, accepted.version));
    if accepted.data.is_some() {
        let applied = HeaderValue::from_static("return=representation");
        response.headers_mut().insert("preference-applied", applied);
    }
    response
}

pub(super) fn etag(epoch: &str, version: u64) -> String {
    format!("\"{epoch}.{version}\"")
}

pub(super) fn with_etag(mut response: Response, etag: &str) -> Response {
    let etag = HeaderValue::from_str(etag).expect("an epoch is hexadecimal digits");
    response.headers_mut().insert(header::ETAG, etag);
    response
}

/// A document at a version.
#[derive(Serialize, ToSchema)]
#[schema(as = Document)]
pub(in crate::server) struct Shown<'d> {
    #[serde(rename = "type")]
    kind: &'d str,
    id: &'d str,
    epoch: &'d str,
    version: u64,
    #[schema(value_type = Value)]
    data: &'d RawValue,
    /// RFC 3339, UTC.
    updated_at: &'d str,
    updated_by: &'d str,
}

/// What came of a write.
#[derive(Serialize, ToSchema)]
pub(in crate::server) struct Written<'a> {
    epoch: &'a str,
    version: u64,
    /// With `Prefer: return=representation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    conflicts: &'a [Conflict],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}
