//! Reading a planned replay, a page of stored runs at a time.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::agui::{Encoding, Event, Outcome};
use crate::store::Seq;

use super::super::super::ReadError;
use super::super::chunk::Chunk;
use super::super::load::PAGE;
use super::super::record::{RecordError, RunRecord};
use super::Replay;

impl Replay {
    /// The next bytes to send; `None` at the end, which no fault makes come earlier. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, ReadError>> {
        loop {
            if let Some(bytes) = self.preface.pop_front().or_else(|| self.ready.pop_front()) {
                return Some(Ok(bytes));
            }
            if let Some(rest) = &mut self.rest {
                match rest.next().await {
                    Some(bytes) => return Some(bytes),
                    None => self.rest = None,
                }
            } else if self.next < self.end {
                if let Err(reason) = self.read_page().await {
                    tracing::error!(thread = %self.thread.id, reason, "a replay breaks off: the thread cannot be read");
                    return Some(Err(ReadError::Unavailable { reason }));
                }
            } else if let Some(said) = self.unsent.take().or_else(|| self.reminder.take()) {
                return Some(Ok(said));
            } else {
                return self.live.as_mut()?.next().await;
            }
        }
    }

    /// Reads stored runs and takes the frames that go out. Changes the cursor only at the end, in one go.
    async fn read_page(&mut self) -> Result<(), String> {
        if let Some((run, record)) = &self.owed
            && *run == self.next
        {
            let mut ready = VecDeque::new();
            self.show(*run, record, &mut ready).map_err(|error| error.to_string())?;
            (self.next, self.ready) = (self.next + 1, ready);
            return Ok(());
        }
        let page = self.store.read(&self.thread.runs(), Seq(self.next as u64), PAGE).await;
        let page = page.map_err(|error| error.to_string())?;
        if page.is_empty() {
            return Err("the store holds fewer runs than it says".to_owned());
        }
        let (mut next, mut ready) = (self.next, VecDeque::new());
        for entry in page.into_iter().take(self.end - self.next) {
            if !self.skip[next] {
                let record = RunRecord::from_entry(&entry.body).map_err(|error| error.to_string())?;
                self.show(next, &record, &mut ready).map_err(|error| error.to_string())?;
                if self.asked == Some(next) {
                    self.reminder = Some(self.questions_of(&record));
                }
            }
            next += 1;
        }
        (self.next, self.ready) = (next, ready);
        Ok(())
    }

    /// A run that only asks, and is not stored.
    fn questions_of(&self, record: &RunRecord) -> Bytes {
        let (thread, run) = (&*self.thread.id, record.facts.start.client_run_id.as_str());
        let outcome = Outcome::interrupt(record.facts.interrupts.clone());
        let told = [Event::run_started(thread, run), Event::run_finished_with(thread, run, outcome)];
        Chunk::told(&told, self.dialect, Encoding::Sse)
    }

    /// The end of a run that asked what can be answered no more: a client that is asked it again sends nothing else, and
    /// nothing that answers it.
    fn end_without_questions(&self, record: &RunRecord) -> Bytes {
        let start = &record.facts.start;
        let ended = Event::run_finished(&*self.thread.id, start.client_run_id.as_str());
        Chunk::told(&[ended], self.dialect, Encoding::Sse)
    }

    fn show(&self, run: usize, record: &RunRecord, out: &mut VecDeque<Bytes>) -> Result<(), RecordError> {
        let frames = record.replay(self.dialect);
        out.push_back(match self.edited.get(&run) {
            Some(edited) => frames.body_with(edited)?,
            None => frames.body(),
        });
        out.extend(self.states.get(&run).cloned());
        out.push_back(match self.too_late == Some(run) {
            true => self.end_without_questions(record),
            false => frames.terminal(),
        });
        Ok(())
    }
}
