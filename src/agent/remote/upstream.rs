//! The HTTP side: one POST, then events as they arrive, each wait bounded. Dropping the stream closes the connection.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Response, StatusCode};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout, timeout_at};

use super::halves::Halves;
use super::headers;
use crate::agent::context::RunInput;
use crate::agent::definition::Remote;
use crate::agent::error::AgentError;
use crate::agent::outbound::{client, told};
use crate::agui::sse::{Decoder, Frame, FrameError};
use crate::agui::{Event, EventType, Json, ReadError, Reading, RunAgentInput};
use crate::json_text;

/// How much of a refusal's body goes to the log, in bytes.
const LOGGED_BYTES: usize = 2048;

/// Where requests go, and how.
pub(super) struct Upstream {
    remote: Remote,
    client: Client,
}

impl Upstream {
    pub(super) fn new(remote: &Remote) -> Result<Self, String> {
        let client = client(&remote.url, remote.timeouts.connect)?;
        Ok(Self { remote: remote.clone(), client })
    }

    /// Posts the run and waits for the head of the answer.
    pub(super) async fn post(&self, input: &RunInput, state: Json) -> Result<Events<'_>, AgentError> {
        let first_byte = self.remote.timeouts.first_byte;
        let deadline = Instant::now() + first_byte;
        let body = json_text::encode(&posted(input, state));
        let request = self
            .client
            .post(self.remote.url.clone())
            .headers(headers::compose(&self.remote, &input.headers))
            .header(ACCEPT, "text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let response = timeout_at(deadline, request.send())
            .await
            .map_err(|_| self.too_late("did not begin to answer", first_byte))?
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.refused(response, deadline).await);
        }
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no content type");
        if !kind.to_ascii_lowercase().starts_with("text/event-stream") {
            let message = format!("the agent's server answered with {kind} instead of a stream of events");
            return Err(AgentError::new("upstream_error", message));
        }
        Ok(Events {
            upstream: self,
            response,
            decoder: Decoder::new(self.remote.max_event_bytes),
            halves: Halves::default(),
            first: Some(deadline),
            ended: false,
            unknown: 0,
        })
    }

    fn too_late(&self, what: &str, limit: Duration) -> AgentError {
        AgentError::new("timeout", format!("the agent's server {what} within {limit:?}"))
    }

    fn unreachable(&self, error: &reqwest::Error) -> AgentError {
        tracing::warn!(url = %self.remote.url, reason = told(error), "a remote agent cannot be reached");
        if error.is_timeout() {
            return self.too_late("could not be reached", self.remote.timeouts.connect);
        }
        let what = if error.is_connect() { "cannot be reached" } else { "broke off before it answered" };
        AgentError::new("upstream_error", format!("the agent's server {what}: {}", told(error)))
    }

    /// The body may hold internals: it is logged, not shown.
    async fn refused(&self, mut response: Response, deadline: Instant) -> AgentError {
        let status = response.status();
        let mut body = Vec::new();
        while body.len() < LOGGED_BYTES
            && let Ok(Ok(Some(bytes))) = timeout_at(deadline, response.chunk()).await
        {
            body.extend_from_slice(&bytes);
        }
        body.truncate(LOGGED_BYTES);
        let body = String::from_utf8_lossy(&body);
        tracing::warn!(url = %self.remote.url, status = status.as_u16(), %body, "a remote agent refused a run");
        AgentError::new("upstream_error", format!("the agent's server answered {status}"))
    }
}

/// The events of one answer, in order.
pub(super) struct Events<'u> {
    upstream: &'u Upstream,
    response: Response,
    decoder: Decoder,
    halves: Halves,
    /// Until when the first byte must be there; `None` once it is.
    first: Option<Instant>,
    ended: bool,
    /// Events of types that AG-UI 1.0 does not have.
    unknown: usize,
}

