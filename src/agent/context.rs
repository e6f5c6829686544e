//! What a running agent holds: what it was asked, its state, its voice.
//!
//! It deliberately knows no thread, store or transport: what an agent does becomes an [`Emission`] in an inbox,
//! and whoever hosts the run reads them in order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::TryFutureExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::agui::{self, Event, Message, ResumeEntry, Tool};
use crate::state::patch::Operation;
use crate::state::pointer::Pointer;

use super::cause::Cause;
use super::emissions::Outbox;
use super::error::{AgentError, StateError};
use super::meter::Meter;
use super::steps::{Past, Scope, StepNote, is_in_step};

/// What a run was asked, with its history already resolved against the stored transcript.
#[derive(Debug, Clone)]
pub struct RunInput {
    pub thread_id: String,
    /// The run id that the runtime minted (UUIDv7), never the one a client posted.
    pub run_id: String,
    /// The context of this run in the client's order, system messages first where the definition keeps them.
    pub messages: Vec<Arc<Message>>,
    /// The browser's tools (`RunAgentInput.tools`).
    pub tools: Vec<Tool>,
    pub context: Vec<agui::Context>,
    /// `RunAgentInput.forwardedProps`, as posted.
    pub forwarded_props: Option<agui::Json>,
    /// Answers to the interrupts that the thread was waiting on.
    pub resume: Vec<ResumeEntry>,
    /// Request headers that may travel on to an upstream, lower-case names.
    pub headers: Vec<(String, String)>,
    /// The state document's version when the run began; 0 while it does not exist.
    pub state_version: u64,
    /// Why the run is there.
    pub cause: Cause,
}

impl RunInput {
    /// The text of the last user message, empty when there is none.
    pub fn last_user_text(&self) -> String {
        self.messages
            .iter()
            .rev()
            .find(|message| message.role() == agui::Role::User)
            .map(|message| message.text())
            .unwrap_or_default()
    }
}

/// A value together with the document version it was read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    pub version: u64,
    pub value: T,
}

/// One thing an agent does, in the order it does them. Most are streamed text: what is rare and large is boxed.
#[derive(Debug)]
pub enum Emission {
    Event(Event),
    /// Of the agent's own state document.
    State(Box<StateRequest>),
    /// Of the document `name`, `type/id`; refused unless the definition's `documents` allow it.
    Document {
        name: String,
        request: Box<StateRequest>,
    },
    /// A step of the run is done, or has begun what must not be done twice.
    Step(Box<StepNote>),
    /// What will probably stand at these places of the agent's own state: shown on the run's streams until the next one, and
    /// never stored. An empty list ends it.
    Predict(Vec<(Pointer, Value)>),
    Agent(Box<AgentRequest>),
}

/// What a run wants of another agent; refused unless its definition names that one.
#[derive(Debug)]
pub struct AgentRequest {
    pub agent: String,
    /// The call that asks: asked again by the same call, the answer is the same.
    pub call_id: String,
    pub prompt: String,
    pub asking: Asking,
    /// Dropping its other end ends a run that was waited for.
    pub reply: oneshot::Sender<Result<AgentAnswer, AgentRefusal>>,
}

/// What another agent is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// To answer, in a thread of its own; the run waits for it.
    ToAnswer,
    /// To answer next in this thread, after this run.
    ToGoOn,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAnswer {
    pub run_id: String,
    /// Its last words; empty where nobody waits for them.
    pub text: String,
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRefusal {
    /// One of `RUN_ERROR.code`, a status of runs, or why the run was not taken.
    pub code: String,
    pub message: String,
}

/// What an agent asks of a document. A request is served after everything emitted before it is durable; what is part of a
/// step may be one commit with it.
#[derive(Debug)]
pub enum StateRequest {
    /// The value at a pointer (`""` = the whole document); `None` when nothing is there. Within a step it may show what the
    /// step has written and what is not durable yet.
    Read { path: Pointer, in_step: bool, reply: oneshot::Sender<Result<Versioned<Option<Value>>, StateError>> },
    /// Answers the new version.
    Patch { write: StateWrite, reply: oneshot::Sender<Result<u64, StateError>> },
    /// A whole state made from the version `seen`: merged three-way, never an overwrite; answers the new version.
    Propose { state: Value, seen: u64, reply: oneshot::Sender<Result<u64, StateError>> },
}

/// RFC 6902 operations at the head of a document, all or nothing.
#[derive(Debug)]
pub struct StateWrite {
    pub ops: Vec<Operation>,
    /// Only when the document is at this version.
    pub if_version: Option<u64>,
    /// The version that the operations were made on, with what the run itself wrote since: what others did meanwhile moves
    /// their indexes. One that is too far back counts as none, which is the head.
    pub seen: Option<u64>,
    /// Whether another document than the agent's own is made by this write; its own always is.
    pub creates: bool,
    /// Tells a write that a run makes again after a crash from a new one.
    pub mark: Option<String>,
    /// Whether it is part of a step: then it may be answered before it is durable, and becomes so together with what the
    /// agent does next.
    pub in_step: bool,
}

/// On which terms operations are committed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms {
    /// Only when the document is at this version; 0 while it does not exist.
    pub if_version: Option<u64>,
    /// The version that the operations were made on, where that is not the head; see [`RunContext::seen`].
    pub seen: Option<u64>,
    /// Whether a document that is absent or deleted is made by this write.
    pub creates: bool,
}

