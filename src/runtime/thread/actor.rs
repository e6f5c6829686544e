//! The task that owns a live thread: one loop over everything that can wake it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::agent::AgentError;
use crate::agui::Event;
use crate::store::{CommitError, Seq};

use super::super::keeping::KeepingError;
use super::super::live_runs::Entered;
use super::super::outage;
use super::super::registry::OwnerId;
use super::super::work::Step;
use super::super::{FrameStream, ReadError, Services, StartError};
use super::append::TEXT_DELAY;
use super::chunk::Chunk;
use super::ghosts::LastGhosts;
use super::lifecycle::AlongWith;
use super::live::{Ending, LiveRun};
use super::load::Summary;
use super::memory::Growth;
use super::note::RunNote;
use super::record::{RunRecord, RunStart};
use super::start::StartFailure;
use super::tail::Tail;
use super::transcript::Transcript;
use super::{Command, StopOutcome, ThreadRef, ThreadView};

/// A thread that nobody asked anything for this long leaves memory.
const IDLE: Duration = Duration::from_secs(60);
/// How often the store is asked again to take what is owed to it.
const RETRY: Duration = Duration::from_secs(5);

/// Everything a live thread knows.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) services: Arc<Services>,
    pub(super) name: ThreadRef,
    pub(super) summary: Summary,
    pub(super) transcript: Transcript,
    /// Finished runs in order; a run's place here is its place in the thread's stream, from 0.
    pub(super) runs: Vec<RunNote>,
    /// Last stored sequence number of the stream of runs.
    pub(super) runs_seq: Seq,
    /// Last stored position of the log.
    pub(super) log_seq: Seq,
    /// The store's name for this log among those that a thread of this id has had; empty before the first commit.
    pub(super) log_lineage: Arc<str>,
    /// Last position given out, stored or not.
    pub(super) position: u64,
    /// State versions of log entries never go back.
    pub(super) state_version: u64,
    pub(super) tail: Arc<Tail>,
    /// Boxed: mostly a thread in memory has none.
    pub(super) live: Option<Box<LiveRun>>,
    /// A run that has ended is among those at work until its end is stored, and no longer when somebody hears of it.
    pub(super) ending: Option<Entered>,
    pub(super) owed: Option<Owed>,
    pub(super) growth: Growth,
    /// What the last run predicted; a client that was cut in it may still show that.
    pub(super) ghosts: LastGhosts,
}

/// The end of the last run, which a crash cut off: known and shown, and not stored while the store takes nothing.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) chunk: Arc<Chunk>,
    pub(super) record: Arc<RunRecord>,
    pub(super) along: AlongWith,
}

/// The store failed under the thread: its memory is no longer worth keeping.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) reason: String,
}

impl From<CommitError> for Broken {
    fn from(error: CommitError) -> Self {
        Self { reason: error.to_string() }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.tail.close();
    }
}

/// Runs a thread's task until it is idle, broken or shut down.
pub(super) async fn run(
    services: Arc<Services>,
    name: ThreadRef,
    id: OwnerId,
    mut inbox: mpsc::Receiver<Box<Command>>,
) {
    let mut thread = match Box::pin(Thread::load(Arc::clone(&services), name.clone())).await.map(Box::new) {
        Ok(thread) => thread,
        Err(broken) => return Box::pin(refuse_all(&services, &name, id, inbox, &broken)).await,
    };
    match thread.serve(id, &mut inbox).await {
        Ok(()) => {}
        Err(broken) => {
            thread.abandon(&broken);
            Box::pin(refuse_all(&services, &name, id, inbox, &broken)).await;
            // Behind this task, which is in the way of the next one until here.
            services.lost.note(name);
        }
    }
}

