//! What becomes of a run whose thread is busy, as its agent's definition says: refused, waiting, or taking the place.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::agent::cause::{Cause, CauseKind};
use crate::agent::definition::OnConflict;
use crate::agui::{Event, Outcome};
use crate::store::{Batch, CommitError, Settle};

use super::super::agents::Hosted;
use super::super::clock::now;
use super::super::thread::{Listening, StopReason, ThreadHandle, ThreadRef};
use super::super::{FrameStream, ReadError, Runtime, Services, StartError, StartRun};
use super::record::RunStatus;
use super::submit::{Behalf, SubmitError};
use super::ticket::Ticket;
use super::{Starting, queue::Client};

impl Runtime {
    /// Starts a run that a client follows, or has it wait: the stream begins when the run does.
    pub(in super::super) async fn run_for_client(
        &self,
        request: StartRun,
        thread: &ThreadRef,
    ) -> Result<FrameStream, StartError> {
        let on_conflict = request.agent.run_spec().concurrency.on_conflict;
        // Posted twice, it would be done twice.
        if on_conflict != OnConflict::Reject
            && let Some(run_id) = self.posted_already(thread, &request.input.run_id)
        {
            return Err(StartError::Busy { run_id });
        }
        match on_conflict {
            OnConflict::Reject => self.start_now(request, thread).await,
            OnConflict::Supersede => {
                Box::pin(self.supersede(thread)).await?;
                self.start_now(request, thread).await
            }
            // Boxed, because no other run has anything to do with a queue.
            OnConflict::Enqueue | OnConflict::Coalesce => Box::pin(self.start_or_wait(request, thread)).await,
        }
    }

    /// The run at work on a thread, or waiting for it, that a client posted under this id.
    fn posted_already(&self, thread: &ThreadRef, posted_id: &str) -> Option<String> {
        let Services { live_runs, queue, .. } = self.services.as_ref();
        let live = live_runs.on(thread).filter(|run| run.start.is_posted_as(posted_id));
        live.map(|run| run.start.run_id.clone()).or_else(|| queue.posted_on(thread, Some(posted_id)))
    }

    async fn start_or_wait(&self, request: StartRun, thread: &ThreadRef) -> Result<FrameStream, StartError> {
        let run_id = super::new_run_id();
        let ticket = Ticket::new(&run_id, thread, request.agent.id(), &request.input, Cause::user(), (false, false));
        let (headers, encoding, agent) = (request.headers.clone(), request.encoding, Arc::clone(&request.agent));
        let (protocol_version, dialect) = (request.input.protocol_version.clone(), request.input.dialect());
        if !self.services.live_runs.is_busy(thread) && self.services.queue.on(thread).is_none() {
            match self.start_now(request, thread).await {
                Err(StartError::Busy { .. }) => {}
                started => return started,
            }
        }
        let (stream, begun) = oneshot::channel();
        let (posted_id, thread_id) = (ticket.posted_id(), thread.id.clone());
        // Boxed, because mostly the thread is free.
        Box::pin(self.wait(&agent, ticket, Client { headers, encoding, protocol_version, stream })).await?;
        let stopping = self.stopping();
        Ok(FrameStream::later(async move {
            // It waits on in the store: as with a run that is suspended, its stream ends here and not with a terminal.
            let Some(begun) = stopping.run_until_cancelled(begun).await else {
                return Ok(FrameStream::whole(Bytes::new()));
            };
            match begun {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(ReadError::Unavailable { reason: error.to_string() }),
                // It was taken back before it began.
                Err(_) => Ok(FrameStream::whole(never_began(&thread_id, &posted_id, Listening { dialect, encoding }))),
            }
        }))
    }

    async fn start_now(&self, request: StartRun, thread: &ThreadRef) -> Result<FrameStream, StartError> {
        let starting = Box::new(Starting { request, cause: Cause::user(), wants_stream: true, from_queue: None });
        let stream = ThreadHandle::open(&self.services, thread)?.start(starting).await?;
        Ok(stream.expect("it was asked for"))
    }

    async fn wait(&self, agent: &Hosted, ticket: Ticket, client: Client) -> Result<(), StartError> {
        let mut client = Some(client);
        if self.join(agent, &ticket, None, &Batch::default(), &mut client).await?.is_some() {
            return Ok(());
        }
        self.enqueue(agent, ticket, None, Batch::default(), client).await.map(drop).map_err(StartError::from)
    }

