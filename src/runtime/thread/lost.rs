//! Threads that lost their store, perhaps in the middle of a run: looked at again when it takes commits, so that their runs go
//! on or are closed as at a start, whether or not anybody asks for them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::store::{Batch, CommitError, Remember, Tenant};

use super::super::clock::now_ms;
use super::super::{ReadError, Services};
use super::{ThreadHandle, ThreadRef};

/// How often the store is asked whether it takes commits again.
const RETRY: Duration = Duration::from_secs(3);
/// What is written to find that out.
const PROBE: &str = "probe";

#[derive(Debug, Default)]
pub(crate) struct Lost {
    /// A lock, because the tasks of threads come here; held to change the set.
    threads: Mutex<HashSet<ThreadRef>>,
    some: Notify,
}

impl Lost {
    pub(super) fn note(&self, thread: ThreadRef) {
        self.threads.lock().expect("no code panics while it holds this lock").insert(thread);
        self.some.notify_one();
    }

    fn take(&self) -> HashSet<ThreadRef> {
        std::mem::take(&mut *self.threads.lock().expect("no code panics while it holds this lock"))
    }
}

/// Until the process begins to end.
pub(crate) async fn take_up_lost(services: Arc<Services>) {
    let Services { lost, stopping, .. } = services.as_ref();
    let taking_up = async {
        loop {
            lost.some.notified().await;
            tokio::time::sleep(RETRY).await;
            while let Err(error) = services.try_store().await {
                tracing::debug!(%error, "threads that lost the store wait for it");
                tokio::time::sleep(RETRY).await;
            }
            for thread in lost.take() {
                if let Err(error) = services.look_at(&thread).await {
                    tracing::error!(thread = %thread.id, %error, "a thread that lost the store cannot be read again");
                }
            }
        }
    };
    stopping.run_until_cancelled(taking_up).await;
}

impl Services {
    /// Whether the store has room for anything.
    async fn try_store(&self) -> Result<(), CommitError> {
        let (tenant, key) = (Tenant::new(""), PROBE.to_owned());
        let result = bytes::Bytes::new();
        let probe = Remember { tenant, key, result, expires_at_ms: now_ms() + 1, overwrites: true };
        self.store.commit(Batch { remember: vec![probe], ..Batch::default() }).await.map(drop)
    }

    /// Loads a thread, which takes up its cut-off run.
    async fn look_at(self: &Arc<Self>, thread: &ThreadRef) -> Result<(), ReadError> {
        ThreadHandle::open(self, thread)?.view(None).await.map(drop)
    }
}
