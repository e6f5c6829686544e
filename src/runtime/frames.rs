//! The stream that a reader of a run or of a thread gets.

use std::pin::Pin;
use std::sync::Mutex;

use bytes::Bytes;

use super::requests::ReadError;
use super::suggestion::Suggestion;
use super::thread::{Follow, Replay};

/// The frames of a run or of a whole thread, encoded as its request asked.
#[derive(Debug)]
pub struct FrameStream(Source);

#[derive(Debug)]
enum Source {
    Follow(Box<Follow>),
    Replay(Box<Replay>),
    Suggestion(Box<Suggestion>),
    /// What it is shows later.
    Later(Later),
    /// These bytes, once.
    Whole(Option<Bytes>),
}

/// A stream that is still to begin.
///
/// A mutex that nobody ever locks: it makes the future shareable.
struct Later(Mutex<Pin<Box<Beginning>>>);

type Beginning = dyn Future<Output = Result<FrameStream, ReadError>> + Send;

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Later(…)")
    }
}

impl FrameStream {
    pub(super) fn follow(follow: Box<Follow>) -> Self {
        Self(Source::Follow(follow))
    }

    pub(super) fn replay(replay: Replay) -> Self {
        Self(Source::Replay(Box::new(replay)))
    }

    pub(super) fn suggestion(suggestion: Suggestion) -> Self {
        Self(Source::Suggestion(Box::new(suggestion)))
    }

    /// A stream that begins when `stream` is there.
    pub(super) fn later(stream: impl Future<Output = Result<Self, ReadError>> + Send + 'static) -> Self {
        Self(Source::Later(Later(Mutex::new(Box::pin(stream)))))
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Self(Source::Whole((!bytes.is_empty()).then_some(bytes)))
    }

    /// The next bytes to send, several frames together when they wait; `None` at the end. After an error, which says
    /// why the rest cannot be read, the stream is of no more use. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Bytes, ReadError>> {
        if let Source::Later(later) = &mut self.0 {
            let begun = later.0.get_mut().expect("nobody panics while holding a lock that is never taken");
            match begun.as_mut().await {
                Ok(stream) => *self = stream,
                Err(error) => return Some(Err(error)),
            }
        }
        match &mut self.0 {
            Source::Follow(follow) => follow.next().await,
            Source::Replay(replay) => replay.next().await,
            Source::Suggestion(suggestion) => suggestion.next().await.map(Ok),
            Source::Whole(bytes) => bytes.take().map(Ok),
            Source::Later(_) => unreachable!("a stream that begins later begins with another kind"),
        }
    }
}
