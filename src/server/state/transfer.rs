//! Export and import of documents with their histories, as JSON lines.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::access::Principal;
use crate::runtime::{Existing, Imported, Runtime};

use super::super::error::problem::{Code, Problem};
use super::super::v1::body::expect_type;
use super::super::v1::query::{Query, refused};

const LINES: &str = "application/x-ndjson";
/// The longest line of an import.
const LINE_BYTES: usize = 64 << 20;

pub(in crate::server) async fn export(
    State(runtime): State<Arc<Runtime>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref());
    let kind = query.get("type").map(str::to_owned);
    let prefix = query.get("prefix").unwrap_or_default().to_owned();
    let export = runtime.export_documents(&Principal::local(), kind, prefix, query.flag("secrets")?);
    let pieces = stream::unfold(export, |mut export| async move { Some((export.next().await?, export)) });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(LINES));
    Ok(response)
}

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
    Ok(Json(json!({"documents": documents, "commits": commits, "skipped": skipped})).into_response())
}