impl Events<'_> {
    /// The next event; unknown ones are dropped. The end of the stream is an error: a run ends by its terminal.
    pub(super) async fn next(&mut self) -> Result<Event, AgentError> {
        if let Some(event) = self.halves.waiting() {
            return Ok(event);
        }
        loop {
            let frame = if self.ended { self.decoder.finish() } else { self.decoder.next_frame() };
            match frame {
                // Nobody means anything by a frame whose data is empty.
                Some(Ok(frame)) if frame.data.is_empty() => {}
                // The last frame may lack its blank line, but not more.
                Some(frame) if self.ended && is_cut(&frame) => return self.halves.left().ok_or_else(closed_early),
                Some(frame) => {
                    if let Some(event) = self.read(frame)? {
                        return Ok(event);
                    }
                }
                None if self.ended => return self.halves.left().ok_or_else(closed_early),
                None => match self.chunk().await? {
                    Some(bytes) => self.decoder.push(&bytes),
                    None => self.ended = true,
                },
            }
        }
    }

    fn read(&mut self, frame: Result<Frame, FrameError>) -> Result<Option<Event>, AgentError> {
        let unusable = |reason: String| {
            AgentError::new("upstream_error", format!("the agent's server sent something unusable: {reason}"))
        };
        let frame = frame.map_err(|error| unusable(error.to_string()))?;
        match read_event(&frame.data).map_err(|error| unusable(error.to_string()))? {
            Reading::Event(event) => Ok(Some(self.halves.pass(event, &frame.data))),
            Reading::Unknown { event_type } => {
                self.unknown += 1;
                tracing::debug!(event_type, "a remote agent sent an event of an unknown type");
                Ok(None)
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, AgentError> {
        let timeouts = self.upstream.remote.timeouts;
        let chunk = match self.first {
            Some(deadline) => timeout_at(deadline, self.response.chunk())
                .await
                .map_err(|_| self.upstream.too_late("did not begin to answer", timeouts.first_byte))?,
            None => timeout(timeouts.idle, self.response.chunk())
                .await
                .map_err(|_| self.upstream.too_late("fell silent: nothing came", timeouts.idle))?,
        };
        self.first = None;
        chunk.map_err(|error| {
            tracing::warn!(url = %self.upstream.remote.url, reason = told(&error), "a remote agent was lost");
            let message = "the connection to the agent's server broke before the run was finished";
            AgentError::new("upstream_lost", message)
        })
    }
}

fn closed_early() -> AgentError {
    AgentError::new("upstream_lost", "the agent's server closed the stream before the run was finished")
}

/// Whether the last frame of a stream is only its beginning.
fn is_cut(frame: &Result<Frame, FrameError>) -> bool {
    match frame {
        Ok(frame) => matches!(Event::read(&frame.data), Err(ReadError::Malformed { .. })),
        Err(FrameError::NotUtf8(_)) => true,
        Err(FrameError::TooLarge { .. }) => false,
    }
}

/// As [`Event::read`], also where the ids of the run are missing: CopilotKit's runtime ends a stopped run without them,
/// and this run has ids of its own.
fn read_event(data: &str) -> Result<Reading, ReadError> {
    let reading = Event::read(data);
    let Err(ReadError::Invalid { event_type: EventType::RunStarted | EventType::RunFinished, path, .. }) = &reading
    else {
        return reading;
    };
    let is_about_ids = matches!(path.as_str(), "/threadId" | "/runId");
    let Some(mut fields) = serde_json::from_str::<HashMap<String, &RawValue>>(data).ok().filter(|_| is_about_ids)
    else {
        return reading;
    };
    let none: &RawValue = serde_json::from_str(r#""""#).expect("an empty string is JSON");
    for id in ["threadId", "runId"] {
        let value = fields.entry(id.to_owned()).or_insert(none);
        if value.get() == "null" {
            *value = none;
        }
    }
    Event::read(&serde_json::to_string(&fields).expect("what was read as JSON is written as JSON"))
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        if self.unknown > 0 {
            let (url, dropped) = (&self.upstream.remote.url, self.unknown);
            tracing::info!(%url, dropped, "events of unknown types were dropped");
        }
    }
}

/// What is posted. It carries no protocol version: endpoints of 0.x refuse fields that they do not know.
fn posted(input: &RunInput, state: Json) -> RunAgentInput {
    RunAgentInput {
        thread_id: input.thread_id.clone(),
        run_id: input.run_id.clone(),
        protocol_version: None,
        parent_run_id: None,
        state: Some(state),
        messages: input.messages.iter().map(|message| message.as_ref().clone()).collect(),
        tools: input.tools.clone(),
        context: input.context.clone(),
        // Endpoints of 0.x require the field.
        forwarded_props: Some(
            input.forwarded_props.clone().unwrap_or_else(|| crate::agui::to_json(&serde_json::Map::new())),
        ),
        resume: input.resume.clone(),
    }
}
