//! How a document became what it is: its commits and older bodies, from memory or from the log in the store.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::json_text;
use crate::state::document::{Commit, Document};
use crate::state::patch::{self, Operation};
use crate::store::{Append, Entry, Kind, Limit, NewEntry, Seq, Store, StoreError, StreamKey};

use super::deltas::{Delta, DeltaTail};

const PAGE: Limit = Limit { entries: 512, bytes: 1 << 20 };
/// How often a version is looked for that others drop meanwhile.
const ATTEMPTS: usize = 3;

/// A document's log in the store.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(super) store: Arc<dyn Store>,
    pub(super) stream: StreamKey,
}

impl Log {
    /// Commits of `(after, to]`, oldest first, up to a page of them.
    pub(crate) async fn page(&self, after: u64, to: u64) -> Result<Vec<Commit>, StoreError> {
        let wanted = usize::try_from(to - after).unwrap_or(usize::MAX);
        let limit = Limit { entries: wanted.min(PAGE.entries), ..PAGE };
        let entries = self.store.read(&self.stream, Seq(after), limit).await?;
        match entries.is_empty() {
            true => Err(self.corrupt(after + 1)),
            false => entries.iter().map(|entry| self.read_commit(entry)).collect(),
        }
    }

    /// Versions after a version as deltas, up to a page of them.
    pub(crate) async fn deltas_after(&self, version: u64) -> Result<Vec<Arc<Delta>>, StoreError> {
        let entries = self.store.read(&self.stream, Seq(version), PAGE).await?;
        let delta = |entry| Ok(Arc::new(Delta::new(Arc::new(self.read_commit(entry)?), entry.body.len())));
        entries.iter().map(delta).collect()
    }

