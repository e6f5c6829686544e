//! The store in memory with faults at will, under the real runtime and routes in this process.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use coagent_runtime::store::{
    Append, Batch, CommitError, Committed, Entry, Fence, Head, Kind, Lease, Limit, Listed, Memory, NewEntry, Scope,
    Seq, Snapshot, Store, StoreError, StreamKey, Tenant, Waiting, WorkCursor, WorkKey,
};
use tokio::sync::watch;

/// What fails from now on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// Commits that touch a stream of this kind, as on a full disk; `None` is every commit.
    Full(Option<Kind>),
    /// Reads of entries after so many of them.
    ReadsAfter(usize),
    /// Commits that touch a document other than the records of runs, as by a database that has gone away; some of them are
    /// written all the same.
    Down { written: bool },
    /// The next commit that touches a document is late by one that another process makes.
    Overtaken,
}

#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Memory,
    fault: Mutex<Option<Fault>>,
    reads: AtomicUsize,
    bytes: AtomicUsize,
    snapshots: AtomicUsize,
    commits: Mutex<Vec<Vec<StreamKey>>>,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        Self {
            inner: Memory::new(),
            fault: Mutex::default(),
            reads: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            snapshots: AtomicUsize::new(0),
            commits: Mutex::default(),
        }
    }

    pub(crate) fn fails(&self, fault: Fault) {
        self.reads.store(0, Ordering::SeqCst);
        *self.fault.lock().unwrap() = Some(fault);
    }

    pub(crate) fn works(&self) {
        *self.fault.lock().unwrap() = None;
    }

    /// Snapshots of threads that were stored.
    pub(crate) fn thread_snapshots(&self) -> usize {
        self.snapshots.load(Ordering::SeqCst)
    }

    /// The streams that each commit so far brought entries.
    pub(crate) fn commits(&self) -> Vec<Vec<StreamKey>> {
        self.commits.lock().unwrap().clone()
    }

    /// Bytes of entries and snapshots that were read since it was asked last.
    pub(crate) fn read_bytes(&self) -> usize {
        self.bytes.swap(0, Ordering::SeqCst)
    }

    fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for Faulty {
    async fn commit(&self, batch: Batch) -> Result<Vec<Committed>, CommitError> {
        if let Some(Fault::Full(kind)) = self.fault()
            && kind.is_none_or(|kind| batch.appends.iter().any(|append| append.stream.scope.kind == kind))
        {
            return Err(CommitError::Full);
        }
        let is_document =
            |stream: &StreamKey| stream.scope.kind == Kind::Document && !stream.id.starts_with("lifecycle/");
        let is_of_document = batch.appends.iter().any(|append| is_document(&append.stream));
        if let Some(Fault::Down { written }) = self.fault().filter(|_| is_of_document) {
            if written {
                self.inner.commit(batch).await?;
            }
            return Err(CommitError::Unavailable { reason: "the database has gone away".to_owned() });
        }
        if self.fault() == Some(Fault::Overtaken) && is_of_document {
            self.works();
            let (stream, expected) = (batch.appends[0].stream.clone(), batch.appends[0].expected);
            let other = format!(
                r#"{{"version":{},"ops":[{{"op":"add","path":"/other","value":1}}],"inverse":[{{"op":"remove","path":"/other"}}],"actor":"node:b","at":"2026-01-01T00:00:00.000Z"}}"#,
                expected.0 + 1
            );
            let mut append = Append::to(stream, expected);
            append.entries = vec![NewEntry::one(other)];
            self.inner.commit(append.into()).await?;
        }
        let remembers = |append: &&Append| append.stream.scope.kind == Kind::Thread && append.snapshot.is_some();
        self.snapshots.fetch_add(batch.appends.iter().filter(remembers).count(), Ordering::SeqCst);
        let brought = batch.appends.iter().filter(|append| !append.entries.is_empty());
        let brought = brought.map(|append| append.stream.clone()).collect();
        let committed = self.inner.commit(batch).await?;
        self.commits.lock().unwrap().push(brought);
        Ok(committed)
    }

    async fn head(&self, stream: &StreamKey) -> Result<Option<Head>, StoreError> {
        self.inner.head(stream).await
    }

    async fn read(&self, stream: &StreamKey, after: Seq, limit: Limit) -> Result<Vec<Entry>, StoreError> {
        let before = self.reads.fetch_add(1, Ordering::SeqCst);
        if self.fault().is_some_and(|fault| matches!(fault, Fault::ReadsAfter(reads) if before >= reads)) {
            return Err(StoreError::Corrupt { stream: stream.clone(), seq: Seq(after.0 + 1) });
        }
        let entries = self.inner.read(stream, after, limit).await?;
        self.bytes.fetch_add(entries.iter().map(|entry| entry.body.len()).sum(), Ordering::SeqCst);
        Ok(entries)
    }

    async fn snapshot(&self, stream: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
        let snapshot = self.inner.snapshot(stream).await?;
        self.bytes.fetch_add(snapshot.as_ref().map_or(0, |snapshot| snapshot.body.len()), Ordering::SeqCst);
        Ok(snapshot)
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

    async fn open_streams(&self, kind: Kind) -> Result<Vec<StreamKey>, StoreError> {
        self.inner.open_streams(kind).await
    }

    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.inner.remembered(tenant, key).await
    }

    async fn delete(&self, stream: &StreamKey) -> Result<bool, CommitError> {
        self.inner.delete(stream).await
    }

    async fn acquire(&self, holder: &str, time: Duration) -> Result<Fence, CommitError> {
        self.inner.acquire(holder, time).await
    }

    async fn renew(&self, fence: Fence, time: Duration) -> Result<(), CommitError> {
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
        self.inner.close().await
    }
}
