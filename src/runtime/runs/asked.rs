//! What a run asks of other agents: a run that it waits for, or one that goes on in its thread after it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::access::Principal;
use crate::agent::cause::{Cause, CauseKind};
use crate::agent::context::{AgentAnswer, AgentRefusal, AgentRequest, Asking};
use crate::agui::{Message, Role};

use super::super::{ReadError, Runtime};
use super::lifecycle::name_of;
use super::record::Lifecycle;
use super::submit::{Behalf, Submission, SubmitError, ThreadChoice};

/// As many requests wait to be looked at.
pub(crate) const WAITING: usize = 256;
/// A record that nobody was told of is looked at again after this: what is stored counts, not who was awake.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A request, and which run it is of.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) principal: Principal,
    /// Of the run that asks.
    pub(crate) agent: String,
    pub(crate) run_id: String,
    pub(crate) cause: Cause,
    pub(crate) thread_id: String,
    pub(crate) request: AgentRequest,
}

/// Serves requests until the process ends.
pub(crate) async fn serve_asked(runtime: Runtime, mut asked: mpsc::Receiver<Asked>) {
    let runtime = Arc::new(runtime);
    let stopping = runtime.stopping();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            next = asked.recv() => {
                let Some(next) = next else { return };
                let runtime = Arc::clone(&runtime);
                tokio::spawn(async move { serve(&runtime, next).await });
            }
        }
    }
}

async fn serve(runtime: &Runtime, asked: Asked) {
    let Asked { principal, agent, run_id, cause, thread_id, request } = asked;
    let AgentRequest { agent: wanted, call_id, prompt, asking, mut reply } = request;
    if reply.is_closed() {
        return;
    }
    let refused = |code: &str, message: String| AgentRefusal { code: code.to_owned(), message };
    let Some(hosted) = runtime.agents().find(&wanted) else {
        let refusal = refused("agent_absent", format!("agent `{wanted}` cannot run just now"));
        return drop(reply.send(Err(refusal)));
    };
    let cause = Cause { agent: Some(agent.clone()), ..cause.after(&run_id, CauseKind::Agent) };
    let (thread, messages) = match asking {
        Asking::ToAnswer => (ThreadChoice::New, vec![Message::user(format!("{run_id}-{call_id}"), prompt)]),
        Asking::ToGoOn => {
            let told = format!("Agent `{agent}` hands the conversation over to you. {prompt}");
            let message = Message::developer(format!("{run_id}-{call_id}"), told.trim_end());
            (ThreadChoice::Named(thread_id), vec![message])
        }
    };
    let submission = Submission {
        principal: principal.clone(),
        agent: hosted,
        thread,
        messages,
        state: None,
        cause,
        behalf: match asking {
            Asking::ToAnswer => Behalf::Asker,
            Asking::ToGoOn => Behalf::Predecessor,
        },
        // A call that is made again means the run that it made before.
        idempotency_key: Some(format!("call/{run_id}/{call_id}")),
        put: Vec::new(),
        settle: Vec::new(),
        keeps_instructions: true,
    };
    let submitted = match runtime.submit(submission).await {
        Ok(submitted) => submitted,
        Err(error) => return drop(reply.send(Err(refused(code(&error), error.to_string())))),
    };
    if asking == Asking::ToGoOn {
        let answer = AgentAnswer { run_id: submitted.run_id.clone(), text: String::new() };
        if reply.send(Ok(answer)).is_err() {
            nobody_waits(runtime, &principal, &submitted.run_id).await;
        }
        return;
    }
    let ended = tokio::select! {
        ended = end_of(runtime, &principal, &submitted.run_id) => ended,
        () = reply.closed() => return nobody_waits(runtime, &principal, &submitted.run_id).await,
    };
    let answer = match ended {
        Ok(ended) => answer(runtime, &principal, ended).await,
        Err(error) => Err(refused("unavailable", error.to_string())),
    };
    drop(reply.send(answer));
}

/// Whoever asked for a run is gone, and so is the reason for it; unless the process ends, after which both go on.
async fn nobody_waits(runtime: &Runtime, principal: &Principal, run_id: &str) {
    if runtime.stopping().is_cancelled() {
        return;
    }
    if let Err(error) = runtime.cancel(principal, run_id).await {
        tracing::warn!(run = run_id, %error, "a run that nobody waits for any more cannot be ended");
    }
}

/// Waits for the end of a run, in whatever process it happens.
async fn end_of(runtime: &Runtime, principal: &Principal, run_id: &str) -> Result<Lifecycle, ReadError> {
    let document = runtime.services.document(&name_of(principal.tenant.as_str(), principal.subject.as_str(), run_id));
    document.head(None).await?;
    let mut versions = document.deltas().subscribe();
    loop {
        versions.mark_unchanged();
        let gone = || ReadError::Unavailable { reason: format!("the record of run {run_id} is gone") };
        let record = runtime.run_record(principal, run_id).await?.ok_or_else(gone)?;
        if record.status.is_over() {
            return Ok(record);
        }
        // The time is for what another process writes.
        if let Ok(Err(_)) = tokio::time::timeout(LOOK_AGAIN, versions.changed()).await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// The last words of a run that went well.
async fn answer(runtime: &Runtime, principal: &Principal, ended: Lifecycle) -> Result<AgentAnswer, AgentRefusal> {
    if ended.status != super::RunStatus::Succeeded {
        let error = ended.error.as_ref();
        let code = error.map_or_else(|| ended.status.as_str().to_owned(), |error| error.code.clone());
        let message = error.map_or_else(
            || format!("the run of agent `{}` was {}", ended.agent, ended.status.as_str()),
            |error| error.message.clone(),
        );
        return Err(AgentRefusal { code, message });
    }
    let messages = runtime.messages(principal, &ended.thread_id).await;
    let messages =
        messages.map_err(|error| AgentRefusal { code: "unavailable".to_owned(), message: error.to_string() })?;
    let said = messages.iter().rev().find(|message| message.role() == Role::Assistant && !message.text().is_empty());
    Ok(AgentAnswer { run_id: ended.run_id, text: said.map(|message| message.text()).unwrap_or_default() })
}

/// As the model is told it.
fn code(error: &SubmitError) -> &'static str {
    match error {
        SubmitError::QueueFull { .. } => "queue_full",
        SubmitError::Busy { .. } => "thread_busy",
        SubmitError::Paused { .. } => "agent_paused",
        SubmitError::DayIsOver { .. } => "budget_exceeded",
        SubmitError::InvalidThreadId | SubmitError::Settled => "internal",
        SubmitError::StorageFull => "storage_full",
        SubmitError::Unavailable { .. } | SubmitError::ShuttingDown => "unavailable",
    }
}
