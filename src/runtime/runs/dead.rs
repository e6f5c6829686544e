//! Dead letters: runs that failed for good or were never started, kept until somebody tries them again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::access::Principal;
use crate::agent::cause::Cause;
use crate::json_text;
use crate::store::{Batch, CommitError, Settle, Tenant, WorkCursor, WorkItem, WorkKey};

use super::super::clock::{now, now_ms};
use super::super::{ReadError, Runtime};
use super::lifecycle::{Life, Unreadable, name_of};
use super::record::{RunError, RunStatus};
use super::submit::{Submitted, queued};
use super::ticket::Ticket;

/// The queue of the store in which they are kept.
const QUEUE: &str = "dead-letters";
/// Read from the store at once.
const PAGE: usize = 256;

/// As it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Letter {
    ticket: Ticket,
    error: RunError,
    at: String,
}

/// As it is listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetter {
    /// The run's.
    pub id: String,
    pub agent: String,
    pub thread_id: String,
    /// `chain_depth`, `chain_runs`, or the code with which its last attempt ended.
    pub reason: String,
    pub message: String,
    pub cause: Cause,
    /// RFC 3339.
    pub at: String,
}

/// Dead letters, and where the next page begins.
#[derive(Debug, Default)]
pub struct DeadLetterPage {
    pub items: Vec<DeadLetter>,
    pub next: Option<DeadLetterCursor>,
}

/// A place between two dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetterCursor {
    kept_at_ms: i64,
    place: u64,
}

impl DeadLetterCursor {
    fn of(cursor: WorkCursor) -> Self {
        Self { kept_at_ms: cursor.due_at_ms, place: cursor.place }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (kept_at_ms, place) = text.split_once('.')?;
        Some(Self { kept_at_ms: kept_at_ms.parse().ok()?, place: place.parse().ok()? })
    }
}

impl fmt::Display for DeadLetterCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kept_at_ms, self.place)
    }
}

impl Letter {
    fn listed(self) -> DeadLetter {
        let Self { ticket, error, at } = self;
        DeadLetter {
            id: ticket.run_id,
            agent: ticket.agent,
            thread_id: ticket.thread,
            reason: error.code,
            message: error.message,
            cause: ticket.cause,
            at,
        }
    }
}

/// What is kept of a run that is not tried again by itself.
pub(crate) fn dead_letter(ticket: &Ticket, error: &RunError) -> WorkItem {
    let letter = Letter { ticket: ticket.clone(), error: error.clone(), at: now() };
    let body = json_text::encode(&letter).into();
    WorkItem { key: key(&ticket.tenant, &ticket.run_id), due_at_ms: now_ms(), body }
}

fn key(tenant: &str, run_id: &str) -> WorkKey {
    WorkKey { tenant: Tenant::new(tenant), queue: QUEUE.to_owned(), key: run_id.to_owned() }
}

fn read(run_id: &str, body: &[u8]) -> Result<Letter, ReadError> {
    serde_json::from_slice(body).map_err(|error| Unreadable::Damaged { run_id: run_id.to_owned(), error }.into())
}

impl Runtime {
    /// A page of the principal's dead letters, the oldest first; `after` is the `next` of an earlier one.
    pub async fn dead_letters(
        &self,
        principal: &Principal,
        after: Option<DeadLetterCursor>,
        limit: usize,
    ) -> Result<DeadLetterPage, ReadError> {
        let (mut found, mut last) = (DeadLetterPage::default(), None);
        let mut after = after.map(|DeadLetterCursor { kept_at_ms, place }| WorkCursor { due_at_ms: kept_at_ms, place });
        loop {
            let page = self.services.store.work(QUEUE, i64::MAX, after, PAGE).await?;
            let Some(end) = page.last() else { return Ok(found) };
            after = Some(end.cursor());
            for waiting in page.iter().filter(|it| it.item.key.tenant.as_str() == principal.tenant) {
                let letter = read(&waiting.item.key.key, &waiting.item.body)?;
                if letter.ticket.owner != principal.subject {
                    continue;
                }
                if found.items.len() == limit {
                    found.next = last;
                    return Ok(found);
                }
                found.items.push(letter.listed());
                last = Some(DeadLetterCursor::of(waiting.cursor()));
            }
        }
    }

    /// Has a dead run tried again, as often as its definition says, whatever its chain; on return that is durable. `None`
    /// when the principal has no such letter.
    pub async fn retry_dead_letter(&self, principal: &Principal, run_id: &str) -> Result<Option<Submitted>, ReadError> {
        let store = &self.services.store;
        let Some(waiting) = store.waiting(&key(&principal.tenant, run_id)).await? else { return Ok(None) };
        let Letter { mut ticket, .. } = read(run_id, &waiting.item.body)?;
        if ticket.owner != principal.subject {
            return Ok(None);
        }
        let name = name_of(ticket.tenant.as_str(), ticket.owner.as_str(), &ticket.run_id);
        let life = Life::read(store.as_ref(), name).await?;
        let mut life = life.unwrap_or_else(|| Life::new(&ticket.thread(), queued(&ticket)));
        // One that never began was not counted.
        ticket.is_counted = life.told.started_at.is_some();
        life.told.status = RunStatus::Queued;
        life.told.attempt = 1;
        (life.told.finished_at, life.told.error) = (None, None);
        let due_at_ms = now_ms();
        let (put, settle): (_, Vec<Settle>) = (vec![ticket.item(due_at_ms)], vec![waiting.settled()]);
        let services = std::sync::Arc::clone(&self.services);
        let retried = tokio::spawn(async move {
            let batch = life.next_with(Batch { put, settle, ..Batch::default() }, &services.watchers);
            match services.store.commit(batch).await {
                Ok(_) => {
                    let submitted =
                        Submitted { run_id: ticket.run_id.clone(), thread_id: ticket.thread.clone(), accepted: true };
                    services.wait_again(ticket, life, due_at_ms);
                    Ok(Some(submitted))
                }
                // Somebody else was faster.
                Err(CommitError::Settled { .. }) => Ok(None),
                Err(error) => Err(ReadError::Unavailable { reason: error.to_string() }),
            }
        });
        retried.await.map_err(|error| ReadError::Unavailable { reason: error.to_string() })?
    }
}
