//! Runs that are not started: too far from what a person or the API began, too many of one beginning, or more than the
//! agent's day may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::agent::cause::CauseKind;
use crate::store::{Batch, CommitError, Kind, Owner, Scope, Store, StoreError, Tenant};

use super::super::agents::Hosted;
use super::super::clock::now;
use super::super::{Runtime, StartError};
use super::dead::dead_letter;
use super::lifecycle::{Life, Unreadable, of_head};
use super::record::{RunError, RunStatus};
use super::submit::{SubmitError, Submitted, queued, stored_before};
use super::ticket::Ticket;

/// Chains whose length is remembered.
const CHAINS: usize = 4096;
/// Read from the store at once.
const PAGE: usize = 200;

/// How many runs have come of each beginning.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    /// A lock, because whoever submits counts; held for a map access. By the id of the first run.
    runs: Mutex<HashMap<String, u64>>,
}

/// Why a run is not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Limit {
    Depth(String),
    Runs(String),
    Day(String),
}

impl Chains {
    /// Counts one more run of a chain, unless it has so many already.
    pub(crate) async fn grow(
        &self,
        store: &dyn Store,
        (tenant, owner): (&str, &str),
        root: &str,
        most: u64,
    ) -> Result<bool, Unreadable> {
        let known = self.runs().get(root).copied();
        let stored = match known {
            Some(_) => 0,
            None => count(store, tenant, owner, root).await?,
        };
        let mut runs = self.runs();
        if runs.len() >= CHAINS {
            runs.clear();
        }
        let count = runs.entry(root.to_owned()).or_insert(stored);
        let has_room = *count < most;
        *count += u64::from(has_room);
        Ok(has_room)
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.runs.lock().expect("no code panics while it holds this lock")
    }
}

