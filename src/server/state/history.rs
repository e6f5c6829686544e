//! How a document came to be: its commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::access::Principal;
use crate::runtime::{HistoryCursor, HistoryQuery, Runtime};
use crate::state::document::Commit;
use crate::state::history::Mark;
use crate::state::pointer::Pointer;

use super::super::error::problem::Problem;
use super::super::v1::query::{Query, refused};
use super::named::Named;

const USUAL: usize = 50;
const MOST: usize = 1000;

pub(in crate::server) async fn history(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Page {
        commits: Vec<Commit>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
    }
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
    Ok(Json(Page { commits: history.commits, next_cursor: history.next.map(written) }).into_response())
}

/// `{"path": {"<pointer>": {"version","actor","run_id"?,"at"}}}`, one entry a leaf.
pub(in crate::server) async fn blame(
    State(runtime): State<Arc<Runtime>>,
    Named(name): Named,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let path = path(&Query::parse(query.as_deref()))?.unwrap_or_default();
    let leaves = runtime.documents(&Principal::local()).blame(&name, &path).await?;
    let leaves: BTreeMap<String, Mark> = leaves.into_iter().map(|(path, mark)| (path.to_string(), mark)).collect();
    Ok(Json(json!({"path": leaves})).into_response())
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