    /// Versions after a version as the JSON text of their commits, up to a page of them.
    pub(crate) async fn texts_after(&self, version: u64) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let entries = self.store.read(&self.stream, Seq(version), PAGE).await?;
        match entries.is_empty() {
            true => Err(self.corrupt(version + 1)),
            false => Ok(entries.into_iter().map(|entry| (entry.seq.0, entry.body)).collect()),
        }
    }

    /// One commit.
    pub(crate) async fn at(&self, version: u64) -> Result<Option<Commit>, StoreError> {
        let Some(before) = version.checked_sub(1) else { return Ok(None) };
        let entries = self.store.read(&self.stream, Seq(before), Limit { entries: 1, bytes: 0 }).await?;
        entries.first().map(|entry| self.read_commit(entry)).transpose()
    }

    /// Refuses a version that was dropped and is not kept.
    pub(crate) async fn is_there(&self, version: u64) -> Result<(), StoreError> {
        match self.at(version).await {
            Err(StoreError::Trimmed { .. }) if self.kept(version).await?.is_some() => Ok(()),
            looked => looked.map(drop),
        }
    }

    /// The commits of `(after, to]`, oldest first.
    pub(crate) async fn between(&self, after: u64, to: u64) -> Result<Vec<Arc<Commit>>, StoreError> {
        let mut commits: Vec<Arc<Commit>> = Vec::new();
        while commits.len() as u64 + after < to {
            let page = self.page(after + commits.len() as u64, to).await?;
            commits.extend(page.into_iter().map(Arc::new));
        }
        Ok(commits)
    }

    /// The versions whose bodies are stored, oldest first.
    pub(super) async fn checkpoints(&self) -> Result<Vec<u64>, StoreError> {
        let head = self.store.head(&self.checkpoint_stream()).await?;
        let summary = head.and_then(|head| head.summary);
        summary.map_or(Ok(Vec::new()), |summary| serde_json::from_slice(&summary).map_err(|_| self.corrupt(0)))
    }

    /// The append that stores one more body; `known` are the versions of those before.
    pub(super) fn checkpoint(&self, known: &[u64], version: u64, body: Bytes) -> Append {
        let versions: Vec<u64> = known.iter().copied().chain([version]).collect();
        let mut append = Append::to(self.checkpoint_stream(), Seq(known.len() as u64));
        append.entries = vec![NewEntry::one(body)];
        append.summary = Some(json_text::encode(&versions).into());
        append
    }

    fn checkpoint_stream(&self) -> StreamKey {
        self.stream.of_kind(Kind::Checkpoints)
    }

    /// What lets go of bodies of versions up to this one.
    pub(super) fn without_bodies_before(&self, known: &[u64], version: u64) -> Option<Append> {
        let over = known.partition_point(|&checkpoint| checkpoint <= version);
        let mut append = Append::to(self.checkpoint_stream(), Seq(known.len() as u64));
        append.trim = Some(Seq(over as u64));
        (over > 0).then_some(append)
    }

    /// The newest stored body of a version from `least` up to this one.
    async fn body_between(&self, least: u64, version: u64) -> Result<Option<(Value, u64)>, StoreError> {
        let checkpoints = self.checkpoints().await?;
        let before = checkpoints.partition_point(|&checkpoint| checkpoint <= version);
        let Some(index) = before.checked_sub(1).filter(|&index| checkpoints[index] > least) else { return Ok(None) };
        let one = Limit { entries: 1, bytes: 0 };
        let entries = self.store.read(&self.checkpoint_stream(), Seq(index as u64), one).await?;
        let body = entries.first().and_then(|entry| serde_json::from_slice(&entry.body).ok());
        body.map(|body| Some((body, checkpoints[index]))).ok_or_else(|| self.corrupt(checkpoints[index]))
    }

    /// The body at a version that the document has or had, [`StoreError::Trimmed`] for one that is not kept any more.
    /// What is read for it does not grow with the history: a stored body, and the commits from there.
    pub(crate) async fn body_at(&self, version: u64) -> Result<Value, StoreError> {
        let mut read = self.replayed(version).await;
        for _ in 1..ATTEMPTS {
            // More was dropped meanwhile, or it is not there at all.
            let Err(StoreError::Trimmed { .. }) = read else { break };
            read = self.replayed(version).await;
        }
        read
    }

    async fn replayed(&self, version: u64) -> Result<Value, StoreError> {
        let base = self.base().await?;
        let (base, dropped) = base.map_or((Document::absent().into_body(), 0), |base| (base.body, base.version));
        if (1..dropped).contains(&version) {
            let trimmed = || StoreError::Trimmed { stream: self.stream.clone(), trimmed: Seq(dropped) };
            return self.kept(version).await?.map(|kept| kept.body).ok_or_else(trimmed);
        }
        let (mut body, mut at) = match self.body_between(dropped, version).await? {
            Some(nearer) => nearer,
            None if version == 0 => (Document::absent().into_body(), 0),
            None => (base, dropped),
        };
        while at < version {
            for commit in self.page(at, version).await? {
                patch::replay(&mut body, &commit.ops).map_err(|_| self.corrupt(commit.version))?;
                at = commit.version;
            }
        }
        Ok(body)
    }

    fn read_commit(&self, entry: &Entry) -> Result<Commit, StoreError> {
        serde_json::from_slice(&entry.body).map_err(|_| self.corrupt(entry.seq.0))
    }

    fn corrupt(&self, version: u64) -> StoreError {
        StoreError::Corrupt { stream: self.stream.clone(), seq: Seq(version) }
    }
}

/// The commits of `(since, to]`, newest first, from memory as far as they are there.
pub(super) async fn commits_back_to(
    since: u64,
    to: u64,
    recent: &DeltaTail,
    log: &Log,
) -> Result<Vec<Arc<Commit>>, StoreError> {
    let mut newest_first = recent.commits(since, to);
    let oldest = newest_first.last().map_or(to, |commit| commit.version - 1);
    if oldest > since {
        newest_first.extend(log.between(since, oldest).await?.into_iter().rev());
    }
    Ok(newest_first)
}

/// Takes one commit back on a body that holds it.
pub(super) fn undo(body: &mut Value, inverse: &[Operation]) {
    patch::replay(body, inverse).expect("an inverse applies to the body that its commit made");
}