/// The runs that are stored of a chain. Ids are in the order of time, so all come after the first.
async fn count(store: &dyn Store, tenant: &str, owner: &str, root: &str) -> Result<u64, Unreadable> {
    let scope = Scope { tenant: Tenant::new(tenant), owner: Owner::new(owner), kind: Kind::Document };
    let (mut count, mut after) = (1, format!("lifecycle/{root}"));
    loop {
        let page = store.list_by_id(&scope, "lifecycle/", Some(&after), PAGE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = last.key.id.to_string();
        for stream in &page {
            let run = of_head(&stream.key.id, &stream.head)?;
            let is_of_chain = run.is_some_and(|run| run.cause.chain.first().is_some_and(|first| first == root));
            count += u64::from(is_of_chain);
        }
    }
}

impl Limit {
    fn error(&self) -> RunError {
        let (code, message) = match self {
            Self::Depth(message) => ("chain_depth", message),
            Self::Runs(message) => ("chain_runs", message),
            Self::Day(message) => ("budget_exceeded", message),
        };
        RunError { code: code.to_owned(), message: message.clone() }
    }
}

/// Why a submitted run that is so far from what began it is not to start.
pub(super) fn too_deep(agent: &Hosted, ticket: &Ticket) -> Option<Limit> {
    let (depth, most) = (ticket.cause.depth, agent.run_spec().chain.max_depth);
    (depth > most).then(|| Limit::Depth(format!("it is {depth} runs away from what began it, and may be {most}")))
}

impl Runtime {
    /// Why a submitted run that is one more is not to start.
    pub(super) async fn used_up(&self, agent: &Hosted, ticket: &Ticket) -> Result<Option<Limit>, SubmitError> {
        let chain = &agent.run_spec().chain;
        if let Some(message) = self.day_is_over(&ticket.tenant, agent).await? {
            return Ok(Some(Limit::Day(message)));
        }
        if ticket.cause.chain.is_empty() {
            return Ok(None);
        }
        let (whose, root) = ((ticket.tenant.as_str(), ticket.owner.as_str()), ticket.cause.root(&ticket.run_id));
        let grown = self.services.chains.grow(self.services.store.as_ref(), whose, root, chain.max_runs).await;
        let has_room = grown.map_err(|error| SubmitError::Unavailable { reason: error.to_string() })?;
        let message = || format!("{} runs have come of what began it, which is as many as may", chain.max_runs);
        Ok((!has_room).then(|| Limit::Runs(message())))
    }

    /// Why an agent may have no further run today.
    async fn day_is_over(&self, tenant: &str, agent: &Hosted) -> Result<Option<String>, StoreError> {
        let daily = &agent.run_spec().daily;
        if !daily.is_limited() {
            return Ok(None);
        }
        // Boxed, because most agents have no such limit.
        let today = Box::pin(self.services.ledger.today_of(self.services.store.as_ref(), tenant, agent.id()));
        let (ended, used) = today.await?;
        let begun = self.services.live_runs.of_agent(agent.id()) + self.services.queue.waiting_of(agent.id());
        if let Some(most) = daily.runs.filter(|most| ended + begun as u64 >= *most) {
            return Ok(Some(format!("agent `{}` has had the {most} runs that it may have in a day", agent.id())));
        }
        let cost = used.cost_usd.unwrap_or(0.0);
        let spent = daily.cost_usd.filter(|most| cost >= *most);
        Ok(spent.map(|most| format!("agent `{}` has cost {cost:.2} of {most} US dollars today", agent.id())))
    }

    /// Refuses a client's run of an agent that has used up its day.
    pub(in super::super) async fn refuse_after_the_day(&self, tenant: &str, agent: &Hosted) -> Result<(), StartError> {
        let over = self.day_is_over(tenant, agent).await;
        match over.map_err(|error| StartError::Unavailable { reason: error.to_string() })? {
            Some(message) => Err(StartError::DayIsOver { message }),
            None => Ok(()),
        }
    }

    /// Keeps the record of a run that is not started, and does with it what was to be done with the run. The API is told
    /// of a day that is over instead.
    pub(super) async fn not_started(
        &self,
        ticket: Ticket,
        limit: Limit,
        along: Batch,
    ) -> Result<Submitted, SubmitError> {
        if let (Limit::Day(message), CauseKind::Api) = (&limit, ticket.cause.kind) {
            return Err(SubmitError::DayIsOver { message: message.clone() });
        }
        let services = Arc::clone(&self.services);
        let kept = tokio::spawn(async move {
            let error = limit.error();
            let mut life = Life::new(&ticket.thread(), queued(&ticket));
            let is_dead = !matches!(limit, Limit::Day(_));
            life.told.status = if is_dead { RunStatus::Dead } else { RunStatus::BudgetExceeded };
            life.told.finished_at = Some(now());
            life.told.error = Some(error.clone());
            let Batch { mut put, settle, remember, .. } = along;
            put.extend(is_dead.then(|| dead_letter(&ticket, &error)));
            let along = Batch { put, settle, remember, ..Batch::default() };
            // Where a chain ends, its end sets nothing off.
            let batch = match is_dead {
                true => life.next_quietly_with(along),
                false => life.next_with(along, &services.watchers),
            };
            match services.store.commit(batch).await {
                Ok(_) => {
                    life.show(&services);
                    Ok(Submitted { run_id: ticket.run_id.clone(), thread_id: ticket.thread.clone(), accepted: true })
                }
                Err(CommitError::Repeated { result, .. }) => stored_before(&result),
                Err(CommitError::Settled { .. }) => Err(SubmitError::Settled),
                Err(CommitError::Full) => Err(SubmitError::StorageFull),
                Err(
                    error @ (CommitError::Stale { .. } | CommitError::Fenced { .. } | CommitError::Unavailable { .. }),
                ) => Err(SubmitError::Unavailable { reason: error.to_string() }),
            }
        });
        kept.await.map_err(|error| SubmitError::Unavailable { reason: error.to_string() })?
    }
}
