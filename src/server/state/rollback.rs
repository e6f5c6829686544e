//! Going back: to an older version, as a forward commit; and what differs between two versions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::runtime::{Proposal, Runtime, Write};
use crate::state::history::Skipped;
use crate::state::patch::Operation;

use super::super::error::problem::{Problem, Reads, Writes};
use super::super::v1::body::{BODY_BYTES, JSON, bytes, expect_type, fields, parsed};
use super::super::v1::query::{Query, refused};
use super::document::{etag, with_etag};
use super::mutation::invalid;
use super::named::{self, Named};
use super::terms::{self, Terms};

const FORM: &str = "a rollback is an object that names either `to_version` or `run_id`";

/// Either `to_version` or `run_id`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RollbackWanted)]
pub(in crate::server) struct Wanted {
    to_version: Option<u64>,
    run_id: Option<String>,
    #[serde(default)]
    dry_run: bool,
    reason: Option<String>,
}

/// What going back came to.
#[derive(Serialize, ToSchema)]
#[schema(as = Rollback)]
pub(in crate::server) struct WentBack<'a> {
    epoch: &'a str,
    version: u64,
    ops: &'a [Operation],
    /// What stays, because others wrote there since.
    skipped: &'a [Skipped],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    data: Option<&'a RawValue>,
}

/// Operations that lead from one version to another.
#[derive(Serialize, ToSchema)]
#[schema(as = Diff)]
pub(in crate::server) struct Difference {
    from: u64,
    to: u64,
    ops: Vec<Operation>,
}

/// Goes back
///
/// To the body of an older version, or to what it would be without a run; always a new version.
#[utoipa::path(
    post, path = "/v1/state/{type}/{id}/rollback", tag = "history", operation_id = "rollback_document",
    params(named::Written, Terms),
    request_body(content = Wanted, example = json!({"to_version": 1, "reason": "It was better"})),
    responses((status = 200, description = "Gone back", body = WentBack<'_>, headers(("etag" = String))), Writes),
)]
pub(in crate::server) async fn rollback(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    expect_type(&headers, &[JSON])?;
    let body = bytes(body, BODY_BYTES).await?;
    let wanted: Wanted = fields(parsed(&body, BODY_BYTES)?, FORM)?;
    let proposal = match (wanted.to_version, wanted.run_id) {
        (Some(to), None) => Proposal::Rollback { to },
        (None, Some(run_id)) => Proposal::UndoRun { run_id },
        _ => return Err(invalid(FORM)),
    };
    let write = terms::write(&headers, proposal)?;
    let principal = Principal::local();
    let once = terms::once(&headers, &principal, &method, &format!("{name}/rollback"), &body)?;
    let write = Write {
        // A document that was deleted may be brought back.
        creates: true,
        dry_run: wanted.dry_run,
        reason: wanted.reason.or(write.reason),
        base: None,
        once,
        ..write
    };
    let accepted = runtime.documents(&principal).write(&name, write).await?;
    let ops = accepted.commit.as_ref().map(|commit| commit.ops.as_slice()).unwrap_or_default();
    let answer = WentBack {
        epoch: &accepted.epoch,
        version: accepted.version,
        ops,
        skipped: &accepted.skipped,
        duplicate: accepted.duplicate,
        data: accepted.data.as_deref(),
    };
    // What a dry run would have made is no version: the head is still the one before.
    let is_made = !wanted.dry_run || accepted.commit.is_none();
    let head = if is_made { accepted.version } else { accepted.version - 1 };
    Ok(with_etag(Json(answer).into_response(), &etag(&accepted.epoch, head)))
}

/// Compares two versions
///
/// Operations that lead from one to the other; to the head, if nothing else is said.
#[utoipa::path(
    get, path = "/v1/state/{type}/{id}/diff", tag = "history", operation_id = "diff_document",
    params(
        named::Written,
        ("from" = u64, Query, description = "A version", example = 1),
        ("to" = Option<u64>, Query, description = "A version; the head if absent"),
    ),
    responses((status = 200, description = "What differs", body = Difference), Reads),
)]
pub(in crate::server) async fn diff(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    let from = query.read("from", "a version")?.ok_or_else(|| refused("from", "a version, and it is missing"))?;
    let to = query.read("to", "a version")?;
    let difference = runtime.documents(&Principal::local()).difference(&name, from, to).await?;
    Ok(Json(Difference { from: difference.from, to: difference.to, ops: difference.ops }).into_response())
}
