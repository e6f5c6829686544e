//! What an agent does on its way to the log: admitted, numbered, encoded, stored, and only then shown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::access::Principal;
use crate::agent::context::{AgentRefusal, AgentRequest, Emission, StateRequest};
use crate::agent::steps::StepNote;
use crate::agent::{AgentError, RunOutcome};
use crate::agui::{Event, SequenceError};
use crate::state::pointer::Pointer;
use crate::store::{Append, Batch, CommitError, Seq};

use super::super::document::Sitting;
use super::super::runs::Asked;
use super::super::types::Names;
use super::actor::{Broken, Thread};
use super::burst::Burst;
use super::chunk::Chunk;
use super::elsewhere::Elsewhere;
use super::journal::Journal;
use super::live::{Ending, LiveRun};

/// Streamed text is stored when it has grown to this, if it is not stored for its age before.
const TEXT_BYTES: usize = 4096;
/// Streamed text is stored at this age, if it is not stored for its size before.
pub(super) const TEXT_DELAY: Duration = Duration::from_millis(100);

/// Events that are admitted and not shown yet, and the burst that they are stored with.
type Unstored = (Vec<Event>, Option<Box<Burst>>);

/// What is one commit with the log.
#[derive(Default)]
pub(super) struct Logged {
    pub(super) chunks: Vec<Arc<Chunk>>,
    /// A new description of the live run.
    pub(super) live_summary: Option<bytes::Bytes>,
    /// With a run's start or end, the other stream.
    pub(super) runs: Option<Append>,
    pub(super) along: Batch,
    /// What the run has written.
    pub(super) sitting: Option<Sitting>,
}

impl Thread {
    /// Takes what the agent emitted, in order.
    pub(super) async fn absorb(&mut self, emissions: VecDeque<Emission>) -> Result<(), Broken> {
        let (rest, burst) = self.admit(emissions).await?;
        let Some(burst) = burst else { return self.show(rest).await };
        match self.live.as_mut().and_then(|live| live.work.take_ended()) {
            Some(ended) => Box::pin(self.finish_after(rest, ended.into(), Some(burst))).await,
            None => Box::pin(self.store_burst(burst, rest)).await,
        }
    }

    /// The last of what the agent emitted, and how it ended: what can share a commit does.
    pub(super) async fn agent_ended(
        &mut self,
        rest: VecDeque<Emission>,
        ended: Result<RunOutcome, AgentError>,
    ) -> Result<(), Broken> {
        let (rest, burst) = self.admit(rest).await?;
        self.finish_after(rest, ended.into(), burst).await
    }

    /// Admits emissions, and what the agent does at once after a write of a step; answers the events that are still to be
    /// shown, and what they are stored with.
    async fn admit(&mut self, mut emissions: VecDeque<Emission>) -> Result<Unstored, Broken> {
        let mut out = Vec::with_capacity(emissions.len());
        let mut burst = None;
        loop {
            let taken = emissions.len();
            for emission in emissions {
                let Some(live) = &mut self.live else { return Ok((Vec::new(), None)) };
                match emission {
                    Emission::Event(event) => {
                        if let Err(error) = live.story().admit(event, &self.transcript, &mut out) {
                            return Box::pin(self.finish_out_of_sequence(out, &error, burst)).await;
                        }
                    }
                    Emission::Step(step) => {
                        if let Err(error) = self.end_step(*step, &mut out, &mut burst).await? {
                            return Box::pin(self.finish_out_of_sequence(out, &error, burst)).await;
                        }
                    }
                    Emission::State(request) => self.ask_document(None, request, &mut out, &mut burst).await?,
                    Emission::Document { name, request } => {
                        self.ask_document(Some(name), request, &mut out, &mut burst).await?;
                    }
                    Emission::Agent(request) => {
                        self.store_said(&mut out, &mut burst).await?;
                        self.ask(request);
                    }
                    Emission::Predict(values) => Box::pin(self.predict(values, &mut out, &mut burst)).await?,
                }
            }
            let (Some(live), Some(unstored)) = (&mut self.live, &mut burst) else { return Ok((out, burst)) };
            if unstored.is_long_with(taken) {
                self.store_said(&mut out, &mut burst).await?;
                return Ok((out, None));
            }
            emissions = live.work.at_once().await;
            if emissions.is_empty() {
                return Ok((out, burst));
            }
        }
    }

