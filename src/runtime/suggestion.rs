//! Suggestion requests: a run whose history is taken as posted and which leaves no trace.

mod live;

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::agent::cause::Cause;
use crate::agent::context::{AgentRefusal, Emission, StateRequest, Versioned};
use crate::agent::steps::StepNote;
use crate::agent::{AgentError, RunContext, RunInput, StateError};
use crate::agui::{Admission, Closing, Dialect, Encoding, Event, Message, Outcome, Role, RunAgentInput};

use super::StartRun;
use super::thread::ThreadRef;
use super::work::{Step, Work};
use live::Entered;
pub(super) use live::Suggestions;

/// The tool that CopilotKit's suggestion requests ask for.
const SUGGEST: &str = "copilotkitSuggest";

#[derive(Debug, Deserialize)]
struct Forwarded {
    #[serde(rename = "toolChoice")]
    tool_choice: Option<ToolChoice>,
}

#[derive(Debug, Deserialize)]
struct ToolChoice {
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: Option<String>,
}

/// Whether a run's tool choice or only tool is the suggestion tool, whatever route it came by.
pub(super) fn is_suggestion(input: &RunAgentInput) -> bool {
    if let [tool] = input.tools.as_slice()
        && tool.name == SUGGEST
    {
        return true;
    }
    let forwarded =
        input.forwarded_props.as_ref().and_then(|props| serde_json::from_str::<Forwarded>(props.get()).ok());
    let chosen = forwarded.and_then(|props| props.tool_choice?.function?.name);
    chosen.as_deref() == Some(SUGGEST)
}

/// The stream of a suggestion. Dropping it stops the agent.
#[derive(Debug)]
pub(super) struct Suggestion {
    admission: Admission,
    dialect: Dialect,
    encoding: Encoding,
    work: Work,
    /// As posted; what the agent writes to it is refused.
    state: Value,
    opening: Option<Event>,
    /// The process is about to end.
    stopping: CancellationToken,
    /// Also when its page stops it.
    stop: CancellationToken,
    _entered: Entered,
    ended: bool,
}

enum Ending {
    Returned,
    Stopped,
    Failed(AgentError),
}

impl Suggestion {
    pub(super) fn start(
        request: StartRun,
        thread: ThreadRef,
        suggestions: &Arc<Suggestions>,
        stopping: CancellationToken,
    ) -> Self {
        let StartRun { principal: _, agent, input, headers, encoding } = request;
        let stop = stopping.child_token();
        let entered = suggestions.enter(thread, &input.run_id, stop.clone());
        let dialect = input.dialect();
        let posted = input.state.as_ref().and_then(|state| serde_json::from_str::<Value>(state.get()).ok());
        // A page that asks before its first run has no state yet: the agent sees what that run would begin with.
        let is_state = |state: &Value| state.as_object().is_some_and(|members| !members.is_empty());
        let state = posted.filter(is_state).unwrap_or_else(|| agent.initial_state());
        let (thread, run) = (input.thread_id.clone(), input.run_id.clone());
        let asked = as_posted(input, headers, agent.keeps_client_instructions());
        let work = Work::start(|out| async move { agent.run(RunContext::new(asked, out)).await });
        Self {
            admission: Admission::new(&thread, &run),
            dialect,
            encoding,
            work,
            state,
            opening: Some(Event::run_started(thread, run)),
            stopping,
            stop,
            _entered: entered,
            ended: false,
        }
    }

