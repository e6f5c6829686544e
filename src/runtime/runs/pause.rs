//! Pausing agents: runs that wait go on waiting, and the API takes no further ones.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use thiserror::Error;
use tokio::sync::watch;

use crate::access::Principal;
use crate::store::{Batch, CommitError, Settle, Store, StoreError, Tenant, WorkItem, WorkKey};

use super::super::Runtime;

/// The queue of the store that holds an item for each agent that is paused.
const QUEUE: &str = "paused";
/// Read from the store at once.
const PAGE: usize = 256;

/// Why an agent goes on as before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PauseError {
    #[error("the disk is full: nothing was written; free some space and try again")]
    StorageFull,
    #[error("{reason}")]
    Unavailable { reason: String },
}

/// The agents that are paused, by tenant.
#[derive(Debug, Default)]
pub(crate) struct Paused {
    /// A lock, because whoever starts a run asks; held for a look.
    agents: Mutex<HashSet<(String, String)>>,
    /// Tells that one works again.
    resumed: watch::Sender<()>,
}

impl Paused {
    pub(crate) async fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = store.work(QUEUE, i64::MAX, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.cursor());
            let keys = page.into_iter().map(|waiting| waiting.item.key);
            self.agents().extend(keys.map(|key| (key.tenant.as_str().to_owned(), key.key)));
        }
    }

    pub(crate) fn has(&self, tenant: &str, agent: &str) -> bool {
        let agents = self.agents();
        !agents.is_empty() && agents.contains(&(tenant.to_owned(), agent.to_owned()))
    }

    /// Wakes when an agent was resumed.
    pub(crate) fn resumed(&self) -> watch::Receiver<()> {
        self.resumed.subscribe()
    }

    fn agents(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.agents.lock().expect("no code panics while it holds this lock")
    }
}

impl Runtime {
    /// Whether an agent takes no runs now.
    pub fn is_paused(&self, principal: &Principal, agent: &str) -> bool {
        self.services.paused.has(&principal.tenant, agent)
    }

    /// Has an agent take no further runs, durably; those at work go on. Pausing it again changes nothing.
    pub async fn pause(&self, principal: &Principal, agent: &str) -> Result<(), PauseError> {
        let key = key(principal, agent);
        let put = vec![WorkItem { key, due_at_ms: 0, body: bytes::Bytes::new() }];
        self.services.store.commit(Batch { put, ..Batch::default() }).await.map_err(PauseError::from)?;
        self.services.paused.agents().insert((principal.tenant.clone(), agent.to_owned()));
        self.services.standings.touch(&principal.tenant, agent);
        Ok(())
    }

    /// Lets an agent work again, on what waits first.
    pub async fn resume(&self, principal: &Principal, agent: &str) -> Result<(), PauseError> {
        let settle = vec![Settle::from(key(principal, agent))];
        match self.services.store.commit(Batch { settle, ..Batch::default() }).await {
            Ok(_) | Err(CommitError::Settled { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.services.paused.agents().remove(&(principal.tenant.clone(), agent.to_owned()));
        self.services.standings.touch(&principal.tenant, agent);
        self.services.paused.resumed.send_replace(());
        self.services.live_runs.wake();
        Ok(())
    }
}

fn key(principal: &Principal, agent: &str) -> WorkKey {
    WorkKey { tenant: Tenant::new(principal.tenant.as_str()), queue: QUEUE.to_owned(), key: agent.to_owned() }
}

impl From<CommitError> for PauseError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full => Self::StorageFull,
            error => Self::Unavailable { reason: error.to_string() },
        }
    }
}
