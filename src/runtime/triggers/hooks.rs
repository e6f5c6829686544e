//! Deliveries of webhooks: checked, written into the agent's state where the definition says so, and stored as a run
//! before they are acknowledged (docs/agents.md §2 and §6).

use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::agent::cause::{Cause, CauseKind};
use crate::agent::definition::{Trigger, TriggerKind, Webhook};
use crate::agent::trigger::expression;
use crate::agent::trigger::hook::{Delivery, Untrusted, fingerprint};
use crate::state::intent::Intent;
use crate::state::json;
use crate::state::limits::Limits;
use crate::state::pointer::Pointer;

use super::super::agents::Hosted;
use super::super::document::{Author, DocumentError, Once, Proposal, Write};
use super::super::runs::{SubmitError, Submitted, ThreadChoice};
use super::super::{Runtime, thread_ref};
use super::request::Request;

/// A delivery that is stored as a run, or was before.
pub type Delivered = Submitted;

/// Why a delivery was not taken. Nothing of it is stored.
#[derive(Debug, Error)]
pub enum HookError {
    #[error("agent `{agent}` has no webhook `{name}`")]
    Unknown { agent: String, name: String },
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    #[error("the body is not JSON: {reason}")]
    InvalidJson { reason: String },
    #[error("`map` at `{place}`: {reason}")]
    Unmapped { place: Pointer, reason: String },
    #[error(transparent)]
    State(#[from] DocumentError),
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl Runtime {
    /// Takes what was delivered to `POST /hooks/{agent}/{name}`; on return it is durable.
    pub async fn deliver(
        &self,
        agent: &Arc<Hosted>,
        name: &str,
        delivery: Delivery<'_>,
    ) -> Result<Delivered, HookError> {
        let (trigger, hook) = find(agent, name)?;
        delivery.verify(hook)?;
        let body = match delivery.body {
            [] => Value::Object(Map::new()),
            text => json::read(text, &Limits::default())
                .map_err(|error| HookError::InvalidJson { reason: error.to_string() })?,
        };
        let key = delivery.key(hook, &body).map(|key| format!("hook/{name}/{key}"));
        let headers: Map<String, Value> =
            delivery.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let headers = Value::Object(headers);
        let mut request = Request::of_agent(trigger, agent.id());
        // The state and the run are on the same thread, also on a new one.
        let thread = match &request.thread {
            ThreadChoice::Named(id) => id.clone(),
            ThreadChoice::New => uuid::Uuid::now_v7().to_string(),
        };
        request.thread = ThreadChoice::Named(thread.clone());
        if !hook.map.is_empty() {
            let intents = mapped(hook, &body, &headers)?;
            let once = key
                .as_ref()
                .map(|key| Once { key: format!("{}/{key}", agent.id()), fingerprint: fingerprint(delivery.body) });
            self.write_mapped(agent, &request, &thread, intents, once).await?;
        }
        let cause = Cause { name: Some(name.to_owned()), ..Cause::first(CauseKind::Webhook) };
        let told = serde_json::json!({ "name": name, "body": body });
        let mut submission = request.submission(Arc::clone(agent), cause, &told);
        submission.idempotency_key = key;
        Ok(self.submit(submission).await?)
    }

    /// Writes into the agent's state, which begins with `initial` if it is not there.
    async fn write_mapped(
        &self,
        agent: &Hosted,
        request: &Request<'_>,
        thread: &str,
        intents: Vec<Intent>,
        once: Option<Once>,
    ) -> Result<(), HookError> {
        let thread = thread_ref(request.principal(), thread).ok_or(SubmitError::InvalidThreadId)?;
        let document = self.services.document(&agent.document(&thread, None));
        document.begin(agent.initial_state(), None, Author::new("system")).await.map_err(DocumentError::from)?;
        let write = Write { once, ..Write::new(Proposal::Intents(intents)) };
        match document.write(write, Author::new("system")).await {
            // A repeated delivery: what it answers is the first one's run.
            Ok(_) | Err(DocumentError::IdempotencyMismatch) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn find<'a>(agent: &'a Hosted, name: &str) -> Result<(&'a Trigger, &'a Webhook), HookError> {
    let hooks = agent.triggers().iter().filter_map(|trigger| match &trigger.kind {
        TriggerKind::Webhook(hook) => Some((trigger, hook)),
        _ => None,
    });
    let unknown = || HookError::Unknown { agent: agent.id().to_owned(), name: name.to_owned() };
    hooks.into_iter().find(|(_, hook)| hook.name == name).ok_or_else(unknown)
}

/// What `map` puts where: at the end of a list for a pointer that ends in `-`.
fn mapped(hook: &Webhook, body: &Value, headers: &Value) -> Result<Vec<Intent>, HookError> {
    let one = |(place, expression): &(Pointer, String)| {
        let value = expression::value_of(expression, body, headers)
            .map_err(|reason| HookError::Unmapped { place: place.clone(), reason })?;
        Ok(match (place.last(), place.parent()) {
            (Some("-"), Some(list)) => Intent::Append { path: list, value },
            _ => Intent::Set { path: place.clone(), value },
        })
    };
    hook.map.iter().map(one).collect()
}
