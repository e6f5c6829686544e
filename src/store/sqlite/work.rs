//! What the writer is asked for, what it answers, and how much of the log it will take.

use tokio::sync::oneshot;

use super::leases;
use crate::store::{Batch, CommitError, Committed, StoreError, StreamKey};

/// The page size of the database.
pub(super) const PAGE_BYTES: u64 = 4096;
/// Pages an append changes besides those its bodies fill: one each of entries, streams and their index, and a spare.
const PAGES_PER_APPEND: u64 = 4;

pub(super) type Reply = oneshot::Sender<Result<Outcome, CommitError>>;
pub(super) type Closing = oneshot::Sender<Result<(), StoreError>>;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Write { work: Work, reply: Reply },
    Lease { ask: leases::Ask, reply: leases::Reply },
    Close { reply: Closing },
}

/// One atomic change.
#[derive(Debug)]
pub(super) enum Work {
    Commit(Batch),
    Delete(StreamKey),
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) committed: Vec<Committed>,
    pub(super) deleted: bool,
}

impl Work {
    /// Bytes of its entries, snapshots and work.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Commit(batch) => {
                let bodies =
                    batch.appends.iter().flat_map(|append| append.entries.iter().map(|entry| entry.body.len()));
                let snapshots =
                    batch.appends.iter().filter_map(|append| append.snapshot.as_ref().map(|body| body.len()));
                let put = batch.put.iter().map(|item| item.body.len());
                bodies.chain(snapshots).chain(put).sum()
            }
            Self::Delete(_) => 0,
        }
    }

    /// About what it adds to the log.
    pub(super) fn log_bytes(&self) -> u64 {
        let appends = match self {
            Self::Commit(batch) => {
                (batch.appends.len() + batch.put.len() + batch.settle.len() + batch.delete.len()) as u64 + 1
            }
            Self::Delete(_) => 4,
        };
        self.bytes() as u64 + appends * PAGES_PER_APPEND * PAGE_BYTES
    }
}
