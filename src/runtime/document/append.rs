//! Making decisions durable: writes that wait together are stored together, then answered, then shown.
//!
//! What the store refuses is taken back before anybody saw it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::agent::StateError;
use crate::json_text;
use crate::state::document::{Commit, Trace};
use crate::state::history::Skipped;
use crate::store::{Append, Batch, CommitError, Committed, NewEntry, Seq, WorkItem};

use super::Author;
use super::actor::Broken;
use super::deltas::{CommitText, Delta};
use super::load::{Live, Stamp};
use super::write::{Accepted, DocumentError, Write};

/// A snapshot is stored when the log since the last one outgrows this, and twice the document.
const SNAPSHOT_AFTER_BYTES: usize = 64 << 10;
/// How often a write is decided again because another node was faster.
const ATTEMPTS: usize = 16;

/// A write that is decided and not stored yet, with whom to tell.
pub(super) struct Pending {
    pub(super) write: Box<Write>,
    pub(super) author: Author,
    pub(super) reply: Reply,
    pub(super) decided: Decision,
    /// Whether there was a document before it.
    pub(super) existed: bool,
    /// Whether it was answered before, so that nothing is to be remembered of it.
    pub(super) is_repeated: bool,
    /// The document's version after it.
    pub(super) version: u64,
    /// The body after it, when the writer wants to have it.
    pub(super) text: Option<Arc<RawValue>>,
    pub(super) skipped: Vec<Skipped>,
}

/// What became of a write on the copy in memory.
pub(super) enum Decision {
    Changed {
        commit: Arc<Commit>,
        /// To take it back.
        trace: Trace,
        /// Who had made the version before.
        before: Stamp,
        /// What it sets off.
        fired: Vec<WorkItem>,
    },
    Unchanged,
    /// What it would have come to.
    Dry(Box<Accepted>),
    /// It was answered before.
    Before(Box<Accepted>),
    Refused(DocumentError),
}

impl Decision {
    pub(super) fn commit(&self) -> Option<&Arc<Commit>> {
        match self {
            Self::Changed { commit, .. } => Some(commit),
            Self::Unchanged | Self::Dry(_) | Self::Before(_) | Self::Refused(_) => None,
        }
    }

    fn fired(&self) -> &[WorkItem] {
        match self {
            Self::Changed { fired, .. } => fired,
            Self::Unchanged | Self::Dry(_) | Self::Before(_) | Self::Refused(_) => &[],
        }
    }
}

/// Whom to tell when everything decided before is durable.
pub(super) enum Reply {
    /// Nobody: it was told when it was decided.
    Told,
    Agent(oneshot::Sender<Result<u64, StateError>>),
    Caller(oneshot::Sender<Result<Accepted, DocumentError>>),
}

impl Reply {
    pub(super) fn refuse(self, error: DocumentError) {
        self.answer(Err(error));
    }

    fn answer(self, result: Result<Accepted, DocumentError>) {
        match self {
            Self::Told => {}
            Self::Agent(reply) => drop(reply.send(result.map(|accepted| accepted.version).map_err(StateError::from))),
            Self::Caller(reply) => drop(reply.send(result)),
        }
    }
}

/// What was handed to the store of one document.
#[derive(Debug, Default)]
pub(super) struct Handed {
    commits: Vec<CommitText>,
    /// The body that was stored with them.
    checkpoint: Option<u64>,
}

impl Handed {
    /// How many appends it was: the commits, and the body.
    pub(super) fn appends(&self) -> usize {
        usize::from(!self.commits.is_empty()) + usize::from(self.checkpoint.is_some())
    }

    fn bytes(&self) -> usize {
        self.commits.iter().map(|commit| commit.body.len()).sum()
    }
}

impl Live {
    /// Appends everything decided, shows it, and tells those who wait.
    pub(super) async fn flush(&mut self) -> Result<(), Broken> {
        for _ in 0..ATTEMPTS {
            let (batch, handed) = self.batch();
            if batch.appends.is_empty() && batch.remember.is_empty() {
                self.publish(None, &handed);
                return Ok(());
            }
            match self.log.store.commit(batch).await {
                Ok(committed) => {
                    self.publish(committed.into_iter().next(), &handed);
                    return Ok(());
                }
                Err(CommitError::Stale { .. } | CommitError::Repeated { .. } | CommitError::Settled { .. }) => {
                    self.decide_again().await?;
                }
                Err(CommitError::Full) => {
                    self.take_back(&DocumentError::StorageFull);
                    return Ok(());
                }
                Err(error @ (CommitError::Unavailable { .. } | CommitError::Fenced { .. })) => {
                    let reason = error.to_string();
                    self.take_back(&DocumentError::Unavailable { reason: reason.clone() });
                    return Err(Broken::new(reason));
                }
            }
        }
        self.take_back(&DocumentError::Overloaded);
        Ok(())
    }

