//! The one way in: every write of a document, whoever asks, is decided on the copy in memory, appended, and only then
//! answered and shown. Writes that wait together are stored together.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::oneshot;

use crate::agent::StateError;
use crate::state::document::{Change, Commit, Decided, Mutation, Terms};
use crate::state::json;
use crate::state::later::Later;
use crate::state::limits::Limits;
use crate::state::merge::Past;
use crate::store::{Append, Batch, CommitError, NewEntry, Remember, Seq, Tenant};

use super::super::clock::{now, now_ms};
use super::actor::Broken;
use super::deltas::Delta;
use super::load::{Live, Stamp};
use super::past::{commits_back_to, undo};
use super::write::{Accepted, DocumentError, Expects, Once, Proposal, Remembered, Write};
use super::{Author, Evidence};

/// A snapshot is stored when the log since the last one outgrows this, and twice the document.
const SNAPSHOT_AFTER_BYTES: usize = 64 << 10;
/// A merge does not look further back than this.
const FURTHEST: u64 = 4096;
/// How long the answer to a write is remembered for its repetitions.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1000;
/// How often a write is decided again because another node was faster.
const ATTEMPTS: usize = 16;

/// A write that is decided and not stored yet, with whom to tell.
pub(super) struct Pending {
    write: Write,
    author: Author,
    reply: Reply,
    decided: Decision,
    existed: bool,
    /// The body after it, when the writer wants to have it.
    text: Option<Arc<RawValue>>,
}

/// What became of a write on the copy in memory.
enum Decision {
    Changed {
        commit: Arc<Commit>,
        change: Change,
        /// Who had made the version before.
        before: Stamp,
    },
    Unchanged,
}

impl Decision {
    fn commit(&self) -> Option<&Arc<Commit>> {
        match self {
            Self::Changed { commit, .. } => Some(commit),
            Self::Unchanged => None,
        }
    }
}

/// Whether a write is decided now or was before.
enum Found {
    Now(Decision, bool),
    Before(Box<Accepted>),
}

/// Whom to tell when everything decided before is durable.
pub(super) enum Reply {
    Agent(oneshot::Sender<Result<u64, StateError>>),
    Caller(oneshot::Sender<Result<Accepted, DocumentError>>),
}

impl Reply {
    pub(super) fn refuse(self, error: DocumentError) {
        match self {
            Self::Agent(reply) => drop(reply.send(Err(error.into()))),
            Self::Caller(reply) => drop(reply.send(Err(error))),
        }
    }

    fn accept(self, accepted: Accepted) {
        match self {
            Self::Agent(reply) => drop(reply.send(Ok(accepted.version))),
            Self::Caller(reply) => drop(reply.send(Ok(accepted))),
        }
    }
}

impl Live {
    /// Decides a write; [`flush`](Self::flush) makes it durable and answers. What is refused is answered at once.
    pub(super) async fn take(&mut self, write: Write, author: Author, reply: Reply) -> Result<(), Broken> {
        match self.decide_once(&write, &author).await {
            Ok(Ok(Found::Before(accepted))) => reply.accept(*accepted),
            Ok(Ok(Found::Now(decided, existed))) => {
                let text = write.wants_data.then(|| text(self.document.body()));
                let is_dry = write.dry_run;
                self.pending.push(Pending { write, author, reply, decided, existed, text });
                if is_dry {
                    self.answer_dry_run();
                }
            }
            Ok(Err(refused)) => reply.refuse(refused),
            Err(broken) => {
                reply.refuse(DocumentError::Unavailable { reason: broken.reason.clone() });
                return Err(broken);
            }
        }
        Ok(())
    }

