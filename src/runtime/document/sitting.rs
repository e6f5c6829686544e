//! What a run does to a document at one sitting: it is decided and told here, and made durable by the one who sits,
//! together with what the run's own log has to say of it.
//!
//! Nobody else writes or reads meanwhile, so nobody sees what is not durable.

use std::sync::Arc;

use tokio::sync::{OwnedMutexGuard, oneshot};

use crate::agent::StateError;
use crate::agent::context::Versioned;
use crate::state::pointer::Pointer;
use crate::store::{Batch, Committed};

use super::super::outage;
use super::append::{Handed, Reply};
use super::load::Live;
use super::seat::Owner;
use super::together::Loan;
use super::{Author, DocumentHandle, DocumentUnavailable, Write};

/// A document in the hands of one run. Dropped before [`stored`](Self::stored), nothing of it stands in memory: the next
/// owner asks the store.
pub(crate) struct Sitting {
    live: Box<Live>,
    place: Place,
    handed: Handed,
}

/// Where the document goes back to.
enum Place {
    Seat(OwnedMutexGuard<Owner>),
    Queue(oneshot::Sender<Box<Live>>),
}

impl std::fmt::Debug for Sitting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sitting").field("document", &self.live.name.name).finish_non_exhaustive()
    }
}

impl DocumentHandle {
    /// Sits down at the document, at once where the seat is free. The caller must touch no other document meanwhile, and
    /// not be cancelled.
    pub(crate) async fn sit(&self) -> Result<Sitting, DocumentUnavailable> {
        if let Some(taken) = self.seat.take().await {
            let (live, guard) = taken.map_err(|broken| DocumentUnavailable::from(&broken))?;
            return Ok(Sitting { live, place: Place::Seat(guard), handed: Handed::default() });
        }
        let Loan { live, back } = self.borrow().await?;
        Ok(Sitting { live, place: Place::Queue(back), handed: Handed::default() })
    }
}

impl Sitting {
    /// The version that everything decided comes to.
    pub(crate) fn version(&self) -> u64 {
        self.live.document.version()
    }

    /// Decides a write and answers the version that holds it. After a fault of the store the sitting is to be dropped.
    pub(crate) async fn write(
        &mut self,
        write: Box<Write>,
        author: Author,
    ) -> Result<Result<u64, StateError>, DocumentUnavailable> {
        let taken = self.live.take(write, author, Reply::Told).await;
        taken.map_err(|broken| DocumentUnavailable::from(&broken))?;
        Ok(self.live.told())
    }

    /// The value at a path as an agent sees it, what was decided here included.
    pub(crate) fn read(&self, path: &Pointer, actor: &Arc<str>) -> Versioned<Option<serde_json::Value>> {
        self.live.value_at(path, actor)
    }

    /// What makes everything decided durable.
    pub(crate) fn batch(&mut self) -> Batch {
        let (batch, handed) = self.live.batch();
        self.handed = handed;
        batch
    }

    /// The batch is stored: shows it, and gives the document back. `committed` begins with what the store says of the batch's
    /// appends.
    pub(crate) async fn stored(mut self, mut committed: impl Iterator<Item = Committed>) {
        let committed = if self.handed.appends() > 0 { committed.next() } else { None };
        self.live.publish(committed, &self.handed);
        if let Err(broken) = self.live.drop_some().await {
            if let Some(others) = outage::is_to_be_said(&broken.reason) {
                tracing::error!(document = %self.live.name.name, reason = %broken.reason, others, "a document lost its store");
            }
            return;
        }
        match self.place {
            Place::Seat(mut seat) => seat.take_back(self.live),
            // An error means that the process is ending.
            Place::Queue(back) => drop(back.send(self.live)),
        }
    }
}
