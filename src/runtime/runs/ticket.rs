//! A run that waits, as the store keeps it until it has begun.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::access::Principal;
use crate::agent::cause::Cause;
use crate::agui::RunAgentInput;
use crate::json_text;
use crate::store::{Owner, Tenant, WorkItem, WorkKey};

use super::super::thread::ThreadRef;
use super::line::Waiter;
use super::submit::Behalf;

/// The queue of the store in which runs wait.
pub(super) const QUEUE: &str = "runs";

/// Everything that is needed to start the run, in this process or another. Headers of the request are not among it:
/// credentials are never stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(super) run_id: String,
    pub(super) tenant: String,
    pub(super) owner: String,
    pub(super) thread: String,
    pub(super) agent: String,
    input: Box<RawValue>,
    pub(super) cause: Cause,
    pub(super) behalf: Behalf,
    /// The ids under which clients posted the runs that have become part of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) joined: Vec<String>,
    /// Whether the run was over before, and is tried again: it was counted then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_counted: bool,
    /// Whether the agent is told the whole thread, and not what the input lists of it.
    pub(crate) tells_all: bool,
    /// Whether instructions in its input are told to the agent, whatever its definition says of those of clients.
    pub(crate) keeps_instructions: bool,
}

impl Ticket {
    pub(super) fn new(
        run_id: &str,
        thread: &ThreadRef,
        agent: &str,
        input: &RunAgentInput,
        cause: Cause,
        (tells_all, keeps_instructions): (bool, bool),
    ) -> Self {
        Self {
            run_id: run_id.to_owned(),
            tenant: thread.tenant.to_string(),
            owner: thread.owner.to_string(),
            thread: thread.id.to_string(),
            agent: agent.to_owned(),
            input: to_raw_value(input).expect("an input is plain data"),
            cause,
            behalf: Behalf::Caller,
            joined: Vec::new(),
            is_counted: false,
            tells_all,
            keeps_instructions,
        }
    }

    pub(super) fn on_behalf_of(self, behalf: Behalf) -> Self {
        Self { behalf, ..self }
    }

    pub(super) fn thread(&self) -> ThreadRef {
        let (tenant, owner) = (self.tenant.as_str(), self.owner.as_str());
        ThreadRef { tenant: Tenant::new(tenant), owner: Owner::new(owner), id: self.thread.as_str().into() }
    }

    pub(super) fn principal(&self) -> Principal {
        Principal { tenant: self.tenant.clone(), subject: self.owner.clone() }
    }

    pub(super) fn input(&self) -> Result<RunAgentInput, String> {
        RunAgentInput::read(self.input.get().as_bytes()).map_err(|error| error.to_string())
    }

    /// The same, asked this, after another run has become part of it.
    pub(super) fn joined_by(&self, other: &Self, input: &RunAgentInput) -> Self {
        let mut joined = self.joined.clone();
        joined.push(other.posted_id());
        Self { input: to_raw_value(input).expect("an input is plain data"), joined, ..self.clone() }
    }

    /// Whether a client knows it by this id.
    pub(super) fn is_posted_as(&self, id: &str) -> bool {
        self.run_id == id || self.posted_id() == id || self.joined.iter().any(|joined| joined == id)
    }

    /// The id that a client posted, or the run's own.
    pub(super) fn posted_id(&self) -> String {
        self.input().map_or_else(|_| self.run_id.clone(), |input| input.run_id)
    }

    pub(crate) fn key(&self) -> WorkKey {
        let tenant = Tenant::new(self.tenant.as_str());
        WorkKey { tenant, queue: QUEUE.to_owned(), key: self.run_id.clone() }
    }

    pub(crate) fn item(&self, due_at_ms: i64) -> WorkItem {
        let body = json_text::encode(self).into();
        WorkItem { key: self.key(), due_at_ms, body }
    }

    pub(super) fn waiter(&self, due_at_ms: i64) -> Waiter {
        Waiter {
            run_id: self.run_id.clone(),
            thread: self.thread(),
            agent: self.agent.clone(),
            cause: self.cause.clone(),
            is_child: self.behalf == Behalf::Asker,
            due_at_ms,
        }
    }
}