    /// Finds the answer that a repeated write had, or decides.
    async fn decide_once(&mut self, write: &Write, author: &Author) -> Result<Result<Found, DocumentError>, Broken> {
        if let Some(once) = &write.once {
            if self.pending.iter().any(|pending| pending.write.once.as_ref().is_some_and(|own| own.key == once.key)) {
                self.flush().await?;
            }
            let tenant = Tenant::new(self.name.tenant.as_str());
            if let Some(found) = self.log.store.remembered(&tenant, &once.key).await? {
                self.flush().await?;
                return Ok(self.repeated(&found, once).await?.map(|accepted| Found::Before(Box::new(accepted))));
            }
        }
        if write.dry_run {
            self.flush().await?;
        }
        let existed = self.document.exists();
        Ok(self.decide(write, author).await?.map(|decided| Found::Now(decided, existed)))
    }

    /// Takes the latest decision back and answers as if it had been stored.
    fn answer_dry_run(&mut self) {
        let pending = self.pending.pop().expect("a dry run was decided just now");
        let accepted = self.accepted(&pending);
        if let Decision::Changed { change, before, .. } = pending.decided {
            self.document.revert(&change);
            self.latest = before;
        }
        pending.reply.accept(accepted);
    }

    /// As [`take`](Self::take) with everything before and this made durable.
    pub(super) async fn write(
        &mut self,
        write: Write,
        author: Author,
    ) -> Result<Result<Accepted, DocumentError>, Broken> {
        let (reply, mut answer) = oneshot::channel();
        self.take(write, author, Reply::Caller(reply)).await?;
        self.flush().await?;
        Ok(answer.try_recv().expect("a flush answers everything that waits"))
    }

    /// Decides on the copy in memory.
    async fn decide(&mut self, write: &Write, author: &Author) -> Result<Result<Decision, DocumentError>, Broken> {
        let (head, existed) = (self.document.version(), self.document.exists());
        if let Err(refused) = self.expected(write, existed) {
            return Ok(Err(refused));
        }
        if let Some(version) = write.base.filter(|&base| base > head) {
            return Ok(Err(DocumentError::VersionNotFound { version, head }));
        }
        let is_delete = matches!(write.proposal, Proposal::Delete);
        let terms = Terms { allowed: author.may_write.as_deref(), always: !existed, ..Terms::default() };
        let change = match self.propose(write, &terms).await? {
            Ok(Decided::Unchanged) => return Ok(Ok(Decision::Unchanged)),
            Ok(Decided::Changed(change)) => change,
            Err(refused) => return Ok(Err(refused)),
        };
        let is_object = write.is_bound || self.name.holds_objects();
        if is_object && !self.document.body().is_object() {
            self.document.revert(&change);
            return Ok(Err(DocumentError::NotAnObject { head }));
        }
        let mut commit = Commit::of(change.clone(), author.actor.clone(), now());
        commit.base = write.base;
        commit.run_id = write.run_id.clone().or_else(|| author.run_id.clone());
        commit.reason.clone_from(&write.reason);
        commit.deleted = is_delete;
        if let Some(origin) = &write.origin {
            commit.client_id = Some(origin.client_id.clone());
            commit.mutation_id = Some(origin.mutation_id);
        }
        let before = std::mem::replace(&mut self.latest, Stamp::of(&commit));
        Ok(Ok(Decision::Changed { commit: Arc::new(commit), change, before }))
    }

    fn expected(&self, write: &Write, existed: bool) -> Result<(), DocumentError> {
        let head = self.document.version();
        let conflict = Err(DocumentError::VersionConflict { head });
        match &write.expects {
            Expects::Absent if existed => return Err(DocumentError::AlreadyExists { head }),
            Expects::Present if !existed => return conflict,
            Expects::Version(version) if *version != head => return conflict,
            Expects::OneOf(versions) => {
                let epoch = self.epoch.as_deref().unwrap_or_default();
                if head == 0 || !versions.iter().any(|(of, version)| of == epoch && *version == head) {
                    return conflict;
                }
            }
            Expects::Anything | Expects::Absent | Expects::Present | Expects::Version(_) => {}
        }
        match existed || write.creates {
            true => Ok(()),
            false if head > 0 => Err(DocumentError::Deleted { version: head }),
            false => Err(DocumentError::NotFound),
        }
    }

