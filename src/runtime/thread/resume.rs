//! A run that was live when its process ended: one that is durable goes on from its last step, any other is closed.

use std::collections::HashSet;
use std::sync::Arc;

use crate::agui::{Event, Reading, sse};
use crate::store::{Batch, CommitError, Fence, Head, Seq};

use super::super::agents::Hosted;
use super::actor::{Broken, Thread};
use super::append::Logged;
use super::chunk::Chunk;
use super::journal::{self, Found, Journal, MOST_CRASHES};
use super::lifecycle::AlongWith;
use super::live::{Begun, Ending, LiveRun};
use super::load::PAGE;
use super::record::{RunFacts, RunRecord, RunStart};
use super::start::{client_tools, run_input};
use super::story::Story;

/// A frame of a log can be as large as the largest event.
const FRAME_BYTES: usize = 64 << 20;

/// What is left of a run that was cut off.
struct CutOff {
    start: RunStart,
    story: Story,
    /// The document's version at the last entry of its log.
    state_version: u64,
    /// Calls that had no result when the last of its steps was done.
    kept: HashSet<String>,
}

/// Who goes on with it, and from where.
struct Resumption {
    agent: Arc<Hosted>,
    found: Found,
}

impl Thread {
    /// Takes up the run that the log says was live, if it does.
    pub(super) async fn take_up_cut_off_run(&mut self, log: &Head) -> Result<(), Broken> {
        let Some(start) = log.summary.as_deref().filter(|summary| !summary.is_empty()) else { return Ok(()) };
        let start: RunStart = serde_json::from_slice(start).map_err(|error| Broken { reason: error.to_string() })?;
        if self.services.leased.is_held_elsewhere(Fence(start.fence)).await? {
            return Err(Broken {
                reason: "its run is live in another process, which answers for the thread".to_owned(),
            });
        }
        let resumption = self.resumption(&start).await?;
        let settled_to = resumption.as_ref().map_or(0, |resumption| resumption.found.standing.settled_to);
        let cut_off = self.read_back(start, log.seq, settled_to).await?;
        match resumption {
            Some(resumption) => self.go_on(cut_off, resumption).await,
            None => self.close(cut_off, Vec::new()).await,
        }
    }

    /// How a run can go on; `None` when it has to be closed.
    async fn resumption(&self, start: &RunStart) -> Result<Option<Resumption>, Broken> {
        let Some(found) = journal::read(self.services.store.as_ref(), &self.name.journal()).await? else {
            return Ok(None);
        };
        let (thread, run) = (&self.name.id, &start.run_id);
        if found.standing.crashes >= MOST_CRASHES {
            tracing::error!(%thread, %run, crashes = found.standing.crashes, "a run under which the process keeps dying is closed");
            return Ok(None);
        }
        let agent = self.services.agent_as_it_was(self.name.tenant.as_str(), &start.agent, &start.definition).await?;
        match agent.filter(|agent| agent.is_durable()) {
            Some(agent) => Ok(Some(Resumption { agent, found })),
            None => {
                tracing::warn!(%thread, %run, agent = start.agent, "the definition of a run cannot be had any more, so the run cannot go on");
                Ok(None)
            }
        }
    }

    /// Reads the log of a run; everything up to `settled_to` belongs to steps that are done.
    async fn read_back(&self, start: RunStart, end: Seq, settled_to: u64) -> Result<CutOff, Broken> {
        let broken = |reason: String| Broken { reason };
        let mut story = Story::new(&self.name.id, &start, HashSet::new());
        let mut state_version = start.state_sent;
        let mut kept = HashSet::new();
        let mut after = Seq(start.first_position - 1);
        while after < end {
            let page = self.services.store.read(&self.name.log(), after, PAGE).await?;
            let Some(last) = page.last() else {
                return Err(broken("the log of a cut-off run is shorter than the store says".to_owned()));
            };
            after = last.seq;
            for entry in &page {
                let chunk = Chunk::from_entry(entry).map_err(|error| broken(error.to_string()))?;
                state_version = state_version.max(chunk.state_version);
                let (mut settled, mut first) = (events_of(&chunk)?, chunk.first);
                let count = (settled_to + 1).saturating_sub(first).min(settled.len() as u64);
                let rest = settled.split_off(usize::try_from(count).expect("no more than there are events"));
                for events in [settled, rest].into_iter().filter(|events| !events.is_empty()) {
                    let next = first + events.len() as u64;
                    story.replay(first, events, state_version).map_err(|error| broken(error.to_string()))?;
                    first = next;
                    if first <= settled_to + 1 {
                        kept = story.unanswered_calls();
                    }
                }
            }
        }
        Ok(CutOff { start, story, state_version, kept })
    }

