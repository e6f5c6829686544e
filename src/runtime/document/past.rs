//! The recent commits of a document with their inverses: how a body becomes an older one again.

use std::collections::VecDeque;

use serde_json::Value;

use crate::state::document::Commit;
use crate::state::patch::{self, Operation};
use crate::store::{Limit, Seq, Store, StoreError, StreamKey};

/// Inverses of this many commits stay in memory; older ones are read from the store.
const KEPT: usize = 1024;

/// No merge looks further back than this: an older view counts as no evidence at all.
const FURTHEST: u64 = 4096;

const PAGE: Limit = Limit { entries: 512, bytes: 1 << 20 };

/// Inverses of the newest commits, oldest first.
#[derive(Debug, Default)]
pub(super) struct Past {
    inverses: VecDeque<Vec<Operation>>,
}

impl Past {
    pub(super) fn push(&mut self, inverse: Vec<Operation>) {
        if self.inverses.len() == KEPT {
            self.inverses.pop_front();
        }
        self.inverses.push_back(inverse);
    }

    /// The inverses of `(since, head]`, newest first; `None` when that is too far back or not a version.
    pub(super) async fn back_to(
        &self,
        since: u64,
        head: u64,
        store: &dyn Store,
        stream: &StreamKey,
    ) -> Result<Option<Vec<Vec<Operation>>>, StoreError> {
        let Some(wanted) = head.checked_sub(since).filter(|&wanted| wanted <= FURTHEST) else { return Ok(None) };
        let in_memory = self.inverses.len() as u64;
        if wanted <= in_memory {
            return Ok(Some(self.inverses.iter().rev().take(wanted as usize).cloned().collect()));
        }
        let mut older = Vec::new();
        let mut after = Seq(since);
        while after.0 < head - in_memory {
            let page = store.read(stream, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(None) };
            after = last.seq;
            for entry in page.iter().filter(|entry| entry.seq.0 <= head - in_memory) {
                match serde_json::from_slice::<Commit>(&entry.body) {
                    Ok(commit) => older.push(commit.inverse),
                    Err(_) => return Err(StoreError::Corrupt { stream: stream.clone(), seq: entry.seq }),
                }
            }
        }
        let newest_first = self.inverses.iter().rev().cloned().chain(older.into_iter().rev());
        Ok(Some(newest_first.collect()))
    }
}

/// Takes one commit back on a body that holds it.
pub(super) fn undo(body: &mut Value, inverse: &[Operation]) {
    patch::replay(body, inverse).expect("an inverse applies to the body that its commit made");
}
