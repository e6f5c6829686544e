//! What the runtime is asked, and why it may refuse.

use std::sync::Arc;

use thiserror::Error;

use crate::access::Principal;
use crate::agui::{Dialect, Encoding, Message, RunAgentInput};
use crate::store::{CommitError, StoreError};

use super::agents::Hosted;
use super::document::DocumentUnavailable;
use super::registry::NoRoom;

/// A request to run an agent on a thread.
#[derive(Debug)]
pub struct StartRun {
    pub principal: Principal,
    pub agent: Arc<Hosted>,
    pub input: RunAgentInput,
    /// Request headers that may travel on to an upstream agent, lower-case names.
    pub headers: Vec<(String, String)>,
    /// How the answer's events are encoded.
    pub encoding: Encoding,
}

/// A request to see a thread from its beginning, or from where a client was cut.
#[derive(Debug)]
pub struct Connect {
    pub principal: Principal,
    pub agent: Arc<Hosted>,
    pub thread_id: String,
    /// Names the synthetic run of a thread without runs.
    pub run_id: String,
    pub dialect: Dialect,
    pub from: ReplayFrom,
    /// Messages that the client has and keeps: what is told again of them would be added to what they say.
    pub held: Vec<Message>,
}

/// From where on a thread is replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayFrom {
    Beginning,
    /// After the event with this id, `<log epoch>.<position>` as a frame carried it.
    Event(String),
    /// From the beginning of this run.
    Run(String),
}

/// Why a run did not start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StartError {
    #[error("agent `{agent}` does not exist")]
    UnknownAgent { agent: String },
    #[error("a thread id has 1 to 190 characters, no control characters among them, and is not `.` or `..`")]
    InvalidThreadId,
    #[error("run {run_id} is live on this thread")]
    Busy { run_id: String },
    #[error("agent `{agent}` is paused: resume it first")]
    Paused { agent: String },
    #[error("{message}")]
    DayIsOver { message: String },
    #[error("agent `{agent}` has {most} runs waiting, which is as many as it may")]
    QueueFull { agent: String, most: usize, retry_after_seconds: u64 },
    /// Of a run that waited.
    #[error("the run was started or taken back before")]
    Settled,
    #[error("the server's disk is full; nothing was stored")]
    StorageFull,
    #[error("{reason}")]
    Unavailable { reason: String },
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    #[error("{reason}")]
    Unavailable { reason: String },
    #[error("a thread id has 1 to 190 characters, no control characters among them, and is not `.` or `..`")]
    InvalidThreadId,
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

const NO_ROOM: &str = "as many threads are live as this server takes; try again in a moment";

impl From<NoRoom> for ReadError {
    fn from(_: NoRoom) -> Self {
        Self::Unavailable { reason: NO_ROOM.to_owned() }
    }
}

impl From<NoRoom> for StartError {
    fn from(_: NoRoom) -> Self {
        Self::Unavailable { reason: NO_ROOM.to_owned() }
    }
}

impl From<DocumentUnavailable> for StartError {
    fn from(error: DocumentUnavailable) -> Self {
        if error.is_full { Self::StorageFull } else { Self::Unavailable { reason: error.reason } }
    }
}

impl From<CommitError> for StartError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full => Self::StorageFull,
            CommitError::Settled { .. }
            | CommitError::Stale { .. }
            | CommitError::Repeated { .. }
            | CommitError::Fenced { .. }
            | CommitError::Unavailable { .. } => Self::Unavailable { reason: error.to_string() },
        }
    }
}

impl From<DocumentUnavailable> for ReadError {
    fn from(error: DocumentUnavailable) -> Self {
        Self::Unavailable { reason: error.reason }
    }
}
