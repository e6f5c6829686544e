//! A runtime stream as an HTTP answer: `text/event-stream`, headers at once, a comment when it is silent for long.

use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use crate::agui::protobuf;
use crate::agui::sse::Decoder;
use crate::runtime::{FrameStream, ReplayFrom};

use super::debug_feed::Tap;

/// Keeps proxies and watchdogs content; any frame resets it.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");
/// Keeps nginx from gathering what is sent.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// From where a client goes on that names the last event it has. What no frame carried as its id says nothing of what it has.
pub(super) fn going_on_after(id: &str) -> ReplayFrom {
    let is_ours = id.rsplit_once('.').is_some_and(|(_, number)| position(number).is_some());
    if is_ours { ReplayFrom::Event(id.to_owned()) } else { ReplayFrom::Beginning }
}

/// A position or version as this server writes it: no sign, no leading zeros.
pub(super) fn position(text: &str) -> Option<u64> {
    text.parse().ok().filter(|position: &u64| position.to_string() == text)
}

/// Answers with the frames of `frames` until it ends. Dropping the answer drops the stream.
pub(super) fn event_stream(frames: FrameStream, tap: Option<Tap>) -> Response {
    let frames = stream::unfold(frames, async |mut frames| frames.next().await.map(|bytes| (bytes, frames)));
    streaming(kept_alive(frames, tap))
}

/// The same with plain numbers for ids: positions of the thread's log.
pub(super) fn numbered_event_stream(frames: FrameStream) -> Response {
    let start = (frames, Decoder::new(usize::MAX));
    let frames = stream::unfold(start, async |(mut frames, mut decoder)| {
        let numbered = frames.next().await?.map(|bytes| numbered(&mut decoder, &bytes));
        Some((numbered, (frames, decoder)))
    });
    // What holds no whole frame says nothing yet.
    let frames = frames.filter(|frame| std::future::ready(!matches!(frame, Ok(bytes) if bytes.is_empty())));
    streaming(kept_alive(frames, None))
}

fn numbered(decoder: &mut Decoder, bytes: &[u8]) -> Bytes {
    decoder.push(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    // The runtime's own frames are whole and well formed.
    while let Some(Ok(frame)) = decoder.next_frame() {
        if let Some((_, position)) = frame.id.as_deref().and_then(|id| id.rsplit_once('.')) {
            out.extend_from_slice(format!("id: {position}\n").as_bytes());
        }
        out.extend_from_slice(format!("data: {}\n\n", frame.data).as_bytes());
    }
    out.into()
}

/// Answers with frames that are protobuf. That encoding has no frame to keep a silent connection open; HTTP/2 pings and
/// TCP do that.
pub(super) fn protobuf_stream(frames: FrameStream) -> Response {
    let frames = stream::unfold(frames, async |mut frames| frames.next().await.map(|bytes| (bytes, frames)));
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(protobuf::MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

/// An answer of server-sent events. An error cuts the connection, so that nobody takes what came for all there is.
pub(super) fn streaming<E>(frames: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Response
where
    E: Into<BoxError> + 'static,
{
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

/// With a comment wherever nothing comes for a while.
pub(super) fn kept_alive<E: Send + 'static>(
    frames: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    tap: Option<Tap>,
) -> impl Stream<Item = Result<Bytes, E>> + Send + 'static {
    stream::unfold((Box::pin(frames), tap), |(mut frames, tap)| async move {
        let chunk = match tokio::time::timeout(KEEP_ALIVE_AFTER, frames.next()).await {
            Ok(chunk) => chunk?,
            Err(_) => Ok(KEEP_ALIVE),
        };
        if let (Some(tap), Ok(bytes)) = (&tap, &chunk) {
            tap.look(bytes);
        }
        Some((chunk, (frames, tap)))
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::time::{Instant, sleep};

    use super::*;

    const WORD: Bytes = Bytes::from_static(b"data: {}\n\n");

    /// When, in seconds, what is sent if a word comes after each of these silences.
    async fn sent_after(silences: &'static [u64]) -> Vec<(u64, Bytes)> {
        let began = Instant::now();
        let words = stream::iter(silences).then(|silence| async {
            sleep(Duration::from_secs(*silence)).await;
            Ok::<_, Infallible>(WORD)
        });
        kept_alive(words, None).map(|Ok(chunk)| (began.elapsed().as_secs(), chunk)).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_of_fifteen_seconds_is_filled_and_any_frame_resets_it() {
        assert_eq!(sent_after(&[14, 14]).await, [(14, WORD), (28, WORD)]);
        assert_eq!(sent_after(&[35, 1]).await, [(15, KEEP_ALIVE), (30, KEEP_ALIVE), (35, WORD), (36, WORD)]);
    }
}