    /// Takes what a step came to, with its last events, and stores both if somebody waits for that.
    async fn end_step(
        &mut self,
        step: StepNote,
        out: &mut Vec<Event>,
        burst: &mut Option<Box<Burst>>,
    ) -> Result<Result<(), SequenceError>, Broken> {
        let Some(live) = &mut self.live else { return Ok(Ok(())) };
        let StepNote { path, value, events, durable } = step;
        for event in events {
            if let Err(error) = live.story().admit(event, &self.transcript, out) {
                return Ok(Err(error));
            }
        }
        let position = self.position + out.len() as u64;
        let is_full = live.journal.as_mut().is_some_and(|journal| {
            journal.note(path, value, position);
            journal.is_full()
        });
        if is_full || durable.is_some() {
            self.store_said(out, burst).await?;
            self.store_steps().await?;
        }
        // An error means that the agent has stopped waiting.
        let _ = durable.map(|durable| durable.send(()));
        Ok(Ok(()))
    }

    /// Shows what will probably stand in the agent's state, or nothing any more.
    async fn predict(
        &mut self,
        values: Vec<(Pointer, Value)>,
        out: &mut Vec<Event>,
        burst: &mut Option<Box<Burst>>,
    ) -> Result<(), Broken> {
        if values.is_empty()
            && let Some(burst) = burst
        {
            burst.ends_prediction = true;
            return Ok(());
        }
        match burst.take() {
            Some(burst) => self.store_burst(burst, std::mem::take(out)).await?,
            None => self.show(std::mem::take(out)).await?,
        }
        let Some(LiveRun { work, predictor, document, agent, .. }) = self.live.as_deref_mut() else { return Ok(()) };
        let view = document.view(&Names::of_actor(&format!("agent:{}", agent.id())));
        // What is hidden from the agent, it cannot take back.
        match values.is_empty() || view.is_some_and(|view| !view.sees_all()) {
            true => predictor.clear(),
            false => work.alongside(Box::pin(predictor.predict(values, document))).await,
        }
        Ok(())
    }

    /// Passes on what the agent wants of a document (`None` = its own state); that answers the agent itself.
    pub(super) async fn pass_on(&mut self, name: Option<String>, request: StateRequest) {
        let Some(live) = &mut self.live else { return };
        let author = live.author();
        let Some(name) = name else {
            return live.work.alongside(live.document.serve(request, author)).await;
        };
        let (services, thread) = (&self.services, &self.name);
        let elsewhere = Elsewhere { services, thread, allowed: live.agent.documents(), author };
        live.work.alongside(Box::pin(elsewhere.serve(&name, request))).await;
    }

    /// Makes everything durable that was done so far: what is asked next comes after it.
    pub(super) async fn store_said(
        &mut self,
        out: &mut Vec<Event>,
        burst: &mut Option<Box<Burst>>,
    ) -> Result<(), Broken> {
        if let Some(burst) = burst.take() {
            return Box::pin(self.store_burst(burst, std::mem::take(out))).await;
        }
        let text_waits = self.live.as_ref().is_some_and(|live| live.text.waits());
        if out.is_empty() && !text_waits {
            return Ok(());
        }
        let events = std::mem::take(out);
        // Boxed, because mostly nothing was said in between.
        Box::pin(async move {
            self.show(events).await?;
            self.append(Vec::new()).await
        })
        .await
    }

    /// Ends a run whose agent broke the rules of the sequence, after what was admitted; nothing is left to show.
    async fn finish_out_of_sequence(
        &mut self,
        out: Vec<Event>,
        error: &SequenceError,
        burst: Option<Box<Burst>>,
    ) -> Result<Unstored, Broken> {
        let failed = AgentError::new("invalid_sequence", error.to_string());
        self.finish_after(out, Ending::Failed(failed), burst).await?;
        Ok((Vec::new(), None))
    }

    /// Passes on what the agent wants of another one; whoever serves it answers the agent itself.
    fn ask(&self, request: AgentRequest) {
        let Some(live) = &self.live else { return };
        let refused = |request: AgentRequest, message: String| {
            drop(request.reply.send(Err(AgentRefusal { code: "forbidden".to_owned(), message })));
        };
        if !live.agent.may_ask(&request.agent) {
            let message = format!("agent `{}` is not among those that this one may ask", request.agent);
            return refused(request, message);
        }
        let asked = Asked {
            principal: Principal { tenant: self.name.tenant.clone(), subject: self.name.owner.clone() },
            agent: live.start.agent.clone(),
            run_id: live.start.run_id.clone(),
            cause: live.start.cause.clone(),
            thread_id: self.name.id.clone(),
            request,
        };
        if let Err(error) = self.services.asked.try_send(asked) {
            refused(error.into_inner().request, "too many agents are asked at this moment: try again".to_owned());
        }
    }

