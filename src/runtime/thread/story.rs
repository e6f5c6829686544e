//! What the live run tells: its agent's events, admitted, under ids of their own, compacted as they are appended.
//!
//! Pure bookkeeping: it decides what is to be appended; the thread's task appends it.

use std::collections::{HashMap, HashSet};

use crate::agent::{AgentError, RunOutcome};
use crate::agui::{Admission, Closing, Compactor, Event, IdKind, Json, Outcome, SequenceError, Success, TokenUsage};

use super::super::runs::RunStatus;
use super::live::Ending;
use super::old_questions;
use super::record::{RunStart, Spoken, Told};
use super::transcript::Transcript;

/// A run's events on their way: admitted, numbered, compacted.
#[derive(Debug)]
pub(super) struct Story {
    admission: Admission,
    compactor: Compactor,
    renamed: HashMap<(IdKind, String), String>,
    client_tools: HashSet<String>,
    run_id: String,
    spoken: Option<Spoken>,
    /// Whether the agent asks its questions in the words of old pages itself.
    asks_itself: bool,
}

impl Story {
    pub(super) fn new(thread_id: &str, start: &RunStart, client_tools: HashSet<String>) -> Self {
        Self {
            admission: Admission::new(thread_id, &start.client_run_id).with_id_prefix(&start.run_id),
            compactor: Compactor::default(),
            renamed: HashMap::new(),
            client_tools,
            run_id: start.run_id.clone(),
            spoken: None,
            asks_itself: false,
        }
    }

    /// Checks one event of the agent and pushes what may go out.
    pub(super) fn admit(
        &mut self,
        mut event: Event,
        transcript: &Transcript,
        out: &mut Vec<Event>,
    ) -> Result<(), SequenceError> {
        if event.is_state() {
            // State lives in documents; agents change it through their context.
            return Ok(());
        }
        self.rename(&mut event, transcript);
        self.admission.admit(event, out)
    }

    /// The browser's tools, of a run that was read back.
    pub(super) fn offers(&mut self, client_tools: HashSet<String>) {
        self.client_tools = client_tools;
    }

    /// Brings a run that was cut off to where it can go on: what is open ends, but calls that were complete at that time stay.
    pub(super) fn break_off(&mut self, kept: &HashSet<String>, out: &mut Vec<Event>) {
        self.admission.break_off(&|call| kept.contains(call), out);
    }

    /// Calls that have no result.
    pub(super) fn unanswered_calls(&self) -> HashSet<String> {
        self.admission.pending_tool_calls().into_iter().map(|call| call.id).collect()
    }

    /// Takes the events of a stored chunk back, as they were admitted before.
    pub(super) fn replay(&mut self, first: u64, events: Vec<Event>, version: u64) -> Result<(), SequenceError> {
        self.record(first, events.clone(), version);
        let suffix = format!("-{}", self.run_id);
        let mut events = events;
        for event in &mut events {
            event.map_ids(|kind, id, opens| {
                if let Some(original) = id.strip_suffix(&suffix).filter(|_| opens) {
                    self.renamed.insert((kind, original.to_owned()), id.to_owned());
                }
                None
            });
        }
        let mut again = Vec::with_capacity(events.len());
        events.into_iter().try_for_each(|event| self.admission.admit(event, &mut again))
    }

    /// Takes events as they were appended, the first at `position`, the document being at `version`.
    pub(super) fn record(&mut self, position: u64, events: Vec<Event>, version: u64) {
        if let Some(spoken) = events.iter().rev().find_map(|event| Spoken::new(event, version)) {
            self.spoken = Some(spoken);
        }
        self.asks_itself |= events.iter().any(old_questions::is_asked);
        for (event, position) in events.into_iter().zip(position..) {
            self.compactor.push(position, event);
        }
    }