    /// Goes on with a run: what its last step left open ends, and the agent is asked again.
    async fn go_on(&mut self, cut_off: CutOff, resumption: Resumption) -> Result<(), Broken> {
        let CutOff { mut start, mut story, state_version, kept } = cut_off;
        let Resumption { agent, found: Found { asked, past, standing } } = resumption;
        let brought: Vec<_> = start.input.iter().chain(&start.edits).cloned().collect();
        let (input, context) = match asked.again(&self.transcript, &brought) {
            Ok(asked) => asked,
            Err(reason) => {
                tracing::error!(thread = %self.name.id, run = %start.run_id, reason, "a run cannot be asked again");
                return self.close(CutOff { start, story, state_version, kept }, Vec::new()).await;
            }
        };
        tracing::info!(thread = %self.name.id, run = %start.run_id, steps = past.done.len(), "a run goes on");
        let document = self.services.document(&start.document);
        let view = document.view(&self.name.names());
        let snapshot = document.snapshot(view).await.map_err(|error| Broken { reason: error.to_string() })?;
        story.offers(client_tools(&input));
        let mut out = Vec::new();
        story.break_off(&kept, &mut out);
        self.state_version = state_version;
        let first = self.position + 1;
        let chunk = (!out.is_empty()).then(|| Arc::new(Chunk::durable(&out, first, state_version)));
        let mut journal = Journal::going_on(self.name.journal(), standing, past.spent);
        // Before the agent is asked: what makes the process die again is counted.
        let along = Batch { appends: journal.append().into_iter().collect(), ..Batch::default() };
        start.fence = self.services.leased.fence().0;
        let started = Arc::new(start.clone());
        match self
            .commit_log(Logged {
                chunks: chunk.into_iter().collect(),
                live_summary: Some(started.text()),
                along,
                ..Logged::default()
            })
            .await
        {
            Ok(()) => journal.stored(),
            Err(CommitError::Full) => {
                tracing::error!(thread = %self.name.id, run = %start.run_id, "the disk is full, so a run cannot go on");
                return self.close(CutOff { start, story, state_version, kept }, out).await;
            }
            Err(error) => return Err(error.into()),
        }
        self.position += out.len() as u64;
        story.record(first, out, state_version);
        self.state_version = state_version;
        let asked = run_input(&self.name.id, &start, input, context, Vec::new());
        let life = self.life_of(&start).await?;
        let entered = self.services.live_runs.enter(&started, &agent, &self.name);
        let meter = Arc::default();
        let work = self.work(&agent, asked, past, &meter, None);
        self.take_start(&start);
        let begun = Begun { start: started, agent, document, snapshot, life, meter, entered };
        let mut live = LiveRun::new(begun, work, Some(journal), story);
        live.author.is_resumed = true;
        self.live = Some(Box::new(live));
        Ok(())
    }

    /// Lets go of the live run, so that the next process goes on with it. Its streams end, and not with a terminal: whoever
    /// reads on afterwards reads the same run.
    pub(super) async fn suspend(&mut self) -> Result<(), Broken> {
        let Some(live) = &mut self.live else { return Ok(()) };
        live.work.stop();
        live.journal.iter_mut().for_each(Journal::suspend);
        let chunks = self.number(Vec::new());
        self.commit_log(Logged { chunks, ..Logged::default() }).await?;
        self.live = None;
        self.tail.suspend();
        Ok(())
    }

    /// Ends a run as interrupted: it gets its closers and `RUN_ERROR interrupted`.
    /// These events are shown before.
    async fn close(&mut self, cut_off: CutOff, mut out: Vec<Event>) -> Result<(), Broken> {
        let CutOff { start, mut story, state_version, .. } = cut_off;
        tracing::info!(thread = %self.name.id, run = %start.run_id, "closing a run that was cut off");
        let status = story.end(Ending::Interrupted, &mut out).map_err(|error| Broken { reason: error.to_string() })?;
        let first = self.position + 1;
        self.position += out.len() as u64;
        let chunk = Chunk::durable(&out, first, state_version);
        story.record(first, out, state_version);
        let told = story.told();
        let facts = RunFacts::new(Arc::new(start), status, state_version, self.position, &told);
        let life = self.life_of(&facts.start).await?;
        let along = AlongWith::end_of(life, (&facts, &told, None), (&self.services.watchers, &self.name));
        let answers = self.transcript.results_in_between(self.runs.len());
        let record = RunRecord::new(facts, told.events, &self.summary.log_epoch, &answers);
        self.take_cut_off(chunk, record, along).await;
        Ok(())
    }
}

/// The definition of the run that a log says is live.
pub(crate) fn definition_of(log: &Head) -> Option<String> {
    let start = serde_json::from_slice::<RunStart>(log.summary.as_deref()?).ok()?;
    Some(start.definition)
}

/// The lease of the process that hosts the run which a log says is live.
pub(crate) fn fence_of(log: &Head) -> Option<Fence> {
    let start = serde_json::from_slice::<RunStart>(log.summary.as_deref()?).ok()?;
    Some(Fence(start.fence))
}

/// The events of a stored chunk.
fn events_of(chunk: &Chunk) -> Result<Vec<Event>, Broken> {
    let mut decoder = sse::Decoder::new(FRAME_BYTES);
    decoder.push(&chunk.full_frames());
    let mut events = Vec::with_capacity(chunk.len() as usize);
    while let Some(frame) = decoder.next_frame() {
        let frame = frame.map_err(|error| Broken { reason: error.to_string() })?;
        match Event::read(&frame.data).map_err(|error| Broken { reason: error.to_string() })? {
            Reading::Event(event) => events.push(event),
            Reading::Unknown { event_type } => {
                return Err(Broken { reason: format!("the log holds an event of unknown type {event_type}") });
            }
        }
    }
    Ok(events)
}
