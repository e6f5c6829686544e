//! What goes to the log: numbered, encoded, stored, and only then shown.

use std::sync::Arc;
use std::time::Duration;

use crate::agui::Event;
use crate::store::{Append, Batch, CommitError, Seq};

use super::super::document::Sitting;
use super::actor::{Broken, Thread};
use super::admit::Unstored;
use super::chunk::Chunk;
use super::journal::Journal;

/// Streamed text is stored when it has grown to this, if it is not stored for its age before.
const TEXT_BYTES: usize = 4096;
/// Streamed text is stored at this age, if it is not stored for its size before.
pub(super) const TEXT_DELAY: Duration = Duration::from_millis(100);

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
    /// Makes everything durable that was done so far: what is asked next comes after it.
    pub(super) async fn store(&mut self, unstored: &mut Unstored) -> Result<(), Broken> {
        let Unstored { events, burst } = unstored;
        if let Some(burst) = burst.take() {
            return Box::pin(self.store_burst(burst, std::mem::take(events))).await;
        }
        let text_waits = self.live.as_ref().is_some_and(|live| live.text.waits());
        match events.is_empty() && !text_waits {
            true => Ok(()),
            false => self.append(std::mem::take(events)).await,
        }
    }

    /// Shows admitted events: streamed text at once, everything else when it is durable.
    pub(super) async fn show(&mut self, events: Vec<Event>) -> Result<(), Broken> {
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
        let chunk = Arc::new(Chunk::provisional(&events, first, self.state_version));
        live.story().record(first, events, self.state_version);
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
        if events.is_empty() && !live.text.waits() {
            return Vec::new();
        }
        let mut chunks = Vec::with_capacity(2);
        chunks.extend(Chunk::joined(&live.text.take()).map(Arc::new));
        if !events.is_empty() {
            let first = self.position + 1;
            self.position += events.len() as u64;
            self.state_version = self.state_version.max(live.document.deltas().version());
            chunks.push(Arc::new(Chunk::durable(&events, first, self.state_version)));
            live.story().record(first, events, self.state_version);
        }
        chunks
    }

    /// Makes durable what the run's journal has to take, if it did not go with events.
    pub(super) async fn store_steps(&mut self) -> Result<(), Broken> {
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
