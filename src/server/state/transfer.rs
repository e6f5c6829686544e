//! Export and import of documents with their histories, as JSON lines.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Principal;
use crate::runtime::{Existing, Imported, Runtime};

use super::super::error::problem::{Code, Problem, Reads, Writes};
use super::super::v1::body::expect_type;
use super::super::v1::query::{Query, refused};

const LINES: &str = "application/x-ndjson";
/// The longest line of an import.
const LINE_BYTES: usize = 64 << 20;

/// Exports documents
///
/// With their histories and tags, deleted ones too, as JSON lines; the records of runs only with `type=lifecycle`. Without its `end` line a file is incomplete.
#[utoipa::path(
    get, path = "/v1/state:export", tag = "documents", operation_id = "export_documents",
    params(
        ("type" = Option<String>, Query, description = "Of this type"),
        ("prefix" = Option<String>, Query, description = "Whose ids begin so"),
        ("secrets" = Option<bool>, Query, description = "With what is secret (right `admin`)"),
    ),
    responses((status = 200, description = "JSON lines", body = String, content_type = "application/x-ndjson"), Reads),
)]
pub(in crate::server) async fn export(
    State(runtime): State<Arc<Runtime>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    let kind = query.get("type").map(str::to_owned);
    let prefix = query.get("prefix").unwrap_or_default().to_owned();
    let export = runtime.export_documents(&Principal::local(), kind, prefix, query.flag("secrets")?).await?;
    let pieces = stream::unfold(export, |mut export| async move { Some((export.next().await?, export)) });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(LINES));
    Ok(response)
}

/// How much came back.
#[derive(Serialize, ToSchema)]
#[schema(as = Imported)]
pub(in crate::server) struct Counted {
    documents: u64,
    commits: u64,
    /// Names of those that exist.
    skipped: Vec<String>,
}

/// Imports documents
///
/// What an export holds comes back under a new epoch, each document whole or not at all. A refusal names its `line`.
#[utoipa::path(
    post, path = "/v1/state:import", tag = "documents", operation_id = "import_documents",
    params(("existing" = Option<String>, Query, description = "`refuse` (as it is) or `skip` documents that exist")),
    request_body(content = String, content_type = "application/x-ndjson", description = "JSON lines of an export"),
    responses((status = 200, description = "Imported", body = Counted), Writes),
)]
pub(in crate::server) async fn import(
    State(runtime): State<Arc<Runtime>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    expect_type(&headers, &[LINES])?;
    let existing = match Query::parse(query.as_deref()).get("existing") {
        None | Some("refuse") => Existing::Refuse,
        Some("skip") => Existing::Skip,
        Some(_) => return Err(refused("existing", "`refuse` or `skip`")),
    };
    let principal = Principal::local();
    let documents = runtime.documents(&principal);
    let mut import = documents.import(existing);
    let (mut pieces, mut rest) = (body.into_data_stream(), BytesMut::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::new(Code::InvalidBody, "the body could not be read to its end"))?;
        let mut searched = rest.len();
        rest.extend_from_slice(&piece);
        while let Some(at) = rest[searched..].iter().position(|&byte| byte == b'\n') {
            let line = rest.split_to(searched + at + 1);
            import.take(&line).await?;
            searched = 0;
        }
        if rest.len() > LINE_BYTES {
            return Err(Problem::too_large(LINE_BYTES));
        }
    }
    if !rest.is_empty() {
        import.take(&rest).await?;
    }
    let Imported { documents, commits, skipped } = import.finish()?;
    Ok(Json(Counted { documents, commits, skipped }).into_response())
}
