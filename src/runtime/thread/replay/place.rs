//! Where a client that was cut goes on: behind the last event that it names, or anew where it has what is no longer so.

use super::super::super::ReadError;
use super::super::actor::Thread;

/// Stands for whatever epoch the log has, in the positions that clients of the sockets count (docs/state-api.md §4).
const ANY_LOG: &str = "*";

/// Where a client that was cut goes on.
pub(super) enum Place {
    /// Everything, because nothing is known of what it has.
    FromStart,
    /// Everything, after telling the client to forget what it has.
    Anew,
    /// Raw entries after this position of this run, then the runs after it.
    Inside { run: usize, position: u64 },
    /// The runs from this place on.
    FromRun(usize),
    /// The live run after this position.
    Live { position: u64 },
}

impl Thread {
    pub(super) async fn after_event(&self, id: &str) -> Result<Place, ReadError> {
        let Some(position) = self.position_of(id) else { return Ok(Place::FromStart) };
        if let Some(live) = self.live_start().filter(|live| position >= live.first_position) {
            debug_assert!(live.first_position <= position);
            return Ok(Place::Live { position });
        }
        let Some(run) = self.runs.iter().position(|note| position <= note.last_position) else {
            return Ok(Place::FromRun(self.runs.len()));
        };
        let note = &self.runs[run];
        if note.superseded || self.edits_from(run + 1) {
            return Ok(Place::Anew);
        }
        if position == note.last_position {
            let later_superseded = self.runs[run..].iter().any(|note| note.superseded);
            return Ok(if later_superseded { Place::Anew } else { Place::FromRun(run + 1) });
        }
        Ok(if self.keeps(position).await? { Place::Inside { run, position } } else { Place::Anew })
    }

    /// A client that names a run has shown all before it; of a run that never began there is nothing to show.
    pub(super) fn at_run(&self, run_id: &str) -> Place {
        let run = self.runs.iter().rposition(|note| note.run_id == run_id).unwrap_or(self.runs.len());
        let is_superseded = self.runs[run..].iter().any(|note| note.superseded);
        if is_superseded || self.edits_from(run) { Place::Anew } else { Place::FromRun(run) }
    }

    /// Whether a run from this place on, or the live one, changes what a client has of the runs before.
    fn edits_from(&self, run: usize) -> bool {
        self.runs[run..].iter().any(|note| note.edits) || self.live_start().is_some_and(|start| !start.edits.is_empty())
    }

    /// Whether the raw entries after a position are still there.
    pub(super) async fn keeps(&self, position: u64) -> Result<bool, ReadError> {
        let log = self.services.store.head(&self.name.log()).await?;
        Ok(log.is_some_and(|log| log.trimmed.0 <= position))
    }

    /// The position that an SSE id of this log names.
    fn position_of(&self, id: &str) -> Option<u64> {
        let (epoch, position) = id.rsplit_once('.')?;
        let position = position.parse().ok().filter(|number: &u64| number.to_string() == position)?;
        ((epoch == self.summary.log_epoch || epoch == ANY_LOG) && position >= 1 && position <= self.position)
            .then_some(position)
    }
}
