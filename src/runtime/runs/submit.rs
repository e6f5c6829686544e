//! Submitting a run: it is stored before it is acknowledged, and started when there is room.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::access::Principal;
use crate::agent::cause::{Cause, CauseKind};
use crate::agui::{Json, Message, RunAgentInput};
use crate::json_text;
use crate::store::{Batch, CommitError, Remember, Settle, StoreError, Tenant, WorkItem};

use super::super::agents::Hosted;
use super::super::clock::{now, now_ms};
use super::super::thread::ThreadRef;
use super::super::{Runtime, thread_ref};
use super::lifecycle::Life;
use super::limits::too_deep;
use super::new_run_id;
use super::queue::Client;
use super::record::{Lifecycle, RunStatus, RunUsage};
use super::ticket::Ticket;

/// How long an idempotency key is known.
const KNOWN_MS: i64 = 24 * 60 * 60 * 1000;
/// When a caller may try again whose agent has as many runs waiting as it may.
const RETRY_AFTER_SECONDS: u64 = 1;

/// A run that is to happen, whoever watches.
#[derive(Debug)]
pub struct Submission {
    /// Whose thread it runs in, and whose run it is.
    pub principal: Principal,
    pub agent: Arc<Hosted>,
    pub thread: ThreadChoice,
    /// New messages, after all that the thread has.
    pub messages: Vec<Message>,
    /// Merged into the agent's state as a posted state is.
    pub state: Option<Json>,
    pub cause: Cause,
    pub behalf: Behalf,
    /// Unique per principal and agent for 24 hours.
    pub idempotency_key: Option<String>,
    /// What is done once the run is stored; if some of it is done already, the run is not stored.
    pub settle: Vec<Settle>,
    /// What waits once the run is stored.
    pub put: Vec<WorkItem>,
    /// Whether system and developer messages are told to the agent, whatever its definition says of those of clients. They
    /// never become the thread's.
    pub keeps_instructions: bool,
}

/// On whose behalf a run happens, beyond what its cause says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behalf {
    /// Of whoever submitted it, who may look or not.
    Caller,
    /// Of a run that waits for it, and holds what it needs meanwhile.
    Asker,
    /// Of a run that hands its thread over, and ends.
    Predecessor,
    /// Of a trigger, by its id, that fired for this document (`type/id`) or for none.
    Trigger { id: String, doc: Option<String> },
}

/// In which thread a run happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThreadChoice {
    New,
    Named(String),
}

/// A run that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    pub run_id: String,
    pub thread_id: String,
    /// `false` when the idempotency key was seen before: this is the run it was seen with.
    #[serde(skip, default)]
    pub accepted: bool,
}

/// Why a run was not taken. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubmitError {
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
    #[error("what was to be done by this run is done already")]
    Settled,
    #[error("the disk is full: nothing was written; free some space and try again")]
    StorageFull,
    #[error("{reason}")]
    Unavailable { reason: String },
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl From<StoreError> for SubmitError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

