//! Life: threads and documents while they live, the runs on them, and the streams that readers follow.
//!
//! It authorizes nothing by itself and knows no HTTP; the server layer turns requests into the calls below.

mod agents;
mod client_props;
mod clock;
mod document;
mod documents;
mod frames;
mod janitor;
mod keeping;
mod lease;
mod live_runs;
mod outage;
mod presence;
mod registry;
mod requests;
mod retention;
mod runs;
mod start;
mod suggestion;
mod thread;
mod triggers;
mod types;
mod view;
mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Principal;
use crate::agent::transcription::Transcriber;
use crate::store::{Owner, Store, StoreError, Tenant};

pub use crate::agent::cause::{Cause, CauseKind};
pub use crate::agent::transcription::{Audio, TranscriptionError};
pub use crate::agent::trigger::hook::{Delivery, Untrusted};
pub use crate::agent::types::TypeSpec;
pub use agents::{AgentView, Agents, Entry, Hosted, Unfit};
pub use client_props::ClientProps;
pub use document::{
    Accepted, Delta, DeltaTold, DocumentError, Evidence, Expects, Once, Origin, Proposal, Rejection, Tag,
    TogetherRefused, Write, squashed,
};
pub use documents::{
    BatchAccepted, Difference, Document, DocumentItem, DocumentName, DocumentPage, Documents, Existing, Export,
    History, HistoryCursor, HistoryQuery, Import, ImportError, ImportRefused, Imported, ListQuery, Since,
    SnapshotReason, Standing, Subscription, Tagged, Update,
};
pub use frames::FrameStream;
pub use keeping::{Amendment, KeepingError, Naming};
pub use presence::{Crowded, Presence, Room};
pub use requests::{Connect, ReadError, ReplayFrom, StartError, StartRun};
pub use runs::{
    Behalf, DeadLetter, DeadLetterCursor, DeadLetterPage, Lifecycle, ModelUsage, PauseError, RunError, RunPage,
    RunQuery, RunStatus, RunUsage, StepItem, Submission, SubmitError, Submitted, ThreadChoice, UsageBy, UsageItem,
};
pub use thread::StopOutcome;
pub use triggers::{Delivered, HookError, TriggersGuard};
pub use types::DocumentTypes;
pub use view::{ThreadItem, ThreadPage};

use document::{DocumentHandle, DocumentRef, DocumentUnavailable, LiveDocuments};
use janitor::Janitor;
use lease::Leased;
use live_runs::LiveRuns;
use runs::{Asked, Chains, Ledger, Paused, Queue, Standings};
use suggestion::{Suggestion, Suggestions};
use thread::{Lost, Replay, ThreadHandle, ThreadRef, Threads};
use triggers::Watchers;

/// The runtime: one per process.
#[derive(Debug)]
pub struct Runtime {
    services: Arc<Services>,
    agents: Arc<Agents>,
    suggestions: Arc<Suggestions>,
    transcriber: Option<Transcriber>,
}

/// What every owner of a thread or document needs.
#[derive(Debug)]
struct Services {
    store: Arc<dyn Store>,
    /// The same store: whose lease it writes under.
    leased: Arc<Leased>,
    documents: Arc<LiveDocuments>,
    threads: Arc<Threads>,
    lost: Lost,
    janitor: Janitor,
    live_runs: Arc<LiveRuns>,
    queue: Arc<Queue>,
    chains: Chains,
    ledger: Ledger,
    paused: Paused,
    standings: Standings,
    /// Where runs say what they want of other agents.
    asked: mpsc::Sender<Asked>,
    types: Arc<DocumentTypes>,
    watchers: Arc<Watchers>,
    agents: Arc<Agents>,
    /// Cancelled when the process begins to end: nothing starts from then on.
    stopping: CancellationToken,
    /// Sessions of clients, which say goodbye before the store closes.
    sessions: TaskTracker,
}

/// Ends the watch with it.
#[derive(Debug)]
pub struct WatchGuard(tokio::task::JoinHandle<()>);

impl Drop for WatchGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Services {
    /// A document of a thread or a run, of which there are only so many.
    fn document(self: &Arc<Self>, name: &DocumentRef) -> Arc<DocumentHandle> {
        DocumentHandle::open(&self.documents, &self.store, (&self.types, &self.watchers), name)
    }

    /// A document that somebody outside named, if there is room for one more.
    fn named_document(self: &Arc<Self>, name: &DocumentRef) -> Result<Arc<DocumentHandle>, DocumentUnavailable> {
        Ok(DocumentHandle::open_within(&self.documents, &self.store, (&self.types, &self.watchers), name)?)
    }

