//! The way out to a client: what is said in one turn is written together, and a reader that takes nothing is found out.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ws::Message;
use futures_util::{Sink, SinkExt};

use super::Drained;
use super::session::End;

/// Said and not written yet.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Vec<Message>,
    bytes: usize,
    /// The transport owes an answer of its own, such as a pong.
    owes: bool,
    /// Whether the reader was not there for the last messages at once.
    lags: bool,
    drained: Drained,
    stalled_after: Duration,
}

impl Outbox {
    pub(super) fn new(drained: Drained, stalled_after: Duration) -> Self {
        Self { waiting: Vec::new(), bytes: 0, owes: false, lags: false, drained, stalled_after }
    }

    pub(super) fn push(&mut self, message: Message) {
        if let Message::Text(text) = &message {
            self.bytes += text.len();
        }
        self.waiting.push(message);
    }

    pub(super) fn owe(&mut self) {
        self.owes = true;
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn lags(&self) -> bool {
        self.lags
    }

    /// Writes everything out. Waits as long as the reader takes something now and then.
    pub(super) async fn send<S>(&mut self, socket: &mut S) -> Result<(), End>
    where
        S: Sink<Message> + Unpin,
    {
        if self.waiting.is_empty() && !std::mem::take(&mut self.owes) {
            return Ok(());
        }
        self.bytes = 0;
        let waiting = &mut self.waiting;
        let mut sending = pin!(async {
            for message in waiting.drain(..) {
                socket.feed(message).await?;
            }
            socket.flush().await
        });
        let first = poll_fn(|context| match sending.as_mut().poll(context) {
            Poll::Ready(sent) => Poll::Ready(Some(sent)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(sent) = first.await {
            self.lags = false;
            return sent.map_err(|_| End::Gone);
        }
        self.lags = true;
        loop {
            let before = self.drained.bytes();
            match tokio::time::timeout(self.stalled_after, &mut sending).await {
                Ok(sent) => return sent.map_err(|_| End::Gone),
                Err(_) if self.drained.bytes() != before => {}
                Err(_) => return Err(End::Stalled),
            }
        }
    }
}
