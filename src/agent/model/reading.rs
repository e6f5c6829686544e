//! Reads an answer as it comes, whatever a provider's events are called; each wait has its bound.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{Answer, Fault, FaultKind, Piece};
use crate::agent::definition::ModelTimeouts;

/// After the end of an answer, its usage is waited for this long at most.
const USAGE_WAIT: Duration = Duration::from_secs(5);
/// And the end of its stream this long: a connection that was read to its end can be used again.
const END_WAIT: Duration = Duration::from_millis(250);

/// The events of an answer, each as the JSON it is.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<Value, Fault>> + Send>>;

/// Makes pieces of a provider's events.
pub(super) trait Assembler: Send + 'static {
    /// Takes one event and pushes what it holds. An error among the events is an error.
    fn take(&mut self, event: &Value, out: &mut Vec<Piece>) -> Result<(), Fault>;

    /// Something of the answer itself has come.
    fn has_begun(&self) -> bool;

    /// The server has said why it ends.
    fn has_finish(&self) -> bool;

    /// The server has said why it ends, and what it cost when it was asked to.
    fn is_whole(&self) -> bool;

    /// The end of the stream: what it cost and why it ended, or that it broke off.
    fn end(&mut self, out: &mut Vec<Piece>) -> Result<(), Fault>;
}

/// The answer that these events are; its first piece has to be there by `first_token`.
pub(super) fn answer(
    events: Events,
    assembler: impl Assembler,
    first_token: Instant,
    timeouts: ModelTimeouts,
) -> Answer {
    let reading = Reading { events, assembler, ready: VecDeque::new(), first_token, timeouts, is_over: false };
    Box::pin(futures_util::stream::unfold(reading, |mut reading| async move {
        reading.next().await.map(|piece| (piece, reading))
    }))
}

/// Nothing came in the time there was for it.
pub(super) fn too_late(limit: Duration) -> Fault {
    Fault::new(FaultKind::Timeout, format!("the model server did not begin to answer within {limit:?}"))
}

/// The connection was closed, in good order, before the server said that it ends.
pub(super) fn truncated() -> Fault {
    Fault::new(FaultKind::Truncated, "the model server closed the connection in the middle of its answer")
}

struct Reading<A> {
    events: Events,
    assembler: A,
    ready: VecDeque<Piece>,
    first_token: Instant,
    timeouts: ModelTimeouts,
    is_over: bool,
}

impl<A: Assembler> Reading<A> {
    async fn next(&mut self) -> Option<Result<Piece, Fault>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            if self.is_over {
                return None;
            }
            if let Err(fault) = self.read().await {
                self.is_over = true;
                return Some(Err(fault));
            }
        }
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let mut pieces = Vec::new();
        let deadline = match (self.assembler.has_finish(), self.assembler.has_begun()) {
            _ if self.assembler.is_whole() => Instant::now() + END_WAIT,
            (true, _) => Instant::now() + self.timeouts.idle.min(USAGE_WAIT),
            (false, true) => Instant::now() + self.timeouts.idle,
            (false, false) => self.first_token,
        };
        let event = timeout_at(deadline, self.events.next()).await;
        let is_over = match event {
            Ok(Some(Ok(event))) => {
                self.assembler.take(&event, &mut pieces)?;
                false
            }
            // Nothing that comes after the end of an answer can spoil it.
            Ok(Some(Err(_)) | None) | Err(_) if self.assembler.has_finish() => true,
            Ok(Some(Err(fault))) => return Err(fault),
            Ok(None) => true,
            Err(_) if self.assembler.has_begun() => {
                let limit = self.timeouts.idle;
                let message = format!("the model server fell silent: nothing came within {limit:?}");
                return Err(Fault::new(FaultKind::Timeout, message));
            }
            Err(_) => return Err(too_late(self.timeouts.first_token)),
        };
        if is_over {
            self.assembler.end(&mut pieces)?;
            self.is_over = true;
        }
        self.ready.extend(pieces);
        Ok(())
    }
}
