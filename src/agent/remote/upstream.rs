//! The HTTP side: one POST, then events as they arrive, each wait bounded. Dropping the stream closes the connection.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::{Instant, timeout, timeout_at};

use super::body::Body;
use super::headers;
use crate::agent::context::RunInput;
use crate::agent::definition::Remote;
use crate::agent::error::AgentError;
use crate::agent::outbound::{client, told};
use crate::agui::{Dialect, Event, Json, Reading, RunAgentInput};
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
        let body = Bytes::from(json_text::encode(&posted(input, state, self.remote.protocol_version.clone())));
        let headers = headers::compose(&self.remote, &input.headers);
        let post = async |url: Url| {
            let request = self
                .client
                .post(url)
                .headers(headers.clone())
                .header(ACCEPT, "text/event-stream")
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
            timeout_at(deadline, request.send())
                .await
                .map_err(|_| self.too_late("did not begin to answer", first_byte))?
                .map_err(|error| self.unreachable(&error))
        };
        let mut response = post(self.remote.url.clone()).await?;
        if let Some(url) = same_place(&self.remote.url, &response) {
            response = post(url).await?;
        }
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.refused(response, deadline).await);
        }
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no content type");
        let Some(body) = Body::new(kind, self.remote.max_event_bytes) else {
            let message = format!("the agent's server answered with {kind} instead of a stream of events");
            return Err(AgentError::new("upstream_error", message));
        };
        Ok(Events { upstream: self, response, body, first: Some(deadline), ended: false, unknown: 0 })
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
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        tracing::warn!(url = %self.remote.url, status = status.as_u16(), location, %body, "a remote agent refused a run");
        let elsewhere = if status.is_redirection() { ": its definition has to name the address it is at" } else { "" };
        AgentError::new("upstream_error", format!("the agent's server answered {status}{elsewhere}"))
    }
}

/// Where a server wants the same request, if that is the same server: FastAPI says so of a slash at the end of a path.
/// Elsewhere it would carry credentials away.
fn same_place(url: &Url, response: &Response) -> Option<Url> {
    let again = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&response.status());
    let location = response.headers().get(LOCATION).filter(|_| again)?;
    url.join(location.to_str().ok()?).ok().filter(|next| next.origin() == url.origin())
}

/// The events of one answer, in order.
pub(super) struct Events<'u> {
    upstream: &'u Upstream,
    response: Response,
    body: Body,
    /// Until when the first byte must be there; `None` once it is.
    first: Option<Instant>,
    ended: bool,
    /// Events of types that AG-UI 1.0 does not have.
    unknown: usize,
}

impl Events<'_> {
    /// The next event; unknown ones are dropped. The end of the stream is an error: a run ends by its terminal.
    pub(super) async fn next(&mut self) -> Result<Event, AgentError> {
        loop {
            let next = if self.ended { self.body.finish() } else { self.body.next() };
            match next.map_err(|reason| unusable(&reason))? {
                Some(Reading::Event(event)) => return Ok(event),
                Some(Reading::Unknown { event_type }) => {
                    self.unknown += 1;
                    tracing::debug!(event_type, "a remote agent sent an event of an unknown type");
                }
                None if self.ended => return Err(closed_early()),
                None => match self.chunk().await? {
                    Some(bytes) => self.body.push(&bytes),
                    None => self.ended = true,
                },
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

fn unusable(reason: &str) -> AgentError {
    AgentError::new("upstream_error", format!("the agent's server sent something unusable: {reason}"))
}

fn closed_early() -> AgentError {
    AgentError::new("upstream_lost", "the agent's server closed the stream before the run was finished")
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        if self.unknown > 0 {
            let (url, dropped) = (&self.upstream.remote.url, self.unknown);
            tracing::info!(%url, dropped, "events of unknown types were dropped");
        }
    }
}

/// What is posted. Older endpoints of 0.x refuse fields and forms that they do not know, so it names a version only if it
/// is told to, and says without one what 0.x has words for.
fn posted(input: &RunInput, state: Json, protocol_version: Option<String>) -> RunAgentInput {
    let dialect = Dialect::of(protocol_version.as_deref());
    RunAgentInput {
        thread_id: input.thread_id.clone(),
        run_id: input.run_id.clone(),
        protocol_version,
        parent_run_id: None,
        state: Some(state),
        messages: input.messages.iter().map(|message| message.for_dialect(dialect).into_owned()).collect(),
        tools: input.tools.clone(),
        context: input.context.clone(),
        // Endpoints of 0.x require the field.
        forwarded_props: Some(
            input.forwarded_props.clone().unwrap_or_else(|| crate::agui::to_json(&serde_json::Map::new())),
        ),
        resume: input.resume.clone(),
    }
}
