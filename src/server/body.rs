//! Request bodies, read whole: within a size, and from clients that keep sending.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout, timeout_at};

/// A client that sends nothing for this long has gone.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// However busily it sends, a body is there by then.
const WHOLE_WITHIN: Duration = Duration::from_secs(600);

/// Why a body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    /// It did not come in time.
    Late,
    /// The connection or its framing broke.
    Broken,
}

/// All bytes of a body of at most `limit`.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, Unread> {
    timeout_at(Instant::now() + WHOLE_WITHIN, frames(Limited::new(body, limit))).await.unwrap_or(Err(Unread::Late))
}

async fn frames(mut body: Limited<Body>) -> Result<Bytes, Unread> {
    let mut pieces: Vec<Bytes> = Vec::new();
    while let Some(frame) = timeout(STALLED_AFTER, body.frame()).await.map_err(|_| Unread::Late)? {
        match frame {
            Ok(frame) => pieces.extend(frame.into_data().ok()),
            Err(error) if error.is::<LengthLimitError>() => return Err(Unread::TooLarge),
            Err(_) => return Err(Unread::Broken),
        }
    }
    Ok(if pieces.len() == 1 { pieces.remove(0) } else { pieces.concat().into() })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};

    use super::*;

    /// A body of so many bytes, one after each silence.
    fn slow(bytes: usize, silence: Duration) -> Body {
        Body::from_stream(stream::iter(0..bytes).then(move |_| async move {
            tokio::time::sleep(silence).await;
            Ok::<_, Infallible>(Bytes::from_static(b"x"))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_whole_unless_its_client_stalls() {
        assert_eq!(read(slow(5, Duration::from_secs(29)), 5).await.as_deref(), Ok(&b"xxxxx"[..]));
        assert_eq!(read(slow(5, Duration::from_secs(31)), 5).await, Err(Unread::Late));
        assert_eq!(read(slow(60, Duration::from_secs(29)), 60).await, Err(Unread::Late), "a drip is no progress");
        assert_eq!(read(slow(6, Duration::ZERO), 5).await, Err(Unread::TooLarge));
        assert_eq!(read(Body::empty(), 0).await.as_deref(), Ok(&b""[..]));
    }
}
