//! A thread while it lives: how others name it, what they may ask of it, and the handle they hold.
//!
//! One task owns each live thread; it decides, appends to the store, and only then shows.

mod actor;
mod admit;
mod append;
mod audience;
mod burst;
mod chunk;
mod elsewhere;
mod finish;
mod follow;
mod ghosts;
mod journal;
mod keeping;
mod lifecycle;
mod live;
mod load;
mod lost;
mod memory;
mod note;
mod old_questions;
mod peer;
mod posted_state;
mod prediction;
mod questions;
mod record;
mod replay;
mod resume;
mod start;
mod story;
mod tail;
mod time;
mod transcript;
mod waits;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::access::Principal;
use crate::agui::{Dialect, Encoding, Message};
use crate::store::{Kind, Owner, Scope, StreamKey, Tenant};

use super::document::DocumentRef;
use super::keeping::{Amendment, KeepingError};
use super::registry::{NoRoom, Registry};
use super::runs::Starting;
use super::types::Names;
use super::view::ThreadItem;
use super::{Connect, FrameStream, ReadError, Services, StartError};
pub(crate) use follow::Follow;
pub(crate) use load::Summary;
pub(crate) use lost::{Lost, take_up_lost};
pub(crate) use record::RunStart;
pub(crate) use replay::Replay;
pub(crate) use resume::{definition_of, fence_of};

/// Names a thread. Another tenant's or user's thread of the same id is another thread. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ThreadRef {
    pub(crate) tenant: Tenant,
    pub(crate) owner: Owner,
    pub(crate) id: Arc<str>,
}

impl ThreadRef {
    /// The stream of finished runs; its summary is what lists show.
    pub(crate) fn runs(&self) -> StreamKey {
        self.stream(Kind::Thread)
    }

    /// The stream of raw log entries; its summary describes the live run.
    pub(crate) fn log(&self) -> StreamKey {
        self.stream(Kind::Log)
    }

    /// Its owner, as schemas speak of readers.
    pub(crate) fn names(&self) -> Names {
        Names::of(&self.principal())
    }

    /// Whose it is.
    pub(crate) fn principal(&self) -> Principal {
        Principal { tenant: self.tenant.as_str().to_owned(), subject: self.owner.as_str().to_owned() }
    }

    pub(crate) fn of(stream: &StreamKey) -> Self {
        let StreamKey { scope: Scope { tenant, owner, .. }, id } = stream.clone();
        Self { tenant, owner, id }
    }

    /// The stream of what the live run has done.
    pub(crate) fn journal(&self) -> StreamKey {
        self.stream(Kind::Journal)
    }

    fn stream(&self, kind: Kind) -> StreamKey {
        let Self { tenant, owner, id } = self.clone();
        StreamKey { scope: Scope { tenant, owner, kind }, id }
    }
}

/// The answer to a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    Stopped,
    NothingRunning,
    /// A run is live, but not the one that was named.
    OtherRun,
}

/// Why a run is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Somebody asked for it.
    Asked,
    /// Another run takes its place.
    Superseded,
}

/// What a client understands, and how it wants it written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listening {
    pub(crate) dialect: Dialect,
    pub(crate) encoding: Encoding,
}

/// What a thread's messages and state are.
#[derive(Debug, Default)]
pub(crate) struct ThreadView {
    pub(crate) messages: Vec<Arc<Message>>,
    /// What the agent that is asked about, or the last one, worked on last.
    pub(crate) document: Option<DocumentRef>,
}

/// The closed set of things a thread's task answers.
#[derive(Debug)]
enum Command {
    Start {
        request: Box<Starting>,
        reply: oneshot::Sender<Result<Option<FrameStream>, StartError>>,
    },
    Connect {
        request: Box<Connect>,
        reply: oneshot::Sender<Result<Replay, ReadError>>,
    },
    /// One run, after a position of the log.
    Run {
        run_id: String,
        after: Option<u64>,
        listening: Listening,
        reply: oneshot::Sender<Result<Option<Replay>, ReadError>>,
    },
    /// The finished runs, whoever answered them.
    Finished {
        reply: oneshot::Sender<Result<Replay, ReadError>>,
    },
    Stop {
        run_id: Option<String>,
        ending: StopReason,
        reply: oneshot::Sender<Result<StopOutcome, ReadError>>,
    },
    View {
        agent: Option<String>,
        reply: oneshot::Sender<Result<ThreadView, ReadError>>,
    },
    Amend {
        amendment: Amendment,
        reply: oneshot::Sender<Result<ThreadItem, KeepingError>>,
    },
    Delete {
        /// Who asks, as commits name them.
        actor: String,
        reply: oneshot::Sender<Result<(), KeepingError>>,
    },
    /// Suspends the live run, or ends it as interrupted when it cannot go on later; the process is about to end.
    ShutDown {
        done: oneshot::Sender<()>,
    },
}

