//! Runs that become part of one that waits already and is there for the same (docs/agents.md §2, `on_conflict`).

use std::sync::Arc;

use crate::agent::definition::OnConflict;
use crate::agui::RunAgentInput;
use crate::store::{Batch, Settle};

use super::super::Runtime;
use super::super::agents::Hosted;
use super::super::clock::now_ms;
use super::queue::Client;
use super::submit::{Behalf, SubmitError, Submitted, refused, remembered};
use super::ticket::Ticket;

/// A run that is asked so many things takes no more: the next one waits behind it.
const MOST_MESSAGES: usize = 64;

impl Runtime {
    /// Whether what a trigger of this agent sets off, while there is a run for the same trigger and document, is one run
    /// after it.
    pub(in super::super) fn gathers_firings(&self, tenant: &str, agent: &Hosted) -> bool {
        self.services.paused.has(tenant, agent.id())
            || matches!(agent.run_spec().concurrency.on_conflict, OnConflict::Reject | OnConflict::Coalesce)
    }

    /// Adds what a run is asked to one that waits, with what was to be done with it; `None` when it is to wait for itself. It
    /// is done also when the caller goes away.
    pub(super) async fn join(
        &self,
        agent: &Hosted,
        ticket: &Ticket,
        key: Option<&str>,
        along: &Batch,
        client: &mut Option<Client>,
    ) -> Result<Option<Submitted>, SubmitError> {
        let joins = match &ticket.behalf {
            Behalf::Caller => agent.run_spec().concurrency.on_conflict == OnConflict::Coalesce,
            Behalf::Trigger { .. } => self.gathers_firings(&ticket.tenant, agent),
            Behalf::Asker | Behalf::Predecessor => false,
        };
        let waiting = if joins { self.services.queue.waiting_like(ticket) } else { None };
        let taken = waiting.and_then(|waiting| self.services.queue.take(&waiting, |_| true));
        let Some((turn, earlier, life)) = taken else { return Ok(None) };
        let unreadable = |reason| SubmitError::Unavailable { reason };
        let (before, later) = (earlier.input().map_err(unreadable)?, ticket.input().map_err(unreadable)?);
        let merged = merged(before, later);
        if merged.messages.len() > MOST_MESSAGES {
            return Ok(None);
        }
        let merged = earlier.joined_by(ticket, &merged);
        let (services, client) = (Arc::clone(&self.services), client.take());
        let (mut settle, mut put) = (along.settle.clone(), along.put.clone());
        settle.push(Settle::from(merged.key()));
        put.push(merged.item(now_ms()));
        let remember = key.map(|key| remembered(&merged, key.to_owned())).into_iter().collect();
        let joined = tokio::spawn(async move {
            match services.store.commit(Batch { settle, put, remember, ..Batch::default() }).await {
                Ok(_) => {
                    let (run_id, thread_id) = (merged.run_id.clone(), merged.thread.clone());
                    turn.change_to(merged, life, client);
                    Ok(Submitted { run_id, thread_id, accepted: true })
                }
                Err(error) => refused(error),
            }
        });
        let crashed = |error: tokio::task::JoinError| SubmitError::Unavailable { reason: error.to_string() };
        joined.await.map_err(crashed)?.map(Some)
    }
}

/// What both ask: the messages of the first and then those of the second that are not among them; of everything else what the
/// second says, where it says something.
fn merged(earlier: RunAgentInput, later: RunAgentInput) -> RunAgentInput {
    let mut messages = earlier.messages;
    for message in later.messages {
        if !messages.iter().any(|known| known.id() == message.id()) {
            messages.push(message);
        }
    }
    RunAgentInput {
        messages,
        state: later.state.or(earlier.state),
        tools: if later.tools.is_empty() { earlier.tools } else { later.tools },
        context: if later.context.is_empty() { earlier.context } else { later.context },
        forwarded_props: later.forwarded_props.or(earlier.forwarded_props),
        resume: if later.resume.is_empty() { earlier.resume } else { later.resume },
        thread_id: earlier.thread_id,
        run_id: earlier.run_id,
        protocol_version: later.protocol_version.or(earlier.protocol_version),
        parent_run_id: earlier.parent_run_id,
    }
}

#[cfg(test)]
mod tests {
    use crate::agui::Message;

    use super::*;

    #[test]
    fn runs_that_are_joined_ask_what_both_asked_once() {
        let input = |ids: &[&str], state: Option<&str>| RunAgentInput {
            messages: ids.iter().map(|id| Message::user(*id, *id)).collect(),
            state: state.map(|state| serde_json::from_str(state).expect("JSON")),
            run_id: ids[0].to_owned(),
            ..RunAgentInput::default()
        };
        let both = merged(input(&["a", "b"], Some("{}")), input(&["b", "c"], None));
        let ids: Vec<_> = both.messages.iter().map(Message::id).collect();
        assert_eq!((ids, both.run_id.as_str(), both.state.is_some()), (vec!["a", "b", "c"], "a", true));
    }
}
