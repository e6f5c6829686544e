//! A stage for tests: runs an agent against a document in memory and notes what it emitted.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::agent::context::{Emission, RunContext, RunInput, StateRequest, Versioned};
use crate::agent::emissions::emissions;
use crate::agent::error::{AgentError, StateError};
use crate::agent::steps::Past;
use crate::agent::{Agent, RunOutcome};
use crate::agui::{Message, Tool, to_json};
use crate::state::limits::Limits;
use crate::state::patch;

/// What a run left behind.
pub(crate) struct Played {
    /// The events, as JSON.
    pub(crate) events: Vec<Value>,
    pub(crate) ended: Result<RunOutcome, AgentError>,
    pub(crate) document: Value,
}

impl Played {
    /// The text of every message that was said, in order.
    pub(crate) fn said(&self) -> Vec<String> {
        self.deltas("TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT")
    }

    /// The arguments of every tool call, in order.
    pub(crate) fn arguments(&self) -> Vec<String> {
        self.deltas("TOOL_CALL_START", "TOOL_CALL_ARGS")
    }

    /// The types of the events, runs of the same type once.
    pub(crate) fn types(&self) -> Vec<&str> {
        let mut types: Vec<&str> = self.events.iter().filter_map(|event| event["type"].as_str()).collect();
        types.dedup();
        types
    }

    pub(crate) fn error(&self) -> &AgentError {
        self.ended.as_ref().expect_err("the run was to fail")
    }

    fn deltas(&self, start: &str, content: &str) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for event in &self.events {
            if event["type"] == start {
                texts.push(String::new());
            } else if event["type"] == content {
                let text = texts.last_mut().expect("content follows its start");
                text.push_str(event["delta"].as_str().expect("a delta is a text"));
            }
        }
        texts
    }
}

/// What a run is asked, with these messages.
pub(crate) fn asked(messages: &[Value]) -> RunInput {
    let message = |message: &Value| Arc::new(Message::read(&message.to_string()).expect("a message of the test"));
    RunInput {
        thread_id: "t".to_owned(),
        run_id: "r".to_owned(),
        messages: messages.iter().map(message).collect(),
        tools: Vec::new(),
        context: Vec::new(),
        forwarded_props: None,
        resume: Vec::new(),
        headers: Vec::new(),
        state_version: 1,
        cause: crate::agent::cause::Cause::user(),
    }
}

/// A person says this.
pub(crate) fn user(text: &str) -> RunInput {
    asked(&[json!({ "id": "u", "role": "user", "content": text })])
}

/// A tool of the page.
pub(crate) fn tool(name: &str, parameters: &Value) -> Tool {
    Tool { name: name.to_owned(), description: String::new(), parameters: Some(to_json(parameters)), metadata: None }
}

/// Runs the agent on `document`.
pub(crate) async fn play(agent: &dyn Agent, input: RunInput, document: Value) -> Played {
    play_with(agent, input, document, |_, _| {}).await
}

/// What `meddle` sees as an event's type just before the agent's operations are applied.
pub(crate) const BEFORE_PATCH: &str = "before a patch";

/// As [`play`]; `meddle` sees each event and may change the document as somebody else would.
pub(crate) async fn play_with(
    agent: &dyn Agent,
    input: RunInput,
    document: Value,
    meddle: impl FnMut(&Value, &mut Value),
) -> Played {
    play_on(agent, input, document, Past::default(), meddle).await
}

/// Goes on with a run that did this before it was cut off.
pub(crate) async fn play_on(
    agent: &dyn Agent,
    input: RunInput,
    mut document: Value,
    past: Past,
    mut meddle: impl FnMut(&Value, &mut Value),
) -> Played {
    let (out, mut emissions) = emissions(1);
    let run = agent.run(RunContext::going_on(input, out, past));
    let mut version = 1;
    let mut events = Vec::new();
    let host = async {
        while let Some(taken) = emissions.take().await {
            for emission in taken {
                match emission {
                    Emission::Event(event) => {
                        let event = serde_json::to_value(&event).expect("events are JSON");
                        meddle(&event, &mut document);
                        events.push(event);
                    }
                    Emission::Step(step) => {
                        for event in step.events {
                            let event = serde_json::to_value(&event).expect("events are JSON");
                            meddle(&event, &mut document);
                            events.push(event);
                        }
                        let _ = step.durable.map(|durable| durable.send(()));
                    }
                    Emission::State(request) => {
                        if matches!(*request, StateRequest::Patch { .. }) {
                            meddle(&json!({ "type": BEFORE_PATCH }), &mut document);
                        }
                        serve(*request, &mut document, &mut version);
                    }
                    Emission::Predict(_) => {}
                    Emission::Agent(request) => panic!("there is no agent `{}` on this stage", request.agent),
                    Emission::Document { name, .. } => panic!("there is no document `{name}` on this stage"),
                }
            }
        }
    };
    let (ended, ()) = tokio::join!(run, host);
    Played { events, ended, document }
}

fn serve(request: StateRequest, document: &mut Value, version: &mut u64) {
    match request {
        StateRequest::Read { path, reply, .. } => {
            drop(reply.send(Ok(Versioned { version: *version, value: path.get(document).cloned() })));
        }
        StateRequest::Patch { write, reply } => {
            let patched = patch::apply(document, &write.ops, &Limits::default());
            drop(reply.send(match patched {
                Ok(_) => {
                    *version += 1;
                    Ok(*version)
                }
                Err(error) => {
                    Err(StateError::Refused { code: error.code(), message: error.to_string(), version: *version })
                }
            }));
        }
        StateRequest::Propose { state, reply, .. } => {
            *document = state;
            *version += 1;
            drop(reply.send(Ok(*version)));
        }
    }
}