    async fn propose(&mut self, write: &Write, terms: &Terms<'_>) -> Result<Result<Decided, DocumentError>, Broken> {
        let head = self.document.version();
        let commits = match write.base {
            Some(base) if head - base > FURTHEST => return Ok(Err(DocumentError::BaseTooOld { base, head })),
            Some(base) => self.commits_after(base).await?,
            None => Vec::new(),
        };
        let since: Vec<Later<'_>> = commits.iter().map(|commit| commit.as_ref().into()).collect();
        let since = since.as_slice();
        let decided = match &write.proposal {
            Proposal::Patch(ops) => self.document.decide(Mutation::Patch { ops, since }, terms),
            Proposal::Merge(patch) => self.document.decide(Mutation::Merge { patch, since }, terms),
            Proposal::Intents(intents) => self.document.decide(Mutation::Intents { intents, since }, terms),
            Proposal::Replace(body) if write.base.is_none() => self.document.decide(Mutation::Replace(body), terms),
            Proposal::Replace(body) => self.document.decide(Mutation::Rewrite { body, since }, terms),
            Proposal::Posted { state, evidence } => return self.take_posted(state, *evidence, terms).await,
            Proposal::Delete => Ok(Decided::Changed(self.document.end())),
            Proposal::Rollback { to } if *to == 0 || *to > head => {
                return Ok(Err(DocumentError::VersionNotFound { version: *to, head }));
            }
            Proposal::Rollback { to } => {
                if self.commit_at(*to).await?.deleted {
                    return Ok(Err(DocumentError::Deleted { version: *to }));
                }
                let body = self.body_at(*to).await?;
                self.document.decide(Mutation::Replace(&body), terms)
            }
        };
        Ok(decided.map_err(|refusal| DocumentError::Refused { refusal, head }))
    }

    async fn take_posted(
        &mut self,
        state: &Value,
        evidence: Evidence,
        terms: &Terms<'_>,
    ) -> Result<Result<Decided, DocumentError>, Broken> {
        let head = self.document.version();
        if let Err(error) = json::check(state, &Limits::default()) {
            return Ok(Err(DocumentError::InvalidJson { error, head }));
        }
        let commits = match evidence {
            Evidence::Exact(since) | Evidence::AtLeast(since)
                if head.checked_sub(since).is_some_and(|back| back <= FURTHEST) =>
            {
                Some(self.commits_after(since).await?)
            }
            Evidence::Exact(_) | Evidence::AtLeast(_) | Evidence::Unknown => None,
        };
        let since: Option<Vec<Later<'_>>> =
            commits.as_ref().map(|commits| commits.iter().map(|commit| commit.as_ref().into()).collect());
        let past = match (evidence, since.as_deref()) {
            (_, None) | (Evidence::Unknown, _) => Past::Unknown,
            (Evidence::AtLeast(_), Some(since)) => Past::Since(since),
            (Evidence::Exact(_), Some(since)) => Past::Exact(since),
        };
        let decided = self.document.decide(Mutation::Posted { state, past }, terms);
        Ok(decided.map_err(|refusal| DocumentError::Refused { refusal, head }))
    }

    /// The commits of `(base, head]`, oldest first.
    async fn commits_after(&self, base: u64) -> Result<Vec<Arc<Commit>>, Broken> {
        let mut commits = self.commits_back_to(base).await?;
        commits.reverse();
        Ok(commits)
    }

    /// The commits of `(since, head]`, newest first, those that are not stored yet included.
    pub(super) async fn commits_back_to(&self, since: u64) -> Result<Vec<Arc<Commit>>, Broken> {
        let undurable = self.pending.iter().rev().filter_map(|pending| pending.decided.commit());
        let mut newest_first: Vec<_> = undurable.filter(|commit| commit.version > since).cloned().collect();
        let durable = newest_first.last().map_or(self.document.version(), |commit| commit.version - 1);
        newest_first.extend(commits_back_to(since.min(durable), durable, &self.deltas, &self.log).await?);
        Ok(newest_first)
    }

