//! Runs that ended on questions: their lifecycle says `waiting` for as long as their thread waits.

use super::super::runs::{Life, RunStatus, name_of};
use super::actor::Thread;
use super::lifecycle::AlongWith;
use super::note::RunNote;

impl Thread {
    /// With the end of a run that did not fail, which nobody remembers yet: what was open before it is asked no more. The
    /// run that asked has succeeded where this one `answers` it, and is cancelled where the questions were given up.
    pub(super) async fn end_wait(&self, answers: bool, along: &mut AlongWith) {
        let Some(mut life) = self.waiting_life().await else { return };
        life.told.status = if answers { RunStatus::Succeeded } else { RunStatus::Cancelled };
        along.batch = life.next_with(std::mem::take(&mut along.batch), &self.services.watchers);
        along.asked = Some(life);
    }

    /// Whether a run waits, as far as memory tells.
    pub(super) fn has_asked(&self) -> bool {
        waiting_run(&self.runs).is_some()
    }

    /// The record of the run that waits. One that cannot be read is told of, and stays as it is.
    pub(super) async fn waiting_life(&self) -> Option<Box<Life>> {
        let note = waiting_run(&self.runs)?;
        let name = name_of(self.name.tenant.clone(), self.name.owner.clone(), &note.run_id);
        match Life::read(self.services.store.as_ref(), name).await {
            Ok(life) => life.filter(|life| life.told.status == RunStatus::Waiting).map(Box::new),
            Err(error) => {
                tracing::warn!(run = %note.run_id, %error, "a run that waits no more still says that it does");
                None
            }
        }
    }
}

/// The last run that did not fail, if it asked: its end settled what was open before, superseded or not.
fn waiting_run(runs: &[RunNote]) -> Option<&RunNote> {
    runs.iter().rfind(|note| !note.failed).filter(|note| !note.questions.is_empty())
}