    /// The closers and the terminal of `ending`.
    pub(super) fn end(&mut self, ending: Ending, out: &mut Vec<Event>) -> Result<RunStatus, SequenceError> {
        match ending {
            Ending::Returned(RunOutcome { outcome, result, usage, base }) => {
                let status = match outcome {
                    Some(Outcome::Interrupt(_)) => RunStatus::Waiting,
                    Some(Outcome::Cancelled(_)) => RunStatus::Cancelled,
                    Some(Outcome::Success(_)) | None => RunStatus::Succeeded,
                };
                let mut finished = finished(outcome, result, usage);
                *finished.base_mut() = base;
                self.follow_renamed(&mut finished);
                if !self.asks_itself && !out.iter().any(old_questions::is_asked) {
                    old_questions::asked(finished.interrupts())
                        .try_for_each(|event| self.admission.admit(event, out))?;
                }
                if let Event::RunFinished(finished) = &mut finished {
                    finished.outcome = finished.outcome.take().or_else(|| self.pending_calls());
                }
                self.admission.admit(finished, out)?;
                Ok(status)
            }
            Ending::Failed(error) => {
                self.close(&Closing::Failed { reason: error.code.clone(), message: error.message.clone() }, out);
                let is_budget = matches!(error.code.as_str(), "budget_exceeded" | "no_progress");
                self.admission.admit(failed(error), out)?;
                Ok(if is_budget { RunStatus::BudgetExceeded } else { RunStatus::Failed })
            }
            Ending::Stopped | Ending::Superseded => {
                let status =
                    if matches!(ending, Ending::Stopped) { RunStatus::Cancelled } else { RunStatus::Superseded };
                self.close(&Closing::Stopped, out);
                let cancelled = Some(Outcome::cancelled());
                self.admission.admit(finished(cancelled, None, Vec::new()), out)?;
                Ok(status)
            }
            Ending::Interrupted => {
                self.close(&Closing::Interrupted, out);
                let message = "the run was interrupted because the server stopped or its store failed; send the message again to retry";
                self.admission.admit(Event::run_error(message, "interrupted"), out)?;
                Ok(RunStatus::Failed)
            }
        }
    }

    pub(super) fn told(self) -> Told {
        let asked = self.asked();
        Told { events: self.compactor.finish(), spoken: self.spoken, asked }
    }

    /// Calls that are the browser's to answer: of tools it offered for this run, and without a result.
    fn asked(&self) -> Vec<String> {
        let pending = self.admission.pending_tool_calls().into_iter();
        pending.filter(|call| self.client_tools.contains(&call.name)).map(|call| call.id).collect()
    }

    fn close(&mut self, closing: &Closing, out: &mut Vec<Event>) {
        let client_tools = &self.client_tools;
        self.admission.close(closing, &|tool| client_tools.contains(tool), out);
    }

    /// Calls that the browser has to answer, for clients that can be told.
    fn pending_calls(&self) -> Option<Outcome> {
        let ids = self.asked();
        (!ids.is_empty()).then_some(Outcome::Success(Success { pending_tool_call_ids: Some(ids) }))
    }

    /// An id that another run of the thread already used would merge two messages in every client: this run's gets a
    /// new one, which its later events follow.
    fn rename(&mut self, event: &mut Event, transcript: &Transcript) {
        let (renamed, run_id) = (&mut self.renamed, &self.run_id);
        if renamed.is_empty() && event.is_streamed_text() {
            return;
        }
        event.map_ids(|kind, id, opens| {
            if renamed.is_empty() && !opens {
                return None;
            }
            let key = (kind, id.to_owned());
            if let Some(new) = renamed.get(&key) {
                return Some(new.clone());
            }
            let taken = match kind {
                IdKind::Message => transcript.contains(id),
                IdKind::ToolCall => transcript.knows_call(id),
            };
            (opens && taken).then(|| {
                let new = format!("{id}-{run_id}");
                renamed.insert(key, new.clone());
                new
            })
        });
    }

    /// Names what was renamed by its new id.
    fn follow_renamed(&self, event: &mut Event) {
        if !self.renamed.is_empty() {
            event.map_ids(|kind, id, _| self.renamed.get(&(kind, id.to_owned())).cloned());
        }
    }
}

/// The gate fills in the ids.
fn finished(outcome: Option<Outcome>, result: Option<Json>, usage: Vec<TokenUsage>) -> Event {
    let mut event = Event::run_finished_with("", "", outcome);
    if let Event::RunFinished(finished) = &mut event {
        finished.result = result;
        finished.usage = told(usage);
    }
    event
}

/// Usage as AG-UI has it: clients warn of members they do not know.
fn told(usage: Vec<TokenUsage>) -> Option<Vec<TokenUsage>> {
    (!usage.is_empty()).then(|| usage.into_iter().map(|usage| TokenUsage { cost_usd: None, ..usage }).collect())
}

fn failed(error: AgentError) -> Event {
    let mut event = Event::run_error(error.message, error.code);
    if let Event::RunError(failed) = &mut event {
        failed.usage = told(error.usage);
    }
    event
}
