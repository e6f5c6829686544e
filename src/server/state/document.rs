//! One document: read, replaced, patched, deleted.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::access::Principal;
use crate::runtime::{Accepted, DocumentName, Proposal, Runtime, Write};
use crate::state::document::Conflict;
use crate::state::limits::Limits;
use crate::state::{intent, patch};

use super::super::error::problem::Problem;
use super::super::v1::body::{BODY_BYTES, JSON, bytes, expect_type, parsed};
use super::super::v1::query::Query;
use super::named::Named;
use super::terms;

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
    let value = parsed(&body, BODY_BYTES)?;
    let proposal = match kind {
        MERGE_PATCH => Proposal::Merge(value),
        INTENTS => Proposal::Intents(intent::read(value, &Limits::default())?),
        _ => Proposal::Patch(patch::read(value, &Limits::default())?),
    };
    let write = Write { creates, ..terms::write(&headers, proposal)? };
    change(&runtime, &name, write, &method, &headers, &body).await
}

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

/// What may be done with a document, and how it may be patched (RFC 5789 §3.1).
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

#[derive(Serialize)]
struct Shown<'d> {
    #[serde(rename = "type")]
    kind: &'d str,
    id: &'d str,
    epoch: &'d str,
    version: u64,
    data: &'d RawValue,
    updated_at: &'d str,
    updated_by: &'d str,
}

#[derive(Serialize)]
struct Written<'a> {
    epoch: &'a str,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    conflicts: &'a [Conflict],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}
