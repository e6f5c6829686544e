//! The end of a run: closers and terminal, the stored record, and what stays of it in memory.

use std::sync::Arc;

use crate::agent::AgentError;
use crate::store::CommitError;

use super::actor::{Broken, Owed, Thread};
use super::admit::Unstored;
use super::append::Logged;
use super::chunk::Chunk;
use super::lifecycle::AlongWith;
use super::live::Ending;
use super::memory::Growth;
use super::note::RunNote;
use super::record::{RunFacts, RunRecord, RunStart};

impl Thread {
    /// Ends the live run: closers and terminal, the stored record, the transcript.
    pub(super) async fn finish(&mut self, ending: Ending) -> Result<(), Broken> {
        self.finish_after(Unstored::default(), ending).await
    }

    /// As [`finish`](Self::finish), after what is not stored yet: all of it is one commit.
    pub(super) async fn finish_after(&mut self, unstored: Unstored, ending: Ending) -> Result<(), Broken> {
        let Unstored { events: mut out, burst } = unstored;
        let Some(live) = &mut self.live else { return Ok(()) };
        live.work.stop();
        let status = match live.story().end(ending, &mut out) {
            Ok(status) => status,
            Err(error) => {
                let failed = AgentError::new("invalid_sequence", error.to_string());
                live.story()
                    .end(Ending::Failed(failed), &mut out)
                    .map_err(|error| Broken { reason: error.to_string() })?
            }
        };
        let (mut chunks, sitting) = burst.map_or((Vec::new(), None), |burst| (burst.chunks, Some(burst.sitting)));
        chunks.extend(self.number(out));
        let mut live = self.live.take().expect("it was there at the start of this function");
        let audience = Arc::clone(&live.audience);
        let ghosts = live.predictor.take_ghosts();
        self.ghosts = (!ghosts.are_none()).then(|| (live.start.document.clone(), ghosts));
        let meter = Arc::clone(&live.meter);
        let (start, story, life, entered) = live.into_story();
        self.ending = Some(entered);
        let told = story.told();
        let facts = RunFacts::new(start, status, self.state_version, self.position, &told);
        let counted = (&facts, &told, Some(meter.as_ref()));
        let mut along = AlongWith::end_of(life, counted, (&self.services.watchers, &self.name));
        if !facts.status.is_failure() && self.has_asked() {
            Box::pin(self.end_wait(facts.start.answers, &mut along)).await;
        }
        let answers = self.transcript.results_in_between(self.runs.len());
        let record = RunRecord::new(facts, told.events, &self.summary.log_epoch, &answers);
        let batch = std::mem::take(&mut along.batch);
        let logged = Logged { chunks, along: batch, sitting, ..Logged::default() };
        // Memory that the store does not follow is dropped with the thread.
        self.remember(&record.facts);
        self.runs.last_mut().expect("the line above remembers it").audience = Some(audience);
        let stored = self.store_run(logged, &record, &along).await.map_err(Broken::from);
        if let Err(broken) = &stored {
            self.ending = None;
            self.show_lost(broken);
        }
        stored
    }

    /// Takes a run that a crash cut off and its end, also while the store cannot: what ends it follows from what is
    /// stored, so it can be shown before it is.
    pub(super) async fn take_cut_off(&mut self, chunk: Chunk, record: RunRecord, along: AlongWith) {
        self.remember(&record.facts);
        self.owed = Some(Owed { chunk: Arc::new(chunk), record: Arc::new(record), along });
        if let Err(error) = self.settle().await {
            tracing::warn!(thread = %self.name.id, %error, "the end of a cut-off run is shown and cannot be stored yet");
        }
        if let Some(owed) = &self.owed {
            self.tail.publish_provisional(Arc::clone(&owed.chunk));
        }
    }

    /// Stores the end of a cut-off run, if that is still to be done.
    pub(super) async fn settle(&mut self) -> Result<(), CommitError> {
        let Some(owed) = &self.owed else { return Ok(()) };
        let (chunk, record, mut along) = (Arc::clone(&owed.chunk), Arc::clone(&owed.record), owed.along.clone());
        let batch = std::mem::take(&mut along.batch);
        let logged = Logged { chunks: vec![chunk], along: batch, ..Logged::default() };
        self.store_run(logged, &record, &along).await?;
        self.owed = None;
        Ok(())
    }

    /// Stores a run that is remembered already.
    async fn store_run(
        &mut self,
        mut logged: Logged,
        record: &RunRecord,
        along: &AlongWith,
    ) -> Result<(), CommitError> {
        self.summary.updated_at.clone_from(&record.facts.finished_at);
        let mut runs = self.summary_append();
        let entry = record.to_entry();
        let since = self.growth.since + entry.body.len();
        runs.entries = vec![entry];
        runs.snapshot = Growth { since, ..self.growth }.is_due().then(|| self.memory());
        let growth = match &runs.snapshot {
            Some(memory) => Growth { since: 0, last: memory.len() },
            None => Growth { since, ..self.growth },
        };
        (logged.live_summary, logged.runs) = (Some(bytes::Bytes::new()), Some(runs));
        logged.along.delete.push(self.name.journal());
        self.commit_log(logged).await?;
        along.show(&self.services);
        self.growth = growth;
        self.services.janitor.trim_later(self.name.clone(), Arc::clone(&self.log_lineage), self.position);
        Ok(())
    }

    /// Takes a finished run into memory.
    pub(super) fn remember(&mut self, facts: &RunFacts) {
        let run = self.runs.len();
        self.take_changes(&facts.start);
        for message in facts.start.input.iter().chain(&facts.output) {
            self.transcript.add(run, Arc::clone(message));
        }
        let questioned = facts.interrupts.iter().filter_map(|interrupt| interrupt.tool_call_id.as_ref());
        facts.asked.iter().chain(questioned).for_each(|call| self.transcript.ask(call));
        self.runs.push(RunNote::from(facts));
    }

    /// Takes over what a run changes of those before it.
    pub(super) fn take_changes(&mut self, start: &RunStart) {
        for edit in &start.edits {
            if let Some(note) = self.transcript.edit(edit).and_then(|run| self.runs.get_mut(run)) {
                note.edited = true;
            }
        }
        if let Some(from) = start.supersedes_from {
            self.transcript.supersede_from(from);
            for note in self.runs.iter_mut().skip(from) {
                note.superseded = true;
            }
        }
    }
}
