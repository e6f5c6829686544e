//! What becomes of a run whose thread is busy, as its agent's definition says: refused, waiting, or taking the place.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::agent::cause::{Cause, CauseKind};
use crate::agent::definition::OnConflict;
use crate::agui::{Encoding, Event, Outcome, RunAgentInput};
use crate::store::{Batch, CommitError, Settle};

use super::super::clock::{now, now_ms};
use super::super::thread::{StopReason, ThreadHandle, ThreadRef};
use super::super::{FrameStream, ReadError, Runtime, StartError, StartRun};
use super::record::RunStatus;
use super::submit::{SubmitError, Submitted};
use super::ticket::Ticket;
use super::{Starting, queue::Client};

/// How a run gets to its thread.
pub(super) enum Way {
    /// It waits for itself.
    Waits,
    /// It has become part of a run that waits.
    Joined(Submitted),
}

impl Runtime {
    /// Starts a run that a client follows, or has it wait: the stream begins when the run does.
    pub(in super::super) async fn run_for_client(
        &self,
        request: StartRun,
        thread: &ThreadRef,
    ) -> Result<FrameStream, StartError> {
        match request.agent.run_spec().concurrency.on_conflict {
            OnConflict::Reject => self.start_now(request, thread).await,
            OnConflict::Supersede => {
                self.supersede(thread).await?;
                self.start_now(request, thread).await
            }
            OnConflict::Enqueue | OnConflict::Coalesce => {
                let run_id = super::new_run_id();
                let ticket =
                    Ticket::new(&run_id, thread, request.agent.id(), &request.input, Cause::user(), (false, false));
                let (headers, encoding, agent) =
                    (request.headers.clone(), request.encoding, Arc::clone(&request.agent));
                if !self.services.live_runs.is_busy(thread) && self.services.queue.on(thread).is_none() {
                    match self.start_now(request, thread).await {
                        Err(StartError::Busy { .. }) => {}
                        started => return started,
                    }
                }
                let (stream, begun) = oneshot::channel();
                let (posted_id, thread_id) = (ticket.posted_id(), thread.id.clone());
                self.wait(&agent, ticket, Client { headers, encoding, stream }).await?;
                Ok(FrameStream::later(async move {
                    match begun.await {
                        Ok(Ok(stream)) => Ok(stream),
                        Ok(Err(error)) => Err(ReadError::Unavailable { reason: error.to_string() }),
                        // It was taken back before it began.
                        Err(_) => Ok(FrameStream::whole(never_began(&thread_id, &posted_id, encoding))),
                    }
                }))
            }
        }
    }

    async fn start_now(&self, request: StartRun, thread: &ThreadRef) -> Result<FrameStream, StartError> {
        let starting = Starting { request, cause: Cause::user(), wants_stream: true, from_queue: None };
        let stream = ThreadHandle::open(&self.services, thread)?.start(starting).await?;
        Ok(stream.expect("it was asked for"))
    }

    async fn wait(&self, agent: &super::super::Hosted, ticket: Ticket, client: Client) -> Result<(), StartError> {
        let mut client = Some(client);
        if agent.run_spec().concurrency.on_conflict == OnConflict::Coalesce
            && self.join(&ticket, &mut client).await?.is_some()
        {
            return Ok(());
        }
        self.enqueue(agent, ticket, None, Batch::default(), client).await.map(drop).map_err(StartError::from)
    }

    /// What its agent's definition says of a submitted run whose thread is busy. One that nobody asked for just now is never
    /// refused.
    pub(super) async fn make_way(&self, agent: &super::super::Hosted, ticket: &Ticket) -> Result<Way, SubmitError> {
        let thread = ticket.thread();
        let busy =
            self.services.live_runs.on(&thread).map(|run| run.run_id).or_else(|| self.services.queue.on(&thread));
        let Some(run_id) = busy else { return Ok(Way::Waits) };
        match agent.run_spec().concurrency.on_conflict {
            OnConflict::Reject if ticket.cause.kind == CauseKind::Api => Err(SubmitError::Busy { run_id }),
            OnConflict::Reject | OnConflict::Enqueue => Ok(Way::Waits),
            OnConflict::Supersede => {
                let ended = self.supersede(&thread).await;
                ended.map(|()| Way::Waits).map_err(|error| SubmitError::Unavailable { reason: error.to_string() })
            }
            OnConflict::Coalesce => Ok(self.join(ticket, &mut None).await?.map_or(Way::Waits, Way::Joined)),
        }
    }

