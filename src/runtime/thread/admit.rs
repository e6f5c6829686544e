//! What an agent does, in the order it does it: events pass the gate, steps are noted, and whatever it asks for is passed on
//! after what came before it.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use crate::agent::context::{AgentRefusal, AgentRequest, Emission, StateRequest};
use crate::agent::steps::StepNote;
use crate::agent::{AgentError, RunOutcome};
use crate::agui::{Event, SequenceError};
use crate::state::pointer::Pointer;

use super::super::runs::Asked;
use super::super::types::Names;
use super::super::work::EMISSIONS;
use super::actor::{Broken, Thread};
use super::burst::Burst;
use super::elsewhere::Elsewhere;
use super::live::{Ending, LiveRun};

/// As much as this is taken of an agent at one go; then it is shown although the agent goes on.
const LONGEST: usize = 256;

/// Events that are admitted and not shown yet, and the burst that they are stored with.
#[derive(Default)]
pub(super) struct Unstored {
    pub(super) events: Vec<Event>,
    pub(super) burst: Option<Box<Burst>>,
}

impl Thread {
    /// Takes what the agent emitted, in order.
    pub(super) async fn absorb(&mut self, emissions: VecDeque<Emission>) -> Result<(), Broken> {
        let unstored = self.admit(emissions).await?;
        if let Some(ended) = self.live.as_mut().and_then(|live| live.work.take_ended()) {
            return Box::pin(self.finish_after(unstored, ended.into())).await;
        }
        match unstored.burst {
            Some(burst) => Box::pin(self.store_burst(burst, unstored.events)).await,
            None => self.show(unstored.events).await,
        }
    }

    /// The last of what the agent emitted, and how it ended: what can share a commit does.
    pub(super) async fn agent_ended(
        &mut self,
        rest: VecDeque<Emission>,
        ended: Result<RunOutcome, AgentError>,
    ) -> Result<(), Broken> {
        let unstored = self.admit(rest).await?;
        self.finish_after(unstored, ended.into()).await
    }

    /// Admits emissions, and what the agent does at once after as many as wait at a time, or after a write of a step; answers
    /// what is left of it.
    async fn admit(&mut self, mut emissions: VecDeque<Emission>) -> Result<Unstored, Broken> {
        let mut unstored = Unstored::default();
        let mut taken = 0;
        loop {
            taken += emissions.len();
            let is_full = emissions.len() >= EMISSIONS;
            // What comes alone is mostly a write, and what fills a queue goes on.
            let expected = if is_full { LONGEST.saturating_sub(unstored.events.len()) } else { emissions.len() };
            if expected > 1 {
                unstored.events.reserve(expected);
            }
            for emission in emissions.drain(..) {
                let Some(live) = &mut self.live else { return Ok(Unstored::default()) };
                match emission {
                    Emission::Event(event) => {
                        if let Err(error) = live.story().admit(event, &self.transcript, &mut unstored.events) {
                            return Box::pin(self.finish_out_of_sequence(unstored, &error)).await;
                        }
                    }
                    Emission::Step(step) => {
                        if let Err(error) = self.end_step(*step, &mut unstored).await? {
                            return Box::pin(self.finish_out_of_sequence(unstored, &error)).await;
                        }
                    }
                    Emission::State(request) => self.ask_document(None, *request, &mut unstored).await?,
                    Emission::Document { name, request } => {
                        self.ask_document(Some(name), *request, &mut unstored).await?;
                    }
                    Emission::Agent(request) => {
                        self.store(&mut unstored).await?;
                        self.ask(*request);
                    }
                    Emission::Predict(values) => Box::pin(self.predict(values, &mut unstored)).await?,
                }
            }
            let Some(live) = &mut self.live else { return Ok(unstored) };
            live.work.reuse(emissions);
            if taken > LONGEST || !(is_full || unstored.burst.is_some()) {
                return Ok(unstored);
            }
            emissions = live.work.at_once().await;
            if emissions.is_empty() {
                return Ok(unstored);
            }
        }
    }

    /// Takes what a step came to, with its last events, and stores both if somebody waits for that.
    async fn end_step(&mut self, step: StepNote, unstored: &mut Unstored) -> Result<Result<(), SequenceError>, Broken> {
        let Some(live) = &mut self.live else { return Ok(Ok(())) };
        let StepNote { path, value, events, durable } = step;
        for event in events {
            if let Err(error) = live.story().admit(event, &self.transcript, &mut unstored.events) {
                return Ok(Err(error));
            }
        }
        let position = self.position + unstored.events.len() as u64;
        let is_full = live.journal.as_mut().is_some_and(|journal| {
            journal.note(path, value, position);
            journal.is_full()
        });
        if is_full || durable.is_some() {
            self.store(unstored).await?;
            self.store_steps().await?;
        }
        // An error means that the agent has stopped waiting.
        let _ = durable.map(|durable| durable.send(()));
        Ok(Ok(()))
    }

    /// Shows what will probably stand in the agent's state, or nothing any more.
    async fn predict(&mut self, values: Vec<(Pointer, Value)>, unstored: &mut Unstored) -> Result<(), Broken> {
        if values.is_empty()
            && let Some(burst) = &mut unstored.burst
        {
            burst.ends_prediction = true;
            return Ok(());
        }
        let events = std::mem::take(&mut unstored.events);
        match unstored.burst.take() {
            Some(burst) => self.store_burst(burst, events).await?,
            None => self.show(events).await?,
        }
        let Some(LiveRun { work, predictor, document, author, .. }) = self.live.as_deref_mut() else { return Ok(()) };
        let view = document.view(&Names::of_actor(Arc::clone(&author.actor)));
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
        let author = live.author.clone();
        let Some(name) = name else {
            return live.work.alongside(live.document.serve(request, author)).await;
        };
        let (services, thread) = (&self.services, &self.name);
        let elsewhere = Elsewhere { services, thread, allowed: live.agent.documents(), author };
        live.work.alongside(Box::pin(elsewhere.serve(&name, request))).await;
    }

    /// Ends a run whose agent broke the rules of the sequence, after what was admitted; nothing is left to show.
    async fn finish_out_of_sequence(&mut self, unstored: Unstored, error: &SequenceError) -> Result<Unstored, Broken> {
        let failed = AgentError::new("invalid_sequence", error.to_string());
        self.finish_after(unstored, Ending::Failed(failed)).await?;
        Ok(Unstored::default())
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
            principal: self.name.principal(),
            agent: live.start.agent.clone(),
            run_id: live.start.run_id.clone(),
            cause: live.start.cause.clone(),
            thread_id: self.name.id.to_string(),
            request,
        };
        if let Err(error) = self.services.asked.try_send(asked) {
            refused(error.into_inner().request, "too many agents are asked at this moment: try again".to_owned());
        }
    }
}