/// How the rest of the runtime holds a live thread.
#[derive(Debug)]
pub(crate) struct ThreadHandle {
    /// Boxed commands: a queue takes room for many of them at once.
    inbox: mpsc::Sender<Box<Command>>,
}

pub(crate) type Threads = Registry<ThreadRef, ThreadHandle>;

const INBOX: usize = 64;
/// Threads that live at a time, whether a run is live on them or they were used in the last minute.
pub(crate) const LIVE: usize = 16_384;

impl ThreadHandle {
    /// The live thread, its task started now if need be.
    pub(crate) fn open(services: &Arc<Services>, thread: &ThreadRef) -> Result<Arc<Self>, NoRoom> {
        services.threads.get_or_start_within(thread, |id| {
            let (inbox, commands) = mpsc::channel(INBOX);
            services.threads.spawn_owner(thread, id, actor::run(Arc::clone(services), thread.clone(), id, commands));
            Self { inbox }
        })
    }

    /// Starts a run; the answer comes when `RUN_STARTED` is durable.
    pub(crate) async fn start(&self, request: Box<Starting>) -> Result<Option<FrameStream>, StartError> {
        let gone = || StartError::Unavailable { reason: "the thread's owner has stopped; try again".to_owned() };
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Box::new(Command::Start { request, reply })).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    pub(crate) async fn connect(&self, request: Connect) -> Result<FrameStream, ReadError> {
        let request = Box::new(request);
        self.ask(|reply| Command::Connect { request, reply }).await.map(FrameStream::replay)
    }

    /// The events of a run, after a position of the log; `None` for a run that is none of this thread's.
    pub(crate) async fn run(
        &self,
        run_id: String,
        after: Option<u64>,
        listening: Listening,
    ) -> Result<Option<FrameStream>, ReadError> {
        let replay: Option<Replay> = self.ask(|reply| Command::Run { run_id, after, listening, reply }).await?;
        Ok(replay.map(FrameStream::replay))
    }

    /// The frames of the finished runs, in pieces.
    pub(crate) async fn finished(&self) -> Result<Vec<Bytes>, ReadError> {
        let mut replay = self.ask(|reply| Command::Finished { reply }).await?;
        let mut frames = Vec::new();
        while let Some(bytes) = replay.next().await {
            frames.push(bytes?);
        }
        Ok(frames)
    }

    pub(crate) async fn stop(&self, run_id: Option<String>, ending: StopReason) -> Result<StopOutcome, ReadError> {
        self.ask(|reply| Command::Stop { run_id, ending, reply }).await
    }

    /// With what an agent, by default the last one, worked on.
    pub(crate) async fn view(&self, agent: Option<String>) -> Result<ThreadView, ReadError> {
        self.ask(|reply| Command::View { agent, reply }).await
    }

    pub(crate) async fn amend(&self, amendment: Amendment) -> Result<ThreadItem, KeepingError> {
        self.ask(|reply| Command::Amend { amendment, reply }).await
    }

    pub(crate) async fn delete(&self, actor: String) -> Result<(), KeepingError> {
        self.ask(|reply| Command::Delete { actor, reply }).await
    }

    /// Waits until the live run, if any, is suspended or closed, and stored.
    pub(crate) async fn shut_down(&self) {
        let (done, ended) = oneshot::channel();
        if self.inbox.send(Box::new(Command::ShutDown { done })).await.is_ok() {
            // An error means that the task ended without answering: nothing is left to wait for.
            let _ = ended.await;
        }
    }

    async fn ask<T, E: From<ReadError>>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Command,
    ) -> Result<T, E> {
        let gone = || ReadError::Unavailable { reason: "the thread's owner has stopped; try again".to_owned() };
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Box::new(command(reply))).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
