//! Going back: to an older version, as a forward commit; and what differs between two versions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::access::Principal;
use crate::runtime::{Proposal, Runtime, Write};

use super::super::error::problem::Problem;
use super::super::v1::body::{BODY_BYTES, JSON, bytes, expect_type, parsed};
use super::super::v1::query::{Query, refused};
use super::document::{etag, with_etag};
use super::mutation::invalid;
use super::named::Named;
use super::terms;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    to_version: Option<u64>,
    run_id: Option<String>,
    #[serde(default)]
    dry_run: bool,
    reason: Option<String>,
}

pub(in crate::server) async fn rollback(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    expect_type(&headers, &[JSON])?;
    let body = bytes(body, BODY_BYTES).await?;
    let wanted: Wanted =
        serde_json::from_value(parsed(&body, BODY_BYTES)?).map_err(|error| invalid(&error.to_string()))?;
    let proposal = match (wanted.to_version, wanted.run_id) {
        (Some(to), None) => Proposal::Rollback { to },
        (None, Some(run_id)) => Proposal::UndoRun { run_id },
        _ => return Err(invalid("a rollback names either `to_version` or `run_id`")),
    };
    let write = terms::write(&headers, proposal)?;
    let principal = Principal::local();
    let once = terms::once(&headers, &principal, &method, &format!("{name}/rollback"), &body)?;
    let write = Write {
        // An older version may be brought back of a document that was deleted.
        creates: matches!(write.proposal, Proposal::Rollback { .. }),
        dry_run: wanted.dry_run,
        reason: wanted.reason.or(write.reason),
        base: None,
        once,
        ..write
    };
    let accepted = runtime.documents(&principal).write(&name, write).await?;
    let ops = accepted.commit.as_ref().map(|commit| commit.ops.as_slice()).unwrap_or_default();
    let mut answer = json!({
        "epoch": &*accepted.epoch, "version": accepted.version, "ops": ops, "skipped": accepted.skipped,
    });
    if accepted.duplicate {
        answer["duplicate"] = true.into();
    }
    if let Some(data) = &accepted.data {
        answer["data"] = serde_json::from_str(data.get()).expect("a body is JSON");
    }
    Ok(with_etag(Json(answer).into_response(), &etag(&accepted.epoch, accepted.version)))
}

pub(in crate::server) async fn diff(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    let from = query.read("from", "a version")?.ok_or_else(|| refused("from", "a version, and it is missing"))?;
    let to = query.read("to", "a version")?;
    let difference = runtime.documents(&Principal::local()).difference(&name, from, to).await?;
    Ok(Json(json!({"from": difference.from, "to": difference.to, "ops": difference.ops})).into_response())
}
