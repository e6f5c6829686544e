//! How a document became what it is: its commits and older bodies, from memory or from the log in the store.

use std::sync::Arc;

use serde_json::Value;

use crate::state::document::{Commit, Document};
use crate::state::patch::{self, Operation};
use crate::store::{Entry, Limit, Seq, Store, StoreError, StreamKey};

use super::deltas::{Delta, DeltaTail};

const PAGE: Limit = Limit { entries: 512, bytes: 1 << 20 };

/// A document's log in the store.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(super) store: Arc<dyn Store>,
    pub(super) stream: StreamKey,
}

impl Log {
    /// Commits after a version, oldest first, up to a page of them; empty at the head.
    pub(crate) async fn page(&self, after: u64) -> Result<Vec<Commit>, StoreError> {
        let entries = self.store.read(&self.stream, Seq(after), PAGE).await?;
        entries.iter().map(|entry| self.commit(entry)).collect()
    }

    /// Versions after a version as deltas, up to a page of them.
    pub(crate) async fn deltas_after(&self, version: u64) -> Result<Vec<Arc<Delta>>, StoreError> {
        let entries = self.store.read(&self.stream, Seq(version), PAGE).await?;
        let delta = |entry| Ok(Arc::new(Delta::new(Arc::new(self.commit(entry)?), entry.body.len())));
        entries.iter().map(delta).collect()
    }

    /// One commit.
    pub(crate) async fn at(&self, version: u64) -> Result<Option<Commit>, StoreError> {
        let Some(before) = version.checked_sub(1) else { return Ok(None) };
        let entries = self.store.read(&self.stream, Seq(before), Limit { entries: 1, bytes: 0 }).await?;
        entries.first().map(|entry| self.commit(entry)).transpose()
    }

    /// The commits of `(after, to]`, oldest first.
    pub(crate) async fn between(&self, after: u64, to: u64) -> Result<Vec<Arc<Commit>>, StoreError> {
        let mut commits: Vec<Arc<Commit>> = Vec::new();
        while commits.len() as u64 + after < to {
            let page = self.page(after + commits.len() as u64).await?;
            if page.is_empty() {
                return Err(self.corrupt(after + commits.len() as u64 + 1));
            }
            commits.extend(page.into_iter().take_while(|commit| commit.version <= to).map(Arc::new));
        }
        Ok(commits)
    }

    /// The body at a version that the document has or had: from the empty document forward, or back from the
    /// latest snapshot, whichever is the shorter way.
    pub(crate) async fn body_at(&self, version: u64) -> Result<Value, StoreError> {
        let snapshot = self.store.snapshot(&self.stream).await?;
        let (mut body, mut at) = match snapshot {
            Some(snapshot) if snapshot.seq.0.abs_diff(version) < version => {
                let body = serde_json::from_slice(&snapshot.body).map_err(|_| self.corrupt(snapshot.seq.0))?;
                (body, snapshot.seq.0)
            }
            _ => (Document::absent().into_body(), 0),
        };
        while at < version {
            let page = self.page(at).await?;
            if page.is_empty() {
                return Err(self.corrupt(at + 1));
            }
            for commit in page.iter().take_while(|commit| commit.version <= version) {
                patch::replay(&mut body, &commit.ops).map_err(|_| self.corrupt(commit.version))?;
                at = commit.version;
            }
        }
        // Backwards in pieces, so that a long way back needs no more memory than a short one.
        while at > version {
            let from = at.saturating_sub(PAGE.entries as u64).max(version);
            for commit in self.between(from, at).await?.iter().rev() {
                patch::replay(&mut body, &commit.inverse).map_err(|_| self.corrupt(commit.version))?;
            }
            at = from;
        }
        Ok(body)
    }

    fn commit(&self, entry: &Entry) -> Result<Commit, StoreError> {
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
