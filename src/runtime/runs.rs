//! Runs that nobody waits for on an open stream: queued durably, started in their thread when there is room, and their
//! records, which everybody can read.
//!
//! What happens in a run is the thread's; this is what happens around it.

mod asked;
mod cancel;
mod conflict;
mod dead;
mod join;
pub(crate) mod ledger;
mod lifecycle;
mod limits;
mod line;
mod look;
mod pause;
mod queue;
mod record;
mod retry;
mod standing;
mod steps;
mod submit;
mod ticket;
mod turn;

use super::StartRun;
use crate::agent::cause::Cause;

pub(crate) use asked::{Asked, WAITING as ASKED_WAITING, serve_asked};
pub(crate) use dead::dead_letter;
pub use dead::{DeadLetter, DeadLetterCursor, DeadLetterPage};
pub(crate) use ledger::Ledger;
pub use ledger::{UsageBy, UsageItem};
pub(crate) use lifecycle::{Life, Unreadable, name_of};
pub(crate) use limits::Chains;
pub use look::{RunPage, RunQuery};
pub use pause::PauseError;
pub(crate) use pause::Paused;
pub(crate) use queue::{Queue, serve};
pub use record::{Lifecycle, ModelUsage, RunError, RunStatus, RunUsage};
pub(crate) use retry::{RetryPlan, Verdict};
pub(crate) use standing::{Standings, begin, keep};
pub use steps::StepItem;
pub use submit::{Behalf, Submission, SubmitError, Submitted, ThreadChoice};
pub(crate) use ticket::Ticket;

/// A run on its way into its thread.
#[derive(Debug)]
pub(crate) struct Starting {
    pub(crate) request: StartRun,
    pub(crate) cause: Cause,
    /// Whether somebody reads its stream.
    pub(crate) wants_stream: bool,
    /// Of a run that waited in the queue. Boxed: most did not, and a start is moved several times on its way.
    pub(crate) from_queue: Option<Box<FromQueue>>,
}

/// What a run that waited brings along.
#[derive(Debug)]
pub(crate) struct FromQueue {
    /// Its record so far.
    pub(crate) life: Life,
    /// What waits, until the run has begun.
    pub(crate) ticket: Ticket,
}

/// The id of a run, minted here: ids are in the order of time.
pub(crate) fn new_run_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
