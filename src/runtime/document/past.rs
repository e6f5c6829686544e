//! The recent commits of a document: how a body becomes an older one again, and what a writer has not seen.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::state::document::{Commit, Document};
use crate::state::patch::{self, Operation};
use crate::store::{Limit, Seq, Store, StoreError, StreamKey};

/// This many commits stay in memory; older ones are read from the store.
const KEPT: usize = 1024;

/// No merge looks further back than this: an older view counts as no evidence at all.
const FURTHEST: u64 = 4096;

/// No replay shows an older version: reading on would keep the document from its writers for too long.
const FURTHEST_SHOWN: u64 = 16_384;

const PAGE: Limit = Limit { entries: 512, bytes: 1 << 20 };
/// Read at once on the way back.
const STEP: u64 = 128;

/// The newest commits, oldest first.
#[derive(Debug, Default)]
pub(super) struct Past {
    commits: VecDeque<Arc<Commit>>,
}

impl Past {
    pub(super) fn push(&mut self, commit: Arc<Commit>) {
        if self.commits.len() == KEPT {
            self.commits.pop_front();
        }
        self.commits.push_back(commit);
    }

    /// The commits in `(since, head]`, oldest first; `None` when that is too far back or not a version.
    pub(super) async fn after(
        &self,
        since: u64,
        head: u64,
        store: &dyn Store,
        stream: &StreamKey,
    ) -> Result<Option<Vec<Arc<Commit>>>, StoreError> {
        let Some(wanted) = head.checked_sub(since).filter(|&wanted| wanted <= FURTHEST) else { return Ok(None) };
        let in_memory = self.commits.len() as u64;
        if wanted <= in_memory {
            return Ok(Some(self.commits.iter().skip((in_memory - wanted) as usize).cloned().collect()));
        }
        let mut commits = stored(since, head - in_memory, store, stream).await?;
        commits.extend(self.commits.iter().cloned());
        Ok(Some(commits))
    }

    /// The bodies of those of `wanted`, all before the head, that are near enough to be read, newest first.
    pub(super) async fn bodies(
        &self,
        mut wanted: BTreeSet<u64>,
        document: &Document,
        store: &dyn Store,
        stream: &StreamKey,
    ) -> Result<Vec<(u64, Value)>, StoreError> {
        let head = document.version();
        let is_beginning = wanted.remove(&0);
        wanted = wanted.split_off(&head.saturating_sub(FURTHEST_SHOWN));
        let mut found = Vec::with_capacity(wanted.len());
        if let Some(&oldest) = wanted.first() {
            let mut body = document.body().clone();
            let mut version = head;
            let mut step_back = |version: &mut u64, inverse: &[Operation]| {
                undo(&mut body, inverse);
                *version -= 1;
                if wanted.contains(version) {
                    found.push((*version, body.clone()));
                }
            };
            let in_memory = (head - oldest).min(self.commits.len() as u64) as usize;
            self.commits.iter().rev().take(in_memory).for_each(|commit| step_back(&mut version, &commit.inverse));
            while version > oldest {
                let from = version.saturating_sub(STEP).max(oldest);
                let step = stored(from, version, store, stream).await?;
                step.iter().rev().for_each(|commit| step_back(&mut version, &commit.inverse));
            }
        }
        found.extend(is_beginning.then(|| (0, Document::absent().into_body())));
        Ok(found)
    }
}

/// The commits of `(since, to]` as stored, oldest first.
async fn stored(since: u64, to: u64, store: &dyn Store, stream: &StreamKey) -> Result<Vec<Arc<Commit>>, StoreError> {
    let mut commits = Vec::new();
    let mut after = Seq(since);
    while after.0 < to {
        let page = store.read(stream, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Err(StoreError::Corrupt { stream: stream.clone(), seq: Seq(after.0 + 1) });
        };
        after = last.seq;
        for entry in page.iter().filter(|entry| entry.seq.0 <= to) {
            match serde_json::from_slice::<Commit>(&entry.body) {
                Ok(commit) => commits.push(Arc::new(commit)),
                Err(_) => return Err(StoreError::Corrupt { stream: stream.clone(), seq: entry.seq }),
            }
        }
    }
    Ok(commits)
}

/// Takes one commit back on a body that holds it.
pub(super) fn undo(body: &mut Value, inverse: &[Operation]) {
    patch::replay(body, inverse).expect("an inverse applies to the body that its commit made");
}
