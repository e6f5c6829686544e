//! A store that dies under its runtime at a commit of the test's choice, as it does when the process is killed there. What it
//! holds outlives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use coagent_runtime::store::{
    Batch, CommitError, Committed, Entry, Fence, Head, Kind, Lease, Limit, Listed, Memory, Scope, Seq, Snapshot, Store,
    StoreError, StreamKey, Tenant, Waiting, WorkCursor, WorkKey,
};
use futures_util::FutureExt;
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Mortal {
    inner: Arc<Memory>,
    left: AtomicUsize,
    last_is_written: bool,
    died: watch::Sender<bool>,
    revived: watch::Sender<bool>,
    /// Whether the commit it died at was refused after all.
    refused: watch::Sender<Option<bool>>,
}

impl Mortal {
    /// Dies at the commit after so many; that one may still be written, and nobody hears of it.
    pub(crate) fn new(inner: &Arc<Memory>, commits: usize, last_is_written: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            left: AtomicUsize::new(commits),
            last_is_written,
            died: watch::Sender::new(false),
            revived: watch::Sender::new(false),
            refused: watch::Sender::new(None),
        })
    }

    pub(crate) fn died(&self) -> watch::Receiver<bool> {
        self.died.subscribe()
    }

    /// It was not dead, only asleep: it goes on where it was. Whether the commit it was at is refused.
    pub(crate) async fn revives(&self) -> bool {
        self.revived.send_replace(true);
        let mut refused = self.refused.subscribe();
        let told = refused.wait_for(|refused| refused.is_some()).await.expect("this store lives");
        told.expect("it was waited for")
    }
}

/// The commit that the store died at, until it is written: who makes it may be cut off on waking, and then nothing is.
struct Unwritten<'s>(&'s watch::Sender<Option<bool>>);

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        self.0.send_if_modified(|refused| refused.is_none() && refused.replace(true).is_none());
    }
}

#[async_trait]
impl Store for Mortal {
    async fn commit(&self, batch: Batch) -> Result<Vec<Committed>, CommitError> {
        if is_beside_runs(&batch) && !*self.died.borrow() {
            return self.inner.commit(batch).await;
        }
        let lives = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if lives {
            return self.inner.commit(batch).await;
        }
        let is_first = self.died.send_if_modified(|died| {
            if *died {
                return false;
            }
            *died = true;
            // Whoever comes after it need not wait until its time has passed.
            let fence = batch.fence.expect("a runtime names its lease");
            self.inner.renew(fence, Duration::ZERO).now_or_never().expect("it waits for nothing").expect("it is held");
            true
        });
        if is_first && self.last_is_written {
            self.inner.commit(batch.clone()).await?;
        }
        let unwritten = is_first.then(|| Unwritten(&self.refused));
        self.revived.subscribe().wait_for(|revived| *revived).await.expect("this store lives");
        let outcome = self.inner.commit(batch).await;
        if outcome.is_ok() {
            self.refused.send_if_modified(|refused| is_first && refused.replace(false).is_none());
        }
        drop(unwritten);
        outcome
    }

    async fn head(&self, stream: &StreamKey) -> Result<Option<Head>, StoreError> {
        self.inner.head(stream).await
    }

    async fn read(&self, stream: &StreamKey, after: Seq, limit: Limit) -> Result<Vec<Entry>, StoreError> {
        self.inner.read(stream, after, limit).await
    }

    async fn snapshot(&self, stream: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
        self.inner.snapshot(stream).await
    }

    async fn list(&self, scope: &Scope, before: Option<u64>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(scope, before, limit).await
    }

    async fn list_by_id(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.inner.list_by_id(scope, prefix, after, limit).await
    }

    async fn list_back(
        &self,
        scope: &Scope,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.inner.list_back(scope, prefix, before, limit).await
    }

    async fn open_streams(&self, kind: Kind) -> Result<Vec<StreamKey>, StoreError> {
        self.inner.open_streams(kind).await
    }

    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.inner.remembered(tenant, key).await
    }

    async fn work(
        &self,
        queue: &str,
        due_by_ms: i64,
        after: Option<WorkCursor>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.inner.work(queue, due_by_ms, after, limit).await
    }

    async fn waiting(&self, key: &WorkKey) -> Result<Option<Waiting>, StoreError> {
        self.inner.waiting(key).await
    }

    async fn delete(&self, stream: &StreamKey) -> Result<bool, CommitError> {
        self.inner.delete(stream).await
    }

    async fn acquire(&self, holder: &str, time: Duration) -> Result<Fence, CommitError> {
        self.inner.acquire(holder, time).await
    }

    async fn renew(&self, fence: Fence, time: Duration) -> Result<(), CommitError> {
        if *self.died.borrow() {
            self.revived.subscribe().wait_for(|revived| *revived).await.expect("this store lives");
        }
        self.inner.renew(fence, time).await
    }

    async fn release(&self, fence: Fence) -> Result<(), CommitError> {
        self.inner.release(fence).await
    }

    async fn fence_off(&self, fence: Fence) -> Result<bool, CommitError> {
        self.inner.fence_off(fence).await
    }

    async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.inner.leases().await
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.inner.changed()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What is stored of agents as a whole, at times of its own; the commits of a run are the others.
fn is_beside_runs(batch: &Batch) -> bool {
    batch.appends.iter().all(|append| {
        let stream = &append.stream;
        stream.scope.kind == Kind::Usage
            || stream.scope.kind == Kind::Document && stream.id.starts_with("lifecycle/agent:")
    })
}
