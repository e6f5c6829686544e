//! The task that keeps the lease, and goes on with the runs of processes that did not keep theirs.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::store::{CommitError, Fence, StoreError};

use super::super::Services;
use super::{Leased, Standing, TIME};

/// How soon a process without a lease tries to have one again.
const AGAIN: Duration = Duration::from_secs(1);

/// Until the runtime is gone, or gives its lease back.
pub(in crate::runtime) async fn keep(services: Weak<Services>, leased: Arc<Leased>, mut known: HashSet<Fence>) {
    let mut standing = leased.standing.subscribe();
    loop {
        let now = *standing.borrow_and_update();
        match now {
            Standing::Held => tokio::select! {
                () = tokio::time::sleep(TIME / 3) => {}
                _ = standing.changed() => continue,
            },
            Standing::Lost => {}
            Standing::Released => return,
        }
        let Some(services) = services.upgrade() else { return };
        let kept = match now {
            Standing::Held => leased.keep().await,
            _ => leased.begin_anew().await.map(|()| services.read_on()),
        };
        match kept {
            Ok(()) => {}
            // What was lost is begun anew at once.
            Err(CommitError::Fenced { .. }) => continue,
            Err(error) => {
                tracing::warn!(%error, "the lease of this process can be neither kept nor had anew yet");
                if now != Standing::Held {
                    tokio::time::sleep(AGAIN).await;
                }
                continue;
            }
        }
        let others = match leased.fence_off_expired().await {
            Ok(others) => others,
            Err(error) => {
                tracing::warn!(%error, "the leases of other processes cannot be looked at");
                continue;
            }
        };
        let is_anybody_gone = known.iter().any(|fence| !others.contains(fence));
        if is_anybody_gone || now == Standing::Lost {
            tokio::spawn(async move {
                if let Err(error) = services.take_over().await {
                    tracing::error!(%error, "the runs of a process that is gone cannot be taken over");
                }
            });
        }
        known = others;
    }
}

impl Leased {
    async fn keep(&self) -> Result<(), CommitError> {
        let fence = self.fence();
        let renewed = self.store.renew(fence, TIME).await;
        if let Err(CommitError::Fenced { .. }) = renewed {
            self.lose(fence);
        }
        renewed
    }

    /// Makes void what others did not renew in time; answers who else holds a lease.
    pub(in crate::runtime) async fn fence_off_expired(&self) -> Result<HashSet<Fence>, StoreError> {
        let mut others = HashSet::new();
        for lease in self.store.leases().await?.into_iter().filter(|lease| lease.fence != self.fence()) {
            let is_void = lease.is_expired && self.store.fence_off(lease.fence).await?;
            if is_void {
                tracing::warn!(fence = %lease.fence, holder = %lease.holder, "a process did not renew its lease: its runs are taken over");
            } else {
                others.insert(lease.fence);
            }
        }
        Ok(others)
    }
}

impl Services {
    /// What others have written since is read when it is asked for next.
    fn read_on(&self) {
        tracing::info!(fence = %self.leased.fence(), "this process has a new lease and goes on serving");
        self.documents.handles().into_iter().for_each(|document| document.read_on());
    }

    /// Goes on with the runs of processes that are gone, and with what waited for them.
    async fn take_over(self: &Arc<Self>) -> Result<(), StoreError> {
        if self.stopping.is_cancelled() {
            return Ok(());
        }
        self.take_up().await?;
        let unreadable = |error: super::super::runs::Unreadable| StoreError::Unavailable { reason: error.to_string() };
        self.queue.load(self.store.as_ref()).await.map_err(unreadable)
    }
}
