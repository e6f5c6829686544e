//! Request bodies under `/v1`: the right content type, within a size, strict JSON.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde_json::Value;

use crate::state::json;
use crate::state::limits::Limits;

use super::super::body::{self, Unread};
use super::super::error::problem::{Code, Problem};

/// What any body but a document or a run's input may have (docs/state-api.md §1).
pub(in crate::server) const BODY_BYTES: usize = 1 << 20;

pub(in crate::server) const JSON: &str = "application/json";

/// The body as a JSON value, read strictly (docs/state-api.md §1).
pub(in crate::server) async fn json(headers: &HeaderMap, body: Body, limit: usize) -> Result<Value, Problem> {
    expect_type(headers, &[JSON])?;
    parsed(&bytes(body, limit).await?, limit)
}

/// Which of `accepted` the body is; parameters such as `charset` do not count.
pub(in crate::server) fn expect_type(
    headers: &HeaderMap,
    accepted: &'static [&'static str],
) -> Result<&'static str, Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    let found = accepted.iter().find(|accepted| accepted.eq_ignore_ascii_case(essence));
    found.copied().ok_or_else(|| Problem::unsupported_media_type(accepted))
}

/// The bytes of a body of at most `limit`. An encoded body (`Content-Encoding`) is not decoded, so it is not JSON.
pub(in crate::server) async fn bytes(body: Body, limit: usize) -> Result<Bytes, Problem> {
    body::read(body, limit).await.map_err(|unread| match unread {
        Unread::TooLarge => Problem::too_large(limit),
        Unread::Late => Problem::new(Code::Timeout, "the body did not arrive in time"),
        Unread::Broken => Problem::new(Code::InvalidJson, "the body could not be read to its end"),
    })
}

/// A text of at most `limit` bytes as a value.
pub(in crate::server) fn parsed(text: &[u8], limit: usize) -> Result<Value, Problem> {
    json::read(text, &Limits::of_bytes(limit)).map_err(Problem::from)
}