/// The handle of one run. Stopping a run drops the agent's future at its next `.await`.
#[derive(Debug, Clone)]
pub struct RunContext {
    input: Arc<RunInput>,
    out: Arc<Outbox>,
    meter: Arc<Meter>,
    past: Arc<Past>,
    /// What is not inside of any step.
    whole: Arc<Scope>,
    seen: Arc<Seen>,
}

/// Which version of each document (`""` is the agent's own state) a run acts on. A lock, because the tools of a run may work
/// on several things at once; held for a look at a short map.
type Seen = Mutex<HashMap<String, u64>>;

impl RunContext {
    pub(crate) fn new(input: RunInput, out: Outbox) -> Self {
        Self::going_on(input, out, Past::default())
    }

    /// Of a run that was cut off and has done this before.
    pub(crate) fn going_on(input: RunInput, out: Outbox, past: Past) -> Self {
        Self {
            input: Arc::new(input),
            out: Arc::new(out),
            meter: Arc::default(),
            past: Arc::new(past),
            whole: Arc::default(),
            seen: Arc::default(),
        }
    }

    /// The same with the counters that the host of the run reads.
    pub(crate) fn metered(self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self }
    }

    pub(crate) fn past(&self) -> &Past {
        &self.past
    }

    pub(super) fn whole(&self) -> &Scope {
        &self.whole
    }

    pub fn input(&self) -> &RunInput {
        &self.input
    }

    /// Why the run is there, and which runs came before it.
    pub fn cause(&self) -> &Cause {
        &self.input.cause
    }

    /// What the run has done so far; whoever does something counts it here.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// A fresh id for a message or a tool call.
    pub fn new_id(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }

    /// Emits one event, at once where there is room, also if what this answers is never awaited; that waits while the
    /// runtime is behind, and fails once the run is over.
    ///
    /// Terminals are not emitted: they follow from what [`Agent::run`](super::Agent::run) returns.
    pub fn emit(&self, event: Event) -> impl Future<Output = Result<(), AgentError>> + Send + '_ {
        self.send(Emission::Event(event))
    }

    pub(super) fn send(&self, emission: Emission) -> impl Future<Output = Result<(), AgentError>> + Send + '_ {
        self.out.send(emission).map_err(|_| AgentError::run_is_over())
    }

    /// Says a whole text as one message and answers its id.
    pub async fn say(&self, text: &str) -> Result<String, AgentError> {
        let id = self.new_id();
        self.emit(Event::text_start(id.as_str())).await?;
        self.emit(Event::text_content(id.as_str(), text)).await?;
        self.emit(Event::text_end(id.as_str())).await?;
        Ok(id)
    }

    /// Waits until the run is over, for work in tasks of its own: the agent itself is dropped where it waits.
    pub async fn cancelled(&self) {
        self.out.host_is_gone().await;
    }

    /// The agent's state as it is now, `{}` when there is none.
    pub async fn state<T: DeserializeOwned>(&self) -> Result<Versioned<T>, AgentError> {
        let Versioned { version, value } = self.read_state(&Pointer::root()).await?;
        let value = value.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let value = serde_json::from_value(value).map_err(|error| {
            AgentError::new("internal", format!("the agent's state at version {version} is not what it takes: {error}"))
        })?;
        Ok(Versioned { version, value })
    }

    /// The value at `path` of the agent's state, `None` when nothing is there.
    pub async fn read_state(&self, path: &Pointer) -> Result<Versioned<Option<Value>>, StateError> {
        self.read_document(None, path).await
    }

    /// Commits operations to the agent's state and answers the version that holds them. That is durable then; inside of a
    /// [`step`](Self::step) it is so when the agent waits for anything next, and at the latest when the step is done.
    pub async fn patch_state(&self, ops: Vec<Operation>) -> Result<u64, StateError> {
        self.write_document(None, ops, Terms { creates: true, ..Terms::default() }).await
    }

    /// The version of a document (`None` = the agent's own state) that was shown to whom the run speaks for, as it is without
    /// what others wrote later. What the run itself wrote is known to it.
    pub(super) fn seen(&self, name: Option<&str>) -> Option<u64> {
        self.all_seen().get(name.unwrap_or_default()).copied()
    }

    /// Whom the run speaks for is shown a document as it is at a version.
    pub(super) fn show(&self, name: Option<&str>, version: u64) {
        self.all_seen().insert(name.unwrap_or_default().to_owned(), version);
    }

    /// The run made a version: if nobody else wrote in between, that is what it acts on from now on.
    fn made(&self, name: Option<&str>, version: u64) {
        if let Some(seen) = self.all_seen().get_mut(name.unwrap_or_default()).filter(|seen| **seen + 1 == version) {
            *seen = version;
        }
    }

    fn all_seen(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.seen.lock().expect("no code panics while it holds this lock")
    }

    /// As [`patch_state`](Self::patch_state), but only when the document is still at `version`.
    pub async fn patch_state_at(&self, version: u64, ops: Vec<Operation>) -> Result<u64, StateError> {
        self.write_document(None, ops, Terms { if_version: Some(version), creates: true, ..Terms::default() }).await
    }

    /// Proposes a whole state that was made from version `seen`.
    pub async fn propose_state(&self, state: Value, seen: u64) -> Result<u64, StateError> {
        let version = self.ask(|reply| StateRequest::Propose { state, seen, reply }).await?;
        self.made(None, version);
        Ok(version)
    }

    /// The value at `path` of another document (`None` = the agent's own state), `None` when nothing is there.
    pub async fn read_document(
        &self,
        name: Option<&str>,
        path: &Pointer,
    ) -> Result<Versioned<Option<Value>>, StateError> {
        self.ask_of(name, |reply| StateRequest::Read { path: path.clone(), in_step: is_in_step(), reply }).await
    }

    /// Commits operations to another document (`None` = the agent's own state) and answers the version that holds them.
    pub async fn write_document(
        &self,
        name: Option<&str>,
        ops: Vec<Operation>,
        terms: Terms,
    ) -> Result<u64, StateError> {
        let Terms { if_version, seen, creates } = terms;
        let write = StateWrite { ops, if_version, seen, creates, mark: Some(self.next_mark()), in_step: is_in_step() };
        let written = self.ask_of(name, |reply| StateRequest::Patch { write, reply }).await?;
        self.written();
        self.made(name, written);
        Ok(written)
    }

    /// Asks another agent, which the definition has to name; a refusal is an answer, too.
    pub async fn run_agent(
        &self,
        agent: &str,
        call_id: &str,
        prompt: String,
        asking: Asking,
    ) -> Result<Result<AgentAnswer, AgentRefusal>, AgentError> {
        let (reply, answer) = oneshot::channel();
        let (agent, call_id) = (agent.to_owned(), call_id.to_owned());
        let request = Box::new(AgentRequest { agent, call_id, prompt, asking, reply });
        self.out.send(Emission::Agent(request)).await.map_err(|_| AgentError::run_is_over())?;
        answer.await.map_err(|_| AgentError::run_is_over())
    }

    /// Shows what will probably stand at these places of the agent's state; an empty list shows the truth again.
    pub async fn predict(&self, values: Vec<(Pointer, Value)>) -> Result<(), AgentError> {
        self.out.send(Emission::Predict(values)).await.map_err(|_| AgentError::run_is_over())
    }

    fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StateError>>) -> StateRequest,
    ) -> impl Future<Output = Result<T, StateError>> {
        self.ask_of(None, request)
    }

    fn ask_of<T>(
        &self,
        name: Option<&str>,
        request: impl FnOnce(oneshot::Sender<Result<T, StateError>>) -> StateRequest,
    ) -> impl Future<Output = Result<T, StateError>> {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(request(reply));
        let emission = match name {
            None => Emission::State(request),
            Some(name) => Emission::Document { name: name.to_owned(), request },
        };
        let sent = self.out.send(emission);
        async move {
            sent.await.map_err(|_| StateError::RunIsOver)?;
            answer.await.map_err(|_| StateError::RunIsOver)?
        }
    }
}