    async fn commit_at(&self, version: u64) -> Result<Arc<Commit>, Broken> {
        let mut commits = self.commits_back_to(version - 1).await?;
        commits.pop().ok_or_else(|| Broken { reason: format!("version {version} is missing") })
    }

    /// The body at a version up to the head.
    pub(super) async fn body_at(&self, version: u64) -> Result<Value, Broken> {
        let head = self.document.version();
        if head - version > FURTHEST {
            return Ok(self.log.body_at(version).await?);
        }
        let mut body = self.document.body().clone();
        for commit in self.commits_back_to(version).await? {
            undo(&mut body, &commit.inverse);
        }
        Ok(body)
    }

    /// Appends everything decided, shows it, and tells those who wait.
    pub(super) async fn flush(&mut self) -> Result<(), Broken> {
        for _ in 0..ATTEMPTS {
            let batch = self.batch();
            let is_due = batch.appends.first().is_some_and(|append| append.snapshot.is_some());
            if batch.appends.is_empty() && batch.remember.is_empty() {
                self.publish(&[]);
                return Ok(());
            }
            let sizes = batch.appends.first().map(|append| sizes(&append.entries)).unwrap_or_default();
            match self.log.store.commit(batch).await {
                Ok(committed) => {
                    if let Some(committed) = committed.into_iter().next() {
                        self.epoch = Some(committed.epoch);
                    }
                    self.log_bytes = if is_due { 0 } else { self.log_bytes + sizes.iter().sum::<usize>() };
                    self.publish(&sizes);
                    return Ok(());
                }
                Err(CommitError::Stale { .. } | CommitError::Repeated { .. }) => self.decide_again().await?,
                Err(CommitError::Full) => {
                    self.take_back(&DocumentError::StorageFull);
                    return Ok(());
                }
                Err(CommitError::Unavailable { reason }) => {
                    self.take_back(&DocumentError::Unavailable { reason: reason.clone() });
                    return Err(Broken { reason });
                }
            }
        }
        self.take_back(&DocumentError::Overloaded);
        Ok(())
    }

    fn batch(&self) -> Batch {
        let commits = self.pending.iter().filter_map(|pending| pending.decided.commit());
        let encode = |commit: &Arc<Commit>| serde_json::to_vec(commit).expect("a commit is plain data");
        let entries: Vec<_> = commits.map(|commit| NewEntry::one(encode(commit))).collect();
        let remember = self.pending.iter().filter_map(|pending| self.remember(pending)).collect();
        if entries.is_empty() {
            return Batch { appends: Vec::new(), remember };
        }
        let log_bytes = self.log_bytes + sizes(&entries).iter().sum::<usize>();
        // A snapshot does not say that a document is deleted; its commit does.
        let is_due = self.document.exists() && log_bytes > SNAPSHOT_AFTER_BYTES.max(2 * self.document.size());
        let mut append = Append::to(self.log.stream.clone(), Seq(self.document.version() - entries.len() as u64));
        append.entries = entries;
        append.summary = Some(serde_json::to_vec(&self.latest).expect("a stamp is plain data").into());
        append.snapshot = is_due.then(|| serde_json::to_vec(self.document.body()).expect("a value is JSON").into());
        Batch { appends: vec![append], remember }
    }