    /// Shows admitted events: streamed text at once, everything else when it is durable.
    async fn show(&mut self, events: Vec<Event>) -> Result<(), Broken> {
        if events.is_empty() {
            return Ok(());
        }
        if !events.iter().all(Event::is_streamed_text) {
            return self.append(events).await;
        }
        let Some(live) = &mut self.live else { return Ok(()) };
        let first = self.position + 1;
        self.position += events.len() as u64;
        self.state_version = self.state_version.max(live.document.deltas().version());
        live.story().record(first, &events, self.state_version);
        let chunk = Arc::new(Chunk::provisional(&events, first, self.state_version));
        live.text.push(Arc::clone(&chunk));
        // An agent that is never silent keeps the thread's timer from being looked at.
        let is_due =
            live.text.bytes >= TEXT_BYTES || live.text.since.is_some_and(|since| since.elapsed() >= TEXT_DELAY);
        self.tail.publish_provisional(chunk);
        if is_due { self.append(Vec::new()).await } else { Ok(()) }
    }

    /// Makes streamed text and `events` durable, in one commit, and shows them.
    pub(super) async fn append(&mut self, events: Vec<Event>) -> Result<(), Broken> {
        let chunks = self.number(events);
        if chunks.is_empty() {
            return Ok(());
        }
        // Boxed, because those who call this mostly have nothing to store.
        Ok(Box::pin(self.commit_log(Logged { chunks, ..Logged::default() })).await?)
    }

    /// Gives positions to `events` and encodes them, after the streamed text before them.
    pub(super) fn number(&mut self, events: Vec<Event>) -> Vec<Arc<Chunk>> {
        let Some(live) = &mut self.live else { return Vec::new() };
        let mut chunks = Vec::with_capacity(2);
        chunks.extend(Chunk::joined(&live.text.take()).map(Arc::new));
        if !events.is_empty() {
            let first = self.position + 1;
            self.position += events.len() as u64;
            self.state_version = self.state_version.max(live.document.deltas().version());
            live.story().record(first, &events, self.state_version);
            chunks.push(Arc::new(Chunk::durable(&events, first, self.state_version)));
        }
        chunks
    }

    /// Makes durable what the run's journal has to take, if it did not go with events.
    async fn store_steps(&mut self) -> Result<(), Broken> {
        let waits = self.live.as_ref().and_then(|live| live.journal.as_ref()).and_then(Journal::append).is_some();
        if waits {
            Box::pin(self.commit_log(Logged::default())).await?;
        }
        Ok(())
    }

    /// Appends to the log and to the live run's journal, with everything else that is to be one commit with it, then
    /// publishes.
    pub(super) async fn commit_log(&mut self, logged: Logged) -> Result<(), CommitError> {
        let Logged { chunks, live_summary, runs, mut along, mut sitting } = logged;
        let told = self.live.as_mut().and_then(|live| live.tells_steps(&self.services.watchers));
        let is_told = told.is_some();
        if let Some(Batch { appends, put, .. }) = told {
            along.appends.extend(appends);
            along.put.extend(put);
        }
        let mut log = Append::to(self.name.log(), self.log_seq);
        log.entries = chunks.iter().map(|chunk| chunk.to_entry()).collect();
        log.summary = live_summary;
        // Open while raw entries exist: a restart finds what to close or to trim.
        log.open = runs.is_some().then_some(true);
        let appended_runs = runs.as_ref().map_or(0, |runs| runs.entries.len() as u64);
        let steps = self.live.as_ref().and_then(|live| live.journal.as_ref()).and_then(Journal::append);
        let written = sitting.as_mut().map(Sitting::batch).unwrap_or_default();
        along.put.extend(written.put);
        along.remember.extend(written.remember);
        let before_written = 1 + usize::from(runs.is_some());
        let written = written.appends;
        let appends = std::iter::once(log).chain(runs).chain(written).chain(along.appends).chain(steps).collect();
        let committing = self.services.store.commit(Batch { appends, ..along });
        let committed = match &mut self.live {
            Some(live) => live.work.alongside(committing).await?,
            None => committing.await?,
        };
        self.log_lineage = Arc::clone(&committed[0].epoch);
        self.runs_seq = Seq(self.runs_seq.0 + appended_runs);
        if let Some(journal) = self.live.as_mut().and_then(|live| live.journal.as_mut()) {
            journal.stored();
        }
        if let Some(last) = chunks.last() {
            self.log_seq = Seq(last.last());
        }
        if let Some(live) = self.live.as_ref().filter(|_| is_told) {
            live.life.show(&self.services);
        }
        self.ending = None;
        if let Some(sitting) = sitting {
            // Before the entries that were made on it.
            Box::pin(sitting.stored(committed.into_iter().skip(before_written))).await;
        }
        self.tail.publish(chunks);
        Ok(())
    }
}
