//! The run that is live on a thread: the gate its events pass, what it has said so far, and the agent at work.
//!
//! Pure bookkeeping: it decides what is to be appended; the thread's task appends it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::context::StateRequest;
use crate::agent::meter::Meter;
use crate::agent::{AgentError, RunOutcome};
use crate::agui::{Admission, Closing, Compactor, Event, IdKind, Json, Outcome, SequenceError, Success, TokenUsage};
use crate::store::Batch;

use super::super::agents::Hosted;
use super::super::document::{Author, DocumentHandle, Snapshot};
use super::super::live_runs::Entered;
use super::super::runs::{Life, RunStatus};
use super::super::triggers::Watchers;
use super::super::work::Work;
use super::audience::Audience;
use super::chunk::Chunk;
use super::journal::Journal;
use super::old_questions;
use super::peer::Peer;
use super::prediction::Predictor;
use super::record::{RunStart, Spoken, Told};
use super::time::RunTime;
use super::transcript::Transcript;

/// The record of a run at work tells its steps this often at most.
const STEPS_DELAY: Duration = Duration::from_millis(200);

/// Why a run ends.
#[derive(Debug)]
pub(super) enum Ending {
    Returned(RunOutcome),
    Failed(AgentError),
    Stopped,
    /// Another run takes its place.
    Superseded,
    /// The process ends or has crashed under it.
    Interrupted,
}

#[derive(Debug)]
pub(super) struct LiveRun {
    pub(super) start: Arc<RunStart>,
    pub(super) agent: Arc<Hosted>,
    pub(super) document: Arc<DocumentHandle>,
    /// What this run's own stream shows after `RUN_STARTED`.
    pub(super) snapshot: Snapshot,
    pub(super) work: Work,
    /// Of a run that goes on after a crash.
    pub(super) journal: Option<Journal>,
    /// How its commits are signed.
    pub(super) author: Author,
    pub(super) predictor: Predictor,
    pub(super) text: StreamedText,
    pub(super) audience: Arc<Audience>,
    /// Its lifecycle document.
    pub(super) life: Box<Life>,
    pub(super) meter: Arc<Meter>,
    /// When its record told last how far it is.
    told_at: Option<Instant>,
    pub(super) time: RunTime,
    /// Among those at work as long as it is live.
    entered: Entered,
    peer: Option<Peer>,
    story: Story,
}

/// Text that readers have already seen and the store has not.
#[derive(Debug, Default)]
pub(super) struct StreamedText {
    chunks: Vec<Arc<Chunk>>,
    pub(super) bytes: usize,
    pub(super) since: Option<Instant>,
}

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

/// What is known of a run when its agent begins to work.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) start: Arc<RunStart>,
    pub(super) agent: Arc<Hosted>,
    pub(super) document: Arc<DocumentHandle>,
    pub(super) snapshot: Snapshot,
    pub(super) life: Box<Life>,
    pub(super) meter: Arc<Meter>,
    pub(super) entered: Entered,
}

impl From<Result<RunOutcome, AgentError>> for Ending {
    fn from(ended: Result<RunOutcome, AgentError>) -> Self {
        match ended {
            Ok(outcome) => Self::Returned(outcome),
            Err(error) => Self::Failed(error),
        }
    }
}

impl LiveRun {
    pub(super) fn new(begun: Begun, work: Work, journal: Option<Journal>, story: Story) -> Self {
        let Begun { start, agent, document, snapshot, life, meter, entered } = begun;
        let predictor = Predictor::default();
        let spent = journal.as_ref().map(Journal::spent).unwrap_or_default();
        let (text, audience) = (StreamedText::default(), Arc::default());
        let time = RunTime::start(&agent.run_spec().budget, agent.kind() == "llm", spent);
        let peer = Peer::enter(&start, &document);
        let author = Author {
            run_id: Some(start.run_id.as_str().into()),
            may_write: agent.may_write(),
            ..Author::new(format!("agent:{}", start.agent))
        };
        Self {
            start,
            agent,
            document,
            snapshot,
            work,
            journal,
            author,
            predictor,
            text,
            audience,
            life,
            meter,
            told_at: None,
            time,
            entered,
            peer,
            story,
        }
    }

    pub(super) fn story(&mut self) -> &mut Story {
        &mut self.story
    }

    /// Tells the peers at the document where the agent writes.
    pub(super) fn works_at(&mut self, request: &StateRequest) {
        if let Some(peer) = &mut self.peer {
            peer.works_at(request);
        }
    }

    /// The record's next version while the run is at work, if it has done more steps since a while ago.
    pub(super) fn tells_steps(&mut self, watchers: &Watchers) -> Option<Batch> {
        let steps = self.start.steps_before + self.meter.steps();
        let is_early = self.told_at.is_some_and(|told_at| told_at.elapsed() < STEPS_DELAY);
        if steps <= self.life.told.steps || is_early {
            return None;
        }
        self.told_at = Some(Instant::now());
        self.life.told.steps = steps;
        Some(self.life.next_with(Batch::default(), watchers))
    }

    /// What is left when it has ended. It is among those at work until the last of it is dropped.
    pub(super) fn into_story(self: Box<Self>) -> (Arc<RunStart>, Story, Box<Life>, Entered) {
        (self.start, self.story, self.life, self.entered)
    }
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

impl StreamedText {
    pub(super) fn push(&mut self, chunk: Arc<Chunk>) {
        self.since.get_or_insert_with(Instant::now);
        self.bytes += chunk.bytes();
        self.chunks.push(chunk);
    }

    /// Whether there is some.
    pub(super) fn waits(&self) -> bool {
        !self.chunks.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Arc<Chunk>> {
        std::mem::take(self).chunks
    }
}