impl Runtime {
    /// Stores a run, which then happens whether anybody waits for it or not; on return it is durable.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, SubmitError> {
        if self.services.stopping.is_cancelled() {
            return Err(SubmitError::ShuttingDown);
        }
        let thread_id = match &submission.thread {
            ThreadChoice::New => uuid::Uuid::now_v7().to_string(),
            ThreadChoice::Named(id) => id.clone(),
        };
        let thread = thread_ref(&submission.principal, &thread_id).ok_or(SubmitError::InvalidThreadId)?;
        let key = submission
            .idempotency_key
            .as_ref()
            .map(|key| format!("run/{}/{}/{key}", submission.principal.subject, submission.agent.id()));
        if let Some(known) = self.known(&thread, key.as_deref()).await? {
            return Ok(known);
        }
        let is_paused = self.services.paused.has(thread.tenant.as_str(), submission.agent.id());
        if is_paused && submission.cause.kind == CauseKind::Api {
            return Err(SubmitError::Paused { agent: submission.agent.id().to_owned() });
        }
        let run_id = new_run_id();
        let input = RunAgentInput {
            thread_id,
            run_id: run_id.clone(),
            messages: submission.messages,
            state: submission.state,
            ..RunAgentInput::default()
        };
        let terms = (true, submission.keeps_instructions);
        let ticket = Ticket::new(&run_id, &thread, submission.agent.id(), &input, submission.cause, terms)
            .on_behalf_of(submission.behalf);
        let along = Batch { settle: submission.settle, put: submission.put, ..Batch::default() };
        let limit = match too_deep(&submission.agent, &ticket) {
            Some(limit) => Some(limit),
            None => {
                let joined = self.join(&submission.agent, &ticket, key.as_deref(), &along, &mut None).await?;
                if let Some(joined) = joined {
                    return Ok(joined);
                }
                self.used_up(&submission.agent, &ticket).await?
            }
        };
        if let Some(limit) = limit {
            let remember = key.map(|key| remembered(&ticket, key)).into_iter().collect();
            return self.not_started(ticket, limit, Batch { remember, ..along }).await;
        }
        self.make_way(&submission.agent, &ticket).await?;
        self.enqueue(&submission.agent, ticket, key, along, None).await
    }

    /// The run that was submitted under a key before.
    async fn known(&self, thread: &ThreadRef, key: Option<&str>) -> Result<Option<Submitted>, SubmitError> {
        let Some(key) = key else { return Ok(None) };
        let tenant = thread.tenant.clone();
        self.services.store.remembered(&tenant, key).await?.map(|result| stored_before(&result)).transpose()
    }

    /// Stores a run that waits. It is done also when the caller goes away.
    pub(super) async fn enqueue(
        &self,
        agent: &Hosted,
        ticket: Ticket,
        key: Option<String>,
        along: Batch,
        client: Option<Client>,
    ) -> Result<Submitted, SubmitError> {
        let most = agent.run_spec().concurrency.queue_max;
        if !self.services.queue.hold(agent.id(), most) {
            let (agent, retry_after_seconds) = (agent.id().to_owned(), RETRY_AFTER_SECONDS);
            return Err(SubmitError::QueueFull { agent, most, retry_after_seconds });
        }
        let (services, queue) = (Arc::clone(&self.services), Arc::clone(&self.services.queue));
        let stored = tokio::spawn(async move {
            let submitted =
                Submitted { run_id: ticket.run_id.clone(), thread_id: ticket.thread.clone(), accepted: true };
            let mut life = Life::new(&ticket.thread(), queued(&ticket));
            let due_at_ms = now_ms();
            let Batch { settle, mut put, .. } = along;
            put.push(ticket.item(due_at_ms));
            let remember = key.map(|key| remembered(&ticket, key)).into_iter().collect();
            let batch = life.next_with(Batch { put, settle, remember, ..Batch::default() }, &services.watchers);
            match services.store.commit(batch).await {
                Ok(_) => {
                    life.show(&services);
                    services.standings.saw(&ticket.tenant, &life.told);
                    queue.enter(ticket, life, due_at_ms, client);
                    Ok(submitted)
                }
                Err(error) => {
                    queue.let_go(&ticket.agent);
                    refused(error)
                }
            }
        });
        stored
            .await
            .map_err(|error| SubmitError::Unavailable { reason: format!("the submission broke off: {error}") })?
    }
}

/// What is answered to a repetition.
pub(super) fn remembered(ticket: &Ticket, key: String) -> Remember {
    let submitted = Submitted { run_id: ticket.run_id.clone(), thread_id: ticket.thread.clone(), accepted: false };
    Remember {
        tenant: Tenant::new(ticket.tenant.as_str()),
        key,
        result: json_text::encode(&submitted).into(),
        expires_at_ms: now_ms() + KNOWN_MS,
        overwrites: false,
    }
}

/// What a submission comes to that was not stored.
pub(super) fn refused(error: CommitError) -> Result<Submitted, SubmitError> {
    match error {
        CommitError::Repeated { result, .. } => stored_before(&result),
        CommitError::Settled { .. } => Err(SubmitError::Settled),
        CommitError::Full => Err(SubmitError::StorageFull),
        CommitError::Stale { .. } | CommitError::Fenced { .. } | CommitError::Unavailable { .. } => {
            Err(SubmitError::Unavailable { reason: error.to_string() })
        }
    }
}

/// What was answered before.
pub(super) fn stored_before(result: &[u8]) -> Result<Submitted, SubmitError> {
    serde_json::from_slice(result).map_err(|error| SubmitError::Unavailable {
        reason: format!("what is remembered of an idempotency key is damaged: {error}"),
    })
}

/// The record of a run that waits.
pub(super) fn queued(ticket: &Ticket) -> Lifecycle {
    Lifecycle {
        run_id: ticket.run_id.clone(),
        agent: ticket.agent.clone(),
        thread_id: ticket.thread.clone(),
        status: RunStatus::Queued,
        cause: ticket.cause.clone(),
        queued_at: Some(now()),
        started_at: None,
        finished_at: None,
        attempt: 1,
        steps: 0,
        usage: RunUsage::default(),
        error: None,
        pending_tool_calls: Vec::new(),
    }
}
