//! The lease of this process: everything it writes names its fence, and what it was doing ends when that is void.
//!
//! The runtime writes through [`Leased`] alone, so no place that commits knows of leases.

mod keeper;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::store::{
    Batch, CommitError, Committed, Entry, Fence, Head, Kind, Lease, Limit, Listed, Scope, Seq, Snapshot, Store,
    StoreError, StreamKey, Tenant, Waiting, WorkCursor, WorkKey,
};

use super::thread::Threads;
pub(super) use keeper::keep;

/// How long a lease lasts that is not renewed; it is renewed three times as often.
pub(super) const TIME: Duration = Duration::from_secs(15);
/// How long a write of a process without a lease waits for one, before it is refused.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store, as a process with a lease writes to it.
#[derive(Debug)]
pub(crate) struct Leased {
    store: Arc<dyn Store>,
    /// Says who it is, to people who look at another process's log.
    holder: String,
    fence: AtomicU64,
    standing: watch::Sender<Standing>,
    /// Their runs end with the lease.
    threads: Arc<Threads>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Held,
    /// Another process took over.
    Lost,
    /// Given back, because this process ends.
    Released,
}

impl Leased {
    /// Takes a lease of the store.
    pub(super) async fn acquire(store: Arc<dyn Store>, threads: Arc<Threads>) -> Result<Self, CommitError> {
        let holder = format!("process {}", std::process::id());
        let fence = store.acquire(&holder, TIME).await?;
        tracing::debug!(%fence, "this process has a lease");
        let standing = watch::Sender::new(Standing::Held);
        Ok(Self { store, holder, fence: AtomicU64::new(fence.0), standing, threads })
    }

    /// The fence of the lease that this process has, or had last.
    pub(crate) fn fence(&self) -> Fence {
        Fence(self.fence.load(Ordering::Acquire))
    }

    /// Whether another process has the lease with this fence, dead or alive, and nobody has fenced it off.
    pub(crate) async fn is_held_elsewhere(&self, fence: Fence) -> Result<bool, StoreError> {
        Ok(fence != self.fence() && self.store.leases().await?.iter().any(|lease| lease.fence == fence))
    }

    /// Whether this process may write.
    pub(super) fn is_held(&self) -> bool {
        *self.standing.borrow() == Standing::Held
    }

    /// Lets others go on with what this process leaves.
    pub(super) async fn release(&self) -> Result<(), CommitError> {
        self.standing.send_replace(Standing::Released);
        self.store.release(self.fence()).await
    }

    /// The lease is void: nothing that hangs on it goes on. Its runs are let go of without a word, because they are
    /// another's now.
    fn lose(&self, fence: Fence) {
        let is_news = self.standing.send_if_modified(|standing| {
            let is_news = *standing == Standing::Held && fence == self.fence();
            if is_news {
                *standing = Standing::Lost;
            }
            is_news
        });
        if is_news {
            let runs = self.threads.cut();
            tracing::error!(
                %fence, threads = runs,
                "this process was away for longer than its lease, and another one took over: its runs are let go of here"
            );
        }
    }

    /// Takes a new lease after one that was lost, when nobody who wrote under that is at work any more.
    async fn begin_anew(&self) -> Result<(), CommitError> {
        self.threads.cut_is_over().await;
        let fence = self.store.acquire(&self.holder, TIME).await?;
        self.standing.send_if_modified(|standing| {
            let is_lost = *standing == Standing::Lost;
            if is_lost {
                self.fence.store(fence.0, Ordering::Release);
                *standing = Standing::Held;
            }
            is_lost
        });
        Ok(())
    }

    /// A write was refused: a thread that hears of it is cut off where it waits, anybody else can ask again.
    async fn heard(&self, refused: CommitError) -> CommitError {
        if let CommitError::Fenced { fence } = refused {
            self.lose(fence);
            let anew = async {
                // An error means that the process ends.
                let _ = self.standing.subscribe().wait_for(|standing| *standing != Standing::Lost).await;
            };
            let _ = tokio::time::timeout(PATIENCE, anew).await;
        }
        refused
    }
}

#[async_trait]
impl Store for Leased {
    async fn commit(&self, batch: Batch) -> Result<Vec<Committed>, CommitError> {
        match self.store.commit(Batch { fence: Some(self.fence()), ..batch }).await {
            Ok(committed) => Ok(committed),
            // Boxed, because every commit has room for it and hardly one is refused.
            Err(refused) => Err(Box::pin(self.heard(refused)).await),
        }
    }

    async fn head(&self, stream: &StreamKey) -> Result<Option<Head>, StoreError> {
        self.store.head(stream).await
    }

    async fn read(&self, stream: &StreamKey, after: Seq, limit: Limit) -> Result<Vec<Entry>, StoreError> {
        self.store.read(stream, after, limit).await
    }

    async fn snapshot(&self, stream: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
        self.store.snapshot(stream).await
    }

    async fn list(&self, scope: &Scope, before: Option<u64>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        self.store.list(scope, before, limit).await
    }

    async fn list_by_id(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.store.list_by_id(scope, prefix, after, limit).await
    }

    async fn list_back(
        &self,
        scope: &Scope,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.store.list_back(scope, prefix, before, limit).await
    }

    async fn open_streams(&self, kind: Kind) -> Result<Vec<StreamKey>, StoreError> {
        self.store.open_streams(kind).await
    }

    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.store.remembered(tenant, key).await
    }

    async fn work(
        &self,
        queue: &str,
        due_by_ms: i64,
        after: Option<WorkCursor>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.store.work(queue, due_by_ms, after, limit).await
    }

    async fn waiting(&self, key: &WorkKey) -> Result<Option<Waiting>, StoreError> {
        self.store.waiting(key).await
    }

    /// In a batch, so that it names the lease.
    async fn delete(&self, stream: &StreamKey) -> Result<bool, CommitError> {
        // What cannot be read is there.
        let existed = self.store.head(stream).await.map_or(true, |head| head.is_some());
        self.commit(Batch { delete: vec![stream.clone()], ..Batch::default() }).await?;
        Ok(existed)
    }

    async fn acquire(&self, holder: &str, time: Duration) -> Result<Fence, CommitError> {
        self.store.acquire(holder, time).await
    }

    async fn renew(&self, fence: Fence, time: Duration) -> Result<(), CommitError> {
        self.store.renew(fence, time).await
    }

    async fn release(&self, fence: Fence) -> Result<(), CommitError> {
        self.store.release(fence).await
    }

    async fn fence_off(&self, fence: Fence) -> Result<bool, CommitError> {
        self.store.fence_off(fence).await
    }

    async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.store.leases().await
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.store.changed()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}