    /// What makes everything decided durable.
    pub(super) fn batch(&self) -> (Batch, Handed) {
        let mut commits = Vec::with_capacity(self.pending.len());
        commits.extend(
            self.pending.iter().filter_map(|pending| pending.decided.commit()).map(|commit| CommitText::of(commit)),
        );
        let remember = self.pending.iter().flat_map(|pending| self.remember(pending)).collect();
        let put =
            self.pending.iter().flat_map(|pending| pending.decided.fired()).cloned().chain(self.reminder()).collect();
        let mut handed = Handed { commits, checkpoint: None };
        if handed.commits.is_empty() {
            return (Batch { remember, ..Batch::default() }, handed);
        }
        let log_bytes = self.log_bytes + handed.bytes();
        // A snapshot does not say that a document is deleted; its commit does.
        let is_due = self.document.exists() && log_bytes > SNAPSHOT_AFTER_BYTES.max(2 * self.document.size());
        let before = Seq(self.document.version() - handed.commits.len() as u64);
        let mut append = Append::to(self.log.stream.clone(), before);
        append.entries = handed.commits.iter().map(|commit| NewEntry::one(commit.body.clone())).collect();
        append.summary = Some(json_text::encode(&self.latest).into());
        let mut checkpoint = None;
        if is_due {
            let version = self.document.version();
            let body = Bytes::from(json_text::encode(self.document.body()));
            append.snapshot = Some(body.clone());
            checkpoint = Some(self.log.checkpoint(&self.checkpoints, version, body));
            handed.checkpoint = Some(version);
        }
        let appends = std::iter::once(append).chain(checkpoint).collect();
        (Batch { appends, remember, put, ..Batch::default() }, handed)
    }

    /// Everything decided is durable: the callers hear of it, then readers see it, then the agents go on.
    ///
    /// A client's acknowledgement comes before the delta that holds its change; what an agent emits next comes after it.
    pub(super) fn publish(&mut self, committed: Option<Committed>, handed: &Handed) {
        if let Some(committed) = committed {
            self.epoch = Some(committed.epoch);
        }
        self.log_bytes += handed.bytes();
        self.noted(handed.bytes());
        if let Some(version) = handed.checkpoint {
            self.log_bytes = 0;
            self.checkpoints.push(version);
        }
        let pending = std::mem::take(&mut self.pending);
        let has_fired = pending.iter().any(|pending| !pending.decided.fired().is_empty());
        let commits = pending.iter().filter_map(|pending| pending.decided.commit());
        let mut deltas = Vec::with_capacity(handed.commits.len());
        deltas.extend(commits.zip(&handed.commits).map(|(commit, text)| Delta::of(Arc::clone(commit), text)));
        let mut agents = Vec::new();
        for pending in pending.into_iter().filter(|pending| !matches!(pending.reply, Reply::Told)) {
            let answer = match pending.decided {
                Decision::Refused(error) => Err(error),
                Decision::Before(accepted) | Decision::Dry(accepted) => Ok(*accepted),
                Decision::Changed { .. } | Decision::Unchanged => Ok(self.accepted(&pending)),
            };
            match pending.reply {
                Reply::Agent(_) => agents.push((pending.reply, answer)),
                Reply::Caller(_) | Reply::Told => pending.reply.answer(answer),
            }
        }
        if !deltas.is_empty() {
            (self.json, self.snapshot) = (None, None);
            self.deltas.publish(self.document.version(), deltas);
        }
        agents.into_iter().for_each(|(reply, answer)| reply.answer(answer));
        if has_fired {
            self.watchers.ring();
        }
    }

    /// What the latest decision comes to, as an agent is told.
    pub(super) fn told(&self) -> Result<u64, StateError> {
        let pending = self.pending.last().expect("it was decided just now");
        match &pending.decided {
            Decision::Refused(error) => Err(error.clone().into()),
            Decision::Before(accepted) | Decision::Dry(accepted) => Ok(accepted.version),
            Decision::Changed { .. } | Decision::Unchanged => Ok(pending.version),
        }
    }

    /// The answer to a write that was decided now.
    pub(super) fn accepted(&self, pending: &Pending) -> Accepted {
        let commit = pending.decided.commit().cloned();
        Accepted {
            epoch: self.epoch.clone().unwrap_or_default(),
            version: pending.version,
            created: !pending.existed,
            duplicate: pending.is_repeated,
            conflicts: commit.as_ref().map(|commit| commit.conflicts.clone()).unwrap_or_default(),
            commit,
            skipped: pending.skipped.clone(),
            data: pending.text.clone(),
        }
    }

    /// Another node was faster: what it stored is read, and everything is decided again on that.
    async fn decide_again(&mut self) -> Result<(), Broken> {
        let mut pending = std::mem::take(&mut self.pending).into_iter();
        let mut decided = self.reload().await;
        self.is_overtaken = true;
        while decided.is_ok()
            && let Some(Pending { write, author, reply, .. }) = pending.next()
        {
            decided = Box::pin(self.take(write, author, reply)).await;
        }
        if let Err(broken) = &decided {
            let error = DocumentError::Unavailable { reason: broken.reason.clone() };
            pending.for_each(|pending| pending.reply.refuse(error.clone()));
        }
        decided
    }

    /// Nobody has seen what the store refused.
    pub(super) fn take_back(&mut self, error: &DocumentError) {
        self.clients.clear();
        for Pending { reply, decided, .. } in self.pending.drain(..).rev() {
            if let Decision::Changed { commit, trace, before, .. } = decided {
                self.document.revert_commit(&commit, trace);
                self.latest = before;
            }
            reply.refuse(error.clone());
        }
    }
}
