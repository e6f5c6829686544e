//! Runs that nobody waits for on an open stream: queued durably, started in their thread when there is room, and their
//! records, which everybody can read.
//!
//! What happens in a run is the thread's; this is what happens around it.

mod asked;
mod cancel;
mod lifecycle;
mod line;
mod look;
mod queue;
mod record;
mod submit;
mod ticket;

use crate::agent::cause::Cause;
use crate::store::Settle;

use super::StartRun;

pub(crate) use asked::{Asked, WAITING as ASKED_WAITING, serve_asked};
pub(crate) use lifecycle::{Life, Unreadable, name_of};
pub use look::{RunPage, RunQuery};
pub(crate) use queue::{Queue, serve};
pub use record::{Lifecycle, ModelUsage, RunError, RunStatus, RunUsage};
pub use submit::{Submission, SubmitError, Submitted, ThreadChoice};

/// A run on its way into its thread.
#[derive(Debug)]
pub(crate) struct Starting {
    pub(crate) request: StartRun,
    pub(crate) cause: Cause,
    /// Whether somebody reads its stream.
    pub(crate) wants_stream: bool,
    /// Of a run that waited in the queue.
    pub(crate) from_queue: Option<FromQueue>,
}

/// What a run that waited brings along.
#[derive(Debug)]
pub(crate) struct FromQueue {
    /// Its record so far.
    pub(crate) life: Life,
    /// What waits, until the run has begun.
    pub(crate) settle: Settle,
    /// Whether the agent is told the whole thread, and not what the input lists of it.
    pub(crate) tells_all: bool,
    /// Whether instructions in its input are told to the agent, whatever its definition says of those of clients.
    pub(crate) keeps_instructions: bool,
}

/// The id of a run, minted here: ids are in the order of time.
pub(crate) fn new_run_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