    fn remember(&self, pending: &Pending) -> Option<Remember> {
        let Once { key, fingerprint } = pending.write.once.clone()?;
        let commit = pending.decided.commit();
        let remembered = Remembered {
            fingerprint,
            version: commit.map_or(self.document.version(), |commit| commit.version),
            created: !pending.existed,
            changed: commit.is_some(),
            conflicts: commit.map(|commit| commit.conflicts.clone()).unwrap_or_default(),
            wants_data: pending.write.wants_data,
        };
        Some(Remember {
            tenant: Tenant::new(self.name.tenant.as_str()),
            key,
            result: serde_json::to_vec(&remembered).expect("an answer is plain data").into(),
            expires_at_ms: now_ms() + REMEMBERED_MS,
            overwrites: false,
        })
    }

    /// Everything decided is durable: the callers hear of it, then readers see it, then the agents go on.
    ///
    /// A client's acknowledgement comes before the delta that holds its change; what an agent emits next comes after it.
    fn publish(&mut self, sizes: &[usize]) {
        let pending = std::mem::take(&mut self.pending);
        let commits = pending.iter().filter_map(|pending| pending.decided.commit());
        let deltas: Vec<_> = commits.zip(sizes).map(|(commit, &bytes)| Delta::new(Arc::clone(commit), bytes)).collect();
        let mut agents = Vec::new();
        for pending in pending {
            let accepted = self.accepted(&pending);
            match pending.reply {
                Reply::Caller(_) => pending.reply.accept(accepted),
                Reply::Agent(_) => agents.push((pending.reply, accepted)),
            }
        }
        if !deltas.is_empty() {
            (self.json, self.snapshot) = (None, None);
            self.deltas.publish(self.document.version(), deltas);
        }
        agents.into_iter().for_each(|(reply, accepted)| reply.accept(accepted));
    }

    fn accepted(&self, pending: &Pending) -> Accepted {
        let commit = pending.decided.commit().cloned();
        Accepted {
            epoch: self.epoch.clone().unwrap_or_default(),
            version: commit.as_ref().map_or(self.document.version(), |commit| commit.version),
            created: !pending.existed,
            duplicate: false,
            conflicts: commit.as_ref().map(|commit| commit.conflicts.clone()).unwrap_or_default(),
            commit,
            data: pending.text.clone(),
        }
    }

    /// The answer to a write that happened before.
    async fn repeated(&mut self, found: &[u8], once: &Once) -> Result<Result<Accepted, DocumentError>, Broken> {
        let unreadable = |error: serde_json::Error| Broken { reason: format!("{} is damaged: {error}", once.key) };
        let remembered: Remembered = serde_json::from_slice(found).map_err(unreadable)?;
        if remembered.fingerprint != once.fingerprint {
            return Ok(Err(DocumentError::IdempotencyMismatch));
        }
        let version = remembered.version;
        Ok(Ok(Accepted {
            epoch: self.epoch.clone().unwrap_or_default(),
            version,
            created: remembered.created,
            duplicate: true,
            conflicts: remembered.conflicts,
            commit: if remembered.changed { Some(self.commit_at(version).await?) } else { None },
            data: if remembered.wants_data { Some(text(&self.body_at(version).await?)) } else { None },
        }))
    }

    /// Another node was faster: what it stored is read, and everything is decided again on that.
    async fn decide_again(&mut self) -> Result<(), Broken> {
        let pending = std::mem::take(&mut self.pending);
        self.reload().await?;
        for Pending { write, author, reply, .. } in pending {
            Box::pin(self.take(write, author, reply)).await?;
        }
        Ok(())
    }

    /// Nobody has seen what the store refused.
    pub(super) fn take_back(&mut self, error: &DocumentError) {
        for Pending { reply, decided, .. } in self.pending.drain(..).rev() {
            if let Decision::Changed { change, before, .. } = decided {
                self.document.revert(&change);
                self.latest = before;
            }
            reply.refuse(error.clone());
        }
    }
}

fn sizes(entries: &[NewEntry]) -> Vec<usize> {
    entries.iter().map(|entry| entry.body.len()).collect()
}

/// A body as JSON text.
pub(super) fn text(body: &Value) -> Arc<RawValue> {
    to_raw_value(body).expect("a value is JSON").into()
}
