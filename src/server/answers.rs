//! Answers over HTTP/2: many share a connection, so that one whose reader takes nothing is found out by itself and cut
//! alone. Over HTTP/1.1 the [connection](super::counted) is the answer, and is cut.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};

/// The transport gets no more at once: a reader that takes so much within its time goes on, however slow it is.
const PIECE: usize = 16 << 10;

tokio::task_local! {
    /// The answer that is being made, where the task is that of one answer.
    static TAKEN: Arc<Taken>;
}

/// How much of an answer the transport has asked for.
#[derive(Debug, Default)]
struct Taken {
    /// Odd while a piece was handed over and nobody asked for the next one.
    turns: AtomicU64,
}

impl Taken {
    fn hand_over(&self) {
        self.turns.fetch_or(1, Ordering::Relaxed);
    }

    fn ask(&self) {
        if self.turns.load(Ordering::Relaxed) % 2 == 1 {
            self.turns.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs each answer of a connection in a task of its own, which ends when the reader takes nothing for so long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patient(pub(super) Duration);

impl<F> Executor<F> for Patient
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, answering: F) {
        let answer =
            Answer { answering: Box::pin(answering), taken: Arc::default(), patience: self.0, turn: 0, stalled: None };
        tokio::spawn(answer);
    }
}

struct Answer<F> {
    answering: Pin<Box<F>>,
    taken: Arc<Taken>,
    patience: Duration,
    /// The turn that `stalled` is about.
    turn: u64,
    /// Runs while a piece waits for its reader; boxed, because most answers never wait.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Answer<F> {
    type Output = ();

    /// What is dropped when this ends takes its stream with it: the reader hears of a reset.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let polled = TAKEN.sync_scope(Arc::clone(&this.taken), || this.answering.as_mut().poll(context));
        if polled.is_ready() {
            return polled;
        }
        let turn = this.taken.turns.load(Ordering::Relaxed);
        if turn.is_multiple_of(2) {
            this.stalled = None;
            return Poll::Pending;
        }
        if this.turn != turn {
            (this.turn, this.stalled) = (turn, None);
        }
        let patience = this.patience;
        ready!(this.stalled.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(context));
        tracing::debug!("an answer is cut: its reader takes nothing");
        Poll::Ready(())
    }
}

/// An answer in pieces, where it is one of several on its connection.
pub(super) fn in_pieces(answer: Response) -> Response {
    match TAKEN.try_with(Arc::clone) {
        Ok(taken) => answer.map(|body| Body::new(Pieces { body, rest: Bytes::new(), taken })),
        Err(_) => answer,
    }
}

struct Pieces {
    body: Body,
    /// Of the frame that came last.
    rest: Bytes,
    taken: Arc<Taken>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.taken.ask();
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(piece);
        self.taken.hand_over();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