    /// What its agent's definition says of a submitted run whose thread is busy and that waits for itself. One that nobody
    /// asked for just now is never refused.
    pub(super) async fn make_way(&self, agent: &Hosted, ticket: &Ticket) -> Result<(), SubmitError> {
        let thread = ticket.thread();
        let Some(run_id) = self.busy_with(&thread).await else { return Ok(()) };
        let may_begin = !self.services.paused.has(&ticket.tenant, agent.id());
        match agent.run_spec().concurrency.on_conflict {
            OnConflict::Reject if ticket.cause.kind == CauseKind::Api => Err(SubmitError::Busy { run_id }),
            // Whoever hands its thread over ends by itself.
            OnConflict::Supersede if may_begin && ticket.behalf != Behalf::Predecessor => {
                let ended = self.supersede(&thread).await;
                ended.map_err(|error| SubmitError::Unavailable { reason: error.to_string() })
            }
            OnConflict::Reject | OnConflict::Enqueue | OnConflict::Coalesce | OnConflict::Supersede => Ok(()),
        }
    }

    /// The run that is at work on a thread, or waits for it. One that is being started just now is waited for: it may be over
    /// before whoever starts it says that it has begun.
    async fn busy_with(&self, thread: &ThreadRef) -> Option<String> {
        let Services { live_runs, queue, .. } = self.services.as_ref();
        loop {
            let mut attempted = std::pin::pin!(queue.attempted().notified());
            attempted.as_mut().enable();
            let busy =
                live_runs.on(thread).map(|run| run.start.run_id.clone()).or_else(|| queue.first_waiting_on(thread));
            if busy.is_some() || queue.on(thread).is_none() {
                return busy;
            }
            attempted.await;
        }
    }

    /// Ends what is at work on a thread, and what waits for it, in favour of another run.
    async fn supersede(&self, thread: &ThreadRef) -> Result<(), ReadError> {
        while let Some(run_id) = self.services.queue.first_waiting_on(thread) {
            let Some((turn, ticket, mut life)) = self.services.queue.take(&run_id, |_| true) else { continue };
            life.told.status = RunStatus::Superseded;
            life.told.finished_at = Some(now());
            let settle = vec![Settle::from(ticket.key())];
            let batch = life.next_with(Batch { settle, ..Batch::default() }, &self.services.watchers);
            match self.services.store.commit(batch).await {
                Ok(_) | Err(CommitError::Settled { .. }) => {
                    turn.leave();
                    life.show(&self.services);
                }
                Err(error) => return Err(ReadError::Unavailable { reason: error.to_string() }),
            }
        }
        match self.services.threads.get(thread) {
            Some(live) => live.stop(None, StopReason::Superseded).await.map(drop),
            None => Ok(()),
        }
    }
}

/// The stream of a run that was ended before it began.
fn never_began(thread_id: &str, run_id: &str, Listening { dialect, encoding }: Listening) -> Bytes {
    let mut frames = Vec::with_capacity(256);
    let finished = Event::run_finished_with(thread_id, run_id, Some(Outcome::cancelled()));
    for event in [Event::run_started(thread_id, run_id), finished] {
        encoding.write_frame_for(dialect, &mut frames, &event);
    }
    frames.into()
}

impl From<SubmitError> for StartError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::InvalidThreadId => Self::InvalidThreadId,
            SubmitError::Busy { run_id } => Self::Busy { run_id },
            SubmitError::Paused { agent } => Self::Paused { agent },
            SubmitError::DayIsOver { message } => Self::DayIsOver { message },
            SubmitError::QueueFull { agent, most, retry_after_seconds } => {
                Self::QueueFull { agent, most, retry_after_seconds }
            }
            SubmitError::ShuttingDown => Self::ShuttingDown,
            SubmitError::StorageFull => Self::StorageFull,
            SubmitError::Settled | SubmitError::Unavailable { .. } => Self::Unavailable { reason: error.to_string() },
        }
    }
}

impl From<ReadError> for StartError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { reason } => Self::Unavailable { reason },
            ReadError::InvalidThreadId => Self::InvalidThreadId,
        }
    }
}
