//! What a thread remembers of its runs, stored beside them now and then, so that waking up reads this and the runs after
//! it instead of every frame that was ever sent.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::agui::Message;
use crate::json_text;
use crate::store::Seq;

use super::actor::Thread;
use super::note::RunNote;
use super::record::messages;

/// Stored when the runs since the last one outgrow this, and twice the last one: what is written for it stays a part of
/// what is written anyhow.
const AFTER_BYTES: usize = 64 << 10;

/// The runs and messages of a thread up to a run.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    runs: Vec<RunNote>,
    #[serde(with = "messages")]
    messages: Vec<Arc<Message>>,
    /// The run that brought each message, by place in `runs`.
    brought_by: Vec<usize>,
    asked: Vec<String>,
}

/// When the next one is due.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Growth {
    /// Bytes of runs since the last one.
    pub(super) since: usize,
    /// Bytes of the last one.
    pub(super) last: usize,
}

impl Growth {
    pub(super) fn is_due(&self) -> bool {
        self.since > AFTER_BYTES.max(2 * self.last)
    }
}

impl Thread {
    /// Everything remembered now, as the store keeps it.
    pub(super) fn memory(&self) -> Bytes {
        let (brought_by, messages) = self.transcript.turns().map(|(run, message)| (run, Arc::clone(message))).unzip();
        let asked = self.transcript.asked().cloned().collect();
        let memory = Memory { runs: self.runs.iter().map(RunNote::settled).collect(), messages, brought_by, asked };
        json_text::encode(&memory).into()
    }

    /// Before the thread leaves memory: that nobody missed the end of its last run is known to no record.
    pub(super) async fn keep_what_was_heard(&mut self) {
        let heard_to = self.heard_to();
        if heard_to == self.summary.heard_to {
            return;
        }
        let append = self.summary_append();
        match self.services.store.commit(append.into()).await {
            Ok(_) => self.summary.heard_to = heard_to,
            Err(error) => {
                tracing::debug!(thread = %self.name.id, %error, "the next post counts as one that may have missed an end")
            }
        }
    }

    /// Where the last run ends that everybody heard to its end; 0 when there is none.
    pub(super) fn heard_to(&self) -> u64 {
        self.runs.iter().rev().find(|note| note.is_heard()).map_or(0, |note| note.last_position)
    }

    /// Takes over what was remembered at a position of the stream of runs, or nothing when it is not what this version
    /// writes: the runs themselves are all there.
    pub(super) fn recall(&mut self, at: Seq, stored: &[u8]) -> Seq {
        let memory = match serde_json::from_slice::<Memory>(stored) {
            Ok(memory) if memory.runs.len() as u64 == at.0 && memory.messages.len() == memory.brought_by.len() => {
                memory
            }
            Ok(_) | Err(_) => {
                tracing::warn!(thread = %self.name.id, "what the thread remembers cannot be read; its runs are read anew");
                return Seq::ZERO;
            }
        };
        for (run, message) in memory.brought_by.into_iter().zip(memory.messages) {
            self.transcript.add(run, message);
        }
        memory.asked.iter().for_each(|call| self.transcript.ask(call));
        self.runs = memory.runs;
        self.growth = Growth { since: 0, last: stored.len() };
        at
    }
}
