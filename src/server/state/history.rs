//! How a document came to be: its commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::runtime::{HistoryCursor, HistoryQuery, Runtime};
use crate::state::document::Commit;
use crate::state::history::Mark;
use crate::state::pointer::Pointer;

use super::super::error::problem::{Problem, Reads};
use super::super::v1::query::{Query, refused};
use super::named::{self, Named};

const USUAL: usize = 50;
const MOST: usize = 1000;

/// Lists commits
///
/// Oldest first; without `after` the latest ones.
#[utoipa::path(
    get, path = "/v1/state/{type}/{id}/history", tag = "history", operation_id = "list_commits",
    params(
        named::Written,
        ("after" = Option<u64>, Query, description = "Commits after this version"),
        ("before" = Option<u64>, Query, description = "Commits before this version"),
        ("limit" = Option<u64>, Query, minimum = 1, description = "At most so many; 1,000 at most"),
        ("actor" = Option<String>, Query, description = "Of this author"),
        ("run_id" = Option<String>, Query, description = "Of this run"),
        ("path" = Option<String>, Query, description = "That touch this place"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of an earlier answer"),
    ),
    responses((status = 200, description = "A page of commits", body = Commits), Reads),
)]
pub(in crate::server) async fn history(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    let wanted = HistoryQuery {
        after: query.read("after", "a version")?,
        before: query.read("before", "a version")?,
        limit: query.limit(USUAL, MOST)?,
        actor: query.get("actor").map(str::to_owned),
        run_id: query.get("run_id").map(str::to_owned),
        path: path(&query)?,
        cursor: query.get("cursor").map(cursor).transpose()?,
    };
    let history = runtime.documents(&Principal::local()).history(&name, &wanted).await?;
    let next_cursor = history.next.map(written);
    Ok(Json(Commits { commits: history.commits, next_cursor, trimmed: history.over }).into_response())
}

/// Says who wrote what
///
/// The commit that put each leaf where it is.
#[utoipa::path(
    get, path = "/v1/state/{type}/{id}/blame", tag = "history", operation_id = "blame_document",
    params(named::Written, ("path" = Option<String>, Query, description = "Leaves at and below this place")),
    responses((status = 200, description = "By their places", body = Leaves), Reads),
)]
pub(in crate::server) async fn blame(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let path = path(&Query::parse(query.as_deref()))?.unwrap_or_default();
    let leaves = runtime.documents(&Principal::local()).blame(&name, &path).await?;
    let leaves: BTreeMap<String, Mark> = leaves.into_iter().map(|(path, mark)| (path.to_string(), mark)).collect();
    Ok(Json(Leaves { path: leaves }).into_response())
}

#[derive(Serialize, ToSchema)]
pub(in crate::server) struct Commits {
    commits: Vec<Commit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Commits up to this version are not kept any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    trimmed: Option<u64>,
}

/// The latest commit of each leaf, by its JSON pointer.
#[derive(Serialize, ToSchema)]
#[schema(as = Blame)]
pub(in crate::server) struct Leaves {
    path: BTreeMap<String, Mark>,
}

pub(super) fn path(query: &Query) -> Result<Option<Pointer>, Problem> {
    let parse = |path| Pointer::parse(path).map_err(|_| refused("path", "a JSON pointer such as `/a/0`"));
    query.get("path").map(parse).transpose()
}

fn written(cursor: HistoryCursor) -> String {
    match cursor {
        HistoryCursor::After(version) => format!("a{version}"),
        HistoryCursor::Before(version) => format!("b{version}"),
    }
}

fn cursor(text: &str) -> Result<HistoryCursor, Problem> {
    let parsed = match text.split_at_checked(1) {
        Some(("a", version)) => version.parse().ok().map(HistoryCursor::After),
        Some(("b", version)) => version.parse().ok().map(HistoryCursor::Before),
        _ => None,
    };
    parsed.ok_or_else(|| refused("cursor", "the `next_cursor` of an earlier answer"))
}
