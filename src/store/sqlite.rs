//! The engine that keeps streams in one SQLite file: one writer thread that groups commits, and readers beside it.
//!
//! ```text
//! commit ─► bounded inbox ─► writer: everything waiting ─► one transaction ─► one fsync ─► answers, then wakes
//! read   ─► a read-only connection on a blocking thread (sees the last fsynced transaction)
//! ```

mod apply;
mod fault;
mod file;
mod leases;
mod lock;
mod query;
mod readers;
mod row;
mod settling;
mod work;
mod writer;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Batch, CommitError, Committed, Entry, Fence, Head, Kind, Lease, Limit, Listed, OpenError, Scope, Seq, Snapshot,
    Store, StoreError, StreamKey, Tenant, Waiting, WorkCursor, WorkKey,
};
use leases::{Ask, Told};
use readers::Readers;
use work::{Job, Outcome, Work};
use writer::Writer;

/// The bounds of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Batches that may wait for the writer; further callers wait before they hand theirs in.
    pub queued_batches: usize,
    /// Batches that share one transaction and one fsync at most.
    pub group_batches: usize,
    /// Bytes of entries and snapshots after which a group takes no further batch.
    pub group_bytes: usize,
    /// Reads at the same time; each has a connection of its own.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { queued_batches: 1024, group_batches: 256, group_bytes: 8 << 20, readers: 4 }
    }
}

/// A store in one SQLite file, which this process has to itself.
#[derive(Debug)]
pub struct Sqlite {
    inbox: mpsc::Sender<Job>,
    readers: Readers,
    changed: watch::Sender<u64>,
    /// Set once, when the engine failed in a way only a restart heals.
    failure: Arc<OnceLock<String>>,
}

impl Sqlite {
    /// Opens or creates the database at `path`, with its directory, and brings its schema up to date.
    ///
    /// # Errors
    /// When another process has it open, when it is of another program or a newer release, and when the
    /// file system refuses.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let opened = file::open(path)?;
        let readers = Readers::new(opened.path.clone(), options.readers);
        let (inbox, jobs) = mpsc::channel(options.queued_batches);
        let changed = watch::Sender::new(opened.touched);
        let failure = Arc::new(OnceLock::new());
        let writer = Writer::new(opened, options, changed.clone(), failure.clone());
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(jobs))
            .map_err(|error| OpenError::Failed { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self { inbox, readers, changed, failure })
    }

    async fn write(&self, work: Work) -> Result<Outcome, CommitError> {
        if let Some(reason) = self.failure.get() {
            return Err(CommitError::Unavailable { reason: reason.clone() });
        }
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Job::Write { work, reply }).await.map_err(|_| self.stopped())?;
        answer.await.map_err(|_| self.stopped())?
    }

    /// Asks the writer, so that what was written under a fence before is durable, and nothing is after.
    async fn lease(&self, ask: Ask) -> Result<Told, CommitError> {
        if let Some(reason) = self.failure.get() {
            return Err(CommitError::Unavailable { reason: reason.clone() });
        }
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Job::Lease { ask, reply }).await.map_err(|_| self.stopped())?;
        answer.await.map_err(|_| self.stopped())?
    }

    fn stopped(&self) -> CommitError {
        CommitError::Unavailable { reason: self.why_stopped() }
    }

    fn why_stopped(&self) -> String {
        self.failure.get().cloned().unwrap_or_else(|| "the store is closed".to_owned())
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn commit(&self, batch: Batch) -> Result<Vec<Committed>, CommitError> {
        Ok(self.write(Work::Commit(batch)).await?.committed)
    }

    async fn head(&self, stream: &StreamKey) -> Result<Option<Head>, StoreError> {
        let stream = stream.clone();
        self.readers.run(move |transaction| query::head(transaction, &stream)).await
    }

    async fn read(&self, stream: &StreamKey, after: Seq, limit: Limit) -> Result<Vec<Entry>, StoreError> {
        let stream = stream.clone();
        self.readers.run(move |transaction| query::entries(transaction, &stream, after, limit)).await
    }

    async fn snapshot(&self, stream: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
        let stream = stream.clone();
        self.readers.run(move |transaction| query::snapshot(transaction, &stream)).await
    }

    async fn list(&self, scope: &Scope, before: Option<u64>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let scope = scope.clone();
        self.readers.run(move |transaction| query::list(transaction, &scope, before, limit)).await
    }

    async fn list_by_id(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let (scope, prefix, after) = (scope.clone(), prefix.to_owned(), after.map(str::to_owned));
        self.readers
            .run(move |transaction| query::list_by_id(transaction, &scope, &prefix, after.as_deref(), limit))
            .await
    }

    async fn list_back(
        &self,
        scope: &Scope,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let (scope, prefix, before) = (scope.clone(), prefix.to_owned(), before.map(str::to_owned));
        self.readers
            .run(move |transaction| query::list_back(transaction, &scope, &prefix, before.as_deref(), limit))
            .await
    }

    async fn work(
        &self,
        queue: &str,
        due_by_ms: i64,
        after: Option<WorkCursor>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        let queue = queue.to_owned();
        self.readers.run(move |transaction| settling::due(transaction, &queue, due_by_ms, after, limit)).await
    }

    async fn waiting(&self, key: &WorkKey) -> Result<Option<Waiting>, StoreError> {
        let key = key.clone();
        self.readers.run(move |transaction| settling::find(transaction, &key)).await
    }

    async fn open_streams(&self, kind: Kind) -> Result<Vec<StreamKey>, StoreError> {
        self.readers.run(move |transaction| query::open_streams(transaction, kind)).await
    }

    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Bytes>, StoreError> {
        let (tenant, key) = (tenant.clone(), key.to_owned());
        self.readers.run(move |transaction| query::remembered(transaction, &tenant, &key)).await
    }

    async fn delete(&self, stream: &StreamKey) -> Result<bool, CommitError> {
        Ok(self.write(Work::Delete(stream.clone())).await?.deleted)
    }

    async fn acquire(&self, holder: &str, time: Duration) -> Result<Fence, CommitError> {
        Ok(self.lease(Ask::Acquire { holder: holder.into(), time }).await?.fence)
    }

    async fn renew(&self, fence: Fence, time: Duration) -> Result<(), CommitError> {
        self.lease(Ask::Renew { fence, time }).await.map(drop)
    }

    async fn release(&self, fence: Fence) -> Result<(), CommitError> {
        self.lease(Ask::Release { fence }).await.map(drop)
    }

    async fn fence_off(&self, fence: Fence) -> Result<bool, CommitError> {
        Ok(self.lease(Ask::FenceOff { fence }).await?.is_void)
    }

    async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let listed = self.lease(Ask::List).await;
        Ok(listed?.leases)
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.failure.get().is_some() || self.inbox.is_closed() {
            return Err(StoreError::Unavailable { reason: self.why_stopped() });
        }
        self.readers.run(query::ping).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        // Readers first: an open read would keep the write-ahead log from being emptied.
        self.readers.close().await;
        let (reply, answer) = oneshot::channel();
        if self.inbox.send(Job::Close { reply }).await.is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }
}
