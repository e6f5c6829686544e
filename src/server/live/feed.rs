//! What flows to a client by itself: the cursors of its channels, each waiting for its next piece.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use crate::agui::sse::Decoder;
use crate::runtime::{DocumentError, FrameStream, ReadError, Room, Subscription, Update};

/// Peers that come and go in quick succession are told of together.
const GATHER_PEERS: Duration = Duration::from_millis(20);

/// A cursor on a document.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) subscription: Subscription,
    /// Whether the client knows that it has caught up.
    pub(super) is_live: bool,
}

/// A cursor on the runs of a thread.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) frames: FrameStream,
    pub(super) decoder: Decoder,
    /// The last position that the client has.
    /// The position that its reader named, until the first frame shows whether it goes on there.
    pub(super) after: Option<u64>,
    pub(super) seq: u64,
    /// The latest event.
    pub(super) last: String,
}

/// One piece of one channel, with the cursor that goes on after it.
pub(super) enum Piece {
    Update(Box<Following>, Result<Update, DocumentError>),
    Frames(Box<Running>, Option<Result<Bytes, ReadError>>),
    Peers(Arc<Room>, watch::Receiver<u64>),
}

/// The cursors of a session.
#[derive(Default)]
pub(super) struct Feeds {
    waiting: FuturesUnordered<Abortable<BoxFuture<'static, (u64, Piece)>>>,
}

/// Ends the feeding of a channel when it is dropped.
#[derive(Debug)]
pub(super) struct Tap(AbortHandle);

impl Drop for Tap {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Feeds {
    pub(super) fn document(&mut self, channel: u64, mut following: Box<Following>) -> Tap {
        self.start(Box::pin(async move {
            let update = following.subscription.next().await;
            (channel, Piece::Update(following, update))
        }))
    }

    pub(super) fn run(&mut self, channel: u64, mut running: Box<Running>) -> Tap {
        self.start(Box::pin(async move {
            let frames = running.frames.next().await;
            (channel, Piece::Frames(running, frames))
        }))
    }

    pub(super) fn peers(&mut self, channel: u64, room: Arc<Room>, mut changes: watch::Receiver<u64>) -> Tap {
        self.start(Box::pin(async move {
            // The room lives as long as this reader holds it.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(GATHER_PEERS).await;
            changes.mark_unchanged();
            (channel, Piece::Peers(room, changes))
        }))
    }

    fn start(&mut self, piece: BoxFuture<'static, (u64, Piece)>) -> Tap {
        let (handle, registration) = AbortHandle::new_pair();
        self.waiting.push(Abortable::new(piece, registration));
        Tap(handle)
    }

    /// Waits for the next piece of any channel; for ever while there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> (u64, Piece) {
        loop {
            match self.waiting.next().await {
                Some(Ok(piece)) => return piece,
                // Its channel is closed.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}