    /// Adds what a run is asked to one of the same agent that waits for the same thread, if there is one. It is done also
    /// when the caller goes away.
    async fn join(&self, ticket: &Ticket, client: &mut Option<Client>) -> Result<Option<Submitted>, SubmitError> {
        let thread = ticket.thread();
        let Some(waiting) = self.services.queue.waiting_on(&thread, &ticket.agent) else { return Ok(None) };
        let Some((turn, earlier, life)) = self.services.queue.take(&waiting, |_| true) else { return Ok(None) };
        let merged = match (earlier.input(), ticket.input()) {
            (Ok(earlier_input), Ok(later)) => earlier.with(&merged(earlier_input, later)),
            (Err(reason), _) | (_, Err(reason)) => return Err(SubmitError::Unavailable { reason }),
        };
        let services = Arc::clone(&self.services);
        let client = client.take();
        let joined = tokio::spawn(async move {
            let settle = vec![Settle::from(merged.key())];
            let put = vec![merged.item(now_ms())];
            match services.store.commit(Batch { settle, put, ..Batch::default() }).await {
                Ok(_) => {
                    let (run_id, thread_id) = (merged.run_id.clone(), merged.thread.clone());
                    turn.change_to(merged, life, client);
                    Ok(Submitted { run_id, thread_id, accepted: true })
                }
                Err(error) => Err(SubmitError::Unavailable { reason: error.to_string() }),
            }
        });
        let crashed = |error: tokio::task::JoinError| SubmitError::Unavailable { reason: error.to_string() };
        joined.await.map_err(crashed)?.map(Some)
    }

    /// Ends what is at work on a thread, and what waits for it, in favour of another run.
    async fn supersede(&self, thread: &ThreadRef) -> Result<(), ReadError> {
        while let Some(run_id) = self.services.queue.first_waiting_on(thread) {
            let Some((turn, ticket, mut life)) = self.services.queue.take(&run_id, |_| true) else { continue };
            life.told.status = RunStatus::Superseded;
            life.told.finished_at = Some(now());
            let settle = vec![Settle::from(ticket.key())];
            match self.services.store.commit(Batch { settle, ..life.next().into() }).await {
                Ok(_) | Err(CommitError::Settled { .. }) => {
                    turn.leave();
                    life.show(&self.services.documents);
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

/// What both ask: the messages of the first and then those of the second that are not among them; of everything else what the
/// second says, where it says something.
fn merged(earlier: RunAgentInput, later: RunAgentInput) -> RunAgentInput {
    let mut messages = earlier.messages;
    for message in later.messages {
        if !messages.iter().any(|known| known.id() == message.id()) {
            messages.push(message);
        }
    }
    RunAgentInput {
        messages,
        state: later.state.or(earlier.state),
        tools: if later.tools.is_empty() { earlier.tools } else { later.tools },
        context: if later.context.is_empty() { earlier.context } else { later.context },
        forwarded_props: later.forwarded_props.or(earlier.forwarded_props),
        resume: if later.resume.is_empty() { earlier.resume } else { later.resume },
        thread_id: earlier.thread_id,
        run_id: earlier.run_id,
        protocol_version: later.protocol_version.or(earlier.protocol_version),
        parent_run_id: earlier.parent_run_id,
    }
}

/// The stream of a run that was ended before it began.
fn never_began(thread_id: &str, run_id: &str, encoding: Encoding) -> bytes::Bytes {
    let mut frames = Vec::with_capacity(256);
    encoding.write_frame(&mut frames, &Event::run_started(thread_id, run_id));
    encoding.write_frame(&mut frames, &Event::run_finished_with(thread_id, run_id, Some(Outcome::cancelled())));
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
            SubmitError::Settled | SubmitError::StorageFull | SubmitError::Unavailable { .. } => {
                Self::Unavailable { reason: error.to_string() }
            }
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

#[cfg(test)]
mod tests {
    use crate::agui::Message;

    use super::*;

    #[test]
    fn runs_that_are_joined_ask_what_both_asked_once() {
        let input = |ids: &[&str], state: Option<&str>| RunAgentInput {
            messages: ids.iter().map(|id| Message::user(*id, *id)).collect(),
            state: state.map(|state| serde_json::from_str(state).expect("JSON")),
            run_id: ids[0].to_owned(),
            ..RunAgentInput::default()
        };
        let both = merged(input(&["a", "b"], Some("{}")), input(&["b", "c"], None));
        let ids: Vec<_> = both.messages.iter().map(Message::id).collect();
        assert_eq!((ids, both.run_id.as_str(), both.state.is_some()), (vec!["a", "b", "c"], "a", true));
    }
}
