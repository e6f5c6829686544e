//! What is left unread of a request is read and dropped before the answer goes out: a connection that is closed over it
//! is reset, and a client that is still writing would never see its answer.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// No route takes a larger body.
const AT_MOST_BYTES: usize = 32 << 20;
/// An answer waits no longer for its client.
const WITHIN: Duration = Duration::from_secs(5);

/// Middleware around every route. Over HTTP/2 an answer needs no whole request.
pub(super) async fn drain(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() || request.version() == Version::HTTP_2 {
        return next.run(request).await;
    }
    let is_held_back = request.headers().contains_key(header::EXPECT);
    let (back, mut left) = oneshot::channel();
    let lend = |body| Body::new(Lent { body, is_held_back, back: Some(back) });
    let response = next.run(request.map(lend)).await;
    // A client that stalled is not waited for again.
    if response.status() != StatusCode::REQUEST_TIMEOUT
        && let Ok(body) = left.try_recv()
        && timeout(WITHIN, read_away(body)).await.is_err()
    {
        tracing::debug!("a request is answered before it has come to its end");
    }
    response
}

async fn read_away(mut body: Body) {
    let mut bytes = 0;
    while bytes <= AT_MOST_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// A body that comes back when it is let go before its end.
struct Lent {
    body: Body,
    /// The client sends it when it is asked to, which reading does (RFC 9110 §10.1.1).
    is_held_back: bool,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_held_back = false;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && !self.is_held_back
            && !self.body.is_end_stream()
        {
            // Nobody takes it once the answer is made.
            let _ = back.send(mem::take(&mut self.body));
        }
    }
}