/// Answers what still waits and makes room for a fresh owner.
async fn refuse_all(
    services: &Services,
    name: &ThreadRef,
    id: OwnerId,
    mut inbox: mpsc::Receiver<Box<Command>>,
    broken: &Broken,
) {
    if let Some(others) = outage::is_to_be_said(&broken.reason) {
        tracing::error!(thread = %name.id, reason = %broken.reason, others, "a thread lost its store");
    }
    services.threads.discard(name, id);
    inbox.close();
    while let Some(command) = inbox.recv().await {
        let reason = broken.reason.clone();
        match *command {
            Command::Start { reply, .. } => drop(reply.send(Err(StartError::Unavailable { reason }))),
            Command::Connect { reply, .. } | Command::Finished { reply } => {
                drop(reply.send(Err(ReadError::Unavailable { reason })));
            }
            Command::Run { reply, .. } => drop(reply.send(Err(ReadError::Unavailable { reason }))),
            Command::Stop { reply, .. } => drop(reply.send(Err(ReadError::Unavailable { reason }))),
            Command::View { reply, .. } => drop(reply.send(Err(ReadError::Unavailable { reason }))),
            Command::Amend { reply, .. } => drop(reply.send(Err(KeepingError::Unavailable { reason }))),
            Command::Delete { reply, .. } => drop(reply.send(Err(KeepingError::Unavailable { reason }))),
            Command::ShutDown { done } => drop(done.send(())),
        }
    }
}

/// The closed set of things that wake a thread.
enum Wake {
    Command(Option<Box<Command>>),
    Agent(Step),
    TextIsDue,
    /// The live run has used its time, or nothing came of it for too long.
    TimeIsUp(AgentError),
    DebtIsDue,
    Idle,
}

impl Thread {
    pub(super) fn new(services: Arc<Services>, name: ThreadRef, summary: Summary, runs_seq: Seq, log_seq: Seq) -> Self {
        let tail = Arc::new(Tail::new(log_seq.0, &summary.log_epoch));
        Self {
            services,
            name,
            summary,
            transcript: Transcript::default(),
            // Most threads have one run, and a vector that grows takes room for four.
            runs: Vec::with_capacity(1),
            runs_seq,
            log_seq,
            log_lineage: Arc::from(""),
            position: log_seq.0,
            state_version: 0,
            tail,
            live: None,
            ending: None,
            owed: None,
            ghosts: None,
            growth: Growth::default(),
        }
    }