    /// A thread that has been stored, or is about to be; looking does not create one.
    async fn existing(self: &Arc<Self>, thread: &ThreadRef) -> Result<Option<Arc<ThreadHandle>>, ReadError> {
        if let Some(live) = self.threads.get(thread) {
            return Ok(Some(live));
        }
        match self.store.head(&thread.runs()).await? {
            Some(_) => Ok(Some(ThreadHandle::open(self, thread)?)),
            None => Ok(None),
        }
    }
}

impl Runtime {
    /// The same runtime, for a task of its own.
    fn share(&self) -> Self {
        Self {
            services: Arc::clone(&self.services),
            agents: Arc::clone(&self.agents),
            suggestions: Arc::clone(&self.suggestions),
            transcriber: None,
        }
    }

    /// Turns speech into text with this from now on.
    pub fn with_transcriber(mut self, transcriber: Option<Transcriber>) -> Self {
        self.transcriber = transcriber;
        self
    }

    /// Whether speech can be turned into text here.
    pub fn transcribes(&self) -> bool {
        self.transcriber.is_some()
    }

    /// The text of what is said; `None` where nothing transcribes.
    pub async fn transcribe(&self, audio: Audio) -> Option<Result<String, TranscriptionError>> {
        Some(self.transcriber.as_ref()?.transcribe(audio).await)
    }

    /// The types that documents can have.
    pub fn types(&self) -> &DocumentTypes {
        &self.services.types
    }

    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// Follows the folder of definitions for as long as the returned guard lives.
    pub fn watch_agents(&self) -> WatchGuard {
        WatchGuard(tokio::spawn(agents::watch(Arc::clone(&self.agents))))
    }

    /// Cancelled when the runtime ends its runs: streams that would not end by themselves end with it.
    pub fn stopping(&self) -> CancellationToken {
        self.services.stopping.clone()
    }

    /// Where long sessions of clients are counted, so that [`close`](Self::close) waits for their goodbyes.
    pub fn sessions(&self) -> &TaskTracker {
        &self.services.sessions
    }

    /// Whether the store answers, and takes what this process writes.
    pub async fn is_ready(&self) -> bool {
        self.services.leased.is_held() && self.services.store.ping().await.is_ok()
    }

    /// Starts a run, or answers a suggestion request, which leaves no trace.
    pub async fn run(&self, request: StartRun) -> Result<FrameStream, StartError> {
        if suggestion::is_suggestion(&request.input) {
            return self.suggest(request);
        }
        self.refuse_when_stopping()?;
        let thread = thread_ref(&request.principal, &request.input.thread_id).ok_or(StartError::InvalidThreadId)?;
        if self.services.paused.has(thread.tenant.as_str(), request.agent.id()) {
            return Err(StartError::Paused { agent: request.agent.id().to_owned() });
        }
        self.refuse_after_the_day(thread.tenant.as_str(), &request.agent).await?;
        self.run_for_client(request, &thread).await
    }

    /// Runs an agent without a thread: nothing is stored, no state is written, and dropping the stream stops it.
    pub fn suggest(&self, request: StartRun) -> Result<FrameStream, StartError> {
        self.refuse_when_stopping()?;
        let thread = thread_ref(&request.principal, &request.input.thread_id).ok_or(StartError::InvalidThreadId)?;
        if self.is_paused(&request.principal, request.agent.id()) {
            return Err(StartError::Paused { agent: request.agent.id().to_owned() });
        }
        let suggestion = Suggestion::start(request, thread, &self.suggestions, self.stopping());
        Ok(FrameStream::suggestion(suggestion))
    }

    fn refuse_when_stopping(&self) -> Result<(), StartError> {
        if self.services.stopping.is_cancelled() { Err(StartError::ShuttingDown) } else { Ok(()) }
    }

    pub async fn connect(&self, request: Connect) -> Result<FrameStream, ReadError> {
        let thread = thread_ref(&request.principal, &request.thread_id).ok_or(ReadError::InvalidThreadId)?;
        match self.services.existing(&thread).await? {
            Some(live) => live.connect(request).await,
            None => Replay::of_absent(&self.services, &thread, &request).await.map(FrameStream::replay),
        }
    }

