//! Bringing a thread back from the store.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::json_text;
use crate::store::{Append, Head, Limit, Seq, StoreError};

use super::super::Services;
use super::super::clock::now;
use super::ThreadRef;
use super::actor::{Broken, Thread};
use super::record::RunRecord;

/// Read in pages of this size, so that a long thread is never in memory twice.
pub(super) const PAGE: Limit = Limit { entries: 256, bytes: 1 << 20 };

/// What lists of threads show, stored beside the thread's runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// One lineage of log positions; the first half of SSE ids.
    pub(crate) log_epoch: String,
    /// The agent of the last run, by its own id.
    pub(crate) agent: Option<String>,
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) archived: bool,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    /// Where the last run ends whose end nobody missed; 0 when there is none.
    #[serde(default)]
    pub(crate) heard_to: u64,
}

impl Summary {
    pub(super) fn new() -> Self {
        let created_at = now();
        let mut text = uuid::Uuid::encode_buffer();
        let random: &str = uuid::Uuid::new_v4().simple().encode_lower(&mut text);
        Self {
            log_epoch: random[..12].to_owned(),
            agent: None,
            name: None,
            archived: false,
            updated_at: created_at.clone(),
            created_at,
            heard_to: 0,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        json_text::encode(self).into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self { reason: error.to_string() }
    }
}

impl Thread {
    pub(super) async fn load(services: Arc<Services>, name: ThreadRef) -> Result<Self, Broken> {
        let store = Arc::clone(&services.store);
        let (runs, log) = match (store.head(&name.runs()).await?, store.head(&name.log()).await?) {
            (Some(runs), Some(log)) => (runs, log),
            (None, None) => return Ok(Self::new(services, name, Summary::new(), Seq(0), Seq(0))),
            // Both are written in one commit and deleted one after the other: a crash cut a deletion off.
            (runs, _) => {
                store.delete(&if runs.is_some() { name.runs() } else { name.log() }).await?;
                store.delete(&name.journal()).await?;
                return Ok(Self::new(services, name, Summary::new(), Seq(0), Seq(0)));
            }
        };
        // Boxed, because most threads are new, and their tasks shall be small.
        Box::pin(Self::read(services, name, &runs, &log)).await
    }

    async fn read(services: Arc<Services>, name: ThreadRef, runs: &Head, log: &Head) -> Result<Self, Broken> {
        let store = Arc::clone(&services.store);
        let unreadable = |reason: &dyn std::fmt::Display| Broken { reason: format!("thread {}: {reason}", name.id) };
        let summary = runs.summary.as_deref().unwrap_or_default();
        let summary = Summary::decode(summary).map_err(|error| unreadable(&error))?;
        let mut thread = Self::new(services, name.clone(), summary, runs.seq, log.seq);
        thread.log_lineage = Arc::clone(&log.epoch);
        let mut after = match store.snapshot(&name.runs()).await {
            Ok(Some(memory)) => thread.recall(memory.seq, &memory.body),
            Ok(None) => Seq::ZERO,
            Err(StoreError::Corrupt { .. }) => {
                tracing::warn!(thread = %name.id, "what the thread remembers is damaged; its runs are read anew");
                Seq::ZERO
            }
            Err(error) => return Err(error.into()),
        };
        while after < runs.seq {
            let page = store.read(&name.runs(), after, PAGE).await?;
            let Some(last) = page.last() else {
                return Err(unreadable(&"the store holds fewer runs than it says"));
            };
            after = last.seq;
            for entry in &page {
                let record = RunRecord::from_entry(&entry.body).map_err(|error| unreadable(&error))?;
                thread.remember(&record.facts);
                thread.growth.since += entry.body.len();
            }
        }
        let heard_to = thread.summary.heard_to;
        if let Some(note) = thread.runs.iter_mut().find(|note| note.last_position == heard_to) {
            note.heard = true;
        }
        thread.take_up_cut_off_run(log).await?;
        Ok(thread)
    }

    /// The append to the stream of runs that updates what lists show.
    pub(super) fn summary_append(&mut self) -> Append {
        let mut append = Append::to(self.name.runs(), self.runs_seq);
        // Only written here: what was heard counts as kept when it is stored.
        let heard_to = self.heard_to();
        let kept = std::mem::replace(&mut self.summary.heard_to, heard_to);
        append.summary = Some(self.summary.encode());
        self.summary.heard_to = kept;
        append
    }
}