    /// The next frames; `None` at the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        if let Some(opening) = self.opening.take() {
            out.push(opening);
            return Some(self.encode(&out));
        }
        while out.is_empty() {
            if self.ended {
                return None;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    let ending = if self.stopping.is_cancelled() {
                        let message = "the suggestion was interrupted because the server stopped";
                        Ending::Failed(AgentError::new("interrupted", message))
                    } else {
                        Ending::Stopped
                    };
                    self.end(ending, &mut out);
                }
                step = self.work.next() => {
                    let (emissions, ended) = match step {
                        Step::Emissions(emissions) => (emissions, None),
                        Step::Ended(rest, ended) => (rest, Some(ended)),
                    };
                    emissions.into_iter().for_each(|emission| self.take(emission, &mut out));
                    if let Some(ended) = ended {
                        self.end(ended.map_or_else(Ending::Failed, |_| Ending::Returned), &mut out);
                    }
                }
            }
        }
        Some(self.encode(&out))
    }

    fn take(&mut self, emission: Emission, out: &mut Vec<Event>) {
        match emission {
            Emission::Agent(request) => {
                let message = "a suggestion asks no other agents".to_owned();
                let _ = request.reply.send(Err(AgentRefusal { code: "forbidden".to_owned(), message }));
            }
            // Nothing of a suggestion becomes state.
            Emission::Predict(_) => {}
            Emission::Event(event) if event.is_state() => {}
            Emission::Event(event) => {
                if let Err(error) = self.admission.admit(event, out) {
                    self.end(Ending::Failed(AgentError::new("invalid_sequence", error.to_string())), out);
                }
            }
            Emission::Step(step) => {
                let StepNote { events, durable, .. } = *step;
                events.into_iter().for_each(|event| self.take(Emission::Event(event), out));
                // Nothing of a suggestion is kept, so there is nothing to wait for.
                let _ = durable.map(|durable| durable.send(()));
            }
            Emission::State(request) => self.answer(*request, true),
            Emission::Document { request, .. } => self.answer(*request, false),
        }
    }

    /// Answers what it asks of its own state, or of another document.
    fn answer(&self, request: StateRequest, is_own: bool) {
        let refused =
            |message: &str| StateError::Refused { code: "forbidden", message: message.to_owned(), version: 0 };
        match request {
            StateRequest::Read { path, reply, .. } if is_own => {
                let value = path.get(&self.state).cloned();
                let _ = reply.send(Ok(Versioned { version: 0, value }));
            }
            StateRequest::Read { reply, .. } => {
                let _ = reply.send(Err(refused("a suggestion reads no other documents")));
            }
            StateRequest::Patch { reply, .. } | StateRequest::Propose { reply, .. } => {
                let _ = reply.send(Err(refused("a suggestion writes no state")));
            }
        }
    }

    fn end(&mut self, ending: Ending, out: &mut Vec<Event>) {
        self.ended = true;
        self.work.stop();
        let terminal = match ending {
            Ending::Returned => Event::run_finished("", ""),
            Ending::Stopped => {
                self.admission.close(&Closing::Stopped, &|_| true, out);
                Event::run_finished_with("", "", Some(Outcome::cancelled()))
            }
            Ending::Failed(error) => {
                let closing = Closing::Failed { reason: error.code.clone(), message: error.message.clone() };
                self.admission.close(&closing, &|_| true, out);
                Event::run_error(error.message, error.code)
            }
        };
        // The gate closes what is open before a terminal, and swallows a second one.
        if let Err(error) = self.admission.admit(terminal, out) {
            tracing::warn!(%error, "a suggestion ended out of sequence");
        }
    }

    fn encode(&self, events: &[Event]) -> Bytes {
        let mut bytes = Vec::with_capacity(256);
        for event in events {
            self.encoding.write_frame_for(self.dialect, &mut bytes, event);
        }
        bytes.into()
    }
}

fn as_posted(input: RunAgentInput, headers: Vec<(String, String)>, keeps_instructions: bool) -> RunInput {
    let is_told = |message: &Message| keeps_instructions || !matches!(message.role(), Role::System | Role::Developer);
    RunInput {
        thread_id: input.thread_id,
        run_id: uuid::Uuid::now_v7().to_string(),
        messages: input.messages.into_iter().filter(is_told).map(Arc::new).collect(),
        tools: input.tools,
        context: input.context,
        forwarded_props: input.forwarded_props,
        resume: input.resume,
        headers,
        state_version: 0,
        cause: Cause::user(),
    }
}