    /// Stops the live run of a thread; on return its terminal is durable. Also stops the suggestions that pages posted
    /// under the thread's id.
    pub async fn stop(
        &self,
        principal: &Principal,
        thread_id: &str,
        run_id: Option<&str>,
    ) -> Result<StopOutcome, ReadError> {
        let thread = thread_ref(principal, thread_id).ok_or(ReadError::InvalidThreadId)?;
        let has_suggested = self.suggestions.stop(&thread, run_id);
        let outcome = self.stop_at_work(principal, &thread, run_id).await?;
        // What waits for the thread can be stopped as well.
        match self.services.queue.posted_on(&thread, run_id).filter(|_| outcome != StopOutcome::Stopped) {
            Some(waiting) => self.cancel(principal, &waiting).await.map(|_| StopOutcome::Stopped),
            None if has_suggested => Ok(StopOutcome::Stopped),
            None => Ok(outcome),
        }
    }

    /// The agent of this id, as a thread knows it: one whose definition is gone is what it was for as long as its run is
    /// live there.
    pub fn agent_on(&self, principal: &Principal, agent: &str, thread_id: &str) -> Option<Arc<Hosted>> {
        self.agents.find(agent).or_else(|| {
            let live = self.services.live_runs.on(&thread_ref(principal, thread_id)?)?;
            (live.start.agent == agent).then_some(live.agent)
        })
    }

    /// Ends every live run as interrupted, durably, and lets none start any more. Streams end with their runs.
    pub async fn end_runs(&self) {
        // Before the handles are listed: a thread that is not among them asks before it starts a run, and finds this.
        self.services.stopping.cancel();
        let handles = self.services.threads.handles();
        futures_util::future::join_all(handles.iter().map(|thread| thread.shut_down())).await;
    }

    /// Flushes and closes the store, when the last stream has read what it needs.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.services.sessions.close();
        if tokio::time::timeout(GOODBYES, self.services.sessions.wait()).await.is_err() {
            tracing::warn!("some clients did not take their goodbye in time and are cut");
        }
        if let Err(error) = self.services.leased.release().await {
            tracing::warn!(%error, "the lease could not be given back; its time passes by itself");
        }
        self.services.store.close().await
    }
}

/// How long clients have to take what is still sent to them.
const GOODBYES: Duration = Duration::from_secs(4);

const THREAD_ID_CHARACTERS: usize = 190;

/// The thread of this id that belongs to `principal`.
fn thread_ref(principal: &Principal, id: &str) -> Option<ThreadRef> {
    // Whatever parses a URL takes the dots out of its path, so that such a thread could not be named in one.
    let is_dots = matches!(id, "." | "..");
    let is_short = !id.is_empty() && id.chars().count() <= THREAD_ID_CHARACTERS;
    let legal = is_short && !is_dots && !id.chars().any(char::is_control);
    let (tenant, owner) = (principal.tenant.as_str(), principal.subject.as_str());
    legal.then(|| ThreadRef { tenant: Tenant::new(tenant), owner: Owner::new(owner), id: id.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agui::Dialect;
    use crate::store::Memory;

    #[tokio::test]
    async fn looking_at_what_does_not_exist_starts_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let agent = "agent: { kind: native, name: scripted, config: { turns: [] } }\n";
        for (name, scope) in [("own.yaml", "thread"), ("board.yaml", "shared/board")] {
            let text = format!("name: A\nstate: {{ scope: {scope} }}\n{agent}");
            std::fs::write(folder.path().join(name), text).expect("a definition");
        }
        let agents = Agents::load(folder.path());
        assert!(agents.problems().is_empty(), "{:?}", agents.problems());
        let runtime = Runtime::start(Arc::new(Memory::new()), agents).await.expect("an empty store");
        // Each agent has a document of its own, looked at or not.
        let at_work = runtime.services.documents.handles().len();
        let principal = Principal::local();
        for (n, agent) in ["own", "board"].iter().cycle().take(20).enumerate() {
            let (agent, thread_id) = (runtime.agents().find(agent).expect("it is hosted"), format!("nobody-{n}"));
            let stopped = runtime.stop(&principal, &thread_id, None).await;
            assert_eq!(stopped, Ok(StopOutcome::NothingRunning));
            assert!(runtime.messages(&principal, &thread_id).await.expect("it can be read").is_empty());
            let (principal, run_id) = (principal.clone(), String::new());
            let from = ReplayFrom::Beginning;
            let held = Vec::new();
            let connect = Connect { principal, agent, thread_id, run_id, dialect: Dialect::V1, from, held };
            assert!(runtime.connect(connect).await.expect("it can be read").next().await.is_none());
        }
        let Services { threads, documents, .. } = runtime.services.as_ref();
        assert_eq!((threads.handles().len(), documents.handles().len()), (0, at_work));
    }
}
