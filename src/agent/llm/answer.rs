//! One answer of the model: asked for until it is whole, shown while it comes.

use futures_util::StreamExt as _;

use super::budget::Budget;
use super::models::Chosen;
use super::predict::Predictions;
use super::retry;
use super::speech::{CallIds, Speech};
use crate::agent::context::RunContext;
use crate::agent::error::AgentError;
use crate::agent::model::usage::{Tally, priced};
use crate::agent::model::{Fault, FaultKind, Finish, Piece, Request};
use crate::agui::{AssistantMessage, Event, TokenUsage};

/// Who asks, and what a run keeps account of.
pub(super) struct Asking<'r, 'm> {
    pub(super) cx: &'r RunContext,
    pub(super) models: &'r mut Chosen<'m>,
    pub(super) budget: &'r mut Budget,
    pub(super) tally: &'r mut Tally,
    pub(super) ids: &'r mut CallIds,
    pub(super) predictions: &'r Predictions,
}

/// Why an attempt gave no whole answer.
enum Broken {
    /// The model's side: another attempt may help.
    Fault(Fault),
    /// The run's own: it ends.
    Run(AgentError),
}

impl From<AgentError> for Broken {
    fn from(error: AgentError) -> Self {
        Self::Run(error)
    }
}

impl Asking<'_, '_> {
    /// The whole answer, `None` when the model had nothing to say, and the events that end it. A fault is tried again while
    /// that may help, and then by the next model; text that is out by then is closed, and the answer is asked for again
    /// under new ids.
    pub(super) async fn answer(
        &mut self,
        request: &Request,
    ) -> Result<(Option<AssistantMessage>, Vec<Event>), AgentError> {
        let mut tried = 0;
        loop {
            let mut speech = Speech::new(self.cx, self.predictions, request.output.is_some());
            let attempted = self.attempt(request, &mut speech).await;
            tried += 1;
            let fault = match attempted {
                Ok(Finish::Filtered) => {
                    let message = "the provider's content filter held the rest of the answer back";
                    return Err(AgentError::new("provider_error", message));
                }
                // Asked again it would end there again.
                Ok(Finish::Length) => {
                    let message = "the model's answer ended at its limit of tokens (`agent.params.max_output_tokens`), before it was whole";
                    return Err(AgentError::new("truncated", message));
                }
                Ok(Finish::Complete) => return Ok(speech.finish()),
                Err(Broken::Fault(fault)) => fault,
                Err(Broken::Run(error)) => return Err(error),
            };
            let wait = retry::wait(&fault, tried);
            let model = self.models.model().name();
            if let Some(wait) = wait {
                tracing::info!(%model, tried, ?wait, code = fault.code(), %fault, "a model is asked again");
            } else {
                tracing::warn!(%model, tried, code = fault.code(), %fault, "a model gave no answer");
                self.models.next(fault)?;
                tried = 0;
            }
            if speech.is_visible {
                speech.break_off().await?;
            }
            self.budget.within(tokio::time::sleep(wait.unwrap_or_default())).await?;
        }
    }

    async fn attempt(&mut self, request: &Request, speech: &mut Speech<'_>) -> Result<Finish, Broken> {
        let mut usage = None;
        let read = self.read(request, speech, &mut usage).await;
        // What broke off was paid for, too.
        if let Some(usage) = usage {
            let model = self.models.model();
            let usage = priced(usage, model.price());
            if let Some(cost) = usage.cost_usd {
                self.cx.meter().cost(&model.name().to_string(), cost);
            }
            self.tally.add(model.name(), &usage);
        }
        read
    }

    async fn read(
        &mut self,
        request: &Request,
        speech: &mut Speech<'_>,
        usage: &mut Option<TokenUsage>,
    ) -> Result<Finish, Broken> {
        let mut pieces = self.budget.within(self.models.model().answer(request)).await?.map_err(Broken::Fault)?;
        while let Some(piece) = self.budget.within(pieces.next()).await? {
            self.budget.progress();
            match piece.map_err(Broken::Fault)? {
                Piece::Usage(said) => *usage = Some(said),
                Piece::Finished(finish) => return Ok(finish),
                piece => speech.show(piece, self.ids).await?,
            }
        }
        Err(Broken::Fault(Fault::new(FaultKind::Truncated, "the model's answer has no end")))
    }
}
