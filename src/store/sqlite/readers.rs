//! Connections that only read, lent out one query at a time on a blocking thread.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction};
use tokio::sync::Semaphore;

use super::{fault, file};
use crate::store::StoreError;

/// A bounded set of read-only connections, opened when first needed.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    count: u32,
    permits: Arc<Semaphore>,
    idle: Arc<Idle>,
}

/// A lock and not a task: it is held for a push or a pop.
#[derive(Debug, Default)]
struct Idle(Mutex<Vec<Connection>>);

impl Idle {
    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readers {
    pub(super) fn new(path: PathBuf, count: usize) -> Self {
        let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        let permits = Arc::new(Semaphore::new(count as usize));
        Self { path, count, permits, idle: Arc::default() }
    }

    /// Runs a query in a transaction of its own, so that all it reads is of one moment.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Unavailable { reason: "the store is closed".to_owned() };
        let permit = self.permits.clone().acquire_owned().await.map_err(closed)?;
        let (idle, path) = (self.idle.clone(), self.path.clone());
        let task = tokio::task::spawn_blocking(move || {
            let lent = idle.connections().pop();
            let mut connection = match lent {
                Some(connection) => connection,
                None => file::open_reader(&path).map_err(fault::unavailable)?,
            };
            let result =
                connection.transaction().map_err(fault::unavailable).and_then(|transaction| query(&transaction));
            idle.connections().push(connection);
            drop(permit);
            result
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Unavailable { reason: format!("a read broke off: {error}") }))
    }

    /// Waits for the running queries, refuses further ones, and closes the connections.
    pub(super) async fn close(&self) {
        // An error says that it was closed before.
        let _all = self.permits.acquire_many(self.count).await;
        self.permits.close();
        self.idle.connections().clear();
    }
}
