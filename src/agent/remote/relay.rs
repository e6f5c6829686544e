//! What each event of an endpoint becomes here: words pass, state becomes a write, the terminal becomes the answer.

use super::messages::Told;
use super::view::View;
use crate::agent::RunOutcome;
use crate::agent::context::RunContext;
use crate::agent::error::AgentError;
use crate::agui::{Event, Json};

pub(super) struct Relay<'c> {
    cx: &'c RunContext,
    view: View,
    told: Told,
    strip_raw: bool,
}

impl<'c> Relay<'c> {
    pub(super) fn new(cx: &'c RunContext, view: View, strip_raw: bool) -> Self {
        Self { cx, view, told: Told::new(cx.input()), strip_raw }
    }

    /// Takes one event; answers the run's outcome when it was the terminal. Waits while the runtime is behind.
    pub(super) async fn pass(&mut self, mut event: Event) -> Result<Option<RunOutcome>, AgentError> {
        if self.strip_raw {
            event.base_mut().take_raw_event();
        }
        match event {
            // The runtime has begun the run under ids of its own.
            Event::RunStarted(_) => {}
            Event::Raw(_) if self.strip_raw => {}
            Event::RunFinished(finished) => {
                return Ok(Some(RunOutcome {
                    outcome: finished.outcome,
                    result: finished.result.filter(|result: &Json| result.get() != "null"),
                    usage: finished.usage.unwrap_or_default(),
                    base: finished.base,
                }));
            }
            Event::RunError(error) => {
                let code = error.code.unwrap_or_else(|| "upstream_error".to_owned());
                let usage = error.usage.unwrap_or_default();
                return Err(AgentError { usage, ..AgentError::new(code, error.message) });
            }
            Event::StateSnapshot(event) => self.view.snapshot(self.cx, &event.snapshot).await?,
            Event::StateDelta(event) => self.view.delta(self.cx, &event.delta).await?,
            Event::MessagesSnapshot(event) => {
                for event in self.told.added_by(&event.messages) {
                    self.cx.emit(event).await?;
                }
            }
            event => self.emit(event).await?,
        }
        Ok(None)
    }

    async fn emit(&mut self, event: Event) -> Result<(), AgentError> {
        self.told.note(&event);
        self.cx.emit(event).await
    }
}
