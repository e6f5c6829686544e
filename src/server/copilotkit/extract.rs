//! What handlers take from a request, refused as the contract says.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::body::{self, Unread};
use super::Problem;

/// A body may be this large, as a run's input may (docs/state-api.md §1).
const BODY_BYTES: usize = 32 << 20;

/// Path parameters; a malformed percent-encoding names nothing.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if !is_encoded_well(parts.uri.path()) {
            return Err(Problem::not_found());
        }
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|_| Problem::not_found())
    }
}

/// Whether every `%` of a path begins the code of a byte.
fn is_encoded_well(path: &str) -> bool {
    let mut codes = path.split('%').skip(1).map(str::as_bytes);
    codes.all(|code| code.len() >= 2 && code[..2].iter().all(u8::is_ascii_hexdigit))
}

/// The headers and the whole body, whatever its content type.
#[derive(Debug)]
pub(super) struct Whole(pub(super) HeaderMap, pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        Ok(Self(parts.headers, whole(body).await?))
    }
}

/// JSON as a run's input is read: with or without a byte order mark, which RFC 8259 §8.1 lets a reader ignore.
pub(super) fn json<'b, T: Deserialize<'b>>(body: &'b [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(without_mark(body))
}

pub(super) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

pub(super) async fn whole(body: Body) -> Result<Bytes, Problem> {
    body::read(body, BODY_BYTES).await.map_err(|unread| match unread {
        Unread::TooLarge => Problem::too_large(BODY_BYTES),
        Unread::Late => Problem::late_body(),
        Unread::Broken => Problem::invalid_body("the body could not be read to its end"),
    })
}
