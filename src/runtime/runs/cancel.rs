//! Ending a run from outside, wherever it is: in the queue, at work, and with the runs that it waits for.

use crate::access::Principal;
use crate::store::{Batch, CommitError, Settle};

use super::super::clock::now;
use super::super::thread::{StopOutcome, StopReason, ThreadRef};
use super::super::{ReadError, Runtime, Services};
use super::lifecycle::Life;
use super::record::{Lifecycle, RunStatus};
use super::ticket::Ticket;
use super::turn::Turn;

impl Runtime {
    /// Ends a run, with those that it started and waits for; on return its end is durable. Answers the run as it is then,
    /// also one that was over before; `None` when the principal has no such run.
    pub async fn cancel(&self, principal: &Principal, run_id: &str) -> Result<Option<Lifecycle>, ReadError> {
        loop {
            let attempted = self.services.queue.attempted().notified();
            let mut attempted = std::pin::pin!(attempted);
            attempted.as_mut().enable();
            let is_own = |ticket: &Ticket| ticket.tenant == principal.tenant && ticket.owner == principal.subject;
            if let Some((turn, ticket, life)) = self.services.queue.take(run_id, is_own) {
                self.take_back(turn, &ticket, life).await?;
                return self.run_record(principal, run_id).await;
            }
            if self.services.live_runs.is_of(run_id, principal) {
                self.cancel_children(principal, run_id).await?;
                if let Some(live) =
                    self.services.live_runs.get(run_id).and_then(|run| self.services.threads.get(&run.thread))
                {
                    live.stop(Some(run_id.to_owned()), StopReason::Asked).await?;
                }
                return self.run_record(principal, run_id).await;
            }
            if !self.services.queue.has(run_id) {
                return self.run_record(principal, run_id).await;
            }
            // It is being started just now: it is ended where it will be.
            attempted.await;
        }
    }

    /// Stops what is at work on a thread, with the runs that it asked for. Those that have not begun are held meanwhile, so that
    /// none begins in its place.
    pub(in super::super) async fn stop_at_work(
        &self,
        principal: &Principal,
        thread: &ThreadRef,
        run_id: Option<&str>,
    ) -> Result<StopOutcome, ReadError> {
        let Services { threads, live_runs, queue, .. } = self.services.as_ref();
        // Whoever has a live run is live.
        let Some(live) = threads.get(thread) else { return Ok(StopOutcome::NothingRunning) };
        let at_work = live_runs.on(thread).map(|run| run.start.run_id.clone());
        let asked = at_work.iter().flat_map(|run| queue.asked_by(run));
        let held: Vec<_> = asked.filter_map(|child| queue.take(&child, |_| true)).collect();
        let outcome = live.stop(run_id.map(str::to_owned), StopReason::Asked).await?;
        if let (StopOutcome::Stopped, Some(stopped)) = (outcome, at_work) {
            for (turn, ticket, life) in held {
                self.take_back(turn, &ticket, life).await?;
            }
            self.cancel_children(principal, &stopped).await?;
        }
        Ok(outcome)
    }

    /// Ends the runs that a run asked for and that have not begun, and those that it waits for.
    async fn cancel_children(&self, principal: &Principal, run_id: &str) -> Result<(), ReadError> {
        let live = self.services.live_runs.children(run_id).into_iter().map(|child| child.start.run_id.clone());
        for child in self.services.queue.asked_by(run_id).into_iter().chain(live) {
            Box::pin(self.cancel(principal, &child)).await?;
        }
        Ok(())
    }

    /// Ends a run that never began.
    async fn take_back(&self, turn: Turn, ticket: &Ticket, mut life: Life) -> Result<(), ReadError> {
        life.told.status = RunStatus::Cancelled;
        life.told.finished_at = Some(now());
        let settle = vec![Settle::from(ticket.key())];
        let batch = life.next_with(Batch { settle, ..Batch::default() }, &self.services.watchers);
        match self.services.store.commit(batch).await {
            // Somebody else has started it, or taken it back before.
            Ok(_) | Err(CommitError::Settled { .. }) => {
                turn.leave();
                life.show(&self.services);
                self.services.standings.saw(&ticket.tenant, &life.told);
                Ok(())
            }
            Err(error) => Err(ReadError::Unavailable { reason: error.to_string() }),
        }
    }
}
