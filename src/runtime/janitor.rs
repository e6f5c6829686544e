//! Trims raw log entries some time after their run ended: until then a client that was cut can resume inside the run.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::store::{Append, CommitError, Seq, Store, StoreError};

use super::thread::ThreadRef;

/// How long raw entries are kept after a run's end.
const KEPT: Duration = Duration::from_secs(600);

/// The handle of the task that trims.
#[derive(Debug)]
pub(crate) struct Janitor {
    /// Unbounded, because each entry is a few words and there is one for each finished run of the last ten minutes.
    due: mpsc::UnboundedSender<Due>,
}

#[derive(Debug)]
struct Due {
    at: Instant,
    thread: ThreadRef,
    lineage: Arc<str>,
    up_to: u64,
}

impl Janitor {
    pub(crate) fn start(store: Arc<dyn Store>) -> Self {
        let (due, mut waiting) = mpsc::unbounded_channel::<Due>();
        tokio::spawn(async move {
            // Entries arrive in the order of their time, so the first one is the next one.
            while let Some(next) = waiting.recv().await {
                tokio::time::sleep_until(next.at).await;
                if let Err(error) = trim(store.as_ref(), &next).await {
                    tracing::warn!(thread = %next.thread.id, %error, "a log could not be trimmed");
                }
            }
        });
        Self { due }
    }

    /// Trims the thread's log up to a position of a finished run, later; not that of a thread of the same id that came
    /// after it was deleted.
    pub(crate) fn trim_later(&self, thread: ThreadRef, lineage: Arc<str>, up_to: u64) {
        let due = Due { at: Instant::now() + KEPT, thread, lineage, up_to };
        if self.due.send(due).is_err() {
            tracing::debug!("the runtime is ending; a restart trims what is left");
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum TrimError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Retries while the thread goes on; positions up to a finished run's end never change.
async fn trim(store: &dyn Store, due: &Due) -> Result<(), TrimError> {
    loop {
        let head = store.head(&due.thread.log()).await?.filter(|head| head.epoch == due.lineage);
        let Some(head) = head else { return Ok(()) };
        let is_all = head.seq.0 == due.up_to;
        let mut append = Append::to(due.thread.log(), head.seq);
        append.trim = Some(Seq(due.up_to));
        append.open = is_all.then_some(false);
        match store.commit(append.into()).await {
            Ok(_) => return Ok(()),
            Err(CommitError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Memory, NewEntry, Owner, Tenant};

    use super::*;

    #[tokio::test]
    async fn only_the_log_that_was_meant_is_trimmed_and_not_the_one_that_came_after_it() {
        let store = Memory::new();
        let thread = ThreadRef { tenant: Tenant::new("t"), owner: Owner::new("o"), id: "id".into() };
        let mut lineages = Vec::new();
        for _ in 0..2 {
            store.delete(&thread.log()).await.expect("a store");
            let mut append = Append::to(thread.log(), Seq(0));
            append.entries = vec![NewEntry::one("a"), NewEntry::one("b")];
            lineages.push(store.commit(append.into()).await.expect("a store")[0].epoch.clone());
        }
        for (lineage, trimmed) in lineages.into_iter().zip([0, 2]) {
            let due = Due { at: Instant::now(), thread: thread.clone(), lineage, up_to: 2 };
            trim(&store, &due).await.expect("a store");
            let head = store.head(&thread.log()).await.expect("a store").expect("a log");
            assert_eq!(head.trimmed, Seq(trimmed));
        }
    }
}
