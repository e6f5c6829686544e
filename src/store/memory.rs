//! The engine that keeps everything in this process's memory and loses it with the process.

mod shelves;
mod work;

use std::cmp::Reverse;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use super::{
    Batch, CommitError, Committed, Entry, Fence, Head, Kind, Lease, Limit, Listed, Scope, Seq, Snapshot, Store,
    StoreError, StreamKey, Tenant, Waiting, WorkCursor, WorkKey, clock::now_ms,
};
use shelves::{Shelves, Stream};

/// Streams in memory.
#[derive(Debug)]
pub struct Memory {
    /// A lock and not a task: every operation is a few map steps, and a hop to a task would cost more than
    /// the work. It is never held across an `.await`.
    shelves: Mutex<Shelves>,
    changed: watch::Sender<u64>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self { shelves: Mutex::default(), changed: watch::Sender::new(0) }
    }

    /// A panic elsewhere cannot leave the maps half-written: checks come before the first change, and no change panics.
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait; under the lock, so that the counter never goes back. Mostly nobody does, and to tell nobody
    /// costs as much as an append.
    fn publish(&self, shelves: &mut Shelves) {
        shelves.touched += 1;
        if self.changed.receiver_count() > 0 {
            self.changed.send_replace(shelves.touched);
        }
    }
}

#[async_trait]
impl Store for Memory {
    async fn commit(&self, batch: Batch) -> Result<Vec<Committed>, CommitError> {
        let mut shelves = self.shelves();
        shelves.refuse_closed()?;
        shelves.leases.refuse_fenced(batch.fence)?;
        shelves.refuse_repeated(&batch.remember)?;
        shelves.work.refuse_settled(&batch.settle)?;
        shelves.refuse_stale(&batch.appends)?;
        let committed = batch.appends.into_iter().map(|append| shelves.append(append)).collect();
        shelves.remember(batch.remember);
        shelves.work.settle(&batch.settle);
        shelves.work.put(batch.put);
        for stream in &batch.delete {
            shelves.remove(stream);
        }
        self.publish(&mut shelves);
        Ok(committed)
    }

    async fn head(&self, stream: &StreamKey) -> Result<Option<Head>, StoreError> {
        Ok(self.shelves().stream(stream).map(Stream::head))
    }

    async fn read(&self, key: &StreamKey, after: Seq, limit: Limit) -> Result<Vec<Entry>, StoreError> {
        let shelves = self.shelves();
        let Some(stream) = shelves.stream(key) else {
            return Ok(Vec::new());
        };
        if after < stream.trimmed {
            return Err(StoreError::Trimmed { stream: key.clone(), trimmed: stream.trimmed });
        }
        Ok(stream.entries_after(after, limit))
    }

    async fn snapshot(&self, stream: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.shelves().stream(stream).and_then(|stream| stream.snapshot.clone()))
    }

    async fn list(&self, scope: &Scope, before: Option<u64>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let shelves = self.shelves();
        let Some(streams) = shelves.scopes.get(scope) else {
            return Ok(Vec::new());
        };
        let mut page: Vec<_> =
            streams.iter().filter(|(_, stream)| before.is_none_or(|before| stream.touched < before)).collect();
        page.sort_unstable_by_key(|(_, stream)| Reverse(stream.touched));
        page.truncate(limit);
        Ok(page.into_iter().map(|(id, s)| Listed { key: scope.stream(id.clone()), head: s.head() }).collect())
    }

    async fn list_by_id(
        &self,
        scope: &Scope,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let shelves = self.shelves();
        let Some(streams) = shelves.scopes.get(scope) else {
            return Ok(Vec::new());
        };
        let wanted = |id: &str| id.starts_with(prefix) && after.is_none_or(|after| id > after);
        let mut page: Vec<_> = streams.iter().filter(|(id, _)| wanted(id)).collect();
        page.sort_unstable_by_key(|(id, _)| *id);
        page.truncate(limit);
        Ok(page.into_iter().map(|(id, s)| Listed { key: scope.stream(id.clone()), head: s.head() }).collect())
    }

    async fn list_back(
        &self,
        scope: &Scope,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let shelves = self.shelves();
        let Some(streams) = shelves.scopes.get(scope) else {
            return Ok(Vec::new());
        };
        let wanted = |id: &str| id.starts_with(prefix) && before.is_none_or(|before| id < before);
        let mut page: Vec<_> = streams.iter().filter(|(id, _)| wanted(id)).collect();
        page.sort_unstable_by_key(|(id, _)| Reverse(*id));
        page.truncate(limit);
        Ok(page.into_iter().map(|(id, s)| Listed { key: scope.stream(id.clone()), head: s.head() }).collect())
    }

    async fn work(
        &self,
        queue: &str,
        due_by_ms: i64,
        after: Option<WorkCursor>,
        limit: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        Ok(self.shelves().work.due(queue, due_by_ms, after, limit))
    }

    async fn waiting(&self, key: &WorkKey) -> Result<Option<Waiting>, StoreError> {
        Ok(self.shelves().work.find(key))
    }

    async fn open_streams(&self, kind: Kind) -> Result<Vec<StreamKey>, StoreError> {
        Ok(self.shelves().open_streams(kind))
    }

    async fn remembered(&self, tenant: &Tenant, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.shelves().recall(tenant, key, now_ms()).cloned())
    }

    async fn delete(&self, stream: &StreamKey) -> Result<bool, CommitError> {
        let mut shelves = self.shelves();
        shelves.refuse_closed()?;
        let existed = shelves.remove(stream);
        self.publish(&mut shelves);
        Ok(existed)
    }

    async fn acquire(&self, holder: &str, time: Duration) -> Result<Fence, CommitError> {
        let mut shelves = self.shelves();
        shelves.refuse_closed()?;
        shelves.fence += 1;
        let fence = Fence(shelves.fence);
        shelves.leases.give(fence, holder, time);
        Ok(fence)
    }

    async fn renew(&self, fence: Fence, time: Duration) -> Result<(), CommitError> {
        let mut shelves = self.shelves();
        shelves.refuse_closed()?;
        shelves.leases.renew(fence, time)
    }

    async fn release(&self, fence: Fence) -> Result<(), CommitError> {
        let mut shelves = self.shelves();
        shelves.refuse_closed()?;
        shelves.leases.release(fence);
        Ok(())
    }

    async fn fence_off(&self, fence: Fence) -> Result<bool, CommitError> {
        let mut shelves = self.shelves();
        shelves.refuse_closed()?;
        Ok(shelves.leases.fence_off(fence))
    }

    async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        Ok(self.shelves().leases.list())
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        match self.shelves().closed {
            true => Err(StoreError::Unavailable { reason: "the store is closed".to_owned() }),
            false => Ok(()),
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.shelves().closed = true;
        Ok(())
    }
}
