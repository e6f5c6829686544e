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
use super::lease::{self, Leased};
use super::live_runs::LiveRuns;
use super::retention;
use super::runs::{self, Chains, Ledger, Paused, Queue, Standings};
use super::thread::{self, ThreadHandle, ThreadRef, Threads};
use super::triggers::Watchers;
use super::types::DocumentTypes;
use super::{Runtime, Services};

/// Hashes of definitions, by tenant.
type Definitions = HashMap<String, HashSet<String>>;

impl Runtime {
    /// Starts on a store: runs that a crash cut off are taken up or closed before this returns.
    pub async fn start(store: Arc<dyn Store>, agents: Agents) -> Result<Self, StoreError> {
        let agents = Arc::new(agents);
        let threads = Arc::new(Threads::bounded(thread::LIVE));
        let leased = Leased::acquire(store, Arc::clone(&threads)).await;
        let leased = Arc::new(leased.map_err(StoreError::from)?);
        let store: Arc<dyn Store> = Arc::clone(&leased) as _;
        let janitor = Janitor::start(Arc::clone(&store));
        let (asked, requests) = mpsc::channel(runs::ASKED_WAITING);
        let live_runs: Arc<LiveRuns> = Arc::default();
        let services = Arc::new(Services {
            store,
            leased,
            documents: Arc::new(LiveDocuments::bounded(document::LIVE)),
            threads,
            lost: thread::Lost::default(),
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
        let others = services.leased.fence_off_expired().await?;
        let is_alone = others.is_empty();
        let held = services.take_up().await?;
        // Another process may just be keeping one for a run that begins.
        if is_alone {
            services.forget_definitions_but(&held).await?;
        }
        let unreadable = |error: runs::Unreadable| StoreError::Unavailable { reason: error.to_string() };
        services.queue.load(services.store.as_ref()).await.map_err(unreadable)?;
        services.paused.load(services.store.as_ref()).await?;
        runs::begin(&services, &agents).await;
        tokio::spawn(runs::serve(Arc::clone(&services), Arc::clone(&agents)));
        tokio::spawn(runs::keep(Arc::clone(&services), Arc::clone(&agents)));
        tokio::spawn(lease::keep(Arc::downgrade(&services), Arc::clone(&services.leased), others));
        tokio::spawn(retention::serve(Arc::clone(&services)));
        tokio::spawn(thread::take_up_lost(Arc::clone(&services)));
        tokio::spawn(document::sweep(Arc::clone(&services.documents), services.stopping.clone()));
        let runtime = Self { services, agents, suggestions: Arc::default(), transcriber: None };
        tokio::spawn(runs::serve_asked(runtime.share(), requests));
        Ok(runtime)
    }
}

impl Services {
    /// Takes up or closes every run whose process is gone; answers the definitions that live runs have, by tenant.
    pub(super) async fn take_up(self: &Arc<Self>) -> Result<Definitions, StoreError> {
        let mut definitions = Definitions::new();
        for log in self.store.open_streams(Kind::Log).await? {
            let definitions = definitions.entry(log.scope.tenant.to_string()).or_default();
            let Some(head) = self.store.head(&log).await? else { continue };
            let thread = ThreadRef::of(&log);
            if head.summary.as_ref().is_none_or(|summary| summary.is_empty()) {
                self.janitor.trim_later(thread, head.epoch, head.seq.0);
                continue;
            }
            definitions.extend(thread::definition_of(&head));
            // Asked after the log was read: whoever hosts a run has its lease before the log says so.
            if let Some(fence) = thread::fence_of(&head)
                && (fence == self.leased.fence() || self.leased.is_held_elsewhere(fence).await?)
            {
                continue;
            }
            // What is known of it here is from before that run.
            self.threads.forget(&thread);
            // Loading a thread takes up its cut-off run.
            let taken_up = match ThreadHandle::open(self, &thread) {
                Ok(live) => live.view(None).await.map(drop),
                Err(no_room) => Err(no_room.into()),
            };
            if let Err(error) = taken_up {
                tracing::error!(thread = %thread.id, %error, "a cut-off run could be neither taken up nor closed");
            }
        }
        Ok(definitions)
    }

    /// Forgets the definitions that neither the folder nor a run has.
    async fn forget_definitions_but(&self, held: &Definitions) -> Result<(), StoreError> {
        for (tenant, held) in held {
            self.forget_definitions(tenant, held).await?;
        }
        Ok(())
    }
}
