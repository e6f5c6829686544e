//! A thread's name, its place in the archive, and its end.

use std::collections::HashSet;

use crate::store::{Batch, Seq};

use super::super::clock::now;
use super::super::document::DocumentRef;
use super::super::keeping::{Amendment, KeepingError, Naming};
use super::super::runs::RunStatus;
use super::super::view::ThreadItem;
use super::actor::Thread;
use super::load::Summary;

impl Thread {
    /// Changes what lists show; a run that is live goes on.
    pub(super) async fn amend(&mut self, amendment: Amendment) -> Result<ThreadItem, KeepingError> {
        let before = self.summary.clone();
        match amendment.name {
            Naming::Keep => {}
            Naming::Clear => self.summary.name = None,
            Naming::Set(name) => self.summary.name = Some(name),
        }
        self.summary.archived = amendment.archived.unwrap_or(before.archived);
        if (&self.summary.name, self.summary.archived) != (&before.name, before.archived) {
            self.summary.updated_at = now();
            let append = self.summary_append();
            if let Err(error) = self.services.store.commit(append.into()).await {
                self.summary = before;
                return Err(KeepingError::Unavailable { reason: error.to_string() });
            }
        }
        ThreadItem::of(&self.name.id, self.summary.clone()).ok_or(KeepingError::UnknownThread)
    }

    /// Ends the state that is this thread's alone, then the thread. Lists name the thread until the last step but one,
    /// so that a deletion that was cut off can be asked for again.
    pub(super) async fn delete(&mut self, actor: String) -> Result<(), KeepingError> {
        if let Some(live) = self.live_start() {
            return Err(KeepingError::Busy { run_id: live.run_id.clone() });
        }
        if self.summary.agent.is_none() {
            return Err(KeepingError::UnknownThread);
        }
        let unavailable = |error: &dyn std::fmt::Display| KeepingError::Unavailable { reason: error.to_string() };
        for document in self.own_documents() {
            self.services.document(&document).end(actor.clone()).await.map_err(|error| unavailable(&error))?;
        }
        if let Some(mut life) = self.waiting_life().await {
            life.told.status = RunStatus::Cancelled;
            let batch = life.next_with(Batch::default(), &self.services.watchers);
            self.services.store.commit(batch).await.map_err(|error| unavailable(&error))?;
            life.show(&self.services);
            self.services.standings.amended(life.tenant(), &life.told);
        }
        for stream in [self.name.runs(), self.name.log(), self.name.journal()] {
            self.services.store.delete(&stream).await.map_err(|error| unavailable(&error))?;
        }
        *self = Self::new(self.services.clone(), self.name.clone(), Summary::new(), Seq(0), Seq(0));
        Ok(())
    }

    /// Documents that belong to this thread's owner and not to an agent or a group (docs/agents.md §6).
    fn own_documents(&self) -> HashSet<DocumentRef> {
        let documents = self.runs.iter().map(|note| &note.document);
        documents.filter(|document| document.owner == self.name.owner).cloned().collect()
    }
}
