//! Request bodies under `/v1`: the right content type, within a size, strict JSON.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::state::json;
use crate::state::limits::Limits;

use super::super::body::{self, Unread};
use super::super::error::problem::{Code, Problem};

/// What any body but a document or a run's input may have (docs/state-api.md §1).
pub(in crate::server) const BODY_BYTES: usize = 1 << 20;

pub(in crate::server) const JSON: &str = "application/json";

/// Which of `accepted` the body is, plain and in UTF-8.
pub(in crate::server) fn expect_type(
    headers: &HeaderMap,
    accepted: &'static [&'static str],
) -> Result<&'static str, Problem> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.into_iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let identity = HeaderValue::from_static("identity");
        return Err(Problem::new(Code::UnsupportedMediaType, "send the body as it is, without `Content-Encoding`")
            .with_header(header::ACCEPT_ENCODING, identity));
    }
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let found = accepted.iter().find(|accepted| accepted.eq_ignore_ascii_case(essence));
    let found = found.ok_or_else(|| Problem::unsupported_media_type(accepted))?;
    let mut charsets =
        parts.filter_map(|part| part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset")));
    match charsets.all(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
        true => Ok(found),
        false => Err(Problem::new(Code::UnsupportedMediaType, "send the body in UTF-8, which JSON is always in")),
    }
}

/// The bytes of a body of at most `limit`.
pub(in crate::server) async fn bytes(body: Body, limit: usize) -> Result<Bytes, Problem> {
    body::read(body, limit).await.map_err(|unread| match unread {
        Unread::TooLarge => Problem::too_large(limit),
        Unread::Late => Problem::new(Code::Timeout, "the body did not arrive in time"),
        Unread::Broken => Problem::new(Code::InvalidJson, "the body could not be read to its end"),
    })
}

/// A text of at most `limit` bytes as a value, read strictly (docs/state-api.md §1).
pub(in crate::server) fn parsed(text: &[u8], limit: usize) -> Result<Value, Problem> {
    unwrapped(text, limit, 0)
}

/// The same of a text that has so many levels around the values that documents will hold: only those have the depth of
/// a document.
pub(in crate::server) fn unwrapped(text: &[u8], limit: usize, levels: usize) -> Result<Value, Problem> {
    let limits = Limits::of_bytes(limit);
    let limits = Limits { max_depth: limits.max_depth + levels, ..limits };
    json::read(text, &limits).map_err(Problem::from)
}

/// The members of an object as a value of ours; `form` says what the object is, for the refusal.
pub(in crate::server) fn fields<T: DeserializeOwned>(value: Value, form: &str) -> Result<T, Problem> {
    if !value.is_object() {
        return Err(Problem::new(Code::InvalidBody, form));
    }
    serde_json::from_value(value).map_err(|error| Problem::new(Code::InvalidBody, said(&error)))
}

/// What is wrong, in the words of JSON.
pub(in crate::server) fn said(error: &serde_json::Error) -> String {
    let words = [
        ("u64", "a whole number from 0"),
        ("usize", "a whole number from 0"),
        ("a sequence", "an array"),
        ("a map", "an object"),
    ];
    let said = error.to_string();
    match said.rsplit_once("expected ") {
        Some((before, expected)) => {
            let expected = words.iter().find(|(word, _)| *word == expected).map_or(expected, |(_, words)| words);
            format!("{before}expected {expected}")
        }
        None => said,
    }
}
