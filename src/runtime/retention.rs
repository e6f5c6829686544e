//! The task that drops versions of documents that nobody writes any more, once they are over by their age.

use std::sync::Arc;
use std::time::Duration;

use crate::store::{Batch, CommitError, StoreError, Waiting};

use super::Services;
use super::clock::now_ms;
use super::document::{DocumentRef, DocumentUnavailable, RETENTION, reminder};

/// Looked for so often: what is over is told to nobody meanwhile.
const EVERY: Duration = Duration::from_secs(60);
const PAGE: usize = 64;

#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Document(#[from] DocumentUnavailable),
    #[error("what a reminder is about cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
}

pub(super) async fn serve(services: Arc<Services>) {
    loop {
        if let Err(error) = drop_due(&services).await {
            tracing::warn!(%error, "versions that are over are dropped a little later");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = services.stopping.cancelled() => return,
        }
    }
}

async fn drop_due(services: &Arc<Services>) -> Result<(), NotNow> {
    let mut after = None;
    loop {
        let due = services.store.work(RETENTION, now_ms(), after, PAGE).await?;
        let Some(last) = due.last() else { return Ok(()) };
        after = Some(last.cursor());
        for waiting in due {
            drop_one(services, &waiting).await?;
        }
    }
}

async fn drop_one(services: &Arc<Services>, waiting: &Waiting) -> Result<(), NotNow> {
    let name: DocumentRef = serde_json::from_slice(&waiting.item.body)?;
    let next_ms = services.document(&name).let_go().await?.next_ms;
    let put = next_ms.map(|next_ms| reminder(&name, next_ms)).into_iter().collect();
    match services.store.commit(Batch { settle: vec![waiting.settled()], put, ..Batch::default() }).await {
        // A commit of the document has set another one.
        Ok(_) | Err(CommitError::Settled { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
