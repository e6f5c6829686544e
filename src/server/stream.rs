//! A runtime stream as an HTTP answer: `text/event-stream`, headers at once, a comment when it is silent for long.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;

use crate::runtime::FrameStream;

/// Keeps proxies and watchdogs content; any frame resets it.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// Answers with the frames of `frames` until it ends. Dropping the answer drops the stream.
pub(super) fn event_stream(frames: FrameStream) -> Response {
    let chunks = stream::unfold(frames, |mut frames| async move {
        match tokio::time::timeout(KEEP_ALIVE_AFTER, frames.next()).await {
            // An error cuts the connection, so that nobody takes what came for all there is.
            Ok(Some(chunk)) => Some((chunk, frames)),
            Ok(None) => None,
            Err(_) => Some((Ok(KEEP_ALIVE), frames)),
        }
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