    async fn serve(&mut self, id: OwnerId, inbox: &mut mpsc::Receiver<Box<Command>>) -> Result<(), Broken> {
        loop {
            // Boxed, because a task is as large as the largest thing it ever waits in, and mostly it waits for nothing.
            match self.wake(inbox).await {
                Wake::Command(Some(command)) => self.obey(*command).await?,
                Wake::Command(None) => return Ok(()),
                Wake::Agent(Step::Emissions(emissions)) => Box::pin(self.absorb(emissions)).await?,
                Wake::Agent(Step::Ended(rest, ended)) => Box::pin(self.agent_ended(rest, ended)).await?,
                Wake::TextIsDue => Box::pin(self.append(Vec::new())).await?,
                Wake::TimeIsUp(error) => Box::pin(self.finish(Ending::Failed(error))).await?,
                Wake::DebtIsDue => match Box::pin(self.settle()).await {
                    Ok(()) => tracing::info!(thread = %self.name.id, "the end of a cut-off run is stored now"),
                    Err(error) => tracing::debug!(thread = %self.name.id, %error, "still no room for a run's end"),
                },
                Wake::Idle => {
                    Box::pin(self.keep_what_was_heard()).await;
                    if self.services.threads.retire(&self.name, id) {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn wake(&mut self, inbox: &mut mpsc::Receiver<Box<Command>>) -> Wake {
        let Some(live) = &mut self.live else {
            // One timer here and one below, because a timer is a good part of an idle thread's task. What is owed is tried
            // again long before the thread counts as idle.
            let time = if self.owed.is_some() { RETRY } else { IDLE };
            return tokio::select! {
                command = inbox.recv() => Wake::Command(command),
                () = tokio::time::sleep(time) => if self.owed.is_some() { Wake::DebtIsDue } else { Wake::Idle },
                () = self.services.threads.crowded() => Wake::Idle,
            };
        };
        let text_is_due = live.text.since.map(|since| since + TEXT_DELAY);
        let time_is_up = live.time.ends();
        let due = [text_is_due, time_is_up].into_iter().flatten().min();
        tokio::select! {
            biased;
            command = inbox.recv() => Wake::Command(command),
            step = live.work.next() => {
                live.time.progress();
                Wake::Agent(step)
            }
            () = until(due), if due.is_some() => match text_is_due == due {
                true => Wake::TextIsDue,
                false => Wake::TimeIsUp(live.time.why()),
            },
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), Broken> {
        match command {
            Command::Start { request, reply } => {
                let started = Box::pin(self.start(request)).await;
                let (answer, outcome) = match started {
                    Ok(follow) => (Ok(follow.map(FrameStream::follow)), Ok(())),
                    Err(StartFailure::Refused(error)) => (Err(error), Ok(())),
                    Err(StartFailure::AnswersNothing(told)) => (Ok(Some(FrameStream::whole(told))), Ok(())),
                    Err(StartFailure::Broken(broken)) => {
                        (Err(StartError::Unavailable { reason: broken.reason.clone() }), Err(broken))
                    }
                    Err(StartFailure::Full(broken)) => (Err(StartError::StorageFull), Err(broken)),
                    Err(StartFailure::Settled(broken)) => (Err(StartError::Settled), Err(broken)),
                };
                let _ = reply.send(answer);
                outcome
            }
            Command::Connect { request, reply } => {
                let _ = reply.send(Box::pin(self.replay(*request)).await);
                Ok(())
            }
            Command::Run { run_id, after, listening, reply } => {
                let _ = reply.send(Box::pin(self.replay_run(&run_id, after, listening)).await);
                Ok(())
            }
            Command::Finished { reply } => {
                let _ = reply.send(Box::pin(self.replay_finished()).await);
                Ok(())
            }
            Command::Stop { run_id, ending, reply } => {
                let outcome = self.stop_outcome(run_id.as_deref());
                let ended = match outcome {
                    StopOutcome::Stopped => Box::pin(self.finish(ending.into())).await,
                    StopOutcome::NothingRunning | StopOutcome::OtherRun => Ok(()),
                };
                let answer = ended.as_ref().map(|()| outcome);
                let _ = reply.send(answer.map_err(|broken| ReadError::Unavailable { reason: broken.reason.clone() }));
                ended
            }
            Command::View { agent, reply } => {
                let messages = self.transcript.messages().cloned().collect();
                let document = agent.as_ref().or(self.summary.agent.as_ref()).and_then(|agent| self.document_of(agent));
                let _ = reply.send(Ok(ThreadView { messages, document }));
                Ok(())
            }
            Command::Amend { amendment, reply } => {
                let _ = reply.send(Box::pin(self.amend(amendment)).await);
                Ok(())
            }
            Command::Delete { actor, reply } => {
                let _ = reply.send(Box::pin(self.delete(actor)).await);
                Ok(())
            }
            // Readers are answered until the process is gone.
            Command::ShutDown { done } => {
                let ended = match self.live.as_ref().is_some_and(|live| live.journal.is_some()) {
                    true => Box::pin(self.suspend()).await,
                    false => Box::pin(self.finish(Ending::Interrupted)).await,
                };
                if let Err(error) = Box::pin(self.settle()).await {
                    tracing::warn!(thread = %self.name.id, %error, "the next start has to close a run again");
                }
                let _ = done.send(());
                ended
            }
        }
    }

    fn stop_outcome(&self, run_id: Option<&str>) -> StopOutcome {
        match (&self.live, run_id) {
            (None, _) => StopOutcome::NothingRunning,
            (Some(live), Some(run_id)) if !live.start.is_posted_as(run_id) => StopOutcome::OtherRun,
            (Some(_), _) => StopOutcome::Stopped,
        }
    }

    /// Tells live readers that the run is lost with its store; a restart of the thread closes it properly.
    fn abandon(&mut self, broken: &Broken) {
        if self.live.take().is_some() {
            self.show_lost(broken);
        }
    }

    /// The terminal that readers get when the store took none.
    pub(super) fn show_lost(&self, broken: &Broken) {
        let message = format!("the run was lost because its store failed: {}", broken.reason);
        let error = Event::run_error(message, "internal");
        let chunk = Chunk::provisional(&[error], self.position + 1, self.state_version);
        self.tail.publish_provisional(Arc::new(chunk));
    }

    /// The run that is live, as a start that refuses a second one names it.
    pub(super) fn live_start(&self) -> Option<&RunStart> {
        self.live.as_ref().map(|live| &*live.start)
    }
}

async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due.into()).await;
    }
}
