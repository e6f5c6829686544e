//! How a runtime begins on a store: what a crash cut off is taken up or closed, what waits goes on waiting.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::{Kind, Store, StoreError};

use super::agents::Agents;
use super::document::{self, LiveDocuments};
use super::janitor::Janitor;
use super::live_runs::LiveRuns;
use super::retention;
use super::runs::{self, Chains, Ledger, Paused, Queue, Standings};
use super::thread::{self, ThreadHandle, ThreadRef, Threads};
use super::triggers::Watchers;
use super::types::DocumentTypes;
use super::{Runtime, Services};

impl Runtime {
    /// Starts on a store: runs that a crash cut off are taken up or closed before this returns.
    pub async fn start(store: Arc<dyn Store>, agents: Agents) -> Result<Self, StoreError> {
        let agents = Arc::new(agents);
        let janitor = Janitor::start(Arc::clone(&store));
        let (asked, requests) = mpsc::channel(runs::ASKED_WAITING);
        let live_runs: Arc<LiveRuns> = Arc::default();
        let services = Arc::new(Services {
            store,
            documents: Arc::new(LiveDocuments::bounded(document::LIVE)),
            threads: Arc::new(Threads::bounded(thread::LIVE)),
            janitor,
            queue: Arc::new(Queue::new(Arc::clone(&live_runs))),
            live_runs,
            chains: Chains::default(),
            ledger: Ledger::default(),
            paused: Paused::default(),
            standings: Standings::default(),
            asked,
            types: Arc::new(DocumentTypes::new(Arc::clone(&agents))),
            watchers: Arc::new(Watchers::new(Arc::clone(&agents))),
            agents: Arc::clone(&agents),
            stopping: CancellationToken::new(),
            sessions: TaskTracker::new(),
        });
        services.take_up().await?;
        let unreadable = |error: runs::Unreadable| StoreError::Unavailable { reason: error.to_string() };
        services.queue.load(services.store.as_ref()).await.map_err(unreadable)?;
        services.paused.load(services.store.as_ref()).await?;
        runs::begin(&services, &agents).await;
        tokio::spawn(runs::serve(Arc::clone(&services), Arc::clone(&agents)));
        tokio::spawn(runs::keep(Arc::clone(&services), Arc::clone(&agents)));
        tokio::spawn(retention::serve(Arc::clone(&services)));
        let runtime = Self { services, agents, suggestions: Arc::default(), transcriber: None };
        tokio::spawn(runs::serve_asked(runtime.share(), requests));
        Ok(runtime)
    }
}

impl Services {
    /// Takes up or closes every run that was cut off. Definitions that none of them needs are forgotten.
    async fn take_up(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut held: HashMap<String, HashSet<String>> = HashMap::new();
        for log in self.store.open_streams(Kind::Log).await? {
            let held = held.entry(log.tenant.to_string()).or_default();
            let head = self.store.head(&log).await?;
            let thread = ThreadRef::of(&log);
            if head.as_ref().is_some_and(|head| head.summary.as_ref().is_some_and(|summary| !summary.is_empty())) {
                held.extend(head.as_ref().and_then(thread::definition_of));
                // Loading a thread takes up its cut-off run.
                let taken_up = match ThreadHandle::open(self, &thread) {
                    Ok(live) => live.view().await.map(drop),
                    Err(no_room) => Err(no_room.into()),
                };
                if let Err(error) = taken_up {
                    tracing::error!(thread = %thread.id, %error, "a cut-off run could be neither taken up nor closed");
                }
            } else if let Some(head) = head {
                self.janitor.trim_later(thread, head.epoch, head.seq.0);
            }
        }
        for (tenant, held) in &held {
            self.forget_definitions(tenant, held).await?;
        }
        Ok(())
    }
}
