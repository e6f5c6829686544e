//! What is known of a run from its start, as the log and the record of the run have it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::agent::cause::Cause;
use crate::agui::Message;
use crate::json_text;

use super::super::super::document::DocumentRef;
use super::super::super::runs::RetryPlan;
use super::messages;

/// What is known of a run from its start: enough to close it properly after a crash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunStart {
    /// Minted by the runtime.
    pub(crate) run_id: String,
    /// As the client posted it; may repeat within a thread.
    pub(crate) client_run_id: String,
    /// As clients posted the runs that became part of it before it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) joined: Vec<String>,
    pub(crate) agent: String,
    /// The lease of the process that hosts it; 0 is nobody's.
    #[serde(default)]
    pub(crate) fence: u64,
    /// The hash of the definition it was started with.
    #[serde(default)]
    pub(crate) definition: String,
    pub(crate) document: DocumentRef,
    /// The document's version in the run's first `STATE_SNAPSHOT`.
    pub(crate) state_sent: u64,
    /// Position of `RUN_STARTED` in the thread's log.
    pub(crate) first_position: u64,
    pub(crate) started_at: String,
    /// Those of earlier attempts.
    #[serde(default)]
    pub(crate) steps_before: u64,
    #[serde(default = "Cause::user")]
    pub(crate) cause: Cause,
    /// What becomes of it if it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<Box<RetryPlan>>,
    /// Messages the client added with this run.
    #[serde(with = "messages")]
    pub(crate) input: Vec<Arc<Message>>,
    /// User messages of earlier runs whose text the client changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "messages")]
    pub(crate) edits: Vec<Arc<Message>>,
    /// The first run (its place in the thread, from 0) that this run answers anew; it and all after it are not replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) supersedes_from: Option<usize>,
    /// Whether its client posted its state without any sign of having seen the document, which others had made.
    #[serde(default)]
    pub(crate) unproven: bool,
    /// Whether its client answers questions with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) answers: bool,
    #[serde(skip)]
    pub(in super::super) written: Written,
}

/// What is written when a run begins and again when it has ended. A copy of the start has none of it: it may be changed.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The start itself as JSON.
    start: OnceLock<Bytes>,
    /// The frame of `RUN_STARTED`, without an id.
    pub(super) opening: OnceLock<Bytes>,
}

impl Clone for Written {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl RunStart {
    /// Whether a client knows it by this id.
    pub(crate) fn is_posted_as(&self, id: &str) -> bool {
        self.run_id == id || self.client_run_id == id || self.joined.iter().any(|joined| joined == id)
    }

    /// As JSON. Of one that is shared, and so stays as it is.
    pub(in super::super) fn text(self: &Arc<Self>) -> Bytes {
        self.written.start.get_or_init(|| json_text::encode(self).into()).clone()
    }

    /// This frame is what the log has of `RUN_STARTED`.
    pub(in super::super) fn opened_by(&self, frame: Bytes) {
        self.written.opening.get_or_init(|| frame);
    }
}
